logtrain_unit(match/plain_test match)
logtrain_unit(match/pattern_test match)
logtrain_unit(match/filter_test match)
