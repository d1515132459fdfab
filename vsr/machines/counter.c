/**
 * The counter array. See vsr/counter.h.
 */
#include <vsr/counter.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct counters {
    uint32_t count;
    uint64_t values[];
};

static void apply_one(struct counters *c, const struct vsr_operation *operation)
{
    const struct vsr_counter_add *add = operation->payload;

    operation->result->bytes = 0;
    if (operation->payload_bytes < sizeof *add || add->index >= c->count) return;
    uint64_t value = c->values[add->index] += add->amount;
    operation->result->bytes = sizeof value;
    memcpy(operation->result->data, &value, sizeof value);
}

static void apply(void *state, vsr_op op, uint64_t timestamp,
                  const struct vsr_operation *operations, uint32_t count)
{
    (void)op;
    (void)timestamp;
    for (uint32_t i = 0; i < count; i++)
        apply_one(state, &operations[i]);
}

static bool save(void *state, vsr_snapshot_write write, void *stream)
{
    const struct counters *c = state;
    return write(stream, c->values, c->count * sizeof c->values[0]);
}

static bool load(void *state, vsr_snapshot_read read, void *stream)
{
    struct counters *c = state;

    if (read(stream, c->values, c->count * sizeof c->values[0])) return true;
    memset(c->values, 0, c->count * sizeof c->values[0]);
    return false;
}

static uint64_t digest(void *state)
{
    const struct counters *c = state;
    uint64_t sum = c->count;

    for (uint32_t i = 0; i < c->count; i++) {
        sum = (sum ^ c->values[i]) * 0x9E3779B97F4A7C15ull;
        sum ^= sum >> 32;
    }
    return sum;
}

int vsr_counter_create(uint32_t count, struct vsr_state_machine *machine)
{
    struct counters *c;

    if (count == 0) return -EINVAL;
    c = calloc(1, sizeof *c + count * sizeof c->values[0]);
    if (c == NULL) return -ENOMEM;
    c->count = count;
    *machine = (struct vsr_state_machine){
        .state = c,
        .result_bytes_max = sizeof c->values[0],
        .apply = apply,
        .save = save,
        .load = load,
        .digest = digest,
        .destroy = free,
    };
    return 0;
}
