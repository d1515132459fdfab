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
    VSR_ASSERT(r->applied <= r->commit);
    r->commit = op;
    r->commit_checksum = vsr_log_at(&r->log, op)->entry.checksum;
    vsr_execute(r, out);
}

bool vsr_learn_commit(struct vsr_replica *r, vsr_op commit, vsr_checksum checksum, uint64_t witness,
                      struct vsr_effects *out)
{
    if (commit > r->in_view.fetch.op_heard) r->in_view.fetch.op_heard = commit;
    if (!vsr_confirm(r, commit, checksum, witness, out)) return false;
    /* A commit beyond the log says nothing of our head: that may be another entry than the view's.
     */
    if (commit > r->log.op) commit = r->confirmed;
    vsr_commit_to(r, commit, out);
    return true;
}

bool vsr_confirm(struct vsr_replica *r, vsr_op op, vsr_checksum checksum, uint64_t witness,
                 struct vsr_effects *out)
{
    if (op > r->log.op) return true;
    if (op >= r->log.start && !vsr_log_has(&r->log, op, checksum)) {
        if (vsr_doubt_again(&r->in_view.doubt, op, witness)) note_fork(r, op, out);
        return false;
    }
    if (op >= r->log.start) vsr_doubt_ends(&r->in_view.doubt, op);
    if (op > r->confirmed) r->confirmed = op;
    return true;
}

void vsr_count_acks(struct vsr_replica *r, struct vsr_effects *out)
{
    VSR_ASSERT(is_serving(r));
    vsr_op op = vsr_members_replicated(&r->members, r->in_view.acked);
    vsr_commit_to(r, op, out);
}
