/**
 * What the node's files share: messages between its actors, buffers, outboxes.
 */
#ifndef VSR_NODE_NODE_H
#define VSR_NODE_NODE_H

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
    NODE_INSPECT, /* body: struct node_inspect * */
    NODE_START,   /* body: the replicas' ids */
    NODE_SUBMIT,  /* to a service. Body: struct node_submit, then the payload */
};

struct node_submit {
    uint64_t cookie;
};

/** Buffers that are actor messages. */
extern const struct vsr_buffers node_buffers;
/** The actor message of a finished protocol message; its body is what a bridge writes to a wire. */
struct act_message *node_message(const struct vsr_buffer *buffer);

/**
 * A port for the length of a call; *port is NULL when the thread may send without (it has a port,
 * or is a worker). Returns 0, or what act_port_open returned.
 */
int node_port_borrow(struct act_runtime *runtime, struct act_port **port);
void node_port_return(struct act_port *port);

/** Something that one thread waits for and an actor brings about. */
struct node_event {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool is_set;
};

void node_event_init(struct node_event *event);
void node_event_set(struct node_event *event);
void node_event_wait(struct node_event *event);
void node_event_deinit(struct node_event *event);

struct node_inspect {
    struct vsr_cluster_report *report;
    bool wants_digest; /* which a large state machine takes its time for */
    struct node_event done;
};

/**
 * Messages that their receiver had no room for. They are offered again at the end of every turn and
 * at every tick; when the outbox itself is full a message is dropped, which the protocol mends.
 */
enum { OUTBOX_MAX = 16384 };

struct node_outbox {
    struct node_parcel {
        act_id to;
        struct act_message *message;
    } * parcels; /* OUTBOX_MAX of them */
    uint32_t count;
    uint64_t dropped;
    int (*send)(void *context, act_id to, struct act_message *m);
    void *send_context;
};

/** Shape: options may be NULL: then act_send sends. Returns 0 or -ENOMEM. */
int node_outbox_init(struct node_outbox *outbox, const struct vsr_cluster_options *options);
void node_outbox_deinit(struct node_outbox *outbox);
/** Ownership: takes m. */
void node_outbox_send(struct node_outbox *outbox, act_id to, struct act_message *m);
void node_outbox_retry(struct node_outbox *outbox);

/** The cluster's options, and its replicas' ids: peers()[0 .. replica_count-1]. */
const struct vsr_cluster_options *node_cluster_options(const struct vsr_cluster *cluster);
const act_id *node_cluster_peers(const struct vsr_cluster *cluster);

/** A superblock's place outside the replica: what survives the replica's memory. */
struct node_storage {
    struct vsr_superblock superblock;
    bool is_written;
};

struct node_blob {
    uint8_t *bytes;
    size_t count;
    size_t capacity;
};

/** Zeroed = empty. */
struct node_snapshots {
    struct node_blob kept;     /* for others */
    struct node_blob incoming; /* from another */
};

/** Performs VSR_EFFECT_SAVE. Returns what VSR_EVENT_SAVED says. */
struct vsr_snapshot node_snapshot_save(struct node_snapshots *s, const struct vsr_replica *core,
                                       const struct vsr_state_machine *machine, vsr_op op);
/** Performs the copying half of VSR_EFFECT_SEND_CHUNK. */
void node_snapshot_fill(const struct node_snapshots *s, const struct vsr_effect *effect);
/** Performs VSR_EFFECT_STORE_CHUNK; the buffer stays with the caller. */
void node_snapshot_store(struct node_snapshots *s, const struct vsr_effect *effect);
/** Performs VSR_EFFECT_LOAD. Returns what VSR_EVENT_LOADED says. */
bool node_snapshot_load(struct node_snapshots *s, struct vsr_replica *core,
                        const struct vsr_state_machine *machine,
                        const struct vsr_snapshot *snapshot);
void node_snapshots_deinit(struct node_snapshots *s);

/** One replica's actor. */
struct node_replica;

struct node_replica *node_replica_create(const struct vsr_cluster_options *options,
                                         uint32_t replica, struct node_storage *storage,
                                         struct node_event *stopped, int *error);
/** For a replica whose actor was never spawned. */
void node_replica_destroy(struct node_replica *replica);

extern const struct act_behaviour node_replica_behaviour;

#endif
