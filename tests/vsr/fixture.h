/**
 * One replica under test: events in, captured effects out, and a world of counted buffers.
 */
#ifndef VSR_TESTS_FIXTURE_H
#define VSR_TESTS_FIXTURE_H

#include "driver.h"
#include "message.h"
#include "state.h"

#include <vsr/replica.h>

#include <stdbool.h>
#include <stdint.h>

enum {
    CLUSTER = 77,
    CLIENT = 0xC11E47,
    SENT_MAX = 8192,
    FIXTURE_COUNTERS = 256,
    FIXTURE_SNAPSHOT_BYTES = 8192,
    FIXTURE_OPS = 4096
};

/** A message that the replica sent. */
struct sent {
    struct vsr_buffer buffer;
    uint32_t to;         /* mask of replicas, 0 for a client */
    vsr_address address; /* of a client */
};

struct fixture {
    struct vsr_replica *r;
    struct vsr_replica_options options;
    struct vsr_driver driver;
    struct sent sent[SENT_MAX];
    uint32_t sent_count;
    enum vsr_notice notices[64];
    uint32_t notice_count;
    uint32_t noticed_replica;           /* that the last of them is about */
    uint64_t counts[FIXTURE_COUNTERS];  /* the state machine */
    vsr_checksum executed[FIXTURE_OPS]; /* of the entry that each op executed; 0 = none here */
    uint64_t applied_requests;          /* given to the state machine */
    uint64_t applies;                   /* effects */
    uint64_t timestamp;                 /* of the last apply */
    uint32_t persists;
    bool holds_persist;               /* true: the persist effect stays incomplete */
    bool holds_apply;                 /* true: the apply effect stays incomplete */
    uint32_t loads_refused;           /* so many loads more fail */
    bool writes_payload;              /* the state machine writes into what it should read */
    bool keeps_nothing;               /* true: the host has no room for a snapshot */
    struct vsr_superblock superblock; /* of the last persist effect */
    vsr_sequence sequence;            /* of that too */
    struct vsr_superblock durable;    /* of the last one that was completed */
    vsr_op held_op;
    struct fixture_blob {
        uint8_t bytes[FIXTURE_SNAPSHOT_BYTES];
        size_t count;
        size_t at;
    } kept, incoming; /* snapshots: the replica's part, then the counts */
};

/** Buffers with a count of those alive; fixture_buffers_fail makes the next takes fail. */
extern const struct vsr_buffers fixture_buffers;
extern long fixture_buffers_live;
extern long fixture_buffers_fail;

/** Options of a small replica; change them, then fixture_start. */
struct vsr_replica_options fixture_options(uint32_t replica_count, uint32_t replica);
/** Lays out the replica; nothing has been said to it yet. */
struct fixture *fixture_create(const struct vsr_replica_options *options);
/** Likewise, and takes it through START. */
struct fixture *fixture_start(const struct vsr_replica_options *options);
/** The same with fixture_options. */
struct fixture *fixture_of(uint32_t replica_count, uint32_t replica);
/** Likewise, but a replica that has lost its memory: only the superblock is left. */
struct fixture *fixture_recover(const struct vsr_replica_options *options,
                                struct vsr_superblock superblock);
/** Ends it and asserts that every buffer came back. */
void fixture_end(struct fixture *f);
/** Ends it; others may go on, so buffers may still be out. */
void fixture_free(struct fixture *f);
/** Completes the persist effect that is held. */
void fixture_persisted(struct fixture *f);

/** Where the replica stands, as its host sees it. */
struct vsr_replica_report seen(const struct fixture *f);

/** One event, with the effects captured. Clears what was captured before. */
enum vsr_drop fixture_step(struct fixture *f, struct vsr_event event);
enum vsr_drop fixture_message(struct fixture *f, struct vsr_buffer m);
void fixture_turn_end(struct fixture *f);
void fixture_tick(struct fixture *f);
void fixture_clear(struct fixture *f);

/** The n-th captured message of a type, or NULL. */
const struct vsr_header *fixture_sent(const struct fixture *f, enum vsr_message_type type,
                                      uint32_t nth);
uint32_t fixture_sent_count(const struct fixture *f, enum vsr_message_type type);
bool fixture_noticed(const struct fixture *f, enum vsr_notice notice);
/** The n-th reply in all captured Reply messages, or NULL. */
const struct vsr_reply *fixture_reply(const struct fixture *f, uint32_t nth);

/* Messages of the fixture's view. Each gives a buffer. messages.h has those between views. */

struct vsr_buffer make_header(const struct fixture *f, enum vsr_message_type type, uint32_t bytes,
                              uint64_t from);
/** A Request with one operation whose payload is 8 bytes: the index of a counter. */
struct vsr_buffer make_request(const struct fixture *f, vsr_session session, uint32_t slot,
                               uint64_t number, uint64_t payload);
struct vsr_buffer make_register(const struct fixture *f, uint64_t client_id);
/** The Prepare that follows `parent` (NULL: the first), with one operation of the session. */
struct vsr_buffer make_prepare(const struct fixture *f, const struct vsr_prepare *parent,
                               vsr_op commit, vsr_checksum commit_checksum, vsr_session session,
                               uint32_t slot, uint64_t number);
struct vsr_buffer make_prepare_register(const struct fixture *f, const struct vsr_prepare *parent,
                                        uint64_t client_id);
struct vsr_buffer make_prepare_ok(const struct fixture *f, uint32_t from, vsr_op op);
struct vsr_buffer make_commit(const struct fixture *f, vsr_op commit, vsr_checksum checksum);
/** A second handle. */
struct vsr_buffer copy_of(struct vsr_buffer buffer);

/** At the primary: opens a session through the log and returns its slot (session in *session). */
uint32_t open_session(struct fixture *f, uint64_t client_id, vsr_session *session);
/** At the primary: acknowledges everything, from as many backups as a quorum needs. */
void acknowledge_all(struct fixture *f);

#endif
