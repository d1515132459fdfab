/**
 * Normal operation. DESIGN.md, "Rules", 4.1 to 4.6; VRR §4.1.
 */
#include "fixture.h"
#include "leak_check.h"

#include <criterion/criterion.h>
#include <string.h>

LEAK_CHECKED_SUITE(rule_4);

static const struct vsr_prepare *prepare_of(struct vsr_buffer b)
{
    return (const struct vsr_prepare *)(const void *)b.header;
}

/** At a backup: a log of one Register and `more` operations of its session; returns the last. */
static struct vsr_buffer fill_backup(struct fixture *f, uint32_t more)
{
    struct vsr_buffer last = make_prepare_register(f, NULL, 9);

    fixture_message(f, copy_of(last));
    for (uint32_t i = 0; i < more; i++) {
        struct vsr_buffer next =
            make_prepare(f, prepare_of(last), last.header->view, 0, 1, 0, i + 1);
        fixture_buffers.unref(NULL, last.handle);
        last = next;
        fixture_message(f, copy_of(last));
    }
    return last;
}

/* 4.1.1: an unknown session whose Register may not have executed here yet is not answered. */
Test(rule_4, 1_1_unknown_session_beyond_applied_is_met_with_silence)
{
    struct fixture *f = fixture_of(3, 0);

    fixture_message(f, make_request(f, 5, 0, 1, 0));
    cr_assert_eq(seen(f).drops[VSR_DROP_UNKNOWN_SESSION], 1);
    fixture_turn_end(f);
    cr_assert_null(fixture_reply(f, 0));
    fixture_end(f);
}

/* 4.1.1: a session that is gone is told so. */
Test(rule_4, 1_1_gone_session_is_answered_evicted)
{
    struct fixture *f = fixture_of(3, 0);
    vsr_session session;

    open_session(f, 1, &session);
    open_session(f, 2, &session);
    fixture_message(f, make_request(f, 1, 1, 1, 0)); /* slot 1 is session 2's */
    fixture_turn_end(f);
    cr_assert_eq(seen(f).drops[VSR_DROP_EVICTED_SESSION], 1);
    cr_assert_eq(fixture_reply(f, 0)->status, VSR_REPLY_EVICTED);
    cr_assert_eq(fixture_reply(f, 0)->session, 1);
    fixture_end(f);
}

/* 4.1.2: a request executed before gets its cached reply again; an older one gets nothing. */
Test(rule_4, 1_2_repeated_request_gets_the_cached_reply)
{
    struct fixture *f = fixture_of(3, 0);
    vsr_session session;
    uint32_t slot = open_session(f, 1, &session);
    uint64_t result;

    for (uint64_t number = 1; number <= 2; number++) {
        fixture_message(f, make_request(f, session, slot, number, 5));
        fixture_turn_end(f);
        acknowledge_all(f);
        fixture_turn_end(f);
    }
    memcpy(&result, fixture_reply(f, 0) + 1, sizeof result);
    const vsr_op op = seen(f).op;
    fixture_message(f, make_request(f, session, slot, 2, 5));
    fixture_turn_end(f);
    cr_assert_eq(seen(f).drops[VSR_DROP_ANSWERED], 1);
    cr_assert_eq(fixture_reply(f, 0)->number, 2);
    cr_assert_eq(memcmp(fixture_reply(f, 0) + 1, &result, sizeof result), 0);
    fixture_message(f, make_request(f, session, slot, 1, 5));
    fixture_turn_end(f);
    cr_assert_eq(seen(f).drops[VSR_DROP_STALE], 1);
    cr_assert_null(fixture_reply(f, 0));
    cr_assert_eq(seen(f).op, op);
    cr_assert_eq(f->applied_requests, 2);
    fixture_end(f);
}

