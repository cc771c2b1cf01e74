/* Keys in files, as the original keeps them.
 *
 * A key file is {"PrivateKey":"privkey:HEX"}, readable by its owner only, made whole at once or not at all (KEY-010). A mesh key file
 * is 64 hex digits with any white space around (KEY-009). */
#ifndef REF_OS_KEYFILE_H
#define REF_OS_KEYFILE_H

#include "key.h"

#include <sys/types.h>

enum { KEYFILE_ERROR_SIZE = 300 };

/* A private key of the kernel's randomness (KEY-008). */
void os_key_draw(struct key *private_key);
/* Reads the key of a file, or writes a new one where there is no such file and says so in *made. A file that others may read or write
 * is refused. False: `error` says why. */
bool os_keyfile_private(const char *path, struct key *private_key, bool *made, char error[KEYFILE_ERROR_SIZE]);
/* A new file, whole or not at all; one that is there stays as it is. */
bool os_keyfile_write(const char *path, const char *text, size_t n, mode_t mode, char error[KEYFILE_ERROR_SIZE]);
bool os_keyfile_mesh(const char *path, struct key *mesh_key, char error[KEYFILE_ERROR_SIZE]);

#endif
