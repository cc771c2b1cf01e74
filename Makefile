# derpsim: `make help` lists what can be made.
#
# Wildcards: a new ref/NAME.c, sim/NAME.c, *_test.c, *_main.c or fuzz/NAME.c is picked up by being there.
#   ref/*.c      but os_*, *_main, *_test   -> libderp.a      the protocol core (ref/tour.c: a user of what is installed)
#   ref/os_*.c                              -> libderpos.a    the only files that touch the operating system
#   sim/*.c reports/*.c but *_main, *_test  -> libderpsim.a   the simulator and what reads its traces
#   sim/cli_*.c                             -> derpsim        its command line, which talks to the operating system as mains do
#   ref/cmd_*.c                             -> derp-client    the same of that one
# Variables: CC, OPT=-O2, SAN=address,undefined, V=1 (show commands), V=0 (show nothing), WERROR=1 (also on when CI=true), BUILD=build. Each
# configuration may have a folder of its own: make CC=clang OPT=-O3 BUILD=build/clang-O3. Needs GNU make.
# Of install and uninstall: PREFIX=/usr/local, LIBDIR=$(PREFIX)/lib, DESTDIR= (put before both, for packages).

MAKEFLAGS += --no-builtin-rules
CC = gcc
OPT = -O2
BUILD = build
SAN =
Q = $(if $(filter 1,$(V)),,@)
say = $(if $(V),@:,@printf '  %-5s %s\n' $(1) $(2))

WARN = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wconversion -Wno-sign-conversion \
       $(if $(filter true 1,$(CI) $(WERROR)),-Werror)
SANITIZE = $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer)
CFLAGS = -g
ALL_CFLAGS = -std=c17 $(OPT) $(CFLAGS) $(WARN) $(SANITIZE) -ffp-contract=off
ALL_CPPFLAGS = -I. -Iref -Isim -I$(BUILD)/gen $(CPPFLAGS)

# ---- what there is ----

