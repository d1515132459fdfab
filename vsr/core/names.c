/**
 * What things are called: for logs and reports.
 */
#include <vsr/replica.h>

#define X(name, text) [VSR_DROP_##name] = #name,
static const char *const drop_names[VSR_DROP_COUNT] = {VSR_DROPS(X)};
#undef X
#define X(name, text) [VSR_DROP_##name] = text,
static const char *const drop_texts[VSR_DROP_COUNT] = {VSR_DROPS(X)};
#undef X
#define X(name, text) [VSR_NOTICE_##name] = text,
static const char *const notice_texts[VSR_NOTICE_COUNT] = {VSR_NOTICES(X)};
#undef X

const char *vsr_drop_name(enum vsr_drop why)
{
    return why < VSR_DROP_COUNT ? drop_names[why] : "?";
}

const char *vsr_drop_text(enum vsr_drop why)
{
    return why < VSR_DROP_COUNT ? drop_texts[why] : "?";
}

const char *vsr_notice_text(enum vsr_notice notice)
{
    return notice < VSR_NOTICE_COUNT ? notice_texts[notice] : "?";
}

const char *vsr_status_name(enum vsr_status status)
{
    static const char *const names[] = {
        [VSR_STATUS_STARTING] = "STARTING",       [VSR_STATUS_NORMAL] = "NORMAL",
        [VSR_STATUS_VIEW_CHANGE] = "VIEW_CHANGE", [VSR_STATUS_RECOVERING] = "RECOVERING",
        [VSR_STATUS_HALTED] = "HALTED",
    };
    return status < sizeof names / sizeof names[0] ? names[status] : "?";
}

const char *vsr_kind_text(uint8_t kind)
{
    static const char *const texts[VSR_KIND_COUNT] = {
#define X(name, text, bytes) [VSR_KIND_##name] = text,
        VSR_KINDS(X)
#undef X
    };
    return kind < VSR_KIND_COUNT ? texts[kind] : "?";
}

const char *vsr_message_name(uint8_t type)
{
    static const char *const names[VSR_MESSAGE_COUNT] = {[VSR_MESSAGE_NONE] = "?",
#define X(name, text, ...) [VSR_##name] = text,
                                                         VSR_MESSAGES(X)
#undef X
    };
    return type < VSR_MESSAGE_COUNT ? names[type] : "?";
}
