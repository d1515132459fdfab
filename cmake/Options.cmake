# vsr_options: what every target of the project is compiled with.
option(VSR_WERROR "Warnings are errors (CI)" OFF)

add_library(vsr_options INTERFACE)
target_compile_definitions(vsr_options INTERFACE _GNU_SOURCE)
target_compile_options(vsr_options INTERFACE
    -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
    -Wvla -Wundef -Wpointer-arith -Wwrite-strings
    $<$<BOOL:${VSR_WERROR}>:-Werror>
    $<$<CONFIG:Release>:-O3 -g>)
# The checks that cost more than O(1); CMakePresets.json has them on in every build but release.
option(VSR_DEBUG_CHECKS "Check the invariants after every step" OFF)
if(VSR_DEBUG_CHECKS)
    target_compile_definitions(vsr_options INTERFACE VSR_DEBUG_CHECKS ACT_DEBUG_CHECKS)
endif()

# Fetching a line for writing has an instruction of its own on x86-64, a no-op where it is missing;
# without this flag compilers fetch it for reading, and the first store waits all the same.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    target_compile_options(vsr_options INTERFACE -mprfchw)
endif()

# Release builds are optimised across files: actors a sixth faster, clusters a twentieth.
option(VSR_LTO "Optimise across files in release builds" ${PROJECT_IS_TOP_LEVEL})
if(VSR_LTO AND CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT VSR_SANITIZE)
    include(CheckIPOSupported)
    check_ipo_supported(RESULT has_ipo OUTPUT ipo_error LANGUAGES C)
    if(has_ipo)
        set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
    endif()
endif()
