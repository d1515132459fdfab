/**
 * bench_core: the protocol core alone, one thread, no runtime: three replicas and a client whose
 * messages go through arrays. Steps per second, and what a commit costs in all.
 */
#include "driver.h"
#include "harness.h"
#include "program.h"

#include <vsr/client.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { REPLICAS = 3, SESSIONS = 1000, INBOX_MAX = 4096, COUNTERS = 4096, BUFFER_BYTES = 16384 };

/** A buffer with its count; freed ones wait in a list. */
struct memory {
    struct memory *next;
    uint64_t refs;
    uint64_t bytes[BUFFER_BYTES / 8];
};

struct inbox {
    struct vsr_buffer messages[INBOX_MAX];
    uint32_t count;
};

struct bench {
    struct memory *free;
    struct vsr_driver drivers[REPLICAS];
    struct vsr_client *client;
    struct vsr_client_effects client_effects;
    struct vsr_client_effects sends;
    struct inbox inboxes[REPLICAS];
    struct inbox replies;
    uint64_t counters[REPLICAS][COUNTERS];
    uint64_t steps;
    uint64_t answered;
};

static struct bench bench;

static bool take(void *context, uint32_t bytes, struct vsr_buffer *out)
{
    struct memory *m = bench.free;

    (void)context;
    if (bytes > BUFFER_BYTES) return false;
    if (m != NULL)
        bench.free = m->next;
    else if ((m = malloc(sizeof *m)) == NULL)
        return false;
    m->refs = 1;
    *out = (struct vsr_buffer){.header = (struct vsr_header *)(void *)m->bytes, .handle = m};
    return true;
}

static void *ref(void *context, void *handle)
{
    (void)context;
    ((struct memory *)handle)->refs++;
    return handle;
}

static void unref(void *context, void *handle)
{
    struct memory *m = handle;

    (void)context;
    if (--m->refs > 0) return;
    m->next = bench.free;
    bench.free = m;
}

static void put(struct inbox *inbox, struct vsr_buffer buffer)
{
    if (inbox->count < INBOX_MAX)
        inbox->messages[inbox->count++] = buffer;
    else
        unref(NULL, buffer.handle);
}

static void send_to_all(uint32_t to, struct vsr_buffer buffer)
{
    for (uint32_t i = 0; i < REPLICAS; i++) {
        if ((to >> i & 1) == 0) continue;
        ref(NULL, buffer.handle);
        put(&bench.inboxes[i], buffer);
    }
    unref(NULL, buffer.handle);
}

/* What the driver has its host do; the context is the replica's counters. */

static void send_to_mask(void *context, uint32_t to_mask, struct vsr_buffer buffer)
{
    (void)context;
    send_to_all(to_mask, buffer);
}

static void send_client(void *context, vsr_address address, struct vsr_buffer buffer)
{
    (void)context, (void)address;
    put(&bench.replies, buffer);
}

static bool apply(void *context, const struct vsr_effect *e)
{
    uint64_t *counters = context;

    for (uint32_t i = 0; i < e->count; i++) {
        uint64_t index;
        memcpy(&index, e->operations[i].payload, sizeof index);
        uint64_t value = ++counters[index % COUNTERS];
        memcpy(e->operations[i].result->data, &value, sizeof value);
        e->operations[i].result->bytes = sizeof value;
    }
    return true;
}

static bool persist(void *context, const struct vsr_effect *e)
{
    (void)context, (void)e;
    return true;
}

static void notice(void *context, const struct vsr_effect *e)
{
    (void)context, (void)e;
}

static void count_step(void *context, const struct vsr_event *event, enum vsr_drop why)
{
    (void)context, (void)event, (void)why;
    bench.steps++;
}

/** No replica falls behind here, so none needs a snapshot. */
static const struct vsr_host host = {
    .send = send_to_mask,
    .send_client = send_client,
    .apply = apply,
    .persist = persist,
    .notice = notice,
    .stepped = count_step,
};

static void step(uint32_t replica, struct vsr_event event)
{
    vsr_driver_step(&bench.drivers[replica], &event);
}

static void perform_sends(struct vsr_client_effects *effects)
{
    for (uint32_t i = 0; i < effects->count; i++)
        if (effects->list[i].kind == VSR_CLIENT_SEND)
            send_to_all(effects->list[i].to, effects->list[i].buffer);
    effects->count = 0;
}

