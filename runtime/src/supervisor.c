/**
 * See act/supervisor.h: an actor like others, whose children are linked to it.
 *
 * It traps exits. What a full lane or an empty pool refuses (a link, a stop) is tried again by a
 * timer, so that nothing is forgotten and nothing waits in a handler.
 */
#include "assert.h"
#include "delivery.h"
#include "fabric.h"
#include "memory.h"

#include <act/clock.h>
#include <act/supervisor.h>
#include <act/timer.h>

#include <errno.h>
#include <string.h>

enum {
    TYPE_START = 1,
    TYPE_STOP,
    TYPE_RESTART,  /* a timer's: the child, or ALL */
    TYPE_RETRY,    /* a timer's */
    TYPE_DEADLINE, /* a timer's: the child that is to end */
    ALL = ACT_CHILDREN_MAX,
    RETRY_NS = 1000000,
};

enum phase {
    BEGINNING,
    RUNNING,
    RESTARTING, /* all: stops them */
    PAUSING,    /* all are stopped, and to be started after the back-off */
    ENDING,     /* stops them, then itself */
};

struct child {
    struct act_child spec;
    act_id id; /* ACT_ID_NONE: does not run */
    bool is_linked;
    bool is_stopping; /* has been asked */
    bool is_done;     /* is not started again */
};

struct supervisor {
    struct act_supervisor_options options; /* `children` is not used */
    size_t bytes;
    enum phase phase;
    int reason; /* to end with */
    bool is_retrying;
    act_timer deadline;
    uint32_t restart_next;               /* where the next one is noted */
    uint32_t restart_count;              /* that are noted */
    uint64_t restarts[ACT_RESTARTS_MAX]; /* when: a ring of restarts_max */
    struct child children[];
};

void act_supervisor_options_init(struct act_supervisor_options *options)
{
    *options = (struct act_supervisor_options){
        .restarts_max = 3,
        .window_ns = 5000000000ull,
        .backoff_max_ns = 1000000000ull,
        .stop_ns = 5000000000ull,
    };
}

/** Tries again soon what was refused; who has no memory for that either fails. */
static void retry_later(struct supervisor *s)
{
    if (s->is_retrying) return;
    s->is_retrying = act_timer_start(RETRY_NS, TYPE_RETRY, 0, NULL) == 0;
    if (!s->is_retrying) act_exit(ACT_REASON_RESTARTS);
}

/** The child that is to be stopped next, or that is being stopped; NULL when none runs. */
static struct child *last_running(struct supervisor *s)
{
    for (uint32_t i = s->options.child_count; i > 0; i--)
        if (s->children[i - 1].id != ACT_ID_NONE) return &s->children[i - 1];
    return NULL;
}

/** Starts the timer of a restart. Returns 0 or -ENOMEM. */
static int schedule(uint64_t delay_ns, uint32_t child)
{
    return act_timer_start(delay_ns, TYPE_RESTART, child, NULL);
}

/** How long to wait after so many restarts in the window. */
static uint64_t backoff_ns(const struct supervisor *s, uint32_t restarts)
{
    const uint64_t max = s->options.backoff_max_ns;
    uint64_t ns = s->options.backoff_ns;

    for (uint32_t i = 1; i < restarts && ns > 0 && ns < max; i++)
        ns = ns <= max / 2 ? ns * 2 : max;
    return ns < max ? ns : max;
}

/** Of the restarts that are noted, those within the window. */
static uint32_t recent_restarts(const struct supervisor *s, uint64_t now_ns)
{
    uint32_t recent = 0;

    for (uint32_t i = 0; i < s->restart_count; i++)
        recent += now_ns - s->restarts[i] < s->options.window_ns;
    return recent;
}

/** Asks a child to stop, and gives it its time. */
static void stop_child(struct supervisor *s, struct child *c)
{
    if (c->is_stopping) return;
    if (s->deadline == 0 && s->options.stop_ns != UINT64_MAX &&
        act_timer_start(s->options.stop_ns, TYPE_DEADLINE, c->id, &s->deadline) != 0) {
        retry_later(s);
        return;
    }
    c->is_stopping = act_stop(c->id, ACT_REASON_SHUTDOWN) == 0;
    if (!c->is_stopping) retry_later(s);
}

/** Stops the last child that runs; when none does, does what that was for. */
static void stop_next(struct supervisor *s)
{
    struct child *c = last_running(s);

    ACT_ASSERT(s->phase == ENDING || s->phase == RESTARTING);
    if (c != NULL) {
        stop_child(s, c);
        return;
    }
    if (s->phase == RESTARTING &&
        schedule(backoff_ns(s, recent_restarts(s, act_now_ns())), ALL) == 0) {
        s->phase = PAUSING;
        return;
    }
    act_exit(s->phase == ENDING ? s->reason : ACT_REASON_RESTARTS);
    s->phase = ENDING;
}

