/**
 * Whom a primary waits for, and for how long: the room in its log, its own role. One replica at a
 * time; DESIGN.md, "Rules", 4.2, 4.6, 4.7, 6.7, and "Waiting".
 */
#include "leak_check.h"
#include "messages.h"

#include <criterion/criterion.h>
#include <string.h>

LEAK_CHECKED_SUITE(rule_4_2_bound);
LEAK_CHECKED_SUITE(rule_4_6);
LEAK_CHECKED_SUITE(rule_4_7);
LEAK_CHECKED_SUITE(rule_6_7_abdication);

/** A primary of three under load: replica 1 acknowledges at once, replica 2 as the test says. */
struct load {
    struct fixture *f;
    vsr_session session;
    uint32_t slot;
    uint64_t number;
    vsr_op seen;
};

/** One request more; whether anything has entered the log since. Replica 1 has all that is there.
 */
static bool push(struct load *l)
{
    const vsr_op before = l->seen;

    fixture_message(l->f, make_prepare_ok(l->f, 1, seen(l->f).op));
    if (l->f->r->batch.buffer.header == NULL)
        fixture_message(l->f, make_request(l->f, l->session, l->slot, ++l->number, 0));
    fixture_turn_end(l->f);
    l->seen = seen(l->f).op;
    fixture_message(l->f, make_prepare_ok(l->f, 1, seen(l->f).op));
    return l->seen > before;
}

static struct load begin_load(uint32_t catch_up_ticks)
{
    struct vsr_replica_options o = fixture_options(3, 0);

    o.catch_up_ticks = catch_up_ticks;
    struct load l = {.f = fixture_start(&o)};
    l.slot = open_session(l.f, 1, &l.session);
    l.seen = seen(l.f).op;
    return l;
}

/** Pushes until the ring is full of what replica 2 lacks, and it is waited for. */
static struct load fill_ring(uint32_t catch_up_ticks)
{
    struct load l = begin_load(catch_up_ticks);

    while (push(&l))
        cr_assert_leq(seen(l.f).op, 64);
    cr_assert_eq(seen(l.f).op, 64);
    cr_assert_eq(seen(l.f).commit, 64);
    return l;
}

/** Replica 2 acknowledges up to op, the one before the log's first among them. */
static void move_to(struct fixture *f, vsr_op op)
{
    struct vsr_buffer b = make_prepare_ok(f, 2, op);

    if (op == seen(f).log_start) BODY(b, vsr_prepare_ok)->checksum = f->r->log.start_checksum;
    fixture_message(f, b);
}

static struct vsr_buffer make_commit_ok(const struct fixture *f, uint32_t from, uint64_t sequence)
{
    struct vsr_buffer b = make_header(f, VSR_COMMIT_OK, sizeof(struct vsr_commit_ok), from);

    BODY(b, vsr_commit_ok)->sequence = sequence;
    return b;
}

/* 4.7: the log waits catch_up_ticks ticks in all, not one more; then somebody is told. */
Test(rule_4_7, allowance_is_used_up)
{
    enum { N = 10 };
    struct load l = fill_ring(N);
    struct vsr_replica_report report;

    for (uint32_t ticks = 1; ticks <= N; ticks++) {
        cr_assert(!push(&l), "after %u ticks", ticks - 1);
        fixture_tick(l.f);
        cr_assert_eq(fixture_noticed(l.f, VSR_NOTICE_LEFT_BEHIND), ticks == N);
        vsr_replica_report(l.f->r, &report);
        cr_assert_eq(report.costs[2].waited_ticks, ticks, "the report names it");
        cr_assert_eq(report.costs[2].left_behind, ticks == N);
        cr_assert_eq(report.costs[0].waited_ticks + report.costs[1].waited_ticks, 0);
    }
    cr_assert(push(&l));
    cr_assert(push(&l), "for one that is left behind nothing is kept");
    fixture_end(l.f);
}

/* 4.7: one tick of eight comes back while the log does not wait, so that a slow replica costs a
 * bounded part of the time and no more; they are spent when all are back: spent one by one they
 * would let nobody catch up, and the log stutter. */
