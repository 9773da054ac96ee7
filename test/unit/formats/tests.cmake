foreach(file elastic gelf loki rfc5424 json raw)
    logtrain_unit(formats/${file}_test formats)
endforeach()
