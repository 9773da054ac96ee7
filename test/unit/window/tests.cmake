logtrain_unit(window/last_lines_test window PkgConfig::zlib)
logtrain_unit(window/query_test window)
logtrain_unit(window/notes_test window)
logtrain_unit(window/sse_test window)
