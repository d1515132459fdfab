/**
 * Sessions and exactly-once at the replicas. DESIGN.md, "Rules", 5.1 to 5.4 and C1 to C9.
 */
#include "fixture.h"
#include "leak_check.h"
#include "messages.h"

#include <criterion/criterion.h>
#include <string.h>

LEAK_CHECKED_SUITE(rule_5);

static struct fixture *start(uint32_t replica_count, uint32_t sessions_max)
{
    struct vsr_replica_options o = fixture_options(replica_count, 0);
    o.sessions_max = sessions_max;
    return fixture_start(&o);
}

/** What only the primary that logged a Register knows: another one logs it again. */
static void forget_registers(struct fixture *f)
{
    memset(f->r->in_view.registers, 0, sizeof f->r->in_view.registers);
}

/** Executes one operation of a session. */
static void execute(struct fixture *f, vsr_session session, uint32_t slot, uint64_t number)
{
    fixture_message(f, make_request(f, session, slot, number, 1));
    fixture_turn_end(f);
    acknowledge_all(f);
    fixture_turn_end(f);
}

/* 5.1: a view hint above the replica's view is no reason to refuse. */
Test(rule_5, 1_view_hint_is_only_a_hint)
{
    struct fixture *f = start(3, 16);
    vsr_session session;
    uint32_t slot = open_session(f, 1, &session);
    struct vsr_buffer b = make_request(f, session, slot, 1, 1);

    b.header->view = 99;
    cr_assert_eq(fixture_message(f, b), VSR_DROP_NONE);
    fixture_turn_end(f);
    cr_assert_eq(seen(f).op, 2);
    fixture_end(f);
}

/* C2: deduplication by executed requests alone executes a retry twice; pending prevents it. */
Test(rule_5, C2_retry_of_an_unexecuted_request_is_executed_once)
{
    struct fixture *f = start(3, 16);
    vsr_session session;
    uint32_t slot = open_session(f, 1, &session);

    for (int i = 0; i < 5; i++) {
        fixture_message(f, make_request(f, session, slot, 1, 1));
        fixture_turn_end(f);
    }
    acknowledge_all(f);
    fixture_turn_end(f);
    cr_assert_eq(f->applied_requests, 1);
    fixture_end(f);
}

/* C3: executing one request leaves the next one pending. */
Test(rule_5, C3_pending_is_not_lowered_by_executing)
{
    struct fixture *f = start(3, 16);
    vsr_session session;
    uint32_t slot = open_session(f, 1, &session);

    execute(f, session, slot, 1);
    fixture_message(f, make_request(f, session, slot, 2, 1));
    fixture_turn_end(f);
    const vsr_op op = seen(f).op;
    fixture_message(f, make_request(f, session, slot, 2, 1));
    fixture_turn_end(f);
    cr_assert_eq(seen(f).op, op);
    fixture_end(f);
}

/* C6: the oldest session by log order goes, on every replica the same. */
Test(rule_5, C6_eviction_follows_the_log)
{
    struct fixture *f = start(3, 3);
    vsr_session session[4];
    uint32_t slot[4];

    for (uint32_t i = 0; i < 3; i++)
        slot[i] = open_session(f, i + 1, &session[i]);
    execute(f, session[0], slot[0], 1); /* now session 1 is the oldest */
    slot[3] = open_session(f, 9, &session[3]);
    cr_assert_eq(slot[3], slot[1]);
    fixture_message(f, make_request(f, session[1], slot[1], 1, 1));
    fixture_turn_end(f);
    cr_assert_eq(fixture_reply(f, 0)->status, VSR_REPLY_EVICTED);
    execute(f, session[0], slot[0], 2);
    cr_assert_eq(fixture_reply(f, 0)->status, VSR_REPLY_OK);
    fixture_end(f);
}