CORE = $(filter-out ref/os_% ref/cmd_% %_main.c %_test.c ref/tour.c,$(wildcard ref/*.c))
OS = $(filter-out %_test.c,$(wildcard ref/os_*.c))
CLI = $(wildcard sim/cli_*.c)
CMD = $(wildcard ref/cmd_*.c)
SIM = $(filter-out %_main.c %_test.c $(CLI),$(wildcard sim/*.c reports/*.c))
MAINS = $(wildcard ref/*_main.c sim/*_main.c reports/*_main.c)
TESTS = $(wildcard ref/*_test.c sim/*_test.c reports/*_test.c)
FUZZ = $(filter-out %_test.c,$(wildcard fuzz/*.c))
SQL = $(wildcard sim/*.sql reports/queries/*.sql)

# The program of a main: sim/sim_main.c is derpsim, sim/X_main.c derpsim-X, ref/X_main.c derp-X, reports/report_main.c derpreport.
PROGRAMS = $(patsubst %,$(BUILD)/%,$(patsubst sim/%_main.c,derpsim-%,$(patsubst ref/%_main.c,derp-%,$(patsubst reports/%_main.c,derp%,\
           $(patsubst sim/sim_main.c,derpsim,$(MAINS))))))
REPLAYS = $(FUZZ:fuzz/%.c=$(BUILD)/fuzz-%)
TEST_PROGRAMS = $(TESTS:%.c=$(BUILD)/tests/%)
objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))

.PHONY: all install uninstall demo test test-units test-unit check rules coverage interop failover bench bench-relay soak proof install-deps format clean help tests replays objects force
.DELETE_ON_ERROR:
.SECONDARY:

all: $(PROGRAMS) ## every program, into build/ (needs neither root nor network where the packages are there)
tests: $(TEST_PROGRAMS)
replays: $(REPLAYS)
objects: $(call objects,$(CORE) $(SIM))

# ---- how it is built ----

# Everything depends on the flags, so that another CC or OPT in the same folder rebuilds.
$(BUILD)/flags: force
	$(Q)mkdir -p $(@D)
	$(Q)echo '$(CC) $(ALL_CFLAGS) $(ALL_CPPFLAGS) $(LDFLAGS)' | cmp -s - $@ || { sh .ci/install look build && \
		echo '$(CC) $(ALL_CFLAGS) $(ALL_CPPFLAGS) $(LDFLAGS)' > $@; }
force:

$(BUILD)/obj/%.o: %.c $(BUILD)/flags
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# Only what talks to the operating system, and tests, see more than ISO C.
$(call objects,$(OS) $(MAINS) $(CLI) $(CMD) $(TESTS) $(FUZZ)): ALL_CPPFLAGS += -D_GNU_SOURCE

# SQL becomes string literals: `#include "sim/schema.sql.inc"` behind an `=`.
$(BUILD)/gen/%.sql.inc: %.sql
	$(Q)mkdir -p $(@D)
	$(Q)sed 's/\\/\\\\/g; s/"/\\"/g; s/.*/"&\\n"/' $< > $@
$(call objects,$(SIM) $(MAINS) $(TESTS)): | $(SQL:%=$(BUILD)/gen/%.inc)

$(BUILD)/libderp.a: $(call objects,$(CORE))
$(BUILD)/libderpos.a: $(call objects,$(OS))
$(BUILD)/libderpsim.a: $(call objects,$(SIM))
$(BUILD)/lib%.a:
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

# What a program links with follows from its folder: ref/ needs sim/ for derp-relay --record only.
REF_LIBS = $(BUILD)/libderp.a
OS_LIBS = $(if $(OS),$(BUILD)/libderpos.a) $(BUILD)/libderp.a
SIM_LIBS = $(BUILD)/libderpsim.a $(OS_LIBS)
LINK = $(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^
HOST_LIBS = -Wl,--as-needed -lcurl -lcares -lssl -lcrypto
SYSTEM_LIBS = -lsodium -lnettle -lwslay $(if $(findstring libderpos,$^),$(HOST_LIBS)) $(if $(findstring libderpsim,$^),-lsqlite3) $(LDLIBS)
define link
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(LINK) $(SYSTEM_LIBS)
endef

$(BUILD)/derpsim: $(BUILD)/obj/sim/sim_main.o $(call objects,$(CLI)) $(SIM_LIBS)
	$(link)
$(BUILD)/derpsim-%: $(BUILD)/obj/sim/%_main.o $(SIM_LIBS)
	$(link)
$(BUILD)/derp-client: $(BUILD)/obj/ref/client_main.o $(call objects,$(CMD)) $(OS_LIBS)
	$(link)
$(BUILD)/derp-relay: $(BUILD)/obj/ref/relay_main.o $(SIM_LIBS)
	$(link)
$(BUILD)/derp-%: $(BUILD)/obj/ref/%_main.o $(OS_LIBS)
	$(link)
$(BUILD)/derpreport: $(BUILD)/obj/reports/report_main.o $(SIM_LIBS)
	$(link)
$(BUILD)/tests/%: LDLIBS += -lcmocka -lm
$(BUILD)/tests/ref/os_%: $(BUILD)/obj/ref/os_%.o $(OS_LIBS)
	$(link)
$(BUILD)/tests/ref/%: $(BUILD)/obj/ref/%.o $(REF_LIBS)
	$(link)
$(BUILD)/tests/%: $(BUILD)/obj/%.o $(SIM_LIBS)
	$(link)
$(REPLAYS): $(BUILD)/fuzz-%: $(BUILD)/obj/fuzz/%.o $(REF_LIBS)
	$(link)

-include $(wildcard $(BUILD)/obj/*/*.d)

# ---- what is installed where ----

PREFIX = /usr/local
LIBDIR = $(PREFIX)/lib
DESTDIR =
# The public headers are those of ref/derp.h; what it does not include is internal.
PUBLIC = ref/derp.h $(patsubst %,ref/%,$(shell sed -n 's/^.include "\(.*\)"/\1/p' ref/derp.h))
SHIPPED = $(filter-out bad,$(notdir $(patsubst %/,%,$(wildcard scenarios/*/))))
VERSION = $(shell sed -n 's/.define DERP_VERSION "\(.*\)"/\1/p' ref/version.h)
INSTALLED = $(addprefix $(BUILD)/,derpsim derp-relay derp-client derp-load)
SHARE = $(PREFIX)/share/derpsim
DOC = $(PREFIX)/share/doc/derpsim

