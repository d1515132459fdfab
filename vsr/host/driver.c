/**
 * The driver of effects. See driver.h.
 */
#include "driver.h"

#include "../core/assert.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int vsr_driver_create(struct vsr_driver *driver, const struct vsr_replica_options *options,
                      const struct vsr_host *host, void *context)
{
    const size_t bytes = (vsr_replica_bytes(options) + 63) & ~(size_t)63;
    const uint32_t capacity = vsr_replica_effects_max(options);
    void *memory = aligned_alloc(64, bytes);
    struct vsr_effect *list = calloc(capacity, sizeof *list);

    VSR_ASSERT(host != NULL);
    VSR_ASSERT(capacity > 0);
    *driver = (struct vsr_driver){0};
    if (memory == NULL || list == NULL) {
        free(memory);
        free(list);
        return -ENOMEM;
    }
    memset(memory, 0, bytes);
    driver->host = host;
    driver->context = context;
    driver->core = vsr_replica_init(memory, options);
    driver->effects = (struct vsr_effects){.list = list, .capacity = capacity};
    driver->buffers = options->buffers;
    return 0;
}

void vsr_driver_destroy(struct vsr_driver *driver)
{
    if (driver->core != NULL) vsr_replica_deinit(driver->core);
    free(driver->core);
    free(driver->effects.list);
    *driver = (struct vsr_driver){0};
}

/* Guards: while the machine executes, another word stands behind a result's place. What lies there,
 * padding or the next session's entry, is not read meanwhile, and is put back. */

enum {
#ifdef VSR_DEBUG_CHECKS
    GUARDS_MAX = 256,
#else
    GUARDS_MAX = 1, /* a store and a load of a batch; which one changes with the op */
#endif
};

struct guards {
    uint32_t first;
    uint32_t count;
    uint64_t words[GUARDS_MAX]; /* that were there */
};

static const uint64_t guard_word = 0xA5C35A3CA5C35A3Cull;

static uint8_t *guard_place(const struct vsr_state_machine *machine,
                            const struct vsr_effect *effect, uint32_t index)
{
    if (index >= effect->count) index -= effect->count;
    VSR_ASSERT(index < effect->count);
    return effect->operations[index].result->data + machine->result_bytes_max;
}

static void set_guards(struct guards *guards, const struct vsr_state_machine *machine,
                       const struct vsr_effect *effect)
{
    const uint32_t mixed = (uint32_t)effect->op * 2654435769u;

    guards->first = (uint32_t)((uint64_t)mixed * effect->count >> 32);
    guards->count = effect->count < GUARDS_MAX ? effect->count : GUARDS_MAX;
    VSR_ASSERT(guards->count > 0);
    VSR_ASSERT(guards->first < effect->count);
    for (uint32_t i = 0; i < guards->count; i++) {
        uint8_t *place = guard_place(machine, effect, guards->first + i);
        memcpy(&guards->words[i], place, sizeof guard_word);
        memcpy(place, &guard_word, sizeof guard_word);
    }
}

/** Puts back what was there. Returns whether all guards are as they were set. */
static bool check_guards(const struct guards *guards, const struct vsr_state_machine *machine,
                         const struct vsr_effect *effect)
{
    uint64_t difference = 0;

    VSR_ASSERT(guards->count <= effect->count);
    for (uint32_t i = 0; i < guards->count; i++) {
        uint8_t *place = guard_place(machine, effect, guards->first + i);
        uint64_t word;
        memcpy(&word, place, sizeof word);
        memcpy(place, &guards->words[i], sizeof word);
        difference |= word ^ guard_word;
    }
    return difference == 0;
}

static _Noreturn void end_overrun(const struct vsr_state_machine *machine,
                                  const struct vsr_effect *effect, const char *what)
{
    fprintf(stderr,
            "vsr: the state machine's apply has %s; result_bytes_max "
            "is %u, at op %llu: the memory behind it is overwritten\n",
            what, machine->result_bytes_max, (unsigned long long)effect->op);
    abort();
}

void vsr_driver_apply(const struct vsr_state_machine *machine, const struct vsr_effect *effect)
{
    struct guards guards;
    uint32_t over = 0;

    if (effect->count == 0) return;
    VSR_ASSERT(machine->apply != NULL);
    set_guards(&guards, machine, effect);
    machine->apply(machine->state, effect->op, effect->timestamp, effect->operations,
                   effect->count);
    /* One look per operation, at a line that the machine has just written. */
    for (uint32_t i = 0; i < effect->count; i++)
        over |= effect->operations[i].result->bytes > machine->result_bytes_max;
    if (over != 0) end_overrun(machine, effect, "given a result larger than its result_bytes_max");
    if (!check_guards(&guards, machine, effect))
        end_overrun(machine, effect, "written beyond a result's place");
}

