/* See tokens.h. */
#include "report/tokens.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"

#define COMPLAIN_MS 60000
#define PATTERN_LEN_MAX 253

struct tokens {
    const char *file;
    uint64_t read_ms;
    struct token *all; /* owned */
    unsigned n;
    struct log_limit complaint;
};

/* ---- a token ---- */

void token_key(unsigned char key[TOKEN_KEY_SIZE], struct str text)
{
    if (EVP_Digest(text.p, text.len, key, NULL, EVP_sha256(), NULL) != 1)
        BUG("tokens: no SHA-256");
}

static bool is_token(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              (c && strchr("-._~+/=", c))))
            return false;
    }
    return s.len > 0 && s.len <= ACCESS_TOKEN_MAX;
}

bool token_of(struct str authorization, struct str *token)
{
    *token = str_trim(str_skip(authorization, 7));
    return str_ieq(str_head(authorization, 7), STR("Bearer ")) && is_token(*token);
}

/* ---- a line ---- */

static bool cut_word(struct str *rest, struct str *word)
{
    size_t n = 0;

    *rest = str_trim(*rest);
    while (n < rest->len && rest->p[n] != ' ' && rest->p[n] != '\t')
        n++;
    *word = str_head(*rest, n);
    *rest = str_trim(str_skip(*rest, n));
    return n > 0;
}

static bool is_pattern(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.p[i] <= ' ' || s.p[i] >= 0x7f)
            return false;
    return s.len <= PATTERN_LEN_MAX;
}

/* Why they are no patterns; NULL = they are. "*" is everything, as nothing is. */
static const char *patterns_of(struct str rest, char **out)
{
    struct buf words = BUF_INIT(HTTP_HEAD_MAX);
    struct str word;
    const char *why = NULL;
    bool all = !rest.len;

    while (!why && str_word(&rest, &word)) {
        all |= str_eq(word, STR("*"));
        if (!is_pattern(word))
            why = "a pattern has a character that no hostname has, or is too long";
        else if (buf_addf(&words, "%s%.*s", words.len ? " " : "", STR_ARG(word)) < 0)
            why = "too many patterns";
    }
    if (!why && !all && !words.len)
        why = "the patterns have no word";
    if (!why)
        *out = str_dup(all ? STR("") : buf_str(&words));
    buf_release(&words);
    return why;
}

/* Why the line is wrong; NULL = it is not. */
static const char *add_line(struct tokens *t, struct str line)
{
    struct token k = {.operates = false};
    struct str token, role;
    const char *why;

    if (!cut_word(&line, &token) || !is_token(token))
        return "the token has a character that no bearer token has, or is too long";
    if (!cut_word(&line, &role))
        return "there is no role: view or operate";
    k.operates = str_eq(role, STR("operate"));
    if (!k.operates && !str_eq(role, STR("view")))
        return "the role must be view or operate";
    if (t->n == API_TOKENS_MAX)
        return "too many tokens";
    token_key(k.key, token);
    for (unsigned i = 0; i < t->n; i++)
        if (memcmp(t->all[i].key, k.key, sizeof(k.key)) == 0)
            return "the token is there twice";
    why = patterns_of(line, &k.patterns);
    if (why)
        return why;
    t->all = xrealloc(t->all, (t->n + 1) * sizeof(*t->all));
    t->all[t->n++] = k;
    return NULL;
}

/* ---- the file ---- */

static void forget(struct tokens *t)
{
    while (t->n)
        free(t->all[--t->n].patterns);
    free(t->all);
    t->all = NULL;
}

static int read_all(const char *file, char *text, size_t size, size_t *len, struct err *e)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK), error;
    ssize_t n = fd < 0 ? -1 : 0;

    *len = 0;
    while (fd >= 0 && *len < size && (n = read(fd, text + *len, size - *len)) > 0)
        *len += (size_t)n;
    error = errno;
    if (fd >= 0)
        (void)close(fd); /* it was only read */
    if (n < 0)
        return err_sys(e, error, "cannot read %s", file);
    return *len < size ? 0 : err_set(e, EINVAL, "%s has more than %zu bytes", file, size - 1);
}

/* -1 with <e>: about the first line that is wrong; the others count. */
static int read_tokens(struct tokens *t, struct err *e)
{
    char *text = xmalloc(API_TOKENS_BYTES + 1);
    struct str rest, line;
    size_t len;
    unsigned no = 0;
    int rc = read_all(t->file, text, API_TOKENS_BYTES + 1, &len, e);

    forget(t);
    rest = str_make(text, rc < 0 ? 0 : len);
    while (str_cut(&rest, '\n', &line)) {
        const char *why;

        no++;
        line = str_trim(line);
        if (!line.len || line.p[0] == '#')
            continue;
        why = add_line(t, line);
        if (why && rc == 0)
            rc = err_set(e, EINVAL, "%s, line %u: %s", t->file, no, why);
    }
    if (rc == 0 && !t->n)
        rc = err_set(e, EINVAL, "%s has no token", t->file);
    explicit_bzero(text, API_TOKENS_BYTES + 1);
    free(text);
    return rc;
}

int tokens_open(struct tokens **out, const char *file, uint64_t now_ms, struct err *e)
{
    struct tokens *t = xcalloc(1, sizeof(*t));

    *t = (struct tokens){.file = file, .read_ms = now_ms, .complaint.period_ms = COMPLAIN_MS};
    if (read_tokens(t, e) < 0) {
        tokens_close(t);
        return -1;
    }
    *out = t;
    return 0;
}

const struct token *tokens_find(struct tokens *t, const unsigned char key[TOKEN_KEY_SIZE],
                                uint64_t now_ms)
{
    const struct token *found = NULL;
    struct err e;

    if (now_ms >= t->read_ms + API_TOKENS_MS) {
        t->read_ms = now_ms;
        if (read_tokens(t, &e) < 0 && log_limit_pass(&t->complaint))
            log_error("API_TOKEN_FILE is wrong, what is wrong in it gives no access", KV_ERR(&e));
    }
    for (unsigned i = 0; i < t->n; i++)
        if (CRYPTO_memcmp(t->all[i].key, key, TOKEN_KEY_SIZE) == 0)
            found = &t->all[i];
    return found;
}

void tokens_close(struct tokens *t)
{
    if (!t)
        return;
    forget(t);
    free(t);
}
