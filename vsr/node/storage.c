/**
 * The way from a replica's actor to its storage and back.
 *
 * A disk makes its callers wait, a worker must not wait: a storage that may block is written by a
 * thread of its own. The answer lies in the replica's place; the message to its actor only says
 * that there may be one, so nobody can forge it, and no life is given another's.
 */
#include "storage.h"

#include "storage_files.h"
#include "storage_memory.h"

#include "../core/assert.h"
#include "errors.h"
#include "messages.h"
#include "wait.h"

#include <act/actor.h>
#include <act/message.h>
#include <act/port.h>
#include <act/thread.h>
#include <vsr/cluster.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/** One replica's place, under the mutex. */
struct place {
    struct vsr_superblock wanted; /* by the actor `to` */
    vsr_sequence sequence;        /* of that */
    vsr_sequence written;
    act_id to;
    int error;       /* of `written` */
    bool is_wanted;  /* and the writer has not begun */
    bool is_writing; /* the storage is in the writer's hands */
    bool is_written; /* the answer waits */
};

struct vsr_node_storage {
    struct act_runtime *runtime;
    struct vsr_storage storage;
    struct vsr_node_storage_memory memory;
    struct vsr_node_storage_files *files; /* NULL = memory, or the embedder's */
    uint32_t replica_count;
    struct place places[VSR_REPLICAS_MAX];
    pthread_t thread;
    bool has_thread;
    struct vsr_node_event started;
    int start_error;             /* of the thread, before `started` */
    struct vsr_node_event ended; /* the thread has */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool is_stopping;
};

/* The writer. */

/** The first replica that wants something written, or UINT32_MAX when the storage ends. Waits. */
static uint32_t next_place(struct vsr_node_storage *s)
{
    for (;;) {
        for (uint32_t i = 0; i < s->replica_count; i++)
            if (s->places[i].is_wanted) return i;
        if (s->is_stopping) return UINT32_MAX;
        pthread_cond_wait(&s->changed, &s->mutex);
    }
}

/** Wakes the replica's actor. Without room or memory it tries again: the replica waits for it. */
static void wake(struct vsr_node_storage *s, act_id to)
{
    const struct timespec pause = {.tv_nsec = 100000};
    struct act_message *m = NULL;
    bool is_stopping = false;

    VSR_ASSERT(to != ACT_ID_NONE);
    while (!is_stopping) {
        if (m == NULL) m = act_message_create(NODE_DURABLE, 0);
        if (m != NULL && act_send(to, m) == 0) return; /* one that is gone takes all */
        nanosleep(&pause, NULL);
        pthread_mutex_lock(&s->mutex);
        is_stopping = s->is_stopping;
        pthread_mutex_unlock(&s->mutex);
    }
    if (m != NULL) act_message_unref(m);
}

/** Ends what came to the port: nobody has business with it, but monitors and rooms may. */
static void look_at_port(struct act_port *port)
{
    struct act_message *m;

    while ((m = act_port_receive(port, 0)) != NULL)
        act_message_unref(m);
}

static void write_until_stopped(struct vsr_node_storage *s, struct act_port *port)
{
    uint32_t replica;

    pthread_mutex_lock(&s->mutex);
    while ((replica = next_place(s)) != UINT32_MAX) {
        struct place *place = &s->places[replica];
        const struct vsr_superblock superblock = place->wanted;
        const vsr_sequence sequence = place->sequence;
        const act_id to = place->to;

        VSR_ASSERT(!place->is_writing);
        VSR_ASSERT(!place->is_written);
        place->is_wanted = false;
        place->is_writing = true;
        pthread_mutex_unlock(&s->mutex);
        int error = s->storage.write(s->storage.context, replica, &superblock);
        pthread_mutex_lock(&s->mutex);
        VSR_ASSERT(place->is_writing);
        VSR_ASSERT(!place->is_wanted); /* One at a time. */
        place->is_writing = false;
        place->is_written = true;
        place->written = sequence;
        place->error = error;
        pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->mutex);
        wake(s, to);
        look_at_port(port);
        pthread_mutex_lock(&s->mutex);
    }
    pthread_mutex_unlock(&s->mutex);
}

static void *run(void *context)
{
    struct vsr_node_storage *s = context;
    struct act_port *port;

    s->start_error = act_port_open(s->runtime, &port);
    const bool has_port = s->start_error == 0;
    vsr_node_event_set(&s->started); /* the last look at start_error */
    if (has_port) {
        write_until_stopped(s, port);
        act_port_close(port);
    }
    vsr_node_event_set(&s->ended);
    return NULL;
}

/* Start and end. */

