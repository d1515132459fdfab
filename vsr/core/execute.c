/**
 * From committed to applied: strictly in op order, on every replica.
 *
 * The state machine belongs to the host, so execution has two halves. vsr_execute() notes the batch
 * in the client table and gives the host the operations with the places of their results, which are
 * the cached replies; vsr_on_applied() answers the clients.
 */
#include "execute.h"

#include "divergence.h"
#include "message.h"
#include "pending.h"
#include "reply.h"
#include "snapshot.h"
#include "state.h"

/** Opens the sessions of a Register op. The core does that itself; the machine sees nothing. */
static void open_sessions(struct vsr_replica *r, const struct vsr_prepare *prepare)
{
    uint32_t offset = sizeof *prepare;

    VSR_ASSERT(prepare->entry.op == r->applied + 1);
    VSR_ASSERT(prepare->header.count <= r->options.sessions_max); /* or two would share a slot */
    for (uint32_t i = 0; i < prepare->header.count; i++) {
        const struct vsr_request *request = request_at(prepare, offset);
        const struct vsr_register *payload =
            (const struct vsr_register *)(const void *)(request + 1);
        VSR_ASSERT(request->kind == VSR_KIND_REGISTER); /* verified as it entered the log */
        VSR_ASSERT(request->payload_bytes == sizeof *payload);
        vsr_client_table_register(&r->clients, payload, prepare->entry.op);
        offset += request_bytes(request);
    }
    VSR_ASSERT(offset == prepare->header.bytes);
    vsr_note_pending_of(r, prepare->entry.op);
}

/** Ends the sessions of a Close op. What the log holds of them behind it is a no-op. */
static void close_sessions(struct vsr_replica *r, const struct vsr_prepare *prepare)
{
    uint32_t offset = sizeof *prepare;

    VSR_ASSERT(prepare->entry.op == r->applied + 1);
    for (uint32_t i = 0; i < prepare->header.count; i++) {
        const struct vsr_request *request = request_at(prepare, offset);
        VSR_ASSERT(request->kind == VSR_KIND_CLOSE);
        if (!vsr_client_table_close(&r->clients, request->session, request->slot))
            r->counters.requests_repeated++;
        offset += request_bytes(request);
    }
    VSR_ASSERT(offset == prepare->header.bytes);
}

/**
 * Notes the requests of an op in the client table and lists those to be executed.
 *
 * A request that is not its session's next one is a no-op: the primary's checks make that
 * impossible, and if it happened all the same, every replica would decide alike, from its log.
 * Returns: how many operations there are; in *is_pending_wrong, whether one of a session that is
 * open was passed over.
 */
static uint32_t list_operations(struct vsr_replica *r, const struct vsr_prepare *prepare,
                                bool *is_pending_wrong)
{
    /* Copies, so that no store in the loop makes the compiler load them again. */
    const struct vsr_client_table clients = r->clients;
    const vsr_op op = prepare->entry.op;
    struct vsr_operation *next = r->operations;
    uint32_t offset = sizeof *prepare;
    uint32_t size = 0;
    bool is_skipped = false;

    VSR_ASSERT(prepare->header.count <= r->options.batch_requests_max);
    for (uint32_t left = prepare->header.count; left > 0; left--) {
        const struct vsr_request *request = request_at(prepare, offset);
        struct vsr_client_entry *entry =
            vsr_client_table_find(&clients, request->session, request->slot);

        __builtin_prefetch((const uint8_t *)request + READ_AHEAD);
        offset = step_over(offset, request_bytes(request), &size);
        if (entry == NULL || request->number != entry->number + 1) {
            r->counters.requests_repeated++;
            is_skipped |= entry != NULL;
            continue;
        }
        entry->number = request->number;
        entry->last_op = op;
        *next++ = (struct vsr_operation){
            .payload = request + 1,
            .result = vsr_client_entry_result(entry),
            .payload_bytes = request->payload_bytes,
        };
    }
    VSR_ASSERT(offset == prepare->header.bytes); /* the requests are what was verified */
    /* Its number was pending, and is no more: the session would wait behind it for ever. */
    *is_pending_wrong = is_skipped;
    return (uint32_t)(next - r->operations);
}

