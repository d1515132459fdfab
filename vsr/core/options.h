/**
 * Checking options against their ranges.
 */
#ifndef VSR_CORE_OPTIONS_H
#define VSR_CORE_OPTIONS_H

#include <vsr/types.h>

struct vsr_option_range {
    const char *name;
    uint64_t value;
    uint64_t min;
    uint64_t max;
    bool is_power_of_two;
    const char *rule; /* what the range does not say; may be NULL */
};

/** Writes why->text from its other fields: the option, its value, what is accepted, the rule. */
void vsr_error_explain(struct vsr_error *why);

/** Returns 0, or -EINVAL and the first option that does not fit in *why (why may be NULL). */
int vsr_options_check(const struct vsr_option_range *ranges, size_t count, struct vsr_error *why);

#endif
