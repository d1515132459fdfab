/**
 * act_spawn: options, places, names, ids.
 */
#include "fabric.h"
#include "fixture.h"
#include "leak_check.h"
#include "memory.h"
#include "names.h"
#include "registry.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

LEAK_CHECKED_SUITE(spawn);

static struct world w;

static void start(uint32_t workers)
{
    struct act_runtime_options o = world_options(workers);
    world_start(&w, &o);
}

static struct probe spare;

static struct act_spawn_options options(void)
{
    spare = (struct probe){0};
    return (struct act_spawn_options){.behaviour = &probe_behaviour, .state = &spare};
}

static int spawn_and_end(const struct act_spawn_options *o)
{
    act_id id = ACT_ID_NONE;
    int error = act_spawn(o, &id);

    cr_assert_eq(error == 0, id != ACT_ID_NONE, "an error leaves the id as it was");
    if (error != 0) return error;
    spare.self = id;
    cr_assert_eq(world_end(&w, &spare, 3), 3);
    return 0;
}

/* actor.h: -EINVAL for a missing receive or a worker that does not exist. */
Test(spawn, missing_receive_and_places)
{
    const struct act_behaviour empty = {0};
    struct act_spawn_options o;

    start(2);
    o = options();
    o.behaviour = NULL;
    cr_assert_eq(spawn_and_end(&o), -EINVAL);
    o.behaviour = &empty;
    cr_assert_eq(spawn_and_end(&o), -EINVAL);

    const int expected[] = {0, 0, 0, -EINVAL, -EINVAL};
    const uint32_t places[] = {ACT_PLACE_HERE, ACT_PLACE_ON(0), ACT_PLACE_ON(1), ACT_PLACE_ON(2),
                               UINT32_MAX};
    for (uint32_t i = 0; i < 5; i++) {
        o = options();
        o.place = places[i];
        cr_assert_eq(spawn_and_end(&o), expected[i], "place %u", i);
    }
    cr_assert_eq(world_stats(&w).actors_live, 1, "the port");
    world_stop(&w);
}

/* actor.h: -ENAMETOOLONG, -EEXIST for a name in use; types.h: ACT_NAME_MAX bytes. */
Test(spawn, names_at_the_limit_and_in_use)
{
    char name[ACT_NAME_MAX + 2];
    struct act_spawn_options o = options();

    start(1);
    for (uint32_t length = ACT_NAME_MAX - 1; length <= ACT_NAME_MAX + 1; length++) {
        memset(name, 'n', length);
        name[length] = '\0';
        o.name = name;
        cr_assert_eq(spawn_and_end(&o), length <= ACT_NAME_MAX ? 0 : -ENAMETOOLONG);
    }

    act_id id;
    act_id other = 77;
    struct probe second = {0};
    o = options();
    o.name = "clerk";
    cr_assert_eq(act_find("clerk"), ACT_ID_NONE);
    cr_assert_eq(act_spawn(&o, &id), 0);
    cr_assert_eq(act_find("clerk"), id);
    o.state = &second;
    cr_assert_eq(act_spawn(&o, &other), -EEXIST);
    cr_assert_eq(other, 77);
    cr_assert_eq(act_find("clerk"), id);
    spare.self = id;
    world_end(&w, &spare, 0);
    cr_assert_eq(act_find("clerk"), ACT_ID_NONE);
    cr_assert_eq(act_spawn(&o, &second.self), 0);
    cr_assert_eq(act_find("clerk"), second.self);
    cr_assert_neq(second.self, id);
    world_stop(&w);
    cr_assert_eq(second.stops, 1);
    cr_assert_eq(spare.stops, 1, "the spawn that failed calls nothing");
}

/* A spawn that fails keeps no slot. */
Test(spawn, name_in_use_uses_no_slot_up)
{
    struct act_runtime_options o = world_options(1);
    struct act_spawn_options s = options();
    struct probe second = {0};

    o.actors_max = 4;
    world_start(&w, &o);
    s.name = "only";
    cr_assert_eq(act_spawn(&s, &spare.self), 0);
    s.state = &second;
    for (uint32_t i = 0; i < 3000; i++)
        cr_assert_eq(act_spawn(&s, &second.self), -EEXIST);
    s.name = "other";
    cr_assert_eq(act_spawn(&s, &second.self), 0);
    world_stop(&w);
}

static void find_name(struct probe *p, void *name)
{
    p->other = act_find(name);
}

/* actor.h: act_find from a handler; the name is borrowed for the call. */
Test(spawn, handlers_find_names_too)
{
    char name[] = "borrowed";
    struct act_spawn_options o = options();
    act_id id;

    start(2);
    struct probe *p = world_probe(&w, 1, 0);
    o.name = name;
    o.place = ACT_PLACE_ON(0);
    cr_assert_eq(act_spawn(&o, &id), 0);
    memset(name, 'x', sizeof name - 1);
    run_in(&w, p->self, find_name, (void *)(uintptr_t) "borrowed");
    cr_assert_eq(p->other, id);
    run_in(&w, p->self, find_name, (void *)(uintptr_t) "xxxxxxxx");
    cr_assert_eq(p->other, ACT_ID_NONE);
    world_stop(&w);
}

