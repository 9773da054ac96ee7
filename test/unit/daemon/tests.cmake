logtrain_unit(daemon/cli_test daemon)
