/**
 * Where the replicas of a cluster keep their superblocks: outside their memory, or in files.
 *
 * A disk makes its callers wait, a worker must not wait: files are written by a thread of their
 * own, which answers the replica's actor with a message.
 */
#include "node.h"
#include "superblock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/** One replica's place. With files, under the mutex, but for `file`: the writer's while it writes.
 */
struct place {
    struct vsr_superblock superblock; /* without files: the last one */
    struct superblock_file file;
    struct node_persisted wanted; /* by the actor `to` */
    act_id to;
    bool is_wanted;
    bool is_writing;
};

struct node_storage {
    struct act_runtime *runtime;
    char *directory; /* NULL = no files */
    struct vsr_superblock_identity identity;
    struct place places[VSR_REPLICAS_MAX];
    pthread_t thread;
    bool has_thread;
    bool is_formatted; /* here, just now */
    struct node_event started;
    int start_error; /* of the thread, before `started` */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool is_stopping;
};

/* The writer. */

/** The first replica that wants something written, or NULL when the storage ends. Waits. */
static struct place *next_place(struct node_storage *s)
{
    for (;;) {
        for (uint32_t i = 0; i < s->identity.replica_count; i++)
            if (s->places[i].is_wanted) return &s->places[i];
        if (s->is_stopping) return NULL;
        pthread_cond_wait(&s->changed, &s->mutex);
    }
}

/** Answers the replica's actor. Without room or memory it tries again: the replica waits for it. */
static void answer(struct node_storage *s, act_id to, const struct node_persisted *done)
{
    const struct timespec pause = {.tv_nsec = 100000};
    struct act_message *m;
    bool is_stopping = false;

    while ((m = act_message_create(NODE_PERSISTED, sizeof *done)) == NULL && !is_stopping) {
        nanosleep(&pause, NULL);
        pthread_mutex_lock(&s->mutex);
        is_stopping = s->is_stopping;
        pthread_mutex_unlock(&s->mutex);
    }
    if (m == NULL) return;
    memcpy(m->body, done, sizeof *done);
    while (act_send(to, m) != 0)
        nanosleep(&pause, NULL); /* an actor that is gone takes all: dead letters */
}

/** Ends what came to the port: nobody has business with it, but monitors and rooms may. */
static void look_at_port(struct act_port *port)
{
    struct act_message *m;

    while ((m = act_port_receive(port, 0)) != NULL)
        act_message_unref(m);
}

static void write_until_stopped(struct node_storage *s, struct act_port *port)
{
    struct place *place;

    pthread_mutex_lock(&s->mutex);
    while ((place = next_place(s)) != NULL) {
        struct node_persisted done = place->wanted;
        const act_id to = place->to;

        place->is_wanted = false;
        place->is_writing = true;
        pthread_mutex_unlock(&s->mutex);
        done.error = superblock_write(&place->file, &done.superblock);
        pthread_mutex_lock(&s->mutex);
        place->is_writing = false;
        pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->mutex);
        answer(s, to, &done);
        look_at_port(port);
        pthread_mutex_lock(&s->mutex);
    }
    pthread_mutex_unlock(&s->mutex);
}

static void *run(void *context)
{
    struct node_storage *s = context;
    struct act_port *port;

    s->start_error = act_port_open(s->runtime, &port);
    const bool has_port = s->start_error == 0;
    node_event_set(&s->started); /* the last look at start_error */
    if (!has_port) return NULL;
    write_until_stopped(s, port);
    act_port_close(port);
    return NULL;
}

/* Start and end. */

static struct vsr_superblock_identity identity_of(const struct node_storage *s, uint32_t replica)
{
    struct vsr_superblock_identity identity = s->identity;
    identity.replica = replica;
    return identity;
}

/** Makes the files of a new cluster: all of them, or none. */
static int format(struct node_storage *s, struct vsr_error *why)
{
    for (uint32_t i = 0; i < s->identity.replica_count; i++) {
        const struct vsr_superblock_identity identity = identity_of(s, i);
        int error = vsr_superblock_format(s->directory, &identity, why);
        if (error == 0) continue;
        while (i-- > 0)
            superblock_remove(s->directory, i);
        return error;
    }
    s->is_formatted = true;
    return 0;
}

