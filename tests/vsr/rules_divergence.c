/**
 * Rule 10: states that differ are found while the load goes on, and the minority stops.
 *
 * The fixture's state machine counts: a replica whose counter is changed gives other results from
 * the next request on, as one does whose machine is not deterministic.
 */
#include "leak_check.h"
#include "messages.h"
#include "world.h"

#include <criterion/criterion.h>
#include <signal.h>

LEAK_CHECKED_SUITE(rule_10_states);

static struct world w;
static struct world_answer client;
static uint64_t number;

static void begin(uint32_t replica_count)
{
    struct vsr_replica_options o = fixture_options(replica_count, 0);

    o.chunk_bytes_max = 1024;
    world_start(&w, &o);
    client = world_open(&w, 0, 1);
    world_run(&w, 6);
    number = 0;
}

static const struct vsr_replica *replica(uint32_t i)
{
    return w.replicas[i]->r;
}

/** Requests one behind the other and not one tick: nothing is ever idle. */
static void load(uint32_t count, uint64_t counter)
{
    for (uint32_t i = 0; i < count; i++) {
        world_request(&w, world_primary(&w), client.session, client.slot, ++number, counter);
        world_settle(&w);
    }
}

/** Until it has halted. */
static void load_until_halted(uint32_t i, uint64_t counter)
{
    for (uint32_t k = 0; k < 12 && replica(i)->status != VSR_STATUS_HALTED; k++)
        load(1, counter);
}

/** As much as goes round the log's ring, with time for those who are not there to be missed. */
static void load_a_ring(uint64_t counter)
{
    for (uint32_t i = 0; i < 200; i++) {
        load(1, counter);
        world_run(&w, 1);
    }
    cr_assert_eq(world_answered(&w, client.session, number), 1);
}

static void check_halted(uint32_t i)
{
    cr_assert(world_noticed(&w, i, VSR_NOTICE_DIVERGED), "%u", i);
    cr_assert_eq(replica(i)->status, VSR_STATUS_HALTED);
}

static void check_goes_on(uint32_t i)
{
    cr_assert(!world_noticed(&w, i, VSR_NOTICE_DIVERGED), "%u", i);
    cr_assert_eq(replica(i)->status, VSR_STATUS_NORMAL);
}

/* 10: a backup that deviates halts, a few ops later, under load and without any checkpoint. */
Test(rule_10_states, deviating_backup_halts_under_load)
{
    for (uint32_t bad = 1; bad < 3; bad++) {
        begin(3);
        load(10, 3);
        w.replicas[bad]->counts[3] ^= 64;
        load(4, 3);
        check_halted(bad);
        check_goes_on(0);
        check_goes_on(3 - bad);
        load_a_ring(3);
        check_goes_on(0);
        check_goes_on(3 - bad);
        world_end(&w);
    }
}

/* 10: the primary halts when it is the one that deviates, and the others go on without it. */
Test(rule_10_states, deviating_primary_halts_and_not_the_others)
{
    begin(3);
    load(10, 3);
    w.replicas[0]->counts[3] ^= 64;
    load_until_halted(0, 3);
    check_halted(0);
    world_run(&w, 200);
    check_goes_on(1);
    check_goes_on(2);
    world_request(&w, world_primary(&w), client.session, client.slot, ++number, 4);
    world_run(&w, 10);
    cr_assert_eq(world_answered(&w, client.session, number), 1);
    check_goes_on(1);
    check_goes_on(2);
    cr_assert_eq(w.replicas[1]->counts[3], number - 1);
    world_end(&w);
}

/* 10: of five the two that deviate halt, each in its own way. */
Test(rule_10_states, two_of_five_halt)
{
    begin(5);
    load(5, 3);
    w.replicas[2]->counts[3] ^= 64;
    w.replicas[4]->counts[3] ^= 128;
    load(5, 3);
    check_halted(2);
    check_halted(4);
    for (uint32_t i = 0; i < 4; i++)
        if (i != 2) check_goes_on(i);
    load_a_ring(3);
    world_end(&w);
}

/* 10: three of five differ from the primary: it is the one. */
Test(rule_10_states, primary_of_a_minority_halts)
{
    begin(5);
    load(5, 3);
    w.replicas[0]->counts[3] ^= 64;
    w.replicas[1]->counts[3] ^= 64;
    load_until_halted(0, 3);
    check_halted(0);
    world_run(&w, 300);
    check_halted(1);
    for (uint32_t i = 2; i < 5; i++)
        check_goes_on(i);
    world_end(&w);
}

