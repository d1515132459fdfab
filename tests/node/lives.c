/**
 * What a cluster's owner may do to its replicas, what is refused, and superblock files in clusters.
 */
#include "leak_check.h"

#include "world.h"

#include <act/timer.h>
#include <vsr/superblock.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

LEAK_CHECKED_SUITE(lives);

/** A world whose machines may fail to be made, and where its superblock files lie. */
struct lives {
    struct world world;
    int machine_error; /* what create_machine says */
    char directory[32];
};

static void destroy_what_was_not_made(void *state)
{
    (void)state;
    abort();
}

static int create_machine(void *context, uint32_t replica, struct vsr_state_machine *machine)
{
    const struct lives *l = context;

    (void)replica;
    if (l->machine_error == 0) return vsr_counter_create(8, machine);
    machine->destroy = destroy_what_was_not_made;
    return l->machine_error;
}

static void make(struct lives *l, uint32_t replicas)
{
    struct vsr_cluster_options *o = &l->world.options;

    memset(l, 0, sizeof *l);
    world_init(&l->world);
    world_set_replicas(&l->world, replicas);
    o->create_machine = create_machine;
    o->machine_context = l;
    world_start_runtime(&l->world);
}

static void start(struct lives *l, uint32_t replicas)
{
    make(l, replicas);
    world_start(&l->world);
}

/* cluster.h: every answer of kill, restart, pause and resume, each with its cause. */
Test(lives, each_state_takes_what_it_may)
{
    struct lives l;

    const uint64_t begun_ns = act_now_ns();
    start(&l, 3);
    cr_assert_geq(world_look(&l.world, 1).changed_ns, begun_ns);
    cr_assert_eq(vsr_cluster_kill(l.world.cluster, 3, VSR_KILL_SAFELY), -EINVAL);
    cr_assert_eq(vsr_cluster_restart(l.world.cluster, 3, NULL), -EINVAL);
    cr_assert_eq(vsr_cluster_pause(l.world.cluster, 3), -EINVAL);
    cr_assert_eq(vsr_cluster_resume(l.world.cluster, 3), -EINVAL);

    cr_assert_eq(vsr_cluster_restart(l.world.cluster, 1, NULL), -EALREADY);
    cr_assert_eq(vsr_cluster_resume(l.world.cluster, 1), -EALREADY);
    cr_assert_eq(vsr_cluster_pause(l.world.cluster, 1), 0);
    cr_assert_eq(world_inspect(&l.world, 1).run_state, VSR_PAUSED);
    cr_assert_eq(vsr_cluster_pause(l.world.cluster, 1), -EALREADY);
    cr_assert_eq(vsr_cluster_restart(l.world.cluster, 1, NULL), -EALREADY);
    cr_assert_eq(vsr_cluster_resume(l.world.cluster, 1), 0);
    cr_assert_eq(world_inspect(&l.world, 1).run_state, VSR_RUNNING);

    cr_assert_eq(vsr_cluster_pause(l.world.cluster, 1), 0);
    const uint64_t killed_ns = act_now_ns();
    world_kill(&l.world, 1);
    cr_assert_eq(vsr_cluster_kill(l.world.cluster, 1, VSR_KILL_FORCED), -EALREADY);
    cr_assert_eq(vsr_cluster_pause(l.world.cluster, 1), -ESRCH);
    cr_assert_eq(vsr_cluster_resume(l.world.cluster, 1), -ESRCH);
    struct vsr_cluster_report report = world_inspect(&l.world, 1);
    cr_assert_eq(report.run_state, VSR_DOWN);
    cr_assert_eq(report.digest, 0);
    cr_assert_geq(report.changed_ns, killed_ns);
    cr_assert_lt(report.changed_ns, act_now_ns());

    world_restart(&l.world, 1);
    world_await_normal(&l.world, 1);
    cr_assert_eq(world_inspect(&l.world, 1).replica.counters.recoveries, 1);
    cr_assert_eq(vsr_cluster_look(l.world.cluster, 1, &report), 0);
    cr_assert_eq(report.replica.counters.recoveries, 1);
    cr_assert_eq(report.digest, 0);
    cr_assert_eq(vsr_cluster_look(l.world.cluster, 3, &report), -EINVAL);
    cr_assert_eq(vsr_cluster_settle(l.world.cluster, SECOND), 0);
    world_stop(&l.world);
}

/* health.h: who has recovered has a log again: each was lost once, never two at a time, and clients
 * are not told that the cluster is gone. */
