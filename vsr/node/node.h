/**
 * What the node's files share: messages between its actors, buffers, outboxes.
 */
#ifndef VSR_NODE_NODE_H
#define VSR_NODE_NODE_H

#include "driver.h"
#include "storage.h"

#include "health.h"

#include <act/actor.h>
#include <act/message.h>
#include <act/port.h>
#include <vsr/cluster.h>
#include <vsr/types.h>

#include <pthread.h>

/** Types of the actor messages inside a node. */
enum {
    NODE_MESSAGE = 0x56530100, /* body: a protocol message */
    NODE_TICK,
    NODE_CONTROL,   /* to a replica: its inbox may hold something. No body */
    NODE_PERSISTED, /* to a replica: vsr_node_storage_take may have something. No body */
    NODE_START,     /* to a client */
    NODE_SUBMIT,    /* to a service. Body: struct vsr_node_submit, then the payload */
    NODE_STOP,      /* to a service: end when all is answered */
};

/** Buffers that are actor messages. */
extern const struct vsr_buffers vsr_node_buffers;
/** The actor message of a finished protocol message; its body is what a bridge writes to a wire. */
struct act_message *vsr_node_message(const struct vsr_buffer *buffer);

/**
 * A port for the length of a call; *port is NULL when the thread may send without (it has a port,
 * or is a worker). Returns 0, -EINVAL when its port is another runtime's, or what act_port_open
 * returned.
 */
int vsr_node_port_borrow(struct act_runtime *runtime, struct act_port **port);
void vsr_node_port_return(struct act_port *port);

/** Fills in *why (may be NULL): an option, and all of it in words. */
__attribute__((format(printf, 3, 4))) void
vsr_node_explain(struct vsr_error *why, const char *option, const char *format, ...);

/** Fills in the text of an error that a call ends with, if nobody has. Zeroed at its beginning. */
void vsr_node_error_finish(struct vsr_error *why, int error);

/** Something that one thread waits for and an actor brings about. */
struct vsr_node_event {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool is_set;
};

void vsr_node_event_init(struct vsr_node_event *event);
void vsr_node_event_set(struct vsr_node_event *event);
void vsr_node_event_wait(struct vsr_node_event *event);
/** Returns whether it was set before the time was over. */
bool vsr_node_event_wait_for(struct vsr_node_event *event, uint64_t timeout_ns);
void vsr_node_event_deinit(struct vsr_node_event *event);

/** How long a call waits for a replica's actor, and after how long stderr says for whom. */
#define NODE_WAIT_NS 60000000000ull
#define NODE_WAIT_SAY_NS 5000000000ull

/** A wait of a thread for something of a replica. */
struct vsr_node_wait {
    const char *what;
    uint32_t replica;
    uint64_t start_ns;
    uint64_t said_ns;
};

struct vsr_node_wait vsr_node_wait_begin(const char *what, uint32_t replica);
/** Returns false when NODE_WAIT_NS are over. Names what is waited for now and then. */
bool vsr_node_wait_look(struct vsr_node_wait *wait);
/** Sleeps for a moment, then as vsr_node_wait_look. */
bool vsr_node_wait_pause(struct vsr_node_wait *wait);

/**
 * Messages that their receiver had no room for. They are offered again at the end of every turn and
 * at every tick; when the outbox itself is full a message is dropped, which the protocol mends.
 */
enum { OUTBOX_MAX = 16384 };

struct vsr_node_outbox {
    struct vsr_node_parcel {
        act_id to;
        struct act_message *message;
    } * parcels; /* OUTBOX_MAX of them */
    uint32_t count;
    uint64_t dropped;
    int (*send)(void *context, act_id to, struct act_message *m);
    void *send_context;
};

/** Shape: options may be NULL: then act_send sends. Returns 0 or -ENOMEM. */
int vsr_node_outbox_init(struct vsr_node_outbox *outbox, const struct vsr_cluster_options *options);
void vsr_node_outbox_deinit(struct vsr_node_outbox *outbox);
/** Ownership: takes m. */
void vsr_node_outbox_send(struct vsr_node_outbox *outbox, act_id to, struct act_message *m);
void vsr_node_outbox_retry(struct vsr_node_outbox *outbox);
/** Ends all that waits. */
void vsr_node_outbox_clear(struct vsr_node_outbox *outbox);

/** The cluster's options, and its replicas' ids: peers()[0 .. replica_count-1]. */
const struct vsr_cluster_options *vsr_node_cluster_options(const struct vsr_cluster *cluster);
const act_id *vsr_node_cluster_peers(const struct vsr_cluster *cluster);

