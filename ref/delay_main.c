/* derp-delay: runs a command in a network of its own, in which an address says how far away its host is.
 *
 * 10.78.K.N is host N at a distance of K units each way, K = 0 at none. All hosts are this machine: who listens on 10.78.0.N is met at
 * 10.78.K.N for every K, and sees who comes from 10.78.0.A as 10.78.K.A. Between them are the kernel's TCP and UDP and nothing else, so
 * that handshakes, refusals, FIN and RST take the time that they take on a long line; a proxy of streams would accept for a host that is
 * not there. Packets of one distance and target keep their order; jitter is drawn for each, uniform.
 *
 * The network is a namespace: as root, or where users may make them. Its far part is a TUN device, out of which packets are read, held
 * and put back with source and target turned around. Ends with the command, and with its exit code; 3: there is no such network here. */
#include "os_cli.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PACKET_MAX = 1600, HELD_MAX = 1 << 16, NET_A = 10, NET_B = 78, HOST_SELF = 1, HOST_LOOPBACK = 254, IP_MIN = 20, TCP = 6, UDP = 17 };

static const char help[] =
	"usage: derp-delay [OPTIONS] -- COMMAND [ARGUMENT...]\n"
	"\n"
	"Runs a command in a network of its own, in which 10.78.K.N is this machine's 10.78.0.N at a distance of K units each way.\n"
	"\n"
	"      --unit T     the unit, up to 1s (default 50us)\n"
	"      --jitter T   added to each packet, drawn from 0 to T (default 0us)\n"
	"  -h, --help       this text\n"
	"      --version\n"
	"\n"
	"Exit codes: the command's; 2 bad usage, 3 no such network can be made here.\n";

enum option_id { HELP = 1, VERSION, UNIT, JITTER };
static const struct os_option options[] = {
	{ HELP, "help", 'h', false }, { VERSION, "version", 0, false }, { UNIT, "unit", 0, true }, { JITTER, "jitter", 0, true },
	{ 0, NULL, 0, false },
};

struct held {
	uint64_t due, number;
	uint32_t n;
	uint8_t bytes[];
};

struct delay {
	struct os_cli cli;
	uint64_t unit, jitter, numbers, draw;
	char **command;
	int tun, signals;
	pid_t child;
	struct held *heap[HELD_MAX]; /* by due, then number */
	uint32_t heap_n;
	uint64_t last[256][256]; /* when the last packet of a distance and target is due */
};

static int cannot(const struct delay *d, const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", d->cli.program, what, strerror(errno));
	return OS_EXIT_CANNOT;
}

static int parse(struct delay *d, int argc, char **argv)
{
	int id;

	os_cli_init(&d->cli, "derp-delay", options, argc, argv);
	while ((id = os_cli_next(&d->cli)) != OS_CLI_END) {
		switch (id) {
		case HELP: fputs(help, stdout); return OS_EXIT_FINE;
		case VERSION: puts("derp-delay " DERP_VERSION); return OS_EXIT_FINE;
		case UNIT:
			if (!os_cli_time(&d->cli, &d->unit)) return OS_EXIT_USAGE;
			break;
		case JITTER:
			if (!os_cli_time(&d->cli, &d->jitter)) return OS_EXIT_USAGE;
			break;
		case OS_CLI_ARGUMENT: d->command = &argv[d->cli.at - 1]; break;
		default: return OS_EXIT_USAGE;
		}
		if (d->command != NULL) break; /* what follows is the command's */
	}
	if (d->command == NULL) return os_cli_usage(&d->cli, "expected a command, such as: derp-delay -- sh");
	if (d->unit > 1000000000 || d->jitter > 1000000000) return os_cli_usage(&d->cli, "expected --unit and --jitter of at most 1s");
	return -1;
}

/* ---- the network ---- */

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0) close(fd);
	return good;
}

/* Who is not root becomes it in a namespace of users first. */
static bool leave_network(void)
{
	unsigned uid = getuid(), gid = getgid();
	char users[40], groups[40];

	if (unshare(CLONE_NEWNET) == 0) return true;
	if (errno != EPERM || unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return false;
	snprintf(users, sizeof users, "0 %u 1", uid);
	snprintf(groups, sizeof groups, "0 %u 1", gid);
	return write_file("/proc/self/setgroups", "deny") && write_file("/proc/self/uid_map", users) && write_file("/proc/self/gid_map", groups);
}

static void set_address(struct ifreq *r, uint32_t ip)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(ip) };

	memcpy(&r->ifr_addr, &a, sizeof a);
}