/* C6: a request in the log whose session is evicted before it executes is a no-op everywhere. */
Test(rule_5, C6_request_of_a_session_evicted_meanwhile_is_a_no_op)
{
    struct fixture *f = start(3, 1);
    vsr_session session;
    uint32_t slot = open_session(f, 1, &session);

    fixture_message(f, make_register(f, 2));
    fixture_turn_end(f);
    fixture_message(f, make_request(f, session, slot, 1, 1));
    fixture_turn_end(f);
    acknowledge_all(f);
    fixture_turn_end(f);
    cr_assert_eq(seen(f).applied, 3);
    cr_assert_eq(f->applied_requests, 0);
    cr_assert_eq(seen(f).counters.requests_repeated, 1);
    fixture_end(f);
}

/* C7: nothing is answered before it is committed. */
Test(rule_5, C7_no_reply_before_commit)
{
    struct fixture *f = start(5, 16);
    vsr_session session;
    uint32_t slot = open_session(f, 1, &session);

    fixture_message(f, make_request(f, session, slot, 1, 1));
    fixture_turn_end(f);
    fixture_message(f, make_prepare_ok(f, 1, 2));
    fixture_turn_end(f);
    cr_assert_null(fixture_reply(f, 0));
    fixture_message(f, make_prepare_ok(f, 2, 2));
    fixture_turn_end(f);
    cr_assert_not_null(fixture_reply(f, 0));
    fixture_end(f);
}

/* C9: a replayed Register of an evicted client never revives its old session number. */
Test(rule_5, C9_replayed_register_does_not_revive_the_old_session)
{
    struct fixture *f = start(3, 1);
    vsr_session old;
    vsr_session other;
    vsr_session replayed;

    open_session(f, 1, &old);
    execute(f, old, 0, 1);
    open_session(f, 2, &other);
    forget_registers(f);
    open_session(f, 1, &replayed);
    cr_assert_neq(old, replayed);
    execute(f, old, 0, 2);
    cr_assert_eq(f->applied_requests, 1);
    cr_assert_eq(fixture_reply(f, 0), NULL);
    cr_assert_eq(seen(f).drops[VSR_DROP_EVICTED_SESSION], 1);
    fixture_end(f);
}

/* 5.3: a repeated Register is answered with the session it has, without another op. */
Test(rule_5, 3_repeated_register_gets_its_session)
{
    struct fixture *f = start(3, 16);
    vsr_session session;

    open_session(f, 1, &session);
    fixture_message(f, make_register(f, 1));
    fixture_turn_end(f);
    cr_assert_eq(seen(f).op, 1);
    cr_assert_eq(fixture_reply(f, 0)->session, session);
    cr_assert_eq(fixture_reply(f, 0)->number, 0);
    fixture_end(f);
}

static struct vsr_buffer make_register_from(struct fixture *f, uint64_t client_id,
                                            vsr_address address)
{
    struct vsr_buffer b = make_register(f, client_id);
    struct vsr_register *payload =
        (struct vsr_register *)(void *)((uint8_t *)(b.header + 1) + sizeof(struct vsr_request));
    payload->address = address;
    return b;
}

/* 5.4: a Register with a known id from another address is refused, not joined. */
Test(rule_5, 4_register_from_another_address_is_refused)
{
    struct fixture *f = start(3, 16);
    vsr_session session;

    open_session(f, 1, &session);
    fixture_message(f, make_register_from(f, 1, CLIENT + 1));
    fixture_turn_end(f);
    cr_assert_eq(seen(f).op, 1);
    cr_assert_eq(fixture_reply(f, 0)->status, VSR_REPLY_REFUSED);
    cr_assert_eq(fixture_reply(f, 0)->session, 0);
    cr_assert_eq(f->sent[0].address, CLIENT + 1);
    cr_assert_eq(seen(f).drops[VSR_DROP_FOREIGN_ID], 1);
    fixture_end(f);
}

