/**
 * What a cluster's owner may do to its replicas, what is refused, and superblock files in clusters.
 */
#include "leak_check.h"

#include <act/runtime.h>
#include <act/timer.h>
#include <vsr/cluster.h>
#include <vsr/counter.h>
#include <vsr/superblock.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

LEAK_CHECKED_SUITE(lives);

#define SECOND 1000000000ull

struct world {
    struct act_runtime *runtime;
    struct vsr_cluster *cluster;
    struct vsr_cluster_options options;
    int machine_error; /* what create_machine says */
    atomic_uint notices[VSR_NOTICE_COUNT];
    char directory[32];
};

static int create_machine(void *context, uint32_t replica, struct vsr_state_machine *machine)
{
    const struct world *w = context;

    (void)replica;
    return w->machine_error != 0 ? w->machine_error : vsr_counter_create(8, machine);
}

static void on_notice(void *context, uint32_t replica, enum vsr_notice notice, uint32_t about,
                      vsr_op op)
{
    struct world *w = context;

    (void)replica;
    (void)about;
    (void)op;
    atomic_fetch_add(&w->notices[notice], 1);
}

static void make(struct world *w, uint32_t replicas)
{
    struct act_runtime_options o;

    memset(w, 0, sizeof *w);
    act_runtime_options_init(&o);
    o.workers = 2;
    cr_assert_eq(act_runtime_start(&o, &w->runtime, NULL), 0);
    vsr_cluster_options_init(&w->options);
    w->options.runtime = w->runtime;
    w->options.create_machine = create_machine;
    w->options.machine_context = w;
    w->options.replica.cluster = 9;
    w->options.replica.replica_count = replicas;
    w->options.replica.suspect_ticks = 20;
    w->options.replica.abdicate_ticks = 30;
    w->options.on_notice = on_notice;
    w->options.notice_context = w;
}

static void start(struct world *w, uint32_t replicas)
{
    make(w, replicas);
    cr_assert_eq(vsr_cluster_start(&w->options, &w->cluster, NULL), 0);
}

static void stop(struct world *w)
{
    vsr_cluster_stop(w->cluster);
    cr_assert_eq(act_runtime_stop(w->runtime), 0);
}

static struct vsr_cluster_report inspect(struct world *w, uint32_t replica)
{
    struct vsr_cluster_report report;
    cr_assert_eq(vsr_cluster_inspect(w->cluster, replica, &report), 0);
    return report;
}

/** Waits until a replica is NORMAL. */
static void await_normal(struct world *w, uint32_t replica)
{
    const struct timespec pause = {.tv_nsec = 1000000};

    for (uint32_t ms = 0; inspect(w, replica).replica.status != VSR_STATUS_NORMAL; ms++) {
        cr_assert(ms < 20000);
        nanosleep(&pause, NULL);
    }
}

/* cluster.h: every answer of kill, restart, pause and resume, each with its cause. */
Test(lives, each_state_takes_what_it_may)
{
    struct world w;

    start(&w, 3);
    cr_assert_eq(vsr_cluster_kill(w.cluster, 3, VSR_KILL_SAFELY), -EINVAL);
    cr_assert_eq(vsr_cluster_restart(w.cluster, 3, NULL), -EINVAL);
    cr_assert_eq(vsr_cluster_pause(w.cluster, 3), -EINVAL);
    cr_assert_eq(vsr_cluster_resume(w.cluster, 3), -EINVAL);

    cr_assert_eq(vsr_cluster_restart(w.cluster, 1, NULL), -EALREADY);
    cr_assert_eq(vsr_cluster_resume(w.cluster, 1), -EALREADY);
    cr_assert_eq(vsr_cluster_pause(w.cluster, 1), 0);
    cr_assert_eq(inspect(&w, 1).run_state, VSR_PAUSED);
    cr_assert_eq(vsr_cluster_pause(w.cluster, 1), -EALREADY);
    cr_assert_eq(vsr_cluster_restart(w.cluster, 1, NULL), -EALREADY);
    cr_assert_eq(vsr_cluster_resume(w.cluster, 1), 0);
    cr_assert_eq(inspect(&w, 1).run_state, VSR_RUNNING);

    cr_assert_eq(vsr_cluster_pause(w.cluster, 1), 0);
    cr_assert_eq(vsr_cluster_kill(w.cluster, 1, VSR_KILL_SAFELY), 0);
    cr_assert_eq(vsr_cluster_kill(w.cluster, 1, VSR_KILL_FORCED), -EALREADY);
    cr_assert_eq(vsr_cluster_pause(w.cluster, 1), -ESRCH);
    cr_assert_eq(vsr_cluster_resume(w.cluster, 1), -ESRCH);
    struct vsr_cluster_report report = inspect(&w, 1);
    cr_assert_eq(report.run_state, VSR_DOWN);
    cr_assert_eq(report.digest, 0);
    cr_assert_lt(report.changed_ns, act_now_ns());

    cr_assert_eq(vsr_cluster_restart(w.cluster, 1, NULL), 0);
    await_normal(&w, 1);
    cr_assert_eq(inspect(&w, 1).replica.counters.recoveries, 1);
    cr_assert_eq(vsr_cluster_look(w.cluster, 1, &report), 0);
    cr_assert_eq(report.replica.counters.recoveries, 1);
    cr_assert_eq(report.digest, 0);
    cr_assert_eq(vsr_cluster_look(w.cluster, 3, &report), -EINVAL);
    cr_assert_eq(vsr_cluster_settle(w.cluster, SECOND), 0);
    stop(&w);
}

