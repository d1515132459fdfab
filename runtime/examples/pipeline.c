#include <act/actor.h>
#include <act/port.h>
#include <act/runtime.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* source -> filter -> sink: the slow sink sets the pace, and nobody holds more than a few items. */
enum { NEXT = 1, ITEM, DONE, ITEMS = 10000, WAITING_MAX = 4 };

struct source {
    uint64_t next;
};
struct filter {
    act_id source, sink;
    struct act_message *kept; /* what the sink had no room for */
};
struct sink {
    act_id main;
    uint64_t items, sum;
};

static void send(act_id to, struct act_message *m)
{
    if (m == NULL || act_send(to, m) != 0) abort();
}

/* One item each time that it is asked for the next. */
static void source_receive(void *state, struct act_message *m)
{
    struct source *source = state;

    if (source->next < ITEMS) {
        struct act_message *item = act_message_create(ITEM, sizeof(uint64_t));
        if (item == NULL) abort();
        memcpy(item->body, &source->next, sizeof(uint64_t));
        source->next++;
        send(m->from, item);
    }
    act_message_unref(m);
}

/* Asks for the next item once the last one is with the sink; until then it asks for room there. */
static void pass_on(struct filter *filter)
{
    const int error = act_send(filter->sink, filter->kept);

    if (error == -EAGAIN) {
        if (act_await_room(filter->sink) != 0) abort();
        return;
    }
    if (error != 0) act_message_unref(filter->kept); /* the sink is gone */
    filter->kept = NULL;
    send(filter->source, act_message_create(NEXT, 0));
}

static void filter_receive(void *state, struct act_message *m)
{
    struct filter *filter = state;

    if (m->type == ITEM) {
        uint64_t value;
        memcpy(&value, m->body, sizeof value);
        value *= value;
        memcpy(m->body, &value, sizeof value);
        filter->kept = m;
        pass_on(filter);
        return;
    }
    if (m->type == NEXT) send(filter->source, act_message_create(NEXT, 0)); /* main starts it */
    act_message_unref(m);
    if (filter->kept != NULL) pass_on(filter); /* ACT_TYPE_ROOM */
}

static void filter_stopped(void *state, int reason)
{
    struct filter *filter = state;

    (void)reason;
    if (filter->kept != NULL) act_message_unref(filter->kept);
}

static void sink_receive(void *state, struct act_message *m)
{
    struct sink *sink = state;
    uint64_t value;

    memcpy(&value, m->body, sizeof value);
    for (volatile int slow = 0; slow < 1000; slow++) {
    }
    sink->sum += value;
    if (++sink->items == ITEMS) {
        m->type = DONE;
        memcpy(m->body, &sink->sum, sizeof sink->sum);
        send(sink->main, m);
    } else {
        act_message_unref(m);
    }
}

static const struct act_behaviour sourcing = {source_receive, NULL, NULL};
static const struct act_behaviour filtering = {filter_receive, NULL, filter_stopped};
static const struct act_behaviour sinking = {sink_receive, NULL, NULL};

int main(void)
{
    struct act_runtime_options options;
    struct act_runtime *runtime;
    struct act_port *port;
    struct act_message *m;
    struct act_error why;
    struct source source = {0};
    struct filter filter = {ACT_ID_NONE, ACT_ID_NONE, NULL};
    struct sink sink = {ACT_ID_NONE, 0, 0};
    uint64_t sum;
    act_id id;

    act_runtime_options_init(&options);
    options.workers = 2;
    if (act_runtime_start(&options, &runtime, &why) != 0) return puts(why.text), 1;
    if (act_port_open(runtime, &port) != 0) return 1;
    sink.main = act_port_id(port);
    const struct act_spawn_options last = {&sinking, &sink, ACT_PLACE_ON(1), WAITING_MAX, NULL};
    const struct act_spawn_options first = {&sourcing, &source, ACT_PLACE_ON(0), 0, NULL};
    const struct act_spawn_options middle = {&filtering, &filter, ACT_PLACE_ON(0), 0, NULL};
    if (act_spawn(&last, &filter.sink) != 0 || act_spawn(&first, &filter.source) != 0) return 1;
    if (act_spawn(&middle, &id) != 0) return 1;

    send(id, act_message_create(NEXT, 0));
    m = act_port_receive(port, UINT64_MAX); /* DONE */
    memcpy(&sum, m->body, sizeof sum);
    printf("sum of squares %llu\n", (unsigned long long)sum);
    act_message_unref(m);
    act_port_close(port);
    return act_runtime_stop(runtime) == 0 ? 0 : 1;
}
