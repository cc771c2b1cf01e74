/* Bytes of heap that a machine holds, counted where they are allocated, and a host that lets peers misbehave by the thousand. For
 * *_test.c only.
 *
 * Counted is what the machine asks malloc for while it is at work, libraries included: requested bytes, not what the allocator adds (at
 * most 16 and the rounding a block). `held` is looked at when a step is over and before the host lets go of its actions, so packets on
 * their way count; `instant` is the most at any moment inside steps, where a table that grows is there twice. The host's own lists
 * have their size before. What a connection's transport has refused is the host's and shown apart (`unsent`). */
#ifndef REF_PAIR_MEMORY_H
#define REF_PAIR_MEMORY_H

#include "buf.h"
#include "client.h"
#include "frame.h"
#include "login.h"
#include "machine.h"
#include "relay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- counting ---- */

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define HEAP_SANITIZER
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HEAP_SANITIZER
#endif

enum { HEAP_PLACES = 1 << 18 };
static struct {
	struct heap_block {
		uintptr_t at; /* 0: free */
		size_t n;
	} block[HEAP_PLACES]; /* open addressing */
	uint64_t blocks, bytes, instant;
	bool counts; /* a machine is at work */
} heap;

static inline uint32_t heap_home(uintptr_t at) { return (uint32_t)((uint64_t)at * UINT64_C(0x9e3779b97f4a7c15) >> 46); }

static inline void heap_add(const volatile void *p, size_t n)
{
	uint32_t i = heap_home((uintptr_t)p);

	if (!heap.counts || p == NULL) return;
	if (heap.blocks > HEAP_PLACES / 4 * 3) abort();
	while (heap.block[i].at != 0) i = (i + 1) % HEAP_PLACES;
	heap.block[i] = (struct heap_block){ .at = (uintptr_t)p, .n = n };
	heap.blocks++;
	heap.bytes += n;
	if (heap.bytes > heap.instant) heap.instant = heap.bytes;
}

static inline void heap_remove(const volatile void *p)
{
	uint32_t hole = heap_home((uintptr_t)p);

	while (heap.block[hole].at != 0 && heap.block[hole].at != (uintptr_t)p) hole = (hole + 1) % HEAP_PLACES;
	if (p == NULL || heap.block[hole].at == 0) return; /* nobody's that is counted */
	heap.blocks--;
	heap.bytes -= heap.block[hole].n;
	for (uint32_t i = (hole + 1) % HEAP_PLACES; heap.block[i].at != 0; i = (i + 1) % HEAP_PLACES) {
		uint32_t home = heap_home(heap.block[i].at);
		if ((i - home) % HEAP_PLACES < (i - hole) % HEAP_PLACES) continue;
		heap.block[hole] = heap.block[i];
		hole = i;
	}
	heap.block[hole].at = 0;
}

#if defined(HEAP_SANITIZER) /* its allocator tells */
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t), void (*on_free)(const volatile void *));
static inline const char *heap_start(void)
{
	static int works = -1;

	if (works < 0) works = __sanitizer_install_malloc_and_free_hooks(heap_add, heap_remove);
	return works != 0 ? NULL : "the sanitizer takes no malloc hooks";
}
#elif defined(__GLIBC__) /* these stand before the library's, for the libraries that we link too */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t count, size_t n);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t alignment, size_t n);
void __libc_free(void *p);

void *malloc(size_t n)
{
	void *p = __libc_malloc(n);

	heap_add(p, n);
	return p;
}

void *calloc(size_t count, size_t n)
{
	void *p = __libc_calloc(count, n);

	heap_add(p, count * n);
	return p;
}

void *realloc(void *p, size_t n)
{
	void *moved = __libc_realloc(p, n);

	if (moved == NULL) return NULL;
	heap_add(moved == p ? NULL : moved, n); /* both are there while it is copied */
	heap_remove(p);
	if (moved == p) heap_add(moved, n);
	return moved;
}