static void end(struct supervisor *s, int reason)
{
    if (s->phase == ENDING) return;
    s->phase = ENDING;
    s->reason = reason;
    stop_next(s);
}

/** A child is to be started again, if there were not too many such. */
static void start_again(struct supervisor *s, uint32_t child)
{
    const uint64_t now_ns = act_now_ns();
    const uint32_t recent = recent_restarts(s, now_ns);

    ACT_ASSERT(s->phase == RUNNING);
    if (recent >= s->options.restarts_max) {
        end(s, ACT_REASON_RESTARTS);
        return;
    }
    s->restarts[s->restart_next] = now_ns;
    s->restart_next = (s->restart_next + 1) % s->options.restarts_max;
    if (s->restart_count < s->options.restarts_max) s->restart_count++;
    if (s->options.strategy == ACT_ONE_FOR_ALL) {
        s->phase = RESTARTING;
        stop_next(s);
    } else if (schedule(backoff_ns(s, recent + 1), child) != 0) {
        end(s, ACT_REASON_RESTARTS);
    }
}

static void link_child(struct supervisor *s, struct child *c)
{
    c->is_linked = act_link(c->id) == 0;
    if (!c->is_linked) retry_later(s);
}

/** Spawns a child in its first or a new life. Returns whether it runs. */
static bool spawn(struct child *c)
{
    struct act_spawn_options o = {.behaviour = c->spec.behaviour,
                                  .state = c->spec.context,
                                  .place = c->spec.place,
                                  .mailbox_max = c->spec.mailbox_max,
                                  .name = c->spec.name};
    struct act_message *first = NULL;

    if (c->spec.first_type != 0) {
        first = act_message_create(c->spec.first_type, 0);
        if (first == NULL) return false;
    }
    bool runs = c->spec.create == NULL || c->spec.create(c->spec.context, &o.state) == 0;
    if (runs && act_spawn(&o, &c->id) != 0) {
        if (c->spec.discard != NULL) c->spec.discard(c->spec.context, o.state);
        runs = false;
    }
    if (!runs) {
        if (first != NULL) act_message_unref(first);
        return false;
    }
    if (first != NULL) {
        first->from = act_self();
        act_delivery_send_system(act_endpoint_current(), c->id, first);
    }
    return true;
}

static void start_child(struct supervisor *s, uint32_t i)
{
    struct child *c = &s->children[i];

    ACT_ASSERT(s->phase == RUNNING);
    ACT_ASSERT(c->id == ACT_ID_NONE);
    c->is_stopping = false;
    if (spawn(c))
        link_child(s, c);
    else if (c->spec.restart == ACT_RESTART_TEMPORARY)
        c->is_done = true;
    else
        start_again(s, i);
}

/** Starts all that are to run, until one cannot be started. */
static void start_all(struct supervisor *s)
{
    s->phase = RUNNING;
    for (uint32_t i = 0; i < s->options.child_count && s->phase == RUNNING; i++)
        if (!s->children[i].is_done) start_child(s, i);
}

static bool is_final(const struct child *c, int reason)
{
    if (c->spec.restart == ACT_RESTART_TEMPORARY) return true;
    return c->spec.restart == ACT_RESTART_TRANSIENT && reason == 0;
}

static void on_exit_of(struct supervisor *s, const struct act_down *down)
{
    uint32_t i = 0;

    while (i < s->options.child_count && s->children[i].id != down->actor)
        i++;
    if (i == s->options.child_count) { /* somebody else's failure, who is linked to it */
        if (down->reason != 0) end(s, down->reason);
        return;
    }
    struct child *c = &s->children[i];
    c->id = ACT_ID_NONE;
    if (is_final(c, down->reason)) c->is_done = true;
    if (s->phase == RUNNING) {
        if (!c->is_done) start_again(s, i);
        return;
    }
    /* The one that is being stopped is the last that ran: else the deadline is another's. */
    if (s->deadline != 0 && c->is_stopping) {
        (void)act_timer_cancel(s->deadline);
        s->deadline = 0;
    }
    if (s->phase != PAUSING) stop_next(s);
}

static void on_deadline(struct supervisor *s, act_id id)
{
    struct child *c = last_running(s);

    if (c == NULL || c->id != id || (s->phase != ENDING && s->phase != RESTARTING)) return;
    s->deadline = 0;
    c->id = ACT_ID_NONE;
    if (s->options.overdue != NULL) s->options.overdue(s->options.context, c->spec.name, id);
    s->phase = ENDING;
    s->reason = ACT_REASON_OVERDUE;
    stop_next(s);
}