# $(1) is called with FOLDER,MODE,FILES for each folder. Manual pages will be one more line.
define each_folder
$(call $(1),$(PREFIX)/bin,755,$(INSTALLED))
$(call $(1),$(LIBDIR),644,$(BUILD)/libderp.a)
$(call $(1),$(LIBDIR)/pkgconfig,644,$(BUILD)/derp.pc)
$(call $(1),$(PREFIX)/include/derp,644,$(PUBLIC))
$(call $(1),$(SHARE)/scenarios,644,$(wildcard scenarios/*.json))
$(foreach folder,$(SHIPPED),$(call $(1),$(SHARE)/scenarios/$(folder),644,$(wildcard scenarios/$(folder)/*.scn)))
$(call $(1),$(DOC),644,README.md LICENSE)
$(call $(1),$(DOC)/ref,644,ref/README.md ref/tour.c)
endef
define put
	$(Q)install -d "$(DESTDIR)$(1)" && install -m $(2) $(3) "$(DESTDIR)$(1)"

endef
# Files by name, and then the folder if it is ours and empty: what others put there stays.
define drop
	$(Q)rm -f $(foreach file,$(notdir $(3)),"$(DESTDIR)$(1)/$(file)")

endef
define drop_folder
	$(Q)rmdir "$(DESTDIR)$(1)" 2>/dev/null || :

endef
OURS = $(SHIPPED:%=$(SHARE)/scenarios/%) $(SHARE)/scenarios $(SHARE) $(DOC)/ref $(DOC) $(PREFIX)/include/derp

absolute = $(foreach name,PREFIX LIBDIR,$(if $(filter-out 1,$(words $($(name))))$(filter-out /%,$($(name))),\
           $(error $(name) is '$($(name))', expected an absolute path without blanks, such as /usr/local)))

install: $(INSTALLED) $(BUILD)/libderp.a ## programs, library, headers, scenarios: PREFIX=/usr/local DESTDIR=
	$(absolute)
	$(Q)sed 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@VERSION@|$(VERSION)|; /^#/d' ref/derp.pc.in > $(BUILD)/derp.pc
	$(call each_folder,put)

uninstall: ## removes what install put there, with the same PREFIX and DESTDIR
	$(absolute)
	$(call each_folder,drop)
	$(foreach folder,$(OURS),$(call drop_folder,$(folder)))

# ---- what one does with it ----

demo: ## install what is missing, build, run the node crash and tell its story
	@.ci/install demo
	@.ci/demo

test: ## install what is missing, then every test, the determinism matrix and `make check` (15 minutes at most)
	@.ci/install test
	@.ci/test

test-units: ## build and run every *_test.c, of which the failures are shown
	@.ci/units $(MAKEOVERRIDES)

test-unit: $(BUILD)/tests/$(T) ## one of them: make test-unit T=ref/frame_test
	$<

check: ## include rules, symbols, floating point, formatting, tidiness, rule IDs, limits, system calls of a run
	@.ci/install check
	@.ci/check

rules: ## which rule of the protocol is kept where and tested by what; fails while one is open
	@.ci/rules

coverage: ## how much of the core tests and scenarios reach; fails if that is too little, or what is not reached has no reason
	@.ci/install test
	@.ci/coverage

proof: ## the long versions of what must be shown
	@.ci/install proof
	@.ci/proof

interop: ## our relay and client over loopback, against each other and, where Go is there, against the original
	@.ci/install build
	@.ci/interop

failover: ## three relays over TLS, 300 clients, 20 kills: failover times beside the simulator's of the same story
	@.ci/install test
	@.ci/failover

bench-relay: ## derp-load on our relay, a bare one and, where it can be had, the original, in one run
	@.ci/install build
	@.ci/bench-relay

soak: ## two meshed relays among clients that come, go, stall and die, with sanitizers and without: SECONDS_MAX=1800
	@.ci/install build
	@.ci/soak

bench: ## the star of 1,000 clients beside the yardstick, and the memory of idle clients
	@.ci/bench

fuzz-%: ## libFuzzer on a target: make fuzz-frame [SECONDS_MAX=60]
	@.ci/install fuzz
	@.ci/fuzz libfuzzer $*
afl-%: ## AFL++ on a target: make afl-frame [SECONDS_MAX=60]
	@.ci/install fuzz
	@.ci/fuzz afl $*

install-deps: ## the packages for everything above (Debian and its kin; root or sudo)
	@.ci/install all

format: ## lay out every source file by .clang-format
	@clang-format -i $(wildcard ref/*.[ch] sim/*.[ch] fuzz/*.[ch] reports/*.[ch] scenarios/*.[ch])

clean: ## remove build/
	rm -rf build

help: ## this list
	@sed -n 's/^\([a-z%-]*\):[^#]*## \(.*\)/  make \1 | \2/p' Makefile | sed 's/%/NAME/' | awk -F'|' '{ printf "%-22s%s\n", $$1, $$2 }'
