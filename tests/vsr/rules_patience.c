/**
 * How long who waits does: timers that grow and fall back, questions that are repeated, replicas
 * that are away. One at a time; DESIGN.md, "Rules", 6.7, 6.8, 7.3, 8.3, and "Waiting".
 */
#include "leak_check.h"
#include "messages.h"

#include <criterion/criterion.h>

LEAK_CHECKED_SUITE(rule_6_7_patience);
LEAK_CHECKED_SUITE(rule_6_8);
LEAK_CHECKED_SUITE(rule_7_3);
LEAK_CHECKED_SUITE(rule_8_3_patience);

/** Ticks until it votes, heard by nobody. */
static uint32_t until_vote(struct fixture *f)
{
    return tick_until_sent(f, VSR_START_VIEW_CHANGE, 4096);
}

/* 6.7: T_vc doubles with each view in a row that did not start, five times at most. */
Test(rule_6_7_patience, view_changes_take_longer_each_time)
{
    struct vsr_replica_options o = fixture_options(3, 2);
    struct fixture *f = fixture_start(&o);

    for (uint32_t view = 1; view <= 9; view++) {
        const uint32_t least = o.suspect_ticks << (view <= 6 ? view - 1 : 5);
        leave(f, view);
        const uint32_t ticks = until_vote(f);
        cr_assert_geq(ticks, least, "view %u: %u ticks", view, ticks);
        cr_assert_leq(ticks, least + o.suspect_ticks + o.resend_ticks);
    }
    fixture_end(f);
}

/** Heartbeats of its primary, so many ticks long. */
static void keep_normal(struct fixture *f, uint32_t ticks)
{
    for (uint32_t i = 0; i < ticks; i++) {
        fixture_message(f, make_commit(f, 0, 0));
        fixture_tick(f);
    }
}

/* 6.7: a view that starts and does not last counts as well; one that has lasted 3 T_suspect puts an
 * end to it. */
Test(rule_6_7_patience, view_that_lasts_ends_the_doubling)
{
    struct vsr_replica_options o = fixture_options(3, 2);

    for (uint32_t lasts = 0; lasts < 2; lasts++) {
        struct fixture *f = fixture_start(&o);
        struct chain c = chain_make(3, 0);
        leave(f, 1);
        leave(f, 2);
        leave(f, 4);
        fixture_message(f, make_start_view(f, 4, &c, 0, 0));
        cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
        cr_assert_geq(f->r->suspect_ticks, o.suspect_ticks << 2);
        keep_normal(f, 3 * f->r->suspect_ticks - (lasts ? 0 : 1));
        leave(f, 6);
        const uint32_t least = o.suspect_ticks << (lasts ? 0 : 3);
        const uint32_t ticks = until_vote(f);
        cr_assert_geq(ticks, least);
        cr_assert_leq(ticks, least + o.suspect_ticks + o.resend_ticks);
        chain_free(&c);
        fixture_end(f);
    }
}

/* 6.7: nor has one lasted that its own primary gives up, however long that takes: three round trips
 * where those are long. Else each begins with as little patience, and none outlasts what a replica
 * that comes back has to fetch. */
Test(rule_6_7_patience, view_that_its_primary_gives_up_has_not_lasted)
{
    enum { ROUND_TRIP = 200 };
    struct fixture *f = fixture_of(3, 1);
    struct chain c = chain_make(3, 0);
    uint32_t silent = 0;

    leave(f, 1);
    fixture_message(f, make_do_view_change(f, 2, 1, 0, &c, 0, 0));
    cr_assert(seen(f).is_primary);
    tick_until_sent(f, VSR_COMMIT, 100);
    const uint64_t first = f->r->heartbeat_sequence;
    for (uint32_t ticks = 0; ticks < ROUND_TRIP; ticks++) {
        struct vsr_buffer b = make_header(f, VSR_COMMIT_OK, sizeof(struct vsr_commit_ok), 0);
        BODY(b, vsr_commit_ok)->sequence = f->r->heartbeat_sequence;
        fixture_message(f, b);
        fixture_tick(f);
    }
    struct vsr_buffer b = make_header(f, VSR_COMMIT_OK, sizeof(struct vsr_commit_ok), 2);
    BODY(b, vsr_commit_ok)->sequence = first;
    fixture_message(f, b);
    for (; !fixture_noticed(f, VSR_NOTICE_ABDICATED); silent++)
        fixture_tick(f);
    cr_assert_geq(silent, 3 * ROUND_TRIP);
    const uint32_t before = f->r->change.attempts;
    leave(f, 2);
    cr_assert_eq(f->r->change.attempts, before + 1);
    chain_free(&c);
    fixture_end(f);
}

