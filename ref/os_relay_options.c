/* Flags: what each is called, what --help says of it, and what it sets. */
#include "os_relay_options.h"

#include "address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum flag_id {
	ADDRESS = 1,
	HTTP_PORT,
	STUN,
	STUN_PORT,
	DERP,
	KEYFILE,
	DEV,
	CERTMODE,
	CERTDIR,
	HOSTNAME,
	CA,
	KEYLOG,
	HOME,
	MESH_PSK,
	MESH_WITH,
	BOOTSTRAP,
	UNPUBLISHED,
	VERIFY_URL,
	FAIL_OPEN,
	ACCEPT_LIMIT,
	ACCEPT_BURST,
	RATES,
	KEEPALIVE,
	USER_TIMEOUT,
	WRITE_TIMEOUT,
	DRAIN,
	USER,
	DNS,
	PROFILE,
	SET,
	FRAMES,
	RECORD,
	RECORD_MAX,
	VERBOSE,
	HELP,
	VERSION,
	LACKING
};

struct flag {
	struct os_option option;
	const char *argument, *help; /* of LACKING: what to do instead */
};

static const struct flag flags[] = {
	{ { ADDRESS, "address", 'a', OS_VALUE }, "[IP]:PORT", "where to listen; port 0 takes a free one, no IP means all (default :3340)" },
	{ { HTTP_PORT, "http-port", 0, OS_VALUE }, "N", "plain HTTP beside TLS, at the same IP; -1: none (default 80 with -a at port 443)" },
	{ { STUN, "stun", 0, OS_ON_OFF }, "=BOOL", "STUN over UDP, at the same IP (default true)" },
	{ { STUN_PORT, "stun-port", 0, OS_VALUE }, "N", "its port (default 3478; a free one where -a has port 0)" },
	{ { DERP, "derp", 0, OS_ON_OFF }, "=BOOL", "false: /derp is not served, all the rest is (default true)" },
	{ { KEYFILE, "key", 'c', OS_VALUE }, "FILE", "the relay's private key as JSON, made if absent (default: a new key for this run)" },
	{ { DEV, "dev", 0, OS_FLAG }, "", "plain HTTP at :3340, a new key, the mesh key from TAILSCALE_DERPER_MESH_KEY" },
	{ { CERTMODE, "certmode", 0, OS_VALUE }, "MODE", "manual: TLS with a certificate from files; none: plain TCP (default none)" },
	{ { CERTDIR, "certdir", 0, OS_VALUE }, "DIR", "where they are: NAME.crt and NAME.key, in PEM" },
	{ { HOSTNAME, "hostname", 0, OS_VALUE }, "NAME", "their name, which clients must ask for; for an IP address they are made if absent" },
	{ { CA, "ca", 0, OS_VALUE }, "FILE", "certificates to trust in the mesh, instead of the system's" },
	{ { KEYLOG, "keylog", 0, OS_VALUE }, "FILE", "write TLS secrets there, for those who decrypt captures" },
	{ { HOME, "home", 0, OS_VALUE }, "WHAT", "what / shows: nothing given: a page; blank; or a URL to redirect to" },
	{ { MESH_PSK, "mesh-psk-file", 0, OS_VALUE }, "FILE", "64 hex digits that all relays of the region share" },
	{ { MESH_WITH, "mesh-with", 0, OS_VALUE }, "LIST", "the region's relays: HOST[:PORT][/DIALHOST],... by TLS, http://HOST:PORT plain" },
	{ { BOOTSTRAP, "bootstrap-dns-names", 0, OS_VALUE }, "LIST", "names to resolve for /bootstrap-dns" },
	{ { UNPUBLISHED, "unpublished-bootstrap-dns-names", 0, OS_VALUE }, "LIST", "NAME[/PERCENT],...: the same, told only to who asks by name" },
	{ { VERIFY_URL, "verify-client-url", 0, OS_VALUE }, "URL", "whom to admit is asked there" },
	{ { FAIL_OPEN, "verify-client-url-fail-open", 0, OS_ON_OFF }, "=BOOL", "all come in while it does not answer (default true)" },
	{ { ACCEPT_LIMIT, "accept-connection-limit", 0, OS_VALUE }, "N", "new TLS connections a second (default: any number)" },
	{ { ACCEPT_BURST, "accept-connection-burst", 0, OS_VALUE }, "N", "of these at once (default: the limit)" },
	{ { RATES, "rate-config", 0, OS_VALUE }, "FILE", "receive limits as JSON, read again on SIGHUP" },
	{ { KEEPALIVE, "tcp-keepalive-time", 0, OS_VALUE }, "TIME", "of accepted connections (default 10m)" },
	{ { USER_TIMEOUT, "tcp-user-timeout", 0, OS_VALUE }, "TIME", "of accepted connections (default 15s)" },
	{ { WRITE_TIMEOUT, "tcp-write-timeout", 0, OS_VALUE }, "TIME", "how long a client may take nothing; 0: for ever (default 2s)" },
	{ { DRAIN, "drain", 0, OS_VALUE }, "TIME", "on SIGTERM tell all clients and close them spread over this time (default 0)" },
	{ { USER, "user", 0, OS_VALUE }, "NAME", "whose rights to have once ports are bound and keys are read" },
	{ { DNS, "dns", 0, OS_VALUE }, "LIST", "name servers to ask, IP[:PORT],... (default: the system's)" },
	{ { PROFILE, "profile", 0, OS_VALUE }, "ours|derper", "derper: with the quirks of the original (default ours)" },
	{ { SET, "set", 0, OS_VALUE }, "NAME=VALUE", "any other setting of the relay, such as keepalive=10s; may be repeated" },
	{ { FRAMES, "frames", 0, OS_VALUE }, "FILE", "write a line for each frame of each connection" },
	{ { RECORD, "record", 0, OS_VALUE }, "FILE", "write all that reaches the relay, its keys included, for derpsim replay (mode 0600)" },
	{ { RECORD_MAX, "record-max", 0, OS_VALUE }, "MB", "end that at this size; 0: at none (default 1024)" },
	{ { VERBOSE, "verbose", 'v', OS_FLAG }, "", "tell of every login, departure and dropped packet" },
	{ { HELP, "help", 'h', OS_FLAG }, "", "this text" },
	{ { VERSION, "version", 0, OS_FLAG }, "", "" },
	{ { LACKING, "verify-clients", 0, OS_ON_OFF }, NULL, "no daemon of Tailscale is asked here (RAT-013); --verify-client-url asks by HTTP" },
	{ { LACKING, "socket", 0, OS_VALUE }, NULL, "no daemon of Tailscale is asked here (RAT-013); --verify-client-url asks by HTTP" },
	{ { LACKING, "ace", 0, OS_ON_OFF }, NULL, "there is no CONNECT proxy here (HTTP-045)" },
	{ { LACKING, "secrets-url", 0, OS_VALUE }, NULL, "no secret server is asked here; --mesh-psk-file reads the mesh key from a file" },
	{ { LACKING, "secrets-path-prefix", 0, OS_VALUE }, NULL, "no secret server is asked here; --mesh-psk-file reads the mesh key from a file" },
	{ { LACKING, "secrets-cache-dir", 0, OS_VALUE }, NULL, "no secret server is asked here; --mesh-psk-file reads the mesh key from a file" },
	{ { LACKING, "acme-eab-kid", 0, OS_VALUE }, NULL, "no certificate is fetched by ACME here; --certmode manual takes one from files" },
	{ { LACKING, "acme-eab-key", 0, OS_VALUE }, NULL, "no certificate is fetched by ACME here; --certmode manual takes one from files" },
	{ { LACKING, "acme-email", 0, OS_VALUE }, NULL, "no certificate is fetched by ACME here; --certmode manual takes one from files" },
	{ { LACKING, "acme-ip-certs", 0, OS_ON_OFF }, NULL, "no certificate is fetched by ACME here; --certmode manual takes one from files" },
};
enum { FLAGS = sizeof flags / sizeof *flags };

