/* ClientInfo and ServerInfo. */
#include "login.h"

#include "buf.h"
#include "frame.h"
#include "json.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* HSK-010 */
size_t login_client_info_json(const struct client_info *info, char out[LOGIN_JSON_MAX])
{
	struct json_writer w;
	char hex[KEY_HEX];

	json_writer_fixed(&w, out, LOGIN_JSON_MAX);
	json_open(&w, '{');
	if (!key_is_zero(info->mesh_key.b)) {
		key_hex(info->mesh_key.b, hex);
		json_name(&w, "meshKey");
		json_put_string(&w, hex, sizeof hex);
	}
	json_name(&w, "version");
	json_put_i64(&w, info->version);
	json_name(&w, "CanAckPings");
	json_put_bool(&w, info->can_ack_pings);
	if (info->is_prober) {
		json_name(&w, "IsProber");
		json_put_bool(&w, true);
	}
	if (info->app_name[0] != 0) {
		json_name(&w, "AppName");
		json_put_string(&w, info->app_name, strlen(info->app_name));
	}
	json_close(&w, '}');
	assert(!w.full);
	return w.n;
}

size_t login_server_info_json(const struct server_info *info, char out[LOGIN_JSON_MAX])
{
	struct json_writer w;

	json_writer_fixed(&w, out, LOGIN_JSON_MAX);
	json_open(&w, '{');
	json_name(&w, "version");
	json_put_i64(&w, info->version);
	if (info->bucket_bytes_per_second != 0) {
		json_name(&w, "TokenBucketBytesPerSecond");
		json_put_u64(&w, info->bucket_bytes_per_second);
	}
	if (info->bucket_bytes_burst != 0) {
		json_name(&w, "TokenBucketBytesBurst");
		json_put_u64(&w, info->bucket_bytes_burst);
	}
	json_close(&w, '}');
	assert(!w.full);
	return w.n;
}

/* A member that is null keeps its default (HSK-009). */
static bool is_null(struct json_reader *r)
{
	if (json_peek(r) != JSON_NULL) return false;
	json_skip(r);
	return true;
}

/* HSK-016: exactly 64 hex digits; null and "" are refused too. */
static bool mesh_key_value(struct json_reader *r, struct key *out)
{
	char text[KEY_HEX + 8];
	size_t n;

	if (json_peek(r) != JSON_STRING) return false;
	n = json_string(r, text, sizeof text);
	return !r->bad && n == KEY_HEX && key_from_hex(text, n, out);
}

static bool client_info_member(struct json_reader *r, const uint8_t *name, size_t n, struct client_info *out)
{
	if (json_name_is(name, n, "meshKey")) return mesh_key_value(r, &out->mesh_key);
	if (json_name_is(name, n, "version")) {
		if (!is_null(r)) out->version = json_i64(r);
	} else if (json_name_is(name, n, "CanAckPings")) {
		if (!is_null(r)) out->can_ack_pings = json_bool(r);
	} else if (json_name_is(name, n, "IsProber")) {
		if (!is_null(r)) out->is_prober = json_bool(r);
	} else if (json_name_is(name, n, "AppName")) {
		if (!is_null(r)) json_string(r, out->app_name, sizeof out->app_name);
	} else {
		json_skip(r);
	}
	return !r->bad;
}

bool login_client_info_parse(const uint8_t *json, size_t n, struct client_info *out)
{
	struct json_reader r;
	const uint8_t *name;
	size_t name_n;

	*out = (struct client_info){ 0 };
	json_init(&r, json, n);
	if (is_null(&r)) return json_done(&r);
	if (r.bad || json_peek(&r) != JSON_OBJECT) return false;
	json_enter(&r);
	while (json_member(&r, &name, &name_n))
		if (!client_info_member(&r, name, name_n, out)) return false;
	return json_done(&r);
}

static void server_info_member(struct json_reader *r, const uint8_t *name, size_t n, struct server_info *out)
{
	int64_t v;

	if (json_name_is(name, n, "version")) {
		if (!is_null(r)) out->version = json_i64(r);
	} else if (json_name_is(name, n, "TokenBucketBytesPerSecond")) {
		if (!is_null(r)) v = json_i64(r), out->bucket_bytes_per_second = v > 0 ? (uint64_t)v : 0;
	} else if (json_name_is(name, n, "TokenBucketBytesBurst")) {
		if (!is_null(r)) v = json_i64(r), out->bucket_bytes_burst = v > 0 ? (uint64_t)v : 0;
	} else {
		json_skip(r);
	}
}

bool login_server_info_parse(const uint8_t *json, size_t n, struct server_info *out)
{
	struct json_reader r;
	const uint8_t *name;
	size_t name_n;

	*out = (struct server_info){ 0 };
	json_init(&r, json, n);
	if (is_null(&r)) return json_done(&r);
	if (r.bad || json_peek(&r) != JSON_OBJECT) return false;
	json_enter(&r);
	while (json_member(&r, &name, &name_n)) {
		server_info_member(&r, name, name_n, out);
		if (r.bad) return false;
	}
	return json_done(&r);
}

uint32_t login_client_info_frame(uint8_t out[LOGIN_FRAME_MAX], const struct key *client_public, const struct key *shared,
                                 const uint8_t nonce[KEY_NONCE], const struct client_info *info)
{
	char json[LOGIN_JSON_MAX];
	uint32_t n = (uint32_t)login_client_info_json(info, json), payload = KEY_SIZE + KEY_BOX_OVERHEAD + n;

	frame_header(out, FRAME_CLIENT_INFO, payload);
	memcpy(out + FRAME_HEADER, client_public->b, KEY_SIZE);
	key_seal(shared, nonce, (const uint8_t *)json, n, out + FRAME_HEADER + KEY_SIZE);
	return FRAME_HEADER + payload;
}

uint32_t login_server_info_frame(uint8_t out[LOGIN_FRAME_MAX], const struct key *shared, const uint8_t nonce[KEY_NONCE],
                                 const struct server_info *info)
{
	char json[LOGIN_JSON_MAX];
	uint32_t n = (uint32_t)login_server_info_json(info, json), payload = KEY_BOX_OVERHEAD + n;

	frame_header(out, FRAME_SERVER_INFO, payload);
	key_seal(shared, nonce, (const uint8_t *)json, n, out + FRAME_HEADER);
	return FRAME_HEADER + payload;
}

bool login_client_info_open(const uint8_t *payload, uint32_t n, const struct key *shared, struct client_info *out)
{
	uint8_t *plain;
	bool good;

	if (n < KEY_SIZE + KEY_BOX_OVERHEAD) return false;
	plain = mem_alloc(n);
	good = key_open(shared, payload + KEY_SIZE, n - KEY_SIZE, plain) && login_client_info_parse(plain, n - KEY_SIZE - KEY_BOX_OVERHEAD, out);
	key_wipe(plain, n); /* it may hold the mesh key */
	free(plain);
	return good;
}

bool login_server_info_open(const uint8_t *payload, uint32_t n, const struct key *shared, struct server_info *out)
{
	uint8_t *plain;
	bool good;

	if (n < KEY_BOX_OVERHEAD) return false;
	plain = mem_alloc(n);
	good = key_open(shared, payload, n, plain) && login_server_info_parse(plain, n - KEY_BOX_OVERHEAD, out);
	free(plain);
	return good;
}
