logtrain_unit(kube/json_test kube)
logtrain_unit(kube/reader_test kube)
logtrain_unit(kube/names_test kube)
