/*
 * What a Redis error means for a record. As for HTTP: is the configuration wrong, or the data? and
 * is it temporary? Hardly anything is the data's fault: to Redis a record is bytes, and only its
 * size can be refused. So an unknown error is retried and never costs a record; proxies report
 * their own errors like that.
 *
 * An error's text is never quoted: "unknown command" quotes the arguments, which are somebody's
 * lines, or a password.
 */
#include <errno.h>

#include "drains/members/redis_internal.h"

#define CLUSTER "cluster not supported, the server says that another one has the key"

static const struct answer_row rows[] = {
    {.text = "LOADING", .verdict = VERDICT_RETRY, .reason = "the server is loading its data"},
    {.text = "BUSY", .verdict = VERDICT_RETRY, .reason = "the server is busy with a script"},
    {.text = "TRYAGAIN", .verdict = VERDICT_RETRY, .reason = "the server asks to try again"},
    {.text = "CLUSTERDOWN", .verdict = VERDICT_RETRY, .reason = "the cluster is down"},
    {.text = "MASTERDOWN", .verdict = VERDICT_RETRY, .reason = "the replica has lost its master"},
    {.text = "OOM", .verdict = VERDICT_RETRY, .reason = "the server is out of memory (maxmemory)"},
    {.text = "MISCONF",
     .verdict = VERDICT_RETRY,
     .reason = "the server cannot save, and takes no writes meanwhile"},
    {.text = "NOREPLICAS", .verdict = VERDICT_RETRY, .reason = "the server has too few replicas"},
    {.text = "READONLY",
     .verdict = VERDICT_RETRY,
     .reason = "the server is a replica, and takes no writes"},
    {.text = "ERR max number of clients reached",
     .verdict = VERDICT_RETRY,
     .reason = "the server has too many clients"},
    {.text = "MOVED", .verdict = VERDICT_HOLD, .reason = CLUSTER},
    {.text = "ASK", .verdict = VERDICT_HOLD, .reason = CLUSTER},
    {.text = "CROSSSLOT", .verdict = VERDICT_HOLD, .reason = CLUSTER},
    {.text = "NOAUTH", .verdict = VERDICT_HOLD, .reason = "credentials are missing"},
    {.text = "WRONGPASS", .verdict = VERDICT_HOLD, .reason = "credentials are wrong"},
    {.text = "NOPERM", .verdict = VERDICT_HOLD, .reason = "the user may not do that"},
    {.text = "DENIED", .verdict = VERDICT_HOLD, .reason = "the server is in protected mode"},
    {.text = "WRONGTYPE", .verdict = VERDICT_HOLD, .reason = "the key holds something else"},
    {.text = "ERR invalid password", .verdict = VERDICT_HOLD, .reason = "credentials are wrong"},
    {.text = "ERR AUTH", .verdict = VERDICT_HOLD, .reason = "the server has no such password"},
    {.text = "ERR Client sent AUTH",
     .verdict = VERDICT_HOLD,
     .reason = "the server has no password"},
    {.text = "ERR operation not permitted",
     .verdict = VERDICT_HOLD,
     .reason = "credentials are missing"},
    {.text = "ERR DB index is out of range",
     .verdict = VERDICT_HOLD,
     .reason = "the server has no such database"},
    {.text = "ERR invalid DB index",
     .verdict = VERDICT_HOLD,
     .reason = "the server has no such database"},
    {.text = "ERR SELECT is not allowed in cluster mode",
     .verdict = VERDICT_HOLD,
     .reason = "a cluster has database 0 only"},
    {.text = "ERR unknown command",
     .verdict = VERDICT_HOLD,
     .reason = "the server does not know the command"},
    {.text = "ERR wrong number of arguments",
     .verdict = VERDICT_HOLD,
     .reason = "the server knows the command otherwise"},
    {.text = "ERR syntax error",
     .verdict = VERDICT_HOLD,
     .reason = "the server knows the command otherwise"},
    {.text = "ERR Protocol error: invalid bulk length",
     .verdict = VERDICT_REJECTED,
     .reason = "larger than the server takes"},
    {.text = "ERR Protocol error: unauthenticated",
     .verdict = VERDICT_HOLD,
     .reason = "credentials are missing"},
    {.text = "ERR string exceeds maximum allowed size",
     .verdict = VERDICT_REJECTED,
     .reason = "larger than the server takes"},
    {.verdict = VERDICT_RETRY, .reason = "an error that is not known"},
    {.reason = NULL},
};

const struct answer_table redis_errors = {.what = "redis error", .rows = rows};

enum verdict redis_verdict(const struct redis_reply *r, enum redis_type want, struct err *why)
{
    const struct answer_row *row;
    int word = 0;

    if (r->type == want && (want != REDIS_STATUS || strcmp(r->text, "OK") == 0))
        return VERDICT_DELIVERED;
    if (r->type != REDIS_ERROR) {
        (void)err_set(why, EPROTO, "redis: reply does not match the command");
        return VERDICT_OFFLINE;
    }
    row = answer_find(&redis_errors, 0, str_of(r->text));
    /* A word in capitals is the error's name, not a quotation. */
    while (word < 20 && r->text[word] >= 'A' && r->text[word] <= 'Z')
        word++;
    (void)err_set(why, EPROTO, "redis: %.*s%s%s", word, r->text, word ? ": " : "", row->reason);
    return row->verdict;
}
