/**
 * The built-in state machines: counters and the key-value store.
 */
#include "leak_check.h"

#include <vsr/counter.h>
#include <vsr/kv.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

LEAK_CHECKED_SUITE(counter);
LEAK_CHECKED_SUITE(kv);

enum { STREAM_MAX = 1 << 20 };

struct stream {
    uint8_t bytes[STREAM_MAX];
    size_t count;
    size_t at;
};

static bool write_stream(void *stream, const void *bytes, size_t count)
{
    struct stream *s = stream;
    if (s->count + count > STREAM_MAX) return false;
    memcpy(s->bytes + s->count, bytes, count);
    s->count += count;
    return true;
}

static bool read_stream(void *stream, void *bytes, size_t count)
{
    struct stream *s = stream;
    if (s->at + count > s->count) return false;
    memcpy(bytes, s->bytes + s->at, count);
    s->at += count;
    return true;
}

struct result {
    uint32_t bytes;
    uint8_t data[256];
};

static struct result run(struct vsr_state_machine *m, const void *payload, uint32_t bytes)
{
    struct result result = {0};
    uint64_t aligned[64] = {0};
    memcpy(aligned, payload, bytes);
    const struct vsr_operation o = {
        .payload = aligned, .result = (struct vsr_result *)(void *)&result, .payload_bytes = bytes};
    m->apply(m->state, 1, 0, &o, 1);
    return result;
}

/* counter.h: an operation adds; its result is the new value. */
Test(counter, adds_and_returns_the_new_value)
{
    struct vsr_state_machine m;
    uint64_t value;

    cr_assert_eq(vsr_counter_create(0, &m), -EINVAL);
    cr_assert_eq(vsr_counter_create(4, &m), 0);
    for (uint64_t i = 1; i <= 3; i++) {
        const struct vsr_counter_add add = {.index = 3, .amount = 5};
        struct result r = run(&m, &add, sizeof add);
        cr_assert_eq(r.bytes, 8);
        memcpy(&value, r.data, 8);
        cr_assert_eq(value, 5 * i);
    }
    uint64_t digest = m.digest(m.state);
    const struct vsr_counter_add beyond = {.index = 4, .amount = 1};
    cr_assert_eq(run(&m, &beyond, sizeof beyond).bytes, 0);
    cr_assert_eq(run(&m, &beyond, 15).bytes, 0);
    cr_assert_eq(m.digest(m.state), digest);
    m.destroy(m.state);
}

/* state_machine.h: save and load give the same state. */
Test(counter, snapshot_restores_the_state)
{
    static struct stream stream;
    struct vsr_state_machine a;
    struct vsr_state_machine b;

    cr_assert_eq(vsr_counter_create(16, &a), 0);
    cr_assert_eq(vsr_counter_create(16, &b), 0);
    const struct vsr_counter_add add = {.index = 7, .amount = 9};
    run(&a, &add, sizeof add);
    cr_assert(a.save(a.state, write_stream, &stream));
    cr_assert_neq(a.digest(a.state), b.digest(b.state));
    cr_assert(b.load(b.state, read_stream, &stream));
    cr_assert_eq(a.digest(a.state), b.digest(b.state));
    stream.at = 8;
    cr_assert(!b.load(b.state, read_stream, &stream), "a truncated snapshot is refused");
    a.destroy(a.state);
    b.destroy(b.state);
}

enum { RECORDS = 64, KEYS = 100, VALUE_MAX = 32 };

static struct vsr_state_machine make_kv(void)
{
    struct vsr_state_machine m;
    cr_assert_eq(vsr_kv_create(&(struct vsr_kv_options){.records_max = RECORDS,
                                                        .key_bytes_max = 12,
                                                        .value_bytes_max = VALUE_MAX},
                               &m),
                 0);
    return m;
}