Test(lives, losing_each_replica_in_turn_is_survived)
{
    struct lives l;
    uint64_t value = 0;

    make(&l, 3);
    world_start_caller(&l.world);
    for (uint32_t i = 0; i < 6; i++) {
        world_kill(&l.world, i % 3);
        world_restart(&l.world, i % 3);
        world_await_normal(&l.world, i % 3);
        cr_assert_eq(world_add(l.world.caller, (struct vsr_counter_add){1, 1}, &value, 10 * SECOND),
                     0);
        cr_assert_eq(value, i + 1);
    }
    world_stop(&l.world);
}

/* cluster.h: what comes while a replica does not run is counted, of that replica alone. */
Test(lives, messages_to_one_that_does_not_run_are_counted)
{
    struct lives l;
    uint64_t before[3];

    start(&l, 3);
    /* Those that start last have missed what the first ones said. */
    for (uint32_t i = 0; i < 3; i++)
        before[i] = world_look(&l.world, i).messages_ended;
    cr_assert_eq(vsr_cluster_pause(l.world.cluster, 2), 0);
    AWAIT(world_look(&l.world, 2).messages_ended >= before[2] + 3);
    for (uint32_t i = 0; i < 2; i++) {
        cr_assert_eq(world_look(&l.world, i).messages_ended, before[i]);
        cr_assert_eq(world_look(&l.world, i).messages_dropped, 0);
    }
    cr_assert_eq(vsr_cluster_resume(l.world.cluster, 2), 0);
    world_stop(&l.world);
}

/* cluster.h: more than down_max down or recovering at once is refused unless forced. */
Test(lives, killing_more_than_the_cluster_survives_is_refused)
{
    static const uint32_t down_max[] = {[1] = 0, [2] = 0, [3] = 1, [4] = 1, [5] = 2, [7] = 3};

    for (uint32_t replicas = 1; replicas <= 7; replicas += 2) {
        struct lives l;
        start(&l, replicas);
        cr_assert_eq(vsr_cluster_down_max(l.world.cluster), down_max[replicas]);
        for (uint32_t i = 0; i < down_max[replicas]; i++)
            world_kill(&l.world, i);
        cr_assert_eq(vsr_cluster_kill(l.world.cluster, replicas - 1, VSR_KILL_SAFELY), -EBUSY);
        cr_assert_eq(world_inspect(&l.world, replicas - 1).run_state, VSR_RUNNING);
        cr_assert_eq(vsr_cluster_kill(l.world.cluster, replicas - 1, VSR_KILL_FORCED), 0);
        world_stop(&l.world);
    }
}

/* cluster.h: a killed replica counts until it has recovered, not until it is restarted. */
Test(lives, recovering_counts_as_down)
{
    struct lives l;

    start(&l, 3);
    world_kill(&l.world, 2);
    cr_assert_eq(vsr_cluster_pause(l.world.cluster, 1), 0); /* nobody to recover from */
    world_restart(&l.world, 2);
    cr_assert_eq(world_inspect(&l.world, 2).replica.status, VSR_STATUS_RECOVERING);
    cr_assert_eq(vsr_cluster_kill(l.world.cluster, 0, VSR_KILL_SAFELY), -EBUSY);
    world_kill(&l.world, 2); /* no more are down */
    world_restart(&l.world, 2);
    cr_assert_eq(vsr_cluster_resume(l.world.cluster, 1), 0);
    world_await_normal(&l.world, 2);
    world_kill(&l.world, 0);
    world_stop(&l.world);
}

/* cluster.h: the flexible quorums' limit is min(N - Qr, N - Qv). */
Test(lives, other_quorums_have_another_limit)
{
    struct lives l;

    make(&l, 5);
    l.world.options.replica.quorum_replication = 2;
    l.world.options.replica.quorum_view_change = 4;
    world_start(&l.world);
    cr_assert_eq(vsr_cluster_down_max(l.world.cluster), 1);
    world_stop(&l.world);

    make(&l, 5);
    l.world.options.replica.recovery_quorum = 4; /* and nobody left to lose */
    world_start(&l.world);
    cr_assert_eq(vsr_cluster_down_max(l.world.cluster), 1);
    world_stop(&l.world);
}

/* cluster.h: settle says -ESRCH when no replica runs, -ETIMEDOUT when they do not agree. */
Test(lives, settle_waits_for_those_that_run)
{
    struct lives l;

    start(&l, 3);
    world_kill(&l.world, 2);
    cr_assert_eq(vsr_cluster_settle(l.world.cluster, SECOND), 0);
    cr_assert_eq(vsr_cluster_pause(l.world.cluster, 1), 0);
    world_restart(&l.world, 2);
    /* It is recovering. */
    cr_assert_eq(vsr_cluster_settle(l.world.cluster, SECOND / 20), -ETIMEDOUT);
    cr_assert_eq(vsr_cluster_pause(l.world.cluster, 0), 0);
    cr_assert_eq(vsr_cluster_pause(l.world.cluster, 2), 0);
    cr_assert_eq(vsr_cluster_settle(l.world.cluster, SECOND), -ESRCH);
    world_stop(&l.world);
}

