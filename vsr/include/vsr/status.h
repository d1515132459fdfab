/**
 * What became of an operation: the statuses of answers and calls.
 */
#ifndef VSR_STATUS_H
#define VSR_STATUS_H

#include <vsr/types.h>

#include <errno.h>
#include <stdbool.h>

VSR_DECLARATIONS_BEGIN

/**
 * Status, whether the operation may have been executed, text: what an answer or a call says.
 *
 * One that was never executed may be sent again. One that is unknown was executed once or not at
 * all, and nobody can tell which from here.
 */
#define VSR_STATUSES(X)                                                                            \
    X(0, true, "executed; the result is there")                                                    \
    X(-EAGAIN, false,                                                                              \
      "never executed: too many operations wait, or a mailbox is full; send it "                   \
      "again later")                                                                               \
    X(-ENOMEM, false, "never executed: the message pool is at its bound; send it again later")     \
    X(-EMSGSIZE, false, "never executed: the operation is longer than the cluster's op_bytes_max") \
    X(-EINVAL, false, "never executed: an argument is wrong")                                      \
    X(-ECANCELED, false,                                                                           \
      "never executed: the service stops or has stopped, or the call's time "                      \
      "was over before a session was free")                                                        \
    X(-ENOTRECOVERABLE, false,                                                                     \
      "never executed: the cluster has lost too many replicas at once "                            \
      "and is gone for good")                                                                      \
    X(-ECONNRESET, true, "unknown: the session was evicted, or the service ended meanwhile")       \
    X(-ETIMEDOUT, true, "unknown: no answer came in time")                                         \
    X(-EOWNERDEAD, true,                                                                           \
      "unknown: the cluster has lost too many replicas at once and is gone "                       \
      "for good")

/**
 * Whether an operation with this status may have been executed.
 *
 * Threads: any. Returns: false when it never was and never will be; true for 0, and for a status
 * that is not in the list.
 */
bool vsr_status_may_be_executed(int status);

/** The text of a status in the list; "?" for another. Threads: any. */
const char *vsr_status_text(int status);

VSR_DECLARATIONS_END

#endif
