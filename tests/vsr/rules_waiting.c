/**
 * Every state in which a replica waits ends, also when what it gets is of no use: wrong, stale,
 * empty, from another one, or too little. One test for each row of DESIGN.md, "Waiting".
 */
#include "leak_check.h"
#include "messages.h"
#include "view.h"

#include <criterion/criterion.h>

LEAK_CHECKED_SUITE(waiting);

static struct fixture *backup(void)
{
    struct vsr_replica_options o = fixture_options(3, 2);

    o.chunk_bytes_max = 1024;
    return fixture_start(&o);
}

/** A heartbeat of view 0's primary, which says how long its log is. */
static void hear_of(struct fixture *f, vsr_op op)
{
    struct vsr_buffer commit = make_commit(f, 0, 0);

    BODY(commit, vsr_commit)->op = op;
    fixture_message(f, commit);
    fixture_turn_end(f);
}

/** Ticks, with the primary heard, until a question is sent to another one than `from`. */
static uint32_t until_another_is_asked(struct fixture *f, enum vsr_message_type type, uint32_t from)
{
    for (uint32_t ticks = 1; ticks < 1000; ticks++) {
        fixture_tick(f);
        const uint32_t to = receivers(f, type);
        if (to != 0 && to != 1u << from) return ticks;
        if (seen(f).status == VSR_STATUS_NORMAL) fixture_message(f, make_commit(f, 0, 0));
    }
    cr_assert_fail("nobody else is asked");
    return 0;
}

/* fetch out: the answer has nothing, or is another question's; another replica is asked. */
Test(waiting, gap_with_an_empty_answer)
{
    struct fixture *f = backup();
    struct chain c = chain_make(3, 4);

    hear_of(f, 4);
    cr_assert_eq(receivers(f, VSR_GET_STATE), 1u << 0);
    struct vsr_buffer wrong = make_new_state(f, 0, &c, 0, 4, 4, 4);
    BODY(wrong, vsr_new_state)->nonce++;
    cr_assert_eq(fixture_message(f, wrong), VSR_DROP_WRONG_NONCE);
    fixture_message(f, make_new_state(f, 0, &c, 0, 0, 0, 0));
    fixture_turn_end(f);
    cr_assert_leq(until_another_is_asked(f, VSR_GET_STATE, 0), f->options.resend_ticks);
    fixture_message(f, make_new_state(f, 1, &c, 0, 4, 4, 4));
    cr_assert_eq(seen(f).op, 4);
    chain_free(&c);
    fixture_end(f);
}

/* fetch out: the gap closes by itself; the question is dropped. */
Test(waiting, gap_that_closes_another_way)
{
    struct fixture *f = backup();
    struct chain c = chain_make(3, 4);

    hear_of(f, 4);
    cr_assert(f->r->in_view.fetch.is_waiting);
    chain_feed(f, &c, 4, 4);
    cr_assert(!f->r->in_view.fetch.is_waiting);
    hear_of(f, 5);
    cr_assert_eq(fixture_sent_count(f, VSR_GET_STATE), 1, "another question, at once");
    chain_free(&c);
    fixture_end(f);
}

/* A gap that its primary cannot tell it of, since it does not reach it: what others say counts, and
 * they give the entries. */
Test(waiting, gap_that_only_another_backup_tells_of)
{
    struct fixture *f = backup();
    struct chain c = chain_make(3, 4);

    fixture_message(f, make_pong(f, 1, 0, &c, 4, 0));
    fixture_turn_end(f);
    for (uint32_t ticks = 0; receivers(f, VSR_GET_STATE) != 1u << 1; ticks++) {
        cr_assert_leq(ticks, f->options.resend_ticks);
        fixture_tick(f);
    }
    fixture_message(f, make_new_state(f, 1, &c, 0, 4, 4, 4));
    cr_assert_eq(seen(f).commit, 4);
    chain_free(&c);
    fixture_end(f);
}

/** It lacks what has left the log of 0, and asks 1 for a snapshot. */
static struct fixture *behind(const struct chain *c)
{
    struct fixture *f = backup();

