/*
 * The mail that workers get about a stream, and when it is freed. Two workers' mailboxes on one
 * loop.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "streams/origin.h"

struct ear {
    struct mailbox box;
    char log[1024]; /* the mail, as text */
};

struct world {
    struct loop loop;
    struct ear ears[2];
    struct feed_port ports[2];
    struct origins set;
};

static void note(struct ear *ear, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void note(struct ear *ear, const char *fmt, ...)
{
    size_t len = strlen(ear->log);
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(ear->log + len, sizeof(ear->log) - len, fmt, ap);
    va_end(ap);
}

static void hear(void *receiver, struct mail *mail)
{
    struct feed_mail *m = container_of(mail, struct feed_mail, mail);
    struct ear *ear = receiver;

    switch (m->kind) {
    case FEED_STREAM:
        note(ear, "stream(%.*s) ", STR_ARG(m->identity->hostname));
        break;
    case FEED_RECALL:
    case FEED_SEGMENT:
        note(ear, "seg(%u,%s,%u) ", m->no, m->path, m->restart);
        break;
    case FEED_SEGMENT_PATH:
        note(ear, "path(%u,%s) ", m->no, m->path ? m->path : "-");
        break;
    case FEED_GREW:
        atomic_store(&m->queued, false);
        note(ear, "grew ");
        return; /* not ours to free */
    case FEED_IDENTITY:
        note(ear, "identity(%.*s) ", STR_ARG(m->identity->hostname));
        break;
    case FEED_FINISHED:
        note(ear, "finished ");
        break;
    }
    identity_unref(m->identity);
    free(m->path);
    free(m);
}

static void world_open(struct world *w)
{
    loop_init(&w->loop);
    for (int i = 0; i < 2; i++) {
        w->ears[i].log[0] = '\0';
        mailbox_open(&w->ears[i].box, &w->loop, &w->ears[i]);
        w->ports[i] = (struct feed_port){&w->ears[i].box, hear};
    }
    origins_init(&w->set, w->ports, 2);
}

static void world_close(struct world *w)
{
    mailbox_close(&w->ears[0].box);
    mailbox_close(&w->ears[1].box);
    origins_release(&w->set);
    loop_release(&w->loop);
}

/* What worker <i> has received since the last time is <want>. */
static void assert_received(struct world *w, int i, const char *want)
{
    loop_turn(&w->loop, 0);
    assert_string_equal(w->ears[i].log, want);
    w->ears[i].log[0] = '\0';
}

static struct identity *called(const char *hostname)
{
    struct identity id = {.hostname = str_of(hostname)};

    return identity_create(&id);
}

static struct segment_id inode(uint64_t ino)
{
    return (struct segment_id){.dev = 1, .ino = ino, .btime_ns = 7};
}

static void workers_hear_all_from_their_introduction_on(void **state)
{
    struct segment_id a = inode(1), b = inode(2), c = inode(3);
    struct origin *o;
    struct world w;

    (void)state;
    world_open(&w);
    o = origin_create(&w.set, called("web"));
    assert_int_equal(origin_segment_add(o, "/l/0.log", &a, 0), 1);
    origin_grew(o); /* no worker has it */
    origin_introduce(o, 0);
    assert_received(&w, 0, "stream(web) seg(1,/l/0.log,0) ");
    assert_int_equal(origin_segment_add(o, "/l/1.log", &b, 1), 2);
    origin_segment_rename(o, origin_segment_find(o, &a), "/l/0.log.T");
    assert_received(&w, 0, "seg(2,/l/1.log,1) path(1,/l/0.log.T) ");
    origin_segment_rename(o, origin_segment_find(o, &a), NULL);
    assert_null(origin_segment_find(o, &a));
    origin_set_identity(o, called("shop"));
    assert_received(&w, 0, "path(1,-) identity(shop) ");
    origin_introduce(o, 1); /* gets existing segments, not earlier ones */
    origin_introduce(o, 1);
    assert_received(&w, 1, "stream(shop) seg(2,/l/1.log,1) ");
    assert_int_equal(origin_segment_add(o, "/l/2.log", &c, 2), 3);
    assert_received(&w, 0, "seg(3,/l/2.log,2) ");
    assert_received(&w, 1, "seg(3,/l/2.log,2) ");
    world_close(&w);
}

static void grew_is_posted_once_until_looked_at(void **state)
{
    struct origin *o;
    struct world w;

    (void)state;
    world_open(&w);
    o = origin_create(&w.set, called("web"));
    origin_introduce(o, 0);
    origin_introduce(o, 1);
    for (int i = 0; i < 5; i++)
        origin_grew(o);
    assert_received(&w, 0, "stream(web) grew ");
    assert_received(&w, 1, "stream(web) grew ");
    origin_grew(o);
    assert_received(&w, 0, "grew ");
    world_close(&w);
}

static void finished_is_freed_with_the_last_that_knows_it(void **state)
{
    struct segment_id a = inode(1);
    struct origin *o;
    struct world w;
    uint64_t id;

    (void)state;
    world_open(&w);
    o = origin_create(&w.set, called("web"));
    id = o->id;
    origin_introduce(o, 0);
    origin_finish(o);
    origin_finish(o);
    origin_grew(o);
    origin_introduce(o, 1); /* late, but it is notified */
    assert_received(&w, 0, "stream(web) finished ");
    assert_received(&w, 1, "stream(web) finished ");
    assert_ptr_equal(origins_find(&w.set, id), o);
    assert_false(origin_forgotten(o, 1));
    assert_true(origin_forgotten(o, 0));
    assert_null(origins_find(&w.set, id));

    o = origin_create(&w.set, called("nobody's"));
    id = o->id;
    (void)origin_segment_add(o, "/l/0.log", &a, 0);
    origin_finish(o); /* no worker has it: freed at once */
    assert_null(origins_find(&w.set, id));
    assert_true(list_empty(&w.set.all));
    world_close(&w);
}

static void inodes_are_told_apart_by_birth(void **state)
{
    struct segment_id a = inode(1), reused = inode(1), unborn = inode(1);
    struct origin *o;
    struct world w;

    (void)state;
    world_open(&w);
    o = origin_create(&w.set, called("web"));
    (void)origin_segment_add(o, "/l/0.log", &a, 0);
    reused.btime_ns = 8;
    unborn.btime_ns = 0;
    assert_non_null(origin_segment_find(o, &a));
    assert_null(origin_segment_find(o, &reused));
    assert_non_null(origin_segment_find(o, &unborn));
    world_close(&w);
}

static void owners_begin_behind_what_was_received_for_others(void **state)
{
    struct identity id = {.hostname = STR("web.shop"), .network = true, .trusted = true};
    struct segment_id a = inode(1), b = inode(2), c = inode(3), d = inode(4);
    struct origin *o;
    struct world w;

    (void)state;
    world_open(&w);
    o = origin_create(&w.set, identity_create(&id));
    assert_int_equal(origin_owned_from(o, true), 0);
    (void)origin_journal_add(o, NULL, 7, &a, STR("")); /* received while the owner was unknown */
    id.tenant = STR("shop/1");
    origin_set_identity(o, identity_create(&id));
    assert_int_equal(origin_owned_from(o, true), 0);
    assert_int_equal(origin_owned_from(o, false), 2);
    (void)origin_journal_add(o, NULL, 7, &b, STR("shop/1"));
    assert_int_equal(origin_owned_from(o, true), 0);
    assert_int_equal(origin_owned_from(o, false), 2);
    (void)origin_journal_add(o, NULL, 7, &c, STR(IDENTITY_NOBODY));
    assert_int_equal(origin_owned_from(o, true), 4);
    (void)origin_journal_add(o, NULL, 7, &d, STR("shop/1"));
    assert_int_equal(origin_owned_from(o, true), 4);
    id.tenant = STR("shop/2");
    origin_set_identity(o, identity_create(&id));
    assert_int_equal(origin_owned_from(o, true), 5);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workers_hear_all_from_their_introduction_on),
        cmocka_unit_test(grew_is_posted_once_until_looked_at),
        cmocka_unit_test(finished_is_freed_with_the_last_that_knows_it),
        cmocka_unit_test(inodes_are_told_apart_by_birth),
        cmocka_unit_test(owners_begin_behind_what_was_received_for_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
