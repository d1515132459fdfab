/**
 * Misuse of the public headers that can be seen: each call says what is wrong instead of doing it.
 */
#include "leak_check.h"

#include "world.h"

#include <act/port.h>
#include <vsr/peers.h>
#include <vsr/superblock.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

LEAK_CHECKED_SUITE(misuse);

/* cluster.h, service.h, caller.h, peers.h, superblock.h: what is not given is -EINVAL. */
Test(misuse, null_arguments_are_refused)
{
    struct vsr_cluster_report report;
    struct vsr_peers_options p;
    struct vsr_peers *peers;
    struct vsr_caller *caller;
    struct vsr_cluster *cluster;
    struct vsr_error why;
    struct world w;
    act_id id;

    world_init(&w);
    world_start_caller(&w);
    cr_assert_eq(vsr_cluster_start(NULL, &cluster, &why), -EINVAL);
    cr_assert_neq(why.text[0], '\0');
    cr_assert_eq(vsr_cluster_start(&w.options, NULL, NULL), -EINVAL);
    cr_assert_eq(vsr_cluster_kill(NULL, 0, VSR_KILL_SAFELY), -EINVAL);
    cr_assert_eq(vsr_cluster_restart(NULL, 0, &why), -EINVAL);
    cr_assert_neq(why.text[0], '\0');
    cr_assert_eq(vsr_cluster_pause(NULL, 0), -EINVAL);
    cr_assert_eq(vsr_cluster_resume(NULL, 0), -EINVAL);
    cr_assert_eq(vsr_cluster_settle(NULL, 0), -EINVAL);
    cr_assert_eq(vsr_cluster_stop(NULL, &why), -EINVAL);
    cr_assert_neq(why.text[0], '\0');
    cr_assert_eq(vsr_cluster_look(NULL, 0, &report), -EINVAL);
    cr_assert_eq(vsr_cluster_inspect(w.cluster, 0, NULL), -EINVAL);
    cr_assert_eq(vsr_service_spawn(NULL, &id, &why), -EINVAL);
    cr_assert_neq(why.text[0], '\0');
    cr_assert_eq(vsr_service_spawn(&w.service_options, NULL, NULL), -EINVAL);
    cr_assert_eq(vsr_service_stop(NULL, w.service, SECOND), -EINVAL);
    cr_assert_eq(vsr_caller_send(w.caller, &id, sizeof id, NULL), -EINVAL);
    vsr_caller_close(w.caller);
    w.caller = NULL;
    cr_assert_eq(vsr_caller_open(NULL, w.service, &caller), -EINVAL);
    cr_assert_eq(vsr_caller_open(w.runtime, w.service, NULL), -EINVAL);
    vsr_peers_options_init(&p);
    cr_assert_eq(vsr_peers_create(NULL, &peers, &why), -EINVAL);
    cr_assert_neq(why.text[0], '\0');
    cr_assert_eq(vsr_peers_create(&p, NULL, &why), -EINVAL);
    world_stop(&w);
}

/* superblock.h: a replica that no cluster has gets no file. */
Test(misuse, a_superblock_of_no_replica_is_refused)
{
    static const struct vsr_superblock_identity none[] = {
        {.replica = 3, .replica_count = 3},
        {.replica = 0, .replica_count = 0},
        {.replica = 7, .replica_count = 8},
    };
    struct vsr_error why;

    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        cr_assert_eq(vsr_superblock_format("/tmp", &none[i], &why), -EINVAL);
        cr_assert_not_null(strstr(why.text, "there is no replica"), "%s", why.text);
    }
    cr_assert_eq(vsr_superblock_format(NULL, &none[0], &why), -EINVAL);
    cr_assert_eq(vsr_superblock_format("/tmp", NULL, NULL), -EINVAL);
}

static int write_nothing(void *context, uint32_t replica, const struct vsr_superblock *superblock)
{
    (void)context, (void)replica, (void)superblock;
    return -EIO;
}

/* cluster.h, storage.h: a storage that cannot write or read is refused before anything starts. */
Test(misuse, half_a_storage_is_refused)
{
    struct vsr_storage storage = {.write = NULL};
    struct vsr_error why;
    struct world w;

    world_init(&w);
    world_start_runtime(&w);
    w.options.storage = &storage;
    cr_assert_eq(vsr_cluster_start(&w.options, &w.cluster, &why), -EINVAL);
    cr_assert_str_eq(why.text, "storage: it has no write");
    storage.write = write_nothing;
    cr_assert_eq(vsr_cluster_start(&w.options, &w.cluster, &why), -EINVAL);
    cr_assert_str_eq(why.text, "storage: it has no read");
    world_stop(&w);
}

static struct vsr_superblock held; /* by what is_lying reads for replica 2 */
static atomic_uint is_lying;

