/* The table, the great circle in fixed point, the latency model. */
#include "geo.h"

#include <string.h>

static const struct geo_city city_table[] = {
	{ "adelaide", -34928500, 138600700, GEO_OCEANIA },
	{ "amsterdam", 52367600, 4904100, GEO_EUROPE },
	{ "ashburn", 39043800, -77487400, GEO_AMERICA },
	{ "athens", 37983800, 23727500, GEO_EUROPE },
	{ "atlanta", 33749000, -84388000, GEO_AMERICA },
	{ "auckland", -36850900, 174764500, GEO_OCEANIA },
	{ "bangalore", 12971600, 77594600, GEO_ASIA },
	{ "bangkok", 13756300, 100501800, GEO_ASIA },
	{ "barcelona", 41387400, 2168600, GEO_EUROPE },
	{ "berlin", 52520000, 13405000, GEO_EUROPE },
	{ "bogota", 4711000, -74072100, GEO_AMERICA },
	{ "boston", 42360100, -71058900, GEO_AMERICA },
	{ "brisbane", -27469800, 153025100, GEO_OCEANIA },
	{ "brussels", 50850300, 4351700, GEO_EUROPE },
	{ "bucharest", 44426800, 26102500, GEO_EUROPE },
	{ "budapest", 47497900, 19040200, GEO_EUROPE },
	{ "buenos-aires", -34603700, -58381600, GEO_AMERICA },
	{ "cairo", 30044400, 31235700, GEO_AFRICA },
	{ "cape-town", -33924900, 18424100, GEO_AFRICA },
	{ "chennai", 13082700, 80270700, GEO_ASIA },
	{ "chicago", 41878100, -87629800, GEO_AMERICA },
	{ "copenhagen", 55676100, 12568300, GEO_EUROPE },
	{ "dallas", 32776700, -96797000, GEO_AMERICA },
	{ "delhi", 28613900, 77209000, GEO_ASIA },
	{ "denver", 39739200, -104990300, GEO_AMERICA },
	{ "dubai", 25204800, 55270800, GEO_ASIA },
	{ "dublin", 53349800, -6260300, GEO_EUROPE },
	{ "dusseldorf", 51227700, 6773500, GEO_EUROPE },
	{ "frankfurt", 50110900, 8682100, GEO_EUROPE },
	{ "geneva", 46204400, 6143200, GEO_EUROPE },
	{ "hamburg", 53551100, 9993700, GEO_EUROPE },
	{ "helsinki", 60169900, 24938400, GEO_EUROPE },
	{ "hong-kong", 22319300, 114169400, GEO_ASIA },
	{ "honolulu", 21306900, -157858300, GEO_AMERICA },
	{ "houston", 29760400, -95369800, GEO_AMERICA },
	{ "istanbul", 41008200, 28978400, GEO_EUROPE },
	{ "jakarta", -6208800, 106845600, GEO_ASIA },
	{ "johannesburg", -26204100, 28047300, GEO_AFRICA },
	{ "kuala-lumpur", 3139000, 101686900, GEO_ASIA },
	{ "lagos", 6524400, 3379200, GEO_AFRICA },
	{ "lima", -12046400, -77042800, GEO_AMERICA },
	{ "lisbon", 38722300, -9139300, GEO_EUROPE },
	{ "london", 51507400, -127800, GEO_EUROPE },
	{ "los-angeles", 34052200, -118243700, GEO_AMERICA },
	{ "lyon", 45764000, 4835700, GEO_EUROPE },
	{ "madrid", 40416800, -3703800, GEO_EUROPE },
	{ "manchester", 53480800, -2242600, GEO_EUROPE },
	{ "manila", 14599500, 120984200, GEO_ASIA },
	{ "medellin", 6244200, -75581200, GEO_AMERICA },
	{ "melbourne", -37813600, 144963100, GEO_OCEANIA },
	{ "mexico", 19432600, -99133200, GEO_AMERICA },
	{ "miami", 25761700, -80191800, GEO_AMERICA },
	{ "milan", 45464200, 9190000, GEO_EUROPE },
	{ "minneapolis", 44977800, -93265000, GEO_AMERICA },
	{ "montreal", 45501700, -73567300, GEO_AMERICA },
	{ "moscow", 55755800, 37617300, GEO_EUROPE },
	{ "mumbai", 19076000, 72877700, GEO_ASIA },
	{ "munich", 48135100, 11582000, GEO_EUROPE },
	{ "nairobi", -1292100, 36821900, GEO_AFRICA },
	{ "new-york", 40712800, -74006000, GEO_AMERICA },
	{ "nuremberg", 49452100, 11076700, GEO_EUROPE },
	{ "osaka", 34693700, 135502300, GEO_ASIA },
	{ "oslo", 59913900, 10752200, GEO_EUROPE },
	{ "paris", 48856600, 2352200, GEO_EUROPE },
	{ "perth", -31950500, 115860500, GEO_OCEANIA },
	{ "phoenix", 33448400, -112074000, GEO_AMERICA },
	{ "prague", 50075500, 14437800, GEO_EUROPE },
	{ "riga", 56949600, 24105200, GEO_EUROPE },
	{ "riyadh", 24713600, 46675300, GEO_ASIA },
	{ "rome", 41902800, 12496400, GEO_EUROPE },
	{ "salt-lake-city", 40760800, -111891000, GEO_AMERICA },
	{ "san-francisco", 37774900, -122419400, GEO_AMERICA },
	{ "san-jose", 37338200, -121886300, GEO_AMERICA },
	{ "santiago", -33448900, -70669300, GEO_AMERICA },
	{ "sao-paulo", -23550500, -46633300, GEO_AMERICA },
	{ "seattle", 47606200, -122332100, GEO_AMERICA },
	{ "seoul", 37566500, 126978000, GEO_ASIA },
	{ "shanghai", 31230400, 121473700, GEO_ASIA },
	{ "singapore", 1352100, 103819800, GEO_ASIA },
	{ "sofia", 42697700, 23321900, GEO_EUROPE },
	{ "stockholm", 59329300, 18068600, GEO_EUROPE },
	{ "sydney", -33868800, 151209300, GEO_OCEANIA },
	{ "taipei", 25033000, 121565400, GEO_ASIA },
	{ "tallinn", 59437000, 24753600, GEO_EUROPE },
	{ "tel-aviv", 32085300, 34781800, GEO_ASIA },
	{ "tokyo", 35676200, 139650300, GEO_ASIA },
	{ "toronto", 43653200, -79383200, GEO_AMERICA },
	{ "valencia", 39469900, -376300, GEO_EUROPE },
	{ "vancouver", 49282700, -123120700, GEO_AMERICA },
	{ "vienna", 48208200, 16373800, GEO_EUROPE },
	{ "vilnius", 54687200, 25279700, GEO_EUROPE },
	{ "warsaw", 52229700, 21012200, GEO_EUROPE },
	{ "washington", 38907200, -77036900, GEO_AMERICA },
	{ "wellington", -41286600, 174775600, GEO_OCEANIA },
	{ "zagreb", 45815000, 15981900, GEO_EUROPE },
	{ "zurich", 47376900, 8541700, GEO_EUROPE },
};

