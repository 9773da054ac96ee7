foreach(file level rate sieve)
    logtrain_unit(sieve/${file}_test sieve)
endforeach()
