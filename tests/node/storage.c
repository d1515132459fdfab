/**
 * Replicas over a storage that is slow, stopped or failing: killed, paused and restarted while a
 * superblock is being written.
 */
#include "leak_check.h"

#include "disk.h"
#include "messages.h"

#include <act/port.h>
#include <act/runtime.h>
#include <vsr/cluster.h>
#include <vsr/counter.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

LEAK_CHECKED_SUITE(storage);

enum { WAIT_MS_MAX = 20000, SILENCE_MS = 60, SENDERS_MAX = VSR_REPLICAS_MAX };
#define SECOND 1000000000ull

struct world {
    struct act_runtime *runtime;
    struct vsr_cluster *cluster;
    struct vsr_cluster_options options;
    struct vsr_storage storage;
    struct disk disk;
    uint32_t opens; /* create_machine lets this replica's disk go, and waits a while */
    atomic_uint notices[VSR_NOTICE_COUNT];
    atomic_uint sent[SENDERS_MAX]; /* messages by replicas */
    atomic_uint sent_of_type[VSR_MESSAGE_COUNT];
};

static void sleep_ms(uint32_t ms)
{
    const struct timespec pause = {.tv_nsec = (long)ms * 1000000};
    nanosleep(&pause, NULL);
}

static int create_machine(void *context, uint32_t replica, struct vsr_state_machine *machine)
{
    struct world *w = context;

    (void)replica;
    if (w->opens != UINT32_MAX) {
        disk_go(&w->disk, w->opens);
        sleep_ms(SILENCE_MS);
    }
    return vsr_counter_create(8, machine);
}

static void on_notice(void *context, uint32_t replica, enum vsr_notice notice, uint32_t about,
                      vsr_op op)
{
    struct world *w = context;

    (void)replica, (void)about, (void)op;
    atomic_fetch_add(&w->notices[notice], 1);
}

/** vsr_cluster_options.send: counts who says what. */
static int count_sent(void *context, act_id to, struct act_message *m)
{
    struct world *w = context;
    const struct vsr_header *header = m->body;
    const uint64_t from = header->from;
    const uint8_t type = header->type;
    int error = act_send(to, m);

    if (error == 0 && from < SENDERS_MAX) {
        atomic_fetch_add(&w->sent[from], 1);
        atomic_fetch_add(&w->sent_of_type[type], 1);
    }
    return error;
}

static void start(struct world *w, uint32_t replicas)
{
    struct act_runtime_options o;

    memset(w, 0, sizeof *w);
    w->opens = UINT32_MAX;
    disk_init(&w->disk);
    w->storage = disk_storage(&w->disk);
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
    w->options.send = count_sent;
    w->options.send_context = w;
    w->options.storage = &w->storage;
    cr_assert_eq(vsr_cluster_start(&w->options, &w->cluster, NULL), 0);
}

static void stop(struct world *w)
{
    vsr_cluster_stop(w->cluster);
    cr_assert_eq(act_runtime_stop(w->runtime), 0);
    disk_deinit(&w->disk);
}

static struct vsr_cluster_report look(struct world *w, uint32_t replica)
{
    struct vsr_cluster_report report;
    cr_assert_eq(vsr_cluster_look(w->cluster, replica, &report), 0);
    return report;
}

static void await_normal(struct world *w, uint32_t replica)
{
    for (uint32_t ms = 0; look(w, replica).replica.status != VSR_STATUS_NORMAL; ms++) {
        cr_assert(ms < WAIT_MS_MAX);
        sleep_ms(1);
    }
}

static void kill_replica(struct world *w, uint32_t replica)
{
    cr_assert_eq(vsr_cluster_kill(w->cluster, replica, VSR_KILL_SAFELY), 0);
}

static void restart(struct world *w, uint32_t replica)
{
    cr_assert_eq(vsr_cluster_restart(w->cluster, replica, NULL), 0);
}

/** Kills a replica and restarts it; its new life's first write does not end. */
static void restart_without_disk(struct world *w, uint32_t replica)
{
    const uint32_t begun = disk_begun(&w->disk, replica);

    kill_replica(w, replica);
    disk_stop(&w->disk, replica);
    restart(w, replica);
    disk_await_begun(&w->disk, replica, begun + 1);
}

/** A restart in a thread of its own. */
struct restarting {
    struct world *world;
    uint32_t replica;
    pthread_t thread;
    atomic_uint is_done;
};

static void *restart_in_thread(void *context)
{
    struct restarting *r = context;

    restart(r->world, r->replica);
    atomic_store(&r->is_done, 1);
    return NULL;
}

static void begin_restart(struct restarting *r, struct world *w, uint32_t replica)
{
    r->world = w;
    r->replica = replica;
    atomic_init(&r->is_done, 0);
    cr_assert_eq(pthread_create(&r->thread, NULL, restart_in_thread, r), 0);
}

static unsigned sent_by(struct world *w, uint32_t replica)
{
    return atomic_load(&w->sent[replica]);
}