static void client_turn(void)
{
    for (uint32_t i = 0; i < bench.replies.count; i++) {
        vsr_client_receive(bench.client, bench.replies.messages[i].header, &bench.client_effects);
        for (uint32_t k = 0; k < bench.client_effects.count; k++) {
            const struct vsr_client_effect *e = &bench.client_effects.list[k];
            const uint64_t payload[2] = {e->session, 1};
            bench.answered += e->kind == VSR_CLIENT_RESULT;
            if (vsr_client_submit(bench.client, e->session, payload, sizeof payload,
                                  &bench.sends) != 0)
                abort();
            perform_sends(&bench.sends);
        }
        bench.client_effects.count = 0;
        unref(NULL, bench.replies.messages[i].handle);
    }
    bench.replies.count = 0;
    vsr_client_turn_end(bench.client, &bench.sends);
    perform_sends(&bench.sends);
}

static void *zeroed(size_t bytes)
{
    size_t rounded = (bytes + 63) & ~(size_t)63;
    void *memory = aligned_alloc(64, rounded);
    if (memory == NULL) exit(1);
    memset(memory, 0, rounded);
    return memory;
}

static void set_up(void)
{
    const struct vsr_buffers buffers = {.take = take, .ref = ref, .unref = unref};
    struct vsr_replica_options o;
    struct vsr_client_options c;

    vsr_replica_options_init(&o);
    o.replica_count = REPLICAS;
    o.buffers = buffers;
    for (o.replica = 0; o.replica < REPLICAS; o.replica++) {
        if (vsr_driver_create(&bench.drivers[o.replica], &o, &host, bench.counters[o.replica]) != 0)
            exit(1);
        step(o.replica, (struct vsr_event){.kind = VSR_EVENT_START});
    }
    vsr_client_options_init(&c);
    c.replica_count = REPLICAS;
    c.sessions = SESSIONS;
    c.id[0] = 1;
    c.buffers = buffers;
    bench.client_effects.capacity = vsr_client_effects_max(&c);
    bench.client_effects.list =
        zeroed(bench.client_effects.capacity * sizeof *bench.client_effects.list);
    bench.sends.capacity = 1024;
    bench.sends.list = zeroed(bench.sends.capacity * sizeof *bench.sends.list);
    bench.client = vsr_client_init(zeroed(vsr_client_bytes(&c)), &c);
    vsr_client_open(bench.client, &bench.sends);
    perform_sends(&bench.sends);
}

static void round_of_turns(uint64_t now_ns)
{
    client_turn();
    for (uint32_t i = 0; i < REPLICAS; i++) {
        struct inbox *inbox = &bench.inboxes[i];
        for (uint32_t k = 0; k < inbox->count; k++)
            step(i, (struct vsr_event){.kind = VSR_EVENT_MESSAGE,
                                       .is_local = true,
                                       .message = inbox->messages[k]});
        inbox->count = 0;
        step(i, (struct vsr_event){.kind = VSR_EVENT_TURN_END});
        if (now_ns % 1024 == 0)
            step(i, (struct vsr_event){.kind = VSR_EVENT_TICK, .now_ns = now_ns});
    }
}

int main(int argc, char **argv)
{
    const bool is_json = argc > 1 && strcmp(argv[1], "--json") == 0;
    struct row row = {.benchmark = "core"};

    program_begin("bench_core");
    if (argc > 2 || (argc == 2 && !is_json)) {
        fprintf(stderr, "bench_core: accepted is --json\n");
        return 2;
    }
    if (!calibrate(&row.calibration)) return 1;
    set_up();
    double start = process_cpu_seconds();
    uint64_t rounds = 0;
    double spent;
    do {
        for (uint32_t i = 0; i < 100; i++)
            round_of_turns(++rounds);
        spent = process_cpu_seconds() - start;
    } while (spent < 2);
    row.peak_rss_bytes = process_peak_rss_bytes();
    row_add_number(&row, "sessions", SESSIONS);
    row_add_number(&row, "replicas", REPLICAS);
    row.row = "commits-one-thread";
    row.per_second = (double)bench.answered / spent;
    row.per_second_name = "commits_per_second";
    row.cpu_seconds_per_million = spent * 1e6 / (double)bench.answered;
    row_print(&row, is_json);
    row.row = "steps";
    row.per_second = (double)bench.steps / spent;
    row.per_second_name = "steps_per_second";
    row.cpu_seconds_per_million = spent * 1e6 / (double)bench.steps;
    row_print(&row, is_json);
    return program_end("bench_core", 0);
}
