/**
 * A snapshot, {client table, state machine} at one op: when it is saved, what its bytes are.
 *
 * Source: VRR §5.1; rule 10 of DESIGN.md.
 */
#include "snapshot.h"

#include "checksum.h"
#include "say.h"
#include "state.h"

/** What a snapshot begins with. */
struct snapshot_head {
    uint64_t magic;
    uint64_t op;
    uint64_t checksum;
    uint64_t timestamp;
    uint32_t epoch;
    uint32_t slots;
    uint32_t free; /* vsr_client_table.free */
    uint32_t reserved;
    uint64_t evictions;
    uint64_t requests_executed;
    uint64_t requests_repeated;
    uint64_t digest; /* of the results of all ops up to it */
};

/** A slot in a snapshot; result_bytes bytes of its cached reply follow. */
struct snapshot_session {
    uint64_t client_id[2];
    uint64_t session; /* 0: a free slot */
    uint64_t number;
    uint64_t last_op;
    uint64_t address;
    uint64_t past_session;
    uint64_t past_number;
    uint32_t result_bytes;
    uint32_t next_free;
};

#define SNAPSHOT_MAGIC 0x31544F4853525356ull /* "VSRSHOT1" */

void vsr_entry_at_applied(const struct vsr_replica *r, vsr_checksum *checksum, uint64_t *timestamp)
{
    VSR_ASSERT(r->log.start <= r->applied);
    VSR_ASSERT(r->applied <= r->log.op);
    if (r->applied == r->log.start) {
        *checksum = r->log.start_checksum;
        *timestamp = r->log.start_timestamp;
    } else {
        *checksum = vsr_log_at(&r->log, r->applied)->entry.checksum;
        *timestamp = vsr_log_at(&r->log, r->applied)->entry.timestamp;
    }
}

vsr_checksum vsr_snapshot_id(uint64_t cluster, const void *bytes, size_t count)
{
    return vsr_checksum_of(vsr_checksum_seed(cluster), bytes, count);
}

/** Whether the list of free slots holds each of them once. */
static bool is_free_list_whole(const struct vsr_client_table *table)
{
    uint32_t count = 0;
    uint32_t listed = 0;

    for (uint32_t slot = 0; slot < table->count; slot++)
        count += vsr_client_table_at(table, slot)->session == 0;
    for (uint32_t next = table->free; next != 0 && listed <= count; listed++) {
        VSR_ASSERT(next <= table->count); /* of our own, or as load_session() has let it in */
        const struct vsr_client_entry *entry = vsr_client_table_at(table, next - 1);
        if (entry->session != 0) return false;
        next = entry->next_free;
    }
    return listed == count;
}

bool vsr_replica_save(const struct vsr_replica *r, vsr_snapshot_write write, void *stream)
{
    struct snapshot_head head = {
        .magic = SNAPSHOT_MAGIC,
        .op = r->applied,
        .epoch = r->members.epoch,
        .slots = r->clients.count,
        .free = r->clients.free,
        .evictions = r->clients.evictions,
        .requests_executed = r->counters.requests_executed,
        .requests_repeated = r->counters.requests_repeated,
        .digest = r->divergence.digest,
    };

    /* What vsr_replica_load asks of a head and its slots, here and in the loop. */
    VSR_ASSERT(!r->is_applying);
    VSR_ASSERT(head.slots <= r->options.sessions_max);
    VSR_ASSERT(head.free <= head.slots);
    VSR_DCHECK(is_free_list_whole(&r->clients));
    vsr_entry_at_applied(r, &head.checksum, &head.timestamp);
    if (!write(stream, &head, sizeof head)) return false;
    for (uint32_t slot = 0; slot < r->clients.count; slot++) {
        struct vsr_client_entry *entry = vsr_client_table_at(&r->clients, slot);
        const struct snapshot_session session = {
            .client_id = {r->clients.ids[slot][0], r->clients.ids[slot][1]},
            .session = entry->session,
            .number = entry->number,
            .last_op = entry->last_op,
            .address = entry->address,
            .past_session = r->clients.past[slot].session,
            .past_number = r->clients.past[slot].number,
            .result_bytes = entry->result_bytes,
            .next_free = entry->session == 0 ? entry->next_free : 0,
        };
        VSR_ASSERT(session.result_bytes <= r->options.result_bytes_max);
        VSR_ASSERT(session.next_free <= head.slots);
        VSR_ASSERT(session.session <= session.last_op || session.session == 0);
        VSR_ASSERT(session.last_op <= head.op || session.session == 0);
        VSR_ASSERT(session.result_bytes == 0 || session.session != 0);
        VSR_ASSERT(session.session != 0 ? session.past_session < session.session
                                        : session.past_session != 0);
        if (!write(stream, &session, sizeof session) ||
            !write(stream, vsr_client_entry_result(entry)->data, entry->result_bytes))
            return false;
    }
    return true;
}

