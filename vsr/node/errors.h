/**
 * Errors whose text is always filled.
 */
#ifndef VSR_NODE_ERRORS_H
#define VSR_NODE_ERRORS_H

#include <vsr/types.h>

/** Fills in *why (may be NULL): an option, and all of it in words. Returns error. */
__attribute__((format(printf, 4, 5))) int
vsr_node_explain(struct vsr_error *why, const char *option, int error, const char *format, ...);

/** Fills in the text of an error that a call ends with, if nobody has. Zeroed at its beginning. */
void vsr_node_error_finish(struct vsr_error *why, int error);

#endif
