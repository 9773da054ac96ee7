/* Lines of real programs, and lines that only look as if they had a level. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "../../lib/unit.h"
#include "base/mem.h"
#include "sieve/level.h"

#define NONE LEVEL_NONE

struct row {
    const char *line;
    int level;
};

static void check(const struct row *row)
{
    int level = level_find(str_of(row->line));

    if (level != row->level)
        fail_msg("level %d, not %d, of: %s", level, row->level, row->line);
}

static void of_json(void **state)
{
    static const struct row rows[] = {
        /* pino, bunyan */
        {"{\"level\":30,\"time\":1700000000000,\"pid\":1,\"hostname\":\"w\",\"msg\":\"hello\"}", 6},
        {"{\"level\":10,\"msg\":\"t\"}", 7},
        {"{\"level\":20,\"msg\":\"d\"}", 7},
        {"{\"level\":35,\"msg\":\"between\"}", 6},
        {"{\"level\":40,\"msg\":\"w\"}", 4},
        {"{\"level\":50,\"err\":{\"type\":\"Error\",\"level\":10},\"msg\":\"e\"}", 3},
        {"{\"level\":60,\"msg\":\"f\"}", 2},
        {"{\"name\":\"app\",\"hostname\":\"h\",\"pid\":1,\"level\":40,\"msg\":\"x\",\"time\":"
         "\"2024\",\"v\":0}",
         4},
        /* zap, zerolog, logrus, winston, slog, Serilog, .NET, logback, ECS, log4j */
        {"{\"level\":\"warn\",\"ts\":1700000000.1,\"caller\":\"a/b.go:1\",\"msg\":\"x\"}", 4},
        {"{\"level\":\"dpanic\",\"ts\":1}", 2},
        {"{\"level\":\"error\",\"error\":\"x\",\"time\":1700000000,\"message\":\"y\"}", 3},
        {"{\"level\":\"warning\",\"msg\":\"x\",\"time\":\"2024-01-02T15:04:05Z\"}", 4},
        {"{\"message\":\"a \\\"quoted\\\" text\",\"level\":\"info\",\"timestamp\":\"2024\"}", 6},
        {"{\"time\":\"2024-01-02T15:04:05Z\",\"level\":\"DEBUG\",\"msg\":\"x\"}", 7},
        {"{\"@t\":\"2024-01-02T15:04:05Z\",\"@mt\":\"x {y}\",\"@l\":\"Error\",\"y\":1}", 3},
        {"{\"Timestamp\":\"2024\",\"EventId\":1,\"LogLevel\":\"Warning\",\"Category\":\"c\"}", 4},
        {"{\"@timestamp\":\"2024\",\"@version\":\"1\",\"message\":\"x\",\"logger_name\":\"c.F\","
         "\"level\":\"WARN\",\"level_value\":30000}",
         4},
        {"{\"@timestamp\":\"2024\",\"log.level\":\"ERROR\",\"message\":\"x\"}", 3},
        {"{\"@timestamp\":\"2024\",\"log\":{\"level\":\"debug\",\"logger\":\"x\"},\"message\":"
         "\"x\"}",
         7},
        {"{\"log\":{\"logger\":\"x\"},\"level\":\"warn\"}", 4},
        {"{\"instant\":{\"epochSecond\":1},\"thread\":\"main\",\"level\":\"FATAL\",\"message\":"
         "\"x\"}",
         2},
        /* Google Cloud, OpenTelemetry, Monolog, python-json-logger, GELF, journald, MongoDB */
        {"{\"severity\":\"NOTICE\",\"message\":\"x\"}", 5},
        {"{\"severity\":\"DEFAULT\",\"message\":\"x\"}", 6},
        {"{\"severity\":\"EMERGENCY\",\"message\":\"x\"}", 0},
        {"{\"SeverityNumber\":13,\"Body\":\"x\"}", 4},
        {"{\"severity_number\":17}", 3},
        {"{\"severityText\":\"Info\",\"severityNumber\":17}", 6},
        {"{\"message\":\"x\",\"context\":{},\"level\":400,\"level_name\":\"ERROR\",\"channel\":"
         "\"app\"}",
         3},
        {"{\"level\":250}", 5},
        {"{\"level\":550}", 1},
        {"{\"asctime\":\"2024\",\"levelname\":\"WARNING\",\"message\":\"x\"}", 4},
        {"{\"levelno\":30,\"message\":\"x\"}", 4},
        {"{\"levelno\":50,\"message\":\"x\"}", 2},
        {"{\"version\":\"1.1\",\"host\":\"h\",\"short_message\":\"x\",\"level\":3}", 3},
        {"{\"PRIORITY\":\"6\",\"MESSAGE\":\"x\"}", 6},
        {"{\"t\":{\"$date\":\"2024\"},\"s\":\"W\",\"c\":\"NETWORK\",\"id\":1,\"ctx\":\"m\",\"msg\":"
         "\"x\"}",
         4},
        {"{\"t\":{\"$date\":\"2024\"},\"s\":\"D1\",\"c\":\"-\"}", 7},
        /* shapes */
        {"{ \"lvl\" : \"error\" }", 3},
        {"  {\"level\":\"info\"}", 6},
        {"{\"a\":[1,{\"b\":\"}\"},\"]\"],\"level\":\"warn\"}", 4},
        {"{\"msg\":\"level\\\\\",\"level\":\"warn\"}", 4},
        {"{\"level\":\"boss\",\"severity\":\"error\"}", 3},
        {"{\"level\":\"warn\"", 4}, /* the line was cut */
        {"{\"msg\":\"\\\"level\\\":\\\"error\\\"\"}", NONE},
        {"{\"a\":{\"level\":\"error\"}}", NONE},
        {"{\"s\":\"E\",\"msg\":\"x\"}", NONE},
        {"{\"level\":9}", NONE},
        {"{\"level\":-1}", NONE},
        {"{\"level\":1001}", NONE},
        {"{\"level\":null}", NONE},
        {"{\"level\":\"\"}", NONE},
        {"{\"level", NONE},
        {"{\"level\":", NONE},
        {"{\"level\":\"warn", NONE},
        {"{}", NONE},
        {"{not json level: error}", NONE},
    };

    (void)state;
    FOR_ROWS (i, rows)
        check(&rows[i]);
}

