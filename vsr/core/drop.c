/**
 * What reasons of dropping are called.
 */
#include <vsr/drop.h>

#define X(name, text) [VSR_DROP_##name] = #name,
static const char *const names[VSR_DROP_COUNT] = {VSR_DROPS(X)};
#undef X
#define X(name, text) [VSR_DROP_##name] = text,
static const char *const texts[VSR_DROP_COUNT] = {VSR_DROPS(X)};
#undef X

const char *vsr_drop_name(enum vsr_drop why)
{
    return why < VSR_DROP_COUNT ? names[why] : "?";
}

const char *vsr_drop_text(enum vsr_drop why)
{
    return why < VSR_DROP_COUNT ? texts[why] : "?";
}