/** The replica has sent nothing since then, and sends nothing for a while. */
static void assert_silent_since(struct world *w, uint32_t replica, unsigned then)
{
    sleep_ms(SILENCE_MS);
    cr_assert_eq(sent_by(w, replica), then, "replica %u says something", replica);
}

static void assert_silent(struct world *w, uint32_t replica)
{
    assert_silent_since(w, replica, sent_by(w, replica));
}

/* Rule 8.3: no two lives share an incarnation, which is durable before anything is said. */
Test(storage, every_life_has_an_incarnation_of_its_own)
{
    struct world w;

    start(&w, 3);
    for (uint32_t life = 2; life <= 4; life++) {
        kill_replica(&w, 2);
        const unsigned sent = sent_by(&w, 2);
        disk_stop(&w.disk, 2);
        restart(&w, 2);
        assert_silent_since(&w, 2, sent);
        disk_go(&w.disk, 2);
        await_normal(&w, 2);
        cr_assert_eq(w.disk.held[2].incarnation, life);
    }
    stop(&w);
}

/* Rule 9.2: {view} is durable before DoViewChange. */
Test(storage, a_view_is_not_left_aloud_before_that_is_durable)
{
    struct world w;

    start(&w, 3);
    disk_stop(&w.disk, 1);
    disk_stop(&w.disk, 2);
    const uint32_t begun = disk_begun(&w.disk, 1) + disk_begun(&w.disk, 2);
    kill_replica(&w, 0);
    for (uint32_t ms = 0; disk_begun(&w.disk, 1) + disk_begun(&w.disk, 2) == begun; ms++) {
        cr_assert(ms < WAIT_MS_MAX);
        sleep_ms(1);
    }
    sleep_ms(SILENCE_MS);
    cr_assert_eq(atomic_load(&w.sent_of_type[VSR_DO_VIEW_CHANGE]), 0);
    cr_assert_eq(atomic_load(&w.sent_of_type[VSR_START_VIEW]), 0);
    disk_go(&w.disk, 1);
    disk_go(&w.disk, 2);
    await_normal(&w, 1);
    await_normal(&w, 2);
    cr_assert_gt(atomic_load(&w.sent_of_type[VSR_DO_VIEW_CHANGE]), 0);
    cr_assert_geq(w.disk.held[1].log_view, 1);
    stop(&w);
}

/* cluster.h: one write for each promise, and none in a cluster at rest. */
Test(storage, a_start_and_a_view_change_write_what_they_need)
{
    struct world w;

    start(&w, 3);
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_eq(disk_written(&w.disk, i), 1); /* the incarnation */
    sleep_ms(SILENCE_MS);
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_eq(disk_written(&w.disk, i), 1);
    cr_assert_eq(disk_reads(&w.disk, 1), 2); /* did any run before?, and the life's own */
    stop(&w);
}

/* storage.h: a replica that was killed while it wrote is read when that has ended. */
Test(storage, killed_while_writing_it_is_read_after_that)
{
    struct world w;
    struct restarting r;

    start(&w, 3);
    restart_without_disk(&w, 2);
    kill_replica(&w, 2);
    const uint32_t reads = disk_reads(&w.disk, 2);
    begin_restart(&r, &w, 2);
    sleep_ms(SILENCE_MS);
    cr_assert_eq(atomic_load(&r.is_done), 0);
    cr_assert_eq(disk_reads(&w.disk, 2), reads);
    disk_go(&w.disk, 2);
    cr_assert_eq(pthread_join(r.thread, NULL), 0);
    await_normal(&w, 2);
    cr_assert_eq(w.disk.held[2].incarnation, 3); /* the second life had made 2 durable */
    stop(&w);
}

/* storage.h: what a dead life had asked for and was not begun is never written. */
Test(storage, killed_before_writing_it_writes_no_more)
{
    struct world w;

    start(&w, 5);
    restart_without_disk(&w, 1); /* the storage's thread is busy with it */
    kill_replica(&w, 2);
    restart(&w, 2);
    kill_replica(&w, 2);
    /* Between the read and the new life's beginning the thread gets time for what is left. */
    w.opens = 1;
    restart(&w, 2);
    await_normal(&w, 1);
    await_normal(&w, 2);
    cr_assert_eq(w.disk.held[2].incarnation, 2);
    cr_assert_eq(disk_written(&w.disk, 2), 2);
    stop(&w);
}

/** Says to a replica what its storage says, without having anything. */
static void wake(struct world *w, uint32_t replica)
{
    struct act_port *port;

    cr_assert_eq(act_port_open(w->runtime, &port), 0);
    struct act_message *m = act_message_create(NODE_PERSISTED, 0);
    cr_assert_not_null(m);
    cr_assert_eq(act_send(vsr_peers_id(vsr_cluster_peers(w->cluster), replica), m), 0);
    act_port_close(port);
}