    chain_feed(f, c, 2, 2);
    hear_of(f, 9);
    struct vsr_buffer b = make_new_state(f, 0, c, 6, 6, 9, 9);
    BODY(b, vsr_new_state)->is_behind = 1;
    fixture_message(f, b);
    cr_assert_eq(receivers(f, VSR_GET_CHUNK), 1u << 1);
    return f;
}

/** Who has executed the chain up to `op` and keeps a snapshot of that. */
static struct fixture *donor(const struct chain *c, vsr_op op)
{
    struct vsr_replica_options o = fixture_options(3, 1);

    o.checkpoint_ops = (uint32_t)op;
    struct fixture *f = fixture_start(&o);
    chain_feed(f, c, op, op);
    cr_assert_eq(seen(f).snapshot_op, op);
    return f;
}

/* TRANSFER_BEHIND: the snapshot is no further than we are; after three of them another is asked. */
Test(waiting, behind_with_a_stale_snapshot)
{
    struct chain c = chain_make(3, 9);
    struct fixture *from = donor(&c, 2);
    struct fixture *f = behind(&c);
    uint32_t asked = 1;

    while (receivers(f, VSR_GET_CHUNK) != 1u << 0) {
        cr_assert_leq(++asked, 3);
        cr_assert_eq(fixture_message(f, make_chunk(f, 1, from, 0, 512)), VSR_DROP_STALE);
        tick_until_sent(f, VSR_GET_CHUNK, 100);
        fixture_message(f, make_commit(f, 0, 0));
        if (asked == 3) break;
    }
    cr_assert_leq(until_another_is_asked(f, VSR_GET_CHUNK, 1), 40);
    chain_free(&c);
    fixture_free(from);
    fixture_end(f);
}

/* TRANSFER_BEHIND: what it was for comes another way; GetState is no longer kept back. */
Test(waiting, behind_that_catches_up_by_itself)
{
    struct chain c = chain_make(3, 12);
    struct fixture *f = behind(&c);

    chain_feed(f, &c, 6, 6);
    cr_assert_neq(f->r->transfer.kind, TRANSFER_NONE);
    fixture_tick(f);
    cr_assert_eq(f->r->transfer.kind, TRANSFER_NONE);
    cr_assert_leq(tick_until_sent(f, VSR_GET_STATE, 20), f->options.resend_ticks);
    chain_free(&c);
    fixture_end(f);
}

/* TRANSFER_CATCH_UP: one that is silent, or gives what does not follow: after three questions
 * another; without any progress T_vc ends it with a vote. */
Test(waiting, catching_up_with_useless_answers)
{
    struct fixture *f = backup();
    struct chain c = chain_make(3, 9);
    uint32_t ticks = 0;
    uint32_t asked = 0;

    fixture_message(f, make_start_view(f, 4, &c, 9, 9));
    while (fixture_sent_count(f, VSR_START_VIEW_CHANGE) == 0) {
        cr_assert_leq(++ticks, 2 * f->options.suspect_ticks + f->options.resend_ticks);
        fixture_message(f, make_new_state(f, 1, &c, 0, 0, 9, 9)); /* empty */
        fixture_message(f, make_new_state(f, 1, &c, 4, 6, 9, 9)); /* does not follow */
        fixture_tick(f);
        asked |= receivers(f, VSR_GET_STATE);
    }
    cr_assert_neq(asked, 0, "it goes on asking");
    cr_assert_eq(seen(f).op, 0);
    cr_assert_eq(seen(f).log_view, 0);
    chain_free(&c);
    fixture_end(f);
}

/* TRANSFER_SELECTED: only the one that has the log may give it; when it does not, T_vc ends it. */
Test(waiting, selected_log_that_does_not_come)
{
    struct vsr_replica_options o = fixture_options(3, 1);
    struct fixture *f = fixture_start(&o);
    struct chain c = chain_make(3, 9);
    uint32_t ticks = 0;

    fixture_message(f, make_do_view_change(f, 2, 4, 3, &c, 9, 9));
    cr_assert_eq(f->r->transfer.kind, TRANSFER_SELECTED);
    while (fixture_sent_count(f, VSR_START_VIEW_CHANGE) == 0) {
        cr_assert_leq(++ticks, 2 * o.suspect_ticks + o.resend_ticks);
        cr_assert_eq(fixture_message(f, make_new_state(f, 0, &c, 0, 9, 9, 9)),
                     VSR_DROP_WRONG_SENDER);
        struct vsr_buffer gone = make_new_state(f, 2, &c, 0, 0, 9, 9);
        BODY(gone, vsr_new_state)->is_behind = 1;
        cr_assert_eq(fixture_message(f, gone), VSR_DROP_NOT_HELD);
        fixture_tick(f);
    }
    cr_assert_eq(seen(f).status, VSR_STATUS_VIEW_CHANGE);
    chain_free(&c);
    fixture_end(f);
}

