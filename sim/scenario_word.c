/* The words of the language and what this version simulates of them; and what was meant by a word that is none.
 *
 * A flag of 0 makes a known word an error that says so. Metrics have their table in scenario.h, options in scenario_option.c. */
#include "scenario_parse.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { FEW = 8 }; /* words that are listed although the right one is guessed */

const struct scenario_word scenario_statement_word[SCENARIO_STATEMENTS] = {
	[SCENARIO_S_RULES] = { "rules", 1, 0 },   [SCENARIO_S_WHY] = { "why", 1, 0 },         [SCENARIO_S_TAGS] = { "tags", 1, 0 },
	[SCENARIO_S_SINCE] = { "since", 1, 0 },   [SCENARIO_S_INCLUDE] = { "include", 1, 0 }, [SCENARIO_S_UNTIL] = { "until", 1, 0 },
	[SCENARIO_S_LET] = { "let", 1, 0 },       [SCENARIO_S_VARY] = { "vary", 1, 0 },       [SCENARIO_S_WORLD] = { "world", 1, 0 },
	[SCENARIO_S_REGION] = { "region", 1, 0 }, [SCENARIO_S_NODE] = { "node", 1, 0 },       [SCENARIO_S_TAILNET] = { "tailnet", 1, 0 },
	[SCENARIO_S_POLICY] = { "policy", 1, 0 }, [SCENARIO_S_LOAD] = { "load", 1, 0 },       [SCENARIO_S_AT] = { "at", 1, 0 },
	[SCENARIO_S_EXPECT] = { "expect", 1, 0 }, [SCENARIO_S_GOAL] = { "goal", 1, 0 },       [SCENARIO_S_CONTROL] = { "control", 0, 0 },
	[SCENARIO_S_LINK] = { "link", 0, 0 },     [SCENARIO_S_MAYBE] = { "maybe", 0, 0 },     [SCENARIO_S_SWARM] = { "swarm", 0, 0 },
	[SCENARIO_S_CASE] = { "case", 0, 0 },     [SCENARIO_S_LEVEL] = { "level", 0, 0 },     [SCENARIO_S_NEEDS] = { "needs", 0, 0 },
	[SCENARIO_S_CLIENT] = { "client", 0, 0 }, [SCENARIO_S_RELAY] = { "relay", 0, 0 },     [SCENARIO_S_CANARY] = { "canary", 0, 0 },
};

const struct scenario_word scenario_verb_word[SCENARIO_VERBS] = {
	[SCENARIO_CRASH] = { "crash", 1, "crashes" },
	[SCENARIO_CRASH_SILENT] = { "crash silent", 1, "crashes silently" },
	[SCENARIO_CRASH_SILENT_REFUSE] = { "crash silent refuse", 1, "crashes silently and refuses" },
	[SCENARIO_RESTART] = { "restart", 1, "restarts" },
	[SCENARIO_CLOSE] = { "close", 1, "is closed" },
	[SCENARIO_LEAVE] = { "leave", 1, "leaves" },
	[SCENARIO_JOIN] = { "join", 1, "joins" },
	[SCENARIO_FREEZE] = { "freeze", 0, "freezes" },
	[SCENARIO_STALL] = { "stall", 0, "stalls" },
	[SCENARIO_SLOW] = { "slow", 0, "slows down" },
	[SCENARIO_SQUEEZE] = { "squeeze", 0, "is squeezed" },
	[SCENARIO_THROTTLE] = { "throttle", 0, "is throttled" },
	[SCENARIO_CLOCK] = { "clock", 0, "jumps" },
	[SCENARIO_CUT] = { "cut", 0, "is cut" },
	[SCENARIO_RESET] = { "reset", 0, "is reset" },
	[SCENARIO_DEGRADE] = { "degrade", 0, "degrades" },
	[SCENARIO_SWIZZLE] = { "swizzle", 0, "is swizzled" },
	[SCENARIO_HEAL] = { "heal", 0, "heals" },
	[SCENARIO_MOVE] = { "move", 0, "moves" },
	[SCENARIO_CLONE] = { "clone", 0, "is cloned" },
	[SCENARIO_REMAP] = { "remap", 0, "is remapped" },
	[SCENARIO_CALM] = { "calm", 0, "calms down" },
};

