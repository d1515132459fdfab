/**
 * The core's data structures: log, client table, quorums, options.
 */
#include "fixture.h"
#include "leak_check.h"

#include <vsr/client.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

LEAK_CHECKED_SUITE(quorum);
LEAK_CHECKED_SUITE(client_table);
LEAK_CHECKED_SUITE(options);
LEAK_CHECKED_SUITE(log_ring);

/* DESIGN.md, "Quorums": the Qr-th largest. */
Test(quorum, reached_is_the_nth_largest)
{
    const vsr_op ops[5] = {4, 9, 1, 9, 7};
    const vsr_op descending[5] = {9, 9, 7, 4, 1};

    for (uint32_t q = 1; q <= 5; q++)
        cr_assert_eq(quorum_reached(ops, 5, q), descending[q - 1]);
    cr_assert_eq(quorum_minimum(ops, 5), 1);
}

Test(quorum, majorities_and_primaries)
{
    const uint32_t majority[] = {0, 1, 2, 2, 3, 3, 4, 4};

    for (uint32_t n = 1; n <= 7; n++) {
        cr_assert_eq(quorum_majority(n), majority[n]);
        for (vsr_view v = 0; v < 20; v++)
            cr_assert_eq(primary_of(v, n), v % n);
    }
}

struct table {
    struct vsr_client_table table;
    void *memory;
};

static struct table make_table(uint32_t capacity, uint32_t result_bytes_max)
{
    struct table t;
    size_t bytes = vsr_client_table_bytes(capacity, result_bytes_max);

    t.memory = aligned_alloc(64, bytes);
    memset(t.memory, 0, bytes);
    vsr_client_table_init(&t.table, t.memory, capacity, result_bytes_max);
    return t;
}

static uint32_t enroll(struct table *t, uint64_t id, vsr_op op)
{
    const struct vsr_register r = {.client_id = {id, id * 3}, .address = id};
    return vsr_client_table_register(&t->table, &r, op);
}

/* 5.3: a Register that comes twice finds the session it has. */
Test(client_table, register_twice_is_one_session)
{
    struct table t = make_table(4, 16);

    cr_assert_eq(enroll(&t, 7, 1), 0);
    cr_assert_eq(enroll(&t, 7, 2), 0);
    cr_assert_eq(t.table.count, 1);
    cr_assert_eq(vsr_client_table_at(&t.table, 0)->session, 1);
    free(t.memory);
}

/* 5.3: the session with the smallest last op goes, the lowest slot among equals. */
Test(client_table, oldest_session_is_evicted)
{
    struct table t = make_table(3, 16);

    for (uint64_t id = 0; id < 3; id++)
        enroll(&t, id, 1 + id);
    vsr_client_table_at(&t.table, 0)->last_op = 9;
    cr_assert_eq(enroll(&t, 10, 10), 1);
    cr_assert_null(vsr_client_table_find(&t.table, 2, 1), "the old session is gone");
    cr_assert_not_null(vsr_client_table_find(&t.table, 10, 1));
    for (uint32_t slot = 0; slot < 3; slot++)
        vsr_client_table_at(&t.table, slot)->last_op = 20;
    cr_assert_eq(enroll(&t, 11, 21), 0);
    cr_assert_eq(t.table.evictions, 2);
    free(t.memory);
}

/* client_table.h: any slot and session may be asked for. */
Test(client_table, find_takes_any_slot)
{
    struct table t = make_table(3, 16);

    enroll(&t, 1, 5);
    cr_assert_null(vsr_client_table_find(&t.table, 5, 1));
    cr_assert_null(vsr_client_table_find(&t.table, 5, UINT32_MAX));
    cr_assert_null(vsr_client_table_find(&t.table, 0, 0));
    free(t.memory);
}

static uint32_t plain_oldest(const struct table *t)
{
    uint32_t oldest = 0;

    for (uint32_t slot = 1; slot < t->table.count; slot++)
        if (vsr_client_table_at(&t->table, slot)->last_op <
            vsr_client_table_at(&t->table, oldest)->last_op)
            oldest = slot;
    return oldest;
}

/* 5.3: whom the bounds of the blocks find is whom a plain search finds, whatever was used when. */
Test(client_table, eviction_finds_what_a_plain_search_finds)
{
    enum { CAPACITY = 3 * CLIENT_BLOCK + 17 };
    struct table t = make_table(CAPACITY, 0);
    uint64_t random = 11;
    uint64_t id = 0;

    while (id < CAPACITY) {
        enroll(&t, id, 1 + id / 300);
        id++;
    }
    for (vsr_op op = 10; op < 4000; op++) {
        for (uint32_t used = (uint32_t)(op % 7); used > 0; used--) {
            random = random * 6364136223846793005ull + 1442695040888963407ull;
            vsr_client_table_at(&t.table, (uint32_t)((random >> 33) % CAPACITY))->last_op = op;
        }
        const uint32_t oldest = plain_oldest(&t);
        cr_assert_eq(enroll(&t, id++, op), oldest);
    }
    free(t.memory);
}