static void of_logfmt(void **state)
{
    static const struct row rows[] = {
        {"level=info ts=2024-01-02T15:04:05.000Z caller=main.go:1 msg=\"x\"", 6},
        {"ts=2024-01-02T15:04:05.000Z caller=main.go:1 level=warn msg=\"x\"", 4},
        {"time=\"2024-01-02T15:04:05Z\" level=error msg=\"a level=info b\"", 3},
        {"time=2024-01-02T15:04:05.000Z level=INFO source=main.go:1 msg=x", 6},
        {"logger=context t=2024-01-02 level=debug msg=\"x\"", 7},
        {"msg=\"a \\\"quoted\\\" level=error\" lvl=warn", 4},
        {"msg=\"x\" severity=\"critical\"", 2},
        {"2024-01-02T15:04:05Z level=warning msg=x", 4},
        {"GET /items status=200 level=error", 3},
        {"msg=\"level=error\"", NONE},
        {"sublevel=error x=1", NONE},
        {"level=", NONE},
        {"level=42 x=y", NONE},
        {"level", NONE},
        {"msg=\"no end level=error", NONE},
    };

    (void)state;
    FOR_ROWS (i, rows)
        check(&rows[i]);
}

static void of_text(void **state)
{
    static const struct row rows[] = {
        /* klog, glog, CockroachDB */
        {"I0102 15:04:05.000000       1 main.go:12] hello", 6},
        {"W0102 15:04:05.000000       1 reflector.go:424] failed to list", 4},
        {"E0102 15:04:05.000000       1 x.go:1] \"msg\" err=\"error\"", 3},
        {"F20240102 15:04:05.000000  1234 x.cc:1] Check failed", 2},
        {"I240102 15:04:05.000000 1 server/x.go:1 \xe2\x8b\xae [n1] hello", 6},
        {"E0102", NONE},
        {"I0102 items left", NONE},
        /* log4j, logback, Spring, Log4net, NLog, JUL, WildFly, Quarkus, Tomcat, Cassandra */
        {"2024-01-02 15:04:05,123 [main] WARN  com.example.Foo - text", 4},
        {"2024-01-02 15:04:05,123 ERROR [http-nio-8080-exec-1] c.e.Foo: text", 3},
        {"15:04:05.123 [main] DEBUG com.example.Foo -- text", 7},
        {"15:04:05,123 INFO  [org.jboss.as] (Controller Boot Thread) text", 6},
        {"2024-01-02 15:04:05.123  INFO 1 --- [           main] c.e.App : Started", 6},
        {"2024-01-02T15:04:05.123+01:00  WARN 1 --- [app] [main] c.e.App : x", 4},
        {"2024-01-02 15:04:05.123 \x1b[32m INFO\x1b[m \x1b[35m1\x1b[m --- [main] x", 6},
        {"2024-01-02 15:04:05.123 [service,65a1,65a1] ERROR 1 --- [main] x", 3},
        {"2024-01-02 15:04:05.1234|WARN|Program|text", 4},
        {"2024-01-02 15:04:05.1234|Warn|Program|text", 4},
        {"WARNING: text", 4},
        {"SEVERE: text", 3},
        {"FINE: text", 7},
        {"CONFIG: text", 6},
        {"02-Jan-2024 15:04:05.123 SEVERE [main] org.apache.catalina.X text", 3},
        {"INFO  [main] 2024-01-02 15:04:05,123 CassandraDaemon.java:1 - text", 6},
        {" INFO 15:04:05 text", 6},
        {"[2024-01-02 15:04:05,123] WARN [Controller id=1] text (kafka.controller.X)", 4},
        {"[2024-01-02T15:04:05,123][WARN ][o.e.n.Node] [node-1] text", 4},
        /* Python, Django, Celery, Airflow, gunicorn, uvicorn, Tornado */
        {"2024-01-02 15:04:05,123 - app.module - WARNING - text", 4},
        {"WARNING:root:text", 4},
        {"CRITICAL:app.db:text", 2},
        {"[2024-01-02 15:04:05,123: WARNING/MainProcess] text", 4},
        {"[2024-01-02T15:04:05.123+0000] {taskinstance.py:12} INFO - text", 6},
        {"[2024-01-02 15:04:05 +0000] [1] [INFO] Booting worker", 6},
        {"INFO:     127.0.0.1:50000 - \"GET / HTTP/1.1\" 200 OK", 6},
        {"[W 2024-01-02 15:04:05.123 ServerApp] text", 4},
        {"[I 240102 15:04:05 web:1] 200 GET /", 6},
        /* Go, Rust, HashiCorp, NATS, Istio */
        {"WARN[0005] text                    key=value", 4},
        {"2024-01-02T15:04:05.000Z\tERROR\tpkg/x.go:1\ttext\t{\"a\": 1}", 3},
        {"2024-01-02T15:04:05.000000Z\twarn\tads\ttext", 4},
        {"2024-01-02T15:04:05Z ERR text error=\"x\"", 3},
        {"3:04PM INF text", 6},
        {"\x1b[90m3:04PM\x1b[0m \x1b[33mWRN\x1b[0m text", 4},
        {"panic: runtime error: index out of range", 2},
        {"fatal error: all goroutines are asleep - deadlock!", 2},
        {"[2024-01-02T15:04:05Z ERROR my_crate] text", 3},
        {"2024-01-02T15:04:05.000000Z  WARN my_crate::x: text", 4},
        {"2024-01-02T15:04:05.000Z [INFO]  agent: text", 6},
        {"[1] 2024/01/02 15:04:05.000000 [ERR] text", 3},
        {"[ERROR] plugin/errors: 2 example. A: read udp", 3},
        /* Node, .NET, Serilog, Ruby, PHP, Elixir */
        {"2024-01-02T15:04:05.000Z error: text", 3},
        {"2024-01-02T15:04:05.000Z [warn]: text", 4},
        {"[15:04:05.000] WARN (1): text", 4},
        {"[Nest] 1  - 01/02/2024, 3:04:05 PM   ERROR [X] text", 3},
        {"npm ERR! code ELIFECYCLE", 3},
        {"npm warn deprecated x", 4},
        {"Error: Cannot find module 'x'", 3},
        {"warn: Microsoft.Hosting[0]", 4},
        {"fail: Microsoft.AspNetCore[13]", 3},
        {"dbug: X[0]", 7},
        {"[15:04:05 WRN] text", 4},
        {"[15:04:05 INF] text", 6},
        {"2024-01-02 15:04:05.000 +00:00 [ERR] text", 3},
        {"W, [2024-01-02T15:04:05.000000 #1]  WARN -- : text", 4},
        {"[2024-01-02T15:04:05.000000+00:00] app.ERROR: text {} []", 3},
        {"[02-Jan-2024 15:04:05] NOTICE: fpm is running, pid 1", 5},
        {"[02-Jan-2024 15:04:05 UTC] PHP Warning:  text in /x.php on line 1", 4},
        {"PHP Fatal error:  Uncaught Exception", 2},
        {"15:04:05.000 [error] GenServer terminating", 3},
        /* servers */
        {"2024/01/02 15:04:05 [error] 7#7: *1 open() \"/x\" failed", 3},
        {"2024/01/02 15:04:05 [emerg] 1#1: bind() failed", 0},
        {"[Wed Oct 11 14:32:52.000000 2000] [core:error] [pid 1:tid 1] text", 3},
        {"[2024-01-02 15:04:05.000][1][warning][main] [source/x.cc:1] text", 4},
        {"[WARNING]  (1) : text", 4},
        {"[ALERT]    (1) : text", 1},
        {"2024-01-02 15:04:05.000 UTC [1] ERROR:  relation \"x\" does not exist", 3},
        {"2024-01-02 15:04:05.000 UTC [1] FATAL:  password authentication failed", 2},
        {"2024-01-02 15:04:05.000 UTC [1] LOG:  database system is ready", 6},
        {"2024-01-02T15:04:05.000000Z 0 [Warning] [MY-010068] [Server] text", 4},
        {"2024-01-02 15:04:05 0 [Note] mariadbd: ready for connections.", 5},
        {"2024-01-02T15:04:05.000000Z 0 [System] [MY-010931] [Server] ready", 6},
        {"1:M 02 Jan 2024 15:04:05.000 # WARNING overcommit_memory is set to 0!", 4},
        {"1:C 02 Jan 2024 15:04:05.000 * Ready to accept connections", 5},
        {"12:S 02 Jan 2024 15:04:05.000 . text", 7},
        {"2024.01.02 15:04:05.000000 [ 1 ] {} <Error> Application: text", 3},
        {"2024-01-02 15:04:05.000000+00:00 [info] <0.1.0> text", 6},
        {"<4>text of the kernel", 4},
        {"<30>daemon.info", 6},
    };

    (void)state;
    FOR_ROWS (i, rows)
        check(&rows[i]);
}