static void on_restart(struct supervisor *s, uint64_t child)
{
    if (child == ALL) {
        if (s->phase == PAUSING) start_all(s);
    } else if (s->phase == RUNNING) {
        start_child(s, (uint32_t)child);
    }
}

static void on_retry(struct supervisor *s)
{
    s->is_retrying = false;
    for (uint32_t i = 0; i < s->options.child_count; i++) {
        struct child *c = &s->children[i];
        if (c->id != ACT_ID_NONE && !c->is_linked) link_child(s, c);
    }
    if (s->phase == ENDING || s->phase == RESTARTING) stop_next(s);
}

static uint64_t number_in(const struct act_message *m)
{
    uint64_t number = 0;

    if (m->body_bytes >= sizeof number) memcpy(&number, m->body, sizeof number);
    return number;
}

static void receive(void *state, struct act_message *m)
{
    struct supervisor *s = state;
    const bool is_own = m->from == act_self(); /* a timer's */

    if (m->type == ACT_TYPE_EXIT)
        on_exit_of(s, m->body);
    else if (m->type == TYPE_START && s->phase == BEGINNING) {
        if (act_trap_exits(true) == 0) start_all(s);
    } else if (m->type == TYPE_STOP)
        end(s, (int)number_in(m));
    else if (m->type == TYPE_RESTART && is_own)
        on_restart(s, number_in(m));
    else if (m->type == TYPE_DEADLINE && is_own)
        on_deadline(s, number_in(m));
    else if (m->type == TYPE_RETRY && is_own)
        on_retry(s);
    act_message_unref(m);
}

static void stopped(void *state, int reason)
{
    struct supervisor *s = state;

    /* Those that run are linked: a failure ends them. They are asked for the other case. */
    for (struct child *c; reason != ACT_REASON_SHUTDOWN && (c = last_running(s)) != NULL;) {
        (void)!act_stop(c->id, ACT_REASON_SHUTDOWN);
        c->id = ACT_ID_NONE;
    }
    act_memory_give(s, s->bytes);
}

static const struct act_behaviour behaviour = {.receive = receive, .stopped = stopped};

static int check_child(const struct act_child *child, uint32_t workers)
{
    if (child->behaviour == NULL || child->behaviour->receive == NULL) return -EINVAL;
    if (child->place > workers || child->restart > ACT_RESTART_TEMPORARY) return -EINVAL;
    if (child->first_type >= ACT_TYPE_SYSTEM) return -EINVAL;
    return child->name != NULL && strlen(child->name) > ACT_NAME_MAX ? -ENAMETOOLONG : 0;
}

static int check(const struct act_supervisor_options *o, uint32_t workers)
{
    if (o == NULL || o->children == NULL) return -EINVAL;
    if (o->child_count == 0 || o->child_count > ACT_CHILDREN_MAX) return -EINVAL;
    if (o->window_ns == 0 || o->restarts_max > ACT_RESTARTS_MAX || o->strategy > ACT_ONE_FOR_ALL)
        return -EINVAL;
    for (uint32_t i = 0; i < o->child_count; i++) {
        int error = check_child(&o->children[i], workers);
        if (error != 0) return error;
    }
    return 0;
}

int act_supervisor_spawn(const struct act_supervisor_options *options, act_id *id)
{
    struct act_endpoint *e = act_endpoint_current();

    if (e == NULL) return -EPERM;
    int error = id != NULL ? check(options, e->runtime->options.workers) : -EINVAL;
    if (error != 0) return error;
    const size_t bytes = sizeof(struct supervisor) + options->child_count * sizeof(struct child);
    struct supervisor *s = act_memory_take(bytes);
    struct act_message *m = act_message_create(TYPE_START, 0);
    const struct act_spawn_options spawn_options = {
        .behaviour = &behaviour, .state = s, .place = options->place, .name = options->name};
    if (s == NULL || m == NULL) {
        error = -ENOMEM;
        goto undo;
    }
    s->options = *options;
    s->bytes = bytes;
    for (uint32_t i = 0; i < options->child_count; i++)
        s->children[i].spec = options->children[i];
    error = act_spawn(&spawn_options, id);
    if (error != 0) goto undo;
    m->from = e->self;
    act_delivery_send_system(e, *id, m);
    return 0;

undo:
    act_memory_give(s, bytes);
    if (m != NULL) act_message_unref(m);
    return error;
}

int act_supervisor_stop(act_id supervisor, int reason)
{
    const uint64_t number = (uint64_t)(int64_t)reason;

    if (act_endpoint_current() == NULL) return -EPERM;
    struct act_message *m = act_message_create(TYPE_STOP, sizeof number);
    if (m == NULL) return -ENOMEM;
    memcpy(m->body, &number, sizeof number);
    int error = act_send(supervisor, m);
    if (error != 0) act_message_unref(m);
    return error;
}
