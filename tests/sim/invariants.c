/**
 * The invariants of protocol section 14 as far as the outside can see them; the core's own check,
 * after every step, sees the rest (I10, I11, I12, I18).
 */
#include "broken.h"
#include "world.h"

#include "assert.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void ghost_init(struct world *w)
{
    struct ghost *g = &w->ghost;

    reference_init(&g->reference, w->scenario.replica.sessions_max, w->scenario.load.keys);
    g->op_capacity = 1024;
    g->ops = calloc(g->op_capacity, sizeof *g->ops);
    VSR_ASSERT(g->ops != NULL);
}

void ghost_deinit(struct ghost *g)
{
    reference_deinit(&g->reference);
    free(g->ops);
    free(g->views);
    map_deinit(&g->view_ops);
    map_deinit(&g->primaries);
    map_deinit(&g->acks);
    for (uint32_t i = 0; i < VSR_REPLICAS_MAX; i++)
        free(g->lost[i].checksums);
}

/** Few views below the first one that is voted for are ever used. */
uint64_t ghost_view_number(const struct world *w, vsr_view view)
{
    const vsr_view first = w->scenario.first_view;
    return first != 0 && view >= first ? view - first + 4096 : view;
}

static uint64_t view_op(const struct world *w, vsr_view view, vsr_op op)
{
    return ghost_view_number(w, view) << 36 | op;
}

void ghost_note_view_op(struct world *w, const struct host *h, vsr_view view, vsr_op op,
                        vsr_checksum checksum, const char *where)
{
    if (op == 0) return;
    uint64_t *known = map_put(&w->ghost.view_ops, view_op(w, view, op), checksum);
    if (*known == checksum) return;
    BROKEN(w,
           "I3: view %" PRIu64 " has two entries at op %" PRIu64
           ": #%04x, and #%04x in %s of replica %u",
           view, op, (unsigned)(*known >> 48), (unsigned)(checksum >> 48), where, h->index);
}

static const struct vsr_prepare *entry_of(const struct host *h, vsr_op op)
{
    return vsr_replica_entry(h->driver.core, op);
}

/* Commits. */

/** Whether a replica holds an entry, or did when it lost its memory. */
static bool holds(const struct world *w, uint32_t replica, vsr_op op, vsr_checksum checksum)
{
    const struct host *h = &w->hosts[replica];
    const struct ghost_lost *lost = &w->ghost.lost[replica];

    if (h->is_amnesic)
        return op <= lost->start ||
               (op <= lost->op && lost->checksums[op - lost->start - 1] == checksum);
    if (h->driver.core == NULL) return false;
    if (op <= h->seen.log_start) return true;
    const struct vsr_prepare *entry = entry_of(h, op);
    return entry != NULL && entry->entry.checksum == checksum;
}

static void check_holders(struct world *w, const struct host *h, vsr_op op, vsr_checksum checksum)
{
    uint32_t holders = 0;

    for (uint32_t i = 0; i < world_replicas(w); i++)
        holders += holds(w, i, op, checksum);
    if (holders >= w->scenario.quorum_replication) return;
    BROKEN(w,
           "I5: op %" PRIu64 " is committed by replica %u, but held by %u replicas and not by %u",
           op, h->index, holders, w->scenario.quorum_replication);
}

/** I5: and so many have said so in the view in which it is committed. */
static void check_acknowledged(struct world *w, const struct host *h, vsr_op op)
{
    uint32_t said = 1; /* the primary itself */

    if (!h->seen.is_primary || h->seen.status != VSR_STATUS_NORMAL) return;
    for (uint32_t i = 0; i < world_replicas(w); i++) {
        const uint64_t *acked = map_find(&w->ghost.acks, ghost_acks_key(w, h->seen.view, i));
        said += i != h->index && acked != NULL && *acked >= op;
    }
    if (said >= w->scenario.quorum_replication) return;
    BROKEN(w,
           "I5: op %" PRIu64 " is committed by replica %u, but %u replicas and not %u have "
           "acknowledged it in view %" PRIu64,
           op, h->index, said, w->scenario.quorum_replication, h->seen.view);
}

