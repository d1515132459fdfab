/**
 * See delivery.h: one message's whole way from act_send to the mailbox.
 *
 * Ordering: R2 is registry_lookup's load of the receiver's word (registry.h); E2 is a drain's load
 * of in_count, for the lanes that endpoint.c has made (E1); E4 is a port's last look at its lanes,
 * after it has said so (E3 in endpoint.c).
 */
#include "delivery.h"

#include "assert.h"
#include "fabric.h"
#include "item.h"
#include "memory.h"
#include "message.h"

#include <errno.h>
#include <string.h>

/** Batches taken from one lane before the next one gets its turn. */
enum { DRAIN_BATCHES = 8, PREFETCH_AHEAD = 6 };

enum { WAITERS_MIN = 16 };

void act_delivery_make_down(struct act_message *m, act_id actor, int reason)
{
    ACT_ASSERT(m->type == SYSTEM_MONITOR || m->type == SYSTEM_LINK);
    m->type = m->type == SYSTEM_MONITOR ? SYSTEM_DOWN : SYSTEM_EXIT;
    watch_of(m)->down = (struct act_down){.actor = actor, .reason = reason};
}

void act_delivery_bury(struct act_endpoint *e, struct act_message *m)
{
    act_delivery_count_out(e, m);
    if ((message_of(m)->header.flags & MESSAGE_IS_SYSTEM) != 0) {
        if (m->type == SYSTEM_MONITOR || m->type == SYSTEM_LINK) {
            act_delivery_make_down(m, message_of(m)->header.to, ACT_REASON_GONE);
            act_delivery_send_system(e, m->from, m);
            return;
        }
        act_message_unref(m); /* A stop for an actor that is gone has what it wants. */
        return;
    }
    count(&e->counters.dead_letters);
    if (message_is_request(m))
        act_message_refuse(e, m, ACT_REASON_GONE);
    else
        act_message_unref(m);
}

/** Counts m for a small mailbox. Returns false when that is full. */
static bool count_in(struct act_endpoint *e, uint64_t word, struct message *m)
{
    atomic_uint *counted = &e->registry.counted[id_slot(m->header.to)];
    const uint32_t bound = word_bound(word);

    if (bound == 0) return true;
    /* Relaxed: only the number matters. It is the slot's: what is under way to a dead actor counts
     * for the next one until it is ended, so that nothing is ever counted out twice. */
    unsigned count = atomic_load_explicit(counted, memory_order_relaxed);
    do { /* Counted and taken back, a refusal would hide room from whoever looks meanwhile. */
        if (count >= bound) return false;
    } while (!atomic_compare_exchange_weak_explicit(counted, &count, count + 1,
                                                    memory_order_relaxed, memory_order_relaxed));
    m->header.flags |= MESSAGE_IS_COUNTED;
    return true;
}

void act_delivery_count_out(struct act_endpoint *e, struct act_message *m)
{
    struct message_header *header = &message_of(m)->header;

    if ((header->flags & MESSAGE_IS_COUNTED) == 0) return;
    header->flags &= (uint16_t)~MESSAGE_IS_COUNTED;
    const uint32_t before = atomic_fetch_sub_explicit(&e->registry.counted[id_slot(header->to)], 1,
                                                      memory_order_relaxed);
    ACT_DCHECK(before > 0);
    /* It was full, and may never have been so full at its home that relieving it says this. */
    if (before >= word_bound(registry_lookup(&e->registry, header->to))) endpoint_offer_room(e);
}

