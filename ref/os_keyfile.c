/* Small files, read whole, written beside and linked into place. */
#include "os_keyfile.h"

#include "json.h"
#include "os_file.h"
#include "os_loop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 4096 };

static bool complain(char error[KEYFILE_ERROR_SIZE], const char *path, const char *what)
{
	snprintf(error, KEYFILE_ERROR_SIZE, "%.150s: %s", path, what);
	return false;
}

void os_key_draw(struct key *private_key)
{
	os_seed(private_key->b);
	key_clamp(private_key);
}

/* ---- key files ---- */

static bool parse(const char *text, size_t n, struct key *out)
{
	struct json_reader r;
	const uint8_t *name;
	size_t name_n, got;
	char value[100] = "";

	json_init(&r, text, n);
	if (json_peek(&r) != JSON_OBJECT || r.bad) return false;
	json_enter(&r);
	while (json_member(&r, &name, &name_n)) {
		if (!json_name_is(name, name_n, "PrivateKey") || json_peek(&r) != JSON_STRING) {
			json_skip(&r);
			continue;
		}
		got = json_string(&r, value, sizeof value);
		if (got >= sizeof value) return false;
	}
	return json_done(&r) && key_from_text(value, strlen(value), "privkey:", out);
}

static bool write_all(const char *path, const char *text, size_t n, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	bool good;

	if (fd < 0) return false;
	good = write(fd, text, n) == (ssize_t)n && fsync(fd) == 0;
	return close(fd) == 0 && good;
}

/* Beside the file first, then linked to its name, which fails if somebody was faster. */
bool os_keyfile_write(const char *path, const char *text, size_t n, mode_t mode, char error[KEYFILE_ERROR_SIZE])
{
	char beside[4096];
	int beside_n = snprintf(beside, sizeof beside, "%s.%ld.new", path, (long)getpid());
	bool good;

	if (beside_n < 0 || (size_t)beside_n >= sizeof beside) return complain(error, path, "this name is too long");
	good = write_all(beside, text, n, mode) && link(beside, path) == 0;
	if (!good) snprintf(error, KEYFILE_ERROR_SIZE, "%.150s: cannot be written: %s", path, strerror(errno));
	unlink(beside);
	return good;
}

static bool make(const char *path, struct key *out, bool *made, char error[KEYFILE_ERROR_SIZE])
{
	char text[128], hex[KEY_HEX];
	int n;

	os_key_draw(out);
	key_hex(out->b, hex);
	n = snprintf(text, sizeof text, "{\"PrivateKey\":\"privkey:%.*s\"}\n", KEY_HEX, hex);
	*made = os_keyfile_write(path, text, (size_t)n, 0600, error);
	key_wipe(text, sizeof text);
	key_wipe(hex, sizeof hex);
	return *made;
}

/* KEY-010 */
bool os_keyfile_private(const char *path, struct key *private_key, bool *made, char error[KEYFILE_ERROR_SIZE])
{
	char text[FILE_MAX];
	mode_t mode = 0;
	ssize_t n = os_file_read(path, text, sizeof text, &mode);
	bool good;

	*made = false;
	if (n < 0 && errno == ENOENT) return make(path, private_key, made, error);
	if (n < 0) return complain(error, path, strerror(errno));
	if ((mode & 077) != 0) { /* as ssh does: such a key may have been read by anybody */
		key_wipe(text, sizeof text);
		snprintf(error, KEYFILE_ERROR_SIZE, "%.150s: mode %04o lets others at the private key; expected 0600", path, (unsigned)mode);
		return false;
	}
	good = n < FILE_MAX && parse(text, (size_t)n, private_key);
	key_wipe(text, sizeof text);
	return good || complain(error, path, "expected {\"PrivateKey\":\"privkey:\" and 64 hex digits\"}");
}

bool os_keyfile_mesh(const char *path, struct key *mesh_key, char error[KEYFILE_ERROR_SIZE])
{
	char text[FILE_MAX];
	ssize_t n = os_file_read(path, text, sizeof text, NULL);
	bool good;

	if (n < 0) return complain(error, path, strerror(errno));
	good = n < FILE_MAX && key_mesh_from_text(text, (size_t)n, mesh_key);
	key_wipe(text, sizeof text);
	return good || complain(error, path, "expected a mesh key: 64 hex digits and nothing else");
}