/** I5: as long as a log is that of a view, it holds what was acknowledged in it. */
static void check_kept(struct world *w, const struct host *h)
{
    const struct ghost_acked *acked = &w->ghost.acked[h->index];

    if (h->seen.status == VSR_STATUS_RECOVERING || h->seen.log_view != acked->view) return;
    if (h->seen.op < acked->op)
        BROKEN(w,
               "I5: replica %u has acknowledged op %" PRIu64 " in view %" PRIu64
               ", and holds the view's log up to op %" PRIu64 " only",
               h->index, acked->op, acked->view, h->seen.op);
}

/** I6, the late half: an older view's commit must be in every view that has started since. */
static void check_later_views(struct world *w, const struct host *h, vsr_op op,
                              vsr_checksum checksum)
{
    const struct ghost *g = &w->ghost;

    if (h->seen.view >= g->view_max) return;
    for (size_t i = 0; i < g->view_count; i++) {
        const struct ghost_view *v = &g->views[i];
        if (v->view <= h->seen.view || op <= v->log_start) continue;
        const uint64_t *there = map_find(&g->view_ops, view_op(w, v->view, op));
        if (op <= v->op && there != NULL && *there == checksum) continue;
        BROKEN(w,
               "I6: op %" PRIu64 " is committed in view %" PRIu64
               " by replica %u, but view %" PRIu64 " has started without it",
               op, h->seen.view, h->index, v->view);
    }
}

static void commit_first(struct world *w, const struct host *h, const struct vsr_prepare *entry)
{
    struct ghost *g = &w->ghost;
    const vsr_op op = entry->entry.op;

    if (op + 1 >= g->op_capacity) {
        g->ops = realloc(g->ops, 2 * g->op_capacity * sizeof *g->ops);
        VSR_ASSERT(g->ops != NULL);
        memset(g->ops + g->op_capacity, 0, g->op_capacity * sizeof *g->ops);
        g->op_capacity *= 2;
    }
    if (entry->entry.parent_checksum != g->ops[op - 1].checksum)
        BROKEN(w, "I12: op %" PRIu64 " committed by replica %u does not follow the one before", op,
               h->index);
    if (entry->entry.timestamp < g->ops[op - 1].timestamp)
        BROKEN(w, "I2: time runs backwards at op %" PRIu64, op);
    check_holders(w, h, op, entry->entry.checksum);
    check_acknowledged(w, h, op);
    check_later_views(w, h, op, entry->entry.checksum);

    const struct reference_outcome outcome = reference_execute(&g->reference, entry);
    if (outcome.repeated > 0)
        BROKEN(w, "I16: op %" PRIu64 " has a request that is not its session's next", op);
    g->commit = op;
    monitor_committed(w);
    g->ops[op] = (struct ghost_op){
        .checksum = entry->entry.checksum,
        .timestamp = entry->entry.timestamp,
        .digest = outcome.digest,
        .results = outcome.results,
        .executed = outcome.executed,
        .view = h->seen.view,
    };
    w->stats.counts[COUNT_COMMITS]++;
    w->stats.counts[COUNT_REQUESTS] += outcome.executed;
}

/** I1: what one replica commits, all commit. */
static void check_commits(struct world *w, const struct host *h, vsr_op from, vsr_op to)
{
    const struct ghost *g = &w->ghost;

    for (vsr_op op = from + 1; op <= to; op++) {
        const struct vsr_prepare *entry = entry_of(h, op);
        if (entry == NULL) {
            /* It came in a snapshot; the machine's digest tells whether it was the right one. */
            if (op > g->commit)
                BROKEN(w, "I1: replica %u has committed op %" PRIu64 " that nobody ever held",
                       h->index, op);
            continue;
        }
        if (op == g->commit + 1) commit_first(w, h, entry);
        if (op > g->commit)
            BROKEN(w, "I1: replica %u commits op %" PRIu64 " before op %" PRIu64, h->index, op,
                   g->commit + 1);
        if (entry->entry.checksum != g->ops[op].checksum)
            BROKEN(w, "I1: replica %u commits another entry at op %" PRIu64 " than the first did",
                   h->index, op);
    }
}

