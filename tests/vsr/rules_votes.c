/**
 * Leaving a view, and the timers between views. DESIGN.md, "Rules", 6.1, 6.2 and 6.7.
 */
#include "leak_check.h"
#include "messages.h"

#include <criterion/criterion.h>
#include <string.h>

LEAK_CHECKED_SUITE(rule_6_1);
LEAK_CHECKED_SUITE(rule_6_2);
LEAK_CHECKED_SUITE(rule_6_7);

/** A vote, and the view that it leads to. */
static void vote(struct fixture *f, uint32_t from, vsr_view target, vsr_view expected)
{
    fixture_message(f, make_vote(f, from, target));
    cr_assert_eq(seen(f).view, expected, "in view %llu after %u's vote for %llu",
                 (unsigned long long)seen(f).view, from, (unsigned long long)target);
}

/** Ticks during which the primary is heard. */
static void tick_with_primary(struct fixture *f, uint32_t ticks)
{
    for (uint32_t i = 0; i < ticks; i++) {
        fixture_message(f, make_commit(f, seen(f).commit, f->r->commit_checksum));
        fixture_tick(f);
    }
}

/* 6.1b: suspicion is a vote; the replica stays NORMAL, and goes on acknowledging. */
Test(rule_6_1, suspicious_backup_votes_and_stays_normal)
{
    struct fixture *f = fixture_of(3, 1);
    struct chain c = chain_make(3, 2);

    chain_feed(f, &c, 1, 0);
    tick_until_sent(f, VSR_START_VIEW_CHANGE, 100);
    cr_assert_eq(SENT(f, VSR_START_VIEW_CHANGE, vsr_start_view_change)->target, 1);
    cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
    cr_assert_eq(seen(f).view, 0);
    cr_assert_eq(f->persists, 1, "a vote promises nothing: only the first superblock");
    fixture_message(f, copy_of(c.entry[2]));
    fixture_turn_end(f);
    cr_assert_eq(SENT(f, VSR_PREPARE_OK, vsr_prepare_ok)->op, 2);
    chain_free(&c);
    fixture_end(f);
}

/* 6.1b, 6.7: a vote goes to everybody, every T_resend, as long as the primary is silent. */
Test(rule_6_1, vote_is_repeated)
{
    struct fixture *f = fixture_of(5, 3);

    tick_until_sent(f, VSR_START_VIEW_CHANGE, 100);
    for (uint32_t i = 0; i < 5; i++) {
        cr_assert_eq(tick_until_sent(f, VSR_START_VIEW_CHANGE, 100), f->options.resend_ticks);
        for (uint32_t k = 0; k < f->sent_count; k++)
            if (f->sent[k].buffer.header->type == VSR_START_VIEW_CHANGE)
                cr_assert_eq(f->sent[k].to, 0x17u);
    }
    cr_assert_eq(seen(f).counters.votes, 1, "one round");
    fixture_end(f);
}

/* 6.1b, G1: a target that no view has moves nobody; the highest does, and from there on no vote. */
Test(rule_6_1, target_has_to_be_a_view)
{
    static const vsr_view bad[] = {VSR_VIEW_MAX + 1, UINT64_MAX};
    struct fixture *f = fixture_of(3, 1);

    for (uint32_t i = 0; i < 2; i++) {
        cr_assert_eq(fixture_message(f, make_vote(f, 0, bad[i])), VSR_DROP_MALFORMED);
        cr_assert_eq(fixture_message(f, make_vote(f, 2, bad[i])), VSR_DROP_MALFORMED);
        cr_assert_eq(seen(f).view, 0);
    }
    vote(f, 0, VSR_VIEW_MAX, 0);
    vote(f, 2, VSR_VIEW_MAX, VSR_VIEW_MAX);
    for (uint32_t ticks = 0; ticks < 20 * f->options.suspect_ticks; ticks++) {
        fixture_tick(f);
        cr_assert_eq(fixture_sent_count(f, VSR_START_VIEW_CHANGE), 0);
    }
    cr_assert_eq(seen(f).view, VSR_VIEW_MAX);
    fixture_end(f);
}

