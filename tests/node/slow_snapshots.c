/**
 * A cluster whose state takes longer to save and to load than a silent replica is given: 300 ms
 * each, with the default timers. Nobody leaves a view for it, and who comes back does so under
 * load.
 *
 * Each replica has a worker of its own, which stands still meanwhile. The machine's own pauses are
 * measured: a view change is a failure only while the test's thread was never late itself.
 */
#include "load.h"

#include <act/port.h>
#include <act/runtime.h>
#include <act/timer.h>
#include <vsr/cluster.h>

#include <string.h>
#include <time.h>

/* A save every ring and a half: with a turn in each ring the next one's would always come while the
 * ring waits for the one that saves, and be left out (rule 6.8). */
enum { REPLICAS = 3, SLOW_MS = 300, CHECKPOINT_OPS = 1536, LATE_MS = 40, WAIT_MS_MAX = 60000 };

static bool (*fast_save)(void *state, vsr_snapshot_write write, void *stream);
static bool (*fast_load)(void *state, vsr_snapshot_read read, void *stream);

static bool slow_save(void *state, vsr_snapshot_write write, void *stream)
{
    load_sleep_ms(SLOW_MS);
    return fast_save(state, write, stream);
}

static bool slow_load(void *state, vsr_snapshot_read read, void *stream)
{
    load_sleep_ms(SLOW_MS);
    return fast_load(state, read, stream);
}

/** The load's counters; all replicas have the same functions, so the first to come notes them. */
static int create_machine(void *context, uint32_t replica, struct vsr_state_machine *machine)
{
    int error = load_create_machine(context, replica, machine);

    if (error != 0) return error;
    if (fast_save == NULL) {
        fast_save = machine->save;
        fast_load = machine->load;
    }
    machine->save = slow_save;
    machine->load = slow_load;
    return 0;
}

struct world {
    struct act_runtime *runtime;
    struct act_port *port;
    struct vsr_cluster *cluster;
    struct load load;
    uint32_t late; /* how often this thread woke LATE_MS too late: the machine was busy */
};

static void start(struct world *w)
{
    static const uint32_t places[REPLICAS] = {ACT_PLACE_ON(0), ACT_PLACE_ON(1), ACT_PLACE_ON(2)};
    struct vsr_cluster_options co;

    memset(w, 0, sizeof *w);
    w->runtime = load_start_runtime(REPLICAS + 1, &w->port);
    vsr_cluster_options_init(&co);
    co.runtime = w->runtime;
    co.create_machine = create_machine;
    co.places = places;
    co.replica.cluster = load_seed;
    co.replica.replica_count = REPLICAS;
    co.replica.checkpoint_ops = CHECKPOINT_OPS;
    CHECK(SLOW_MS * 1000000ull > co.replica.suspect_ticks * co.tick_ns);
    CHECK(vsr_cluster_start(&co, &w->cluster, NULL) == 0);
    load_start(&w->load, w->cluster, 1);
}

static struct vsr_replica_report inspect(struct world *w, uint32_t replica)
{
    struct vsr_cluster_report report;

    CHECK(vsr_cluster_look(w->cluster, replica, &report) == 0);
    return report.replica;
}

static void pause_and_watch(struct world *w)
{
    const uint64_t before = act_now_ns();

    load_sleep_ms(1);
    w->late += act_now_ns() - before > LATE_MS * 1000000ull;
}

/* Every replica saves three times, in turn. */
static void tell_saving(struct world *w)
{
    for (uint32_t i = 0; i < REPLICAS; i++) {
        for (uint32_t ms = 0; inspect(w, i).counters.snapshots_saved < 3; ms++) {
            CHECK(ms < WAIT_MS_MAX);
            pause_and_watch(w);
        }
    }
    printf("three saves each: view %llu, %llu answers, %u times late\n",
           (unsigned long long)inspect(w, 0).view, (unsigned long long)load_answered(&w->load),
           w->late);
    for (uint32_t i = 0; i < REPLICAS; i++)
        CHECK(inspect(w, i).view == 0 || w->late > 0);
}

/* One that has lost its memory needs a snapshot, for the log has moved on, and comes back while the
 * others commit. */
static void tell_restart(struct world *w)
{
    const uint32_t back = REPLICAS - 1;
    const struct vsr_replica_report before = inspect(w, back);

    CHECK(vsr_cluster_kill(w->cluster, back, VSR_KILL_SAFELY) == 0);
    for (uint32_t ms = 0; inspect(w, 0).commit < before.commit + 2 * CHECKPOINT_OPS; ms++) {
        CHECK(ms < WAIT_MS_MAX);
        pause_and_watch(w);
    }
    CHECK(vsr_cluster_restart(w->cluster, back, NULL) == 0);
    const uint64_t answers = load_answered(&w->load);
    struct vsr_replica_report now = inspect(w, back);
    for (uint32_t ms = 0; now.status != VSR_STATUS_NORMAL || now.applied < before.applied; ms++) {
        CHECK(ms < WAIT_MS_MAX);
        pause_and_watch(w);
        now = inspect(w, back);
    }
    printf("restarted: %llu snapshots loaded, %llu answers meanwhile\n",
           (unsigned long long)now.counters.snapshots_loaded,
           (unsigned long long)(load_answered(&w->load) - answers));
    CHECK(now.counters.snapshots_loaded > 0);
    load_await(&w->load, 500);
}

int main(void)
{
    struct world w;

    start(&w);
    tell_saving(&w);
    tell_restart(&w);
    load_finish(&w.load);
    printf("%llu operations\n", (unsigned long long)load_verify(&w.load));
    load_stop(&w.load);
    CHECK(vsr_cluster_stop(w.cluster, NULL) == 0);
    act_port_close(w.port);
    CHECK(act_runtime_stop(w.runtime) == 0);
    return 0;
}