/* Views. */

static void note_started(struct world *w, const struct host *h)
{
    struct ghost *g = &w->ghost;
    const struct vsr_replica_report *now = &h->seen;

    for (vsr_op op = now->log_start + 1; op <= now->op; op++)
        ghost_note_view_op(w, h, now->view, op, entry_of(h, op)->entry.checksum, "the first log");
    /* I6: whatever was committed before is in it. */
    vsr_op commit = g->commit;
    while (commit > 0 && g->ops[commit].view >= now->view)
        commit--; /* A later view may have started already, and gone on. */
    bool is_complete =
        now->op >= commit && (commit <= now->log_start ||
                              entry_of(h, commit)->entry.checksum == g->ops[commit].checksum);
    if (!is_complete)
        BROKEN(w, "I6: view %" PRIu64 " starts without op %" PRIu64 " that is committed", now->view,
               commit);
    if (g->view_count == g->view_capacity) {
        g->view_capacity = g->view_capacity == 0 ? 64 : 2 * g->view_capacity;
        g->views = realloc(g->views, g->view_capacity * sizeof *g->views);
        VSR_ASSERT(g->views != NULL);
    }
    g->views[g->view_count++] =
        (struct ghost_view){.view = now->view, .op = now->op, .log_start = now->log_start};
    if (now->view > g->view_max) g->view_max = now->view;
}

/** I4: the head of a NORMAL replica's log is its view's; equal checksums mean equal logs. */
static void check_head(struct world *w, const struct host *h)
{
    const struct vsr_replica_report *now = &h->seen;

    if (now->op == 0) return;
    if (now->is_primary) {
        ghost_note_view_op(w, h, now->view, now->op, now->head_checksum, "the log");
        return;
    }
    const uint64_t *known = map_find(&w->ghost.view_ops, view_op(w, now->view, now->op));
    bool is_committed =
        now->op <= w->ghost.commit && now->head_checksum == w->ghost.ops[now->op].checksum;
    if (known == NULL && now->op == now->log_start && is_committed) return; /* a snapshot's */
    if (known == NULL || *known != now->head_checksum)
        BROKEN(w, "I4: replica %u holds an entry at op %" PRIu64 " that view %" PRIu64 " %s",
               h->index, now->op, now->view, known == NULL ? "never showed" : "has not there");
}

/** I10, I11, and the end of everything. */
static void check_shape(struct world *w, const struct host *h)
{
    const struct vsr_replica_report *now = &h->seen;

    if (now->status == VSR_STATUS_HALTED && !w->is_beyond && !h->is_deviant)
        BROKEN(w, "replica %u has halted", h->index);
    if (now->applied > now->commit || now->commit > now->op || now->log_start > now->applied)
        BROKEN(w,
               "I10: replica %u: log start %" PRIu64 " applied %" PRIu64 " commit %" PRIu64
               " op %" PRIu64,
               h->index, now->log_start, now->applied, now->commit, now->op);
    if (now->log_view > now->view ||
        (now->status == VSR_STATUS_NORMAL && now->log_view != now->view))
        BROKEN(w, "I11: replica %u is %s in view %" PRIu64 " with the log of view %" PRIu64,
               h->index, vsr_status_name(now->status), now->view, now->log_view);
}

