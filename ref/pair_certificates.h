/* Certificates for tests, made by the program openssl, which knows nothing of ours; and the program itself as a peer. *_test.c only,
 * like pair.h.
 *
 * In a folder of their own: ca.crt and other.crt, two roots; NAME.crt and NAME.key of hosts: relay.test (ECDSA, by ca, with its
 * root behind it; the same for 127.0.0.1), rsa.test (RSA), expired.test (until yesterday), stranger.test (by other). */
#ifndef REF_PAIR_CERTIFICATES_H
#define REF_PAIR_CERTIFICATES_H

#include "os_loop.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char certificates[64]; /* the folder */

static inline const char *certificate_path(const char *name)
{
	static char path[8][160];
	static int at;

	at = (at + 1) % 8;
	snprintf(path[at], sizeof path[at], "%s/%s", certificates, name);
	return path[at];
}

/* Runs a command of the shell in the folder. */
static inline int certificates_shell(const char *format, ...)
{
	char command[4096];
	int n = snprintf(command, sizeof command, "cd %s && { ", certificates);
	va_list args;

	va_start(args, format);
	vsnprintf(command + n, sizeof command - (size_t)n - 20, format, args);
	va_end(args);
	strcat(command, "; } >out 2>&1");
	return system(command);
}

static inline int certificates_setup(void **state)
{
	(void)state;
	strcpy(certificates, "/var/tmp/derp-certificates-XXXXXX");
	if (mkdtemp(certificates) == NULL) return -1;
	return certificates_shell(
		"set -e; umask 077; ec='-pkeyopt ec_paramgen_curve:P-256';"
		"for root in ca other; do openssl req -x509 -newkey ec $ec -nodes -keyout $root.key -out $root.crt -subj /CN=$root -days 30; done;"
		"leaf() {"
		" openssl req -new -newkey $3 -nodes -keyout $1.test.key -out $1.csr -subj /CN=$1.test"
		"  -addext subjectAltName=DNS:$1.test,DNS:*.$1.test,IP:127.0.0.1,IP:::1;"
		" openssl x509 -req -in $1.csr -CA $2.crt -CAkey $2.key -copy_extensions copy -days $4 -set_serial 77 -out $1.test.crt; };"
		"leaf relay ca \"ec $ec\" 20; leaf expired ca \"ec $ec\" -1; leaf stranger other \"ec $ec\" 20; leaf rsa ca rsa:2048 20;"
		"cat ca.crt >>relay.test.crt; for n in crt key; do cp relay.test.$n 127.0.0.1.$n; done");
}

static inline int certificates_teardown(void **state)
{
	char command[100];

	(void)state;
	snprintf(command, sizeof command, "rm -rf %s", certificates);
	return system(command);
}

/* What a file holds, up to 64 KiB; the next call overwrites it. */
static inline const char *certificate_text(const char *name)
{
	static char text[65536];
	FILE *file = fopen(certificate_path(name), "re");
	size_t n = file == NULL ? 0 : fread(text, 1, sizeof text - 1, file);

	if (file != NULL) fclose(file);
	text[n] = 0;
	return text;
}

/* The output of a command, in which a text must stand. */
#define assert_shell(want, ...) \
	do { \
		certificates_shell(__VA_ARGS__); \
		if (strstr(certificate_text("out"), (want)) == NULL) fail_msg("no '%s' in: %s", (want), certificate_text("out")); \
	} while (0)

/* Starts a command of the shell in the folder, with its output in `said`. */
static inline pid_t certificates_start(const char *format, ...)
{
	char command[2048];
	va_list args;
	pid_t pid;

	va_start(args, format);
	vsnprintf(command, sizeof command, format, args);
	va_end(args);
	pid = fork();
	if (pid != 0) return pid;
	if (chdir(certificates) != 0) _exit(3);
	dup2(open("said", O_WRONLY | O_CREAT | O_TRUNC, 0600), STDOUT_FILENO);
	dup2(STDOUT_FILENO, STDERR_FILENO);
	execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	_exit(3);
}

/* Has it ended? Only once, then it is gone. */
static inline bool certificates_ended(pid_t pid) { return waitpid(pid, NULL, WNOHANG) == pid; }

#endif
