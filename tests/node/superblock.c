/**
 * Superblock files: what is read back after writes, torn writes, bad copies and wrong names.
 */
#include "leak_check.h"

#include "superblock.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

LEAK_CHECKED_SUITE(superblock);

enum { FILE_BYTES = SUPERBLOCK_COPIES * SUPERBLOCK_COPY_BYTES };

static char directory[] = "/tmp/superblock-XXXXXX";
static char path[64];
static const struct vsr_superblock_identity identity = {
    .cluster = 77, .replica = 1, .replica_count = 3};

/* Before the C library's: they count, and do what a disk may do. */

static uint32_t syncs;
static uint32_t file_syncs, directory_syncs; /* by fsync */
static uint32_t interruptions;               /* of writes and reads to come */
static size_t bytes_max;   /* of one write or read; 0 = as many as are asked for */
static bool takes_nothing; /* writes take no byte, and say no error */
static bool gives_nothing; /* reads fail */
static bool sync_fails, file_sync_fails, directory_sync_fails;

static bool is_interrupted(void)
{
    if (interruptions == 0) return false;
    interruptions--;
    errno = EINTR;
    return true;
}

static size_t some_of(size_t count)
{
    return bytes_max != 0 && bytes_max < count ? bytes_max : count;
}

ssize_t __real_pwrite(int fd, const void *bytes, size_t count, off_t at);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t count, off_t at);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t count, off_t at)
{
    if (takes_nothing) return 0;
    return is_interrupted() ? -1 : __real_pwrite(fd, bytes, some_of(count), at);
}

ssize_t __real_pread(int fd, void *bytes, size_t count, off_t at);
ssize_t __wrap_pread(int fd, void *bytes, size_t count, off_t at);
ssize_t __wrap_pread(int fd, void *bytes, size_t count, off_t at)
{
    if (gives_nothing) return errno = EIO, -1;
    return is_interrupted() ? -1 : __real_pread(fd, bytes, some_of(count), at);
}

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd)
{
    syncs++;
    return sync_fails ? (errno = EIO, -1) : __real_fdatasync(fd);
}

static int lock_error; /* 0 = the true one */

int __real_flock(int fd, int how);
int __wrap_flock(int fd, int how);
int __wrap_flock(int fd, int how)
{
    return lock_error != 0 ? (errno = lock_error, -1) : __real_flock(fd, how);
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    struct stat what;

    cr_assert_eq(fstat(fd, &what), 0);
    const bool is_directory = S_ISDIR(what.st_mode);
    if (is_directory) cr_assert_eq(file_syncs, directory_syncs + 1, "the file comes first");
    *(is_directory ? &directory_syncs : &file_syncs) += 1;
    if (is_directory ? directory_sync_fails : file_sync_fails) return errno = EIO, -1;
    return __real_fsync(fd);
}

static void enter(void)
{
    cr_assert_not_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/replica-1.superblock", directory);
    cr_assert_eq(vsr_superblock_format(directory, &identity, NULL), 0);
}

static void leave(void)
{
    vsr_node_superblock_remove(directory, 1);
    if (rmdir(directory) != 0) abort(); /* An assertion would change nothing any more. */
    leak_check();
}

#define FileTest(name) Test(superblock, name, .init = enter, .fini = leave)

static struct vsr_superblock superblock_of(uint64_t n)
{
    return (struct vsr_superblock){
        .view = 10 + n, .log_view = 5 + n, .epoch = 2, .incarnation = (uint32_t)n};
}

static int open_as(const struct vsr_superblock_identity *who, struct vsr_superblock *superblock,
                   struct vsr_error *why)
{
    struct superblock_file file;
    int error = vsr_node_superblock_open(&file, directory, who, superblock, why);
    if (error == 0) vsr_node_superblock_close(&file);
    return error;
}