/* 4.1.2: a reply is not sent before its op is executed to the end. */
Test(rule_4, 1_2_request_being_executed_is_not_answered_from_the_table)
{
    struct fixture *f = fixture_of(3, 0);
    vsr_session session;
    uint32_t slot = open_session(f, 1, &session);

    f->holds_apply = true;
    fixture_message(f, make_request(f, session, slot, 1, 5));
    fixture_turn_end(f);
    acknowledge_all(f);
    fixture_message(f, make_request(f, session, slot, 1, 5));
    cr_assert_eq(seen(f).drops[VSR_DROP_IN_LOG], 1);
    fixture_turn_end(f);
    cr_assert_null(fixture_reply(f, 0));
    fixture_step(f, (struct vsr_event){.kind = VSR_EVENT_APPLIED, .op = f->held_op});
    fixture_turn_end(f);
    cr_assert_eq(fixture_reply(f, 0)->number, 1);
    fixture_end(f);
}

/* 4.1.3: a request that is in the log already is not appended again. */
Test(rule_4, 1_3_pending_request_is_not_appended_twice)
{
    struct fixture *f = fixture_of(3, 0);
    vsr_session session;
    uint32_t slot = open_session(f, 1, &session);

    fixture_message(f, make_request(f, session, slot, 1, 5));
    fixture_message(f, make_request(f, session, slot, 1, 5)); /* in the open batch */
    fixture_turn_end(f);
    fixture_message(f, make_request(f, session, slot, 1, 5)); /* in the log */
    fixture_turn_end(f);
    cr_assert_eq(seen(f).drops[VSR_DROP_IN_LOG], 2);
    cr_assert_eq(seen(f).op, 2);
    cr_assert_eq(vsr_replica_entry(f->r, 2)->header.count, 1);
    fixture_end(f);
}

/* 4.1.4: only the session's next number is taken. */
Test(rule_4, 1_4_number_out_of_order_is_dropped)
{
    struct fixture *f = fixture_of(3, 0);
    vsr_session session;
    uint32_t slot = open_session(f, 1, &session);

    fixture_message(f, make_request(f, session, slot, 2, 5));
    fixture_message(f, make_request(f, session, slot, 0, 5));
    fixture_message(f, make_request(f, session, slot, UINT64_MAX, 5));
    cr_assert_eq(seen(f).drops[VSR_DROP_OUT_OF_ORDER], 3);
    fixture_message(f, make_request(f, session, slot, 1, 5));
    fixture_message(f, make_request(f, session, slot, 2, 5)); /* one outstanding at a time */
    cr_assert_eq(seen(f).drops[VSR_DROP_OUT_OF_ORDER], 4);
    fixture_turn_end(f);
    cr_assert_eq(seen(f).op, 2);
    fixture_end(f);
}

/* 4.1: a payload above op_bytes_max does not enter the log. */
Test(rule_4, 1_too_large_a_payload_is_dropped)
{
    struct vsr_replica_options o = fixture_options(3, 0);
    o.op_bytes_max = 4;
    struct fixture *f = fixture_start(&o);
    vsr_session session;
    uint32_t slot = open_session(f, 1, &session);

    fixture_message(f, make_request(f, session, slot, 1, 5));
    cr_assert_eq(seen(f).drops[VSR_DROP_TOO_LARGE], 1);
    fixture_end(f);
}

/* 4.1: a backup appends nothing; it names the view instead. */
Test(rule_4, 1_backup_redirects_requests)
{
    struct fixture *f = fixture_of(3, 2);

    cr_assert_eq(fixture_message(f, make_register(f, 1)), VSR_DROP_NOT_PRIMARY);
    cr_assert_eq(fixture_sent_count(f, VSR_NOT_PRIMARY), 1);
    cr_assert_eq(f->sent[f->sent_count - 1].address, CLIENT);
    cr_assert_eq(seen(f).op, 0);
    fixture_end(f);
}

/* 4.2: requests of a turn share an op; Registers and operations do not. */
Test(rule_4, 2_requests_of_a_turn_share_an_op)
{
    struct fixture *f = fixture_of(3, 0);
    vsr_session a;
    vsr_session b;
    uint32_t slot_a = open_session(f, 1, &a);
    uint32_t slot_b = open_session(f, 2, &b);

    fixture_message(f, make_request(f, a, slot_a, 1, 5));
    fixture_message(f, make_request(f, b, slot_b, 1, 5));
    fixture_message(f, make_register(f, 3));
    fixture_turn_end(f);
    cr_assert_eq(seen(f).op, 4);
    cr_assert_eq(vsr_replica_entry(f->r, 3)->header.count, 2);
    cr_assert_eq(vsr_replica_entry(f->r, 4)->entry.kind, VSR_KIND_REGISTER);
    fixture_end(f);
}

