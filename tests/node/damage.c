/**
 * Bytes that change on their way between replicas: under real actors.
 */
#include "leak_check.h"

#include "messages.h"
#include "world.h"

#include <act/actor.h>
#include <act/message.h>
#include <act/port.h>
#include <vsr/message.h>

#include <string.h>

LEAK_CHECKED_SUITE(damage);

enum { PREPARES_DAMAGED = 5 };

struct network {
    atomic_uint prepares; /* relaxed: a count */
    atomic_uint damaged;
};

/** However late a worker is on a busy machine, nobody leaves a view for it. */
static void init(struct world *w)
{
    world_init(w);
    w->options.replica.suspect_ticks = 30000;
    w->options.replica.abdicate_ticks = 45000;
}

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

    init(&w);
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
    /* One that waits behind a gap may be replaced before it is looked at. */
    cr_assert_geq(atomic_load(&w.notices[VSR_NOTICE_DAMAGED]), 1);
    cr_assert_leq(atomic_load(&w.notices[VSR_NOTICE_DAMAGED]), PREPARES_DAMAGED);
    world_stop(&w);
}

/** Tells replica 1 in the name of replica 2 that view 2 has started, in so many bytes. */
static void tell_of_a_view(struct world *w, uint32_t body_bytes)
{
    const struct vsr_commit commit = {
        .header = {.magic = VSR_MAGIC,
                   .version = VSR_VERSION,
                   .type = VSR_COMMIT,
                   .to = 1,
                   .cluster = w->options.replica.cluster,
                   .from = 2,
                   .from_incarnation = 1,
                   .view = 2,
                   .bytes = sizeof commit},
    };
    struct act_message *m = act_message_create(NODE_MESSAGE, sizeof commit + 64);

    cr_assert_not_null(m);
    memset(m->body, 0, sizeof commit + 64);
    memcpy(m->body, &commit, sizeof commit);
    m->body_bytes = body_bytes;
    cr_assert_eq(act_send(vsr_peers_id(vsr_cluster_peers(w->cluster), 1), m), 0);
}

/* A message whose header says another size than the runtime does never reaches the core. */
Test(damage, a_message_of_another_size_is_none)
{
    static const uint32_t sizes[] = {1, sizeof(struct vsr_header) - 1, sizeof(struct vsr_header),
                                     sizeof(struct vsr_commit) - 1, sizeof(struct vsr_commit) + 8};
    struct world w;
    struct act_port *port;

    init(&w);
    world_start(&w);
    cr_assert_eq(act_port_open(w.runtime, &port), 0);
    for (uint32_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        tell_of_a_view(&w, sizes[i]);
        world_sleep_ms(5); /* some ticks */
        cr_assert_eq(world_look(&w, 1).replica.view, 0, "%u bytes", sizes[i]);
    }
    tell_of_a_view(&w, sizeof(struct vsr_commit));
    AWAIT(world_look(&w, 1).replica.view >= 2);
    act_port_close(port);
    world_stop(&w);
}

/* replica.h: is_local is what the runtime says of the sender, not the message. Who says that he is
 * the primary and is not is looked at, and an entry that is not what its checksum says is said. */
Test(damage, nobody_passes_for_a_peer)
{
    struct world w;
    struct act_port *port;

    init(&w);
    world_start(&w);
    cr_assert_eq(act_port_open(w.runtime, &port), 0);
    struct act_message *m = act_message_create(NODE_MESSAGE, sizeof(struct vsr_prepare));
    cr_assert_not_null(m);
    const struct vsr_prepare forged = {
        .header = {.magic = VSR_MAGIC,
                   .version = VSR_VERSION,
                   .type = VSR_PREPARE,
                   .to = 1,
                   .cluster = w.options.replica.cluster,
                   .from = 0,
                   .from_incarnation = 1,
                   .bytes = sizeof forged},
        .entry = {.op = 1, .checksum = 4711},
    };
    memcpy(m->body, &forged, sizeof forged);
    cr_assert_eq(act_send(vsr_peers_id(vsr_cluster_peers(w.cluster), 1), m), 0);
    AWAIT(atomic_load(&w.notices[VSR_NOTICE_DAMAGED]) == 1);
    cr_assert_eq(world_look(&w, 1).replica.op, 0);
    act_port_close(port);
    world_stop(&w);
}
