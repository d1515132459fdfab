/**
 * Errors in words. See errors.h.
 */
#include "errors.h"

#include "../core/assert.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int vsr_node_explain(struct vsr_error *why, const char *option, int error, const char *format, ...)
{
    va_list arguments;

    VSR_ASSERT(option != NULL);
    VSR_ASSERT(error < 0);
    if (why == NULL) return error;
    *why = (struct vsr_error){.option = option, .rule = ""};
    va_start(arguments, format);
    vsnprintf(why->text, sizeof why->text, format, arguments);
    va_end(arguments);
    return error;
}

void vsr_node_error_finish(struct vsr_error *why, int error)
{
    VSR_ASSERT(error <= 0);
    if (why == NULL || error == 0 || why->text[0] != '\0') return;
    if (why->option == NULL) why->option = "";
    snprintf(why->text, sizeof why->text, "%s", strerror(-error));
}