static void of_prose(void **state)
{
    static const struct row rows[] = {
        {"", NONE},
        {"x", NONE},
        {"hello, world", NONE},
        {"an error occurred, warning the user", NONE},
        {"Error while reading", NONE},
        {"error", NONE},
        {"the ERRORS table", NONE},
        {"Info about fatal things", NONE},
        {"fatal things happen", NONE},
        {"Configuring the system: done", NONE},
        {"config: cannot open /etc/x", NONE},
        {"Note: this is text", NONE},
        {"System: up", NONE},
        {"default: x", NONE},
        {"\tat com.example.Error.main(Error.java:1)", NONE},
        {"    at Object.<anonymous> (/app/error.js:1:1)", NONE},
        {"10.0.0.1 - - [02/Jan/2024:15:04:05 +0000] \"GET /error HTTP/1.1\" 500 1", NONE},
        {"2024-01-02 15:04:05 this line says nothing of its level ERROR", NONE},
        {"[main] the error is known", NONE},
        {"[some error] text", NONE},
        {"<999>text", NONE},
        {"<x>", NONE},
        {"1:M x", NONE},
        {"\x1b[", NONE},
        {"\x1b[31", NONE},
        {"[I ", NONE},
        {"ERR of mine", 3}, /* in capitals, at the start */
    };

    (void)state;
    FOR_ROWS (i, rows)
        check(&rows[i]);
}

