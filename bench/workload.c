/**
 * See workload.h.
 */
#include "workload.h"

#include <vsr/counter.h>
#include <vsr/kv.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Zipfian draws made ahead, so that a draw costs a load and not two calls of pow. */
enum { DRAWS = 1 << 20, LINE_MAX_BYTES = 8192, TRACE_VALUE_MAX = 4096 };

static const char *const names[] = {
    [WORKLOAD_COUNTER] = "counter", [WORKLOAD_YCSB_A] = "ycsb-a", [WORKLOAD_YCSB_B] = "ycsb-b",
    [WORKLOAD_YCSB_C] = "ycsb-c",   [WORKLOAD_YCSB_F] = "ycsb-f", [WORKLOAD_TRACE] = "trace",
};

bool workload_named(const char *name, enum workload_kind *kind)
{
    for (uint32_t i = 0; i < WORKLOAD_TRACE; i++) {
        if (strcmp(name, names[i]) != 0) continue;
        *kind = (enum workload_kind)i;
        return true;
    }
    return false;
}

const char *workload_name(enum workload_kind kind)
{
    return names[kind];
}

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

/** Source: Gray et al., "Quickly generating billion-record synthetic databases", 1994; theta 0.99.
 */
static void draw_zipfian(uint32_t *keys, uint64_t seed)
{
    const double theta = 0.99;
    const double n = WORKLOAD_RECORDS;
    double zeta = 0;

    for (uint32_t i = 1; i <= WORKLOAD_RECORDS; i++)
        zeta += 1 / pow(i, theta);
    const double alpha = 1 / (1 - theta);
    const double zeta_2 = 1 + pow(0.5, theta);
    const double eta = (1 - pow(2 / n, 1 - theta)) / (1 - zeta_2 / zeta);
    for (uint32_t i = 0; i < DRAWS; i++) {
        double u = (double)(next_random(&seed) >> 11) * 0x1p-53;
        double uz = u * zeta;
        double rank = uz < 1 ? 0 : uz < zeta_2 ? 1 : n * pow(eta * u - eta + 1, alpha);
        /* The popular ones lie scattered over the records, not side by side. */
        uint64_t scatter = (uint64_t)rank;
        keys[i] = (uint32_t)(next_random(&scatter) % WORKLOAD_RECORDS);
    }
}

bool workload_init(struct workload *w, uint64_t seed, char *error, uint32_t error_bytes)
{
    if (w->kind == WORKLOAD_TRACE) return true;
    if (w->kind == WORKLOAD_COUNTER) {
        w->payload_max = w->op_bytes;
        return true;
    }
    w->payload_max = VSR_KV_OPERATION_BYTES(sizeof(uint64_t), WORKLOAD_VALUE_BYTES);
    w->keys = malloc(DRAWS * sizeof *w->keys);
    if (w->keys == NULL) {
        snprintf(error, error_bytes, "no memory for the workload");
        return false;
    }
    draw_zipfian(w->keys, seed);
    return true;
}

void workload_deinit(struct workload *w)
{
    free(w->keys);
    free(w->trace);
    free(w->trace_at);
    w->keys = NULL;
    w->trace = NULL;
    w->trace_at = NULL;
}

/* Traces. */

static const struct {
    const char *word;
    enum vsr_kv_kind kind;
    bool has_value;
} trace_words[] = {
    {"get", VSR_KV_GET, false},
    {"put", VSR_KV_PUT, true},
    {"swap", VSR_KV_SWAP, true},
    {"delete", VSR_KV_DELETE, false},
};