/** Writes superblocks 1..count, each of them durable. */
static void write_up_to(uint64_t count)
{
    struct superblock_file file;
    struct vsr_superblock superblock;

    cr_assert_eq(vsr_node_superblock_open(&file, directory, &identity, &superblock, NULL), 0);
    for (uint64_t n = 1; n <= count; n++) {
        superblock = superblock_of(n);
        cr_assert_eq(vsr_node_superblock_write(&file, &superblock), 0);
    }
    vsr_node_superblock_close(&file);
}

static void read_file(uint8_t *bytes)
{
    int fd = open(path, O_RDONLY);
    cr_assert_eq(pread(fd, bytes, FILE_BYTES, 0), FILE_BYTES);
    close(fd);
}

static void write_file(const uint8_t *bytes, size_t count)
{
    int fd = open(path, O_WRONLY | O_TRUNC);
    cr_assert_eq(pwrite(fd, bytes, count, 0), (ssize_t)count);
    close(fd);
}

static void check_reads(uint64_t n)
{
    struct vsr_superblock got;
    const struct vsr_superblock expected = superblock_of(n);

    cr_assert_eq(open_as(&identity, &got, NULL), 0);
    cr_assert_eq(got.view, expected.view);
    cr_assert_eq(got.log_view, expected.log_view);
    cr_assert_eq(got.epoch, expected.epoch);
    cr_assert_eq(got.incarnation, expected.incarnation);
}

/** Both copies of each pair are the same. */
static void check_pairs(void)
{
    static uint8_t bytes[FILE_BYTES];

    read_file(bytes);
    for (size_t at = 0; at < FILE_BYTES; at += 2 * SUPERBLOCK_COPY_BYTES)
        cr_assert_arr_eq(bytes + at, bytes + at + SUPERBLOCK_COPY_BYTES, SUPERBLOCK_COPY_BYTES);
}

/* superblock.h: a formatted file says that its replica never ran. */
FileTest(formatted_file_is_blank)
{
    struct vsr_superblock got = superblock_of(9);

    cr_assert_eq(open_as(&identity, &got, NULL), 0);
    cr_assert_eq(got.view, 0);
    cr_assert_eq(got.incarnation, 0);
}

/* The last superblock written is the one read, whichever pair it is in. */
FileTest(last_write_is_read)
{
    for (uint64_t count = 1; count <= 5; count++) {
        write_up_to(count);
        check_reads(count);
    }
}

/* vsr/superblock.h: never overwritten. */
FileTest(format_leaves_a_file_alone)
{
    struct vsr_error why;

    write_up_to(3);
    cr_assert_eq(vsr_superblock_format(directory, &identity, &why), -EEXIST);
    cr_assert_not_null(strstr(why.text, path));
    cr_assert_not_null(strstr(why.text, "remove the files of all replicas"));
    check_reads(3);
}

/** The file before and after the last of 3 or 4 writes, and where the pair lies that it wrote. */
static size_t write_last(uint64_t last, uint8_t *before, uint8_t *after)
{
    const struct vsr_superblock superblock = superblock_of(last);
    struct superblock_file file;
    struct vsr_superblock got;

    write_up_to(last - 1);
    read_file(before);
    cr_assert_eq(vsr_node_superblock_open(&file, directory, &identity, &got, NULL), 0);
    cr_assert_eq(vsr_node_superblock_write(&file, &superblock), 0);
    vsr_node_superblock_close(&file);
    read_file(after);
    return memcmp(before, after, FILE_BYTES / 2) != 0 ? 0 : FILE_BYTES / 2;
}

/** Lengths of a part of the pair that are worth a look. */
static bool is_of_interest(size_t bytes)
{
    const size_t in_copy = bytes % SUPERBLOCK_COPY_BYTES;
    return in_copy <= sizeof(struct superblock_copy) + 1 || in_copy % 512 == 0;
}

