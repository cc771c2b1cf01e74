/* What the files of the scenario language share; nobody else includes this.
 *
 * A parse reads all lines of all files first (scenario_line.c), then names (scenario_name.c: let, vary, --set), then the statements in
 * the order in which they need each other: the world, sets of it, the timeline, what is demanded; at last what only the whole can
 * tell (scenario_check.c). A line with an error still names its things and causes its events, so that one slip is one message.
 * Complaints are sorted into line order at the end. */
#ifndef SIM_SCENARIO_PARSE_H
#define SIM_SCENARIO_PARSE_H

#include "scenario.h"

enum {
	SCENARIO_LINE_ERRORS_MAX = 4, /* of one line; what follows them is mostly their doing */
	SCENARIO_NAME_MAX = 40,       /* bytes of a name */
	SCENARIO_PARTS_MAX = 64,      /* of a set */
	SCENARIO_LIST_MAX = 12,       /* names that a message lists */
	SCENARIO_MESSAGE_SIZE = 1024,
	SCENARIO_GUESSES_MAX = 1000, /* spellings looked up in a parse, and candidates looked at in each */
	SCENARIO_GUESS_SIZE = 40,    /* bytes of the longest word that is worth a guess */
};

#define SCENARIO_NAME_RULE "a letter, then letters, digits, - and _, 40 at most"

enum scenario_statement {
	SCENARIO_S_RULES,
	SCENARIO_S_WHY,
	SCENARIO_S_TAGS,
	SCENARIO_S_SINCE,
	SCENARIO_S_INCLUDE,
	SCENARIO_S_UNTIL,
	SCENARIO_S_LET,
	SCENARIO_S_VARY,
	SCENARIO_S_WORLD,
	SCENARIO_S_REGION,
	SCENARIO_S_NODE,
	SCENARIO_S_TAILNET,
	SCENARIO_S_POLICY,
	SCENARIO_S_LOAD,
	SCENARIO_S_AT,
	SCENARIO_S_EXPECT,
	SCENARIO_S_GOAL,
	SCENARIO_S_CONTROL,
	SCENARIO_S_LINK,
	SCENARIO_S_MAYBE,
	SCENARIO_S_SWARM,
	SCENARIO_S_CASE,
	SCENARIO_S_LEVEL,
	SCENARIO_S_NEEDS,
	SCENARIO_S_CLIENT,
	SCENARIO_S_RELAY,
	SCENARIO_S_CANARY,
	SCENARIO_STATEMENTS /* none */
};

/* A word of the line: between blanks, or with a part in "quotes". */
struct scenario_token {
	const char *p; /* terminated; without quotes, $names replaced */
	uint32_t n;
	uint32_t column;   /* from 1 */
	uint32_t key;      /* bytes up to and with the '=' of KEY=VALUE, else 0 */
	bool quoted;       /* the value, or all of it, was in quotes */
	bool broken;       /* what is wrong with it was said already */
	const char *names; /* NULL, or as written before $names were replaced */
	const char *set;   /* NULL, or "--set .." that it comes from */
};

struct scenario_stmt {
	struct scenario_line line;
	enum scenario_statement kind;
	struct scenario_token *token;
	uint32_t tokens;
	uint32_t errors;
};

/* A stretch of a token: what a message is about. p NULL: the end of the line. */
struct scenario_spot {
	const char *p;
	uint32_t n;
	uint32_t column;
	const struct scenario_token *token;
};

struct scenario_complaint {
	struct scenario_error error;
	uint32_t sequence, order;
};

struct scenario_chunk;

struct scenario_parse {
	const struct scenario_request *request;
	struct scenario *s;
	struct scenario_chunk *chunk; /* memory, newest first */
	struct scenario_stmt *stmt;
	uint32_t stmts;
	uint32_t lines; /* of all files so far */
	struct scenario_complaint *complaint;
	uint32_t complaints;
	uint32_t guesses;
	const struct scenario_stmt *once[SCENARIO_STATEMENTS]; /* the first line of each kind */
	uint32_t loads[SCENARIO_LOADS], verbs[SCENARIO_VERBS]; /* lines of each so far */
	bool caused[SCENARIO_VERBS];                           /* by a line of the timeline, be it a faulty one */
	const char **lost_name;                                /* as= of lines that could not be read */
	uint32_t lost_names;
	bool any_event; /* a line that could not be read may cause anything */
	bool any_name;  /* or name anything */
	bool any_let;   /* or give a value to any $name */
};

/* Reads the tokens of a statement, or of a quoted value, one after the other; commas stand alone for sets. */
struct scenario_reader {
	struct scenario_parse *p;
	struct scenario_stmt *st;
	const struct scenario_token *token;
	uint32_t tokens, at, offset;
	uint32_t end; /* column behind the last */
};

/* ---- memory and complaints: scenario.c ---- */

