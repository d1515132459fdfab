/**
 * Messages whose receivers have no room: kept, offered again, and dropped when there are too many.
 */
#include "leak_check.h"

#include "outbox.h"
#include "world.h"

#include <act/port.h>

#include <errno.h>

LEAK_CHECKED_SUITE(outbox);

/** A network that has no room while it is shut; it ends what it takes. */
struct network {
    bool is_shut;
    uint32_t taken;
    uint32_t next; /* the type of the next message: the order they were sent in */
    uint32_t disorder;
};

static int network_send(void *context, act_id to, struct act_message *m)
{
    struct network *network = context;

    if (network->is_shut) return -EAGAIN;
    network->disorder += m->type != network->next++ || to != 77;
    network->taken++;
    act_message_unref(m);
    return 0;
}

static void post(struct vsr_node_outbox *outbox, uint32_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        vsr_node_outbox_send(outbox, 77, act_message_create(first + i, 0));
}

/** What an actor has seen of its outbox. */
struct seen {
    uint64_t dropped[2]; /* when it was full, and after two messages more */
    uint32_t kept;
    struct network opened;
    uint32_t left;
    uint32_t taken_after_clear;
    atomic_uint is_done;
};

static void try_outbox(void *state, struct act_message *m)
{
    struct seen *seen = state;
    struct network network = {.is_shut = true};
    struct vsr_node_outbox outbox;

    act_message_unref(m);
    if (vsr_node_outbox_init(&outbox, network_send, &network) != 0) return;
    post(&outbox, 0, OUTBOX_MAX);
    seen->dropped[0] = outbox.dropped;
    post(&outbox, 99999, 2);
    seen->dropped[1] = outbox.dropped;
    vsr_node_outbox_retry(&outbox);
    seen->kept = outbox.count;
    network.is_shut = false;
    vsr_node_outbox_retry(&outbox);
    seen->opened = network;
    seen->left = outbox.count;

    network.is_shut = true;
    post(&outbox, 0, 3);
    vsr_node_outbox_clear(&outbox);
    network = (struct network){.is_shut = false};
    vsr_node_outbox_retry(&outbox);
    seen->taken_after_clear = network.taken;
    network.is_shut = true;
    post(&outbox, 0, 3);
    vsr_node_outbox_deinit(&outbox);
    atomic_store(&seen->is_done, 1);
}

/* outbox.h: what has no room waits, goes later in order, and above OUTBOX_MAX is dropped, counted.
 * Cleared, nothing of it is ever sent. */
Test(outbox, keeps_what_has_no_room)
{
    static const struct act_behaviour behaviour = {.receive = try_outbox};
    struct seen seen = {.kept = 0};
    struct act_port *port;
    struct world w;
    act_id id;

    world_init(&w);
    world_start_runtime(&w);
    cr_assert_eq(act_port_open(w.runtime, &port), 0);
    const struct act_spawn_options o = {.behaviour = &behaviour, .state = &seen};
    cr_assert_eq(act_spawn(&o, &id), 0);
    cr_assert_eq(act_send(id, act_message_create(1, 0)), 0);
    AWAIT(atomic_load(&seen.is_done) == 1);
    act_port_close(port);
    world_stop(&w);
    cr_assert_eq(seen.dropped[0], 0);
    cr_assert_eq(seen.dropped[1], 2);
    cr_assert_eq(seen.kept, OUTBOX_MAX);
    cr_assert_eq(seen.opened.taken, OUTBOX_MAX);
    cr_assert_eq(seen.opened.disorder, 0);
    cr_assert_eq(seen.left, 0);
    cr_assert_eq(seen.taken_after_clear, 0);
}