/* 5.4: likewise when both are in the log before either is executed: the first in it has the id. */
Test(rule_5, 4_second_register_in_the_log_is_refused)
{
    struct fixture *f = start(3, 16);
    uint32_t refused = 0;

    fixture_message(f, make_register_from(f, 1, CLIENT));
    fixture_message(f, make_register_from(f, 1, CLIENT + 1));
    fixture_turn_end(f);
    acknowledge_all(f);
    fixture_turn_end(f);
    cr_assert_eq(seen(f).sessions, 1);
    cr_assert_eq(vsr_client_table_at(&f->r->clients, 0)->address, CLIENT);
    for (uint32_t i = 0; i < 2; i++) {
        const struct vsr_reply *reply = fixture_reply(f, i);
        cr_assert_not_null(reply);
        refused += reply->status == VSR_REPLY_REFUSED;
    }
    cr_assert_eq(refused, 1);
    fixture_end(f);
}

/* 4.1.3, 5.3: a Register that comes again is silence while it is in the log and not executed, and
 * opens no second session when its first was evicted: its client is told. Of two clients with one
 * table place each would else be evicted by what is still on its way of the other, for ever. */
Test(rule_5, 3_register_that_comes_again_evicts_nobody)
{
    struct fixture *f = start(3, 1);
    struct vsr_registered registered;
    vsr_session other;

    fixture_message(f, make_register(f, 1));
    fixture_message(f, make_register(f, 1)); /* in the open batch */
    fixture_turn_end(f);
    fixture_message(f, make_register(f, 1)); /* in the log */
    fixture_turn_end(f);
    cr_assert_eq(seen(f).op, 1);
    cr_assert_eq(seen(f).drops[VSR_DROP_IN_LOG], 2);
    acknowledge_all(f);
    fixture_turn_end(f);
    cr_assert_eq(open_session(f, 2, &other), 0);
    fixture_message(f, make_register(f, 1));
    fixture_turn_end(f);
    cr_assert_eq(seen(f).op, 2);
    const struct vsr_reply *reply = fixture_reply(f, 0);
    cr_assert_eq(reply->status, VSR_REPLY_EVICTED);
    cr_assert_eq(reply->number, 0);
    cr_assert_eq(reply->payload_bytes, sizeof registered);
    memcpy(&registered, reply + 1, sizeof registered);
    cr_assert_eq(registered.client_id[0], 1);
    execute(f, other, 0, 1);
    cr_assert_eq(f->applied_requests, 1, "and the other has kept its session");
    fixture_end(f);
}

/* 5.3: a Register that is in the log twice opens one session. */
Test(rule_5, 3_register_twice_in_the_log_opens_one_session)
{
    struct fixture *f = start(3, 16);

    fixture_message(f, make_register(f, 1));
    fixture_turn_end(f);
    forget_registers(f);
    fixture_message(f, make_register(f, 1));
    fixture_turn_end(f);
    cr_assert_eq(seen(f).op, 2);
    acknowledge_all(f);
    fixture_turn_end(f);
    cr_assert_eq(seen(f).sessions, 1);
    cr_assert_eq(fixture_reply(f, 0)->session, 1);
    cr_assert_eq(fixture_reply(f, 1)->session, 1);
    fixture_end(f);
}

/* 5.3: one op opens no more sessions than the table holds. */
Test(rule_5, 3_registers_of_one_op_are_bounded_by_the_table)
{
    struct fixture *f = start(3, 2);

    for (uint64_t i = 1; i <= 3; i++)
        fixture_message(f, make_register(f, i));
    fixture_turn_end(f);
    cr_assert_eq(seen(f).op, 2);
    cr_assert_eq(vsr_replica_entry(f->r, 1)->header.count, 2);
    fixture_end(f);
}

/* One request per message: every reply is a message of its own. */
Test(rule_5, replies_per_message_of_one)
{
    struct vsr_replica_options o = fixture_options(3, 0);
    o.replies_per_message = 1;
    struct fixture *f = fixture_start(&o);
    vsr_session session[3];
    uint32_t slot[3];

    for (uint32_t i = 0; i < 3; i++)
        slot[i] = open_session(f, i + 1, &session[i]);
    for (uint32_t i = 0; i < 3; i++)
        fixture_message(f, make_request(f, session[i], slot[i], 1, 1));
    fixture_turn_end(f);
    acknowledge_all(f); /* executes: full messages leave at once */
    cr_assert_eq(fixture_sent_count(f, VSR_REPLY), 3);
    fixture_end(f);
}