/* Zeroed; lives as long as the scenario. */
void *scenario_take(struct scenario_parse *p, size_t size);
char *scenario_copy(struct scenario_parse *p, const char *text, size_t n);
char *scenario_format(struct scenario_parse *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* v with n elements of this size, and room for one more. */
void *scenario_room(struct scenario_parse *p, void *v, uint32_t n, size_t size);
#define SCENARIO_ADD(p, v, n) ((v) = scenario_room((p), (v), (n), sizeof *(v)), &(v)[(n)++])

/* "found 'SPOT', .."; false, so that one can return it. st NULL: of no line, at.token then says of which --set. */
bool scenario_complain(struct scenario_parse *p, struct scenario_stmt *st, struct scenario_spot at, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* The same, as it stands, at a column (0: none). */
bool scenario_say(struct scenario_parse *p, struct scenario_stmt *st, uint32_t column, const char *format, ...) __attribute__((format(printf, 4, 5)));

/* ---- lines and tokens: scenario_line.c ---- */

/* All lines of the request's file and what it includes. */
void scenario_read_files(struct scenario_parse *p);
/* Splits text of one line, whose first byte is in `column`, into tokens of st, up to a comment, whose place it tells; comment NULL:
 * there are none. False: a complaint was made. */
bool scenario_split(struct scenario_parse *p, struct scenario_stmt *st, const char *text, uint32_t n, uint32_t column, uint32_t *comment);

struct scenario_spot scenario_spot_of(const struct scenario_token *token);
struct scenario_spot scenario_value_of(const struct scenario_token *token); /* what is behind the '=' */
/* n bytes from `from` of a spot. */
struct scenario_spot scenario_part_of(struct scenario_spot spot, uint32_t from, uint32_t n);
bool scenario_spot_is(struct scenario_spot spot, const char *word);
bool scenario_is_name(const char *p, uint32_t n); /* a letter, then letters, digits, - and _; 40 at most */

struct scenario_reader scenario_reader_of(struct scenario_parse *p, struct scenario_stmt *st, uint32_t from);
bool scenario_at_end(const struct scenario_reader *r);
struct scenario_spot scenario_peek(const struct scenario_reader *r);      /* the whole token, or what of it is left */
struct scenario_spot scenario_peek_atom(const struct scenario_reader *r); /* up to a comma, or a comma */
void scenario_skip(struct scenario_reader *r, struct scenario_spot spot); /* what was peeked */
bool scenario_accept(struct scenario_reader *r, const char *word);
bool scenario_need(struct scenario_reader *r, const char *word); /* or complains */

/* ---- let, vary, --set: scenario_name.c ---- */

void scenario_read_names(struct scenario_parse *p);

/* ---- values: scenario_value.c ---- */

/* What is wanted where a value stands. */
struct scenario_want {
	enum scenario_unit unit;
	bool draws; /* a range is fine */
	uint64_t lo, hi;
	const char *where; /* "for every=", "after at" */
};
bool scenario_read_amount(struct scenario_parse *p, struct scenario_stmt *st, struct scenario_spot spot, const struct scenario_want *want,
                          struct scenario_amount *out);
/* The unit of a lone number, by its looks; NONE: it is none. */
enum scenario_unit scenario_unit_of(const char *p, uint32_t n);
/* Exactly, in the largest unit that needs no fraction. */
size_t scenario_print_value(enum scenario_unit unit, uint64_t value, char *out, size_t cap);
uint64_t scenario_add(uint64_t a, uint64_t b); /* saturates */

/* ---- words: scenario_word.c ---- */

struct scenario_word {
	const char *name;
	bool simulated;
	const char *phrase; /* verbs and events: "Nothing here .." */
};
extern const struct scenario_word scenario_statement_word[SCENARIO_STATEMENTS];
extern const struct scenario_word scenario_verb_word[SCENARIO_VERBS];
extern const struct scenario_word scenario_event_word[SCENARIO_ON_KINDS]; /* without name: verbs and acts */
extern const struct scenario_word scenario_nothing_word[SCENARIO_NOTHINGS];
extern const struct scenario_word scenario_load_word[SCENARIO_LOADS];

/* Index in the table; `words` if it is not there. */
uint32_t scenario_find_word(const struct scenario_word *table, uint32_t words, struct scenario_spot spot);
/* The same, and complains if it is not there (then the nearest, if one is near) or not simulated (then *bad). what: "a verb". */
uint32_t scenario_read_word(struct scenario_parse *p, struct scenario_stmt *st, struct scenario_spot spot, const struct scenario_word *table,
                            uint32_t words, const char *what, bool *bad);
/* One more of a list for a message: "a, b, .."; *listed counts. */
void scenario_list_add(char *out, size_t cap, uint32_t *listed, const char *name);

/* The nearest of what is offered, if it is near enough to be meant. */
struct scenario_guess {
	const char *p;
	uint32_t n, distance, offered;
	const char *best; /* NULL: none */
};
struct scenario_guess scenario_guess_begin(struct scenario_parse *p, struct scenario_spot spot);
void scenario_guess_offer(struct scenario_guess *guess, const char *candidate);
/* " Did you mean X?" or "". */
const char *scenario_guess_text(struct scenario_parse *p, const struct scenario_guess *guess);

/* ---- options: scenario_option.c ---- */

enum scenario_option_kind {
	SCENARIO_O_AMOUNT,
	SCENARIO_O_CLIENTS,
	SCENARIO_O_WORD,
	SCENARIO_O_PATH,
	SCENARIO_O_CITY,
	SCENARIO_O_NAME,
	SCENARIO_O_AREAS,
	SCENARIO_O_SET
};

struct scenario_option {
	const char *key;
	enum scenario_option_kind kind;
	bool simulated; /* else only its usual value may be written */
	bool needed;
	enum scenario_unit unit;
	bool draws;
	uint64_t lo, hi;
	const char *usual;                /* NULL: none */
	const char *never;                /* the word for SCENARIO_NEVER, or for NULL of a path */
	const struct scenario_word *word; /* kind WORD: in the order of the enum */
	uint32_t words;
	size_t offset; /* in the struct that it fills */
	uint32_t who;  /* bits of the loads or verbs that have it; 0: all */
};

/* Options of a statement come from one or two tables. */
struct scenario_place {
	const struct scenario_option *option;
	uint32_t options;
	void *base;
	uint32_t who;
	bool usual; /* fill in what is usual */
	bool later; /* none of them is simulated here */
};
struct scenario_place scenario_world_options(struct scenario_world *world);
struct scenario_place scenario_region_options(struct scenario_region *region);
struct scenario_place scenario_settings_options(struct scenario_settings *settings, bool region);
struct scenario_place scenario_mesh_key_options(struct scenario_settings *settings);
struct scenario_place scenario_client_options(struct scenario_policy *policy, bool usual);
struct scenario_place scenario_node_options(struct scenario_policy *policy);
struct scenario_place scenario_tailnet_options(struct scenario_tailnet *tailnet);
struct scenario_place scenario_load_options(struct scenario_load *load);
struct scenario_place scenario_act_options(struct scenario_act *act);

/* The rest of the line. st NULL: only what is usual. */
void scenario_read_options(struct scenario_parse *p, struct scenario_stmt *st, uint32_t from, const struct scenario_place *place, uint32_t places);
/* Column of the value of an option; of the line's first word if it was not written. */
uint32_t scenario_option_column(const struct scenario_stmt *st, const char *key);
const struct scenario_token *scenario_option_token(const struct scenario_stmt *st, const char *key); /* NULL: not written */

/* ---- sets: scenario_set.c ---- */

enum { SCENARIO_IS_NODES = 1, SCENARIO_IS_CLIENTS = 2, SCENARIO_IS_CONTROL = 4, SCENARIO_IS_ANY = 7 };

/* may: bits of what it may name; what: "nodes", for messages. */
bool scenario_read_set(struct scenario_reader *r, unsigned may, const char *what, struct scenario_set *out);
/* A set, and behind -> or <-> another. */
bool scenario_read_path(struct scenario_reader *r, struct scenario_path *out);
unsigned scenario_set_kinds(const struct scenario_set *set);
/* May they have a member in common? Yes, unless their text says no. */
bool scenario_sets_meet(const struct scenario_set *a, const struct scenario_set *b);
/* The region or tailnet of this name. False: there is none. */
bool scenario_find_name(const struct scenario *s, struct scenario_spot spot, bool *tailnet, uint32_t *index);
bool scenario_is_city(const struct scenario_parse *p, struct scenario_spot spot);
/* also: what else it might have been, for spelling. */
bool scenario_read_city(struct scenario_parse *p, struct scenario_stmt *st, struct scenario_spot spot, const struct scenario_word *also,
                        uint32_t alsos, const char **out);

/* ---- statements ---- */

/* Copies of a tailnet at most, those for each node or region counted. */
uint64_t scenario_copies(const struct scenario *s, const struct scenario_tailnet *tailnet);

void scenario_read_about(struct scenario_parse *p, struct scenario_stmt *st);            /* scenario_world.c: rules why tags since until */
void scenario_read_world(struct scenario_parse *p);                                      /* world and its map, regions */
void scenario_read_populations(struct scenario_parse *p);                                /* policy, tailnets, nodes, loads */
void scenario_read_act(struct scenario_parse *p, struct scenario_stmt *st);              /* scenario_act.c */
unsigned scenario_verb_may(enum scenario_verb verb);                                     /* what its set may name; 0: it takes a path */
const char *scenario_kinds_name(unsigned kinds);                                         /* "nodes, as in fra/1" */
void scenario_read_expect(struct scenario_parse *p, struct scenario_stmt *st);           /* scenario_expect.c */
bool scenario_read_condition(struct scenario_reader *r, struct scenario_condition *out); /* scenario_condition.c */
bool scenario_is_metric(struct scenario_spot spot, enum scenario_metric *metric, enum scenario_statistic *statistic);
/* False: nothing can be made of the rest of the line. True may still have counted an error. scenario_event.c */
bool scenario_read_event(struct scenario_reader *r, struct scenario_event *out);
void scenario_check(struct scenario_parse *p); /* scenario_check.c */
/* First and last moment at which the event may happen. False: never, as far as the file says. */
bool scenario_event_when(const struct scenario *s, const struct scenario_event *event, uint64_t *first, uint64_t *last);

#endif
