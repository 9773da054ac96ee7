foreach(file router router_model router_owners router_size)
    logtrain_unit(router/${file}_test base loop streams router)
endforeach()
