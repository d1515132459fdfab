/**
 * The state of a replica that has lost its memory: Recovery, RecoveryResponse.
 *
 * Deviates from VRR §4.3: the view is durable before anything that depends on it is said, and an
 * answer from an older view is not taken. Without that, messages of the replica's life before the
 * crash bring operations back to nought that were acknowledged: tests/vsr/stories.c.
 */
#include "recovery.h"

#include "divergence.h"
#include "make.h"
#include "message.h"
#include "state.h"
#include "transfer.h"
#include "view.h"
#include "view_change.h"

#include <string.h>

/** Questions after which a new one, with a new nonce, is asked. */
enum { ASKS_PER_NONCE = 8 };
/** Snapshots in a row that do not load: it is not the snapshots then. */
enum { LOADS_FAILED_MAX = 4 };

static void ask(struct vsr_replica *r, struct vsr_effects *out)
{
    struct vsr_buffer buffer;

    VSR_ASSERT(r->status == VSR_STATUS_RECOVERING);
    VSR_ASSERT(r->recovery.nonce != 0); /* 0 is a question that was not asked */
    VSR_ASSERT(!r->recovery.is_installed);
    VSR_ASSERT(r->transfer.kind == TRANSFER_NONE);
    VSR_ASSERT((uint32_t)r->durability.durable != 0); /* 9.2: this life's incarnation is */
    r->recovery.ticks_left = vsr_patience(r, r->recovery.repeats++);
    struct vsr_recovery *recovery = vsr_make_recovery(r, &buffer);
    if (recovery == NULL) {
        drop(r, VSR_DROP_NO_BUFFER);
        return;
    }
    recovery->nonce = r->recovery.nonce;
    recovery->way = r->recovery.repeats > 1 ? VSR_WAY_ROUND : VSR_WAY_DIRECT;
    effects_send(out, others_mask(r), buffer);
}

void vsr_recovery_start(struct vsr_replica *r, struct vsr_effects *out)
{
    VSR_ASSERT(r->status == VSR_STATUS_RECOVERING);
    VSR_ASSERT(!r->recovery.is_installed);
    VSR_ASSERT(!r->transfer.is_loading);
    vsr_transfer_break_off(r);
    memset(&r->recovery, 0, sizeof r->recovery);
    r->recovery.nonce = next_nonce(r);
    if (vsr_members_is_alone(&r->members)) {
        effects_notice(out, VSR_NOTICE_CANNOT_RECOVER, r->members.self, 0);
        return;
    }
    effects_notice(out, VSR_NOTICE_RECOVERING, r->members.self, 0);
    ask(r, out);
}

/** From whatever status to RECOVERING. */
static void begin_again(struct vsr_replica *r)
{
    VSR_ASSERT(!r->transfer.is_loading); /* nothing comes between a load and its end */
    VSR_ASSERT(r->status != VSR_STATUS_HALTED);
    VSR_ASSERT(r->queue.count == 0);
    VSR_ASSERT(r->batch.buffer.header == NULL); /* no primary begins again */
    VSR_ASSERT(r->replies_open == 0);
    vsr_transfer_reset(r);
    vsr_withdraw_vote(r);
    vsr_clear_in_view(r);
    memset(&r->recovery, 0, sizeof r->recovery); /* no question is out: one will be */
    r->status = VSR_STATUS_RECOVERING;
}

void vsr_leave_fork(struct vsr_replica *r)
{
    VSR_ASSERT(r->status == VSR_STATUS_NORMAL);
    VSR_ASSERT(!is_primary(r)); /* its log is the view's, whatever is said */
    /* Nothing is cut off: the entries may be right and the message wrong. RECOVERING it gives them
     * to nobody, acknowledges nothing and has no part in view changes, until the view's are there.
     */
    begin_again(r);
}

void vsr_lose_state(struct vsr_replica *r, struct vsr_effects *out)
{
    VSR_ASSERT(!r->is_applying);
    VSR_ASSERT(!r->checkpoint.is_saving);
    VSR_ASSERT(!is_serving(r));
    VSR_ASSERT(!r->transfer.is_loading);
    VSR_ASSERT(r->transfer.has_touched_state); /* or there is a state to go back to */
    VSR_ASSERT(r->transfer.kind != TRANSFER_NONE);
    vsr_client_table_clear(&r->clients);
    r->source = vsr_next_provider(r, r->transfer.provider);
    r->has_source = true;
    if (++r->loads_failed >= LOADS_FAILED_MAX) {
        vsr_transfer_reset(r);
        vsr_halt(r, VSR_NOTICE_CANNOT_LOAD, r->commit, out);
        return;
    }
    begin_again(r);
    vsr_log_reset(&r->log, 0, 0, 0, &r->options.buffers);
    r->commit = r->applied = r->released = r->confirmed = 0;
    r->commit_checksum = 0;
    r->counters.requests_executed = r->counters.requests_repeated = 0;
    r->divergence.digest = r->divergence.known_from = 0;
    memset(&r->checkpoint, 0, sizeof r->checkpoint);
}

