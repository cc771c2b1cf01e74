/* What the client makes of certificates: meta certificates, names and pins. Each case is a whole connection to a hand-written relay,
 * which either comes to the HTTP request or ends as a TLS failure. */
#include "pair_client.h"

#define HEX "8f40c5adb68f25624ae5b214ea767a6ec94d829d3d7b5e1ad1ba6f3e2138285f"
#define META "derpkey" HEX
#define TEXT(s) .common_name = (s), .common_name_n = sizeof(s) - 1
#define DNS(s) \
	{ \
		.p = (s), .n = sizeof(s) - 1 \
	}
#define IP(s) \
	{ \
		.p = (s), .n = sizeof(s) - 1, .ip = true \
	}
#define PIN "sha256-raw:000102030405060708090a0b0c0d0e0f101112131415161718191aabacadaeaf"
#define SHA \
	{ \
		0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, \
			0x16, 0x17, 0x18, 0x19, 0x1a, 0xab, 0xac, 0xad, 0xae, 0xaf \
	}

static const struct certificate_name a_test[] = { DNS("a.test") };
static const uint64_t wall_s = 1800000000;

/* A client of one region, whose node is `host` with `more`, dials; returns its host. */
static int dial(struct pair *p, const char *config, const char *host, const char *more)
{
	char text[1200];

	p->wall_ns = wall_s * NS_S;
	snprintf(text, sizeof text, "retry=manual\n%sregion={\"Nodes\":[{\"Name\":\"1a\",\"HostName\":\"%s\",\"DERPPort\":80%s%s}]}\n", config, host,
	         ",\"IPv4\":\"192.0.2.50\",\"IPv6\":\"none\"", more);
	return pair_client(p, A, text);
}

static void goes_on(struct pair *p, int c, bool good, const char *what)
{
	const struct pair_heard *h = pair_heard(p, c, DELIVER_DISCONNECTED, 0);

	if (!good && h == NULL) fail_msg("%s: it went on", what);
	if (good && h != NULL) fail_msg("%s: it ended because of %s", what, client_end_name((enum client_end)h->a));
	if (!good) assert_int_equal(h->a, CLIENT_END_TLS);
}

/* ---- HTTP-013, HTTP-009 ---- */

static void fast_is(struct pair *p, const struct certificate *chain, uint32_t n, bool fast, const char *what)
{
	int c;

	p->chain = chain, p->chain_n = n;
	c = dial(p, "insecure=on\n", "a.test", "");
	if (client_state(client_of(p, c)) != (fast ? CLIENT_SENT : CLIENT_HTTP)) fail_msg("%s: %s start", what, fast ? "slow" : "fast");
	if (fast) assert_memory_equal(client_server_key(client_of(p, c)), pair_public(SERVER).b, KEY_SIZE);
}

struct meta_case {
	const char *what;
	struct certificate chain[3];
	uint32_t n;
	bool fast;
};

/* HTTP-013: wherever it stands, the first one that is whole decides: `derpkey` in this case, exactly 64 hex digits of either case, a serial
 * of at most 8 bits; serial 0 and the zero key mean slow start. Dates are not looked at. */
