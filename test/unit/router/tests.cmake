logtrain_unit(router/router_test base loop streams router)