enum { CITIES = sizeof city_table / sizeof *city_table };

uint32_t geo_cities(void) { return CITIES; }
const struct geo_city *geo_city(uint32_t city) { return &city_table[city]; }
bool geo_in_area(uint32_t city, enum geo_area area) { return city_table[city].area == area; }

uint32_t geo_find(const char *name, size_t n)
{
	for (uint32_t i = 0; i < CITIES; i++)
		if (strlen(city_table[i].name) == n && memcmp(city_table[i].name, name, n) == 0) return i;
	return GEO_NONE;
}

uint32_t geo_nearest(int32_t lat_udeg, int32_t lon_udeg)
{
	uint64_t best = UINT64_MAX;
	uint32_t at = 0;

	for (uint32_t i = 0; i < CITIES; i++) {
		uint64_t d = geo_distance_m(lat_udeg, lon_udeg, city_table[i].lat_udeg, city_table[i].lon_udeg);
		if (d < best) best = d, at = i;
	}
	return at;
}

static uint64_t hash_more(uint64_t h, uint64_t v)
{
	for (int i = 0; i < 8; i++) h = (h ^ (v >> (8 * i) & 0xff)) * UINT64_C(0x100000001b3);
	return h;
}

uint64_t geo_table_hash(void)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

	for (uint32_t i = 0; i < CITIES; i++) {
		for (const char *p = city_table[i].name; *p != 0; p++) h = hash_more(h, (uint8_t)*p);
		h = hash_more(h, (uint32_t)city_table[i].lat_udeg);
		h = hash_more(h, (uint32_t)city_table[i].lon_udeg);
		h = hash_more(h, city_table[i].area);
	}
	return h;
}

