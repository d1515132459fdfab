/**
 * A request may come in through any replica: rule 5.7 of DESIGN.md.
 *
 * The client table of a backup is that of its executed prefix, which is committed: what it says of
 * a request stays true whatever the primary does. So a client whose words to the primary, or the
 * primary's words to it, are lost, is served all the same. Source: VRR §4.1 step 2; rule 4.1.
 */
#include "forward.h"

#include "make.h"
#include "message.h"
#include "reply.h"
#include "state.h"

#include <string.h>

/** Answers a Register whose session is open. Returns false when the primary has to see it. */
static bool answer_register(struct vsr_replica *r, const struct vsr_request *request,
                            struct vsr_effects *out)
{
    const struct vsr_register *payload = (const struct vsr_register *)(const void *)(request + 1);
    const uint32_t slot = vsr_client_table_slot_of(&r->clients, payload->client_id);

    VSR_ASSERT(request->payload_bytes == sizeof *payload); /* its kind has this size */
    if (slot == UINT32_MAX) return false;
    vsr_reply_registered(r, slot, payload->address, out);
    return true;
}

/** Answers what the table knows of a request. Returns false when the primary has to see it. */
static bool answer(struct vsr_replica *r, vsr_address client, const struct vsr_request *request,
                   struct vsr_effects *out)
{
    if (request->kind == VSR_KIND_REGISTER) return answer_register(r, request, out);

    const struct vsr_client_entry *entry =
        request->session != 0 ? vsr_client_table_find(&r->clients, request->session, request->slot)
                              : NULL;
    if (entry == NULL) {
        if (request->session > r->applied) return false; /* Not executed here yet, or never. */
        vsr_reply_evicted(r, client, request, out);
        return true;
    }
    if (request->kind != VSR_KIND_OPERATION || request->number > entry->number) return false;
    /* The result of an op that is being applied is not there yet. */
    if (request->number < entry->number || request->number == 0 || entry->last_op > r->applied)
        return true;
    vsr_reply_from_table(r, request->slot, out);
    return true;
}

/** Appends a request to the message for the primary. Without a buffer it is lost, as on a network.
 */
static void append(struct vsr_replica *r, const struct vsr_header *m, struct vsr_buffer *buffer,
                   const struct vsr_request *request)
{
    if (buffer->header == NULL) {
        if (vsr_make_requests(r, sizeof(struct vsr_requests), m->bytes, buffer) == NULL) {
            drop(r, VSR_DROP_NO_BUFFER);
            return;
        }
        buffer->header->from = m->from;
        /* To one replica: whoever receives it does not pass it on again. */
        buffer->header->to = (uint8_t)r->primary;
    }
    const uint32_t bytes = request_bytes(request);
    VSR_ASSERT(buffer->header->bytes + bytes <= m->bytes);
    VSR_ASSERT(buffer->header->count < m->count);
    memcpy((uint8_t *)buffer->header + buffer->header->bytes, request, bytes);
    buffer->header->bytes += bytes;
    buffer->header->count++;
}

static void redirect(struct vsr_replica *r, vsr_address client, struct vsr_effects *out)
{
    struct vsr_buffer buffer;

    if (vsr_make_not_primary(r, &buffer) != NULL) effects_send_client(out, client, buffer);
}

enum vsr_drop vsr_pass_on(struct vsr_replica *r, const struct vsr_header *m,
                          struct vsr_effects *out)
{
    const bool may_forward = m->to == VSR_TO_ALL && !r->in_view.is_primary_silent;
    struct vsr_buffer buffer = {0};

    VSR_ASSERT(m->type == VSR_REQUEST);
    VSR_ASSERT(r->replies_open == 0); /* a backup's are flushed in the step that opens them */
    VSR_ASSERT(r->status == VSR_STATUS_NORMAL);
    VSR_ASSERT(!is_primary(r));
    for (uint32_t offset = sizeof *m; offset < m->bytes;
         offset += request_bytes(request_at(m, offset))) {
        const struct vsr_request *request = request_at(m, offset);
        if (answer(r, m->from, request, out))
            drop(r, VSR_DROP_ANSWERED);
        else if (may_forward)
            append(r, m, &buffer, request);
    }
    if (buffer.header != NULL) effects_send(out, primary_mask(r), buffer);
    vsr_flush_replies(r, out); /* Here and not at the turn's end: that is for every turn. */
    redirect(r, m->from, out);
    return VSR_DROP_NOT_PRIMARY;
}