/* 6.1b: a valid message from the primary cancels the own vote. */
Test(rule_6_1, vote_is_cancelled_when_the_primary_is_heard)
{
    struct fixture *f = fixture_of(3, 1);
    struct fixture *silent = fixture_of(3, 1);

    tick_until_sent(f, VSR_START_VIEW_CHANGE, 100);
    tick_until_sent(silent, VSR_START_VIEW_CHANGE, 100);
    fixture_message(f, make_commit(f, 0, 0));
    cr_assert(fixture_noticed(f, VSR_NOTICE_PRIMARY_BACK));
    vote(f, 2, 1, 0);
    vote(silent, 2, 1, 1);
    fixture_free(silent);
    fixture_end(f);
}

/* 6.1b, G8: distinct senders count, not messages. */
Test(rule_6_1, votes_of_distinct_senders_count)
{
    struct fixture *f = fixture_of(5, 4);

    for (int i = 0; i < 5; i++)
        vote(f, 1, 1, 0);
    vote(f, 2, 1, 0);
    vote(f, 2, 1, 0);
    vote(f, 3, 1, 1);
    fixture_end(f);
}

/* 6.1b: it takes exactly Qv votes, for every size and quorum, the own one among them or not. */
Test(rule_6_1, votes_needed_are_the_view_change_quorum)
{
    for (uint32_t n = 2; n <= 7; n++) {
        for (uint32_t qv = 2; qv <= n; qv++) {
            struct vsr_replica_options o = fixture_options(n, n - 1);
            o.quorum_view_change = qv;
            o.quorum_replication = n;
            struct fixture *f = fixture_start(&o);
            if (qv == n) tick_until_sent(f, VSR_START_VIEW_CHANGE, 100);
            const uint32_t needed = qv == n ? n - 1 : qv;
            for (uint32_t i = 0; i < needed; i++)
                vote(f, i, 1, i + 1 == needed ? 1 : 0);
            fixture_end(f);
        }
    }
}

/* 6.1b: the view is the Qv-th largest target: the highest that a quorum wants at least. */
Test(rule_6_1, view_is_the_quorums_largest_target)
{
    struct fixture *f = fixture_of(5, 4);

    vote(f, 1, 7, 0);
    vote(f, 2, 5, 0);
    vote(f, 3, 9, 5);
    vote(f, 0, 8, 7);
    fixture_end(f);
}

/* 6.1b: the highest target of a sender counts; an older vote that comes late lowers nothing. */
Test(rule_6_1, late_vote_lowers_nothing)
{
    struct fixture *f = fixture_of(5, 4);

    vote(f, 1, 9, 0);
    cr_assert_eq(fixture_message(f, make_vote(f, 1, 2)), VSR_DROP_STALE);
    vote(f, 2, 9, 0);
    vote(f, 3, 9, 9);
    fixture_end(f);
}

/* 6.1b: a vote that is not repeated is forgotten: T_suspect + 2 T_resend. */
Test(rule_6_1, votes_expire)
{
    const uint32_t life = 30;

    for (uint32_t age = life - 2; age <= life + 1; age++) {
        struct fixture *f = fixture_of(5, 4);
        vote(f, 1, 1, 0);
        vote(f, 2, 1, 0);
        tick_with_primary(f, age);
        vote(f, 3, 1, age < life ? 1 : 0);
        fixture_end(f);
    }
}

/* 6.1b: a vote for no higher view changes nothing; a sender in an older view is told of ours. */
Test(rule_6_1, old_vote_is_answered_with_the_view)
{
    struct fixture *f = fixture_of(3, 2);
    struct chain c = chain_make(3, 0);

    fixture_message(f, make_start_view(f, 4, &c, 0, 0));
    cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
    cr_assert_eq(fixture_message(f, make_vote(f, 0, 4)), VSR_DROP_STALE_VIEW);
    cr_assert_eq(SENT(f, VSR_PONG, vsr_pong)->header.view, 4);
    cr_assert_eq(f->sent[0].to, 1u << 0);
    cr_assert_eq(fixture_message(f, make_vote(f, 0, 4)), VSR_DROP_STALE_VIEW);
    cr_assert_eq(f->sent_count, 0, "not over and over");
    cr_assert_eq(seen(f).view, 4);
    fixture_end(f);
}

/* 6.1b: in VIEW_CHANGE a timeout only votes, too. */
Test(rule_6_1, timeout_in_view_change_only_votes)
{
    struct fixture *f = fixture_of(3, 2);

    leave(f, 1);
    tick_until_sent(f, VSR_START_VIEW_CHANGE, 200);
    cr_assert_eq(SENT(f, VSR_START_VIEW_CHANGE, vsr_start_view_change)->target, 2);
    cr_assert_eq(seen(f).view, 1);
    vote(f, 0, 2, 2);
    fixture_end(f);
}

