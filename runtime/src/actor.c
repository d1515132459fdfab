/**
 * Actors: spawn, stop, names.
 *
 * Ordering
 *   R1 spawn: store of the slot's word (release)  ->  R2 send: load of it (acquire)
 *      the actor's struct is complete before anyone can find it; R2 is in registry.h.
 */
#include "actor.h"

#include "assert.h"
#include "delivery.h"
#include "fabric.h"
#include "monitor.h"
#include "names.h"
#include "poller.h"
#include "timer.h"

#include <errno.h>
#include <string.h>

act_id act_self(void)
{
    const struct act_endpoint *e = act_endpoint_current();
    return e != NULL ? e->self : ACT_ID_NONE;
}

bool act_on_worker(void)
{
    const struct act_endpoint *e = act_endpoint_current();
    return e != NULL && e->is_worker;
}

const struct act_runtime *act_current_runtime(void)
{
    const struct act_endpoint *e = act_endpoint_current();
    return e != NULL ? e->runtime : NULL;
}

int act_stop(act_id to, int reason)
{
    struct act_endpoint *e = act_endpoint_current();

    ACT_ASSERT(e != NULL);
    if (registry_is_foreign(&e->registry, to)) return -EHOSTUNREACH;
    const uint64_t word = registry_lookup(&e->registry, to);
    if (word_is_of(word, to) && word_home(word) >= e->runtime->options.workers)
        return -EINVAL; /* A port stops when its owner closes it. */
    struct act_message *m = act_message_create(SYSTEM_STOP, sizeof reason);
    if (m == NULL) return -ENOMEM;
    m->from = e->self;
    message_of(m)->header.flags |= MESSAGE_IS_SYSTEM;
    memcpy(m->body, &reason, sizeof reason);
    int error = act_delivery_request(e, to, m);
    if (error != 0) {
        message_of(m)->header.flags &= (uint16_t)~MESSAGE_IS_SYSTEM;
        act_message_unref(m);
    }
    return error;
}

void act_exit(int reason)
{
    struct act_endpoint *e = act_endpoint_current();

    ACT_ASSERT(e != NULL);
    ACT_ASSERT(e->running != NULL); /* only from a handler */
    e->running->flags |= ACTOR_IS_STOPPING;
    e->stop_reason = reason;
}

bool act_actor_on_system(struct act_endpoint *e, struct act_actor *actor, struct act_message *m)
{
    ACT_ASSERT((message_of(m)->header.flags & MESSAGE_IS_SYSTEM) != 0);
    if (m->type != SYSTEM_STOP) return act_monitor_on_system(e, actor, m);
    memcpy(&e->stop_reason, m->body, sizeof e->stop_reason);
    actor->flags |= ACTOR_IS_STOPPING;
    act_message_unref(m);
    return false;
}

act_id act_find(const char *name)
{
    struct act_endpoint *e = act_endpoint_current();

    ACT_ASSERT(e != NULL);
    act_id id = act_names_find(e->runtime->names, name);
    /* A spawn binds the name, then publishes the actor: in between a send would find nobody. */
    return word_is_of(registry_lookup(&e->registry, id), id) ? id : ACT_ID_NONE;
}

/* Spawn and stop. */

static int choose_home(struct act_endpoint *e, uint32_t place, uint32_t *home)
{
    const uint32_t workers = e->runtime->options.workers;

    if (place > workers) return -EINVAL;
    if (place != ACT_PLACE_HERE)
        *home = place - 1;
    else if (e->is_worker)
        *home = e->index;
    else /* Relaxed: only the spread matters. */
        *home =
            atomic_fetch_add_explicit(&e->runtime->next_place, 1, memory_order_relaxed) % workers;
    ACT_ASSERT(*home < workers);
    return 0;
}

/** Of the slot's next actor. */
static uint32_t next_generation(uint64_t word)
{
    const uint32_t generation = (word_generation(word) + 1) & SLOT_MASK;
    return generation != 0 ? generation : 1; /* so that no id is ACT_ID_NONE */
}

