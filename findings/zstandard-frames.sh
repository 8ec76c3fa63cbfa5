#!/usr/bin/env bash
# Two frames, one behind the other, are one valid file. Three ways of one library to read them all
# give no error, and two of them stop after the first frame.
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"
now=$(python_with zstandard==0.25.0 <<'PY'
import io
import zstandard
parts = (b"first half, ", b"second half")
data = b"".join(zstandard.ZstdCompressor().compress(part) for part in parts)
reader = zstandard.ZstdDecompressor()
copied = io.BytesIO()
reader.copy_stream(io.BytesIO(data), copied)
iterated = b"".join(reader.read_to_iter(io.BytesIO(data)))
for name, out in (("decompress", reader.decompress(data)), ("read_to_iter", iterated),
                  ("copy_stream", copied.getvalue())):
    print(name, out.decode(), end="; ")
PY
)
report 'zstandard 0.25.0 (PyPI)' \
	'"first half, second half" three times, or an error: RFC 8878 (3) allows any number of frames' \
	'decompress first half, ; read_to_iter first half, ; copy_stream first half, second half; ' "$now"
