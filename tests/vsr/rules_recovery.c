/**
 * A replica that has lost its memory. DESIGN.md, "Rules", 8.1, 8.3 and 9.2.
 */
#include "leak_check.h"
#include "messages.h"
#include "world.h"

#include <criterion/criterion.h>
#include <string.h>

LEAK_CHECKED_SUITE(rule_8_1);
LEAK_CHECKED_SUITE(rule_8_3);
LEAK_CHECKED_SUITE(rule_9_2);

static struct fixture *recover(uint32_t replica_count, uint32_t replica, vsr_view view)
{
    struct vsr_replica_options o = fixture_options(replica_count, replica);
    return fixture_recover(&o, (struct vsr_superblock){.view = view, .incarnation = 1});
}

/** An answer to its Recovery, with the log c; returns whether it asks for that log now. */
static bool answer(struct fixture *f, uint32_t from, vsr_view view, const struct chain *c)
{
    cr_assert_eq(fixture_message(f, make_recovery_response(f, from, view, c, c->op, c->op - 1)),
                 VSR_DROP_NONE);
    return fixture_sent_count(f, VSR_GET_STATE) == 1;
}

/* 8.1: only NORMAL replicas answer, with what they are and the nonce of the question. */
Test(rule_8_1, normal_replica_answers)
{
    struct chain c = chain_make(3, 4);
    struct fixture *f = fixture_of(3, 2);

    chain_feed(f, &c, 4, 3);
    cr_assert_eq(fixture_message(f, make_recovery(f, 1, 0, 99)), VSR_DROP_NONE);
    const struct vsr_recovery_response *response =
        SENT(f, VSR_RECOVERY_RESPONSE, vsr_recovery_response);
    cr_assert_eq(receivers(f, VSR_RECOVERY_RESPONSE), 1u << 1);
    cr_assert_eq(response->nonce, 99);
    cr_assert_eq(response->header.view, 0);
    cr_assert_eq(response->op, 4);
    cr_assert_eq(response->checksum, chain_checksum(&c, 4));
    cr_assert_eq(response->commit, 3);
    cr_assert_eq(response->commit_checksum, chain_checksum(&c, 3));
    chain_free(&c);
    fixture_end(f);
}

/* 8.1: between views, recovering or halted: no answer. */
Test(rule_8_1, others_do_not_answer)
{
    struct chain c = chain_make(3, 4);
    struct fixture *f = fixture_of(3, 2);

    chain_feed(f, &c, 4, 3);
    leave(f, 1);
    cr_assert_eq(fixture_message(f, make_recovery(f, 1, 1, 99)), VSR_DROP_STATUS);
    cr_assert_eq(fixture_message(f, make_recovery(f, 1, 0, 99)), VSR_DROP_STATUS);
    cr_assert_eq(f->sent_count, 0);
    fixture_message(f, make_start_view(f, 1, &c, 1, 1)); /* halts */
    cr_assert_eq(fixture_message(f, make_recovery(f, 1, 1, 99)), VSR_DROP_STATUS);
    fixture_free(f);

    f = recover(3, 2, 1);
    cr_assert_eq(fixture_message(f, make_recovery(f, 1, 1, 99)), VSR_DROP_STATUS);
    chain_free(&c);
    fixture_end(f);
}

/* 8.1: enough distinct answers, all from others: N - Qv + 1 of them, or what the option says. */
Test(rule_8_1, enough_distinct_answers_are_needed)
{
    struct chain c = chain_make(5, 3);

    for (uint32_t quorum = 0; quorum <= 4; quorum++) {
        struct vsr_replica_options o = fixture_options(5, 2);
        o.recovery_quorum = quorum;
        struct fixture *f = fixture_recover(&o, (struct vsr_superblock){.incarnation = 1});
        static const uint32_t order[] = {0, 4, 3, 1}; /* the primary first */
        const uint32_t needed = quorum != 0 ? quorum : 3;
        for (uint32_t i = 0; i < needed; i++) {
            cr_assert_eq(answer(f, order[i], 0, &c), i + 1 == needed, "quorum %u, answer %u",
                         quorum, i);
            if (i + 1 < needed) cr_assert(!answer(f, order[i], 0, &c), "twice is no two");
        }
        fixture_free(f);
    }
    chain_free(&c);
    cr_assert_eq(fixture_buffers_live, 0);
}

