/**
 * Logs on their way into another view. DESIGN.md, "Rules", 7.2.
 */
#include "leak_check.h"
#include "messages.h"

#include <criterion/criterion.h>
#include <string.h>

LEAK_CHECKED_SUITE(rule_7_2);

/* 7.2: a later view is heard of: view and status follow, log, op and log_view do not. A Prepare
 * that would be our next op is no exception: our tail may be stale. */
Test(rule_7_2, later_view_leaves_the_log_alone)
{
    struct chain c = chain_make(3, 6);

    for (uint32_t by = 0; by < 4; by++) {
        struct fixture *f = chain_backup(&c, 4, 2);
        struct vsr_buffer b = by == 0   ? make_prepare(f, log_prepare(&c.entry[4]), 0, 0, 1, 0, 4)
                              : by == 1 ? make_commit(f, 4, chain_checksum(&c, 4))
                              : by == 2 ? make_pong(f, 1, 4, &c, 6, 5)
                                        : make_pong(f, 0, 4, &c, 6, 5);
        b.header->view = 4;
        if (by < 2) b.header->from = 1;
        cr_assert_eq(fixture_message(f, b), by < 2 ? VSR_DROP_NEWER_VIEW : VSR_DROP_NONE);
        cr_assert_eq(seen(f).view, 4);
        cr_assert_eq(seen(f).status, VSR_STATUS_VIEW_CHANGE);
        cr_assert_eq(seen(f).log_view, 0);
        cr_assert(chain_is_log(&c, f, 4));
        cr_assert_eq(seen(f).commit, 2);
        const struct vsr_get_state *get = SENT(f, VSR_GET_STATE, vsr_get_state);
        cr_assert_eq(receivers(f, VSR_GET_STATE), 1u << 1, "its primary is asked");
        cr_assert_eq(get->header.view, 4);
        cr_assert_eq(get->flags, VSR_GET_TRANSFER);
        cr_assert_eq(get->commit, 2);
        fixture_turn_end(f);
        cr_assert_eq(fixture_sent_count(f, VSR_PREPARE_OK), 0);
        fixture_free(f);
    }
    chain_free(&c);
    cr_assert_eq(fixture_buffers_live, 0);
}

/* 7.2: replaced is everything after what the logs share; a longer tail goes; log and log_view in
 * one record, then the acknowledgement. */
Test(rule_7_2, answer_replaces_the_tail_in_one_step)
{
    struct chain ours = chain_make(3, 7);
    struct chain theirs = chain_fork(&ours, 3);
    struct fixture *f = chain_backup(&ours, 7, 2);

    while (theirs.op < 5)
        chain_append(&theirs, 1, 1);
    f->holds_persist = true;
    fixture_message(f, make_pong(f, 1, 4, &theirs, 5, 5));
    fixture_persisted(f);
    cr_assert_eq(f->durable.view, 4);
    cr_assert_eq(f->durable.log_view, 0);
    cr_assert_eq(fixture_message(f, make_new_state(f, 1, &theirs, 2, 4, 5, 4)), VSR_DROP_NONE);
    cr_assert(chain_is_log(&ours, f, 7), "nothing is cut off before all of it is there");
    cr_assert_eq(seen(f).log_view, 0);
    cr_assert_eq(fixture_message(f, make_new_state(f, 1, &theirs, 4, 5, 5, 4)), VSR_DROP_NONE);
    cr_assert(chain_is_log(&theirs, f, 5));
    cr_assert_eq(f->superblock.log_view, 4);
    cr_assert_eq(fixture_sent_count(f, VSR_PREPARE_OK), 0);
    fixture_persisted(f);
    cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
    cr_assert_eq(seen(f).applied, 4);
    cr_assert_eq(SENT(f, VSR_PREPARE_OK, vsr_prepare_ok)->op, 5);
    chain_free(&ours);
    chain_free(&theirs);
    fixture_end(f);
}

/* 7.2: when a still later view change comes in between, our DoViewChange says the old, whole
 * log with its own log_view, whatever was gathered. */
