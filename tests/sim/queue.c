/**
 * A binary heap. See queue.h.
 */
#include "queue.h"

#include "assert.h"

#include <stdlib.h>

static bool is_before(const struct event *a, const struct event *b)
{
    return a->time != b->time ? a->time < b->time : a->order < b->order;
}

void queue_push(struct queue *queue, struct event event)
{
    if (queue->count == queue->capacity) {
        queue->capacity = queue->capacity == 0 ? 1024 : queue->capacity * 2;
        queue->heap = realloc(queue->heap, queue->capacity * sizeof *queue->heap);
        VSR_ASSERT(queue->heap != NULL);
    }
    event.order = queue->order++;
    size_t at = queue->count++;
    while (at > 0 && is_before(&event, &queue->heap[(at - 1) / 2])) {
        queue->heap[at] = queue->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    queue->heap[at] = event;
}

struct event queue_pop(struct queue *queue)
{
    VSR_ASSERT(queue->count > 0);
    const struct event first = queue->heap[0];
    const struct event last = queue->heap[--queue->count];
    size_t at = 0;

    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= queue->count) break;
        if (child + 1 < queue->count && is_before(&queue->heap[child + 1], &queue->heap[child]))
            child++;
        if (!is_before(&queue->heap[child], &last)) break;
        queue->heap[at] = queue->heap[child];
        at = child;
    }
    if (queue->count > 0) queue->heap[at] = last;
    return first;
}

void queue_deinit(struct queue *queue)
{
    free(queue->heap);
    *queue = (struct queue){0};
}
