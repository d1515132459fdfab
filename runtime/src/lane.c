/**
 * See lane.h.
 *
 * Ordering
 *   L1 publish: a release fence, then ck_ring's store of p_tail
 *      ->  L2 take: load of p_tail, then an acquire fence
 *      carries the batch and every message in it.
 *   L3 take: a release fence, then the store of c_head  ->  L4 publish: load of c_head, then an
 *      acquire fence
 *      the consumer is done with every batch before the one it takes, and with the slot, so the
 *      producer may fill those again.
 *
 * The fences are ours (cpu.h). ck_ring 0.7.1 orders with fences for stores alone what its dequeue
 * has loaded before its store of c_head, which is enough on x86 only; so the dequeue is written out
 * here, on its struct.
 */
#include "lane.h"

#include "assert.h"
#include "cpu.h"
#include "item.h"
#include "memory.h"
#include "tsan.h"

#include <ck_ring.h>
#include <stdalign.h>

/* Slots are many, because a single item takes one too; batches few, because their memory, used in
 * turn, should stay in the caches. */
enum { RING_SLOTS = 1024, BATCHES = 96 };

struct batch {
    uint64_t count;
    uint64_t free_at; /* the producer's: slots taken when the consumer is done with it */
    uintptr_t items[LANE_BATCH_ITEMS];
};

_Static_assert(sizeof(struct batch) % CPU_LINE_BYTES == 0, "whole cache lines");
_Static_assert((RING_SLOTS & (RING_SLOTS - 1)) == 0, "ck_ring counts on without a modulo");

struct act_lane {
    struct ck_ring ring; /* each end's counter on a line of its own */
    struct ck_ring_buffer slots[RING_SLOTS];
    /* The producer's. */
    alignas(CPU_LINE_BYTES) struct batch *open;
    uint64_t published; /* slots; the counters of the ring wrap, within minutes if busy */
    uint32_t open_index;
    /* The consumer's. */
    alignas(CPU_LINE_BYTES) struct batch *taken; /* NULL: none, or a single item */
    uintptr_t single;
    alignas(CPU_LINE_BYTES) struct batch batches[BATCHES];
};

/** A slot holds a batch when this bit is set, and else the only item of its batch. */
#define BATCH_BIT ((uintptr_t)1)

struct act_lane *act_lane_create(void)
{
    struct act_lane *lane = act_memory_take(sizeof *lane);
    if (lane == NULL) return NULL;
    ck_ring_init(&lane->ring, RING_SLOTS);
    lane->open = &lane->batches[0];
    return lane;
}

void act_lane_destroy(struct act_lane *lane)
{
    act_memory_give(lane, sizeof *lane);
}

/** Whether the consumer is done with a batch: it has taken a later slot than the batch's. */
static bool is_free(struct act_lane *lane, const struct batch *batch)
{
    const uint32_t waiting = lane->ring.p_tail - ck_pr_load_uint(&lane->ring.c_head); /* L4 */
    cpu_fence_acquire();                                                              /* L4 */
    ACT_DCHECK(waiting < RING_SLOTS);
    ACT_DCHECK(batch->free_at <= lane->published + 1);
    return lane->published - waiting >= batch->free_at;
}

bool act_lane_is_clean(const struct act_lane *lane)
{
    return lane->open->count == 0;
}

bool act_lane_publish(struct act_lane *lane)
{
    struct batch *open = lane->open;
    const uint32_t next_index = lane->open_index + 1 < BATCHES ? lane->open_index + 1 : 0;
    struct batch *next = &lane->batches[next_index];
    uintptr_t slot;
    bool is_taken;

    ACT_DCHECK(open->count <= LANE_BATCH_ITEMS);
    ACT_DCHECK(next != open);
    if (open->count == 0) return true;
    if (open->count > 1 && !is_free(lane, next)) return false;
    for (uint64_t i = 0; i < open->count; i++)
        TSAN_RELEASE(item_message(open->items[i]));
    /* A single item travels in the slot itself: its receiver is spared the batch's cache line. */
    slot = open->count == 1 ? open->items[0] : (uintptr_t)open | BATCH_BIT;
    TSAN_RELEASE(open);
    TSAN_IGNORE_BEGIN();
    cpu_fence_release();                                                     /* L1 */
    is_taken = ck_ring_enqueue_spsc(&lane->ring, lane->slots, (void *)slot); /* L1, L4 */
    TSAN_IGNORE_END();
    if (!is_taken) return false;

    lane->published++;
    if (open->count > 1) {
        open->free_at = lane->published + 1;
        lane->open_index = next_index;
        lane->open = next;
        TSAN_ACQUIRE(next); /* L3 */
    }
    lane->open->count = 0;
    return true;
}