/* A write torn after any of its bytes leaves the superblock before it, or is there already. */
FileTest(torn_write_leaves_the_one_before)
{
    static uint8_t before[FILE_BYTES];
    static uint8_t after[FILE_BYTES];
    static uint8_t torn[FILE_BYTES];

    for (uint64_t last = 3; last <= 4; last++) { /* into either pair */
        const size_t first = write_last(last, before, after);
        for (size_t bytes = 0; bytes <= FILE_BYTES / 2; bytes++) {
            if (!is_of_interest(bytes)) continue;
            memcpy(torn, before, FILE_BYTES);
            memcpy(torn + first, after + first, bytes);
            write_file(torn, FILE_BYTES);
            check_reads(bytes < sizeof(struct superblock_copy) ? last - 1 : last);
        }
        write_file(before, FILE_BYTES);
    }
}

/* A disk may also write the end first. */
FileTest(write_torn_from_its_end_leaves_the_one_before)
{
    static uint8_t before[FILE_BYTES];
    static uint8_t after[FILE_BYTES];
    static uint8_t torn[FILE_BYTES];

    for (uint64_t last = 3; last <= 4; last++) {
        const size_t first = write_last(last, before, after);
        for (size_t left = 0; left <= FILE_BYTES / 2; left++) {
            if (!is_of_interest(left)) continue;
            memcpy(torn, after, FILE_BYTES);
            memcpy(torn + first, before + first, left);
            write_file(torn, FILE_BYTES);
            /* The second copy is whole as long as its first byte that changed has been written. */
            check_reads(left <= SUPERBLOCK_COPY_BYTES + offsetof(struct superblock_copy, sequence)
                            ? last
                            : last - 1);
        }
        write_file(before, FILE_BYTES);
    }
}

/* vsr/superblock.h: one copy that goes bad later has a twin; no older promise comes back. */
FileTest(bad_byte_in_one_copy_changes_nothing)
{
    static uint8_t good[FILE_BYTES];
    static uint8_t bad[FILE_BYTES];

    write_up_to(6);
    read_file(good);
    for (size_t copy = 0; copy < SUPERBLOCK_COPIES; copy++) {
        for (size_t i = 0; i < sizeof(struct superblock_copy); i++) {
            memcpy(bad, good, FILE_BYTES);
            bad[copy * SUPERBLOCK_COPY_BYTES + i] ^= 0x10;
            write_file(bad, FILE_BYTES);
            check_reads(6);
        }
    }
}

/* A file that has lost its second pair before it was ever written goes on from the first. */
FileTest(formatted_file_with_one_pair_is_written)
{
    static uint8_t bytes[FILE_BYTES];
    const struct vsr_superblock superblock = superblock_of(1);
    struct superblock_file file;
    struct vsr_superblock got;

    cr_assert_eq(open_as(&identity, &got, NULL), 0);
    read_file(bytes);
    for (size_t copy = 0; copy < SUPERBLOCK_COPIES; copy++) {
        const uint8_t *at = bytes + copy * SUPERBLOCK_COPY_BYTES;
        uint64_t sequence;
        memcpy(&sequence, at + offsetof(struct superblock_copy, sequence), sizeof sequence);
        if (sequence == 2) memset(bytes + copy * SUPERBLOCK_COPY_BYTES, 0, SUPERBLOCK_COPY_BYTES);
    }
    write_file(bytes, FILE_BYTES);
    cr_assert_eq(vsr_node_superblock_open(&file, directory, &identity, &got, NULL), 0);
    cr_assert_eq(vsr_node_superblock_write(&file, &superblock), 0);
    vsr_node_superblock_close(&file);
    check_reads(1);
}

/* All copies bad: refused, and what to do is said. */
FileTest(no_valid_copy_is_refused)
{
    static uint8_t bytes[FILE_BYTES];
    struct vsr_superblock got;
    struct vsr_error why;

    write_up_to(2);
    read_file(bytes);
    for (size_t copy = 0; copy < SUPERBLOCK_COPIES; copy++)
        bytes[copy * SUPERBLOCK_COPY_BYTES + offsetof(struct superblock_copy, view)] ^= 1;
    write_file(bytes, FILE_BYTES);
    cr_assert_eq(open_as(&identity, &got, &why), -EBADMSG);
    cr_assert_str_eq(why.option, "superblock_directory");
    cr_assert_eq(strncmp(why.text, path, strlen(path)), 0);
    cr_assert_not_null(strstr(why.text, "no valid copy. Restore it or replace the replica"));
    memset(bytes, 0, FILE_BYTES);
    write_file(bytes, FILE_BYTES);
    cr_assert_eq(open_as(&identity, &got, &why), -EBADMSG);
}