/* More clients than open reply messages: the oldest is sent to make room, none is lost. */
Test(rule_5, replies_to_many_clients_are_all_sent)
{
    struct vsr_replica_options o = fixture_options(3, 0);
    o.sessions_max = 40;
    struct fixture *f = fixture_start(&o);
    uint32_t replies = 0;

    for (uint64_t i = 0; i < 40; i++) {
        struct vsr_buffer b = make_register(f, i + 1);
        ((struct vsr_register *)(void *)((struct vsr_request *)(void *)(b.header + 1) + 1))
            ->address = 1000 + i;
        fixture_message(f, b);
    }
    fixture_turn_end(f);
    acknowledge_all(f);
    replies += fixture_sent_count(f, VSR_REPLY);
    fixture_turn_end(f);
    replies += fixture_sent_count(f, VSR_REPLY);
    cr_assert_eq(replies, 40);
    fixture_end(f);
}

/* Exhaustion is an ordinary answer: whatever take fails, retries bring everything to its end. */
Test(rule_5, exhausted_buffers_lose_nothing_for_good)
{
    for (long failing = 1; failing < 12; failing++) {
        struct fixture *f = start(3, 16);
        vsr_session session;
        uint32_t slot = open_session(f, 1, &session);
        bool is_answered = false;

        fixture_buffers_fail = failing;
        for (uint32_t i = 0; i < 60 && !is_answered; i++) {
            fixture_buffers_fail = fixture_buffers_fail > 0 ? fixture_buffers_fail - 1 : 0;
            const long held = fixture_buffers_fail;
            fixture_buffers_fail = 0;
            struct vsr_buffer b = make_request(f, session, slot, 1, 1);
            struct vsr_buffer ok = make_prepare_ok(f, 1, seen(f).op);
            fixture_buffers_fail = held;
            fixture_message(f, b);
            fixture_turn_end(f);
            is_answered |= fixture_reply(f, 0) != NULL;
            fixture_message(f, ok);
            fixture_tick(f);
            is_answered |= fixture_reply(f, 0) != NULL;
        }
        fixture_buffers_fail = 0;
        cr_assert(is_answered, "%ld failing takes", failing);
        cr_assert_eq(f->applied_requests, 1);
        fixture_end(f);
    }
}

/* C1: with Qr = 1 taking in a request may execute the batch before it, and a Register in that take
 * the request's slot: the new session's numbers are its own. */
Test(rule_5, C1_request_whose_slot_is_taken_meanwhile_blocks_nobody)
{
    struct vsr_replica_options o = fixture_options(3, 0);
    o.sessions_max = 1;
    o.quorum_replication = 1;
    o.quorum_view_change = 3;
    struct fixture *f = fixture_start(&o);
    vsr_session old;
    uint32_t slot = open_session(f, 1, &old);

    fixture_message(f, make_register(f, 2));
    fixture_message(f, make_request(f, old, slot, 1, 1)); /* closes the Register's batch */
    const struct vsr_client_entry *entry = vsr_client_table_at(&f->r->clients, slot);
    cr_assert_neq(entry->session, old);
    cr_assert_eq(entry->pending, 0);
    fixture_turn_end(f);
    execute(f, entry->session, slot, 1);
    cr_assert_eq(f->applied_requests, 1);
    fixture_end(f);
}

/* 5.3: a Register that is in the log twice, the second time beside one that evicts its session. */
Test(rule_5, 3_repeated_register_whose_session_is_evicted_beside_it)
{
    struct fixture *f = start(3, 2);

    fixture_message(f, make_register(f, 1));
    fixture_message(f, make_register(f, 2));
    fixture_turn_end(f);
    forget_registers(f);
    fixture_message(f, make_register(f, 1));
    fixture_message(f, make_register(f, 3));
    fixture_turn_end(f);
    cr_assert_eq(seen(f).op, 2);
    acknowledge_all(f);
    fixture_turn_end(f);
    cr_assert_eq(seen(f).sessions, 2);
    cr_assert_eq(fixture_reply(f, 2)->session, 2, "of client 3");
    cr_assert_null(fixture_reply(f, 3), "client 1 has to ask again");
    fixture_end(f);
}