/** Puts m on its way. `is_urgent` passes a mailbox's bound, not a lane's. */
static int dispatch(struct act_endpoint *e, act_id to, struct act_message *m, bool is_urgent)
{
    const uint64_t word = registry_lookup(&e->registry, to);

    if (registry_is_foreign(&e->registry, to)) return -EHOSTUNREACH;
    struct message *header = message_of(m);

    header->header.to = to;
    if (!word_is_of(word, to)) {
        act_delivery_bury(e, m);
        return 0;
    }
    const uint32_t home = word_home(word);
    ACT_DCHECK(home < e->runtime->endpoint_count);
    if (to == e->self) is_urgent = true; /* Who waits for room at itself makes none. */
    if (!is_urgent && !count_in(e, word, header)) return -EAGAIN;
    if (home == e->index) {
        struct act_actor *actor = &e->registry.actors[id_slot(to)];
        if (actor->count >= actor->limit && !is_urgent) return -EAGAIN;
        act_endpoint_push(e, actor, m);
        return 0;
    }
    if ((word & WORD_FULL) != 0 && !is_urgent) return -EAGAIN;
    /* A port has no turns: what a full ring did not take now would wait for its next call. */
    if (!e->is_worker && !act_lane_has_slot(e->out[home])) {
        act_delivery_count_out(e, m);
        return -EAGAIN;
    }
    const bool is_full = !act_lane_try_append(e->out[home], item_of_message(header));
    if (is_full) {
        if (!act_lane_append(e->out[home], item_of_message(header))) {
            act_delivery_count_out(e, m);
            return -EAGAIN;
        }
        /* A batch has been published: a handler that goes on sending, or waits for room, may not
         * come to its turn's end before somebody looks at it. */
        if (act_park_poke(&e->runtime->endpoints[home]->park)) count(&e->counters.wakes);
    }
    e->dirty[home / 64] |= 1ull << (home % 64);
    if (!e->is_worker) act_endpoint_publish(e);
    return 0;
}

/** act_send for what is not common: so the common cases have no registers to save. */
__attribute__((noinline)) static int send_seldom(struct act_endpoint *e, act_id to,
                                                 struct act_message *m)
{
    int error = dispatch(e, to, m, false);
    if (error == 0) count(&e->counters.sent);
    if (error == -EAGAIN) count(&e->counters.refused);
    return error;
}

/** From a worker to another one that has room in the open batch. */
static inline bool try_send_away(struct act_endpoint *e, uint64_t word, act_id to,
                                 struct act_message *m)
{
    const uint32_t home = word_home(word);

    if (!word_is_of(word, to) || home == e->index) return false;
    if ((word & (WORD_FULL | WORD_BOUND)) != 0) return false;
    if (!e->is_worker) return false; /* a port publishes at once */
    message_of(m)->header.to = to;
    e->dirty[home / 64] |= 1ull << (home % 64);
    return act_lane_try_append(e->out[home], item_of_message(message_of(m)));
}

int act_send(act_id to, struct act_message *m)
{
    struct act_endpoint *e = act_endpoint_current();

    ACT_ASSERT(e != NULL); /* the thread is no worker and has no port */
    if (m->type >= ACT_TYPE_SYSTEM) return -EINVAL;
    m->from = e->self;
    const uint64_t word = registry_lookup(&e->registry, to);
    if (!word_is_of_home(word, to, e->index)) {
        if (!try_send_away(e, word, to, m)) return send_seldom(e, to, m);
    } else {
        struct act_actor *actor = &e->registry.actors[id_slot(to)];
        if (actor->count >= actor->limit) return send_seldom(e, to, m);
        message_of(m)->header.to = to;
        act_endpoint_push(e, actor, m);
    }
    count(&e->counters.sent);
    return 0;
}

void act_flush(void)
{
    struct act_endpoint *e = act_endpoint_current();

    ACT_ASSERT(e != NULL);
    act_endpoint_publish(e);
}

void act_delivery_send_system(struct act_endpoint *e, act_id to, struct act_message *m)
{
    /* What may not reach a handler is counted when it does. */
    const bool is_counted = (message_of(m)->header.flags & MESSAGE_IS_SYSTEM) == 0;
    int error = dispatch(e, to, m, true);

    if (error == 0) {
        if (is_counted) count(&e->counters.sent);
    } else if (error == -EAGAIN) {
        list_push(&e->unsent, m);
    } else {
        act_message_unref(m);
    }
}

/* Ports that close. */

/** Takes all that a lane holds. Threads: its consumer; of a closed port's lane who has the mutex.
 */
static void take_all(struct act_lane *lane, struct message_list *list)
{
    for (;;) {
        const struct act_lane_items items = act_lane_take(lane);
        if (items.count == 0) return;
        for (uint32_t i = 0; i < items.count; i++)
            list_push(list, &item_message(items.list[i])->user);
    }
}

static void bury_all(struct act_endpoint *e, struct message_list *list)
{
    struct act_message *m;

    while ((m = list_pop(list)) != NULL)
        act_delivery_bury(e, m);
}

