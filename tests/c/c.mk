# The C and C++ programs: against the header as C89 (alone), C99, C11 and C++17, linked with the static and with the shared library,
# then from an installed tree through pkg-config.

C_TESTS     := arguments clock extended roundtrip expiry iterate events namespaces stats threads version
C_EXAMPLES  := $(patsubst examples/c/%.c,%,$(wildcard examples/c/*.c))
C_BUILD     := $(TARGET)/c
C_WARNINGS  := -Wall -Wextra -Werror -pedantic -Wstrict-prototypes
CXX_WARNINGS := -Wall -Wextra -Werror -pedantic
C_FLAGS     := -O2 -g -Iinclude -Itests/c -DEXPECTED_VERSION='"$(VERSION)"' -pthread
C_STATIC    := $(ARCHIVE) $(NATIVE_LIBS)
C_SHARED    := -L$(C_BUILD)/lib -llarder -Wl,-rpath,$(C_BUILD)/lib

# `unwind` has something of the archive to tell.
C_PROGRAMS := $(C_BUILD)/unwind-c99-static $(C_TESTS:%=$(C_BUILD)/%-c99-static) $(C_TESTS:%=$(C_BUILD)/%-c11-shared) \
              $(C_BUILD)/cplusplus-static $(C_BUILD)/cplusplus-shared

## C
.PHONY: test-c test-c-asan test-c-tsan
test-c: $(C_PROGRAMS) $(C_EXAMPLES:%=$(C_BUILD)/example-%) ## C and C++ programs: static, shared, installed
	@for header in include/*.h; do \
	    $(CC) -x c -std=c89 $(C_WARNINGS) -Wundef -Iinclude -fsyntax-only $$header || exit 1; \
	    $(CXX) -x c++ -std=c++11 $(CXX_WARNINGS) -Wundef -Iinclude -fsyntax-only $$header || exit 1; done
	@for program in $(C_PROGRAMS) $(C_EXAMPLES:%=$(C_BUILD)/example-%); do \
	    printf '%-28s' "$${program##*/}"; $$program || { echo "$$program failed"; exit 1; }; done
	@$(MAKE) --no-print-directory abi-check
	@CC="$(CC)" RUSTC="$(RUSTC)" MAKE="$(MAKE)" tests/c/installed.sh $(C_BUILD)/installed

C_HEADERS := include/larder.h include/larder_go.h tests/c/check.h tests/c/helpers.h

$(C_BUILD)/%-c99-static: tests/c/%.c $(C_HEADERS) $(ARCHIVE) | $(C_BUILD)
	@$(CC) -std=c99 $(C_WARNINGS) $(C_FLAGS) $< -o $@ $(C_STATIC)
$(C_BUILD)/%-c11-shared: tests/c/%.c $(C_HEADERS) $(C_BUILD)/lib/liblarder.so | $(C_BUILD)
	@$(CC) -std=c11 $(C_WARNINGS) $(C_FLAGS) $< -o $@ $(C_SHARED)
$(C_BUILD)/unwind-c99-static: tests/c/unwind.c $(C_HEADERS) $(ARCHIVE) | $(C_BUILD)
	@$(CC) -std=gnu99 -Wall -Wextra -Werror -fno-builtin $(C_FLAGS) $< -o $@ $(C_STATIC)
$(C_BUILD)/cplusplus-static: tests/c/cplusplus.cpp $(C_HEADERS) $(ARCHIVE) | $(C_BUILD)
	@$(CXX) -std=c++17 $(CXX_WARNINGS) $(C_FLAGS) $< -o $@ $(C_STATIC)
$(C_BUILD)/cplusplus-shared: tests/c/cplusplus.cpp $(C_HEADERS) $(C_BUILD)/lib/liblarder.so | $(C_BUILD)
	@$(CXX) -std=c++17 $(CXX_WARNINGS) $(C_FLAGS) $< -o $@ $(C_SHARED)
$(C_BUILD)/example-%: examples/c/%.c include/larder.h $(ARCHIVE) | $(C_BUILD)
	@$(CC) -std=c99 $(C_WARNINGS) $(C_FLAGS) $< -o $@ $(C_STATIC)
$(C_BUILD):
	@mkdir -p $@
# By the name that programs are linked with, and by the one that they are loaded with.
$(C_BUILD)/lib/liblarder.so: $(SHARED)
	@mkdir -p $(@D)
	@ln -sf $(SHARED) $(@D)/liblarder.so.0
	@ln -sf $(SHARED) $@

# Leaks and bad accesses on the C side of the boundary; what the library allocates for itself must be freed too.
test-c-asan: $(ARCHIVE) | $(C_BUILD) ## The C programs under AddressSanitizer and LeakSanitizer
	@for test in $(C_TESTS); do \
	    $(CC) -std=c11 -fsanitize=address,undefined -fno-sanitize-recover=all $(C_FLAGS) \
	        tests/c/$$test.c -o $(C_BUILD)/$$test-asan $(C_STATIC) && printf '%-28s' $$test-asan && $(C_BUILD)/$$test-asan \
	        || exit 1; done

test-c-tsan: ## The C threads program under ThreadSanitizer (needs a nightly toolchain; TSAN_RUNS=)
	@CC="$(CC)" CXX="$(CXX)" tests/c/tsan.sh $(C_BUILD)/tsan
