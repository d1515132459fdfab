/**
 * Descriptors: an actor registers one with its worker and gets its readiness as a message.
 *
 * One message for each time that it asks: act_poll_start asks, act_poll_again asks anew, so that a
 * descriptor that stays ready never floods a mailbox. The worker looks at its descriptors when it
 * is idle, and while it is busy as often as at its timers. A registration ends with its actor.
 *
 * Threads: only from a handler, and each registration from its own actor's.
 */
#ifndef ACT_POLL_H
#define ACT_POLL_H

#include <act/types.h>

#include <stdbool.h>

ACT_DECLARATIONS_BEGIN

/** What to wait for, and what has come. HANGUP and ERROR come without being asked for. */
enum {
    ACT_POLL_IN = 1,
    ACT_POLL_OUT = 2,
    ACT_POLL_HANGUP = 4, /* the other side has closed, for reading at least */
    ACT_POLL_ERROR = 8,
};

/** Names a registration of the running actor; 0 is none. */
typedef uint64_t act_poll;

struct act_poll_options {
    int fd;          /* non-blocking; stays the caller's, who stops polling before he closes it */
    uint32_t events; /* ACT_POLL_IN, ACT_POLL_OUT or both */
    uint32_t type;   /* of the message, below ACT_TYPE_SYSTEM */
    uint64_t cookie; /* given back in the message */
};

/** The body of the message. */
struct act_readiness {
    act_poll poll;
    uint64_t cookie;
    int32_t fd;
    uint32_t events; /* that have come */
};

/**
 * Registers a descriptor and asks for one message once it is ready, also when it is now.
 *
 * Ownership: borrows options.
 * Threads:   as above. Makes a system call; does not block.
 * Returns:   0 and, when poll is not NULL, its name in *poll; -EINVAL for other events or a type of
 *            the runtime's, -EBADF, -EPERM for what cannot be waited for (a regular file), -EEXIST
 *            when an actor of this worker has it registered, -ENOMEM, or another negative errno of
 *            opening files.
 */
int act_poll_start(const struct act_poll_options *options, act_poll *poll) ACT_MUST_CHECK;

/**
 * Asks for one more message, maybe for other events. Without one in between it replaces the events.
 *
 * Threads: as above. Makes a system call; does not block.
 * Returns: 0, -EINVAL for other events, -ENOENT when it is no registration of the running actor,
 *          or another negative errno when the descriptor has been closed.
 */
int act_poll_again(act_poll poll, uint32_t events) ACT_MUST_CHECK;

/**
 * Ends a registration. A message that is on its way already still comes.
 *
 * Threads: as above. Makes a system call; does not block.
 * Returns: whether it was a registration of the running actor.
 */
bool act_poll_stop(act_poll poll);

ACT_DECLARATIONS_END

#endif
