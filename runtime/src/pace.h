/**
 * How long a worker goes on without a look outside: a slice of time, however long handlers take.
 *
 * To read the clock for each message would cost a local one a third of its time. So it is read once
 * in some messages: in so many that they have taken a small part of a slice so far. Where that was
 * wrong, those who ran since the last reading are timed message by message from then on, until
 * enough of theirs were quick: who was slow is among them. What is read is the processor's counter;
 * what it counts in a slice is measured with the clock.
 *
 * Threads: the worker.
 */
#ifndef ACT_SRC_PACE_H
#define ACT_SRC_PACE_H

#include "cpu.h"
#include "registry.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PACE_SLICE_NS = 50000,
    PACE_TURNS = 16,
    /* So many messages may pass at most before a change for the worse is noticed. A reading takes
     * as long as a message or two of the quickest actors: 128 make that a hundredth. */
    PACE_STRIDE_MAX = 128,
    /* A turn that begins with one message less than that may bring as many again. */
    PACE_RAN = 2 * PACE_STRIDE_MAX,
};

struct act_pace {
    uint32_t stride; /* messages that an actor may have before the counter is read */
    uint32_t turns;  /* before the lanes are looked at again; 0 once the slice is over */
    uint64_t due;    /* at so many messages of all actors the counter is read */
    uint64_t last;   /* so many they had at the last reading */
    uint64_t read;   /* the counter then */
    uint64_t began;  /* the counter when the slice began */
    uint64_t slice;  /* counted in one */
    uint64_t base;   /* the counter, and the time, from which it is measured */
    uint64_t base_ns;
    const atomic_ullong *messages; /* of all actors, ever */
    struct act_registry_view registry;
    uint32_t home;
    uint32_t stride_max;
    struct act_actor *ran[PACE_RAN]; /* by the messages of all, after its turn; some are of old */
};

/** Shape: home is the worker's index. */
void act_pace_init(struct act_pace *pace, const struct act_registry_view *registry, uint32_t home,
                   uint32_t turn_max, const atomic_ullong *messages);
/** Begins a slice. Returns the time. */
uint64_t act_pace_begin(struct act_pace *pace);
/** Reads the counter after messages of an actor (NULL: of none). */
void act_pace_read(struct act_pace *pace, struct act_actor *actor);

/** Whether it is time to look outside. */
static inline bool pace_is_over(const struct act_pace *pace)
{
    return pace->turns == 0;
}

/** Prepares to time one message. Returns 1. */
uint32_t act_pace_single(struct act_pace *pace);

/** How many messages the actor may have before the counter is read: 1..turn_max. */
static inline uint32_t pace_messages(struct act_pace *pace, const struct act_actor *actor)
{
    return (actor->flags & ACTOR_IS_TIMED) == 0 ? pace->stride : act_pace_single(pace);
}

/**
 * Notes that an actor has had some messages, which make it so many of all.
 *
 * Returns: whether the counter is to be read; true when it had as many as it may have.
 */
static inline bool pace_is_due(struct act_pace *pace, struct act_actor *actor, uint64_t messages)
{
    pace->ran[messages % PACE_RAN] = actor;
    return __builtin_expect(messages >= pace->due, 0);
}

#endif
