/**
 * The log: a ring of references to Prepares, bounded from the start.
 *
 * Holds the entries start + 1 .. op. An entry leaves at the bottom, when every replica has executed
 * it or when the ring needs its place; at the top only when another view's log takes its place.
 */
#ifndef VSR_CORE_LOG_H
#define VSR_CORE_LOG_H

#include "assert.h"
#include "message.h"

#include <vsr/message.h>
#include <vsr/types.h>

struct vsr_log {
    struct vsr_buffer *ring; /* mask + 1 of them; entry n lies at n & mask */
    uint32_t mask;
    vsr_op start;                /* the last op that has left */
    vsr_checksum start_checksum; /* of the entry at start; 0 for op 0 */
    uint64_t start_timestamp;
    vsr_op op;                  /* the newest */
    vsr_checksum head_checksum; /* of the entry at op; 0 for the empty log */
    uint64_t head_timestamp;    /* of the entry at op */
};

static inline const struct vsr_prepare *log_prepare(const struct vsr_buffer *buffer)
{
    return vsr_read_prepare(buffer->header);
}

static inline bool vsr_log_holds(const struct vsr_log *log, vsr_op op)
{
    return op > log->start && op <= log->op;
}

static inline bool vsr_log_has_room(const struct vsr_log *log)
{
    return log->op - log->start <= log->mask;
}

/** The buffer of an entry that is held. */
static inline const struct vsr_buffer *vsr_log_buffer(const struct vsr_log *log, vsr_op op)
{
    VSR_ASSERT(vsr_log_holds(log, op));
    return &log->ring[op & log->mask];
}

/** The Prepare of an entry that is held. */
static inline const struct vsr_prepare *vsr_log_at(const struct vsr_log *log, vsr_op op)
{
    return log_prepare(vsr_log_buffer(log, op));
}

void vsr_log_init(struct vsr_log *log, struct vsr_buffer *ring, uint32_t ops);

/** Appends the next entry. Ownership: takes buffer. The caller has made sure of room and of op + 1.
 */
void vsr_log_append(struct vsr_log *log, struct vsr_buffer buffer);

/** Lets go of the entries up to `op`. */
void vsr_log_release(struct vsr_log *log, vsr_op op, const struct vsr_buffers *buffers);

/** Lets go of the entries after `op`, start <= op. */
void vsr_log_truncate(struct vsr_log *log, vsr_op op, const struct vsr_buffers *buffers);

/** Lets go of everything; the next entry follows `op`. */
void vsr_log_reset(struct vsr_log *log, vsr_op op, vsr_checksum checksum, uint64_t timestamp,
                   const struct vsr_buffers *buffers);

/** Whether the log reaches to `op` and has the entry of this checksum there. */
static inline bool vsr_log_has(const struct vsr_log *log, vsr_op op, vsr_checksum checksum)
{
    if (op < log->start || op > log->op) return false;
    if (op == log->op) return log->head_checksum == checksum;
    if (op == log->start) return log->start_checksum == checksum;
    return vsr_log_at(log, op)->entry.checksum == checksum;
}

/**
 * What the checksum of this entry has to be: of every other byte of the entry, the requests, their
 * size and count, and the cluster. The parent's checksum is among them: names are a hash chain.
 */
vsr_checksum vsr_entry_checksum(const struct vsr_prepare *prepare);

#endif
