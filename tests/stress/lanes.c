/**
 * stress_lanes: two threads, a lane there and a lane back. Nothing is lost, nothing comes twice,
 * the order is kept, and payloads written before a publish are read after the take, both ways.
 */
#include "stress.h"

#include "lane.h"

#include <sched.h>

/* More than a lane holds (96 batches of 62, 1024 single items), so that it is full now and then. */
enum { ITEMS = 8192, FIELDS = 6 };

/** Aligned like a message: lane.c tells ThreadSanitizer of cache lines. */
struct item {
    _Alignas(64) uint64_t sequence;
    uint64_t fields[FIELDS];
};

static struct item items[ITEMS];
static struct act_lane *there;
static struct act_lane *back;
static atomic_ullong refused; /* appends and publishes that found no room */
static atomic_uint is_over;   /* release, acquire: sent_count is final */
static uint64_t sent_count;

static void write_fields(struct item *item, uint64_t value)
{
    for (uint32_t i = 0; i < FIELDS; i++)
        item->fields[i] = value + i;
}

static void check_fields(const struct item *item, uint64_t value)
{
    for (uint32_t i = 0; i < FIELDS; i++)
        CHECK(item->fields[i] == value + i);
}

/** How many items to publish together: often one, often a full batch, else anything. */
static uint32_t choose_batch(uint64_t *random)
{
    switch (random_below(random, 4)) {
    case 0:
        return 1;
    case 1:
        return LANE_BATCH_ITEMS;
    default:
        return 1 + random_below(random, LANE_BATCH_ITEMS);
    }
}

static void append(struct act_lane *lane, struct item *item)
{
    while (!act_lane_append(lane, (uintptr_t)item)) {
        count_up(&refused);
        sched_yield();
    }
}

static void publish(struct act_lane *lane)
{
    while (!act_lane_publish(lane)) {
        count_up(&refused);
        sched_yield();
    }
    CHECK(act_lane_is_clean(lane));
}

/** Takes what has come back, in the order it was sent. Returns how many. */
static uint64_t take_back(uint64_t first)
{
    uint64_t taken = 0;

    for (;;) {
        struct act_lane_items got = act_lane_take(back);
        if (got.count == 0) return taken;
        for (uint32_t i = 0; i < got.count; i++, taken++) {
            const struct item *item = (const struct item *)got.list[i];
            CHECK(item->sequence == first + taken);
            CHECK(item == &items[item->sequence % ITEMS]);
            check_fields(item, ~item->sequence);
        }
    }
}

/** Produces on `there`: item k is items[k % ITEMS], used again when it has come back. */
static void *produce(void *nothing)
{
    uint64_t random = random_from_seed(1);
    const uint64_t end_ns = act_now_ns() + stress_ns;
    uint64_t sent = 0;
    uint64_t returned = 0;

    (void)nothing;
    while (act_now_ns() < end_ns) {
        uint32_t count = choose_batch(&random);
        for (uint32_t i = 0; i < count; i++) {
            while (sent - returned == ITEMS) {
                publish(there);
                returned += take_back(returned);
            }
            struct item *item = &items[sent % ITEMS];
            item->sequence = sent;
            write_fields(item, sent);
            append(there, item);
            sent++;
        }
        publish(there);
        if (random_one_in(&random, 8)) returned += take_back(returned);
    }
    sent_count = sent;
    atomic_store_explicit(&is_over, 1, memory_order_release);
    while (returned < sent)
        returned += take_back(returned);
    CHECK(act_lane_take(back).count == 0);
    return NULL;
}

/** Lets the lane run full: waits until the producer was refused, or has nothing left to send. */
static void dawdle(void)
{
    const uint64_t before = count_of(&refused);

    for (uint32_t i = 0; i < 5000 && count_of(&refused) == before; i++)
        sched_yield();
}

static void *consume(void *nothing)
{
    uint64_t random = random_from_seed(2);
    uint64_t received = 0;
    uint32_t batch = 1;

    (void)nothing;
    for (;;) {
        const bool was_over = atomic_load_explicit(&is_over, memory_order_acquire) != 0;
        struct act_lane_items got = act_lane_take(there);
        if (got.count == 0) {
            publish(back);
            if (was_over) break;
            continue;
        }
        CHECK(got.count <= LANE_BATCH_ITEMS);
        for (uint32_t i = 0; i < got.count; i++, received++) {
            struct item *item = (struct item *)got.list[i];
            CHECK(item->sequence == received);
            CHECK(item == &items[received % ITEMS]);
            check_fields(item, received);
            write_fields(item, ~received);
            append(back, item);
            if (--batch > 0) continue;
            publish(back);
            batch = choose_batch(&random);
        }
        if (random_one_in(&random, 2000)) dawdle();
    }
    CHECK(received == sent_count);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t producer;
    pthread_t consumer;

    stress_begin("stress_lanes", argc, argv);
    there = act_lane_create();
    back = act_lane_create();
    CHECK(there != NULL && back != NULL);
    CHECK(pthread_create(&consumer, NULL, consume, NULL) == 0);
    CHECK(pthread_create(&producer, NULL, produce, NULL) == 0);
    pthread_join(producer, NULL);
    pthread_join(consumer, NULL);
    CHECK(sent_count > ITEMS);
    CHECK(count_of(&refused) > 0);
    act_lane_destroy(there);
    act_lane_destroy(back);
    return 0;
}
