/* The login documents, both sides: ClientInfo and ServerInfo as JSON inside boxes inside frames.
 *
 * HSK-005..HSK-016, HSK-021..HSK-026, chapter 4.1 and 4.2. Decoding accepts exactly what HSK-009 and HSK-016 say; encoding emits
 * the members of 4.1 in their order, only when set (HSK-010). */
#ifndef REF_LOGIN_H
#define REF_LOGIN_H

#include "key.h"

struct client_info {
	struct key mesh_key; /* zero = none */
	int64_t version;
	bool can_ack_pings;
	bool is_prober;
	char app_name[64]; /* cut to fit, always terminated; kept for statistics only (HSK-014) */
};

struct server_info {
	int64_t version;
	uint64_t bucket_bytes_per_second; /* 0 = no limit (CLI-004) */
	uint64_t bucket_bytes_burst;
};

enum { LOGIN_JSON_MAX = 640 }; /* what our encoders ever emit: far from what FRM-017 refuses */

size_t login_client_info_json(const struct client_info *info, char out[LOGIN_JSON_MAX]);
size_t login_server_info_json(const struct server_info *info, char out[LOGIN_JSON_MAX]);
bool login_client_info_parse(const uint8_t *json, size_t n, struct client_info *out);
bool login_server_info_parse(const uint8_t *json, size_t n, struct server_info *out);

/* Whole frames, header included; return the bytes written, at most LOGIN_FRAME_MAX. */
enum { LOGIN_FRAME_MAX = 5 + KEY_SIZE + KEY_BOX_OVERHEAD + LOGIN_JSON_MAX };
uint32_t login_client_info_frame(uint8_t out[LOGIN_FRAME_MAX], const struct key *client_public, const struct key *shared,
                                 const uint8_t nonce[KEY_NONCE], const struct client_info *info);
uint32_t login_server_info_frame(uint8_t out[LOGIN_FRAME_MAX], const struct key *shared, const uint8_t nonce[KEY_NONCE],
                                 const struct server_info *info);

/* Payloads of the frames (lengths already checked by frame.h). Scratch memory of n bytes is taken and freed. */
bool login_client_info_open(const uint8_t *payload, uint32_t n, const struct key *shared, struct client_info *out);
bool login_server_info_open(const uint8_t *payload, uint32_t n, const struct key *shared, struct server_info *out);

#endif
