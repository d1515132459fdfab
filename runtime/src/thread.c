/**
 * See act/thread.h.
 */
#include <act/thread.h>

#include <signal.h>

/** Every signal but those of a fault of the thread's own, and the profiler's. */
static sigset_t blocked_signals(void)
{
    static const int kept[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT, SIGPROF};
    sigset_t blocked;

    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        sigdelset(&blocked, kept[i]);
    return blocked;
}

int act_thread_create(pthread_t *thread, void *(*run)(void *), void *argument)
{
    const sigset_t blocked = blocked_signals();
    sigset_t before;

    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    const int error = pthread_create(thread, NULL, run, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -error;
}
