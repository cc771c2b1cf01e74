/* derpsim-bench star [CLIENTS=1000] [SECONDS=3]     packets a CPU second through one relay, whole protocol and checks, untraced
 * derpsim-bench idle [CLIENTS=100000]               resident memory a client, after real logins
 *
 * The star is a story as any other: logins with real boxes, the ledger of every packet, the census. Its relay takes no virtual CPU
 * time, so that every packet is an arrival of its own. Figures are CPU seconds of this process; sim/yardstick_main.c is what to
 * set beside them. */
#include "geo.h"
#include "story.h"

#include "../ref/key.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { LOAD_BEGINS = 5, KEYS_CACHED = 1 << 18 };

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double resident_mib(void)
{
	unsigned long size = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f == NULL || fscanf(f, "%lu %lu", &size, &resident) != 2) resident = 0;
	if (f != NULL) fclose(f);
	return (double)resident * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

/* What stands between the first and the last second that count. */
struct measure {
	struct story *story;
	uint64_t first, last; /* virtual seconds */
	double cpu_first, cpu_last;
	uint64_t packets_first, packets_last, events_first, events_last;
};

static bool on_second(void *ctx, uint64_t now, uint64_t until)
{
	struct measure *m = ctx;

	(void)until;
	if (now == m->first * NS_S) {
		m->cpu_first = cpu_seconds();
		m->packets_first = story_delivered(m->story);
		m->events_first = story_events(m->story);
	}
	if (now == m->last * NS_S) {
		m->cpu_last = cpu_seconds();
		m->packets_last = story_delivered(m->story);
		m->events_last = story_events(m->story);
	}
	return true;
}

static const char map[] =
	"{\"Regions\":{\"1\":{\"RegionID\":1,\"RegionCode\":\"fra\",\"RegionName\":\"Frankfurt\",\"Latitude\":50.11,\"Longitude\":8.68,"
	"\"Nodes\":[{\"Name\":\"1a\",\"RegionID\":1,\"HostName\":\"fra-1.test\",\"IPv4\":\"192.0.2.1\"}]}}}";

static bool load_map(void *ctx, enum scenario_file_kind kind, const char *from, const char *path, struct scenario_text *out,
                     char reason[SCENARIO_REASON_SIZE])
{
	(void)ctx, (void)kind, (void)from, (void)path, (void)reason;
	*out = (struct scenario_text){ "bench.json", map, sizeof map - 1 };
	return true;
}

static bool run(const char *text, struct measure *m, int (*report)(struct measure *m), int *code)
{
	const char **city = calloc(geo_cities(), sizeof *city);
	struct scenario_request request = { .file = { "bench", text, strlen(text) }, .load = load_map, .city = city, .cities = geo_cities() };
	struct story_options options = { .seed = 1, .until = TIME_NEVER, .second = on_second, .ctx = m };
	struct key_cache *keys = key_cache_new(KEYS_CACHED);
	struct scenario *sc;
	char error[512] = "";

	if (city == NULL) abort();
	for (uint32_t i = 0; i < geo_cities(); i++) city[i] = geo_city(i)->name;
	sc = scenario_parse(&request);
	free(city);
	if (sc->errors > 0) scenario_error_print(&sc->error[0], error, sizeof error);
	m->story = sc->errors > 0 ? NULL : story_new(sc, &options, keys, error, sizeof error);
	if (m->story == NULL) {
		fprintf(stderr, "derpsim-bench: %s\n", error);
	} else {
		story_run(m->story);
		*code = report(m);
	}
	story_free(m->story);
	scenario_free(sc);
	key_cache_free(keys);
	return error[0] == 0;
}

static int star_report(struct measure *m)
{
	uint64_t packets = m->packets_last - m->packets_first;
	double cpu = m->cpu_last - m->cpu_first;

	printf("star %.3f M packets a CPU second (%u clients, %" PRIu64 " packets, %.2f events a packet, %s)\n", (double)packets / cpu / 1e6,
	       story_clients(m->story), packets, (double)(m->events_last - m->events_first) / (double)packets,
	       story_good(m->story) ? "every check holds" : "A CHECK FAILED");
	return story_good(m->story) && packets > 0 ? 0 : 1;
}

static int idle_report(struct measure *m)
{
	uint32_t clients = story_clients(m->story);
	double mib = resident_mib();

	printf("idle %.0f MiB resident for %u clients (%" PRIu64 " connected), %.0f bytes a client, logins and all %.1f CPU s\n", mib, clients,
	       story_connected(m->story), mib * (1 << 20) / clients, cpu_seconds());
	return story_good(m->story) && story_connected(m->story) == clients ? 0 : 1;
}

static const char star_text[] = "# a star: everyone to everyone, 1,000 packets of 200 B a second each\n"
				"region fra city=lisbon nodes=1 cpu=2 packet=0ns byte=0ns handshake=0ns\n"
				"tailnet star clients=%u spread=europe join=0s..2s\n"
				"load bulk share=%s rate=1600Kbps for=1ns size=200B begin=%us till=%us\n"
				"expect at end nothing forged, changed, doubled, misdelivered, unaccounted\n"
				"until %us\n";

/* As many flows as clients, each to another pair with each packet. */
static bool star(uint32_t clients, uint32_t seconds, int *code)
{
	struct measure m = { .first = LOAD_BEGINS + 1, .last = LOAD_BEGINS + 1 + seconds };
	char text[1024], share[40];
	unsigned long long tiny = 2000000000ULL / (clients - 1) + 1; /* 2 / (clients - 1) of all pairs, in 10^-7 % */

	snprintf(share, sizeof share, "%llu.%07llu%%", tiny / 10000000, tiny % 10000000);
	snprintf(text, sizeof text, star_text, clients, share, LOAD_BEGINS, LOAD_BEGINS + 2 + seconds, LOAD_BEGINS + 4 + seconds);
	return run(text, &m, star_report, code);
}

static const char idle_text[] = "# everyone is there, nobody talks\n"
				"region fra nodes=1 cpu=64 fds=%u backlog=65536\n"
				"tailnet idle x%u clients=2 spread=world join=0s..60s\n"
				"until 100s\n";

static bool idle(uint32_t clients, int *code)
{
	struct measure m = { 0 };
	char text[1024];

	snprintf(text, sizeof text, idle_text, clients + 100, clients / 2);
	return run(text, &m, idle_report, code);
}

int main(int argc, char **argv)
{
	uint32_t first = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0, second = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0;
	int code = 3;

	if (argc > 1 && strcmp(argv[1], "star") == 0 && (argc < 3 || first > 1) && (argc < 4 || second > 0)) {
		star(argc > 2 ? first : 1000, argc > 3 ? second : 3, &code);
		return code;
	}
	if (argc > 1 && argc < 4 && strcmp(argv[1], "idle") == 0 && (argc < 3 || first > 1)) {
		idle(argc > 2 ? first : 100000, &code);
		return code;
	}
	fprintf(stderr, "usage: derpsim-bench star [CLIENTS=1000] [SECONDS=3]\n       derpsim-bench idle [CLIENTS=100000]\n");
	return 2;
}