Test(rule_4_7, allowance_comes_back_one_in_eight)
{
    struct load l = fill_ring(3);

    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < 3; i++) {
            cr_assert(!push(&l), "after %u ticks", i);
            fixture_tick(l.f);
        }
        for (uint32_t ticks = 1; ticks <= 3 * 8; ticks++) {
            cr_assert(push(&l), "after %u ticks", ticks - 1);
            move_to(l.f, seen(l.f).log_start); /* it lacks just the oldest one, and moves */
            fixture_tick(l.f);
        }
    }
    fixture_end(l.f);
}

/* 4.7: where three round trips take longer than suspect_ticks, a replica moves within those. */
Test(rule_4_7, motion_is_slower_where_round_trips_are_longer)
{
    enum { ROUND_TRIP = 25 };
    struct load l = begin_load(UINT32_MAX);
    uint32_t ticks = 0;

    while (l.f->r->ticks_to_heartbeat > 1)
        fixture_tick(l.f);
    fixture_tick(l.f);
    const uint64_t sequence = l.f->r->heartbeat_sequence;
    for (uint32_t i = 0; i < ROUND_TRIP; i++) {
        fixture_message(l.f, make_commit_ok(l.f, 1, l.f->r->heartbeat_sequence));
        fixture_tick(l.f);
    }
    fixture_message(l.f, make_commit_ok(l.f, 2, sequence));
    move_to(l.f, 1);
    cr_assert_gt(3 * ROUND_TRIP, l.f->options.suspect_ticks);
    while (push(&l))
        cr_assert_leq(seen(l.f).op, 65);
    for (; !push(&l); ticks++)
        fixture_tick(l.f);
    cr_assert_eq(ticks, 3 * ROUND_TRIP);
    fixture_end(l.f);
}

/* 4.7: where fewer than Qr have the oldest entry nothing is put in its place: it could not be
 * committed without those that lack it, and they would need a snapshot. */
Test(rule_4_7, nobody_is_left_behind_by_too_few)
{
    enum { RING = 64 };
    struct vsr_replica_options o = fixture_options(3, 1);
    o.catch_up_ticks = 1;
    struct fixture *f = fixture_start(&o);
    struct chain c = chain_make(3, RING);

    chain_feed(f, &c, RING, RING);
    leave(f, 4);
    fixture_message(f, make_do_view_change(f, 2, 4, 0, &c, RING, RING));
    cr_assert(seen(f).is_primary);
    for (uint32_t ticks = 1; ticks < o.abdicate_ticks / 2; ticks++) {
        fixture_message(f, make_register(f, 7));
        fixture_turn_end(f);
        cr_assert_eq(seen(f).log_start, 0, "after %u ticks", ticks - 1);
        cr_assert_eq(seen(f).op, RING);
        fixture_tick(f);
    }
    fixture_message(f, make_prepare_ok(f, 2, RING));
    fixture_message(f, make_register(f, 7));
    fixture_turn_end(f);
    cr_assert_eq(seen(f).log_start, 1, "a quorum has it");
    cr_assert_eq(seen(f).op, RING + 1);
    chain_free(&c);
    fixture_end(f);
}

/* 4.7: UINT32_MAX waits as long as it moves, and not longer than suspect_ticks when it does not. */
Test(rule_4_7, without_a_bound_only_motion_counts)
{
    struct load l = fill_ring(UINT32_MAX);
    const uint32_t suspicion = l.f->options.suspect_ticks;
    uint32_t ticks = 0;

    for (uint32_t i = 1; i < 40; i++) {
        for (ticks = 0; ticks < suspicion - 1; ticks++) {
            fixture_tick(l.f);
            cr_assert(!push(&l));
        }
        move_to(l.f, i);
        cr_assert(push(&l), "the one that it has now");
        cr_assert(!push(&l));
    }
    for (ticks = 0; !push(&l); ticks++) {
        cr_assert_lt(ticks, suspicion);
        fixture_tick(l.f);
    }
    cr_assert_eq(seen(l.f).counters.abdications, 0);
    fixture_end(l.f);
}

