# Each library is built twice at most: for the project's own programs, optimised across files in a
# release, and for installation from plain objects, which every compiler and linker can read.
#
# vsr_add_library(NAME n SOURCES ... [INCLUDES public ...] [PRIVATE_INCLUDES ...]
#                 [LIBRARIES public ...] [PRIVATE_LIBRARIES ...])
#     NAME, a static library, and NAME_objects, what the installed ones consist of.
# vsr_add_installed_library(NAME n OBJECTS library ... [LIBRARIES ...] [PRIVATE_LIBRARIES ...])
#     NAME_shared and NAME_static: libNAME.so.1, which shows what the public headers declare
#     (ACT_DECLARATIONS_BEGIN, VSR_...), and libNAME.a.

function(vsr_add_library)
    cmake_parse_arguments(L "" "NAME" "SOURCES;INCLUDES;PRIVATE_INCLUDES;LIBRARIES;PRIVATE_LIBRARIES" ${ARGN})
    set(targets ${L_NAME})
    if(CMAKE_INTERPROCEDURAL_OPTIMIZATION)
        add_library(${L_NAME} STATIC ${L_SOURCES})
    else()
        add_library(${L_NAME} STATIC $<TARGET_OBJECTS:${L_NAME}_objects>)
    endif()
    if(VSR_INSTALL OR NOT CMAKE_INTERPROCEDURAL_OPTIMIZATION)
        add_library(${L_NAME}_objects OBJECT ${L_SOURCES})
        set_target_properties(${L_NAME}_objects PROPERTIES
            C_VISIBILITY_PRESET hidden POSITION_INDEPENDENT_CODE ON INTERPROCEDURAL_OPTIMIZATION OFF)
        list(APPEND targets ${L_NAME}_objects)
    endif()
    foreach(target ${targets})
        target_include_directories(${target} PUBLIC ${L_INCLUDES} PRIVATE ${L_PRIVATE_INCLUDES})
        target_link_libraries(${target} PUBLIC ${L_LIBRARIES} PRIVATE ${L_PRIVATE_LIBRARIES} vsr_options)
    endforeach()
endfunction()

function(vsr_add_installed_library)
    cmake_parse_arguments(L "" "NAME" "OBJECTS;LIBRARIES;PRIVATE_LIBRARIES" ${ARGN})
    list(TRANSFORM L_OBJECTS REPLACE "(.+)" "$<TARGET_OBJECTS:\\1_objects>")
    foreach(kind SHARED STATIC)
        string(TOLOWER ${L_NAME}_${kind} target)
        add_library(${target} ${kind} ${L_OBJECTS})
        # A library of the same name for the project's own programs lies one directory above.
        set_target_properties(${target} PROPERTIES
            OUTPUT_NAME ${L_NAME} INTERPROCEDURAL_OPTIMIZATION OFF LINKER_LANGUAGE C
            LIBRARY_OUTPUT_DIRECTORY installed ARCHIVE_OUTPUT_DIRECTORY installed)
        target_link_libraries(${target} PUBLIC ${L_LIBRARIES}
                              PRIVATE $<BUILD_INTERFACE:vsr_options> ${L_PRIVATE_LIBRARIES})
    endforeach()
    set_target_properties(${L_NAME}_shared PROPERTIES
        EXPORT_NAME ${L_NAME} SOVERSION ${VSR_SOVERSION} VERSION ${VSR_SOVERSION}.${PROJECT_VERSION})
    # Sanitizers leave their runtime to the program.
    if(NOT VSR_SANITIZE)
        target_link_options(${L_NAME}_shared PRIVATE LINKER:--no-undefined)
    endif()
endfunction()
