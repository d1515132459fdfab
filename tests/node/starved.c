/**
 * Memory, messages, actors, threads and random bits that are refused: each call of a thread with
 * its first one refused, then its second one, and so on. What actors are refused: starved_actors.c.
 *
 * Every function that may refuse is wrapped by the linker.
 */
#include "leak_check.h"

#include "disk.h"
#include "world.h"

#include "identity.h"

#include <act/actor.h>
#include <act/message.h>
#include <act/port.h>
#include <vsr/client_actor.h>
#include <vsr/peers.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

LEAK_CHECKED_SUITE(starved);

/* What a thread is refused. */

static _Thread_local uint32_t refuse_at; /* the so many-th call from now; 0 = none */
static _Thread_local int refused_with;   /* the error of it; 0 = none was */

static bool is_refused(int error)
{
    if (refuse_at == 0 || --refuse_at > 0) return false;
    refused_with = error;
    return true;
}

void *__real_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes)
{
    return is_refused(-ENOMEM) ? NULL : __real_calloc(count, bytes);
}

void *__real_realloc(void *memory, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes)
{
    return is_refused(-ENOMEM) ? NULL : __real_realloc(memory, bytes);
}

void *__real_aligned_alloc(size_t alignment, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes)
{
    return is_refused(-ENOMEM) ? NULL : __real_aligned_alloc(alignment, bytes);
}

char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
char *__wrap_strdup(const char *text)
{
    return is_refused(-ENOMEM) ? NULL : __real_strdup(text);
}

struct act_message *__real_act_message_create(uint32_t type, uint32_t bytes);
struct act_message *__wrap_act_message_create(uint32_t type, uint32_t bytes);
struct act_message *__wrap_act_message_create(uint32_t type, uint32_t bytes)
{
    return is_refused(-ENOMEM) ? NULL : __real_act_message_create(type, bytes);
}

int __real_act_spawn(const struct act_spawn_options *options, act_id *id);
int __wrap_act_spawn(const struct act_spawn_options *options, act_id *id);
int __wrap_act_spawn(const struct act_spawn_options *options, act_id *id)
{
    return is_refused(-EAGAIN) ? -EAGAIN : __real_act_spawn(options, id);
}

int __real_act_send(act_id to, struct act_message *m);
int __wrap_act_send(act_id to, struct act_message *m);
int __wrap_act_send(act_id to, struct act_message *m)
{
    return is_refused(-EAGAIN) ? -EAGAIN : __real_act_send(to, m);
}

int __real_act_monitor(act_id target);
int __wrap_act_monitor(act_id target);
int __wrap_act_monitor(act_id target)
{
    return is_refused(-ENOMEM) ? -ENOMEM : __real_act_monitor(target);
}

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*run)(void *context), void *context);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*run)(void *context), void *context);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*run)(void *context), void *context)
{
    return is_refused(-EAGAIN) ? EAGAIN : __real_pthread_create(thread, attributes, run, context);
}

/** What getrandom says before it says the truth. */
static _Thread_local struct {
    uint32_t interruptions;
    int error; /* then; 0 = none */
    ssize_t bytes;
} random_says;

ssize_t __real_getrandom(void *bytes, size_t count, unsigned flags);
ssize_t __wrap_getrandom(void *bytes, size_t count, unsigned flags);
ssize_t __wrap_getrandom(void *bytes, size_t count, unsigned flags)
{
    if (random_says.interruptions > 0 || random_says.error != 0) {
        errno = random_says.interruptions > 0 ? EINTR : random_says.error;
        random_says.interruptions -= random_says.interruptions > 0;
        return -1;
    }
    if (random_says.bytes > 0) return random_says.bytes;
    return is_refused(-ENOSYS) ? (errno = ENOSYS, -1) : __real_getrandom(bytes, count, flags);
}

/* Calls of a thread. */

/**
 * Calls with the first thing refused, with the second, until none is. A call that was refused
 * something either does without, or returns that error, in words; undo ends what it has done.
 */
