/**
 * Buffers that are messages. See buffers.h.
 */
#include "buffers.h"

#include "../core/assert.h"
#include "messages.h"

static bool take(void *context, uint32_t bytes, struct vsr_buffer *out)
{
    struct act_message *m = act_message_create(NODE_MESSAGE, bytes);

    (void)context;
    VSR_ASSERT(bytes >= sizeof(struct vsr_header));
    if (m == NULL) return false;
    *out = (struct vsr_buffer){.header = m->body, .handle = m};
    return true;
}

static void *ref(void *context, void *handle)
{
    (void)context;
    return act_message_ref(handle);
}

static void unref(void *context, void *handle)
{
    (void)context;
    act_message_unref(handle);
}

const struct vsr_buffers vsr_node_buffers = {.take = take, .ref = ref, .unref = unref};

struct act_message *vsr_node_message(const struct vsr_buffer *buffer)
{
    struct act_message *m = buffer->handle;

    VSR_ASSERT(m != NULL);
    VSR_ASSERT(m->body == buffer->header);
    VSR_DCHECK(buffer->header->bytes <= act_message_capacity(m));
    m->body_bytes = buffer->header->bytes;
    return m;
}
