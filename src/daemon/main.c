/* Chooses what to do from the command line. */
#include <stdio.h>
#include <unistd.h>

#include "base/limits.h"
#include "console/client.h"
#include "console/console.h"
#include "daemon/cli.h"
#include "daemon/daemon.h"
#include "datasources/datasource.h"
#include "report/version.h"
#include "state/print.h"

/* Configuration errors are for a person who has just typed them: plain text, not a log line. */
static int usage(const struct err *e)
{
    (void)fprintf(stderr, "logtrain: %s\n", e->text);
    return DAEMON_USAGE;
}

static int print(const struct buf *text)
{
    if (fwrite(text->p, 1, text->len, stdout) != text->len || fflush(stdout) != 0)
        return DAEMON_FAILED;
    return DAEMON_OK;
}

static int check(const char *url, struct buf *out, struct err *e)
{
    struct buf typed = BUF_INIT(URL_MAX + 4096);
    struct str text = str_of(url);
    int rc = 0;

    if (str_eq(text, STR("-"))) {
        rc = cli_read_url(STDIN_FILENO, &typed, e);
        text = buf_str(&typed);
    }
    if (rc == 0)
        rc = cli_check(text, out, e);
    if (typed.p)
        explicit_bzero(typed.p, typed.len);
    buf_release(&typed);
    return rc;
}

/* <rc>: the exit code when the text could be made. */
static int make_text(const struct config *c, struct buf *out, int *rc, struct err *e)
{
    bool whole = true;

    switch (c->mode) {
    case CONFIG_MODE_HELP:
        return config_help(out);
    case CONFIG_MODE_LIMITS:
        return config_limits(out);
    case CONFIG_MODE_DRAINS_TABLE:
        return config_drains_table(out);
    case CONFIG_MODE_VERSION:
        return buf_addf(out, "logtrain %s\n", logtrain_version);
    case CONFIG_MODE_CHECK:
        return check(c->check, out, e);
    case CONFIG_MODE_SCHEMA:
        return datasource_postgres_schema(out);
    case CONFIG_MODE_STATE_LIST:
        return state_print_list(c->state_dir, out, e);
    case CONFIG_MODE_STATE_VERIFY:
        if (state_print_verify(c->state_dir, out, &whole, e) < 0)
            return -1;
        *rc = whole ? DAEMON_OK : DAEMON_FAILED;
        return 0;
    case CONFIG_MODE_EXPLAIN:
        return client_explain(c->state_dir, c->explain, out, e);
    case CONFIG_MODE_DRAINS:
        return client_get(c->state_dir, "/drains", out, e);
    case CONFIG_MODE_RUN:
        break;
    }
    return 0;
}

int daemon_main(char **argv, char *const *envp)
{
    struct buf out = BUF_INIT(CLI_TEXT_MAX);
    struct err e = {0, "the output is too long"};
    struct config c;
    int rc, said = DAEMON_OK;

    if (console_is(argv))
        return console_main(argv, envp);
    rc = config_load(&c, argv, envp, &e);
    config_scrub(argv);
    if (rc < 0) {
        rc = usage(&e);
    } else if (c.mode == CONFIG_MODE_RUN) {
        rc = daemon_run(&c);
    } else if (make_text(&c, &out, &said, &e) < 0) {
        (void)fprintf(stderr, "logtrain: %s\n", e.text);
        rc = c.mode == CONFIG_MODE_CHECK ? daemon_exit_of(&e) : DAEMON_FAILED;
    } else {
        rc = print(&out) == DAEMON_OK ? said : DAEMON_FAILED;
    }
    config_release(&c);
    buf_release(&out);
    return rc;
}