/** All that a replica may say without having acknowledged anything. */
static void say_all_but_an_ack(struct fixture *f, uint32_t from, const struct chain *c)
{
    fixture_message(f, make_ping(f, from, seen(f).view));
    fixture_message(f, make_recovery(f, from, 0, 4713));
    fixture_message(f, make_get_chunk(f, from, NULL, 0));
    fixture_message(f, make_get_state(f, from, c, 0, 0, VSR_GET_TRANSFER));
    if (from == 2) fixture_message(f, make_vote(f, from, seen(f).view + 1));
}

/* 4.7: who is heard and does not move (deaf, or RECOVERING, or without a snapshot to be had) stops
 * the log for suspect_ticks at most. What it asks for is held once, not each time it asks. */
Test(rule_4_7, voice_is_not_waited_for)
{
    struct load l = fill_ring(0);
    struct chain c = chain_make(3, 1);
    uint32_t still = 0;

    l.f->keeps_nothing = true;
    for (uint32_t ticks = 0; ticks < 400; ticks++) {
        say_all_but_an_ack(l.f, 2, &c);
        still = push(&l) ? 0 : still + 1;
        cr_assert_leq(still, l.f->options.suspect_ticks + 1);
        fixture_tick(l.f);
    }
    cr_assert_gt(seen(l.f).op, 300);
    chain_free(&c);
    fixture_end(l.f);
}

/** Whether the next op's Prepare goes to replica 2; a tick ends before it. */
static bool is_sent_next(struct load *l)
{
    fixture_tick(l->f);
    fixture_message(l->f, make_request(l->f, l->session, l->slot, ++l->number, 0));
    fixture_turn_end(l->f);
    const bool is_sent = (receivers(l->f, VSR_PREPARE) & 1u << 2) != 0;
    fixture_message(l->f, make_prepare_ok(l->f, 1, seen(l->f).op));
    return is_sent;
}

/* 4.7: who acknowledges nothing of the last two rings gets no new op: they would lie in its mailbox
 * before the heartbeat that says how far behind it is. Until it acknowledges some of them. */
Test(rule_4_7, who_lags_two_rings_behind_is_sent_no_new_op)
{
    enum { RING = 64 };
    struct load l = begin_load(0);

    move_to(l.f, 1);
    while (seen(l.f).op < 1 + 2 * RING)
        cr_assert(is_sent_next(&l));
    cr_assert(is_sent_next(&l), "that makes one more than two rings");
    for (uint32_t i = 0; i < 10; i++)
        cr_assert(!is_sent_next(&l));
    while (l.f->r->ticks_to_heartbeat > 1)
        fixture_tick(l.f);
    fixture_tick(l.f);
    cr_assert_eq(receivers(l.f, VSR_COMMIT), 1u << 1 | 1u << 2);
    move_to(l.f, seen(l.f).log_start + 1);
    cr_assert(is_sent_next(&l));
    fixture_end(l.f);
}

/* 4.7: nor does a view begin with everybody that far behind, before anybody has acknowledged. */
Test(rule_4_7, nobody_lags_behind_the_start_of_a_view)
{
    enum { RING = 64, OPS = 2 * RING + 10 };
    struct fixture *f = fixture_of(3, 1);
    struct chain c = chain_make(3, OPS);

    chain_feed(f, &c, RING, RING);
    chain_feed(f, &c, 2 * RING, 2 * RING);
    chain_feed(f, &c, OPS, OPS);
    leave(f, 4);
    fixture_message(f, make_do_view_change(f, 2, 4, 0, &c, OPS, OPS));
    cr_assert(seen(f).is_primary);
    fixture_message(f, make_prepare_ok(f, 2, OPS));
    fixture_tick(f);
    fixture_message(f, make_register(f, 7));
    fixture_turn_end(f);
    cr_assert_eq(receivers(f, VSR_PREPARE), 1u << 0 | 1u << 2);
    chain_free(&c);
    fixture_end(f);
}

/* 4.7: a question that comes again, or for what came before, renews no hold: what it got is lost,
 * or it does not move. One for more does. */
