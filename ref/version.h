/* The version of everything here: of the programs, of the library, and what traces name as their maker. The Makefile reads it from here. */
#ifndef REF_VERSION_H
#define REF_VERSION_H

#define DERP_VERSION "0.1"

#endif
