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
    LOOKS_PER_CLOCK = 128,
    SPIN_US_MIN = 1, /* an idle worker that is never lucky still spins so long, if it may */
    ROOM_POLL_NS = 1000000,
};

/** Does what a message means to the runtime. Returns whether it means something to the actor too.
 */
__attribute__((noinline)) static bool is_for_handler(struct act_endpoint *e,
                                                     struct act_actor *actor, struct act_message *m)
{
    act_delivery_count_out(e, m);
    if ((message_of(m)->header.flags & MESSAGE_IS_TICK) != 0) {
        act_timer_on_tick(e, m);
        return true;
    }
    if ((message_of(m)->header.flags & (MESSAGE_IS_SYSTEM | MESSAGE_IS_ANSWER)) == 0) return true;
    e->pace.due = 0; /* It may be none that is counted. */
    if ((message_of(m)->header.flags & MESSAGE_IS_ANSWER) != 0) return act_call_on_answer(e, m);
    return act_actor_on_system(e, actor, m);
}

/** That handlers have been given here, ever. */
static inline uint64_t messages(const struct act_endpoint *e)
{
    return atomic_load_explicit(&e->counters.delivered, memory_order_relaxed);
}

/** Gives the actor so many messages, if it has them. Returns how many it had. */
static inline uint32_t run_messages(struct act_endpoint *e, struct act_actor *actor, uint32_t max)
{
    void (*const receive)(void *, struct act_message *) = actor->behaviour->receive;
    uint32_t handled = 0;
    uint32_t system = 0;

    while (actor->head != NULL && handled < max) {
        struct act_message *m = actor_pop(actor);
        if (actor->head != NULL) __builtin_prefetch(actor->head->body);
        handled++;
        if ((message_of(m)->header.flags &
             (MESSAGE_IS_SYSTEM | MESSAGE_IS_TICK | MESSAGE_IS_ANSWER | MESSAGE_IS_COUNTED)) != 0 &&
            !is_for_handler(e, actor, m))
            system++;
        else
            receive(actor->state, m);
        if ((actor->flags & ACTOR_IS_STOPPING) != 0) break;
    }
    count_more(&e->counters.delivered, handled - system);
    return handled;
}

/**
 * Goes on with a turn until it or the slice is over; what is left over waits for the next one.
 * Apart from run_turn: a turn of one message, the most common one, would have registers to save.
 */
__attribute__((noinline)) static void run_on(struct act_endpoint *e, struct act_actor *actor,
                                             uint32_t handled)
{
    for (uint32_t left = e->turn_max - handled;; left -= handled) {
        if (pace_is_due(&e->pace, actor, messages(e))) act_pace_read(&e->pace, actor);
        if (left == 0 || pace_is_over(&e->pace) || actor->head == NULL ||
            (actor->flags & ACTOR_IS_STOPPING) != 0)
            return;
        const uint32_t max = pace_messages(&e->pace, actor);
        handled = run_messages(e, actor, max < left ? max : left);
    }
}

/**
 * Runs an actor's turn; it may have so many messages before the counter is read.
 *
 * Returns: whether it lives on; if not, its slot may be another's already.
 */
static inline bool run_turn(struct act_endpoint *e, struct act_actor *actor, uint32_t max)
{
    e->running = actor;
    e->self = actor_id(e, actor);
    const uint32_t handled = run_messages(e, actor, max);
    if (pace_is_due(&e->pace, actor, messages(e))) run_on(e, actor, handled);
    const struct act_behaviour *behaviour = actor->behaviour;
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

    for (; turns < e->pace.turns && e->ready_head != NULL; turns++) {
        struct act_actor *actor = e->ready_head;
        e->ready_head = actor->ready_next;
        if (e->ready_head == NULL) e->ready_end = &e->ready_head;
        const uint32_t flags = actor->flags;
        uint32_t max = e->pace.stride;
        actor->flags = (uint16_t)(flags & ~(uint32_t)ACTOR_IS_READY);
        if (__builtin_expect((flags & (ACTOR_IS_DEAD | ACTOR_IS_TIMED)) != 0, 0)) {
            if ((flags & ACTOR_IS_DEAD) != 0) {
                act_registry_give_slot(e->runtime->registry, e->index, actor_slot(e, actor));
                continue;
            }
            max = act_pace_single(&e->pace);
        }
        /* What is left over waits for its next turn behind the others. */
        if (run_turn(e, actor, max) && actor->head != NULL) act_endpoint_make_ready(e, actor);
    }
    e->running = NULL;
    e->self = ACT_ID_NONE;
    return turns;
}

