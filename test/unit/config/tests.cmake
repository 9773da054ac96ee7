logtrain_unit(config/config_test config drains_members)
target_compile_definitions(config_config_test PRIVATE SOURCE_DIR="${CMAKE_SOURCE_DIR}")
logtrain_unit(config/drains_table_test config drains_members)
target_compile_definitions(config_drains_table_test PRIVATE DOCS_DIR="${CMAKE_SOURCE_DIR}/docs")