static uint32_t refuse_in_turn(int (*call)(void *context, struct vsr_error *why),
                               void (*undo)(void *context), void *context)
{
    uint32_t refused = 0;

    for (uint32_t at = 1;; at++) {
        struct vsr_error why = {.text = "untouched"};
        cr_assert_lt(at, 2000);
        refused_with = 0;
        refuse_at = at;
        const int error = call(context, &why);
        refuse_at = 0;
        cr_assert(error == 0 || error == refused_with, "call %u: %d, but %d", at, error,
                  refused_with);
        if (error == 0 && undo != NULL) undo(context);
        if (error != 0)
            cr_assert_neq(why.text[0], '\0', "call %u: error %d without words", at, error);
        cr_assert_null(strstr(why.text, "ports_max"), "call %u: no port was refused", at);
        refused += error != 0;
        if (refused_with == 0) return refused;
    }
}

/** Twice: what is there only once is asked for in the first round, and shifts the others. */
static void refuse_each(int (*call)(void *context, struct vsr_error *why),
                        void (*undo)(void *context), void *context, uint32_t least)
{
    for (uint32_t round = 0; round < 2; round++)
        cr_assert_geq(refuse_in_turn(call, undo, context), least);
}

static int start_cluster(void *context, struct vsr_error *why)
{
    struct world *w = context;
    return vsr_cluster_start(&w->options, &w->cluster, why);
}

static void stop_cluster(void *context)
{
    struct world *w = context;

    cr_assert_eq(vsr_cluster_stop(w->cluster, NULL), 0);
    w->cluster = NULL;
}

/* cluster.h: -ENOMEM, or what act_spawn said; nothing is left behind, and the next start works. */
Test(starved, a_cluster_starts_or_leaves_nothing)
{
    struct world w;

    world_init(&w);
    world_start_runtime(&w);
    refuse_each(start_cluster, stop_cluster, &w, 20);
    world_stop(&w);
}

/** A world with a disk, new at each start. */
struct with_disk {
    struct world world;
    struct disk disk;
};

static int start_with_disk(void *context, struct vsr_error *why)
{
    struct with_disk *d = context;

    memset(d->disk.held, 0, sizeof d->disk.held);
    return start_cluster(&d->world, why);
}

/* With a storage that has a thread; the thread may be refused, too. */
Test(starved, a_cluster_with_a_storage_starts_or_leaves_nothing)
{
    struct with_disk d;
    struct vsr_storage storage;

    disk_init(&d.disk);
    storage = disk_storage(&d.disk);
    world_init(&d.world);
    world_start_runtime(&d.world);
    d.world.options.storage = &storage;
    refuse_each(start_with_disk, stop_cluster, &d.world, 20);
    world_stop(&d.world);
    disk_deinit(&d.disk);
}

static void expect_files(const struct world *w, bool are_there)
{
    char path[64];

    for (uint32_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/replica-%u.superblock", w->options.superblock_directory, i);
        cr_assert_eq(unlink(path) == 0, are_there, "%s", path);
    }
}

static int start_with_files(void *context, struct vsr_error *why)
{
    const int error = start_cluster(context, why);

    if (error != 0) expect_files(context, false);
    return error;
}

static void stop_and_unlink(void *context)
{
    stop_cluster(context);
    expect_files(context, true);
}

/* With files: those that were made are gone after a start that failed. */
Test(starved, a_cluster_with_files_starts_or_leaves_no_file)
{
    char directory[] = "/tmp/starved-XXXXXX";
    struct world w;

    cr_assert_not_null(mkdtemp(directory));
    world_init(&w);
    world_start_runtime(&w);
    w.options.superblock_directory = directory;
    w.options.is_formatting = true;
    refuse_each(start_with_files, stop_and_unlink, &w, 20);
    world_stop(&w);
    cr_assert_eq(rmdir(directory), 0);
}

static int restart(void *context, struct vsr_error *why)
{
    struct world *w = context;
    return vsr_cluster_restart(w->cluster, 2, why);
}

static void kill_again(void *context)
{
    struct world *w = context;

    refuse_at = 0;
    world_await_normal(w, 2);
    world_kill(w, 2);
}

static int kill(void *context, struct vsr_error *why)
{
    struct world *w = context;

    strcpy(why->text, "it has no words");
    return vsr_cluster_kill(w->cluster, 1, VSR_KILL_SAFELY);
}