/* 5.1: a new primary tells the clients of its view, each address once, some at a time. */
Test(rule_5, 1_new_primary_tells_every_client)
{
    struct vsr_replica_options o = fixture_options(3, 0);
    const struct chain none = {.replica_count = 3};
    bool is_told[50] = {false};
    uint32_t told = 0;

    o.sessions_max = 100;
    o.log_ops = 256;
    struct fixture *f = fixture_start(&o);
    for (uint64_t i = 0; i < 100; i++) {
        struct vsr_buffer b = make_register(f, i + 1);
        ((struct vsr_register *)(void *)((struct vsr_request *)(void *)(b.header + 1) + 1))
            ->address = i / 2; /* two sessions of each client */
        fixture_message(f, b);
        fixture_turn_end(f);
        acknowledge_all(f);
    }
    struct vsr_buffer do_view_change = make_do_view_change(f, 2, 3, 0, &none, 0, 0);
    leave(f, 3);
    fixture_message(f, do_view_change);
    cr_assert_eq(seen(f).status, VSR_STATUS_NORMAL);
    for (uint32_t turn = 0; turn < 10; turn++) {
        uint32_t now = 0;
        fixture_turn_end(f);
        for (uint32_t i = 0; i < f->sent_count; i++) {
            if (f->sent[i].buffer.header->type != VSR_NEW_VIEW) continue;
            cr_assert_eq(f->sent[i].buffer.header->view, 3);
            cr_assert(!is_told[f->sent[i].address], "twice");
            is_told[f->sent[i].address] = true;
            now++;
        }
        cr_assert_leq(now, 16);
        told += now;
    }
    cr_assert_eq(told, 50);
    fixture_end(f);
}

/** A backup that has executed the Register of session 1 and its request 1; the primary is replica
 * 0. */
static struct fixture *start_backup(struct chain *c)
{
    struct vsr_replica_options o = fixture_options(3, 1);
    struct fixture *f = fixture_start(&o);

    *c = chain_make(3, 3);
    chain_feed(f, c, 3, 2); /* request 2 is in the log, not committed */
    return f;
}

/* 5.7: a backup answers from its own table what has been executed. */
Test(rule_5, 7_backup_answers_what_was_executed)
{
    struct chain c;
    struct fixture *f = start_backup(&c);

    cr_assert_eq(fixture_message(f, make_request(f, 1, 0, 1, 1)), VSR_DROP_NOT_PRIMARY);
    cr_assert_not_null(fixture_reply(f, 0));
    cr_assert_eq(fixture_reply(f, 0)->status, VSR_REPLY_OK);
    cr_assert_eq(fixture_reply(f, 0)->number, 1);
    cr_assert_eq(fixture_sent_count(f, VSR_REQUEST), 0);
    cr_assert_eq(fixture_sent_count(f, VSR_NOT_PRIMARY), 1);
    chain_free(&c);
    fixture_end(f);
}

/* 5.7, C7: what is only in the log is not answered; the primary has to see it. */
Test(rule_5, 7_backup_passes_on_what_was_not)
{
    struct chain c;
    struct fixture *f = start_backup(&c);

    fixture_message(f, make_request(f, 1, 0, 2, 1));
    cr_assert_null(fixture_reply(f, 0));
    const struct vsr_header *m = fixture_sent(f, VSR_REQUEST, 0);
    cr_assert_not_null(m);
    cr_assert_eq(receivers(f, VSR_REQUEST), 1u);
    cr_assert_eq(m->from, CLIENT);
    cr_assert_eq(m->to, 0);
    cr_assert_eq(m->count, 1);
    cr_assert_eq(m->bytes, sizeof *m + sizeof(struct vsr_request) + 8);
    cr_assert_eq(((const struct vsr_request *)(const void *)(m + 1))->number, 2);
    chain_free(&c);
    fixture_end(f);
}

