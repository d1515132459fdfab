/**
 * Replicas over a storage that is slow, stopped or failing: killed, paused and restarted while a
 * superblock is being written.
 */
#include "leak_check.h"

#include "disk.h"
#include "messages.h"
#include "world.h"

#include <act/port.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>

LEAK_CHECKED_SUITE(storage);

enum { SILENCE_MS = 60, SENDERS_MAX = VSR_REPLICAS_MAX };

struct disked {
    struct world world;
    struct vsr_storage storage;
    struct disk disk;
    uint32_t opens;      /* create_machine lets this replica's disk go, and waits a while */
    atomic_uint refused; /* who sends to no avail: an index; UINT32_MAX for none */
    atomic_uint refusals;
    atomic_uint sent[SENDERS_MAX]; /* messages by replicas */
    atomic_uint sent_of_type[VSR_MESSAGE_COUNT];
};

static int create_machine(void *context, uint32_t replica, struct vsr_state_machine *machine)
{
    struct disked *d = context;

    (void)replica;
    if (d->opens != UINT32_MAX) {
        disk_go(&d->disk, d->opens);
        world_sleep_ms(SILENCE_MS);
    }
    return vsr_counter_create(8, machine);
}

/** vsr_cluster_options.send: counts who says what, and refuses what one says. */
static int count_sent(void *context, act_id to, struct act_message *m)
{
    struct disked *d = context;
    const struct vsr_header *header = m->body;
    const uint64_t from = header->from;
    const uint8_t type = header->type;

    if (from == atomic_load(&d->refused)) {
        atomic_fetch_add(&d->refusals, 1);
        return -EAGAIN;
    }
    int error = act_send(to, m);
    if (error == 0 && from < SENDERS_MAX) {
        atomic_fetch_add(&d->sent[from], 1);
        atomic_fetch_add(&d->sent_of_type[type], 1);
    }
    return error;
}

static void start(struct disked *d, uint32_t replicas)
{
    struct vsr_cluster_options *o = &d->world.options;

    memset(d, 0, sizeof *d);
    d->opens = UINT32_MAX;
    atomic_init(&d->refused, UINT32_MAX);
    disk_init(&d->disk);
    d->storage = disk_storage(&d->disk);
    world_init(&d->world);
    world_set_replicas(&d->world, replicas);
    o->create_machine = create_machine;
    o->machine_context = d;
    o->send = count_sent;
    o->send_context = d;
    o->storage = &d->storage;
    world_start(&d->world);
}

static void stop(struct disked *d)
{
    world_stop(&d->world);
    disk_deinit(&d->disk);
}

/** Kills a replica and restarts it; its new life's first write does not end. */
static void restart_without_disk(struct disked *d, uint32_t replica)
{
    const uint32_t begun = disk_begun(&d->disk, replica);

    world_kill(&d->world, replica);
    disk_stop(&d->disk, replica);
    world_restart(&d->world, replica);
    disk_await_begun(&d->disk, replica, begun + 1);
}

/** A restart in a thread of its own. */
struct restarting {
    struct disked *disked;
    uint32_t replica;
    pthread_t thread;
    atomic_uint is_done;
};

static void *restart_in_thread(void *context)
{
    struct restarting *r = context;

    world_restart(&r->disked->world, r->replica);
    atomic_store(&r->is_done, 1);
    return NULL;
}

static void begin_restart(struct restarting *r, struct disked *d, uint32_t replica)
{
    r->disked = d;
    r->replica = replica;
    atomic_init(&r->is_done, 0);
    cr_assert_eq(pthread_create(&r->thread, NULL, restart_in_thread, r), 0);
}

static unsigned sent_by(struct disked *d, uint32_t replica)
{
    return atomic_load(&d->sent[replica]);
}

/** The replica has sent nothing since then, and sends nothing for a while. */
static void assert_silent_since(struct disked *d, uint32_t replica, unsigned then)
{
    world_sleep_ms(SILENCE_MS);
    cr_assert_eq(sent_by(d, replica), then, "replica %u says something", replica);
}

static void assert_silent(struct disked *d, uint32_t replica)
{
    assert_silent_since(d, replica, sent_by(d, replica));
}