/* Brings an interface up with an address. */
static bool interface_up(int socket, const char *name, uint32_t host, uint32_t mask)
{
	struct ifreq r = { 0 };

	snprintf(r.ifr_name, sizeof r.ifr_name, "%s", name);
	set_address(&r, (uint32_t)NET_A << 24 | NET_B << 16 | host);
	if (ioctl(socket, SIOCSIFADDR, &r) != 0) return false;
	set_address(&r, mask);
	if (ioctl(socket, SIOCSIFNETMASK, &r) != 0 || ioctl(socket, SIOCGIFFLAGS, &r) != 0) return false;
	r.ifr_flags |= IFF_UP;
	return ioctl(socket, SIOCSIFFLAGS, &r) == 0;
}

/* The loopback device has all of distance 0, as it has all of 127/8; the rest goes out of the TUN device. */
static bool make_network(struct delay *d)
{
	struct ifreq r = { .ifr_name = "derpdelay", .ifr_flags = IFF_TUN | IFF_NO_PI };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	bool good;

	d->tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (s < 0 || d->tun < 0) return false;
	good = ioctl(d->tun, TUNSETIFF, &r) == 0 && ioctl(s, SIOCSIFFLAGS, &lo) == 0 && interface_up(s, "lo:0", HOST_LOOPBACK, 0xffffff00) &&
	       interface_up(s, r.ifr_name, HOST_SELF, 0xffff0000);
	close(s);
	return good;
}

/* ---- packets ---- */

static uint16_t get16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }
static void put16(uint8_t *p, uint16_t v) { p[0] = (uint8_t)(v >> 8), p[1] = (uint8_t)v; }

/* RFC 1624: a checksum over something in which `from` became `to`. */
static void sum_follow(uint8_t *sum, uint16_t from, uint16_t to)
{
	uint32_t v = (uint16_t)~get16(sum) + (uint32_t)(uint16_t)~from + to;

	v = (v & 0xffff) + (v >> 16);
	v = (v & 0xffff) + (v >> 16);
	put16(sum, (uint16_t)~v);
}

