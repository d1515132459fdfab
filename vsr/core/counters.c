/**
 * Going through the counters. The struct is a field of 64 bits for each and nothing between them.
 */
#include <vsr/counters.h>

#include <stddef.h>
#include <string.h>

static const struct {
    const char *name;
    const char *help;
    size_t offset;
} counters[VSR_COUNTER_COUNT] = {
#define X(name, help) {#name, help, offsetof(struct vsr_counters, name)},
    VSR_COUNTERS(X)
#undef X
};

const char *vsr_counters_name(uint32_t counter)
{
    return counter < VSR_COUNTER_COUNT ? counters[counter].name : "?";
}

const char *vsr_counters_help(uint32_t counter)
{
    return counter < VSR_COUNTER_COUNT ? counters[counter].help : "?";
}

uint64_t vsr_counters_value(const struct vsr_counters *of, uint32_t counter)
{
    uint64_t value = 0;

    if (counter < VSR_COUNTER_COUNT)
        memcpy(&value, (const char *)of + counters[counter].offset, sizeof value);
    return value;
}

void vsr_counters_add(struct vsr_counters *to, const struct vsr_counters *from)
{
#define X(name, help) to->name += from->name;
    VSR_COUNTERS(X)
#undef X
}
