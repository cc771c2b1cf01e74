/* Options, by a table. */
#include "os_cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void os_cli_init(struct os_cli *cli, const char *program, const struct os_option *options, int argc, char **argv)
{
	*cli = (struct os_cli){ .program = program, .options = options, .argc = argc, .at = 1, .argv = argv };
}

int os_cli_usage(const struct os_cli *cli, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s: ", cli->program);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\nTry '%s --help'.\n", cli->program);
	return OS_EXIT_USAGE;
}

static const struct os_option *find_long(const struct os_cli *cli, const char *name, size_t n)
{
	for (const struct os_option *o = cli->options; o->name != NULL; o++)
		if (strlen(o->name) == n && memcmp(o->name, name, n) == 0) return o;
	return NULL;
}

static const struct os_option *find_letter(const struct os_cli *cli, char letter)
{
	for (const struct os_option *o = cli->options; o->name != NULL; o++)
		if (o->letter == letter) return o;
	return NULL;
}

static int take_value(struct os_cli *cli, const struct os_option *o, const char *attached)
{
	cli->name = o->name;
	cli->value = attached;
	if (!o->value && attached != NULL) {
		os_cli_usage(cli, "option '--%s' takes no value, found '%s'", o->name, attached);
		return OS_CLI_BAD;
	}
	if (!o->value || attached != NULL) return o->id;
	if (cli->at == cli->argc) {
		os_cli_usage(cli, "option '--%s' needs a value", o->name);
		return OS_CLI_BAD;
	}
	cli->value = cli->argv[cli->at++];
	return o->id;
}

int os_cli_next(struct os_cli *cli)
{
	const struct os_option *o;
	const char *word, *name, *equals;
	size_t n;

	if (cli->at == cli->argc) return OS_CLI_END;
	word = cli->argv[cli->at++];
	if (!cli->only_arguments && strcmp(word, "--") == 0) {
		cli->only_arguments = true;
		return os_cli_next(cli);
	}
	if (cli->only_arguments || word[0] != '-' || word[1] == 0) {
		cli->value = word;
		return OS_CLI_ARGUMENT;
	}
	name = word + (word[1] == '-' ? 2 : 1);
	equals = strchr(name, '=');
	n = equals == NULL ? strlen(name) : (size_t)(equals - name);
	o = find_long(cli, name, n); /* with one dash too, as the original's flags are written */
	if (o != NULL) return take_value(cli, o, equals == NULL ? NULL : equals + 1);
	if (word[1] == '-') {
		os_cli_usage(cli, "there is no option '--%.*s'", (int)n, name);
		return OS_CLI_BAD;
	}
	o = find_letter(cli, word[1]);
	if (o != NULL) return take_value(cli, o, word[2] == 0 ? NULL : word + 2);
	os_cli_usage(cli, "there is no option '-%c'", word[1]);
	return OS_CLI_BAD;
}

static bool number(const char *text, const char **end, uint64_t *out)
{
	uint64_t v = 0;
	const char *p = text;

	for (; *p >= '0' && *p <= '9'; p++) {
		if (v > (UINT64_MAX - 9) / 10) return false;
		v = v * 10 + (uint64_t)(*p - '0');
	}
	*end = p;
	*out = v;
	return p > text;
}

bool os_cli_u64(const struct os_cli *cli, uint64_t min, uint64_t max, uint64_t *out)
{
	const char *end;

	if (number(cli->value, &end, out) && *end == 0 && *out >= min && *out <= max) return true;
	os_cli_usage(cli, "option '--%s': found '%s', expected a number from %llu to %llu", cli->name, cli->value, (unsigned long long)min,
	             (unsigned long long)max);
	return false;
}

bool os_cli_time(const struct os_cli *cli, uint64_t *out)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} unit[] = {
		{ "ns", 1 }, { "us", 1000 }, { "ms", 1000000 }, { "s", 1000000000 }, { "m", UINT64_C(60000000000) }, { "h", UINT64_C(3600000000000) },
	};
	const char *end = "";
	uint64_t v = 0;
	bool good = number(cli->value, &end, &v);

	for (size_t i = 0; good && i < sizeof unit / sizeof *unit; i++) {
		if (strcmp(end, unit[i].name) != 0 || v > UINT64_MAX / 2 / unit[i].ns) continue;
		*out = v * unit[i].ns;
		return true;
	}
	os_cli_usage(cli, "option '--%s': found '%s', expected a time such as 1500ms, 10s or 2m", cli->name, cli->value);
	return false;
}

void os_config_add(struct os_config *config, const char *format, ...)
{
	size_t room = sizeof config->text - config->n;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(config->text + config->n, room, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= room)
		config->full = true;
	else
		config->n += (size_t)n;
}
