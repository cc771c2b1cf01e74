/* The shape of a fuzz target: one file that defines fuzz_one, three ways to run it.
 *
 *   plain (default)        replays files and folders given as arguments, for `make test`; fuzz-NAME --seeds DIR writes the seeds
 *   -DFUZZ_LIBFUZZER       libFuzzer's entry
 *   -DFUZZ_AFL             AFL++ in persistent mode, forked after start-up
 * -DFUZZ_CANARY plants a fault that a fuzzer must find within a minute: a target that never finds it is not looking. */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One input; aborts on a fault. */
static void fuzz_one(const uint8_t *p, size_t n);
/* Writes the i-th seed, made by our own encoder, and its name; 0: no more. */
static size_t fuzz_seed(uint32_t i, uint8_t *out, size_t cap, char name[64]);

#define FUZZ_CHECK(what) \
	do { \
		if (!(what)) { \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #what); \
			abort(); \
		} \
	} while (0)

enum { FUZZ_INPUT_MAX = 1 << 18, FUZZ_SEED_MAX = 1 << 17 };

#if defined FUZZ_LIBFUZZER

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	(void)fuzz_seed;
	fuzz_one(p, n);
	return 0;
}

#elif defined FUZZ_AFL

#include <unistd.h>
__AFL_FUZZ_INIT();

int main(void)
{
	const uint8_t *p;

	(void)fuzz_seed;
	__AFL_INIT();
	p = __AFL_FUZZ_TESTCASE_BUF;
	while (__AFL_LOOP(100000)) {
		/* A copy of its own size, so that reading behind it is seen. */
		size_t n = (size_t)__AFL_FUZZ_TESTCASE_LEN;
		uint8_t *copy = malloc(n ? n : 1);
		if (copy == NULL) abort();
		memcpy(copy, p, n);
		fuzz_one(copy, n);
		free(copy);
	}
	return 0;
}

#else

static int fuzz_replay(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *p = malloc(FUZZ_INPUT_MAX);
	size_t n;

	if (f == NULL || p == NULL) {
		perror(path);
		return 3;
	}
	n = fread(p, 1, FUZZ_INPUT_MAX, f);
	fclose(f);
	p = realloc(p, n ? n : 1); /* reading behind it is seen by the sanitizer */
	fuzz_one(p, n);
	free(p);
	return 0;
}

static int fuzz_write_seeds(const char *folder)
{
	uint8_t *p = malloc(FUZZ_SEED_MAX);
	char name[64], path[4096];
	size_t n;

	for (uint32_t i = 0; p != NULL && (n = fuzz_seed(i, p, FUZZ_SEED_MAX, name)) > 0; i++) {
		FILE *f;
		snprintf(path, sizeof path, "%s/%s", folder, name);
		f = fopen(path, "wb");
		if (f == NULL || fwrite(p, 1, n, f) != n || fclose(f) != 0) {
			perror(path);
			return 3;
		}
	}
	free(p);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "--seeds") == 0) return fuzz_write_seeds(argv[2]);
	if (argc < 2 || argv[1][0] == '-') {
		fprintf(stderr, "%s FILE...          replays inputs\n%s --seeds FOLDER  writes the seeds\n", argv[0], argv[0]);
		return 2;
	}
	for (int i = 1; i < argc; i++)
		if (fuzz_replay(argv[i]) != 0) return 3;
	return 0;
}

#endif
#endif
