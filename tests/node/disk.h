/**
 * A storage for tests (vsr/storage.h): slow, stopped or failing as the test wants it, and it looks
 * at what it is asked for.
 *
 * It ends the process when a replica's superblock goes back (view, log view or incarnation), when
 * two lives share an incarnation, or when one replica's functions overlap.
 */
#ifndef TESTS_NODE_DISK_H
#define TESTS_NODE_DISK_H

#include <vsr/storage.h>

#include <pthread.h>

struct disk {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct vsr_superblock held[VSR_REPLICAS_MAX];
    uint32_t begun[VSR_REPLICAS_MAX];   /* writes */
    uint32_t written[VSR_REPLICAS_MAX]; /* writes that became durable */
    uint32_t reads[VSR_REPLICAS_MAX];
    uint32_t life[VSR_REPLICAS_MAX]; /* incarnation after the last read; 0 = no write since */
    bool is_stopped[VSR_REPLICAS_MAX];
    bool is_busy[VSR_REPLICAS_MAX];
    int error[VSR_REPLICAS_MAX]; /* of the writes from now on */
    uint32_t delay_us_max;       /* of each write, at random; set before the start */
    uint64_t random;
};

void disk_init(struct disk *disk);
struct vsr_storage disk_storage(struct disk *disk);
/** Writes of a replica begin and do not end, until they are let go. */
void disk_stop(struct disk *disk, uint32_t replica);
void disk_go(struct disk *disk, uint32_t replica);
void disk_fail(struct disk *disk, uint32_t replica, int error);
/** Waits until so many writes of a replica have begun, or have become durable. Bounded. */
void disk_await_begun(struct disk *disk, uint32_t replica, uint32_t count);
void disk_await_written(struct disk *disk, uint32_t replica, uint32_t count);
uint32_t disk_begun(struct disk *disk, uint32_t replica);
uint32_t disk_written(struct disk *disk, uint32_t replica);
uint32_t disk_reads(struct disk *disk, uint32_t replica);
void disk_deinit(struct disk *disk);

#endif
