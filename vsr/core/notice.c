/**
 * What notices say.
 */
#include <vsr/notice.h>

#define X(name, text) [VSR_NOTICE_##name] = text,
static const char *const texts[VSR_NOTICE_COUNT] = {VSR_NOTICES(X)};
#undef X

const char *vsr_notice_text(enum vsr_notice notice)
{
    return notice < VSR_NOTICE_COUNT ? texts[notice] : "?";
}
