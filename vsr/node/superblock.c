/**
 * Superblock files. See superblock.h and vsr/superblock.h.
 *
 * A write goes to both copies of the pair that is not the newest, then fdatasync. Torn, it leaves
 * the newest pair alone; done, one of its copies may go bad and the other still says what was
 * promised. With single copies written in turn a copy gone bad would look like a torn write, and
 * the file would silently fall back to the promise before.
 */
#include "superblock.h"

#include "../core/assert.h"
#include "errors.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC 0x4b4c425245505553ull /* "SUPERBLK" */

enum { FILE_BYTES = SUPERBLOCK_COPIES * SUPERBLOCK_COPY_BYTES };

static const char option[] = "superblock_directory";

static int set_path(char *path, const char *directory, uint32_t replica, struct vsr_error *why)
{
    VSR_ASSERT(directory != NULL);
    VSR_ASSERT(replica < VSR_REPLICAS_MAX);
    int length =
        snprintf(path, SUPERBLOCK_PATH_MAX, "%s/replica-%u.superblock", directory, replica);

    if (length >= 0 && length < SUPERBLOCK_PATH_MAX) return 0;
    return vsr_node_explain(why, option, -ENAMETOOLONG,
                            "the superblock directory's name is longer than %d bytes",
                            SUPERBLOCK_PATH_MAX - 32);
}

static vsr_checksum checksum_of(const struct superblock_copy *copy)
{
    return vsr_snapshot_id(copy->cluster, copy, offsetof(struct superblock_copy, checksum));
}

static bool write_all(int fd, const uint8_t *bytes, size_t count, off_t at)
{
    while (count > 0) {
        ssize_t written = pwrite(fd, bytes, count, at);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) {
            if (written == 0) errno = EIO;
            return false;
        }
        VSR_ASSERT((size_t)written <= count);
        bytes += written;
        at += written;
        count -= (size_t)written;
    }
    return true;
}

/** Writes both copies of a sequence's pair and waits for the disk. Returns 0 or a negative errno.
 */
static int write_pair(int fd, struct superblock_copy *copy)
{
    uint8_t pair[2 * SUPERBLOCK_COPY_BYTES] = {0};
    const off_t at = (off_t)(copy->sequence % 2) * (off_t)sizeof pair;

    VSR_ASSERT(fd >= 0);
    VSR_ASSERT(copy->sequence > 0);
    copy->checksum = checksum_of(copy);
    memcpy(pair, copy, sizeof *copy);
    memcpy(pair + SUPERBLOCK_COPY_BYTES, copy, sizeof *copy);
    if (!write_all(fd, pair, sizeof pair, at)) return -errno;
    return fdatasync(fd) == 0 ? 0 : -errno;
}

static struct superblock_copy make_copy(const struct vsr_superblock_identity *identity,
                                        const struct vsr_superblock *superblock, uint64_t sequence)
{
    VSR_ASSERT(identity->replica < identity->replica_count);
    return (struct superblock_copy){
        .magic = MAGIC,
        .version = SUPERBLOCK_VERSION,
        .bytes = sizeof(struct superblock_copy),
        .cluster = identity->cluster,
        .replica = identity->replica,
        .replica_count = identity->replica_count,
        .sequence = sequence,
        .view = superblock->view,
        .log_view = superblock->log_view,
        .epoch = superblock->epoch,
        .incarnation = superblock->incarnation,
    };
}

/** A new file's name is durable once its directory is. */
static int sync_directory(const char *directory)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return -errno;
    int error = fsync(fd) == 0 ? 0 : -errno;
    close(fd);
    return error;
}

int vsr_superblock_format(const char *directory, const struct vsr_superblock_identity *identity,
                          struct vsr_error *why)
{
    char path[SUPERBLOCK_PATH_MAX];
    const struct vsr_superblock blank = {0};

