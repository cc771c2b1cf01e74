/* What a relay's certificates are good for: the server key in the meta certificate (HTTP-013), and whether the connection may go on
 * (MAP-008, MAP-009). The host tells what was presented and whether the chain leads to a root that it trusts; names, pins and dates
 * are judged here. */
#include "client_core.h"

#include <string.h>

static const char meta_prefix[] = "derpkey", pin_prefix[] = "sha256-raw:";
enum { META_PREFIX = sizeof meta_prefix - 1, PIN_PREFIX = sizeof pin_prefix - 1, SERIAL_MAX = 255 };

static bool is_meta(const struct certificate *x) { return x->common_name_n >= META_PREFIX && memcmp(x->common_name, meta_prefix, META_PREFIX) == 0; }

bool client_meta_key(const struct event_secured *s, struct key *out)
{
	if (s->version < 0x0304) return false;
	for (uint32_t i = 0; i < s->chain_n; i++) {
		const struct certificate *x = &s->chain[i];
		if (!is_meta(x) || x->serial > SERIAL_MAX) continue;
		if (!key_from_hex(x->common_name + META_PREFIX, x->common_name_n - META_PREFIX, out)) continue;
		return x->serial != 0 && !key_is_zero(out->b);
	}
	return false;
}

/* ---- names ---- */

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

static bool same_text(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (lower(a[i]) != lower(b[i])) return false;
	return true;
}

/* A wildcard stands for exactly one label, the first, and only as the whole of it. */
static bool dns_name_matches(const struct certificate_name *pattern, const char *name, size_t n)
{
	const char *p = pattern->p, *dot;
	size_t p_n = pattern->n;

	if (n > 0 && name[n - 1] == '.') n--;
	if (p_n >= 3 && p[0] == '*' && p[1] == '.') {
		dot = memchr(name, '.', n);
		if (dot == NULL || dot == name) return false;
		n -= (size_t)(dot - name);
		name = dot;
		p++, p_n--;
	}
	return n > 0 && n == p_n && same_text(p, name, n);
}

/* The name of a relay: a DNS name or an IP literal, each of which only entries of its own kind can match. */
static bool valid_for(const struct certificate *x, const char *name)
{
	struct address want, have;
	bool ip = address_ip_parse(name, strlen(name), &want);

	for (uint32_t i = 0; i < x->names_n; i++) {
		const struct certificate_name *entry = &x->names[i];
		if (entry->ip != ip) continue;
		if (!ip && dns_name_matches(entry, name, strlen(name))) return true;
		if (ip && address_ip_parse(entry->p, entry->n, &have) && memcmp(have.ip, want.ip, sizeof want.ip) == 0) return true;
	}
	return false;
}

/* ---- pins ---- */

static bool hash_is(const struct certificate *x, const char *hex)
{
	char have[KEY_HEX];

	static_assert(sizeof x->sha256 == KEY_SIZE, "a hash is written like a key");
	key_hex(x->sha256, have);
	return strlen(hex) == KEY_HEX && memcmp(have, hex, KEY_HEX) == 0;
}

static bool in_time(const struct certificate *x, uint64_t wall_ns)
{
	uint64_t second = wall_ns / NS_S;

	if (second < x->not_before_s) return false;
	return second < x->not_after_s || (second == x->not_after_s && wall_ns % NS_S == 0);
}

/* MAP-009, HTTP-014: exactly one certificate, meta certificates apart. */
static bool pin_holds(const struct event_secured *s, const char *hex, const char *host, uint64_t wall_ns)
{
	bool host_is_ip = address_ip_parse(host, strlen(host), &(struct address){ 0 });
	uint32_t good = 0;

	for (uint32_t i = 0; i < s->chain_n; i++) {
		const struct certificate *x = &s->chain[i];
		if (is_meta(x)) continue;
		if (!hash_is(x, hex) || !in_time(x, wall_ns)) return false;
		if (!host_is_ip && !valid_for(x, host)) return false;
		good++;
	}
	return good == 1;
}

static const char *cert_name(const struct client *c) { return region_text(c->region, c->region->node[c->node].cert_at); }

static bool pinned(const struct client *c) { return strncmp(cert_name(c), pin_prefix, PIN_PREFIX) == 0; }

bool client_tls_insecure(const struct client *c) { return c->insecure || c->region->node[c->node].insecure || pinned(c); }

/* The original's switch for tests lets everything pass but what CertName asks for. */
bool client_certificate_good(const struct client *c, uint64_t now, const struct event_secured *s)
{
	const struct client_node *node = &c->region->node[c->node];
	const char *host = region_text(c->region, node->host_at), *name = cert_name(c);

	if (c->insecure) return true;
	if (pinned(c)) return pin_holds(s, name + PIN_PREFIX, host, c->wall_ns + now);
	if (*name == 0) name = host;
	if (node->insecure && strcmp(name, host) == 0) return true;
	return s->verified && s->chain_n > 0 && valid_for(&s->chain[0], name);
}
