/* Geography: known distances, and the latency model beside measured round trips. */
#include "geo.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t between(const char *a, const char *b)
{
	const struct geo_city *x = geo_city(geo_find(a, strlen(a))), *y = geo_city(geo_find(b, strlen(b)));

	return geo_distance_m(x->lat_udeg, x->lon_udeg, y->lat_udeg, y->lon_udeg);
}

/* The table is in order, without doubles, and holds enough. */
static void geo_table_is_ordered(void **state)
{
	(void)state;
	assert_true(geo_cities() >= 60);
	for (uint32_t i = 1; i < geo_cities(); i++) assert_true(strcmp(geo_city(i - 1)->name, geo_city(i)->name) < 0);
	assert_int_equal(geo_find("frankfurt", 9), geo_nearest(50100000, 8700000));
	assert_int_equal(geo_find("frankfurter", 11), GEO_NONE);
}

/* The fixed-point great circle is that of floating point, to 500 m, for every pair. */
static void geo_distance_is_great_circle(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < geo_cities(); i++)
		for (uint32_t k = 0; k < geo_cities(); k++) {
			const struct geo_city *a = geo_city(i), *b = geo_city(k);
			double p = 3.14159265358979 / 180e6, h = pow(sin((a->lat_udeg - b->lat_udeg) * p / 2), 2);
			double d, got = (double)geo_distance_m(a->lat_udeg, a->lon_udeg, b->lat_udeg, b->lon_udeg);
			h += cos(a->lat_udeg * p) * cos(b->lat_udeg * p) * pow(sin((a->lon_udeg - b->lon_udeg) * p / 2), 2);
			d = 2 * 6371009 * asin(sqrt(h));
			assert_true(fabs(got - d) < 500);
		}
	assert_in_range(between("frankfurt", "london"), 630000, 645000);
	assert_in_range(between("sydney", "new-york"), 15950000, 16050000);
	assert_int_equal(between("paris", "paris"), 0);
}

/* ---- measured ---- */

enum { COLUMNS = 400, LINE = 8192, PAIRS = COLUMNS * COLUMNS / 2 };
static char *column[COLUMNS];
static int columns;
static uint32_t city_of[COLUMNS];

/* "NewYork" is new-york; two cities have other names there. */
static uint32_t find_city(const char *name)
{
	for (uint32_t i = 0; i < geo_cities(); i++) {
		char flat[64];
		size_t n = 0;
		const char *own = strcmp(geo_city(i)->name, "delhi") == 0          ? "newdelhi"
		                  : strcmp(geo_city(i)->name, "kuala-lumpur") == 0 ? "malaysia"
		                                                                   : geo_city(i)->name;
		for (const char *p = own; *p != 0; p++)
			if (*p != '-') flat[n++] = *p;
		flat[n] = 0;
		if (strcasecmp(flat, name) == 0) return i;
	}
	return GEO_NONE;
}

static int by_size(const void *a, const void *b) { return *(const double *)a < *(const double *)b ? -1 : *(const double *)a > *(const double *)b; }

/* What the constants were not fitted on: every second city in order of names, of those that the table of measurements has. */
static void geo_latency_fits_the_other_half(void **state)
{
	const char *data = getenv("DERP_DATA");
	char path[512], *line = malloc(LINE), *names = malloc(LINE);
	bool held_out[256] = { false }, known[256] = { false };
	static double error[PAIRS];
	size_t n = 0, rows = 0, turn = 0;
	FILE *f;

	(void)state;
	snprintf(path, sizeof path, "%s/latency-wonderproxy.csv", data == NULL ? "../shared/data" : data);
	f = fopen(path, "r");
	if (f == NULL) {
		free(line);
		free(names);
		skip();
	}
	assert_non_null(fgets(names, LINE, f));
	for (char *p = strtok(names + 1, ",\r\n"); p != NULL && columns < COLUMNS; p = strtok(NULL, ",\r\n")) {
		city_of[columns] = find_city(p);
		if (city_of[columns] != GEO_NONE) known[city_of[columns]] = true;
		column[columns++] = p;
	}
	for (uint32_t i = 0; i < geo_cities(); i++)
		if (known[i]) held_out[i] = turn++ % 2 == 1;
	while (fgets(line, LINE, f) != NULL) {
		char *rest = line, *name = strsep(&rest, ",");
		uint32_t from = find_city(name);
		for (int k = 0; rest != NULL && k < columns; k++) {
			double measured = atof(strsep(&rest, ",")), model;
			const struct geo_city *a, *b;
			if (from == GEO_NONE || city_of[k] == GEO_NONE || city_of[k] <= from || !held_out[from] || !held_out[city_of[k]] ||
			    measured <= 0)
				continue;
			a = geo_city(from), b = geo_city(city_of[k]);
			model = 2 * (double)geo_latency_ns(a->lat_udeg, a->lon_udeg, b->lat_udeg, b->lon_udeg) / 1e6;
			error[n++] = fabs(model - measured) / measured;
		}
		rows++;
	}
	fclose(f);
	free(line);
	free(names);
	assert_true(rows > 200 && n > 500);
	qsort(error, n, sizeof *error, by_size);
	print_message("held out: %zu pairs, median relative error %.1f %%, 90 %% of them below %.1f %%\n", n, 100 * error[n / 2],
	              100 * error[n * 9 / 10]);
	assert_true(error[n / 2] < 0.25);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(geo_table_is_ordered),
		cmocka_unit_test(geo_distance_is_great_circle),
		cmocka_unit_test(geo_latency_fits_the_other_half),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