    if (directory == NULL || identity == NULL)
        return vsr_node_explain(why, option, -EINVAL, "no directory or no identity is given");
    if (identity->replica_count == 0 || identity->replica_count > VSR_REPLICAS_MAX ||
        identity->replica >= identity->replica_count)
        return vsr_node_explain(why, option, -EINVAL,
                                "there is no replica %u of %u; a cluster has 1 to %d",
                                identity->replica, identity->replica_count, VSR_REPLICAS_MAX);
    int error = set_path(path, directory, identity->replica, why);
    if (error != 0) return error;
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0 && errno == EEXIST)
        return vsr_node_explain(
            why, option, -EEXIST,
            "%s: exists already, and may hold promises; start without formatting, or "
            "remove the files of all replicas to begin with an empty cluster",
            path);
    if (fd < 0) {
        error = -errno;
        return vsr_node_explain(why, option, error, "%s: cannot be made: %s", path,
                                strerror(-error));
    }
    for (uint64_t sequence = 1; sequence <= 2 && error == 0; sequence++) {
        struct superblock_copy copy = make_copy(identity, &blank, sequence);
        error = write_pair(fd, &copy);
    }
    if (error == 0 && fsync(fd) != 0) error = -errno;
    close(fd);
    if (error == 0) error = sync_directory(directory);
    if (error == 0) return 0;
    unlink(path);
    return vsr_node_explain(why, option, error, "%s: cannot be written: %s", path,
                            strerror(-error));
}

void vsr_node_superblock_remove(const char *directory, uint32_t replica)
{
    char path[SUPERBLOCK_PATH_MAX];
    if (set_path(path, directory, replica, NULL) == 0) unlink(path);
}

/** Reads as much of the file as there is. Returns its bytes, or a negative errno. */
static ssize_t read_file(int fd, uint8_t *bytes)
{
    size_t count = 0;

    VSR_ASSERT(fd >= 0);
    while (count < FILE_BYTES) {
        ssize_t got = pread(fd, bytes + count, FILE_BYTES - count, (off_t)count);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -errno;
        if (got == 0) break;
        VSR_ASSERT((size_t)got <= FILE_BYTES - count);
        count += (size_t)got;
    }
    return (ssize_t)count;
}

/** The version of a file that another program wrote: of a copy that is not of ours. 0 = none is.
 *
 * Each version says itself how its checksum is made, so that of another one cannot be checked.
 */
static uint32_t find_other_version(const uint8_t *bytes)
{
    for (size_t at = 0; at < FILE_BYTES; at += SUPERBLOCK_COPY_BYTES) {
        struct superblock_copy copy;
        memcpy(&copy, bytes + at, sizeof copy);
        if (copy.magic == MAGIC && copy.version != SUPERBLOCK_VERSION) return copy.version;
    }
    return 0;
}

/** The newest of the copies whose checksum is right. Returns false when there is none. */
static bool find_newest(const uint8_t *bytes, struct superblock_copy *newest)
{
    bool is_found = false;

    for (size_t at = 0; at < FILE_BYTES; at += SUPERBLOCK_COPY_BYTES) {
        struct superblock_copy copy;
        memcpy(&copy, bytes + at, sizeof copy);
        if (copy.magic != MAGIC || copy.version != SUPERBLOCK_VERSION ||
            copy.bytes != sizeof copy || copy.checksum != checksum_of(&copy))
            continue;
        if (is_found && copy.sequence <= newest->sequence) continue;
        *newest = copy;
        is_found = true;
    }
    return is_found;
}

static int check_identity(const struct superblock_file *file, const struct superblock_copy *copy,
                          struct vsr_error *why)
{
    const struct vsr_superblock_identity *own = &file->identity;

    if (copy->cluster != own->cluster || copy->replica != own->replica ||
        copy->replica_count != own->replica_count)
        return vsr_node_explain(
            why, option, -EINVAL,
            "%s: is replica %u of %u of cluster %llu, not replica %u of %u of cluster "
            "%llu; name the directory of this one",
            file->path, copy->replica, copy->replica_count, (unsigned long long)copy->cluster,
            own->replica, own->replica_count, (unsigned long long)own->cluster);
    return 0;
}

