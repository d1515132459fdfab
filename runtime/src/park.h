/**
 * Sleeping until somebody publishes.
 *
 * Ordering (a full fence on both sides; the lost wake-up it prevents is described in park.c)
 *   K1 publish, fence, load parked   <->   K2 store parked, fence, look at the lanes
 *   K3 store parked, wanted, fence, look for room   <->   K4 make room, take wanted down, load
 *      parked (endpoint.h)
 *
 * A worker that parks pays for both fences: its membarrier makes every running thread of the
 * process pass one, so a publisher, who comes here a million times as often, needs none. Without
 * that system call, and at a port, which may look for messages without ever sleeping, both sides
 * have a fence of their own. A filter may refuse it after the start: from then on, too.
 */
#ifndef ACT_SRC_PARK_H
#define ACT_SRC_PARK_H

#include "cpu.h"
#include "tsan.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/** How to sleep for some time. Where the kernel, or a filter on it, refuses one, the next is taken.
 */
enum park_way {
    PARK_BY_EPOLL_PWAIT2, /* Linux 5.11 */
    PARK_BY_PPOLL,
    PARK_BY_EPOLL_WAIT, /* rounds up to 1 ms */
};

struct act_park {
    atomic_uint is_parked;
    atomic_bool is_fence_for_all; /* K2 is a membarrier, which includes K1's fence; until refused */
    enum park_way way;            /* the sleeper's */
    int event_fd;
    int epoll_fd;
};

/**
 * The full fence of K1 and K2. ThreadSanitizer knows no fences, so there it is an access; relaxed,
 * because on x86 the instruction is a fence as it is, and an edge that no other build has would
 * hide races.
 */
static inline void park_fence(struct act_park *park)
{
#ifdef ACT_TSAN
    atomic_fetch_add_explicit(&park->is_parked, 0, memory_order_relaxed);
#else
    (void)park;
    cpu_fence_full();
#endif
}

/**
 * Shape:   is_worker: the sleeper's K2 may be dear.
 * Returns: 0 or a negative errno; then nothing is open.
 */
int act_park_init(struct act_park *park, bool is_worker);
void act_park_deinit(struct act_park *park);

/** K2. Threads: the sleeper. After this it looks at its lanes, then waits or cancels. */
void act_park_announce(struct act_park *park);
void act_park_cancel(struct act_park *park);
/**
 * Sleeps, not shorter than timeout_ns but for a signal, and longer by what the kernel's timer and
 * the waking take. Shape: UINT64_MAX = without end.
 */
void act_park_wait(struct act_park *park, uint64_t timeout_ns);

/** Has a readable descriptor end the sleep too. Threads: the sleeper. Returns 0 or a negative
 * errno. */
int act_park_watch(struct act_park *park, int fd);

/** Whether K2 is a fence for all other threads of the process too. Threads: the sleeper. */
static inline bool act_park_lends_fence(const struct act_park *park)
{
    return atomic_load_explicit(&park->is_fence_for_all, memory_order_relaxed);
}

/** Wakes the sleeper. Threads: any. Returns whether it slept. */
bool act_park_wake(struct act_park *park);

/** K1. Threads: any, after it has published something for the sleeper. */
static inline bool act_park_poke(struct act_park *park)
{
    /* What we published must be visible before we read the flag. Else a consumer that parks in
     * between sees empty lanes while we see it awake. Where the consumer's K2 sees to that, only
     * the compiler has to keep the order. */
    if (atomic_load_explicit(&park->is_fence_for_all, memory_order_relaxed))
        atomic_signal_fence(memory_order_seq_cst);
    else
        park_fence(park);
    if (atomic_load_explicit(&park->is_parked, memory_order_relaxed) == 0) return false; /* K1 */
    return act_park_wake(park);
}

#endif