/* A file that is cut short may lack the newest pair: refused at every length. */
FileTest(short_file_is_refused)
{
    static const size_t lengths[] = {0, 1, 71, 72, 4096, 8191, 8192, 12288, FILE_BYTES - 1};
    static uint8_t bytes[FILE_BYTES];
    struct vsr_superblock got;
    struct vsr_error why;

    write_up_to(2);
    read_file(bytes);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        write_file(bytes, lengths[i]);
        cr_assert_eq(open_as(&identity, &got, &why), -EBADMSG);
        cr_assert_not_null(strstr(why.text, "cut short"));
    }
}

/* Another cluster's, another replica's, another cluster size's file: refused by name. */
FileTest(other_identity_is_refused)
{
    struct vsr_superblock got;
    struct vsr_error why;
    struct vsr_superblock_identity other = identity;

    other.cluster = 78;
    cr_assert_eq(open_as(&other, &got, &why), -EINVAL);
    cr_assert_not_null(strstr(why.text, "of cluster 77, not replica 1 of 3 of cluster 78"));
    other = identity;
    other.replica_count = 5;
    cr_assert_eq(open_as(&other, &got, &why), -EINVAL);
    char renamed[80];
    snprintf(renamed, sizeof renamed, "%s/replica-2.superblock", directory);
    cr_assert_eq(rename(path, renamed), 0);
    other = identity;
    other.replica = 2;
    cr_assert_eq(open_as(&other, &got, &why), -EINVAL);
    cr_assert_not_null(strstr(why.text, "is replica 1 of 3"));
    cr_assert_eq(open_as(&identity, &got, &why), -ENOENT);
    cr_assert_not_null(strstr(why.text, "is missing"));
    cr_assert_not_null(strstr(why.text, "would fork the log"));
    cr_assert_eq(rename(renamed, path), 0);
}

/** Writes a whole file of another version, whose checksums this program cannot make. */
static void become_version(uint32_t version)
{
    static uint8_t bytes[FILE_BYTES];

    read_file(bytes);
    for (size_t at = 0; at < FILE_BYTES; at += SUPERBLOCK_COPY_BYTES) {
        struct superblock_copy copy;
        memcpy(&copy, bytes + at, sizeof copy);
        copy.version = version;
        copy.checksum = 12345;
        memcpy(bytes + at, &copy, sizeof copy);
    }
    write_file(bytes, FILE_BYTES);
}

/* A later version, and the one before this: refused, and named, not taken for a damaged file. */
FileTest(other_version_is_refused)
{
    struct vsr_superblock got;
    struct vsr_error why;

    become_version(SUPERBLOCK_VERSION + 1);
    cr_assert_eq(open_as(&identity, &got, &why), -EINVAL);
    cr_assert_not_null(strstr(why.text, "is of version 3, this program reads 2"));
    become_version(1);
    cr_assert_eq(open_as(&identity, &got, &why), -EINVAL);
    cr_assert_not_null(strstr(why.text, "is of version 1, this program reads 2"));
    cr_assert_not_null(strstr(why.text, "use the program that wrote it"));
}

/* Two owners would each go back on the other's promises. */
FileTest(second_owner_is_refused)
{
    struct superblock_file file;
    struct vsr_superblock got;
    struct vsr_error why;

    cr_assert_eq(vsr_node_superblock_open(&file, directory, &identity, &got, NULL), 0);
    cr_assert_eq(open_as(&identity, &got, &why), -EBUSY);
    cr_assert_not_null(strstr(why.text, "is in use"));
    lock_error = ENOLCK; /* not in use, but not to be locked */
    cr_assert_eq(open_as(&identity, &got, &why), -ENOLCK);
    cr_assert_not_null(strstr(why.text, "cannot be locked"));
    lock_error = 0;
    vsr_node_superblock_close(&file);
    cr_assert_eq(open_as(&identity, &got, NULL), 0);
}

