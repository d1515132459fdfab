/**
 * The snapshots that a replica's host keeps: the last one saved, and one on its way in.
 */
#include "snapshots.h"

#include "../core/assert.h"

#include <stdlib.h>
#include <string.h>

/** A stream over a blob: written to its end, or read from `at`. */
struct stream {
    struct vsr_node_blob *blob;
    size_t at;
};

static bool reserve(struct vsr_node_blob *blob, size_t bytes)
{
    VSR_ASSERT(blob->count <= blob->capacity);
    if (bytes <= blob->capacity) return true;
    size_t capacity = blob->capacity > 0 ? blob->capacity : 4096;
    while (capacity < bytes)
        capacity *= 2;
    uint8_t *grown = realloc(blob->bytes, capacity);
    if (grown == NULL) return false;
    blob->bytes = grown;
    blob->capacity = capacity;
    return true;
}

static bool write_blob(void *context, const void *bytes, size_t count)
{
    struct stream *stream = context;

    if (count == 0) return true;
    if (!reserve(stream->blob, stream->blob->count + count)) return false;
    memcpy(stream->blob->bytes + stream->blob->count, bytes, count);
    stream->blob->count += count;
    return true;
}

static bool read_blob(void *context, void *bytes, size_t count)
{
    struct stream *stream = context;

    VSR_ASSERT(stream->at <= stream->blob->count);
    if (count > stream->blob->count - stream->at) return false;
    if (count > 0) memcpy(bytes, stream->blob->bytes + stream->at, count);
    stream->at += count;
    return true;
}

struct vsr_snapshot vsr_node_snapshot_save(struct vsr_node_snapshots *s,
                                           const struct vsr_replica *core,
                                           const struct vsr_state_machine *machine, vsr_op op)
{
    struct stream stream = {.blob = &s->kept};

    VSR_ASSERT(core != NULL);
    s->kept.count = 0;
    if (!vsr_replica_save(core, write_blob, &stream) ||
        !machine->save(machine->state, write_blob, &stream))
        s->kept.count = 0; /* no memory: the core goes on without */
    return (struct vsr_snapshot){
        .op = op,
        .bytes = s->kept.count,
        .id = vsr_snapshot_id(s->cluster, s->kept.bytes, s->kept.count),
    };
}

void vsr_node_snapshot_fill(const struct vsr_node_snapshots *s, const struct vsr_effect *effect)
{
    uint8_t *body = (uint8_t *)effect->buffer.header + sizeof(struct vsr_chunk);

    VSR_ASSERT(effect->chunk_offset <= s->kept.count);
    VSR_ASSERT(effect->chunk_bytes <= s->kept.count - effect->chunk_offset);
    memcpy(body, s->kept.bytes + effect->chunk_offset, effect->chunk_bytes);
}

void vsr_node_snapshot_store(struct vsr_node_snapshots *s, const struct vsr_effect *effect)
{
    const uint8_t *body = (const uint8_t *)effect->buffer.header + sizeof(struct vsr_chunk);
    struct stream stream = {.blob = &s->incoming};

    if (effect->chunk_offset == 0) s->incoming.count = 0;
    /* What finds no memory is missing in the end, and then it is not loaded. */
    if (s->incoming.count == effect->chunk_offset) write_blob(&stream, body, effect->chunk_bytes);
}

bool vsr_node_snapshot_load(struct vsr_node_snapshots *s, struct vsr_replica *core,
                            const struct vsr_state_machine *machine,
                            const struct vsr_snapshot *snapshot)
{
    struct stream stream = {.blob = &s->incoming};
    struct vsr_node_blob kept = s->kept;

    VSR_ASSERT(core != NULL);
    if (s->incoming.count != snapshot->bytes ||
        vsr_snapshot_id(s->cluster, s->incoming.bytes, s->incoming.count) != snapshot->id)
        return false;
    /* Bytes that another replica saved: if they do not load, another one's may. */
    if (!vsr_replica_load(core, read_blob, &stream) ||
        !machine->load(machine->state, read_blob, &stream) || stream.at != s->incoming.count)
        return false;
    s->kept = s->incoming;
    s->incoming = kept;
    return true;
}

void vsr_node_snapshots_deinit(struct vsr_node_snapshots *s)
{
    free(s->kept.bytes);
    free(s->incoming.bytes);
}