Test(rule_4_7, hold_is_renewed_by_progress_only)
{
    struct vsr_replica_options o = fixture_options(3, 1);
    struct fixture *f = fixture_start(&o);
    struct chain c = chain_make(3, 10);
    const struct vsr_hold *hold = &f->r->peers.holds[2];

    chain_feed(f, &c, 10, 10);
    fixture_message(f, make_get_state(f, 2, &c, 4, 4, VSR_GET_TRANSFER));
    cr_assert_eq(hold->ticks, o.suspect_ticks);
    for (uint32_t ticks = 1; ticks <= o.suspect_ticks; ticks++) {
        fixture_tick(f);
        fixture_message(f, make_get_state(f, 2, &c, 4, 4, VSR_GET_TRANSFER));
        fixture_message(f, make_get_state(f, 2, &c, 3, 3, VSR_GET_TRANSFER));
        cr_assert_eq(hold->ticks, o.suspect_ticks - ticks);
    }
    fixture_message(f, make_get_state(f, 2, &c, 5, 5, VSR_GET_TRANSFER));
    cr_assert_eq(hold->ticks, o.suspect_ticks);
    chain_free(&c);
    fixture_end(f);
}

/* 4.7: so with the parts of a snapshot; and one that is being sent is not replaced by a newer one,
 * or under load none would ever arrive. When its receiver stops, it is. */
Test(rule_4_7, snapshot_is_kept_while_it_is_sent)
{
    struct vsr_replica_options o = fixture_options(3, 1);
    o.checkpoint_ops = 2;
    o.chunk_bytes_max = 1024;
    struct fixture *f = fixture_start(&o);
    struct chain c = chain_make(3, 20);

    chain_feed(f, &c, 2, 2);
    const struct vsr_snapshot sent = f->r->checkpoint.snapshot;
    cr_assert_eq(sent.op, 2);
    fixture_message(f, make_get_chunk(f, 2, NULL, 0));
    chain_feed(f, &c, 8, 8);
    cr_assert_eq(seen(f).snapshot_op, 2, "the one that is sent");
    for (uint32_t ticks = 1; ticks < o.suspect_ticks; ticks++)
        fixture_tick(f);
    fixture_message(f, make_get_chunk(f, 2, &sent, 1024));
    cr_assert_eq(SENT(f, VSR_CHUNK, vsr_chunk)->offset, 1024);
    for (uint32_t ticks = 1; ticks < o.suspect_ticks; ticks++) {
        fixture_tick(f);
        fixture_message(f, make_get_chunk(f, 2, &sent, 1024)); /* again and again: no progress */
    }
    chain_feed(f, &c, 14, 14);
    cr_assert_eq(seen(f).snapshot_op, 2);
    fixture_tick(f);
    chain_feed(f, &c, 20, 20);
    cr_assert_eq(seen(f).snapshot_op, 20);
    chain_free(&c);
    fixture_end(f);
}

/* 4.7: a backup sends no heartbeats whose answers it could time: how long a round trip takes to one
 * that gathers parts it knows by the next question. A repetition is none, nor is one that follows
 * another's answer. */
Test(rule_4_7, provider_times_what_it_is_asked)
{
    enum { ROUND_TRIP = 35 };
    struct vsr_replica_options o = fixture_options(3, 1);
    o.chunk_bytes_max = 1024;
    struct fixture *f = fixture_start(&o);
    struct chain c = chain_make(3, 10);
    const struct vsr_hold *hold = &f->r->peers.holds[2];

    cr_assert_gt(3 * ROUND_TRIP, o.suspect_ticks);
    chain_feed(f, &c, 10, 10);
    fixture_message(f, make_get_chunk(f, 2, NULL, 0));
    const struct vsr_snapshot sent = f->r->checkpoint.snapshot;
    cr_assert_eq(hold->ticks, o.suspect_ticks, "nothing is known yet");
    for (uint32_t ticks = 0; ticks < ROUND_TRIP; ticks++) {
        if (ticks % 8 == 0) fixture_message(f, make_get_chunk(f, 2, NULL, 0));
        fixture_tick(f);
    }
    struct vsr_buffer b = make_get_chunk(f, 2, &sent, 1024);
    BODY(b, vsr_get_chunk)->nonce++;
    fixture_message(f, b);
    cr_assert_eq(hold->ticks, 3 * ROUND_TRIP);
    fixture_tick(f);
    b = make_get_chunk(f, 2, &sent, 2048);
    BODY(b, vsr_get_chunk)->nonce += 7;
    fixture_message(f, b);
    cr_assert_eq(hold->ticks, 3 * ROUND_TRIP, "it has asked others meanwhile");
    b = make_get_state(f, 2, &c, 10, 10, VSR_GET_TRANSFER);
    BODY(b, vsr_get_state)->nonce = 4712 + 8;
    for (uint32_t ticks = 0; ticks < ROUND_TRIP / 2; ticks++)
        fixture_tick(f);
    fixture_message(f, b);
    cr_assert_eq(hold->ticks, 3 * (ROUND_TRIP / 2), "the log behind the snapshot");
    chain_free(&c);
    fixture_end(f);
}

