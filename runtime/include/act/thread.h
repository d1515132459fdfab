/**
 * Threads that leave the program's signals to the program.
 */
#ifndef ACT_THREAD_H
#define ACT_THREAD_H

#include <act/types.h>

#include <pthread.h>

ACT_DECLARATIONS_BEGIN

/**
 * Starts a thread as the runtime starts its own: with every signal blocked but those that a fault
 * of the thread itself raises (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT) and
 * SIGPROF. So a program may block a signal in its main thread and wait for it there (sigwait,
 * signalfd) before or after it has started a runtime, and no handler of it runs on a worker.
 *
 * Ownership: the caller joins or detaches *thread.
 * Threads:   any; the caller's own mask is as before afterwards.
 * Returns:   0 or a negative errno of pthread_create.
 */
int act_thread_create(pthread_t *thread, void *(*run)(void *), void *argument) ACT_MUST_CHECK;

ACT_DECLARATIONS_END

#endif