Test(rule_7_2, unfinished_transfer_leaves_the_old_log_valid)
{
    struct chain ours = chain_make(3, 7);
    struct chain theirs = chain_fork(&ours, 3);
    struct fixture *f = chain_backup(&ours, 7, 2);

    while (theirs.op < 9)
        chain_append(&theirs, 1, 1);
    fixture_message(f, make_start_view(f, 4, &theirs, 9, 8));
    fixture_message(f, make_new_state(f, 1, &theirs, 2, 8, 9, 8));
    cr_assert_eq(f->r->transfer.op, 8);
    fixture_message(f, make_do_view_change(f, 0, 6, 0, &ours, 7, 2));
    const struct vsr_do_view_change *do_view_change =
        SENT(f, VSR_DO_VIEW_CHANGE, vsr_do_view_change);
    cr_assert_eq(do_view_change->header.view, 6);
    cr_assert_eq(do_view_change->log_view, 0);
    cr_assert_eq(do_view_change->op, 7);
    cr_assert_eq(do_view_change->checksum, chain_checksum(&ours, 7));
    cr_assert_eq(f->r->transfer.kind, TRANSFER_NONE);
    chain_free(&ours);
    chain_free(&theirs);
    fixture_end(f);
}

/* 7.2: while catching up there is no DoViewChange of that view; a timeout votes for the next. */
Test(rule_7_2, catching_up_sends_no_do_view_change)
{
    struct chain c = chain_make(3, 6);
    struct fixture *f = chain_backup(&c, 4, 2);
    uint32_t votes = 0;

    fixture_message(f, make_pong(f, 1, 4, &c, 6, 5));
    for (int i = 0; i < 100; i++) {
        fixture_tick(f);
        cr_assert_eq(fixture_sent_count(f, VSR_DO_VIEW_CHANGE), 0);
        votes += fixture_sent_count(f, VSR_START_VIEW_CHANGE);
    }
    cr_assert_gt(votes, 0);
    cr_assert_eq(seen(f).view, 4);
    chain_free(&c);
    fixture_end(f);
}

/* 7.2: the question is repeated every T_resend; after three the next one is asked, never us. */
Test(rule_7_2, question_goes_round)
{
    static const uint32_t order[] = {1, 1, 1, 2, 2, 2, 3, 3, 3, 0, 0, 0, 1};
    struct chain c = chain_make(5, 6);
    struct fixture *f = fixture_of(5, 4);

    fixture_message(f, make_pong(f, 2, 6, &c, 6, 5));
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        cr_assert_eq(receivers(f, VSR_GET_STATE), 1u << order[i], "question %zu", i);
        tick_until_sent(f, VSR_GET_STATE, 8 * f->options.suspect_ticks);
    }
    chain_free(&c);
    fixture_end(f);
}

/* 7.2: answers to other questions and of other views are not taken. */
Test(rule_7_2, other_answers_are_not_taken)
{
    struct chain c = chain_make(3, 6);
    struct fixture *f = chain_backup(&c, 4, 2);

    fixture_message(f, make_pong(f, 1, 4, &c, 6, 5));
    struct vsr_buffer late = make_new_state(f, 1, &c, 4, 6, 6, 5);
    BODY(late, vsr_new_state)->nonce--;
    cr_assert_eq(fixture_message(f, late), VSR_DROP_WRONG_NONCE);
    struct vsr_buffer b = make_new_state(f, 1, &c, 4, 6, 6, 5);
    b.header->view = 3;
    cr_assert_eq(fixture_message(f, b), VSR_DROP_STALE_VIEW);
    b = make_new_state(f, 1, &c, 4, 6, 6, 5);
    b.header->view = 7;
    cr_assert_eq(fixture_message(f, b), VSR_DROP_NEWER_VIEW);
    cr_assert_eq(fixture_message(f, make_new_state(f, 1, &c, 5, 6, 6, 5)), VSR_DROP_STALE);
    cr_assert(chain_is_log(&c, f, 4));
    cr_assert_eq(seen(f).log_view, 0);
    chain_free(&c);
    fixture_end(f);
}