/** Encodes a line. Returns its bytes, 0 for a line that does not count, or -1 and why. */
static int encode_line(char *line, uint8_t *out, const char **why)
{
    char *rest = NULL;
    const char *word = strtok_r(line, " \t\r\n", &rest);
    const char *key = strtok_r(NULL, " \t\r\n", &rest);
    const char *value = strtok_r(NULL, " \t\r\n", &rest);

    if (word == NULL || word[0] == '#') return 0;
    for (size_t i = 0; i < sizeof trace_words / sizeof trace_words[0]; i++) {
        if (strcmp(word, trace_words[i].word) != 0) continue;
        *why = "a key of 1 to 64 bytes is missing or too long";
        if (key == NULL || strlen(key) > WORKLOAD_KEY_BYTES_MAX) return -1;
        *why = trace_words[i].has_value ? "a value of 1 to 4096 bytes is missing or too long"
                                        : "there is more than a key";
        if (trace_words[i].has_value != (value != NULL)) return -1;
        if (value != NULL && strlen(value) > TRACE_VALUE_MAX) return -1;
        *why = "there is more than a key and a value";
        if (strtok_r(NULL, " \t\r\n", &rest) != NULL) return -1;
        return (int)vsr_kv_encode(out, trace_words[i].kind, key, (uint32_t)strlen(key), value,
                                  value != NULL ? (uint32_t)strlen(value) : 0);
    }
    *why = "accepted is: get KEY, put KEY VALUE, swap KEY VALUE, delete KEY";
    return -1;
}

static bool append_operation(struct workload *w, const uint8_t *bytes, uint32_t count)
{
    uint64_t at = w->trace_count > 0 ? w->trace_at[w->trace_count] : 0;
    bool is_power = (w->trace_count & (w->trace_count + 1)) == 0;

    if (is_power) { /* grows at 0, 1, 3, 7, ...: twice as large each time */
        uint64_t *grown = realloc(w->trace_at, (2 * w->trace_count + 3) * sizeof *grown);
        if (grown == NULL) return false;
        w->trace_at = grown;
        if (w->trace_count == 0) w->trace_at[0] = 0;
    }
    if (at + count > w->trace_capacity) {
        uint64_t capacity = 2 * w->trace_capacity + count + LINE_MAX_BYTES;
        uint8_t *grown = realloc(w->trace, capacity);
        if (grown == NULL) return false;
        w->trace = grown;
        w->trace_capacity = capacity;
    }
    memcpy(w->trace + at, bytes, count);
    w->trace_at[++w->trace_count] = at + count;
    if (count > w->payload_max) w->payload_max = count;
    return true;
}

bool workload_load_trace(struct workload *w, const char *path, char *error, uint32_t error_bytes)
{
    static char line[LINE_MAX_BYTES];
    static uint8_t operation[LINE_MAX_BYTES];
    FILE *file = fopen(path, "r");
    unsigned long long number = 0;
    bool is_good = true;

    if (file == NULL) {
        snprintf(error, error_bytes, "%s: %s", path, strerror(errno));
        return false;
    }
    while (is_good && fgets(line, sizeof line, file) != NULL) {
        const char *why = "the line is longer than 8191 bytes";
        number++;
        int bytes =
            strchr(line, '\n') == NULL && !feof(file) ? -1 : encode_line(line, operation, &why);
        if (bytes < 0) snprintf(error, error_bytes, "%s:%llu: %s", path, number, why);
        is_good = bytes >= 0;
        if (bytes > 0 && !append_operation(w, operation, (uint32_t)bytes)) {
            snprintf(error, error_bytes, "%s:%llu: no memory for more", path, number);
            is_good = false;
        }
    }
    fclose(file);
    if (is_good && w->trace_count == 0) {
        snprintf(error, error_bytes, "%s: has no operation", path);
        is_good = false;
    }
    return is_good;
}

/* Operations. */

struct workload_cursor workload_cursor(const struct workload *w, uint64_t seed, uint32_t client,
                                       uint32_t clients)
{
    struct workload_cursor cursor = {.random = seed + client, .step = 1};

    cursor.next = next_random(&cursor.random) % DRAWS;
    if (w->kind == WORKLOAD_TRACE) {
        cursor.next = client;
        cursor.step = clients;
    }
    return cursor;
}

static uint32_t read_percent(const struct workload *w)
{
    if (w->read_percent != UINT32_MAX) return w->read_percent;
    return w->kind == WORKLOAD_YCSB_C ? 100 : w->kind == WORKLOAD_YCSB_B ? 95 : 50;
}