/* 4.2: as many ops as pipeline_max are in flight; then requests gather, and lose nothing. */
Test(rule_4, 2_full_pipeline_collects)
{
    struct vsr_replica_options o = fixture_options(3, 0);
    o.pipeline_max = 2;
    struct fixture *f = fixture_start(&o);
    vsr_session session[6];
    uint32_t slot[6];

    for (uint32_t i = 0; i < 6; i++)
        slot[i] = open_session(f, i + 1, &session[i]);
    for (uint32_t i = 0; i < 6; i++) {
        fixture_message(f, make_request(f, session[i], slot[i], 1, i));
        fixture_turn_end(f);
    }
    cr_assert_eq(seen(f).op, 8); /* 6 Registers and 2 in flight */
    acknowledge_all(f);
    fixture_turn_end(f);
    cr_assert_eq(seen(f).op, 9);
    cr_assert_eq(vsr_replica_entry(f->r, 9)->header.count, 4);
    fixture_end(f);
}

/* 4.2: when batch, pipeline and queue are full the client is told to come later. */
Test(rule_4, 2_full_queue_answers_busy)
{
    struct vsr_replica_options o = fixture_options(3, 0);
    o.pipeline_max = 1;
    o.batch_requests_max = 1;
    o.queue_max = 2;
    struct fixture *f = fixture_start(&o);
    vsr_session session[6];
    uint32_t slot[6];

    for (uint32_t i = 0; i < 6; i++)
        slot[i] = open_session(f, i + 1, &session[i]);
    for (uint32_t i = 0; i < 6; i++) {
        fixture_message(f, make_request(f, session[i], slot[i], 1, i));
        if (i < 5) fixture_turn_end(f);
    }
    /* One in flight, one in the batch, two in the queue, two busy. */
    cr_assert_eq(seen(f).drops[VSR_DROP_BUSY], 2);
    fixture_turn_end(f);
    cr_assert_eq(fixture_reply(f, 0)->status, VSR_REPLY_BUSY);
    for (uint32_t i = 0; i < 4; i++) {
        acknowledge_all(f);
        fixture_turn_end(f);
    }
    cr_assert_eq(f->applied_requests, 4);
    fixture_end(f);
}

/* 4.2: the state machine's clock never runs backwards. */
Test(rule_4, 2_timestamps_never_decrease)
{
    struct fixture *f = fixture_of(1, 0);
    vsr_session session;

    fixture_step(f, (struct vsr_event){.kind = VSR_EVENT_TICK, .now_ns = 500});
    uint32_t slot = open_session(f, 1, &session);
    fixture_step(f, (struct vsr_event){.kind = VSR_EVENT_TICK, .now_ns = 400});
    fixture_message(f, make_request(f, session, slot, 1, 5));
    fixture_turn_end(f);
    cr_assert_eq(f->timestamp, 500);
    fixture_end(f);
}

/* 4.3: a Prepare is appended and acknowledged cumulatively, once per turn. */
Test(rule_4, 3_acknowledgement_is_cumulative)
{
    struct fixture *f = fixture_of(3, 1);
    struct vsr_buffer last = fill_backup(f, 2);

    fixture_turn_end(f);
    cr_assert_eq(f->sent_count, 1);
    const struct vsr_prepare_ok *ok =
        (const struct vsr_prepare_ok *)(const void *)fixture_sent(f, VSR_PREPARE_OK, 0);
    cr_assert_eq(ok->op, 3);
    cr_assert_eq(ok->checksum, prepare_of(last)->entry.checksum);
    cr_assert_eq(f->sent[0].to, 1u << 0);
    fixture_buffers.unref(NULL, last.handle);
    fixture_end(f);
}