void *aligned_alloc(size_t alignment, size_t n)
{
	void *p = __libc_memalign(alignment, n);

	heap_add(p, n);
	return p;
}

void free(void *p)
{
	heap_remove(p);
	__libc_free(p);
}
static inline const char *heap_start(void) { return NULL; }
#else
static inline const char *heap_start(void) { return "allocations can be counted with glibc or a sanitizer only"; }
#endif

/* ---- a host ---- */

enum { MEM_CONNS = 8192, MEM_DIALS = RELAY_SLOTS + 1, MEM_TURN = 32768, MEM_LOW_WATER = 65536 };

struct mem_conn {
	uint64_t token; /* TOKEN_NONE: free */
	uint64_t moved; /* taken by the transport and not told */
	uint64_t left, left_told;
	uint32_t read_max;
	bool stuck; /* the peer reads nothing */
	bool touched;
};

struct mem {
	struct machine *machine;
	struct relay *relay;
	struct client *client;
	struct actions out, up;
	bool raw;
	uint64_t now;
	uint64_t held, unsent; /* the most since mem_watch */
	uint32_t generation;
	struct mem_conn conn[MEM_CONNS]; /* accepted, by slot */
	struct mem_conn dial[MEM_DIALS]; /* dialled */
	uint64_t dialed, asked;          /* the last ones */
	uint32_t ended;                  /* connections that the machine has closed */
	struct mem_conn *touched[MEM_CONNS];
	uint64_t over[MEM_CONNS], cancelled[MEM_CONNS]; /* tokens whose last event is due */
	uint32_t touched_n, over_n, cancelled_n;
};

#define MEM_KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define MEM_LISTENER token_make(900000, 1)

static inline struct mem_conn *mem_at(struct mem *w, uint64_t token)
{
	struct mem_conn *c = token_is_machine(token) ? &w->dial[token_slot(token) % MEM_DIALS] : &w->conn[token_slot(token) % MEM_CONNS];

	return c->token == token ? c : NULL;
}

static inline void mem_sent(struct mem *w, struct mem_conn *c, uint64_t n)
{
	assert(c != NULL);
	if (c->stuck)
		c->left += n;
	else
		c->moved += n;
	if (c->left > w->unsent) w->unsent = c->left;
	if (c->touched) return;
	assert(w->touched_n < MEM_CONNS);
	c->touched = true;
	w->touched[w->touched_n++] = c;
}

static inline void mem_close(struct mem *w, const struct action *x)
{
	assert(w->over_n < MEM_CONNS && w->cancelled_n < MEM_CONNS);
	if (mem_at(w, x->token) != NULL)
		w->over[w->over_n++] = x->token, w->ended++;
	else
		w->cancelled[w->cancelled_n++] = x->token;
}

static inline void mem_apply(struct mem *w, const struct action *x)
{
	switch (x->kind) {
	case ACTION_SEND: mem_sent(w, mem_at(w, x->token), (uint64_t)x->head_n + x->span.n); break;
	case ACTION_READ: mem_at(w, x->token)->read_max = x->read_n; break;
	case ACTION_CLOSE: mem_close(w, x); break;
	case ACTION_ASK: w->asked = x->token; break;
	case ACTION_DIAL:
		w->dialed = x->token;
		w->dial[token_slot(x->token) % MEM_DIALS] = (struct mem_conn){ .token = x->token, .read_max = MEM_TURN };
		break;
	default: assert(false && "an action this host knows");
	}
}

static inline void mem_step(struct mem *w, const struct event *e)
{
	heap.counts = true;
	machine_step(w->machine, e, &w->out, &w->up);
	heap.counts = false;
	if (heap.bytes > w->held) w->held = heap.bytes;
	for (uint32_t i = 0; i < w->out.n; i++) mem_apply(w, &w->out.v[i]);
	actions_reset(&w->out);
	actions_reset(&w->up);
}

