/**
 * How far the log is committed: by acknowledgements at the primary, by its word at a backup.
 *
 * Source: VRR §4.1 steps 5 to 7.
 */
#include "commit.h"

#include "execute.h"
#include "state.h"

void vsr_commit_to(struct vsr_replica *r, vsr_op op, struct vsr_effects *out)
{
    VSR_ASSERT(op <= r->log.op);
    if (op <= r->commit) return;
    r->commit = op;
    r->commit_checksum = vsr_log_at(&r->log, op)->entry.checksum;
    vsr_execute(r, out);
}

/**
 * Takes the view's commit number, as far as our log reaches.
 *
 * Returns: false when the entry at that op is not the view's: nothing is executed then.
 */
bool vsr_learn_commit(struct vsr_replica *r, vsr_op commit, vsr_checksum checksum,
                      struct vsr_effects *out)
{
    if (commit > r->fetch.op_heard) r->fetch.op_heard = commit;
    if (vsr_log_holds(&r->log, commit) && vsr_log_at(&r->log, commit)->entry.checksum != checksum) {
        effects_notice(out, VSR_NOTICE_FORKED_LOG, r->options.replica, commit);
        return false;
    }
    vsr_commit_to(r, commit < r->log.op ? commit : r->log.op, out);
    return true;
}

void vsr_count_acks(struct vsr_replica *r, struct vsr_effects *out)
{
    vsr_op op =
        quorum_reached(r->peers.acked, r->options.replica_count, r->options.quorum_replication);
    vsr_commit_to(r, op, out);
}