/** Restarts a replica that is down: it says nothing before its new life is durable. */
static void restart_in_silence(struct disked *d, uint32_t replica)
{
    const unsigned sent = sent_by(d, replica);

    disk_stop(&d->disk, replica);
    world_restart(&d->world, replica);
    assert_silent_since(d, replica, sent);
    disk_go(&d->disk, replica);
    world_await_normal(&d->world, replica);
}

/* Rule 8.3: no two lives share an incarnation, which is durable before anything is said. */
Test(storage, every_life_has_an_incarnation_of_its_own)
{
    struct disked d;

    start(&d, 3);
    for (uint32_t life = 2; life <= 4; life++) {
        world_kill(&d.world, 2);
        restart_in_silence(&d, 2);
        cr_assert_eq(d.disk.held[2].incarnation, life);
    }
    stop(&d);
}

/* What a dead life could not send is never said, neither while its replica is down nor by the next
 * one. */
Test(storage, no_life_says_what_a_dead_one_had_to_say)
{
    struct disked d;

    start(&d, 3);
    atomic_store(&d.refused, 2);
    AWAIT(atomic_load(&d.refusals) > 3); /* its acknowledgements of heartbeats */
    world_kill(&d.world, 2);
    atomic_store(&d.refused, UINT32_MAX);
    assert_silent(&d, 2);
    restart_in_silence(&d, 2);
    stop(&d);
}

/* Rule 9.2: {view} is durable before DoViewChange. */
Test(storage, a_view_is_not_left_aloud_before_that_is_durable)
{
    struct disked d;

    start(&d, 3);
    disk_stop(&d.disk, 1);
    disk_stop(&d.disk, 2);
    const uint32_t begun = disk_begun(&d.disk, 1) + disk_begun(&d.disk, 2);
    world_kill(&d.world, 0);
    AWAIT(disk_begun(&d.disk, 1) + disk_begun(&d.disk, 2) > begun);
    world_sleep_ms(SILENCE_MS);
    cr_assert_eq(atomic_load(&d.sent_of_type[VSR_DO_VIEW_CHANGE]), 0);
    cr_assert_eq(atomic_load(&d.sent_of_type[VSR_START_VIEW]), 0);
    disk_go(&d.disk, 1);
    disk_go(&d.disk, 2);
    world_await_normal(&d.world, 1);
    world_await_normal(&d.world, 2);
    cr_assert_gt(atomic_load(&d.sent_of_type[VSR_DO_VIEW_CHANGE]), 0);
    cr_assert_geq(d.disk.held[1].log_view, 1);
    stop(&d);
}

/* cluster.h: one write for each promise, and none in a cluster at rest. */
Test(storage, a_start_and_a_view_change_write_what_they_need)
{
    struct disked d;

    start(&d, 3);
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_eq(disk_written(&d.disk, i), 1); /* the incarnation */
    world_sleep_ms(SILENCE_MS);
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_eq(disk_written(&d.disk, i), 1);
    cr_assert_eq(disk_reads(&d.disk, 1), 2); /* did any run before?, and the life's own */
    stop(&d);
}

/* storage.h: a replica that was killed while it wrote is read when that has ended. */
Test(storage, killed_while_writing_it_is_read_after_that)
{
    struct disked d;
    struct restarting r;

    start(&d, 3);
    restart_without_disk(&d, 2);
    world_kill(&d.world, 2);
    const uint32_t reads = disk_reads(&d.disk, 2);
    begin_restart(&r, &d, 2);
    world_sleep_ms(SILENCE_MS);
    cr_assert_eq(atomic_load(&r.is_done), 0);
    cr_assert_eq(disk_reads(&d.disk, 2), reads);
    disk_go(&d.disk, 2);
    cr_assert_eq(pthread_join(r.thread, NULL), 0);
    world_await_normal(&d.world, 2);
    cr_assert_eq(d.disk.held[2].incarnation, 3); /* the second life had made 2 durable */
    stop(&d);
}

