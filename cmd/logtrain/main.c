/*
 * logtrain: see src/daemon/daemon.h. No logic here.
 */
#include <unistd.h>

#include "daemon/daemon.h"

int main(int argc, char **argv)
{
    (void)argc; /* argv ends in NULL */
    return daemon_main(argv, environ);
}
