/**
 * Logs on their way within a view. DESIGN.md, "Rules", 7.1.
 */
#include "leak_check.h"
#include "messages.h"

#include <criterion/criterion.h>
#include <string.h>

LEAK_CHECKED_SUITE(rule_7_1);

/** Makes a NORMAL replica ask for what it lacks up to `op`. */
static void make_gap(struct fixture *f, const struct chain *c, vsr_op op)
{
    struct vsr_buffer b = make_commit(f, seen(f).commit, chain_checksum(c, seen(f).commit));

    BODY(b, vsr_commit)->op = op;
    fixture_message(f, b);
    fixture_turn_end(f);
    cr_assert_eq(fixture_sent_count(f, VSR_GET_STATE), 1);
}

/* 7.1: the primary is asked; without an answer, every T_resend the next one, never ourselves. */
Test(rule_7_1, question_goes_round)
{
    static const uint32_t order[] = {0, 1, 3, 4, 0, 1};
    struct chain c = chain_make(5, 5);
    struct fixture *f = fixture_of(5, 2);

    chain_feed(f, &c, 2, 1);
    make_gap(f, &c, 5);
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        const struct vsr_get_state *get = SENT(f, VSR_GET_STATE, vsr_get_state);
        cr_assert_eq(receivers(f, VSR_GET_STATE), 1u << order[i], "question %zu", i);
        cr_assert_eq(get->flags, 0);
        cr_assert_eq(get->from_op, 2);
        cr_assert_eq(get->from_checksum, chain_checksum(&c, 2));
        cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
        const uint64_t nonce = get->nonce;
        cr_assert_leq(tick_until_sent(f, VSR_GET_STATE, 1000),
                      (uint32_t)(f->options.resend_ticks << i), "each waits twice as long");
        cr_assert_eq(SENT(f, VSR_GET_STATE, vsr_get_state)->nonce, nonce, "the same question");
    }
    chain_free(&c);
    fixture_end(f);
}

/* 7.1: a backup hands on what it has: the entries in the answer's body. */
Test(rule_7_1, backup_answers_with_bodies)
{
    struct chain c = chain_make(3, 5);
    struct fixture *f = chain_backup(&c, 5, 3);

    cr_assert_eq(fixture_message(f, make_get_state(f, 1, &c, 2, 1, 0)), VSR_DROP_NONE);
    const struct vsr_new_state *state = SENT(f, VSR_NEW_STATE, vsr_new_state);
    cr_assert_eq(receivers(f, VSR_NEW_STATE), 1u << 1);
    cr_assert_eq(state->nonce, 4711);
    cr_assert_eq(state->base, 2);
    cr_assert_eq(state->end, 5);
    cr_assert_eq(state->op, 5);
    cr_assert_eq(state->checksum, chain_checksum(&c, 5));
    cr_assert_eq(state->commit, 3);
    cr_assert_eq(state->header.count, 3);
    cr_assert_eq(memcmp(state + 1, c.entry[3].header, c.entry[3].header->bytes), 0);
    cr_assert_eq(fixture_sent_count(f, VSR_PREPARE), 0);
    chain_free(&c);
    fixture_end(f);
}

/* 7.1: an answer from a backup is as good as one from the primary. */
Test(rule_7_1, relayed_bodies_are_appended_and_acknowledged)
{
    struct chain c = chain_make(3, 6);
    struct fixture *f = chain_backup(&c, 2, 1);

    make_gap(f, &c, 6);
    tick_until_sent(f, VSR_GET_STATE, 10);
    cr_assert_eq(receivers(f, VSR_GET_STATE), 1u << 1);
    cr_assert_eq(fixture_message(f, make_new_state(f, 1, &c, 2, 6, 6, 4)), VSR_DROP_NONE);
    cr_assert(chain_is_log(&c, f, 6));
    cr_assert_eq(seen(f).commit, 4);
    fixture_turn_end(f);
    cr_assert_eq(SENT(f, VSR_PREPARE_OK, vsr_prepare_ok)->op, 6);
    cr_assert_eq(receivers(f, VSR_PREPARE_OK), 1u << 0, "to the primary, whoever answered");
    chain_free(&c);
    fixture_end(f);
}

