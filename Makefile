# Pennypost. No lists: a program is a qmail-*/NAME.c with a main(); its page lies beside it.
#
#   make            build into build/bin         make up       install, start, send a first message
#   make check      every test (as root)         make down     stop what `make up` started
#   make install    DESTDIR, QMAILHOME           make uninstall   keeps control, queue and mail
#   make unit fuzz e2e lint crash                the parts of check; crash is longer than there
#   make crash-teeth                             crash notices when a step is taken out
#   make bench bench-scale size                  figures: beside Postfix, growth, memory (SHORT=1)
#   make packages   install what building and running need, as root
#   LIBC=glibc      link everything with glibc   SAN=1         with ASan and UBSan (build/san)
#   HOST=, IP=, PORT=                            for make up: other than this host's, all, 25
#
# Two C libraries: programs link statically with musl, which starts five times faster; a source
# whose head comment says "libc glibc" (it needs NSS or the resolver) links with glibc.

ROOT_USER := $(filter 0,$(shell id -u))
HOME_DIR := $(shell head -n 1 conf-home)
FOLDERS  := $(patsubst %/,%,$(wildcard qmail-*/))
SOURCES  := $(wildcard lib/*.c $(addsuffix /*.c,$(FOLDERS)))
MAINS    := $(shell grep -lE '^main\b' $(SOURCES) /dev/null)
PROGRAMS := $(notdir $(MAINS:.c=))
SCRIPTS  := $(foreach f,$(wildcard qmail-*/*),$(if $(findstring .,$(notdir $(f))),,$(f)))
BIN      := build/$(if $(SAN),san/,$(addsuffix /,$(LIBC)))bin
GLIBC_ONLY := $(shell grep -l '^ \* libc *glibc' $(SOURCES) /dev/null)
PAGES    := $(wildcard qmail-*/*.[1-8] control/*.5 service/*.[1-8])

INCLUDES := -Ilib -D_GNU_SOURCE -DHOME_DEFAULT='"$(HOME_DIR)"'
WARN := -Wall -Wextra -Werror -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
  -Wpointer-arith -Wcast-qual -Wwrite-strings -Wvla -Wundef -Wformat=2 -Wimplicit-fallthrough
CFLAGS ?= -O2 -g
HARDEN := -fno-common -fstack-protector-strong -fPIE -ffunction-sections -fdata-sections
BASE   := -std=c11 $(INCLUDES) $(WARN) $(CFLAGS) -MMD -MP
ARCHIVES := $(foreach l,libcdb.a libskarnet.a,$(shell gcc -print-file-name=$(l) 2>/dev/null))

CC       := gcc
MUSL_CC  := musl-gcc
HOST_INCLUDE := /usr/include/$(shell gcc -print-multiarch 2>/dev/null)
C_glibc  := $(CC) $(BASE) $(HARDEN) -D_FORTIFY_SOURCE=2
C_musl   := $(MUSL_CC) -idirafter build/include -idirafter $(HOST_INCLUDE) $(BASE) $(HARDEN)
C_san    := $(CC) $(BASE) $(HARDEN) -fsanitize=address -fsanitize=undefined -fno-sanitize-recover=all
C_clang  := clang $(BASE) $(HARDEN)
C_fuzz   := clang $(BASE) -g -fsanitize=fuzzer-no-link -fsanitize=address -fsanitize=undefined \
  -fno-sanitize-recover=all -DFUZZ
L_glibc  := $(CC) -pie -Wl,-z,relro,-z,now
# musl-gcc knows no -static-pie, so its start files are named here. Two segments instead of four, and no
# page of its own for relro (which musl's start of a static program does not protect anyway): three
# page faults and two mappings less in each qmail-smtpd.
MUSL_LIB := /usr/lib/$(shell uname -m)-linux-musl
L_musl   := $(MUSL_CC) -static -nostartfiles -Wl,-pie,--no-dynamic-linker,-z,text,-z,norelro,-z,noseparate-code \
  -Wl,--gc-sections $(MUSL_LIB)/rcrt1.o $(MUSL_LIB)/crti.o $(MUSL_LIB)/crtn.o
L_san    := $(CC) -pie -fsanitize=address -fsanitize=undefined
L_fuzz   := clang -fsanitize=fuzzer -fsanitize=address -fsanitize=undefined

# musl cannot satisfy every symbol that Debian's archives want; lib/libc_compat.c names those it can.
ifeq ($(LIBC),)
  LIBC := $(shell tests/musl-usable $(MUSL_CC) >&2 && echo musl || echo glibc)
endif
variant = $(if $(SAN),san,$(if $(filter $(1),$(GLIBC_ONLY)),glibc,$(LIBC)))

BUILD_PACKAGES := gcc make libc6-dev skalibs-dev libcdb-dev musl-tools
RUN_PACKAGES   := s6 execline ucspi-tcp-ipv6
# What a target needs besides; run-TARGET is the target when all is there.
NEEDS_unit  := libcmocka-dev
NEEDS_fuzz  := clang libclang-rt-14-dev
NEEDS_lint  := clang clang-format cppcheck shellcheck pyflakes3 pycodestyle mandoc
NEEDS_bench := $(RUN_PACKAGES) python3 postfix iproute2 e2fsprogs
NEEDS_bench-scale := $(NEEDS_bench)
NEEDS_size  := $(NEEDS_bench)
NEEDS_crash := $(NEEDS_bench) strace procps unbound python3-dnspython
NEEDS_crash-teeth := $(NEEDS_crash)
NEEDS_e2e   := $(NEEDS_crash) python3-pytest s-nail swaks
GUARDED     := unit fuzz lint e2e crash crash-teeth bench bench-scale size

all: programs
programs: $(addprefix $(BIN)/,$(PROGRAMS))

# Everything that is compiled waits for this: a missing package is named before gcc stumbles.
build/include/linux:
	@tests/packages --look $(BUILD_PACKAGES)
	@mkdir -p $(@D)
	@ln -sf /usr/include/cdb.h $(@D)/cdb.h
	@ln -sfn /usr/include/asm-generic $(@D)/asm-generic
	@ln -sfn /usr/include/linux $@

packages:
	@tests/packages $(BUILD_PACKAGES) $(RUN_PACKAGES)

# Root installs what is missing, others are told its names; a make of its own then sees it.
$(GUARDED):
	@tests/packages $(BUILD_PACKAGES) $(NEEDS_$@)
	+@$(MAKE) --no-print-directory run-$@

define variant_rules
build/$(1)/%.o: %.c | build/include/linux
	@mkdir -p $$(@D)
	$$(C_$(1)) -c -o $$@ $$<
build/$(1)/lib/home.o: conf-home
build/$(1)/lib.a: $(patsubst %.c,build/$(1)/%.o,$(filter-out $(if $(filter musl,$(1)),$(GLIBC_ONLY)),$(wildcard lib/*.c)))
	@mkdir -p $$(@D) && rm -f $$@ && ar rcs $$@ $$^
$(foreach folder,$(FOLDERS),$(eval $(call folder_archive,$(1),$(folder))))
endef
define folder_archive
build/$(1)/$(2).a: $(patsubst %.c,build/$(1)/%.o,$(filter-out $(MAINS) $(if $(filter musl,$(1)),$(GLIBC_ONLY)),$(wildcard $(2)/*.c)))
	@mkdir -p $$(@D) && rm -f $$@ && ar rcs $$@ $$^
endef
$(foreach v,glibc musl san clang fuzz,$(eval $(call variant_rules,$(v))))

define program_rule
$(BIN)/$(notdir $(1:.c=)): build/$(call variant,$(1))/$(1:.c=.o) build/$(call variant,$(1))/$(patsubst %/,%,$(dir $(1))).a build/$(call variant,$(1))/lib.a $(if $(SAN),build/san/tests/asan_defaults.o)
	@mkdir -p $$(@D)
	$(L_$(call variant,$(1))) -o $$@ -Wl,--start-group $$^ $(ARCHIVES) -Wl,--end-group $(if $(filter glibc san,$(call variant,$(1))),-lresolv)
endef
$(foreach m,$(MAINS),$(eval $(call program_rule,$(m))))

# Unit tests: tests/unit/MODULE_test.c, with cmocka, under ASan and UBSan.
UNITS := $(patsubst tests/unit/%.c,build/unit/%,$(wildcard tests/unit/*_test.c))
build/unit/%: tests/unit/%.c $(foreach f,$(FOLDERS),build/san/$(f).a) build/san/lib.a
	@mkdir -p $(@D)
	$(C_san) $(addprefix -I,$(FOLDERS)) $(L_san:$(CC)%=%) -o $@ $< $(filter %.a,$^) -lcmocka $(ARCHIVES) -lresolv
run-unit: $(UNITS)
	@tests/run-unit $(UNITS)

# Fuzz targets: tests/fuzz/NAME_fuzz.c, seeds in tests/fuzz/corpus/NAME.
FUZZERS := $(patsubst tests/fuzz/%.c,build/fuzzers/%,$(wildcard tests/fuzz/*_fuzz.c))
FUZZ_SECONDS ?= 60
build/fuzzers/%: tests/fuzz/%.c $(foreach f,$(FOLDERS),build/fuzz/$(f).a) build/fuzz/lib.a
	@mkdir -p $(@D)
	$(C_fuzz) $(addprefix -I,$(FOLDERS)) $(L_fuzz:clang%=%) -o $@ $< $(filter %.a,$^) $(ARCHIVES) -lresolv
run-fuzz: $(FUZZERS)
	@tests/run-fuzz $(FUZZ_SECONDS) $(FUZZERS)

# Every source by gcc (with glibc and with musl) and by clang, with -Werror; then the checkers.
compile-all: $(foreach v,glibc musl clang,$(foreach f,$(FOLDERS),build/$(v)/$(f).a) build/$(v)/lib.a) \
  $(foreach m,$(MAINS),build/glibc/$(m:.c=.o) build/clang/$(m:.c=.o))
run-lint:
	+@tests/run-lint $(SCRIPTS)

check:
	@test $(ROOT_USER) || { echo 'make check needs root: it makes accounts, network and mount tables of its own' >&2; exit 1; }
	@tests/packages $(sort $(BUILD_PACKAGES) $(foreach part,$(GUARDED),$(NEEDS_$(part))))
	@tests/own-network true
	@tests/run-all SAN=$(SAN)

# End-to-end tests in a network and a mount table of their own. E2E=tests/e2e/test_up.py chooses.
E2E ?= tests/e2e
run-e2e: programs build/bench/fill-queue build/bench/session-cost
	SAN=$(SAN) BIN=$(BIN) RESULTS=$(RESULTS) tests/own-network /usr/bin/python3 -m pytest -q --tb=short \
	  -p no:cacheprovider $(E2E)

# Pennypost and Postfix side by side, in one run. SHORT=1: under two minutes.
run-bench: programs
	@tests/own-network /usr/bin/python3 tests/bench/bench.py $(if $(SHORT),--short) $(BENCH)

# What one session of qmail-smtpd costs, beside other such programs: make session-cost WITH="/path ...".
session-cost: build/bench/session-cost $(BIN)/qmail-smtpd
	@build/bench/session-cost 2000 $(abspath $(BIN)/qmail-smtpd) $(WITH)

# Growth: what a large queue, many sessions and long lists cost. SHORT=1: fewer and smaller.
build/bench/%: tests/bench/%.c build/glibc/lib.a
	@mkdir -p $(@D)
	$(C_glibc) $(L_glibc:$(CC)%=%) -o $@ $< $(filter %.a,$^) $(ARCHIVES)
run-bench-scale: programs build/bench/fill-queue
	@tests/own-network /usr/bin/python3 tests/bench/scale.py $(if $(SHORT),--short) $(BENCH)
# Lines, binaries, private memory of the idle system.
run-size: programs
	@tests/own-network /usr/bin/python3 tests/bench/size.py --bin $(BIN) $(BENCH)

# Would the harness notice? With one step taken out of Pennypost at a time, mail is lost.
run-crash-teeth: programs
	/usr/bin/python3 tests/crash/teeth.py $(CRASH)

# Kills, failing system calls, power cuts; CRASH='--short kill:qmail-send' chooses.
run-crash: programs
	SAN=$(SAN) RESULTS=$(RESULTS) tests/own-network /usr/bin/python3 tests/crash/crash.py $(CRASH)

# PLACE: the home that install, up, down and uninstall work on. An ordinary user's `make up` means ./home.
PLACE = $(or $(QMAILHOME),$(HOME_DIR))
up down uninstall: PLACE = $(or $(QMAILHOME),$(if $(ROOT_USER),$(HOME_DIR),$(CURDIR)/home))
place-is-sane:
	@tests/home-usable '$(PLACE)' '$(DESTDIR)'

# Installing replaces each program by a rename, so what runs is not disturbed.
ROOT = $(DESTDIR)$(PLACE)
install: place-is-sane programs
	@umask 022; mkdir -p $(ROOT)/bin $(ROOT)/man $(ROOT)/share
	@for f in $(addprefix $(BIN)/,$(PROGRAMS)) $(SCRIPTS); do \
	  install -m 755 $$f $(ROOT)/bin/.new && mv -f $(ROOT)/bin/.new $(ROOT)/bin/$${f##*/} || exit 1; done
	@chmod 711 $(ROOT)/bin/qmail-local # what a user cannot read he cannot trace either
	@for name in mailq newaliases; do ln -sfn sendmail $(ROOT)/bin/$$name; done
	@umask 022; for page in $(PAGES); do install -D -m 644 -t $(ROOT)/man/man$${page##*.} $$page || exit 1; done
	@umask 022; rm -rf $(ROOT)/share && mkdir $(ROOT)/share && cp -R conf-home control alias service $(ROOT)/share/ && \
	  rm -f $(ROOT)/share/control/*.5 && chmod -R a+rX $(ROOT)/share

up: place-is-sane
	@$(if $(ROOT_USER),tests/packages,tests/packages --look) $(BUILD_PACKAGES) $(RUN_PACKAGES)
	@$(MAKE) -s -j2 programs
	@chown -R --reference=Makefile build 2>/dev/null || true
	@printf '%-10s %s\n' build '$(words $(PROGRAMS)) programs'
	@$(MAKE) -s install QMAILHOME=$(PLACE) DESTDIR=
	@printf '%-10s %s\n' install 'into $(PLACE)'
	@$(PLACE)/bin/qmail-setup --home $(PLACE) $(if $(HOST),--host $(HOST)) $(if $(IP),--ip $(IP)) \
	  $(if $(PORT),--port $(PORT)) --start

down: place-is-sane
	@test ! -x $(PLACE)/bin/qmailctl || QMAILHOME=$(PLACE) $(PLACE)/bin/qmailctl down
	@echo 'down: nothing runs in $(PLACE)'
uninstall: down
	@rm -rf $(addprefix $(PLACE)/,bin man share service)
	@grep -qs 's6-svscan $(PLACE)/service$$' /etc/systemd/system/pennypost.service && \
	  systemctl -q disable pennypost && rm /etc/systemd/system/pennypost.service && \
	  systemctl daemon-reload || true
	@echo 'uninstall: kept alias, control, log, queue and users in $(PLACE)'

clean:
	rm -rf build

.PHONY: all programs packages $(GUARDED) $(addprefix run-,$(GUARDED)) compile-all check session-cost install up down \
  uninstall clean place-is-sane
.SECONDARY:
-include $(shell find build -name '*.d' 2>/dev/null)
