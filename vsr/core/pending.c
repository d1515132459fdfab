/**
 * The pending numbers: which request of each session the log holds and nobody has executed yet.
 *
 * A pure function of the log's suffix, kept by the primary as it appends, rebuilt whenever another
 * log takes the place of its own. Source: rule 5.2 of DESIGN.md.
 */
#include "pending.h"

#include "message.h"
#include "state.h"

/** Notes `count` requests of a batch; of one session, or of all (0). */
static void note_requests(struct vsr_replica *r, const void *batch, uint32_t count,
                          vsr_session session)
{
    uint32_t offset = sizeof(struct vsr_prepare);

    for (uint32_t i = 0; i < count; i++) {
        const struct vsr_request *request = request_at(batch, offset);
        offset += request_bytes(request);
        if (request->kind != VSR_KIND_OPERATION) continue;
        if (session != 0 && request->session != session) continue;
        struct vsr_client_entry *entry =
            vsr_client_table_find(&r->clients, request->session, request->slot);
        if (entry != NULL && request->number > entry->pending) entry->pending = request->number;
    }
}

/** Notes the requests that the log holds after `op`; of one session, or of all (0). */
static void note_pending(struct vsr_replica *r, vsr_op op, vsr_session session)
{
    VSR_ASSERT(op >= r->log.start); /* or the log lacks some of them */
    while (++op <= r->log.op) {
        const struct vsr_prepare *prepare = vsr_log_at(&r->log, op);
        note_requests(r, prepare, prepare->header.count, session);
    }
}

void vsr_rebuild_pending(struct vsr_replica *r)
{
    VSR_ASSERT(is_serving(r)); /* a backup's log has numbers that nobody asks for */
    VSR_ASSERT(r->log.start <= r->applied);

    for (uint32_t slot = 0; slot < r->clients.count; slot++) {
        struct vsr_client_entry *entry = vsr_client_table_at(&r->clients, slot);
        if (entry->session != 0) entry->pending = entry->number;
    }
    note_pending(r, r->applied + (r->is_applying ? 1 : 0), 0);
    if (r->batch.buffer.header != NULL) note_requests(r, r->batch.buffer.header, r->batch.count, 0);
}

void vsr_note_pending_of(struct vsr_replica *r, vsr_op opened)
{
    VSR_ASSERT(opened == r->applied + 1); /* it is being executed */
    VSR_ASSERT(!r->is_applying);
    if (is_serving(r) && opened < r->in_view.view_start_op) note_pending(r, opened, opened);
}