/* ---- the great circle ---- */

enum { ONE = 1 << 30, DEG_90 = 90000000, EARTH_M = 6371009 };

/* a * b of numbers with 30 bits behind the point. */
static int64_t mul(int64_t a, int64_t b) { return a * b >> 30; }

/* sin of 0..90 degrees by its series to the 13th power: wrong by less than 1e-8. */
static int64_t sin_quarter(int64_t udeg)
{
	int64_t x = udeg * 314410567 >> 24, xx = mul(x, x), sum = ONE; /* radians */

	for (int64_t k = 12; k >= 2; k -= 2) sum = ONE - mul(xx, sum) / (k * (k + 1));
	return mul(x, sum);
}

static int64_t sin_udeg(int64_t udeg)
{
	udeg %= 4 * (int64_t)DEG_90;
	if (udeg < 0) udeg += 4 * (int64_t)DEG_90;
	if (udeg >= 2 * (int64_t)DEG_90) return -sin_udeg(udeg - 2 * (int64_t)DEG_90);
	return udeg <= DEG_90 ? sin_quarter(udeg) : sin_quarter(2 * (int64_t)DEG_90 - udeg);
}

static int64_t cos_udeg(int64_t udeg) { return sin_udeg(udeg + DEG_90); }

static int64_t root(int64_t v) /* floor of the square root */
{
	int64_t r = 0;

	for (int64_t bit = INT64_C(1) << 31; bit > 0; bit >>= 1)
		if ((r + bit) * (r + bit) <= v) r += bit;
	return r;
}

/* Half the angle between two places, by the chord between them on the unit sphere and its arc sine. */
static int64_t half_angle_udeg(int32_t lat1, int32_t lon1, int32_t lat2, int32_t lon2)
{
	int64_t dx = mul(cos_udeg(lat1), cos_udeg(lon1)) - mul(cos_udeg(lat2), cos_udeg(lon2));
	int64_t dy = mul(cos_udeg(lat1), sin_udeg(lon1)) - mul(cos_udeg(lat2), sin_udeg(lon2));
	int64_t dz = sin_udeg(lat1) - sin_udeg(lat2), half = root((dx * dx + dy * dy + dz * dz) / 4), low = 0, high = DEG_90;

	while (low < high) { /* the smallest angle whose sine is at least half the chord */
		int64_t middle = (low + high) / 2;
		if (sin_quarter(middle) >= half)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

uint64_t geo_distance_m(int32_t lat1_udeg, int32_t lon1_udeg, int32_t lat2_udeg, int32_t lon2_udeg)
{
	uint64_t half = (uint64_t)half_angle_udeg(lat1_udeg, lon1_udeg, lat2_udeg, lon2_udeg);

	return (uint64_t)((unsigned __int128)(2 * half) * EARTH_M * 3141592654u / 1000000000u / 180000000u);
}

/* ---- latency ---- */

enum { SAME_PLACE_NS = 100000 /* not fitted: within a data centre */ };

uint64_t geo_latency_ns(int32_t lat1_udeg, int32_t lon1_udeg, int32_t lat2_udeg, int32_t lon2_udeg)
{
	uint64_t m = geo_distance_m(lat1_udeg, lon1_udeg, lat2_udeg, lon2_udeg), detour = m * GEO_DETOUR_NS_PER_KM / 1000, ns;

	if (detour > GEO_DETOUR_MAX_NS) detour = GEO_DETOUR_MAX_NS;
	ns = m * GEO_NS_PER_KM / 1000 + detour;
	return ns > SAME_PLACE_NS ? ns : SAME_PLACE_NS;
}
