/* Targets to paths, paths to endpoints. */
#include "endpoint.h"

#include "address.h"

#include <assert.h>
#include <string.h>

#define TEXT_TYPE "text/plain; charset=utf-8"
#define HTML_TYPE "text/html; charset=utf-8"

/* ---- targets ---- */

/* A request target in its parts; they point into it. */
struct target {
	struct http_text path, query; /* the query without its '?' */
};

static struct target split(struct http_text t)
{
	const char *query = memchr(t.p, '?', t.n);
	struct target out = { .path = t };

	if (query == NULL) return out;
	out.path.n = (uint32_t)(query - t.p);
	out.query = (struct http_text){ query + 1, t.n - out.path.n - 1 };
	return out;
}

/* Drops scheme and host of the form that proxies send. */
static struct http_text local_form(struct http_text t)
{
	static const char *const scheme[] = { "http://", "https://" };

	for (int i = 0; i < 2; i++) {
		uint32_t n = (uint32_t)strlen(scheme[i]);
		if (t.n < n || memcmp(t.p, scheme[i], n) != 0) continue;
		while (n < t.n && t.p[n] != '/' && t.p[n] != '?') n++;
		if (n == t.n || t.p[n] == '?') return (struct http_text){ "/", 1 };
		return (struct http_text){ t.p + n, t.n - n };
	}
	return t;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9') return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte that an escape at p stands for, or -1. */
static int escaped(const char *p, const char *end) { return end - p < 3 || digit(p[1]) < 0 || digit(p[2]) < 0 ? -1 : digit(p[1]) * 16 + digit(p[2]); }

/* Removes empty segments, "." and ".."; keeps a slash at the end. out has room for n + 1 bytes. */
static uint32_t clean(struct http_text path, char *out)
{
	const char *p = path.p, *end = p + path.n;
	uint32_t n = 0;

	while (p < end) {
		const char *slash = memchr(p, '/', (size_t)(end - p)), *stop = slash == NULL ? end : slash;
		size_t segment = (size_t)(stop - p);
		bool up = segment == 2 && memcmp(p, "..", 2) == 0, none = segment == 0 || (segment == 1 && *p == '.');
		if (up)
			while (n > 0 && out[--n] != '/') continue;
		if (!up && !none) {
			out[n++] = '/';
			memcpy(out + n, p, segment);
			n += (uint32_t)segment;
		}
		p = slash == NULL ? end : slash + 1;
		/* A slash behind the last name stays one; behind "." and ".." there is one only if it was written. */
		if (p == end && (slash != NULL || n == 0)) out[n++] = '/';
	}
	return n;
}

/* The path with its escapes resolved; an escaped slash does not part segments and becomes a byte that no endpoint's name has.
 * False: an escape is broken. */
static bool resolve(struct http_text path, char *out)
{
	const char *end = path.p + path.n;

	for (const char *p = path.p; p < end; p++) {
		int c = *p == '%' ? escaped(p, end) : (unsigned char)*p;
		if (c < 0) return false;
		if (*p == '%') {
			p += 2;
			if (c == '/' || c == 0) c = 1;
		}
		*out++ = (char)c;
	}
	*out = 0;
	return true;
}

static bool value_of(const char *p, const char *end, char out[ENDPOINT_VALUE_MAX])
{
	uint32_t n = 0;

	for (; p < end; p++) {
		int c = *p == '%' ? escaped(p, end) : *p == '+' ? ' ' : (unsigned char)*p;
		if (c <= 0 || n == ENDPOINT_VALUE_MAX - 1) return false;
		if (*p == '%') p += 2;
		out[n++] = (char)c;
	}
	out[n] = 0;
	return true;
}

bool endpoint_query(const struct http_head *head, const char *name, char out[ENDPOINT_VALUE_MAX])
{
	struct http_text query = split(head->target).query;
	const char *p = query.n == 0 ? "" : query.p, *end = p + query.n;
	size_t name_n = strlen(name);

	while (p < end) {
		const char *and = memchr(p, '&', (size_t)(end - p)), *stop = and == NULL ? end : and;
		if ((size_t)(stop - p) > name_n && memcmp(p, name, name_n) == 0 && p[name_n] == '=') return value_of(p + name_n + 1, stop, out);
		p = and == NULL ? end : and+1;
	}
	return false;
}

/* ---- access ---- */

static bool trusted(const struct address *a)
{
	static const uint8_t loopback6[16] = { [15] = 1 }, tailscale6[6] = { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0 };
	const uint8_t *b = a->ip;

	if (!address_is_v4(a)) return memcmp(b, loopback6, 16) == 0 || memcmp(b, tailscale6, sizeof tailscale6) == 0;
	b += 12;
	if (b[0] == 127) return true;
	return b[0] == 100 && b[1] >> 6 == 1 && !(b[1] == 115 && (b[2] == 92 || b[2] == 93)); /* 100.64/10 without ChromeOS's share */
}

/* Takes as long whatever the texts share. */
static bool same_secret(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);
	unsigned differ = n != m;