/* 10: of two nobody knows whose state is right: the primary halts, and so does the cluster. */
Test(rule_10_states, two_that_differ_stop)
{
    begin(2);
    load(5, 3);
    w.replicas[1]->counts[3] ^= 64;
    load_until_halted(0, 3);
    check_halted(0);
    world_run(&w, 300);
    cr_assert_neq(replica(1)->view % 2 == 1 && replica(1)->status == VSR_STATUS_NORMAL, 1,
                  "it does not go on alone");
    world_end(&w);
}

/* 10: without the third nobody knows: it is said, and goes on; with it, it is known. */
Test(rule_10_states, third_decides_when_it_is_back)
{
    begin(3);
    load(5, 3);
    world_isolate(&w, 1);
    w.replicas[2]->counts[3] ^= 64;
    load(5, 3);
    cr_assert(world_noticed(&w, 0, VSR_NOTICE_STATES_DIFFER));
    check_goes_on(0);
    check_goes_on(2);
    world_heal(&w);
    world_run(&w, 30);
    load(3, 3);
    check_halted(2);
    check_goes_on(0);
    check_goes_on(1);
    world_end(&w);
}

/* 10: the digest is a part of the state: who has it from a snapshot, or from the whole log, is
 * compared like the others. */
Test(rule_10_states, digest_comes_with_a_snapshot)
{
    begin(3);
    load(5, 3);
    world_isolate(&w, 2);
    load_a_ring(3);
    world_heal(&w);
    world_converge(&w, 2000);
    cr_assert_eq(replica(2)->counters.snapshots_loaded, 1);
    world_crash(&w, 1);
    world_recover(&w, 1);
    world_converge(&w, 2000);
    load(20, 3);
    world_converge(&w, 2000);
    for (uint32_t i = 0; i < 3; i++) {
        struct vsr_replica_report report;
        vsr_replica_report(replica(i), &report);
        cr_assert_eq(report.results_digest, replica(0)->divergence.digest);
        check_goes_on(i);
    }
    w.replicas[2]->counts[3] ^= 64;
    load(4, 3);
    check_halted(2);
    world_end(&w);
}

/* 10: one that begins anew is not held to what it said before. */
Test(rule_10_states, restarted_replica_is_heard_anew)
{
    begin(3);
    load(5, 3);
    w.replicas[2]->counts[3] ^= 64;
    load(4, 3);
    check_halted(2);
    world_crash(&w, 2);
    world_recover(&w, 2);
    world_converge(&w, 2000);
    load(20, 3);
    cr_assert_eq(replica(2)->status, VSR_STATUS_NORMAL);
    w.replicas[1]->counts[3] ^= 64;
    load(4, 3);
    check_halted(1);
    check_goes_on(0);
    world_end(&w);
}

/** A heartbeat says what a majority's state is at an op. */
static void say_agreed(struct fixture *f, const struct chain *c, vsr_op commit, uint64_t sequence,
                       struct vsr_claim agreed)
{
    struct vsr_buffer b = make_commit(f, commit, chain_checksum(c, commit));

    BODY(b, vsr_commit)->sequence = sequence;
    BODY(b, vsr_commit)->agreed = agreed;
    fixture_message(f, b);
}

/* 10: a claim has no checksum: one message halts nobody, nor does it when it comes again; another
 * one that says so, of whatever op, does. One that says the contrary refutes it. */
Test(rule_10_states, damaged_claim_halts_nobody)
{
    struct chain c = chain_make(3, 6);
    struct fixture *f = fixture_of(3, 1);

    chain_feed(f, &c, 4, 4);
    const struct vsr_claim right = {4, f->r->divergence.digest};
    for (uint64_t sequence = 1; sequence < 20; sequence += 2) {
        for (uint32_t i = 0; i < 3; i++)
            say_agreed(f, &c, 4, sequence, (struct vsr_claim){3 + i % 2, 12345 + sequence});
        say_agreed(f, &c, 4, sequence + 1, right);
        cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
    }
    say_agreed(f, &c, 4, 21, (struct vsr_claim){4, 12345});
    fixture_message(f, copy_of(c.entry[5]));
    cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL, "a Prepare that says nothing of it");
    say_agreed(f, &c, 5, 22, (struct vsr_claim){5, 12345});
    cr_assert_eq(seen(f).status, VSR_STATUS_HALTED);
    chain_free(&c);
    fixture_end(f);
}

