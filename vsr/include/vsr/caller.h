/**
 * Callers: how a thread that is not a worker calls a service, blocking or not.
 *
 * A caller is a port of its own (act/port.h): it belongs to the thread that opened it, and a thread
 * has one at most. A runtime has ports_max of them (act_runtime_options; 8 by default, 64 at most),
 * and functions of a cluster that are called from a thread without a port use one for the call:
 * leave room for that.
 *
 * Every operation that was accepted gets an answer: the service's, or, when the service ends
 * without one, -ECONNRESET (-ECANCELED when it had ended before the caller was opened). The
 * statuses are those of VSR_STATUSES in vsr/status.h; what they say of the operation is there too.
 *
 * A caller in the hands of another thread than its own, or NULL, is an error of the program: it
 * ends with the function's name.
 */
#ifndef VSR_CALLER_H
#define VSR_CALLER_H

#include <vsr/service.h>

VSR_DECLARATIONS_BEGIN

struct vsr_caller;

/** Sends of one caller that have no answer received yet; more are refused. */
enum { VSR_CALLER_SENDS_MAX = 1024 };

/**
 * Opens a caller for the calling thread.
 *
 * Ownership: gives the caller *caller, to be closed by the same thread before the runtime stops.
 * Threads:   a thread that is not a worker and has no port.
 * Returns:   0; -EDEADLK on a worker; -EBUSY when the thread has a port or a caller; -EAGAIN when
 *            ports_max are open; -EINVAL for a NULL argument; -ENOMEM; another error of
 *            act_port_open.
 */
int vsr_caller_open(struct act_runtime *runtime, act_id service,
                    struct vsr_caller **caller) VSR_MUST_CHECK;

/**
 * Closes it. Answers that were not received are gone.
 *
 * Ownership: takes caller.
 * Threads:   its own.
 */
void vsr_caller_close(struct vsr_caller *caller);

/**
 * Executes one operation and waits for its result.
 *
 * When the time is over before a session was free, the service forgets the operation.
 *
 * Ownership: borrows payload; writes to result.
 * Threads:   its own; blocks.
 * Shape:     *result_bytes is the room in result, then the result's size (the rest is cut off); 0
 *            unless the operation was executed. result may be NULL when there is no room, and
 *            result_bytes when nobody asks. timeout_ns UINT64_MAX waits for as long as it takes.
 * Returns:   a status of VSR_STATUSES: 0; never executed: -EAGAIN, -ENOMEM, -EMSGSIZE, -EINVAL,
 *            -ECANCELED (at once when the service is known to have ended), -ENOTRECOVERABLE;
 *            unknown: -ETIMEDOUT, -ECONNRESET, -EOWNERDEAD.
 */
int vsr_caller_call(struct vsr_caller *caller, const void *payload, uint32_t payload_bytes,
                    void *result, uint32_t *result_bytes, uint64_t timeout_ns) VSR_MUST_CHECK;

/**
 * Sends an operation without waiting.
 *
 * Ownership: borrows payload.
 * Threads:   its own. Does not block.
 * Returns:   0 and its number in *ticket: there will be an answer; -EAGAIN when
 *            VSR_CALLER_SENDS_MAX have no answer received; -ECANCELED when the service is known to
 *            have ended; -EINVAL for a NULL ticket; otherwise as vsr_service_send.
 */
int vsr_caller_send(struct vsr_caller *caller, const void *payload, uint32_t payload_bytes,
                    uint64_t *ticket) VSR_MUST_CHECK;

/**
 * Waits for the next answer to a vsr_caller_send, in the order they come.
 *
 * Threads: its own; blocks.
 * Shape:   as vsr_caller_call; ticket is not NULL. timeout_ns 0 only looks.
 * Returns: the operation's status, with its number in *ticket; -ETIMEDOUT and *ticket 0 when no
 *          answer came in time; -ENOENT and *ticket 0, at once, when nothing is outstanding.
 */
int vsr_caller_receive(struct vsr_caller *caller, uint64_t *ticket, void *result,
                       uint32_t *result_bytes, uint64_t timeout_ns) VSR_MUST_CHECK;

VSR_DECLARATIONS_END

#endif
