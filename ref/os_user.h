/* Fewer rights, once sockets are bound and secrets are read. */
#ifndef REF_OS_USER_H
#define REF_OS_USER_H

#include <stdbool.h>
#include <sys/types.h>

enum { OS_USER_ERROR_SIZE = 200 };

struct os_user {
	const char *name; /* the caller's */
	uid_t uid;
	gid_t gid;
};

/* False: `error` says why. */
bool os_user_find(const char *name, struct os_user *user, char error[OS_USER_ERROR_SIZE]);
/* The process is that user's for good, with the user's groups and without a capability. Nothing is done if it is that user's already.
 * False: `error` says why. */
bool os_user_become(const struct os_user *user, char error[OS_USER_ERROR_SIZE]);
/* No program that is started may have more rights than this one. */
void os_user_no_more_rights(void);

#endif
