#!/usr/bin/env bash
# abi.sh LIBRARY DIRECTORY: compares what LIBRARY exports, and how large the header's structs and where their fields
# are, with tests/c/abi.txt. What is there may be added to; whatever else differs breaks programs that were compiled.
# UPDATE=1 writes the list anew.
set -euo pipefail

library=$1
dir=$2
list=tests/c/abi.txt
mkdir -p "$dir"

# Every struct of the header, and each field of it, by the header's own words: comments and unions' insides aside.
sed 's|/\*.*\*/||; /\/\*/,/\*\//d' include/larder.h | awk '
    /^typedef struct [a-z_]+ \{|^struct [a-z_]+ \{/ { inside = 1; n = 0; next }
    inside && /^}/ { name = $2; sub(/;.*/, "", name); inside = 0
        printf "SIZE(%s)\n", name
        for (i = 0; i < n; i++) printf "FIELD(%s, %s)\n", name, fields[i]
        next }
    inside && /;/ { field = $0; sub(/;.*/, "", field); sub(/\[.*/, "", field); sub(/.*[ *]/, "", field)
        if (field != "") fields[n++] = field }' > "$dir/abi.inc"
cat > "$dir/abi.c" << 'C'
#include <larder.h>
#include <stddef.h>
#include <stdio.h>
#define SIZE(type) printf("struct %s %zu\n", #type, sizeof(type));
#define FIELD(type, field) printf("field %s.%s %zu %zu\n", #type, #field, offsetof(type, field), sizeof(((type *)0)->field));
int main(void) {
#include "abi.inc"
    printf("abi version %d\n", LARDER_ABI_VERSION);
    return 0;
}
C
"${CC:-cc}" -Iinclude -I"$dir" "$dir/abi.c" -o "$dir/abi"
{
    nm -D --defined-only "$library" | awk '{print "symbol", $3}' | LC_ALL=C sort
    "$dir/abi"
} > "$dir/abi.txt"
if [ -n "${UPDATE:-}" ]; then
    cp "$dir/abi.txt" "$list"
elif ! diff -u "$list" "$dir/abi.txt"; then
    echo "the ABI has changed: UPDATE=1 make abi-check, and raise LARDER_ABI_VERSION unless it only grew"
    exit 1
fi