/* cluster.h: more than down_max down or recovering at once is refused unless forced. */
Test(lives, killing_more_than_the_cluster_survives_is_refused)
{
    static const uint32_t down_max[] = {[1] = 0, [2] = 0, [3] = 1, [4] = 1, [5] = 2, [7] = 3};

    for (uint32_t replicas = 1; replicas <= 7; replicas += 2) {
        struct world w;
        start(&w, replicas);
        cr_assert_eq(vsr_cluster_down_max(w.cluster), down_max[replicas]);
        for (uint32_t i = 0; i < down_max[replicas]; i++)
            cr_assert_eq(vsr_cluster_kill(w.cluster, i, VSR_KILL_SAFELY), 0);
        cr_assert_eq(vsr_cluster_kill(w.cluster, replicas - 1, VSR_KILL_SAFELY), -EBUSY);
        cr_assert_eq(inspect(&w, replicas - 1).run_state, VSR_RUNNING);
        cr_assert_eq(vsr_cluster_kill(w.cluster, replicas - 1, VSR_KILL_FORCED), 0);
        stop(&w);
    }
}

/* cluster.h: a killed replica counts until it has recovered, not until it is restarted. */
Test(lives, recovering_counts_as_down)
{
    struct world w;

    start(&w, 3);
    cr_assert_eq(vsr_cluster_kill(w.cluster, 2, VSR_KILL_SAFELY), 0);
    cr_assert_eq(vsr_cluster_pause(w.cluster, 1), 0); /* nobody to recover from */
    cr_assert_eq(vsr_cluster_restart(w.cluster, 2, NULL), 0);
    cr_assert_eq(inspect(&w, 2).replica.status, VSR_STATUS_RECOVERING);
    cr_assert_eq(vsr_cluster_kill(w.cluster, 0, VSR_KILL_SAFELY), -EBUSY);
    cr_assert_eq(vsr_cluster_kill(w.cluster, 2, VSR_KILL_SAFELY), 0); /* no more are down */
    cr_assert_eq(vsr_cluster_restart(w.cluster, 2, NULL), 0);
    cr_assert_eq(vsr_cluster_resume(w.cluster, 1), 0);
    await_normal(&w, 2);
    cr_assert_eq(vsr_cluster_kill(w.cluster, 0, VSR_KILL_SAFELY), 0);
    stop(&w);
}

/* cluster.h: the flexible quorums' limit is min(N - Qr, N - Qv). */
Test(lives, other_quorums_have_another_limit)
{
    struct world w;

    make(&w, 5);
    w.options.replica.quorum_replication = 2;
    w.options.replica.quorum_view_change = 4;
    cr_assert_eq(vsr_cluster_start(&w.options, &w.cluster, NULL), 0);
    cr_assert_eq(vsr_cluster_down_max(w.cluster), 1);
    stop(&w);
}

/* cluster.h: settle says -ESRCH when no replica runs, -ETIMEDOUT when they do not agree. */
Test(lives, settle_waits_for_those_that_run)
{
    struct world w;

    start(&w, 3);
    cr_assert_eq(vsr_cluster_kill(w.cluster, 2, VSR_KILL_SAFELY), 0);
    cr_assert_eq(vsr_cluster_settle(w.cluster, SECOND), 0);
    cr_assert_eq(vsr_cluster_pause(w.cluster, 1), 0);
    cr_assert_eq(vsr_cluster_restart(w.cluster, 2, NULL), 0);
    cr_assert_eq(vsr_cluster_settle(w.cluster, SECOND / 20), -ETIMEDOUT); /* it is recovering */
    cr_assert_eq(vsr_cluster_pause(w.cluster, 0), 0);
    cr_assert_eq(vsr_cluster_pause(w.cluster, 2), 0);
    cr_assert_eq(vsr_cluster_settle(w.cluster, SECOND), -ESRCH);
    stop(&w);
}