/* client_table.h: an eviction does not read the table: 338 of them, as many as fit in an op, in a
 * table whose sessions have all been used since the last one, read each block once and one block
 * each. */
Test(client_table, evictions_do_not_read_the_table_each)
{
    enum { CAPACITY = 1 << 16, BLOCKS = CAPACITY / CLIENT_BLOCK };
    struct table t = make_table(CAPACITY, 0);
    uint64_t id = 0;

    while (id < CAPACITY)
        enroll(&t, id++, 1);
    for (vsr_op op = 2; op < 6; op++) {
        for (uint32_t slot = 0; slot < CAPACITY; slot++)
            vsr_client_table_at(&t.table, slot)->last_op = 10 * op + slot % 5;
        const uint64_t before = t.table.blocks_read;
        for (uint32_t i = 0; i < 338; i++)
            enroll(&t, id++, 10 * op + 9);
        cr_assert_leq(t.table.blocks_read - before, BLOCKS + 2 * 338);
    }
    free(t.memory);
}

/* The index stays right through thousands of evictions: against a plain search. */
Test(client_table, index_survives_evictions)
{
    enum { CAPACITY = 61 };
    struct table t = make_table(CAPACITY, 0);
    uint64_t random = 5;

    for (vsr_op op = 1; op < 20000; op++) {
        random = random * 6364136223846793005ull + 1442695040888963407ull;
        uint64_t id = (random >> 33) % 200;
        uint32_t held = UINT32_MAX;
        for (uint32_t slot = 0; slot < t.table.count; slot++)
            if (t.table.ids[slot][0] == id) held = slot;
        uint32_t slot = enroll(&t, id, op);
        if (held != UINT32_MAX) cr_assert_eq(slot, held);
        vsr_client_table_at(&t.table, slot)->last_op = op;
        cr_assert_eq(t.table.ids[slot][0], id);
    }
    cr_assert_eq(t.table.count, CAPACITY);
    free(t.memory);
}

