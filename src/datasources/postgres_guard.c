/*
 * Inspects the server's authentication request before libpq answers. libpq 16 can be told not to
 * send a password in clear (require_auth, which is set as well); older ones send it to any server
 * that requests "cleartext". No libpq limits the hashing rounds that a server may request, and 2^31
 * of them would block the loop for an hour.
 *
 * The bytes are only peeked at, so libpq still reads them. Under TLS it reads exactly the record
 * that was peeked at; a request in two records is found, because the end of the first is
 * remembered. Without TLS, libpq may read only when the peeked bytes end with the end of a message.
 * What arrives in the microseconds between the peek and the read is not checked: an attacker who
 * first requests something else, and then wins that race, gets the password. sslmode=verify-full is
 * the protection against attackers.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>

#include "datasources/postgres_internal.h"

#define LOOK_MAX 16384    /* what libpq reads at once, initially */
#define MESSAGE_MAX 30000 /* libpq accepts no longer one at this stage */

static const unsigned char cleartext[] = {'R', 0, 0, 0, 8, 0, 0, 0, 3};

/* Requested SCRAM rounds: "r=...,s=...,i=4096". The highest, if there are several. */
static uint64_t rounds(const unsigned char *p, size_t n)
{
    static const unsigned char key[] = {',', 'i', '='};
    const unsigned char *at = p, *end = p + n;
    uint64_t most = 0;

    while ((at = memmem(at, (size_t)(end - at), key, sizeof(key)))) {
        uint64_t value = 0;

        for (at += sizeof(key); at < end && *at >= '0' && *at <= '9' && value < UINT32_MAX; at++)
            value = value * 10 + (uint64_t)(*at - '0');
        most = value > most ? value : most;
    }
    return most;
}

enum pg_guard_verdict pg_guard_bytes(struct pg_guard *g, const void *p, size_t n, struct err *e)
{
    unsigned char all[sizeof(g->seen) + LOOK_MAX];
    size_t len;

    n = n < LOOK_MAX ? n : LOOK_MAX;
    memcpy(all, g->seen, g->len);
    memcpy(all + g->len, p, n);
    len = g->len + n;
    g->len = (unsigned)(len < sizeof(g->seen) ? len : sizeof(g->seen));
    memcpy(g->seen, all + len - g->len, g->len);
    if (memmem(all, len, cleartext, sizeof(cleartext))) {
        (void)err_set(e, EACCES,
                      "the server asks for the password in clear and has not proved who it is: "
                      "use sslmode=verify-full, or scram-sha-256 on the server");
        return PG_GUARD_REFUSE;
    }
    if (rounds(all, len) > POSTGRES_SCRAM_ROUNDS_MAX) {
        (void)err_set(e, EPROTO, "the server asks for more than %d rounds of SCRAM",
                      POSTGRES_SCRAM_ROUNDS_MAX);
        return PG_GUARD_REFUSE;
    }
    return PG_GUARD_PASS;
}

/* True when <p> ends with the end of a message. libpq refuses what is not a message. */
static bool ends_whole(const unsigned char *p, size_t n)
{
    while (n) {
        size_t len;

        if (!memchr("RENSKvZ", *p, 7))
            return true;
        if (n < 5)
            return false;
        len = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
        if (len < 4 || len > MESSAGE_MAX)
            return true;
        if (n < len + 1)
            return false;
        p += len + 1;
        n -= len + 1;
    }
    return true;
}

enum pg_guard_verdict pg_guard_plain(struct pg_guard *g, const void *p, size_t n, struct err *e)
{
    enum pg_guard_verdict verdict;

    g->len = 0; /* the incomplete message is still there */
    verdict = pg_guard_bytes(g, p, n, e);
    if (verdict == PG_GUARD_PASS && n < LOOK_MAX && !ends_whole(p, n))
        return PG_GUARD_PAUSE;
    return verdict;
}

bool pg_guard_local(const PGconn *conn)
{
    const char *host = PQhost(conn);

    return host && (*host == '/' || *host == '@');
}

const char *pg_guard_channel(PGconn *conn, bool verified)
{
    if (pg_guard_local(conn))
        return "Unix socket";
    if (!PQsslInUse(conn))
        return "clear";
    return verified ? "TLS, verified" : "TLS, not verified";
}

enum pg_guard_verdict pg_guard_look(struct pg_guard *g, PGconn *conn, struct err *e)
{
    unsigned char bytes[LOOK_MAX];
    SSL *ssl = PQsslInUse(conn) ? PQsslStruct(conn, "OpenSSL") : NULL;
    ssize_t n;

    if (PQsslInUse(conn) && !ssl)
        return PG_GUARD_PASS; /* another library's TLS: cannot peek */
    if (ssl) {
        n = SSL_peek(ssl, bytes, sizeof(bytes));
        if (n <= 0 && SSL_get_error(ssl, (int)n) == SSL_ERROR_WANT_READ)
            return PG_GUARD_WAIT;
        ERR_clear_error(); /* libpq meets the same error, and reports it */
        return n > 0 ? pg_guard_bytes(g, bytes, (size_t)n, e) : PG_GUARD_PASS;
    }
    n = recv(PQsocket(conn), bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return PG_GUARD_WAIT;
    return n > 0 ? pg_guard_plain(g, bytes, (size_t)n, e) : PG_GUARD_PASS;
}