/* storage.h: what a dead life had asked for and was not begun is never written. */
Test(storage, killed_before_writing_it_writes_no_more)
{
    struct disked d;

    start(&d, 5);
    restart_without_disk(&d, 1); /* the storage's thread is busy with it */
    world_kill(&d.world, 2);
    world_restart(&d.world, 2);
    world_kill(&d.world, 2);
    /* Between the read and the new life's beginning the thread gets time for what is left. */
    d.opens = 1;
    world_restart(&d.world, 2);
    world_await_normal(&d.world, 1);
    world_await_normal(&d.world, 2);
    cr_assert_eq(d.disk.held[2].incarnation, 2);
    cr_assert_eq(disk_written(&d.disk, 2), 2);
    stop(&d);
}

/** Says to a replica what its storage says, without having anything. */
static void wake(struct disked *d, uint32_t replica)
{
    struct act_port *port;

    cr_assert_eq(act_port_open(d->world.runtime, &port), 0);
    struct act_message *m = act_message_create(NODE_DURABLE, 0);
    cr_assert_not_null(m);
    cr_assert_eq(act_send(vsr_peers_id(vsr_cluster_peers(d->world.cluster), replica), m), 0);
    act_port_close(port);
}

/* The answer to a dead life is no answer to the next one, and nobody can make one up. */
Test(storage, no_life_takes_another_s_answer)
{
    struct disked d;

    start(&d, 3);
    restart_without_disk(&d, 2);
    const uint32_t written = disk_written(&d.disk, 2);
    world_kill(&d.world, 2);
    disk_go(&d.disk, 2);
    disk_await_written(&d.disk, 2, written + 1); /* the second life's, and it is dead */
    disk_stop(&d.disk, 2);
    const unsigned sent = sent_by(&d, 2);
    world_restart(&d.world, 2);
    wake(&d, 2);
    assert_silent_since(&d, 2, sent);
    cr_assert_eq(world_look(&d.world, 2).replica.status, VSR_STATUS_RECOVERING);
    disk_go(&d.disk, 2);
    world_await_normal(&d.world, 2);
    stop(&d);
}

/* cluster.h: paused while it writes, a replica says nothing, and goes on from there. */
Test(storage, paused_while_writing_it_goes_on_later)
{
    struct disked d;

    start(&d, 3);
    restart_without_disk(&d, 2);
    const uint32_t written = disk_written(&d.disk, 2);
    cr_assert_eq(vsr_cluster_pause(d.world.cluster, 2), 0);
    const unsigned sent = sent_by(&d, 2);
    disk_go(&d.disk, 2);
    disk_await_written(&d.disk, 2, written + 1);
    assert_silent_since(&d, 2, sent);
    cr_assert_eq(vsr_cluster_resume(d.world.cluster, 2), 0);
    world_await_normal(&d.world, 2);
    stop(&d);
}

/** Waits until a replica whose writes fail has failed; it never gets to that view. */
static void await_failed(struct disked *d, uint32_t replica, vsr_view view)
{
    struct vsr_cluster_report report;

    AWAIT((report = world_look(&d->world, replica)).run_state == VSR_FAILED ||
          (report.replica.status == VSR_STATUS_NORMAL && report.replica.view >= view));
    cr_assert_eq(report.run_state, VSR_FAILED, "it goes on in view %llu",
                 (unsigned long long)report.replica.view);
}

/* storage.h: a write that fails silences its replica until a restart; nothing was promised. */
Test(storage, a_write_that_fails_ends_the_replica)
{
    struct disked d;

    start(&d, 3);
    world_kill(&d.world, 2);
    disk_fail(&d.disk, 2, -EIO);
    world_restart(&d.world, 2);
    await_failed(&d, 2, 0);
    cr_assert_eq(atomic_load(&d.world.notices[VSR_NOTICE_STORAGE_FAILED]), 1);
    assert_silent(&d, 2);
    cr_assert_eq(vsr_cluster_kill(d.world.cluster, 1, VSR_KILL_SAFELY), -EBUSY);
    disk_fail(&d.disk, 2, 0);
    world_restart(&d.world, 2);
    world_await_normal(&d.world, 2);
    cr_assert_eq(vsr_cluster_settle(d.world.cluster, 10 * SECOND), 0);
    stop(&d);
}