/* 10: the primary of two halts when the other's state is not its own, not for a damaged answer. */
Test(rule_10_states, damaged_claim_of_a_backup_halts_nobody)
{
    struct fixture *f = fixture_of(2, 0);
    vsr_session session;

    open_session(f, 7, &session);
    cr_assert_eq(seen(f).applied, 1);
    for (uint32_t i = 0; i < 3; i++) {
        struct vsr_buffer b = make_prepare_ok(f, 1, 1);
        BODY(b, vsr_prepare_ok)->applied = 1;
        BODY(b, vsr_prepare_ok)->own = (struct vsr_claim){1, 12345};
        fixture_message(f, b);
        cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
    }
    tick_until_sent(f, VSR_COMMIT, 10);
    struct vsr_buffer b = make_header(f, VSR_COMMIT_OK, sizeof(struct vsr_commit_ok), 1);
    BODY(b, vsr_commit_ok)->sequence = f->r->heartbeat_sequence;
    BODY(b, vsr_commit_ok)->op = BODY(b, vsr_commit_ok)->applied = 1;
    BODY(b, vsr_commit_ok)->own = (struct vsr_claim){1, 12345};
    /* HALTED is the end, whatever the step has left to do: votes of a quorum lead nowhere. */
    f->r->change.votes[0] = f->r->change.votes[1] = 1;
    f->r->due |= DUE_VOTES;
    fixture_message(f, b);
    cr_assert_eq(seen(f).status, VSR_STATUS_HALTED);
    cr_assert_eq(seen(f).view, 0);
    fixture_end(f);
}

/* 10: what is said of an op that one has not come to waits for it; the first one, not the last. */
Test(rule_10_states, claim_of_an_op_not_yet_executed_waits)
{
    struct chain c = chain_make(3, 6);
    struct vsr_replica_options o = fixture_options(3, 1);
    struct fixture *f = fixture_start(&o);

    chain_feed(f, &c, 6, 3);
    for (vsr_op op = 5; op <= 6; op++) {
        struct vsr_buffer b = make_commit(f, 3, chain_checksum(&c, 3));
        BODY(b, vsr_commit)->agreed = (struct vsr_claim){op, 12345};
        cr_assert_eq(fixture_message(f, b), VSR_DROP_NONE);
    }
    cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
    fixture_message(f, make_commit(f, 4, chain_checksum(&c, 4)));
    cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
    fixture_message(f, make_commit(f, 5, chain_checksum(&c, 5)));
    cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL, "one message has said so");
    say_agreed(f, &c, 5, 1, (struct vsr_claim){5, 12345});
    cr_assert_eq(seen(f).status, VSR_STATUS_HALTED);
    cr_assert(fixture_noticed(f, VSR_NOTICE_DIVERGED));
    chain_free(&c);
    fixture_end(f);
}

/* 10: who has halted executes and saves nothing more: its state is not the cluster's. */
Test(rule_10_states, nothing_is_executed_after_halting)
{
    struct chain c = chain_make(3, 6);
    struct vsr_replica_options o = fixture_options(3, 2);
    o.checkpoint_ops = 2;
    struct fixture *f = fixture_start(&o);

    chain_feed(f, &c, 3, 3);
    f->holds_apply = true;
    chain_feed(f, &c, 6, 6);
    cr_assert_eq(seen(f).applied, 3);
    for (uint64_t sequence = 1; sequence <= 2; sequence++)
        say_agreed(f, &c, 6, sequence, (struct vsr_claim){3, 12345});
    cr_assert_eq(seen(f).status, VSR_STATUS_HALTED);
    f->holds_apply = false;
    fixture_step(f, (struct vsr_event){.kind = VSR_EVENT_APPLIED, .op = f->held_op});
    cr_assert_eq(seen(f).applied, 4);
    cr_assert_eq(seen(f).snapshot_op, 0, "4 is its turn");
    chain_free(&c);
    fixture_end(f);
}

#ifdef VSR_DEBUG_CHECKS
/* state_machine.h: who writes into a payload changes what the other replicas execute. */
Test(rule_10_states, machine_that_writes_into_a_payload_is_found, .signal = SIGABRT, .fini = NULL)
{
    struct chain c = chain_make(3, 3);
    struct vsr_replica_options o = fixture_options(3, 1);
    struct fixture *f = fixture_start(&o);

    f->writes_payload = true;
    chain_feed(f, &c, 3, 3);
}
#endif
