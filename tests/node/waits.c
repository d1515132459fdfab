/**
 * Threads that wait for actors which do not look: each wait has an end, says for whom it is, and
 * leaves nothing behind. A minute passes fast here: the clock of a hurried thread runs ahead.
 */
#include "leak_check.h"

#include "disk.h"
#include "messages.h"
#include "wait.h"
#include "world.h"

#include <act/actor.h>
#include <act/message.h>
#include <act/port.h>
#include <act/timer.h>
#include <vsr/client_actor.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

LEAK_CHECKED_SUITE(waits);

/* The functions that the linker puts before the true ones. */

static _Thread_local bool is_hurried;
static _Thread_local uint64_t ahead_ns;
static atomic_uint is_held_back;       /* no thread is hurried for now */
static _Thread_local bool has_no_room; /* for controls */
static atomic_uint controls_refused;
static atomic_uint stops_refused, no_stops; /* act_stop says -EAGAIN so often */
static atomic_uint asks_refused, no_asks;   /* likewise for NODE_STOP messages */

uint64_t __real_act_now_ns(void);
uint64_t __wrap_act_now_ns(void);
uint64_t __wrap_act_now_ns(void)
{
    if (is_hurried && atomic_load(&is_held_back) == 0) ahead_ns += SECOND;
    return __real_act_now_ns() + ahead_ns;
}

int __real_pthread_cond_timedwait(pthread_cond_t *changed, pthread_mutex_t *mutex,
                                  const struct timespec *end);
int __wrap_pthread_cond_timedwait(pthread_cond_t *changed, pthread_mutex_t *mutex,
                                  const struct timespec *end);
int __wrap_pthread_cond_timedwait(pthread_cond_t *changed, pthread_mutex_t *mutex,
                                  const struct timespec *end)
{
    struct timespec soon;

    if (!is_hurried) return __real_pthread_cond_timedwait(changed, mutex, end);
    clock_gettime(CLOCK_MONOTONIC, &soon);
    soon.tv_sec += soon.tv_nsec >= 999000000;
    soon.tv_nsec = (soon.tv_nsec + 1000000) % 1000000000;
    return __real_pthread_cond_timedwait(changed, mutex, &soon);
}

static bool is_refused(atomic_uint *left, atomic_uint *count)
{
    if (atomic_load(left) == 0) return false;
    atomic_fetch_sub(left, 1);
    atomic_fetch_add(count, 1);
    return true;
}

int __real_act_stop(act_id id, int reason);
int __wrap_act_stop(act_id id, int reason);
int __wrap_act_stop(act_id id, int reason)
{
    return is_refused(&no_stops, &stops_refused) ? -EAGAIN : __real_act_stop(id, reason);
}

int __real_act_send(act_id to, struct act_message *m);
int __wrap_act_send(act_id to, struct act_message *m);
int __wrap_act_send(act_id to, struct act_message *m)
{
    if (has_no_room && m->type == NODE_CONTROL) {
        atomic_fetch_add(&controls_refused, 1);
        return -EAGAIN;
    }
    if (m->type == NODE_STOP && is_refused(&no_asks, &asks_refused)) return -EAGAIN;
    return __real_act_send(to, m);
}

/* A worker that is held up. */

struct holder {
    atomic_uint is_held;
    atomic_uint may_go;
};

static void hold(void *state, struct act_message *m)
{
    struct holder *h = state;

    act_message_unref(m);
    atomic_store(&h->is_held, 1);
    while (atomic_load(&h->may_go) == 0)
        world_sleep_ms(1);
    act_exit(0);
}

static const struct act_behaviour holder_behaviour = {.receive = hold};

/** Holds a replica's worker up. The default places: replica i of 3 is on worker 1, 0, 1. */
static void hold_worker(struct world *w, struct holder *h, uint32_t replica)
{
    const struct act_spawn_options o = {
        .behaviour = &holder_behaviour, .state = h, .place = ACT_PLACE_ON(1 - replica % 2)};
    struct act_port *port;
    act_id id;

    *h = (struct holder){.is_held = 0};
    const int error = act_port_open(w->runtime, &port);
    cr_assert(error == 0 || error == -EBUSY); /* a caller's does as well */
    cr_assert_eq(act_spawn(&o, &id), 0);
    struct act_message *m = act_message_create(1, 0);
    cr_assert_not_null(m);
    cr_assert_eq(act_send(id, m), 0);
    if (error == 0) act_port_close(port);
    AWAIT(atomic_load(&h->is_held) == 1);
}