static void of_words(void **state)
{
    (void)state;
    assert_int_equal(level_of_word(STR("warn")), 4);
    assert_int_equal(level_of_word(STR("Warning")), 4);
    assert_int_equal(level_of_word(STR("warns")), NONE);
    assert_int_equal(level_of_word(STR("")), NONE);
    assert_int_equal(level_of_word(STR("informational-")), NONE);
}

/* What is behind the bytes that are looked at makes no difference. */
static void looks_at_so_many_bytes(void **state)
{
    static char line[2 * LEVEL_JSON_MAX];
    const struct {
        const char *head, *tail;
        size_t most;
    } rows[] = {
        {"{\"a\":\"", "\",\"level\":\"warn\"}", LEVEL_JSON_MAX},
        {"a=", " level=warn ", LEVEL_LOGFMT_MAX},
        {"2024 ", " WARN x", LEVEL_TEXT_MAX},
    };

    (void)state;
    FOR_ROWS (i, rows) {
        size_t head = strlen(rows[i].head), tail = strlen(rows[i].tail);

        memset(line, '1', sizeof(line));
        memcpy(line, rows[i].head, head);
        memcpy(line + rows[i].most - tail, rows[i].tail, tail);
        assert_int_equal(level_find(str_make(line, sizeof(line))), 4);
        memset(line, '1', sizeof(line));
        memcpy(line, rows[i].head, head);
        memcpy(line + rows[i].most, rows[i].tail, tail);
        assert_int_equal(level_find(str_make(line, sizeof(line))), NONE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_json),  cmocka_unit_test(of_logfmt),
        cmocka_unit_test(of_text),  cmocka_unit_test(of_prose),
        cmocka_unit_test(of_words), cmocka_unit_test(looks_at_so_many_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
