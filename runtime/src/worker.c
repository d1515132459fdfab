/**
 * A worker: drain lanes, run ready actors, fire timers, publish, park.
 *
 * Ordering: parking, see park.h (K1, K2); stopping:
 *   S1 act_runtime_stop: store of stopping (release)  ->  S2 the loop: load of it (acquire)
 *   S3 a worker without actors: increment of stopped_workers (acq_rel)  ->  S4 all others' load
 */
#include "worker.h"

#include "actor.h"
#include "assert.h"
#include "call.h"
#include "cpu.h"
#include "delivery.h"
#include "fabric.h"
#include "poller.h"
#include "timer.h"

#include <sys/prctl.h>

#include <sched.h>

enum {
    TURNS_PER_LOOP = 16,      /* actors run before the lanes are looked at again */
    HANDLED_PER_CLOCK = 4096, /* messages between two looks at the clock */
    LOOKS_PER_CLOCK = 128,
    SPIN_US_MIN = 1, /* an idle worker that is never lucky still spins so long, if it may */
    ROOM_POLL_NS = 1000000,
};

/** Does what a message means to the runtime. Returns whether it means something to the actor too.
 */
__attribute__((noinline)) static bool is_for_handler(struct act_endpoint *e,
                                                     struct act_actor *actor, struct act_message *m)
{
    if ((message_of(m)->header.flags & MESSAGE_IS_TICK) != 0) {
        act_timer_on_tick(e, m);
        return true;
    }
    if ((message_of(m)->header.flags & MESSAGE_IS_ANSWER) != 0) return act_call_on_answer(e, m);
    act_actor_on_system(e, actor, m);
    return false;
}

/** Gives the actor its messages, up to a turn's bound. */
static inline void run_messages(struct act_endpoint *e, struct act_actor *actor)
{
    void (*const receive)(void *, struct act_message *) = actor->behaviour->receive;
    const uint32_t turn_max = e->turn_max;
    uint32_t handled = 0;
    uint32_t system = 0;

    while (actor->head != NULL && handled < turn_max) {
        struct act_message *m = actor_pop(actor);
        if (actor->head != NULL) __builtin_prefetch(actor->head->body);
        handled++;
        if ((message_of(m)->header.flags &
             (MESSAGE_IS_SYSTEM | MESSAGE_IS_TICK | MESSAGE_IS_ANSWER)) != 0 &&
            !is_for_handler(e, actor, m))
            system++;
        else
            receive(actor->state, m);
        if ((actor->flags & ACTOR_IS_STOPPING) != 0) break;
    }
    count_more(&e->counters.delivered, handled - system);
}

/** Runs an actor's turn. Returns whether it lives on; if not, its slot may be another's already. */
static inline bool run_turn(struct act_endpoint *e, struct act_actor *actor)
{
    const struct act_behaviour *behaviour = actor->behaviour;

    e->running = actor;
    e->self = actor_id(e, actor);
    run_messages(e, actor);
    if (behaviour->turn_end != NULL && (actor->flags & ACTOR_IS_STOPPING) == 0)
        behaviour->turn_end(actor->state);
    const bool is_stopping = (actor->flags & ACTOR_IS_STOPPING) != 0;
    if (is_stopping)
        act_actor_end(e, actor, e->stop_reason);
    else if ((actor->flags & ACTOR_IS_FULL) != 0)
        act_delivery_relieve(e, actor);
    act_endpoint_publish(e);
    return !is_stopping;
}

/** Runs some of the ready actors, each for a turn. Returns how many. */
static uint32_t run_ready(struct act_endpoint *e)
{
    uint32_t turns = 0;

    for (; turns < TURNS_PER_LOOP && e->ready_head != NULL; turns++) {
        struct act_actor *actor = e->ready_head;
        e->ready_head = actor->ready_next;
        if (e->ready_head == NULL) e->ready_end = &e->ready_head;
        actor->flags &= (uint16_t)~ACTOR_IS_READY;
        if ((actor->flags & ACTOR_IS_DEAD) != 0) {
            act_registry_give_slot(e->runtime->registry, e->index, actor_slot(e, actor));
            continue;
        }
        /* What is left over waits for its next turn behind the others. */
        if (run_turn(e, actor) && actor->head != NULL) act_endpoint_make_ready(e, actor);
    }
    e->running = NULL;
    e->self = ACT_ID_NONE;
    return turns;
}

/** What comes of the clock and of descriptors. */
static void look_outside(struct act_worker *w, uint64_t now_ns)
{
    w->handled = 0;
    act_timer_fire(&w->endpoint, now_ns);
    if (w->endpoint.poller != NULL) act_poller_fire(&w->endpoint);
}

/** One look at everything. Returns whether there was something to do. */
static bool turn(struct act_worker *w)
{
    struct act_endpoint *e = &w->endpoint;
    uint32_t drained = act_delivery_drain(e);
    uint32_t turns = e->ready_head != NULL ? run_ready(e) : 0;

    if (e->unsent.head != NULL || e->waiter_count > 0 || e->has_stranded) act_delivery_retry(e);
    act_endpoint_publish(e); /* what full lanes kept */
    act_endpoint_return(e);
    act_endpoint_collect(e);
    w->handled += drained + turns * 4;
    if (w->handled > HANDLED_PER_CLOCK) look_outside(w, act_now_ns());
    return drained + turns > 0;
}

