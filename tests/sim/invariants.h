/**
 * The numbered invariants of the protocol, seen from outside all replicas, with ghost state.
 *
 * Each function ends the process when an invariant is broken; see journal_fail.
 */
#ifndef SIM_INVARIANTS_H
#define SIM_INVARIANTS_H

#include "map.h"
#include "reference.h"

#include <vsr/replica.h>

struct world;
struct host;

/** What a committed op is, once and for all. */
struct ghost_op {
    vsr_checksum checksum;
    vsr_view view; /* of the replica that committed it first */
    uint64_t timestamp;
    uint64_t digest;       /* of the machine after it */
    uint64_t results;      /* of its operations, summed up */
    uint32_t executed;     /* operations that are no repetitions */
    vsr_checksum snapshot; /* id of the snapshots taken here; 0 = none yet */
};

/** A view whose primary has started it. */
struct ghost_view {
    vsr_view view;
    vsr_op op;
    vsr_op log_start;
};

/** What a replica held when it lost its memory: its acknowledgements still count. */
struct ghost_lost {
    vsr_op start;
    vsr_op op;
    vsr_checksum *checksums;
    size_t capacity;
};

/** The last view in which a replica has acknowledged something, over all of its lives. */
struct ghost_acked {
    vsr_view view;
    vsr_op op; /* in that view */
};

/** The life of a replica that runs, as its messages name it. */
struct ghost_life {
    bool is_new;          /* it has said nothing yet */
    bool has_spoken;      /* it, or one before */
    uint32_t incarnation; /* of the last that has */
};

struct ghost {
    struct reference reference;
    struct ghost_op *ops; /* [op]; 0 is not used */
    size_t op_capacity;
    vsr_op commit;        /* by anybody, ever */
    struct map view_ops;  /* view, op -> checksum of the entry that the view has there */
    struct map primaries; /* view -> replica and incarnation that acted as its primary */
    struct ghost_view *views;
    size_t view_count, view_capacity;
    vsr_view view_max; /* started */
    struct ghost_lost lost[VSR_REPLICAS_MAX];
    struct map acks; /* view, replica -> the highest op it has acknowledged in it */
    struct ghost_acked acked[VSR_REPLICAS_MAX];
    vsr_view voted[VSR_REPLICAS_MAX];    /* highest view of a DoViewChange, over all incarnations */
    vsr_view promised[VSR_REPLICAS_MAX]; /* highest durable view */
    struct ghost_life lives[VSR_REPLICAS_MAX];
};

/** Small, so that it fits into a key with something else. */
uint64_t ghost_view_number(const struct world *w, vsr_view view);

static inline uint64_t ghost_acks_key(const struct world *w, vsr_view view, uint32_t replica)
{
    return ghost_view_number(w, view) << 4 | replica;
}

void ghost_init(struct world *w);
void ghost_deinit(struct ghost *ghost);

/** After each step, before its effects are performed. */
void ghost_after_step(struct world *w, struct host *h);
void ghost_on_send(struct world *w, struct host *h, const struct vsr_header *m,
                   enum vsr_status status_before);
void ghost_on_reply(struct world *w, struct host *h, const struct vsr_header *m);
/** When the machine has executed an op. */
void ghost_on_applied(struct world *w, struct host *h, const struct vsr_operation *operations,
                      uint32_t count);
void ghost_on_snapshot(struct world *w, struct host *h, const struct vsr_snapshot *snapshot,
                       bool is_loaded);
void ghost_on_crash(struct world *w, struct host *h);
/** At the end: this replica's state and log hold everything that was ever committed. */
void ghost_check_complete(struct world *w, struct host *h);

#endif
