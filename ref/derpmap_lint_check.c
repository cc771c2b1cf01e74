/* What is wrong with a node, with a region, and with regions and nodes among themselves. */
#include "derpmap_lint_core.h"

#include "address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- nodes ---- */

static bool has_text(const struct lint_value *v) { return v->there && v->text[0] != 0; }
/* A text that is empty and a number that is 0 are as good as none. */
static bool is_missing(const struct lint_value *v) { return !v->told && !has_text(v) && !(v->there && v->number != 0); }
static bool is_set(const struct lint_value *v) { return v->there && v->number != 0; }

/* MAP-006. Returns whether the family is in use. */
static bool check_family(struct lint_walk *w, const struct lint_value *v, bool v6, const char *member)
{
	struct address ip;
	char found[LINT_SHOWN + 8];
	const char *family = v6 ? "IPv6" : "IPv4";

	if (!has_text(v)) return true; /* by DNS */
	if (address_ip_parse(v->text, strlen(v->text), &ip)) {
		if (address_is_v4(&ip) != v6) return true;
		lint_say_of(w, member, v->at, LINT_ERROR, "found '%s', expected an %s address: as it stands, %s is off (MAP-006)",
		            lint_shown(v->text, found), family, family);
	} else if (strcmp(v->text, "none") != 0) {
		lint_say_of(w, member, v->at, LINT_ERROR, "found '%s', expected an %s address, or none to switch %s off, as this does (MAP-006)",
		            lint_shown(v->text, found), family, family);
	}
	return false;
}

static bool is_lower_hex(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!(p[i] >= '0' && p[i] <= '9') && !(p[i] >= 'a' && p[i] <= 'f')) return false;
	return true;
}

static bool is_host(const char *text)
{
	struct address ip;

	if (address_ip_parse(text, strlen(text), &ip)) return true;
	return text[strcspn(text, " \t:/\\@?#[]")] == 0;
}

static void check_names(struct lint_walk *w, const struct lint_value *v, size_t at)
{
	static const char prefix[] = "sha256-raw:";
	const struct lint_value *host = &v[NODE_HOST_NAME], *cert = &v[NODE_CERT_NAME];
	char found[LINT_SHOWN + 8];

	if (is_missing(host))
		lint_say(w, at, LINT_ERROR, "found no HostName, expected a DNS name or an IP address (chapter 4.3)");
	else if (has_text(host) && !is_host(host->text))
		lint_say_of(w, "HostName", host->at, LINT_ERROR, "found '%s', expected a DNS name or an IP address, without port (chapter 4.3)",
		            lint_shown(host->text, found));
	if (!has_text(cert)) return;
	if (strncmp(cert->text, prefix, sizeof prefix - 1) == 0) {
		const char *hex = cert->text + sizeof prefix - 1;
		if (strlen(hex) != 64 || !is_lower_hex(hex, 64))
			lint_say_of(w, "CertName", cert->at, LINT_ERROR,
			            "found '%s', expected sha256-raw: and 64 lower-case hex digits: no certificate will match (MAP-009)",
			            lint_shown(cert->text, found));
	} else if (!is_host(cert->text)) {
		lint_say_of(w, "CertName", cert->at, LINT_ERROR,
		            "found '%s', expected a DNS name, or sha256-raw: and 64 hex digits (MAP-008, MAP-009)", lint_shown(cert->text, found));
	}
}

/* As the original reads it where an int has 32 bits, and ours everywhere. */
static bool check_32_bits(struct lint_walk *w, const struct lint_value *v, const char *member, const char *rule)
{
	if (v->number >= INT32_MIN && v->number <= INT32_MAX) return true;
	lint_say_of(w, member, v->at, LINT_ERROR, "found %lld, expected a port (%s)", (long long)v->number, rule);
	return false;
}

/* Returns whether a client can have a port to connect to. */
static bool check_ports(struct lint_walk *w, const struct lint_value *v)
{
	const struct lint_value *derp = &v[NODE_DERP_PORT], *stun = &v[NODE_STUN_PORT];
	bool off = stun->there && (stun->number < 0 || stun->number > 65535);

	if (off && check_32_bits(w, stun, "STUNPort", "MAP-010") && stun->number != -1)
		lint_say_of(w, "STUNPort", stun->at, LINT_WARNING,
		            "found %lld, which switches STUN off; expected 1 to 65535, 0 for 3478, or -1 for off (MAP-010)", (long long)stun->number);
	if (off && is_set(&v[NODE_STUN_ONLY]))
		lint_say_of(w, "STUNOnly", v[NODE_STUN_ONLY].at, LINT_WARNING, "STUN is off too: the node is good for nothing (MAP-005, MAP-010)");
	if (!derp->there || (derp->number >= 0 && derp->number <= 65535)) return true;
	lint_say_of(w, "DERPPort", derp->at, LINT_ERROR, "found %lld, expected 1 to 65535, or 0 for 443 (MAP-007)", (long long)derp->number);
	return false;
}