static void restart_again(void *context)
{
    struct world *w = context;

    world_restart(w, 1);
    world_await_normal(w, 1);
}

/* cluster.h: -ENOMEM, and the replica is what it was. */
Test(starved, a_replica_is_killed_and_restarted_or_stays_what_it_is)
{
    struct world w;

    world_init(&w);
    world_start(&w);
    world_kill(&w, 2);
    refuse_each(restart, kill_again, &w, 5);
    world_restart(&w, 2);
    world_await_normal(&w, 2);
    refuse_each(kill, restart_again, &w, 3);
    world_stop(&w);
}

static int spawn_service(void *context, struct vsr_error *why)
{
    struct world *w = context;
    return vsr_service_spawn(&w->service_options, &w->service, why);
}

static void stop_service(void *context)
{
    struct world *w = context;

    cr_assert_eq(vsr_service_stop(w->runtime, w->service, 10 * SECOND), 0);
    w->service = ACT_ID_NONE;
}

static int open_caller(void *context, struct vsr_error *why)
{
    struct world *w = context;

    strcpy(why->text, "it has no words");
    return vsr_caller_open(w->runtime, w->service, &w->caller);
}

static void close_caller(void *context)
{
    struct world *w = context;

    vsr_caller_close(w->caller);
    w->caller = NULL;
}

static int call_service(void *context, struct vsr_error *why)
{
    struct world *w = context;
    uint64_t value;

    strcpy(why->text, "it has no words");
    return world_add(w->caller, (struct vsr_counter_add){1, 1}, &value, 10 * SECOND);
}

static int create_peers(void *context, struct vsr_error *why)
{
    struct world *w = context;
    const act_id ids[] = {1, 2, 3};
    struct vsr_peers_options o;
    struct vsr_peers *peers;

    vsr_peers_options_init(&o);
    o.runtime = w->runtime;
    o.replicas = ids;
    int error = vsr_peers_create(&o, &peers, why);
    if (error == 0) vsr_peers_destroy(peers);
    return error;
}

/* service.h, caller.h, peers.h: each of them works, or says -ENOMEM, what act_spawn or getrandom
 * said, and leaves nothing. */
Test(starved, services_callers_and_peers_start_or_leave_nothing)
{
    struct world w;

    world_init(&w);
    world_start(&w);
    refuse_each(spawn_service, stop_service, &w, 8);
    world_start_service(&w);
    refuse_each(open_caller, close_caller, &w, 2);
    world_start_caller(&w);
    refuse_each(call_service, NULL, &w, 1);
    refuse_each(create_peers, NULL, &w, 1);
    world_stop(&w);
}

/* service.h: a stop that is refused says so; it may have been asked, and is done again. */
Test(starved, a_service_stops_or_says_why_not)
{
    struct world w;

    world_init(&w);
    world_start(&w);
    for (uint32_t at = 1;; at++) {
        w.service = ACT_ID_NONE;
        world_start_service(&w);
        refused_with = 0;
        refuse_at = at;
        const int error = vsr_service_stop(w.runtime, w.service, 10 * SECOND);
        refuse_at = 0;
        cr_assert(error == 0 || error == refused_with, "call %u: %d", at, error);
        cr_assert_eq(vsr_service_stop(w.runtime, w.service, 10 * SECOND), 0);
        if (refused_with == 0) break;
    }
    world_stop(&w);
}

static void no_stop(void *context)
{
    atomic_fetch_add((atomic_uint *)context, 1);
}

/* client_actor.h: what spawn says is said by spawn alone: the callbacks hear nothing. */
Test(starved, a_client_that_did_not_start_says_nothing)
{
    const struct vsr_client_callbacks callbacks = {.stopped = no_stop};
    struct vsr_client_actor_options o;
    atomic_uint stops = 0;
    struct world w;
    act_id id;

    world_init(&w);
    world_start(&w);
    vsr_client_actor_options_init(&o);
    o.peers = vsr_cluster_peers(w.cluster);
    o.callbacks = &callbacks;
    o.context = &stops;
    for (uint32_t at = refuse_at = 1; vsr_client_actor_spawn(&o, &id, NULL) != 0; refuse_at = ++at)
        cr_assert_eq(atomic_load(&stops), 0);
    refuse_at = 0;
    struct act_port *port;
    cr_assert_eq(act_port_open(w.runtime, &port), 0);
    cr_assert_eq(act_stop(id, 0), 0);
    act_port_close(port);
    AWAIT(atomic_load(&stops) == 1);
    world_stop(&w);
}

