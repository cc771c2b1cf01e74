/* Reading, to the end or as far as it may go. */
#include "os_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

ssize_t os_file_read(const char *path, void *out, size_t max, mode_t *mode)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), error; /* a pipe without a writer must not hold us up */
	struct stat st = { 0 };
	size_t n = 0;
	ssize_t got = 1;

	if (fd < 0) return -1;
	while (n < max && got > 0) {
		got = read(fd, (char *)out + n, max - n);
		if (got > 0) n += (size_t)got;
	}
	error = errno;
	if (got >= 0 && mode != NULL && fstat(fd, &st) == 0) *mode = st.st_mode & 07777;
	close(fd);
	errno = error;
	return got < 0 ? -1 : (ssize_t)n;
}
