/**
 * The replica's clock: the host's, but for what the host's should not do.
 */
#ifndef VSR_CORE_CLOCK_H
#define VSR_CORE_CLOCK_H

#include <stdint.h>

/** Zeroed = not read yet. */
struct vsr_clock {
    uint64_t now_ns;  /* never runs backwards */
    uint64_t host_ns; /* the host's, as last believed */
    uint64_t odd_ns;  /* the host's, as last seen and not believed */
    uint32_t odd;     /* readings in a row that were not believed */
};

/**
 * Reads the host's clock, once a tick.
 *
 * A step is believed when it is seen for the third time; one reading that is out is forgotten. Time
 * that is ahead of the host's goes on at half of its rate until that has come up with it.
 */
void vsr_clock_read(struct vsr_clock *clock, uint64_t host_ns);

/** The time to put into an entry that follows one of `head_ns`: no smaller. */
uint64_t vsr_clock_stamp(struct vsr_clock *clock, uint64_t head_ns);

#endif