/* 4.3: never append over a gap. */
Test(rule_4, 3_gap_is_never_appended_over)
{
    struct fixture *f = fixture_of(3, 1);
    struct vsr_buffer first = make_prepare_register(f, NULL, 9);
    struct vsr_buffer second = make_prepare(f, prepare_of(first), 0, 0, 1, 0, 1);
    struct vsr_buffer third = make_prepare(f, prepare_of(second), 0, 0, 1, 0, 2);

    fixture_message(f, first);
    fixture_message(f, third);
    cr_assert_eq(seen(f).op, 1);
    fixture_turn_end(f);
    const struct vsr_get_state *get =
        (const struct vsr_get_state *)(const void *)fixture_sent(f, VSR_GET_STATE, 0);
    cr_assert_not_null(get);
    cr_assert_eq(get->from_op, 1);

    /* The missing one comes: the early one follows from the reorder buffer. */
    fixture_message(f, second);
    cr_assert_eq(seen(f).op, 3);
    fixture_turn_end(f);
    cr_assert_eq(fixture_sent_count(f, VSR_GET_STATE), 0);
    fixture_end(f);
}

/* 4.3: an op beyond the reorder buffer is dropped; the same early op twice is kept once. */
Test(rule_4, 3_reorder_buffer_is_bounded)
{
    struct fixture *f = fixture_of(3, 1);
    struct vsr_buffer early = make_prepare_register(f, NULL, 9);
    struct vsr_prepare *p = (struct vsr_prepare *)(void *)early.header;

    p->entry.op = REORDER_MAX + 1;
    p->entry.checksum = vsr_entry_checksum(p);
    cr_assert_eq(fixture_message(f, copy_of(early)), VSR_DROP_GAP);
    p->entry.op = REORDER_MAX;
    p->entry.checksum = vsr_entry_checksum(p);
    cr_assert_eq(fixture_message(f, copy_of(early)), VSR_DROP_NONE);
    cr_assert_eq(fixture_message(f, copy_of(early)), VSR_DROP_STALE);
    fixture_buffers.unref(NULL, early.handle);
    fixture_end(f);
}

/* 4.3: a duplicate Prepare is acknowledged again, or one lost PrepareOK wedges the view. */
Test(rule_4, 3_duplicate_is_acknowledged_again)
{
    struct fixture *f = fixture_of(3, 1);
    struct vsr_buffer last = fill_backup(f, 1);

    fixture_turn_end(f);
    cr_assert_eq(fixture_message(f, copy_of(last)), VSR_DROP_STALE);
    cr_assert_eq(seen(f).op, 2);
    fixture_turn_end(f);
    cr_assert_eq(fixture_sent_count(f, VSR_PREPARE_OK), 1);
    fixture_turn_end(f);
    cr_assert_eq(f->sent_count, 0);
    fixture_buffers.unref(NULL, last.handle);
    fixture_end(f);
}

/* 4.3: the same op in the same view is the identical entry; another one is not taken. */
Test(rule_4, 3_another_entry_at_the_same_op_is_refused)
{
    struct fixture *f = fixture_of(3, 1);
    struct vsr_buffer first = make_prepare_register(f, NULL, 9);

    fixture_message(f, first);
    cr_assert_eq(fixture_message(f, make_prepare_register(f, NULL, 8)), VSR_DROP_FORKED);
    cr_assert(fixture_noticed(f, VSR_NOTICE_FORKED_LOG));
    fixture_end(f);
}

/* 4.3: the parent's checksum is verified before an append. */
Test(rule_4, 3_entry_with_another_parent_is_refused)
{
    struct fixture *f = fixture_of(3, 1);
    struct vsr_buffer other = make_prepare_register(f, NULL, 8);
    struct vsr_buffer child = make_prepare(f, prepare_of(other), 0, 0, 1, 0, 1);

    fixture_message(f, make_prepare_register(f, NULL, 9));
    cr_assert_eq(fixture_message(f, child), VSR_DROP_FORKED);
    cr_assert_eq(seen(f).op, 1);
    fixture_buffers.unref(NULL, other.handle);
    fixture_end(f);
}

/* 4.3: commit advances to min(k, op), after a look at the commit checksum. */
Test(rule_4, 3_commit_checksum_is_checked_before_executing)
{
    struct fixture *f = fixture_of(3, 1);
    struct vsr_buffer first = make_prepare_register(f, NULL, 9);
    struct vsr_buffer second =
        make_prepare(f, prepare_of(first), 1, prepare_of(first)->entry.checksum + 1, 1, 0, 1);

    fixture_message(f, first);
    cr_assert_eq(fixture_message(f, second), VSR_DROP_FORKED);
    cr_assert_eq(seen(f).applied, 0);
    fixture_end(f);
}