/* 6.1b: isolated replicas do not inflate views. */
Test(rule_6_1, isolated_replica_stays_in_its_view)
{
    struct fixture *f = fixture_of(5, 3);

    for (int i = 0; i < 5000; i++)
        fixture_tick(f);
    cr_assert_eq(seen(f).view, 0);
    cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
    fixture_end(f);
}

/* Section 13: one replica alone has nobody to vote with. */
Test(rule_6_1, one_replica_never_votes)
{
    struct fixture *f = fixture_of(1, 0);

    for (int i = 0; i < 500; i++) {
        fixture_tick(f);
        cr_assert_eq(f->sent_count, 0);
    }
    cr_assert_eq(seen(f).counters.votes, 0);
    fixture_end(f);
}

/* 6.2, 9.2: the view is durable before a DoViewChange names it. */
Test(rule_6_2, view_is_durable_before_do_view_change)
{
    struct fixture *f = fixture_of(3, 2);

    f->holds_persist = true;
    leave(f, 1);
    cr_assert(fixture_noticed(f, VSR_NOTICE_VIEW_CHANGE));
    cr_assert_eq(f->superblock.view, 1);
    cr_assert_eq(f->superblock.log_view, 0);
    for (int i = 0; i < 100; i++) {
        cr_assert_eq(fixture_sent_count(f, VSR_DO_VIEW_CHANGE), 0);
        fixture_tick(f);
    }
    fixture_persisted(f);
    cr_assert_eq(fixture_sent_count(f, VSR_DO_VIEW_CHANGE), 1);
    cr_assert_eq(f->sent[0].to, 0x3u, "the primary counts it, the others learn of the view");
    fixture_end(f);
}

/* 6.2: DoViewChange says what the log is. */
Test(rule_6_2, do_view_change_names_the_log)
{
    struct fixture *f = fixture_of(3, 2);
    struct chain c = chain_make(3, 5);

    chain_feed(f, &c, 5, 3);
    fixture_message(f, make_vote(f, 0, 1));
    fixture_message(f, make_vote(f, 1, 1));
    const struct vsr_do_view_change *do_view_change =
        SENT(f, VSR_DO_VIEW_CHANGE, vsr_do_view_change);
    cr_assert_not_null(do_view_change);
    cr_assert_eq(do_view_change->header.view, 1);
    cr_assert_eq(do_view_change->log_view, 0);
    cr_assert_eq(do_view_change->log_start, 0);
    cr_assert_eq(do_view_change->op, 5);
    cr_assert_eq(do_view_change->checksum, chain_checksum(&c, 5));
    cr_assert_eq(do_view_change->commit, 3);
    cr_assert_eq(do_view_change->commit_checksum, chain_checksum(&c, 3));
    chain_free(&c);
    fixture_end(f);
}

/* 6.2, 6.6: between views nothing of the old view is appended, committed or acknowledged. */
Test(rule_6_2, log_is_frozen)
{
    struct fixture *f = fixture_of(3, 2);
    struct chain c = chain_make(3, 6);

    chain_feed(f, &c, 5, 3);
    struct vsr_buffer commit = make_commit(f, 5, chain_checksum(&c, 5));
    leave(f, 1);
    cr_assert_eq(fixture_message(f, copy_of(c.entry[6])), VSR_DROP_STALE_VIEW);
    cr_assert_eq(fixture_message(f, commit), VSR_DROP_STALE_VIEW);
    for (int i = 0; i < 50; i++) {
        fixture_tick(f);
        fixture_turn_end(f);
        cr_assert_eq(fixture_sent_count(f, VSR_PREPARE_OK), 0);
        cr_assert_eq(fixture_sent_count(f, VSR_COMMIT_OK), 0);
    }
    cr_assert(chain_is_log(&c, f, 5));
    cr_assert_eq(seen(f).commit, 3);
    cr_assert_eq(seen(f).log_view, 0);
    chain_free(&c);
    fixture_end(f);
}