/* 7.2: a log as long as the view's and another one is no fork of that view: it is fetched from the
 * last committed op, and who does not answer is not asked for ever. */
Test(rule_7_2, log_as_long_as_the_views_is_fetched_like_any)
{
    struct chain ours = chain_make(3, 4);
    struct chain theirs = chain_fork(&ours, 3);
    struct fixture *f = chain_backup(&ours, 4, 2);

    chain_append(&theirs, 1, 1);
    fixture_message(f, make_start_view(f, 4, &theirs, 4, 2));
    cr_assert_eq(receivers(f, VSR_GET_STATE), 1u << 1);
    cr_assert_eq(SENT(f, VSR_GET_STATE, vsr_get_state)->from_op, 2);
    uint32_t asked = 0;
    for (uint32_t i = 0; i < 200; i++) {
        fixture_tick(f);
        cr_assert(!fixture_noticed(f, VSR_NOTICE_FORKED_LOG));
        if (fixture_sent_count(f, VSR_GET_STATE) > 0) asked |= receivers(f, VSR_GET_STATE);
    }
    cr_assert_eq(asked, 3u, "both others");
    chain_free(&ours);
    chain_free(&theirs);
    fixture_end(f);
}

/* 7.2: whole, but not what was announced: it begins anew. */
Test(rule_7_2, log_with_another_end_is_not_installed)
{
    struct chain ours = chain_make(3, 4);
    struct chain theirs = chain_fork(&ours, 4);
    struct chain others = chain_fork(&ours, 4);
    struct fixture *f = chain_backup(&ours, 4, 2);

    chain_append(&theirs, 1, 1);
    chain_append(&others, 1, 2);
    fixture_message(f, make_start_view(f, 4, &theirs, 5, 2));
    fixture_message(f, make_new_state(f, 1, &others, 4, 5, 5, 2));
    cr_assert(fixture_noticed(f, VSR_NOTICE_FORKED_LOG));
    cr_assert(chain_is_log(&ours, f, 4));
    cr_assert_eq(fixture_sent_count(f, VSR_GET_STATE), 1);
    fixture_message(f, make_new_state(f, 1, &theirs, 4, 5, 5, 2));
    cr_assert(chain_is_log(&theirs, f, 5));
    chain_free(&ours);
    chain_free(&theirs);
    chain_free(&others);
    fixture_end(f);
}

/* 7.2: the log changes at rest only: an op that is being executed is finished first. */
Test(rule_7_2, installs_when_nothing_is_being_executed)
{
    struct chain c = chain_make(3, 6);
    struct fixture *f = chain_backup(&c, 4, 0);

    f->holds_apply = true;
    fixture_message(f, make_commit(f, 2, chain_checksum(&c, 2)));
    fixture_message(f, make_start_view(f, 4, &c, 6, 2));
    fixture_message(f, make_new_state(f, 1, &c, 4, 6, 6, 2));
    cr_assert(chain_is_log(&c, f, 4));
    f->holds_apply = false;
    fixture_step(f, (struct vsr_event){.kind = VSR_EVENT_APPLIED, .op = 1});
    for (uint32_t i = 0; i < f->options.resend_ticks; i++)
        fixture_tick(f);
    cr_assert(chain_is_log(&c, f, 6));
    cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
    chain_free(&c);
    fixture_end(f);
}

/* 7.2: what is there already has not been asked for: an answer without a question takes none of it
 * away. */
Test(rule_7_2, answer_without_a_question_is_none)
{
    struct chain c = chain_make(3, 4);
    struct fixture *f = chain_backup(&c, 4, 0);

    f->holds_apply = true;
    fixture_message(f, make_commit(f, 2, chain_checksum(&c, 2)));
    fixture_message(f, make_start_view(f, 4, &c, 4, 2));
    cr_assert_eq(fixture_sent_count(f, VSR_GET_STATE), 0);
    struct vsr_buffer b = make_new_state(f, 1, &c, 4, 4, 4, 2);
    BODY(b, vsr_new_state)->nonce = 0;
    BODY(b, vsr_new_state)->is_behind = 1;
    cr_assert_eq(fixture_message(f, b), VSR_DROP_WRONG_NONCE);
    cr_assert_eq(fixture_sent_count(f, VSR_GET_CHUNK), 0);
    chain_free(&c);
    fixture_end(f);
}