void act_delivery_close(struct act_endpoint *e)
{
    struct message_list left = {0};

    ACT_ASSERT(!e->is_worker);
    pthread_mutex_lock(&e->runtime->mutex);
    atomic_store_explicit(&e->is_closed, true, memory_order_relaxed); /* E4 */
    park_fence(&e->park);                                             /* E4 */
    /* Relaxed: lanes are made under the mutex. */
    const uint32_t lanes = atomic_load_explicit(&e->in_count, memory_order_relaxed);
    for (uint32_t i = 0; i < lanes; i++)
        take_all(e->in[i], &left);
    pthread_mutex_unlock(&e->runtime->mutex);
    endpoint_offer_room(e);
    bury_all(e, &left);
}

/** Ends what this endpoint has published for ports that had been closed; nobody else would. */
static void end_stranded(struct act_endpoint *e)
{
    struct message_list left = {0};

    e->has_stranded = false;
    pthread_mutex_lock(&e->runtime->mutex);
    for (uint32_t to = 0; to < e->runtime->endpoint_count; to++) {
        const uint64_t bit = 1ull << (to % 64);
        if ((e->stranded[to / 64] & bit) == 0) continue;
        e->stranded[to / 64] &= ~bit;
        /* Open again: its thread takes them, and finds that they are for the last one. */
        if (!atomic_load_explicit(&e->runtime->endpoints[to]->is_closed, memory_order_relaxed))
            continue;
        do
            take_all(e->out[to], &left);
        while (!act_lane_is_clean(e->out[to]) && act_lane_publish(e->out[to]));
        e->dirty[to / 64] &= ~bit;
    }
    pthread_mutex_unlock(&e->runtime->mutex);
    bury_all(e, &left);
}

bool act_delivery_notify(struct act_endpoint *e, act_id to, uint32_t type, const void *body,
                         uint32_t body_bytes)
{
    struct act_message *m = act_message_create(type, body_bytes);

    ACT_ASSERT(to != ACT_ID_NONE);
    if (m == NULL) return false;
    memcpy(m->body, body, body_bytes);
    m->from = to;
    act_delivery_send_system(e, to, m);
    return true;
}

int act_delivery_request(struct act_endpoint *e, act_id to, struct act_message *m)
{
    ACT_ASSERT((message_of(m)->header.flags & MESSAGE_IS_SYSTEM) != 0);
    return dispatch(e, to, m, true);
}

int act_delivery_answer(struct act_endpoint *e, act_id to, struct act_message *m)
{
    int error = dispatch(e, to, m, true);

    if (error == 0) count(&e->counters.sent);
    if (error == -EAGAIN) count(&e->counters.refused);
    return error;
}

/* The receiver's side. */

static void set_full(struct act_endpoint *e, struct act_actor *actor, bool is_full)
{
    atomic_ullong *word = &e->registry.words[actor_slot(e, actor)];
    unsigned long long value = atomic_load_explicit(word, memory_order_relaxed);

    ACT_DCHECK((value & WORD_ALIVE) != 0 && word_home(value) == e->index);
    /* Relaxed: a hint to senders; only the home stores the word. */
    atomic_store_explicit(word, is_full ? value | WORD_FULL : value & ~WORD_FULL,
                          memory_order_relaxed);
    if (is_full)
        actor->flags |= ACTOR_IS_FULL;
    else
        actor->flags &= (uint16_t)~ACTOR_IS_FULL;
}

/** Delivers a message that a lane brought. The home knows best who lives in the slot. */
static void deliver(struct act_endpoint *e, struct act_message *m)
{
    const act_id to = message_of(m)->header.to;
    struct act_actor *actor = &e->registry.actors[id_slot(to)];
    /* Relaxed: the sender looked it up (R2), and the lane brought what the sender had seen (L2). */
    unsigned long long word =
        atomic_load_explicit(&e->registry.words[id_slot(to)], memory_order_relaxed);

    if (!word_is_of(word, to)) {
        act_delivery_bury(e, m);
        return;
    }
    ACT_DCHECK(word_home(word) == e->index);
    act_endpoint_push(e, actor, m);
    if (actor->count >= actor->limit && (actor->flags & ACTOR_IS_FULL) == 0)
        set_full(e, actor, true);
}