/* 8.1: the log comes from the primary of the largest view among the answers, and from nobody else.
 */
Test(rule_8_1, primary_of_the_largest_view_is_needed)
{
    struct chain c = chain_make(5, 3);
    struct fixture *f = recover(5, 2, 0);

    cr_assert(!answer(f, 3, 8, &c)); /* primary of 8 */
    cr_assert(!answer(f, 1, 8, &c));
    cr_assert(!answer(f, 0, 9, &c)); /* a backup in 9, whose primary is 4 */
    cr_assert(answer(f, 4, 9, &c));
    cr_assert_eq(receivers(f, VSR_GET_STATE), 1u << 4);
    cr_assert_eq(seen(f).view, 9);
    cr_assert_eq(seen(f).status, VSR_STATUS_RECOVERING);
    chain_free(&c);
    fixture_end(f);
}

/* 8.1: a primary's answer from before it lost its view is no primary's answer. */
Test(rule_8_1, answers_that_straddle_views_are_asked_again)
{
    struct chain c = chain_make(3, 3);
    struct fixture *f = recover(3, 2, 0);

    cr_assert(!answer(f, 1, 5, &c)); /* a backup: 5's primary is we */
    cr_assert(!answer(f, 0, 3, &c)); /* primary of 3 */
    cr_assert_leq(tick_until_sent(f, VSR_RECOVERY, 10), f->options.resend_ticks);
    cr_assert_eq(receivers(f, VSR_RECOVERY), 0x3u);
    /* The newer answers take the place of the older ones. */
    cr_assert(!answer(f, 1, 6, &c));
    cr_assert(answer(f, 0, 6, &c));
    chain_free(&c);
    fixture_end(f);
}

/* 8.1: when the view's primary is we, nobody has its log: the next view has to come. */
Test(rule_8_1, own_view_waits_for_the_next)
{
    struct chain c = chain_make(3, 3);
    struct fixture *f = recover(3, 1, 0);

    cr_assert(!answer(f, 0, 4, &c));
    cr_assert(!answer(f, 2, 4, &c));
    for (int i = 0; i < 100; i++) {
        fixture_tick(f);
        cr_assert_eq(fixture_sent_count(f, VSR_GET_STATE), 0);
    }
    cr_assert(!answer(f, 0, 5, &c));
    cr_assert(answer(f, 2, 5, &c));
    chain_free(&c);
    fixture_end(f);
}

/* 8.1: an answer to another question is none; every life and every new start has its own nonce. */
Test(rule_8_1, nonces_are_never_used_again)
{
    struct chain c = chain_make(3, 3);
    struct vsr_replica_options o = fixture_options(3, 2);
    uint64_t nonces[4];

    for (uint32_t life = 0; life < 4; life++) {
        struct fixture *f = fixture_recover(&o, (struct vsr_superblock){.incarnation = 1 + life});
        nonces[life] = SENT(f, VSR_RECOVERY, vsr_recovery)->nonce;
        for (uint32_t i = 0; i < life; i++) {
            struct vsr_buffer b = make_recovery_response(f, 0, 0, &c, 3, 2);
            BODY(b, vsr_recovery_response)->nonce = nonces[i];
            cr_assert_neq(nonces[i], nonces[life]);
            cr_assert_eq(fixture_message(f, b), VSR_DROP_WRONG_NONCE);
        }
        cr_assert_leq(tick_until_sent(f, VSR_RECOVERY, 10), f->options.resend_ticks);
        cr_assert_eq(SENT(f, VSR_RECOVERY, vsr_recovery)->nonce, nonces[life], "the same question");
        fixture_free(f);
    }
    chain_free(&c);
    cr_assert_eq(fixture_buffers_live, 0);
}

/* 8.1: before its incarnation is durable nothing has been asked, and 0 is no question's nonce. */
Test(rule_8_1, answers_before_the_question_are_none)
{
    struct chain c = chain_make(3, 3);
    const struct vsr_replica_options o = fixture_options(3, 2);
    struct fixture *f = fixture_create(&o);

    f->holds_persist = true;
    fixture_step(f, (struct vsr_event){.kind = VSR_EVENT_RECOVER});
    for (uint32_t from = 0; from < 2; from++) {
        struct vsr_buffer b = make_recovery_response(f, from, 0, &c, 3, 2);
        BODY(b, vsr_recovery_response)->nonce = 0;
        cr_assert_eq(fixture_message(f, b), VSR_DROP_WRONG_NONCE);
        cr_assert_eq(f->sent_count, 0);
    }
    chain_free(&c);
    fixture_end(f);
}

