/* Default prices. A relayed packet of 200 B costs about 2 us of CPU in a batching C relay (recv, look-up, send), a plain login
 * about 70 us (a bare relay does 14,000 a CPU second), a TLS 1.3 handshake with P-256 about 330 us (2,500 a CPU second, login
 * included). Assumed from measurements of a bare relay, to be replaced by our own when it is calibrated on sockets. */
#include "cost.h"

const struct cost_table cost_ours = {
	.step_ps = 500000,
	.work_ps = {
		[WORK_FRAMES_IN] = 500000,
		[WORK_FRAMES_OUT] = 500000,
		[WORK_BYTES_IN] = 300,
		[WORK_BYTES_OUT] = 300,
		[WORK_BOXES] = 2000000,
		[WORK_SHARED] = 30000000,
		[WORK_TIMERS] = 200000,
		[WORK_LOGINS] = 20000000,
	},
	.handshake_ns = 330000,
};
