/* Buckets that count what they lack, and the rate file. */
#include "limit.h"

#include "buf.h"
#include "json.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define NS_PER_S UINT64_C(1000000000)

uint64_t limit_take(const struct limit *l, struct limit_bucket *b, uint64_t now, uint32_t n)
{
	uint64_t full = (l->burst < LIMIT_BURST_MAX ? l->burst : LIMIT_BURST_MAX) * NS_PER_S, lack;
	unsigned __int128 refill = (unsigned __int128)(now - b->at) * l->rate;

	assert(l->rate != 0 && n <= l->burst && now >= b->at);
	b->owed = (b->owed > refill ? b->owed - (uint64_t)refill : 0) + n * NS_PER_S;
	b->at = now;
	lack = b->owed > full ? b->owed - full : 0;
	return lack / l->rate + (lack % l->rate != 0);
}

bool limit_allow(const struct limit *l, struct limit_bucket *b, uint64_t now)
{
	struct limit_bucket after = *b;

	if (l->rate == 0) return true;
	if (limit_take(l, &after, now, 1) != 0) return false;
	*b = after;
	return true;
}

static void member(struct json_reader *r, uint64_t *out)
{
	if (json_peek(r) == JSON_NULL)
		json_skip(r);
	else
		*out = json_u64(r);
}

static void members(struct json_reader *r, struct limit *limit)
{
	const uint8_t *name;
	size_t name_n;

	json_enter(r);
	while (json_member(r, &name, &name_n)) {
		if (json_name_is(name, name_n, "PerClientRateLimitBytesPerSec"))
			member(r, &limit->rate);
		else if (json_name_is(name, name_n, "PerClientRateBurstBytes"))
			member(r, &limit->burst);
		else
			json_skip(r);
	}
}

bool limit_parse(const char *json, size_t n, struct limit *out, char error[200])
{
	struct json_reader *r = mem_alloc(sizeof *r); /* it is large */
	struct limit limit = { 0 };
	enum json_kind kind;
	bool good;

	json_init(r, json, n);
	kind = json_peek(r);
	if (kind == JSON_OBJECT)
		members(r, &limit);
	else
		json_skip(r);
	good = json_done(r) && (kind == JSON_OBJECT || kind == JSON_NULL);
	if (good && limit.rate == 0) limit.burst = 0;
	if (good && limit.rate != 0 && limit.burst < LIMIT_RECEIVE_MIN) limit.burst = LIMIT_RECEIVE_MIN;
	if (good)
		*out = limit;
	else
		snprintf(error, 200, "the rate file needs an object of unsigned integers: %s", r->bad ? r->error : "it is none");
	free(r);
	return good;
}