/* 8.1: a primary that stops answering: everything is asked anew, with a new nonce. */
Test(rule_8_1, primary_that_goes_on_without_us_is_given_up)
{
    struct chain c = chain_make(3, 3);
    struct fixture *f = recover(3, 2, 0);
    const uint64_t nonce = f->r->recovery.nonce;

    answer(f, 1, 0, &c);
    cr_assert(answer(f, 0, 0, &c));
    struct vsr_buffer late = make_new_state(f, 0, &c, 0, 3, 3, 2);
    struct vsr_buffer late_answer = make_recovery_response(f, 1, 0, &c, 3, 2);
    tick_until_sent(f, VSR_RECOVERY, 2000);
    cr_assert_neq(f->r->recovery.nonce, nonce);
    cr_assert_eq(fixture_message(f, late), VSR_DROP_WRONG_NONCE);
    cr_assert_eq(fixture_message(f, late_answer), VSR_DROP_WRONG_NONCE);
    cr_assert(!answer(f, 1, 1, &c));
    cr_assert_eq(seen(f).op, 0);
    chain_free(&c);
    fixture_end(f);
}

/* 8.1: what is asked again goes round: a backup passes it on to its primary, which answers to all,
 * and a backup passes that on. The first question does not, nor what was passed on already. */
Test(rule_8_1, repeated_question_goes_round)
{
    struct chain c = chain_make(3, 4);
    struct fixture *backup = fixture_of(3, 2);
    struct fixture *primary = fixture_of(3, 0);

    fixture_message(backup, make_recovery(backup, 1, 0, 99));
    cr_assert_eq(fixture_sent_count(backup, VSR_RECOVERY), 0);
    struct vsr_buffer again = make_recovery(backup, 1, 0, 99);
    BODY(again, vsr_recovery)->way = VSR_WAY_ROUND;
    fixture_message(backup, again);
    cr_assert_eq(receivers(backup, VSR_RECOVERY), 1u << 0);
    cr_assert_eq(receivers(backup, VSR_RECOVERY_RESPONSE), 1u << 1);
    struct vsr_buffer passed = make_recovery(primary, 1, 0, 99);
    memcpy(passed.header, fixture_sent(backup, VSR_RECOVERY, 0), sizeof(struct vsr_recovery));
    cr_assert_eq(passed.header->from, 1);

    fixture_message(primary, copy_of(passed));
    cr_assert_eq(receivers(primary, VSR_RECOVERY_RESPONSE), 1u << 1 | 1u << 2);
    struct vsr_buffer answer = make_recovery_response(backup, 0, 0, &c, 0, 0);
    memcpy(answer.header, fixture_sent(primary, VSR_RECOVERY_RESPONSE, 0),
           sizeof(struct vsr_recovery_response));
    fixture_message(backup, copy_of(answer));
    cr_assert_eq(receivers(backup, VSR_RECOVERY_RESPONSE), 1u << 1);
    cr_assert_eq(SENT(backup, VSR_RECOVERY_RESPONSE, vsr_recovery_response)->nonce, 99);
    cr_assert_eq(fixture_sent(backup, VSR_RECOVERY_RESPONSE, 0)->from, 0);

    fixture_message(backup, passed);
    cr_assert_eq(fixture_sent_count(backup, VSR_RECOVERY), 0, "not again");
    answer.header->view = 3; /* not ours; its primary is the same */
    cr_assert_eq(fixture_message(backup, answer), VSR_DROP_STALE_VIEW);
    fixture_free(primary);
    chain_free(&c);
    fixture_end(backup);
}

/* 8.1: an answer for another replica that recovers, with the same nonce, is none. */
Test(rule_8_1, answer_for_another_replica_is_not_taken)
{
    struct chain c = chain_make(3, 4);
    struct fixture *f = recover(3, 2, 0);

    answer(f, 1, 0, &c);
    struct vsr_buffer b = make_recovery_response(f, 0, 0, &c, 4, 4);
    BODY(b, vsr_recovery_response)->asker = 1;
    cr_assert_eq(fixture_message(f, b), VSR_DROP_MISDELIVERED);
    cr_assert_eq(f->r->transfer.kind, TRANSFER_NONE);
    chain_free(&c);
    fixture_end(f);
}

