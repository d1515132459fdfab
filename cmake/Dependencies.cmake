# The libraries the project stands on, as imported targets deps::NAME.
find_package(PkgConfig REQUIRED)
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

# vsr_dependency(NAME pkg-config-module debian-package)
function(vsr_dependency name module package)
    pkg_check_modules(DEPS_${name} QUIET IMPORTED_TARGET GLOBAL ${module})
    if(NOT DEPS_${name}_FOUND)
        message(FATAL_ERROR "${module} was not found. Install it with: apt-get install ${package}")
    endif()
    add_library(deps::${name} ALIAS PkgConfig::DEPS_${name})
endfunction()

vsr_dependency(ck ck libck-dev)
vsr_dependency(urcu_qsbr liburcu-qsbr liburcu-dev)
vsr_dependency(urcu_cds liburcu-cds liburcu-dev)
vsr_dependency(jemalloc jemalloc libjemalloc-dev)
# Headers alone: the core takes its functions in (vsr/core/checksum.h), nothing is linked.
find_path(XXHASH_INCLUDE_DIR xxhash.h)
if(NOT XXHASH_INCLUDE_DIR)
    message(FATAL_ERROR "xxhash.h was not found. Install it with: apt-get install libxxhash-dev")
endif()
add_library(xxhash_headers INTERFACE)
target_include_directories(xxhash_headers SYSTEM INTERFACE ${XXHASH_INCLUDE_DIR})
add_library(deps::xxhash ALIAS xxhash_headers)

# Criterion does not run under ThreadSanitizer, so it is not needed there, nor by the simulator
# and the fuzzer.
if(VSR_TESTS AND NOT VSR_SIM_ONLY AND NOT VSR_FUZZ AND NOT VSR_SANITIZE STREQUAL "thread")
    vsr_dependency(criterion criterion libcriterion-dev)
endif()
