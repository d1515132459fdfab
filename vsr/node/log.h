/**
 * VSR_LOG: lines on stderr.
 */
#ifndef VSR_NODE_LOG_H
#define VSR_NODE_LOG_H

#include <vsr/message.h>
#include <vsr/notice.h>

void vsr_node_log_message(uint32_t replica, const char *direction, const struct vsr_header *m);
void vsr_node_log_notice(uint32_t replica, enum vsr_notice notice, uint32_t about, vsr_op op);
void vsr_node_log_event(uint32_t replica, const char *what);

#endif