/** I9: nothing runs backwards; I14: the log is frozen between views. */
static void check_changes(struct world *w, const struct host *h,
                          const struct vsr_replica_report *was)
{
    const struct vsr_replica_report *now = &h->seen;

    if (now->view < was->view || now->log_view < was->log_view || now->commit < was->commit ||
        now->applied < was->applied)
        BROKEN(w,
               "I9: replica %u goes back: view %" PRIu64 " to %" PRIu64 ", log view %" PRIu64
               " to %" PRIu64 ", commit %" PRIu64 " to %" PRIu64 ", applied %" PRIu64
               " to %" PRIu64,
               h->index, was->view, now->view, was->log_view, now->log_view, was->commit,
               now->commit, was->applied, now->applied);
    const bool stays_normal = was->status == VSR_STATUS_NORMAL &&
                              now->status == VSR_STATUS_NORMAL && was->view == now->view;
    if (stays_normal && now->op < was->op)
        BROKEN(w, "I9: replica %u cuts its log from op %" PRIu64 " to op %" PRIu64 " within a view",
               h->index, was->op, now->op);
    const bool is_between = was->status == VSR_STATUS_VIEW_CHANGE &&
                            now->status == VSR_STATUS_VIEW_CHANGE &&
                            was->log_view == now->log_view && now->log_view < now->view;
    if (is_between && (was->op != now->op || was->head_checksum != now->head_checksum))
        BROKEN(w,
               "I14: replica %u changes its log from op %" PRIu64 " to op %" PRIu64
               " between views",
               h->index, was->op, now->op);
    const bool was_normal = was->status == VSR_STATUS_NORMAL && was->view == now->view;
    if (was_normal && now->status != VSR_STATUS_NORMAL && now->status != VSR_STATUS_HALTED)
        BROKEN(w, "replica %u was NORMAL in view %" PRIu64 " and is %s in it", h->index, now->view,
               vsr_status_name(now->status));
}

/** A primary that waits for acknowledgements takes so many ops and no more. */
static void check_pipeline(struct world *w, const struct host *h,
                           const struct vsr_replica_report *was)
{
    const struct vsr_replica_report *now = &h->seen;
    const bool serves = was->status == VSR_STATUS_NORMAL && now->status == VSR_STATUS_NORMAL &&
                        was->view == now->view && now->is_primary;

    if (!serves || now->op == was->op) return;
    if (now->op - now->commit > w->scenario.replica.pipeline_max)
        BROKEN(w,
               "4.2: replica %u has op %" PRIu64 " and commit number %" PRIu64
               "; pipeline_max is %u",
               h->index, now->op, now->commit, w->scenario.replica.pipeline_max);
}

void ghost_after_step(struct world *w, struct host *h)
{
    const struct vsr_replica_report was = h->seen;
    const bool had_seen = h->has_seen;
    struct vsr_replica_report *now = &h->seen;

    vsr_replica_report(h->driver.core, now);
    h->has_seen = true;
    /* A snapshot that its machine refuses ends no life. */
    if (!had_seen && h->loads_refused == 0) w->ghost.lives[h->index].is_new = true;
    if (w->has_lied) return;
    check_shape(w, h);
    if (had_seen) {
        check_changes(w, h, &was);
    } else if (now->view < w->ghost.promised[h->index]) {
        BROKEN(w, "I9: replica %u starts in view %" PRIu64 " below its durable view %" PRIu64,
               h->index, now->view, w->ghost.promised[h->index]);
    }
    check_kept(w, h);
    if (had_seen) check_pipeline(w, h, &was);
    const bool is_normal = now->status == VSR_STATUS_NORMAL;
    const bool has_begun = is_normal && (!had_seen || was.status != VSR_STATUS_NORMAL ||
                                         was.log_view != now->log_view);
    if (has_begun && now->is_primary) note_started(w, h);
    if (is_normal && (has_begun || was.op != now->op || was.head_checksum != now->head_checksum))
        check_head(w, h);
    const vsr_op commit_before = had_seen ? was.commit : 0;
    if (now->commit > commit_before) check_commits(w, h, commit_before, now->commit);
    if (!h->is_applying && now->applied != h->machine_op)
        BROKEN(w, "I2: replica %u has applied op %" PRIu64 ", its machine op %" PRIu64, h->index,
               now->applied, h->machine_op);
    if (!had_seen || was.view != now->view || was.status != now->status)
        journal_text(
            &w->journal,
            "%u is %s in view %" PRIu64 ", log view %" PRIu64 ", op %" PRIu64 ", commit %" PRIu64,
            h->index, vsr_status_name(now->status), now->view, now->log_view, now->op, now->commit);
}