/* cluster.h: restart returns what create_machine returned, and may be called again. */
Test(lives, restart_without_a_machine_leaves_it_down)
{
    struct world w;

    start(&w, 3);
    cr_assert_eq(vsr_cluster_kill(w.cluster, 2, VSR_KILL_SAFELY), 0);
    w.machine_error = -ENOMEM;
    cr_assert_eq(vsr_cluster_restart(w.cluster, 2, NULL), -ENOMEM);
    cr_assert_eq(inspect(&w, 2).run_state, VSR_DOWN);
    w.machine_error = 0;
    cr_assert_eq(vsr_cluster_restart(w.cluster, 2, NULL), 0);
    await_normal(&w, 2);
    stop(&w);
}

/* Superblock files. */

static void make_with_files(struct world *w, uint32_t replicas)
{
    make(w, replicas);
    strcpy(w->directory, "/tmp/lives-XXXXXX");
    cr_assert_not_null(mkdtemp(w->directory));
    w->options.superblock_directory = w->directory;
}

static const char *path_of(const struct world *w, uint32_t replica)
{
    static char path[64];
    snprintf(path, sizeof path, "%s/replica-%u.superblock", w->directory, replica);
    return path;
}

static void remove_files(const struct world *w)
{
    for (uint32_t i = 0; i < w->options.replica.replica_count; i++)
        unlink(path_of(w, i));
    cr_assert_eq(rmdir(w->directory), 0);
}

/** Overwrites a replica's file with nothing of use. */
static void spoil(const struct world *w, uint32_t replica)
{
    const uint8_t zeros[16384] = {0};
    int fd = open(path_of(w, replica), O_WRONLY);
    cr_assert_eq(pwrite(fd, zeros, sizeof zeros, 0), sizeof zeros);
    close(fd);
}

/* cluster.h: is_formatting needs a directory. */
Test(lives, formatting_nothing_is_refused)
{
    struct world w;
    struct vsr_error why;

    make(&w, 3);
    w.options.is_formatting = true;
    cr_assert_eq(vsr_cluster_start(&w.options, &w.cluster, &why), -EINVAL);
    cr_assert_str_eq(why.option, "is_formatting");
    cr_assert_eq(act_runtime_stop(w.runtime), 0);
}

/* cluster.h: formatted once, started once; then the logs are gone, and nothing starts on its own.
 */
Test(lives, files_start_a_cluster_once)
{
    struct world w;
    struct vsr_error why;

    make_with_files(&w, 3);
    cr_assert_eq(vsr_cluster_start(&w.options, &w.cluster, &why), -ENOENT);
    cr_assert_not_null(strstr(why.text, "has to be formatted"));
    w.options.is_formatting = true;
    cr_assert_eq(vsr_cluster_start(&w.options, &w.cluster, &why), 0);
    cr_assert_eq(inspect(&w, 0).replica.status, VSR_STATUS_NORMAL); /* durable, so it takes part */
    vsr_cluster_stop(w.cluster);
    cr_assert_eq(vsr_cluster_start(&w.options, &w.cluster, &why), -EEXIST);
    w.options.is_formatting = false;
    cr_assert_eq(vsr_cluster_start(&w.options, &w.cluster, &why), -ENOTRECOVERABLE);
    cr_assert_not_null(strstr(why.text, "their logs were in memory and are gone"));
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_eq(unlink(path_of(&w, i)), 0);
    w.options.is_formatting = true;
    cr_assert_eq(vsr_cluster_start(&w.options, &w.cluster, &why), 0);
    stop(&w);
    remove_files(&w);
}

/* vsr_superblock_format: files made ahead start a cluster; another cluster's do not. */
Test(lives, files_made_ahead_start_their_cluster_only)
{
    struct world w;
    struct vsr_error why;

    make_with_files(&w, 3);
    for (uint32_t i = 0; i < 3; i++) {
        const struct vsr_superblock_identity identity = {
            .cluster = 9, .replica = i, .replica_count = 3};
        cr_assert_eq(vsr_superblock_format(w.directory, &identity, &why), 0);
    }
    w.options.replica.cluster = 10;
    cr_assert_eq(vsr_cluster_start(&w.options, &w.cluster, &why), -EINVAL);
    cr_assert_not_null(strstr(why.text, "of cluster 9"));
    w.options.replica.cluster = 9;
    cr_assert_eq(vsr_cluster_start(&w.options, &w.cluster, &why), 0);
    stop(&w);
    remove_files(&w);
}

/* cluster.h: on an error nothing is left behind, no file either. */
Test(lives, failing_start_takes_its_files_back)
{
    struct world w;

    make_with_files(&w, 3);
    w.options.is_formatting = true;
    w.machine_error = -ENOMEM;
    cr_assert_eq(vsr_cluster_start(&w.options, &w.cluster, NULL), -ENOMEM);
    cr_assert_eq(rmdir(w.directory), 0); /* it is empty */
    cr_assert_eq(act_runtime_stop(w.runtime), 0);
}

