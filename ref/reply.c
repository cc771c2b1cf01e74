/* Responses, from a table of the fields that endpoints set, in the order of their names. */
#include "reply.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_TYPE "text/plain; charset=utf-8"
#define HTML_TYPE "text/html; charset=utf-8"

void reply_init(struct reply *r, uint32_t status, const char *type, uint32_t with)
{
	*r = (struct reply){ .status = status, .type = type, .with = with };
}

void reply_free(struct reply *r)
{
	free(r->body);
	free(r->location);
	reply_init(r, 0, NULL, 0);
}

static char *room(struct reply *r, size_t n)
{
	if (r->cap - r->n < n) {
		r->cap = 2 * (r->n + n);
		r->body = mem_grow(r->body, r->cap);
	}
	return r->body + r->n;
}

void reply_put(struct reply *r, const void *p, size_t n)
{
	if (n == 0) return;
	memcpy(room(r, n), p, n);
	r->n += n;
}

void reply_format(struct reply *r, const char *format, ...)
{
	va_list args, again;
	int n;

	va_start(args, format);
	va_copy(again, args);
	n = vsnprintf(NULL, 0, format, args);
	assert(n >= 0);
	vsnprintf(room(r, (size_t)n + 1), (size_t)n + 1, format, again);
	r->n += (size_t)n;
	va_end(again);
	va_end(args);
}

void reply_error(struct reply *r, uint32_t status, const char *line)
{
	reply_free(r);
	reply_init(r, status, TEXT_TYPE, REPLY_NO_SNIFF);
	reply_format(r, "%s\n", line);
}

void reply_refuse(struct reply *r, uint32_t status, const char *why)
{
	reply_free(r);
	reply_init(r, status, TEXT_TYPE, REPLY_BARE);
	reply_format(r, "%u %s%s%s", status, http_status_text(status), why == NULL ? "" : ": ", why == NULL ? "" : why);
}

/* ---- redirects ---- */

static void put_html(struct reply *r, const char *p)
{
	for (; *p != 0; p++) {
		switch (*p) {
		case '&': reply_format(r, "&amp;"); break;
		case '<': reply_format(r, "&lt;"); break;
		case '>': reply_format(r, "&gt;"); break;
		case '"': reply_format(r, "&#34;"); break;
		case '\'': reply_format(r, "&#39;"); break;
		default: reply_put(r, p, 1);
		}
	}
}

void reply_redirect(struct reply *r, uint32_t status, const char *url, size_t n, struct http_text method)
{
	bool get = http_text_is(method, "GET");
	struct reply text = { 0 };

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)url[i] >= 0x80)
			reply_format(&text, "%%%02x", (unsigned char)url[i]);
		else
			reply_put(&text, url + i, 1);
	reply_put(&text, "", 1);
	r->status = status;
	r->location = text.body;
	if (get || http_text_is(method, "HEAD")) r->type = HTML_TYPE;
	if (!get) return;
	reply_format(r, "<a href=\"");
	put_html(r, r->location);
	reply_format(r, "\">%s</a>.\n\n", http_status_text(status));
}

/* ---- writing ---- */

#define POLICY \
	"Content-Security-Policy: default-src 'self'; frame-ancestors 'none'; form-action 'self'; base-uri 'self'; block-all-mixed-content; " \
	"object-src 'none'%s\r\n"

/* What endpoints set, sorted by name. */
static void put_fields(struct reply *out, const struct reply *r)
{
	if (r->with & REPLY_ANY_ORIGIN) reply_format(out, "Access-Control-Allow-Origin: *\r\n");
	if (r->with & REPLY_NO_CACHE) reply_format(out, "Cache-Control: no-cache, no-store, must-revalidate, no-transform, max-age=0\r\n");
	if (r->with & REPLY_SAY_CLOSE) reply_format(out, "Connection: close\r\n");
	if (r->with & REPLY_BROWSER) reply_format(out, POLICY, r->with & REPLY_STYLES ? "; style-src 'self' 'unsafe-inline'" : "");
	if (r->extra != NULL) reply_put(out, r->extra, strlen(r->extra));
	if (r->type != NULL && !(r->with & REPLY_TYPE_GUESSED)) reply_format(out, "Content-Type: %s\r\n", r->type);
	if (r->location != NULL) reply_format(out, "Location: %s\r\n", r->location);
	if (r->with & REPLY_BROWSER) reply_format(out, "Strict-Transport-Security: max-age=63072000; includeSubDomains\r\n");
	if (r->with & (REPLY_BROWSER | REPLY_NO_SNIFF)) reply_format(out, "X-Content-Type-Options: nosniff\r\n");
	if (r->with & REPLY_BROWSER) reply_format(out, "X-Frame-Options: DENY\r\n");
	if (r->challenge.n != 0) reply_format(out, "X-Tailscale-Response: response %.*s\r\n", (int)r->challenge.n, r->challenge.p);
}

static void put_head(struct reply *out, const struct reply *r, bool head_only, bool close, uint64_t wall_s)
{
	bool endless = (r->with & (REPLY_CHUNKED | REPLY_UNTIL_CLOSE)) != 0;
	char date[REPLY_DATE];

	if (r->with & REPLY_BARE) {
		reply_format(out, "HTTP/1.1 %.*s\r\nContent-Type: %s\r\nConnection: close\r\n\r\n", (int)r->n, r->body, r->type);
		return;
	}
	reply_format(out, "HTTP/1.1 %u %s\r\n", r->status, http_status_text(r->status));
	put_fields(out, r);
	reply_format(out, "Date: %s\r\n", reply_date(wall_s, date));
	if (r->status != 204 && !endless && (r->n != 0 || !head_only)) reply_format(out, "Content-Length: %zu\r\n", r->n);
	if (r->type != NULL && (r->with & REPLY_TYPE_GUESSED) && (r->n != 0 || endless)) reply_format(out, "Content-Type: %s\r\n", r->type);
	if (close && !(r->with & REPLY_SAY_CLOSE)) reply_format(out, "Connection: close\r\n");
	if (r->with & REPLY_CHUNKED) reply_format(out, "Transfer-Encoding: chunked\r\n");
	reply_format(out, "\r\n");
}

struct packet *reply_write(const struct reply *r, bool head_only, bool close, uint64_t wall_s)
{
	struct reply out = { 0 };
	struct packet *packet;

	put_head(&out, r, head_only, close, wall_s);
	if (!head_only) reply_put(&out, r->body, r->n);
	packet = packet_copy((const uint8_t *)out.body, (uint32_t)out.n);
	reply_free(&out);
	return packet;
}

/* Days since 1970 to a date: years begin in March, so that the leap day is the last. */
const char *reply_date(uint64_t wall_s, char out[REPLY_DATE])
{
	static const char day[7][4] = { "Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed" };
	static const char month[12][4] = { "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Jan", "Feb" };
	uint64_t days = wall_s / 86400 + 719468, s = wall_s % 86400; /* since March 1 of year 0 */
	uint32_t of_era = (uint32_t)(days % 146097);
	uint32_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	uint32_t of_year = of_era - (365 * year + year / 4 - year / 100), m = (5 * of_year + 2) / 153;
	uint64_t y = year + days / 146097 * 400 + (m >= 10);

	snprintf(out, REPLY_DATE, "%s, %02u %s %04llu %02u:%02u:%02u GMT", day[wall_s / 86400 % 7], of_year - (153 * m + 2) / 5 + 1, month[m],
	         (unsigned long long)(y % 10000), (unsigned)(s / 3600), (unsigned)(s / 60 % 60), (unsigned)(s % 60));
	return out;
}
