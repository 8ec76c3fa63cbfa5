#!/usr/bin/env bash
# archive.sh PLATFORM TARGET IN: reduces IN, Rust's static library for TARGET, to go/lib/PLATFORM/liblarder.a, and
# writes archive.go beside it.
#
# A staticlib carries all of the standard library with global names, so two Rust libraries in one program would
# collide. Linked into one relocatable object, with everything unreachable dropped and every other name made local, it
# is also a tenth of the size. What stays global is hidden: a program or a library that has it linked in exports none of it.
#
# The linker and objcopy are those of the Rust toolchain, which rust-toolchain.toml pins: they know every processor,
# and the same sources give the same bytes wherever they are built.
set -euo pipefail

platform=$1
target=$2
in=$3
out=go/lib/$platform
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

sysroot=$(rustc --print sysroot)
host=$(rustc -vV | sed -n 's/^host: //p')
tools=$sysroot/lib/rustlib/$host/bin
objcopy() { LD_LIBRARY_PATH=$sysroot/lib "$tools/rust-objcopy" "$@"; }

# The names are those that the headers declare: functions, by their return types' lines.
sed -n 's/^[a-z].*[ *]\(larder_[a-z_]*\)(.*/\1/p' include/larder.h include/larder_go.h | sort -u > "$work/exports"
[ -s "$work/exports" ] || { echo "archive.sh: the headers declare no larder_* function" >&2; exit 1; }

# A musl program's compiler may be a wrapper of one for glibc, whose unwinder asks for what musl hasn't: Rust brings one.
unwinder=
case $platform in
*_musl) unwinder=$sysroot/lib/rustlib/$target/lib/self-contained/libunwind.a ;;
esac

elf() {
    # Each export is a root: the linker pulls in its object and keeps what it reaches.
    sed 's/^/--undefined=/' "$work/exports" > "$work/roots"
    # Nothing is collected here: in a relocatable link that takes the unwind tables away, and a panic that nobody can
    # catch ends the program. Sections of a kind become one, for their thousands of headers and names are a fifth of the
    # size: but not what linkers merge by its content. COMDAT groups, of which a link keeps the first of a name, are
    # undone: what is in them is for this object alone, as the unwinder's personality is, whose reference would
    # otherwise take the place of another Rust library's.
    cat > "$work/sections" << 'LD'
SECTIONS {
  .text : { *(.text .text.*) }
  .rodata.str1.1 : { *(.rodata.str1.1) }
  .rodata.cst4 : { *(.rodata.cst4) }
  .rodata.cst8 : { *(.rodata.cst8) }
  .rodata.cst16 : { *(.rodata.cst16) }
  .rodata.cst32 : { *(.rodata.cst32) }
  .rodata : { *(.rodata .rodata.[!cs]* .rodata.c[!s]* .rodata.s[!t]*) }
  .data.rel.ro : { *(.data.rel.ro .data.rel.ro.*) }
  .data : { *(.data .data.*) }
  .tdata : { *(.tdata .tdata.*) }
  .tbss : { *(.tbss .tbss.*) }
  .bss : { *(.bss .bss.*) }
  .gcc_except_table : { *(.gcc_except_table .gcc_except_table.*) }
}
LD
    "$tools/rust-lld" -flavor gnu -r --force-group-allocation -T "$work/sections" "@$work/roots" -o "$work/all.o" \
        "$in" ${unwinder:+"$unwinder"}
    # - The standard library's objects may carry LLVM bitcode, which nobody needs here, and which binutils with an
    #   LLVM plugin stumble over.
    # - Undefined names that nothing refers to any more would make weak references of another Rust library strong.
    readelf --symbols --wide "$work/all.o" | awk '$7 == "UND" && $8 != "" {print $8}' > "$work/undefined"
    objcopy --strip-debug --remove-section=.llvmbc --remove-section=.llvmcmd --remove-section=.comment \
        --strip-unneeded-symbols="$work/undefined" --keep-global-symbols="$work/exports" \
        --set-symbols-visibility="$work/exports=hidden" "$work/all.o" "$work/larder.o"

    for table in .eh_frame .gcc_except_table; do
        readelf --sections --wide "$work/larder.o" | grep -q " $table " ||
            { echo "archive.sh: $platform: there is no $table, so no panic could be caught" >&2; exit 1; }
    done
    readelf --symbols --wide "$work/larder.o" |
        awk '$5 == "GLOBAL" && $7 != "UND" {print $8, $6}' | sort > "$work/global"
    if ! sed 's/$/ HIDDEN/' "$work/exports" | sort | cmp -s - "$work/global"; then
        echo "archive.sh: $platform: what is global isn't what the headers declare, hidden:" >&2
        sed 's/$/ HIDDEN/' "$work/exports" | sort | diff - "$work/global" >&2
        exit 1
    fi
}

# Rust's linker makes no relocatable Mach-O object. But optimised at link time one member has all of larder and of the
# standard library. What it still wants the system has, or compiler-rt, which every program there is linked with.
mach_o() {
    sed -i 's/^/_/' "$work/exports"
    member=$(ar t "$in" | grep '^larder-')
    [ "$(wc -l <<< "$member")" = 1 ] || { echo "archive.sh: $in has more than one object of larder's" >&2; exit 1; }
    ar p "$in" "$member" > "$work/all.o"
    objcopy --strip-debug --keep-global-symbols="$work/exports" "$work/all.o" "$work/larder.o"
}

case $platform in
darwin_*) mach_o ;;
*) elf ;;
esac
rustc --edition 2024 -o "$work/ar" scripts/ar.rs
"$work/ar" "$work/liblarder.a" "$work/larder.o" "$work/exports"

sha256=$(sha256sum "$work/liblarder.a" | cut -d ' ' -f 1)
cat > "$work/archive.go" <<GO
// Code generated by make lib. DO NOT EDIT.

package $platform

// Archive is the SHA-256 of liblarder.a. Go links a program anew when it changes.
const Archive = "$sha256"

// Sources is the SHA-256 of what that was built from.
const Sources = "$(scripts/sources.sh)"
GO
# New files rather than new content: a reader of the old archive is not disturbed. What hasn't changed stays as it is,
# so that nothing is linked anew for it.
mkdir -p "$out"
for file in liblarder.a archive.go; do
    cmp -s "$work/$file" "$out/$file" || mv "$work/$file" "$out/$file"
done
echo "$out: $(wc -l < "$work/exports") functions, $(wc -c < "$out/liblarder.a" | awk '{printf "%d KiB", $1 / 1024}')," \
    "${sha256:0:16}"
