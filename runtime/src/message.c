/**
 * Messages: taken from the thread's own pool, ended anywhere.
 *
 * Ordering
 *   M1 unref: decrement of refs (release)  ->  M2 the last unref: acquire
 *      every use of a shared body comes before its memory is used again.
 */
#include "message.h"

#include "assert.h"
#include "item.h"
#include "tsan.h"

#include <act/message.h>

/** Fills a pool that is empty. Returns false at its bound or without memory. */
__attribute__((noinline)) static bool refill(struct act_endpoint *e, uint32_t size_class)
{
    /* Before the pool grows: what others have sent home may be waiting. */
    ACT_ASSERT(size_class < POOL_CLASSES);
    act_endpoint_collect(e);
    return !act_pool_is_empty(&e->pool, size_class) || act_pool_grow(&e->pool, size_class);
}

static inline struct message *take(struct act_endpoint *e, uint32_t size_class)
{
    if (act_pool_is_empty(&e->pool, size_class) && !refill(e, size_class)) return NULL;
    struct message *m = act_pool_take(&e->pool, size_class);
    TSAN_ACQUIRE(m);
    m->header.flags = 0;
    atomic_store_explicit(&m->header.refs, 1, memory_order_relaxed); /* not shared yet */
    count(&e->counters.taken);
    return m;
}

struct act_message *act_message_create(uint32_t type, uint32_t body_bytes)
{
    struct act_endpoint *e = act_endpoint_current();

    ACT_ASSERT(e != NULL); /* the thread is no worker and has no port */
    if (body_bytes > ACT_MESSAGE_BODY_MAX) return NULL;
    struct message *m = take(e, pool_class_of(body_bytes));
    if (m == NULL) return NULL;
    m->user.type = type;
    m->user.body_bytes = body_bytes;
    m->user.body = m->body;
    return &m->user;
}

/** The message that owns the body. */
static struct message *body_owner(const struct message *m)
{
    if ((m->header.flags & MESSAGE_IS_VIEW) == 0) return (struct message *)(uintptr_t)m;
    struct message *owner;
    __builtin_memcpy(&owner, m->body, sizeof owner);
    return owner;
}

/** A handle of its own size class to the body of m. */
static struct act_message *make_view(struct act_message *m, uint32_t size_class)
{
    struct act_endpoint *e = act_endpoint_current();
    struct message *owner = body_owner(message_of(m));

    ACT_ASSERT(e != NULL); /* the thread is no worker and has no port */
    struct message *view = take(e, size_class);
    if (view == NULL) return NULL;
    view->header.flags = MESSAGE_IS_VIEW;
    view->user.type = m->type;
    view->user.body_bytes = m->body_bytes;
    view->user.body = m->body;
    __builtin_memcpy(view->body, &owner, sizeof owner);
    /* Relaxed: who adds a reference has one, so the body cannot end meanwhile. */
    atomic_fetch_add_explicit(&owner->header.refs, 1, memory_order_relaxed);
    return &view->user;
}

struct act_message *act_message_ref(struct act_message *m)
{
    return make_view(m, 0);
}

struct act_message *act_message_envelope(struct act_message *m, uint32_t bytes)
{
    ACT_ASSERT(bytes <= ACT_CALL_BYTES);
    if ((message_of(m)->header.flags & MESSAGE_IS_VIEW) == 0 && !act_message_is_shared(m)) {
        const size_t used = (size_t)((const uint8_t *)m->body - (const uint8_t *)message_of(m));
        const size_t all = (size_t)POOL_CLASS_BYTES << message_of(m)->header.size_class;
        ACT_ASSERT(used + m->body_bytes <= all);
        if (all - used - m->body_bytes >= bytes) return m;
    }
    return make_view(m, 1);
}

/** Puts memory on its way home when the lane's open batch is full. */
__attribute__((noinline)) static void send_home(struct act_endpoint *e, struct message *m)
{
    const uint32_t home = m->header.home;

    ACT_ASSERT(home != e->index);
    ACT_ASSERT(home < ENDPOINTS_MAX);
    if (act_lane_append(e->back_out[home], item_of_memory(m, m->header.size_class))) return;
    m->header.next = e->back_stuck[home];
    e->back_stuck[home] = &m->user;
}

