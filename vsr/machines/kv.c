/**
 * The key-value store: open addressing with linear probing, records in place. See vsr/kv.h.
 *
 * Where a record lies depends on the history of the table, so a snapshot keeps the places: a
 * replica that has loaded one goes on exactly as those that never did.
 */
#include <vsr/kv.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/** Operations whose records are fetched ahead. */
enum { AHEAD = 16, VALUE_BYTES_MAX = 4096, KEY_BYTES_MAX = 255 };
#define RECORDS_MAX (1u << 28)

struct record {
    uint32_t is_used;
    uint16_t value_bytes;
    uint8_t key_bytes;
    uint8_t reserved;
    uint8_t bytes[]; /* key, padded to key_bytes_max; value */
};

struct store {
    struct vsr_kv_options options;
    uint8_t *records;
    size_t stride;
    uint64_t mask;
    uint32_t count;
};

/** An operation that was found well-formed. */
struct parsed {
    enum vsr_kv_kind kind;
    uint32_t key_bytes;
    uint32_t value_bytes;
    const uint8_t *key;
    const uint8_t *value;
};

static uint64_t mix(uint64_t a)
{
    a = (a ^ (a >> 32)) * 0xD6E8FEB86659FD93ull;
    a = (a ^ (a >> 32)) * 0xD6E8FEB86659FD93ull;
    return a ^ (a >> 32);
}

static uint64_t hash_bytes(const uint8_t *bytes, uint32_t count, uint64_t seed)
{
    uint64_t hash = mix(seed + count);

    for (; count >= 8; count -= 8, bytes += 8) {
        uint64_t word;
        memcpy(&word, bytes, 8);
        hash = mix(hash ^ word);
    }
    if (count > 0) {
        uint64_t word = 0;
        memcpy(&word, bytes, count);
        hash = mix(hash ^ word);
    }
    return hash;
}

static struct record *record_at(const struct store *s, uint64_t place)
{
    return (struct record *)(void *)(s->records + (place & s->mask) * s->stride);
}

static uint64_t home_of(const struct store *s, const struct record *r)
{
    return hash_bytes(r->bytes, r->key_bytes, 0) & s->mask;
}

static bool parse(const struct store *s, const void *payload, uint32_t payload_bytes,
                  struct parsed *p)
{
    struct vsr_kv_operation head;

    if (payload_bytes < sizeof head) return false;
    memcpy(&head, payload, sizeof head);
    p->kind = head.kind;
    p->key_bytes = head.key_bytes;
    p->value_bytes = head.value_bytes;
    p->key = (const uint8_t *)payload + sizeof head;
    p->value = p->key + head.key_bytes;
    if (head.kind >= VSR_KV_KINDS ||
        payload_bytes < sizeof head + head.key_bytes + head.value_bytes)
        return false;
    return head.key_bytes > 0 && head.key_bytes <= s->options.key_bytes_max &&
           head.value_bytes <= s->options.value_bytes_max;
}

/** The key's record, or the free one where it would go. */
static struct record *find(const struct store *s, const struct parsed *p, uint64_t hash,
                           uint64_t *place)
{
    uint64_t at = hash & s->mask;

    for (;; at = (at + 1) & s->mask) {
        struct record *r = record_at(s, at);
        *place = at;
        if (!r->is_used) return r;
        if (r->key_bytes == p->key_bytes && memcmp(r->bytes, p->key, p->key_bytes) == 0) return r;
    }
}

static uint8_t *value_of(const struct store *s, struct record *r)
{
    return r->bytes + s->options.key_bytes_max;
}

static void put_result(struct vsr_result *result, enum vsr_kv_status status, const uint8_t *value,
                       uint16_t value_bytes)
{
    const struct vsr_kv_result head = {.status = (uint16_t)status, .value_bytes = value_bytes};

    memcpy(result->data, &head, sizeof head);
    if (value_bytes > 0) memcpy(result->data + sizeof head, value, value_bytes);
    result->bytes = (uint32_t)sizeof head + value_bytes;
}