/* ---- --help ---- */

static void print_flag(const struct flag *f)
{
	char names[80];

	snprintf(names, sizeof names, "%c%c%s --%s%s%s", f->option.letter ? '-' : ' ', f->option.letter ? f->option.letter : ' ',
	         f->option.letter ? "," : " ", f->option.name, f->argument[0] == 0 || f->argument[0] == '=' ? "" : " ", f->argument);
	printf("  %-32s%s%s\n", names, strlen(names) < 32 ? "" : " ", f->help);
}

static void print_help(void)
{
	printf("usage: derp-relay [-a [IP]:PORT] [-c FILE] [OPTIONS]\n"
	       "\n"
	       "A DERP relay, on TLS with --certmode manual, else on plain TCP. Prints its address and public key, then serves until SIGINT or\n"
	       "SIGTERM. SIGHUP reads certificates and the rate file again, SIGUSR1 tells the state. One dash or two, `-name=value` or `-name "
	       "value`.\n"
	       "\n");
	for (int i = 0; i < FLAGS; i++)
		if (flags[i].argument != NULL) print_flag(&flags[i]);
	printf("\nFlags of the original that are not here:");
	for (int i = 0; i < FLAGS; i++)
		if (flags[i].argument == NULL) printf(" -%s", flags[i].option.name);
	printf("\n\nExit codes: 0 ended by a signal, 2 bad usage or input, 3 could not run.\n");
}

