/* Which streams the state knows: what is written about them, and how the next run uses it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "state/known.h"

struct world {
    struct loop loop;
    struct origins origins;
    struct known known;
};

static void open_world(struct world *w)
{
    clock_fake(1000, 1000000000);
    loop_init(&w->loop);
    origins_init(&w->origins, NULL, 0);
    known_init(&w->known, &w->loop);
}

static void close_world(struct world *w)
{
    known_release(&w->known);
    origins_release(&w->origins);
    loop_release(&w->loop);
    clock_fake(0, 0);
}

static struct origin *pod(struct world *w, const char *name, const char *uid, uint64_t ino)
{
    const struct identity id = {
        .hostname = str_of(name), .pod = str_of(name), .uid = str_of(uid), .container = STR("c")};
    struct origin *o = origin_create(&w->origins, identity_create(&id));

    (void)origin_segment_add(o, "/x/0.log", &(struct segment_id){.dev = 1, .ino = ino}, 0);
    return o;
}

/* What this run writes is what the next run loads. */
static void next_run(struct world *w, const struct state_record *records, uint32_t n)
{
    struct buf names = BUF_INIT(4096);
    struct state_slot s = {.len = n, .records = (struct state_record *)(uintptr_t)records};

    assert_int_equal(known_encode(&w->known, &s, &names), 0);
    assert_false(w->known.changed);
    s.names = buf_str(&names);
    known_release(&w->known);
    known_init(&w->known, &w->loop);
    known_load(&w->known, &s);
    for (uint32_t i = 0; i < n; i++)
        (void)known_record_added(&w->known, records[i].stream);
    free(s.streams);
    buf_release(&names);
}

static enum state_begin begin_of(struct world *w, const struct origin *o)
{
    struct state_stream st = {.begin = 0};

    return known_look_up(&w->known, o, &st) ? st.begin : 0;
}

static void answer(struct world *w)
{
    if (known_ask(&w->known))
        known_answered(&w->known);
}

/* Only streams that waited for their first drains keep a name without a record. */
static void the_name_of_one_that_waits_is_known(void **state)
{
    struct world w;
    const struct known_stream *s;
    uint64_t key;
    struct origin *o;

    (void)state;
    open_world(&w);
    o = pod(&w, "web", "u1", 1);
    key = identity_key(o->identity);
    known_found(&w.known, o, &(struct position){.seg = 1, .off = 5});
    next_run(&w, NULL, 0);
    s = known_find(&w.known, key);
    assert_non_null(s);
    assert_non_null(s->id);
    assert_true(str_eq(s->id->pod, STR("web")));
    assert_true(known_is_unrouted(s));
    known_found(&w.known, o, NULL);
    known_routed(&w.known, o);
    answer(&w);
    next_run(&w, NULL, 0);
    s = known_find(&w.known, key);
    assert_non_null(s);
    assert_null(s->id);
    assert_false(known_is_unrouted(s));
    close_world(&w);
}

/* Routed or not, it is not believed before the workers have been asked since. */
static void a_stream_is_routed_with_its_records(void **state)
{
    struct world w;
    struct origin *o;

    (void)state;
    open_world(&w);
    o = pod(&w, "a", "u1", 7);
    assert_int_equal(begin_of(&w, o), 0);
    known_found(&w.known, o, NULL);
    answer(&w);
    next_run(&w, NULL, 0);
    assert_int_equal(begin_of(&w, o), STATE_BEGIN_FIRST);

    known_found(&w.known, o, NULL);
    known_routed(&w.known, o);
    next_run(&w, NULL, 0); /* killed before they were asked */
    assert_int_equal(begin_of(&w, o), STATE_BEGIN_FIRST);

    known_found(&w.known, o, NULL);
    assert_true(known_ask(&w.known) == false);
    known_routed(&w.known, o);
    known_answered(&w.known); /* of an ask before that */
    next_run(&w, NULL, 0);
    assert_int_equal(begin_of(&w, o), STATE_BEGIN_FIRST);

    known_found(&w.known, o, NULL);
    known_routed(&w.known, o);
    answer(&w);
    next_run(&w, NULL, 0);
    assert_int_equal(begin_of(&w, o), STATE_BEGIN_LATER);
    close_world(&w);
}

