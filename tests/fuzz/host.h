/**
 * A host for one replica under fuzzing: performs its effects, keeps what it said, and knows a log
 * that its peers may have. It aborts when the replica does not keep the contract of vsr/replica.h.
 */
#ifndef VSR_FUZZ_HOST_H
#define VSR_FUZZ_HOST_H

#include "driver.h"

#include <vsr/replica.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HOST_CLUSTER = 77,
    HOST_OPS_MAX = 512, /* that the peers' log may have */
    HOST_SESSIONS = 4,
    HOST_COUNTERS = 256, /* of the state machine: two chunks and more of a snapshot */
    HOST_BLOB_BYTES = 16384,
};

/** A snapshot's bytes. */
struct host_blob {
    uint8_t bytes[HOST_BLOB_BYTES];
    size_t count;
    size_t at;
};

struct host {
    struct vsr_driver driver;
    struct vsr_replica_options options;
    struct vsr_superblock durable; /* the last one completed */
    uint64_t now_ns;
    uint64_t counters[HOST_COUNTERS];

    /* Effects that are not complete. */
    bool is_holding; /* completions wait for host_complete */
    bool has_persist;
    bool has_apply;
    struct vsr_superblock persist;
    vsr_sequence asked; /* the sequence of that */
    vsr_op apply;

    /* Snapshots: the last one taken or loaded, the one that comes in, the one that peers offer. */
    struct host_blob kept;
    struct host_blob incoming;
    struct host_blob offered;
    struct vsr_snapshot kept_snapshot;
    struct vsr_snapshot offered_snapshot;

    /* What the replica has asked and told last. */
    struct vsr_get_state get_state;
    struct vsr_get_chunk get_chunk;
    struct vsr_recovery recovery;
    struct host_session {
        uint64_t session;
        uint64_t number; /* of the last request made for it */
        uint32_t slot;
    } sessions[HOST_SESSIONS];
    uint32_t session_count;

    /* The peers' log: entries 1 .. op. */
    struct vsr_prepare *entries[HOST_OPS_MAX];
    vsr_op op;
    uint64_t sequence; /* of heartbeats */
    bool is_tracing;
};

/** Makes a replica with these options. Ownership: borrows options; h is zeroed memory. */
void host_init(struct host *h, const struct vsr_replica_options *options);
/** Ends it; aborts when a buffer has not come back. */
void host_deinit(struct host *h);
/** The replica loses its memory and begins a new life with its superblock. */
void host_crash(struct host *h);

/** Options of a small replica whose limits are near. */
struct vsr_replica_options host_options(uint32_t replica_count, uint32_t replica);

/** One event and all that follows from it. */
void host_step(struct host *h, struct vsr_event event);
/** Gives the replica a message. Ownership: takes it; its header and header.bytes bytes are there.
 */
void host_deliver(struct host *h, struct vsr_buffer message);
/** Says that what was held is done. */
void host_complete(struct host *h);
struct vsr_replica_report host_report(const struct host *h);

/** A buffer of exactly so many bytes, zeroed. */
struct vsr_buffer host_take(uint32_t bytes);
void host_drop(struct vsr_buffer buffer);
/** The next takes fail. */
void host_fail_takes(uint32_t count);

/** The peers' entry at op, or NULL. */
const struct vsr_prepare *host_entry(const struct host *h, vsr_op op);
/** Of the entry at op, as the replica has it or as the peers have; 0 when nobody has one. */
vsr_checksum host_checksum(const struct host *h, vsr_op op);
/** The peers' log ends with a copy of this entry. */
void host_note_entry(struct host *h, const struct vsr_prepare *entry);
/** What the replica is now, as a snapshot that peers offer, said to be of this op. */
void host_offer(struct host *h, vsr_op op);

#endif
