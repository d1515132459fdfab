/**
 * The sizes of results: from the state machine to the caller, at the limit and beyond it.
 */
#include "leak_check.h"

#include "driver.h"
#include "world.h"

#include <vsr/kv.h>

#include <errno.h>
#include <signal.h>
#include <string.h>

LEAK_CHECKED_SUITE(results);

enum { VALUE_BYTES_MAX = 4096 };

static int create_kv(void *context, uint32_t replica, struct vsr_state_machine *machine)
{
    const uint32_t *value_bytes_max = context;
    const struct vsr_kv_options o = {
        .records_max = 16, .key_bytes_max = 8, .value_bytes_max = *value_bytes_max};

    (void)replica;
    return vsr_kv_create(&o, machine);
}

static void make(struct world *w, vsr_machine_create create_machine, void *context)
{
    world_init(w);
    w->options.create_machine = create_machine;
    w->options.machine_context = context;
    w->options.replica.op_bytes_max = VSR_KV_OPERATION_BYTES(8, VALUE_BYTES_MAX + 1);
    world_start_runtime(w);
}

static uint16_t call(struct world *w, enum vsr_kv_kind kind, const uint8_t *value,
                     uint32_t value_bytes, uint8_t *read, uint16_t *read_bytes)
{
    uint8_t operation[VSR_KV_OPERATION_BYTES(8, VALUE_BYTES_MAX + 1)];
    uint8_t result[sizeof(struct vsr_kv_result) + VALUE_BYTES_MAX];
    uint32_t result_bytes = sizeof result;
    struct vsr_kv_result head;
    uint32_t bytes = vsr_kv_encode(operation, kind, "key", 3, value, value_bytes);

    cr_assert_eq(vsr_caller_call(w->caller, operation, bytes, result, &result_bytes, 10 * SECOND),
                 0);
    memcpy(&head, result, sizeof head);
    cr_assert_eq(result_bytes, sizeof head + head.value_bytes);
    if (read != NULL) memcpy(read, result + sizeof head, head.value_bytes);
    if (read_bytes != NULL) *read_bytes = head.value_bytes;
    return head.status;
}

static void put_and_get(struct world *w, uint32_t bytes)
{
    uint8_t value[VALUE_BYTES_MAX];
    uint8_t read[VALUE_BYTES_MAX];
    uint16_t read_bytes = 0;

    for (uint32_t i = 0; i < bytes; i++)
        value[i] = (uint8_t)(i * 7 + bytes);
    cr_assert_eq(call(w, VSR_KV_PUT, value, bytes, NULL, NULL), VSR_KV_OK);
    cr_assert_eq(call(w, VSR_KV_GET, NULL, 0, read, &read_bytes), VSR_KV_OK);
    cr_assert_eq(read_bytes, bytes);
    cr_assert_arr_eq(read, value, bytes);
}