/* 6.7: T_vc begins anew with each part of the view's log that comes, and only then. */
Test(rule_6_7_patience, progress_renews_the_view_timer)
{
    struct vsr_replica_options o = fixture_options(3, 2);
    struct fixture *f = fixture_start(&o);
    struct chain c = chain_make(3, 12);

    fixture_message(f, make_start_view(f, 4, &c, 12, 12));
    for (vsr_op op = 0; op < 11; op++) {
        for (uint32_t ticks = 0; ticks < o.suspect_ticks - 1; ticks++) {
            fixture_tick(f);
            cr_assert_eq(fixture_sent_count(f, VSR_START_VIEW_CHANGE), 0, "op %u", (unsigned)op);
        }
        cr_assert_eq(fixture_message(f, make_new_state(f, 1, &c, op, op + 1, 12, 12)),
                     VSR_DROP_NONE);
    }
    uint32_t ticks = 0;
    do { /* what it has already is no progress */
        fixture_message(f, make_new_state(f, 1, &c, 10, 11, 12, 12));
        fixture_tick(f);
        cr_assert_leq(++ticks, 2 * o.suspect_ticks + o.resend_ticks);
    } while (fixture_sent_count(f, VSR_START_VIEW_CHANGE) == 0);
    chain_free(&c);
    fixture_end(f);
}

/* 6.8: who saves or loads says so, and its silence is no sign for catch_up_ticks: a backup does not
 * suspect its primary, until it speaks again or that time is over. */
Test(rule_6_8, away_primary_is_not_suspected)
{
    for (uint32_t comes_back = 0; comes_back < 2; comes_back++) {
        struct vsr_replica_options o = fixture_options(3, 1);
        o.catch_up_ticks = 100;
        struct fixture *f = fixture_start(&o);
        const uint32_t suspicion = f->r->suspect_ticks;

        fixture_message(f, make_header(f, VSR_AWAY, sizeof(struct vsr_header), 0));
        for (uint32_t ticks = 1; ticks < 99; ticks++) {
            fixture_tick(f);
            cr_assert_eq(fixture_sent_count(f, VSR_START_VIEW_CHANGE), 0, "tick %u", ticks);
        }
        if (comes_back) fixture_message(f, make_commit(f, 0, 0));
        const uint32_t ticks = until_vote(f);
        cr_assert_leq(ticks, suspicion + 2);
        cr_assert_geq(ticks, suspicion);
        fixture_end(f);
    }
}

/* 6.8: nor does a primary abdicate for it: a quorum that saves at one op is there again soon. */
Test(rule_6_8, away_backups_are_still_there)
{
    struct vsr_replica_options o = fixture_options(3, 0);
    o.catch_up_ticks = 100;
    struct fixture *f = fixture_start(&o);

    fixture_message(f, make_header(f, VSR_AWAY, sizeof(struct vsr_header), 1));
    fixture_message(f, make_header(f, VSR_AWAY, sizeof(struct vsr_header), 2));
    for (uint32_t ticks = 1; ticks < 100 + o.abdicate_ticks - 1; ticks++) {
        fixture_tick(f);
        cr_assert(!seen(f).is_abdicating, "tick %u", ticks);
    }
    fixture_tick(f);
    fixture_tick(f);
    cr_assert_eq(seen(f).counters.abdications, 1);
    fixture_end(f);
}

/* 6.8: it is said to all before the save; with a save of another replica under way, one that is
 * taken on demand waits, so that a quorum goes on. */
Test(rule_6_8, who_saves_says_so)
{
    struct vsr_replica_options o = fixture_options(3, 1);
    struct fixture *f = fixture_start(&o);
    struct chain c = chain_make(3, 4);

    chain_feed(f, &c, 4, 4);
    fixture_message(f, make_header(f, VSR_AWAY, sizeof(struct vsr_header), 0));
    fixture_message(f, make_get_chunk(f, 2, NULL, 0));
    cr_assert_eq(receivers(f, VSR_AWAY), 0);
    cr_assert_eq(seen(f).counters.snapshots_saved, 0);
    for (uint32_t ticks = 0; ticks < o.resend_ticks; ticks++)
        fixture_tick(f);
    fixture_message(f, make_commit(f, 4, chain_checksum(&c, 4)));
    fixture_message(f, make_get_chunk(f, 2, NULL, 0));
    cr_assert_eq(receivers(f, VSR_AWAY), 1u << 0 | 1u << 2);
    cr_assert_eq(f->sent[0].buffer.header->type, VSR_AWAY, "before the snapshot's beginning");
    cr_assert_eq(seen(f).counters.snapshots_saved, 1);
    chain_free(&c);
    fixture_end(f);
}

/** Replica 2, NORMAL, that lacks more than the log of 1 reaches back; it has asked replica 1. */
static struct fixture *behind_the_ring(const struct chain *c)
{
    struct vsr_replica_options o = fixture_options(3, 2);
    o.chunk_bytes_max = 1024;
    struct fixture *f = fixture_start(&o);
    struct vsr_buffer commit = make_commit(f, 0, 0);

