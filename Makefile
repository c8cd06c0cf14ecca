# SPDX-License-Identifier: MIT OR Apache-2.0
# `make help` says what there is. Cargo builds; this file says what goes where.

VERSION     := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
DEB_VERSION ?= $(VERSION)
DEB_ARCH    := $(shell dpkg --print-architecture 2>/dev/null || echo unknown)
DEB         := target/debian/banishd_$(DEB_VERSION)_$(DEB_ARCH).deb

# The bus, polkit and the daemon itself look below /usr; another PREFIX is for staging.
DESTDIR     ?=
PREFIX      ?= /usr
SYSCONFDIR  ?= /etc
LIBDIR       = $(DESTDIR)$(PREFIX)/lib
DATADIR      = $(DESTDIR)$(PREFIX)/share

# What systemd starts, and what tells it when.
PROGRAMS    := banishd banishd-action banishd-resolve
UNITS       := banishd.service banishd-action.socket banishd-action@.service \
               banishd-resolve.socket banishd-resolve@.service

# Debian packages that building, demonstrating and testing need.
BUILD_NEEDS := gcc libc6-dev pkg-config libsystemd-dev
FUZZ_NEEDS  := g++
DEB_NEEDS   := dpkg-dev
HOST_NEEDS  := mmdebstrap systemd-container iproute2 nftables openssh-client procps perl debian-archive-keyring
BENCH_NEEDS := systemd-journal-remote python3-systemd
CHECK_NEEDS := dbus systemd polkitd sqlite3 python3 mandoc groff-base libxml2-utils shellcheck

# The tests of netlink, journald and the booted host need root.
SUDO   := $(if $(filter 0,$(shell id -u)),,sudo)
AS_ROOT = $(if $(SUDO),--config "target.'cfg(all())'.runner='sudo -E'")
# Of `make fuzz`: which law, for how long, with what else libFuzzer is to be told.
TARGET  ?= pattern
SECONDS ?= 60
SUITES ?= bookworm trixie

