/* Heads of requests and responses. Lines end with CR LF or a bare LF, as the original's reader takes them. */
#include "http.h"

#include "buf.h"
#include "digest.h"
#include "key.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void http_reader_init(struct http_reader *r, bool response) { *r = (struct http_reader){ .response = response }; }

void http_reader_free(struct http_reader *r)
{
	free(r->held);
	http_reader_init(r, r->response);
}

/* Bytes up to and including the blank line, or 0 if it is not there yet. `from` is where to look for it. */
static uint32_t head_end(const uint8_t *p, uint32_t n, uint32_t from)
{
	for (uint32_t i = from; i < n; i++) {
		if (p[i] != '\n') continue;
		if (i >= 1 && p[i - 1] == '\n') return i + 1;
		if (i >= 2 && p[i - 1] == '\r' && p[i - 2] == '\n') return i + 1;
	}
	return 0;
}

static bool is_token(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static struct http_text trim(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t')) p++;
	while (end > p && (end[-1] == ' ' || end[-1] == '\t')) end--;
	return (struct http_text){ .p = p, .n = (uint32_t)(end - p) };
}

static bool parse_version(const char *p, size_t n, uint32_t *minor)
{
	if (n != 8 || memcmp(p, "HTTP/1.", 7) != 0 || (p[7] != '0' && p[7] != '1')) return false;
	*minor = (uint32_t)(p[7] - '0');
	return true;
}

static bool parse_request_line(const char *p, const char *end, struct http_head *head)
{
	const char *a = memchr(p, ' ', (size_t)(end - p)), *b = a ? memchr(a + 1, ' ', (size_t)(end - a - 1)) : NULL;

	if (b == NULL || a == p || b == a + 1) return false;
	for (const char *c = p; c < a; c++)
		if (!is_token(*c)) return false;
	for (const char *c = a + 1; c < b; c++)
		if ((unsigned char)*c <= ' ' || *c == 0x7f) return false;
	head->method = (struct http_text){ .p = p, .n = (uint32_t)(a - p) };
	head->target = (struct http_text){ .p = a + 1, .n = (uint32_t)(b - a - 1) };
	return parse_version(b + 1, (size_t)(end - b - 1), &head->minor);
}

static bool parse_status_line(const char *p, const char *end, struct http_head *head)
{
	if (end - p < 12 || !parse_version(p, 8, &head->minor) || p[8] != ' ') return false;
	for (int i = 9; i < 12; i++) {
		if (p[i] < '0' || p[i] > '9') return false;
		head->status = head->status * 10 + (uint32_t)(p[i] - '0');
	}
	return end - p == 12 || p[12] == ' ';
}

static bool parse_field(const char *p, const char *end, struct http_head *head)
{
	const char *colon = memchr(p, ':', (size_t)(end - p));
	struct http_field *f;

	if (colon == NULL || colon == p || head->fields == HTTP_FIELDS_MAX) return false;
	for (const char *c = p; c < colon; c++)
		if (!is_token(*c)) return false;
	f = &head->field[head->fields++];
	f->name = (struct http_text){ .p = p, .n = (uint32_t)(colon - p) };
	f->value = trim(colon + 1, end);
	for (uint32_t i = 0; i < f->value.n; i++)
		if ((unsigned char)f->value.p[i] < ' ' && f->value.p[i] != '\t') return false;
	return true;
}

static bool parse_head(const char *p, const char *end, bool response, struct http_head *head)
{
	bool first = true;

	head->fields = 0, head->status = 0;
	for (;;) {
		const char *eol = memchr(p, '\n', (size_t)(end - p)), *stop;
		assert(eol != NULL); /* head_end has seen the empty line */
		stop = eol > p && eol[-1] == '\r' ? eol - 1 : eol;
		if (first && !(response ? parse_status_line(p, stop, head) : parse_request_line(p, stop, head))) return false;
		if (!first && stop == p) return true;
		if (!first && !parse_field(p, stop, head)) return false;
		first = false;
		p = eol + 1;
	}
}

static enum http_result parse(const uint8_t *p, uint32_t n, bool response, struct http_head *head)
{
	return parse_head((const char *)p, (const char *)p + n, response, head) ? HTTP_READY : HTTP_BAD;
}

static enum http_result hold(struct http_reader *r, const uint8_t **p, size_t *n)
{
	assert(*n + r->held_n <= HTTP_HEAD_MAX);
	if (r->held_n + *n > r->held_cap) {
		r->held_cap = r->held_cap ? r->held_cap : 512;
		while (r->held_cap < r->held_n + *n) r->held_cap *= 2;
		r->held = mem_grow(r->held, r->held_cap);
	}
	memcpy(r->held + r->held_n, *p, *n);
	r->held_n += (uint32_t)*n;
	*p += *n, *n = 0;
	return HTTP_MORE;
}

enum http_result http_read(struct http_reader *r, const uint8_t **p, size_t *n, struct http_head *head)
{
	uint32_t before = r->held_n, end, take;
	enum http_result held;

	if (before == 0) { /* the usual case: whole in the span */
		uint32_t look = *n < HTTP_HEAD_MAX ? (uint32_t)*n : HTTP_HEAD_MAX;
		const uint8_t *start = *p;
		end = head_end(start, look, 0);
		if (end == 0) return *n >= HTTP_HEAD_MAX ? HTTP_TOO_LONG : hold(r, p, n);
		*p += end, *n -= end;
		return parse(start, end, r->response, head);
	}
	take = HTTP_HEAD_MAX - before;
	if (take > *n) take = (uint32_t)*n;
	for (uint32_t i = 0; i < take; i++) { /* the end may lie across the border: look byte by byte, a head is short */
		const uint8_t *one = *p;
		size_t one_n = 1;
		held = hold(r, &one, &one_n);
		assert(held == HTTP_MORE);
		*p += 1, *n -= 1;
		end = head_end(r->held, r->held_n, r->held_n - 1);
		if (end != 0) return parse(r->held, r->held_n, r->response, head);
	}
	return *n == 0 && r->held_n < HTTP_HEAD_MAX ? HTTP_MORE : HTTP_TOO_LONG;
}

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

bool http_text_is(struct http_text t, const char *s) { return t.n == strlen(s) && memcmp(t.p, s, t.n) == 0; }

bool http_text_is_nocase(struct http_text t, const char *s)
{
	if (t.n != strlen(s)) return false;
	for (uint32_t i = 0; i < t.n; i++)
		if (lower(t.p[i]) != lower(s[i])) return false;
	return true;
}

const struct http_text *http_field(const struct http_head *head, const char *name)
{
	for (uint32_t i = 0; i < head->fields; i++)
		if (http_text_is_nocase(head->field[i].name, name)) return &head->field[i].value;
	return NULL;
}

static bool field_is(const struct http_head *head, const char *name, const char *value)
{
	const struct http_text *t = http_field(head, name);

	return t != NULL && http_text_is(*t, value);
}

/* One of the elements of a list, in all fields of that name: RFC 9110, 5.6.1. */
static bool lists(const struct http_head *head, const char *name, const char *element, bool (*is)(struct http_text t, const char *s))
{
	for (uint32_t i = 0; i < head->fields; i++) {
		const char *p = head->field[i].value.p, *end = p + head->field[i].value.n, *comma;
		if (!http_text_is_nocase(head->field[i].name, name)) continue;
		for (; p <= end; p = comma + 1) {
			comma = memchr(p, ',', (size_t)(end - p));
			if (comma == NULL) comma = end;
			if (is(trim(p, comma), element)) return true;
		}
	}
	return false;
}

bool http_has_token(const struct http_head *head, const char *name, const char *token) { return lists(head, name, token, http_text_is_nocase); }

static bool contains(struct http_text t, const char *s)
{
	size_t n = strlen(s);

	for (uint32_t i = 0; i + n <= t.n; i++)
		if (memcmp(t.p + i, s, n) == 0) return true;
	return false;
}

static enum http_upgrade upgrade_of(const struct http_head *head)
{
	const struct http_text *t = http_field(head, "Upgrade"), *protocol = http_field(head, "Sec-WebSocket-Protocol");

	if (t == NULL) return HTTP_UPGRADE_NONE;
	if (http_text_is_nocase(*t, "websocket") && protocol != NULL && contains(*protocol, "derp")) return HTTP_UPGRADE_WEBSOCKET; /* HTTP-026 */
	if (!http_text_is_nocase(*t, "derp") && !http_text_is_nocase(*t, "websocket")) return HTTP_UPGRADE_NONE; /* HTTP-002, HTTP-027 */
	return field_is(head, "Derp-Fast-Start", "1") ? HTTP_UPGRADE_DERP_FAST : HTTP_UPGRADE_DERP;              /* HTTP-008 */
}

/* 16 bytes in base64, as lenient with the last bits as the original. */
static bool is_accept_key(struct http_text t)
{
	if (t.n != HTTP_WEBSOCKET_KEY || t.p[22] != '=' || t.p[23] != '=') return false;
	for (uint32_t i = 0; i < 22; i++)
		if (!((t.p[i] >= 'a' && t.p[i] <= 'z') || (t.p[i] >= 'A' && t.p[i] <= 'Z') || (t.p[i] >= '0' && t.p[i] <= '9') || t.p[i] == '+' ||
		      t.p[i] == '/'))
			return false;
	return true;
}

/* HTTP-028, in its order; Origin and extensions are not looked at. */
static uint32_t judge_websocket(const struct http_head *head, struct http_request *out)
{
	const struct http_text *version = http_field(head, "Sec-WebSocket-Version"), *key = http_field(head, "Sec-WebSocket-Key");
	uint32_t keys = 0;

	for (uint32_t i = 0; i < head->fields; i++) keys += http_text_is_nocase(head->field[i].name, "Sec-WebSocket-Key");
	if (head->minor < 1 || !http_has_token(head, "Connection", "upgrade")) {
		out->extra = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
		return 426;
	}
	if (!http_text_is(head->method, "GET")) {
		out->extra = "Allow: GET\r\n";
		return 405;
	}
	if (version == NULL || !http_text_is(*version, "13")) {
		out->extra = "Sec-WebSocket-Version: 13\r\n";
		return 400;
	}
	if (keys != 1 || !is_accept_key(*key)) return 400;
	out->accept_key = *key;
	out->subprotocol = lists(head, "Sec-WebSocket-Protocol", "derp", http_text_is);
	return 0;
}

uint32_t http_request_judge(const struct http_head *head, struct http_request *out)
{
	const struct http_text *ideal = http_field(head, "Ideal-Node");

	*out = (struct http_request){ .upgrade = upgrade_of(head) };
	if (out->upgrade == HTTP_UPGRADE_WEBSOCKET) return judge_websocket(head, out);
	out->ideal_node = ideal != NULL && ideal->n > 0;    /* HTTP-018 */
	return out->upgrade == HTTP_UPGRADE_NONE ? 426 : 0; /* HTTP-002 */
}

const char *http_status_text(uint32_t status)
{
	static const struct {
		uint32_t status;
		const char *text;
	} table[] = {
		{ 101, "Switching Protocols" },
		{ 200, "OK" },
		{ 204, "No Content" },
		{ 302, "Found" },
		{ 307, "Temporary Redirect" },
		{ 400, "Bad Request" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 414, "URI Too Long" },
		{ 426, "Upgrade Required" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" },
		{ 501, "Not Implemented" },
		{ 503, "Service Unavailable" },
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (table[i].status == status) return table[i].text;
	assert(false && "a status that we answer");
	return "";
}

uint32_t http_upgrade_response(char out[HTTP_OUT_MAX], const uint8_t public_key[32])
{
	char hex[KEY_HEX];

	key_hex(public_key, hex); /* KEY-003: without prefix */
	return (uint32_t)snprintf(out, HTTP_OUT_MAX,
	                          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: DERP\r\nConnection: Upgrade\r\n"
	                          "Derp-Version: 2\r\nDerp-Public-Key: %.*s\r\n\r\n",
	                          KEY_HEX, hex);
}

uint32_t http_answer(char out[HTTP_OUT_MAX], uint32_t status, const char *extra, const char *body, bool keep_alive)
{
	int n = snprintf(out, HTTP_OUT_MAX, "HTTP/1.1 %u %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %zu\r\n%s%s\r\n%s", status,
	                 http_status_text(status), strlen(body), extra == NULL ? "" : extra, keep_alive ? "" : "Connection: close\r\n", body);

	assert(n > 0 && n < HTTP_OUT_MAX);
	return (uint32_t)n;
}

uint32_t http_upgrade_request(char out[HTTP_OUT_MAX], const char *host, const char *path, bool fast, const char *ideal)
{
	int n = snprintf(out, HTTP_OUT_MAX,
	                 "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: Go-http-client/1.1\r\nConnection: Upgrade\r\n%s%s%s%sUpgrade: DERP\r\n\r\n",
	                 path, host, fast ? "Derp-Fast-Start: 1\r\n" : "", ideal ? "Ideal-Node: " : "", ideal ? ideal : "", ideal ? "\r\n" : "");

	return n > 0 && n < HTTP_OUT_MAX ? (uint32_t)n : 0;
}

/* ---- WebSocket ---- */

/* RFC 6455, 4.2.2: what proves that the key has been read. */
enum { ACCEPT_N = 28 };
static void accept_value(const char *key, char out[ACCEPT_N + 1])
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	char joined[HTTP_WEBSOCKET_KEY + sizeof guid];
	uint8_t digest[DIGEST_SHA1];

	assert(digest_base64_n(sizeof digest) == ACCEPT_N);
	memcpy(joined, key, HTTP_WEBSOCKET_KEY);
	memcpy(joined + HTTP_WEBSOCKET_KEY, guid, sizeof guid);
	digest_sha1(joined, sizeof joined - 1, digest);
	digest_base64(digest, sizeof digest, out);
	out[ACCEPT_N] = 0;
}

static void key_of(const uint8_t nonce[HTTP_WEBSOCKET_NONCE], char out[HTTP_WEBSOCKET_KEY + 1])
{
	assert(digest_base64_n(HTTP_WEBSOCKET_NONCE) == HTTP_WEBSOCKET_KEY);
	digest_base64(nonce, HTTP_WEBSOCKET_NONCE, out);
	out[HTTP_WEBSOCKET_KEY] = 0;
}

uint32_t http_websocket_response(char out[HTTP_OUT_MAX], const struct http_request *request)
{
	char accept[ACCEPT_N + 1];

	assert(request->accept_key.n == HTTP_WEBSOCKET_KEY);
	accept_value(request->accept_key.p, accept);
	return (uint32_t)snprintf(
		out, HTTP_OUT_MAX,
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nSec-Websocket-Accept: %s\r\n%sUpgrade: websocket\r\n\r\n", accept,
		request->subprotocol ? "Sec-Websocket-Protocol: derp\r\n" : "");
}

uint32_t http_websocket_request(char out[HTTP_OUT_MAX], const char *host, const char *path, const uint8_t nonce[HTTP_WEBSOCKET_NONCE])
{
	char key[HTTP_WEBSOCKET_KEY + 1];
	int n;

	key_of(nonce, key);
	n = snprintf(out, HTTP_OUT_MAX,
	             "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: Go-http-client/1.1\r\nConnection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
	             "Sec-WebSocket-Protocol: derp\r\nSec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n\r\n",
	             path, host, key);
	return n > 0 && n < HTTP_OUT_MAX ? (uint32_t)n : 0;
}

bool http_websocket_accepted(const struct http_head *head, const uint8_t nonce[HTTP_WEBSOCKET_NONCE])
{
	const struct http_text *upgrade = http_field(head, "Upgrade");
	char key[HTTP_WEBSOCKET_KEY + 1], accept[ACCEPT_N + 1];

	key_of(nonce, key);
	accept_value(key, accept);
	if (head->status != 101 || upgrade == NULL || !http_text_is_nocase(*upgrade, "websocket")) return false;
	if (!http_has_token(head, "Connection", "upgrade") || !field_is(head, "Sec-WebSocket-Accept", accept)) return false;
	return field_is(head, "Sec-WebSocket-Protocol", "derp") && http_field(head, "Sec-WebSocket-Extensions") == NULL; /* we offer none */
}