/* RECOVERING with a transfer: useless answers do not keep it from asking everybody anew. */
Test(waiting, recovery_with_useless_answers)
{
    struct vsr_replica_options o = fixture_options(3, 2);
    struct fixture *f = fixture_recover(&o, (struct vsr_superblock){.incarnation = 1});
    struct chain c = chain_make(3, 4);
    uint32_t ticks = 0;

    fixture_message(f, make_recovery_response(f, 1, 0, &c, 4, 4));
    fixture_message(f, make_recovery_response(f, 0, 0, &c, 4, 4));
    cr_assert_eq(f->r->transfer.kind, TRANSFER_RECOVERY);
    while (fixture_sent_count(f, VSR_RECOVERY) == 0) {
        cr_assert_leq(++ticks, 8 * 4 * o.suspect_ticks);
        fixture_message(f, make_new_state(f, 1, &c, 0, 0, 4, 4)); /* empty */
        fixture_message(f, make_new_state(f, 0, &c, 2, 4, 4, 4)); /* does not follow */
        fixture_tick(f);
    }
    cr_assert_eq(f->r->transfer.kind, TRANSFER_NONE);
    chain_free(&c);
    fixture_end(f);
}

/* RECOVERING with a transfer: a primary that gives no log; who is NORMAL in its view gives the same
 * one. Asked anew, it is not the first again. */
Test(waiting, recovery_from_a_primary_that_gives_nothing)
{
    struct vsr_replica_options o = fixture_options(3, 2);
    struct fixture *f = fixture_recover(&o, (struct vsr_superblock){.incarnation = 1});
    struct chain c = chain_make(3, 4);

    fixture_message(f, make_recovery_response(f, 1, 0, &c, 4, 4));
    fixture_message(f, make_recovery_response(f, 0, 0, &c, 4, 4));
    cr_assert_eq(receivers(f, VSR_GET_STATE), 1u << 0);
    cr_assert_leq(until_another_is_asked(f, VSR_GET_STATE, 0), 8 * o.resend_ticks);
    fixture_message(f, make_new_state(f, 1, &c, 0, 4, 4, 4));
    cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
    cr_assert(chain_is_log(&c, f, 4));
    fixture_free(f);

    o = fixture_options(5, 4);
    f = fixture_recover(&o, (struct vsr_superblock){.incarnation = 1});
    fixture_message(f, make_recovery_response(f, 1, 0, &c, 4, 4));
    fixture_message(f, make_recovery_response(f, 2, 0, &c, 4, 4));
    fixture_message(f, make_recovery_response(f, 0, 0, &c, 4, 4));
    cr_assert_eq(receivers(f, VSR_GET_STATE), 1u << 0);
    tick_until_sent(f, VSR_RECOVERY, 2000);
    fixture_message(f, make_recovery_response(f, 1, 0, &c, 4, 4));
    fixture_message(f, make_recovery_response(f, 2, 0, &c, 4, 4));
    fixture_message(f, make_recovery_response(f, 0, 0, &c, 4, 4));
    cr_assert_eq(receivers(f, VSR_GET_STATE), 1u << 3);
    chain_free(&c);
    fixture_end(f);
}

/* TRANSFER_BEHIND: one that says Away at each question, since it tries to save, and gives nothing:
 * it is left. */
Test(waiting, behind_one_that_is_away_again_and_again)
{
    struct chain c = chain_make(3, 9);
    struct fixture *f = behind(&c);
    uint32_t asked = 0;

    while (receivers(f, VSR_GET_CHUNK) != 1u << 0) {
        if (receivers(f, VSR_GET_CHUNK) != 0) {
            cr_assert_leq(++asked, 6);
            fixture_message(f, make_header(f, VSR_AWAY, sizeof(struct vsr_header), 1));
        }
        fixture_message(f, make_commit(f, 0, 0));
        fixture_tick(f);
    }
    chain_free(&c);
    fixture_end(f);
}