static struct vsr_kv_result kv(struct vsr_state_machine *m, enum vsr_kv_kind kind, const char *key,
                               const char *value, char *out)
{
    uint8_t payload[256];
    struct vsr_kv_result head;
    uint32_t bytes = vsr_kv_encode(payload, kind, key, (uint32_t)strlen(key), value,
                                   value != NULL ? (uint32_t)strlen(value) : 0);
    struct result r = run(m, payload, bytes);

    memcpy(&head, r.data, sizeof head);
    cr_assert_eq(r.bytes, sizeof head + head.value_bytes);
    if (out != NULL) {
        memcpy(out, r.data + sizeof head, head.value_bytes);
        out[head.value_bytes] = '\0';
    }
    return head;
}

/* kv.h: every kind of operation. */
Test(kv, get_put_swap_delete)
{
    struct vsr_state_machine m = make_kv();
    char value[VALUE_MAX + 1];

    cr_assert_eq(kv(&m, VSR_KV_GET, "a", NULL, NULL).status, VSR_KV_NOT_FOUND);
    cr_assert_eq(kv(&m, VSR_KV_SWAP, "a", "one", NULL).status, VSR_KV_NOT_FOUND);
    cr_assert_eq(kv(&m, VSR_KV_SWAP, "a", "two", value).status, VSR_KV_OK);
    cr_assert_str_eq(value, "one");
    cr_assert_eq(kv(&m, VSR_KV_PUT, "a", "3", NULL).status, VSR_KV_OK);
    cr_assert_eq(kv(&m, VSR_KV_GET, "a", NULL, value).status, VSR_KV_OK);
    cr_assert_str_eq(value, "3");
    cr_assert_eq(kv(&m, VSR_KV_DELETE, "a", NULL, NULL).status, VSR_KV_OK);
    cr_assert_eq(kv(&m, VSR_KV_DELETE, "a", NULL, NULL).status, VSR_KV_NOT_FOUND);
    m.destroy(m.state);
}

/* kv.h: bytes that are no valid operation change nothing. */
Test(kv, malformed_operations_change_nothing)
{
    struct vsr_state_machine m = make_kv();
    const uint64_t digest = m.digest(m.state);
    uint8_t payload[256];
    struct vsr_kv_result head;
    uint32_t whole = vsr_kv_encode(payload, VSR_KV_PUT, "key", 3, "value", 5);

    for (uint32_t bytes = 0; bytes < whole; bytes++) {
        struct result r = run(&m, payload, bytes);
        memcpy(&head, r.data, sizeof head);
        cr_assert_eq(head.status, VSR_KV_MALFORMED, "%u bytes", bytes);
    }
    cr_assert_eq(kv(&m, VSR_KV_KINDS, "key", NULL, NULL).status, VSR_KV_MALFORMED);
    cr_assert_eq(kv(&m, VSR_KV_GET, "a key of 13 b", NULL, NULL).status, VSR_KV_MALFORMED);
    cr_assert_eq(kv(&m, VSR_KV_GET, "", NULL, NULL).status, VSR_KV_MALFORMED);
    cr_assert_eq(kv(&m, VSR_KV_PUT, "k", "a value of thirty-three bytes ....", NULL).status,
                 VSR_KV_MALFORMED);
    cr_assert_eq(m.digest(m.state), digest);
    m.destroy(m.state);
}

/* kv.h: no place for one more record. */
Test(kv, full_store_takes_no_new_key)
{
    struct vsr_state_machine m = make_kv();
    char key[12];

    for (int i = 0; i < RECORDS; i++) {
        snprintf(key, sizeof key, "k%d", i);
        cr_assert_eq(kv(&m, VSR_KV_PUT, key, "v", NULL).status, VSR_KV_OK);
    }
    cr_assert_eq(kv(&m, VSR_KV_PUT, "more", "v", NULL).status, VSR_KV_FULL);
    cr_assert_eq(kv(&m, VSR_KV_PUT, "k5", "w", NULL).status, VSR_KV_OK);
    cr_assert_eq(kv(&m, VSR_KV_DELETE, "k5", NULL, NULL).status, VSR_KV_OK);
    cr_assert_eq(kv(&m, VSR_KV_PUT, "more", "v", NULL).status, VSR_KV_OK);
    m.destroy(m.state);
}

