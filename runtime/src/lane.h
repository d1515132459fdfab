/**
 * A lane: one direction between two threads. A ck_ring (SPSC) whose slots carry batches.
 *
 * One thread produces, one consumes; both are wait-free. An item is a pointer, or any word whose
 * lowest bit is 0; 0 is none. Items appended are not visible before they are published.
 *
 * Lanes know nothing of actors: two bare threads can use one (bench/lane.c does).
 */
#ifndef ACT_SRC_LANE_H
#define ACT_SRC_LANE_H

#include <stdbool.h>
#include <stdint.h>

enum { LANE_BATCH_ITEMS = 62 };

struct act_lane;

/** Items as the consumer gets them: good until its next lane_take of this lane. */
struct act_lane_items {
    const uintptr_t *list;
    uint32_t count;
};

/** Ownership: gives the caller a lane. Returns NULL when there is no memory. */
struct act_lane *act_lane_create(void);
/** Ownership: takes lane (NULL is fine), not the items in it. */
void act_lane_destroy(struct act_lane *lane);

/**
 * Appends an item to the open batch; publishes it when it is full.
 *
 * Threads: the producer. Returns false when batch and ring are full: the item was not taken.
 */
bool act_lane_append(struct act_lane *lane, uintptr_t item);
/** Appends an item if the open batch has room, which needs no look at the ring. Threads: the
 * producer. */
bool act_lane_try_append(struct act_lane *lane, uintptr_t item);
/** Publishes the open batch. Threads: the producer. Returns false when the ring is full. */
bool act_lane_publish(struct act_lane *lane);
/** Whether nothing waits to be published. Threads: the producer. */
bool act_lane_is_clean(const struct act_lane *lane);
/** Whether act_lane_append would take an item. Threads: the producer. */
bool act_lane_has_room(struct act_lane *lane);
/** Whether act_lane_publish would find a slot for a single item. Threads: the producer. */
bool act_lane_has_slot(const struct act_lane *lane);

/** The next batch; its count is 0 when there is none. Threads: the consumer. */
struct act_lane_items act_lane_take(struct act_lane *lane);
/** Whether nothing is published. Threads: the consumer. */
bool act_lane_is_empty(const struct act_lane *lane);

/** What waits in the open batch, for a thread that owns both ends after the producer has ended. */
struct act_lane_items act_lane_unpublished(struct act_lane *lane);

#endif
