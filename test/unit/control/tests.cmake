logtrain_unit(control/assign_test control drains_members)
logtrain_unit(control/pinned_test control)
logtrain_unit(control/pairs_test control)