	assert(m > 0);
	for (size_t i = 0; i < n; i++) differ |= (unsigned)(a[i] ^ b[i % m]);
	return differ == 0;
}

bool endpoint_debug_allowed(const struct endpoint_site *site, const struct endpoint_call *call)
{
	const struct http_text *forwarded = http_field(call->head, "X-Forwarded-For");
	char key[ENDPOINT_VALUE_MAX];

	if (site->debug_key != NULL && http_text_is(call->head->method, "GET") && endpoint_query(call->head, "debugkey", key) &&
	    same_secret(key, site->debug_key))
		return true;
	if (forwarded != NULL && forwarded->n != 0) return false;
	if (trusted(&call->remote)) return true;
	for (uint32_t i = 0; i < site->allow_n; i++)
		if (memcmp(site->allow[i].ip, call->remote.ip, sizeof call->remote.ip) == 0) return true;
	return false;
}

/* ---- answers ---- */

/* HTTP-035 */
static void probe(const struct http_head *head, struct reply *reply)
{
	if (http_text_is(head->method, "GET") || http_text_is(head->method, "HEAD"))
		reply->with = REPLY_ANY_ORIGIN;
	else
		reply_error(reply, 405, "bogus probe method");
}

static bool challenge_is_legal(struct http_text t)
{
	for (uint32_t i = 0; i < t.n; i++) {
		char c = t.p[i];
		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') && (c == 0 || strchr(".-_:", c) == NULL))
			return false;
	}
	return t.n <= 64;
}

/* HTTP-036, HTTP-037 */
static void no_content(const struct http_head *head, struct reply *reply)
{
	const struct http_text *challenge = http_field(head, "X-Tailscale-Challenge");

	reply->status = 204;
	reply->with = REPLY_NO_CACHE;
	if (challenge != NULL && challenge_is_legal(*challenge)) reply->challenge = *challenge;
}

/* HTTP-038 */
static void home(const struct endpoint_site *site, const struct endpoint_call *call, struct reply *reply)
{
	reply->with = REPLY_BROWSER;
	if (site->home[0] != 0 && strcmp(site->home, "blank") != 0) {
		reply_redirect(reply, 302, site->home, strlen(site->home), call->head->method);
		return;
	}
	reply->type = HTML_TYPE;
	if (site->home[0] != 0) return;
	reply_format(reply, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>DERP relay</title></head><body>\n"
	                    "<h1>DERP relay</h1>\n"
	                    "<p>This machine passes end-to-end encrypted packets between devices of Tailscale networks that cannot reach each other "
	                    "directly. It cannot read them.</p>\n");
	if (!site->derp) reply_format(reply, "<p>Status: <b>disabled</b></p>\n");
	if (endpoint_debug_allowed(site, call)) reply_format(reply, "<p>For its operator: <a href=\"/debug/\">/debug/</a></p>\n");
	reply_format(reply, "</body></html>\n");
}

/* ---- routing ---- */

static enum endpoint below_debug(const struct endpoint_site *site, const struct endpoint_call *call, const char *name, struct reply *reply)
{
	static const struct {
		const char *name;
		enum endpoint endpoint;
	} table[] = {
		{ "", ENDPOINT_DEBUG },      { "vars", ENDPOINT_VARS },       { "varz", ENDPOINT_VARZ },
		{ "check", ENDPOINT_CHECK }, { "traffic", ENDPOINT_TRAFFIC },
	};

	if (!endpoint_debug_allowed(site, call)) {
		reply_error(reply, 403, "debug access denied");
		return ENDPOINT_REPLY;
	}
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (strcmp(name, table[i].name) == 0) return table[i].endpoint;
	reply_error(reply, 404, "404 page not found");
	return ENDPOINT_REPLY;
}

static void redirect_to(const char *path, uint32_t n, struct http_text query, struct http_text method, struct reply *reply)
{
	char url[ENDPOINT_TARGET_MAX + 4];

	memcpy(url, path, n);
	if (query.n != 0) {
		url[n++] = '?';
		memcpy(url + n, query.p, query.n);
	}
	reply_redirect(reply, 307, url, n + query.n, method);
}