/* cluster.h: restart returns what create_machine returned, and may be called again. */
Test(lives, restart_without_a_machine_leaves_it_down)
{
    struct lives l;

    start(&l, 3);
    world_kill(&l.world, 2);
    l.machine_error = -ENOMEM;
    cr_assert_eq(vsr_cluster_restart(l.world.cluster, 2, NULL), -ENOMEM);
    cr_assert_eq(world_inspect(&l.world, 2).run_state, VSR_DOWN);
    l.machine_error = 0;
    world_restart(&l.world, 2);
    world_await_normal(&l.world, 2);
    world_stop(&l.world);
}

/* Superblock files. */

static void make_with_files(struct lives *l, uint32_t replicas)
{
    make(l, replicas);
    strcpy(l->directory, "/tmp/lives-XXXXXX");
    cr_assert_not_null(mkdtemp(l->directory));
    l->world.options.superblock_directory = l->directory;
}

static const char *path_of(const struct lives *l, uint32_t replica)
{
    static char path[64];
    snprintf(path, sizeof path, "%s/replica-%u.superblock", l->directory, replica);
    return path;
}

static void format_files(const struct lives *l)
{
    for (uint32_t i = 0; i < 3; i++) {
        const struct vsr_superblock_identity identity = {
            .cluster = 3, .replica = i, .replica_count = 3};
        cr_assert_eq(vsr_superblock_format(l->directory, &identity, NULL), 0);
    }
}

static void remove_files(const struct lives *l)
{
    for (uint32_t i = 0; i < l->world.options.replica.replica_count; i++)
        unlink(path_of(l, i));
    cr_assert_eq(rmdir(l->directory), 0);
}

/** Overwrites a replica's file with nothing of use. */
static void spoil(const struct lives *l, uint32_t replica)
{
    const uint8_t zeros[16384] = {0};
    int fd = open(path_of(l, replica), O_WRONLY);
    cr_assert_eq(pwrite(fd, zeros, sizeof zeros, 0), sizeof zeros);
    close(fd);
}

/* cluster.h: is_formatting needs a directory. */
Test(lives, formatting_nothing_is_refused)
{
    struct lives l;
    struct vsr_error why;

    make(&l, 3);
    l.world.options.is_formatting = true;
    cr_assert_eq(vsr_cluster_start(&l.world.options, &l.world.cluster, &why), -EINVAL);
    cr_assert_str_eq(why.option, "is_formatting");
    world_stop(&l.world);
}

/* cluster.h: formatted once, started once; then the logs are gone, and nothing starts on its own.
 */
Test(lives, files_start_a_cluster_once)
{
    struct lives l;
    struct vsr_error why;

    make_with_files(&l, 3);
    cr_assert_eq(vsr_cluster_start(&l.world.options, &l.world.cluster, &why), -ENOENT);
    cr_assert_not_null(strstr(why.text, "has to be formatted"));
    l.world.options.is_formatting = true;
    cr_assert_eq(vsr_cluster_start(&l.world.options, &l.world.cluster, &why), 0);
    /* It is durable, so it takes part. */
    cr_assert_eq(world_inspect(&l.world, 0).replica.status, VSR_STATUS_NORMAL);
    cr_assert_eq(vsr_cluster_stop(l.world.cluster, NULL), 0);
    cr_assert_eq(vsr_cluster_start(&l.world.options, &l.world.cluster, &why), -EEXIST);
    l.world.options.is_formatting = false;
    cr_assert_eq(vsr_cluster_start(&l.world.options, &l.world.cluster, &why), -ENOTRECOVERABLE);
    cr_assert_not_null(strstr(why.text, "their logs were in memory and are gone"));
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_eq(unlink(path_of(&l, i)), 0);
    l.world.options.is_formatting = true;
    cr_assert_eq(vsr_cluster_start(&l.world.options, &l.world.cluster, &why), 0);
    world_stop(&l.world);
    remove_files(&l);
}

