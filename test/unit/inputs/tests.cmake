logtrain_unit(inputs/containers_test base loop streams router inputs)
logtrain_unit(inputs/containers_paths_test base loop streams router inputs)
logtrain_unit(inputs/journals_test inputs)
logtrain_unit(inputs/syslog_test inputs)