/* Random bits and seeds. */

/* identity.h: a client without random bits is refused, in words; an interruption is none. */
Test(starved, an_id_is_random_or_refused)
{
    struct vsr_node_identities identities;
    struct vsr_error why;
    uint64_t id[2] = {0}, other[2];

    vsr_node_identities_init(&identities);
    random_says.interruptions = 3;
    cr_assert_eq(vsr_node_identify(&identities, 0, id, &why), 0);
    cr_assert_eq(random_says.interruptions, 0);
    cr_assert_eq(vsr_node_identify(&identities, 0, other, &why), 0);
    cr_assert(id[0] != other[0] && id[1] != other[1]);
    random_says.error = EPERM;
    cr_assert_eq(vsr_node_identify(&identities, 0, id, &why), -EPERM);
    cr_assert_not_null(strstr(why.text, "let getrandom through"));
    random_says.error = 0;
    random_says.bytes = 8; /* half of it */
    cr_assert_eq(vsr_node_identify(&identities, 0, id, &why), -EIO);
    random_says.bytes = 0;
    vsr_node_identities_deinit(&identities);
}

enum { SEEDS = 2000, CLAIMERS = 4 };

struct claimer {
    struct vsr_node_identities *identities;
    pthread_t thread;
    pthread_barrier_t *start;
    uint64_t ids[SEEDS][2]; /* 0: the seed was another's */
};

static void *claim_all(void *context)
{
    struct claimer *c = context;

    pthread_barrier_wait(c->start);
    for (uint32_t i = 0; i < SEEDS; i++)
        if (vsr_node_identify(c->identities, i + 1, c->ids[i], NULL) != 0)
            memset(c->ids[i], 0, sizeof c->ids[i]);
    return NULL;
}

/* identity.h: any number of threads at once; each seed is given once, and no two have the same id.
 */
Test(starved, a_seed_is_given_once)
{
    static struct claimer claimers[CLAIMERS];
    struct vsr_node_identities identities;
    pthread_barrier_t barrier;

    vsr_node_identities_init(&identities);
    pthread_barrier_init(&barrier, NULL, CLAIMERS);
    for (uint32_t i = 0; i < CLAIMERS; i++) {
        claimers[i].identities = &identities;
        claimers[i].start = &barrier;
        cr_assert_eq(pthread_create(&claimers[i].thread, NULL, claim_all, &claimers[i]), 0);
    }
    for (uint32_t i = 0; i < CLAIMERS; i++)
        pthread_join(claimers[i].thread, NULL);
    uint64_t first[2] = {0}, second[2] = {0};
    for (uint32_t i = 0; i < SEEDS; i++) {
        uint32_t given = 0;
        for (uint32_t k = 0; k < CLAIMERS; k++) {
            given += claimers[k].ids[i][0] != 0;
            if (claimers[k].ids[i][0] == 0) continue;
            cr_assert(claimers[k].ids[i][0] != first[0] && claimers[k].ids[i][1] != first[1]);
            cr_assert(claimers[k].ids[i][0] != second[1] && claimers[k].ids[i][1] != second[0]);
            memcpy(second, first, sizeof second);
            memcpy(first, claimers[k].ids[i], sizeof first);
        }
        cr_assert_eq(given, 1, "seed %u is given %u times", i + 1, given);
    }
    uint64_t id[2];
    uint32_t refused = 0;
    for (uint64_t seed = SEEDS + 1; seed < 3 * SEEDS; seed++) { /* the list grows, or says not */
        refuse_at = 1;
        const int error = vsr_node_identify(&identities, seed, id, NULL);
        refuse_at = 0;
        cr_assert(error == 0 || error == -ENOMEM);
        if (error == 0) continue;
        refused++;
        cr_assert_eq(vsr_node_identify(&identities, seed, id, NULL), 0);
    }
    cr_assert_gt(refused, 0);
    pthread_barrier_destroy(&barrier);
    vsr_node_identities_deinit(&identities);
}