static enum endpoint by_path(const struct endpoint_site *site, const struct endpoint_call *call, const char *path, struct http_text query,
                             struct reply *reply)
{
	if (strcmp(path, "/derp") == 0) { /* HTTP-004: nothing else */
		if (site->derp) return ENDPOINT_DERP;
		reply_error(reply, 404, "derp server disabled");
	} else if (strcmp(path, "/derp/probe") == 0 || strcmp(path, "/derp/latency-check") == 0) {
		probe(call->head, reply);
	} else if (strcmp(path, "/generate_204") == 0) {
		no_content(call->head, reply);
	} else if (strcmp(path, "/robots.txt") == 0) { /* HTTP-039 */
		reply_init(reply, 200, TEXT_TYPE, REPLY_BROWSER | REPLY_TYPE_GUESSED);
		reply_format(reply, "User-agent: *\nDisallow: /\n");
	} else if (strcmp(path, "/bootstrap-dns") == 0) {
		return ENDPOINT_BOOTSTRAP;
	} else if (strcmp(path, "/healthz") == 0 && !site->original) {
		return ENDPOINT_HEALTH;
	} else if (strcmp(path, "/debug") == 0) {
		redirect_to("/debug/", 7, query, call->head->method, reply);
	} else if (strncmp(path, "/debug/", 7) == 0) {
		return below_debug(site, call, path + 7, reply);
	} else {
		home(site, call, reply);
	}
	return ENDPOINT_REPLY;
}

/* HTTP-044: everything that is not served there goes to the TLS port. */
static enum endpoint by_helper(const struct endpoint_site *site, const struct endpoint_call *call, const char *path, const struct target *target,
                               struct reply *reply)
{
	const struct http_head *head = call->head;
	const struct http_text *host = http_field(head, "Host");
	struct http_text to = target->path;
	struct reply url = { 0 };

	if (strcmp(path, "/generate_204") == 0 || strncmp(path, "/debug", 6) == 0) return by_path(site, call, path, target->query, reply);
	if ((!http_text_is(head->method, "GET") && !http_text_is(head->method, "HEAD")) || host == NULL) {
		reply_error(reply, 400, "Use HTTPS");
		return ENDPOINT_REPLY;
	}
	if (to.n == 1 && target->query.p == NULL && endpoint_debug_allowed(site, call)) to = (struct http_text){ "/debug/", 7 };
	reply_format(&url, "https://%.*s%.*s", (int)host->n, host->p, (int)to.n, to.p);
	if (target->query.p != NULL) reply_format(&url, "?%.*s", (int)target->query.n, target->query.p);
	reply_redirect(reply, 302, url.body, url.n, head->method);
	reply_free(&url);
	return ENDPOINT_REPLY;
}

static bool host_is_legal(struct http_text host)
{
	for (uint32_t i = 0; i < host.n; i++) {
		char c = host.p[i];
		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
		    (c == 0 || strchr("!$%&'()*+,-.:;=@[]_~", c) == NULL))
			return false;
	}
	return true;
}

/* HTTP-003 and RFC 9112: HTTP/1.1 needs one Host, of any name; CONNECT names its own. True: refused. */
static bool by_host(const struct http_head *head, struct reply *reply)
{
	const struct http_text *host = http_field(head, "Host");
	uint32_t hosts = 0;

	for (uint32_t i = 0; i < head->fields; i++) hosts += http_text_is_nocase(head->field[i].name, "Host");
	if (hosts == 0 && head->minor == 1 && !http_text_is(head->method, "CONNECT"))
		reply_refuse(reply, 400, "missing required Host header");
	else if (hosts > 1)
		reply_refuse(reply, 400, NULL);
	else if (hosts == 1 && !host_is_legal(*host))
		reply_refuse(reply, 400, "malformed Host header");
	else
		return false;
	return true;
}

/* A request that needs no path: refused, or for the server as a whole. */
static bool by_head(const struct endpoint_call *call, struct reply *reply)
{
	const struct http_head *head = call->head;
	bool connect = http_text_is(head->method, "CONNECT");

	if (by_host(head, reply)) return true;
	if (head->target.n > ENDPOINT_TARGET_MAX)
		reply_refuse(reply, 414, NULL);
	else if (connect && call->tls) /* HTTP-045 */
		reply_error(reply, 403, "CONNECT not enabled");
	else if (connect && head->target.p[0] != '/')
		reply_error(reply, 404, "404 page not found");
	else if (http_text_is(head->target, "*") && http_text_is(head->method, "OPTIONS"))
		return true;
	else
		return false;
	return true;
}

enum endpoint endpoint_route(const struct endpoint_site *site, const struct endpoint_call *call, struct reply *reply)
{
	const struct http_head *head = call->head;
	char path[ENDPOINT_TARGET_MAX + 2], resolved[ENDPOINT_TARGET_MAX + 1];
	struct target target;
	uint32_t n;

	reply_init(reply, 200, NULL, 0);
	if (by_head(call, reply)) return ENDPOINT_REPLY;
	target = split(local_form(head->target));
	if (target.path.n == 0 || target.path.p[0] != '/' || !resolve(target.path, resolved)) {
		reply_refuse(reply, 400, NULL);
		return ENDPOINT_REPLY;
	}
	n = clean(target.path, path);
	if (!http_text_is(head->method, "CONNECT") && n != target.path.n) { /* cleaning does nothing but take away */
		redirect_to(path, n, target.query, head->method, reply);    /* HTTP-004 */
		return ENDPOINT_REPLY;
	}
	if (call->helper) return by_helper(site, call, resolved, &target, reply);
	return by_path(site, call, resolved, target.query, reply);
}
