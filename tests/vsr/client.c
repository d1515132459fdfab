/**
 * The client's side. vsr/client.h; DESIGN.md, "Rules", 5.1 to 5.4.
 */
#include "desk.h"
#include "leak_check.h"

#include <vsr/client.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

LEAK_CHECKED_SUITE(client);

/* client.h: all requests of a turn travel in one message. */
Test(client, requests_of_a_turn_share_a_message)
{
    struct desk d = ready_desk(5, 0);

    for (uint32_t i = 0; i < 5; i++)
        submit(&d, i);
    cr_assert_eq(d.out.count, 0);
    vsr_client_turn_end(d.c, &d.out);
    cr_assert_eq(count_effects(&d, VSR_CLIENT_SEND), 1);
    cr_assert_eq(d.out.list[0].buffer.header->count, 5);
    cr_assert_eq(d.out.list[0].to, 1u, "to the primary of the view hint");
    close_desk(&d);
}

/* client.h: requests_per_message 1. */
Test(client, one_request_one_message)
{
    struct desk d = ready_desk(3, 1);

    for (uint32_t i = 0; i < 3; i++)
        submit(&d, i);
    cr_assert_eq(count_effects(&d, VSR_CLIENT_SEND), 3);
    close_desk(&d);
}

/* client.h: vsr_client_submit's errors. */
Test(client, submit_refuses_what_it_cannot_take)
{
    struct desk d = ready_desk(2, 0);
    const uint8_t payload[65] = {0};

    cr_assert_eq(vsr_client_submit(d.c, 2, payload, 8, &d.out), -EINVAL);
    cr_assert_eq(vsr_client_submit(d.c, 0, payload, 65, &d.out), -EMSGSIZE);
    submit(&d, 0);
    cr_assert_eq(vsr_client_submit(d.c, 0, payload, 8, &d.out), -EBUSY);
    close_desk(&d);
}

/* A payload of any size travels whole, padded with zeros. */
Test(client, payloads_of_every_size_travel_whole)
{
    struct desk d = ready_desk(1, 0);
    uint8_t payload[64];
    uint64_t number = 0;

    memset(payload, 0xEE, sizeof payload);
    for (uint32_t bytes = 0; bytes <= 64; bytes++) {
        cr_assert_eq(vsr_client_submit(d.c, 0, payload, bytes, &d.out), 0);
        vsr_client_turn_end(d.c, &d.out);
        const struct vsr_request *r = request(&d, 0, NULL);
        const uint8_t *sent = (const uint8_t *)(r + 1);
        cr_assert_eq(r->payload_bytes, bytes);
        cr_assert_eq(memcmp(sent, payload, bytes), 0);
        for (uint32_t i = bytes; i < VSR_PADDED(bytes); i++)
            cr_assert_eq(sent[i], 0);
        drop_effects(&d);
        reply_to(&d, 0, ++number, VSR_REPLY_OK);
        drop_effects(&d);
    }
    close_desk(&d);
}

/* 5.1: on timeout to all replicas, the same number, later each time. */
Test(client, 5_1_unanswered_request_is_sent_to_all_with_backoff)
{
    struct desk d = ready_desk(1, 0);
    uint64_t last = 0;
    uint64_t gap_before = 0;
    uint32_t retries = 0;

    submit(&d, 0);
    vsr_client_turn_end(d.c, &d.out);
    drop_effects(&d);
    for (uint64_t tick = 1; tick < 3000; tick++) {
        uint32_t to;
        vsr_client_tick(d.c, &d.out);
        vsr_client_turn_end(d.c, &d.out);
        const struct vsr_request *r = request(&d, 0, &to);
        if (r != NULL) {
            cr_assert_eq(to, 7u);
            cr_assert_eq(r->number, 1);
            /* The jitter is a quarter, the sweep late by up to 8 ticks. */
            cr_assert((tick - last) * 5 / 4 + 16 >= gap_before, "backs off");
            gap_before = tick - last;
            last = tick;
            retries++;
        }
        drop_effects(&d);
    }
    /* 10, 20, 40, 80, 160, 320, 320, ... and up to a quarter more */
    cr_assert(retries >= 7 && retries <= 16, "%u retries", retries);
    reply_to(&d, 0, 1, VSR_REPLY_OK);
    cr_assert_eq(count_effects(&d, VSR_CLIENT_RESULT), 1);
    close_desk(&d);
}

