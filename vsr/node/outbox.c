/**
 * Outboxes. See outbox.h.
 */
#include "outbox.h"

#include "../core/assert.h"

#include <act/message.h>

#include <errno.h>
#include <stdlib.h>

/** A message of this size is work for its receiver that should begin while this turn goes on. */
enum { LARGE_BYTES = 2048 };

static int send_plainly(void *context, act_id to, struct act_message *m)
{
    (void)context;
    return act_send(to, m);
}

int vsr_node_outbox_init(struct vsr_node_outbox *outbox,
                         int (*send)(void *context, act_id to, struct act_message *m),
                         void *send_context)
{
    *outbox = (struct vsr_node_outbox){
        .parcels = calloc(OUTBOX_MAX, sizeof *outbox->parcels),
        .send = send != NULL ? send : send_plainly,
        .send_context = send_context,
    };
    return outbox->parcels != NULL ? 0 : -ENOMEM;
}

void vsr_node_outbox_clear(struct vsr_node_outbox *outbox)
{
    VSR_ASSERT(outbox->count <= OUTBOX_MAX);
    for (uint32_t i = 0; i < outbox->count; i++)
        act_message_unref(outbox->parcels[i].message);
    outbox->count = 0;
}

void vsr_node_outbox_deinit(struct vsr_node_outbox *outbox)
{
    vsr_node_outbox_clear(outbox);
    free(outbox->parcels);
}

void vsr_node_outbox_send(struct vsr_node_outbox *outbox, act_id to, struct act_message *m)
{
    VSR_ASSERT(m != NULL);
    VSR_ASSERT(outbox->send != NULL);
    VSR_ASSERT(outbox->parcels != NULL);
    VSR_ASSERT(outbox->count <= OUTBOX_MAX);
    const bool is_large = m->body_bytes >= LARGE_BYTES;

    if (outbox->send(outbox->send_context, to, m) == 0) {
        if (is_large) act_flush();
        return;
    }
    if (outbox->count == OUTBOX_MAX) {
        outbox->dropped++;
        act_message_unref(m);
        return;
    }
    if (outbox->count == 0 && act_await_room(to) != 0) {
        /* Without the notice the next tick tries again. */
    }
    outbox->parcels[outbox->count++] = (struct vsr_node_parcel){.to = to, .message = m};
}

void vsr_node_outbox_retry(struct vsr_node_outbox *outbox)
{
    uint32_t kept = 0;

    VSR_ASSERT(outbox->count <= OUTBOX_MAX);
    for (uint32_t i = 0; i < outbox->count; i++) {
        struct vsr_node_parcel parcel = outbox->parcels[i];
        if (outbox->send(outbox->send_context, parcel.to, parcel.message) != 0)
            outbox->parcels[kept++] = parcel;
    }
    VSR_ASSERT(kept <= outbox->count);
    outbox->count = kept;
    if (kept > 0 && act_await_room(outbox->parcels[0].to) != 0) {
        /* As above. */
    }
}