static void where_it_was_found_is_kept(void **state)
{
    struct world w;
    struct state_stream st;
    struct origin *o;

    (void)state;
    open_world(&w);
    o = pod(&w, "a", "u1", 7);
    for (int run = 0; run < 3; run++) {
        known_found(&w.known, o, &(struct position){.seg = 1, .off = 99});
        next_run(&w, NULL, 0);
        assert_true(known_look_up(&w.known, o, &st));
        assert_int_equal(st.begin, STATE_BEGIN_AT);
        assert_int_equal(st.id.ino, 7);
        assert_int_equal(st.off, 99);
    }
    close_world(&w);
}

/* A record shows that its stream is known, under the same name. */
static void streams_of_records_are_known(void **state)
{
    struct world w;
    struct origin *o;
    struct state_record r = {.drain = 1};
    struct known_stream *s;

    (void)state;
    open_world(&w);
    o = pod(&w, "a", "u1", 7);
    r.stream = identity_key(o->identity);
    known_found(&w.known, o, NULL);
    known_attached(&w.known, o);
    s = known_record_added(&w.known, r.stream);
    known_routed(&w.known, o);
    answer(&w);
    next_run(&w, &r, 1);
    assert_int_equal(begin_of(&w, o), STATE_BEGIN_LATER);
    s = known_find(&w.known, r.stream);
    assert_true(str_eq(s->id->pod, STR("a")));
    known_found(&w.known, o, NULL);
    known_gone(&w.known, o);
    assert_int_equal(begin_of(&w, o), STATE_BEGIN_FIRST); /* should it come back */
    known_record_dropped(&w.known, s);
    assert_null(known_find(&w.known, r.stream));
    close_world(&w);
}

/* Without a UID, another stream may have the same name. */
static void without_a_uid_the_file_counts(void **state)
{
    struct world w;
    struct origin *o, *same, *other;

    (void)state;
    open_world(&w);
    o = pod(&w, "a", "", 7);
    known_found(&w.known, o, NULL);
    known_routed(&w.known, o);
    answer(&w);
    next_run(&w, NULL, 0);
    same = pod(&w, "a", "", 7);
    other = pod(&w, "a", "", 8);
    assert_int_equal(begin_of(&w, same), STATE_BEGIN_LATER);
    assert_int_equal(begin_of(&w, other), 0);
    known_found(&w.known, same, NULL);
    known_found(&w.known, other, NULL); /* has the name from now on */
    known_gone(&w.known, same);
    assert_non_null(known_find(&w.known, identity_key(other->identity)));
    known_gone(&w.known, other);
    assert_null(known_find(&w.known, identity_key(other->identity)));
    close_world(&w);
}

/* By the monotonic clock, over all runs; the wall clock does not matter. */
static void what_is_not_found_is_forgotten(void **state)
{
    struct world w;
    struct origin *o;
    uint64_t now = 1000;

    (void)state;
    open_world(&w);
    o = pod(&w, "a", "u1", 7);
    known_found(&w.known, o, NULL);
    next_run(&w, NULL, 0);
    for (int run = 0; run < 4; run++) {
        assert_int_equal(begin_of(&w, o), STATE_BEGIN_FIRST);
        now += STREAM_GRACE_MS / 4;
        clock_fake(now, run % 2 ? INT64_MAX / 2 : 0);
        next_run(&w, NULL, 0);
    }
    assert_int_equal(begin_of(&w, o), STATE_BEGIN_FIRST);
    clock_fake(++now, 0);
    next_run(&w, NULL, 0);
    assert_int_equal(begin_of(&w, o), 0);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_name_of_one_that_waits_is_known),
        cmocka_unit_test(a_stream_is_routed_with_its_records),
        cmocka_unit_test(where_it_was_found_is_kept),
        cmocka_unit_test(streams_of_records_are_known),
        cmocka_unit_test(without_a_uid_the_file_counts),
        cmocka_unit_test(what_is_not_found_is_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
