# larder. `make help` lists what there is; nothing here needs more than Rust, Go, a C compiler and make,
# except where the help says so.

CARGO  ?= cargo
GO     ?= go
CC     ?= cc
CXX    ?= c++
AR     ?= ar
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
# Where cargo builds. The C programs and the helpers of this file live there too.
TARGET  := $(abspath $(or $(CARGO_TARGET_DIR),target))
GOOS_GOARCH := $(shell $(GO) env GOOS GOARCH 2>/dev/null | paste -s -d _)
STATIC  := $(TARGET)/release/liblarder.a
SHARED  := $(TARGET)/release/liblarder.so
ARCHIVE := go/lib/$(GOOS_GOARCH)/liblarder.a
# What a static link needs beside the archive: `cargo rustc --release -- --print native-static-libs`.
NATIVE_LIBS := -lpthread -ldl -lm

# The Go modules of this repository: the package, its satellites, the gateway, the benchmarks.
GO_MODULES := $(patsubst %/go.mod,%,$(wildcard go/go.mod go/*/go.mod examples/*/go.mod bench/go.mod))
# Rust projects of their own, beside the crate.
RUST_TOOLS := $(wildcard tests/*/Cargo.toml bench/*/Cargo.toml)
# go caches by source, and does not see that the archive under a package has changed.
GO_TEST := $(GO) test -count=1 -timeout 5m

.DEFAULT_GOAL := help
.NOTPARALLEL:

## First steps
.PHONY: help run test
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} \
	     /^## / {printf "\n%s\n", substr($$0, 4)} \
	     /^[a-z][a-z0-9-]*:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(TARGET)/gateway ## Build everything and start the gateway example (ARGS= for its flags)
	@exec $(TARGET)/gateway $(ARGS)

TEST_PARTS := lint header-check test-rust test-loom test-c test-stackdepth stack-depth test-go test-go-slow test-go-race
test: ## Run every test, part by part, with a summary at the end
	@MAKE="$(MAKE)" scripts/parts.sh $(TEST_PARTS)

## Building
.PHONY: build lib header
build: lib $(TARGET)/gateway ## Build the libraries, the Go archive and the gateway

# Cargo decides whether anything is to be done. Only these two crate types, and optimised at link time: cargo leaves that
# out, or puts bitcode into the archive, where a Rust library is made at the same time.
.PHONY: cargo-build
cargo-build:
	@CARGO_PROFILE_RELEASE_LTO=fat $(CARGO) rustc --release --lib --crate-type staticlib,cdylib \
	    -- -C link-arg=-Wl,-soname,liblarder.so.0
	@cmp -s include/larder.h go/larder.h || cp include/larder.h go/larder.h

$(STATIC) $(SHARED): cargo-build ;

# Go's build sees only files below its own module, so it has a copy.
header: ## Write include/larder.h anew from src/ffi (every cargo build does it when src/ffi has changed)
	@touch build.rs
	@$(CARGO) check --quiet --lib
	@cmp -s include/larder.h go/larder.h || cp include/larder.h go/larder.h

lib: $(ARCHIVE) ## Build the archive that the Go package links
$(ARCHIVE): $(STATIC) scripts/relocatable.sh
	@scripts/relocatable.sh $(STATIC) $@

# go does not relink a program when only the archive has changed.
.PHONY: $(TARGET)/gateway
$(TARGET)/gateway: lib
	@rm -f $@
	@cd examples/gateway && $(GO) build -o $@ .

## The parts of `make test`
.PHONY: lint header-check test-rust test-loom test-c test-stackdepth stack-depth test-go test-go-slow test-go-race
lint: ## Formatting, clippy, go vet: no warnings
	$(CARGO) fmt --check
	$(CARGO) clippy --quiet --all-targets -- -D warnings
	@for tool in $(RUST_TOOLS); do echo "cargo fmt, clippy: $$tool"; \
	    $(CARGO) fmt --check --manifest-path $$tool && \
	    $(CARGO) clippy --quiet --all-targets --manifest-path $$tool --target-dir $(TARGET)/tools -- -D warnings || exit 1; done
	@unformatted=$$(gofmt -l $(GO_MODULES)); if [ -n "$$unformatted" ]; then echo "gofmt -l: $$unformatted"; exit 1; fi
	@$(MAKE) --no-print-directory lib
	@for module in $(GO_MODULES); do echo "go vet: $$module"; (cd $$module && $(GO) vet ./...) || exit 1; done

# The build has just written the header. If it now differs from the one in the index although nothing that it is made of
# does, a stale or hand-edited one was committed.
HEADER_SOURCES := src/ffi cbindgen.toml build.rs Cargo.toml
header-check: header ## Fail when the committed header is not what src/ffi says
	@if git diff --quiet -- $(HEADER_SOURCES) && ! git --no-pager diff --exit-code -- include/larder.h go/larder.h; then \
	    echo "include/larder.h was stale: commit what 'make header' wrote"; exit 1; fi