/* A reply is taken once: late, repeated and foreign ones are counted and ignored. */
Test(client, repeated_and_foreign_replies_are_ignored)
{
    struct desk d = ready_desk(2, 0);
    struct vsr_client_report report;

    submit(&d, 0);
    reply_to(&d, 0, 1, VSR_REPLY_OK);
    reply_to(&d, 0, 1, VSR_REPLY_OK);
    reply_to(&d, 0, 2, VSR_REPLY_OK);
    reply_to(&d, 1, 1, VSR_REPLY_OK);
    receive_reply(&d, (struct vsr_reply){.session = 5, .number = 1, .slot = 0}, NULL, 0);
    receive_reply(&d, (struct vsr_reply){.session = 5, .number = 1, .slot = 9999999}, NULL, 0);
    cr_assert_eq(count_effects(&d, VSR_CLIENT_RESULT), 1);
    vsr_client_report(d.c, &report);
    cr_assert_eq(report.replies_ignored, 5);
    cr_assert_eq(report.answered, 1);
    close_desk(&d);
}

/* Bytes that do not fit are ignored: headers, counts, sizes. */
Test(client, damaged_messages_are_ignored)
{
    struct desk d = ready_desk(1, 0);
    uint64_t memory[16] = {0};
    struct vsr_header *m = (struct vsr_header *)(void *)memory;
    struct vsr_client_report report;

    submit(&d, 0);
    *m = (struct vsr_header){.magic = VSR_MAGIC,
                             .version = VSR_VERSION,
                             .type = VSR_REPLY,
                             .cluster = CLUSTER,
                             .bytes = sizeof *m + sizeof(struct vsr_reply),
                             .count = 1};
    struct vsr_reply *reply = (struct vsr_reply *)(void *)(m + 1);
    *reply = (struct vsr_reply){.session = 100, .number = 1, .payload_bytes = 8};
    vsr_client_receive(d.c, m, &d.out); /* the result lies beyond the message */
    m->magic++;
    vsr_client_receive(d.c, m, &d.out);
    m->magic--, m->cluster++;
    vsr_client_receive(d.c, m, &d.out);
    m->cluster--, m->from = 3;
    vsr_client_receive(d.c, m, &d.out);
    m->from = 0, m->type = VSR_PREPARE;
    vsr_client_receive(d.c, m, &d.out);
    m->type = VSR_REPLY, m->bytes = 8;
    vsr_client_receive(d.c, m, &d.out);
    m->bytes = sizeof *m, m->count = 0, m->view = VSR_VIEW_MAX + 1;
    vsr_client_receive(d.c, m, &d.out);
    cr_assert_eq(d.out.count, 0);
    vsr_client_report(d.c, &report);
    cr_assert_eq(report.replies_ignored, 7);
    cr_assert_eq(report.view_hint, 0);
    m->view = VSR_VIEW_MAX;
    vsr_client_receive(d.c, m, &d.out);
    vsr_client_report(d.c, &report);
    cr_assert_eq(report.view_hint, VSR_VIEW_MAX);
    close_desk(&d);
}