/* A snapshot that is damaged each time: asked for once more, then of another one, and less and less
 * often; each time is told. */
Test(waiting, behind_with_damaged_snapshots)
{
    struct chain c = chain_make(3, 9);
    struct fixture *from = donor(&c, 6);
    struct fixture *f = behind(&c);
    uint32_t waited = 0;

    from->kept.bytes[900] ^= 1;
    for (uint32_t i = 0; i < 5; i++) {
        const uint32_t to = receivers(f, VSR_GET_CHUNK);
        cr_assert_eq(to, i < 2 ? 1u << 1 : i % 2 == 0 ? 1u << 0 : 1u << 1, "%u", i);
        for (uint64_t at = 0; at < from->kept.count; at += 1024) {
            const uint64_t left = from->kept.count - at;
            fixture_message(
                f, make_chunk(f, to == 1 ? 0 : 1, from, at, left < 1024 ? (uint32_t)left : 1024));
        }
        cr_assert(fixture_noticed(f, VSR_NOTICE_SNAPSHOT_DAMAGED));
        if (i == 0) continue;
        cr_assert_eq(fixture_sent_count(f, VSR_GET_CHUNK), 0, "not at once");
        uint32_t ticks = 0;
        for (; receivers(f, VSR_GET_CHUNK) == 0; ticks++) {
            fixture_message(f, make_commit(f, 0, 0));
            fixture_tick(f);
        }
        cr_assert_geq(ticks, waited);
        waited = ticks;
    }
    cr_assert_geq(waited, 4 * f->options.resend_ticks);
    chain_free(&c);
    fixture_free(from);
    fixture_end(f);
}

/* 12: who gets nothing for long tells for whom it waits, and not at every tick. */
Test(waiting, long_waiting_is_told)
{
    struct vsr_replica_options o = fixture_options(3, 2);
    struct fixture *f = fixture_recover(&o, (struct vsr_superblock){.incarnation = 1});
    struct chain c = chain_make(3, 4);
    uint32_t told = 0;

    fixture_message(f, make_recovery_response(f, 1, 0, &c, 4, 4));
    for (uint32_t ticks = 1; ticks <= 128 * o.suspect_ticks; ticks++) {
        fixture_tick(f);
        if (!fixture_noticed(f, VSR_NOTICE_WAITS_LONG)) continue;
        cr_assert_eq(ticks % (16 * o.suspect_ticks), 0);
        cr_assert_eq(f->noticed_replica, 0, "it is the primary that has not answered");
        told++;
    }
    cr_assert_eq(told, 4, "after 1, 2, 4 and 8 times as long");
    chain_free(&c);
    fixture_end(f);
}

/* 12: who has halted waits for nobody, whatever it had asked for before. */
Test(waiting, halted_replica_tells_of_no_waiting)
{
    struct chain c = chain_make(3, 6);
    struct fixture *f = backup();

    chain_feed(f, &c, 4, 2);
    fixture_message(f, make_start_view(f, 4, &c, 6, 2));
    cr_assert_eq(receivers(f, VSR_GET_STATE), 1u << 1);
    fixture_message(f, make_start_view(f, 7, &c, 1, 1));
    cr_assert_eq(seen(f).status, VSR_STATUS_HALTED, "what it has executed is not in that log");
    for (uint32_t ticks = 0; ticks < 32 * f->options.suspect_ticks; ticks++) {
        fixture_tick(f);
        cr_assert(!fixture_noticed(f, VSR_NOTICE_WAITS_LONG));
    }
    chain_free(&c);
    fixture_end(f);
}

/* RECOVERING without one: answers of too few, or of a view below the persisted one, end no waiting,
 * and it asks on, with the patience of 7.3 and no more. */
