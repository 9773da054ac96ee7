foreach(file level pattern rate sieve)
    logtrain_unit(sieve/${file}_test sieve)
endforeach()
