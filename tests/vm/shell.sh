#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tests/vm/shell.sh BUILD: `make vm` on a terminal: a prompt, the node, and an end.
set -u
cd "$(dirname "$0")/../.." || exit 1
transcript=$(mktemp)
trap 'rm -f "$transcript"' EXIT
# Typed before there is a prompt, the lines would be lost.
{
	for _ in $(seq 600); do
		grep -q 'exit ends the guest' "$transcript" && break
		sleep 0.5
	done
	sleep 2
	printf 'tty; ls -l /dev/accel/; echo $((6 * 7)) answers\r'
	sleep 2
	printf 'exit 3\r'
	for _ in $(seq 600); do
		grep -q 'COMMAND_EXIT_CODE' "$transcript" && break
		sleep 0.5
	done
} 2>/dev/null | timeout -k 10 900 script -qefc "tools/vm/run --build '$1'" "$transcript" >/dev/null 2>&1 &
wait_for=$!
for _ in $(seq 1400); do
	kill -0 $wait_for 2>/dev/null || break
	grep -q 'COMMAND_EXIT_CODE' "$transcript" && break
	sleep 0.5
done
status=0
for wanted in '/dev/hvc0' 'accel0' '42 answers' 'COMMAND_EXIT_CODE="3"'; do
	grep -q "$wanted" "$transcript" || { echo "not seen on the terminal: $wanted"; status=1; }
done
[ $status = 0 ] || cat -v "$transcript"
kill $(jobs -p) 2>/dev/null
exit $status