static uint32_t next_ycsb(const struct workload *w, struct workload_cursor *cursor, uint8_t *buffer)
{
    static const uint8_t value[WORKLOAD_VALUE_BYTES] = "a value of one hundred bytes";
    const uint64_t random = next_random(&cursor->random);
    const uint64_t key = w->keys[cursor->next++ & (DRAWS - 1)];

    if (random % 100 < read_percent(w))
        return vsr_kv_encode(buffer, VSR_KV_GET, &key, sizeof key, NULL, 0);
    uint32_t bytes = vsr_kv_encode(buffer, w->kind == WORKLOAD_YCSB_F ? VSR_KV_SWAP : VSR_KV_PUT,
                                   &key, sizeof key, value, WORKLOAD_VALUE_BYTES);
    memcpy(buffer + bytes - sizeof random, &random, sizeof random);
    return bytes;
}

uint32_t workload_next(const struct workload *w, struct workload_cursor *cursor, uint32_t session,
                       uint8_t *buffer, const void **payload)
{
    *payload = buffer;
    if (w->kind == WORKLOAD_COUNTER) {
        const struct vsr_counter_add add = {.index = session, .amount = 1};
        memcpy(buffer, &add, sizeof add);
        return w->op_bytes;
    }
    if (w->kind != WORKLOAD_TRACE) return next_ycsb(w, cursor, buffer);
    if (cursor->next >= w->trace_count) return 0;
    const uint64_t at = w->trace_at[cursor->next];
    const uint64_t end = w->trace_at[cursor->next + 1];
    cursor->next += cursor->step;
    *payload = w->trace + at;
    return (uint32_t)(end - at);
}

/* Machines. */

static struct vsr_kv_options kv_options(const struct workload *w)
{
    if (w->kind == WORKLOAD_TRACE)
        return (struct vsr_kv_options){
            .records_max = WORKLOAD_RECORDS,
            .key_bytes_max = WORKLOAD_KEY_BYTES_MAX,
            .value_bytes_max = w->payload_max < TRACE_VALUE_MAX ? w->payload_max : TRACE_VALUE_MAX};
    return (struct vsr_kv_options){.records_max = WORKLOAD_RECORDS,
                                   .key_bytes_max = sizeof(uint64_t),
                                   .value_bytes_max = WORKLOAD_VALUE_BYTES};
}

uint32_t workload_result_bytes_max(const struct workload *w)
{
    if (w->kind == WORKLOAD_COUNTER) return sizeof(uint64_t);
    return (uint32_t)sizeof(struct vsr_kv_result) + kv_options(w).value_bytes_max;
}

/** The records that the YCSB workloads find: every replica begins with the same ones. */
static void load_records(struct vsr_state_machine *machine)
{
    uint8_t value[WORKLOAD_VALUE_BYTES] = {0};
    uint8_t payload[256];
    uint64_t result[(sizeof(struct vsr_result) + sizeof(struct vsr_kv_result) + 15) / 8];

    for (uint64_t key = 0; key < WORKLOAD_RECORDS; key++) {
        memcpy(value, &key, sizeof key);
        const struct vsr_operation operation = {
            .payload = payload,
            .result = (struct vsr_result *)(void *)result,
            .payload_bytes =
                vsr_kv_encode(payload, VSR_KV_PUT, &key, sizeof key, value, sizeof value),
        };
        machine->apply(machine->state, 0, 0, &operation, 1);
    }
}

int workload_create_machine(void *workload, uint32_t replica, struct vsr_state_machine *machine)
{
    const struct workload *w = workload;

    (void)replica;
    if (w->kind == WORKLOAD_COUNTER) return vsr_counter_create(w->sessions, machine);
    const struct vsr_kv_options options = kv_options(w);
    int error = vsr_kv_create(&options, machine);
    if (error == 0 && w->kind != WORKLOAD_TRACE) load_records(machine);
    return error;
}