/** Something is done at once: an event, whose fields the caller fills in, follows the step's
 * effects.
 */
static struct vsr_event *complete(struct vsr_driver *driver, enum vsr_event_kind kind)
{
    VSR_ASSERT(driver->count < VSR_DRIVER_COMPLETIONS_MAX);
    VSR_ASSERT(driver->head < VSR_DRIVER_COMPLETIONS_MAX);
    struct vsr_event *event =
        &driver->completions[(driver->head + driver->count++) % VSR_DRIVER_COMPLETIONS_MAX];
    event->kind = kind;
    return event;
}

static void perform(struct vsr_driver *driver, const struct vsr_effect *e)
{
    const struct vsr_host *host = driver->host;
    void *context = driver->context;
    struct vsr_snapshot snapshot;
    bool is_loaded;

    switch (e->kind) {
    case VSR_EFFECT_SEND_CHUNK:
        host->fill_chunk(context, e);
        host->send(context, e->to, e->buffer);
        break;
    case VSR_EFFECT_SEND:
        host->send(context, e->to, e->buffer);
        break;
    case VSR_EFFECT_SEND_CLIENT:
        host->send_client(context, e->address, e->buffer);
        break;
    case VSR_EFFECT_APPLY:
        if (host->apply(context, e)) complete(driver, VSR_EVENT_APPLIED)->op = e->op;
        break;
    case VSR_EFFECT_PERSIST:
        if (host->persist(context, e)) complete(driver, VSR_EVENT_DURABLE)->sequence = e->sequence;
        break;
    case VSR_EFFECT_SAVE:
        if (host->save(context, e->snapshot.op, &snapshot))
            complete(driver, VSR_EVENT_SAVED)->snapshot = snapshot;
        break;
    case VSR_EFFECT_STORE_CHUNK:
        host->store_chunk(context, e);
        driver->buffers.unref(driver->buffers.context, e->buffer.handle);
        break;
    case VSR_EFFECT_LOAD:
        if (host->load(context, &e->snapshot, &is_loaded))
            complete(driver, VSR_EVENT_LOADED)->is_loaded = is_loaded;
        break;
    case VSR_EFFECT_NOTICE:
        host->notice(context, e);
        break;
    }
}

/** Gives back what an effect that is not performed any more owns. */
static void forget(struct vsr_driver *driver, const struct vsr_effect *e)
{
    if (e->kind == VSR_EFFECT_SEND || e->kind == VSR_EFFECT_SEND_CLIENT ||
        e->kind == VSR_EFFECT_SEND_CHUNK || e->kind == VSR_EFFECT_STORE_CHUNK)
        driver->buffers.unref(driver->buffers.context, e->buffer.handle);
}

/** The step's effects. The list is used again by the steps that follow: all of it first. */
static inline void perform_all(struct vsr_driver *driver)
{
    const struct vsr_host *host = driver->host;

    for (uint32_t i = 0; i < driver->effects.count; i++) {
        if (host->is_dead != NULL && host->is_dead(driver->context))
            forget(driver, &driver->effects.list[i]);
        else
            perform(driver, &driver->effects.list[i]);
    }
}

enum vsr_drop vsr_driver_step(struct vsr_driver *driver, const struct vsr_event *event)
{
    const struct vsr_host *host = driver->host;
    const struct vsr_event *next = event;
    enum vsr_drop first = VSR_DROP_NONE;

    VSR_ASSERT(driver->core != NULL);
    VSR_ASSERT(driver->count == 0); /* A host's functions start no step. */
    for (;;) {
        driver->effects.count = 0;
        enum vsr_drop why = vsr_replica_step(driver->core, next, &driver->effects);
        if (next == event) first = why;
        if (host->stepped != NULL) host->stepped(driver->context, next, why);
        if (next->kind == VSR_EVENT_APPLIED) driver->applied++;
        perform_all(driver);
        if (host->performed != NULL && !host->performed(driver->context)) break;
        if (next != event) {
            driver->head = (driver->head + 1) % VSR_DRIVER_COMPLETIONS_MAX;
            driver->count--;
        }
        if (driver->count == 0) return first;
        next = &driver->completions[driver->head];
    }
    driver->count = 0;
    return first;
}

void vsr_driver_turn_end(struct vsr_driver *driver)
{
    uint64_t applied;

    do {
        applied = driver->applied;
        vsr_driver_step(driver, &(struct vsr_event){.kind = VSR_EVENT_TURN_END});
    } while (driver->applied != applied);
}
