/**
 * A hierarchical timer wheel (Varghese, Lauck 1987): one per worker, touched by it alone.
 */
#ifndef ACT_SRC_WHEEL_H
#define ACT_SRC_WHEEL_H

#include <act/timer.h>
#include <act/types.h>

#include <stdint.h>

enum {
    WHEEL_TICK_SHIFT = 16, /* a tick is 65.5 us */
    WHEEL_LEVELS = 4,
    WHEEL_BITS = 8, /* 256 buckets a level: 16.8 ms, 4.3 s, 18 min, 78 h */
    WHEEL_BUCKETS = 1 << WHEEL_BITS,
};

/** A timer that fires: a message to its owner. */
struct act_wheel_timer {
    act_id owner;
    uint64_t cookie;
    uint32_t type;
};

struct wheel_node {
    struct act_wheel_timer timer;
    uint64_t due; /* tick */
    uint32_t generation;
    uint32_t next;     /* index + 1 in its bucket or the free list; 0 = end */
    uint32_t previous; /* index + 1; 0 = first */
    uint32_t bucket;   /* level * WHEEL_BUCKETS + place; UINT32_MAX = not running */
};

struct act_wheel {
    struct wheel_node *nodes;
    uint32_t capacity;
    uint32_t free;                                  /* index + 1 */
    uint32_t count;                                 /* running */
    uint64_t now;                                   /* tick up to which timers have fired */
    uint32_t buckets[WHEEL_LEVELS * WHEEL_BUCKETS]; /* first node, index + 1 */
};

void act_wheel_init(struct act_wheel *wheel, uint64_t now_ns);
void act_wheel_deinit(struct act_wheel *wheel);

/** Sets a wheel without timers to now; one with timers has to be asked what expired. */
void act_wheel_skip(struct act_wheel *wheel, uint64_t now_ns);

/** Returns 0 or -ENOMEM. */
int act_wheel_start(struct act_wheel *wheel, uint64_t due_ns, struct act_wheel_timer timer,
                    act_timer *name);
/** Returns whether it was running. */
bool act_wheel_cancel(struct act_wheel *wheel, act_timer name);

/**
 * Takes one timer that is due out of the wheel.
 *
 * Returns: false when none is due at now_ns.
 */
bool act_wheel_expire(struct act_wheel *wheel, uint64_t now_ns, struct act_wheel_timer *timer);

/** How long until the wheel wants to be looked at; UINT64_MAX when no timer runs. */
uint64_t act_wheel_sleep_ns(const struct act_wheel *wheel, uint64_t now_ns);

#endif
