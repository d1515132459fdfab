/**
 * What a worker and a port have in common: an index, a pool, lanes to and from all others.
 *
 * Only its own thread touches an endpoint, but for what is marked shared.
 */
#ifndef ACT_SRC_ENDPOINT_H
#define ACT_SRC_ENDPOINT_H

#include "assert.h"
#include "belongings.h"
#include "counters.h"
#include "cpu.h"
#include "lane.h"
#include "pace.h"
#include "park.h"
#include "pool.h"
#include "registry.h"
#include "watches.h"

#include <act/actor.h>
#include <act/runtime.h>

#include <stdalign.h>

enum { ENDPOINTS_MAX = ACT_WORKERS_MAX + ACT_PORTS_MAX, DIRTY_WORDS = ENDPOINTS_MAX / 64 };

/** Somebody who asked for room at `to`. */
struct room_waiter {
    act_id waiter;
    act_id to;
};

/** A FIFO of messages linked through their headers. */
struct message_list {
    struct act_message *head;
    struct act_message *tail;
};

struct act_poller;
struct act_schedule;

struct act_endpoint {
    struct act_registry_view registry;
    act_id self; /* the running actor; of a port: its own id */
    struct act_actor *running;
    int stop_reason;              /* of the running actor, once it is stopping */
    struct act_actor *ready_head; /* actors with messages */
    struct act_actor **ready_end; /* where the next one is linked */
    uint32_t index;
    uint32_t turn_max;           /* the option */
    struct act_pace pace;        /* a worker's */
    uint64_t dirty[DIRTY_WORDS]; /* lanes with an open batch */
    uint64_t back_dirty[DIRTY_WORDS];
    bool is_worker;

    struct act_runtime *runtime;
    struct act_lane **out;      /* [endpoints], NULL where none */
    struct act_lane **back_out; /* messages of others that ended here, on their way home */
    struct act_message *back_stuck[ENDPOINTS_MAX]; /* lists of those a full lane did not take */

    struct act_pool pool;
    struct message_list unsent;     /* the runtime's own messages that a full lane did not take */
    uint64_t stranded[DIRTY_WORDS]; /* lanes to ports that were closed when it published there */
    bool has_stranded;
    struct room_waiter *waiters;
    uint32_t waiter_count;
    uint32_t waiter_capacity;
    struct act_belongings belongings; /* of its actors: timers, calls */
    struct act_watches watches;       /* of its actors: monitors, links */
    struct act_schedule *schedule;    /* a worker's timers, by time; NULL at a port */
    struct act_poller *poller;        /* a worker's descriptors; NULL until there is one */

    /* Shared: written under the runtime's mutex, read by this thread. */
    alignas(CPU_LINE_BYTES) struct act_lane **in; /* [in_count] */
    struct act_lane **back_in;
    atomic_uint in_count;
    atomic_uint is_wanted; /* room here: a worker that has no more to do sleeps until there is */

    /* Shared: written by this thread, read by others. */
    alignas(CPU_LINE_BYTES) struct act_counters counters;
    alignas(CPU_LINE_BYTES) struct act_park
        park;              /* read at every publish: apart from what is written */
    atomic_bool is_closed; /* E3, E4: a port that nobody has open; stored under the mutex */
};

/** The calling thread's endpoint; NULL when it has none. */
struct act_endpoint *act_endpoint_current(void);
void act_endpoint_set_current(struct act_endpoint *e);

/** Returns 0 or a negative errno. */
int act_endpoint_init(struct act_endpoint *e, struct act_runtime *runtime, uint32_t index,
                      uint32_t endpoints, uint64_t pool_bytes_max);
/** Frees everything but the lanes, which belong to the runtime. */
void act_endpoint_deinit(struct act_endpoint *e, uint32_t endpoints);

/** Creates the lanes between an endpoint and all others. Returns 0 or -ENOMEM. */
int act_endpoint_connect(struct act_runtime *rt, uint32_t index);

/** See act_endpoint_publish. */
void act_endpoint_publish_dirty(struct act_endpoint *e);
/** Sends ended messages home. */
void act_endpoint_return(struct act_endpoint *e);
/** Takes in what came home. */
void act_endpoint_collect(struct act_endpoint *e);
/** K3: asks an endpoint to wake this worker once it has made room. Threads: about to park. */
void act_endpoint_want(struct act_endpoint *e, uint32_t to);
/** See endpoint_offer_room. */
__attribute__((cold)) void act_endpoint_wake_workers(struct act_endpoint *e);
/** Whether a lane holds something. */
bool act_endpoint_has_input(const struct act_endpoint *e);

static inline uint32_t actor_slot(const struct act_endpoint *e, const struct act_actor *actor)
{
    return (uint32_t)(actor - e->registry.actors);
}

static inline act_id actor_id(const struct act_endpoint *e, const struct act_actor *actor)
{
    return id_make(e->registry.scope, actor->generation, actor_slot(e, actor));
}

/** K4: wakes the workers if one of them waits for the room that has just been made here. */
static inline void endpoint_offer_room(struct act_endpoint *e)
{
    /* The room has to be visible before the flag is read. Who sets the flag sees to that with its
     * membarrier; without one it does not rely on it (worker.c). */
    atomic_signal_fence(memory_order_seq_cst);
    if (__builtin_expect(atomic_load_explicit(&e->is_wanted, memory_order_relaxed) != 0,
                         0)) /* K4 */
        act_endpoint_wake_workers(e);
}

/** Publishes every open batch and wakes who sleeps. What a full lane keeps stays dirty. */
static inline void act_endpoint_publish(struct act_endpoint *e)
{
    uint64_t any = 0;

    for (uint32_t i = 0; i < DIRTY_WORDS; i++)
        any |= e->dirty[i];
    if (any != 0) act_endpoint_publish_dirty(e);
}

/** Puts an actor into the list of those that have a turn coming. */
static inline void act_endpoint_make_ready(struct act_endpoint *e, struct act_actor *actor)
{
    if ((actor->flags & (ACTOR_IS_READY | ACTOR_IS_PORT)) != 0) return;
    actor->flags |= ACTOR_IS_READY;
    actor->ready_next = NULL;
    *e->ready_end = actor;
    e->ready_end = &actor->ready_next;
}

/** Gives a message to an actor of this endpoint, whatever its bound. Ownership: takes m. */
static inline void act_endpoint_push(struct act_endpoint *e, struct act_actor *actor,
                                     struct act_message *m)
{
    message_of(m)->header.next = NULL;
    *actor->end = m;
    actor->end = &message_of(m)->header.next;
    actor->count++;
    act_endpoint_make_ready(e, actor);
}

/** Takes the first message out of a mailbox that has one. */
static inline struct act_message *actor_pop(struct act_actor *actor)
{
    struct act_message *m = actor->head;

    ACT_DCHECK(m != NULL && actor->count > 0);
    actor->head = message_of(m)->header.next;
    if (actor->head == NULL) actor->end = &actor->head;
    actor->count--;
    return m;
}

static inline struct act_message *list_pop(struct message_list *list)
{
    struct act_message *m = list->head;
    if (m != NULL) list->head = message_of(m)->header.next;
    if (list->head == NULL) list->tail = NULL;
    return m;
}

static inline void list_push(struct message_list *list, struct act_message *m)
{
    message_of(m)->header.next = NULL;
    if (list->tail == NULL)
        list->head = m;
    else
        message_of(list->tail)->header.next = m;
    list->tail = m;
}

#endif
