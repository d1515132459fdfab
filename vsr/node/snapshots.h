/**
 * The snapshots that a replica keeps and receives.
 */
#ifndef VSR_NODE_SNAPSHOTS_H
#define VSR_NODE_SNAPSHOTS_H

#include <vsr/replica.h>

#include <stddef.h>

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
/** Frees both; zeroed ones too. */
void vsr_node_snapshots_deinit(struct vsr_node_snapshots *s);

#endif