/** The view has one op more than the chain's first `op`; what the backup answers to its heartbeat.
 */
static const struct vsr_commit_ok *tell_of_more(struct fixture *f, const struct chain *c, vsr_op op)
{
    struct vsr_buffer b = make_commit(f, op, chain_checksum(c, op));

    BODY(b, vsr_commit)->op = op + 1;
    BODY(b, vsr_commit)->op_checksum = chain_checksum(c, op + 1);
    fixture_message(f, b);
    return SENT(f, VSR_COMMIT_OK, vsr_commit_ok);
}

/* 4.7, 6.7: a backup whose ring is full of what it keeps for one that it serves says so with each
 * heartbeat; that has the same bound there as at a primary, with or without Prepares to refuse. */
Test(rule_4_7, backup_that_keeps_its_log_for_another_says_so)
{
    enum { N = 10 };
    struct vsr_replica_options o = fixture_options(3, 1);
    o.catch_up_ticks = N;
    struct fixture *f = fixture_start(&o);
    struct chain c = chain_make(3, 65);

    chain_feed(f, &c, 64, 64);
    cr_assert(!tell_of_more(f, &c, 64)->is_full, "nobody needs the oldest one");
    fixture_message(f, make_get_state(f, 2, &c, 0, 0, VSR_GET_TRANSFER));
    for (uint32_t ticks = 0; ticks < N; ticks += 2) {
        cr_assert(tell_of_more(f, &c, 64)->is_full, "after %u ticks", ticks);
        fixture_tick(f);
        fixture_tick(f); /* and one in which nothing is heard */
    }
    cr_assert_eq(f->r->peers.costs[2].left_behind, 1);
    cr_assert(!tell_of_more(f, &c, 64)->is_full);
    chain_feed(f, &c, 65, 65);
    chain_free(&c);
    fixture_end(f);
}

/* 4.7: for who is left behind snapshots are saved, but rarely: the log may overrun each before it
 * is there, and each costs the others. */
Test(rule_4_7, who_is_left_behind_costs_no_save_after_another)
{
    struct vsr_replica_options o = fixture_options(3, 1);
    o.catch_up_ticks = 1;
    o.chunk_bytes_max = 1024;
    struct fixture *f = fixture_start(&o);
    struct chain c = chain_make(3, 150);

    chain_feed(f, &c, 8, 8);
    fixture_message(f, make_get_chunk(f, 2, NULL, 0));
    const struct vsr_snapshot sent = f->r->checkpoint.snapshot;
    cr_assert_eq(sent.op, 8);
    chain_feed(f, &c, 72, 72);
    cr_assert(tell_of_more(f, &c, 72)->is_full, "the log behind it is kept");
    fixture_tick(f);
    cr_assert(f->r->peers.is_left_behind[2]);
    chain_feed(f, &c, 82, 82);
    cr_assert_gt(seen(f).log_start, sent.op);
    f->r->options.catch_up_ticks = 1000; /* not whole before the end of this test */
    fixture_message(f, make_get_chunk(f, 2, &sent, 1024));
    cr_assert_eq(seen(f).counters.snapshots_saved, 2, "it may be quick enough");
    cr_assert_eq(SENT(f, VSR_CHUNK, vsr_chunk)->checkpoint_op, 82);
    chain_feed(f, &c, 120, 120);
    chain_feed(f, &c, 150, 150);
    for (uint32_t ticks = 0; ticks < 8 * o.suspect_ticks; ticks++) {
        cr_assert_eq(fixture_message(f, make_get_chunk(f, 2, &sent, 1024 * (ticks % 2))),
                     VSR_DROP_NOT_HELD);
        fixture_tick(f);
    }
    fixture_message(f, make_get_chunk(f, 2, &sent, 1024));
    cr_assert_eq(seen(f).counters.snapshots_saved, 3);
    chain_free(&c);
    fixture_end(f);
}