/** Takes a record out and closes the gap, so that no tombstones gather. */
static void remove_at(struct store *s, uint64_t hole)
{
    uint64_t at = hole;

    for (;;) {
        at = (at + 1) & s->mask;
        struct record *r = record_at(s, at);
        if (!r->is_used) break;
        if (((at - home_of(s, r)) & s->mask) < ((at - hole) & s->mask)) continue;
        memcpy(record_at(s, hole), r, s->stride);
        hole = at;
    }
    memset(record_at(s, hole), 0, s->stride);
    s->count--;
}

static void read_record(const struct store *s, struct record *r, struct vsr_result *result)
{
    if (r->is_used)
        put_result(result, VSR_KV_OK, value_of(s, r), r->value_bytes);
    else
        put_result(result, VSR_KV_NOT_FOUND, NULL, 0);
}

static void write_record(struct store *s, struct record *r, const struct parsed *p,
                         struct vsr_result *result)
{
    if (!r->is_used && s->count == s->options.records_max) {
        put_result(result, VSR_KV_FULL, NULL, 0);
        return;
    }
    if (p->kind == VSR_KV_SWAP)
        read_record(s, r, result);
    else
        put_result(result, VSR_KV_OK, NULL, 0);
    if (!r->is_used) {
        s->count++;
        r->is_used = 1;
        r->key_bytes = (uint8_t)p->key_bytes;
        memcpy(r->bytes, p->key, p->key_bytes);
    }
    /* What the old value had beyond the new one goes, so that equal states are equal bytes. */
    if (r->value_bytes > p->value_bytes)
        memset(value_of(s, r) + p->value_bytes, 0, r->value_bytes - p->value_bytes);
    r->value_bytes = (uint16_t)p->value_bytes;
    memcpy(value_of(s, r), p->value, p->value_bytes);
}

static void execute(struct store *s, const struct parsed *p, uint64_t hash,
                    struct vsr_result *result)
{
    uint64_t place;
    struct record *r = find(s, p, hash, &place);

    switch (p->kind) {
    case VSR_KV_GET:
        read_record(s, r, result);
        break;
    case VSR_KV_PUT:
    case VSR_KV_SWAP:
        write_record(s, r, p, result);
        break;
    case VSR_KV_DELETE:
        put_result(result, r->is_used ? VSR_KV_OK : VSR_KV_NOT_FOUND, NULL, 0);
        if (r->is_used) remove_at(s, place);
        break;
    case VSR_KV_KINDS:
        break;
    }
}

static void apply(void *state, vsr_op op, uint64_t timestamp,
                  const struct vsr_operation *operations, uint32_t count)
{
    struct store *s = state;
    struct parsed parsed[AHEAD];
    uint64_t hashes[AHEAD];
    bool is_valid[AHEAD];

    (void)op;
    (void)timestamp;
    for (uint32_t base = 0; base < count; base += AHEAD) {
        const uint32_t some = count - base < AHEAD ? count - base : AHEAD;
        for (uint32_t i = 0; i < some; i++) {
            const struct vsr_operation *o = &operations[base + i];
            is_valid[i] = parse(s, o->payload, o->payload_bytes, &parsed[i]);
            if (!is_valid[i]) continue;
            hashes[i] = hash_bytes(parsed[i].key, parsed[i].key_bytes, 0);
            const char *r = (const char *)record_at(s, hashes[i]);
            __builtin_prefetch(r, 1);
            __builtin_prefetch(r + 64, 1);
        }
        for (uint32_t i = 0; i < some; i++) {
            if (is_valid[i])
                execute(s, &parsed[i], hashes[i], operations[base + i].result);
            else
                put_result(operations[base + i].result, VSR_KV_MALFORMED, NULL, 0);
        }
    }
}