const struct scenario_word scenario_event_word[SCENARIO_ON_KINDS] = {
	[SCENARIO_ON_START] = { "start", 1, "starts" },
	[SCENARIO_ON_VERB] = { "", 0, "" },
	[SCENARIO_ON_ACT] = { "", 0, "" },
	[SCENARIO_ON_DEATH] = { "death", 0, "dies" },
	[SCENARIO_ON_HOME] = { "home", 0, "moves home" },
	[SCENARIO_ON_ARRIVE] = { "arrive", 0, "arrives" },
	[SCENARIO_ON_DEPART] = { "depart", 0, "departs" },
	[SCENARIO_ON_FULL] = { "full", 0, "fills up" },
	[SCENARIO_ON_SPLIT] = { "split", 0, "splits" },
	[SCENARIO_ON_TIMEOUT] = { "timeout", 0, "times out" },
};

const struct scenario_word scenario_nothing_word[SCENARIO_NOTHINGS] = {
	[SCENARIO_FORGED] = { "forged", 1, 0 },           [SCENARIO_CHANGED] = { "changed", 1, 0 },
	[SCENARIO_DOUBLED] = { "doubled", 1, 0 },         [SCENARIO_MISDELIVERED] = { "misdelivered", 1, 0 },
	[SCENARIO_MISORDERED] = { "misordered", 0, 0 },   [SCENARIO_TWICE_FORWARDED] = { "twice-forwarded", 1, 0 },
	[SCENARIO_GONE_UNSEEN] = { "gone-unseen", 0, 0 }, [SCENARIO_UNACCOUNTED] = { "unaccounted", 1, 0 },
};

const struct scenario_word scenario_load_word[SCENARIO_LOADS] = {
	[SCENARIO_DISCO] = { "disco", 1, 0 },       [SCENARIO_BULK] = { "bulk", 1, 0 },       [SCENARIO_ONOFF] = { "onoff", 0, 0 },
	[SCENARIO_ARRIVALS] = { "arrivals", 0, 0 }, [SCENARIO_ROAMING] = { "roaming", 0, 0 }, [SCENARIO_BACKGROUND] = { "background", 0, 0 },
};

const char *scenario_verb_name(enum scenario_verb verb)
{
	assert(verb < SCENARIO_VERBS);
	return scenario_verb_word[verb].name;
}

/* ---- reading ---- */

uint32_t scenario_find_word(const struct scenario_word *table, uint32_t words, struct scenario_spot spot)
{
	uint32_t i = 0;

	while (i < words && (table[i].name[0] == '\0' || !scenario_spot_is(spot, table[i].name))) i++;
	return i;
}

void scenario_list_add(char *out, size_t cap, uint32_t *listed, const char *name)
{
	size_t n = strlen(out);

	if (++*listed > SCENARIO_LIST_MAX + 1) return;
	snprintf(out + n, cap - n, "%s%s", n == 0 ? "" : ", ", *listed > SCENARIO_LIST_MAX ? ".." : name);
}

/* ": a, b, c" of those that are simulated, if they are few or `all` are wanted. */
static void list_words(const struct scenario_word *table, uint32_t words, bool all, char *out, size_t cap)
{
	size_t n = 0;
	uint32_t listed = 0;

	out[0] = '\0';
	for (uint32_t i = 0; i < words; i++) {
		if (!table[i].simulated || strchr(table[i].name, ' ') != NULL) continue;
		snprintf(out + n, cap - n, "%s%s", n == 0 ? ": " : ", ", table[i].name);
		n = strlen(out);
		listed++;
	}
	if (listed > FEW && !all) out[0] = '\0';
}

