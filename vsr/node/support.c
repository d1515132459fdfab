/**
 * Buffers, outboxes and events of a node.
 */
#include "assert.h"
#include "node.h"

#include "../core/assert.h"

#include <act/timer.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/** A message of this size is work for its receiver that should begin while this turn goes on. */
enum { LARGE_BYTES = 2048 };

static bool take(void *context, uint32_t bytes, struct vsr_buffer *out)
{
    struct act_message *m = act_message_create(NODE_MESSAGE, bytes);

    (void)context;
    if (m == NULL) return false;
    *out = (struct vsr_buffer){.header = m->body, .handle = m};
    return true;
}

static void *ref(void *context, void *handle)
{
    (void)context;
    return act_message_ref(handle);
}

static void unref(void *context, void *handle)
{
    (void)context;
    act_message_unref(handle);
}

_Noreturn void vsr_node_misuse(const char *function, const char *what)
{
    fprintf(stderr, "vsr: %s is called wrongly: %s\n", function, what);
    abort();
}

const struct vsr_buffers vsr_node_buffers = {.take = take, .ref = ref, .unref = unref};

struct act_message *vsr_node_message(const struct vsr_buffer *buffer)
{
    struct act_message *m = buffer->handle;
    VSR_DCHECK(buffer->header->bytes <= act_message_capacity(m));
    m->body_bytes = buffer->header->bytes;
    return m;
}

int vsr_node_port_borrow(struct act_runtime *runtime, struct act_port **port)
{
    int error = act_port_open(runtime, port);
    if (error == -EBUSY) {
        /* Another runtime's port would reach its actors, whose ids may be the same. */
        if (act_current_runtime() != runtime) return -EINVAL;
        *port = NULL;
        return 0;
    }
    return error;
}

void vsr_node_port_return(struct act_port *port)
{
    if (port != NULL) act_port_close(port);
}

void vsr_node_explain(struct vsr_error *why, const char *option, const char *format, ...)
{
    va_list arguments;

    if (why == NULL) return;
    *why = (struct vsr_error){.option = option, .rule = ""};
    va_start(arguments, format);
    vsnprintf(why->text, sizeof why->text, format, arguments);
    va_end(arguments);
}

void vsr_node_error_finish(struct vsr_error *why, int error)
{
    if (why == NULL || error == 0 || why->text[0] != '\0') return;
    if (why->option == NULL) {
        why->option = "";
        snprintf(why->text, sizeof why->text, "%s", strerror(-error));
        return;
    }
    snprintf(why->text, sizeof why->text, "%s is %llu; accepted is %llu to %llu%s%s", why->option,
             (unsigned long long)why->value, (unsigned long long)why->min,
             (unsigned long long)why->max, why->rule[0] != '\0' ? ": " : "", why->rule);
}

struct vsr_node_wait vsr_node_wait_begin(const char *what, uint32_t replica)
{
    const uint64_t now_ns = act_now_ns();
    return (struct vsr_node_wait){
        .what = what, .replica = replica, .start_ns = now_ns, .said_ns = now_ns};
}

bool vsr_node_wait_look(struct vsr_node_wait *wait)
{
    const uint64_t now_ns = act_now_ns();

    if (now_ns - wait->said_ns >= NODE_WAIT_SAY_NS) {
        wait->said_ns = now_ns;
        fprintf(stderr, "vsr: has waited for %s for %llu s (replica %u)\n", wait->what,
                (unsigned long long)((now_ns - wait->start_ns) / 1000000000u), wait->replica);
    }
    return now_ns - wait->start_ns < NODE_WAIT_NS;
}

bool vsr_node_wait_pause(struct vsr_node_wait *wait)
{
    const struct timespec pause = {.tv_nsec = 100000};

    nanosleep(&pause, NULL);
    return vsr_node_wait_look(wait);
}

void vsr_node_event_init(struct vsr_node_event *event)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&event->mutex, NULL);
    pthread_cond_init(&event->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    event->is_set = false;
}

void vsr_node_event_set(struct vsr_node_event *event)
{
    pthread_mutex_lock(&event->mutex);
    event->is_set = true;
    pthread_cond_signal(&event->changed);
    pthread_mutex_unlock(&event->mutex);
}

void vsr_node_event_wait(struct vsr_node_event *event)
{
    pthread_mutex_lock(&event->mutex);
    while (!event->is_set)
        pthread_cond_wait(&event->changed, &event->mutex);
    pthread_mutex_unlock(&event->mutex);
}

bool vsr_node_event_wait_for(struct vsr_node_event *event, uint64_t timeout_ns)
{
    struct timespec end;

    clock_gettime(CLOCK_MONOTONIC, &end);
    const uint64_t ns = (uint64_t)end.tv_nsec + timeout_ns;
    end.tv_sec += (time_t)(ns / 1000000000u);
    end.tv_nsec = (long)(ns % 1000000000u);
    pthread_mutex_lock(&event->mutex);
    while (!event->is_set && pthread_cond_timedwait(&event->changed, &event->mutex, &end) == 0) {
        /* Woken for nothing. */
    }
    const bool is_set = event->is_set;
    pthread_mutex_unlock(&event->mutex);
    return is_set;
}

void vsr_node_event_deinit(struct vsr_node_event *event)
{
    pthread_cond_destroy(&event->changed);
    pthread_mutex_destroy(&event->mutex);
}

static int send_plainly(void *context, act_id to, struct act_message *m)
{
    (void)context;
    return act_send(to, m);
}

int vsr_node_outbox_init(struct vsr_node_outbox *outbox, const struct vsr_cluster_options *options)
{
    *outbox = (struct vsr_node_outbox){
        .parcels = calloc(OUTBOX_MAX, sizeof *outbox->parcels),
        .send = options != NULL && options->send != NULL ? options->send : send_plainly,
        .send_context = options != NULL ? options->send_context : NULL,
    };
    return outbox->parcels != NULL ? 0 : -ENOMEM;
}

void vsr_node_outbox_clear(struct vsr_node_outbox *outbox)
{
    for (uint32_t i = 0; i < outbox->count; i++)
        act_message_unref(outbox->parcels[i].message);
    outbox->count = 0;
}

void vsr_node_outbox_deinit(struct vsr_node_outbox *outbox)
{
    vsr_node_outbox_clear(outbox);
    free(outbox->parcels);
}

void vsr_node_outbox_send(struct vsr_node_outbox *outbox, act_id to, struct act_message *m)
{
    VSR_ASSERT(m != NULL && outbox->send != NULL);
    VSR_ASSERT(outbox->count <= OUTBOX_MAX);
    const bool is_large = m->body_bytes >= LARGE_BYTES;

    if (outbox->send(outbox->send_context, to, m) == 0) {
        if (is_large) act_flush();
        return;
    }
    if (outbox->count == OUTBOX_MAX) {
        outbox->dropped++;
        act_message_unref(m);
        return;
    }
    if (outbox->count == 0 && act_await_room(to) != 0) {
        /* Without the notice the next tick tries again. */
    }
    outbox->parcels[outbox->count++] = (struct vsr_node_parcel){.to = to, .message = m};
}

void vsr_node_outbox_retry(struct vsr_node_outbox *outbox)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < outbox->count; i++) {
        struct vsr_node_parcel parcel = outbox->parcels[i];
        if (outbox->send(outbox->send_context, parcel.to, parcel.message) != 0)
            outbox->parcels[kept++] = parcel;
    }
    VSR_ASSERT(kept <= outbox->count);
    outbox->count = kept;
    if (kept > 0 && act_await_room(outbox->parcels[0].to) != 0) {
        /* As above. */
    }
}
