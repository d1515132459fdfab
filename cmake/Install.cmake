# Libraries, headers, and how others find them: pkg-config and find_package, for act and for vsr.
# Nothing in them names the prefix, so the installed tree may be moved.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# The prefix, seen from a directory below the libraries.
if(IS_ABSOLUTE ${CMAKE_INSTALL_LIBDIR})
    set(VSR_PC_PREFIX ${CMAKE_INSTALL_PREFIX})
    set(VSR_PC_LIBDIR ${CMAKE_INSTALL_LIBDIR})
else()
    file(RELATIVE_PATH up /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
    string(REGEX REPLACE "/$" "" up ${up})
    set(VSR_PC_PREFIX "\${pcfiledir}/${up}")
    set(VSR_PC_LIBDIR "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
endif()

# What a program that links the static archive needs beside it.
set(VSR_PC_REQUIRES "")
if(VSR_JEMALLOC)
    set(VSR_PC_REQUIRES jemalloc)
    target_link_libraries(act_static INTERFACE $<INSTALL_INTERFACE:jemalloc>)
endif()

# name, directory of the headers
function(vsr_install_library name headers)
    set(cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/${name})
    install(TARGETS ${name}_shared ${name}_static EXPORT ${name}Targets
            LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT ${name}_library
                    NAMELINK_COMPONENT ${name}_development
            ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT ${name}_development
            INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
    install(DIRECTORY ${headers} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT ${name}_development)
    install(EXPORT ${name}Targets NAMESPACE ${name}:: DESTINATION ${cmake_dir} COMPONENT ${name}_development)

    set(build ${CMAKE_CURRENT_BINARY_DIR}/installed)
    configure_file(cmake/${name}.pc.in ${build}/${name}.pc @ONLY)
    configure_file(cmake/${name}Config.cmake.in ${build}/${name}Config.cmake @ONLY)
    write_basic_package_version_file(${build}/${name}ConfigVersion.cmake COMPATIBILITY SameMinorVersion)
    install(FILES ${build}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
            COMPONENT ${name}_development)
    install(FILES ${build}/${name}Config.cmake ${build}/${name}ConfigVersion.cmake
            DESTINATION ${cmake_dir} COMPONENT ${name}_development)
endfunction()
vsr_install_library(act runtime/include/act)
vsr_install_library(vsr vsr/include/vsr)
