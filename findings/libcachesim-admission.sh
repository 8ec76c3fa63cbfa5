#!/usr/bin/env bash
# Some policies of the simulator never store an object of a fifth of the cache, although nothing
# else is in it, and say nothing: a comparison by bytes compares their refusal.
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"
now=$(python_with libcachesim==0.3.5 <<'PY' 2>/dev/null
import libcachesim
out = []
for name in ("LRU", "ARC", "Sieve", "S3FIFO", "WTinyLFU", "LIRS"):
    cache = getattr(libcachesim, name)(1000)
    misses = 0
    for clock in range(5):
        request = libcachesim.Request()
        request.obj_id, request.obj_size, request.clock_time = 1, 200, clock
        misses += not cache.get(request)
    out.append(f"{name} {misses}")
print("misses of 5:", ", ".join(out))
PY
)
now=$(printf '%s' "$now" | grep -o 'misses of 5.*')
report 'libcachesim 0.3.5 (PyPI)' \
	'one miss each: the first, as the object fits five times' \
	'misses of 5: LRU 1, ARC 1, Sieve 1, S3FIFO 5, WTinyLFU 5, LIRS 5' "$now"