uint32_t act_delivery_drain(struct act_endpoint *e)
{
    const uint32_t lanes = atomic_load_explicit(&e->in_count, memory_order_acquire); /* E2 */
    uint32_t delivered = 0;

    for (uint32_t i = 0; i < lanes; i++) {
        for (uint32_t batch = 0; batch < DRAIN_BATCHES; batch++) {
            struct act_lane_items items = act_lane_take(e->in[i]);
            if (items.count == 0) break;
            for (uint32_t k = 0; k < items.count && k < PREFETCH_AHEAD; k++)
                __builtin_prefetch((const void *)items.list[k], 1);
            for (uint32_t k = 0; k < items.count; k++) {
                if (k + PREFETCH_AHEAD < items.count)
                    __builtin_prefetch((const void *)items.list[k + PREFETCH_AHEAD], 1);
                deliver(e, &item_message(items.list[k])->user);
            }
            delivered += items.count;
        }
    }
    if (delivered > 0) endpoint_offer_room(e);
    return delivered;
}

void act_delivery_relieve(struct act_endpoint *e, struct act_actor *actor)
{
    ACT_DCHECK((actor->flags & ACTOR_IS_FULL) != 0);
    if (actor->count > actor->limit / 2) return;
    set_full(e, actor, false);
}

/* Waiting for room. */

int act_await_room(act_id to)
{
    struct act_endpoint *e = act_endpoint_current();

    ACT_ASSERT(e != NULL);
    ACT_ASSERT(e->running != NULL); /* only from a handler */
    ACT_ASSERT(e->waiter_count <= e->waiter_capacity);
    if (e->waiter_count == e->waiter_capacity) {
        uint32_t capacity = e->waiter_capacity > 0 ? e->waiter_capacity * 2 : WAITERS_MIN;
        struct room_waiter *waiters = act_memory_take(capacity * sizeof *waiters);
        if (waiters == NULL) return -ENOMEM;
        if (e->waiter_count > 0) memcpy(waiters, e->waiters, e->waiter_count * sizeof *waiters);
        act_memory_give(e->waiters, e->waiter_capacity * sizeof *waiters);
        e->waiters = waiters;
        e->waiter_capacity = capacity;
    }
    e->waiters[e->waiter_count++] = (struct room_waiter){.waiter = e->self, .to = to};
    return 0;
}

/** Whether a send would be accepted now, as far as anyone can tell; also when `to` is gone. */
static bool has_room(const struct act_endpoint *e, act_id to)
{
    const uint64_t word = registry_lookup(&e->registry, to);

    if (registry_is_foreign(&e->registry, to)) return true;
    if (!word_is_of(word, to)) return true;
    if (word_bound(word) != 0 && atomic_load_explicit(&e->registry.counted[id_slot(to)],
                                                      memory_order_relaxed) >= word_bound(word))
        return false;
    if (word_home(word) == e->index) {
        const struct act_actor *actor = &e->registry.actors[id_slot(to)];
        return actor->count < actor->limit;
    }
    return (word & WORD_FULL) == 0 && act_lane_has_room(e->out[word_home(word)]);
}

/** Tells those who wait for room and have it. */
static void serve_waiters(struct act_endpoint *e)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < e->waiter_count; i++) {
        struct room_waiter waiter = e->waiters[i];
        if (!has_room(e, waiter.to) ||
            !act_delivery_notify(e, waiter.waiter, ACT_TYPE_ROOM, &waiter.to, sizeof waiter.to))
            e->waiters[kept++] = waiter;
    }
    e->waiter_count = kept;
}

void act_delivery_retry(struct act_endpoint *e)
{
    struct message_list again = e->unsent;
    struct act_message *m;

    e->unsent = (struct message_list){0};
    while ((m = list_pop(&again)) != NULL)
        act_delivery_send_system(e, message_of(m)->header.to, m);
    if (e->waiter_count > 0) serve_waiters(e);
    act_endpoint_publish(e);
    if (e->has_stranded) end_stranded(e);
}

bool act_delivery_want(struct act_endpoint *e)
{
    for (uint32_t to = 0; to < e->runtime->endpoint_count; to++)
        if (((e->dirty[to / 64] | e->back_dirty[to / 64]) >> (to % 64) & 1) != 0)
            act_endpoint_want(e, to);
    /* What these wait for is a mailbox's bound, too, or a message to tell of room with. */
    return e->waiter_count == 0 && e->unsent.head == NULL && !e->has_stranded;
}