/* A name is bound before its actor can be reached: whoever asks in between must not find it. */
Test(spawn, name_without_a_living_actor_is_not_found)
{
    start(1);
    cr_assert_eq(act_names_bind(w.runtime->names, "ghost", id_make(act_registry_view(w.runtime->registry).scope, 1, 100), 100), 0);
    cr_assert_eq(act_find("ghost"), ACT_ID_NONE);
    world_stop(&w);
}

struct place {
    uint32_t place;
    pthread_t thread;
    act_id id;
    int error;
};

static void note_thread(struct probe *p, void *thread)
{
    (void)p;
    *(pthread_t *)thread = pthread_self();
}

static void spawn_here(struct probe *p, void *argument)
{
    struct place *place = argument;
    struct act_spawn_options o = {.behaviour = &probe_behaviour, .place = place->place};

    (void)p;
    o.state = &spare;
    spare = (struct probe){0};
    place->error = act_spawn(&o, &place->id);
}

/* actor.h: the spawner's worker, or worker k. */
Test(spawn, actors_live_where_they_are_placed)
{
    pthread_t threads[3];
    pthread_t thread;

    start(3);
    struct probe *p = NULL;
    for (uint32_t k = 0; k < 3; k++) {
        p = world_probe(&w, k, 0);
        run_in(&w, p->self, note_thread, &threads[k]);
    }
    cr_assert_not(pthread_equal(threads[0], threads[1]));
    cr_assert_not(pthread_equal(threads[1], threads[2]));
    cr_assert_not(pthread_equal(threads[0], threads[2]));

    for (uint32_t k = 0; k < 4; k++) {
        struct place place = {.place = k == 3 ? ACT_PLACE_HERE : ACT_PLACE_ON(k)};
        run_in(&w, p->self, spawn_here, &place); /* p lives on worker 2 */
        cr_assert_eq(place.error, 0);
        run_in(&w, place.id, note_thread, &thread);
        cr_assert(pthread_equal(thread, threads[k == 3 ? 2 : k]));
        spare.self = place.id;
        world_end(&w, &spare, 0);
    }
    world_stop(&w);
}

/* actor.h: round robin when a port spawns. */
Test(spawn, ports_spread_their_actors)
{
    pthread_t threads[6];

    start(3);
    for (uint32_t i = 0; i < 6; i++) {
        struct act_spawn_options o = options();
        act_id id;
        cr_assert_eq(act_spawn(&o, &id), 0);
        run_in(&w, id, note_thread, &threads[i]);
        spare.self = id;
        world_end(&w, &spare, 0);
    }
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert(pthread_equal(threads[i], threads[i + 3]));
        cr_assert_not(pthread_equal(threads[i], threads[(i + 1) % 3]));
    }
    world_stop(&w);
}

/* actor.h: the state is given to every handler; NULL is fine; every hook but receive may be
 * missing. */
static void end_message(void *state, struct act_message *m)
{
    if (state != NULL) abort();
    act_message_unref(m);
    act_exit(0);
}

Test(spawn, bare_actor)
{
    static const struct act_behaviour bare = {.receive = end_message};
    const struct act_spawn_options o = {.behaviour = &bare};
    act_id id;

    start(1);
    cr_assert_eq(act_spawn(&o, &id), 0);
    cr_assert_eq(act_monitor(id), 0);
    cr_assert_eq(send_value(id, 1, 1), 0);
    cr_assert_eq(expect_down(&w).actor, id);
    world_stop(&w);
}

static const struct act_behaviour ender = {.receive = end_message};

/* runtime.h: actors_max alive at once, ports too; actor.h: -EAGAIN when they are. */
Test(spawn, as_many_actors_as_promised_whoever_spawns)
{
    enum { ACTORS = 40 };
    struct act_runtime_options o = world_options(2);
    const struct act_spawn_options s = {.behaviour = &ender};
    act_id id;

    o.actors_max = ACTORS;
    world_start(&w, &o);
    for (uint32_t count = 1; count < ACTORS; count++) /* one is the port */
        cr_assert_eq(act_spawn(&s, &id), 0, "actor %u", count);
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert_eq(act_spawn(&s, &id), -EAGAIN);
        cr_assert_eq(world_stats(&w).actors_live, ACTORS);
    }
    world_stop(&w);
}

/* The same when handlers spawn, although a port has taken slots before. */
Test(spawn, a_worker_gets_slots_when_a_port_has_some)
{
    struct act_runtime_options o = world_options(1);
    struct place place = {0};

    o.actors_max = 4;
    world_start(&w, &o);
    struct probe *p = world_probe(&w, 0, 0);
    run_in(&w, p->self, spawn_here, &place);
    cr_assert_eq(place.error, 0);
    world_stop(&w);
}

static bool spawns_again(void *argument)
{
    struct probe *p = argument;
    const struct act_spawn_options s = {.behaviour = &probe_behaviour, .state = p};

    return act_spawn(&s, &p->self) == 0;
}

