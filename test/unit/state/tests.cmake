logtrain_unit(state/slot_test state PkgConfig::zlib)
logtrain_unit(state/known_test state)
logtrain_unit(state/checkpoint_test state)