static bool save(void *state, vsr_snapshot_write write, void *stream)
{
    const struct store *s = state;
    const uint64_t count = s->count;

    if (!write(stream, &count, sizeof count)) return false;
    for (uint64_t place = 0; place <= s->mask; place++) {
        const struct record *r = record_at(s, place);
        if (!r->is_used) continue;
        if (!write(stream, &place, sizeof place) || !write(stream, r, s->stride)) return false;
    }
    return true;
}

static void clear(struct store *s)
{
    memset(s->records, 0, (s->mask + 1) * s->stride);
    s->count = 0;
}

static bool load_records(struct store *s, vsr_snapshot_read read, void *stream)
{
    uint64_t count;
    uint64_t place;

    if (!read(stream, &count, sizeof count) || count > s->options.records_max) return false;
    for (uint64_t i = 0; i < count; i++) {
        if (!read(stream, &place, sizeof place) || place > s->mask) return false;
        struct record *r = record_at(s, place);
        if (r->is_used || !read(stream, r, s->stride)) return false;
        if (r->is_used != 1 || r->key_bytes == 0 || r->key_bytes > s->options.key_bytes_max ||
            r->value_bytes > s->options.value_bytes_max)
            return false;
        s->count++;
    }
    return true;
}

static bool load(void *state, vsr_snapshot_read read, void *stream)
{
    struct store *s = state;

    clear(s);
    if (load_records(s, read, stream)) return true;
    clear(s);
    return false;
}

/** A sum over the records: where they lie does not matter. */
static uint64_t digest(void *state)
{
    const struct store *s = state;
    uint64_t sum = mix(s->count);

    for (uint64_t place = 0; place <= s->mask; place++) {
        struct record *r = record_at(s, place);
        if (!r->is_used) continue;
        uint64_t key = hash_bytes(r->bytes, r->key_bytes, 1);
        sum += hash_bytes(value_of(s, r), r->value_bytes, key);
    }
    return sum;
}

static void destroy(void *state)
{
    struct store *s = state;
    free(s->records);
    free(s);
}

uint32_t vsr_kv_encode(void *out, enum vsr_kv_kind kind, const void *key, uint32_t key_bytes,
                       const void *value, uint32_t value_bytes)
{
    const struct vsr_kv_operation head = {
        .kind = (uint8_t)kind,
        .key_bytes = (uint8_t)key_bytes,
        .value_bytes = (uint16_t)value_bytes,
    };
    uint8_t *at = out;

    memcpy(at, &head, sizeof head);
    memcpy(at + sizeof head, key, key_bytes);
    if (value_bytes > 0) memcpy(at + sizeof head + key_bytes, value, value_bytes);
    return VSR_KV_OPERATION_BYTES(key_bytes, value_bytes);
}

int vsr_kv_create(const struct vsr_kv_options *o, struct vsr_state_machine *machine)
{
    struct store *s;
    uint64_t places = 4;

    if (o->records_max < 1 || o->records_max > RECORDS_MAX || o->key_bytes_max < 1 ||
        o->key_bytes_max > KEY_BYTES_MAX || o->value_bytes_max > VALUE_BYTES_MAX)
        return -EINVAL;
    s = calloc(1, sizeof *s);
    if (s == NULL) return -ENOMEM;
    /* A third of the places stays free at least: probes are short, and there is always an end. */
    while (places < o->records_max + (uint64_t)o->records_max / 2)
        places *= 2;
    s->options = *o;
    s->mask = places - 1;
    s->stride = (sizeof(struct record) + o->key_bytes_max + o->value_bytes_max + 7) & ~(size_t)7;
    s->records = calloc(places, s->stride);
    if (s->records == NULL) {
        free(s);
        return -ENOMEM;
    }
    *machine = (struct vsr_state_machine){
        .state = s,
        .result_bytes_max = (uint32_t)sizeof(struct vsr_kv_result) + o->value_bytes_max,
        .apply = apply,
        .save = save,
        .load = load,
        .digest = digest,
        .destroy = destroy,
    };
    return 0;
}
