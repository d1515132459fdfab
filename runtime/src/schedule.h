/**
 * The due times of a worker's timers: what is due next, in order of time, then of start.
 *
 * A heap whose nodes have four children (Johnson 1975). Every timer fires at its own time: there is
 * no tick to round to, nothing to deal out again while nothing is due, and a clock that has moved
 * on by a day costs what one that has moved by a microsecond does. Touched by one thread.
 */
#ifndef ACT_SRC_SCHEDULE_H
#define ACT_SRC_SCHEDULE_H

#include "belongings.h"

#define SCHEDULE_NEVER UINT64_MAX
#define SCHEDULE_NOWHERE UINT32_MAX

struct act_schedule {
    struct act_belongings *timers; /* whose places it keeps */
    struct act_table entries;
    uint32_t count;
    uint64_t sequence; /* of the next start */
    uint64_t next_ns;  /* due next; SCHEDULE_NEVER = none */
};

/** Ownership: borrows timers until deinit. */
void act_schedule_init(struct act_schedule *s, struct act_belongings *timers);
void act_schedule_deinit(struct act_schedule *s);

/** Adds a timer. Returns 0 or -ENOMEM. Logarithmic in how many there are, at worst. */
int act_schedule_add(struct act_schedule *s, uint32_t timer, uint64_t due_ns);
/** Takes a timer out that has been added. */
void act_schedule_remove(struct act_schedule *s, uint32_t timer);
/** Gives a timer that is there another time; among equals it is the last. */
void act_schedule_move(struct act_schedule *s, uint32_t timer, uint64_t due_ns);
/** The timer that is due next, of a schedule that is not empty. */
uint32_t act_schedule_first(const struct act_schedule *s);

#endif
