logtrain_unit(daemon/cli_test daemon)
logtrain_unit(daemon/systemd_test daemon)
