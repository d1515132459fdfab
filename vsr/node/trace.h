/**
 * The trace that VSR_LOG asks for: lines on stderr. The log is the replicated one.
 */
#ifndef VSR_NODE_TRACE_H
#define VSR_NODE_TRACE_H

#include <vsr/message.h>
#include <vsr/notice.h>

/** A line of a message, if VSR_LOG asks for its type; direction "<-" or "->". Threads: any. */
void vsr_node_trace_message(uint32_t replica, const char *direction, const struct vsr_header *m);
/** A line of a notice; the caller has looked at the level. Threads: any. */
void vsr_node_trace_notice(uint32_t replica, enum vsr_notice notice, uint32_t about, vsr_op op);
/** A line of something else that a replica goes through. Likewise. */
void vsr_node_trace_event(uint32_t replica, const char *what);

#endif
