logtrain_unit(window/last_lines_test window PkgConfig::zlib)
