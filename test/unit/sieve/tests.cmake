foreach(file level pattern sieve)
    logtrain_unit(sieve/${file}_test sieve)
endforeach()