/* cluster.h: a replica that has failed counts as lost, whatever its core was doing. */
Test(storage, one_that_failed_between_two_views_counts_as_lost)
{
    struct disked d;

    start(&d, 3);
    disk_fail(&d.disk, 2, -EIO);
    cr_assert_eq(vsr_cluster_pause(d.world.cluster, 0), 0); /* the others leave its view */
    await_failed(&d, 2, 1);
    cr_assert_eq(world_look(&d.world, 2).replica.status, VSR_STATUS_VIEW_CHANGE);
    cr_assert_eq(vsr_cluster_resume(d.world.cluster, 0), 0);
    world_await_normal(&d.world, 0);
    world_await_normal(&d.world, 1);
    cr_assert_eq(vsr_cluster_kill(d.world.cluster, 1, VSR_KILL_SAFELY), -EBUSY);
    disk_fail(&d.disk, 2, 0);
    world_restart(&d.world, 2);
    world_await_normal(&d.world, 2);
    stop(&d);
}

/* health.h: a replica whose storage failed has no log; two of three, and the cluster is gone. */
Test(storage, two_that_fail_end_the_cluster_and_its_clients_are_told)
{
    struct disked d;
    uint64_t value;

    start(&d, 3);
    world_start_caller(&d.world);
    cr_assert_eq(world_add(d.world.caller, (struct vsr_counter_add){1, 1}, &value, 10 * SECOND), 0);
    disk_fail(&d.disk, 1, -EIO);
    disk_fail(&d.disk, 2, -EIO);
    world_kill(&d.world, 0); /* they have to write that they leave its view */
    const int status =
        world_add(d.world.caller, (struct vsr_counter_add){1, 1}, &value, 20 * SECOND);
    cr_assert(status == -EOWNERDEAD || status == -ENOTRECOVERABLE, "status %d", status);
    cr_assert_eq(world_add(d.world.caller, (struct vsr_counter_add){1, 1}, &value, 20 * SECOND),
                 -ENOTRECOVERABLE);
    stop(&d);
}

/** Starts a cluster over a disk that fails for one replica: the start names that one. */
static void start_over(uint32_t failing, bool may_block)
{
    struct world w;
    struct disk disk;
    struct vsr_error why;

    disk_init(&disk);
    disk_fail(&disk, failing, -ENOSPC);
    struct vsr_storage storage = disk_storage(&disk);
    storage.may_block = may_block;
    world_init(&w);
    w.options.storage = &storage;
    world_start_runtime(&w);
    cr_assert_eq(vsr_cluster_start(&w.options, &w.cluster, &why), -EIO);
    cr_assert_not_null(strstr(why.text, failing == 1 ? "replica 1" : "replica 2"));
    world_stop(&w);
    disk_deinit(&disk);
}

/* cluster.h: -EIO when the first superblock cannot be written, -EINVAL for two storages. */
Test(storage, a_start_without_storage_is_refused)
{
    struct disked d;
    struct vsr_cluster *second;
    struct vsr_error why;

    start(&d, 3);
    d.world.options.superblock_directory = "/tmp";
    cr_assert_eq(vsr_cluster_start(&d.world.options, &second, &why), -EINVAL);
    cr_assert_str_eq(why.option, "storage");
    d.world.options.superblock_directory = NULL;
    cr_assert_eq(vsr_cluster_start(&d.world.options, &second, &why), -ENOTRECOVERABLE);
    cr_assert_not_null(strstr(why.text, "ran before"));
    stop(&d);

    start_over(1, true);
    start_over(2, false); /* the replica's worker hears of the error at once */
}

/* cluster.h: a storage that may block has a thread, which needs a port beside the starter's. */
Test(storage, a_start_without_a_port_for_its_thread_is_refused)
{
    struct world w;
    struct disk disk;
    struct vsr_error why;

    disk_init(&disk);
    const struct vsr_storage storage = disk_storage(&disk);
    world_init(&w);
    w.runtime_options.ports_max = 1;
    w.options.storage = &storage;
    world_start_runtime(&w);
    cr_assert_eq(vsr_cluster_start(&w.options, &w.cluster, &why), -EAGAIN);
    cr_assert_not_null(strstr(why.text, "raise the runtime's ports_max"), "%s", why.text);
    world_stop(&w);
    disk_deinit(&disk);
}
