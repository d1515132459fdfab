/**
 * A pool of messages: per endpoint, per size class, a stack of free ones.
 *
 * Only the owner takes and gives. What another endpoint has freed comes back over a lane of returns
 * (endpoint.h) without its memory being touched on the way.
 */
#ifndef ACT_SRC_POOL_H
#define ACT_SRC_POOL_H

#include "assert.h"

#include <act/message.h>

#include <stdatomic.h>
#include <stddef.h>

enum {
    POOL_CLASSES = 16,      /* 64 bytes << class */
    POOL_CLASS_BYTES = 64,  /* of class 0 */
    POOL_SLAB_BYTES = 65536 /* a class grows by as much, or by one message */
};

enum message_flags {
    MESSAGE_IS_SYSTEM = 1,   /* for the runtime, not for a behaviour */
    MESSAGE_IS_VIEW = 2,     /* a handle whose body is another message's */
    MESSAGE_IS_TICK = 4,     /* of a periodic timer that waits until it is handled */
    MESSAGE_IS_REQUEST = 8,  /* of a call, not answered yet: it has a trailer (message.h) */
    MESSAGE_IS_ANSWER = 16,  /* to a call: looked up before it is handled */
    MESSAGE_IS_COUNTED = 64, /* for a small mailbox, until it is handled or ended */
    MESSAGE_HAS_CALL = 32,   /* was an answer when it came */
};

/** A message as the runtime sees it; the body follows. One owner at a time. */
struct message_header {
    struct act_message *next; /* in a mailbox or a list of its owner */
    act_id to;
    atomic_uint refs; /* of the body: this handle and its views; 1 until it is shared */
    uint8_t home;     /* endpoint whose pool it is */
    uint8_t size_class;
    uint16_t flags;
};

struct message {
    struct message_header header;
    struct act_message user; /* what the application sees */
    uint8_t body[];
};

_Static_assert(sizeof(struct message) == 48, "a 16-byte body shares the header's cache line");

static inline struct message *message_of(const struct act_message *m)
{
    return (struct message *)(void *)((uint8_t *)(uintptr_t)m - offsetof(struct message, user));
}

struct pool_class {
    struct message **free; /* a stack */
    uint32_t free_count;
    uint32_t capacity; /* of the stack: every message of the class */
    uint32_t total;
};

struct pool_slab {
    struct pool_slab *next;
    size_t bytes;
};

struct act_pool {
    struct pool_class classes[POOL_CLASSES];
    struct pool_slab *slabs;
    uint64_t bytes_max;
    uint8_t home;
    atomic_ullong bytes;   /* stored by the owner, read by act_runtime_stats: relaxed */
    atomic_ullong growths; /* likewise */
};

/** Returns 0 or -ENOMEM; some messages of the small classes are there from the start. */
int act_pool_init(struct act_pool *pool, uint8_t home, uint64_t bytes_max);
void act_pool_deinit(struct act_pool *pool);

/** The class whose messages have room for the body; POOL_CLASSES or more if there is none. */
static inline uint32_t pool_class_of(uint32_t body_bytes)
{
    uint32_t lines = (body_bytes + (uint32_t)sizeof(struct message) - 1) / POOL_CLASS_BYTES;
    return lines == 0 ? 0 : 32u - (uint32_t)__builtin_clz(lines);
}

/** Adds free messages to a class. Returns false at the pool's bound or without memory. */
bool act_pool_grow(struct act_pool *pool, uint32_t size_class);

static inline bool act_pool_is_empty(const struct act_pool *pool, uint32_t size_class)
{
    return pool->classes[size_class].free_count == 0;
}

/** Gives a free message of a class that has one. */
static inline struct message *act_pool_take(struct act_pool *pool, uint32_t size_class)
{
    struct pool_class *c = &pool->classes[size_class];
    ACT_DCHECK(c->free_count > 0);
    struct message *m = c->free[--c->free_count];
    /* The next ones were written last by whoever freed them, maybe on another core. */
    if (c->free_count >= 4) __builtin_prefetch(c->free[c->free_count - 4], 1);
    return m;
}

/** Ownership: takes m, a message of this pool. */
static inline void act_pool_give(struct act_pool *pool, uint32_t size_class, struct message *m)
{
    struct pool_class *c = &pool->classes[size_class];
    ACT_DCHECK(m->header.home == pool->home && m->header.size_class == size_class);
    ACT_DCHECK(c->free_count < c->total); /* else one has ended twice */
    c->free[c->free_count++] = m;
}

#endif