    BODY(commit, vsr_commit)->op = 40;
    fixture_message(f, commit);
    fixture_turn_end(f);
    cr_assert_eq(fixture_sent_count(f, VSR_GET_STATE), 1);
    struct vsr_buffer b = make_new_state(f, 0, c, 6, 6, 9, 9);
    BODY(b, vsr_new_state)->is_behind = 1;
    fixture_message(f, b);
    cr_assert_eq(receivers(f, VSR_GET_CHUNK), 1u << 1, "a backup rather than the primary");
    return f;
}

/* 6.8: one that saves the snapshot for us is not replaced, or each of them saves one in turn. One
 * that is silent without a word is, after three questions. */
Test(rule_6_8, provider_that_saves_is_not_replaced)
{
    struct chain c = chain_make(3, 9);

    for (uint32_t is_away = 0; is_away < 2; is_away++) {
        struct fixture *f = behind_the_ring(&c);
        if (is_away) fixture_message(f, make_header(f, VSR_AWAY, sizeof(struct vsr_header), 1));
        for (uint32_t i = 0; i < 5; i++) {
            fixture_message(f, make_commit(f, 0, 0)); /* its primary is there */
            tick_until_sent(f, VSR_GET_CHUNK, 100);
            cr_assert_eq(receivers(f, VSR_GET_CHUNK), 1u << (is_away || i < 2 ? 1 : 0), "%u", i);
        }
        fixture_free(f);
    }
    chain_free(&c);
}

/* 7.3: one question, one nonce, however often it is sent, and each time it waits twice as long. An
 * answer to the first of them still counts. Answered at the first asking, the patience shrinks. */
Test(rule_7_3, nonce_names_a_question)
{
    struct vsr_replica_options o = fixture_options(3, 2);
    struct fixture *f = fixture_start(&o);
    struct chain c = chain_make(3, 12);
    static const uint32_t waits[] = {5, 10, 20, 40, 80, 80};

    fixture_message(f, make_start_view(f, 4, &c, 12, 12));
    const uint64_t nonce = SENT(f, VSR_GET_STATE, vsr_get_state)->nonce;
    struct vsr_buffer late = make_new_state(f, 1, &c, 0, 1, 12, 12);
    for (uint32_t i = 0; i < 6; i++) {
        cr_assert_eq(tick_until_sent(f, VSR_GET_STATE, 100), waits[i]);
        cr_assert_eq(SENT(f, VSR_GET_STATE, vsr_get_state)->nonce, nonce);
    }
    cr_assert_eq(fixture_message(f, late), VSR_DROP_NONE);
    cr_assert_neq(SENT(f, VSR_GET_STATE, vsr_get_state)->nonce, nonce, "another question");
    cr_assert_eq(SENT(f, VSR_GET_STATE, vsr_get_state)->from_op, 1);
    for (vsr_op op = 1; op < 4; op++)
        fixture_message(f, make_new_state(f, 1, &c, op, op + 1, 12, 12));
    cr_assert_eq(tick_until_sent(f, VSR_GET_STATE, 100), 10, "three answers at the first asking");
    chain_free(&c);
    fixture_end(f);
}

/* 7.3: so with a gap within the view, and with a Recovery. */
Test(rule_7_3, gap_keeps_its_nonce)
{
    struct vsr_replica_options o = fixture_options(3, 2);
    struct fixture *f = fixture_start(&o);
    struct chain c = chain_make(3, 4);
    struct vsr_buffer commit = make_commit(f, 0, 0);

    BODY(commit, vsr_commit)->op = 4;
    fixture_message(f, commit);
    fixture_turn_end(f);
    const uint64_t nonce = SENT(f, VSR_GET_STATE, vsr_get_state)->nonce;
    struct vsr_buffer late = make_new_state(f, 0, &c, 0, 4, 4, 4);
    for (uint32_t i = 0; i < 4; i++) {
        fixture_message(f, make_commit(f, 0, 0));
        cr_assert_eq(tick_until_sent(f, VSR_GET_STATE, 100), o.resend_ticks << i);
        cr_assert_eq(SENT(f, VSR_GET_STATE, vsr_get_state)->nonce, nonce);
        cr_assert_eq(receivers(f, VSR_GET_STATE), 1u << (i % 2 == 0 ? 1 : 0), "another is asked");
    }
    cr_assert_eq(fixture_message(f, late), VSR_DROP_NONE);
    cr_assert_eq(seen(f).op, 4);
    chain_free(&c);
    fixture_end(f);
}

/* 7.3: an answer of no use is none. Where a round trip is longer than the first patience, who has
 * no more than we do may answer first, each time; the answer behind it is to the same question. */
