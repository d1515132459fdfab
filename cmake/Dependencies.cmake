# The libraries the project stands on, as imported targets vsr_deps::NAME.
find_package(PkgConfig REQUIRED)
set(THREADS_PREFER_PTHREAD_FLAG ON)
# Global: who links act from another directory has to find it.
set(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL ON)
find_package(Threads REQUIRED)

# vsr_dependency(NAME pkg-config-module debian-package)
function(vsr_dependency name module package)
    pkg_check_modules(VSR_DEPS_${name} QUIET IMPORTED_TARGET GLOBAL ${module})
    if(NOT VSR_DEPS_${name}_FOUND)
        message(FATAL_ERROR "${module} was not found. Install it with: apt-get install ${package}")
    endif()
    add_library(vsr_deps::${name} ALIAS PkgConfig::VSR_DEPS_${name})
endfunction()

vsr_dependency(ck ck libck-dev)
# Who links it has another malloc, and it cannot be loaded with dlopen. The pools make it rarely
# matter (runtime/DESIGN.md, "Memory").
option(VSR_JEMALLOC "Take the runtime's memory from jemalloc" OFF)
if(VSR_JEMALLOC)
    vsr_dependency(jemalloc jemalloc libjemalloc-dev)
endif()
# Headers alone: the core takes its functions in (vsr/core/checksum.h), nothing is linked.
find_path(VSR_XXHASH_INCLUDE_DIR xxhash.h)
mark_as_advanced(VSR_XXHASH_INCLUDE_DIR)
if(NOT VSR_XXHASH_INCLUDE_DIR)
    message(FATAL_ERROR "xxhash.h was not found. Install it with: apt-get install libxxhash-dev")
endif()
add_library(vsr_xxhash_headers INTERFACE)
target_include_directories(vsr_xxhash_headers SYSTEM INTERFACE ${VSR_XXHASH_INCLUDE_DIR})
add_library(vsr_deps::xxhash ALIAS vsr_xxhash_headers)

# Criterion does not run under ThreadSanitizer, so it is not needed there, nor by the simulator
# and the fuzzer.
if(VSR_TESTS AND NOT VSR_SIM_ONLY AND NOT VSR_FUZZ AND NOT VSR_SANITIZE STREQUAL "thread")
    vsr_dependency(criterion criterion libcriterion-dev)
    vsr_dependency(urcu_qsbr liburcu-qsbr liburcu-dev) # an embedder's own, in a test
endif()
