/**
 * id -> actor. Read on every send, written when actors come and go.
 *
 * A slot's word says who lives there: {scope, generation, home, flags}; a lookup is one indexed
 * load. The scope is the runtime's number: an id of another one is like an id of nobody. The
 * actor's state lies in a second array that only its home touches, so a dead actor's slot may be
 * given out again at once: who still sends to the old id carries the old generation with the
 * message, and the home compares it (deliver() in delivery.c).
 *
 * Each endpoint keeps free slots of its own, for others to take when they find none: the slots are
 * as many as actors_max, and a spawn is refused only when all are taken.
 */
#ifndef ACT_SRC_REGISTRY_H
#define ACT_SRC_REGISTRY_H

#include "cpu.h"

#include <act/actor.h>

#include <stdatomic.h>
#include <stdbool.h>

#define SLOT_BITS 24
#define SLOT_MASK 0xFFFFFFu
#define SCOPE_MAX 0xFFFFu

/* A word has its generation and its scope where an id has them: one shift compares both. Where an
 * id has its slot, a word has its home and flags. */
#define WORD_HOME 0xFFull
#define WORD_ALIVE (1ull << 8)
#define WORD_FULL (1ull << 9) /* its mailbox: senders on other workers hold back */
/** The bound of a small mailbox, which every sender counts for; 0: its home alone does. */
#define WORD_BOUND_SHIFT 10
#define WORD_BOUND (0x3FFFull << WORD_BOUND_SHIFT)

_Static_assert(ACT_MAILBOX_EXACT_MAX < 1 << 14, "a word has room for it");

static inline uint32_t id_slot(act_id id)
{
    return (uint32_t)id & SLOT_MASK;
}

static inline uint32_t id_generation(act_id id)
{
    return (uint32_t)(id >> SLOT_BITS) & SLOT_MASK;
}

/** Of the runtime that it is an id of; 0 of ACT_ID_NONE alone. */
static inline uint32_t id_scope(act_id id)
{
    return (uint32_t)(id >> (2 * SLOT_BITS));
}

static inline act_id id_make(uint32_t scope, uint32_t generation, uint32_t slot)
{
    return (act_id)scope << (2 * SLOT_BITS) | (act_id)generation << SLOT_BITS | slot;
}

/** Who lives in a slot, at a home. Shape: bound up to ACT_MAILBOX_EXACT_MAX; 0 = none here. */
static inline uint64_t word_make(act_id id, uint32_t home, uint32_t bound)
{
    return (id & ~(act_id)SLOT_MASK) | (uint64_t)bound << WORD_BOUND_SHIFT | WORD_ALIVE | home;
}

static inline uint32_t word_bound(uint64_t word)
{
    return (uint32_t)((word & WORD_BOUND) >> WORD_BOUND_SHIFT);
}

/** What is left of a dead actor. */
static inline uint64_t word_make_dead(uint32_t generation)
{
    return (uint64_t)generation << SLOT_BITS;
}

static inline uint32_t word_home(uint64_t word)
{
    return (uint32_t)(word & WORD_HOME);
}

static inline uint32_t word_generation(uint64_t word)
{
    return (uint32_t)(word >> SLOT_BITS) & SLOT_MASK;
}

/** Whether the word is of the actor that the id names. */
static inline bool word_is_of(uint64_t word, act_id id)
{
    return (word ^ id) >> SLOT_BITS == 0 && (word & WORD_ALIVE) != 0;
}

/** The same, and it lives at this home, and its mailbox is neither marked full nor a small one. */
static inline bool word_is_of_home(uint64_t word, act_id id, uint32_t home)
{
    return (word ^ id) >> SLOT_BITS == 0 && (word & SLOT_MASK) == (WORD_ALIVE | home);
}

enum actor_flags {
    ACTOR_IS_READY = 1,    /* in its worker's list */
    ACTOR_IS_STOPPING = 2, /* when its handler returns */
    ACTOR_IS_FULL = 4,     /* WORD_FULL is set */
    ACTOR_HAS_NAME = 8,
    ACTOR_IS_PORT = 16,
    ACTOR_IS_DEAD = 32,   /* stopped while in the ready list: its slot is free when it leaves */
    ACTOR_HAS_POLLS = 64, /* may have; they end with it */
    ACTOR_HAS_BELONGINGS = 128, /* the same */
    ACTOR_IS_TIMED = 256,       /* message by message: it may be slow (pace.h) */
    ACTOR_TRAPS_EXITS = 512,
};

/** One cache line; touched only by the actor's home, and by the spawner before it is published. */
struct act_actor {
    const struct act_behaviour *behaviour;
    void *state;
    struct act_message *head; /* the mailbox: a FIFO linked through message_header.next */
    struct act_message **end; /* where the next message is linked: head, or the last one's next */
    uint32_t count;
    uint32_t limit;
    struct act_actor *ready_next;
    struct act_message *watches; /* who watches it, and whom it watches (watches.h) */
    uint32_t generation;
    uint16_t flags;
    uint16_t timed; /* messages that have to be quick before it is not timed any more */
};

_Static_assert(sizeof(struct act_actor) == CPU_LINE_BYTES, "one cache line an actor");

struct act_registry;

/** Shape: 1 <= actors_max <= SLOT_MASK + 1. Returns NULL when there is no memory. */
struct act_registry *act_registry_create(uint32_t actors_max, uint32_t endpoints);
void act_registry_destroy(struct act_registry *registry);

/**
 * Takes a free slot.
 *
 * Threads: the endpoint's own. Lock-free while it has free slots of its own; else it may wait for
 *          another one that looks for some.
 * Returns: 0, or -EAGAIN when every slot is taken.
 */
int act_registry_take_slot(struct act_registry *registry, uint32_t endpoint, uint32_t *slot);

/**
 * Gives back a slot that nobody touches any more: a dead actor's, or one that was never used.
 *
 * Threads: the endpoint's own. Lock-free.
 */
void act_registry_give_slot(struct act_registry *registry, uint32_t endpoint, uint32_t slot);

/** Slots that were ever taken: 0 .. count-1. */
uint32_t act_registry_slots_used(const struct act_registry *registry);

/* The arrays, for the hot path. */
struct act_registry_view {
    atomic_ullong *words;
    struct act_actor *actors;
    atomic_uint *counted; /* messages that count for a small mailbox, accepted and not handled */
    uint32_t actors_max;
    uint32_t scope; /* 1..SCOPE_MAX */
};

/** Whether the id can only be of another runtime's actor. */
static inline bool registry_is_foreign(const struct act_registry_view *view, act_id id)
{
    return id != ACT_ID_NONE && id_scope(id) != view->scope;
}

/** Who lives in the id's slot; 0 when there is no such slot. */
static inline uint64_t registry_lookup(const struct act_registry_view *view, act_id id)
{
    if (id_slot(id) >= view->actors_max) return 0;
    return atomic_load_explicit(&view->words[id_slot(id)], memory_order_acquire); /* R2 */
}

struct act_registry_view act_registry_view(const struct act_registry *registry);

#endif
