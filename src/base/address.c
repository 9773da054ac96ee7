/* See address.h. */
#include "base/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

struct str address_network(struct str address, char out[ADDRESS_NETWORK_SIZE])
{
    char text[INET6_ADDRSTRLEN] = "";
    struct in6_addr a;
    size_t n;

    if (!address.len || address.len >= sizeof(text) || !memchr(address.p, ':', address.len))
        return address;
    memcpy(text, address.p, address.len);
    if (inet_pton(AF_INET6, text, &a) != 1)
        return address;
    if (IN6_IS_ADDR_V4MAPPED(&a)) {
        (void)inet_ntop(AF_INET, &a.s6_addr[12], out, ADDRESS_NETWORK_SIZE); /* it fits */
        return str_of(out);
    }
    memset(&a.s6_addr[8], 0, 8);
    (void)inet_ntop(AF_INET6, &a, out, INET6_ADDRSTRLEN); /* it fits */
    n = strlen(out);
    memcpy(out + n, "/64", 4);
    return str_make(out, n + 3);
}