void ghost_on_applied(struct world *w, struct host *h, const struct vsr_operation *operations,
                      uint32_t count)
{
    const struct ghost *g = &w->ghost;
    uint64_t results = 0;

    if (w->has_lied || h->is_deviant) return;
    if (h->machine_op > g->commit)
        BROKEN(w, "I2: replica %u executes op %" PRIu64 " that is not committed", h->index,
               h->machine_op);
    const struct ghost_op *op = &g->ops[h->machine_op];
    for (uint32_t i = 0; i < count; i++)
        results = reference_sum(results, operations[i].result);
    if (count != op->executed || results != op->results)
        BROKEN(w, "I16: replica %u executes %u operations at op %" PRIu64 ", the reference %u%s",
               h->index, count, h->machine_op, op->executed,
               count == op->executed ? "; the results differ" : "");
    if (h->machine.digest(h->machine.state) != op->digest)
        BROKEN(w, "I2: the state of replica %u differs from the reference's at op %" PRIu64,
               h->index, h->machine_op);
}

void ghost_on_snapshot(struct world *w, struct host *h, const struct vsr_snapshot *snapshot,
                       bool is_loaded)
{
    struct ghost *g = &w->ghost;

    if (w->has_lied) return;
    if (h->is_deviant) {
        /* Nobody has to notice what is over. */
        if (is_loaded && h->machine.digest(h->machine.state) == g->ops[snapshot->op].digest)
            h->is_deviant = false;
        return;
    }
    if (snapshot->op > g->commit)
        BROKEN(w, "I2: a snapshot at op %" PRIu64 " that is not committed", snapshot->op);
    struct ghost_op *op = &g->ops[snapshot->op];
    /* Nobody can tell before a majority has executed the op: a second one is wrong then. */
    if (is_loaded && w->stats.faults[FAULT_DEVIATION] != 0 &&
        h->machine.digest(h->machine.state) != op->digest) {
        h->is_deviant = w->is_beyond = true;
        return;
    }
    if (op->snapshot == 0) op->snapshot = snapshot->id;
    if (op->snapshot != snapshot->id)
        BROKEN(w, "I2: two snapshots at op %" PRIu64 " differ; the second is replica %u's",
               snapshot->op, h->index);
    if (is_loaded && h->machine.digest(h->machine.state) != op->digest)
        BROKEN(w, "I2: the snapshot at op %" PRIu64 " that replica %u loads has another state",
               snapshot->op, h->index);
}

/** Notes what the replica holds: what it acknowledged still counts for those who heard it. */
void ghost_on_crash(struct world *w, struct host *h)
{
    struct ghost_lost *lost = &w->ghost.lost[h->index];
    const vsr_op start = h->seen.log_start, op = h->seen.op;

    lost->start = start;
    lost->op = op;
    if (op - start > lost->capacity) {
        lost->capacity = op - start;
        lost->checksums = realloc(lost->checksums, lost->capacity * sizeof *lost->checksums);
        VSR_ASSERT(lost->checksums != NULL);
    }
    for (vsr_op i = start + 1; i <= op; i++)
        lost->checksums[i - start - 1] = entry_of(h, i)->entry.checksum;
}

void ghost_check_complete(struct world *w, struct host *h)
{
    const struct ghost *g = &w->ghost;

    if (h->seen.commit < g->commit || h->seen.applied != h->seen.commit)
        BROKEN(w,
               "I7: replica %u ends at commit %" PRIu64 ", applied %" PRIu64 "; %" PRIu64
               " ops were committed",
               h->index, h->seen.commit, h->seen.applied, g->commit);
    if (h->machine.digest(h->machine.state) != g->ops[h->seen.applied].digest && g->commit > 0)
        BROKEN(w, "I2: replica %u ends with another state than the reference", h->index);
}
