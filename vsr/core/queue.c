/**
 * Requests that wait at the primary: the open batch, and the messages behind it.
 */
#include "queue.h"

#include "state.h"

bool vsr_queue_push(struct vsr_queue *queue, struct vsr_buffer m, uint32_t offset)
{
    VSR_ASSERT(m.header != NULL);
    VSR_ASSERT(offset >= sizeof *m.header && offset <= m.header->bytes);
    VSR_ASSERT(queue->head <= queue->mask);
    VSR_ASSERT(queue->count <= queue->mask + 1);
    if (queue->count > queue->mask) return false;
    queue->ring[(queue->head + queue->count++) & queue->mask] =
        (struct vsr_waiting){.buffer = m, .offset = offset};
    return true;
}

void vsr_drop_requests(struct vsr_replica *r)
{
    struct vsr_queue *queue = &r->queue;

    if (r->batch.buffer.header != NULL) unref(r, &r->batch.buffer);
    r->batch = (struct vsr_batch){0};
    VSR_ASSERT(queue->count <= queue->mask + 1);
    for (; queue->count > 0; queue->count--) {
        unref(r, &queue->ring[queue->head].buffer);
        queue->head = (queue->head + 1) & queue->mask;
    }
}