void vsr_recovery_tick(struct vsr_replica *r, struct vsr_effects *out)
{
    struct vsr_recovery_state *recovery = &r->recovery;

    VSR_ASSERT(r->status == VSR_STATUS_RECOVERING);
    if (recovery->nonce == 0 || recovery->is_installed || vsr_members_is_alone(&r->members)) return;
    if (r->transfer.kind == TRANSFER_RECOVERY) {
        const bool is_due = r->transfer.ticks_left <= 1;
        vsr_transfer_tick(r, out);
        if (r->transfer.kind != TRANSFER_RECOVERY || r->transfer.is_loading) return;
        if (r->transfer.tries < ASKS_PER_NONCE && !(is_due && recovery->view_heard > r->view))
            return;
        r->source = vsr_next_provider(r, r->transfer.provider);
        r->has_source = true;
        vsr_recovery_start(r, out); /* Its primary has gone on to another view, or is gone. */
        return;
    }
    VSR_ASSERT(r->transfer.kind == TRANSFER_NONE); /* no other kind is gathered in this status */
    VSR_ASSERT(recovery->ticks_left > 0);
    if (--recovery->ticks_left == 0) ask(r, out);
}

/**
 * Passes a question on to the primary, whom it may not reach; the answer comes back the same way.
 *
 * Only who was asked by the replica itself does: between replicas of different views it would go
 * round for ever.
 * Source: rule 8.1.
 */
static void pass_on(struct vsr_replica *r, const struct vsr_recovery *recovery,
                    struct vsr_effects *out)
{
    const uint32_t primary = r->primary;
    struct vsr_buffer buffer;

    VSR_ASSERT(r->status == VSR_STATUS_NORMAL);
    VSR_ASSERT(vsr_members_has_other(&r->members, recovery->header.from));
    if (recovery->way != VSR_WAY_ROUND || primary == r->members.self ||
        primary == recovery->header.from)
        return;
    struct vsr_recovery *passed = vsr_make_recovery(r, &buffer);
    if (passed == NULL) {
        drop(r, VSR_DROP_NO_BUFFER);
        return;
    }
    *passed = *recovery;
    passed->way = VSR_WAY_PASSED;
    effects_send(out, vsr_mask_of(primary), buffer);
}

/**
 * Answers a replica that has lost its memory.
 *
 * One that had persisted a higher view had promised not to go on in ours: we follow it, or it would
 * wait for ever.
 * Source: VRR §4.3 step 2; rule 8.3.
 */
enum vsr_drop vsr_on_recovery(struct vsr_replica *r, struct vsr_buffer *m, struct vsr_effects *out)
{
    const struct vsr_recovery *recovery = vsr_read_recovery(m->header);
    const uint32_t from = (uint32_t)m->header->from;
    struct vsr_buffer buffer;

    VSR_ASSERT(r->status != VSR_STATUS_RECOVERING); /* that has nothing to give */
    if (recovery->way >= VSR_WAY_COUNT) return VSR_DROP_MALFORMED;
    vsr_forget_claims(r, from);
    if (m->header->view > r->view) {
        vsr_enter_view_change(r, m->header->view, out);
        return VSR_DROP_NONE;
    }
    if (r->status != VSR_STATUS_NORMAL) return VSR_DROP_STATUS;
    VSR_ASSERT(r->log_view == r->view);
    VSR_ASSERT(vsr_is_durable(r));      /* 9.2 */
    VSR_ASSERT(r->commit <= r->log.op); /* or who asked takes it for malformed */
    struct vsr_recovery_response *response = vsr_make_recovery_response(r, &buffer);
    if (response == NULL) return VSR_DROP_NO_BUFFER;
    response->asker = from;
    response->nonce = recovery->nonce;
    response->op = r->log.op;
    response->checksum = r->log.head_checksum;
    response->commit = r->commit;
    response->commit_checksum = r->commit_checksum;
    const bool goes_round = recovery->way != VSR_WAY_DIRECT && is_primary(r);
    effects_send(out, goes_round ? others_mask(r) : vsr_mask_of(from), buffer);
    pass_on(r, recovery, out);
    return VSR_DROP_NONE;
}