/* ---- values ---- */

/* ":3340" is every address; the rest as in address.h. */
static bool parse_address(struct relay_options *o)
{
	const char *value = o->cli.value;
	char text[80];

	snprintf(text, sizeof text, "%s%s", value[0] == ':' ? "0.0.0.0" : "", value);
	if (strlen(value) >= sizeof text - 10 || !address_parse(text, strlen(text), &o->address)) {
		os_cli_usage(&o->cli, "option '-a': found '%s', expected IP:PORT or :PORT, such as 127.0.0.1:3340 or [::1]:3340", value);
		return false;
	}
	if (value[0] == ':') memset(o->address.ip, 0, sizeof o->address.ip);
	return true;
}

static bool parse_http_port(struct relay_options *o, bool *given)
{
	uint64_t port = 0;
	bool off = strcmp(o->cli.value, "-1") == 0;

	*given = true;
	if (!off && !os_cli_u64(&o->cli, 0, 65535, &port)) return false;
	o->http_port = off ? RELAY_HTTP_PORT_OFF : (int)port;
	return true;
}

static bool parse_stun_port(struct relay_options *o, bool *given)
{
	uint64_t port;

	*given = true;
	if (!os_cli_u64(&o->cli, 0, 65535, &port)) return false;
	o->stun_port = (uint16_t)port;
	return true;
}

static bool parse_time(const struct relay_options *o, uint64_t unit, uint32_t *out)
{
	uint64_t ns;

	if (!os_cli_time(&o->cli, &ns)) return false;
	*out = ns / unit > INT32_MAX ? INT32_MAX : (uint32_t)((ns + unit - 1) / unit);
	return true;
}

static bool set_write_timeout(struct relay_options *o)
{
	uint64_t ns;

	if (!os_cli_time(&o->cli, &ns)) return false;
	os_config_add(&o->config, "write-timeout=%lluns\n", (unsigned long long)ns);
	return true;
}

static bool set_on_off(struct relay_options *o, const char *name)
{
	bool on;

	if (!os_cli_on_off(&o->cli, &on)) return false;
	os_config_add(&o->config, "%s=%s\n", name, on ? "on" : "off");
	return true;
}

/* The original's default, +Inf, is ours too. */
static bool set_accepts(struct relay_options *o)
{
	const char *v = o->cli.value;
	uint64_t n;

	if (strcmp(v, "+Inf") == 0 || strcmp(v, "Inf") == 0) return true;
	if (!os_cli_u64(&o->cli, 1, UINT32_MAX, &n)) return false;
	os_config_add(&o->config, "accept-connection-limit=%llu\n", (unsigned long long)n);
	return true;
}

/* A value that would be more lines than one could say anything in the machine's configuration. */
static bool set_text(struct relay_options *o, const char *name)
{
	if (strpbrk(o->cli.value, "\r\n") != NULL) {
		os_cli_usage(&o->cli, "option '--%s': a value is one line", o->cli.name);
		return false;
	}
	os_config_add(&o->config, "%s%s%s\n", name, name[0] == 0 ? "" : "=", o->cli.value);
	return true;
}

/* Switched off it is what we do anyhow. */
static bool lacking(struct relay_options *o)
{
	bool on = true;
	int i = 0;

	while (strcmp(flags[i].option.name, o->cli.name) != 0) i++;
	if (flags[i].option.value == OS_ON_OFF && !os_cli_on_off(&o->cli, &on)) return false;
	if (on) os_cli_usage(&o->cli, "option '-%s' of the original is not here: %s", o->cli.name, flags[i].help);
	return !on;
}

/* ---- parsing ---- */

struct given {
	bool http_port, stun_port;
	bool dev;
	const char *certmode;
};

static bool set_tls(struct relay_options *o, int id, struct given *given)
{
	const char *value = o->cli.value;

	switch (id) {
	case CERTMODE: given->certmode = value; return true;
	case CERTDIR: o->tls.certdir = value; return true;
	case HOSTNAME: o->tls.hostname = value; return true;
	case CA: o->tls.ca_file = value; return true;
	default: o->tls.keylog_file = value; return true;
	}
}

static bool set_config(struct relay_options *o, int id)
{
	switch (id) {
	case DERP: return set_on_off(o, "derp");
	case HOME: return set_text(o, "home");
	case MESH_WITH: return set_text(o, "mesh-with");
	case BOOTSTRAP: return set_text(o, "bootstrap-dns-names");
	case UNPUBLISHED: return set_text(o, "unpublished-bootstrap-dns-names");
	case VERIFY_URL: return set_text(o, "verify-client-url");
	case FAIL_OPEN: return set_on_off(o, "verify-client-url-fail-open");
	case ACCEPT_LIMIT: return set_accepts(o);
	case ACCEPT_BURST: return set_text(o, "accept-connection-burst");
	case WRITE_TIMEOUT: return set_write_timeout(o);
	case PROFILE: return set_text(o, "profile");
	default: return set_text(o, "");
	}
}