/* 7.1: only what is missing is appended; what has come another way is passed over. */
Test(rule_7_1, overlap_is_passed_over)
{
    struct chain c = chain_make(3, 8);
    struct fixture *f = chain_backup(&c, 3, 1);

    make_gap(f, &c, 8);
    struct vsr_buffer answer = make_new_state(f, 0, &c, 3, 8, 8, 4);
    for (vsr_op op = 4; op <= 5; op++)
        fixture_message(f, copy_of(c.entry[op]));
    cr_assert_eq(fixture_message(f, answer), VSR_DROP_NONE);
    cr_assert(chain_is_log(&c, f, 8));
    chain_free(&c);
    fixture_end(f);
}

/* 7.1: nothing is ever cut off: an answer that ends before our log changes nothing. */
Test(rule_7_1, shorter_answer_cuts_nothing_off)
{
    struct chain c = chain_make(3, 8);
    struct fixture *f = chain_backup(&c, 4, 1);

    make_gap(f, &c, 8);
    fixture_message(f, make_new_state(f, 0, &c, 1, 3, 3, 2));
    cr_assert(chain_is_log(&c, f, 4));
    cr_assert_eq(seen(f).commit, 2);
    chain_free(&c);
    fixture_end(f);
}

/* 7.1: an answer that brings a part is followed up at once, from where it ends. */
Test(rule_7_1, part_is_followed_up_at_once)
{
    struct chain c = chain_make(3, 8);
    struct fixture *f = chain_backup(&c, 2, 1);

    make_gap(f, &c, 8);
    fixture_message(f, make_new_state(f, 0, &c, 2, 5, 8, 2));
    fixture_turn_end(f);
    cr_assert_eq(SENT(f, VSR_GET_STATE, vsr_get_state)->from_op, 5);
    cr_assert_eq(receivers(f, VSR_GET_STATE), 1u << 0, "it does answer");
    chain_free(&c);
    fixture_end(f);
}

/* 7.1: one that has no more than we do is not asked at once again, but another one is later: two
 * that lack the same would ask each other for ever. */
Test(rule_7_1, empty_answer_is_not_followed_up_at_once)
{
    struct chain c = chain_make(3, 6);
    struct fixture *f = chain_backup(&c, 2, 1);

    make_gap(f, &c, 6);
    fixture_message(f, make_new_state(f, 0, &c, 2, 2, 2, 2));
    fixture_turn_end(f);
    cr_assert_eq(fixture_sent_count(f, VSR_GET_STATE), 0);
    cr_assert_leq(tick_until_sent(f, VSR_GET_STATE, 10), f->options.resend_ticks);
    cr_assert_eq(receivers(f, VSR_GET_STATE), 1u << 1);
    chain_free(&c);
    fixture_end(f);
}

/* 7.1: an answer holds what fits a message, and says where it ends. */
Test(rule_7_1, answer_is_bounded)
{
    struct vsr_replica_options o = fixture_options(3, 2);
    struct chain c = chain_make(3, 20);

    o.batch_bytes_max = 1024;
    struct fixture *f = fixture_start(&o);
    chain_feed(f, &c, 20, 3);
    vsr_op at = 1;
    while (at < 20) {
        fixture_message(f, make_get_state(f, 1, &c, at, 1, 0));
        const struct vsr_new_state *state = SENT(f, VSR_NEW_STATE, vsr_new_state);
        cr_assert_eq(state->base, at);
        cr_assert_eq(state->end, at + state->header.count);
        cr_assert(state->end > at && state->end <= 20);
        cr_assert_leq(state->header.bytes, sizeof *state + o.batch_bytes_max);
        cr_assert_eq(state->op, 20);
        at = state->end;
    }
    chain_free(&c);
    fixture_end(f);
}

