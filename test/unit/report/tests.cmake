foreach(file bound metrics status)
    logtrain_unit(report/${file}_test report)
    target_compile_definitions(report_${file}_test PRIVATE SOURCE_DIR="${CMAKE_SOURCE_DIR}")
endforeach()
