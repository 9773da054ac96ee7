/*
 * What the state knows of unread bytes, so that their loss is declared when the pod is deleted before
 * the next start.
 */
#include "cursor_world.h"

/* Its pod may be deleted before it can be opened, and the daemon may end before that is declared. */
static void test_L05_the_state_knows_what_was_never_opened(void **state)
{
    struct world *w = *state;
    struct state_record r = {.off = 0};
    char path[128], away[128];

    append(w, "0.log", T "stdout F one\n");
    segment(w, "0.log", 0);
    path_of(w, "0.log", path);
    path_of(w, "away", away);
    assert_int_equal(rename(path, away), 0);
    attach(w, false);
    expect(w, READ_STUCK, "");
    assert_true(cursor_save(&w->cursor, &r));
    assert_true(r.unknown);
    assert_int_equal(rename(away, path), 0);
    r = (struct state_record){.off = 0};
    assert_true(cursor_save(&w->cursor, &r));
    assert_false(r.unknown);
    assert_int_equal(r.size, 44);
    assert_int_equal(unlink(path), 0);
    r = (struct state_record){.off = 0};
    assert_true(cursor_save(&w->cursor, &r));
    assert_false(r.unknown);
    assert_int_equal(r.size, 44);
}

/* The same, of a file behind the one that is read. */
static void test_L05_the_state_knows_what_was_never_opened_behind(void **state)
{
    struct world *w = *state;
    struct state_record r = {.off = 0};
    char path[128], away[128];

    append(w, "0.log.20261120-101500", T "stdout F one\n");
    segment(w, "0.log.20261120-101500", 0);
    append(w, "0.log", T "stdout F two\n");
    segment(w, "0.log", 0);
    path_of(w, "0.log", path);
    path_of(w, "away", away);
    assert_int_equal(rename(path, away), 0);
    attach(w, false);
    assert_true(cursor_save(&w->cursor, &r));
    assert_true(r.unknown);
    assert_int_equal(r.pinned, 0);
    assert_int_equal(rename(away, path), 0);
    assert_true(cursor_save(&w->cursor, &r));
    assert_false(r.unknown);
    assert_int_equal(r.pinned, 0); /* it has a name, so the next start finds it */
    assert_int_equal(unlink(path), 0);
    assert_true(cursor_save(&w->cursor, &r));
    assert_false(r.unknown);
    assert_int_equal(r.pinned, 44);
}

/* The same, of a file that was read to its end in the last run. */
static void test_L05_the_state_knows_what_was_never_opened_again(void **state)
{
    struct world *w = *state;
    struct state_record r = {.off = 0};
    char path[128], away[128];

    append(w, "0.log", T "stdout F one\n");
    segment(w, "0.log", 0);
    path_of(w, "0.log", path);
    path_of(w, "away", away);
    assert_int_equal(rename(path, away), 0);
    attach(w, false);
    assert_true(cursor_save(&w->cursor, &r));
    r.unknown = false;
    r.off = r.size = 44;
    assert_int_equal(cursor_resume(&w->cursor, &r), RESUME_LATER);
    assert_true(cursor_save(&w->cursor, &r));
    assert_true(r.unknown);
    assert_int_equal(rename(away, path), 0);
    append(w, "0.log", T "stdout F two\n");
    assert_true(cursor_save(&w->cursor, &r));
    assert_false(r.unknown);
    assert_int_equal(r.size, 88);
}

/* All of the rotated file is confirmed, and nothing of those after it. */
static void test_L05_the_state_knows_of_unread_files_behind(void **state)
{
    struct world *w = *state;
    struct state_record r = {.off = 0};
    char path[128], to[128];
    uint64_t acks;

    append(w, "0.log", T "stdout F one\n");
    segment(w, "0.log", 0);
    attach(w, false);
    expect(w, READ_DRY, "o:one|");
    cursor_ack(&w->cursor, &w->cursor.sent);
    assert_true(cursor_save(&w->cursor, &r));
    assert_int_equal(state_record_unread(&r), 0);
    path_of(w, "0.log", path);
    path_of(w, "0.log.20261120-101500", to);
    assert_int_equal(rename(path, to), 0);
    renamed(w, 1, to);
    append(w, "0.log", "");
    segment(w, "0.log", 0);
    acks = w->reader.stats.acks;
    append(w, "0.log", T "stdout F two\n");
    stream_grew(w->stream);
    assert_int_equal(w->reader.stats.acks, acks + 1); /* the state must be written, */
    append(w, "0.log", T "stdout F three\n");
    stream_grew(w->stream);
    assert_int_equal(w->reader.stats.acks, acks + 1); /* once: "at least" remains true */
    assert_true(cursor_save(&w->cursor, &r));
    assert_int_equal(r.off, 44);
    assert_int_equal(r.size, 44);
    assert_int_equal(r.behind, 44 + 46);
    assert_int_equal(r.pinned, 0);
    assert_int_equal(state_record_unread(&r), 44 + 46);
}