/* 7.1: the primary sends no more of its Prepares at once than the pipeline has. */
Test(rule_7_1, primary_answers_with_a_pipeline_of_prepares)
{
    struct fixture *f = fixture_of(3, 0);
    struct chain none = chain_make(3, 0);

    for (uint64_t i = 1; i <= 12; i++) {
        fixture_message(f, make_register(f, i));
        fixture_turn_end(f);
        acknowledge_all(f);
    }
    fixture_message(f, make_get_state(f, 2, &none, 0, 0, 0));
    const struct vsr_new_state *state = SENT(f, VSR_NEW_STATE, vsr_new_state);
    cr_assert_eq(state->end, f->options.pipeline_max);
    cr_assert_eq(state->op, 12);
    cr_assert_eq(fixture_sent_count(f, VSR_PREPARE), f->options.pipeline_max);
    fixture_end(f);
}

/* 7.1: entries of older views do not travel as this view's Prepares. */
Test(rule_7_1, new_primary_answers_with_bodies)
{
    struct chain c = chain_make(3, 4);
    struct fixture *f = fixture_of(3, 1);

    chain_feed(f, &c, 4, 2);
    leave(f, 1);
    fixture_message(f, make_do_view_change(f, 2, 1, 0, &c, 4, 2));
    fixture_message(f, make_get_state(f, 2, &c, 1, 1, 0));
    cr_assert_eq(SENT(f, VSR_NEW_STATE, vsr_new_state)->header.count, 3);
    cr_assert_eq(fixture_sent_count(f, VSR_PREPARE), 0);
    chain_free(&c);
    fixture_end(f);
}

/* 7.1 responder: from_op is held, or there is nothing to say. */
Test(rule_7_1, question_about_another_log_is_not_answered)
{
    struct chain c = chain_make(3, 6);
    struct fixture *f = chain_backup(&c, 4, 2);
    struct vsr_buffer b = make_get_state(f, 1, &c, 3, 2, 0);

    BODY(b, vsr_get_state)->from_checksum++;
    cr_assert_eq(fixture_message(f, b), VSR_DROP_NOT_HELD);
    cr_assert_eq(fixture_message(f, make_get_state(f, 1, &c, 5, 2, 0)), VSR_DROP_NOT_HELD);
    cr_assert_eq(fixture_message(f, make_get_state(f, 1, &c, 2, 3, 0)), VSR_DROP_MALFORMED);
    cr_assert_eq(f->sent_count, 0);
    cr_assert_eq(fixture_message(f, make_get_state(f, 1, &c, 4, 2, 0)), VSR_DROP_NONE);
    cr_assert_eq(SENT(f, VSR_NEW_STATE, vsr_new_state)->end, 4, "nothing more, and it says so");
    chain_free(&c);
    fixture_end(f);
}

/* 7.1, G5: other views are neither asked nor answered. */
Test(rule_7_1, only_the_same_view_is_answered)
{
    struct chain c = chain_make(3, 4);
    struct fixture *f = chain_backup(&c, 4, 2);

    struct vsr_buffer b = make_get_state(f, 1, &c, 2, 2, 0);
    b.header->view = 1;
    cr_assert_eq(fixture_message(f, b), VSR_DROP_NEWER_VIEW);
    b = make_get_state(f, 1, &c, 2, 2, 0);
    fixture_message(f, make_start_view(f, 1, &c, 4, 2));
    cr_assert_eq(fixture_message(f, b), VSR_DROP_STALE_VIEW);
    cr_assert_eq(fixture_sent_count(f, VSR_NEW_STATE), 0);
    cr_assert_eq(fixture_sent_count(f, VSR_PONG), 1);
    chain_free(&c);
    fixture_end(f);
}

