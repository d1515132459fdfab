/**
 * Replicas that die, stand still and come back while clients go on.
 *
 * Property of each story: clients get answers again; in the end every operation has been answered
 * once, the counters count exactly them, all replicas are the same, all memory is back.
 */
#include "load.h"
#include "program.h"

#include <act/port.h>
#include <act/runtime.h>
#include <vsr/cluster.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ANSWERS = 500, CHURN_MS = 1500 };

struct world {
    struct act_runtime *runtime;
    struct act_port *port;
    struct vsr_cluster *cluster;
    struct load load;
    uint64_t random;
};

static void on_notice(void *context, uint32_t replica, enum vsr_notice notice, uint32_t about,
                      vsr_op op)
{
    (void)context;
    (void)replica;
    (void)about;
    (void)op;
    CHECK(notice != VSR_NOTICE_FORKED_LOG && notice != VSR_NOTICE_DIVERGED);
    CHECK(notice != VSR_NOTICE_DATA_LOST && notice != VSR_NOTICE_STORAGE_FAILED);
}

static void start(struct world *w, uint32_t replicas, const char *directory)
{
    struct vsr_cluster_options co;

    w->runtime = load_start_runtime(2, &w->port);
    vsr_cluster_options_init(&co);
    co.runtime = w->runtime;
    co.create_machine = load_create_machine;
    co.replica.cluster = load_seed;
    co.replica.replica_count = replicas;
    co.replica.sessions_max = 256;
    co.replica.batch_requests_max = 16;
    co.replica.seed = load_seed;
    co.replica.suspect_ticks = 40;
    co.replica.abdicate_ticks = 60;
    co.on_notice = on_notice;
    co.superblock_directory = directory;
    co.is_formatting = directory != NULL;
    CHECK(vsr_cluster_start(&co, &w->cluster, NULL) == 0);
    load_start(&w->load, w->cluster, 0);
    w->random = load_seed;
    load_await(&w->load, ANSWERS);
}

static void stop(struct world *w, const char *story)
{
    load_finish(&w->load);
    uint64_t total = load_verify(&w->load);
    load_stop(&w->load);
    CHECK(vsr_cluster_stop(w->cluster, NULL) == 0);
    act_port_close(w->port);
    CHECK(act_runtime_stop(w->runtime) == 0);
    printf("%s: %llu operations\n", story, (unsigned long long)total);
}

static struct vsr_cluster_report inspect(struct world *w, uint32_t replica)
{
    struct vsr_cluster_report report;
    CHECK(vsr_cluster_look(w->cluster, replica, &report) == 0);
    return report;
}

/** The replica that serves, in the highest view if two believe so. Waits for one. */
static uint32_t find_primary(struct world *w)
{
    for (uint32_t ms = 0;; ms++) {
        uint32_t primary = UINT32_MAX;
        vsr_view view = 0;
        for (uint32_t i = 0; i < vsr_cluster_replica_count(w->cluster); i++) {
            struct vsr_cluster_report r = inspect(w, i);
            if (r.run_state != VSR_RUNNING || !r.replica.is_primary || r.replica.view < view)
                continue;
            view = r.replica.view;
            primary = i;
        }
        if (primary != UINT32_MAX) return primary;
        CHECK(ms < 60000);
        load_sleep_ms(1);
    }
}

static void await_recovered(struct world *w, uint32_t replica)
{
    for (uint32_t ms = 0; inspect(w, replica).replica.status != VSR_STATUS_NORMAL; ms++) {
        CHECK(ms < 60000);
        load_sleep_ms(1);
    }
}

/** One after the other dies as the primary, until each has; with files and without. */
static void tell_failover(const char *directory)
{
    struct world w;

    start(&w, 3, directory);
    for (uint32_t i = 0; i < 4; i++) {
        const uint32_t primary = find_primary(&w);
        const vsr_view view = inspect(&w, primary).replica.view;
        CHECK(vsr_cluster_kill(w.cluster, primary, VSR_KILL_SAFELY) == 0);
        CHECK(inspect(&w, primary).run_state == VSR_DOWN);
        load_await(&w.load, ANSWERS);
        CHECK(inspect(&w, find_primary(&w)).replica.view > view);
        CHECK(inspect(&w, primary).messages_ended > 0);
        CHECK(vsr_cluster_restart(w.cluster, primary, NULL) == 0);
        await_recovered(&w, primary);
        load_await(&w.load, ANSWERS);
    }
    stop(&w, directory != NULL ? "primaries die, superblocks in files" : "primaries die");
}