/* 5.3: an evicted session reports that the outcome is unknown, and opens anew with a fresh id. */
Test(client, 5_3_evicted_session_opens_anew)
{
    struct desk d = ready_desk(1, 0);

    submit(&d, 0);
    reply_to(&d, 0, 1, VSR_REPLY_EVICTED);
    cr_assert_eq(count_effects(&d, VSR_CLIENT_EVICTED), 1);
    cr_assert_eq(vsr_client_session_state(d.c, 0), VSR_SESSION_REGISTERING);
    drop_effects(&d);
    vsr_client_turn_end(d.c, &d.out); /* the request of the old session, then the Register */
    const struct vsr_request *r = request(&d, 1, NULL);
    cr_assert_eq(r->kind, VSR_KIND_REGISTER);
    admit(&d, 1, 3);
    cr_assert_eq(count_effects(&d, VSR_CLIENT_OPENED), 1);
    drop_effects(&d);
    submit(&d, 0);
    vsr_client_turn_end(d.c, &d.out);
    r = request(&d, 0, NULL);
    cr_assert_eq(r->session, 103);
    cr_assert_eq(r->number, 1, "numbers begin again");
    close_desk(&d);
}

/** Evicts the session that is `slot`'s, before or after a result. Returns the ticks until it
 * registers, and registers it in the same slot. */
static uint32_t evict(struct desk *d, bool has_result)
{
    uint32_t ticks = 0;

    submit(d, 0);
    if (has_result) {
        reply_to(d, 0, 1, VSR_REPLY_OK);
        submit(d, 0);
    }
    vsr_client_turn_end(d->c, &d->out);
    drop_effects(d);
    reply_to(d, 0, has_result ? 2 : 1, VSR_REPLY_EVICTED);
    cr_assert_eq(vsr_client_session_state(d->c, 0), VSR_SESSION_REGISTERING);
    drop_effects(d);
    for (vsr_client_turn_end(d->c, &d->out); request(d, 0, NULL) == NULL; ticks++) {
        cr_assert_lt(ticks, 10u << 12);
        vsr_client_tick(d->c, &d->out);
        vsr_client_turn_end(d->c, &d->out);
    }
    cr_assert_eq(request(d, 0, NULL)->kind, VSR_KIND_REGISTER);
    admit(d, 0, 0);
    drop_effects(d);
    return ticks;
}

/* 5.3: sessions that evict each other before their first results register less and less often, and
 * not in step; a result ends it. A table below the sessions in use else turns round for ever. */
Test(client, 5_3_evictions_without_a_result_back_off)
{
    enum { RETRY_TICKS = 10, DOUBLINGS = 8, SWEEP = 8 };
    struct desk d = ready_desk(1, 0);
    uint32_t longest = 0;

    cr_assert_eq(evict(&d, false), 0, "at once the first time");
    for (uint32_t n = 1; n <= 40; n++) {
        const uint32_t ticks = evict(&d, false);
        const uint32_t doublings = n < DOUBLINGS ? n : DOUBLINGS;
        cr_assert_gt(ticks, 0);
        cr_assert_leq(ticks, ((uint32_t)RETRY_TICKS << doublings) + SWEEP);
        if (ticks > longest) longest = ticks;
    }
    cr_assert_gt(longest, (uint32_t)RETRY_TICKS << (DOUBLINGS - 1));
    cr_assert_eq(evict(&d, true), 0, "a result ends it");
    close_desk(&d);
}

/* 5.3: evicted before its Register was answered, a session registers with another id; the same
 * answer again is of a Register that it has not out any more. */
Test(client, 5_3_register_whose_session_is_gone)
{
    struct desk d = open_desk(1, 0);
    struct vsr_register first;
    struct vsr_register second;

    vsr_client_open(d.c, &d.out);
    vsr_client_turn_end(d.c, &d.out);
    read_id(&d, 0, NULL, first.client_id);
    const struct vsr_reply evicted = {.status = VSR_REPLY_EVICTED,
                                      .payload_bytes = sizeof(struct vsr_registered)};
    drop_effects(&d);
    receive_reply(&d, evicted, first.client_id, 0);
    vsr_client_turn_end(d.c, &d.out);
    read_id(&d, 0, NULL, second.client_id);
    cr_assert_neq(second.client_id[1], first.client_id[1]);
    receive_reply(&d, evicted, first.client_id, 0);
    admit(&d, 0, 0);
    cr_assert_eq(vsr_client_session_state(d.c, 0), VSR_SESSION_READY);
    receive_reply(&d, evicted, second.client_id, 0);
    cr_assert_eq(vsr_client_session_state(d.c, 0), VSR_SESSION_READY, "its op is its way to know");
    close_desk(&d);
}

