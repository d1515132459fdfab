/**
 * See disk.h.
 */
#include "disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { WAIT_MS_MAX = 20000 };

#define REQUIRE(claim)                                                                             \
    do {                                                                                           \
        if (!(claim)) {                                                                            \
            fprintf(stderr, "disk of replica %u: not so: %s\n", replica, #claim);                  \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static void sleep_us(uint64_t us)
{
    const struct timespec pause = {.tv_sec = (time_t)(us / 1000000),
                                   .tv_nsec = (long)(us % 1000000) * 1000};
    nanosleep(&pause, NULL);
}

static uint64_t draw_delay(struct disk *d)
{
    d->random = d->random * 6364136223846793005ull + 1442695040888963407ull;
    return d->delay_us_max == 0 ? 0 : (d->random >> 33) % d->delay_us_max;
}

static int write_superblock(void *context, uint32_t replica, const struct vsr_superblock *new)
{
    struct disk *d = context;

    pthread_mutex_lock(&d->mutex);
    REQUIRE(!d->is_busy[replica]);
    d->is_busy[replica] = true;
    d->begun[replica]++;
    pthread_cond_broadcast(&d->changed);
    const uint64_t delay_us = draw_delay(d);
    if (delay_us > 0) {
        pthread_mutex_unlock(&d->mutex);
        sleep_us(delay_us);
        pthread_mutex_lock(&d->mutex);
    }
    while (d->is_stopped[replica])
        pthread_cond_wait(&d->changed, &d->mutex);
    const int error = d->error[replica];
    if (error == 0) {
        const struct vsr_superblock *old = &d->held[replica];
        const bool is_first = d->life[replica] == 0;
        REQUIRE(new->view >= old->view);
        REQUIRE(new->log_view >= old->log_view);
        REQUIRE(is_first ? new->incarnation > old->incarnation
                         : new->incarnation == d->life[replica]);
        d->life[replica] = new->incarnation;
        d->held[replica] = *new;
        d->written[replica]++;
    }
    d->is_busy[replica] = false;
    pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->mutex);
    return error;
}

static int read_superblock(void *context, uint32_t replica, struct vsr_superblock *superblock,
                           struct vsr_error *why)
{
    struct disk *d = context;

    (void)why;
    pthread_mutex_lock(&d->mutex);
    REQUIRE(!d->is_busy[replica]);
    d->reads[replica]++;
    d->life[replica] = 0;
    *superblock = d->held[replica];
    pthread_mutex_unlock(&d->mutex);
    return 0;
}

void disk_init(struct disk *d)
{
    *d = (struct disk){.random = 1};
    pthread_mutex_init(&d->mutex, NULL);
    pthread_cond_init(&d->changed, NULL);
}

struct vsr_storage disk_storage(struct disk *d)
{
    return (struct vsr_storage){
        .context = d, .may_block = true, .write = write_superblock, .read = read_superblock};
}

static void set_stopped(struct disk *d, uint32_t replica, bool is_stopped)
{
    pthread_mutex_lock(&d->mutex);
    d->is_stopped[replica] = is_stopped;
    pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->mutex);
}

void disk_stop(struct disk *d, uint32_t replica)
{
    set_stopped(d, replica, true);
}

void disk_go(struct disk *d, uint32_t replica)
{
    set_stopped(d, replica, false);
}

void disk_fail(struct disk *d, uint32_t replica, int error)
{
    pthread_mutex_lock(&d->mutex);
    d->error[replica] = error;
    pthread_mutex_unlock(&d->mutex);
}

static uint32_t look(struct disk *d, const uint32_t *counter)
{
    pthread_mutex_lock(&d->mutex);
    const uint32_t value = *counter;
    pthread_mutex_unlock(&d->mutex);
    return value;
}

static void await(struct disk *d, uint32_t replica, const uint32_t *counter, uint32_t count)
{
    for (uint32_t ms = 0; look(d, counter) < count; ms++) {
        REQUIRE(ms < WAIT_MS_MAX);
        sleep_us(1000);
    }
}

void disk_await_begun(struct disk *d, uint32_t replica, uint32_t count)
{
    await(d, replica, &d->begun[replica], count);
}

void disk_await_written(struct disk *d, uint32_t replica, uint32_t count)
{
    await(d, replica, &d->written[replica], count);
}

uint32_t disk_begun(struct disk *d, uint32_t replica)
{
    return look(d, &d->begun[replica]);
}

uint32_t disk_written(struct disk *d, uint32_t replica)
{
    return look(d, &d->written[replica]);
}

uint32_t disk_reads(struct disk *d, uint32_t replica)
{
    return look(d, &d->reads[replica]);
}

void disk_deinit(struct disk *d)
{
    pthread_cond_destroy(&d->changed);
    pthread_mutex_destroy(&d->mutex);
}
