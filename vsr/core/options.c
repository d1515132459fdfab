/**
 * The options of replicas and clients: defaults and ranges.
 */
#include "options.h"

#include <vsr/client.h>
#include <vsr/replica.h>

#include "quorum.h"

#include <errno.h>

/** Appends what fits; the text always ends. Returns where it ends now. */
static size_t append_text(struct vsr_error *why, size_t at, const char *text)
{
    VSR_ASSERT(at < sizeof why->text);
    for (; *text != 0 && at + 1 < sizeof why->text; text++)
        why->text[at++] = *text;
    why->text[at] = 0;
    return at;
}

static size_t append_number(struct vsr_error *why, size_t at, uint64_t number)
{
    char digits[21];
    size_t first = sizeof digits - 1;

    digits[first] = 0;
    do {
        VSR_ASSERT(first > 0); /* 20 digits are the most */
        digits[--first] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    return append_text(why, at, &digits[first]);
}

void vsr_error_explain(struct vsr_error *why)
{
    VSR_ASSERT(why->option != NULL);
    VSR_ASSERT(why->rule != NULL);
    size_t at = append_text(why, 0, why->option);

    at = append_text(why, at, " is ");
    at = append_number(why, at, why->value);
    if (why->min != 0 || why->max != 0) {
        at = append_text(why, at, "; accepted is ");
        at = append_number(why, at, why->min);
        if (why->max == UINT64_MAX) {
            at = append_text(why, at, " and above");
        } else if (why->max != why->min) {
            at = append_text(why, at, " to ");
            at = append_number(why, at, why->max);
        }
    }
    if (why->rule[0] != 0) {
        at = append_text(why, at, ": ");
        append_text(why, at, why->rule);
    }
}

int vsr_options_check(const struct vsr_option_range *ranges, size_t count, struct vsr_error *why)
{
    VSR_ASSERT(count > 0);
    for (size_t i = 0; i < count; i++) {
        const struct vsr_option_range *o = &ranges[i];
        VSR_ASSERT(o->name != NULL);
        bool is_power = o->value != 0 && (o->value & (o->value - 1)) == 0;
        if (o->value >= o->min && o->value <= o->max && (!o->is_power_of_two || is_power)) continue;
        if (why == NULL) return -EINVAL;
        *why = (struct vsr_error){
            .option = o->name,
            .value = o->value,
            .min = o->min,
            .max = o->max,
            .rule = o->rule != NULL      ? o->rule
                    : o->is_power_of_two ? "a power of two"
                                         : "",
        };
        vsr_error_explain(why);
        return -EINVAL;
    }
    return 0;
}

static uint32_t largest_request(uint32_t op_bytes_max)
{
    uint32_t payload = VSR_PADDED(op_bytes_max);
    if (payload < sizeof(struct vsr_register)) payload = sizeof(struct vsr_register);
    return (uint32_t)sizeof(struct vsr_request) + payload;
}

static uint32_t largest_reply(uint32_t result_bytes_max)
{
    uint32_t payload = VSR_PADDED(result_bytes_max);
    if (payload < sizeof(struct vsr_registered)) payload = sizeof(struct vsr_registered);
    return (uint32_t)sizeof(struct vsr_reply) + payload;
}

static const char quorum_rule[] = "0 for a majority, or Qr + Qv > replica_count";

int vsr_replica_options_check(const struct vsr_replica_options *o, struct vsr_error *why)
{
    const uint32_t n = o->replica_count;
    const uint32_t majority = quorum_majority(n);
    const uint32_t qr = o->quorum_replication != 0 ? o->quorum_replication : majority;
    const uint32_t qv_least = n + 1 - (qr <= n ? qr : n);
    const uint64_t prepare_least = sizeof(struct vsr_prepare) + largest_request(o->op_bytes_max);
    const uint64_t reply_least = sizeof(struct vsr_header) + largest_reply(o->result_bytes_max);
    const struct vsr_option_range ranges[] = {
        {.name = "replica_count", .value = n, .min = 1, .max = VSR_REPLICAS_MAX},
        {.name = "replica", .value = o->replica, .max = n - 1},
        {.name = "quorum_replication",
         .value = o->quorum_replication,
         .max = n,
         .rule = quorum_rule},
        /* Two replicas or more never change views alone, whatever Qr is. */
        {.name = "quorum_view_change",
         .value = o->quorum_view_change != 0 ? o->quorum_view_change : majority,
         .min = n >= 2 && qv_least < 2 ? 2 : qv_least,
         .max = n,
         .rule = quorum_rule},
        {.name = "sessions_max", .value = o->sessions_max, .min = 1, .max = VSR_SESSIONS_MAX},
        {.name = "op_bytes_max", .value = o->op_bytes_max, .max = VSR_OP_BYTES_MAX},
        {.name = "result_bytes_max", .value = o->result_bytes_max, .max = VSR_RESULT_BYTES_MAX},
        {.name = "pipeline_max", .value = o->pipeline_max, .min = 1, .max = VSR_PIPELINE_MAX},
        {.name = "log_ops",
         .value = o->log_ops,
         .min = 4 * (uint64_t)o->pipeline_max,
         .max = VSR_LOG_OPS_MAX,
         .is_power_of_two = true},
        {.name = "batch_bytes_max",
         .value = o->batch_bytes_max,
         .min = prepare_least,
         .max = VSR_MESSAGE_BYTES_MAX - sizeof(struct vsr_new_state),
         .rule = "a multiple of 8 that holds the largest request"},
        {.name = "batch_requests_max", .value = o->batch_requests_max, .min = 1, .max = 65536},
        {.name = "reply_bytes_max",
         .value = o->reply_bytes_max,
         .min = reply_least,
         .max = VSR_MESSAGE_BYTES_MAX,
         .rule = "holds the largest result"},
        {.name = "queue_max",
         .value = o->queue_max,
         .min = 1,
         .max = 1 << 22,
         .is_power_of_two = true},
        {.name = "heartbeat_ticks", .value = o->heartbeat_ticks, .min = 1, .max = UINT32_MAX},
        {.name = "resend_ticks", .value = o->resend_ticks, .min = 1, .max = UINT32_MAX},
        {.name = "suspect_ticks",
         .value = o->suspect_ticks,
         .min = (uint64_t)o->heartbeat_ticks + 1,
         .max = 1 << 24},
        {.name = "abdicate_ticks",
         .value = o->abdicate_ticks,
         .min = (uint64_t)o->heartbeat_ticks + 1,
         .max = 1 << 24},
        {.name = "chunk_bytes_max",
         .value = o->chunk_bytes_max,
         .min = 1024,
         .max = VSR_CHUNK_BYTES_MAX},
        {.name = "recovery_quorum",
         .value = o->recovery_quorum,
         .max = n > 1 ? n - 1 : 1,
         .rule = "0 for replica_count - Qv + 1; of others"},
    };
    return vsr_options_check(ranges, sizeof ranges / sizeof ranges[0], why);
}

void vsr_replica_options_init(struct vsr_replica_options *options)
{
    *options = (struct vsr_replica_options){
        .replica_count = 1,
        .incarnation = 1,
        .sessions_max = 1024,
        .op_bytes_max = 64,
        .result_bytes_max = 16,
        .log_ops = 1024,
        .pipeline_max = 8,
        .batch_bytes_max = 16 * 1024,
        .batch_requests_max = 1024,
        .queue_max = 16 * 1024,
        .reply_bytes_max = 8 * 1024,
        .heartbeat_ticks = 5,
        .resend_ticks = 5,
        .suspect_ticks = 20,
        .abdicate_ticks = 30,
        .chunk_bytes_max = 64 * 1024,
    };
}

int vsr_client_options_check(const struct vsr_client_options *o, struct vsr_error *why)
{
    const uint64_t request_least = sizeof(struct vsr_header) + largest_request(o->op_bytes_max);
    const struct vsr_option_range ranges[] = {
        {.name = "replica_count", .value = o->replica_count, .min = 1, .max = VSR_REPLICAS_MAX},
        {.name = "sessions_max", .value = o->sessions_max, .min = 1, .max = VSR_SESSIONS_MAX},
        {.name = "sessions",
         .value = o->sessions,
         .min = 1,
         .max = o->sessions_max,
         .rule = "no more than the cluster's sessions_max"},
        {.name = "op_bytes_max", .value = o->op_bytes_max, .max = VSR_OP_BYTES_MAX},
        {.name = "request_bytes_max",
         .value = o->request_bytes_max,
         .min = request_least,
         .max = VSR_MESSAGE_BYTES_MAX,
         .rule = "holds the largest request"},
        {.name = "retry_ticks", .value = o->retry_ticks, .min = 1, .max = 1 << 24},
        {.name = "retry_doublings", .value = o->retry_doublings, .max = 16},
        {.name = "busy_ticks", .value = o->busy_ticks, .min = 1, .max = 1 << 24},
        {.name = "id",
         .value = o->id[0] | o->id[1],
         .min = 1,
         .max = UINT64_MAX,
         .rule = "128 random bits, never used before in this cluster; there is no default"},
    };
    return vsr_options_check(ranges, sizeof ranges / sizeof ranges[0], why);
}

void vsr_client_options_init(struct vsr_client_options *options)
{
    *options = (struct vsr_client_options){
        .replica_count = 1,
        .sessions = 1,
        .sessions_max = 1024,
        .op_bytes_max = 64,
        .request_bytes_max = 8 * 1024,
        .retry_ticks = 100,
        .retry_doublings = 5,
        .busy_ticks = 2,
    };
}
