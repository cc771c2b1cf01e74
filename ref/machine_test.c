/* What is said of the seam by itself: every kind of thing has a name of its own. */
#include "machine.h"

#include "client.h"
#include "station.h"
#include "stun.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NAMES(kinds, name_of, type) \
	do { \
		for (int i = 0; i < (int)(kinds); i++) { \
			assert_non_null(name_of((type)i)); \
			assert_true(name_of((type)i)[0] != 0); \
			for (int k = 0; k < i; k++) assert_string_not_equal(name_of((type)i), name_of((type)k)); \
		} \
	} while (0)

/* A kind that is added to an enum without a name is NULL in its table. */
static void names(void **state)
{
	(void)state;
	NAMES(EVENT_KINDS, event_kind_name, enum event_kind);
	NAMES(CLOSE_CAUSES, close_cause_name, enum close_cause);
	NAMES(COMMAND_VERBS, command_verb_name, enum command_verb);
	NAMES(ACTION_KINDS, action_kind_name, enum action_kind);
	NAMES(DELIVER_KINDS, deliver_kind_name, enum deliver_kind);
	NAMES(REFUSALS, refusal_name, enum refusal);
	NAMES(NOTE_KINDS, note_kind_name, enum note_kind);
	NAMES(DROP_REASONS, drop_reason_name, enum drop_reason);
	NAMES(CLIENT_STATES, client_state_name, enum client_state);
	NAMES(CLIENT_ENDS, client_end_name, enum client_end);
	NAMES(STATION_CLOSES, station_close_name, enum station_close);
	NAMES(STATION_CHECKS, station_check_name, enum station_check);
	NAMES(STUN_VERDICTS, stun_verdict_name, enum stun_verdict);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(names) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
