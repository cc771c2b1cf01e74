/* Booking and comparing. */
#include "netcheck_report.h"

#include "address.h"
#include "buf.h"

#include <stdlib.h>
#include <string.h>

void netcheck_report_free(struct netcheck_report *r)
{
	free(r->region);
	*r = (struct netcheck_report){ 0 };
}

static uint32_t place(const struct netcheck_report *r, int64_t id)
{
	uint32_t i = 0;

	while (i < r->regions && r->region[i].id < id) i++;
	return i;
}

const struct netcheck_region *netcheck_report_region(const struct netcheck_report *r, int64_t id)
{
	uint32_t i = place(r, id);

	return i < r->regions && r->region[i].id == id ? &r->region[i] : NULL;
}

static void smaller(uint64_t *v, uint64_t ns)
{
	if (*v == 0 || ns < *v) *v = ns;
}

void netcheck_report_book(struct netcheck_report *r, int64_t id, enum netcheck_family family, uint64_t ns)
{
	uint32_t i = place(r, id);

	assert(ns > 0);
	if (i == r->regions || r->region[i].id != id) {
		MEM_ROOM(r->region, r->regions, r->regions_cap);
		memmove(r->region + i + 1, r->region + i, (r->regions - i) * sizeof *r->region);
		r->region[i] = (struct netcheck_region){ .id = id };
		r->regions++;
	}
	smaller(&r->region[i].ns, ns);
	if (family == NETCHECK_V4) smaller(&r->region[i].v4_ns, ns);
	if (family == NETCHECK_V6) smaller(&r->region[i].v6_ns, ns);
}

void netcheck_report_mapped(struct netcheck_report *r, const struct address *mapped)
{
	if (!address_is_v4(mapped)) {
		r->ipv6 = true;
		r->global_v6 = *mapped;
		return;
	}
	r->ipv4 = true;
	if (address_is_zero(&r->global_v4))
		r->global_v4 = *mapped;
	else if (!address_equal(&r->global_v4, mapped))
		r->mapping_varies = NETCHECK_YES;
	else if (r->mapping_varies == NETCHECK_UNKNOWN)
		r->mapping_varies = NETCHECK_NO;
}

bool netcheck_report_has_family(const struct netcheck_report *r, enum netcheck_family family)
{
	for (uint32_t i = 0; i < r->regions; i++)
		if ((family == NETCHECK_V4 ? r->region[i].v4_ns : family == NETCHECK_V6 ? r->region[i].v6_ns : r->region[i].ns) != 0) return true;
	return false;
}

uint64_t netcheck_report_slowest(const struct netcheck_report *r)
{
	uint64_t ns = 0;

	for (uint32_t i = 0; i < r->regions; i++)
		if (r->region[i].ns > ns) ns = r->region[i].ns;
	return ns;
}

bool netcheck_report_wants(const struct netcheck_report *r, int64_t id, enum netcheck_family family)
{
	if (netcheck_report_region(r, id) == NULL) return true;
	if (family == NETCHECK_V6) return !netcheck_report_has_family(r, NETCHECK_V6);
	return r->mapping_varies == NETCHECK_UNKNOWN; /* it takes two answers to know */
}

bool netcheck_report_is_news(const struct netcheck_report *a, const struct netcheck_report *b)
{
	return a == NULL || a->choice.home != b->choice.home || a->udp != b->udp || a->ipv6 != b->ipv6 || a->mapping_varies != b->mapping_varies;
}
