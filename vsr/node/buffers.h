/**
 * Buffers of the protocol that are messages of the runtime.
 */
#ifndef VSR_NODE_BUFFERS_H
#define VSR_NODE_BUFFERS_H

#include <act/message.h>
#include <vsr/message.h>
#include <vsr/types.h>

/** Buffers that are actor messages. */
extern const struct vsr_buffers vsr_node_buffers;
/** The actor message of a finished protocol message; its body is what a bridge writes to a wire. */
struct act_message *vsr_node_message(const struct vsr_buffer *buffer);

#endif
