/**
 * What actors send: offered again to whom had no room, and under way before they are busy.
 */
#include "leak_check.h"

#include "world.h"

#include <act/actor.h>
#include <act/message.h>
#include <act/port.h>
#include <vsr/message.h>
#include <vsr/peers.h>

#include <errno.h>

LEAK_CHECKED_SUITE(sends);

static void add(struct world *w, uint32_t count)
{
    uint64_t value;

    for (uint32_t i = 0; i < count; i++)
        cr_assert_eq(world_add(w->caller, (struct vsr_counter_add){1, 1}, &value, 20 * SECOND), 0);
}

/** A network without room for one message of an actor, which is offered to it again. */
struct refuser {
    _Atomic(act_id) of;
    _Atomic(struct act_message *) refused;
    atomic_uint again;
};

static int refuse_one(void *context, act_id to, struct act_message *m)
{
    struct refuser *r = context;
    struct act_message *none = NULL;

    if (act_self() != atomic_load(&r->of)) return act_send(to, m);
    if (atomic_compare_exchange_strong(&r->refused, &none, m)) return -EAGAIN;
    if (m == none) atomic_fetch_add(&r->again, 1);
    return act_send(to, m);
}

static void expect_again(struct refuser *r, act_id of)
{
    atomic_store(&r->again, 0);
    atomic_store(&r->refused, NULL);
    atomic_store(&r->of, of);
    AWAIT_MS(5000, atomic_load(&r->again) > 0);
    atomic_store(&r->of, ACT_ID_NONE);
}

/* outbox.h: what had no room is kept and offered again, whether a replica or a client sent it. */
Test(sends, what_had_no_room_is_offered_again)
{
    struct refuser r = {.of = ACT_ID_NONE};
    struct world w;
    uint64_t ticket;

    world_init(&w);
    w.options.send = refuse_one;
    w.options.send_context = &r;
    world_start_caller(&w);
    add(&w, 1);
    expect_again(&r, vsr_peers_id(vsr_cluster_peers(w.cluster), 0)); /* a heartbeat */
    const struct vsr_counter_add one = {1, 1};
    atomic_store(&r.refused, NULL);
    cr_assert_eq(vsr_cluster_pause(w.cluster, 1), 0);
    cr_assert_eq(vsr_cluster_pause(w.cluster, 2), 0);
    cr_assert_eq(vsr_caller_send(w.caller, &one, sizeof one, &ticket), 0);
    expect_again(&r, w.service); /* the request, which nobody can answer */
    cr_assert_eq(vsr_cluster_resume(w.cluster, 1), 0);
    cr_assert_eq(vsr_cluster_resume(w.cluster, 2), 0);
    cr_assert_eq(vsr_caller_receive(w.caller, &ticket, NULL, NULL, 20 * SECOND), 0);
    world_stop(&w);
}

enum { BUSY = 1, OTHER_WORKER = 1 }; /* replica 1 of 3 is on worker 0 */

/** Takes the place of the others where replica BUSY says that it is away. */
struct witness {
    _Atomic(act_id) busy, id;
    atomic_uint heard;
    atomic_uint saved, loaded; /* while that was heard */
    atomic_uint unheard;       /* so often it was not heard in time */
};

static struct witness witness;

static int tell_witness(void *context, act_id to, struct act_message *m)
{
    const struct vsr_header *header = m->body;

    (void)context;
    if (act_self() == atomic_load(&witness.busy) && header->type == VSR_AWAY)
        to = atomic_load(&witness.id);
    return act_send(to, m);
}

static void hear(void *state, struct act_message *m)
{
    (void)state;
    atomic_fetch_add(&witness.heard, 1);
    act_message_unref(m);
}

/** Is busy until the witness has heard of it. */
static void be_busy(atomic_uint *count)
{
    uint32_t waited_ms = 0;

    while (atomic_load(&witness.heard) == 0 && waited_ms++ < 1000)
        world_sleep_ms(1);
    atomic_fetch_add(atomic_load(&witness.heard) > 0 ? count : &witness.unheard, 1);
    atomic_store(&witness.heard, 0);
}

static struct vsr_state_machine quick;

static bool save_busily(void *state, vsr_snapshot_write write, void *stream)
{
    be_busy(&witness.saved);
    return quick.save(state, write, stream);
}

static bool load_busily(void *state, vsr_snapshot_read read, void *stream)
{
    be_busy(&witness.loaded);
    return quick.load(state, read, stream);
}

static int create_busy(void *context, uint32_t replica, struct vsr_state_machine *machine)
{
    int error = vsr_counter_create(WORLD_COUNTERS, machine);

    (void)context;
    if (replica != BUSY) return error;
    quick = *machine;
    machine->save = save_busily;
    machine->load = load_busily;
    return error;
}

/* Rule 6.8: who saves or loads has said so before its worker stands still. */
Test(sends, away_is_under_way_before_the_work)
{
    static const struct act_behaviour behaviour = {.receive = hear};
    const struct act_spawn_options o = {.behaviour = &behaviour,
                                        .place = ACT_PLACE_ON(OTHER_WORKER)};
    struct act_port *port;
    struct world w;
    act_id id;

    world_init(&w);
    w.options.create_machine = create_busy;
    w.options.send = tell_witness;
    w.options.replica.log_ops = 32;
    w.options.replica.checkpoint_ops = 16;
    world_start_caller(&w);
    cr_assert_eq(act_port_open(w.runtime, &port), -EBUSY); /* the caller's does */
    cr_assert_eq(act_spawn(&o, &id), 0);
    atomic_store(&witness.id, id);
    atomic_store(&witness.busy, vsr_peers_id(vsr_cluster_peers(w.cluster), BUSY));
    for (uint32_t i = 0; i < 50 && atomic_load(&witness.saved) == 0; i++)
        add(&w, 16);
    cr_assert_gt(atomic_load(&witness.saved), 0);
    cr_assert_eq(atomic_load(&witness.unheard), 0);

    cr_assert_eq(vsr_cluster_pause(w.cluster, BUSY), 0);
    atomic_store(&witness.heard, 0);
    add(&w, 100);
    cr_assert_eq(vsr_cluster_resume(w.cluster, BUSY), 0);
    AWAIT(atomic_load(&witness.loaded) + atomic_load(&witness.unheard) > 0);
    cr_assert_eq(atomic_load(&witness.unheard), 0);
    cr_assert_gt(atomic_load(&witness.loaded), 0);
    atomic_store(&witness.busy, ACT_ID_NONE);
    cr_assert_eq(vsr_cluster_settle(w.cluster, 20 * SECOND), 0);
    world_stop(&w);
}
