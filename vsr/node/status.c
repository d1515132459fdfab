/**
 * What statuses mean. See vsr/status.h.
 */
#include <vsr/status.h>

#include <errno.h>
#include <stddef.h>

static const struct {
    int status;
    bool may_be_executed;
    const char *text;
} statuses[] = {
#define X(status, may_be_executed, text) {status, may_be_executed, text},
    VSR_STATUSES(X)
#undef X
};

bool vsr_status_may_be_executed(int status)
{
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
        if (statuses[i].status == status) return statuses[i].may_be_executed;
    return true;
}

const char *vsr_status_text(int status)
{
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
        if (statuses[i].status == status) return statuses[i].text;
    return "?";
}
