/* `logtrain tail`: its arguments become the parameters of /v1/tail, its events lines. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "console/client.h"
#include "console/console.h"
#include "console/paint.h"

#define TARGET_MAX 16000
#define LINE_BYTES (8 * 1024 * 1024)

static const char help[] =
    "logtrain tail [-n NAMESPACE] [NAME...]: the lines of containers on this node, as they come.\n"
    "\n"
    "NAME is a workload, a pod, or a hostname; without one, all that there are.\n"
    "\n"
    "  -n, --namespace NS     only of this namespace\n"
    "  -c, --container NAME   only of containers of that name\n"
    "      --stream NAME      only stdout, or only stderr\n"
    "  -i, --include EXPR     only lines in which it is found; any of several\n"
    "  -e, --exclude EXPR     no lines in which it is found\n"
    "      --lines N          the last N of each container, and from then on\n"
    "      --since TIME       from then on: 2h, 3d, start, or 2026-11-20T10:15:00Z\n"
    "      --until TIME       up to then\n"
    "  -p, --previous         only of before the last restart of each container\n"
    "      --no-follow        what there is, and no more\n"
    "      --wait             also when there is no such log yet\n"
    "      --lossless         skip nothing, however slowly the output is read\n"
    "      --events           also where a log begins or ends\n"
    "  -o, --output FORM      text (POD CONTAINER MESSAGE), json (an object for each line), or "
    "raw\n"
    "                         (messages alone)\n"
    "\n"
    "EXPR is a regular expression (Perl's, of bytes); several may be given.\n"
    "\n"
    "It asks the daemon whose socket is in STATE_PATH (/var/lib/logtrain). Colours are for a\n"
    "terminal only; NO_COLOR turns them off.\n"
    "Exit status: 0 all was shown, 1 the daemon does not answer or has stopped, 2 wrong "
    "arguments,\n"
    "3 no log fits.\n";

enum form { FORM_TEXT = 0, FORM_JSON, FORM_RAW };

/* Options that become a parameter as they are. */
static const struct {
    const char *name, *letter; /* without their dashes; NULL = none */
    const char *parameter;     /* with its "=" when it takes a value */
} options[] = {
    {"namespace", "n", "namespace="},    {"container", "c", "container="},
    {"stream", NULL, "stream="},         {"lines", NULL, "lines="},
    {"since", NULL, "since="},           {"until", NULL, "until="},
    {"wait", NULL, "wait=true"},         {"no-follow", NULL, "follow=false"},
    {"lossless", NULL, "lossless=true"}, {"previous", "p", "previous=true"},
    {"events", NULL, "events=true"},     {"include", "i", "include="},
    {"exclude", "e", "exclude="},
};

struct command {
    struct buf target;
    enum form form;
    bool terminal, colours;
    struct buf out;
};

static void add_parameter(struct buf *target, const char *name, const char *value)
{
    (void)buf_addf(target, "%c%s", strchr(target->p, '?') ? '&' : '?', name);
    for (; value && *value; value++) {
        unsigned char c = (unsigned char)*value;
        bool plain = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
                     strchr("-._~:", c) != NULL;

        (void)(plain ? buf_add_ch(target, (char)c) : buf_addf(target, "%%%02X", c));
    }
}

static bool is_flag(const char *arg, const char *name, const char *letter)
{
    return (strncmp(arg, "--", 2) == 0 && strcmp(arg + 2, name) == 0) ||
           (letter && arg[0] == '-' && strcmp(arg + 1, letter) == 0);
}

static bool set_form(struct command *c, const char *value)
{
    static const char *const forms[] = {"text", "json", "raw"};

    for (unsigned i = 0; i < 3; i++)
        if (value && strcmp(value, forms[i]) == 0) {
            c->form = (enum form)i;
            return true;
        }
    return false;
}

/* The argument at <argv> and its value. How many it took; 0 = it is wrong, and that was said. */
static unsigned take_argument(struct command *c, char *const *argv)
{
    if (**argv != '-') {
        add_parameter(&c->target, "name=", *argv);
        return 1;
    }
    if (is_flag(*argv, "output", "o")) {
        if (set_form(c, argv[1]))
            return 2;
        (void)console_say(0, "tail: %s must be text, json or raw", *argv);
        return 0;
    }
    for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
        bool valued = options[i].parameter[strlen(options[i].parameter) - 1] == '=';

        if (!is_flag(*argv, options[i].name, options[i].letter))
            continue;
        if (valued && !argv[1]) {
            (void)console_say(0, "tail: %s needs a value", *argv);
            return 0;
        }
        add_parameter(&c->target, options[i].parameter, valued ? argv[1] : NULL);
        return valued ? 2 : 1;
    }
    (void)console_say(0, "tail: unknown flag %s (--help lists them)", *argv);
    return 0;
}

static int show(void *arg, struct str line)
{
    struct command *c = arg;

    buf_clear(&c->out);
    if (c->form == FORM_TEXT) {
        paint_event(&c->out, line, c->terminal, c->colours);
    } else {
        paint_bytes(&c->out, line, c->terminal);
        (void)buf_add_ch(&c->out, '\n');
    }
    return fwrite(c->out.p, 1, c->out.len, stdout) != c->out.len ||
           (c->terminal && fflush(stdout) != 0);
}

static int ask(struct command *c, const char *dir)
{
    struct buf text = BUF_INIT(4096);
    struct err e = {0};
    int status = client_lines(dir, c->target.p, show, c, &text, &e), rc;

    if (fflush(stdout) != 0 || status == 0)
        rc = console_say(CONSOLE_FAILED, "tail: cannot write to standard output");
    else if (status < 0)
        rc = console_say(CONSOLE_FAILED, "tail: %s", e.text);
    else if (status == 200)
        rc = CONSOLE_OK;
    else
        rc = console_say(status == 400   ? CONSOLE_USAGE
                         : status == 404 ? CONSOLE_NOTHING
                                         : CONSOLE_FAILED,
                         "tail: %s", buf_cstr(&text));
    buf_release(&text);
    return rc;
}

int console_tail(char *const *argv, const char *dir)
{
    struct command c = {.terminal = isatty(STDOUT_FILENO), .colours = console_colours()};
    unsigned used = 1;
    int rc;

    buf_init(&c.target, TARGET_MAX);
    buf_init(&c.out, LINE_BYTES);
    (void)buf_addf(&c.target, "/v1/tail");
    for (; *argv && used; argv += used) {
        if (is_flag(*argv, "help", "h")) {
            rc = fputs(help, stdout) < 0 || fflush(stdout) != 0 ? CONSOLE_FAILED : CONSOLE_OK;
            goto out;
        }
        used = take_argument(&c, argv);
    }
    if (c.form == FORM_RAW)
        add_parameter(&c.target, "format=text", NULL);
    rc = used ? ask(&c, dir) : CONSOLE_USAGE;
out:
    buf_release(&c.target);
    buf_release(&c.out);
    return rc;
}