/* 7.2: when both do not fit the ring, entries that are executed leave it. */
Test(rule_7_2, executed_entries_make_room)
{
    struct vsr_replica_options o = fixture_options(3, 2);
    struct chain c = chain_make(3, 40);

    o.log_ops = 32;
    struct fixture *f = fixture_start(&o);
    chain_feed(f, &c, 30, 28);
    fixture_message(f, make_start_view(f, 4, &c, 40, 30));
    fixture_message(f, make_new_state(f, 1, &c, 30, 40, 40, 30));
    cr_assert(chain_is_log(&c, f, 40));
    cr_assert_eq(seen(f).log_start, 8);
    cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
    chain_free(&c);
    fixture_end(f);
}

/* 7.2: likewise entries that are committed and not known to be: the log that comes says so. */
Test(rule_7_2, committed_entries_are_executed_to_make_room)
{
    struct vsr_replica_options o = fixture_options(3, 2);
    struct chain c = chain_make(3, 40);

    o.log_ops = 32;
    struct fixture *f = fixture_start(&o);
    chain_feed(f, &c, 30, 5);
    fixture_message(f, make_start_view(f, 4, &c, 40, 38));
    fixture_message(f, make_new_state(f, 1, &c, 30, 40, 40, 38));
    for (uint32_t i = 0; i < f->options.resend_ticks; i++)
        fixture_tick(f);
    cr_assert(chain_is_log(&c, f, 40));
    cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
    cr_assert_eq(seen(f).applied, 38);
    chain_free(&c);
    fixture_end(f);
}

/* 7.2: more than a ring holds cannot be gathered: a snapshot is asked for. */
Test(rule_7_2, more_than_a_ring_asks_for_a_snapshot)
{
    struct vsr_replica_options o = fixture_options(3, 2);
    struct chain c = chain_make(3, 40);

    o.log_ops = 32;
    struct fixture *f = fixture_start(&o);
    fixture_message(f, make_start_view(f, 4, &c, 40, 30));
    fixture_message(f, make_new_state(f, 1, &c, 0, 32, 40, 30));
    cr_assert_eq(f->r->transfer.op, 32);
    cr_assert_eq(fixture_message(f, make_new_state(f, 1, &c, 32, 40, 40, 30)), VSR_DROP_LOG_FULL);
    tick_until_sent(f, VSR_GET_CHUNK, 10);
    cr_assert_eq(seen(f).op, 0);
    chain_free(&c);
    fixture_end(f);
}

/* 7.2: the answer's log no longer reaches down to ours: a snapshot is asked for, and said so. */
Test(rule_7_2, log_that_begins_later_asks_for_a_snapshot)
{
    struct chain c = chain_make(3, 9);
    struct fixture *f = chain_backup(&c, 3, 2);
    struct vsr_replica_report report;

    fixture_message(f, make_start_view(f, 4, &c, 9, 8));
    struct vsr_buffer b = make_new_state(f, 1, &c, 6, 6, 9, 8);
    BODY(b, vsr_new_state)->is_behind = 1;
    cr_assert_eq(fixture_message(f, b), VSR_DROP_NONE);
    cr_assert_eq(receivers(f, VSR_GET_CHUNK), 1u << 1);
    vsr_replica_report(f->r, &report);
    cr_assert(report.is_behind_log);
    cr_assert(chain_is_log(&c, f, 3));
    cr_assert_eq(fixture_message(f, make_new_state(f, 1, &c, 3, 9, 9, 8)), VSR_DROP_WRONG_NONCE);
    chain_free(&c);
    fixture_end(f);
}

/* 7.2 responder: between views nothing is answered: the old suffix would pass for the new view's.
 */