/** Loads a slot, if it is one of a replica that has executed `head->op`. */
static bool load_session(struct vsr_replica *r, const struct snapshot_head *head,
                         vsr_snapshot_read read, void *stream)
{
    struct snapshot_session session;

    VSR_ASSERT(r->clients.count < head->slots);
    if (!read(stream, &session, sizeof session)) return false;
    if (session.result_bytes > r->options.result_bytes_max || session.next_free > head->slots)
        return false;
    if (session.session != 0 && (session.session > session.last_op || session.last_op > head->op))
        return false;
    /* A slot had an older session before, and a free one had a session at all. */
    if (session.session != 0 ? session.past_session >= session.session : session.past_session == 0)
        return false;
    const struct vsr_register opening = {
        .client_id = {session.client_id[0], session.client_id[1]},
        .address = session.address,
    };
    const uint32_t slot = r->clients.count;
    struct vsr_client_entry *entry =
        vsr_client_table_restore(&r->clients, &opening, session.session);
    if (entry == NULL) return false;
    VSR_ASSERT(r->clients.count == slot + 1);
    VSR_ASSERT(entry->session == session.session);
    r->clients.past[slot] = (struct vsr_client_past){session.past_session, session.past_number};
    entry->last_op = session.last_op;
    entry->address = session.address;
    if (session.session == 0) {
        entry->next_free = session.next_free;
        return session.result_bytes == 0;
    }
    entry->number = entry->pending = session.number;
    entry->result_bytes = session.result_bytes;
    return read(stream, vsr_client_entry_result(entry)->data, session.result_bytes);
}

bool vsr_replica_load(struct vsr_replica *r, vsr_snapshot_read read, void *stream)
{
    struct snapshot_head head;

    VSR_ASSERT(!r->is_applying);
    VSR_ASSERT(!r->checkpoint.is_saving);
    if (!read(stream, &head, sizeof head)) return false;
    if (head.magic != SNAPSHOT_MAGIC || head.slots > r->options.sessions_max ||
        head.free > head.slots)
        return false;
    /* Whoever sent it has said which op it is of. */
    if (r->transfer.is_loading &&
        (head.op != r->transfer.snapshot.op || head.checksum != r->transfer.snapshot_checksum))
        return false;
    if (head.epoch != r->members.epoch) return false;
    r->transfer.has_touched_state = true; /* From here on there is no way back to the old one. */
    vsr_client_table_clear(&r->clients);
    for (uint32_t i = 0; i < head.slots; i++)
        if (!load_session(r, &head, read, stream)) return false;
    VSR_ASSERT(r->clients.count == head.slots);
    VSR_ASSERT(r->clients.open <= r->clients.count);
    r->clients.free = head.free;
    if (!is_free_list_whole(&r->clients)) return false;
    r->clients.evictions = head.evictions;
    r->counters.requests_executed = head.requests_executed;
    r->counters.requests_repeated = head.requests_repeated;
    r->divergence.digest = head.digest;
    r->transfer.snapshot_timestamp = head.timestamp;
    return true;
}

bool vsr_checkpoint_is_due(const struct vsr_replica *r)
{
    const uint32_t every = r->options.checkpoint_ops;

    return every != 0 && r->applied % every == 0 &&
           r->applied / every % r->members.count == r->members.self;
}

/**
 * Whether this is a time for a snapshot: none replaces one that is being sent, and one replica at a
 * time saves one, so that a quorum goes on.
 */
static bool may_save(const struct vsr_replica *r)
{
    for (uint32_t i = 0; i < r->members.count; i++) {
        const struct vsr_hold *hold = &r->peers.holds[i];
        bool is_being_sent = hold->ticks > 0 && hold->at != HOLD_LOG && hold->op >= r->log.start;
        if (is_being_sent || r->peers.away[i] > 0) return false;
    }
    return true;
}

bool vsr_checkpoint_save(struct vsr_replica *r, struct vsr_effects *out)
{
    struct vsr_checkpoint *c = &r->checkpoint;

    if (!c->is_wanted || c->is_saving || r->is_applying || r->transfer.is_loading) return false;
    if (r->status == VSR_STATUS_RECOVERING || r->status == VSR_STATUS_HALTED) return false;
    if (!may_save(r)) return false;
    VSR_ASSERT(r->status != VSR_STATUS_STARTING);
    VSR_ASSERT(r->applied > 0); /* nobody wants one of nothing */
    VSR_ASSERT(r->applied >= c->snapshot.op);
    c->is_wanted = false;
    vsr_send_away(r, out);
    c->is_saving = true;
    effects_next(out, VSR_EFFECT_SAVE)->snapshot = (struct vsr_snapshot){.op = r->applied};
    return true;
}