/* A write that fails says so, and the file still has what was durable before. */
FileTest(failing_write_is_told)
{
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = RLIM_INFINITY};
    const struct rlimit all = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
    const struct vsr_superblock next = superblock_of(3);
    struct superblock_file file;
    struct vsr_superblock got;

    write_up_to(2);
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(vsr_node_superblock_open(&file, directory, &identity, &got, NULL), 0);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
    int error = vsr_node_superblock_write(&file, &next);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &all), 0);
    vsr_node_superblock_close(&file);
    cr_assert_eq(error, -EFBIG);
    check_reads(2);
}

/* What an interruption or a disk that takes and gives a little at a time leaves to be done is done.
 */
FileTest(interrupted_and_short_writes_and_reads_are_gone_on_with)
{
    static const size_t sizes[] = {0, 1000, 4096, 4097};

    for (uint32_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const struct vsr_superblock next = superblock_of(i + 1);
        struct superblock_file file;
        struct vsr_superblock got;

        bytes_max = sizes[i];
        interruptions = 3;
        cr_assert_eq(vsr_node_superblock_open(&file, directory, &identity, &got, NULL), 0);
        cr_assert_eq(interruptions, 0);
        interruptions = 3;
        cr_assert_eq(vsr_node_superblock_write(&file, &next), 0);
        cr_assert_eq(interruptions, 0);
        vsr_node_superblock_close(&file);
        bytes_max = 0;
        check_reads(i + 1);
        check_pairs();
    }
}

/* superblock.h: a write that does not reach the disk is no write, whoever says so; the pair that is
 * durable is left alone by the next one, too. */
FileTest(a_disk_that_fails_is_told)
{
    enum { PAIR_BYTES = 2 * SUPERBLOCK_COPY_BYTES };
    static uint8_t before[FILE_BYTES];
    static uint8_t after[FILE_BYTES];
    const struct vsr_superblock next = superblock_of(3);
    struct superblock_file file;
    struct vsr_superblock got;

    write_up_to(2);
    read_file(before);
    cr_assert_eq(vsr_node_superblock_open(&file, directory, &identity, &got, NULL), 0);
    const size_t newest = file.sequence % 2 * PAIR_BYTES;
    takes_nothing = true;
    cr_assert_eq(vsr_node_superblock_write(&file, &next), -EIO);
    takes_nothing = false;
    sync_fails = true;
    cr_assert_eq(vsr_node_superblock_write(&file, &next), -EIO);
    cr_assert_eq(vsr_node_superblock_write(&file, &next), -EIO);
    sync_fails = false;
    vsr_node_superblock_close(&file);
    read_file(after);
    cr_assert_arr_eq(after + newest, before + newest, PAIR_BYTES);
}

/* superblock.h: what the file system says, with the file's name. */
FileTest(what_cannot_be_opened_or_read_is_told)
{
    struct superblock_file file;
    struct vsr_superblock got;
    struct vsr_error why;

    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(mkdir(path, 0755), 0);
    cr_assert_eq(vsr_node_superblock_open(&file, directory, &identity, &got, &why), -EISDIR);
    cr_assert_not_null(strstr(why.text, "cannot be opened for writing"), "%s", why.text);
    cr_assert_eq(rmdir(path), 0);
    cr_assert_eq(vsr_superblock_format(directory, &identity, NULL), 0);
    gives_nothing = true;
    cr_assert_eq(vsr_node_superblock_open(&file, directory, &identity, &got, &why), -EIO);
    cr_assert_not_null(strstr(why.text, "cannot be read"), "%s", why.text);
    gives_nothing = false;
}

/* vsr/superblock.h: a file that may not outlive a crash is none: it is taken back, and the error is
 * the disk's. A new file is durable once its directory is. */