static void let_go(struct holder *h)
{
    atomic_store(&h->may_go, 1);
}

/* What stands on stderr. */

static FILE *words;
static int true_stderr;

static void catch_words(void)
{
    words = tmpfile();
    cr_assert_not_null(words);
    true_stderr = dup(STDERR_FILENO);
    dup2(fileno(words), STDERR_FILENO);
}

static void await_words(void)
{
    struct stat what = {.st_size = 0};

    AWAIT(fstat(fileno(words), &what) == 0 && what.st_size > 0);
}

/** Whether they were written since catch_words. */
static bool has_said(const char *text)
{
    static char bytes[65536];

    dup2(true_stderr, STDERR_FILENO);
    close(true_stderr);
    rewind(words);
    bytes[fread(bytes, 1, sizeof bytes - 1, words)] = '\0';
    fclose(words);
    return strstr(bytes, text) != NULL;
}

/* cluster.h: -ETIMEDOUT when a replica's actor has not looked for a minute, and stderr names it.
 * What was asked is taken back: when the actor looks again, it is there no more. */
Test(waits, an_actor_that_does_not_look_is_named_and_left)
{
    struct world w;
    struct holder h;
    struct vsr_cluster_report report;

    world_init(&w);
    world_start(&w);
    hold_worker(&w, &h, 1);
    catch_words();
    is_hurried = true;
    cr_assert_eq(vsr_cluster_look(w.cluster, 1, &report), -ETIMEDOUT);
    cr_assert_eq(vsr_cluster_pause(w.cluster, 1), -ETIMEDOUT);
    cr_assert_eq(vsr_cluster_kill(w.cluster, 1, VSR_KILL_FORCED), -ETIMEDOUT);
    is_hurried = false;
    cr_assert(has_said("has waited for a replica's actor for 5"));
    memset(&report, 0x5A, sizeof report);
    let_go(&h);
    world_await_normal(&w, 1);
    cr_assert_eq(world_look(&w, 1).run_state, VSR_RUNNING);
    cr_assert_eq(report.digest, 0x5A5A5A5A5A5A5A5A);
    world_stop(&w);
}

/** Looks at replica 1 in a thread of its own, which is hurried. */
struct looker {
    struct world *world;
    bool has_no_room;
    bool wants_digest;
    pthread_t thread;
    atomic_uint is_done;
    int error;
    struct vsr_cluster_report report;
};

static void *look_in_thread(void *context)
{
    struct looker *l = context;

    is_hurried = true;
    has_no_room = l->has_no_room;
    l->error = l->wants_digest ? vsr_cluster_inspect(l->world->cluster, 1, &l->report)
                               : vsr_cluster_look(l->world->cluster, 1, &l->report);
    atomic_store(&l->is_done, 1);
    return NULL;
}

static void begin_look(struct looker *l)
{
    cr_assert_eq(pthread_create(&l->thread, NULL, look_in_thread, l), 0);
}

static atomic_uint digest_has_begun, digest_may_end;

static uint64_t slow_digest(void *state)
{
    (void)state;
    atomic_store(&digest_has_begun, 1);
    while (atomic_load(&digest_may_end) == 0)
        world_sleep_ms(1);
    return 4711;
}

static int create_slow(void *context, uint32_t replica, struct vsr_state_machine *machine)
{
    int error = vsr_counter_create(WORLD_COUNTERS, machine);

    (void)context;
    if (replica == 1) machine->digest = slow_digest;
    return error;
}

/* control.h: what the actor has begun is waited for, however long it takes: it writes there. */
Test(waits, an_answer_that_was_begun_is_waited_for)
{
    struct world w;
    struct looker l = {.world = &w, .wants_digest = true};

    world_init(&w);
    w.options.create_machine = create_slow;
    world_start(&w);
    begin_look(&l);
    AWAIT(atomic_load(&digest_has_begun) == 1);
    world_sleep_ms(200); /* some hundred seconds of the looker's */
    cr_assert_eq(atomic_load(&l.is_done), 0);
    atomic_store(&digest_may_end, 1);
    pthread_join(l.thread, NULL);
    cr_assert_eq(l.error, 0);
    cr_assert_eq(l.report.digest, 4711);
    cr_assert_eq(l.report.run_state, VSR_RUNNING);
    world_stop(&w);
}

/* control.h: -ETIMEDOUT, in time, when the mailbox has no room; but what another thread's message
 * made the actor look at is answered. */
