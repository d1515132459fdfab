/**
 * What VSR_LOG shows: one line on stderr for an event, a notice or a message.
 */
#include "trace.h"

#include "../core/assert.h"

#include <act/timer.h>
#include <vsr/trace.h>

#include <stdio.h>

static void print(uint32_t replica, const char *text)
{
    const uint64_t us = act_now_ns() / 1000;

    fprintf(stderr, "vsr: %llu.%06llu replica %u %s\n", (unsigned long long)(us / 1000000),
            (unsigned long long)(us % 1000000), replica, text);
}

void vsr_node_trace_message(uint32_t replica, const char *direction, const struct vsr_header *m)
{
    char line[512];
    int used;

    if (vsr_trace_level_of(m->type) > vsr_trace_wanted()) return;
    used = snprintf(line, sizeof line, "%s ", direction);
    VSR_ASSERT(used > 0);
    VSR_ASSERT(used < (int)sizeof line);
    vsr_trace_message(line + used, sizeof line - (size_t)used, m);
    print(replica, line);
}

void vsr_node_trace_notice(uint32_t replica, enum vsr_notice notice, uint32_t about, vsr_op op)
{
    char line[512];

    const int used = snprintf(line, sizeof line, "%s (replica %u, op %llu)",
                              vsr_notice_text(notice), about, (unsigned long long)op);
    VSR_ASSERT(used > 0);
    VSR_ASSERT(used < (int)sizeof line);
    print(replica, line);
}

void vsr_node_trace_event(uint32_t replica, const char *what)
{
    print(replica, what);
}