/* cluster.h: result_bytes_max is the state machine's, whatever stands in the options. */
Test(results, values_of_every_size_come_back)
{
    static const uint32_t sizes[] = {0, 15, 16, 17, 100, VALUE_BYTES_MAX - 1, VALUE_BYTES_MAX};
    const uint8_t beyond[VALUE_BYTES_MAX + 1] = {0};
    uint32_t value_bytes_max = VALUE_BYTES_MAX;
    struct world w;

    make(&w, create_kv, &value_bytes_max);
    w.options.replica.result_bytes_max = 16;
    w.options.replica.batch_bytes_max = 64 * 1024;
    world_start_caller(&w);
    for (uint32_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        put_and_get(&w, sizes[i]);
    cr_assert_eq(call(&w, VSR_KV_PUT, beyond, sizeof beyond, NULL, NULL), VSR_KV_MALFORMED);
    cr_assert_eq(vsr_cluster_settle(w.cluster, 10 * SECOND), 0);
    world_stop(&w);
}

/** Counters that say something else of their results than they do. */
struct oddity {
    uint32_t replica;          /* which one is odd; UINT32_MAX: all */
    uint32_t result_bytes_max; /* what it says */
    bool lacks_apply;
};

static int create_odd(void *context, uint32_t replica, struct vsr_state_machine *machine)
{
    const struct oddity *odd = context;
    int error = vsr_counter_create(8, machine);

    if (error != 0 || (odd->replica != UINT32_MAX && odd->replica != replica)) return error;
    machine->result_bytes_max = odd->result_bytes_max;
    if (odd->lacks_apply) machine->apply = NULL;
    return 0;
}

static void refused(struct oddity odd, const char *option, const char *text)
{
    struct world w;
    struct vsr_error why = {0};

    make(&w, create_odd, &odd);
    cr_assert_eq(vsr_cluster_start(&w.options, &w.cluster, &why), -EINVAL);
    cr_assert_str_eq(why.option, option);
    cr_assert_not_null(strstr(why.text, text), "%s", why.text);
    cr_assert_eq(vsr_cluster_start(&w.options, &w.cluster, NULL), -EINVAL);
    world_stop(&w);
}

/* cluster.h: -EINVAL and why for machines that cannot be. */
Test(results, machines_that_cannot_be_are_refused)
{
    refused((struct oddity){.replica = UINT32_MAX, .result_bytes_max = VSR_RESULT_BYTES_MAX + 1},
            "result_bytes_max", "at most 32768");
    refused((struct oddity){.replica = 2, .result_bytes_max = 16}, "result_bytes_max",
            "of replica 2");
    refused((struct oddity){.replica = 1, .result_bytes_max = 8, .lacks_apply = true}, "apply",
            "replica 1 has no apply");
}

/* cluster.h: a reply message that has no room for the largest result is refused. */
Test(results, replies_have_room_for_the_largest_result)
{
    struct world w;
    struct oddity odd = {.replica = UINT32_MAX, .result_bytes_max = VSR_RESULT_BYTES_MAX};
    struct vsr_error why = {0};

    make(&w, create_odd, &odd);
    cr_assert_eq(vsr_cluster_start(&w.options, &w.cluster, &why), -EINVAL);
    cr_assert_str_eq(why.option, "reply_bytes_max");
    w.options.replica.reply_bytes_max = VSR_RESULT_BYTES_MAX + 1024;
    w.options.replica.sessions_max = 16;
    cr_assert_eq(vsr_cluster_start(&w.options, &w.cluster, NULL), 0);
    world_stop(&w);
}

/* cluster.h: a machine made for a restart has to give the same results. */
Test(results, a_restart_with_other_results_is_refused)
{
    struct world w;
    struct oddity odd = {.replica = 7};
    struct vsr_error why = {0};

    make(&w, create_odd, &odd);
    world_start(&w);
    world_kill(&w, 2);
    odd = (struct oddity){.replica = 2, .result_bytes_max = 24};
    cr_assert_eq(vsr_cluster_restart(w.cluster, 2, &why), -EINVAL);
    cr_assert_str_eq(why.option, "result_bytes_max");
    odd.replica = 7;
    world_restart(&w, 2);
    world_stop(&w);
}

/* state_machine.h: a result above result_bytes_max ends the process, at once and by name. */
Test(results, a_machine_that_says_too_little_is_stopped, .signal = SIGABRT)
{
    struct world w;
    struct oddity odd = {.replica = UINT32_MAX, .result_bytes_max = 4}; /* it writes 8 */
    uint64_t value;

    make(&w, create_odd, &odd);
    world_start_caller(&w);
    if (world_add(w.caller, (struct vsr_counter_add){1, 1}, &value, 10 * SECOND) == 0)
        cr_assert_fail("it went on");
}

/** Says of its second result that it is a byte too large, and writes nothing. */
static void apply_too_much(void *state, vsr_op op, uint64_t timestamp,
                           const struct vsr_operation *operations, uint32_t count)
{
    (void)state, (void)op, (void)timestamp;
    for (uint32_t i = 0; i < count; i++)
        operations[i].result->bytes = i == 1 ? 9 : 8;
}

/* driver.h: each result is looked at right after apply, whoever replies later or not at all. */
Test(results, each_result_is_looked_at, .signal = SIGABRT)
{
    _Alignas(16) uint8_t room[3][32];
    struct vsr_operation operations[3];
    const struct vsr_state_machine machine = {.apply = apply_too_much, .result_bytes_max = 8};

    for (uint32_t i = 0; i < 3; i++)
        operations[i] = (struct vsr_operation){.result = (void *)room[i]};
    vsr_driver_apply(&machine, &(struct vsr_effect){.kind = VSR_EFFECT_APPLY,
                                                    .op = 1,
                                                    .operations = operations,
                                                    .count = 1}); /* the first is fine */
    vsr_driver_apply(&machine,
                     &(struct vsr_effect){
                         .kind = VSR_EFFECT_APPLY, .op = 2, .operations = operations, .count = 3});
}

/* kv.h: the library's own store works with what a user leaves at its default. */
Test(results, the_store_works_by_default)
{
    struct world w;
    uint8_t value[600] = {7};
    uint8_t operation[1024];
    uint8_t result[1024];
    uint32_t bytes = sizeof result;

    world_init(&w);
    w.runtime_options.workers = 0;
    w.options.create_machine = create_kv;
    w.options.machine_context = &(uint32_t){sizeof value};
    w.options.replica.cluster = 0;
    world_start_caller(&w);
    uint32_t size = vsr_kv_encode(operation, VSR_KV_PUT, "key", 3, value, sizeof value);
    cr_assert_eq(vsr_caller_call(w.caller, operation, size, NULL, NULL, 10 * SECOND), 0);
    size = vsr_kv_encode(operation, VSR_KV_GET, "key", 3, NULL, 0);
    cr_assert_eq(vsr_caller_call(w.caller, operation, size, result, &bytes, 10 * SECOND), 0);
    cr_assert_eq(bytes, sizeof(struct vsr_kv_result) + sizeof value);
    cr_assert_eq(memcmp(result + sizeof(struct vsr_kv_result), value, sizeof value), 0);
    world_stop(&w);
}

/** A machine whose result of 8 bytes fits, and which writes one byte behind that of one operation.
 */
static uint32_t overrun_at; /* index in the batch */
static uint8_t overrun_with;

static void apply_beyond(void *state, vsr_op op, uint64_t timestamp,
                         const struct vsr_operation *operations, uint32_t count)
{
    (void)state, (void)op, (void)timestamp;
    for (uint32_t i = 0; i < count; i++) {
        operations[i].result->bytes = 8;
        memset(operations[i].result->data, 7, 8);
        if (i == overrun_at) operations[i].result->data[8] = overrun_with;
    }
}

static void apply_batches(uint32_t ops, uint32_t count)
{
    _Alignas(16) uint8_t room[300][32] = {{0}};
    static struct vsr_operation operations[300];
    const struct vsr_state_machine machine = {.apply = apply_beyond, .result_bytes_max = 8};

    for (uint32_t i = 0; i < count; i++) {
        operations[i] = (struct vsr_operation){.result = (void *)room[i]};
        memset(room[i] + 12, 0xC0 + (int)i % 16, 20);
    }
    for (uint32_t op = 1; op <= ops; op++)
        vsr_driver_apply(&machine, &(struct vsr_effect){.kind = VSR_EFFECT_APPLY,
                                                        .op = op,
                                                        .operations = operations,
                                                        .count = count});
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t b = 12; b < 32; b++)
            cr_assert_eq(room[i][b], 0xC0 + i % 16, "what lies behind the place is put back");
}

