/**
 * The replica's clock. See clock.h.
 *
 * Timestamps are part of the log: one that is a day ahead would hold all later ones there for a
 * day, at this primary and at those that follow it.
 */
#include "clock.h"

#include "assert.h"

#include <stdbool.h>

/** More than any tick takes, and less than anybody's lease. */
#define STEP_NS 1000000000ull

/** Readings that make a step believed. */
enum { STEP_READINGS = 3 };

/** Whether a reading follows another one as clocks do that nobody has set. */
static bool follows(uint64_t ns, uint64_t before_ns)
{
    return ns >= before_ns && ns - before_ns <= STEP_NS;
}

void vsr_clock_read(struct vsr_clock *clock, uint64_t host_ns)
{
    const uint64_t before = clock->now_ns;
    VSR_ASSERT(clock->odd < STEP_READINGS);
    bool is_first = clock->host_ns == 0;
    bool is_step = !is_first && !follows(host_ns, clock->host_ns);

    if (is_step) {
        /* Ticks that are far apart are steps each: then it is enough that time goes on. */
        bool is_as_before = clock->odd > 0 && host_ns >= clock->odd_ns;
        clock->odd = is_as_before ? clock->odd + 1 : 1;
        clock->odd_ns = host_ns;
        if (clock->odd < STEP_READINGS) return;
    }
    const uint64_t passed = is_step || is_first ? 0 : host_ns - clock->host_ns;
    clock->odd = 0;
    clock->host_ns = host_ns;
    clock->now_ns = host_ns > clock->now_ns + passed / 2 ? host_ns : clock->now_ns + passed / 2;
    VSR_ASSERT(clock->now_ns >= before);
}

uint64_t vsr_clock_stamp(struct vsr_clock *clock, uint64_t head_ns)
{
    if (clock->now_ns < head_ns) clock->now_ns = head_ns;
    VSR_ASSERT(clock->now_ns >= head_ns);
    return clock->now_ns;
}
