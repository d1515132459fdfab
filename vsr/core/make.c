/**
 * Making messages.
 */
#include "make.h"

#include "state.h"

void *vsr_make(struct vsr_replica *r, enum vsr_message_type type, uint32_t bytes, uint32_t capacity,
               struct vsr_buffer *out)
{
    const struct vsr_replica_options *o = &r->options;

    VSR_ASSERT(type > VSR_MESSAGE_NONE && type < VSR_MESSAGE_COUNT);
    VSR_ASSERT(bytes >= sizeof(struct vsr_header) && bytes <= capacity);
    if (!o->buffers.take(o->buffers.context, capacity, out)) return NULL;
    *out->header = (struct vsr_header){
        .magic = VSR_MAGIC,
        .version = VSR_VERSION,
        .type = (uint8_t)type,
        .to = VSR_TO_ALL,
        .cluster = o->cluster,
        .view = r->view,
        .from = r->members.self,
        .epoch = r->members.epoch,
        .from_incarnation = o->incarnation,
        .bytes = bytes,
    };
    return out->header;
}
