/**
 * id -> actor and name -> actor. Read on every send, written when actors come and go.
 *
 * A slot's word says who lives there: {generation, home, flags}; a lookup is one indexed load. The
 * actor's state lies in a second array that only its home touches. A dead actor's slot is given out
 * again only after a grace period (liburcu, QSBR), names are read under QSBR too. The only file
 * that sees liburcu is registry.c.
 *
 * Threads: a worker is a reader: it calls act_registry_online once, then act_registry_quiescent
 * every turn of its loop, and goes offline around a sleep.
 */
#ifndef ACT_SRC_REGISTRY_H
#define ACT_SRC_REGISTRY_H

#include "cpu.h"

#include <act/actor.h>

#include <stdatomic.h>
#include <stdbool.h>

#define SLOT_BITS 24
#define SLOT_MASK 0xFFFFFFu

/* A word has its generation where an id has it, and 0 for this node above: one shift compares all
 * of that. Where an id has its slot, a word has its home and flags. */
#define WORD_HOME 0xFFull
#define WORD_ALIVE (1ull << 8)
#define WORD_FULL (1ull << 9) /* its mailbox: senders on other workers hold back */

static inline uint32_t id_slot(act_id id)
{
    return (uint32_t)id & SLOT_MASK;
}

static inline uint32_t id_generation(act_id id)
{
    return (uint32_t)(id >> SLOT_BITS) & SLOT_MASK;
}

static inline uint32_t id_node(act_id id)
{
    return (uint32_t)(id >> (2 * SLOT_BITS));
}

static inline act_id id_make(uint32_t generation, uint32_t slot)
{
    return (act_id)generation << SLOT_BITS | slot;
}

static inline uint64_t word_make(uint32_t generation, uint32_t home)
{
    return (uint64_t)generation << SLOT_BITS | WORD_ALIVE | home;
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
    return (uint32_t)(word >> SLOT_BITS);
}

/** Whether the word is of the actor that the id names. */
static inline bool word_is_of(uint64_t word, act_id id)
{
    return (word ^ id) >> SLOT_BITS == 0 && (word & WORD_ALIVE) != 0;
}

/** The same, and it lives at this home, and its mailbox is not marked full. */
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
    ACTOR_IS_DEAD = 32,   /* stopped while in the ready list: its slot is retired when it leaves */
    ACTOR_HAS_POLLS = 64, /* may have; they end with it */
    ACTOR_HAS_BELONGINGS = 128, /* the same */
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
    struct act_message *monitors; /* the requests themselves, to be sent back */
    uint32_t generation;
    uint16_t flags;
    uint16_t reserved;
};

_Static_assert(sizeof(struct act_actor) == CPU_LINE_BYTES, "one cache line an actor");

enum { SLOT_CHUNK = 256 };

/** Slots on their way between an endpoint and the registry. */
struct slot_chunk;

/** An endpoint's own slots: free ones, and dead ones that wait for a grace period. */
struct slot_cache {
    struct slot_chunk *free;
    struct slot_chunk *retired;
};

struct act_registry;

/** Returns NULL when there is no memory. */
struct act_registry *act_registry_create(uint32_t actors_max);
/** After every reader has ended. */
void act_registry_destroy(struct act_registry *registry);

void act_registry_online(void);
void act_registry_offline(void);
void act_registry_quiescent(void);
void act_registry_register_thread(void);
void act_registry_unregister_thread(void);

/** Takes a free slot. Returns 0, -EAGAIN when there is none, -ENOMEM (for the cache). */
int act_registry_take_slot(struct act_registry *registry, struct slot_cache *cache, uint32_t *slot);
/** Gives back a slot whose word was never published. */
void act_registry_untake_slot(struct slot_cache *cache, uint32_t slot);
/** Gives back a dead actor's slot. */
void act_registry_retire_slot(struct act_registry *registry, struct slot_cache *cache,
                              uint32_t slot);
/** Hands an endpoint's slots to the registry. */
void act_registry_drop_cache(struct act_registry *registry, struct slot_cache *cache);

/** Slots that were ever taken: 0 .. count-1. */
uint32_t act_registry_slots_used(const struct act_registry *registry);

/**
 * Binds a name. Returns 0, -EEXIST, -ENOMEM. Threads: a registered one.
 */
int act_registry_bind(struct act_registry *registry, const char *name, act_id id);
void act_registry_unbind(struct act_registry *registry, act_id id);
act_id act_registry_find(struct act_registry *registry, const char *name);

/* The arrays, for the hot path. */
struct act_registry_view {
    atomic_ullong *words;
    struct act_actor *actors;
    uint32_t actors_max;
};

/** Who lives in the id's slot; 0 when there is no such slot. */
static inline uint64_t registry_lookup(const struct act_registry_view *view, act_id id)
{
    if (id_slot(id) >= view->actors_max) return 0;
    return atomic_load_explicit(&view->words[id_slot(id)], memory_order_acquire); /* R2 */
}

struct act_registry_view act_registry_view(const struct act_registry *registry);

#endif