static inline void mem_flush(struct mem *w, struct mem_conn *c)
{
	struct event e = { .kind = EVENT_DRAINED, .now = w->now, .token = c->token };

	if (!c->stuck) c->moved += c->left, c->left = 0;
	if (!((c->moved != 0 && (c->moved + c->left > MEM_LOW_WATER || c->left_told != 0)) || (c->left != 0) != (c->left_told != 0) ||
	      c->left < c->left_told))
		return;
	e.drained = (struct event_drained){ .n = c->moved, .left = c->left };
	c->left_told = c->left, c->moved = 0;
	mem_step(w, &e);
}

static inline void mem_over(struct mem *w, uint64_t token, enum close_cause cause)
{
	struct mem_conn *c = mem_at(w, token);

	if (token == TOKEN_NONE || c == NULL) return; /* it is over already */
	c->token = TOKEN_NONE;
	mem_step(w, &(struct event){ .kind = EVENT_CLOSED, .now = w->now, .token = token, .closed = { .cause = cause } });
}

/* Everything that follows now. */
static inline void mem_settle(struct mem *w)
{
	struct event_answer answer = { .result = ANSWER_CANCELLED };

	for (;;) {
		if (w->touched_n > 0) {
			struct mem_conn *c = w->touched[--w->touched_n];
			c->touched = false;
			if (c->token != TOKEN_NONE) mem_flush(w, c);
		} else if (w->over_n > 0) {
			mem_over(w, w->over[--w->over_n], CLOSE_LOCAL);
		} else if (w->cancelled_n > 0) {
			mem_step(w,
			         &(struct event){ .kind = EVENT_ANSWER, .now = w->now, .token = w->cancelled[--w->cancelled_n], .answer = &answer });
		} else if (machine_deadline(w->machine) <= w->now) {
			mem_step(w, &(struct event){ .kind = EVENT_TIMER, .now = w->now });
		} else {
			return;
		}
	}
}

static inline void mem_event(struct mem *w, struct event e)
{
	e.now = w->now;
	mem_step(w, &e);
	mem_settle(w);
}

static inline void mem_advance(struct mem *w, uint64_t ns)
{
	uint64_t target = w->now + ns, at;

	while ((at = machine_deadline(w->machine)) <= target) {
		if (at > w->now) w->now = at;
		mem_settle(w);
	}
	w->now = target;
}

/* config: more lines behind the key; `!` first: of a client */
static inline struct mem *mem_new(const char *config)
{
	struct mem *w = mem_zero(1, sizeof *w);
	const char *why = heap_start();

	if (why != NULL) {
		free(w);
		print_message("%s\n", why);
		skip();
	}
	w->out.cap = w->up.cap = ACTIONS_MAX;
	w->out.v = mem_alloc(ACTIONS_MAX * sizeof *w->out.v);
	w->up.v = mem_alloc(ACTIONS_MAX * sizeof *w->up.v);
	w->out.arena = mem_alloc(w->out.arena_cap = 4 << 20);
	w->out.kept = mem_alloc((w->out.kept_cap = 4096) * sizeof *w->out.kept);
	memset(&heap, 0, sizeof heap); /* a test that failed has left its machine */
	w->raw = strstr(config, "raw=on") != NULL;
	heap.counts = true;
	if (config[0] == '!')
		w->machine = client_machine(w->client = client_new(&(struct machine_env){ .tracer = NULL }));
	else
		w->machine = relay_machine(w->relay = relay_new(&(struct machine_env){ .tracer = NULL }));
	heap.counts = false;
	{
		char text[2048];
		struct socket_info socket = { .token = MEM_LISTENER };
		struct event_start start = { .seed = { 1 },
			                     .slot_first = 1,
			                     .slot_count = RELAY_SLOTS,
			                     .turn_max = MEM_TURN,
			                     .low_water = MEM_LOW_WATER,
			                     .config = text,
			                     .sockets = &socket,
			                     .sockets_n = 1 };
		start.config_n = (size_t)snprintf(text, sizeof text, "key=%s\n%s", MEM_KEY, config + (config[0] == '!'));
		mem_event(w, (struct event){ .kind = EVENT_START, .start = &start });
	}
	return w;
}

