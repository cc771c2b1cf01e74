/* The machine, and the host's part in what it can see: when its lists are emptied. */
#include "rerun.h"

#include "../ref/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void rerun_init(struct rerun *r, struct machine *machine, bool (*config_check)(const char *, size_t, char[200]))
{
	*r = (struct rerun){ .machine = machine, .config_check = config_check };
	actions_init(&r->out);
	actions_init(&r->up);
}

static void turn_over(struct rerun *r)
{
	actions_reset(&r->out);
	actions_reset(&r->up);
	while (r->kept_n > 0) event_copy_free(r->kept[--r->kept_n]);
}

void rerun_free(struct rerun *r)
{
	turn_over(r);
	actions_free(&r->out);
	actions_free(&r->up);
	free(r->kept);
}

static bool kind_of(const char *name, enum event_kind *out)
{
	for (int i = 0; i < EVENT_KINDS; i++) {
		*out = (enum event_kind)i;
		if (strcmp(name, event_kind_name(*out)) == 0) return true;
	}
	return false;
}

/* START comes first and once, with a configuration that this version knows. */
static bool may_step(struct rerun *r, const struct event *e)
{
	char why[200];

	if ((e->kind == EVENT_START) != (r->seq == 1)) {
		snprintf(r->error, sizeof r->error, "START is event 1, and no other");
		return false;
	}
	if (e->kind != EVENT_START || r->config_check(e->start->config, e->start->config_n, why)) return true;
	snprintf(r->error, sizeof r->error, "this version does not start with its configuration: %.180s", why);
	return false;
}

enum rerun_result rerun_step(struct rerun *r, const struct recording_row *row)
{
	struct event_copy *copy;
	struct event e = { .now = row->t, .token = row->token };
	uint64_t content;

	if (row->seq != ++r->seq) return RERUN_MISSING;
	if (row->turn > 1 || !kind_of(row->kind, &e.kind)) return RERUN_ALTERED;
	content = recording_content(row->seq, &e, row->turn != 0, row->data, row->n);
	if (content != row->content) return RERUN_ALTERED;
	copy = event_decode(e.kind, e.now, e.token, row->data, row->n);
	if (row->turn != 0) turn_over(r);
	if (copy == NULL) {
		snprintf(r->error, sizeof r->error, "its bytes are no event");
		return RERUN_DAMAGED;
	}
	MEM_ROOM(r->kept, r->kept_n, r->kept_cap);
	r->kept[r->kept_n++] = copy;
	if (!may_step(r, &copy->e)) return RERUN_DAMAGED;
	r->out_from = r->out.n;
	r->up_from = r->up.n;
	machine_step(r->machine, &copy->e, &r->out, &r->up);
	r->digest = recording_digest(r->digest, content, &r->out, r->out_from, &r->up, r->up_from);
	if (row->crashed) return RERUN_SAME;
	if ((row->turn != 0) != (r->out_from == 0)) return RERUN_DIVERGES;
	return r->digest.a == row->digest && row->actions == r->out.n - r->out_from + r->up.n - r->up_from ? RERUN_SAME : RERUN_DIVERGES;
}