static bool set_host(struct relay_options *o, int id, struct given *given)
{
	const char *value = o->cli.value;

	switch (id) {
	case ADDRESS: return parse_address(o);
	case HTTP_PORT: return parse_http_port(o, &given->http_port);
	case STUN: return os_cli_on_off(&o->cli, &o->stun);
	case STUN_PORT: return parse_stun_port(o, &given->stun_port);
	case KEYFILE: o->key_file = value; return true;
	case DEV: given->dev = true; return true;
	case MESH_PSK: o->mesh_psk_file = value; return true;
	case RATES: o->rate_file = value; return true;
	case KEEPALIVE: return parse_time(o, NS_S, &o->times.keepalive_s);
	case USER_TIMEOUT: return parse_time(o, NS_MS, &o->times.user_timeout_ms);
	case DRAIN: return os_cli_time(&o->cli, &o->drain_ns);
	case USER: o->user = value; return true;
	case DNS: o->dns_servers = value; return true;
	case FRAMES: o->frames_file = value; return true;
	case RECORD: o->record_file = value; return true;
	case RECORD_MAX: return os_cli_u64(&o->cli, 0, 1 << 20, &o->record_mb);
	case VERBOSE: o->verbose = true; return true;
	case LACKING: return lacking(o);
	case CERTMODE:
	case CERTDIR:
	case HOSTNAME:
	case CA:
	case KEYLOG: return set_tls(o, id, given);
	default: return set_config(o, id);
	}
}

/* HTTP-019, HTTP-046: of the original's ways to a certificate, the one by files. */
static int check_tls(struct relay_options *o, const char *mode)
{
	const struct os_cli *cli = &o->cli;

	if (mode == NULL && o->address.port == 443)
		return os_cli_usage(cli, "port 443 is for TLS: expected --certmode manual, or --certmode none for plain TCP all the same");
	if (mode == NULL || strcmp(mode, "none") == 0) {
		o->tls.certdir = o->tls.hostname = NULL;
		return -1;
	}
	if (strcmp(mode, "letsencrypt") == 0 || strcmp(mode, "gcp") == 0)
		return os_cli_usage(cli, "option '--certmode': '%s' is not here, no certificate is fetched by ACME; expected manual or none", mode);
	if (strcmp(mode, "manual") != 0) return os_cli_usage(cli, "option '--certmode': found '%s', expected manual or none", mode);
	if (o->tls.certdir == NULL || o->tls.hostname == NULL) return os_cli_usage(cli, "--certmode manual needs --certdir and --hostname");
	return -1;
}

/* What follows from several flags together. MSH-003, KEY-010: -dev has a key for this run only. */
static int settle(struct relay_options *o, const struct given *given)
{
	if (given->dev) {
		o->address = (struct address){ .port = 3340 };
		o->key_file = o->mesh_psk_file = NULL;
		o->mesh_psk = getenv("TAILSCALE_DERPER_MESH_KEY");
	}
	if (!given->http_port) o->http_port = o->address.port == 443 && given->certmode != NULL ? 80 : RELAY_HTTP_PORT_OFF;
	if (!given->stun_port) o->stun_port = o->address.port == 0 ? 0 : RELAY_STUN_PORT;
	if (o->config.full) return os_cli_usage(&o->cli, "the configuration is too long");
	return check_tls(o, given->certmode);
}

int relay_options_parse(struct relay_options *o, int argc, char **argv)
{
	static struct os_option options[FLAGS + 1];
	struct given given = { 0 };
	int id;

	for (int i = 0; i < FLAGS; i++) options[i] = flags[i].option;
	os_cli_init(&o->cli, "derp-relay", options, argc, argv);
	o->address.port = 3340;
	o->stun = true;
	o->record_mb = 1024;
	o->times = OS_TCP_TIMES;
	while ((id = os_cli_next(&o->cli)) != OS_CLI_END) {
		if (id == OS_CLI_BAD) return OS_EXIT_USAGE;
		if (id == OS_CLI_ARGUMENT) return os_cli_usage(&o->cli, "expected options only, found '%s'", o->cli.value);
		if (id == HELP) {
			print_help();
			return OS_EXIT_FINE;
		}
		if (id == VERSION) {
			puts("derp-relay " DERP_VERSION);
			return OS_EXIT_FINE;
		}
		if (!set_host(o, id, &given)) return OS_EXIT_USAGE;
	}
	return settle(o, &given);
}