/* From 10.78.0.A to 10.78.K.B becomes from 10.78.K.A to 10.78.0.B. False: not a packet of this network. */
static bool turn_around(uint8_t *p, uint32_t n)
{
	uint32_t head = (uint32_t)(p[0] & 15) * 4, sum_at = p[9] == TCP ? 16 : 6;
	uint8_t *src = p + 14, *dst = p + 18, distance; /* the last two bytes of each address */
	bool ours = n >= IP_MIN && p[0] >> 4 == 4 && n >= head + 20 && p[12] == NET_A && p[13] == NET_B && p[16] == NET_A && p[17] == NET_B;
	uint16_t was[2];

	if (!ours || src[0] != 0 || (p[9] != TCP && p[9] != UDP)) return false;
	was[0] = get16(src), was[1] = get16(dst);
	distance = dst[0];
	dst[0] = 0, src[0] = distance;
	for (int i = 0; i < 2; i++) {
		sum_follow(p + 10, was[i], get16(i == 0 ? src : dst));
		sum_follow(p + head + sum_at, was[i], get16(i == 0 ? src : dst));
	}
	return true;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t draw(struct delay *d)
{
	d->draw ^= d->draw << 13, d->draw ^= d->draw >> 7, d->draw ^= d->draw << 17;
	return d->draw;
}

static bool before(const struct held *a, const struct held *b) { return a->due != b->due ? a->due < b->due : a->number < b->number; }

static void heap_add(struct delay *d, struct held *h)
{
	uint32_t at = d->heap_n++;

	for (; at > 0 && before(h, d->heap[(at - 1) / 2]); at = (at - 1) / 2) d->heap[at] = d->heap[(at - 1) / 2];
	d->heap[at] = h;
}

static struct held *heap_take(struct delay *d)
{
	struct held *first = d->heap[0], *h = d->heap[--d->heap_n];
	uint32_t at = 0, child;

	while ((child = 2 * at + 1) < d->heap_n) {
		if (child + 1 < d->heap_n && before(d->heap[child + 1], d->heap[child])) child++;
		if (!before(d->heap[child], h)) break;
		d->heap[at] = d->heap[child];
		at = child;
	}
	d->heap[at] = h;
	return first;
}

/* One that finds no room is lost, as on any line. */
static void hold(struct delay *d, uint64_t now, const uint8_t *p, uint32_t n)
{
	uint8_t distance = p[14], host = p[19];
	uint64_t due = now + distance * d->unit + (d->jitter == 0 ? 0 : draw(d) % (d->jitter + 1));
	struct held *h = d->heap_n < HELD_MAX ? malloc(sizeof *h + n) : NULL;

	if (h == NULL) return;
	if (due < d->last[distance][host]) due = d->last[distance][host];
	d->last[distance][host] = due;
	h->due = due, h->number = d->numbers++, h->n = n;
	memcpy(h->bytes, p, n);
	heap_add(d, h);
}

static void take_in(struct delay *d)
{
	uint8_t p[PACKET_MAX];
	ssize_t n;

	while ((n = read(d->tun, p, sizeof p)) > 0)
		if (turn_around(p, (uint32_t)n)) hold(d, now_ns(), p, (uint32_t)n);
}

static void let_go(struct delay *d)
{
	uint64_t now = now_ns();

	while (d->heap_n > 0 && d->heap[0]->due <= now) {
		struct held *h = heap_take(d);
		ssize_t n = write(d->tun, h->bytes, h->n);
		(void)n; /* the kernel may be out of memory: lost */
		free(h);
	}
}

/* ---- the command ---- */

static void run_command(const struct delay *d, const sigset_t *old)
{
	sigprocmask(SIG_SETMASK, old, NULL);
	execvp(d->command[0], d->command);
	fprintf(stderr, "%s: cannot run %s: %s\n", d->cli.program, d->command[0], strerror(errno));
	_exit(OS_EXIT_CANNOT);
}

/* A signal to us goes on to the command, whose end is ours. */
static bool over(struct delay *d, int *code)
{
	struct signalfd_siginfo info;
	int status;

	while (read(d->signals, &info, sizeof info) == sizeof info)
		if (info.ssi_signo != SIGCHLD) kill(d->child, (int)info.ssi_signo);
	if (waitpid(d->child, &status, WNOHANG) != d->child) return false;
	*code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return true;
}

static int serve(struct delay *d)
{
	struct pollfd fds[2] = { { .fd = d->tun, .events = POLLIN }, { .fd = d->signals, .events = POLLIN } };
	int code;

	while (!over(d, &code)) {
		uint64_t now = now_ns(), due = d->heap_n > 0 ? d->heap[0]->due : now + 1000000000, wait = due > now ? due - now : 0;
		struct timespec t = { .tv_sec = (time_t)(wait / 1000000000), .tv_nsec = (long)(wait % 1000000000) };
		ppoll(fds, 2, &t, NULL);
		take_in(d);
		let_go(d);
	}
	return code;
}

static int run(struct delay *d)
{
	struct sched_param urgent = { .sched_priority = 1 };
	sigset_t ours, old;

	if (!leave_network()) return cannot(d, "no network of its own can be made here");
	if (!make_network(d)) return cannot(d, "cannot make the device /dev/net/tun gives");
	sigemptyset(&ours);
	sigaddset(&ours, SIGCHLD);
	sigaddset(&ours, SIGINT);
	sigaddset(&ours, SIGTERM);
	sigprocmask(SIG_BLOCK, &ours, &old);
	d->signals = signalfd(-1, &ours, SFD_NONBLOCK | SFD_CLOEXEC);
	d->child = fork();
	if (d->signals < 0 || d->child < 0) return cannot(d, "cannot start a process");
	if (d->child == 0) run_command(d, &old);
	sched_setscheduler(0, SCHED_FIFO, &urgent); /* late packets are no longer at their distance; where it is not allowed, they may be late */
	prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
	return serve(d);
}

int main(int argc, char **argv)
{
	static struct delay d = { .unit = 50000, .draw = 88172645463325252 };
	int end = parse(&d, argc, argv);

	return end >= 0 ? end : run(&d);
}
