/**
 * When which fault happens. Each kind has its own clock; the rest is drawn when it strikes.
 */
#include "world.h"

#include <string.h>

#define X(name, text) [FAULT_##name] = text,
static const char *const fault_texts[FAULT_COUNT] = {SIM_FAULTS(X)};
#undef X

const char *sim_fault_text(enum fault fault)
{
    return fault_texts[fault];
}

static struct random *dice(struct world *w)
{
    return &w->fault_random;
}

static void schedule_next(struct world *w, enum fault fault)
{
    const uint32_t period = w->scenario.fault_period[fault];

    if (period == 0) return;
    queue_push(&w->queue,
               (struct event){.time = w->now + random_exponential(dice(w), (uint64_t)period * TICK),
                              .kind = EVENT_FAULT,
                              .target = (uint16_t)fault});
}

void faults_start(struct world *w)
{
    for (uint32_t i = 0; i < FAULT_COUNT; i++)
        schedule_next(w, (enum fault)i);
    /* Sometimes the very first superblock is the one that is lost. */
    if (w->scenario.fault_period[FAULT_CRASH_PERSIST] != 0)
        w->crashes_at_persist = random_percent(dice(w), 20);
}

/** Long enough to be suspected, mostly; sometimes for several view changes. */
static uint64_t some_time(struct world *w)
{
    const uint64_t suspect = (uint64_t)w->scenario.replica.suspect_ticks * TICK;
    return random_percent(dice(w), 30) ? random_below(dice(w), 8 * suspect)
                                       : random_below(dice(w), 2 * suspect);
}

uint64_t faults_restart_after(struct world *w)
{
    return random_percent(dice(w), 60) ? random_below(dice(w), 4 * TICK) : some_time(w);
}

/** In half of the runs mostly the same one: it meets what its earlier lives have left behind. */
static struct host *some_host(struct world *w)
{
    if (w->scenario.has_victim && random_percent(dice(w), 60)) return &w->hosts[w->scenario.victim];
    return &w->hosts[random_below(dice(w), world_replicas(w))];
}

/** A replica that believes to be the primary, or any. */
static struct host *some_primary(struct world *w)
{
    struct host *best = NULL;

    for (uint32_t i = 0; i < world_replicas(w); i++) {
        struct host *h = &w->hosts[i];
        bool leads = h->driver.core != NULL && h->has_seen && h->seen.status == VSR_STATUS_NORMAL &&
                     h->seen.is_primary;
        if (leads && (best == NULL || h->seen.view > best->seen.view)) best = h;
    }
    return best != NULL ? best : some_host(w);
}

/* Cuts. */

static void block(struct world *w, enum fault fault, uint32_t from, uint32_t to)
{
    struct lasting *l = &w->lasting[fault];

    if (from == to || (l->blocked[from] >> to & 1) != 0) return;
    l->blocked[from] |= (uint8_t)(1u << to);
    w->network.links[from][to].blocks++;
}

static void lift(struct world *w, enum fault fault)
{
    struct lasting *l = &w->lasting[fault];

    for (uint32_t from = 0; from < VSR_REPLICAS_MAX; from++)
        for (uint32_t to = 0; to < VSR_REPLICAS_MAX; to++)
            if ((l->blocked[from] >> to & 1) != 0) w->network.links[from][to].blocks--;
    memset(l->blocked, 0, sizeof l->blocked);
    l->is_on = false;
}

/** Draws a cut of this kind. Returns the replica or group it is about, for the journal. */
static uint32_t cut(struct world *w, enum fault fault)
{
    const uint32_t n = world_replicas(w);
    const uint32_t one = random_percent(dice(w), 40) ? some_primary(w)->index : some_host(w)->index;
    const uint32_t group = (uint32_t)random_below(dice(w), 1u << n);

    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t k = 0; k < n; k++) {
            const bool is_across = (group >> i & 1) != (group >> k & 1);
            if (fault == FAULT_PARTITION && is_across) block(w, fault, i, k);
            if (fault == FAULT_ONE_WAY && is_across && (group >> i & 1) != 0) block(w, fault, i, k);
            if (fault == FAULT_SINGLETON && (i == one || k == one)) block(w, fault, i, k);
            if (fault == FAULT_DEAF && k == one) block(w, fault, i, k);
            if (fault == FAULT_MUTE && i == one) block(w, fault, i, k);
        }
    }
    return fault == FAULT_PARTITION || fault == FAULT_ONE_WAY ? group : 1u << one;
}

static void strike_cut(struct world *w, enum fault fault)
{
    struct lasting *l = &w->lasting[fault];
    uint64_t duration = some_time(w);

    if (l->is_on) return;
    /* A few view changes long. */
    if (fault == FAULT_SINGLETON)
        duration = w->scenario.replica.suspect_ticks * (2 + random_below(dice(w), 6)) * TICK;
    l->is_on = true;
    l->life++;
    const uint32_t group = cut(w, fault);
    w->stats.faults[fault]++;
    journal_text(&w->journal, "fault: %s (group %#x) for %llu ticks", fault_texts[fault], group,
                 (unsigned long long)(duration / TICK));
    queue_push(&w->queue, (struct event){.time = w->now + duration,
                                         .kind = EVENT_FAULT_END,
                                         .target = (uint16_t)fault,
                                         .life = l->life});
}

