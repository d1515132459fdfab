/**
 * The state machine that a cluster replicates: what a user of the library writes.
 *
 * Contract: deterministic. The same operations in the same order give the same results, the same
 * digest and the same snapshot bytes on every replica: no clock, no addresses, no iteration order
 * that depends on either. Time is the `timestamp` given with a batch.
 *
 * Threads: one replica's machine is called by one thread at a time (its actor's worker).
 */
#ifndef VSR_STATE_MACHINE_H
#define VSR_STATE_MACHINE_H

#include <vsr/types.h>

/**
 * Where an operation's result goes: it lies in the client table, so it is also the cached reply.
 *
 * A write behind the place ends the process by name: a guard word stands there during apply, behind
 * every place of up to 256 in debug and sanitizer builds, else behind one of a batch, another one
 * at each op. What jumps over those 8 bytes goes unseen.
 */
struct vsr_result {
    uint32_t bytes; /* the machine sets it, <= result_bytes_max: more ends the process */
    uint8_t
        data[]; /* room for result_bytes_max; 4-byte aligned, 16-byte in the table as it is now */
};

struct vsr_operation {
    const void *payload; /* 8-byte aligned; borrowed for the call. All replicas of the process have
                            the same bytes: to write to them breaks an invariant */
    struct vsr_result *result;
    uint32_t payload_bytes;
};

/** Reads and writes a stream of snapshot bytes; false = stop, the stream failed. */
typedef bool (*vsr_snapshot_write)(void *stream, const void *bytes, size_t count);
typedef bool (*vsr_snapshot_read)(void *stream, void *bytes, size_t count);

struct vsr_state_machine {
    void *state;
    /** Of one result: 0..VSR_RESULT_BYTES_MAX, and the same for all replicas of a cluster. */
    uint32_t result_bytes_max;

    /**
     * Executes a batch, in order; every operation gets its result. The whole batch is given at once
     * so that the machine can prefetch. Bytes that are no valid operation get an error result.
     *
     * Shape: timestamp is the primary's clock in ns, never smaller than the batch before.
     */
    void (*apply)(void *state, vsr_op op, uint64_t timestamp,
                  const struct vsr_operation *operations, uint32_t count);
    /** Writes the whole state; the same state gives the same bytes. Returns what write returned. */
    bool (*save)(void *state, vsr_snapshot_write write, void *stream);
    /** Replaces the state by a saved one. Returns false, the state then being empty, on bad bytes.
     */
    bool (*load)(void *state, vsr_snapshot_read read, void *stream);
    /** Sums up the state: equal states, equal digests. */
    uint64_t (*digest)(void *state);
    void (*destroy)(void *state);
};

#endif