/* 4.6: a heartbeat every T_hb, however much else is said. */
Test(rule_4_6, heartbeat_under_load)
{
    struct load l = begin_load(0);
    uint32_t heartbeats = 0;

    for (uint32_t ticks = 0; ticks < 50; ticks++) {
        cr_assert(push(&l));
        move_to(l.f, seen(l.f).op);
        fixture_tick(l.f);
        heartbeats += fixture_sent_count(l.f, VSR_COMMIT);
    }
    cr_assert_eq(heartbeats, 50 / l.f->options.heartbeat_ticks);
    fixture_end(l.f);
}

/* 6.7: neither a Ping nor a vote nor a question says that anybody follows. */
Test(rule_6_7_abdication, voices_do_not_keep_a_primary)
{
    struct load l = begin_load(0);
    struct chain c = chain_make(3, 1);

    for (uint32_t ticks = 0; ticks < l.f->options.abdicate_ticks; ticks++) {
        cr_assert_eq(seen(l.f).counters.abdications, 0, "after %u ticks", ticks);
        say_all_but_an_ack(l.f, 1, &c);
        say_all_but_an_ack(l.f, 2, &c);
        fixture_tick(l.f);
    }
    cr_assert_eq(seen(l.f).counters.abdications, 1);
    chain_free(&c);
    fixture_end(l.f);
}

/** Ticks with heartbeats and Pings answered, and nothing else; how many Commits there were. */
static uint32_t acknowledge_heartbeats(struct fixture *f, uint32_t ticks)
{
    uint32_t heartbeats = 0;
    struct chain none = chain_make(3, 0);

    for (uint32_t i = 0; i < ticks; i++) {
        for (uint32_t from = 1; from <= 2; from++)
            fixture_message(f, seen(f).is_abdicating
                                   ? make_pong(f, from, 0, &none, 0, 0)
                                   : make_commit_ok(f, from, f->r->heartbeat_sequence));
        fixture_tick(f);
        heartbeats += fixture_sent_count(f, VSR_COMMIT);
    }
    chain_free(&none);
    return heartbeats;
}

/* 6.7: it is answered, and what it prepares is not acknowledged: after T_abdicate it gives up, and
 * is silent for 8 T_abdicate although it is answered. Then it goes on. Without work it stays. */
Test(rule_6_7_abdication, unserved_work_ends_a_primary)
{
    struct load l = begin_load(0);
    const uint32_t patience = l.f->options.abdicate_ticks;

    acknowledge_heartbeats(l.f, 10 * patience);
    cr_assert_eq(seen(l.f).counters.abdications, 0);
    fixture_message(l.f, make_request(l.f, l.session, l.slot, 1, 0));
    fixture_turn_end(l.f);
    cr_assert_gt(acknowledge_heartbeats(l.f, patience - 1), 0);
    cr_assert(!seen(l.f).is_abdicating);
    acknowledge_heartbeats(l.f, 1);
    cr_assert(seen(l.f).is_abdicating);
    cr_assert_eq(acknowledge_heartbeats(l.f, 8 * patience - 1), 0);
    cr_assert(seen(l.f).is_abdicating);
    acknowledge_heartbeats(l.f, 1);
    cr_assert(!seen(l.f).is_abdicating);
    fixture_end(l.f);
}

/* 6.7: an op that waits at a backup which keeps its log for another is no reason to give up, for as
 * long as the backup says so: another view would only begin that transfer again. */
