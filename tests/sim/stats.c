/**
 * See stats.h.
 */
#include "stats.h"

#include <inttypes.h>

#define X(name, text) [COUNT_##name] = text,
static const char *const count_texts[COUNT_COUNT] = {SIM_COUNTS(X)};
#undef X

static bool is_maximum(enum sim_count count)
{
    return count == COUNT_END_TICKS_MAX || count == COUNT_END_VIEWS_MAX ||
           count == COUNT_EFFECTS_MAX || count == COUNT_EFFECTS_PERCENT_MAX ||
           count == COUNT_REST_PERCENT_MAX;
}

static void add_all(uint64_t *to, const uint64_t *from, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        to[i] += from[i];
}

void stats_add(struct stats *to, const struct stats *from)
{
    for (uint32_t i = 0; i < COUNT_COUNT; i++) {
        if (is_maximum((enum sim_count)i))
            stats_max(to, (enum sim_count)i, from->counts[i]);
        else
            to->counts[i] += from->counts[i];
    }
    vsr_counters_add(&to->replicas, &from->replicas);
    add_all(to->sent, from->sent, VSR_MESSAGE_COUNT);
    add_all(to->delivered, from->delivered, VSR_MESSAGE_COUNT);
    add_all(to->drops, from->drops, VSR_DROP_COUNT);
    add_all(to->notices, from->notices, VSR_NOTICE_COUNT);
    add_all(to->faults, from->faults, FAULT_COUNT);
}

static void print_row(FILE *file, uint64_t value, const char *text)
{
    fprintf(file, "%14" PRIu64 "  %s%s\n", value, text, value == 0 ? "   <- never" : "");
}

void stats_print(const struct stats *stats, FILE *file)
{
    fprintf(file, "What happened:\n");
    for (uint32_t i = 0; i < COUNT_COUNT; i++)
        print_row(file, stats->counts[i], count_texts[i]);
    fprintf(file, "What replicas counted:\n");
    for (uint32_t i = 0; i < VSR_COUNTER_COUNT; i++)
        print_row(file, vsr_counters_value(&stats->replicas, i), vsr_counters_help(i));
    fprintf(file, "Faults:\n");
    for (uint32_t i = 0; i < FAULT_COUNT; i++)
        print_row(file, stats->faults[i], sim_fault_text((enum fault)i));
    fprintf(file, "Notices:\n");
    for (uint32_t i = 0; i < VSR_NOTICE_COUNT; i++)
        print_row(file, stats->notices[i], vsr_notice_text((enum vsr_notice)i));
    fprintf(file, "Why messages changed nothing:\n");
    for (uint32_t i = VSR_DROP_NONE + 1; i < VSR_DROP_COUNT; i++)
        print_row(file, stats->drops[i], vsr_drop_text((enum vsr_drop)i));
    fprintf(file, "Messages sent, delivered:\n");
    for (uint32_t i = 1; i < VSR_MESSAGE_COUNT; i++)
        fprintf(file, "%14" PRIu64 " %14" PRIu64 "  %s%s\n", stats->sent[i], stats->delivered[i],
                vsr_message_name((uint8_t)i), stats->delivered[i] == 0 ? "   <- never" : "");
}