Test(rule_7_3, empty_answer_to_a_gap_leaves_the_question_out)
{
    struct vsr_replica_options o = fixture_options(3, 2);
    struct fixture *f = fixture_start(&o);
    struct chain c = chain_make(3, 4);
    struct vsr_buffer commit = make_commit(f, 0, 0);

    BODY(commit, vsr_commit)->op = 4;
    fixture_message(f, commit);
    fixture_turn_end(f);
    struct vsr_buffer late = make_new_state(f, 0, &c, 0, 4, 4, 4);
    cr_assert_eq(tick_until_sent(f, VSR_GET_STATE, 100), o.resend_ticks);
    cr_assert_eq(receivers(f, VSR_GET_STATE), 1u << 1);
    cr_assert_eq(fixture_message(f, make_new_state(f, 1, &c, 0, 0, 0, 0)), VSR_DROP_STALE);
    fixture_turn_end(f);
    cr_assert_eq(fixture_message(f, late), VSR_DROP_NONE);
    cr_assert_eq(seen(f).op, 4);
    chain_free(&c);
    fixture_end(f);
}

/* 7.3, 8.3: and with a Recovery. */
Test(rule_8_3_patience, recovery_keeps_its_nonce)
{
    struct vsr_replica_options o = fixture_options(3, 2);
    struct fixture *f = fixture_recover(&o, (struct vsr_superblock){.incarnation = 1});
    struct chain c = chain_make(3, 4);
    const uint64_t nonce = f->r->recovery.nonce;

    for (uint32_t i = 0; i < 6; i++) {
        const uint32_t wait = o.resend_ticks << i;
        cr_assert_eq(tick_until_sent(f, VSR_RECOVERY, 100), wait < 80 ? wait : 80);
        cr_assert_eq(SENT(f, VSR_RECOVERY, vsr_recovery)->nonce, nonce);
    }
    fixture_message(f, make_recovery_response(f, 1, 0, &c, 4, 4));
    fixture_message(f, make_recovery_response(f, 0, 0, &c, 4, 4));
    cr_assert_eq(fixture_sent_count(f, VSR_GET_STATE), 1);
    chain_free(&c);
    fixture_end(f);
}

/* 8.3: who recovers into a view whose primary is gone gives it up: at once when a later view is
 * heard of, after eight questions when none is. */
Test(rule_8_3_patience, later_view_ends_a_recovery)
{
    struct vsr_replica_options o = fixture_options(3, 2);

    for (uint32_t is_heard = 0; is_heard < 2; is_heard++) {
        struct fixture *f = fixture_recover(&o, (struct vsr_superblock){.incarnation = 1});
        struct chain c = chain_make(3, 4);
        fixture_message(f, make_recovery_response(f, 1, 0, &c, 4, 4));
        fixture_message(f, make_recovery_response(f, 0, 0, &c, 4, 4));
        const uint64_t nonce = f->r->recovery.nonce;
        if (is_heard) {
            struct vsr_buffer b = make_commit(f, 0, 0);
            b.header->view = 1;
            b.header->from = 1;
            fixture_message(f, b);
        }
        const uint32_t ticks = tick_until_sent(f, VSR_RECOVERY, 1000);
        cr_assert_eq(is_heard, ticks <= o.resend_ticks, "%u ticks", ticks);
        cr_assert_neq(SENT(f, VSR_RECOVERY, vsr_recovery)->nonce, nonce);
        chain_free(&c);
        fixture_end(f);
    }
}

/* 7.2: the own log is as long as the view's, and another; who was asked is cut off. After three
 * questions another NORMAL replica is, and nobody is called forked. */
Test(rule_7_3, other_log_as_long_as_the_own_comes_from_anyone)
{
    struct vsr_replica_options o = fixture_options(3, 2);
    struct fixture *f = fixture_start(&o);
    struct chain c = chain_make(3, 5);
    struct chain other = chain_fork(&c, 3);

    chain_append(&other, 1, 1);
    chain_append(&other, 1, 1);
    chain_feed(f, &c, 5, 3);
    fixture_message(f, make_start_view(f, 4, &other, 5, 3));
    cr_assert_eq(SENT(f, VSR_GET_STATE, vsr_get_state)->from_op, 3);
    for (uint32_t i = 0; i < 3; i++)
        tick_until_sent(f, VSR_GET_STATE, 40);
    cr_assert_eq(receivers(f, VSR_GET_STATE), 1u << 0);
    fixture_message(f, make_new_state(f, 0, &other, 3, 5, 5, 3));
    cr_assert(!fixture_noticed(f, VSR_NOTICE_FORKED_LOG));
    cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
    cr_assert(chain_is_log(&other, f, 5));
    chain_free(&c);
    chain_free(&other);
    fixture_end(f);
}