Test(rule_6_7_abdication, full_backup_is_no_reason)
{
    struct load l = begin_load(0);
    struct fixture *f = l.f;
    const uint32_t patience = f->options.abdicate_ticks;

    fixture_message(f, make_request(f, l.session, l.slot, 1, 0));
    fixture_turn_end(f);
    for (uint32_t ticks = 0; ticks < 3 * patience; ticks++) {
        struct vsr_buffer ok = make_commit_ok(f, 2, f->r->heartbeat_sequence);
        BODY(ok, vsr_commit_ok)->is_full = 1;
        fixture_message(f, ok);
        fixture_message(f, make_commit_ok(f, 1, f->r->heartbeat_sequence));
        fixture_tick(f);
        cr_assert(!seen(f).is_abdicating, "after %u ticks", ticks);
    }
    /* It is silent, and what it said last is old. */
    uint32_t ticks = 0;
    for (; !seen(f).is_abdicating; ticks++) {
        cr_assert_lt(ticks, 2 * patience);
        fixture_message(f, make_commit_ok(f, 1, f->r->heartbeat_sequence));
        fixture_tick(f);
    }
    cr_assert_geq(ticks, 2 * patience - 2);
    fixture_end(f);
}

/* 6.7: acknowledged after all, it has nothing left to give up for: it goes on when all that it had
 * is served, not before. To be voted out now would be for nothing. */
Test(rule_6_7_abdication, served_after_all_it_does_not_give_up)
{
    struct load l = begin_load(0);
    struct fixture *f = l.f;
    vsr_session other;
    const uint32_t slot = open_session(f, 2, &other);

    fixture_message(f, make_request(f, l.session, l.slot, 1, 0));
    fixture_turn_end(f);
    fixture_message(f, make_request(f, other, slot, 1, 0));
    fixture_turn_end(f);
    const vsr_op op = seen(f).op;
    for (uint32_t ticks = 0; !f->r->in_view.is_giving_up; ticks++) {
        cr_assert_lt(ticks, 10 * f->options.abdicate_ticks);
        acknowledge_heartbeats(f, 1);
    }
    fixture_message(f, make_prepare_ok(f, 1, op - 1));
    cr_assert_eq(acknowledge_heartbeats(f, f->options.heartbeat_ticks + 1), 0, "not all is served");
    fixture_message(f, make_prepare_ok(f, 1, op));
    cr_assert_eq(seen(f).applied, op);
    cr_assert_gt(acknowledge_heartbeats(f, f->options.heartbeat_ticks + 1), 0);
    cr_assert(!seen(f).is_abdicating);
    fixture_end(f);
}

/* 6.7: T_abdicate is three times what an answer takes, if that is longer. */
Test(rule_6_7_abdication, abdication_follows_round_trips)
{
    struct load l = begin_load(0);
    struct fixture *f = l.f;
    enum { ROUND_TRIP = 25 };

    while (f->r->ticks_to_heartbeat > 1)
        fixture_tick(f);
    fixture_tick(f);
    const uint64_t sequence = f->r->heartbeat_sequence;
    for (uint32_t ticks = 0; ticks < ROUND_TRIP; ticks++)
        fixture_tick(f);
    fixture_message(f, make_commit_ok(f, 1, sequence));
    for (uint32_t ticks = 1; ticks < 3 * ROUND_TRIP; ticks++)
        fixture_tick(f);
    cr_assert(!seen(f).is_abdicating);
    fixture_tick(f);
    cr_assert(seen(f).is_abdicating);
    fixture_end(f);
}

/* 6.7: the answer to an ancient heartbeat that comes again is no round trip: later ones were timed.
 */
Test(rule_6_7_abdication, ancient_answer_is_no_round_trip)
{
    struct load l = begin_load(0);
    struct fixture *f = l.f;

    acknowledge_heartbeats(f, 40 * f->options.heartbeat_ticks);
    const uint32_t round_trip = f->r->peers.round_trip[1];
    fixture_message(f, make_commit_ok(f, 1, 2));
    cr_assert_eq(f->r->peers.round_trip[1], round_trip);
    for (uint32_t ticks = 0; ticks <= f->options.abdicate_ticks; ticks++)
        fixture_tick(f);
    cr_assert(f->r->in_view.is_abdicating);
    fixture_end(f);
}

