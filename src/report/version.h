/* Version and commit of this program: "0.1.0+1d0e9fd7a2b4". Set by scripts/version. */
#ifndef REPORT_VERSION_H
#define REPORT_VERSION_H

extern const char logtrain_version[];

#endif
