/**
 * See jobs.h.
 */
#include "jobs.h"

#include "world.h"

#include "assert.h"

#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SEED_SECONDS_MAX = 120 };

/** What the processes share. */
struct shared {
    _Atomic uint64_t next;
    struct {
        uint64_t seed; /* being run */
        bool is_running;
        struct stats stats;
    } jobs[JOBS_MAX];
};

/** The run of this process, for the handlers of signals. */
static struct world *current;

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

void job_crashed(const char *what, const char *claim, const char *file, int line)
{
    char text[400];

    snprintf(text, sizeof text, "%s: %s (%s:%d)", what, claim, file, line);
    if (current != NULL) journal_crash(&current->journal, text);
    fprintf(stderr, "simulate: %s\n", text);
    _exit(OUTCOME_CRASH);
}

/** Not safe after a signal by the letter, but the process is lost and its last events are not. */
static void on_signal(int number)
{
    signal(number, SIG_DFL);
    job_crashed("signal", number == SIGALRM ? "the seed does not end" : "crash", "signal", number);
}

static void handle_signals(void)
{
    static const int numbers[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM};

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        signal(numbers[i], on_signal);
}

static const struct profile *profile_of(const struct job_options *o, uint64_t seed)
{
    const struct profile *taking_turns[64] = {NULL};
    uint32_t count = 0;

    if (o->profile != NULL) return o->profile;
    for (const struct profile *p = sim_profiles; p->name != NULL; p++)
        if (p->is_in_all) taking_turns[count++] = p;
    return taking_turns[seed % count];
}

/** Runs a seed; ends the process if it fails. */
static void run_seed(const struct job_options *o, uint64_t seed, struct stats *stats,
                     uint64_t *digest)
{
    struct world *w = calloc(1, sizeof *w);

    VSR_ASSERT(w != NULL);
    scenario_draw(&w->scenario, seed, profile_of(o, seed), o->replicas);
    current = w;
    alarm(SEED_SECONDS_MAX);
    world_run(w, o->replicas, o->level);
    alarm(0);
    current = NULL;
    stats_add(stats, &w->stats);
    if (digest != NULL) *digest = w->journal.digest;
    free(w);
}

/** A run in which nobody got an answer has passed every check and shown nothing. */
static enum outcome outcome_of_checks(const struct stats *stats)
{
    if (stats->counts[COUNT_ANSWERS] > 0) return OUTCOME_OK;
    printf("Nothing was checked: no request was answered.\n");
    return OUTCOME_NOTHING;
}

enum outcome jobs_run_one(const struct job_options *o)
{
    struct stats stats = {0};
    uint64_t digest = 0;

    handle_signals();
    run_seed(o, o->first, &stats, &digest);
    printf("Seed %" PRIu64 ", profile %s: no failure. %" PRIu64 " events in %" PRIu64
           " ticks, %" PRIu64 " ops committed, digest %016" PRIx64 "\n",
           o->first, profile_of(o, o->first)->name, stats.counts[COUNT_EVENTS],
           stats.counts[COUNT_TICKS], stats.counts[COUNT_COMMITS], digest);
    return outcome_of_checks(&stats);
}

static _Noreturn void run_job(const struct job_options *o, struct shared *shared, uint32_t job,
                              double end)
{
    handle_signals();
    while (end == 0 || seconds_now() < end) {
        const uint64_t seed = atomic_fetch_add(&shared->next, 1);
        if (seed - o->first >= o->seeds) break;
        shared->jobs[job].seed = seed;
        shared->jobs[job].is_running = true;
        run_seed(o, seed, &shared->jobs[job].stats, NULL);
        shared->jobs[job].is_running = false;
    }
    fflush(stdout);
    _exit(OUTCOME_OK);
}

static pid_t start_job(const struct job_options *o, struct shared *shared, uint32_t job, double end)
{
    fflush(stdout);
    pid_t child = fork();

    VSR_ASSERT(child >= 0);
    if (child == 0) run_job(o, shared, job, end);
    return child;
}

/** The outcome that a job ended with. A death without words is reported here. */
static enum outcome outcome_of(const struct job_options *o, struct shared *shared, uint32_t job,
                               int status)
{
    const uint64_t seed = shared->jobs[job].seed;

    if (WIFEXITED(status) && WEXITSTATUS(status) <= OUTCOME_CRASH && WEXITSTATUS(status) != 1)
        return (enum outcome)WEXITSTATUS(status);
    printf("\nSEED %" PRIu64 " FAILED (profile %s): its process died (status %d)\n"
           "Repeat: tests/simulate --seed %" PRIu64 " --profile %s\n",
           seed, profile_of(o, seed)->name, status, seed, profile_of(o, seed)->name);
    return OUTCOME_CRASH;
}

/** Prints all that happened. Returns whether that was anything. */
static enum outcome report(const struct job_options *o, const struct shared *shared, double seconds,
                           uint32_t failures)
{
    struct stats sum = {0};

    for (uint32_t i = 0; i < o->jobs; i++)
        stats_add(&sum, &shared->jobs[i].stats);
    stats_print(&sum, stdout);
    const double events = (double)sum.counts[COUNT_EVENTS];
    printf("%" PRIu64 " seeds without failure, %" PRIu32
           " failed, in %.1f s: %.0f events/s in each "
           "of %" PRIu32 " processes\n",
           sum.counts[COUNT_SEEDS], failures, seconds, events / seconds / o->jobs, o->jobs);
    return outcome_of_checks(&sum);
}

enum outcome jobs_run_many(const struct job_options *o)
{
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    const double start = seconds_now();
    const double end = o->seconds != 0 ? start + (double)o->seconds : 0;
    pid_t children[JOBS_MAX] = {0};
    enum outcome first = OUTCOME_OK;
    uint32_t failures = 0;
    int status;
    pid_t child;

    VSR_ASSERT(shared != MAP_FAILED);
    shared->next = o->first;
    for (uint32_t i = 0; i < o->jobs; i++)
        children[i] = start_job(o, shared, i, end);
    while ((child = wait(&status)) > 0) {
        uint32_t job = 0;
        while (job < o->jobs && children[job] != child)
            job++;
        if (job == o->jobs) continue;
        enum outcome outcome = outcome_of(o, shared, job, status);
        if (outcome == OUTCOME_OK) continue;
        failures++;
        if (first == OUTCOME_OK) first = outcome;
        if (failures < o->failures_max) {
            children[job] = start_job(o, shared, job, end);
        } else {
            shared->next = o->first + o->seeds; /* the others end their seeds and stop */
        }
    }
    enum outcome checked = report(o, shared, seconds_now() - start, failures);
    munmap(shared, sizeof *shared);
    return first != OUTCOME_OK ? first : checked;
}