/* 5.7: once. */
Test(rule_5, 7_what_was_passed_on_goes_no_further)
{
    struct chain c;
    struct fixture *f = start_backup(&c);
    struct vsr_buffer b = make_request(f, 1, 0, 2, 1);

    b.header->to = 1;
    cr_assert_eq(fixture_message(f, b), VSR_DROP_NOT_PRIMARY);
    cr_assert_eq(fixture_sent_count(f, VSR_REQUEST), 0);
    cr_assert_eq(fixture_sent_count(f, VSR_NOT_PRIMARY), 1);
    chain_free(&c);
    fixture_end(f);
}

/* 5.7: Registers likewise; and a session that may open yet is not said to be gone. */
Test(rule_5, 7_backup_knows_sessions)
{
    struct chain c;
    struct fixture *f = start_backup(&c);
    const uint64_t *id = f->r->clients.ids[0];
    struct vsr_buffer b = make_register(f, 1);
    struct vsr_register *payload =
        (struct vsr_register *)(void *)((uint8_t *)(b.header + 1) + sizeof(struct vsr_request));

    memcpy(payload->client_id, id, sizeof payload->client_id);
    payload->address = vsr_client_table_at(&f->r->clients, 0)->address;
    fixture_message(f, b);
    cr_assert_eq(fixture_reply(f, 0)->session, 1);
    cr_assert_eq(fixture_reply(f, 0)->number, 0);
    fixture_message(f, make_register(f, 99));
    cr_assert_null(fixture_reply(f, 0));
    cr_assert_eq(fixture_sent_count(f, VSR_REQUEST), 1);
    fixture_message(f, make_request(f, 3, 0, 1, 1)); /* opened at op 3, perhaps */
    cr_assert_null(fixture_reply(f, 0));
    cr_assert_eq(fixture_sent_count(f, VSR_REQUEST), 1);
    fixture_message(f, make_request(f, 2, 0, 1, 1)); /* never opened */
    cr_assert_eq(fixture_reply(f, 0)->status, VSR_REPLY_EVICTED);
    chain_free(&c);
    fixture_end(f);
}

static struct vsr_buffer make_close(struct fixture *f, vsr_session session, uint32_t slot,
                                    uint64_t number)
{
    struct vsr_buffer b = make_request(f, session, slot, number, 0);
    struct vsr_request *request = (struct vsr_request *)(void *)(b.header + 1);

    request->kind = VSR_KIND_CLOSE;
    request->payload_bytes = 0;
    b.header->bytes = sizeof *b.header + sizeof *request;
    return b;
}

/** Closes a session through the log. */
static void close_session(struct fixture *f, vsr_session session, uint32_t slot, uint64_t number)
{
    fixture_message(f, make_close(f, session, slot, number));
    fixture_turn_end(f);
    acknowledge_all(f);
    fixture_turn_end(f);
}

/* 5.5: a Close goes through the log; its slot is the next one to be used, and nobody is evicted. */
Test(rule_5, 5_close_frees_the_session_s_slot)
{
    struct fixture *f = start(3, 3);
    vsr_session session[4];
    uint32_t slot[4];

    for (uint32_t i = 0; i < 3; i++)
        slot[i] = open_session(f, i + 1, &session[i]);
    execute(f, session[1], slot[1], 1);
    close_session(f, session[1], slot[1], 2);
    cr_assert_eq(fixture_reply(f, 0)->status, VSR_REPLY_OK);
    cr_assert_eq(fixture_reply(f, 0)->number, 2);
    cr_assert_eq(f->r->clients.open, 2);
    slot[3] = open_session(f, 9, &session[3]);
    cr_assert_eq(slot[3], slot[1]);
    cr_assert_eq(seen(f).counters.evictions, 0);
    execute(f, session[0], slot[0], 1);
    cr_assert_eq(fixture_reply(f, 0)->status, VSR_REPLY_OK);
    fixture_end(f);
}

