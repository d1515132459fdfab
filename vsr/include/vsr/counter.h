/**
 * A state machine for measurements: an array of counters.
 *
 * An operation adds to one counter; its result is the counter's new value (8 bytes). Bytes that are
 * no valid operation change nothing and get an empty result.
 */
#ifndef VSR_COUNTER_H
#define VSR_COUNTER_H

#include <vsr/state_machine.h>

VSR_DECLARATIONS_BEGIN

/** Operation. May be longer: the rest is not looked at. */
struct vsr_counter_add {
    uint64_t index; /* below the number of counters */
    uint64_t amount;
};

/**
 * Makes an array of `count` counters, all 0.
 *
 * Ownership: gives the caller *machine, to be ended by machine->destroy(machine->state).
 * Shape:     count 1..2^32-1.
 * Returns:   0, -EINVAL for a count of 0, -ENOMEM.
 */
int vsr_counter_create(uint32_t count, struct vsr_state_machine *machine) VSR_MUST_CHECK;

VSR_DECLARATIONS_END

#endif
