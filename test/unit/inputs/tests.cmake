logtrain_unit(inputs/containers_test base loop streams router inputs)