/** Opens the file and makes it ours alone. Returns 0 or a negative errno, and why. */
static int lock_file(struct superblock_file *file, struct vsr_error *why)
{
    VSR_ASSERT(file->fd < 0); /* Another one would stay open, with its lock. */
    file->fd = open(file->path, O_RDWR | O_CLOEXEC);
    if (file->fd < 0 && errno == ENOENT)
        return vsr_node_explain(
            why, option, -ENOENT,
            "%s: is missing. A new cluster has to be formatted; in an old one restore "
            "the file or replace the replica: starting it empty would fork the log",
            file->path);
    if (file->fd < 0) {
        int error = -errno;
        return vsr_node_explain(why, option, error, "%s: cannot be opened for writing: %s",
                                file->path, strerror(-error));
    }
    if (flock(file->fd, LOCK_EX | LOCK_NB) == 0) return 0;
    if (errno != EWOULDBLOCK) {
        int error = -errno;
        return vsr_node_explain(why, option, error, "%s: cannot be locked: %s", file->path,
                                strerror(-error));
    }
    return vsr_node_explain(why, option, -EBUSY, "%s: is in use: another process runs this replica",
                            file->path);
}

static int read_newest(const struct superblock_file *file, struct superblock_copy *newest,
                       struct vsr_error *why)
{
    uint8_t bytes[FILE_BYTES];
    ssize_t count = read_file(file->fd, bytes);

    if (count < 0)
        return vsr_node_explain(why, option, (int)count, "%s: cannot be read: %s", file->path,
                                strerror((int)-count));
    /* Nothing that can happen to a write shortens the file. */
    if (count < FILE_BYTES)
        return vsr_node_explain(
            why, option, -EBADMSG,
            "%s: is cut short, to %zd of %d bytes. Restore it or replace the replica: "
            "starting it empty would fork the log",
            file->path, count, FILE_BYTES);
    bool is_found = find_newest(bytes, newest);
    uint32_t other = is_found ? 0 : find_other_version(bytes);
    if (other != 0)
        return vsr_node_explain(
            why, option, -EINVAL,
            "%s: is of version %u, this program reads %d; use the program that wrote it",
            file->path, other, SUPERBLOCK_VERSION);
    if (!is_found)
        return vsr_node_explain(
            why, option, -EBADMSG,
            "%s: no valid copy. Restore it or replace the replica: starting it empty "
            "would fork the log",
            file->path);
    return check_identity(file, newest, why);
}

int vsr_node_superblock_open(struct superblock_file *file, const char *directory,
                             const struct vsr_superblock_identity *identity,
                             struct vsr_superblock *superblock, struct vsr_error *why)
{
    struct superblock_copy newest;

    file->identity = *identity;
    file->fd = -1;
    int error = set_path(file->path, directory, identity->replica, why);
    if (error == 0) error = lock_file(file, why);
    if (error == 0) error = read_newest(file, &newest, why);
    if (error != 0) {
        vsr_node_superblock_close(file);
        return error;
    }
    /* Whose checksum is right we have written: make_copy(), vsr_node_superblock_write(). */
    VSR_ASSERT(newest.sequence > 0);
    VSR_ASSERT(newest.log_view <= newest.view);
    file->sequence = newest.sequence;
    *superblock = (struct vsr_superblock){
        .view = newest.view,
        .log_view = newest.log_view,
        .epoch = newest.epoch,
        .incarnation = newest.incarnation,
    };
    return 0;
}

int vsr_node_superblock_write(struct superblock_file *file, const struct vsr_superblock *superblock)
{
    VSR_ASSERT(file->fd >= 0);
    VSR_ASSERT(file->sequence >= 1); /* Formatting has written two; a disk may have lost one. */
    VSR_ASSERT(superblock->log_view <= superblock->view);
    struct superblock_copy copy = make_copy(&file->identity, superblock, file->sequence + 1);
    int error = write_pair(file->fd, &copy);

    if (error == 0) file->sequence++;
    return error;
}

void vsr_node_superblock_close(struct superblock_file *file)
{
    if (file->fd >= 0) close(file->fd);
    file->fd = -1;
}