/* A port may spawn for ever if its actors end: their slots come back. */
Test(spawn, slots_of_the_dead_come_back)
{
    struct act_runtime_options o = world_options(1);

    o.actors_max = 10;
    world_start(&w, &o);
    for (uint32_t i = 0; i < 1500; i++) {
        spare = (struct probe){0};
        cr_assert(wait_until(spawns_again, &spare), "actor %u", i);
        world_end(&w, &spare, 0);
    }
    world_stop(&w);
}

/* types.h: a slot is used again with the next generation; an old id never reaches the new actor. */
Test(spawn, old_ids_never_reach_the_next_inhabitant)
{
    enum { MAX = 20000 };
    static act_id ids[MAX];
    uint32_t count = 0;
    bool is_used_again = false;

    start(1);
    while (count < MAX && !is_used_again) {
        spare = (struct probe){0};
        cr_assert(wait_until(spawns_again, &spare));
        ids[count] = spare.self;
        for (uint32_t i = 0; i < count; i++) {
            cr_assert_neq(ids[i], ids[count]);
            if (id_slot(ids[i]) == id_slot(ids[count])) is_used_again = true;
        }
        count++;
        if (!is_used_again) world_end(&w, &spare, 0);
    }
    cr_assert(is_used_again);
    const uint64_t dead = world_stats(&w).dead_letters;
    for (uint32_t i = 0; i + 1 < count; i++)
        cr_assert_eq(send_value(ids[i], 1, i), 0);
    cr_assert_eq(send_value(ids[count - 1], 2, 99), 0);
    world_sync(&w, &spare);
    cr_assert_eq(spare.count, 1);
    cr_assert_eq(spare.log[0].value, 99);
    cr_assert_eq(world_stats(&w).dead_letters, dead + count - 1);
    world_stop(&w);
}

/* types.h: a slot's generation wraps after 2^24 actors, and no id is ACT_ID_NONE. */
Test(spawn, generation_wraps_past_zero)
{
    start(1);
    struct act_registry_view view = act_registry_view(w.runtime->registry);
    for (uint32_t slot = 0; slot < view.actors_max && slot < 1024; slot++) {
        unsigned long long word = atomic_load(&view.words[slot]);
        if ((word & WORD_ALIVE) == 0) atomic_store(&view.words[slot], word_make_dead(SLOT_MASK));
    }
    struct act_spawn_options o = options();
    o.name = "wrapped";
    cr_assert_eq(act_spawn(&o, &spare.self), 0);
    cr_assert_eq(id_generation(spare.self), 1);
    cr_assert_eq(act_find("wrapped"), spare.self);
    world_sync(&w, &spare);
    world_stop(&w);
}

/* actor.h: -ENOMEM; then nothing is left: no name, no slot, no memory. */
Test(spawn, without_memory_nothing_is_left)
{
    struct act_spawn_options o = options();

    start(1);
    o.name = "poor";
    /* The port has slots already: the name is all that needs memory. */
    const size_t before = act_memory_held();
    act_memory_fail_at(1);
    cr_assert_eq(spawn_and_end(&o), -ENOMEM);
    act_memory_fail_at(0);
    cr_assert_eq(act_memory_held(), before);
    cr_assert_eq(act_find("poor"), ACT_ID_NONE);
    cr_assert_eq(world_stats(&w).actors_live, 1);
    cr_assert_eq(spawn_and_end(&o), 0);
    world_stop(&w);
}

/* The same where the cache of slots needs memory, which is the first spawn of a worker. */
static void spawn_poor(struct probe *p, void *argument)
{
    for (uint32_t nth = 1; nth <= 2; nth++) {
        struct place place = {0};
        act_memory_fail_at(nth);
        struct act_spawn_options o = options();
        o.name = "poor";
        place.error = act_spawn(&o, &place.id);
        if (place.error != -ENOMEM) p->result = place.error != 0 ? place.error : 1;
    }
    act_memory_fail_at(0);
    spawn_here(p, argument);
}

Test(spawn, without_memory_in_a_worker)
{
    struct place place = {0};

    start(1);
    struct probe *p = world_probe(&w, 0, 0);
    run_in(&w, p->self, spawn_poor, &place);
    cr_assert_eq(p->result, 0);
    cr_assert_eq(place.error, 0);
    world_stop(&w);
}

/* act_self: the running actor's id; in a port's thread the port's; ACT_ID_NONE elsewhere. */
Test(spawn, self)
{
    cr_assert_eq(act_self(), ACT_ID_NONE);
    start(1);
    cr_assert_eq(act_self(), act_port_id(w.port));
    struct probe *p = world_probe(&w, 0, 0);
    const act_id id = p->self;
    p->self = ACT_ID_NONE;
    run_in(&w, id, note_thread, &(pthread_t){0});
    cr_assert_eq(p->self, id);
    world_stop(&w);
    cr_assert_eq(act_self(), ACT_ID_NONE);
}

/* actor.h: from a handler or a thread with an open port. */
Test(spawn, without_a_port_is_an_error_of_the_program, .signal = SIGABRT)
{
    struct act_spawn_options o = options();
    act_id id;
    int error = act_spawn(&o, &id);
    (void)error;
}