#define REFUSED(field, bad)                                                                        \
    do {                                                                                           \
        struct vsr_replica_options changed = o;                                                    \
        struct vsr_error why;                                                                      \
        changed.field = bad;                                                                       \
        cr_assert_eq(vsr_replica_options_check(&changed, &why), -EINVAL, #field " " #bad);         \
        cr_assert_str_eq(why.option, #field);                                                      \
        cr_assert_eq(vsr_replica_options_check(&changed, NULL), -EINVAL);                          \
    } while (0)

#define ACCEPTED(field, good)                                                                      \
    do {                                                                                           \
        struct vsr_replica_options changed = o;                                                    \
        changed.field = good;                                                                      \
        cr_assert_eq(vsr_replica_options_check(&changed, NULL), 0, #field " " #good);              \
    } while (0)

/* replica.h: each option at the ends of its range and beyond. */
Test(options, replica_ranges)
{
    struct vsr_replica_options o = fixture_options(3, 0);

    REFUSED(replica_count, 0);
    ACCEPTED(replica_count, 1);
    ACCEPTED(replica_count, 7);
    REFUSED(replica_count, 8);
    ACCEPTED(replica, 2);
    REFUSED(replica, 3);
    REFUSED(sessions_max, 0);
    ACCEPTED(sessions_max, 1);
    ACCEPTED(sessions_max, VSR_SESSIONS_MAX);
    REFUSED(sessions_max, VSR_SESSIONS_MAX + 1);
    ACCEPTED(op_bytes_max, 0);
    REFUSED(op_bytes_max, VSR_OP_BYTES_MAX + 1);
    REFUSED(result_bytes_max, VSR_RESULT_BYTES_MAX + 1);
    REFUSED(pipeline_max, 0);
    ACCEPTED(pipeline_max, 1);
    REFUSED(pipeline_max, VSR_PIPELINE_MAX + 1);
    REFUSED(log_ops, 16);
    ACCEPTED(log_ops, 32);
    REFUSED(log_ops, 33);
    ACCEPTED(log_ops, VSR_LOG_OPS_MAX);
    REFUSED(batch_bytes_max, 152 + 24 + 63);
    ACCEPTED(batch_bytes_max, 152 + 24 + 64);
    REFUSED(batch_bytes_max, VSR_MESSAGE_BYTES_MAX + 1);
    REFUSED(batch_requests_max, 0);
    ACCEPTED(batch_requests_max, 65536);
    REFUSED(batch_requests_max, 65537);
    REFUSED(reply_bytes_max, 64 + 24 + 15);
    ACCEPTED(reply_bytes_max, 64 + 24 + 16);
    REFUSED(queue_max, 0);
    REFUSED(queue_max, 3);
    ACCEPTED(queue_max, 1);
    REFUSED(heartbeat_ticks, 0);
    REFUSED(resend_ticks, 0);
    REFUSED(suspect_ticks, 5);
    ACCEPTED(suspect_ticks, 6);
    ACCEPTED(suspect_ticks, 1 << 24);
    REFUSED(suspect_ticks, (1 << 24) + 1);
}

/* replica.h: the options of views, recovery and snapshots, likewise. */
Test(options, replica_ranges_between_views)
{
    struct vsr_replica_options o = fixture_options(5, 0);

    REFUSED(abdicate_ticks, 4);
    REFUSED(abdicate_ticks, 5);
    ACCEPTED(abdicate_ticks, 6);
    ACCEPTED(abdicate_ticks, 1 << 24);
    REFUSED(abdicate_ticks, (1 << 24) + 1);
    ACCEPTED(checkpoint_ops, 0);
    ACCEPTED(checkpoint_ops, 1);
    ACCEPTED(checkpoint_ops, UINT32_MAX);
    REFUSED(chunk_bytes_max, 1023);
    ACCEPTED(chunk_bytes_max, 1024);
    ACCEPTED(chunk_bytes_max, 1025);
    ACCEPTED(chunk_bytes_max, VSR_CHUNK_BYTES_MAX);
    REFUSED(chunk_bytes_max, VSR_CHUNK_BYTES_MAX + 1);
    ACCEPTED(recovery_quorum, 0);
    ACCEPTED(recovery_quorum, 1);
    ACCEPTED(recovery_quorum, 4);
    REFUSED(recovery_quorum, 5);
    ACCEPTED(batch_bytes_max, VSR_MESSAGE_BYTES_MAX - 128);
    REFUSED(batch_bytes_max, VSR_MESSAGE_BYTES_MAX - 127);
    ACCEPTED(reply_bytes_max, VSR_MESSAGE_BYTES_MAX);
    REFUSED(reply_bytes_max, VSR_MESSAGE_BYTES_MAX + 1);
    ACCEPTED(queue_max, 1 << 22);
    REFUSED(queue_max, 1 << 23);
    REFUSED(log_ops, 2 * VSR_LOG_OPS_MAX);
    o.batch_bytes_max = o.reply_bytes_max = 65536;
    ACCEPTED(op_bytes_max, VSR_OP_BYTES_MAX);
    ACCEPTED(result_bytes_max, VSR_RESULT_BYTES_MAX);
    o.log_ops = 256;
    ACCEPTED(pipeline_max, VSR_PIPELINE_MAX);
    o = fixture_options(1, 0);
    ACCEPTED(recovery_quorum, 1);
    REFUSED(recovery_quorum, 2);
}

/* replica.h: 0 is a majority, and as many answers of others as the view change quorum needs. */
Test(options, quorums_that_are_not_given)
{
    static const uint32_t majority[] = {0, 1, 2, 2, 3, 3, 4, 4};

    for (uint32_t n = 1; n <= 7; n++) {
        struct vsr_replica_options o = fixture_options(n, 0);
        struct fixture *f = fixture_start(&o);
        cr_assert_eq(f->r->members.quorums.replication, majority[n]);
        cr_assert_eq(f->r->members.quorums.view_change, majority[n]);
        cr_assert_eq(f->r->members.quorums.recovery, n - majority[n] + 1);
        fixture_end(f);
    }
}

/* DESIGN.md, "Quorums": Qr + Qv > N, and Qv >= 2 when N >= 2. */
Test(options, quorums_must_intersect)
{
    for (uint32_t n = 1; n <= 7; n++) {
        for (uint32_t qr = 1; qr <= n; qr++) {
            for (uint32_t qv = 1; qv <= n; qv++) {
                struct vsr_replica_options o = fixture_options(n, 0);
                o.quorum_replication = qr;
                o.quorum_view_change = qv;
                bool is_safe = qr + qv > n && (n == 1 || qv >= 2);
                cr_assert_eq(vsr_replica_options_check(&o, NULL), is_safe ? 0 : -EINVAL,
                             "n %u qr %u qv %u", n, qr, qv);
            }
        }
    }
    struct vsr_replica_options o = fixture_options(3, 0);
    REFUSED(quorum_replication, 4);
    REFUSED(quorum_view_change, 4);
}

/* client.h: each option at the ends of its range and beyond. */
Test(options, client_ranges)
{
    struct vsr_client_options o;
    struct vsr_error why;

    vsr_client_options_init(&o);
    cr_assert_eq(vsr_client_options_check(&o, &why), -EINVAL);
    cr_assert_str_eq(why.option, "id"); /* 5.4: it has no default */
    o.id[1] = 1;
    cr_assert_eq(vsr_client_options_check(&o, &why), 0);
    o.sessions = 0;
    cr_assert_eq(vsr_client_options_check(&o, &why), -EINVAL);
    cr_assert_str_eq(why.option, "sessions");
    o.sessions = o.sessions_max + 1;
    cr_assert_eq(vsr_client_options_check(&o, &why), -EINVAL);
    cr_assert_eq(why.max, o.sessions_max);
    vsr_client_options_init(&o);
    o.request_bytes_max = 64 + 24 + 63;
    cr_assert_eq(vsr_client_options_check(&o, &why), -EINVAL);
    cr_assert_str_eq(why.option, "request_bytes_max");
    vsr_client_options_init(&o);
    o.retry_ticks = 0;
    cr_assert_eq(vsr_client_options_check(&o, &why), -EINVAL);
    vsr_client_options_init(&o);
    o.retry_doublings = 17;
    cr_assert_eq(vsr_client_options_check(&o, &why), -EINVAL);
    vsr_client_options_init(&o);
    o.busy_ticks = 0;
    cr_assert_eq(vsr_client_options_check(&o, &why), -EINVAL);
}

/* log.h: the ring holds what it has room for, and gives every buffer back. */
Test(log_ring, append_and_release_around_the_ring)
{
    struct vsr_replica_options o = fixture_options(3, 1);
    struct fixture *f = fixture_start(&o);
    struct vsr_buffer ring[4] = {0};
    struct vsr_log log;
    vsr_checksum parent = 0;

    vsr_log_init(&log, ring, 4);
    for (vsr_op op = 1; op <= 40; op++) {
        struct vsr_buffer b = make_prepare_register(f, NULL, op);
        struct vsr_prepare *p = (struct vsr_prepare *)(void *)b.header;
        p->entry.op = op;
        p->entry.parent_checksum = parent;
        parent = p->entry.checksum;
        if (!vsr_log_has_room(&log)) vsr_log_release(&log, log.start + 1, &fixture_buffers);
        vsr_log_append(&log, b);
        cr_assert(vsr_log_holds(&log, op));
        cr_assert(!vsr_log_holds(&log, op + 1));
        cr_assert_eq(vsr_log_at(&log, op)->entry.op, op);
        cr_assert(log.op - log.start <= 4);
    }
    cr_assert(!vsr_log_holds(&log, 36));
    cr_assert_eq(fixture_buffers_live, 4);
    vsr_log_release(&log, 40, &fixture_buffers);
    fixture_end(f);
}

Test(options, names_and_texts_exist)
{
    for (uint32_t i = 0; i < VSR_DROP_COUNT; i++) {
        cr_assert_str_neq(vsr_drop_name((enum vsr_drop)i), "?");
        cr_assert_str_neq(vsr_drop_text((enum vsr_drop)i), "?");
    }
    for (uint32_t i = 0; i < VSR_NOTICE_COUNT; i++)
        cr_assert_str_neq(vsr_notice_text((enum vsr_notice)i), "?");
    for (uint8_t i = 1; i < VSR_MESSAGE_COUNT; i++)
        cr_assert_str_neq(vsr_message_name(i), "?");
    cr_assert_str_eq(vsr_message_name(VSR_MESSAGE_COUNT), "?");
    for (uint8_t i = 0; i < VSR_KIND_COUNT; i++)
        cr_assert_str_neq(vsr_kind_text(i), "?");
    cr_assert_str_eq(vsr_kind_text(VSR_KIND_COUNT), "?");
    for (uint32_t i = 0; i < VSR_COUNTER_COUNT; i++) {
        cr_assert_str_neq(vsr_counters_name(i), "?");
        cr_assert_str_neq(vsr_counters_help(i), "?");
    }
    cr_assert_str_eq(vsr_counters_name(VSR_COUNTER_COUNT), "?");
}

/* vsr/counters.h: each is reached by its number, and added to its own. */
Test(options, counters_are_a_list)
{
    const struct vsr_counters some = {.requests_executed = 3, .votes = 5, .snapshots_loaded = 7};
    struct vsr_counters sum = {.votes = 1};
    uint64_t total = 0;

    vsr_counters_add(&sum, &some);
    for (uint32_t i = 0; i < VSR_COUNTER_COUNT; i++) {
        total += vsr_counters_value(&sum, i);
        if (strcmp(vsr_counters_name(i), "votes") == 0)
            cr_assert_eq(vsr_counters_value(&sum, i), 6);
    }
    cr_assert_eq(total, 16);
    cr_assert_eq(vsr_counters_value(&sum, VSR_COUNTER_COUNT), 0);
}