/** What comes of the clock and of descriptors. Returns the time. */
static uint64_t look_outside(struct act_endpoint *e)
{
    const uint64_t now_ns = act_pace_begin(&e->pace);

    act_timer_fire(e, now_ns);
    if (e->poller != NULL) act_poller_fire(e);
    return now_ns;
}

/** Offers again what waits for room. */
static void offer_again(struct act_endpoint *e)
{
    if (e->unsent.head != NULL || e->waiter_count > 0 || e->has_stranded) act_delivery_retry(e);
    act_endpoint_publish(e); /* what full lanes kept */
    act_endpoint_return(e);
}

/** One look at everything. Returns whether there was something to do. */
static bool turn(struct act_endpoint *e)
{
    uint32_t drained = act_delivery_drain(e);
    uint32_t turns = e->ready_head != NULL ? run_ready(e) : 0;

    offer_again(e);
    act_endpoint_collect(e);
    if (drained > 0 && turns == 0) act_pace_read(&e->pace, NULL); /* all for the dead */
    if (pace_is_over(&e->pace)) look_outside(e);
    return drained + turns > 0;
}

/** Whether something waits for room elsewhere. */
static bool is_waiting(const struct act_endpoint *e)
{
    for (uint32_t i = 0; i < DIRTY_WORDS; i++)
        if (e->dirty[i] != 0 || e->back_dirty[i] != 0) return true;
    return e->waiter_count > 0 || e->unsent.head != NULL || e->has_stranded;
}

/** Until when an idle worker sleeps. */
static uint64_t sleep_ns(const struct act_endpoint *e, bool is_told)
{
    const uint64_t due_ns = e->schedule->next_ns;
    const uint64_t now_ns = act_now_ns();
    uint64_t ns = due_ns == SCHEDULE_NEVER ? UINT64_MAX : due_ns > now_ns ? due_ns - now_ns : 0;

    return !is_told && ns > ROOM_POLL_NS ? ROOM_POLL_NS : ns;
}

static void park(struct act_endpoint *e)
{
    bool is_told = true;

    ACT_ASSERT(e->ready_head == NULL);
    act_park_announce(&e->park); /* K2 */
    if (is_waiting(e)) {
        /* Whoever takes a flag down has to find this worker parked: what he has made may not be
         * enough, and nobody would wake it for the rest. */
        is_told = act_delivery_want(e); /* K3 */
        act_park_announce(&e->park);    /* K3: the fence once more */
        offer_again(e);
        /* Only a membarrier is a fence for those who make room, too. */
        if (!act_park_lends_fence(&e->park)) is_told = false;
    }
    if (e->ready_head != NULL || act_endpoint_has_input(e) ||
        atomic_load_explicit(&e->runtime->stopping, memory_order_acquire) != 0) { /* S2 */
        act_park_cancel(&e->park);
        return;
    }
    count(&e->counters.parks);
    act_park_wait(&e->park, sleep_ns(e, is_told));
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
static void idle(struct act_endpoint *e, uint64_t *spin_ns)
{
    const uint64_t spin_max = (uint64_t)e->runtime->options.spin_us * 1000;
    const uint64_t spin_min = spin_max < SPIN_US_MIN * 1000 ? spin_max : SPIN_US_MIN * 1000;
    const uint64_t start = look_outside(e);

    for (uint64_t now_ns = start; now_ns - start < *spin_ns;) {
        if (e->ready_head == NULL) watch(e, now_ns - start >= SPIN_US_MIN * 1000);
        if (turn(e)) {
            *spin_ns = *spin_ns * 2 < spin_max ? *spin_ns * 2 : spin_max;
            return;
        }
        now_ns = look_outside(e);
    }
    if (e->ready_head != NULL) return;
    *spin_ns = *spin_ns / 2 > spin_min ? *spin_ns / 2 : spin_min;
    park(e);
    look_outside(e);
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
    act_pace_init(&w->endpoint.pace, &w->endpoint.registry, w->endpoint.index, w->endpoint.turn_max,
                  &w->endpoint.counters.delivered);
    while (!is_stopping(&w->endpoint)) {
        if (!turn(&w->endpoint)) idle(&w->endpoint, &spin_ns);
    }
    shut_down(w);
    act_poller_destroy(&w->endpoint);
    act_schedule_deinit(&w->schedule);
    act_endpoint_set_current(NULL);
    return NULL;
}
