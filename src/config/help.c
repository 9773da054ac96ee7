/* --help: all settings, from the tables that the parsers use. */
#include "config/config.h"
#include "drains/members/members.h"

#define HELP_SCHEMES_MAX 4096

static const char head[] =
    "logtrain: sends the lines of container logs to drains.\n"
    "\n"
    "  logtrain --drain 'web.default=syslog+tls://logs.example.com:6514'\n"
    "  logtrain --routes /etc/logtrain/routes\n"
    "  logtrain schema | psql    (creates the table for POSTGRES=true)\n"
    "  logtrain state ls [DIR]     (shows where each cursor is)\n"
    "  logtrain state verify [DIR] (checks the state; exit status 1: damaged)\n"
    "  logtrain explain NAMESPACE/POD|HOSTNAME (asks the daemon where the "
    "lines go, and why)\n"
    "  logtrain drains             (asks the daemon for the state of drains, "
    "as JSON)\n"
    "  logtrain tail [NAME...]     (shows lines as they come: logtrain tail --help)\n"
    "  logtrain top                (shows the state of drains, live: logtrain top --help)\n"
    "\n"
    "Flags (--name value or --name=value; -h is --help, -v is --version):\n";

static const char foot[] =
    "\n"
    "Signals: TERM and INT stop (batches in flight are delivered first, within STOP_GRACE; a\n"
    "second one exits at once), HUP reads the routes file again.\n"
    "HTTP: /metrics (Prometheus), /healthz, /readyz; at the socket STATE_PATH/api.sock, and with\n"
    "credentials, also /drains and /explain?pod=NAMESPACE/POD or ?hostname=NAME.\n"
    "Exit status: 0 stopped as asked, 1 could not start or had to stop, 2 bad configuration.\n";

static int add_flags(struct buf *out)
{
    for (const struct config_flag *f = config_flags(); f->name; f++)
        if (buf_addf(out, "  --%s%s%s\n        %s\n", f->name, f->value ? " " : "",
                     f->value ? f->value : "", f->help) < 0)
            return -1;
    return 0;
}

static int add_var(const struct config_var *v, struct buf *out)
{
    if (v->kind == CONFIG_IGNORED)
        return buf_addf(out, "  %s\n        %s\n", v->name, v->help);
    if (v->kind == CONFIG_LATER)
        return buf_addf(out, "  %s\n        %s: not in this build, true is refused\n", v->name,
                        v->help);
    if (buf_addf(out, "  %s=", v->name) < 0 || config_default_text(v, out) < 0 ||
        buf_addf(out, "  (") < 0 || config_values_text(v, out) < 0)
        return -1;
    return buf_addf(out, ")\n        %s\n", v->help);
}

static int add_schemes(struct buf *out)
{
    const struct drain_scheme *s;

    for (unsigned i = 0; (s = drain_scheme_at(i)); i++)
        if (buf_addf(out, "  %s://  %s; %s\n", s->name, format_name(s->format),
                     drain_promise_text(s->promise)) < 0)
            return -1;
    return 0;
}

static int add_option(const struct drain_option *o, struct buf *out)
{
    struct buf schemes = BUF_INIT(HELP_SCHEMES_MAX);
    int rc = drain_option_schemes(o, ",", &schemes);

    if (rc == 0)
        rc =
            buf_addf(out, "  %s=%s%s%s%s\n        %s; default: ", o->name, o->values,
                     schemes.len ? "  (" : "", buf_cstr(&schemes), schemes.len ? ")" : "", o->help);
    if (rc == 0)
        rc = drain_option_default(o, out);
    if (rc == 0)
        rc = buf_add_ch(out, '\n');
    buf_release(&schemes);
    return rc;
}

static int add_options(struct buf *out)
{
    const struct drain_option *o;

    for (unsigned i = 0; (o = drain_option_at(i)); i++)
        if (add_option(o, out) < 0)
            return -1;
    return 0;
}

int config_help(struct buf *out)
{
    if (buf_addf(out, "%s", head) < 0 || add_flags(out) < 0)
        return -1;
    if (buf_addf(out, "\nEnvironment (with its default):\n") < 0)
        return -1;
    for (const struct config_var *v = config_vars(); v->name; v++)
        if (add_var(v, out) < 0)
            return -1;
    if (buf_addf(out, "\nDrains, with the format and the promise of each:\n") < 0 ||
        add_schemes(out) < 0)
        return -1;
    if (buf_addf(out, "\nOptions of a drain, as ?name=value&... of its URL:\n") < 0 ||
        add_options(out) < 0)
        return -1;
    return buf_addf(out, "%s", foot);
}