FileTest(formatting_waits_for_the_disk_and_the_directory)
{
    bool *const failures[] = {&sync_fails, &file_sync_fails, &directory_sync_fails, &takes_nothing};
    struct vsr_error why;

    cr_assert_eq(file_syncs, 1);
    cr_assert_eq(directory_syncs, 1);
    vsr_node_superblock_remove(directory, 1);
    for (uint32_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
        file_syncs = directory_syncs = 0;
        *failures[i] = true;
        cr_assert_eq(vsr_superblock_format(directory, &identity, &why), -EIO, "failure %u", i);
        cr_assert_not_null(strstr(why.text, "cannot be written"));
        cr_assert_neq(access(path, F_OK), 0, "failure %u", i);
        *failures[i] = false;
    }
    file_syncs = directory_syncs = 0;
    cr_assert_eq(vsr_superblock_format(directory, &identity, &why), 0);
}

/* A directory that takes no file, or is none: the file system's word, and the file's name. */
Test(superblock, directory_that_takes_no_file)
{
    char read_only[] = "/tmp/superblock-XXXXXX";
    char long_name[2 * SUPERBLOCK_PATH_MAX];
    struct vsr_superblock got;
    struct vsr_error why;

    cr_assert_eq(vsr_superblock_format("/nonexistent/place", &identity, &why), -ENOENT);
    cr_assert_not_null(strstr(why.text, "/nonexistent/place/replica-1.superblock: cannot be made"));
    cr_assert_eq(vsr_superblock_format("/proc", &identity, &why), -ENOENT);
    cr_assert_not_null(mkdtemp(read_only));
    cr_assert_eq(chmod(read_only, 0500), 0);
    if (geteuid() != 0) { /* to root nothing is read-only */
        cr_assert_eq(vsr_superblock_format(read_only, &identity, &why), -EACCES);
        cr_assert_not_null(strstr(why.text, "Permission denied"));
    }
    cr_assert_eq(rmdir(read_only), 0);
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    cr_assert_eq(vsr_superblock_format(long_name, &identity, &why), -ENAMETOOLONG);
    struct superblock_file file;
    cr_assert_eq(vsr_node_superblock_open(&file, long_name, &identity, &got, &why), -ENAMETOOLONG);
}

/* superblock.h: a write is durable when it returns: the disk is waited for each time. */
FileTest(every_write_waits_for_the_disk)
{
    struct superblock_file file;
    struct vsr_superblock superblock;

    cr_assert_eq(syncs, 2); /* formatting writes both pairs */
    cr_assert_eq(vsr_node_superblock_open(&file, directory, &identity, &superblock, NULL), 0);
    for (uint32_t n = 1; n <= 5; n++) {
        superblock = superblock_of(n);
        cr_assert_eq(vsr_node_superblock_write(&file, &superblock), 0);
        cr_assert_eq(syncs, 2 + n);
    }
    vsr_node_superblock_close(&file);
}

/* vsr/superblock.h: a write goes to the pair that is not the newest, whose bytes stay as they are,
 * and to both of its copies. */
FileTest(a_write_leaves_the_newest_pair_alone)
{
    enum { PAIR_BYTES = 2 * SUPERBLOCK_COPY_BYTES };
    static uint8_t before[FILE_BYTES];
    static uint8_t after[FILE_BYTES];
    struct superblock_file file;
    struct vsr_superblock superblock;

    cr_assert_eq(vsr_node_superblock_open(&file, directory, &identity, &superblock, NULL), 0);
    for (uint32_t n = 1; n <= 4; n++) {
        const size_t newest = file.sequence % 2 * PAIR_BYTES;
        const size_t other = PAIR_BYTES - newest;
        read_file(before);
        superblock = superblock_of(n);
        cr_assert_eq(vsr_node_superblock_write(&file, &superblock), 0);
        read_file(after);
        cr_assert_arr_eq(after + newest, before + newest, PAIR_BYTES);
        cr_assert_arr_neq(after + other, before + other, SUPERBLOCK_COPY_BYTES);
        cr_assert_arr_eq(after + other, after + other + SUPERBLOCK_COPY_BYTES,
                         SUPERBLOCK_COPY_BYTES);
    }
    vsr_node_superblock_close(&file);
}