/* 6.2: an op whose execution is under way is finished, and nobody is answered. */
Test(rule_6_2, execution_under_way_is_finished)
{
    struct fixture *f = fixture_of(3, 0);
    vsr_session session;
    uint32_t slot = open_session(f, 1, &session);

    f->holds_apply = true;
    for (uint64_t number = 1; number <= 2; number++) {
        fixture_message(f, make_request(f, session, slot, number, 0));
        fixture_turn_end(f);
        acknowledge_all(f);
        if (number == 1) continue;
        leave(f, 1);
    }
    f->holds_apply = false;
    fixture_step(f, (struct vsr_event){.kind = VSR_EVENT_APPLIED, .op = f->held_op});
    cr_assert_eq(seen(f).applied, seen(f).commit);
    cr_assert_null(fixture_reply(f, 0));
    fixture_end(f);
}

/* 6.2: what the old primary has not put in its log is forgotten; what it said is still sent. */
Test(rule_6_2, old_primary_forgets_what_waits)
{
    struct fixture *f = fixture_of(3, 0);
    vsr_session session;
    uint32_t slot = open_session(f, 1, &session);

    fixture_message(f, make_request(f, session, slot, 1, 0));
    fixture_turn_end(f);
    acknowledge_all(f); /* its reply waits for the turn's end */
    fixture_message(f, make_request(f, session, slot, 2, 0));
    fixture_message(f, make_vote(f, 1, 1));
    fixture_message(f, make_vote(f, 2, 1));
    cr_assert_eq(fixture_reply(f, 0)->number, 1);
    cr_assert_eq(seen(f).op, 2);
    cr_assert_eq(fixture_message(f, make_request(f, session, slot, 2, 0)), VSR_DROP_STATUS);
    fixture_end(f);
}

/* G6, G7: when the view moves on before it is durable, only the last one is spoken of. */
Test(rule_6_2, view_that_moves_on_while_it_is_persisted)
{
    struct fixture *f = fixture_of(3, 2);

    f->holds_persist = true;
    leave(f, 1);
    leave(f, 4);
    cr_assert_eq(f->superblock.view, 1, "one at a time");
    fixture_persisted(f);
    cr_assert_eq(fixture_sent_count(f, VSR_DO_VIEW_CHANGE), 0);
    cr_assert_eq(f->superblock.view, 4);
    fixture_persisted(f);
    cr_assert_eq(SENT(f, VSR_DO_VIEW_CHANGE, vsr_do_view_change)->header.view, 4);
    fixture_end(f);
}

/* 6.7: T_suspect is staggered by id, so that one replica votes first. */
Test(rule_6_7, suspicion_is_staggered)
{
    for (uint32_t replica = 1; replica < 7; replica++) {
        struct fixture *f = fixture_of(7, replica);
        uint32_t ticks = tick_until_sent(f, VSR_START_VIEW_CHANGE, 100);
        cr_assert(ticks >= 20 + 3 * replica && ticks < 25 + 3 * replica, "replica %u: %u ticks",
                  replica, ticks);
        cr_assert(fixture_noticed(f, VSR_NOTICE_PRIMARY_SILENT));
        fixture_end(f);
    }
}

/* 6.7: T_suspect runs anew with every Prepare and Commit. */
Test(rule_6_7, heard_primary_is_not_suspected)
{
    struct fixture *f = fixture_of(3, 1);
    struct chain c = chain_make(3, 40);

    for (vsr_op op = 1; op <= 40; op++) {
        for (int i = 0; i < 15; i++) {
            fixture_tick(f);
            cr_assert_eq(fixture_sent_count(f, VSR_START_VIEW_CHANGE), 0);
        }
        fixture_message(f, op % 2 == 0 ? copy_of(c.entry[op]) : make_commit(f, 0, 0));
    }
    chain_free(&c);
    fixture_end(f);
}

/* 6.7: T_vc doubles with every view change in a row that does not end, five times at most. */
Test(rule_6_7, view_change_timeout_backs_off)
{
    struct fixture *f = fixture_of(3, 2);

    for (uint32_t attempts = 0; attempts < 8; attempts++) {
        leave(f, attempts + 1);
        const uint32_t least = f->options.suspect_ticks << (attempts < 5 ? attempts : 5);
        uint32_t ticks = tick_until_sent(f, VSR_START_VIEW_CHANGE, 2000);
        cr_assert(ticks >= least, "attempt %u: %u ticks", attempts, ticks);
        cr_assert(ticks <= least + f->options.suspect_ticks + f->options.resend_ticks,
                  "attempt %u: %u ticks", attempts, ticks);
    }
    fixture_end(f);
}

