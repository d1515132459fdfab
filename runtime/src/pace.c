/**
 * See pace.h.
 */
#include "pace.h"

#include "assert.h"

#include <act/clock.h>

#include <stddef.h>

enum {
    TIMED_MESSAGES = 64, /* that have to be quick before an actor is not timed any more */
    LONG_PARTS = 4,      /* longer than this part of a slice between two readings is too long */
    SHORT_PARTS = 8,     /* shorter than this one allows twice as many messages */
    INSTANT_PARTS = 8,   /* nothing but two readings takes less */
    MEASURED_NS_MIN = 1000000,
    MEASURED_NS_MAX = 1000000000,
};

void act_pace_init(struct act_pace *pace, const struct act_registry_view *registry, uint32_t home,
                   uint32_t turn_max, const atomic_ullong *messages)
{
    *pace = (struct act_pace){
        .stride = 1,
        .turns = PACE_TURNS,
        .slice = PACE_SLICE_NS, /* A guess; it is measured soon. */
        .base_ns = act_now_ns(),
        .registry = *registry,
        .messages = messages,
        .home = home,
        .stride_max = turn_max < PACE_STRIDE_MAX ? turn_max : PACE_STRIDE_MAX,
    };
    pace->base = pace->began = pace->read = cpu_counter();
}

/** Finds out what the counter counts in a slice, from what it has counted since the base. */
static void measure(struct act_pace *pace)
{
    const uint64_t counter = cpu_counter();
    const uint64_t now_ns = act_now_ns();
    const uint64_t ns = now_ns - pace->base_ns;
    const uint64_t counted = counter - pace->base;

    if (cpu_counter() - counter > pace->slice / INSTANT_PARTS)
        return; /* interrupted between both */
    /* After a sleep of the machine, or a move to another one, it may say anything. */
    if (ns <= MEASURED_NS_MAX && counted / 100 <= ns && counted * 100 >= ns)
        pace->slice = counted * PACE_SLICE_NS / ns;
    pace->base = counter;
    pace->base_ns = now_ns;
}

uint64_t act_pace_begin(struct act_pace *pace)
{
    const uint64_t now_ns = act_now_ns();

    if (now_ns - pace->base_ns >= MEASURED_NS_MIN) measure(pace);
    ACT_DCHECK(pace->slice > 0);
    pace->began = pace->read = cpu_counter();
    pace->turns = PACE_TURNS;
    return now_ns;
}

/** Relaxed: only this worker stores it. */
static uint64_t messages_of(const struct act_pace *pace)
{
    return atomic_load_explicit(pace->messages, memory_order_relaxed);
}

static void time_it(struct act_actor *actor)
{
    actor->flags |= ACTOR_IS_TIMED;
    actor->timed = TIMED_MESSAGES;
}

/** Has all who ran since the last reading timed, if they live here still. */
static void suspect(struct act_pace *pace)
{
    const uint64_t messages = messages_of(pace);

    ACT_DCHECK(messages - pace->last < PACE_RAN);
    for (uint64_t i = pace->last; i <= messages; i++) {
        struct act_actor *actor = pace->ran[i % PACE_RAN];
        pace->ran[i % PACE_RAN] = NULL;
        if (actor == NULL) continue;
        const ptrdiff_t slot = actor - pace->registry.actors;
        const uint64_t word =
            atomic_load_explicit(&pace->registry.words[slot], memory_order_acquire); /* R2 */
        if ((word & WORD_ALIVE) != 0 && word_home(word) == pace->home) time_it(actor);
    }
}

void act_pace_read(struct act_pace *pace, struct act_actor *actor)
{
    const uint64_t counter = cpu_counter();
    const uint64_t spent = counter - pace->read;
    const bool is_timed = actor != NULL && (actor->flags & ACTOR_IS_TIMED) != 0;

    ACT_DCHECK(pace->stride > 0 && pace->stride <= pace->stride_max);
    if (spent > pace->slice / LONG_PARTS) {
        if (is_timed)
            time_it(actor); /* It is known. */
        else
            suspect(pace);
        pace->stride = 1;
    } else {
        if (spent < pace->slice / SHORT_PARTS && pace->stride < pace->stride_max)
            pace->stride =
                pace->stride * 2 < pace->stride_max ? pace->stride * 2 : pace->stride_max;
        if (is_timed && --actor->timed == 0) actor->flags &= (uint16_t)~ACTOR_IS_TIMED;
    }
    pace->last = messages_of(pace);
    pace->due = pace->last + pace->stride;
    pace->read = counter;
    if (counter - pace->began >= pace->slice) pace->turns = 0;
}

uint32_t act_pace_single(struct act_pace *pace)
{
    /* What it takes is to be told from what those before it have taken. */
    if (messages_of(pace) != pace->last) act_pace_read(pace, NULL);
    pace->due = pace->last + 1;
    return 1;
}