/** The primary's answer for a replica that it may not reach. Ownership: takes m when it is sent. */
static enum vsr_drop pass_back(struct vsr_replica *r, struct vsr_buffer *m, uint64_t asker,
                               struct vsr_effects *out)
{
    VSR_ASSERT(r->status == VSR_STATUS_NORMAL);
    if (!vsr_members_has_other(&r->members, asker) || asker == m->header->from)
        return VSR_DROP_STATUS; /* We have asked, and are NORMAL by now. */
    if (m->header->view != r->view) return VSR_DROP_STALE_VIEW;
    if (is_primary(r) || m->header->from != r->primary) return VSR_DROP_WRONG_SENDER;
    effects_send(out, vsr_mask_of((uint32_t)asker), *m);
    m->header = NULL;
    return VSR_DROP_NONE;
}

uint32_t vsr_recovery_lacks(const struct vsr_replica *r)
{
    const struct vsr_recovery_answer *answers = r->recovery.answers;
    vsr_view view = r->view;

    VSR_ASSERT(r->status == VSR_STATUS_RECOVERING);
    VSR_ASSERT(!vsr_members_is_alone(&r->members));
    VSR_ASSERT(!answers[r->members.self].is_here); /* nobody answers himself */
    for (uint32_t i = 0; i < r->members.count; i++)
        if (answers[i].is_here && answers[i].view > view) view = answers[i].view;
    const uint32_t primary = vsr_members_primary(&r->members, view);
    if (primary != r->members.self && !answers[primary].is_here) return primary;
    for (uint32_t i = 0; i < r->members.count; i++)
        if (i != r->members.self && !answers[i].is_here) return i;
    return primary; /* It has answered for an older view, or it is us: the next view will do. */
}

/** The answer of the highest view's primary, once enough have answered. Or NULL. */
static const struct vsr_recovery_answer *find_primary(const struct vsr_replica *r,
                                                      uint32_t *primary)
{
    const struct vsr_recovery_answer *answers = r->recovery.answers;
    uint32_t count = 0;
    vsr_view view = 0;

    VSR_ASSERT(r->status == VSR_STATUS_RECOVERING);
    for (uint32_t i = 0; i < r->members.count; i++) {
        if (!answers[i].is_here) continue;
        count++;
        if (answers[i].view > view) view = answers[i].view;
    }
    VSR_ASSERT(count < r->members.count); /* our own is none of them */
    *primary = vsr_members_primary(&r->members, view);
    if (count < r->members.quorums.recovery || view < r->view) return NULL;
    const struct vsr_recovery_answer *answer = &answers[*primary];
    return answer->is_here && answer->view == view ? answer : NULL;
}

/**
 * Gathers answers; with enough of them, and the primary's among them, fetches its log.
 *
 * Source: VRR §4.3 step 3; rule 8.3.
 */
enum vsr_drop vsr_on_recovery_response(struct vsr_replica *r, struct vsr_buffer *m,
                                       struct vsr_effects *out)
{
    const struct vsr_recovery_response *response = vsr_read_recovery_response(m->header);
    uint32_t primary;

    VSR_ASSERT(vsr_members_has_other(&r->members, m->header->from));
    if (r->status == VSR_STATUS_NORMAL) return pass_back(r, m, response->asker, out);
    VSR_ASSERT(r->status == VSR_STATUS_RECOVERING);
    if (response->asker != r->members.self) return VSR_DROP_MISDELIVERED;
    /* 0 is what stands there before anything was asked. */
    if (response->nonce == 0 || response->nonce != r->recovery.nonce || r->recovery.is_installed)
        return VSR_DROP_WRONG_NONCE;
    VSR_ASSERT((uint32_t)r->durability.durable != 0); /* 9.2: nothing was asked before */
    if (response->commit > response->op) return VSR_DROP_MALFORMED;
    /* A sender's newer answer takes the place of its older one. */
    r->recovery.answers[m->header->from] = (struct vsr_recovery_answer){
        .is_here = true,
        .view = m->header->view,
        .op = response->op,
        .checksum = response->checksum,
        .commit = response->commit,
        .commit_checksum = response->commit_checksum,
    };
    if (r->transfer.kind != TRANSFER_NONE) return VSR_DROP_NONE;
    const struct vsr_recovery_answer *answer = find_primary(r, &primary);
    if (answer == NULL) return VSR_DROP_NONE;
    VSR_ASSERT(answer->commit <= answer->op); /* as it came in */
    VSR_ASSERT(answer->view >= r->view);
    VSR_ASSERT(primary != r->members.self);
    if (answer->view > r->view) vsr_set_view(r, answer->view, out);
    vsr_note_commit(r, answer->commit, answer->commit_checksum);
    /* Who was of no use is not asked first again: the others' turn, and then its own. */
    const uint32_t provider = r->has_source ? r->source : primary;
    vsr_transfer_start(r, TRANSFER_RECOVERY, provider, answer->op, answer->checksum, out);
    return VSR_DROP_NONE;
}
