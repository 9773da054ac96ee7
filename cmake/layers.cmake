# logtrain_layer(NAME SOURCES... [LINK targets...] [PRIVATE_LINK targets...])
#
# A folder of src/ becomes one static library. Its headers are reachable as "NAME/x.h", and only for those who link
# it: each layer has an include directory of its own in the build tree that holds nothing but a link to the folder.
# So an include against the direction of the arrows does not compile.
function(logtrain_layer NAME)
    cmake_parse_arguments(ARG "" "" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
    set(inc ${CMAKE_BINARY_DIR}/include/${NAME})
    file(MAKE_DIRECTORY ${inc})
    file(CREATE_LINK ${CMAKE_SOURCE_DIR}/src/${NAME} ${inc}/${NAME} SYMBOLIC)
    add_library(${NAME} STATIC ${ARG_SOURCES})
    target_include_directories(${NAME} PUBLIC ${inc})
    target_link_libraries(${NAME} PUBLIC ${ARG_LINK} PRIVATE logtrain_flags ${ARG_PRIVATE_LINK})
endfunction()