static void strike_link(struct world *w, enum fault fault)
{
    const uint32_t from = some_host(w)->index;
    const uint32_t to = some_host(w)->index;

    w->stats.faults[fault]++;
    if (fault == FAULT_CLOG) {
        w->network.links[from][to].clogged_until = w->now + some_time(w);
        journal_text(&w->journal, "fault: %s, %u to %u", fault_texts[fault], from, to);
    } else {
        w->network.loss_until = w->now + some_time(w);
        w->network.loss_ppm = (uint32_t)random_between(dice(w), 200000, 900000);
        journal_text(&w->journal, "fault: %s", fault_texts[fault]);
    }
}

/** A kind of message that matters: those of view changes and recoveries first. */
static uint8_t some_type(struct world *w)
{
    static const uint8_t types[] = {
        VSR_DO_VIEW_CHANGE,
        VSR_DO_VIEW_CHANGE,
        VSR_START_VIEW,
        VSR_START_VIEW,
        VSR_START_VIEW_CHANGE,
        VSR_RECOVERY_RESPONSE,
        VSR_RECOVERY,
        VSR_NEW_STATE,
        VSR_GET_STATE,
        VSR_PREPARE,
        VSR_PREPARE,
        VSR_PREPARE_OK,
        VSR_PREPARE_OK,
        VSR_COMMIT,
        VSR_CHUNK,
        VSR_GET_CHUNK,
        VSR_PONG,
        VSR_PING,
        VSR_NEW_VIEW,
        VSR_COMMIT_OK,
    };
    return types[random_below(dice(w), sizeof types)];
}

static void strike_type(struct world *w, enum fault fault)
{
    const uint8_t type = some_type(w);
    struct type_fault *f = &w->network.type_faults[type];

    w->stats.faults[fault]++;
    f->until = w->now + some_time(w);
    f->ppm = random_percent(dice(w), 50) ? 1000000 : 500000;
    f->delay = fault == FAULT_TYPE_DROP ? 0 : some_time(w) + 1;
    journal_text(&w->journal, "fault: %s: %s", fault_texts[fault], vsr_message_name(type));
}

static void strike_crash(struct world *w, enum fault fault)
{
    struct host *h = fault == FAULT_CRASH ? some_host(w) : some_primary(w);

    if (!world_may_crash(w, h)) {
        w->stats.counts[COUNT_CRASHES_SPARED]++;
        return;
    }
    w->stats.faults[fault]++;
    host_crash(w, h, faults_restart_after(w));
}

static void strike_pause(struct world *w, enum fault fault)
{
    struct host *h = random_percent(dice(w), 40) ? some_primary(w) : some_host(w);

    if (!host_is_up(h)) return;
    w->stats.faults[fault]++;
    h->is_paused = true;
    h->is_stalled = fault == FAULT_STALL;
    h->resume_at = w->now + some_time(w);
    journal_text(&w->journal, "%u pauses%s", h->index, h->is_stalled ? ", its messages wait" : "");
    queue_push(&w->queue, (struct event){.time = h->resume_at,
                                         .kind = EVENT_RESUME,
                                         .target = (uint16_t)h->index,
                                         .life = h->incarnation});
}

static void strike_clock(struct world *w)
{
    const uint64_t day_ns = 86400ull * 1000 * 1000 * 1000;
    struct host *h = random_percent(dice(w), 60) ? some_primary(w) : some_host(w);

    /* Back as far as it has ever been ahead. */
    if (h->days_ahead > 0 && random_percent(dice(w), 50)) {
        h->days_ahead--;
        h->clock_offset_ns -= day_ns;
    } else {
        h->days_ahead++;
        h->clock_offset_ns += day_ns;
    }
    w->stats.faults[FAULT_CLOCK_JUMP]++;
    journal_text(&w->journal, "fault: the clock of %u is %u days ahead", h->index, h->days_ahead);
}

/** Once in a run, so that something was there to lose. */
static void strike_amnesia(struct world *w)
{
    const uint32_t n = world_replicas(w);
    const uint32_t most = (uint32_t)random_between(dice(w), w->scenario.crash_limit + 1, n);

    if (w->is_beyond || w->ghost.commit == 0) return;
    w->stats.faults[FAULT_AMNESIA]++;
    w->is_beyond = true;
    for (uint32_t i = 0; i < 8 * n && world_amnesic(w) < most; i++) {
        struct host *h = &w->hosts[random_below(dice(w), n)];
        if (h->driver.core == NULL || h->is_amnesic) continue;
        host_lose_memory(w, h, faults_restart_after(w));
    }
}

