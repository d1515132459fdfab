/**
 * What a worker and a port have in common: an index, a pool, lanes to and from all others.
 *
 * Only its own thread touches an endpoint, but for what is marked shared.
 */
#ifndef ACT_SRC_ENDPOINT_H
#define ACT_SRC_ENDPOINT_H

#include "lane.h"
#include "park.h"
#include "pool.h"
#include "registry.h"

#include <act/actor.h>
#include <act/runtime.h>

#include <stdalign.h>

enum { ENDPOINTS_MAX = ACT_WORKERS_MAX + ACT_PORTS_MAX, DIRTY_WORDS = ENDPOINTS_MAX / 64 };

/** Counters: stored by the owner, read by act_runtime_stats. Relaxed: each is a recent value. */
struct act_counters {
    atomic_ullong sent;
    atomic_ullong delivered;
    atomic_ullong dead_letters;
    atomic_ullong taken; /* from this pool */
    atomic_ullong ended; /* messages ended here, of any pool */
    atomic_ullong refused;
    atomic_ullong batches;
    atomic_ullong parks;
    atomic_ullong wakes;
    atomic_ullong spawned;
    atomic_ullong stopped;
};

/** One more, by the only thread that stores it: no read-modify-write needed. */
static inline void count(atomic_ullong *counter)
{
    unsigned long long value = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, value + 1, memory_order_relaxed);
}

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

struct act_endpoint {
    struct act_runtime *runtime;
    struct act_registry_view registry;
    act_id self; /* the running actor; of a port: its own id */
    struct act_actor *running;
    int stop_reason; /* of the running actor, once it is stopping */
    uint32_t index;
    bool is_worker;
    uint64_t dirty[DIRTY_WORDS]; /* lanes with an open batch */

    struct act_lane **out;      /* [endpoints], NULL where none */
    struct act_lane **back_out; /* messages of others that ended here, on their way home */
    uint64_t back_dirty[DIRTY_WORDS];
    struct act_message *back_stuck[ENDPOINTS_MAX]; /* lists of those a full lane did not take */

    struct act_actor *ready_head; /* actors with messages */
    struct act_actor *ready_tail;

    struct act_pool pool;
    struct slot_cache slots;
    struct message_list unsent; /* the runtime's own messages that a full lane did not take */
    struct room_waiter *waiters;
    uint32_t waiter_count;
    uint32_t waiter_capacity;

    /* Shared: written under the runtime's mutex, read by this thread. */
    alignas(64) struct act_lane **in; /* [in_count] */
    struct act_lane **back_in;
    atomic_uint in_count;

    /* Shared: written by this thread, read by others. */
    alignas(64) struct act_counters counters;
    struct act_park park;
};

/** The calling thread's endpoint; NULL when it has none. */
struct act_endpoint *act_endpoint_current(void);
void act_endpoint_set_current(struct act_endpoint *e);

/** Returns 0 or a negative errno. */
int act_endpoint_init(struct act_endpoint *e, struct act_runtime *runtime, uint32_t index,
                      uint32_t endpoints, uint64_t pool_bytes_max);
/** Frees everything but the lanes, which belong to the runtime. */
void act_endpoint_deinit(struct act_endpoint *e, uint32_t endpoints);

/** Publishes every open batch and wakes who sleeps. What a full lane keeps stays dirty. */
void act_endpoint_publish(struct act_endpoint *e);
/** Sends ended messages home. */
void act_endpoint_return(struct act_endpoint *e);
/** Takes in what came home. */
void act_endpoint_collect(struct act_endpoint *e);
/** Moves what the lanes bring into the mailboxes. Returns how many messages it was. */
uint32_t act_endpoint_drain(struct act_endpoint *e);
/** Whether a lane holds something. */
bool act_endpoint_has_input(const struct act_endpoint *e);
/** Offers the runtime's own messages again, and looks whether those who wait for room have it. */
void act_endpoint_retry(struct act_endpoint *e);

/** Gives a message to an actor of this endpoint, whatever its bound. Ownership: takes m. */
void act_endpoint_push(struct act_endpoint *e, struct act_actor *actor, struct act_message *m);
/** Puts an actor into the list of those that have a turn coming. */
void act_endpoint_make_ready(struct act_endpoint *e, struct act_actor *actor);
/** Ends a message that has no receiver. Ownership: takes m. */
void act_endpoint_bury(struct act_endpoint *e, struct act_message *m);
/** Tells senders of room when a full mailbox is half empty again. */
void act_endpoint_relieve(struct act_endpoint *e, struct act_actor *actor);
/** Ends an actor of this endpoint: mailbox, monitors, name, slot; calls its stopped hook. */
void act_endpoint_stop_actor(struct act_endpoint *e, struct act_actor *actor, int reason);
/** Runs the actor's turn. */
void act_endpoint_run(struct act_endpoint *e, struct act_actor *actor);

/** Sends one of the runtime's own messages: never refused, sent later when a lane is full. */
void act_endpoint_send_system(struct act_endpoint *e, act_id to, struct act_message *m);

static inline uint32_t actor_slot(const struct act_endpoint *e, const struct act_actor *actor)
{
    return (uint32_t)(actor - e->registry.actors);
}

static inline act_id actor_id(const struct act_endpoint *e, const struct act_actor *actor)
{
    return id_make(actor->generation, actor_slot(e, actor));
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
