/*
 * What a Redis error means for a record. Two questions, as for HTTP: is the drain wrong, or the
 * data? and will it pass? Nearly nothing is the data's fault: a record is bytes to Redis, only its
 * size can be refused. So an error that nobody knows waits and tries again, and never costs a
 * record; proxies answer their own troubles so.
 *
 * An error's text is never quoted: "unknown command" quotes the arguments, which are somebody's
 * lines, or a password.
 */
#include <errno.h>

#include "drains/members/redis_internal.h"

#define CLUSTER "cluster not supported, the server says that another one has the key"

static const struct redis_verdict_row rows[] = {
    {"LOADING", VERDICT_RETRY, "the server is loading its data"},
    {"BUSY", VERDICT_RETRY, "the server is busy with a script"},
    {"TRYAGAIN", VERDICT_RETRY, "the server asks to try again"},
    {"CLUSTERDOWN", VERDICT_RETRY, "the cluster is down"},
    {"MASTERDOWN", VERDICT_RETRY, "the replica has lost its master"},
    {"OOM", VERDICT_RETRY, "the server is out of memory (maxmemory)"},
    {"MISCONF", VERDICT_RETRY, "the server cannot save, and takes no writes meanwhile"},
    {"NOREPLICAS", VERDICT_RETRY, "the server has too few replicas"},
    {"READONLY", VERDICT_RETRY, "the server is a replica, and takes no writes"},
    {"ERR max number of clients reached", VERDICT_RETRY, "the server has too many clients"},
    {"MOVED", VERDICT_HOLD, CLUSTER},
    {"ASK", VERDICT_HOLD, CLUSTER},
    {"CROSSSLOT", VERDICT_HOLD, CLUSTER},
    {"NOAUTH", VERDICT_HOLD, "credentials are missing"},
    {"WRONGPASS", VERDICT_HOLD, "credentials are wrong"},
    {"NOPERM", VERDICT_HOLD, "the user may not do that"},
    {"DENIED", VERDICT_HOLD, "the server is in protected mode"},
    {"WRONGTYPE", VERDICT_HOLD, "the key holds something else"},
    {"ERR invalid password", VERDICT_HOLD, "credentials are wrong"},
    {"ERR AUTH", VERDICT_HOLD, "the server has no such password"},
    {"ERR Client sent AUTH", VERDICT_HOLD, "the server has no password"},
    {"ERR operation not permitted", VERDICT_HOLD, "credentials are missing"},
    {"ERR DB index is out of range", VERDICT_HOLD, "the server has no such database"},
    {"ERR invalid DB index", VERDICT_HOLD, "the server has no such database"},
    {"ERR SELECT is not allowed in cluster mode", VERDICT_HOLD, "a cluster has database 0 only"},
    {"ERR unknown command", VERDICT_HOLD, "the server does not know the command"},
    {"ERR wrong number of arguments", VERDICT_HOLD, "the server knows the command otherwise"},
    {"ERR syntax error", VERDICT_HOLD, "the server knows the command otherwise"},
    {"ERR Protocol error: invalid bulk length", VERDICT_REJECTED, "larger than the server takes"},
    {"ERR Protocol error: unauthenticated", VERDICT_HOLD, "credentials are missing"},
    {"ERR string exceeds maximum allowed size", VERDICT_REJECTED, "larger than the server takes"},
    {NULL, VERDICT_RETRY, "an error that is not known"},
};

const struct redis_verdict_row *redis_verdict_rows(void)
{
    return rows;
}

static bool fits(const char *text, const char *prefix)
{
    size_t n = strlen(prefix);

    return strncmp(text, prefix, n) == 0 && (text[n] == '\0' || strchr(" :,'`(.", text[n]) != NULL);
}

enum verdict redis_verdict(const struct redis_reply *r, enum redis_type want, struct err *why)
{
    const struct redis_verdict_row *row = rows;
    int word = 0;

    if (r->type == want && (want != REDIS_STATUS || strcmp(r->text, "OK") == 0))
        return VERDICT_DELIVERED;
    if (r->type != REDIS_ERROR) {
        (void)err_set(why, EPROTO, "redis: a reply of another command");
        return VERDICT_OFFLINE;
    }
    while (row->prefix && !fits(r->text, row->prefix))
        row++;
    /* A word in capitals is the error's name, and not somebody's text. */
    while (word < 20 && r->text[word] >= 'A' && r->text[word] <= 'Z')
        word++;
    (void)err_set(why, EPROTO, "redis: %.*s%s%s", word, r->text, word ? ": " : "", row->reason);
    return row->verdict;
}
