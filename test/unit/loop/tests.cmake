logtrain_unit(loop/dns_test loop)
logtrain_unit(loop/loop_test loop)
logtrain_unit(loop/mailbox_test loop)
logtrain_unit(loop/notify_test base loop)