/* 4.3: malformed Prepares change nothing. */
Test(rule_4, 3_malformed_prepare_is_dropped)
{
    struct fixture *f = fixture_of(3, 1);
    struct vsr_buffer b = make_prepare_register(f, NULL, 9);
    struct vsr_prepare *p = (struct vsr_prepare *)(void *)b.header;

    p->entry.op = 0;
    cr_assert_eq(fixture_message(f, copy_of(b)), VSR_DROP_MALFORMED);
    p->entry.op = 1;
    p->entry.kind = VSR_KIND_COUNT;
    cr_assert_eq(fixture_message(f, copy_of(b)), VSR_DROP_MALFORMED);
    p->entry.kind = VSR_KIND_REGISTER;
    p->commit = 1;
    cr_assert_eq(fixture_message(f, copy_of(b)), VSR_DROP_MALFORMED);
    p->commit = 0;
    p->header.count = f->options.batch_requests_max + 1;
    cr_assert_eq(fixture_message(f, b), VSR_DROP_MALFORMED);
    cr_assert_eq(seen(f).op, 0);
    fixture_end(f);
}

/* 4.4: commit is the Qr-th largest acknowledgement, for every size and quorum. */
Test(rule_4, 4_commit_needs_a_quorum)
{
    for (uint32_t n = 1; n <= 7; n++) {
        for (uint32_t qr = 1; qr <= n; qr++) {
            struct vsr_replica_options o = fixture_options(n, 0);
            o.quorum_replication = qr;
            o.quorum_view_change = n;
            struct fixture *f = fixture_start(&o);
            fixture_message(f, make_register(f, 1));
            fixture_turn_end(f);
            for (uint32_t i = 1; i < n; i++) {
                cr_assert_eq(seen(f).commit, i >= qr ? 1 : 0, "n %u qr %u acks %u", n, qr, i);
                fixture_message(f, make_prepare_ok(f, i, 1));
            }
            cr_assert_eq(seen(f).commit, 1);
            fixture_end(f);
        }
    }
}

/* 4.4: an acknowledgement of another entry, or beyond the log, does not count. */
Test(rule_4, 4_acknowledgement_of_another_log_is_refused)
{
    struct fixture *f = fixture_of(3, 0);

    fixture_message(f, make_register(f, 1));
    fixture_turn_end(f);
    struct vsr_buffer b = make_prepare_ok(f, 1, 1);
    ((struct vsr_prepare_ok *)(void *)b.header)->checksum ^= 1;
    cr_assert_eq(fixture_message(f, b), VSR_DROP_FORKED);
    cr_assert_eq(fixture_message(f, make_prepare_ok(f, 1, 2)), VSR_DROP_MALFORMED);
    b = make_prepare_ok(f, 1, 1);
    ((struct vsr_prepare_ok *)(void *)b.header)->applied = 2;
    cr_assert_eq(fixture_message(f, b), VSR_DROP_MALFORMED);
    cr_assert_eq(seen(f).commit, 0);
    cr_assert_eq(fixture_message(f, make_prepare_ok(f, 1, 1)), VSR_DROP_NONE);
    cr_assert_eq(fixture_message(f, make_prepare_ok(f, 1, 1)), VSR_DROP_STALE);
    fixture_end(f);
}

/* 4.5: strictly in op order, one apply at a time, also when many commit at once. */
Test(rule_4, 5_execution_is_in_op_order)
{
    struct fixture *f = fixture_of(3, 1);
    struct vsr_buffer last = fill_backup(f, 3);

    f->holds_apply = true;
    fixture_message(f, make_commit(f, 4, prepare_of(last)->entry.checksum));
    for (vsr_op op = 1; op <= 4; op++) {
        cr_assert_eq(f->held_op, op);
        cr_assert_eq(seen(f).applied, op - 1);
        fixture_step(f, (struct vsr_event){.kind = VSR_EVENT_APPLIED, .op = op});
    }
    cr_assert_eq(f->applied_requests, 3);
    cr_assert_eq(f->sent_count, 0, "only the primary answers");
    fixture_buffers.unref(NULL, last.handle);
    fixture_end(f);
}