/* 5.5: a request behind the Close in the log is a no-op, one that comes later is told that the
 * session is gone, and a Close that comes again is told the same. */
Test(rule_5, 5_nothing_follows_a_close)
{
    struct fixture *f = start(3, 4);
    vsr_session session;
    uint32_t slot = open_session(f, 1, &session);

    execute(f, session, slot, 1);
    fixture_message(f, make_close(f, session, slot, 2));
    fixture_turn_end(f);
    fixture_message(f, make_request(f, session, slot, 2, 1));
    fixture_turn_end(f);
    acknowledge_all(f);
    fixture_turn_end(f);
    cr_assert_eq(f->applied_requests, 1);
    for (uint64_t number = 1; number <= 2; number++) {
        fixture_message(f, make_request(f, session, slot, number, 1));
        fixture_turn_end(f);
        cr_assert_eq(fixture_reply(f, 0)->status, VSR_REPLY_EVICTED);
    }
    fixture_message(f, make_close(f, session, slot, 2));
    fixture_turn_end(f);
    cr_assert_eq(fixture_reply(f, 0)->status, VSR_REPLY_EVICTED);
    fixture_message(f, make_request(f, 0, slot, 1, 1)); /* of nobody: the slot is free */
    fixture_turn_end(f);
    cr_assert_eq(f->applied_requests, 1);
    fixture_end(f);
}

/* 5.5: only its own client closes a session. */
Test(rule_5, 5_close_from_another_address_is_dropped)
{
    struct fixture *f = start(3, 4);
    vsr_session session;
    uint32_t slot = open_session(f, 1, &session);
    struct vsr_buffer b = make_close(f, session, slot, 1);

    b.header->from = CLIENT + 1;
    fixture_message(f, b);
    fixture_turn_end(f);
    cr_assert_eq(seen(f).op, 1);
    cr_assert_null(fixture_reply(f, 0));
    fixture_end(f);
}

/* 5.6: who is evicted is told, whenever it asks, which of its requests was the last executed: what
 * is behind that never was, and never will be. */
Test(rule_5, 6_evicted_session_learns_what_was_executed)
{
    struct fixture *f = start(3, 1);
    vsr_session old;
    vsr_session other;
    struct vsr_evicted evicted;

    open_session(f, 1, &old);
    execute(f, old, 0, 1);
    execute(f, old, 0, 2);
    open_session(f, 2, &other);
    fixture_message(f, make_request(f, old, 0, 3, 1));
    fixture_turn_end(f);
    const struct vsr_reply *reply = fixture_reply(f, 0);
    cr_assert_eq(reply->status, VSR_REPLY_EVICTED);
    cr_assert_eq(reply->payload_bytes, sizeof evicted);
    memcpy(&evicted, reply + 1, sizeof evicted);
    cr_assert_eq(evicted.executed, 2);
    open_session(f, 3, &other); /* one more, and it is not known any more */
    fixture_message(f, make_request(f, old, 0, 3, 1));
    fixture_turn_end(f);
    cr_assert_eq(fixture_reply(f, 0)->status, VSR_REPLY_EVICTED);
    cr_assert_eq(fixture_reply(f, 0)->payload_bytes, 0);
    fixture_end(f);
}

/* 4.1: a payload above op_bytes_max gets an answer. */
Test(rule_5, request_that_is_too_large_is_answered)
{
    struct vsr_replica_options o = fixture_options(3, 0);
    o.op_bytes_max = 4;
    struct fixture *f = fixture_start(&o);
    vsr_session session;
    uint32_t slot = open_session(f, 1, &session);

    fixture_message(f, make_request(f, session, slot, 1, 1));
    fixture_turn_end(f);
    cr_assert_eq(fixture_reply(f, 0)->status, VSR_REPLY_TOO_LARGE);
    cr_assert_eq(seen(f).drops[VSR_DROP_TOO_LARGE], 1);
    cr_assert_eq(seen(f).op, 1);
    fixture_end(f);
}