Test(waits, a_full_mailbox_is_left)
{
    struct world w;
    struct holder h;
    struct looker l = {.world = &w, .has_no_room = true};
    struct looker other = {.world = &w, .has_no_room = true};

    world_init(&w);
    world_start(&w);
    hold_worker(&w, &h, 1);
    catch_words();
    begin_look(&l);
    pthread_join(l.thread, NULL);
    cr_assert_eq(l.error, -ETIMEDOUT);
    cr_assert(has_said("has waited for a replica's mailbox for"));
    let_go(&h);

    /* It is looked at while the other waits for room, whose time is over only then. */
    atomic_store(&is_held_back, 1);
    atomic_store(&controls_refused, 0);
    begin_look(&other);
    AWAIT(atomic_load(&controls_refused) > 0);
    world_look(&w, 1);
    atomic_store(&is_held_back, 0);
    pthread_join(other.thread, NULL);
    cr_assert_eq(other.error, 0);
    cr_assert_eq(other.report.run_state, VSR_RUNNING);
    world_stop(&w);
}

/* cluster.h: a stop finds room in the end, at the replicas' mailboxes as at a service's. */
Test(waits, stops_that_find_no_room_are_said_again)
{
    struct world w;

    world_init(&w);
    world_start_service(&w);
    atomic_store(&no_asks, 4);
    cr_assert_eq(vsr_service_stop(w.runtime, w.service, 10 * SECOND), 0);
    cr_assert_eq(atomic_load(&asks_refused), 4);
    w.service = world_spawn_service(&w);
    cr_assert_eq(vsr_cluster_pause(w.cluster, 1), 0);
    cr_assert_eq(vsr_cluster_pause(w.cluster, 2), 0);
    atomic_store(&no_stops, 3); /* its sessions cannot be closed: it is ended */
    cr_assert_eq(vsr_service_stop(w.runtime, w.service, SECOND / 50), -ETIMEDOUT);
    cr_assert_eq(atomic_load(&stops_refused), 3);
    w.service = ACT_ID_NONE;
    atomic_store(&no_stops, 5);
    world_stop(&w);
    cr_assert_eq(atomic_load(&stops_refused), 8);
}

/* service.h: -ETIMEDOUT though the service never has room to be asked: it is ended. */
Test(waits, a_service_that_is_never_asked_is_ended)
{
    struct world w;

    world_init(&w);
    world_start_service(&w);
    atomic_store(&no_asks, 1000000);
    cr_assert_eq(vsr_service_stop(w.runtime, w.service, SECOND / 50), -ETIMEDOUT);
    atomic_store(&no_asks, 0);
    cr_assert_eq(vsr_service_stop(w.runtime, w.service, SECOND), 0);
    world_stop(&w);
}

static void *set_later(void *event)
{
    world_sleep_ms(20);
    vsr_node_event_set(event);
    return NULL;
}

/* wait.h: a wait lasts as long as was asked for, unless the event is set. */
Test(waits, an_event_is_waited_for_as_long_as_was_asked)
{
    struct vsr_node_event event;
    pthread_t thread;

    vsr_node_event_init(&event);
    uint64_t start = act_now_ns();
    cr_assert(!vsr_node_event_wait_for(&event, 50000000));
    cr_assert_geq(act_now_ns() - start, 50000000);
    start = act_now_ns();
    cr_assert_eq(pthread_create(&thread, NULL, set_later, &event), 0);
    cr_assert(vsr_node_event_wait_for(&event, 60 * SECOND));
    cr_assert_lt(act_now_ns() - start, 20 * SECOND);
    cr_assert(vsr_node_event_wait_for(&event, 0));
    vsr_node_event_wait(&event);
    pthread_join(thread, NULL);
    vsr_node_event_deinit(&event);
}

/** Kills one replica in a thread of its own. */
struct killer {
    struct world *world;
    uint32_t replica;
    pthread_t thread;
    int error;
};

static void *kill_in_thread(void *context)
{
    struct killer *k = context;

    k->error = vsr_cluster_kill(k->world->cluster, k->replica, VSR_KILL_SAFELY);
    return NULL;
}

/* cluster.h: of two kills at once that the cluster does not survive together one is refused: the
 * second looks when the first is done. Both are held up where they look at the others. */