/* 7.1: what was not asked for, or was asked before, is not taken. */
Test(rule_7_1, unasked_answers_are_not_taken)
{
    struct chain c = chain_make(3, 6);
    struct fixture *f = chain_backup(&c, 2, 1);

    cr_assert_eq(fixture_message(f, make_new_state(f, 0, &c, 2, 6, 6, 4)), VSR_DROP_WRONG_NONCE);
    make_gap(f, &c, 6);
    struct vsr_buffer late = make_new_state(f, 0, &c, 2, 6, 6, 4);
    BODY(late, vsr_new_state)->nonce--; /* of another question */
    cr_assert_eq(fixture_message(f, late), VSR_DROP_WRONG_NONCE);
    cr_assert(chain_is_log(&c, f, 2));
    struct vsr_buffer twice = make_new_state(f, 1, &c, 2, 4, 6, 2);
    cr_assert_eq(fixture_message(f, copy_of(twice)), VSR_DROP_NONE);
    cr_assert_eq(fixture_message(f, twice), VSR_DROP_WRONG_NONCE);
    chain_free(&c);
    fixture_end(f);
}

/* 7.1: an answer whose commit number names another entry than ours executes nothing. */
Test(rule_7_1, answer_with_another_committed_entry_is_refused)
{
    struct chain c = chain_make(3, 6);
    struct fixture *f = chain_backup(&c, 4, 1);

    make_gap(f, &c, 6);
    struct vsr_buffer b = make_new_state(f, 0, &c, 4, 6, 6, 3);
    BODY(b, vsr_new_state)->commit_checksum++;
    cr_assert_eq(fixture_message(f, b), VSR_DROP_FORKED);
    cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL, "one message proves no fork: rule G0");
    cr_assert_eq(seen(f).applied, 1);
    chain_free(&c);
    fixture_end(f);
}

/* 7.1, 16: a backup that its primary does not reach learns from the others' Pongs, and asks them.
 */
Test(rule_7_1, backup_cut_off_from_its_primary_goes_on)
{
    struct chain c = chain_make(3, 6);
    struct fixture *f = chain_backup(&c, 4, 1);

    tick_until_sent(f, VSR_PING, 100);
    cr_assert_eq(fixture_message(f, make_pong(f, 1, 0, &c, 6, 5)), VSR_DROP_NONE);
    cr_assert_eq(seen(f).commit, 3, "the head is not confirmed: rule G0");
    cr_assert_eq(fixture_message(f, make_pong(f, 1, 0, &c, 6, 4)), VSR_DROP_NONE);
    cr_assert_eq(seen(f).commit, 4);
    fixture_turn_end(f);
    cr_assert_eq(fixture_sent_count(f, VSR_GET_STATE), 1);
    cr_assert_eq(fixture_message(f, make_pong(f, 1, 0, &c, 3, 6)), VSR_DROP_MALFORMED);
    struct vsr_buffer b = make_pong(f, 1, 0, &c, 6, 4);
    BODY(b, vsr_pong)->commit_checksum++;
    cr_assert_eq(fixture_message(f, b), VSR_DROP_FORKED);
    chain_free(&c);
    fixture_end(f);
}

/** Breaks one field of the second entry in an answer's body, or of the answer. */
static enum vsr_drop spoil(struct vsr_buffer b, uint32_t how)
{
    struct vsr_new_state *state = BODY(b, vsr_new_state);
    struct vsr_prepare *first = (struct vsr_prepare *)(void *)(state + 1);
    struct vsr_prepare *p = (struct vsr_prepare *)(void *)((uint8_t *)first + first->header.bytes);
    struct vsr_request *request = (struct vsr_request *)(void *)(p + 1);

