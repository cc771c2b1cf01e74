/* A story from a text in a test: parse, run, look. For *_test.c only, which include cmocka before it.
 *
 * The world's map is a region `fra` of three nodes in Frankfurt, or what the test puts into `map`. A text that cannot be run fails
 * the test with its error. */
#ifndef SIM_STORY_TRY_H
#define SIM_STORY_TRY_H

#include "geo.h"
#include "story.h"

#include "../ref/key.h"
#include "../ref/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct
try {
	struct story_options options; /* try_init: seed 1, the scenario's end */
	struct key_cache *keys;       /* try_init: none */
	const char *map;
	const char *set; /* an override, NULL: none */
	struct scenario *scenario;
	struct story *story;
	char error[512];
};

static const char try_map[] = "{\"Regions\":{\"4\":{\"RegionID\":4,\"RegionCode\":\"fra\",\"RegionName\":\"Frankfurt\",\"Latitude\":50.11,"
			      "\"Longitude\":8.68,\"Nodes\":["
			      "{\"Name\":\"4a\",\"RegionID\":4,\"HostName\":\"a.example\",\"IPv4\":\"192.0.2.1\"},"
			      "{\"Name\":\"4b\",\"RegionID\":4,\"HostName\":\"b.example\",\"IPv4\":\"192.0.2.2\"},"
			      "{\"Name\":\"4c\",\"RegionID\":4,\"HostName\":\"c.example\",\"IPv4\":\"192.0.2.3\"}]}}}";

static inline void try_init(struct try *t) { *t = (struct try){ .options = { .seed = 1, .until = TIME_NEVER }, .map = try_map }; }

static inline bool try_load(void *ctx, enum scenario_file_kind kind, const char *from, const char *path, struct scenario_text *out,
                            char reason[SCENARIO_REASON_SIZE])
{
	const struct try *t = ctx;

	(void)from, (void)path;
	*out = (struct scenario_text){ "map.json", t->map, strlen(t->map) };
	snprintf(reason, SCENARIO_REASON_SIZE, "tests have no files");
	return kind == SCENARIO_FILE_MAP;
}

/* Builds the world; false: t->error says what is wrong with the text. */
static inline bool try_build(struct try *t, const char *text)
{
	const char **city = calloc(geo_cities(), sizeof *city);
	struct scenario_request request = { .file = { "t.scn", text, strlen(text) }, .load = try_load, .ctx = t, .city = city };

	assert_non_null(city);
	request.cities = geo_cities();
	for (uint32_t i = 0; i < geo_cities(); i++) city[i] = geo_city(i)->name;
	if (t->set != NULL) request.set = &t->set, request.sets = 1;
	t->error[0] = 0;
	t->scenario = scenario_parse(&request);
	free(city);
	if (t->scenario->errors > 0)
		scenario_error_print(&t->scenario->error[0], t->error, sizeof t->error);
	else
		t->story = story_new(t->scenario, &t->options, t->keys, t->error, sizeof t->error);
	return t->story != NULL;
}

static inline void try_run(struct try *t, const char *text)
{
	if (!try_build(t, text)) fail_msg("%s", t->error);
	story_run(t->story);
}

/* Frees story and scenario; options and keys stay for another run. */
static inline void try_end(struct try *t)
{
	story_free(t->story);
	scenario_free(t->scenario);
	t->story = NULL;
	t->scenario = NULL;
}

/* ---- looking ---- */

/* Every finding and missed expectation is printed, and fails the test. */
static inline void try_is_good(const struct try *t)
{
	for (uint32_t i = 0; i < story_expects(t->story); i++) {
		const struct story_expect *e = story_expect(t->story, i);
		if (e->verdict != STORY_OK) print_message("missed: %s: %s\n", e->def->line.text, e->measured);
	}
	for (uint32_t i = 0; i < story_findings(t->story); i++) print_message("found: %s\n", story_finding(t->story, i)->text);
	assert_true(story_good(t->story));
}

static inline void try_good(struct try *t, const char *text)
{
	try_run(t, text);
	try_is_good(t);
	try_end(t);
}

/* Expectation number i, from 0. */
static inline void try_verdict(const struct try *t, uint32_t i, enum story_verdict verdict, const char *measured)
{
	const struct story_expect *e = story_expect(t->story, i);

	if (e->verdict != verdict) fail_msg("verdict %d of: %s: %s", (int)e->verdict, e->def->line.text, e->measured);
	if (measured != NULL) assert_string_equal(e->measured, measured);
}

static inline uint32_t try_client(const struct try *t, const char *name)
{
	for (uint32_t i = 0; i < story_clients(t->story); i++)
		if (strcmp(story_client(t->story, i).name, name) == 0) return i;
	fail_msg("there is no client %s", name);
	return 0;
}

static inline bool try_same_digest(struct sim_digest a, struct sim_digest b) { return a.a == b.a && a.b == b.b; }

#endif