/** Puts memory back into its pool, or on the way there. */
static inline void give_back(struct act_endpoint *e, struct message *m)
{
    const uint32_t home = m->header.home;

    TSAN_RELEASE(m);
    if (home == e->index) {
        act_pool_give(&e->pool, m->header.size_class, m);
        return;
    }
    e->back_dirty[home / 64] |= 1ull << (home % 64);
    if (!act_lane_try_append(e->back_out[home], item_of_memory(m, m->header.size_class)))
        send_home(e, m);
}

/** Ends one reference to a body. */
static void unref_body(struct act_endpoint *e, struct message *owner)
{
    ACT_DCHECK(atomic_load_explicit(&owner->header.refs, memory_order_relaxed) >= 1);
    /* Not shared: nobody else can see the count. */
    if (atomic_load_explicit(&owner->header.refs, memory_order_acquire) != 1) { /* M2 */
        if (atomic_fetch_sub_explicit(&owner->header.refs, 1, memory_order_acq_rel) !=
            1) /* M1, M2 */
            return;
    }
    give_back(e, owner);
}

void act_message_refuse(struct act_endpoint *e, struct act_message *user, int reason)
{
    struct message *m = message_of(user);
    struct call_trailer *trailer = message_trailer(user);

    ACT_ASSERT(message_is_request(user));
    if ((m->header.flags & MESSAGE_IS_VIEW) != 0) unref_body(e, body_owner(m));
    m->header.flags = MESSAGE_IS_ANSWER | MESSAGE_HAS_CALL;
    trailer->down = (struct act_down){.actor = m->header.to, .reason = reason};
    m->header.to = trailer->caller;
    user->from = trailer->caller;
    user->type = ACT_TYPE_DOWN;
    user->body_bytes = sizeof trailer->down;
    user->body = &trailer->down; /* what lies before it may be read through other handles */
    list_push(&e->unsent, user);
}

/** act_message_unref for a handle that is more than a body: a view, or a request. */
__attribute__((noinline)) static void unref_seldom(struct act_endpoint *e, struct message *m)
{
    if ((m->header.flags & MESSAGE_IS_REQUEST) != 0) {
        act_message_refuse(e, &m->user, ACT_REASON_UNANSWERED);
        return;
    }
    struct message *owner = body_owner(m);
    count(&e->counters.ended);
    give_back(e, m);
    unref_body(e, owner);
}

void act_message_unref(struct act_message *user)
{
    struct act_endpoint *e = act_endpoint_current();
    struct message *m = message_of(user);

    ACT_ASSERT(e != NULL);
    if ((m->header.flags & (MESSAGE_IS_VIEW | MESSAGE_IS_REQUEST)) != 0) {
        unref_seldom(e, m);
        return;
    }
    count(&e->counters.ended);
    unref_body(e, m);
}

uint32_t act_message_capacity(const struct act_message *m)
{
    const struct message *own = message_of(m);
    const struct message *owner = body_owner(own);
    const uint32_t bytes = (uint32_t)POOL_CLASS_BYTES << owner->header.size_class;
    const uint32_t before = (uint32_t)((const uint8_t *)m->body - (const uint8_t *)owner);

    ACT_DCHECK(before < bytes);
    if (owner != own) return bytes - before; /* what a call has added is in its own memory */
    if ((own->header.flags & MESSAGE_IS_REQUEST) != 0) return bytes - before - ACT_CALL_BYTES;
    if ((own->header.flags & MESSAGE_HAS_CALL) != 0)
        return bytes - before - (uint32_t)sizeof(uint64_t);
    return bytes - before;
}

bool act_message_is_shared(const struct act_message *m)
{
    const struct message *owner = body_owner(message_of(m));
    return atomic_load_explicit(&owner->header.refs, memory_order_acquire) != 1; /* M2 */
}
