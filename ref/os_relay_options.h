/* The command line of derp-relay: the original's flags by their names, with one dash or two, and ours. One table makes the parser and the
 * text of --help. A flag of the original whose function is not here ends in a sentence that says so and what to do instead. */
#ifndef REF_OS_RELAY_OPTIONS_H
#define REF_OS_RELAY_OPTIONS_H

#include "machine.h"
#include "os_cli.h"
#include "os_tcp.h"
#include "os_tls.h"

enum { RELAY_HTTP_PORT_OFF = -1, RELAY_STUN_PORT = 3478 };

struct relay_options {
	struct os_cli cli;
	struct os_config config; /* of the machine (relay.h), without keys and rates, which are in files */
	struct address address;
	int http_port; /* RELAY_HTTP_PORT_OFF: none */
	bool stun;
	uint16_t stun_port;
	const char *key_file, *mesh_psk_file, *mesh_psk, *rate_file, *frames_file, *user, *dns_servers, *record_file; /* NULL: not given */
	uint64_t record_mb;                                                                                           /* 0: any size */
	struct os_tcp_times times;
	struct os_tls_config tls; /* hostname NULL: plain TCP */
	uint64_t drain_ns;
	bool verbose;
};

/* All zero before. -1: go on; else the exit code, and the user has been told. Pointers are argv's or the environment's. */
int relay_options_parse(struct relay_options *o, int argc, char **argv);

#endif