/* 8.1: state and log are installed, made durable, then the replica is NORMAL and acknowledges. */
Test(rule_8_1, state_is_installed_then_durable_then_used)
{
    struct chain c = chain_make(3, 5);
    struct fixture *f = recover(3, 2, 0);
    struct vsr_replica_report report;

    cr_assert(fixture_noticed(f, VSR_NOTICE_RECOVERING));
    f->holds_persist = true;
    answer(f, 0, 4, &c);
    cr_assert(answer(f, 1, 4, &c));
    cr_assert_eq(SENT(f, VSR_GET_STATE, vsr_get_state)->flags, VSR_GET_TRANSFER);
    fixture_message(f, make_new_state(f, 1, &c, 0, 3, 5, 4));
    cr_assert_eq(seen(f).op, 0, "all or nothing");
    fixture_message(f, make_new_state(f, 1, &c, 3, 5, 5, 4));
    cr_assert(chain_is_log(&c, f, 5));
    cr_assert_eq(f->superblock.view, 4);
    cr_assert_eq(f->superblock.log_view, 4);
    cr_assert_eq(seen(f).status, VSR_STATUS_RECOVERING);
    for (int i = 0; i < 30; i++) {
        fixture_tick(f);
        cr_assert_eq(f->sent_count, 0);
    }
    fixture_persisted(f);
    cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
    cr_assert(fixture_noticed(f, VSR_NOTICE_RECOVERED));
    cr_assert_eq(SENT(f, VSR_PREPARE_OK, vsr_prepare_ok)->op, 5);
    cr_assert_eq(seen(f).applied, 4);
    cr_assert_eq(seen(f).sessions, 1, "the client table is the log's");
    vsr_replica_report(f->r, &report);
    cr_assert_eq(report.counters.recoveries, 1);
    cr_assert_eq(fixture_message(f, make_recovery_response(f, 0, 4, &c, 5, 4)), VSR_DROP_STATUS);
    chain_free(&c);
    fixture_end(f);
}

/* G1, 8.1: answers that do not fit; answers after the log is installed. */
Test(rule_8_1, answers_that_do_not_fit_are_dropped)
{
    struct chain c = chain_make(3, 5);
    struct fixture *f = recover(3, 2, 0);

    cr_assert_eq(fixture_message(f, make_recovery_response(f, 0, 0, &c, 3, 5)), VSR_DROP_MALFORMED);
    cr_assert_eq(fixture_message(f, make_new_state(f, 0, &c, 0, 5, 5, 4)), VSR_DROP_WRONG_NONCE);
    answer(f, 0, 0, &c);
    cr_assert(answer(f, 1, 0, &c));
    f->holds_persist = true;
    fixture_message(f, make_new_state(f, 0, &c, 0, 5, 5, 4));
    chain_free(&c);
    fixture_end(f);
}

/* G4, I19: a recovering replica takes part in nothing. */
Test(rule_8_1, recovering_replica_takes_part_in_nothing)
{
    struct chain c = chain_make(3, 5);
    struct fixture *f = recover(3, 1, 3);

    cr_assert_eq(fixture_message(f, make_vote(f, 0, 4)), VSR_DROP_STATUS);
    cr_assert_eq(fixture_message(f, make_do_view_change(f, 0, 4, 0, &c, 5, 3)), VSR_DROP_STATUS);
    cr_assert_eq(fixture_message(f, make_start_view(f, 5, &c, 5, 3)), VSR_DROP_STATUS);
    cr_assert_eq(fixture_message(f, make_pong(f, 0, 3, &c, 5, 3)), VSR_DROP_STATUS);
    cr_assert_eq(fixture_message(f, make_ping(f, 0, 3)), VSR_DROP_STATUS);
    cr_assert_eq(fixture_message(f, copy_of(c.entry[1])), VSR_DROP_STATUS);
    cr_assert_eq(fixture_message(f, make_commit(f, 0, 0)), VSR_DROP_STATUS);
    cr_assert_eq(fixture_message(f, make_get_state(f, 0, &c, 0, 0, 0)), VSR_DROP_STATUS);
    cr_assert_eq(fixture_message(f, make_get_chunk(f, 0, NULL, 0)), VSR_DROP_STATUS);
    cr_assert_eq(fixture_message(f, make_register(f, 5)), VSR_DROP_STATUS);
    for (int i = 0; i < 300; i++) {
        fixture_tick(f);
        cr_assert_eq(f->sent_count, fixture_sent_count(f, VSR_RECOVERY));
    }
    cr_assert_eq(seen(f).view, 3);
    chain_free(&c);
    fixture_end(f);
}