/** One op at a time: its effect's operations and results stay put until VSR_EVENT_APPLIED. */
void vsr_execute(struct vsr_replica *r, struct vsr_effects *out)
{
    if (r->is_applying || r->applied == r->commit) return;
    if (r->checkpoint.is_saving || r->transfer.is_loading) return; /* They go on with it. */
    if (r->status == VSR_STATUS_HALTED) return;

    VSR_ASSERT(r->applied < r->commit);

    const struct vsr_prepare *prepare = vsr_log_at(&r->log, r->applied + 1);
    VSR_ASSERT(prepare->entry.op == r->applied + 1);
    uint32_t count = 0;
    bool is_pending_wrong = false;

    if (prepare->entry.kind == VSR_KIND_REGISTER)
        open_sessions(r, prepare);
    else if (prepare->entry.kind == VSR_KIND_CLOSE)
        close_sessions(r, prepare);
    else
        count = list_operations(r, prepare, &is_pending_wrong);
    r->is_applying = true;
    if (is_pending_wrong && is_serving(r)) vsr_rebuild_pending(r);
    r->operation_count = count;
    r->counters.requests_executed += count;
    struct vsr_effect *effect = effects_next(out, VSR_EFFECT_APPLY);
    effect->op = prepare->entry.op;
    effect->timestamp = prepare->entry.timestamp;
    effect->operations = r->operations;
    effect->count = count;
}

static void answer_register(struct vsr_replica *r, const struct vsr_request *request,
                            struct vsr_effects *out)
{
    const struct vsr_register *payload = (const struct vsr_register *)(const void *)(request + 1);
    uint32_t slot = vsr_client_table_slot_of(&r->clients, payload->client_id);

    /* A Register that was repeated opens nothing, and one beside it in the op may have evicted the
     * session that it had: its client asks again. */
    if (slot == UINT32_MAX) return;
    vsr_reply_registered(r, slot, payload->address, out);
}

/** The slot is free, or was free and has another session of this op's; its address is the closed
 * one's until then. */
static void answer_close(struct vsr_replica *r, const struct vsr_request *request,
                         struct vsr_effects *out)
{
    if (!vsr_client_table_has_left(&r->clients, request->session, request->slot)) return;
    const struct vsr_client_entry *entry = vsr_client_table_at(&r->clients, request->slot);
    if (entry->session == 0) vsr_reply_closed(r, entry->address, request, out);
}

static void answer_clients(struct vsr_replica *r, const struct vsr_prepare *prepare,
                           struct vsr_effects *out)
{
    uint32_t offset = sizeof *prepare;

    VSR_ASSERT(prepare->entry.op == r->applied);
    if (prepare->entry.kind == VSR_KIND_OPERATION) {
        vsr_reply_to_operations(r, out);
        return;
    }
    for (uint32_t i = 0; i < prepare->header.count; i++) {
        const struct vsr_request *request = request_at(prepare, offset);
        if (request->kind == VSR_KIND_REGISTER)
            answer_register(r, request, out);
        else
            answer_close(r, request, out);
        offset += request_bytes(request);
    }
}

/**
 * Whether the state machine has only read. The entry is the log's, and all replicas' of the
 * process: those that execute it later would execute something else.
 */
static inline bool has_left_the_payload_alone(const struct vsr_prepare *prepare)
{
    return vsr_entry_checksum(prepare) == prepare->entry.checksum;
}

/**
 * Counts an op as executed and answers its clients.
 *
 * Source: VRR §4.1 step 6: only the primary answers.
 */
enum vsr_drop vsr_on_applied(struct vsr_replica *r, vsr_op op, struct vsr_effects *out)
{
    VSR_ASSERT(r->is_applying);
    VSR_ASSERT(op == r->applied + 1);
    VSR_ASSERT(op <= r->commit);
    VSR_ASSERT(!r->checkpoint.is_saving); /* a snapshot is of a state that stands still */

    const struct vsr_prepare *prepare = vsr_log_at(&r->log, op);
    VSR_DCHECK(has_left_the_payload_alone(prepare));
    r->is_applying = false;
    r->applied = op;
    vsr_digest_results(r, op);
    vsr_compare_waiting(r, out);
    if (is_serving(r)) answer_clients(r, prepare, out);
    /* Rule 10: at exactly this op, before the next one changes the state; who may not now waits for
     * its next turn. */
    const bool was_wanted = r->checkpoint.is_wanted;
    if (vsr_checkpoint_is_due(r)) r->checkpoint.is_wanted = true;
    if (vsr_checkpoint_save(r, out)) return VSR_DROP_NONE;
    r->checkpoint.is_wanted = was_wanted;
    vsr_execute(r, out);
    return VSR_DROP_NONE;
}
