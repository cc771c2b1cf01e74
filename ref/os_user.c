/* Groups first: afterwards it is too late. */
#include "os_user.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

bool os_user_find(const char *name, struct os_user *user, char error[OS_USER_ERROR_SIZE])
{
	const struct passwd *entry;

	errno = 0;
	entry = getpwnam(name);
	if (entry == NULL) {
		snprintf(error, OS_USER_ERROR_SIZE, "user '%.60s': %s", name, errno != 0 ? strerror(errno) : "there is none of this name");
		return false;
	}
	*user = (struct os_user){ .name = name, .uid = entry->pw_uid, .gid = entry->pw_gid };
	return true;
}

bool os_user_become(const struct os_user *user, char error[OS_USER_ERROR_SIZE])
{
	if (getuid() == user->uid && geteuid() == user->uid) return true;
	if (initgroups(user->name, user->gid) == 0 && setresgid(user->gid, user->gid, user->gid) == 0 &&
	    setresuid(user->uid, user->uid, user->uid) == 0) /* which takes the capabilities away, unless the new user is root */
		return true;
	snprintf(error, OS_USER_ERROR_SIZE, "cannot become user '%.60s': %s", user->name, strerror(errno));
	return false;
}

void os_user_no_more_rights(void) { prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); }