/* A file in the way of the second replica: the first one's is taken back, that one is not touched.
 */
Test(lives, formatting_makes_all_files_or_none)
{
    struct world w;
    struct vsr_error why;
    const struct vsr_superblock_identity second = {.cluster = 9, .replica = 1, .replica_count = 3};

    make_with_files(&w, 3);
    cr_assert_eq(vsr_superblock_format(w.directory, &second, NULL), 0);
    w.options.is_formatting = true;
    cr_assert_eq(vsr_cluster_start(&w.options, &w.cluster, &why), -EEXIST);
    cr_assert_not_null(strstr(why.text, path_of(&w, 1)));
    cr_assert_neq(access(path_of(&w, 0), F_OK), 0);
    cr_assert_eq(access(path_of(&w, 1), F_OK), 0);
    remove_files(&w);
    cr_assert_eq(act_runtime_stop(w.runtime), 0);
}

/* A replica restarted in a live cluster reads its file again; a bad one keeps it down. */
Test(lives, restart_reads_the_file_again)
{
    struct world w;
    struct vsr_error why;
    uint8_t good[16384];

    make_with_files(&w, 3);
    w.options.is_formatting = true;
    cr_assert_eq(vsr_cluster_start(&w.options, &w.cluster, &why), 0);
    cr_assert_eq(vsr_cluster_kill(w.cluster, 2, VSR_KILL_SAFELY), 0);
    int fd = open(path_of(&w, 2), O_RDONLY);
    cr_assert_eq(pread(fd, good, sizeof good, 0), sizeof good);
    close(fd);
    spoil(&w, 2);
    cr_assert_eq(vsr_cluster_restart(w.cluster, 2, &why), -EBADMSG);
    cr_assert_not_null(strstr(why.text, "would fork the log"));
    cr_assert_eq(inspect(&w, 2).run_state, VSR_DOWN);
    fd = open(path_of(&w, 2), O_WRONLY);
    cr_assert_eq(pwrite(fd, good, sizeof good, 0), sizeof good);
    close(fd);
    cr_assert_eq(vsr_cluster_restart(w.cluster, 2, &why), 0);
    await_normal(&w, 2);
    stop(&w);
    remove_files(&w);
}

/** Lets every write of this process fail, or none. */
static void let_writes_fail(bool fail)
{
    const struct rlimit limit = {.rlim_cur = fail ? 0 : RLIM_INFINITY, .rlim_max = RLIM_INFINITY};

    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* A superblock that cannot be written ends its replica: a notice, and silence, until a restart. */
Test(lives, failing_disk_ends_the_replica)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    struct world w;

    make_with_files(&w, 3);
    w.options.is_formatting = true;
    cr_assert_eq(vsr_cluster_start(&w.options, &w.cluster, NULL), 0);
    let_writes_fail(true);
    cr_assert_eq(vsr_cluster_kill(w.cluster, 0, VSR_KILL_SAFELY), 0);
    /* The others leave the view, which has to be made durable. */
    for (uint32_t ms = 0; atomic_load(&w.notices[VSR_NOTICE_STORAGE_FAILED]) == 0; ms++) {
        cr_assert(ms < 20000);
        nanosleep(&pause, NULL);
    }
    let_writes_fail(false);
    uint32_t failed = inspect(&w, 1).run_state == VSR_FAILED ? 1 : 2;
    cr_assert_eq(inspect(&w, failed).run_state, VSR_FAILED);
    cr_assert_eq(vsr_cluster_pause(w.cluster, failed), -ESRCH);
    cr_assert_eq(vsr_cluster_kill(w.cluster, 3 - failed, VSR_KILL_SAFELY), -EBUSY);
    cr_assert_eq(vsr_cluster_restart(w.cluster, failed, NULL), 0);
    cr_assert_eq(inspect(&w, failed).run_state, VSR_RUNNING);
    stop(&w);
    remove_files(&w);
}

/* cluster.h: -EIO, and nothing is left behind, when the first superblock cannot be written. */
Test(lives, failing_disk_at_the_start)
{
    struct world w;
    struct vsr_error why;

    make_with_files(&w, 3);
    for (uint32_t i = 0; i < 3; i++) {
        const struct vsr_superblock_identity identity = {
            .cluster = 9, .replica = i, .replica_count = 3};
        cr_assert_eq(vsr_superblock_format(w.directory, &identity, NULL), 0);
    }
    let_writes_fail(true);
    cr_assert_eq(vsr_cluster_start(&w.options, &w.cluster, &why), -EIO);
    let_writes_fail(false);
    cr_assert_not_null(strstr(why.text, w.directory));
    cr_assert_eq(act_runtime_stop(w.runtime), 0);
    remove_files(&w);
}