/* MAP-020, TRP-039: latency is booked under the node's own RegionID. */
static void check_node_region(struct lint_walk *w, const struct lint_value *id, size_t at, int64_t region)
{
	if (is_missing(id))
		lint_say(w, at, LINT_ERROR, "found no RegionID, expected that of its region: without it the region is never measured (MAP-020)");
	else if (id->there && region != 0 && id->number != region)
		lint_say_of(w, "RegionID", id->at, LINT_ERROR, "found %lld, expected %lld, the region in which the node stands (MAP-020)",
		            (long long)id->number, (long long)region);
}

static void check_test_members(struct lint_walk *w, const struct lint_value *v)
{
	if (is_set(&v[NODE_INSECURE]))
		lint_say_of(w, "InsecureForTests", v[NODE_INSECURE].at, LINT_WARNING,
		            "found true: certificates of this node are not checked (chapter 4.3)");
	if (has_text(&v[NODE_STUN_TEST_IP]))
		lint_say_of(w, "STUNTestIP", v[NODE_STUN_TEST_IP].at, LINT_WARNING,
		            "found an address for tests: STUN goes there and not to the node (chapter 4.3)");
	if (is_set(&v[NODE_PORT80]) && !has_text(&v[NODE_IPV4]))
		lint_say_of(w, "CanPort80", v[NODE_PORT80].at, LINT_WARNING, "found true without an IPv4 address: the node is not asked (MAP-019)");
}

struct lint_use lint_check_node(struct lint_walk *w, size_t at, int64_t region)
{
	const struct lint_value *v = w->node;
	bool v4 = check_family(w, &v[NODE_IPV4], false, "IPv4"), v6 = check_family(w, &v[NODE_IPV6], true, "IPv6"), port = check_ports(w, v);
	struct lint_use use = { .stun_only = is_set(&v[NODE_STUN_ONLY]) };

	if (has_text(&v[NODE_NAME]))
		lint_remember(&w->nodes, v[NODE_NAME].text, w->path, v[NODE_NAME].at, 0);
	else if (is_missing(&v[NODE_NAME]))
		lint_say(w, at, LINT_ERROR, "found no Name, expected one of its own, as in 1a (MAP-016)");
	check_node_region(w, &v[NODE_REGION_ID], at, region);
	check_names(w, v, at);
	check_test_members(w, v);
	if (!v4 && !v6) lint_say(w, at, LINT_WARNING, "both families are off: the node cannot be dialled (CLI-019)");
	use.usable = !use.stun_only && (v4 || v6) && port && has_text(&v[NODE_HOST_NAME]);
	return use;
}

void lint_check_nodes(struct lint_walk *w, size_t at, uint32_t nodes, bool usable, bool first_stun_only)
{
	if (!usable)
		lint_say(w, at, LINT_WARNING, "%s: the region cannot be connected to (MAP-017)",
		         nodes == 0 ? "there is no node" : "no node can be connected to");
	else if (first_stun_only)
		lint_say(w, at, LINT_WARNING, "the first node is STUNOnly: every client calls itself not ideal, for ever (TRP-028)");
}

/* ---- regions ---- */

static void check_degrees(struct lint_walk *w, const struct lint_value *v, const char *member, int limit)
{
	if (v->there && (v->number < -limit * INT64_C(1000000) || v->number > limit * INT64_C(1000000)))
		lint_say_of(w, member, v->at, LINT_ERROR, "found a number out of range, expected -%d to %d degrees (chapter 4.3)", limit, limit);
}