/* 6.7: the backoff outlives a view that starts; it ends after 3 T_suspect, as grown, of being
 * NORMAL. */
Test(rule_6_7, backoff_ends_after_a_stable_time)
{
    struct chain c = chain_make(3, 0);

    for (int more = -1; more <= 0; more++) {
        struct fixture *f = fixture_of(3, 2);
        leave(f, 1);
        leave(f, 2);
        leave(f, 3);
        fixture_message(f, make_start_view(f, 3, &c, 0, 0));
        cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
        const uint32_t stable = (uint32_t)((int)(3 * f->r->suspect_ticks) + more);
        cr_assert_geq(f->r->suspect_ticks, f->options.suspect_ticks << 2, "two attempts");
        tick_with_primary(f, stable);
        leave(f, 4);
        uint32_t ticks = tick_until_sent(f, VSR_START_VIEW_CHANGE, 2000);
        cr_assert_eq(ticks >= 80, more < 0, "%u ticks of calm, then %u", stable, ticks);
        fixture_end(f);
    }
}

/* 6.7: nor does a view last that ends before its own primary would have given it up. */
Test(rule_6_7, backoff_outlives_a_primary_s_patience)
{
    struct vsr_replica_options o = fixture_options(3, 2);
    struct chain c = chain_make(3, 0);

    o.abdicate_ticks = 10 * o.suspect_ticks;
    for (int more = -1; more <= 0; more++) {
        struct fixture *f = fixture_start(&o);
        for (uint32_t view = 1; view <= 3; view++)
            leave(f, view);
        fixture_message(f, make_start_view(f, 3, &c, 0, 0));
        cr_assert_eq(f->r->status, VSR_STATUS_NORMAL);
        const uint32_t stable = 2 * (o.abdicate_ticks << 2);
        cr_assert_gt(stable, 3 * f->r->suspect_ticks);
        tick_with_primary(f, (uint32_t)((int)stable + more));
        leave(f, 4);
        const uint32_t ticks = tick_until_sent(f, VSR_START_VIEW_CHANGE, 2000);
        cr_assert_eq(ticks >= o.suspect_ticks << 3, more < 0, "%u ticks of calm, then %u",
                     (uint32_t)((int)stable + more), ticks);
        fixture_end(f);
    }
    chain_free(&c);
}

/* 6.7: DoViewChange is repeated every T_resend, and always says the same. */
Test(rule_6_7, do_view_change_is_repeated)
{
    struct fixture *f = fixture_of(3, 2);
    struct chain c = chain_make(3, 4);

    chain_feed(f, &c, 4, 2);
    leave(f, 1);
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(tick_until_sent(f, VSR_DO_VIEW_CHANGE, 100), f->options.resend_ticks);
        const struct vsr_do_view_change *do_view_change =
            SENT(f, VSR_DO_VIEW_CHANGE, vsr_do_view_change);
        cr_assert_eq(do_view_change->op, 4);
        cr_assert_eq(do_view_change->commit, 2);
        cr_assert_eq(fixture_sent_count(f, VSR_PING), 1, "and asks who is there");
    }
    chain_free(&c);
    fixture_end(f);
}

/* 6.7: StartView is repeated every T_resend to those that have not answered in the view. */
Test(rule_6_7, start_view_is_repeated_until_answered)
{
    struct fixture *f = fixture_of(3, 1);
    struct chain c = chain_make(3, 0);

    fixture_message(f, make_do_view_change(f, 2, 1, 0, &c, 0, 0));
    cr_assert_eq(fixture_sent_count(f, VSR_START_VIEW), 1);
    cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
    fixture_message(f, make_prepare_ok(f, 2, 0));
    tick_until_sent(f, VSR_START_VIEW, 10);
    for (uint32_t i = 0; i < f->sent_count; i++)
        if (f->sent[i].buffer.header->type == VSR_START_VIEW) cr_assert_eq(f->sent[i].to, 1u << 0);
    fixture_message(f, make_prepare_ok(f, 0, 0));
    for (int i = 0; i < 20; i++) {
        fixture_tick(f);
        cr_assert_eq(fixture_sent_count(f, VSR_START_VIEW), 0);
    }
    fixture_end(f);
}

