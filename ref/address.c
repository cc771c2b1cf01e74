/* Literals in and out. */
#include "address.h"

#include <stdio.h>
#include <string.h>

static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static bool decimal(const char **p, const char *end, uint32_t max, uint32_t *out)
{
	const char *start = *p;
	uint32_t v = 0;

	for (; *p < end && **p >= '0' && **p <= '9'; (*p)++) {
		v = v * 10 + (uint32_t)(**p - '0');
		if (v > max || *p - start >= 5) return false;
	}
	*out = v;
	return *p > start;
}

static bool parse_v4(const char *p, const char *end, uint8_t out[4])
{
	for (int i = 0; i < 4; i++) {
		uint32_t v;
		if (i != 0 && (p == end || *p++ != '.')) return false;
		if (p < end && *p == '0' && p + 1 < end && p[1] >= '0' && p[1] <= '9') return false; /* no leading zeros */
		if (!decimal(&p, end, 255, &v)) return false;
		out[i] = (uint8_t)v;
	}
	return p == end;
}

static bool hex_group(const char **p, const char *end, uint32_t *out)
{
	const char *start = *p;

	*out = 0;
	for (; *p < end && *p - start < 5; (*p)++) {
		char c = **p;
		uint32_t d = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
		             : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
		             : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
		                                    : 16;
		if (d == 16) break;
		*out = *out << 4 | d;
	}
	return *p > start && *p - start <= 4;
}

static bool parse_v6(const char *p, const char *end, uint8_t out[16])
{
	int n = 0, gap = -1;

	memset(out, 0, 16);
	if (end - p >= 2 && p[0] == ':' && p[1] == ':') gap = 0, p += 2;
	while (p < end && n < 16) {
		const char *start = p;
		uint32_t group;
		if (!hex_group(&p, end, &group)) return false;
		if (p < end && *p == '.') {
			if (n > 12 || !parse_v4(start, end, out + n)) return false;
			n += 4, p = end;
			break;
		}
		out[n++] = (uint8_t)(group >> 8);
		out[n++] = (uint8_t)group;
		if (p == end) break;
		if (*p++ != ':' || p == end) return false;
		if (*p != ':') continue;
		if (gap >= 0) return false;
		gap = n, p++;
	}
	if (p != end || (gap < 0) != (n == 16)) return false;
	if (gap < 0) return true;
	memmove(out + 16 - (n - gap), out + gap, (size_t)(n - gap));
	memset(out + gap, 0, (size_t)(16 - n));
	return true;
}

bool address_ip_parse(const char *text, size_t n, struct address *out)
{
	uint8_t ip[16];

	if (n == 0 || n > 45) return false;
	memcpy(ip, mapped, sizeof mapped);
	if (!parse_v4(text, text + n, ip + 12) && !parse_v6(text, text + n, ip)) return false;
	memcpy(out->ip, ip, sizeof ip);
	return true;
}

bool address_parse(const char *text, size_t n, struct address *out)
{
	const char *end = text + n, *colon = end, *p;
	struct address a = { 0 };
	uint32_t port;

	while (colon > text && colon[-1] != ':') colon--;
	if (colon - text < 2) return false;
	p = colon--;
	if (!decimal(&p, end, 65535, &port) || p != end) return false;
	if (*text == '[' && colon[-1] == ']' ? !address_ip_parse(text + 1, (size_t)(colon - text - 2), &a) || address_is_v4(&a)
	                                     : !address_ip_parse(text, (size_t)(colon - text), &a) || !address_is_v4(&a))
		return false;
	a.port = (uint16_t)port;
	*out = a;
	return true;
}

bool address_is_v4(const struct address *a) { return memcmp(a->ip, mapped, sizeof mapped) == 0; }

bool address_is_zero(const struct address *a)
{
	static const uint8_t zero[16];

	return memcmp(a->ip, zero, sizeof zero) == 0 && a->port == 0;
}

bool address_equal(const struct address *a, const struct address *b) { return memcmp(a->ip, b->ip, sizeof a->ip) == 0 && a->port == b->port; }

const char *address_text(const struct address *a, char out[ADDRESS_TEXT])
{
	const uint8_t *b = a->ip;

	if (address_is_v4(a))
		snprintf(out, ADDRESS_TEXT, "%u.%u.%u.%u:%u", b[12], b[13], b[14], b[15], a->port);
	else
		snprintf(out, ADDRESS_TEXT, "[%x:%x:%x:%x:%x:%x:%x:%x]:%u", b[0] << 8 | b[1], b[2] << 8 | b[3], b[4] << 8 | b[5], b[6] << 8 | b[7],
		         b[8] << 8 | b[9], b[10] << 8 | b[11], b[12] << 8 | b[13], b[14] << 8 | b[15], a->port);
	return out;
}

/* The first longest run of two or more zero groups, which is written as "::". */
static int zero_run(const uint8_t *b, int *length)
{
	int best = -1, run = 0;

	*length = 1;
	for (int i = 0; i < 8; i++) {
		run = b[2 * i] == 0 && b[2 * i + 1] == 0 ? run + 1 : 0;
		if (run > *length) best = i - run + 1, *length = run;
	}
	return best;
}

const char *address_ip_text(const struct address *a, char out[ADDRESS_TEXT])
{
	const uint8_t *b = a->ip;
	int length, gap = zero_run(b, &length), n = 0;

	if (address_is_v4(a)) {
		snprintf(out, ADDRESS_TEXT, "%u.%u.%u.%u", b[12], b[13], b[14], b[15]);
		return out;
	}
	for (int i = 0; i < 8; i++) {
		if (i == gap) {
			n += snprintf(out + n, ADDRESS_TEXT - (size_t)n, "::");
			i += length - 1;
			continue;
		}
		n += snprintf(out + n, ADDRESS_TEXT - (size_t)n, "%s%x", i == 0 || i == gap + length ? "" : ":", b[2 * i] << 8 | b[2 * i + 1]);
	}
	return out;
}
