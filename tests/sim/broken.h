/**
 * What the files of the invariants share.
 */
#ifndef SIM_BROKEN_H
#define SIM_BROKEN_H

#include "world.h"

/** Ends the process: an invariant does not hold. */
#define BROKEN(w, ...) journal_fail(&(w)->journal, OUTCOME_INVARIANT, __VA_ARGS__)

/** I3: a view has one entry at an op, whoever says so. */
void ghost_note_view_op(struct world *w, const struct host *h, vsr_view view, vsr_op op,
                        vsr_checksum checksum, const char *where);

#endif