static void meta_certificate(void **state)
{
	static const struct meta_case cases[] = {
		{ "last of two", { { TEXT("x"), .serial = 9 }, { TEXT(META), .serial = 2 } }, 2, true },
		{ "first of two, long expired", { { TEXT(META), .serial = 2, .not_after_s = 1 }, { TEXT("x") } }, 2, true },
		{ "alone", { { TEXT(META), .serial = 2 } }, 1, true },
		{ "none", { { TEXT("x"), .serial = 2 } }, 1, false },
		{ "no certificate", { { 0 } }, 0, false },
		{ "serial 0", { { TEXT(META), .serial = 0 } }, 1, false },
		{ "serial 1", { { TEXT(META), .serial = 1 } }, 1, true },
		{ "serial 254", { { TEXT(META), .serial = 254 } }, 1, true },
		{ "serial 255", { { TEXT(META), .serial = 255 } }, 1, true },
		{ "serial 256", { { TEXT(META), .serial = 256 } }, 1, false },
		{ "a serial that does not fit", { { TEXT(META), .serial = UINT64_MAX } }, 1, false },
		{ "serial 0 ends the search", { { TEXT(META), .serial = 0 }, { TEXT(META), .serial = 2 } }, 2, false },
		{ "serial 256 does not", { { TEXT(META), .serial = 256 }, { TEXT(META), .serial = 2 } }, 2, true },
		{ "a bad digit does not", { { TEXT("derpkeyz" HEX), .serial = 2 }, { TEXT(META), .serial = 2 } }, 2, true },
		{ "63 digits", { { .common_name = META, .common_name_n = 7 + 63, .serial = 2 } }, 1, false },
		{ "65 digits", { { TEXT(META "0"), .serial = 2 } }, 1, false },
		{ "no digit", { { TEXT("derpkey"), .serial = 2 } }, 1, false },
		{ "another prefix", { { TEXT("Derpkey" HEX), .serial = 2 } }, 1, false },
		{ "something before", { { TEXT(" " META), .serial = 2 } }, 1, false },
		{ "upper-case digits",
		  { { TEXT("derpkey8F40C5ADB68F25624AE5B214EA767A6EC94D829D3D7B5E1AD1BA6F3E2138285F"), .serial = 2 } },
		  1,
		  true },
		{ "the zero key", { { TEXT("derpkey0000000000000000000000000000000000000000000000000000000000000000"), .serial = 2 } }, 1, false },
		{ "of two good ones the first",
		  { { TEXT(META), .serial = 2 }, { TEXT("derpkey358072d6365880d1aeea329adf9121383851ed21a28e3b75e965d0d2cd166254"), .serial = 2 } },
		  2,
		  true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct pair *p = pair_new(0);
		wire_listens(p);
		fast_is(p, cases[i].chain, cases[i].n, cases[i].fast, cases[i].what);
		pair_free(p);
	}
}

/* HTTP-009, HTTP-013: only from TLS 1.3 on. */
static void meta_version(void **state)
{
	static const struct certificate chain[] = { { TEXT(META), .serial = 2 } };

	(void)state;
	for (uint16_t version = 0x0302; version <= 0x0305; version++) {
		struct pair *p = pair_new(0);
		wire_listens(p);
		p->tls_version = version;
		fast_is(p, chain, 1, version >= 0x0304, "by version");
		pair_free(p);
	}
}

/* ---- MAP-008 ---- */

/* MAP-008, HTTP-024: HostName is the server name; the certificate must be for it, or for CertName if there is one. A host name that is a
 * literal is no server name, and only an address of the certificate answers to it. */
static void names(void **state)
{
	static const struct {
		const char *what, *host, *more, *server_name;
		struct certificate_name name[2];
		uint32_t names;
		bool good;
	} cases[] = {
		{ "its name", "a.test", "", "a.test", { DNS("a.test") }, 1, true },
		{ "the second of its names", "a.test", "", "a.test", { DNS("b.test"), DNS("a.test") }, 2, true },
		{ "another name", "a.test", "", "a.test", { DNS("b.test") }, 1, false },
		{ "no name", "a.test", "", "a.test", { { 0 } }, 0, false },
		{ "an empty name", "a.test", "", "a.test", { DNS("") }, 1, false },
		{ "in another case", "a.TEST", "", "a.TEST", { DNS("A.test") }, 1, true },
		{ "with a dot behind", "a.test.", "", "a.test.", { DNS("a.test") }, 1, true },
		{ "a part of it", "a.test", "", "a.test", { DNS(".test") }, 1, false },
		{ "more than it", "a.test", "", "a.test", { DNS("x.a.test") }, 1, false },
		{ "a wildcard", "a.test", "", "a.test", { DNS("*.test") }, 1, true },
		{ "a wildcard for two labels", "b.a.test", "", "b.a.test", { DNS("*.test") }, 1, false },
		{ "a wildcard for no label", ".test", "", ".test", { DNS("*.test") }, 1, false },
		{ "a wildcard with a dot behind", "a.test.", "", "a.test.", { DNS("*.test") }, 1, true },
		{ "a bare wildcard", "test", "", "test", { DNS("*") }, 1, false },
		{ "a wildcard inside", "a.b.test", "", "a.b.test", { DNS("a.*.test") }, 1, false },
		{ "half a wildcard", "ab.test", "", "ab.test", { DNS("a*.test") }, 1, false },
		{ "an address as name", "a.test", "", "a.test", { IP("192.0.2.50") }, 1, false },
		{ "CertName", "a.test", ",\"CertName\":\"c.test\"", "a.test", { DNS("c.test") }, 1, true },
		{ "HostName where CertName counts", "a.test", ",\"CertName\":\"c.test\"", "a.test", { DNS("a.test") }, 1, false },
		{ "a literal", "192.0.2.50", "", "", { IP("192.0.2.50") }, 1, true },
		{ "another literal", "192.0.2.50", "", "", { IP("192.0.2.51") }, 1, false },
		{ "a literal as DNS name", "192.0.2.50", "", "", { DNS("192.0.2.50") }, 1, false },
		{ "a bad literal in the certificate", "192.0.2.50", "", "", { IP("192.0.2") }, 1, false },
		{ "a literal with CertName", "192.0.2.50", ",\"CertName\":\"c.test\"", "", { DNS("c.test") }, 1, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct certificate chain[] = { { TEXT("x"), .names = cases[i].name, .names_n = cases[i].names } };
		struct pair *p = pair_new(0);
		int c;
		wire_listens(p);
		p->chain = chain, p->chain_n = 1;
		c = dial(p, "", cases[i].host, cases[i].more);
		goes_on(p, c, cases[i].good, cases[i].what);
		assert_string_equal(p->stream[0].end[0].server_name, cases[i].server_name);
		pair_free(p);
	}
}

/* HTTP-024: of a URL the host without its port is the server name; the certificate is for it. */
STORY(url_names)
{
	static const struct address six = { .ip = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 }, .port = 80 };
	struct address answer = pair_address(50, 0);
	int c;

	wire_listens(p);
	pair_listen(p, six, PAIR_WIRE, -1, TOKEN_NONE, false);
	c = pair_client(p, A, "url=https://a.test:80/derp\n");
	pair_answer(p, c, &answer);
	state_is(p, c, CLIENT_HTTP);
	assert_string_equal(p->stream[0].end[0].server_name, "a.test");
	c = pair_client(p, B, "url=https://[2001:db8::1]:80/derp\n");
	state_is(p, c, CLIENT_HTTP);
	assert_string_equal(p->stream[1].end[0].server_name, "");
}

/* The names that count are those of the first certificate; a chain that leads nowhere is refused, unless the map (for tests) or the owner
 * says that it does not matter. CertName is asked for even then. */
static void chains(void **state)
{
	static const struct certificate good[] = { { TEXT("x"), .names = a_test, .names_n = 1 } };
	static const struct certificate second[] = { { TEXT("x") }, { TEXT("y"), .names = a_test, .names_n = 1 } };
	static const struct {
		const char *what, *config, *more;
		const struct certificate *chain;
		uint32_t n;
		bool unverified, good;
	} cases[] = {
		{ "as it should be", "", "", good, 1, false, true },
		{ "a chain to nowhere", "", "", good, 1, true, false },
		{ "no certificate at all", "", "", good, 0, false, false },
		{ "the name in the second", "", "", second, 2, false, false },
		{ "for tests", "", ",\"InsecureForTests\":true", good, 1, true, true },
		{ "for tests, any name", "", ",\"InsecureForTests\":true", second, 1, true, true },
		{ "for tests with CertName", "", ",\"InsecureForTests\":true,\"CertName\":\"c.test\"", good, 1, false, false },
		{ "for tests with HostName as CertName", "", ",\"InsecureForTests\":true,\"CertName\":\"a.test\"", second, 1, true, true },
		{ "by the owner", "insecure=on\n", ",\"CertName\":\"c.test\"", second, 1, true, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct pair *p = pair_new(0);
		int c;
		wire_listens(p);
		p->chain = cases[i].chain, p->chain_n = cases[i].n, p->unverified = cases[i].unverified;
		c = dial(p, cases[i].config, "a.test", cases[i].more);
		goes_on(p, c, cases[i].good, cases[i].what);
		pair_free(p);
	}
}

/* ---- MAP-009 ---- */

/* MAP-009, HTTP-014: a pin is the lower-case hash of the one certificate that is no meta certificate; no chain is needed. HostName must be
 * in it, unless it is a literal. */
static void pins(void **state)
{
	static const struct certificate_name other[] = { DNS("b.test") };
	static const struct certificate pinned = { TEXT("a.test"), .sha256 = SHA, .not_after_s = UINT64_MAX, .names = a_test, .names_n = 1 };
	static const struct certificate meta = { TEXT(META), .serial = 2 }, half_meta = { TEXT("derpkeyx"), .serial = 2 };
	static const struct certificate renamed = { TEXT("a.test"), .sha256 = SHA, .not_after_s = UINT64_MAX, .names = other, .names_n = 1 };
	static const struct certificate strange = { TEXT("a.test"), .not_after_s = UINT64_MAX, .names = a_test, .names_n = 1 };
	const struct {
		const char *what, *host, *pin;
		struct certificate chain[3];
		uint32_t n;
		bool good;
	} cases[] = {
		{ "the one", "a.test", PIN, { pinned }, 1, true },
		{ "and a meta certificate", "a.test", PIN, { pinned, meta }, 2, true },
		{ "behind meta certificates, good or bad", "a.test", PIN, { meta, half_meta, pinned }, 3, true },
		{ "nothing but a meta certificate", "a.test", PIN, { meta }, 1, false },
		{ "nothing", "a.test", PIN, { meta }, 0, false },
		{ "twice", "a.test", PIN, { pinned, pinned }, 2, false },
		{ "with another", "a.test", PIN, { pinned, strange }, 2, false },
		{ "another", "a.test", PIN, { strange }, 1, false },
		{ "for another name", "a.test", PIN, { renamed }, 1, false },
		{ "for another name, but a literal", "192.0.2.50", PIN, { renamed }, 1, true },
		{ "in upper case", "a.test", "sha256-raw:000102030405060708090A0B0C0D0E0F101112131415161718191AABACADAEAF", { pinned }, 1, false },
		{ "a digit less", "a.test", "sha256-raw:000102030405060708090a0b0c0d0e0f101112131415161718191aabacadaea", { pinned }, 1, false },
		{ "a digit more", "a.test", PIN "0", { pinned }, 1, false },
		{ "no digit", "a.test", "sha256-raw:", { pinned }, 1, false },
		{ "another prefix: a name, which no certificate has", "a.test", "SHA256-raw:00", { pinned }, 1, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (int tests = 0; tests < 2; tests++) { /* InsecureForTests changes nothing */
			struct pair *p = pair_new(0);
			char more[200];
			int c;
			wire_listens(p);
			p->chain = cases[i].chain, p->chain_n = cases[i].n, p->unverified = true;
			snprintf(more, sizeof more, ",\"CertName\":\"%s\"%s", cases[i].pin, tests ? ",\"InsecureForTests\":true" : "");
			c = dial(p, "", cases[i].host, more);
			goes_on(p, c, cases[i].good, cases[i].what);
			pair_free(p);
		}
}

/* MAP-009: valid in time at this very moment, both ends included, to the nanosecond; time passes while the client runs. */
static void pin_dates(void **state)
{
	static const struct {
		uint64_t before, after, later_ns;
		bool good;
	} cases[] = {
		{ wall_s - 1, wall_s + 1, 0, true },
		{ wall_s, wall_s, 0, true },
		{ wall_s + 1, wall_s + 9, 0, false },
		{ wall_s + 1, wall_s + 9, NS_S - 1, false },
		{ wall_s + 1, wall_s + 9, NS_S, true },
		{ 0, wall_s - 1, 0, false },
		{ 0, wall_s, 1, false },
		{ 0, wall_s + 1, NS_S - 1, true },
		{ 0, wall_s + 1, NS_S, true },
		{ 0, wall_s + 1, NS_S + 1, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct certificate chain[] = { { TEXT("x"), .sha256 = SHA, .not_before_s = cases[i].before, .not_after_s = cases[i].after,
			                         .names = a_test, .names_n = 1 } };
		struct pair *p = pair_new(0);
		int c;
		wire_listens(p);
		p->chain = chain, p->chain_n = 1;
		c = dial(p, "connect=off\n", "a.test", ",\"CertName\":\"" PIN "\"");
		pair_advance(p, cases[i].later_ns);
		pair_command(p, c, &(struct event_command){ .verb = COMMAND_CONNECT });
		goes_on(p, c, cases[i].good, "by date");
		pair_free(p);
	}
}

/* A failed judgement ends the attempt: no fail-over to the next node (CLI-016), and the connection is closed. */
STORY(no_fail_over)
{
	int c;

	wire_listens(p);
	p->unverified = true;
	c = pair_client(p, A, "retry=manual\n" REGION(NODE("1a", "a.test", V4("50")) "," NODE("1b", "b.test", V4("50"))));
	ended(p, c, 0, CLIENT_END_TLS);
	assert_int_equal(p->streams, 1);
	assert_int_equal(wire_accepted(p, wire_at), 0);
	assert_int_equal(wire_end(p, 0)->ended, PAIR_RESET);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(meta_certificate), cmocka_unit_test(meta_version), cmocka_unit_test(names),     cmocka_unit_test(url_names),
		cmocka_unit_test(chains),           cmocka_unit_test(pins),         cmocka_unit_test(pin_dates), cmocka_unit_test(no_fail_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
