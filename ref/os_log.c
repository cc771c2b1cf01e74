/* One write a line, so that lines of several processes do not mix. */
#include "os_log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 1000 };

/* systemd tells which stream is the journal's: DEVICE:INODE. It is asked each time: a program may have given its stderr away since. */
static bool is_journal(void)
{
	const char *text = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return text != NULL && sscanf(text, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device &&
	       st.st_ino == inode;
}

void os_log(enum os_level level, const char *format, ...)
{
	char line[LINE_MAX_BYTES + 2];
	int n = is_journal() ? snprintf(line, sizeof line, "<%d>", level) : 0, more;
	va_list args;

	va_start(args, format);
	more = vsnprintf(line + n, (size_t)(LINE_MAX_BYTES - n), format, args);
	va_end(args);
	n += more < 0 ? 0 : more < LINE_MAX_BYTES - n ? more : LINE_MAX_BYTES - n - 1;
	line[n++] = '\n';
	fwrite(line, 1, (size_t)n, stderr); /* which has no buffer */
}