/* The answer to a dead life is no answer to the next one, and nobody can make one up. */
Test(storage, no_life_takes_another_s_answer)
{
    struct world w;

    start(&w, 3);
    restart_without_disk(&w, 2);
    const uint32_t written = disk_written(&w.disk, 2);
    kill_replica(&w, 2);
    disk_go(&w.disk, 2);
    disk_await_written(&w.disk, 2, written + 1); /* the second life's, and it is dead */
    disk_stop(&w.disk, 2);
    const unsigned sent = sent_by(&w, 2);
    restart(&w, 2);
    wake(&w, 2);
    assert_silent_since(&w, 2, sent);
    cr_assert_eq(look(&w, 2).replica.status, VSR_STATUS_RECOVERING);
    disk_go(&w.disk, 2);
    await_normal(&w, 2);
    stop(&w);
}

/* cluster.h: paused while it writes, a replica says nothing, and goes on from there. */
Test(storage, paused_while_writing_it_goes_on_later)
{
    struct world w;

    start(&w, 3);
    restart_without_disk(&w, 2);
    const uint32_t written = disk_written(&w.disk, 2);
    cr_assert_eq(vsr_cluster_pause(w.cluster, 2), 0);
    const unsigned sent = sent_by(&w, 2);
    disk_go(&w.disk, 2);
    disk_await_written(&w.disk, 2, written + 1);
    assert_silent_since(&w, 2, sent);
    cr_assert_eq(vsr_cluster_resume(w.cluster, 2), 0);
    await_normal(&w, 2);
    stop(&w);
}

/* storage.h: a write that fails silences its replica until a restart; nothing was promised. */
Test(storage, a_write_that_fails_ends_the_replica)
{
    struct world w;

    start(&w, 3);
    kill_replica(&w, 2);
    disk_fail(&w.disk, 2, -EIO);
    restart(&w, 2);
    for (uint32_t ms = 0; look(&w, 2).run_state != VSR_FAILED; ms++) {
        cr_assert(ms < WAIT_MS_MAX);
        sleep_ms(1);
    }
    cr_assert_eq(atomic_load(&w.notices[VSR_NOTICE_STORAGE_FAILED]), 1);
    assert_silent(&w, 2);
    cr_assert_eq(vsr_cluster_kill(w.cluster, 1, VSR_KILL_SAFELY), -EBUSY);
    disk_fail(&w.disk, 2, 0);
    restart(&w, 2);
    await_normal(&w, 2);
    cr_assert_eq(vsr_cluster_settle(w.cluster, 10 * SECOND), 0);
    stop(&w);
}

/* cluster.h: a replica that has failed counts as lost, whatever its core was doing. */
Test(storage, one_that_failed_between_two_views_counts_as_lost)
{
    struct world w;

    start(&w, 3);
    disk_fail(&w.disk, 2, -EIO);
    cr_assert_eq(vsr_cluster_pause(w.cluster, 0), 0); /* the others leave its view */
    for (uint32_t ms = 0; look(&w, 2).run_state != VSR_FAILED; ms++) {
        cr_assert(ms < WAIT_MS_MAX);
        sleep_ms(1);
    }
    cr_assert_eq(look(&w, 2).replica.status, VSR_STATUS_VIEW_CHANGE);
    cr_assert_eq(vsr_cluster_resume(w.cluster, 0), 0);
    await_normal(&w, 0);
    await_normal(&w, 1);
    cr_assert_eq(vsr_cluster_kill(w.cluster, 1, VSR_KILL_SAFELY), -EBUSY);
    disk_fail(&w.disk, 2, 0);
    restart(&w, 2);
    await_normal(&w, 2);
    stop(&w);
}

/* cluster.h: -EIO when the first superblock cannot be written, -EINVAL for two storages. */
Test(storage, a_start_without_storage_is_refused)
{
    struct world w;
    struct vsr_cluster *second;
    struct vsr_error why;

    start(&w, 3);
    w.options.superblock_directory = "/tmp";
    cr_assert_eq(vsr_cluster_start(&w.options, &second, &why), -EINVAL);
    cr_assert_str_eq(why.option, "storage");
    w.options.superblock_directory = NULL;
    cr_assert_eq(vsr_cluster_start(&w.options, &second, &why), -ENOTRECOVERABLE);
    cr_assert_not_null(strstr(why.text, "ran before"));
    stop(&w);

    struct disk disk;
    disk_init(&disk);
    disk_fail(&disk, 1, -ENOSPC);
    struct vsr_storage storage = disk_storage(&disk);
    struct act_runtime_options o;
    act_runtime_options_init(&o);
    o.workers = 2;
    cr_assert_eq(act_runtime_start(&o, &w.options.runtime, NULL), 0);
    w.options.storage = &storage;
    cr_assert_eq(vsr_cluster_start(&w.options, &second, &why), -EIO);
    cr_assert_not_null(strstr(why.text, "replica 1"));
    storage.may_block = false; /* the replica's worker hears of the error at once */
    disk_deinit(&disk);
    disk_init(&disk);
    disk_fail(&disk, 2, -ENOSPC);
    cr_assert_eq(vsr_cluster_start(&w.options, &second, &why), -EIO);
    cr_assert_not_null(strstr(why.text, "replica 2"));
    cr_assert_eq(act_runtime_stop(w.options.runtime), 0);
    disk_deinit(&disk);
}