Test(rule_7_2, nothing_is_answered_between_views)
{
    struct chain c = chain_make(3, 6);
    struct fixture *f = chain_backup(&c, 4, 2);

    leave(f, 1);
    cr_assert_eq(fixture_message(f, make_get_state(f, 0, &c, 2, 2, 0)), VSR_DROP_STATUS);
    cr_assert_eq(fixture_message(f, make_get_state(f, 0, &c, 2, 2, VSR_GET_TRANSFER)),
                 VSR_DROP_STATUS);
    cr_assert_eq(fixture_message(f, make_get_state(f, 1, &c, 2, 2, VSR_GET_TRANSFER)),
                 VSR_DROP_STATUS);
    cr_assert_eq(fixture_sent_count(f, VSR_NEW_STATE), 0);
    chain_free(&c);
    fixture_end(f);
}

/* 6.4.3, 7.2: but the primary of the view that is to start gets the frozen log, and nobody else. */
Test(rule_7_2, frozen_log_is_given_to_the_primary_elect)
{
    const uint32_t flags = VSR_GET_TRANSFER | VSR_GET_SELECTED;
    struct chain c = chain_make(3, 6);
    struct fixture *f = chain_backup(&c, 4, 2);

    leave(f, 1);
    cr_assert_eq(fixture_message(f, make_get_state(f, 0, &c, 2, 2, flags)), VSR_DROP_WRONG_SENDER);
    cr_assert_eq(fixture_message(f, make_get_state(f, 1, &c, 2, 2, flags)), VSR_DROP_NONE);
    const struct vsr_new_state *state = SENT(f, VSR_NEW_STATE, vsr_new_state);
    cr_assert_eq(state->base, 2);
    cr_assert_eq(state->end, 4);
    cr_assert_eq(state->header.count, 2);

    /* It has another op 3 or more: what follows its commit number. */
    struct vsr_buffer b = make_get_state(f, 1, &c, 3, 1, flags);
    BODY(b, vsr_get_state)->from_checksum++;
    fixture_message(f, b);
    cr_assert_eq(SENT(f, VSR_NEW_STATE, vsr_new_state)->base, 1);

    /* Catching up, the log is not what our DoViewChange said any more; nor when NORMAL. */
    fixture_message(f, make_start_view(f, 1, &c, 6, 2));
    cr_assert_eq(fixture_message(f, make_get_state(f, 1, &c, 2, 2, flags)), VSR_DROP_STATUS);
    fixture_message(f, make_new_state(f, 1, &c, 4, 6, 6, 2));
    cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
    cr_assert_eq(fixture_message(f, make_get_state(f, 1, &c, 2, 2, flags)), VSR_DROP_STARTED_VIEW);
    chain_free(&c);
    fixture_end(f);
}

/* 7.2: entries that somebody is being sent stay in the log for T_suspect, or until it has them. */
Test(rule_7_2, entries_on_their_way_are_kept)
{
    struct fixture *f = fixture_of(3, 0);
    struct chain none = chain_make(3, 0);

    for (uint64_t i = 1; i <= 4; i++) {
        fixture_message(f, make_register(f, i));
        fixture_turn_end(f);
        acknowledge_all(f);
    }
    fixture_message(f, make_get_state(f, 2, &none, 0, 0, VSR_GET_TRANSFER));
    for (uint32_t from = 1; from <= 2; from++) {
        struct vsr_buffer b = make_header(f, VSR_COMMIT_OK, sizeof(struct vsr_commit_ok), from);
        BODY(b, vsr_commit_ok)->op = BODY(b, vsr_commit_ok)->applied = 4;
        fixture_message(f, b);
    }
    fixture_turn_end(f);
    cr_assert_eq(seen(f).log_start, 0);
    for (uint32_t i = 0; i < f->options.suspect_ticks - 1; i++)
        fixture_tick(f);
    cr_assert_eq(seen(f).log_start, 0);
    fixture_tick(f);
    fixture_turn_end(f);
    cr_assert_eq(seen(f).log_start, 4);
    fixture_end(f);
}
