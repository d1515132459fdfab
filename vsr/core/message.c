/**
 * Making and checking messages.
 */
#include "message.h"

#include "state.h"

const char *vsr_message_name(uint8_t type)
{
    static const char *const names[VSR_MESSAGE_COUNT] = {[VSR_MESSAGE_NONE] = "?",
#define X(name, text) [VSR_##name] = text,
                                                         VSR_MESSAGES(X)
#undef X
    };
    return type < VSR_MESSAGE_COUNT ? names[type] : "?";
}

bool vsr_take_message(struct vsr_replica *r, enum vsr_message_type type, uint32_t bytes,
                      uint32_t capacity, struct vsr_buffer *out)
{
    const struct vsr_replica_options *o = &r->options;

    VSR_ASSERT(bytes >= sizeof(struct vsr_header) && bytes <= capacity);
    if (!o->buffers.take(o->buffers.context, capacity, out)) return false;
    *out->header = (struct vsr_header){
        .magic = VSR_MAGIC,
        .version = VSR_VERSION,
        .type = (uint8_t)type,
        .to = VSR_TO_ALL,
        .cluster = o->cluster,
        .view = r->view,
        .from = o->replica,
        .epoch = r->epoch,
        .from_incarnation = o->incarnation,
        .bytes = bytes,
    };
    return true;
}

bool vsr_requests_are_well_formed(const struct vsr_header *header, uint32_t offset)
{
    const uint32_t end = header->bytes;
    uint32_t size = 0;

    for (uint32_t left = header->count; left > 0; left--) {
        if (end - offset < sizeof(struct vsr_request)) return false;
        const struct vsr_request *request = request_at(header, offset);
        __builtin_prefetch((const uint8_t *)request + READ_AHEAD);
        if (request_bytes(request) > end - offset) return false;
        if (request->kind != VSR_KIND_OPERATION &&
            (request->kind != VSR_KIND_REGISTER ||
             request->payload_bytes != sizeof(struct vsr_register)))
            return false;
        offset = step_over(offset, request_bytes(request), &size);
    }
    return offset == end;
}
