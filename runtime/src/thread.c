/**
 * See thread.h.
 */
#include "thread.h"

#include <act/thread.h>

void act_thread_block(sigset_t *before)
{
    static const int kept[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT, SIGPROF};
    sigset_t blocked;

    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        sigdelset(&blocked, kept[i]);
    pthread_sigmask(SIG_BLOCK, &blocked, before);
}

void act_thread_unblock(const sigset_t *before)
{
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

int act_thread_create(pthread_t *thread, void *(*run)(void *), void *argument)
{
    sigset_t before;

    act_thread_block(&before);
    const int error = pthread_create(thread, NULL, run, argument);
    act_thread_unblock(&before);
    return -error;
}