/* Their sizes are known before anything is read of them. */
static void test_L05_the_state_knows_of_files_that_were_only_opened(void **state)
{
    struct world *w = *state;
    struct state_record r = {.off = 0};

    append(w, "0.log.20261120-101500", T "stdout F one\n");
    segment(w, "0.log.20261120-101500", 0);
    append(w, "0.log.20261120-101600", T "stdout F two\n");
    segment(w, "0.log.20261120-101600", 0);
    append(w, "0.log", T "stdout F three\n");
    segment(w, "0.log", 0);
    attach(w, false);
    assert_true(cursor_save(&w->cursor, &r));
    assert_int_equal(r.size, 44);
    assert_int_equal(r.behind, 44 + 46);
}

/* A piece of a line is before the cursor's place, and was not sent. */
static void test_L05_the_state_knows_of_a_line_without_its_end(void **state)
{
    struct world *w = *state;
    struct state_record r = {.off = 0};

    append(w, "0.log", T "stdout P one\n");
    segment(w, "0.log", 0);
    attach(w, false);
    expect(w, READ_WAIT, "");
    cursor_ack(&w->cursor, &w->cursor.sent);
    assert_true(cursor_save(&w->cursor, &r));
    assert_true(state_record_unread(&r) > 0);
}

static struct state_record last_record(struct world *w)
{
    struct state_record r = {.off = 0};

    append(w, "0.log", T "stdout F one\n");
    segment(w, "0.log", 0);
    attach(w, false);
    expect(w, READ_DRY, "o:one|");
    cursor_ack(&w->cursor, &w->cursor.sent);
    assert_true(cursor_save(&w->cursor, &r));
    return r;
}

/* The file of the last run is searched for. */
static void test_L05_the_state_of_a_search(void **state)
{
    struct world *w = *state;
    struct state_record r = last_record(w), saved;
    struct cursor again;

    r.id.ino = UINT64_MAX;
    cursor_init(&again, w->stream, woken, NULL);
    r.id.prefix_len = 0;
    assert_int_equal(cursor_resume(&again, &r), RESUME_LATER);
    assert_true(cursor_save(&again, &saved));
    assert_int_equal(saved.behind, 1); /* at least: what is there may be unread */
    cursor_release(&again);
}

/* The file that was read is there; one after it, without a name, ended with the last run. */
static void test_L05_a_file_behind_was_lost_with_the_last_run(void **state)
{
    struct world *w = *state;
    struct state_record r = last_record(w), saved;
    struct cursor again;

    r.pinned = 44;
    cursor_init(&again, w->stream, woken, NULL);
    assert_int_equal(cursor_resume(&again, &r), RESUME_LACKING);
    assert_int_equal(w->reader.stats.lost[GAP_RESTART], 44);
    assert_true(cursor_save(&again, &saved));
    assert_int_equal(saved.lost, 44);
    assert_int_equal(saved.pinned, 0);
    cursor_release(&again);
}

/* Both files are listed, and one of them is missing at the next start. */
static void test_L05_files_behind_are_listed(void **state)
{
    struct world *w = *state;
    struct state_record r = {.off = 0};
    struct state_files files = {.len = 0}, again_files = {.len = 0};
    struct cursor again;

    append(w, "0.log.20261120-101500", T "stdout F one\n");
    segment(w, "0.log.20261120-101500", 0);
    attach(w, false);
    stream_save_files(w->stream, &files);
    assert_int_equal(files.len, 0); /* the record says it all */
    append(w, "0.log", T "stdout F two\n");
    segment(w, "0.log", 0);
    stream_save_files(w->stream, &files);
    assert_int_equal(files.len, 2);
    assert_int_equal(files.at[1].size, 44);
    assert_int_equal(files.at[1].id.prefix_len, 44);
    assert_true(cursor_save(&w->cursor, &r));
    r.files = files.at;
    r.nfiles = files.len;
    cursor_init(&again, w->stream, woken, NULL);
    assert_int_equal(cursor_resume(&again, &r), RESUME_OK);
    cursor_release(&again);
    files.at[1].id.ino = UINT64_MAX;
    files.at[1].id.prefix_hash++;
    cursor_init(&again, w->stream, woken, NULL);
    assert_int_equal(cursor_resume(&again, &r), RESUME_LATER); /* between two names? */
    stream_save_files(w->stream, &again_files);
    assert_int_equal(again_files.len, 2 + 2); /* nothing is known yet: what was loaded, too */
    pass_ms(w, RESUME_LOOK_MS + 1);
    (void)cursor_read(&again, READ_CHUNK, &w->sink);
    assert_int_equal(w->reader.stats.lost[GAP_RESTART], 44);
    cursor_release(&again);
    free(files.at);
    free(again_files.at);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_L05_the_state_knows_what_was_never_opened),
        CASE(test_L05_the_state_knows_what_was_never_opened_behind),
        CASE(test_L05_the_state_knows_what_was_never_opened_again),
        CASE(test_L05_the_state_knows_of_unread_files_behind),
        CASE(test_L05_the_state_knows_of_files_that_were_only_opened),
        CASE(test_L05_the_state_knows_of_a_line_without_its_end),
        CASE(test_L05_the_state_of_a_search),
        CASE(test_L05_a_file_behind_was_lost_with_the_last_run),
        CASE(test_L05_files_behind_are_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
