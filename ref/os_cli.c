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
	if (o->value == OS_FLAG && attached != NULL) {
		os_cli_usage(cli, "option '--%s' takes no value, found '%s'", o->name, attached);
		return OS_CLI_BAD;
	}
	if (o->value != OS_VALUE || attached != NULL) return o->id;
	if (cli->at == cli->argc) {
		os_cli_usage(cli, "option '--%s' needs a value", o->name);
		return OS_CLI_BAD;
	}
	cli->value = cli->argv[cli->at++];
	return o->id;
}

/* A word with a dash: the long name, with one dash or two; then the letter, with its value behind it. */
static int take_option(struct os_cli *cli, const char *word)
{
	const char *name = word + 1 + (word[1] == '-');
	size_t n = strcspn(name, "=");
	const struct os_option *o = find_long(cli, name, n);

	if (o == NULL && n == 1) o = find_letter(cli, name[0]);
	if (o != NULL) return take_value(cli, o, name[n] == '=' ? name + n + 1 : NULL);
	o = word[1] == '-' ? NULL : find_letter(cli, word[1]);
	if (o != NULL) return take_value(cli, o, word + 2);
	os_cli_usage(cli, "there is no option '%.*s'", (int)(name - word) + (int)n, word);
	return OS_CLI_BAD;
}

int os_cli_next(struct os_cli *cli)
{
	const char *word;

	if (cli->at == cli->argc) return OS_CLI_END;
	word = cli->argv[cli->at++];
	if (!cli->only_arguments && strcmp(word, "--") == 0) {
		cli->only_arguments = true;
		return os_cli_next(cli);
	}
	if (!cli->only_arguments && word[0] == '-' && word[1] != 0) return take_option(cli, word);
	cli->value = word;
	return OS_CLI_ARGUMENT;
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

/* One number with its unit, such as 1.5s; digits behind the point that the unit cannot hold are dropped. */
static bool time_part(const char **p, uint64_t *ns)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} unit[] = {
		{ "ns", 1 }, { "us", 1000 }, { "ms", 1000000 }, { "s", 1000000000 }, { "m", UINT64_C(60000000000) }, { "h", UINT64_C(3600000000000) },
	};
	uint64_t whole, part = 0, scale = 1;
	const char *at;
	size_t n;

	if (!number(*p, &at, &whole)) return false;
	if (*at == '.')
		for (at++; *at >= '0' && *at <= '9'; at++)
			if (scale < 1000000) part = part * 10 + (uint64_t)(*at - '0'), scale *= 10; /* a millionth is fine enough */
	n = strspn(at, "nusmh");
	for (size_t i = 0; i < sizeof unit / sizeof *unit; i++) {
		if (strlen(unit[i].name) != n || memcmp(at, unit[i].name, n) != 0 || whole > UINT64_MAX / 8 / unit[i].ns) continue;
		*ns += whole * unit[i].ns + part * unit[i].ns / scale;
		*p = at + n;
		return true;
	}
	return false;
}

bool os_cli_time(const struct os_cli *cli, uint64_t *out)
{
	const char *p = cli->value;
	uint64_t ns = 0;
	bool good = *p != 0;

	if (strcmp(p, "0") == 0) p = "";
	while (good && *p != 0) good = time_part(&p, &ns) && ns < UINT64_MAX / 4;
	if (good)
		*out = ns;
	else
		os_cli_usage(cli, "option '--%s': found '%s', expected a time such as 1500ms, 10s or 1m30s", cli->name, cli->value);
	return good;
}

bool os_cli_on_off(const struct os_cli *cli, bool *out)
{
	static const char *const words[2][6] = { { "false", "0", "f", "F", "FALSE", "False" }, { "true", "1", "t", "T", "TRUE", "True" } };

	for (int on = 0; on < 2; on++)
		for (int i = 0; i < 6; i++) {
			if (strcmp(cli->value == NULL ? "true" : cli->value, words[on][i]) != 0) continue;
			*out = on;
			return true;
		}
	os_cli_usage(cli, "option '--%s': found '%s', expected true or false", cli->name, cli->value);
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