bool act_lane_try_append(struct act_lane *lane, uintptr_t item)
{
    struct batch *open = lane->open;

    ACT_DCHECK(item != 0 && (item & BATCH_BIT) == 0);
    if (open->count == LANE_BATCH_ITEMS) return false;
    open->items[open->count++] = item;
    return true;
}

bool act_lane_append(struct act_lane *lane, uintptr_t item)
{
    if (lane->open->count == LANE_BATCH_ITEMS && !act_lane_publish(lane)) return false;
    return act_lane_try_append(lane, item);
}

bool act_lane_has_slot(const struct act_lane *lane)
{
    bool has_slot;

    TSAN_IGNORE_BEGIN();
    has_slot = ck_ring_size(&lane->ring) < RING_SLOTS - 1;
    TSAN_IGNORE_END();
    return has_slot;
}

bool act_lane_has_room(struct act_lane *lane)
{
    if (lane->open->count < LANE_BATCH_ITEMS) return true;
    return act_lane_has_slot(lane) &&
           is_free(lane, &lane->batches[(lane->open_index + 1) % BATCHES]);
}

/** ck_ring_dequeue_spsc with fences that other processors than x86 need. Returns 0 for none. */
static uintptr_t take_slot(struct act_lane *lane)
{
    const uint32_t head = lane->ring.c_head;
    uintptr_t slot;

    if (ck_pr_load_uint(&lane->ring.p_tail) == head) return 0; /* L2 */
    cpu_fence_acquire();                                       /* L2 */
    slot = (uintptr_t)lane->slots[head % RING_SLOTS].value;
    ACT_DCHECK(slot != 0);
    cpu_fence_release();                            /* L3 */
    ck_pr_store_uint(&lane->ring.c_head, head + 1); /* L3 */
    return slot;
}

struct act_lane_items act_lane_take(struct act_lane *lane)
{
    uintptr_t slot;

    if (lane->taken != NULL) {
        TSAN_RELEASE(lane->taken); /* L3 */
        lane->taken = NULL;
    }
    TSAN_IGNORE_BEGIN();
    slot = take_slot(lane);
    TSAN_IGNORE_END();
    if (slot == 0) return (struct act_lane_items){0};

    if ((slot & BATCH_BIT) == 0) {
        lane->single = slot;
        TSAN_ACQUIRE(item_message(lane->single));
        return (struct act_lane_items){.list = &lane->single, .count = 1};
    }
    lane->taken = (struct batch *)(slot & ~BATCH_BIT);
    TSAN_ACQUIRE(lane->taken);
    for (uint64_t i = 0; i < lane->taken->count; i++)
        TSAN_ACQUIRE(item_message(lane->taken->items[i]));
    ACT_DCHECK(lane->taken >= lane->batches && lane->taken < lane->batches + BATCHES);
    ACT_DCHECK(lane->taken->count > 1 && lane->taken->count <= LANE_BATCH_ITEMS);
    return (struct act_lane_items){.list = lane->taken->items,
                                   .count = (uint32_t)lane->taken->count};
}

bool act_lane_is_empty(const struct act_lane *lane)
{
    bool is_empty;

    TSAN_IGNORE_BEGIN();
    is_empty = ck_ring_size(&lane->ring) == 0;
    TSAN_IGNORE_END();
    return is_empty;
}

struct act_lane_items act_lane_unpublished(struct act_lane *lane)
{
    uint32_t count = (uint32_t)lane->open->count;

    ACT_ASSERT(count <= LANE_BATCH_ITEMS);
    lane->open->count = 0;
    return (struct act_lane_items){.list = lane->open->items, .count = count};
}