/** Fills a free slot in and makes it visible. */
act_id act_actor_publish(struct act_endpoint *e, uint32_t slot, uint32_t home,
                         const struct act_actor *actor)
{
    atomic_ullong *word = &e->registry.words[slot];
    /* Relaxed: the slot is ours; R3-R4 brought it. */
    const uint32_t generation = next_generation(atomic_load_explicit(word, memory_order_relaxed));

    ACT_DCHECK(slot < e->registry.actors_max);
    ACT_DCHECK((atomic_load_explicit(word, memory_order_relaxed) & WORD_ALIVE) == 0);
    e->registry.actors[slot] = *actor;
    e->registry.actors[slot].generation = generation;
    e->registry.actors[slot].end = &e->registry.actors[slot].head;
    const act_id id = id_make(e->registry.scope, generation, slot);
    /* What senders count, the home does not. */
    const uint32_t bound = actor->limit <= ACT_MAILBOX_EXACT_MAX ? actor->limit : 0;
    if (bound != 0) e->registry.actors[slot].limit = UINT32_MAX;
    atomic_store_explicit(word, word_make(id, home, bound), memory_order_release); /* R1 */
    count(&e->counters.spawned);
    return id;
}

int act_spawn(const struct act_spawn_options *options, act_id *id)
{
    struct act_endpoint *e = act_endpoint_current();
    struct act_actor actor = {0};
    uint32_t slot;
    uint32_t home;

    ACT_ASSERT(e != NULL); /* the thread is no worker and has no port */
    if (options->behaviour == NULL || options->behaviour->receive == NULL) return -EINVAL;
    int error = choose_home(e, options->place, &home);
    if (error != 0) return error;
    if (options->name != NULL && strlen(options->name) > ACT_NAME_MAX) return -ENAMETOOLONG;
    /* Relaxed: who spawns while the runtime stops finds out now or has its actor stopped. */
    if (atomic_load_explicit(&e->runtime->stopping, memory_order_relaxed) != 0) return -EAGAIN;
    error = act_registry_take_slot(e->runtime->registry, e->index, &slot);
    if (error != 0) return error;

    actor.behaviour = options->behaviour;
    actor.state = options->state;
    actor.limit = options->mailbox_max > 0 ? options->mailbox_max : e->runtime->options.mailbox_max;
    if (options->name != NULL) {
        uint64_t word = atomic_load_explicit(&e->registry.words[slot], memory_order_relaxed);
        error = act_names_bind(e->runtime->names, options->name,
                               id_make(e->registry.scope, next_generation(word), slot), slot);
        if (error != 0) {
            act_registry_give_slot(e->runtime->registry, e->index, slot);
            return error;
        }
        actor.flags = ACTOR_HAS_NAME;
    }
    *id = act_actor_publish(e, slot, home, &actor);
    return 0;
}

/** Ends what waits in a mailbox. */
static void empty_mailbox(struct act_endpoint *e, struct act_actor *actor)
{
    while (actor->head != NULL) {
        struct act_message *m = actor_pop(actor);
        act_delivery_bury(e, m);
    }
}

/**
 * What the actor has started ends with it: before its `stopped` may close the descriptors, and
 * after it, which may have started more.
 */
static void drop_belongings(struct act_endpoint *e, struct act_actor *actor, act_id id)
{
    ACT_ASSERT(e->is_worker || (actor->flags & (ACTOR_HAS_POLLS | ACTOR_HAS_BELONGINGS)) == 0);
    if ((actor->flags & ACTOR_HAS_POLLS) != 0) act_poller_drop(e, id);
    if ((actor->flags & ACTOR_HAS_BELONGINGS) != 0) act_timer_drop(e, id);
    actor->flags &= (uint16_t) ~(ACTOR_HAS_POLLS | ACTOR_HAS_BELONGINGS);
}

void act_actor_end(struct act_endpoint *e, struct act_actor *actor, int reason)
{
    const uint32_t slot = actor_slot(e, actor);
    const act_id id = actor_id(e, actor);
    atomic_ullong *word = &e->registry.words[slot];
    struct act_actor *running = e->running;
    act_id self = e->self;

    ACT_DCHECK((actor->flags & ACTOR_IS_DEAD) == 0);
    /* From here on nobody finds it; what is under way becomes a dead letter in deliver().
     * Relaxed: R3 publishes it, when the slot is given back. */
    atomic_store_explicit(word, word_make_dead(actor->generation), memory_order_relaxed);
    if ((actor->flags & ACTOR_HAS_NAME) != 0) act_names_unbind(e->runtime->names, slot);
    drop_belongings(e, actor, id);
    if (actor->behaviour != NULL && actor->behaviour->stopped != NULL) {
        e->running = actor;
        e->self = id;
        actor->behaviour->stopped(actor->state, reason);
        e->running = running;
        e->self = self;
    }
    drop_belongings(e, actor, id);
    empty_mailbox(e, actor);
    act_monitor_end(e, actor, id, reason);
    count(&e->counters.stopped);
    if ((actor->flags & ACTOR_IS_READY) != 0)
        actor->flags |= ACTOR_IS_DEAD;
    else
        act_registry_give_slot(e->runtime->registry, e->index, slot);
}
