# project_options: what every target of the project is compiled with.
option(VSR_WERROR "Warnings are errors (CI)" OFF)

add_library(project_options INTERFACE)
target_compile_definitions(project_options INTERFACE _GNU_SOURCE)
target_compile_options(project_options INTERFACE
    -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
    -Wvla -Wundef -Wpointer-arith -Wwrite-strings
    $<$<BOOL:${VSR_WERROR}>:-Werror>
    $<$<CONFIG:Release>:-O3 -g>)
# The checks that cost more than O(1); CMakePresets.json has them on in every build but release.
option(VSR_DEBUG_CHECKS "Check the invariants after every step" OFF)
if(VSR_DEBUG_CHECKS)
    target_compile_definitions(project_options INTERFACE VSR_DEBUG_CHECKS)
endif()
