/**
 * The log's ring. See log.h.
 */
#include "log.h"

#include "checksum.h"

void vsr_log_init(struct vsr_log *log, struct vsr_buffer *ring, uint32_t ops)
{
    VSR_ASSERT(ring != NULL);
    VSR_ASSERT(ops > 0);
    VSR_ASSERT((ops & (ops - 1)) == 0); /* its mask is ops - 1 */
    *log = (struct vsr_log){.ring = ring, .mask = ops - 1};
}

void vsr_log_append(struct vsr_log *log, struct vsr_buffer buffer)
{
    const struct vsr_entry *entry = &log_prepare(&buffer)->entry;

    VSR_ASSERT(vsr_log_has_room(log));
    VSR_ASSERT(entry->op == log->op + 1);
    VSR_ASSERT(entry->parent_checksum == log->head_checksum);
    log->op = entry->op;
    log->head_checksum = entry->checksum;
    log->head_timestamp = entry->timestamp;
    log->ring[log->op & log->mask] = buffer;
}

void vsr_log_release(struct vsr_log *log, vsr_op op, const struct vsr_buffers *buffers)
{
    VSR_ASSERT(op <= log->op);
    if (op <= log->start) return;
    const struct vsr_entry *last = &vsr_log_at(log, op)->entry;
    log->start_checksum = last->checksum;
    log->start_timestamp = last->timestamp;
    while (log->start < op) {
        struct vsr_buffer *buffer = &log->ring[++log->start & log->mask];
        buffers->unref(buffers->context, buffer->handle);
        *buffer = (struct vsr_buffer){0};
    }
}

void vsr_log_truncate(struct vsr_log *log, vsr_op op, const struct vsr_buffers *buffers)
{
    VSR_ASSERT(op <= log->op);
    VSR_ASSERT(op >= log->start);
    for (; log->op > op; log->op--) {
        struct vsr_buffer *buffer = &log->ring[log->op & log->mask];
        VSR_ASSERT(buffer->header != NULL);
        buffers->unref(buffers->context, buffer->handle);
        *buffer = (struct vsr_buffer){0};
    }
    bool is_empty = log->op == log->start;
    const struct vsr_entry *head = is_empty ? NULL : &vsr_log_at(log, log->op)->entry;
    log->head_checksum = is_empty ? log->start_checksum : head->checksum;
    log->head_timestamp = is_empty ? log->start_timestamp : head->timestamp;
}

void vsr_log_reset(struct vsr_log *log, vsr_op op, vsr_checksum checksum, uint64_t timestamp,
                   const struct vsr_buffers *buffers)
{
    vsr_log_truncate(log, log->start, buffers);
    log->start = log->op = op;
    log->start_checksum = log->head_checksum = checksum;
    log->start_timestamp = log->head_timestamp = timestamp;
}

vsr_checksum vsr_entry_checksum(const struct vsr_prepare *prepare)
{
    struct vsr_entry fields = prepare->entry;

    VSR_ASSERT(prepare->header.bytes >= sizeof *prepare);
    /* In its own place stands what the header says of the requests. */
    fields.checksum = (uint64_t)prepare->header.bytes << 32 | prepare->header.count;
    uint64_t seed = vsr_checksum_seed(prepare->header.cluster);
    uint64_t chained = vsr_checksum_of(seed, &fields, sizeof fields);
    return vsr_checksum_of(chained, prepare + 1, prepare->header.bytes - sizeof *prepare);
}