/** Until when an idle worker sleeps. */
static uint64_t sleep_ns(const struct act_worker *w, uint64_t now_ns)
{
    const struct act_endpoint *e = &w->endpoint;
    const uint64_t due_ns = w->schedule.next_ns;
    uint64_t ns = due_ns == SCHEDULE_NEVER ? UINT64_MAX : due_ns > now_ns ? due_ns - now_ns : 0;
    bool is_waiting = e->waiter_count > 0 || e->unsent.head != NULL || e->has_stranded;

    for (uint32_t i = 0; i < DIRTY_WORDS; i++)
        if (e->dirty[i] != 0 || e->back_dirty[i] != 0) is_waiting = true;
    /* Nobody wakes us when a full lane has room again. */
    return is_waiting && ns > ROOM_POLL_NS ? ROOM_POLL_NS : ns;
}

static void park(struct act_worker *w)
{
    struct act_endpoint *e = &w->endpoint;

    ACT_ASSERT(e->ready_head == NULL);
    act_park_announce(&e->park); /* K2 */
    if (act_endpoint_has_input(e) ||
        atomic_load_explicit(&e->runtime->stopping, memory_order_acquire) != 0) { /* S2 */
        act_park_cancel(&e->park);
        return;
    }
    count(&e->counters.parks);
    act_park_wait(&e->park, sleep_ns(w, act_now_ns()));
}

/**
 * Looks at the lanes alone, many times: what comes meets a worker that has just looked.
 *
 * In its first microsecond an idle worker does not pause between two looks, or answers that take
 * less than that would wait for the pause's end.
 */
static void watch(const struct act_endpoint *e, bool is_calm)
{
    for (uint32_t i = 0; i < LOOKS_PER_CLOCK; i++) {
        if (act_endpoint_has_input(e)) return;
        if (is_calm) cpu_pause();
    }
}

/**
 * Waits for work: spins, then parks.
 *
 * The spin is adaptive: twice as long after it found work, half as long after it did not.
 */
static void idle(struct act_worker *w, uint64_t *spin_ns)
{
    const uint64_t spin_max = (uint64_t)w->endpoint.runtime->options.spin_us * 1000;
    const uint64_t spin_min = spin_max < SPIN_US_MIN * 1000 ? spin_max : SPIN_US_MIN * 1000;
    const uint64_t start = act_now_ns();

    look_outside(w, start);
    for (uint64_t now_ns = start; now_ns - start < *spin_ns;) {
        watch(&w->endpoint, now_ns - start >= SPIN_US_MIN * 1000);
        if (turn(w)) {
            *spin_ns = *spin_ns * 2 < spin_max ? *spin_ns * 2 : spin_max;
            return;
        }
        now_ns = act_now_ns();
        look_outside(w, now_ns);
    }
    if (w->endpoint.ready_head != NULL) return;
    *spin_ns = *spin_ns / 2 > spin_min ? *spin_ns / 2 : spin_min;
    park(w);
}

static bool is_stopping(const struct act_endpoint *e)
{
    return atomic_load_explicit(&e->runtime->stopping, memory_order_acquire) != 0; /* S2 */
}

/** Stops every actor that lives here. */
static void stop_actors(struct act_endpoint *e)
{
    const uint32_t slots = act_registry_slots_used(e->runtime->registry);

    for (uint32_t slot = 0; slot < slots; slot++) {
        unsigned long long word =
            atomic_load_explicit(&e->registry.words[slot], memory_order_acquire); /* R2 */
        if ((word & WORD_ALIVE) == 0 || word_home(word) != e->index) continue;
        act_actor_end(e, &e->registry.actors[slot], ACT_REASON_SHUTDOWN);
    }
    e->ready_head = NULL;
    e->ready_end = &e->ready_head;
}

/** Ends this worker's actors, then keeps its lanes flowing until all workers have done so. */
static void shut_down(struct act_worker *w)
{
    struct act_endpoint *e = &w->endpoint;
    const uint32_t workers = e->runtime->options.workers;

    ACT_ASSERT(e->running == NULL);
    stop_actors(e);
    act_endpoint_publish(e);
    atomic_fetch_add_explicit(&e->runtime->stopped_workers, 1, memory_order_acq_rel); /* S3 */
    while (atomic_load_explicit(&e->runtime->stopped_workers, memory_order_acquire) < workers) {
        act_delivery_drain(e);
        /* An actor that another worker spawned here in its last moment. */
        if (e->ready_head != NULL) stop_actors(e);
        act_endpoint_publish(e);
        sched_yield();
    }
    stop_actors(e);
}

static void pin(const struct act_worker *w)
{
    cpu_set_t set;

    if (w->cpu < 0) return;
    CPU_ZERO(&set);
    CPU_SET((size_t)w->cpu, &set);
    /* act_runtime_start has checked that the CPU is allowed. */
    if (pthread_setaffinity_np(pthread_self(), sizeof set, &set) != 0)
        fprintf(stderr, "act: worker %u: CPU %d has been taken away; not pinned\n",
                w->endpoint.index, w->cpu);
}

/** The kernel may end this thread's sleeps 50 us late, to save wakes; a timer's is not to be. */
static void sleep_exactly(void)
{
    (void)prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0); /* where it is refused they end later */
}

void *act_worker_main(void *worker)
{
    struct act_worker *w = worker;
    uint64_t spin_ns = (uint64_t)w->endpoint.runtime->options.spin_us * 1000;

    ACT_ASSERT(w->endpoint.is_worker);
    pin(w);
    sleep_exactly();
    act_endpoint_set_current(&w->endpoint);
    act_schedule_init(&w->schedule, &w->endpoint.belongings);
    w->endpoint.schedule = &w->schedule;
    while (!is_stopping(&w->endpoint)) {
        if (!turn(w)) idle(w, &spin_ns);
    }
    shut_down(w);
    act_poller_destroy(&w->endpoint);
    act_schedule_deinit(&w->schedule);
    act_endpoint_set_current(NULL);
    return NULL;
}
