/**
 * Worlds of tests. See world.h.
 */
#include "world.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void world_sleep_ms(uint32_t ms)
{
    const struct timespec pause = {.tv_nsec = (long)ms * 1000000};
    nanosleep(&pause, NULL);
}

static const char *last_words;
static FILE *words_file;

static void check_last_words(int signal_number)
{
    static char text[65536];

    (void)signal_number;
    const ssize_t bytes = pread(fileno(words_file), text, sizeof text - 1, 0);
    if (bytes < 0 || strstr(text, last_words) == NULL) _exit(1); /* not by SIGABRT: it fails */
}

void world_expect_last_words(const char *words)
{
    const struct sigaction action = {.sa_handler = check_last_words};

    last_words = words;
    words_file = tmpfile();
    cr_assert_not_null(words_file);
    cr_assert_geq(dup2(fileno(words_file), STDERR_FILENO), 0);
    cr_assert_eq(sigaction(SIGABRT, &action, NULL), 0);
}

static int create_machine(void *context, uint32_t replica, struct vsr_state_machine *machine)
{
    (void)context, (void)replica;
    return vsr_counter_create(WORLD_COUNTERS, machine);
}

static void on_notice(void *context, uint32_t replica, enum vsr_notice notice, uint32_t about,
                      vsr_op op)
{
    struct world *w = context;

    (void)replica, (void)about, (void)op;
    atomic_fetch_add(&w->notices[notice], 1);
}

void world_init(struct world *w)
{
    memset(w, 0, sizeof *w);
    act_runtime_options_init(&w->runtime_options);
    w->runtime_options.workers = 2;
    vsr_cluster_options_init(&w->options);
    w->options.create_machine = create_machine;
    w->options.replica.cluster = 3;
    w->options.on_notice = on_notice;
    w->options.notice_context = w;
    vsr_service_options_init(&w->service_options);
}

void world_set_replicas(struct world *w, uint32_t replicas)
{
    w->options.replica.replica_count = replicas;
    w->options.replica.suspect_ticks = 20;
    w->options.replica.abdicate_ticks = 30;
}

void world_start_runtime(struct world *w)
{
    if (w->runtime != NULL) return;
    cr_assert_eq(act_runtime_start(&w->runtime_options, &w->runtime, NULL), 0);
    w->options.runtime = w->runtime;
}

void world_start(struct world *w)
{
    if (w->cluster != NULL) return;
    world_start_runtime(w);
    cr_assert_eq(vsr_cluster_start(&w->options, &w->cluster, NULL), 0);
    w->service_options.peers = vsr_cluster_peers(w->cluster);
}

act_id world_spawn_service(struct world *w)
{
    act_id id;

    cr_assert_eq(vsr_service_spawn(&w->service_options, &id, NULL), 0);
    return id;
}

void world_start_service(struct world *w)
{
    if (w->service != ACT_ID_NONE) return;
    world_start(w);
    w->service = world_spawn_service(w);
}

void world_start_caller(struct world *w)
{
    world_start_service(w);
    cr_assert_eq(vsr_caller_open(w->runtime, w->service, &w->caller), 0);
}

void world_stop(struct world *w)
{
    if (w->caller != NULL) vsr_caller_close(w->caller);
    if (w->service != ACT_ID_NONE)
        cr_assert_eq(vsr_service_stop(w->runtime, w->service, 10 * SECOND), 0);
    if (w->cluster != NULL) {
        struct vsr_error why;
        const int error = vsr_cluster_stop(w->cluster, &why);
        cr_assert_eq(error, 0, "%s", why.text);
    }
    if (w->runtime != NULL) cr_assert_eq(act_runtime_stop(w->runtime), 0);
}

int world_add(struct vsr_caller *caller, struct vsr_counter_add add, uint64_t *value,
              uint64_t timeout_ns)
{
    uint32_t bytes = sizeof *value;

    return vsr_caller_call(caller, &add, sizeof add, value, &bytes, timeout_ns);
}

struct vsr_cluster_report world_look(struct world *w, uint32_t replica)
{
    struct vsr_cluster_report report;

    cr_assert_eq(vsr_cluster_look(w->cluster, replica, &report), 0);
    return report;
}

struct vsr_cluster_report world_inspect(struct world *w, uint32_t replica)
{
    struct vsr_cluster_report report;

    cr_assert_eq(vsr_cluster_inspect(w->cluster, replica, &report), 0);
    return report;
}

void world_await_normal(struct world *w, uint32_t replica)
{
    AWAIT(world_look(w, replica).replica.status == VSR_STATUS_NORMAL);
}

void world_kill(struct world *w, uint32_t replica)
{
    cr_assert_eq(vsr_cluster_kill(w->cluster, replica, VSR_KILL_SAFELY), 0);
}

void world_restart(struct world *w, uint32_t replica)
{
    cr_assert_eq(vsr_cluster_restart(w->cluster, replica, NULL), 0);
}
