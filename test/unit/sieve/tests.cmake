foreach(file level rate redact sieve)
    logtrain_unit(sieve/${file}_test sieve)
endforeach()
