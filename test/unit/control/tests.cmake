logtrain_unit(control/assign_test control drains)
logtrain_unit(control/pinned_test control)
