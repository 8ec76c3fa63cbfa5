#!/usr/bin/env bash
# relocatable.sh IN OUT: reduces Rust's static library to an archive of one object that exports only larder_* functions.
#
# A staticlib carries all of the standard library with global names, so two Rust libraries in one Go program would
# collide. Linked into one relocatable object, with everything unreachable dropped and every other name made local, it
# is also a tenth of the size.
set -euo pipefail

in=$1
out=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

nm --defined-only --extern-only "$in" 2>/dev/null | awk '$2 == "T" && $3 ~ /^larder_/ {print $3}' | sort -u > "$work/exports"
if ! [ -s "$work/exports" ]; then
    echo "relocatable.sh: $in exports no larder_* function" >&2
    exit 1
fi

# Each export is a root: the linker pulls in its object and keeps what it reaches.
sed 's/^/--undefined=/' "$work/exports" > "$work/roots"
ld -r --gc-sections "@$work/roots" -o "$work/all.o" "$in"
# - The standard library's objects may carry LLVM bitcode, which nobody needs here, and which binutils with an LLVM plugin
#   stumble over.
# - The reference to the unwinder's personality is in a COMDAT group, of which a link keeps the first. Under the common
#   name, but local, it would take the place of another Rust library's.
# - Undefined names that nothing refers to any more would make weak references of another Rust library strong.
readelf --symbols --wide "$work/all.o" | awk '$7 == "UND" && $8 != "" {print $8}' > "$work/undefined"
objcopy --strip-debug --remove-section=.llvmbc --remove-section=.llvmcmd \
    --redefine-sym DW.ref.rust_eh_personality=DW.ref.larder_eh_personality \
    --strip-unneeded-symbols="$work/undefined" --keep-global-symbols="$work/exports" "$work/all.o" "$work/larder.o"

leaked=$(nm --defined-only --extern-only "$work/larder.o" | awk '{print $3}' | grep -vxFf "$work/exports" || true)
if [ -n "$leaked" ]; then
    printf 'relocatable.sh: exported by mistake: %s\n' "$leaked" >&2
    exit 1
fi

mkdir -p "$(dirname "$out")"
# A new file rather than a new member: a reader of the old archive is not disturbed, and no stale member stays.
ar rcD "$work/liblarder.a" "$work/larder.o"
mv "$work/liblarder.a" "$out"
echo "$out: $(wc -l < "$work/exports") functions, $(size "$work/larder.o" | awk 'NR == 2 {printf "%d KiB of code and data", ($1 + $2) / 1024}')"