static void strike_deviation(struct world *w)
{
    struct host *h = random_percent(dice(w), 40) ? some_primary(w) : some_host(w);

    for (uint32_t i = 0; i < world_replicas(w); i++)
        if (w->hosts[i].is_deviant || w->hosts[i].deviates_next) return;
    /* It counts as one that is gone: what it acknowledges is as good as lost, and it halts. */
    if (!world_may_crash(w, h) || h->is_amnesic) return;
    if (world_amnesic(w) + scenario_core(&w->scenario) >= world_replicas(w)) return;
    w->stats.faults[FAULT_DEVIATION]++;
    h->deviates_next = true;
}

static void arm(struct world *w, struct trap *trap)
{
    trap->is_armed = true;
    trap->type = some_type(w);
    trap->wants_first = random_percent(dice(w), 60);
}

bool faults_spring(struct world *w, struct trap *trap, uint8_t type, bool is_first)
{
    if (!trap->is_armed || trap->type != type || (trap->wants_first && !is_first)) return false;
    trap->is_armed = false;
    /* Often exactly these messages are late: they then arrive when the sender has forgotten them.
     */
    if (random_percent(dice(w), 50)) {
        struct type_fault *f = &w->network.type_faults[type];
        f->until = w->now + TICK;
        f->ppm = 700000;
        f->delay = some_time(w) + 1;
    }
    journal_text(&w->journal, "fault: crash around %s", vsr_message_name(type));
    return true;
}

static void strike_famine(struct world *w)
{
    w->stats.faults[FAULT_FAMINE]++;
    w->famine_until = w->now + some_time(w);
    const uint32_t ppm = random_percent(dice(w), 30) ? 900000 : 100000;
    for (uint32_t i = 0; i < world_replicas(w); i++)
        w->hosts[i].source.famine_ppm = random_percent(dice(w), 50) ? ppm : 0;
    journal_text(&w->journal, "fault: few buffers");
    queue_push(&w->queue, (struct event){.time = w->famine_until,
                                         .kind = EVENT_FAULT_END,
                                         .target = FAULT_FAMINE,
                                         .life = ++w->lasting[FAULT_FAMINE].life});
}

static void end_famine(struct world *w)
{
    for (uint32_t i = 0; i < world_replicas(w); i++)
        w->hosts[i].source.famine_ppm = 0;
}

static void strike(struct world *w, enum fault fault)
{
    switch (fault) {
    case FAULT_PARTITION:
    case FAULT_ONE_WAY:
    case FAULT_SINGLETON:
    case FAULT_DEAF:
    case FAULT_MUTE:
        strike_cut(w, fault);
        break;
    case FAULT_CLOG:
    case FAULT_LOSS:
        strike_link(w, fault);
        break;
    case FAULT_REPLAY:
        w->stats.faults[fault]++;
        network_replay(w);
        break;
    case FAULT_CRASH:
    case FAULT_CRASH_PRIMARY:
        strike_crash(w, fault);
        break;
    case FAULT_PAUSE:
    case FAULT_STALL:
        strike_pause(w, fault);
        break;
    case FAULT_CLOCK_JUMP:
        strike_clock(w);
        break;
    case FAULT_AMNESIA:
        strike_amnesia(w);
        break;
    case FAULT_DEVIATION:
        strike_deviation(w);
        break;
    case FAULT_CRASH_SENDER:
        arm(w, &w->send_trap);
        break;
    case FAULT_CRASH_RECEIVER:
        arm(w, &w->receive_trap);
        break;
    case FAULT_CRASH_PERSIST:
        w->crashes_at_persist = true;
        break;
    case FAULT_TYPE_DELAY:
    case FAULT_TYPE_DROP:
        strike_type(w, fault);
        break;
    case FAULT_SLOW_DISK:
        w->stats.faults[fault]++;
        w->slow_disk_until = w->now + some_time(w);
        break;
    case FAULT_FAMINE:
        strike_famine(w);
        break;
    case FAULT_CLIENT_RESTART:
        w->stats.faults[fault]++;
        client_restart(w, (uint32_t)random_below(dice(w), w->scenario.load.clients));
        break;
    case FAULT_BAD_SNAPSHOT:
        w->stats.faults[fault]++;
        w->damages_snapshot = true;
        break;
    case FAULT_COUNT:
        break;
    }
}

void faults_on_event(struct world *w, const struct event *event)
{
    const enum fault fault = (enum fault)event->target;

    if (w->has_ended) return;
    if (event->kind == EVENT_FAULT) {
        strike(w, fault);
        schedule_next(w, fault);
    } else if (event->life == w->lasting[fault].life) {
        if (fault == FAULT_FAMINE)
            end_famine(w);
        else
            lift(w, fault);
    }
}

void faults_stop(struct world *w)
{
    for (uint32_t i = 0; i < FAULT_COUNT; i++)
        if (w->lasting[i].is_on) lift(w, (enum fault)i);
    end_famine(w);
    w->has_ended = true;
    w->slow_disk_until = 0;
    w->crashes_at_persist = w->damages_snapshot = false;
    w->send_trap.is_armed = w->receive_trap.is_armed = false;
    network_calm(w);
}