SCRIPTS := .ci/run tests/prepare tests/fail2ban tests/fuzz/rustc units/debian/build \
           tests/host/host tests/host/run tests/host/demo tests/host/lib.sh $(wildcard tests/host/*-*.sh)

.PHONY: build demo check lint host-check fuzz bench host-bench install uninstall deb clean help

build: ## build the daemon, its helpers and the client
	tests/prepare $(BUILD_NEEDS)
	cargo build --release --locked

demo: ## attack a disposable Debian host over SSH and watch banishd defend it
	tests/prepare $(BUILD_NEEDS) $(DEB_NEEDS) $(HOST_NEEDS)
	$(MAKE) --no-print-directory deb
	$(SUDO) env DEB=$(CURDIR)/$(DEB) tests/host/demo

check: ## run every test there is
	tests/prepare $(BUILD_NEEDS) $(DEB_NEEDS) $(HOST_NEEDS) $(CHECK_NEEDS)
	cargo fmt --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo test --locked --no-run
	cargo test --locked $(AS_ROOT)
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --document-private-items
	$(MAKE) --no-print-directory lint
	$(MAKE) --no-print-directory host-check

lint: ## check units, policies, manual pages and scripts
	tests/prepare $(CHECK_NEEDS)
	xmllint --noout --nonet --nowarning $(wildcard dbus/*.xml dbus/*.conf dbus/*.policy)
	set -e; for page in man/*.[1-9]; do mandoc -T lint -W warning "$$page"; done
	shellcheck --shell=sh units/debian/postinst units/debian/prerm units/debian/postrm
	shellcheck --severity=warning --external-sources --source-path=tests/host $(SCRIPTS)

host-check: deb ## run the tests on disposable Debian hosts alone (SUITES=, TESTS=)
	tests/prepare $(HOST_NEEDS)
	$(SUDO) env DEB=$(CURDIR)/$(DEB) SUITES='$(SUITES)' tests/host/run $(TESTS)

fuzz: ## look for input that breaks a law of tests/fuzz (TARGET=pattern, SECONDS=60, FLAGS=)
	tests/prepare $(BUILD_NEEDS) $(FUZZ_NEEDS)
	CARGO_PROFILE_DEV_OPT_LEVEL=1 RUSTC_WORKSPACE_WRAPPER=$(CURDIR)/tests/fuzz/rustc \
	    cargo build --locked --package banishd-fuzz --features run
	mkdir -p target/fuzz/corpus/$(TARGET)
	cd target/fuzz && BANISHD_LAW=$(TARGET) ../debug/fuzz -max_total_time=$(SECONDS) -timeout=10 -rss_limit_mb=2048 \
	    $(FLAGS) corpus/$(TARGET) ../../tests/fuzz/seeds/$(TARGET)

bench: ## measure the main paths, each beside its limit or a peer
	tests/prepare $(BUILD_NEEDS) $(BENCH_NEEDS)
	$(MAKE) --no-print-directory target/bench/fail2ban
	rm -f target/bench/table
	cargo bench --locked --bench micro
	cargo bench --locked --bench lines
	cargo bench --locked --bench patterns
	cargo bench --locked $(AS_ROOT) --bench bans
	cargo bench --locked $(AS_ROOT) --bench pipeline
	@cat target/bench/table

# The peer is unpacked, not installed: nobody wants it to start here.
target/bench/fail2ban:
	mkdir -p $(@D)
	ln -sfn "$$(tests/fail2ban)" $@

host-bench: deb ## measure on a disposable Debian host, beside fail2ban: latency and a burst
	tests/prepare $(HOST_NEEDS)
	$(SUDO) env DEB=$(CURDIR)/$(DEB) tests/host/bench-latency.sh
	$(SUDO) env DEB=$(CURDIR)/$(DEB) PEER=1 tests/host/bench-burst.sh

deb: ## make a Debian package in target/debian
	tests/prepare $(BUILD_NEEDS) $(DEB_NEEDS)
	cargo build --release --locked
	units/debian/build $(DEB_VERSION) $(DEB)

install: ## install what `make build` built (DESTDIR=, PREFIX=/usr)
	install -D -m 755 -t $(LIBDIR)/banishd $(addprefix target/release/,$(PROGRAMS))
	install -D -m 755 target/release/banishctl $(DESTDIR)$(PREFIX)/bin/banishctl
	install -D -m 644 -t $(LIBDIR)/banishd config/*.conf
	install -D -m 644 -t $(LIBDIR)/banishd/filter.d config/filter.d/*.conf
	install -D -m 644 -t $(LIBDIR)/systemd/system $(addprefix units/,$(UNITS))
	install -D -m 644 units/banishd.sysusers $(LIBDIR)/sysusers.d/banishd.conf
	install -D -m 644 dbus/org.banishd.Banish1.conf $(DATADIR)/dbus-1/system.d/org.banishd.Banish1.conf
	install -D -m 644 dbus/org.banishd.Banish1.service $(DATADIR)/dbus-1/system-services/org.banishd.Banish1.service
	install -D -m 644 -t $(DATADIR)/dbus-1/interfaces dbus/*.xml
	install -D -m 644 dbus/org.banishd.Banish1.policy $(DATADIR)/polkit-1/actions/org.banishd.Banish1.policy
	set -e; for page in man/*.[1-9]; do install -D -m 644 -t $(DATADIR)/man/man$${page##*.} "$$page"; done
	ln -sf banishd.service.8 $(DATADIR)/man/man8/banishd.8
	install -D -m 644 -t $(DATADIR)/doc/banishd README.md docs/*.md LICENSE-APACHE LICENSE-MIT
	install -D -m 644 config/completions/banishctl $(DATADIR)/bash-completion/completions/banishctl
	install -D -m 644 config/completions/_banishctl $(DATADIR)/zsh/site-functions/_banishctl
	install -D -m 644 config/completions/banishctl.fish $(DATADIR)/fish/vendor_completions.d/banishctl.fish
	install -d $(DESTDIR)$(SYSCONFDIR)/banishd/jail.d $(DESTDIR)$(SYSCONFDIR)/banishd/filter.d

uninstall: ## remove what `make install` installed; configuration and state stay
	rm -f $(DESTDIR)$(PREFIX)/bin/banishctl
	rm -rf $(LIBDIR)/banishd $(DATADIR)/doc/banishd
	rm -f $(addprefix $(LIBDIR)/systemd/system/,$(UNITS)) $(LIBDIR)/sysusers.d/banishd.conf
	rm -f $(DATADIR)/dbus-1/system.d/org.banishd.Banish1.conf
	rm -f $(DATADIR)/dbus-1/system-services/org.banishd.Banish1.service
	rm -f $(addprefix $(DATADIR)/dbus-1/interfaces/,$(notdir $(wildcard dbus/*.xml)))
	rm -f $(DATADIR)/polkit-1/actions/org.banishd.Banish1.policy
	set -e; for page in man/*.[1-9]; do rm -f $(DATADIR)/man/man$${page##*.}/$${page##*/}; done
	rm -f $(DATADIR)/man/man8/banishd.8
	rm -f $(DATADIR)/bash-completion/completions/banishctl $(DATADIR)/zsh/site-functions/_banishctl
	rm -f $(DATADIR)/fish/vendor_completions.d/banishctl.fish

clean: ## remove everything that was built, disposable hosts included
	$(SUDO) tests/host/host sweep
	$(SUDO) rm -rf --one-file-system target/host target/debian target/bench target/fail2ban
	cargo clean

help: ## say what there is
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20