/* 4.5: an entry whose request was executed before is a no-op, decided from the log alone. */
Test(rule_4, 5_repeated_request_in_the_log_is_a_no_op)
{
    struct fixture *f = fixture_of(3, 1);
    struct vsr_buffer first = fill_backup(f, 1);
    struct vsr_buffer again = make_prepare(f, prepare_of(first), 0, 0, 1, 0, 1);

    fixture_message(f, copy_of(again));
    fixture_message(f, make_commit(f, 3, prepare_of(again)->entry.checksum));
    cr_assert_eq(seen(f).applied, 3);
    cr_assert_eq(f->applied_requests, 1);
    cr_assert_eq(seen(f).counters.requests_repeated, 1);
    fixture_buffers.unref(NULL, first.handle);
    fixture_buffers.unref(NULL, again.handle);
    fixture_end(f);
}

/* 4.6: the idle primary sends its commit number; a backup executes up to it and answers. */
Test(rule_4, 6_heartbeat_carries_the_commit_number)
{
    struct fixture *primary = fixture_of(3, 0);
    vsr_session session;

    open_session(primary, 1, &session);
    const struct vsr_commit *commit = NULL;
    for (uint32_t i = 0; i < primary->options.heartbeat_ticks && commit == NULL; i++) {
        fixture_tick(primary);
        commit = (const struct vsr_commit *)(const void *)fixture_sent(primary, VSR_COMMIT, 0);
    }
    cr_assert_not_null(commit);
    cr_assert_eq(commit->commit, 1);
    cr_assert_eq(commit->commit_checksum, seen(primary).head_checksum);
    fixture_end(primary);

    struct fixture *backup = fixture_of(3, 1);
    struct vsr_buffer last = fill_backup(backup, 1);
    fixture_message(backup, make_commit(backup, 2, prepare_of(last)->entry.checksum));
    const struct vsr_commit_ok *ok =
        (const struct vsr_commit_ok *)(const void *)fixture_sent(backup, VSR_COMMIT_OK, 0);
    cr_assert_not_null(ok);
    cr_assert_eq(ok->op, 2);
    cr_assert_eq(seen(backup).applied, 2);
    fixture_buffers.unref(NULL, last.handle);
    fixture_end(backup);
}

/* 4.6: a Commit with another checksum executes nothing. */
Test(rule_4, 6_commit_of_another_entry_executes_nothing)
{
    struct fixture *f = fixture_of(3, 1);
    struct vsr_buffer last = fill_backup(f, 1);

    cr_assert_eq(fixture_message(f, make_commit(f, 2, 12345)), VSR_DROP_FORKED);
    cr_assert_eq(seen(f).applied, 0);
    fixture_buffers.unref(NULL, last.handle);
    fixture_end(f);
}

/* 4.6: a commit number beyond the log asks for the entries. */
Test(rule_4, 6_commit_beyond_the_log_asks_for_state)
{
    struct fixture *f = fixture_of(3, 1);
    struct vsr_buffer last = fill_backup(f, 0);

    fixture_message(f, make_commit(f, 5, 1));
    cr_assert_eq(seen(f).commit, 0, "nothing has confirmed what is held: rule G0");
    fixture_turn_end(f);
    cr_assert_eq(fixture_sent_count(f, VSR_GET_STATE), 1);
    fixture_buffers.unref(NULL, last.handle);
    fixture_end(f);
}

/* 4.6: the oldest unacknowledged Prepare is sent again every T_resend, and only to who lacks it. */
Test(rule_4, 6_unacknowledged_prepare_is_sent_again)
{
    struct fixture *f = fixture_of(3, 0);
    uint32_t resent = 0;

    fixture_message(f, make_register(f, 1));
    fixture_turn_end(f);
    fixture_message(f, make_register(f, 2));
    fixture_turn_end(f);
    fixture_message(f, make_prepare_ok(f, 1, 2));
    for (uint32_t i = 0; i < 3 * f->options.resend_ticks; i++) {
        fixture_tick(f);
        for (uint32_t k = 0; k < f->sent_count; k++) {
            if (f->sent[k].buffer.header->type != VSR_PREPARE) continue;
            resent++;
            cr_assert_eq(f->sent[k].to, 1u << 2);
            cr_assert_eq(prepare_of(f->sent[k].buffer)->entry.op, 1);
        }
    }
    cr_assert(resent >= 2, "%u times", resent);
    fixture_end(f);
}