/* C8: Evicted from a primary of an older view is not believed. */
Test(client, C8_evicted_of_an_older_view_is_ignored)
{
    struct desk d = ready_desk(1, 0);

    receive_reply(&d, (struct vsr_reply){.session = 1, .slot = 8, .number = 4}, NULL, 5);
    submit(&d, 0);
    reply_to(&d, 0, 1, VSR_REPLY_EVICTED);
    cr_assert_eq(vsr_client_session_state(d.c, 0), VSR_SESSION_WAITING);
    close_desk(&d);
}

/* Busy: the same request again, after a pause. */
Test(client, busy_request_is_sent_again_soon)
{
    struct desk d = ready_desk(1, 0);
    bool is_sent = false;

    submit(&d, 0);
    vsr_client_turn_end(d.c, &d.out);
    drop_effects(&d);
    reply_to(&d, 0, 1, VSR_REPLY_BUSY);
    for (uint32_t tick = 0; tick < 12 && !is_sent; tick++) {
        vsr_client_tick(d.c, &d.out);
        vsr_client_turn_end(d.c, &d.out);
        is_sent = request(&d, 0, NULL) != NULL;
        drop_effects(&d);
    }
    cr_assert(is_sent);
    close_desk(&d);
}

/* 5.1: the view hint follows the replies, and the next request goes to that view's primary. */
Test(client, 5_1_view_hint_follows_replies)
{
    struct desk d = ready_desk(1, 0);
    struct vsr_header m = {.magic = VSR_MAGIC,
                           .version = VSR_VERSION,
                           .type = VSR_NOT_PRIMARY,
                           .cluster = CLUSTER,
                           .view = 4,
                           .bytes = sizeof m};
    uint32_t to;

    vsr_client_receive(d.c, &m, &d.out);
    m.view = 2;
    vsr_client_receive(d.c, &m, &d.out); /* older news */
    vsr_client_turn_end(d.c, &d.out);
    submit(&d, 0);
    vsr_client_turn_end(d.c, &d.out);
    request(&d, 0, &to);
    cr_assert_eq(to, 1u << 1);
    close_desk(&d);
}

/* Without a buffer nothing is lost: a tick sends it. */
Test(client, request_without_a_buffer_is_sent_later)
{
    struct desk d = ready_desk(1, 0);
    bool is_sent = false;

    fixture_buffers_fail = 1;
    submit(&d, 0);
    vsr_client_turn_end(d.c, &d.out);
    cr_assert_null(request(&d, 0, NULL));
    for (uint32_t tick = 0; tick < 40 && !is_sent; tick++) {
        vsr_client_tick(d.c, &d.out);
        vsr_client_turn_end(d.c, &d.out);
        is_sent = request(&d, 0, NULL) != NULL;
        drop_effects(&d);
    }
    cr_assert(is_sent);
    close_desk(&d);
}

/* 5.4: ids are fresh for every Register. */
Test(client, 5_4_client_ids_are_never_used_again)
{
    struct desk d = open_desk(64, 0);
    uint64_t seen[64][2];

    vsr_client_open(d.c, &d.out);
    vsr_client_turn_end(d.c, &d.out);
    for (uint32_t i = 0; i < 64; i++) {
        read_id(&d, i, NULL, seen[i]);
        for (uint32_t k = 0; k < i; k++)
            cr_assert_neq(memcmp(seen[k], seen[i], sizeof seen[i]), 0);
    }
    close_desk(&d);
}

/* 5.6: evicted before its request was executed: never executed, and that is said; or else unknown.
 */
