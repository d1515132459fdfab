/**
 * Superblocks in files, one per replica: see vsr/superblock.h and superblock.c.
 */
#include "storage_files.h"

#include "../core/assert.h"
#include "storage.h"
#include "superblock.h"

#include <vsr/cluster.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct vsr_node_storage_files {
    char *directory;
    struct vsr_superblock_identity identity; /* of replica 0 */
    struct superblock_file files[VSR_REPLICAS_MAX];
    bool is_formatted; /* here, just now */
};

static struct vsr_superblock_identity identity_of(const struct vsr_node_storage_files *s,
                                                  uint32_t replica)
{
    struct vsr_superblock_identity identity = s->identity;

    VSR_ASSERT(replica < identity.replica_count);
    identity.replica = replica;
    return identity;
}

static int write_superblock(void *context, uint32_t replica,
                            const struct vsr_superblock *superblock)
{
    struct vsr_node_storage_files *s = context;

    VSR_ASSERT(replica < s->identity.replica_count);
    VSR_ASSERT(s->files[replica].fd >= 0);
    return vsr_node_superblock_write(&s->files[replica], superblock);
}

/** Opens the file anew: what another hand has done to it since counts. */
static int read_superblock(void *context, uint32_t replica, struct vsr_superblock *superblock,
                           struct vsr_error *why)
{
    struct vsr_node_storage_files *s = context;
    const struct vsr_superblock_identity identity = identity_of(s, replica);

    vsr_node_superblock_close(&s->files[replica]);
    return vsr_node_superblock_open(&s->files[replica], s->directory, &identity, superblock, why);
}

static void remove_files(struct vsr_node_storage_files *s, uint32_t count)
{
    VSR_ASSERT(count <= s->identity.replica_count);
    for (uint32_t i = 0; i < count; i++)
        vsr_node_superblock_remove(s->directory, i);
}

/** Makes the files of a new cluster: all of them, or none. */
static int format(struct vsr_node_storage_files *s, struct vsr_error *why)
{
    VSR_ASSERT(!s->is_formatted);
    for (uint32_t i = 0; i < s->identity.replica_count; i++) {
        const struct vsr_superblock_identity identity = identity_of(s, i);
        int error = vsr_superblock_format(s->directory, &identity, why);
        if (error == 0) continue;
        remove_files(s, i);
        return error;
    }
    s->is_formatted = true;
    return 0;
}

int vsr_node_storage_files_create(const struct vsr_cluster_options *options,
                                  struct vsr_node_storage_files **files,
                                  struct vsr_storage *storage, struct vsr_error *why)
{
    struct vsr_node_storage_files *s = calloc(1, sizeof *s);
    struct vsr_superblock superblock;
    int error = 0;

    VSR_ASSERT(options->superblock_directory != NULL);
    if (s == NULL) return -ENOMEM;
    s->identity = (struct vsr_superblock_identity){
        .cluster = options->replica.cluster,
        .replica_count = options->replica.replica_count,
    };
    for (uint32_t i = 0; i < VSR_REPLICAS_MAX; i++)
        s->files[i].fd = -1;
    s->directory = strdup(options->superblock_directory);
    if (s->directory == NULL) error = -ENOMEM;
    if (error == 0 && options->is_formatting) error = format(s, why);
    for (uint32_t i = 0; i < s->identity.replica_count && error == 0; i++)
        error = read_superblock(s, i, &superblock, why);
    if (error != 0) {
        vsr_node_storage_files_undo(s);
        return error;
    }
    *files = s;
    *storage = (struct vsr_storage){
        .context = s,
        .may_block = true,
        .write = write_superblock,
        .read = read_superblock,
    };
    return 0;
}

void vsr_node_storage_files_undo(struct vsr_node_storage_files *s)
{
    if (s->is_formatted) remove_files(s, s->identity.replica_count);
    vsr_node_storage_files_destroy(s);
}

void vsr_node_storage_files_destroy(struct vsr_node_storage_files *s)
{
    for (uint32_t i = 0; i < VSR_REPLICAS_MAX; i++)
        vsr_node_superblock_close(&s->files[i]);
    free(s->directory);
    free(s);
}
