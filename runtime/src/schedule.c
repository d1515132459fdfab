/**
 * See schedule.h.
 */
#include "schedule.h"

#include <errno.h>

/** Four children of 24 bytes lie in two cache lines: half the depth of two children. */
enum { CHILDREN = 4 };

struct entry {
    uint64_t due_ns;
    uint64_t sequence;
    uint32_t timer;
};

static struct entry *entry_at(const struct act_schedule *s, uint32_t place)
{
    return table_at(&s->entries, place);
}

static bool is_before(const struct entry *a, const struct entry *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->sequence < b->sequence;
}

static void put(struct act_schedule *s, uint32_t place, const struct entry *entry)
{
    *entry_at(s, place) = *entry;
    belonging_at(s->timers, entry->timer)->place = place;
}

/** Brings an entry to its place from below. */
static void rise(struct act_schedule *s, uint32_t place, struct entry entry)
{
    while (place > 0) {
        const uint32_t parent = (place - 1) / CHILDREN;
        if (!is_before(&entry, entry_at(s, parent))) break;
        put(s, place, entry_at(s, parent));
        place = parent;
    }
    put(s, place, &entry);
}

/** Brings an entry to its place from above. */
static void sink(struct act_schedule *s, uint32_t place, struct entry entry)
{
    for (;;) {
        const uint64_t first = (uint64_t)place * CHILDREN + 1;
        if (first >= s->count) break;
        uint32_t least = (uint32_t)first;
        for (uint32_t child = least + 1; child < s->count && child < first + CHILDREN; child++)
            if (is_before(entry_at(s, child), entry_at(s, least))) least = child;
        if (!is_before(entry_at(s, least), &entry)) break;
        put(s, place, entry_at(s, least));
        place = least;
    }
    put(s, place, &entry);
}

static void settle(struct act_schedule *s, uint32_t place, struct entry entry)
{
    if (place > 0 && is_before(&entry, entry_at(s, (place - 1) / CHILDREN)))
        rise(s, place, entry);
    else
        sink(s, place, entry);
}

static void note_next(struct act_schedule *s)
{
    s->next_ns = s->count > 0 ? entry_at(s, 0)->due_ns : SCHEDULE_NEVER;
}

void act_schedule_init(struct act_schedule *s, struct act_belongings *timers)
{
    *s = (struct act_schedule){.timers = timers, .next_ns = SCHEDULE_NEVER};
    act_table_init(&s->entries, sizeof(struct entry));
}

void act_schedule_deinit(struct act_schedule *s)
{
    act_table_deinit(&s->entries);
    s->count = 0;
    s->next_ns = SCHEDULE_NEVER;
}

int act_schedule_add(struct act_schedule *s, uint32_t timer, uint64_t due_ns)
{
    ACT_ASSERT(due_ns < SCHEDULE_NEVER);
    if (s->count == s->entries.capacity && !act_table_grow(&s->entries)) return -ENOMEM;
    s->count++;
    rise(s, s->count - 1,
         (struct entry){.due_ns = due_ns, .sequence = s->sequence++, .timer = timer});
    note_next(s);
    return 0;
}

/** Where a timer is. */
static uint32_t place_of(const struct act_schedule *s, uint32_t timer)
{
    const uint32_t place = belonging_at(s->timers, timer)->place;

    ACT_ASSERT(place < s->count);
    ACT_ASSERT(entry_at(s, place)->timer == timer);
    return place;
}

void act_schedule_remove(struct act_schedule *s, uint32_t timer)
{
    const uint32_t place = place_of(s, timer);
    const struct entry last = *entry_at(s, s->count - 1);

    s->count--;
    belonging_at(s->timers, timer)->place = SCHEDULE_NOWHERE;
    if (place < s->count) settle(s, place, last);
    note_next(s);
}

void act_schedule_move(struct act_schedule *s, uint32_t timer, uint64_t due_ns)
{
    ACT_ASSERT(due_ns < SCHEDULE_NEVER);
    settle(s, place_of(s, timer),
           (struct entry){.due_ns = due_ns, .sequence = s->sequence++, .timer = timer});
    note_next(s);
}

uint32_t act_schedule_first(const struct act_schedule *s)
{
    ACT_ASSERT(s->count > 0);
    return entry_at(s, 0)->timer;
}
