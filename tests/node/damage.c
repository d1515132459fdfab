/**
 * Bytes that change on their way between replicas: under real actors.
 */
#include "leak_check.h"

#include <act/actor.h>
#include <act/message.h>
#include <act/runtime.h>
#include <vsr/caller.h>
#include <vsr/cluster.h>
#include <vsr/counter.h>
#include <vsr/service.h>

#include <criterion/criterion.h>
#include <stdatomic.h>
#include <string.h>

LEAK_CHECKED_SUITE(damage);

#define SECOND 1000000000ull
enum { PREPARES_DAMAGED = 5 };

struct network {
    atomic_uint prepares; /* relaxed: a count */
    atomic_uint damaged;
    atomic_uint noticed;
};

/** vsr_cluster_options.send: of every seventh Prepare a copy with another last byte, five times. */
static int send_damaged(void *context, act_id to, struct act_message *m)
{
    struct network *network = context;
    const struct vsr_header *header = m->body;

    if (header->type != VSR_PREPARE || header->count == 0 ||
        atomic_fetch_add_explicit(&network->prepares, 1, memory_order_relaxed) % 7 != 6 ||
        atomic_load_explicit(&network->damaged, memory_order_relaxed) == PREPARES_DAMAGED)
        return act_send(to, m);
    struct act_message *copy = act_message_create(m->type, m->body_bytes);
    if (copy == NULL) return act_send(to, m);
    memcpy(copy->body, m->body, m->body_bytes);
    ((uint8_t *)copy->body)[m->body_bytes - 8] ^= 1;
    if (act_send(to, copy) != 0) {
        act_message_unref(copy);
        return act_send(to, m);
    }
    act_message_unref(m);
    atomic_fetch_add_explicit(&network->damaged, 1, memory_order_relaxed);
    return 0;
}

static void on_notice(void *context, uint32_t replica, enum vsr_notice notice, uint32_t about,
                      vsr_op op)
{
    struct network *network = context;

    (void)replica;
    (void)about;
    (void)op;
    if (notice == VSR_NOTICE_DAMAGED)
        atomic_fetch_add_explicit(&network->noticed, 1, memory_order_relaxed);
}

static int create_counter(void *context, uint32_t replica, struct vsr_state_machine *machine)
{
    (void)context;
    (void)replica;
    return vsr_counter_create(8, machine);
}

/* G0: an entry whose bytes have changed under way is not taken, is said, and comes again. */
Test(damage, changed_entries_enter_no_log)
{
    struct network network = {0};
    const uint64_t operation[2] = {3, 1};
    struct act_runtime_options o;
    struct act_runtime *runtime;
    struct vsr_cluster_options c;
    struct vsr_cluster *cluster;
    struct vsr_service_options s;
    struct vsr_caller *caller;
    act_id service;
    uint64_t result = 0;

    act_runtime_options_init(&o);
    o.workers = 2;
    cr_assert_eq(act_runtime_start(&o, &runtime, NULL), 0);
    vsr_cluster_options_init(&c);
    c.runtime = runtime;
    c.create_machine = create_counter;
    c.replica.cluster = 3;
    c.send = send_damaged;
    c.send_context = &network;
    c.on_notice = on_notice;
    c.notice_context = &network;
    cr_assert_eq(vsr_cluster_start(&c, &cluster, NULL), 0);
    vsr_service_options_init(&s);
    s.peers = vsr_cluster_peers(cluster);
    s.sessions = 4;
    s.seed = 77;
    cr_assert_eq(vsr_service_spawn(&s, &service, NULL), 0);
    cr_assert_eq(vsr_caller_open(runtime, service, &caller), 0);

    for (uint64_t i = 1; i <= 100; i++) {
        uint32_t bytes = sizeof result;
        cr_assert_eq(
            vsr_caller_call(caller, operation, sizeof operation, &result, &bytes, 20 * SECOND), 0);
        cr_assert_eq(result, i);
    }
    cr_assert_eq(vsr_cluster_settle(cluster, 20 * SECOND), 0);
    cr_assert_eq(atomic_load(&network.damaged), PREPARES_DAMAGED);
    cr_assert_eq(atomic_load(&network.noticed), PREPARES_DAMAGED);

    cr_assert_eq(act_stop(service, 0), 0);
    vsr_caller_close(caller);
    vsr_cluster_stop(cluster);
    cr_assert_eq(act_runtime_stop(runtime), 0);
}
