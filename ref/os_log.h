/* Lines for people, on stderr. Where that is the journal's, each has its level in front, which the journal takes off. */
#ifndef REF_OS_LOG_H
#define REF_OS_LOG_H

enum os_level { OS_LOG_ERROR = 3, OS_LOG_WARNING = 4, OS_LOG_NOTICE = 5, OS_LOG_INFO = 6 };

/* One line, without its end; of a longer one the first 1000 bytes. */
void os_log(enum os_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