Test(waits, two_kills_at_once_are_two_kills)
{
    struct world w;
    struct holder h;
    struct killer killers[2];

    world_init(&w);
    world_start(&w);
    hold_worker(&w, &h, 1);
    for (uint32_t i = 0; i < 2; i++) {
        killers[i] = (struct killer){.world = &w, .replica = 2 * i};
        cr_assert_eq(pthread_create(&killers[i].thread, NULL, kill_in_thread, &killers[i]), 0);
    }
    world_sleep_ms(100);
    let_go(&h);
    for (uint32_t i = 0; i < 2; i++)
        pthread_join(killers[i].thread, NULL);
    cr_assert_eq(killers[0].error + killers[1].error, -EBUSY);
    cr_assert(killers[0].error == 0 || killers[1].error == 0);
    world_stop(&w);
}

static atomic_uint machines;

static void (*true_destroy)(void *state);

static void slow_destroy(void *state)
{
    world_sleep_ms(50);
    true_destroy(state);
    atomic_fetch_sub(&machines, 1);
}

static int create_counted(void *context, uint32_t replica, struct vsr_state_machine *machine)
{
    int error = vsr_counter_create(WORLD_COUNTERS, machine);

    (void)context, (void)replica;
    atomic_fetch_add(&machines, 1);
    true_destroy = machine->destroy;
    machine->destroy = slow_destroy;
    return error;
}

/* cluster.h: a cluster that has stopped has ended its machines, however long that takes. */
Test(waits, a_stopped_cluster_has_no_machines)
{
    struct world w;

    world_init(&w);
    w.options.create_machine = create_counted;
    world_start(&w);
    cr_assert_eq(atomic_load(&machines), 3);
    cr_assert_eq(vsr_cluster_stop(w.cluster, NULL), 0);
    w.cluster = NULL;
    cr_assert_eq(atomic_load(&machines), 0);
    world_stop(&w);
}

static void *stop_cluster(void *cluster)
{
    is_hurried = true;
    cr_assert_eq(vsr_cluster_stop(cluster, NULL), 0);
    return NULL;
}

/* cluster.h: whoever is waited for is named, an actor that does not end as a storage that writes
 * on: what they use is freed only then. */
Test(waits, a_stop_names_whom_it_waits_for)
{
    struct world w;
    struct holder h;
    struct disk disk;
    pthread_t thread;

    disk_init(&disk);
    const struct vsr_storage storage = disk_storage(&disk);
    world_init(&w);
    w.options.storage = &storage;
    world_start(&w);
    hold_worker(&w, &h, 1);
    catch_words();
    cr_assert_eq(pthread_create(&thread, NULL, stop_cluster, w.cluster), 0);
    await_words();
    let_go(&h);
    pthread_join(thread, NULL);
    cr_assert(has_said("has waited for a replica's actor, to end for"));

    disk_deinit(&disk);
    disk_init(&disk);
    w.cluster = NULL;
    world_start(&w);
    const uint32_t begun = disk_begun(&disk, 2);
    disk_stop(&disk, 2);
    world_kill(&w, 2);
    world_restart(&w, 2);
    disk_await_begun(&disk, 2, begun + 1);
    catch_words();
    cr_assert_eq(pthread_create(&thread, NULL, stop_cluster, w.cluster), 0);
    await_words();
    disk_go(&disk, 2);
    pthread_join(thread, NULL);
    cr_assert(has_said("has waited for the storage, to end its writes for"));
    w.cluster = NULL;
    world_stop(&w);
    disk_deinit(&disk);
}

/* caller.h: what a service that ended had not taken is unknown, each once, the oldest first. */
Test(waits, what_lay_before_a_service_that_ended_is_said_to_be_unknown)
{
    const struct vsr_counter_add add = {1, 1};
    struct world w;
    struct holder h;
    uint64_t value, ticket, tickets[3];

    world_init(&w);
    w.service_options.place = ACT_PLACE_ON(0); /* as replica 1 */
    world_start_caller(&w);
    cr_assert_eq(world_add(w.caller, add, &value, 20 * SECOND), 0);
    hold_worker(&w, &h, 1);
    cr_assert_eq(act_stop(w.service, 0), 0);
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_eq(vsr_caller_send(w.caller, &add, sizeof add, &tickets[i]), 0);
    let_go(&h);
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert_eq(vsr_caller_receive(w.caller, &ticket, NULL, NULL, 20 * SECOND), -ECONNRESET);
        cr_assert_eq(ticket, tickets[i]);
    }
    cr_assert_eq(vsr_caller_receive(w.caller, &ticket, NULL, NULL, 0), -ENOENT);
    world_stop(&w);
}
