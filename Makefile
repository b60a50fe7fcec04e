# SPDX-License-Identifier: MIT
# The short way in; CMakeLists.txt and CMakePresets.json hold the build itself.

PREFIX ?= /usr/local
PTY    ?= /tmp/espat
ARGS   ?= --pty=$(PTY) --trace
# DEPS=: leaves the packages to you, for systems without apt-get.
DEPS   ?= tools/install-deps
JOBS   ?= $(shell nproc)

configure_and_build = cmake --preset $(1) >/dev/null && cmake --build --preset $(1) -j $(JOBS)
sources             = $(shell find include src tests bench examples -name '*.[ch]' 2>/dev/null | sort)
tidied              = $(shell find src -name '*.c' | sort)

.PHONY: build run test matrix soak bench cov lint format fuzz install clean help
.DEFAULT_GOAL := build

build:  ## build the daemon and the library (release)
	@$(DEPS) --run
	@$(call configure_and_build,release)

run: build  ## build and start a modem at $(PTY); other options: make run ARGS='...'
	@exec build/release/espat $(ARGS)

test:  ## build with sanitizers and run every test
	@$(DEPS)
	@$(call configure_and_build,release)
	@$(call configure_and_build,dev)
	@ctest --test-dir build/dev --output-on-failure --no-tests=error -j 2

matrix:  ## the tests with clang, MSan, TSan and valgrind, for 32 bits and big-endian
	@$(DEPS)
	@tools/matrix

soak:  ## an hour of mixed traffic on 20 modems; SOAK_SECONDS, SOAK_MODEMS and SOAK_SEED change that
	@$(DEPS)
	@$(call configure_and_build,release)
	@exec tests/soak/soak.py build/release/espat

bench:  ## measure throughput and latency
	@$(DEPS) --bench
	@$(call configure_and_build,release) --target all bench
	@if [ -x bench/run ]; then exec bench/run; else echo 'bench: there is no bench/run'; exit 1; fi

cov:  ## coverage of src/ without the daemon and espat-fetch; fails below 98 % of lines or 95 % of branches
	@$(DEPS)
	@$(call configure_and_build,cov)
	@find build/cov -name '*.gcda' -delete
	@ctest --test-dir build/cov --output-on-failure --no-tests=error -j 2 -R '^(unit_|dialog)'
	@gcovr --root . --filter src/ --exclude src/posix/ --exclude src/fetch/ --fail-under-line 98 build/cov
	@gcovr --root . --filter src/ --exclude src/posix/ --exclude src/fetch/ --branches --fail-under-branch 95 --print-summary -o build/cov/branches.txt build/cov

lint:  ## format, clang-tidy, a build with clang, the layers, the documents and the Cortex-M build
	@$(DEPS)
	@clang-format --dry-run -Werror $(sources)
	@$(call configure_and_build,clang)
	@echo $(tidied) | xargs -P $(JOBS) -n 4 clang-tidy --quiet -p build/clang 2>build/tidy.log \
	    || { grep -v 'warnings\? generated' build/tidy.log >&2; exit 1; }
	@$(call configure_and_build,arm)
	@tools/check-layers
	@tools/check-docs
	@tools/commands --check

format:  ## rewrite the C files in the house's format
	@clang-format -i $(sources)

fuzz:  ## build the fuzzers into build/fuzz/
	@$(DEPS)
	@$(call configure_and_build,fuzz)

install: build  ## install below PREFIX (and DESTDIR)
	@DESTDIR='$(DESTDIR)' cmake --install build/release --prefix '$(PREFIX)'

clean:  ## remove build/
	rm -rf build

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { sub(/\$$\(PTY\)/, "$(PTY)", $$2); printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