/* MAP-002 */
void lint_check_region(struct lint_walk *w, size_t at, int64_t id, bool has_nodes)
{
	const struct lint_value *v = w->region;

	if (is_missing(&v[REGION_ID]))
		lint_say(w, at, LINT_ERROR, "found no RegionID, expected the number under which the region stands (MAP-002)");
	else if (v[REGION_ID].there && id != 0 && v[REGION_ID].number != id)
		lint_say_of(w, "RegionID", v[REGION_ID].at, LINT_ERROR,
		            "found %lld, expected %lld, the number under which the region stands (MAP-002)", (long long)v[REGION_ID].number,
		            (long long)id);
	if (has_text(&v[REGION_CODE]))
		lint_remember(&w->codes, v[REGION_CODE].text, w->path, v[REGION_CODE].at, 0);
	else if (is_missing(&v[REGION_CODE]))
		lint_say(w, at, LINT_WARNING, "found no RegionCode, expected a short name, as in nyc (chapter 4.3)");
	check_degrees(w, &v[REGION_LATITUDE], "Latitude", 90);
	check_degrees(w, &v[REGION_LONGITUDE], "Longitude", 180);
	if (v[REGION_AVOID].there)
		lint_say_of(w, "Avoid", v[REGION_AVOID].at, LINT_WARNING,
		            "Avoid is deprecated and does little; NoMeasureNoHome keeps homes away (MAP-015, MAP-014)");
	if (!has_nodes) lint_say(w, at, LINT_WARNING, "there is no node: the region cannot be connected to (MAP-017)");
}

/* ---- what concerns several ---- */

static int by_text(const void *a, const void *b)
{
	const struct lint_seen *x = a, *y = b;
	int order = strcmp(x->text, y->text);

	return order != 0 ? order : x->at < y->at ? -1 : x->at > y->at;
}

static int by_id(const void *a, const void *b)
{
	const struct lint_seen *x = a, *y = b;

	if (x->id != y->id) return x->id < y->id ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

/* MAP-016: the second and later ones of a name; member is where it stands. */
static void check_unique(struct lint_walk *w, struct lint_list *list, const char *member, enum lint_level level, const char *rule)
{
	char found[LINT_SHOWN + 8], path[LINT_PATH + 20], text[LINT_PATH + 200];
	uint32_t first = 0;

	if (list->n != 0) qsort(list->v, list->n, sizeof *list->v, by_text);
	for (uint32_t i = 1; i < list->n; i++) {
		if (strcmp(list->v[i].text, list->v[first].text) != 0) {
			first = i;
			continue;
		}
		snprintf(path, sizeof path, "%s.%s", list->v[i].path, member);
		snprintf(text, sizeof text, "found '%s', which is also that of %s (%s)", lint_shown(list->v[i].text, found), list->v[first].path,
		         rule);
		lint_say_at(w, path, list->v[i].at, level, text);
	}
}

static bool is_reserved(int64_t id) { return id >= 900 && id <= 999; }

static void check_regions(struct lint_walk *w)
{
	const struct lint_list *list = &w->regions;
	uint32_t reserved = 0;

	if (list->n != 0) qsort(list->v, list->n, sizeof *list->v, by_id);
	for (uint32_t i = 0; i < list->n; i++) reserved += is_reserved(list->v[i].id);
	for (uint32_t i = 0; i < list->n; i++) {
		const struct lint_seen *s = &list->v[i];
		if (i > 0 && list->v[i - 1].id == s->id)
			lint_say_at(w, s->path, s->at, LINT_WARNING, "the region a second time; the later one counts (MAP-001)");
		if (s->id > 65535) lint_say_at(w, s->path, s->at, LINT_WARNING, "numbers over 65535 do not work from end to end (CLI-043)");
		if (is_reserved(s->id) && reserved != list->n)
			lint_say_at(w, s->path, s->at, LINT_WARNING,
			            "900 to 999 are reserved for users' own relays, and this map has others (MAP-002)");
	}
}

static void check_scores(struct lint_walk *w)
{
	const struct lint_list *list = &w->regions; /* sorted by id */

	for (uint32_t i = 0; i < w->scores.n; i++) {
		const struct lint_seen *s = &w->scores.v[i];
		uint32_t lo = 0, hi = list->n;
		while (lo < hi) {
			uint32_t mid = lo + (hi - lo) / 2;
			if (list->v[mid].id < s->id)
				lo = mid + 1;
			else
				hi = mid;
		}
		if (lo == list->n || list->v[lo].id != s->id)
			lint_say_at(w, s->path, s->at, LINT_WARNING, "found a score of a region that is not in this map (HOM-008)");
	}
}

void lint_check_map(struct lint_walk *w)
{
	check_unique(w, &w->nodes, "Name", LINT_ERROR, "MAP-016");
	check_unique(w, &w->codes, "RegionCode", LINT_WARNING, "chapter 4.3");
	check_regions(w);
	check_scores(w);
}