/** A primary that stands still is replaced, and follows when it goes on. */
static void tell_pause(void)
{
    struct world w;

    start(&w, 3, NULL);
    for (uint32_t i = 0; i < 3; i++) {
        const uint32_t primary = find_primary(&w);
        const vsr_view view = inspect(&w, primary).replica.view;
        CHECK(vsr_cluster_pause(w.cluster, primary) == 0);
        load_await(&w.load, ANSWERS);
        CHECK(inspect(&w, find_primary(&w)).replica.view > view);
        CHECK(inspect(&w, primary).run_state == VSR_PAUSED);
        CHECK(vsr_cluster_resume(w.cluster, primary) == 0);
        load_await(&w.load, ANSWERS);
    }
    stop(&w, "primaries stand still");
}

/** A backup's death is not noticed by the clients; it comes back by log or by snapshot. */
static void tell_restart(void)
{
    struct world w;

    start(&w, 3, NULL);
    for (uint32_t i = 0; i < 3; i++) {
        const uint32_t backup = (find_primary(&w) + 1 + i % 2) % 3;
        CHECK(vsr_cluster_kill(w.cluster, backup, VSR_KILL_SAFELY) == 0);
        load_await(&w.load, i == 1 ? 20 * ANSWERS : ANSWERS);
        CHECK(vsr_cluster_restart(w.cluster, backup, NULL) == 0);
        await_recovered(&w, backup);
    }
    stop(&w, "backups die");
}

/** Whatever comes to mind, but never more than down_max replicas at once. */
static void tell_churn(uint32_t replicas, const char *directory)
{
    char story[64];
    struct world w;
    uint32_t kills = 0;

    start(&w, replicas, directory);
    for (uint32_t ms = 0; ms < CHURN_MS;) {
        const uint32_t replica = (uint32_t)load_random(&w.random) % replicas;
        const uint32_t wait = 1 + (uint32_t)load_random(&w.random) % 60;
        const enum vsr_run_state state = inspect(&w, replica).run_state;

        if (state == VSR_DOWN) {
            CHECK(vsr_cluster_restart(w.cluster, replica, NULL) == 0);
        } else if (state == VSR_PAUSED) {
            CHECK(vsr_cluster_resume(w.cluster, replica) == 0);
        } else if (load_random(&w.random) % 3 == 0) {
            CHECK(vsr_cluster_pause(w.cluster, replica) == 0);
        } else {
            int error = vsr_cluster_kill(w.cluster, replica, VSR_KILL_SAFELY);
            CHECK(error == 0 || error == -EBUSY);
            kills += error == 0;
        }
        load_sleep_ms(wait);
        ms += wait;
    }
    for (uint32_t i = 0; i < replicas; i++) {
        const enum vsr_run_state state = inspect(&w, i).run_state;
        if (state == VSR_DOWN) CHECK(vsr_cluster_restart(w.cluster, i, NULL) == 0);
        if (state == VSR_PAUSED) CHECK(vsr_cluster_resume(w.cluster, i) == 0);
    }
    load_await(&w.load, ANSWERS);
    snprintf(story, sizeof story, "churn of %u replicas, %u killed", replicas, kills);
    stop(&w, story);
}

static void remove_files(const char *directory, uint32_t replicas)
{
    char path[64];
    for (uint32_t i = 0; i < replicas; i++) {
        snprintf(path, sizeof path, "%s/replica-%u.superblock", directory, i);
        CHECK(unlink(path) == 0);
    }
}

int main(int argc, char **argv)
{
    char directory[] = "/tmp/failover-XXXXXX";

    for (int i = 1; i + 1 < argc; i += 2)
        if (strcmp(argv[i], "--seed") == 0) load_seed = program_seed("--seed", argv[i + 1]);
    CHECK(mkdtemp(directory) != NULL);
    tell_failover(NULL);
    tell_failover(directory);
    remove_files(directory, 3);
    tell_pause();
    tell_restart();
    tell_churn(3, NULL);
    tell_churn(4, NULL);
    tell_churn(5, directory);
    remove_files(directory, 5);
    CHECK(rmdir(directory) == 0);
    return 0;
}