/* Frees the machine, of which nothing may be left. */
static inline void mem_free(struct mem *w)
{
	machine_free(w->machine);
	assert_int_equal(heap.bytes, 0);
	actions_free(&w->out);
	actions_free(&w->up);
	free(w);
}

/* The most from here on. */
static inline void mem_watch(struct mem *w)
{
	w->held = heap.instant = heap.bytes;
	w->unsent = 0;
}

/* ---- what peers do ---- */

static inline uint64_t mem_accept(struct mem *w, uint32_t slot)
{
	static const struct address here = { .port = 80 }, there = { .ip = { [10] = 0xff, 0xff, 192, 0, 2, 7 }, .port = 41641 };
	struct event_accepted accepted = { .listener = MEM_LISTENER, .local = here, .remote = there };
	uint64_t token = token_make(slot, ++w->generation);

	assert(slot > 0 && slot < MEM_CONNS && w->conn[slot].token == TOKEN_NONE);
	w->conn[slot] = (struct mem_conn){ .token = token, .read_max = MEM_TURN };
	mem_event(w, (struct event){ .kind = EVENT_ACCEPTED, .token = token, .accepted = &accepted });
	return token;
}

/* Sends bytes, in events of at most `piece`, as far as they are read. Returns how many were. */
static inline size_t mem_pieces(struct mem *w, uint64_t token, const void *p, size_t n, size_t piece)
{
	size_t at = 0;

	while (at < n && mem_at(w, token) != NULL && mem_at(w, token)->read_max != 0) {
		size_t most = mem_at(w, token)->read_max < piece ? mem_at(w, token)->read_max : piece, take = n - at < most ? n - at : most;
		mem_event(w, (struct event){ .kind = EVENT_BYTES, .token = token, .bytes = { .p = (const uint8_t *)p + at, .n = (uint32_t)take } });
		at += take;
	}
	return at;
}

static inline size_t mem_bytes(struct mem *w, uint64_t token, const void *p, size_t n) { return mem_pieces(w, token, p, n, MEM_TURN); }

static inline void mem_leave(struct mem *w, uint64_t token)
{
	mem_over(w, token, CLOSE_RESET);
	mem_settle(w);
}

/* The peer reads no more; then, for once, n bytes. */
static inline void mem_stick(struct mem *w, uint64_t token) { mem_at(w, token)->stuck = true; }
static inline void mem_take(struct mem *w, uint64_t token, uint64_t n)
{
	struct mem_conn *c = mem_at(w, token);

	if (c == NULL) return;
	if (n > c->left) n = c->left;
	c->left -= n, c->moved += n;
	mem_flush(w, c);
	mem_settle(w);
}

/* Keys: private ones of clients, and public ones that nobody has the private key of. */
static inline struct key mem_key(uint32_t i)
{
	struct key key = { .b = { 0, (uint8_t)i, (uint8_t)(i >> 8), (uint8_t)(i >> 16) } };

	return key;
}
static inline struct key mem_name(uint32_t i)
{
	struct key key = { .b = { (uint8_t)i, (uint8_t)(i >> 8), (uint8_t)(i >> 16), (uint8_t)(i >> 24), 0xaa, [31] = 0x11 } };

	return key;
}

static inline uint32_t mem_client_info(const struct mem *w, uint32_t key, const struct client_info *info, uint8_t out[LOGIN_FRAME_MAX])
{
	static const uint8_t nonce[KEY_NONCE] = { 1 };
	struct key private_key = mem_key(key), public_key, shared;

	key_public(&private_key, &public_key);
	if (!key_shared(&private_key, relay_public_key(w->relay), &shared)) abort();
	return login_client_info_frame(out, &public_key, &shared, nonce, info);
}