Test(client, 5_6_evicted_session_tells_never_executed_from_unknown)
{
    for (uint64_t executed = 0; executed < 2; executed++) {
        struct desk d = ready_desk(1, 0);

        submit(&d, 0);
        receive_reply(&d,
                      (struct vsr_reply){.session = 100,
                                         .number = 1,
                                         .status = VSR_REPLY_EVICTED,
                                         .payload_bytes = sizeof executed},
                      &executed, 0);
        cr_assert_eq(count_effects(&d, VSR_CLIENT_NOT_EXECUTED), executed == 0);
        cr_assert_eq(count_effects(&d, VSR_CLIENT_EVICTED), executed == 1);
        if (executed == 0) cr_assert_eq(d.out.list[0].status, -ECONNRESET);
        cr_assert_eq(vsr_client_session_state(d.c, 0), VSR_SESSION_REGISTERING);
        close_desk(&d);
    }
}

/* 4.1: too large for a replica: never executed, and the number is not used again. */
Test(client, too_large_request_is_told_and_its_session_opens_anew)
{
    struct desk d = ready_desk(1, 0);

    submit(&d, 0);
    reply_to(&d, 0, 1, VSR_REPLY_TOO_LARGE);
    cr_assert_eq(d.out.list[0].kind, VSR_CLIENT_NOT_EXECUTED);
    cr_assert_eq(d.out.list[0].status, -EMSGSIZE);
    reply_to(&d, 0, 1, VSR_REPLY_TOO_LARGE); /* late */
    cr_assert_eq(count_effects(&d, VSR_CLIENT_NOT_EXECUTED), 1);
    cr_assert_eq(vsr_client_session_state(d.c, 0), VSR_SESSION_REGISTERING);
    close_desk(&d);
}

/* 5.5: sessions close when they have nothing outstanding; none opens anew; then they may open. */
Test(client, 5_5_close_waits_for_what_is_outstanding)
{
    struct desk d = ready_desk(3, 0);

    submit(&d, 1);
    vsr_client_turn_end(d.c, &d.out);
    drop_effects(&d);
    vsr_client_close(d.c, &d.out);
    vsr_client_turn_end(d.c, &d.out);
    cr_assert_eq(request(&d, 0, NULL)->kind, VSR_KIND_CLOSE);
    cr_assert_eq(request(&d, 0, NULL)->session, 100);
    cr_assert_eq(request(&d, 1, NULL)->session, 102);
    cr_assert_null(request(&d, 2, NULL));
    drop_effects(&d);
    reply_to(&d, 0, 1, VSR_REPLY_OK);
    reply_to(&d, 2, 1, VSR_REPLY_EVICTED); /* gone already: as good */
    cr_assert_eq(count_effects(&d, VSR_CLIENT_CLOSED), 2);
    reply_to(&d, 1, 1, VSR_REPLY_OK);
    cr_assert_eq(count_effects(&d, VSR_CLIENT_RESULT), 1);
    drop_effects(&d);
    vsr_client_turn_end(d.c, &d.out);
    cr_assert_eq(request(&d, 0, NULL)->kind, VSR_KIND_CLOSE);
    cr_assert_eq(request(&d, 0, NULL)->number, 2);
    reply_to(&d, 1, 1, VSR_REPLY_OK); /* a late result is no answer to a Close */
    cr_assert_eq(count_effects(&d, VSR_CLIENT_CLOSED), 0);
    reply_to(&d, 1, 2, VSR_REPLY_OK);
    cr_assert_eq(count_effects(&d, VSR_CLIENT_CLOSED), 1);
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_eq(vsr_client_session_state(d.c, i), VSR_SESSION_CLOSED);
    drop_effects(&d);
    vsr_client_open(d.c, &d.out);
    cr_assert_eq(vsr_client_session_state(d.c, 2), VSR_SESSION_REGISTERING);
    close_desk(&d);
}

