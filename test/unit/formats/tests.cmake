foreach(file elastic gelf intake level loki rfc5424 json raw utf8)
    logtrain_unit(formats/${file}_test formats)
endforeach()
logtrain_unit(formats/otlp_test formats otlp_proto)
