# The target `reference`: pages of the public headers, by doxygen. A warning is an error.
find_program(VSR_DOXYGEN doxygen)
mark_as_advanced(VSR_DOXYGEN)
if(VSR_DOXYGEN)
    configure_file(cmake/Doxyfile.in ${CMAKE_CURRENT_BINARY_DIR}/Doxyfile @ONLY)
    add_custom_target(reference COMMAND ${VSR_DOXYGEN} ${CMAKE_CURRENT_BINARY_DIR}/Doxyfile VERBATIM
                      COMMENT "Reference in ${CMAKE_CURRENT_BINARY_DIR}/reference/html/index.html")
endif()
