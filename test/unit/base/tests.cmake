foreach(file buf clock err log map str url)
    logtrain_unit(base/${file}_test base)
endforeach()