/* vsr_superblock_format: files made ahead start a cluster; another cluster's do not. */
Test(lives, files_made_ahead_start_their_cluster_only)
{
    struct lives l;
    struct vsr_error why;

    make_with_files(&l, 3);
    format_files(&l);
    l.world.options.replica.cluster = 10;
    cr_assert_eq(vsr_cluster_start(&l.world.options, &l.world.cluster, &why), -EINVAL);
    cr_assert_not_null(strstr(why.text, "of cluster 3"));
    l.world.options.replica.cluster = 3;
    cr_assert_eq(vsr_cluster_start(&l.world.options, &l.world.cluster, &why), 0);
    world_stop(&l.world);
    remove_files(&l);
}

/* cluster.h: on an error nothing is left behind, no file either. */
Test(lives, failing_start_takes_its_files_back)
{
    struct lives l;

    make_with_files(&l, 3);
    l.world.options.is_formatting = true;
    l.machine_error = -ENOMEM;
    cr_assert_eq(vsr_cluster_start(&l.world.options, &l.world.cluster, NULL), -ENOMEM);
    cr_assert_eq(rmdir(l.directory), 0); /* it is empty */
    world_stop(&l.world);
}

/* A file in the way of the second replica: the first one's is taken back, that one is not touched.
 */
Test(lives, formatting_makes_all_files_or_none)
{
    struct lives l;
    struct vsr_error why;
    const struct vsr_superblock_identity second = {.cluster = 3, .replica = 1, .replica_count = 3};

    make_with_files(&l, 3);
    cr_assert_eq(vsr_superblock_format(l.directory, &second, NULL), 0);
    l.world.options.is_formatting = true;
    cr_assert_eq(vsr_cluster_start(&l.world.options, &l.world.cluster, &why), -EEXIST);
    cr_assert_not_null(strstr(why.text, path_of(&l, 1)));
    cr_assert_neq(access(path_of(&l, 0), F_OK), 0);
    cr_assert_eq(access(path_of(&l, 1), F_OK), 0);
    remove_files(&l);
    world_stop(&l.world);
}

/* A replica restarted in a live cluster reads its file again; a bad one keeps it down. */
Test(lives, restart_reads_the_file_again)
{
    struct lives l;
    struct vsr_error why;
    uint8_t good[16384];

    make_with_files(&l, 3);
    l.world.options.is_formatting = true;
    cr_assert_eq(vsr_cluster_start(&l.world.options, &l.world.cluster, &why), 0);
    world_kill(&l.world, 2);
    int fd = open(path_of(&l, 2), O_RDONLY);
    cr_assert_eq(pread(fd, good, sizeof good, 0), sizeof good);
    close(fd);
    spoil(&l, 2);
    cr_assert_eq(vsr_cluster_restart(l.world.cluster, 2, &why), -EBADMSG);
    cr_assert_not_null(strstr(why.text, "would fork the log"));
    cr_assert_eq(world_inspect(&l.world, 2).run_state, VSR_DOWN);
    fd = open(path_of(&l, 2), O_WRONLY);
    cr_assert_eq(pwrite(fd, good, sizeof good, 0), sizeof good);
    close(fd);
    cr_assert_eq(vsr_cluster_restart(l.world.cluster, 2, &why), 0);
    world_await_normal(&l.world, 2);
    world_stop(&l.world);
    remove_files(&l);
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
    struct lives l;

    make_with_files(&l, 3);
    l.world.options.is_formatting = true;
    world_start(&l.world);
    let_writes_fail(true);
    world_kill(&l.world, 0);
    /* The others leave the view, which has to be made durable. */
    AWAIT(atomic_load(&l.world.notices[VSR_NOTICE_STORAGE_FAILED]) > 0);
    let_writes_fail(false);
    uint32_t failed = world_inspect(&l.world, 1).run_state == VSR_FAILED ? 1 : 2;
    cr_assert_eq(world_inspect(&l.world, failed).run_state, VSR_FAILED);
    cr_assert_eq(vsr_cluster_pause(l.world.cluster, failed), -ESRCH);
    cr_assert_eq(vsr_cluster_kill(l.world.cluster, 3 - failed, VSR_KILL_SAFELY), -EBUSY);
    world_restart(&l.world, failed);
    cr_assert_eq(world_inspect(&l.world, failed).run_state, VSR_RUNNING);
    world_stop(&l.world);
    remove_files(&l);
}

/* cluster.h: -EIO, and nothing is left behind, when the first superblock cannot be written. */
Test(lives, failing_disk_at_the_start)
{
    struct lives l;
    struct vsr_error why;

    make_with_files(&l, 3);
    format_files(&l);
    let_writes_fail(true);
    cr_assert_eq(vsr_cluster_start(&l.world.options, &l.world.cluster, &why), -EIO);
    let_writes_fail(false);
    cr_assert_not_null(strstr(why.text, l.directory));
    world_stop(&l.world);
    remove_files(&l);
}