/* 6.7: nothing is prepared by a primary that has abdicated: it would keep the backups from voting.
 */
Test(rule_6_7_abdication, batch_is_not_closed_meanwhile)
{
    struct load l = begin_load(0);
    struct fixture *f = l.f;

    for (uint32_t ticks = 0; !f->r->in_view.is_abdicating; ticks++) {
        cr_assert_lt(ticks, 10 * f->options.abdicate_ticks);
        fixture_tick(f);
    }
    const vsr_op op = f->r->log.op;
    fixture_message(f, make_request(f, l.session, l.slot, 1, 0));
    fixture_turn_end(f);
    cr_assert_eq(f->r->log.op, op);
    cr_assert_eq(fixture_sent_count(f, VSR_PREPARE), 0);
    acknowledge_heartbeats(f, f->options.abdicate_ticks);
    cr_assert_eq(f->r->log.op, op + 1, "when it goes on");
    fixture_end(f);
}

/* 6.7: after 2^32 ticks of silence a backup votes on, and a primary that has abdicated is silent.
 */
Test(rule_6_7_abdication, ticks_beyond_32_bits)
{
    struct vsr_replica_options o = fixture_options(3, 2);
    struct fixture *backup = fixture_start(&o);
    struct load l = begin_load(0);

    backup->r->ticks_silent = UINT32_MAX - 2;
    for (uint32_t i = 0; i < 4; i++)
        cr_assert_leq(tick_until_sent(backup, VSR_START_VIEW_CHANGE, 2 * o.resend_ticks),
                      2 * o.resend_ticks);
    fixture_free(backup);

    for (uint32_t ticks = 0; !l.f->r->in_view.is_abdicating; ticks++) {
        cr_assert_lt(ticks, 10 * l.f->options.abdicate_ticks);
        fixture_tick(l.f);
    }
    l.f->r->in_view.is_giving_up = true;
    l.f->r->ticks_abdicating = l.f->r->in_view.ticks_unserved = UINT32_MAX;
    acknowledge_heartbeats(l.f, 2);
    cr_assert(!l.f->r->in_view.is_abdicating, "it has been silent for long enough");
    fixture_end(l.f);
}

/* 4.2: with Qr = 1 an op is committed by its own append. One message of 400 requests, one in each
 * op, is no more than a step's effects hold, and all are executed in the end. */
Test(rule_4_2_bound, one_message_of_many_ops)
{
    enum { CLIENTS = 400 };
    const uint32_t size = sizeof(struct vsr_request) + sizeof(struct vsr_register);
    struct vsr_replica_options o = fixture_options(3, 0);
    o.quorum_replication = 1;
    o.quorum_view_change = 3;
    o.batch_requests_max = 1;
    o.sessions_max = 512;
    struct fixture *f = fixture_start(&o);
    struct vsr_buffer all =
        make_header(f, VSR_REQUEST, (uint32_t)sizeof(struct vsr_header) + CLIENTS * size, CLIENT);

    for (uint32_t i = 0; i < CLIENTS; i++) {
        struct vsr_buffer one = make_register(f, 1000 + i);
        memcpy((uint8_t *)(all.header + 1) + i * size, one.header + 1, size);
        fixture_buffers.unref(NULL, one.handle);
    }
    all.header->count = CLIENTS;
    fixture_message(f, all);
    for (uint32_t i = 0; seen(f).applied < CLIENTS; i++) {
        cr_assert_lt(i, 2 * CLIENTS, "%u are executed", (unsigned)seen(f).applied);
        for (uint32_t from = 1; from <= 2; from++) {
            struct vsr_buffer ok = make_prepare_ok(f, from, seen(f).op);
            BODY(ok, vsr_prepare_ok)->applied = seen(f).applied;
            fixture_message(f, ok);
        }
        fixture_turn_end(f);
    }
    cr_assert_eq(seen(f).sessions, CLIENTS);
    fixture_end(f);
}
