#!/bin/sh
# SPDX-License-Identifier: MIT
# Budgets hold by the device's own accounting and by the process's resident memory;
# one that cannot work is refused with the least that does.
. "$(dirname "$0")/lib.sh"

"$WEFT_DEMO_MODEL" cnn "$work/cnn.onnx"
set -- "$work/cnn.onnx" --data generate:28x28x1,count=640 --epochs 1 --batch 64
train "$work/free.json" "$@" || fail "unconstrained: $(cat "$work/free.json.err")"
peak=$(key peak_device_bytes "$work/free.json")

# The edge: a byte less than the least is refused, the least works.
for more in "" "--policy recompute" "--policy host" "--host-mem 4M" "--host-mem 2M --storage $work:64M"; do
	# shellcheck disable=SC2086 # several arguments
	least=$(least_device "$@" $more)
	expect "least device memory with '$more'" "$least" '>' 0
	expect "least device memory with '$more'" "$least" '<' "$peak"
	status=0
	# shellcheck disable=SC2086
	train "$work/refused.json" "$@" $more --device-mem $((least - 1)) || status=$?
	[ $status = 3 ] || fail "$((least - 1)) bytes with '$more': status $status, expected 3"
	[ "$(key least_device_bytes "$work/refused.json")" = "$least" ] ||
		fail "'$more': $((least - 1)) bytes are refused with a least of $(key least_device_bytes "$work/refused.json"), 4K with $least"
	grep -q -- "--device-mem" "$work/refused.json.err" || fail "the refusal does not say what to type"
	# shellcheck disable=SC2086
	train "$work/least.json" "$@" $more --device-mem "$least" || fail "the least with '$more' does not work: $(cat "$work/least.json.err")"
	expect "peak device memory with '$more'" "$(key peak_device_bytes "$work/least.json")" '<=' "$least"
	echo "edge with '$more': $least of $peak bytes"
done

# All three tiers and the process stay within what was given.
device=$((peak * 45 / 100)) host=$((2 << 20)) storage=$((64 << 20))
train "$work/tiers.json" "$@" --device-mem $device --host-mem $host --storage "$work:$storage" ||
	fail "45 % of the device memory with storage: $(cat "$work/tiers.json.err")"
expect "peak device memory" "$(key peak_device_bytes "$work/tiers.json")" '<=' $device
expect "peak host memory" "$(key peak_host_bytes "$work/tiers.json")" '<=' $host
expect "peak storage" "$(key peak_storage_bytes "$work/tiers.json")" '<=' $storage
model=$(wc -c <"$work/cnn.onnx")
if [ -n "${WEFT_SANITIZED:-}" ]; then
	echo "resident memory is not judged under a sanitizer"
else
	expect "resident memory" "$(key peak_rss_bytes "$work/tiers.json")" '<=' $((device + host + model + (48 << 20)))
fi