#define MEM_MESH_KEY "e0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"
static inline uint64_t mem_login(struct mem *w, uint32_t slot, uint32_t key, bool mesh)
{
	static const char request[] = "GET /derp HTTP/1.1\r\nHost: x\r\nUpgrade: DERP\r\nConnection: Upgrade\r\nDerp-Fast-Start: 1\r\n\r\n";
	struct client_info info = { .version = 2 };
	uint8_t frame[LOGIN_FRAME_MAX];
	uint64_t token = mem_accept(w, slot);

	if (!w->raw) mem_bytes(w, token, request, sizeof request - 1);

	for (int i = 0; mesh && i < KEY_SIZE; i++) info.mesh_key.b[i] = (uint8_t)(0xe0 + i);
	mem_bytes(w, token, frame, mem_client_info(w, key, &info, frame));
	return token;
}

/* ---- the table ---- */

/* One behaviour: what it makes the victim hold. The bound is an expression over limits that headers name, and is printed as such. */
struct mem_row {
	const char *behaviour, *rule, *config;
	const char *formula;
	uint64_t bound;                /* for each peer */
	uint64_t others;               /* more in all: what it takes of others to show it */
	uint64_t work;                 /* more inside a step */
	uint64_t unsent_most;          /* what the host may hold unsent for one connection */
	void (*before)(struct mem *w); /* who else must be there */
	void (*arrive)(struct mem *w, uint32_t i);
	void (*act)(struct mem *w, uint32_t i);
	void (*leave)(struct mem *w, uint32_t i);
};
#define BOUND(expression) .formula = #expression, .bound = (expression)

struct mem_seen {
	uint64_t held, instant, unsent;
};

static inline void mem_told(const struct mem_row *row, uint32_t peers, const struct mem_seen *seen, uint64_t tables)
{
	uint64_t bound = row->bound * peers + row->others;

	print_message("# %-62s %-8s peers %4u  held %9llu of %9llu  instant %9llu  unsent %7llu of %7llu  tables %8llu  bound %u x (%s) + %llu\n",
	              row->behaviour, row->rule, peers, (unsigned long long)seen->held, (unsigned long long)bound, (unsigned long long)seen->instant,
	              (unsigned long long)seen->unsent, (unsigned long long)row->unsent_most, (unsigned long long)tables, peers, row->formula,
	              (unsigned long long)row->others);
	if (seen->held > bound) fail_msg("%llu bytes held, %llu at most", (unsigned long long)seen->held, (unsigned long long)bound);
	if (seen->instant > bound + row->work)
		fail_msg("%llu bytes at an instant, %llu at most", (unsigned long long)seen->instant, (unsigned long long)(bound + row->work));
	if (seen->unsent > row->unsent_most)
		fail_msg("%llu bytes unsent, %llu at most", (unsigned long long)seen->unsent, (unsigned long long)row->unsent_most);
}

static inline void mem_most(uint64_t *most, uint64_t n)
{
	if (n > *most) *most = n;
}

/* The peers come, misbehave and go, twice: then the tables have their size, which `tables` bounds, and nothing else may be left. */
static inline void mem_run(const struct mem_row *row, uint32_t peers, uint64_t tables_most)
{
	struct mem *w = mem_new(row->config);
	struct mem_seen seen = { 0 };
	uint64_t began, there, after[2];

	if (row->before != NULL) row->before(w);
	began = heap.bytes;
	for (int round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < peers; i++) row->arrive(w, i);
		there = heap.bytes;
		mem_watch(w);
		for (uint32_t i = 0; i < peers; i++) row->act(w, i);
		mem_most(&seen.held, w->held - there);
		mem_most(&seen.instant, heap.instant - there);
		mem_most(&seen.unsent, w->unsent);
		for (uint32_t i = 0; i < peers; i++) row->leave(w, i);
		mem_advance(w, 20 * NS_S);
		after[round] = heap.bytes;
	}
	mem_told(row, peers, &seen, after[0] - began);
	assert_int_equal(after[1], after[0]);
	if (after[0] - began > tables_most)
		fail_msg("tables of %llu bytes, %llu at most", (unsigned long long)(after[0] - began), (unsigned long long)tables_most);
	mem_free(w);
}

#endif
