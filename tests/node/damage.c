/**
 * Bytes that change on their way between replicas: under real actors.
 */
#include "leak_check.h"

#include "world.h"

#include <act/actor.h>
#include <act/message.h>

#include <string.h>

LEAK_CHECKED_SUITE(damage);

enum { PREPARES_DAMAGED = 5 };

struct network {
    atomic_uint prepares; /* relaxed: a count */
    atomic_uint damaged;
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

/* G0: an entry whose bytes have changed under way is not taken, is said, and comes again. */
Test(damage, changed_entries_enter_no_log)
{
    struct network network = {0};
    struct world w;
    uint64_t value = 0;

    world_init(&w);
    w.options.send = send_damaged;
    w.options.send_context = &network;
    w.service_options.sessions = 4;
    world_start_caller(&w);
    for (uint64_t i = 1; i <= 100; i++) {
        cr_assert_eq(world_add(w.caller, (struct vsr_counter_add){3, 1}, &value, 20 * SECOND), 0);
        cr_assert_eq(value, i);
    }
    cr_assert_eq(vsr_cluster_settle(w.cluster, 20 * SECOND), 0);
    cr_assert_eq(atomic_load(&network.damaged), PREPARES_DAMAGED);
    cr_assert_eq(atomic_load(&w.notices[VSR_NOTICE_DAMAGED]), PREPARES_DAMAGED);
    world_stop(&w);
}
