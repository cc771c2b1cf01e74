/* The library whole, as <derp/derp.h>: every header that is installed, for C and for C++.
 *
 * The headers below may also be included one by one from C. From C++ they come through this one, which gives them C linkage; what they
 * include of the C library is included before, so that it keeps its own. ref/README.md is the tour. */
#ifndef REF_DERP_H
#define REF_DERP_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic" /* compound literals, flexible arrays: C's, which g++ and clang++ know */
#pragma GCC diagnostic ignored "-Wshadow"   /* a struct and a function of one name, which is usual in C */
extern "C" {
#endif

#include "address.h"
#include "buf.h"
#include "client.h"
#include "control.h"
#include "derpmap.h"
#include "derpmap_diff.h"
#include "derpmap_lint.h"
#include "home.h"
#include "key.h"
#include "machine.h"
#include "netcheck.h"
#include "netcheck_report.h"
#include "relay.h"
#include "station.h"
#include "stun.h"
#include "version.h"

#ifdef __cplusplus
}
#pragma GCC diagnostic pop
#endif

#endif
