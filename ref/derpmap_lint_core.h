/* What the linter's files share. Internal.
 *
 * derpmap_lint.c        the walk over the text, the list of faults
 * derpmap_lint_check.c  what is wrong with a node, a region, a map */
#ifndef REF_DERPMAP_LINT_CORE_H
#define REF_DERPMAP_LINT_CORE_H

#include "derpmap_lint.h"
#include "json.h"

enum { LINT_TEXT = 4096, LINT_MEMBERS = 16, LINT_PATH = 300, LINT_SHOWN = 60 };

/* The members of chapter 4.3, in the order of the tables in derpmap_lint.c. */
enum { REGION_ID, REGION_CODE, REGION_NAME, REGION_LATITUDE, REGION_LONGITUDE, REGION_AVOID, REGION_UNMEASURED, REGION_NODES };
enum {
	NODE_NAME,
	NODE_REGION_ID,
	NODE_HOST_NAME,
	NODE_CERT_NAME,
	NODE_IPV4,
	NODE_IPV6,
	NODE_STUN_PORT,
	NODE_STUN_ONLY,
	NODE_DERP_PORT,
	NODE_INSECURE,
	NODE_STUN_TEST_IP,
	NODE_PORT80
};

/* A member's value, as far as it is of its kind. */
struct lint_value {
	bool there;
	bool told; /* it is there, but not as it should be, which has been told */
	size_t at;
	int64_t number; /* coordinates and scores in millionths, flags 0 or 1 */
	char text[LINT_TEXT];
};

/* Something that must be unique, or must name a region: looked at in the end. */
struct lint_seen {
	char *text, *path;
	size_t at;
	int64_t id;
};
struct lint_list {
	struct lint_seen *v;
	uint32_t n, cap;
};

struct lint_walk {
	struct json_reader r;
	struct lint *out;
	char path[LINT_PATH];
	struct lint_list regions, codes, nodes, scores;
	struct lint_value region[LINT_MEMBERS], node[LINT_MEMBERS]; /* of the region and the node at hand */
};

struct lint_use {
	bool usable, stun_only;
};

/* derpmap_lint.c */
/* A fault at the path at hand, or at a member of the object there. */
__attribute__((format(printf, 4, 5))) void lint_say(struct lint_walk *w, size_t at, enum lint_level level, const char *format, ...);
__attribute__((format(printf, 5, 6))) void lint_say_of(struct lint_walk *w, const char *member, size_t at, enum lint_level level, const char *format,
                                                       ...);
void lint_say_at(struct lint_walk *w, const char *path, size_t at, enum lint_level level, const char *text);
/* A text as a message may hold it: cut, and without what would spoil a line. Returns out. */
const char *lint_shown(const char *text, char out[LINT_SHOWN + 8]);
void lint_remember(struct lint_list *list, const char *text, const char *path, size_t at, int64_t id);

/* derpmap_lint_check.c; region, id: the number under which the region stands, 0 if it is none */
struct lint_use lint_check_node(struct lint_walk *w, size_t at, int64_t region);
void lint_check_nodes(struct lint_walk *w, size_t at, uint32_t nodes, bool usable, bool first_stun_only);
void lint_check_region(struct lint_walk *w, size_t at, int64_t id, bool has_nodes);
void lint_check_map(struct lint_walk *w);

#endif
