/**
 * Liveness while the run goes on: a connected, healthy core commits, and who is healthy keeps up.
 */
#ifndef SIM_MONITOR_H
#define SIM_MONITOR_H

#include "scenario.h"

struct world;

enum { LOOK_EVERY = 5 * TICK, CORES_MAX = 1 << VSR_REPLICAS_MAX };

struct monitor {
    uint64_t patience;              /* units: for a commit */
    uint64_t core_since[CORES_MAX]; /* per mask of max(Qr, Qv) replicas; 0 = is not healthy */
    uint64_t last_commit;           /* when */
    uint64_t mark_at;               /* when the keeping up is judged next */
    vsr_op mark;                    /* what the healthy have to have executed by then */
    uint32_t healthy;               /* mask: connected with the core since the mark was set */
};

void monitor_init(struct world *w);
/** Every LOOK_EVERY: ends the run when what is healthy does not go on. */
void monitor_look(struct world *w);
/** Something was committed that never was before. */
void monitor_committed(struct world *w);

#endif
