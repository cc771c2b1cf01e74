/* Where cities are, how far apart, and how long a packet takes between them. Integers only.
 *
 * Places are in micro-degrees, distances along the great circle of a sphere of 6,371,009 m, to 500 m. Latency is a model of three
 * constants fitted on half of the cities of a public table of measured round trips; sim/geo_test.c fits them again and compares with the other
 * half. It is that between data centres; the last mile of a client is the story's. */
#ifndef SIM_GEO_H
#define SIM_GEO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum geo_area { GEO_EUROPE, GEO_AMERICA, GEO_ASIA, GEO_AFRICA, GEO_OCEANIA };

struct geo_city {
	const char *name; /* lower case, blanks are dashes */
	int32_t lat_udeg, lon_udeg;
	enum geo_area area;
};

enum { GEO_NONE = UINT32_MAX };

uint32_t geo_cities(void); /* the table is in order of names */
const struct geo_city *geo_city(uint32_t city);
uint32_t geo_find(const char *name, size_t n); /* GEO_NONE: not in the table */
bool geo_in_area(uint32_t city, enum geo_area area);
/* The city nearest to a place. */
uint32_t geo_nearest(int32_t lat_udeg, int32_t lon_udeg);
/* Of everything in the table: a trace says with which cities it was made. */
uint64_t geo_table_hash(void);

uint64_t geo_distance_m(int32_t lat1_udeg, int32_t lon1_udeg, int32_t lat2_udeg, int32_t lon2_udeg);
/* Fitted on every other city in order of names. Round trip: 15 us a km of great circle (light in glass needs 9.8: cables make detours),
 * and 8 us a km more for the first 4,000 km, where routes go by way of exchanges (32 ms at most). Half of that one way. */
enum { GEO_NS_PER_KM = 7500, GEO_DETOUR_NS_PER_KM = 4000, GEO_DETOUR_MAX_NS = 16000000 };
/* One way. */
uint64_t geo_latency_ns(int32_t lat1_udeg, int32_t lon1_udeg, int32_t lat2_udeg, int32_t lon2_udeg);

#endif
