foreach(file address buf clock err log log_quota map str url)
    logtrain_unit(base/${file}_test base)
endforeach()