/* Random operations against a plain array; snapshots on the way restore the very same bytes. */
Test(kv, behaves_like_a_plain_array)
{
    static struct stream first;
    static struct stream second;
    struct vsr_state_machine m = make_kv();
    char model[KEYS][VALUE_MAX + 1] = {{0}};
    bool is_there[KEYS] = {false};
    uint64_t random = 1;
    int count = 0;

    for (int step = 0; step < 20000; step++) {
        random = random * 6364136223846793005ull + 1442695040888963407ull;
        int k = (int)((random >> 33) % KEYS);
        char key[12];
        char value[VALUE_MAX + 1];
        char got[VALUE_MAX + 1];
        snprintf(key, sizeof key, "key-%d", k);
        snprintf(value, sizeof value, "%.*s%d", (int)((random >> 50) % 20),
                 "xxxxxxxxxxxxxxxxxxxxxxxx", step);
        enum vsr_kv_kind kind = (enum vsr_kv_kind)((random >> 40) % VSR_KV_KINDS);
        bool has_value = kind == VSR_KV_PUT || kind == VSR_KV_SWAP;
        if (has_value && !is_there[k] && count == RECORDS) continue;
        struct vsr_kv_result r = kv(&m, kind, key, has_value ? value : NULL, got);
        bool is_found_kind = kind != VSR_KV_PUT;
        cr_assert_eq(r.status, !is_found_kind || is_there[k] ? VSR_KV_OK : VSR_KV_NOT_FOUND);
        if (is_there[k] && (kind == VSR_KV_GET || kind == VSR_KV_SWAP))
            cr_assert_str_eq(got, model[k]);
        if (has_value) {
            count += !is_there[k];
            is_there[k] = true;
            memcpy(model[k], value, sizeof value);
        } else if (kind == VSR_KV_DELETE) {
            count -= is_there[k];
            is_there[k] = false;
        }
        if (step % 1000 != 0) continue;
        /* Goes on from the snapshot: the same bytes come out again. */
        first.count = second.count = first.at = 0;
        cr_assert(m.save(m.state, write_stream, &first));
        uint64_t digest = m.digest(m.state);
        struct vsr_state_machine copy = make_kv();
        cr_assert(copy.load(copy.state, read_stream, &first));
        cr_assert(copy.save(copy.state, write_stream, &second));
        cr_assert_eq(copy.digest(copy.state), digest);
        cr_assert_eq(first.count, second.count);
        cr_assert_eq(memcmp(first.bytes, second.bytes, first.count), 0);
        m.destroy(m.state);
        m = copy;
    }
    m.destroy(m.state);
}

/* state_machine.h: load refuses bad bytes; the state is empty then. */
Test(kv, damaged_snapshot_is_refused)
{
    static struct stream stream;
    struct vsr_state_machine m = make_kv();
    const uint64_t empty = m.digest(m.state);

    kv(&m, VSR_KV_PUT, "a", "b", NULL);
    kv(&m, VSR_KV_PUT, "c", "d", NULL);
    stream.count = 0;
    cr_assert(m.save(m.state, write_stream, &stream));
    const size_t whole = stream.count;
    for (size_t count = 0; count < whole; count++) {
        stream.count = count;
        stream.at = 0;
        cr_assert(!m.load(m.state, read_stream, &stream));
        cr_assert_eq(m.digest(m.state), empty);
    }
    stream.count = whole;
    stream.at = 0;
    stream.bytes[0] = 0xFF;
    stream.bytes[1] = 0xFF;
    cr_assert(!m.load(m.state, read_stream, &stream), "more records than fit");
    m.destroy(m.state);
}

/* kv.h: options out of range. */
Test(kv, options_out_of_range_are_refused)
{
    struct vsr_state_machine m;
    const struct vsr_kv_options bad[] = {
        {.records_max = 0, .key_bytes_max = 8, .value_bytes_max = 8},
        {.records_max = 1, .key_bytes_max = 0, .value_bytes_max = 8},
        {.records_max = 1, .key_bytes_max = 256, .value_bytes_max = 8},
        {.records_max = 1, .key_bytes_max = 8, .value_bytes_max = 4097},
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_eq(vsr_kv_create(&bad[i], &m), -EINVAL);
}