/* state_machine.h: who stays within the places is left alone, and so is what lies behind them. */
Test(results, what_lies_behind_a_place_is_left_as_it_was)
{
    overrun_at = UINT32_MAX;
    apply_batches(100, 1);
    apply_batches(100, 2);
    apply_batches(100, 300);
}

/* state_machine.h: a byte behind a place ends the process, though the size given is a small one. */
Test(results, a_write_beyond_the_place_is_seen_at_once_in_a_batch_of_one, .signal = SIGABRT)
{
    overrun_at = 0;
    apply_batches(1, 1);
}

/* The same with a byte that a zeroed place had already. */
Test(results, a_zero_beyond_the_place_is_seen, .signal = SIGABRT)
{
    overrun_at = 0;
    overrun_with = 0xC0;
    apply_batches(1, 1);
}

/* In release builds one place of a batch is looked at, another one at each op. */
Test(results, a_write_beyond_any_place_is_seen_before_long, .signal = SIGABRT)
{
    overrun_at = 17;
    apply_batches(4000, 300);
}

/* Under a real cluster: the library's own table behind the place, and its name on stderr. */
static int create_beyond(void *context, uint32_t replica, struct vsr_state_machine *machine)
{
    (void)context, (void)replica;
    int error = vsr_counter_create(8, machine);

    machine->apply = apply_beyond;
    return error;
}

Test(results, a_cluster_s_machine_that_writes_beyond_is_stopped, .signal = SIGABRT)
{
    struct world w;
    uint64_t value;

    make(&w, create_beyond, NULL);
    world_start_caller(&w);
    if (world_add(w.caller, (struct vsr_counter_add){1, 1}, &value, 10 * SECOND) == 0)
        cr_assert_fail("it went on");
}