/* 5.5: a host that ends closes what is open, whatever is outstanding. */
Test(client, 5_5_leave_waits_for_nothing)
{
    struct desk d = ready_desk(2, 0);

    submit(&d, 1);
    vsr_client_leave(d.c, &d.out);
    vsr_client_turn_end(d.c, &d.out);
    cr_assert_eq(request(&d, 0, NULL)->kind, VSR_KIND_OPERATION);
    cr_assert_eq(request(&d, 1, NULL)->kind, VSR_KIND_CLOSE);
    cr_assert_eq(request(&d, 2, NULL)->kind, VSR_KIND_CLOSE);
    close_desk(&d);
}

/* client.h: effects are bounded, however many sessions open with a message each. */
Test(client, opening_many_sessions_one_by_one_stays_in_bounds)
{
    enum { SESSIONS = 100000 };
    struct vsr_client_options o;
    struct desk d = {.sessions = SESSIONS};
    uint32_t sent = 0;

    vsr_client_options_init(&o);
    o.cluster = CLUSTER;
    o.replica_count = 3;
    o.sessions = o.sessions_max = SESSIONS;
    o.requests_per_message = 1;
    o.id[0] = 3;
    o.buffers = fixture_buffers;
    const size_t bytes = (vsr_client_bytes(&o) + 63) & ~(size_t)63;
    d.memory = aligned_alloc(64, bytes);
    memset(d.memory, 0, bytes);
    d.c = vsr_client_init(d.memory, &o);
    d.out.capacity = vsr_client_effects_max(&o);
    d.out.list = calloc(d.out.capacity, sizeof *d.out.list);
    vsr_client_open(d.c, &d.out);
    for (uint32_t tick = 0; tick < 50 && sent < SESSIONS; tick++) {
        cr_assert_leq(d.out.count, d.out.capacity);
        sent += count_effects(&d, VSR_CLIENT_SEND);
        drop_effects(&d);
        vsr_client_tick(d.c, &d.out);
        vsr_client_turn_end(d.c, &d.out);
    }
    cr_assert_geq(sent, SESSIONS);
    close_desk(&d);
}

/* client.h: closing tells of every session, of those too that had no room to open before; of each
 * once, however often it is said. */
Test(client, closing_before_all_have_opened_tells_of_each)
{
    enum { SESSIONS = 40, ROOM = 16 };
    struct desk d = open_desk(SESSIONS, 1);
    const uint32_t capacity = d.out.capacity;
    uint32_t closed = 0;

    d.out.capacity = ROOM;
    vsr_client_open(d.c, &d.out);
    const uint32_t opening = count_effects(&d, VSR_CLIENT_SEND);
    cr_assert(opening > 0 && opening < SESSIONS);
    drop_effects(&d);
    for (uint32_t tick = 0; tick < 12; tick++) {
        vsr_client_close(d.c, &d.out);
        closed += count_effects(&d, VSR_CLIENT_CLOSED);
        cr_assert_eq(count_effects(&d, VSR_CLIENT_SEND), 0);
        drop_effects(&d);
        vsr_client_turn_end(d.c, &d.out);
        closed += count_effects(&d, VSR_CLIENT_CLOSED);
        drop_effects(&d);
    }
    cr_assert_eq(closed, SESSIONS - opening); /* the others have their Registers answered first */
    d.out.capacity = capacity;
    close_desk(&d);
}

/* 5.4: two clients with one id: the second is told, and opens nothing of the first. */
Test(client, 5_4_refused_session_is_closed_and_says_so)
{
    struct desk d = open_desk(2, 0);
    struct vsr_client_report report;
    uint64_t id[2][2];

    vsr_client_open(d.c, &d.out);
    vsr_client_turn_end(d.c, &d.out);
    for (uint32_t i = 0; i < 2; i++)
        read_id(&d, i, NULL, id[i]);
    drop_effects(&d);
    const struct vsr_reply reply = {.payload_bytes = sizeof id[1], .status = VSR_REPLY_REFUSED};
    receive_reply(&d, reply, id[1], 0);
    receive_reply(&d, reply, id[1], 0); /* and once */
    cr_assert_eq(d.out.count, 1);
    cr_assert_eq(d.out.list[0].kind, VSR_CLIENT_REFUSED);
    cr_assert_eq(d.out.list[0].session, 1);
    cr_assert_eq(vsr_client_session_state(d.c, 1), VSR_SESSION_CLOSED);
    cr_assert_eq(vsr_client_session_state(d.c, 0), VSR_SESSION_REGISTERING);
    cr_assert_eq(vsr_client_submit(d.c, 1, id, 8, &d.out), -EBUSY);
    vsr_client_report(d.c, &report);
    cr_assert_eq(report.refused, 1);
    cr_assert_eq(report.replies_ignored, 1);
    close_desk(&d);
}