/* 8.3: what was persisted was promised: an answer from an older view does not count. */
Test(rule_8_3, older_views_than_the_persisted_one_do_not_count)
{
    struct chain c = chain_make(3, 3);
    struct fixture *f = recover(3, 2, 4);

    cr_assert(!answer(f, 0, 3, &c)); /* its primary */
    cr_assert(!answer(f, 1, 3, &c));
    cr_assert_eq(seen(f).view, 4);
    cr_assert(!answer(f, 0, 4, &c));
    cr_assert(answer(f, 1, 4, &c)); /* the persisted one itself will do */
    chain_free(&c);
    fixture_end(f);
}

/* 8.3: the Recovery carries the persisted view; the question is asked when the new incarnation is
 * durable. */
Test(rule_8_3, incarnation_is_durable_before_anything_is_said)
{
    struct vsr_replica_options o = fixture_options(3, 2);
    o.incarnation = 8;
    struct fixture *f = fixture_create(&o);

    f->holds_persist = true;
    fixture_step(f, (struct vsr_event){
                        .kind = VSR_EVENT_RECOVER,
                        .superblock = {.view = 5, .log_view = 3, .epoch = 0, .incarnation = 7}});
    cr_assert_eq(f->superblock.incarnation, 8);
    cr_assert_eq(f->superblock.view, 5);
    cr_assert_eq(f->superblock.log_view, 3);
    for (int i = 0; i < 100; i++) {
        cr_assert_eq(f->sent_count, 0);
        fixture_tick(f);
    }
    fixture_persisted(f);
    cr_assert_eq(SENT(f, VSR_RECOVERY, vsr_recovery)->header.view, 5);
    cr_assert_eq(receivers(f, VSR_RECOVERY), 0x3u);
    cr_assert_eq(SENT(f, VSR_RECOVERY, vsr_recovery)->header.from_incarnation, 8);
    fixture_end(f);
}

/* 8.3: who hears of a higher persisted view joins it, or the other would wait for ever. */
Test(rule_8_3, higher_persisted_view_is_joined)
{
    struct chain c = chain_make(3, 3);

    for (int is_normal = 0; is_normal < 2; is_normal++) {
        struct fixture *f = fixture_of(3, 2);
        chain_feed(f, &c, 3, 2);
        if (!is_normal) leave(f, 1);
        fixture_message(f, make_recovery(f, 1, 3, 99));
        cr_assert_eq(fixture_sent_count(f, VSR_RECOVERY_RESPONSE), 0);
        cr_assert_eq(seen(f).view, 3);
        cr_assert_eq(seen(f).status, VSR_STATUS_VIEW_CHANGE);
        cr_assert_eq(SENT(f, VSR_DO_VIEW_CHANGE, vsr_do_view_change)->header.view, 3);
        fixture_message(f, make_start_view(f, 3, &c, 3, 2));
        fixture_message(f, make_recovery(f, 1, 3, 99));
        cr_assert_eq(fixture_sent_count(f, VSR_RECOVERY_RESPONSE), 1);
        fixture_free(f);
    }
    chain_free(&c);
    cr_assert_eq(fixture_buffers_live, 0);
}

/* 8.5, 13: one replica alone has nobody to ask, and must not begin as if it were new. */
Test(rule_8_3, one_replica_cannot_recover)
{
    struct fixture *f = recover(1, 0, 0);

    cr_assert(fixture_noticed(f, VSR_NOTICE_CANNOT_RECOVER));
    for (int i = 0; i < 200; i++) {
        fixture_tick(f);
        cr_assert_eq(f->sent_count, 0);
        cr_assert_eq(f->notice_count, 0, "said once");
    }
    cr_assert_eq(seen(f).status, VSR_STATUS_RECOVERING);
    cr_assert_eq(fixture_message(f, make_register(f, 1)), VSR_DROP_STATUS);
    fixture_end(f);
}