static int write_all(void *context, uint32_t replica, const struct vsr_superblock *superblock)
{
    (void)context, (void)replica, (void)superblock;
    return 0;
}

static int read_held(void *context, uint32_t replica, struct vsr_superblock *superblock,
                     struct vsr_error *why)
{
    (void)context, (void)why;
    *superblock = atomic_load(&is_lying) != 0 && replica == 2 ? held : (struct vsr_superblock){0};
    return 0;
}

/* cluster.h: -EBADMSG for a superblock that no replica has written; it stays down. */
Test(misuse, a_storage_that_holds_no_superblock_is_told)
{
    static const struct vsr_superblock bad[] = {
        {.view = 1, .log_view = 2, .incarnation = 1},
        {.view = UINT64_MAX, .log_view = 1, .incarnation = 1},
        {.view = 1, .log_view = 1, .incarnation = UINT32_MAX},
        {.view = 0, .log_view = 0, .incarnation = 0}, /* blank: what it promised is lost */
    };
    const struct vsr_storage storage = {.write = write_all, .read = read_held};
    struct vsr_error why;
    struct world w;

    world_init(&w);
    w.options.storage = &storage;
    world_start(&w);
    world_kill(&w, 2);
    atomic_store(&is_lying, 1);
    for (uint32_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        held = bad[i];
        cr_assert_eq(vsr_cluster_restart(w.cluster, 2, &why), -EBADMSG, "%u", i);
        cr_assert_not_null(strstr(why.text, i < 3 ? "no superblock of" : "never ran"), "%s",
                           why.text);
        cr_assert_eq(world_look(&w, 2).run_state, VSR_DOWN);
    }
    held = (struct vsr_superblock){.view = 0, .log_view = 0, .incarnation = UINT32_MAX - 1};
    world_restart(&w, 2);
    world_await_normal(&w, 2);
    world_stop(&w);
}

static int read_badly(void *context, uint32_t replica, struct vsr_superblock *superblock,
                      struct vsr_error *why)
{
    (void)context, (void)replica, (void)superblock;
    if (why != NULL) *why = (struct vsr_error){.option = "disk"};
    return -EIO;
}

/* storage.h: a storage that fails to read says what it likes; the words are there in any case. */
Test(misuse, a_storage_that_fails_without_words_is_told)
{
    const struct vsr_storage storage = {.write = write_all, .read = read_badly};
    struct vsr_error why;
    struct world w;

    world_init(&w);
    world_start_runtime(&w);
    w.options.storage = &storage;
    cr_assert_eq(vsr_cluster_start(&w.options, &w.cluster, &why), -EIO);
    cr_assert_str_eq(why.option, "disk");
    cr_assert_str_eq(why.text, strerror(EIO));
    world_stop(&w);
}

/** A cluster whose machines call it back while they are made and destroyed. */
struct recursive {
    struct world world;
    atomic_int made, destroyed; /* what the call said; 1 = there was none */
    void (*destroy)(void *state);
};

static struct recursive *the_recursive;

static int call_back(struct recursive *r)
{
    return r->world.cluster != NULL ? vsr_cluster_pause(r->world.cluster, 0) : 1;
}

static void destroy_and_call(void *state)
{
    atomic_store(&the_recursive->destroyed, call_back(the_recursive));
    the_recursive->destroy(state);
}

static int make_and_call(void *context, uint32_t replica, struct vsr_state_machine *machine)
{
    struct recursive *r = context;
    int error = vsr_counter_create(WORLD_COUNTERS, machine);

    (void)replica;
    r->destroy = machine->destroy;
    machine->destroy = destroy_and_call;
    atomic_store(&r->made, call_back(r));
    return error;
}

/* cluster.h: -EDEADLK too to what a call itself runs, which would wait for itself. */
Test(misuse, a_machine_that_calls_its_cluster_is_told)
{
    static struct recursive r;

    the_recursive = &r;
    atomic_store(&r.made, 1);
    atomic_store(&r.destroyed, 1);
    world_init(&r.world);
    r.world.options.create_machine = make_and_call;
    r.world.options.machine_context = &r;
    world_start(&r.world);
    cr_assert_eq(atomic_load(&r.made), 1);
    world_kill(&r.world, 2);
    cr_assert_eq(atomic_load(&r.destroyed), -EDEADLK);
    world_restart(&r.world, 2);
    cr_assert_eq(atomic_load(&r.made), -EDEADLK);
    world_await_normal(&r.world, 2);
    struct vsr_cluster *cluster = r.world.cluster;
    r.world.cluster = NULL;
    cr_assert_eq(vsr_cluster_stop(cluster, NULL), 0);
    world_stop(&r.world);
}

Test(misuse, close_of_no_caller_is_an_error_of_the_program, .signal = SIGABRT)
{
    world_expect_last_words("vsr_caller_close is called wrongly: a caller belongs");
    vsr_caller_close(NULL);
}