static void receive_header(struct desk *d, enum vsr_message_type type, vsr_view view)
{
    const struct vsr_header m = {.magic = VSR_MAGIC,
                                 .version = VSR_VERSION,
                                 .type = (uint8_t)type,
                                 .cluster = CLUSTER,
                                 .view = view,
                                 .from = view % 3,
                                 .bytes = sizeof m};
    vsr_client_receive(d->c, &m, &d->out);
    vsr_client_turn_end(d->c, &d->out);
}

/* 5.1: news of a later view, whatever brings it: what is outstanding goes to its primary at once,
 * with the same number, and once. */
Test(client, 5_1_news_of_a_later_view_moves_what_is_outstanding)
{
    static const enum vsr_message_type types[] = {VSR_NEW_VIEW, VSR_NOT_PRIMARY, VSR_REPLY};

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct desk d = ready_desk(3, 0);
        uint32_t to;
        submit(&d, 0);
        submit(&d, 2);
        vsr_client_turn_end(d.c, &d.out);
        drop_effects(&d);
        receive_header(&d, types[i], 4);
        const struct vsr_request *r = request(&d, 0, &to);
        cr_assert_eq(to, 1u << 1);
        cr_assert_eq(r->session, 100);
        cr_assert_eq(r->number, 1);
        cr_assert_eq(request(&d, 1, &to)->session, 102);
        cr_assert_null(request(&d, 2, NULL), "the one that waits for nothing says nothing");
        drop_effects(&d);
        receive_header(&d, types[i], 4);
        receive_header(&d, types[i], 3);
        cr_assert_eq(d.out.count, 0, "no news");
        reply_to(&d, 0, 1, VSR_REPLY_OK);
        cr_assert_eq(count_effects(&d, VSR_CLIENT_RESULT), 1);
        close_desk(&d);
    }
}

/* 5.1: a Register moves, too. */
Test(client, 5_1_register_moves_to_the_new_primary)
{
    struct desk d = open_desk(2, 0);
    uint64_t id[2][2];
    uint32_t to;

    vsr_client_open(d.c, &d.out);
    vsr_client_turn_end(d.c, &d.out);
    read_id(&d, 1, &to, id[0]);
    cr_assert_eq(to, 1u << 0);
    drop_effects(&d);
    receive_header(&d, VSR_NEW_VIEW, 2);
    read_id(&d, 1, &to, id[1]);
    cr_assert_eq(to, 1u << 2);
    cr_assert_arr_eq(id[0], id[1], sizeof id[0], "the same id: one session");
    close_desk(&d);
}

/* 5.1: the timeout begins anew with the new primary. */
Test(client, 5_1_moved_request_is_still_retried)
{
    struct desk d = ready_desk(1, 0);
    uint32_t retries = 0;

    submit(&d, 0);
    vsr_client_turn_end(d.c, &d.out);
    drop_effects(&d);
    receive_header(&d, VSR_NEW_VIEW, 1);
    drop_effects(&d);
    for (uint32_t tick = 0; tick < 60; tick++) {
        vsr_client_tick(d.c, &d.out);
        vsr_client_turn_end(d.c, &d.out);
        retries += request(&d, 0, NULL) != NULL;
        drop_effects(&d);
    }
    cr_assert_geq(retries, 2);
    close_desk(&d);
}
