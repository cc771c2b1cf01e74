/* Files, and DERP maps from files and URLs. */
#include "cmd.h"

#include "buf.h"
#include "os_fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FETCH_NS (10 * NS_S)
enum { PIECE = 65536 };

int cmd_read(const struct cmd *cmd, const char *path, struct cmd_text *out)
{
	int fd = strcmp(path, "-") == 0 ? 0 : open(path, O_RDONLY | O_CLOEXEC), error;
	size_t cap = PIECE;
	ssize_t got = fd < 0 ? -1 : 1;

	*out = (struct cmd_text){ .p = mem_alloc(cap) };
	while (got > 0 && out->n <= CMD_FILE_MAX) {
		if (cap - out->n < PIECE) out->p = mem_grow(out->p, cap *= 2);
		got = read(fd, out->p + out->n, cap - out->n - 1);
		if (got > 0) out->n += (size_t)got;
	}
	error = errno;
	if (fd > 0) close(fd);
	if (got == 0) return -1;
	free(out->p);
	out->p = NULL;
	return os_cli_usage(&cmd->cli, "%s: %s", path, got < 0 ? strerror(error) : "longer than 64 MiB");
}

/* ---- maps ---- */

struct fetch {
	struct cmd *cmd;
	const char *url;
	struct cmd_text *out;
	bool over;
	int end;
};

static void fetched(void *ctx, const struct os_fetch_answer *answer)
{
	struct fetch *f = ctx;

	f->over = true;
	if (answer->status == 200 && answer->why == NULL) {
		f->out->p = mem_alloc(answer->n + 1);
		memcpy(f->out->p, answer->p, answer->n);
		f->out->n = answer->n;
		f->end = -1;
	} else if (answer->why != NULL) {
		f->end = cmd_cannot(f->cmd, "%s: %s", f->url, answer->why);
	} else {
		f->end = cmd_cannot(f->cmd, "%s: status %u, expected 200", f->url, answer->status);
	}
}

static int fetch_text(struct cmd *cmd, const char *url, struct cmd_text *out)
{
	struct os_fetch_request request = { .url = url, .ca_file = cmd->ca_file, .answer_max = CMD_FILE_MAX, .whole = true, .patience_ns = FETCH_NS };
	struct fetch f = { .cmd = cmd, .url = url, .out = out, .end = OS_EXIT_CANNOT };
	struct os_fetch *fetch = os_fetch_new(cmd->loop);

	if (fetch == NULL) return cmd_cannot(cmd, "libcurl does not start");
	os_fetch_start(fetch, &request, fetched, &f);
	while (!f.over && os_loop_signal(cmd->loop) == 0) os_loop_turn(cmd->loop, UINT64_MAX);
	os_fetch_free(fetch);
	return f.end;
}

int cmd_map_text(struct cmd *cmd, const char *where, struct cmd_text *out)
{
	*out = (struct cmd_text){ 0 };
	if (strncmp(where, "http://", 7) == 0 || strncmp(where, "https://", 8) == 0) return fetch_text(cmd, where, out);
	return cmd_read(cmd, where, out);
}

int cmd_map(struct cmd *cmd, const char *where, struct derp_map **out)
{
	char error[DERPMAP_ERROR_SIZE];
	struct cmd_text text;
	int end = cmd_map_text(cmd, where, &text);

	*out = NULL;
	if (end >= 0) return end;
	*out = derp_map_parse(text.p, text.n, error);
	free(text.p);
	if (*out == NULL) return os_cli_usage(&cmd->cli, "%s:%s", where, error);
	if ((*out)->regions == 0) return os_cli_usage(&cmd->cli, "%s: there is no region in this map", where);
	return -1;
}

const struct derp_region *cmd_region(const struct cmd *cmd, const struct derp_map *map)
{
	const struct derp_region *region = NULL;
	char *end;
	long long id;

	if (cmd->region == NULL && map->regions == 1) return &map->region[0];
	if (cmd->region == NULL) {
		os_cli_usage(&cmd->cli, "the map has %u regions: --region says which", map->regions);
		return NULL;
	}
	id = strtoll(cmd->region, &end, 10);
	if (*end == 0) region = derp_map_by_id(map, id);
	if (region == NULL) region = derp_map_by_code(map, cmd->region);
	if (region == NULL)
		os_cli_usage(&cmd->cli, "option '--region': found '%s', which is neither number nor code of a region of the map", cmd->region);
	return region;
}