static int start_thread(struct vsr_node_storage *s, struct vsr_error *why)
{
    VSR_ASSERT(s->storage.may_block);
    VSR_ASSERT(!s->has_thread);
    int error = act_thread_create(&s->thread, run, s);
    if (error == 0) {
        s->has_thread = true;
        vsr_node_event_wait(&s->started);
        error = s->start_error;
    }
    if (error != 0)
        vsr_node_explain(why, "storage", error, "the storage's thread cannot start: %s",
                         s->has_thread && error == -EAGAIN
                             ? "no port is free; raise the runtime's ports_max"
                             : strerror(-error));
    return error;
}

int vsr_node_storage_create(const struct vsr_cluster_options *options,
                            struct vsr_node_storage **storage, struct vsr_error *why)
{
    struct vsr_node_storage *s = calloc(1, sizeof *s);
    int error = 0;

    VSR_ASSERT(options->replica.replica_count <= VSR_REPLICAS_MAX);
    if (s == NULL) return -ENOMEM;
    s->runtime = options->runtime;
    s->replica_count = options->replica.replica_count;
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->changed, NULL);
    vsr_node_event_init(&s->started);
    vsr_node_event_init(&s->ended);
    if (options->superblock_directory != NULL)
        error = vsr_node_storage_files_create(options, &s->files, &s->storage, why);
    else if (options->storage != NULL)
        s->storage = *options->storage;
    else
        s->storage = vsr_node_storage_memory_of(&s->memory);
    VSR_ASSERT(error != 0 || s->storage.write != NULL);
    VSR_ASSERT(error != 0 || s->storage.read != NULL);
    if (error == 0 && s->storage.may_block) error = start_thread(s, why);
    if (error == 0) {
        *storage = s;
        return 0;
    }
    vsr_node_storage_undo(s);
    return error;
}

void vsr_node_storage_undo(struct vsr_node_storage *s)
{
    struct vsr_node_storage_files *files = s->files;

    s->files = NULL;
    vsr_node_storage_destroy(s);
    if (files != NULL) vsr_node_storage_files_undo(files);
}

/** No deadline: a write that goes on would use what is freed next. It is named. */
static void stop_thread(struct vsr_node_storage *s)
{
    struct vsr_node_wait wait = vsr_node_wait_begin("the storage, to end its writes", 0);

    pthread_mutex_lock(&s->mutex);
    s->is_stopping = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mutex);
    while (!vsr_node_event_wait_for(&s->ended, NODE_WAIT_SAY_NS))
        vsr_node_wait_look(&wait);
    pthread_join(s->thread, NULL);
}

void vsr_node_storage_destroy(struct vsr_node_storage *s)
{
    VSR_ASSERT(!s->is_stopping);
    if (s->has_thread) stop_thread(s);
    if (s->files != NULL) vsr_node_storage_files_destroy(s->files);
    vsr_node_event_deinit(&s->started);
    vsr_node_event_deinit(&s->ended);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->mutex);
    free(s);
}

/* Use. */

int vsr_node_storage_persist(struct vsr_node_storage *s, uint32_t replica, vsr_sequence sequence,
                             const struct vsr_superblock *superblock)
{
    struct place *place = &s->places[replica];

    VSR_ASSERT(replica < s->replica_count);
    VSR_ASSERT(superblock->log_view <= superblock->view);
    VSR_ASSERT(act_on_worker());
    if (!s->storage.may_block) return s->storage.write(s->storage.context, replica, superblock);
    VSR_ASSERT(s->has_thread);
    pthread_mutex_lock(&s->mutex);
    VSR_ASSERT(!place->is_wanted);
    VSR_ASSERT(!place->is_writing);
    VSR_ASSERT(!place->is_written);
    place->wanted = *superblock;
    place->sequence = sequence;
    place->to = act_self();
    place->is_wanted = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mutex);
    return -EINPROGRESS;
}

bool vsr_node_storage_take(struct vsr_node_storage *s, uint32_t replica, vsr_sequence *sequence,
                           int *error)
{
    struct place *place = &s->places[replica];

    VSR_ASSERT(replica < s->replica_count);
    pthread_mutex_lock(&s->mutex);
    const bool is_written = place->is_written;
    if (is_written) {
        VSR_ASSERT(place->to == act_self());
        *sequence = place->written;
        *error = place->error;
    }
    place->is_written = false;
    pthread_mutex_unlock(&s->mutex);
    return is_written;
}

int vsr_node_storage_read(struct vsr_node_storage *s, uint32_t replica,
                          struct vsr_superblock *superblock, struct vsr_error *why)
{
    struct place *place = &s->places[replica];

    VSR_ASSERT(replica < s->replica_count);
    VSR_ASSERT(!act_on_worker()); /* It blocks. */
    pthread_mutex_lock(&s->mutex);
    /* What was asked for and not begun is lost with the crash; what was begun ends first. */
    place->is_wanted = false;
    while (place->is_writing)
        pthread_cond_wait(&s->changed, &s->mutex);
    place->is_written = false; /* the answer was a dead life's */
    pthread_mutex_unlock(&s->mutex);
    return s->storage.read(s->storage.context, replica, superblock, why);
}