uint32_t scenario_read_word(struct scenario_parse *p, struct scenario_stmt *st, struct scenario_spot spot, const struct scenario_word *table,
                            uint32_t words, const char *what, bool *bad)
{
	uint32_t found = spot.p == NULL ? words : scenario_find_word(table, words, spot);
	struct scenario_guess guess;
	char list[400];

	assert(found <= words);
	if (found < words) {
		if (table[found].simulated) return found;
		*bad = true;
		list_words(table, words, false, list, sizeof list);
		scenario_complain(p, st, spot, "%s that is not simulated yet, expected one that is%s.", what, list);
		return found;
	}
	guess = scenario_guess_begin(p, spot);
	for (uint32_t i = 0; i < words; i++) scenario_guess_offer(&guess, table[i].name);
	list_words(table, words, guess.best == NULL, list, sizeof list);
	scenario_complain(p, st, spot, "expected %s%s.%s", what, list, scenario_guess_text(p, &guess));
	for (found = 0; found < words && table[found].name != guess.best;) found++;
	*bad = found == words || !table[found].simulated;
	return found;
}

/* ---- what was meant ---- */

/* Steps from a to b: a letter more, less, other, or two exchanged; in any letter case. */
static uint32_t distance_of(const char *a, uint32_t n, const char *b, uint32_t m)
{
	uint32_t row[3][SCENARIO_GUESS_SIZE + 1];

	assert(n <= SCENARIO_GUESS_SIZE);
	assert(m <= SCENARIO_GUESS_SIZE);
	for (uint32_t k = 0; k <= m; k++) row[0][k] = k;
	for (uint32_t i = 1; i <= n; i++) {
		uint32_t *now = row[i % 3], *above = row[(i + 2) % 3], *higher = row[(i + 1) % 3];

		now[0] = i;
		for (uint32_t k = 1; k <= m; k++) {
			uint32_t best = above[k - 1] + ((a[i - 1] | 0x20) != (b[k - 1] | 0x20));

			if (above[k] + 1 < best) best = above[k] + 1;
			if (now[k - 1] + 1 < best) best = now[k - 1] + 1;
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1] && higher[k - 2] + 1 < best) best = higher[k - 2] + 1;
			now[k] = best;
		}
	}
	return row[n % 3][m];
}

static struct scenario_guess guess_at(const char *p, uint32_t n)
{
	struct scenario_guess guess = { .p = p, .n = p == NULL || n > SCENARIO_GUESS_SIZE ? 0 : n };

	guess.distance = guess.n < 2 ? 0 : guess.n / 3 < 1 ? 2 : guess.n / 3 < 3 ? guess.n / 3 + 1 : 4; /* to be under */
	return guess;
}

struct scenario_guess scenario_guess_begin(struct scenario_parse *p, struct scenario_spot spot)
{
	struct scenario_guess guess = guess_at(spot.p, spot.n);

	return guess.n > 0 && ++p->guesses > SCENARIO_GUESSES_MAX ? guess_at(NULL, 0) : guess;
}

void scenario_guess_offer(struct scenario_guess *guess, const char *candidate)
{
	const char *end = memchr(candidate, '\0', SCENARIO_GUESS_SIZE + 1);
	uint32_t m = end == NULL ? 0 : (uint32_t)(end - candidate), distance;

	if (++guess->offered > SCENARIO_GUESSES_MAX || m == 0) return;
	if (m + guess->distance <= guess->n || guess->n + guess->distance <= m) return;
	distance = distance_of(guess->p, guess->n, candidate, m);
	if (distance >= guess->distance || distance >= m) return;
	guess->distance = distance;
	guess->best = candidate;
}

const char *scenario_guess_text(struct scenario_parse *p, const struct scenario_guess *guess)
{
	return guess->best == NULL ? "" : scenario_format(p, " Did you mean %s?", guess->best);
}

const char *scenario_nearest(const char *word, const char *const *candidate, uint32_t candidates)
{
	size_t n = strlen(word);
	struct scenario_guess guess = guess_at(word, n > SCENARIO_GUESS_SIZE ? 0 : (uint32_t)n);

	for (uint32_t i = 0; i < candidates; i++) scenario_guess_offer(&guess, candidate[i]);
	return guess.best;
}
