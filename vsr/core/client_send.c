/**
 * Filling Request messages. See client_send.h.
 */
#include "client_send.h"

void vsr_client_close_request(struct vsr_open_request *open, struct vsr_client_effects *out)
{
    if (open->buffer.header == NULL) return;
    VSR_ASSERT(open->count > 0);
    VSR_ASSERT(open->to != 0);
    VSR_ASSERT(open->bytes > sizeof(struct vsr_header));
    open->buffer.header->bytes = open->bytes;
    open->buffer.header->count = open->count;
    struct vsr_client_effect *effect = client_effects_next(out, VSR_CLIENT_SEND, 0);
    effect->buffer = open->buffer;
    effect->to = open->to;
    open->buffer = (struct vsr_buffer){0};
}

static bool open_request(struct vsr_client *c, struct vsr_open_request *open, uint32_t bytes)
{
    const struct vsr_client_options *o = &c->options;
    uint32_t header = sizeof(struct vsr_header);
    uint32_t capacity = o->requests_per_message == 1 ? header + bytes : o->request_bytes_max;

    VSR_ASSERT(open->buffer.header == NULL);
    VSR_ASSERT(header + bytes <= o->request_bytes_max);
    if (!o->buffers.take(o->buffers.context, capacity, &open->buffer)) return false;
    *open->buffer.header = (struct vsr_header){
        .magic = VSR_MAGIC,
        .version = VSR_VERSION,
        .type = VSR_REQUEST,
        .to = VSR_TO_ALL,
        .cluster = o->cluster,
        .view = c->view_hint,
        .from = o->address,
    };
    open->bytes = header;
    open->count = 0;
    return true;
}

bool vsr_client_make_room(struct vsr_client *c, struct vsr_open_request *open, uint32_t bytes,
                          struct vsr_client_effects *out)
{
    vsr_client_close_request(open, out);
    return open_request(c, open, bytes);
}

void vsr_client_send(struct vsr_client *c, struct vsr_session *s, struct vsr_client_effects *out)
{
    VSR_ASSERT(is_outstanding(s));
    client_send_first(c, s, out);
}

void vsr_client_retry(struct vsr_client *c, struct vsr_session *s, struct vsr_client_effects *out)
{
    uint32_t doublings =
        s->attempts < c->options.retry_doublings ? s->attempts : c->options.retry_doublings;
    VSR_ASSERT(is_outstanding(s));
    VSR_ASSERT(s->due_tick <= c->tick);
    s->attempts++;
    c->report.retries++;
    client_set_due(c, s, (uint64_t)c->options.retry_ticks << doublings);
    client_append(c, &c->again, s, out);
}