/** Ticks of an idle primary; counts what it says of its being the primary. */
static uint32_t claims(struct fixture *f, uint32_t ticks)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < ticks; i++) {
        fixture_tick(f);
        count += fixture_sent_count(f, VSR_COMMIT) + fixture_sent_count(f, VSR_PREPARE) +
                 fixture_sent_count(f, VSR_START_VIEW);
    }
    return count;
}

/* 6.7: a primary that hears no quorum for T_abdicate says nothing more as a primary, until it
 * does. */
Test(rule_6_7, deaf_primary_falls_silent)
{
    struct fixture *f = fixture_of(3, 0);
    struct vsr_replica_report report;

    fixture_message(f, make_register(f, 1));
    fixture_turn_end(f);
    cr_assert_gt(claims(f, 29), 0);
    cr_assert(!seen(f).is_abdicating);
    fixture_tick(f);
    cr_assert(seen(f).is_abdicating);
    cr_assert(fixture_noticed(f, VSR_NOTICE_ABDICATED));
    cr_assert_eq(claims(f, 100), 0);

    /* What it prepared now would keep the backups from voting. */
    fixture_message(f, make_register(f, 2));
    fixture_turn_end(f);
    cr_assert_eq(seen(f).op, 1);
    tick_until_sent(f, VSR_PING, 10);

    fixture_message(f, make_prepare_ok(f, 2, 1));
    fixture_tick(f);
    cr_assert(!seen(f).is_abdicating);
    fixture_turn_end(f);
    cr_assert_eq(seen(f).op, 2, "what waited goes out");
    cr_assert_gt(claims(f, 10), 0);
    vsr_replica_report(f->r, &report);
    cr_assert_eq(report.counters.abdications, 1);
    fixture_end(f);
}

/* 6.7, 16: every peer counts for itself: Qr - 1 distinct backups have to be heard. */
Test(rule_6_7, abdication_counts_distinct_backups)
{
    for (uint32_t heard = 1; heard <= 2; heard++) {
        struct fixture *f = fixture_of(5, 0);
        struct chain c = chain_make(5, 0);
        for (int i = 0; i < 60; i++) {
            for (uint32_t from = 1; from <= heard; from++) {
                fixture_message(f, make_pong(f, from, 0, &c, 0, 0));
                fixture_message(f, make_pong(f, from, 0, &c, 0, 0));
            }
            fixture_tick(f);
        }
        cr_assert_eq(seen(f).is_abdicating, heard < 2);
        fixture_end(f);
    }
}

/* 6.7: voices of another view are no help to a primary. */
Test(rule_6_7, voices_of_another_view_do_not_count)
{
    struct fixture *f = fixture_of(3, 1);
    struct chain c = chain_make(3, 0);

    fixture_message(f, make_do_view_change(f, 2, 1, 0, &c, 0, 0));
    cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
    for (int i = 0; i < 60; i++) {
        struct vsr_buffer b = make_prepare_ok(f, 2, 0);
        b.header->view = 0;
        fixture_message(f, b);
        fixture_tick(f);
    }
    cr_assert(seen(f).is_abdicating);
    fixture_end(f);
}

/* 6.7: a silent primary follows the others' votes. */
Test(rule_6_7, abdicated_primary_leaves_with_the_others)
{
    struct fixture *f = fixture_of(3, 0);

    claims(f, 40);
    cr_assert(seen(f).is_abdicating);
    leave(f, 1);
    cr_assert(!seen(f).is_abdicating);
    fixture_end(f);
}

/* 6.7, 16: and votes itself: those who wait for another view may lack just its vote. It takes the
 * vote back when it hears a quorum again. */
Test(rule_6_7, abdicated_primary_votes)
{
    for (int is_heard = 0; is_heard < 2; is_heard++) {
        struct fixture *f = fixture_of(3, 0);
        claims(f, 40);
        tick_until_sent(f, VSR_START_VIEW_CHANGE, 10);
        cr_assert_eq(SENT(f, VSR_START_VIEW_CHANGE, vsr_start_view_change)->target, 1);
        cr_assert_eq(seen(f).view, 0);
        if (is_heard) {
            fixture_message(f, make_prepare_ok(f, 2, 0));
            fixture_tick(f);
        }
        vote(f, 1, 1, is_heard ? 0 : 1);
        fixture_end(f);
    }
}
