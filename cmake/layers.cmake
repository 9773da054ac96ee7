# logtrain_layer(NAME SOURCES... [PUBLIC_HEADERS headers...] [LINK targets...] [PRIVATE_LINK targets...])
#
# A folder of src/ becomes one static library; that of a/b is called a_b. Its headers are reachable as "NAME/x.h", and only for
# those who link it: each layer has an include directory of its own in the build tree that holds nothing but a link to the
# folder. So an include against the direction of the arrows does not compile. With PUBLIC_HEADERS, others reach these alone.
function(logtrain_layer NAME)
    cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC_HEADERS;LINK;PRIVATE_LINK" ${ARGN})
    string(REPLACE "/" "_" target ${NAME})
    set(inc ${CMAKE_BINARY_DIR}/include/${target})
    add_library(${target} STATIC ${ARG_SOURCES})
    if(ARG_PUBLIC_HEADERS)
        file(MAKE_DIRECTORY ${inc}/${NAME})
        foreach(header ${ARG_PUBLIC_HEADERS})
            file(CREATE_LINK ${CMAKE_SOURCE_DIR}/src/${NAME}/${header} ${inc}/${NAME}/${header} SYMBOLIC)
        endforeach()
        logtrain_link_folder(${NAME} ${inc}_private)
        target_include_directories(${target} PRIVATE ${inc}_private)
    else()
        logtrain_link_folder(${NAME} ${inc})
    endif()
    target_include_directories(${target} PUBLIC ${inc})
    target_link_libraries(${target} PUBLIC ${ARG_LINK} PRIVATE logtrain_flags ${ARG_PRIVATE_LINK})
endfunction()

function(logtrain_link_folder NAME INC)
    cmake_path(GET NAME PARENT_PATH parent)
    file(MAKE_DIRECTORY ${INC}/${parent})
    file(CREATE_LINK ${CMAKE_SOURCE_DIR}/src/${NAME} ${INC}/${NAME} SYMBOLIC)
endfunction()