static int open_file(struct node_storage *s, uint32_t replica, struct vsr_error *why)
{
    const struct vsr_superblock_identity identity = identity_of(s, replica);
    struct place *place = &s->places[replica];

    return superblock_open(&place->file, s->directory, &identity, &place->superblock, why);
}

/** Replicas that all start have no log; when one of them had one it is gone, with what it held. */
static int open_files(struct node_storage *s, struct vsr_error *why)
{
    const struct place *ran = NULL;

    for (uint32_t i = 0; i < s->identity.replica_count; i++) {
        int error = open_file(s, i, why);
        if (error != 0) return error;
        if (s->places[i].superblock.incarnation > 0 && ran == NULL) ran = &s->places[i];
    }
    if (ran == NULL) return 0;
    if (why != NULL) {
        *why = (struct vsr_error){.option = "superblock_directory", .rule = ""};
        snprintf(why->text, sizeof why->text,
                 "%s: this replica ran before, and all replicas were stopped at once: their logs "
                 "were in memory and are gone. To begin with an empty cluster remove the "
                 "superblock files of all replicas and format",
                 ran->file.path);
    }
    return -ENOTRECOVERABLE;
}

static int start_thread(struct node_storage *s)
{
    int error = -pthread_create(&s->thread, NULL, run, s);
    if (error != 0) return error;
    s->has_thread = true;
    node_event_wait(&s->started);
    return s->start_error;
}

int node_storage_create(const struct vsr_cluster_options *options, struct node_storage **storage,
                        struct vsr_error *why)
{
    struct node_storage *s = calloc(1, sizeof *s);
    int error = 0;

    if (s == NULL) return -ENOMEM;
    s->runtime = options->runtime;
    s->identity = (struct vsr_superblock_identity){
        .cluster = options->replica.cluster,
        .replica_count = options->replica.replica_count,
    };
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->changed, NULL);
    node_event_init(&s->started);
    for (uint32_t i = 0; i < VSR_REPLICAS_MAX; i++)
        s->places[i].file.fd = -1;
    if (options->superblock_directory != NULL) {
        s->directory = strdup(options->superblock_directory);
        if (s->directory == NULL) error = -ENOMEM;
        if (error == 0 && options->is_formatting) error = format(s, why);
        if (error == 0) error = open_files(s, why);
        if (error == 0) error = start_thread(s);
    }
    if (error == 0) {
        *storage = s;
        return 0;
    }
    node_storage_undo(s);
    return error;
}

void node_storage_undo(struct node_storage *s)
{
    for (uint32_t i = 0; i < s->identity.replica_count && s->is_formatted; i++)
        superblock_remove(s->directory, i);
    node_storage_destroy(s);
}

void node_storage_destroy(struct node_storage *s)
{
    if (s->has_thread) {
        pthread_mutex_lock(&s->mutex);
        s->is_stopping = true;
        pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->mutex);
        pthread_join(s->thread, NULL);
    }
    for (uint32_t i = 0; i < VSR_REPLICAS_MAX; i++)
        superblock_close(&s->places[i].file);
    node_event_deinit(&s->started);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->mutex);
    free(s->directory);
    free(s);
}

/* Use. */

bool node_storage_persist(struct node_storage *s, uint32_t replica,
                          const struct vsr_superblock *superblock, uint64_t ticket)
{
    struct place *place = &s->places[replica];

    if (s->directory == NULL) {
        /* In process, durable means: outside of the replica's memory. */
        place->superblock = *superblock;
        return true;
    }
    pthread_mutex_lock(&s->mutex);
    place->wanted = (struct node_persisted){.superblock = *superblock, .ticket = ticket};
    place->to = act_self();
    place->is_wanted = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mutex);
    return false;
}

int node_storage_read(struct node_storage *s, uint32_t replica, struct vsr_superblock *superblock,
                      struct vsr_error *why)
{
    struct place *place = &s->places[replica];
    int error = 0;

    if (s->directory != NULL) {
        pthread_mutex_lock(&s->mutex);
        /* What was asked for and not begun is lost with the crash; what was begun ends first. */
        place->is_wanted = false;
        while (place->is_writing)
            pthread_cond_wait(&s->changed, &s->mutex);
        pthread_mutex_unlock(&s->mutex);
        superblock_close(&place->file);
        error = open_file(s, replica, why);
    }
    *superblock = place->superblock;
    return error;
}
