/**
 * Which signals the runtime's threads take, for those that a library starts; see act/thread.h.
 */
#ifndef ACT_SRC_THREAD_H
#define ACT_SRC_THREAD_H

#include <signal.h>

/** Has the threads that the caller starts from now on block the program's signals. Shape: *before
 * is the caller's mask, for act_thread_unblock. */
void act_thread_block(sigset_t *before);
void act_thread_unblock(const sigset_t *before);

#endif