/* 7.1: GetState is answered with what the log holds, and repeated when the answer is lost. */
Test(rule_4, 7_1_get_state_is_answered_with_prepares)
{
    struct fixture *f = fixture_of(3, 0);

    for (uint64_t i = 1; i <= 3; i++) {
        fixture_message(f, make_register(f, i));
        fixture_turn_end(f);
    }
    struct vsr_buffer b = make_header(f, VSR_GET_STATE, sizeof(struct vsr_get_state), 2);
    ((struct vsr_get_state *)(void *)b.header)->from_op = 1;
    ((struct vsr_get_state *)(void *)b.header)->from_checksum =
        vsr_replica_entry(f->r, 1)->entry.checksum;
    ((struct vsr_get_state *)(void *)b.header)->nonce = 44;
    fixture_message(f, b);
    const struct vsr_new_state *state =
        (const struct vsr_new_state *)(const void *)fixture_sent(f, VSR_NEW_STATE, 0);
    cr_assert_eq(state->nonce, 44);
    cr_assert_eq(state->base, 1);
    cr_assert_eq(state->op, 3);
    cr_assert_eq(fixture_sent_count(f, VSR_PREPARE), 2);
    for (uint32_t i = 0; i < f->sent_count; i++)
        cr_assert_eq(f->sent[i].to, 1u << 2);
    fixture_end(f);
}

/* The log is a ring: entries that every replica has executed leave it. */
Test(rule_4, released_entries_leave_the_log)
{
    struct fixture *f = fixture_of(3, 0);
    vsr_session session;

    open_session(f, 1, &session);
    open_session(f, 2, &session);
    cr_assert_eq(seen(f).log_start, 0);
    for (uint32_t i = 1; i <= 2; i++) {
        struct vsr_buffer b = make_header(f, VSR_COMMIT_OK, sizeof(struct vsr_commit_ok), i);
        ((struct vsr_commit_ok *)(void *)b.header)->op = 2;
        ((struct vsr_commit_ok *)(void *)b.header)->applied = i;
        cr_assert_eq(fixture_message(f, copy_of(b)), VSR_DROP_NONE);
        cr_assert_eq(fixture_message(f, b), VSR_DROP_STALE);
        fixture_turn_end(f);
    }
    cr_assert_eq(seen(f).log_start, 1, "the slowest has executed op 1");
    fixture_end(f);
}

/** Fills the primary's ring with replica 1 alone acknowledging, until no op gets in any more. */
static void fill_log(struct fixture *f, vsr_op end)
{
    for (uint64_t i = 1; i <= 16; i++) {
        fixture_message(f, make_register(f, i));
        fixture_turn_end(f);
        fixture_message(f, make_prepare_ok(f, 1, seen(f).op));
    }
    for (uint64_t i = 1; i <= end; i++) {
        uint32_t slot = (uint32_t)(i % 16);
        struct vsr_client_entry *entry = vsr_client_table_at(&f->r->clients, slot);
        fixture_message(f, make_request(f, entry->session, slot, entry->number + 1, 0));
        fixture_turn_end(f);
        fixture_message(f, make_prepare_ok(f, 1, seen(f).op));
    }
}

/* A replica that was heard of late is waited for: the ring keeps what it lacks. */
Test(rule_4, replica_that_is_slow_but_alive_keeps_its_entries)
{
    struct fixture *f = fixture_of(3, 0);

    fill_log(f, f->options.log_ops);
    cr_assert_eq(seen(f).op, f->options.log_ops, "full, and waiting");
    cr_assert_eq(seen(f).log_start, 0);
    fixture_message(f, make_prepare_ok(f, 2, 3));
    for (uint32_t i = 0; i < 2; i++)
        fixture_turn_end(f);
    cr_assert_gt(seen(f).op, f->options.log_ops, "room again");
    cr_assert_leq(seen(f).log_start, 3);
    fixture_end(f);
}