test-rust: ## Unit, property and model tests, examples, documentation examples
	$(CARGO) test

test-loom: ## The protocols between threads, in every order that the model checker finds
	$(CARGO) test --quiet --release --manifest-path tests/loom/Cargo.toml --target-dir $(TARGET)/tools

test-stackdepth: ## The stack-depth check against fixtures that must fail it
	$(CARGO) test --quiet --manifest-path tests/stackdepth/Cargo.toml --target-dir $(TARGET)/tools

# What is proven is the archive that Go links. When that fails, the shared library tells more: the same code, with line
# tables that name the places in the source.
STACK_DEPTH = $(CARGO) run --quiet --manifest-path tests/stackdepth/Cargo.toml --target-dir $(TARGET)/tools -- \
              --fastcall go/internal/fastcall --lib
stack-depth: lib ## Prove that the fast-door functions fit the frame of the assembly
	@$(STACK_DEPTH) $(ARCHIVE) > $(TARGET)/stack-depth.txt; status=$$?; \
	if [ $$status -eq 0 ] || $(STACK_DEPTH) $(SHARED); then cat $(TARGET)/stack-depth.txt; fi; exit $$status

test-go: lib ## Go tests of every module
	@for module in $(GO_MODULES); do echo "go test: $$module"; (cd $$module && $(GO_TEST) ./...) || exit 1; done

test-go-slow: lib ## Go tests with the fast door switched off, by environment and by build tag
	cd go && LARDER_FASTDOOR=off $(GO_TEST) ./...
	cd go && $(GO_TEST) -tags larder_nofast ./...

test-go-race: lib ## Go tests under the race detector
	cd go && $(GO_TEST) -race ./...
	cd examples/gateway && $(GO_TEST) -race ./...

include tests/c/c.mk

## Longer runs by hand
.PHONY: soak-memory fuzz tsan asan
SOAK_BUDGETS ?= 1MiB 64MiB 1GiB
soak-memory: ## Drive shifting loads and compare resident memory with the budget (SOAK_BUDGETS=, ARGS=)
	@for budget in $(SOAK_BUDGETS); do \
	    $(CARGO) run --quiet --release --manifest-path tests/soak/Cargo.toml --target-dir $(TARGET)/tools -- \
	        --budget $$budget $(ARGS) || exit 1; echo; done

FUZZ_TIME ?= 60s
FUZZ_CASES ?= 2000
fuzz: lib ## Random operations against the model, and fuzzers of the HTTP cache and the gateway (FUZZ_CASES=, FUZZ_TIME= for each fuzzer)
	PROPTEST_CASES=$(FUZZ_CASES) $(CARGO) test --release --test model
	@for package in go/httpcache examples/gateway/internal/fields examples/gateway/internal/gateway; do \
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
install: $(STATIC) $(SHARED) ## Install header, libraries and larder.pc (PREFIX=, LIBDIR=, DESTDIR=)
	install -d $(DESTDIR)$(INCLUDEDIR) $(DESTDIR)$(LIBDIR)/pkgconfig
	install -m 644 include/larder.h $(DESTDIR)$(INCLUDEDIR)/larder.h
	install -m 644 $(STATIC) $(DESTDIR)$(LIBDIR)/liblarder.a
	install -m 755 $(SHARED) $(DESTDIR)$(LIBDIR)/liblarder.so.$(VERSION)
	ln -sf liblarder.so.$(VERSION) $(DESTDIR)$(LIBDIR)/liblarder.so.0
	ln -sf liblarder.so.0 $(DESTDIR)$(LIBDIR)/liblarder.so
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' \
	    -e 's|@VERSION@|$(VERSION)|' -e 's|@NATIVE_LIBS@|$(NATIVE_LIBS)|' \
	    larder.pc.in > $(DESTDIR)$(LIBDIR)/pkgconfig/larder.pc

uninstall: ## Remove what install put there
	rm -f $(DESTDIR)$(INCLUDEDIR)/larder.h $(DESTDIR)$(LIBDIR)/liblarder.a $(DESTDIR)$(LIBDIR)/liblarder.so* \
	    $(DESTDIR)$(LIBDIR)/pkgconfig/larder.pc

## Tidying
.PHONY: fmt clean
fmt: ## Format all Rust and Go code
	$(CARGO) fmt
	for tool in $(RUST_TOOLS); do $(CARGO) fmt --manifest-path $$tool; done
	gofmt -w $(GO_MODULES)

clean: ## Remove everything that was built
	$(CARGO) clean
	rm -f go/lib/*/liblarder.a
