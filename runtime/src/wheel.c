/**
 * See wheel.h.
 */
#include "wheel.h"

#include "assert.h"
#include "memory.h"

#include <errno.h>
#include <string.h>

enum { NODES_MIN = 64 };

/** Where in a level a tick lies. */
static uint32_t place_of(uint64_t tick, uint32_t level)
{
    return (uint32_t)(tick >> (WHEEL_BITS * level)) & (WHEEL_BUCKETS - 1);
}

void act_wheel_init(struct act_wheel *wheel, uint64_t now_ns)
{
    *wheel = (struct act_wheel){.now = now_ns >> WHEEL_TICK_SHIFT};
}

void act_wheel_deinit(struct act_wheel *wheel)
{
    act_memory_give(wheel->nodes, wheel->capacity * sizeof *wheel->nodes);
    wheel->nodes = NULL;
}

static bool grow(struct act_wheel *wheel)
{
    uint32_t capacity = wheel->capacity > 0 ? wheel->capacity * 2 : NODES_MIN;
    struct wheel_node *nodes = act_memory_take(capacity * sizeof *nodes);

    ACT_ASSERT(wheel->free == 0);
    ACT_ASSERT(wheel->count == wheel->capacity); /* all are in use */
    if (nodes == NULL) return false;
    if (wheel->capacity > 0) memcpy(nodes, wheel->nodes, wheel->capacity * sizeof *nodes);
    act_memory_give(wheel->nodes, wheel->capacity * sizeof *nodes);
    for (uint32_t i = capacity; i > wheel->capacity; i--) {
        nodes[i - 1].generation = 1;
        nodes[i - 1].bucket = UINT32_MAX;
        nodes[i - 1].next = wheel->free;
        wheel->free = i;
    }
    wheel->nodes = nodes;
    wheel->capacity = capacity;
    return true;
}

/** The bucket of a due tick, which is after wheel->now, or at it while a level is dealt out. */
static uint32_t bucket_of(const struct act_wheel *wheel, uint64_t due)
{
    ACT_ASSERT(due >= wheel->now);
    const uint64_t distance = due - wheel->now;

    for (uint32_t level = 0; level < WHEEL_LEVELS; level++)
        if (distance < 1ull << (WHEEL_BITS * (level + 1)))
            return level * WHEEL_BUCKETS + place_of(due, level);
    /* Beyond the horizon: as far as it goes; it is dealt out again there. */
    const uint32_t top = WHEEL_LEVELS - 1;
    uint64_t far = wheel->now + (1ull << (WHEEL_BITS * WHEEL_LEVELS)) - 1;
    return top * WHEEL_BUCKETS + place_of(far, top);
}

static void insert(struct act_wheel *wheel, uint32_t index)
{
    struct wheel_node *node = &wheel->nodes[index];

    node->bucket = bucket_of(wheel, node->due);
    node->previous = 0;
    node->next = wheel->buckets[node->bucket];
    if (node->next != 0) wheel->nodes[node->next - 1].previous = index + 1;
    wheel->buckets[node->bucket] = index + 1;
}

static void take_out(struct act_wheel *wheel, uint32_t index)
{
    struct wheel_node *node = &wheel->nodes[index];

    ACT_ASSERT(node->bucket < WHEEL_LEVELS * WHEEL_BUCKETS);
    if (node->previous != 0)
        wheel->nodes[node->previous - 1].next = node->next;
    else
        wheel->buckets[node->bucket] = node->next;
    if (node->next != 0) wheel->nodes[node->next - 1].previous = node->previous;
    node->bucket = UINT32_MAX;
}

static void release(struct act_wheel *wheel, uint32_t index)
{
    struct wheel_node *node = &wheel->nodes[index];

    ACT_ASSERT(wheel->count > 0);
    take_out(wheel, index);
    node->generation++;
    node->next = wheel->free;
    wheel->free = index + 1;
    wheel->count--;
}

void act_wheel_skip(struct act_wheel *wheel, uint64_t now_ns)
{
    const uint64_t now = now_ns >> WHEEL_TICK_SHIFT;

    if (wheel->count == 0 && now > wheel->now) wheel->now = now;
}

int act_wheel_start(struct act_wheel *wheel, uint64_t due_ns, struct act_wheel_timer timer,
                    act_timer *name)
{
    if (wheel->free == 0 && !grow(wheel)) return -ENOMEM;

    uint32_t index = wheel->free - 1;
    struct wheel_node *node = &wheel->nodes[index];
    ACT_ASSERT(index < wheel->capacity);
    ACT_ASSERT(wheel->count < wheel->capacity);
    wheel->free = node->next;
    node->timer = timer;
    /* Rounded up: never early. */
    node->due = (due_ns >> WHEEL_TICK_SHIFT) + 1;
    if (node->due <= wheel->now) node->due = wheel->now + 1;
    insert(wheel, index);
    wheel->count++;
    if (name != NULL) *name = (act_timer)node->generation << 32 | (index + 1);
    return 0;
}

bool act_wheel_cancel(struct act_wheel *wheel, act_timer name)
{
    const uint32_t index = (uint32_t)name - 1;

    if (name == 0 || index >= wheel->capacity) return false;
    const struct wheel_node *node = &wheel->nodes[index];
    if (node->generation != (uint32_t)(name >> 32) || node->bucket == UINT32_MAX) return false;
    release(wheel, index);
    return true;
}

/** Deals the timers of a bucket out to the levels below. */
static void cascade(struct act_wheel *wheel, uint32_t level)
{
    const uint32_t bucket = level * WHEEL_BUCKETS + place_of(wheel->now, level);
    uint32_t at = wheel->buckets[bucket];

    wheel->buckets[bucket] = 0;
    while (at != 0) {
        uint32_t next = wheel->nodes[at - 1].next;
        insert(wheel, at - 1);
        at = next;
    }
}

static void advance(struct act_wheel *wheel)
{
    wheel->now++;
    for (uint32_t level = 1; level < WHEEL_LEVELS; level++) {
        if ((wheel->now & ((1ull << (WHEEL_BITS * level)) - 1)) != 0) return;
        cascade(wheel, level);
    }
}

bool act_wheel_expire(struct act_wheel *wheel, uint64_t now_ns, struct act_wheel_timer *timer)
{
    const uint64_t target = now_ns >> WHEEL_TICK_SHIFT;

    if (wheel->count == 0) {
        act_wheel_skip(wheel, now_ns);
        return false;
    }
    for (;;) {
        uint32_t first = wheel->buckets[place_of(wheel->now, 0)];
        if (first != 0) {
            ACT_DCHECK(wheel->nodes[first - 1].due <= wheel->now);
            *timer = wheel->nodes[first - 1].timer;
            release(wheel, first - 1);
            return true;
        }
        if (wheel->now >= target) return false;
        advance(wheel);
    }
}

uint64_t act_wheel_sleep_ns(const struct act_wheel *wheel, uint64_t now_ns)
{
    if (wheel->count == 0) return UINT64_MAX;
    /* The next timer of the lowest level, or the next deal-out: whichever comes first. */
    uint64_t tick = wheel->now;
    do {
        tick++;
    } while (wheel->buckets[place_of(tick, 0)] == 0 && place_of(tick, 0) != 0);
    uint64_t due_ns = tick << WHEEL_TICK_SHIFT;
    return due_ns > now_ns ? due_ns - now_ns : 0;
}