    switch (how) {
    case 0:
        return state->header.count++, VSR_DROP_MALFORMED;
    case 1:
        return p->header.bytes = sizeof *p - 8, VSR_DROP_MALFORMED;
    case 2:
        return p->header.bytes = 0, VSR_DROP_MALFORMED;
    case 3:
        return p->header.bytes += 8, VSR_DROP_MALFORMED;
    case 4:
        return p->header.bytes -= 4, VSR_DROP_MALFORMED;
    case 5:
        return p->header.bytes = UINT32_MAX & ~7u, VSR_DROP_MALFORMED;
    case 6:
        return p->header.type = VSR_COMMIT, VSR_DROP_MALFORMED;
    case 7:
        return p->header.count = 2, VSR_DROP_MALFORMED;
    case 8:
        return p->header.count = UINT32_MAX, VSR_DROP_MALFORMED;
    case 9:
        return p->entry.kind = VSR_KIND_COUNT, VSR_DROP_MALFORMED;
    case 10:
        return p->entry.op++, VSR_DROP_MALFORMED;
    case 11:
        return p->entry.op = UINT64_MAX, VSR_DROP_MALFORMED;
    case 12:
        return p->entry.parent_checksum++, VSR_DROP_DAMAGED;
    case 13:
        return p->entry.checksum++, VSR_DROP_DAMAGED;
    case 14:
        return p->entry.timestamp++, VSR_DROP_DAMAGED;
    case 15:
        return p->entry.view++, VSR_DROP_MALFORMED;
    case 16:
        return request->payload_bytes = 64, VSR_DROP_MALFORMED;
    case 17:
        return request->kind = VSR_KIND_COUNT, VSR_DROP_MALFORMED;
    case 18:
        return request->number++, VSR_DROP_DAMAGED;
    case 19:
        return state->commit = state->op + 1, VSR_DROP_MALFORMED;
    case 20:
        return state->base = state->op + 1, VSR_DROP_MALFORMED;
    }
    return VSR_DROP_NONE;
}

/* G1: an answer that is damaged in any field neither crashes nor gets into the log; what was whole
 * before the damage may. The same bytes undamaged do. */
Test(rule_7_1, damaged_answers_are_refused)
{
    struct chain c = chain_make(3, 5);

    for (uint32_t how = 0; how <= 21; how++) {
        for (int is_transfer = 0; is_transfer < 2; is_transfer++) {
            struct fixture *f = chain_backup(&c, 3, 2);
            if (is_transfer)
                fixture_message(f, make_start_view(f, 1, &c, 5, 2));
            else
                make_gap(f, &c, 5);
            struct vsr_buffer b = make_new_state(f, is_transfer ? 1 : 0, &c, 3, 5, 5, 2);
            enum vsr_drop expected = spoil(b, how);
            /* One entry too many is not looked at when the target is reached. */
            if (how == 0 && is_transfer) expected = VSR_DROP_NONE;
            cr_assert_eq(fixture_message(f, b), expected, "damage %u, transfer %d", how,
                         is_transfer);
            const vsr_op most = how == 0 || how == 21 ? 5 : is_transfer ? 3 : 4;
            cr_assert_leq(seen(f).op, most, "damage %u, transfer %d", how, is_transfer);
            cr_assert(chain_is_log(&c, f, seen(f).op));
            fixture_free(f);
        }
    }
    chain_free(&c);
    cr_assert_eq(fixture_buffers_live, 0);
}

/* An answer that finds no buffer is asked for again. */
Test(rule_7_1, answer_without_a_buffer_comes_again)
{
    struct chain c = chain_make(3, 5);
    struct fixture *f = chain_backup(&c, 2, 1);

    make_gap(f, &c, 5);
    struct vsr_buffer b = make_new_state(f, 0, &c, 2, 5, 5, 2);
    fixture_buffers_fail = 1;
    cr_assert_eq(fixture_message(f, b), VSR_DROP_NO_BUFFER);
    cr_assert(chain_is_log(&c, f, 2));
    tick_until_sent(f, VSR_GET_STATE, 10);
    b = make_get_state(f, 1, &c, 1, 1, 0);
    fixture_buffers_fail = 1;
    cr_assert_eq(fixture_message(f, b), VSR_DROP_NO_BUFFER, "nor is one given without");
    fixture_buffers_fail = 0;
    chain_free(&c);
    fixture_end(f);
}
