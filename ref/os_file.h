/* A small file read whole. */
#ifndef REF_OS_FILE_H
#define REF_OS_FILE_H

#include <stddef.h>
#include <sys/types.h>

/* Returns the number of bytes, `max` if there are as many or more, -1 with errno. mode: the file's permissions; NULL: not wanted. */
ssize_t os_file_read(const char *path, void *out, size_t max, mode_t *mode);

#endif
