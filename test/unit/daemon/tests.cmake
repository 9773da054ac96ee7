foreach(file bound check metrics status)
    logtrain_unit(daemon/${file}_test daemon drains)
    target_compile_definitions(daemon_${file}_test PRIVATE SOURCE_DIR="${CMAKE_SOURCE_DIR}")
endforeach()