/* A replica that is silent too long keeps nobody else from going on: the ring drops its oldest. */
Test(rule_4, replica_behind_the_ring_is_told_and_named)
{
    struct fixture *f = fixture_of(3, 0);
    bool is_named = false;

    fill_log(f, f->options.log_ops);
    for (uint32_t i = 0; i < f->options.suspect_ticks; i++)
        fixture_tick(f);
    cr_assert_gt(seen(f).op, f->options.log_ops);
    cr_assert_gt(seen(f).log_start, 0);
    for (uint32_t i = 0; i < 3 * f->options.resend_ticks; i++) {
        fixture_tick(f);
        is_named |= fixture_noticed(f, VSR_NOTICE_REPLICA_BEHIND_LOG);
    }
    cr_assert(is_named);

    struct vsr_buffer b = make_header(f, VSR_GET_STATE, sizeof(struct vsr_get_state), 2);
    fixture_message(f, b);
    const struct vsr_new_state *state =
        (const struct vsr_new_state *)(const void *)fixture_sent(f, VSR_NEW_STATE, 0);
    cr_assert_eq(state->base, seen(f).log_start);
    cr_assert_eq(fixture_sent_count(f, VSR_PREPARE), 0, "they would not attach");
    fixture_end(f);
}

/* A ring full of entries that are not executed takes no more, and says so, at n - 1, n and n + 1.
 */
Test(rule_4, ring_full_of_unexecuted_entries_takes_no_more)
{
    struct vsr_replica_options o = fixture_options(3, 1);
    o.log_ops = 32;
    struct fixture *f = fixture_start(&o);
    struct vsr_buffer last = fill_backup(f, 30);

    for (vsr_op op = 32; op <= 33; op++) {
        struct vsr_buffer next = make_prepare(f, prepare_of(last), 0, 0, 1, 0, op - 1);
        cr_assert_eq(fixture_message(f, copy_of(next)),
                     op == 32 ? VSR_DROP_NONE : VSR_DROP_LOG_FULL);
        cr_assert_eq(fixture_noticed(f, VSR_NOTICE_LOG_FULL), op == 33);
        fixture_buffers.unref(NULL, last.handle);
        last = next;
    }
    fixture_message(f, make_commit(f, 1, vsr_replica_entry(f->r, 1)->entry.checksum));
    cr_assert_eq(fixture_message(f, last), VSR_DROP_NONE);
    cr_assert_eq(seen(f).log_start, 1);
    fixture_end(f);
}

/* A backup behind the ring says so, and asks for a snapshot. */
Test(rule_4, backup_behind_the_ring_asks_for_a_snapshot_and_says_so)
{
    struct fixture *f = fixture_of(3, 1);

    fixture_message(f, make_commit(f, 100, 1));
    fixture_turn_end(f);
    const struct vsr_get_state *get =
        (const struct vsr_get_state *)(const void *)fixture_sent(f, VSR_GET_STATE, 0);
    struct vsr_buffer b = make_header(f, VSR_NEW_STATE, sizeof(struct vsr_new_state), 0);
    struct vsr_new_state *state = (struct vsr_new_state *)(void *)b.header;
    state->nonce = get->nonce + 1;
    cr_assert_eq(fixture_message(f, copy_of(b)), VSR_DROP_WRONG_NONCE, "another nonce");
    state->nonce--;
    state->base = state->op = state->commit = 90;
    state->is_behind = 1;
    cr_assert_eq(fixture_message(f, b), VSR_DROP_NONE);
    cr_assert(fixture_noticed(f, VSR_NOTICE_BEHIND_LOG));
    struct vsr_replica_report report;
    vsr_replica_report(f->r, &report);
    cr_assert(report.is_behind_log);
    fixture_end(f);
}

/* A backup without its primary says so, once. */
Test(rule_4, silent_primary_is_noticed_once)
{
    struct fixture *f = fixture_of(3, 1);
    uint32_t noticed = 0;

    for (uint32_t i = 0; i < 5 * f->options.suspect_ticks; i++) {
        fixture_tick(f);
        noticed += fixture_noticed(f, VSR_NOTICE_PRIMARY_SILENT);
    }
    cr_assert_eq(noticed, 1);
    fixture_message(f, make_commit(f, 0, 0));
    cr_assert(fixture_noticed(f, VSR_NOTICE_PRIMARY_BACK));
    fixture_end(f);
}
