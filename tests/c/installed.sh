#!/usr/bin/env bash
# installed.sh DIRECTORY: installs larder below DIRECTORY and builds the quickstart from there, found by pkg-config
# alone: once against the shared library, once static. Without pkg-config on the machine it says so and does nothing.
set -euo pipefail

root=$1
if ! command -v pkg-config > /dev/null; then
    echo "pkg-config is not installed: its check is skipped"
    exit 0
fi
rm -rf "$root"
"${MAKE:-make}" --no-print-directory install PREFIX="$root" > /dev/null
export PKG_CONFIG_PATH=$root/lib/pkgconfig
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
# What is for the Go package alone isn't for others to find.
installed=$(ls "$root/include")
[ "$installed" = larder.h ] || { echo "include/ has $installed, not larder.h alone"; exit 1; }
[ "$(pkg-config --modversion larder)" = "$version" ] || { echo "larder.pc: wrong version"; exit 1; }

# shellcheck disable=SC2046  # pkg-config prints words
"${CC:-cc}" examples/c/quickstart.c -o "$root/shared" $(pkg-config --cflags --libs larder)
LD_LIBRARY_PATH=$root/lib "$root/shared" > /dev/null
# It must have found the installed library, by the name that stays when the version's last numbers change.
libraries=$(LD_LIBRARY_PATH=$root/lib ldd "$root/shared")
[[ $libraries == *"liblarder.so.0 => $root/lib/liblarder.so.0"* ]] ||
    { echo "the program did not find the installed library by its soname"; exit 1; }

# shellcheck disable=SC2046
"${CC:-cc}" examples/c/quickstart.c -o "$root/static" \
    $(pkg-config --cflags larder) "$root/lib/liblarder.a" $(pkg-config --libs --static larder | sed 's/-llarder//')
"$root/static" > /dev/null

# A program may have another Rust library in it, with the same standard library. The build's toolchain, and the path
# of the library by name, as a linker finds it.
beside() { # TOOLCHAIN COMMAND...
    "${@:2}" --edition 2024 -O --crate-type staticlib -o "$root/libother.a" tests/c/beside/other.rs
    # shellcheck disable=SC2046
    "${CC:-cc}" tests/c/beside/main.c -o "$root/beside" $(pkg-config --cflags larder) \
        "$root/lib/liblarder.a" "$root/libother.a" $(pkg-config --libs --static larder | sed 's/-llarder//')
    "$root/beside" || { echo "beside another Rust library, of $1: failed with $?"; exit 1; }
}
beside "the same toolchain" "${RUSTC:-rustc}"
# And of other toolchains, as far as there are any.
for toolchain in stable nightly; do
    if rustup run "$toolchain" rustc --version > /dev/null 2>&1; then
        beside "$toolchain" rustup run "$toolchain" rustc
    fi
done

cmake=", without a look at CMake's: cmake is not installed"
if command -v cmake > /dev/null; then
    cmake -S tests/c/beside -B "$root/user" -DCMAKE_PREFIX_PATH="$root" -DCMAKE_C_COMPILER="${CC:-cc}" \
        -DQUICKSTART="$PWD/examples/c/quickstart.c" > "$root/cmake.txt" &&
        cmake --build "$root/user" >> "$root/cmake.txt" || { cat "$root/cmake.txt"; exit 1; }
    "$root/user/shared" > /dev/null && "$root/user/static" > /dev/null
    cmake=", and so does CMake's package"
fi

"${MAKE:-make}" --no-print-directory uninstall PREFIX="$root" > /dev/null
left=$(find "$root/include" "$root/lib" ! -type d)
[ -z "$left" ] || { echo "uninstall left $left"; exit 1; }
echo "installed tree: header, libraries and larder.pc work, beside another Rust library too$cmake"