/** The seeds that clients of a cluster have had, those that have stopped too. */
struct vsr_node_identities {
    pthread_mutex_t mutex;
    uint64_t *seeds;
    uint32_t count;
    uint32_t capacity;
};

void vsr_node_identities_init(struct vsr_node_identities *identities);
void vsr_node_identities_deinit(struct vsr_node_identities *identities);
struct vsr_node_identities *vsr_node_cluster_identities(struct vsr_cluster *cluster);
struct vsr_node_health *vsr_node_cluster_health(struct vsr_cluster *cluster);
/**
 * Makes a client's id: random, or, unless the seed is 0, the seed's.
 *
 * Threads: any, any number at once.
 * Returns: 0; -EEXIST: a client of the cluster has had this seed; -ENOMEM; what getrandom said.
 */
int vsr_node_identify(struct vsr_node_identities *identities, uint64_t seed, uint64_t id[2],
                      struct vsr_error *why);

struct vsr_node_blob {
    uint8_t *bytes;
    size_t count;
    size_t capacity;
};

/** Zeroed but for the cluster = empty. */
struct vsr_node_snapshots {
    uint64_t cluster;              /* the ids are this cluster's */
    struct vsr_node_blob kept;     /* for others */
    struct vsr_node_blob incoming; /* from another */
};

/** Performs VSR_EFFECT_SAVE. Returns what VSR_EVENT_SAVED says. */
struct vsr_snapshot vsr_node_snapshot_save(struct vsr_node_snapshots *s,
                                           const struct vsr_replica *core,
                                           const struct vsr_state_machine *machine, vsr_op op);
/** Performs the copying half of VSR_EFFECT_SEND_CHUNK. */
void vsr_node_snapshot_fill(const struct vsr_node_snapshots *s, const struct vsr_effect *effect);
/** Performs VSR_EFFECT_STORE_CHUNK; the buffer stays with the caller. */
void vsr_node_snapshot_store(struct vsr_node_snapshots *s, const struct vsr_effect *effect);
/** Performs VSR_EFFECT_LOAD. Returns what VSR_EVENT_LOADED says. */
bool vsr_node_snapshot_load(struct vsr_node_snapshots *s, struct vsr_replica *core,
                            const struct vsr_state_machine *machine,
                            const struct vsr_snapshot *snapshot);
void vsr_node_snapshots_deinit(struct vsr_node_snapshots *s);

/** What a replica loses when it dies. Zeroed = dead. */
struct vsr_node_life {
    struct vsr_driver driver; /* with the core */
    struct vsr_state_machine machine;
    struct vsr_node_snapshots snapshots;
    struct vsr_superblock superblock; /* it begins with; incarnation 0: the replica never ran */
};

/**
 * Makes the first half of a life, its state machine. Returns 0, what create_machine returned, or
 * -EINVAL and *why for a machine that lacks something or gives results above the limit.
 */
int vsr_node_life_create_machine(const struct vsr_cluster_options *options, uint32_t replica,
                                 struct vsr_node_life *life, struct vsr_error *why);
/**
 * Makes the other half, the core; options->replica.result_bytes_max is the machine's. Returns 0 or
 * -ENOMEM: then the machine is gone too.
 */
int vsr_node_life_create_core(const struct vsr_cluster_options *options, uint32_t replica,
                              const struct vsr_superblock *superblock, struct vsr_node_life *life);
/** Threads: a worker, or a thread with a port. */
void vsr_node_life_destroy(struct vsr_node_life *life);

/** One replica's actor: a shell that lives as long as the cluster, for one life after the other. */
struct vsr_node_replica;

struct vsr_node_inbox;

/** Returns NULL without memory. Inbox, storage and stopped outlive the actor. */
struct vsr_node_replica *vsr_node_replica_create(const struct vsr_cluster_options *options,
                                                 uint32_t replica, struct vsr_node_storage *storage,
                                                 struct vsr_node_inbox *inbox,
                                                 struct vsr_node_event *stopped,
                                                 struct vsr_node_health *health);
/** For a replica whose actor was never spawned. */
void vsr_node_replica_destroy(struct vsr_node_replica *replica);

extern const struct act_behaviour vsr_node_replica_behaviour;
/** What its driver has it do. */
extern const struct vsr_host vsr_node_replica_host;

/* VSR_LOG: lines on stderr. */

void vsr_node_log_message(uint32_t replica, const char *direction, const struct vsr_header *m);
void vsr_node_log_notice(uint32_t replica, enum vsr_notice notice, uint32_t about, vsr_op op);
void vsr_node_log_event(uint32_t replica, const char *what);

#endif