Test(waiting, recovery_that_too_few_answer)
{
    struct vsr_replica_options o = fixture_options(3, 2);
    struct fixture *f =
        fixture_recover(&o, (struct vsr_superblock){.incarnation = 1, .view = 3, .log_view = 3});
    struct chain c = chain_make(3, 4);

    for (uint32_t i = 0; i < 10; i++) {
        fixture_message(f, make_recovery_response(f, 1, 2, &c, 4, 4));
        fixture_message(f, make_recovery_response(f, 0, 2, &c, 4, 4));
        cr_assert_eq(f->r->transfer.kind, TRANSFER_NONE);
        cr_assert_leq(tick_until_sent(f, VSR_RECOVERY, 200), 4 * o.suspect_ticks);
    }
    chain_free(&c);
    fixture_end(f);
}

/* Between two views: nobody else's log comes, or logs of other views; T_vc, then a vote at each
 * T_resend. */
Test(waiting, view_change_without_a_quorum)
{
    struct fixture *f = backup();
    struct chain c = chain_make(3, 4);

    leave(f, 5); /* its own: 5 mod 3 */
    const uint32_t ticks = tick_until_sent(f, VSR_START_VIEW_CHANGE, 1000);
    cr_assert_leq(ticks, 2 * f->options.suspect_ticks + f->options.resend_ticks);
    for (uint32_t i = 0; i < 3; i++) {
        fixture_message(f, make_do_view_change(f, 1, 2, 0, &c, 4, 4)); /* of an older view */
        cr_assert_leq(tick_until_sent(f, VSR_START_VIEW_CHANGE, 100), f->options.resend_ticks);
    }
    cr_assert_eq(seen(f).status, VSR_STATUS_VIEW_CHANGE);
    chain_free(&c);
    fixture_end(f);
}

/* Away: also when the log would wait without a bound (UINT32_MAX), nobody is away for ever: it may
 * have died meanwhile. */
Test(waiting, one_that_is_away_and_never_comes_back)
{
    struct vsr_replica_options o = fixture_options(3, 1);
    o.catch_up_ticks = UINT32_MAX;
    struct fixture *f = fixture_start(&o);

    fixture_message(f, make_header(f, VSR_AWAY, sizeof(struct vsr_header), 0));
    cr_assert_leq(tick_until_sent(f, VSR_START_VIEW_CHANGE, 2000),
                  10 * o.suspect_ticks + f->r->suspect_ticks);
    fixture_end(f);
}

/* Away, said again and again by one that does nothing else: the primary of a view that is to start
 * is waited for only that long each time; but a voice of its ends the waiting. */
Test(waiting, primary_to_be_that_is_away)
{
    struct vsr_replica_options o = fixture_options(3, 2);
    o.catch_up_ticks = 50;
    struct fixture *f = fixture_start(&o);

    leave(f, 1);
    fixture_message(f, make_header(f, VSR_AWAY, sizeof(struct vsr_header), 1));
    const uint32_t ticks = tick_until_sent(f, VSR_START_VIEW_CHANGE, 1000);
    cr_assert_geq(ticks, 50 + o.suspect_ticks - o.resend_ticks);
    cr_assert_leq(ticks, 50 + 2 * o.suspect_ticks + o.resend_ticks);
    fixture_end(f);
}

/* A request that has to wait for what a new primary has adopted: when that is not committed, the
 * age of the work ends the primary. */
Test(waiting, queue_behind_an_adopted_log)
{
    struct vsr_replica_options o = fixture_options(3, 1);
    struct fixture *f = fixture_start(&o);
    struct chain c = chain_make(3, 4);
    uint32_t ticks = 0;

    chain_feed(f, &c, 4, 3);
    leave(f, 1);
    fixture_message(f, make_do_view_change(f, 2, 1, 0, &c, 4, 3));
    cr_assert(is_serving(f->r));
    fixture_message(f, make_request(f, 1, 0, 4, 0));
    cr_assert_eq(f->r->queue.count, 1, "it waits");
    while (!f->r->in_view.is_giving_up) {
        cr_assert_leq(++ticks, 2 * vsr_grown(f->r, o.abdicate_ticks));
        for (uint32_t from = 0; from < 3; from += 2) {
            struct vsr_buffer ok =
                make_header(f, VSR_COMMIT_OK, sizeof(struct vsr_commit_ok), from);
            BODY(ok, vsr_commit_ok)->sequence = f->r->heartbeat_sequence;
            fixture_message(f, ok);
        }
        fixture_tick(f);
    }
    chain_free(&c);
    fixture_end(f);
}