/* 8.3: without a buffer the question is asked later. */
Test(rule_8_3, question_without_a_buffer_is_asked_later)
{
    struct vsr_replica_options o = fixture_options(3, 2);

    fixture_buffers_fail = 1;
    struct fixture *f = fixture_recover(&o, (struct vsr_superblock){.incarnation = 1});
    cr_assert_eq(f->sent_count, 0);
    cr_assert_eq(seen(f).drops[VSR_DROP_NO_BUFFER], 1);
    tick_until_sent(f, VSR_RECOVERY, 10);
    fixture_end(f);
}

/* 8.3, the whole way: every replica in turn forgets everything while clients go on. */
Test(rule_8_3, every_replica_in_turn_forgets_everything)
{
    static struct world w;
    struct vsr_replica_options o = fixture_options(3, 0);

    world_start(&w, &o);
    struct world_answer client = world_open(&w, 0, 1);
    uint64_t number = 0;
    for (uint32_t turn = 0; turn < 6; turn++) {
        const uint32_t victim = turn % 3;
        world_crash(&w, victim);
        world_run(&w, 20);
        world_recover(&w, victim);
        world_converge(&w, 1000);
        world_request(&w, (uint32_t)(seen(w.replicas[0]).view % 3), client.session, client.slot,
                      ++number, 7);
        world_settle(&w);
        cr_assert_eq(world_answered(&w, client.session, number), 1);
        world_converge(&w, 100);
        for (uint32_t i = 0; i < 3; i++)
            cr_assert_eq(w.replicas[i]->counts[7], number, "executed once");
    }
    world_end(&w);
}

/* 8.3: a crash in the middle of a recovery, and again: each begins anew. */
Test(rule_8_3, recovery_is_interrupted_by_a_crash)
{
    static struct world w;
    struct vsr_replica_options o = fixture_options(3, 0);

    world_start(&w, &o);
    world_open(&w, 0, 1);
    world_crash(&w, 2);
    for (int i = 0; i < 5; i++) {
        world_recover(&w, 2);
        world_deliver(&w, VSR_RECOVERY, 2, ANY);
        if (i >= 2) world_deliver(&w, VSR_RECOVERY_RESPONSE, ANY, 2);
        if (i >= 4) world_deliver(&w, VSR_GET_STATE, 2, ANY);
        world_crash(&w, 2);
    }
    world_recover(&w, 2);
    world_converge(&w, 200);
    cr_assert_eq(w.replicas[2]->durable.incarnation, 7);
    world_end(&w);
}

/* 9.2: a Reply's view is one whose log is durable, before a view change and after. */
Test(rule_9_2, replies_name_a_durable_view)
{
    struct chain c = chain_make(3, 3);
    struct fixture *f = fixture_of(3, 1);

    chain_feed(f, &c, 3, 2);
    leave(f, 1);
    fixture_message(f, make_do_view_change(f, 2, 1, 0, &c, 3, 2));
    fixture_message(f, make_prepare_ok(f, 2, 3));
    fixture_turn_end(f);
    cr_assert_eq(fixture_sent(f, VSR_REPLY, 0)->view, 1);
    cr_assert_eq(f->durable.log_view, 1);
    chain_free(&c);
    fixture_end(f);
}

/* 9.2: CommitOK and PrepareOK of a view wait for its log_view to be durable. */
Test(rule_9_2, backup_says_nothing_of_a_view_that_is_not_durable)
{
    struct chain c = chain_make(3, 3);
    struct fixture *f = fixture_of(3, 2);

    chain_feed(f, &c, 3, 2);
    f->holds_persist = true;
    fixture_message(f, make_start_view(f, 1, &c, 3, 2));
    fixture_persisted(f); /* the view alone, if that came first */
    for (int i = 0; i < 20; i++) {
        if (f->durable.log_view == 1) break;
        fixture_message(f, make_commit(f, 3, chain_checksum(&c, 3)));
        fixture_turn_end(f);
        cr_assert_eq(fixture_sent_count(f, VSR_COMMIT_OK), 0);
        cr_assert_eq(fixture_sent_count(f, VSR_PREPARE_OK), 0);
        if (i == 10) fixture_persisted(f);
    }
    cr_assert_eq(f->durable.log_view, 1);
    fixture_message(f, make_commit(f, 3, chain_checksum(&c, 3)));
    cr_assert_eq(fixture_sent_count(f, VSR_COMMIT_OK), 1);
    chain_free(&c);
    fixture_end(f);
}
