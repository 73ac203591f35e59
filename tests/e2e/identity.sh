#!/bin/sh
# SPDX-License-Identifier: MIT
# The trained weights are the same bits for every number of threads, budget and policy.
# Usage: identity.sh NAME MODEL DATA BATCH
. "$(dirname "$0")/lib.sh"

name=$1 model=$2 data=$3 batch=$4
case $model in
demo:*) "$WEFT_DEMO_MODEL" "${model#demo:}" "$work/model.onnx" && model=$work/model.onnx ;;
*) [ -r "$WEFT_SHARED/$model" ] || skip "no $WEFT_SHARED/$model" && model=$WEFT_SHARED/$model ;;
esac
set -- "$model" --data "$data" --batch "$batch" --epochs 1 --seed 3

train "$work/base.json" "$@" || fail "unconstrained: $(cat "$work/base.json.err")"
base=$(key weights_sha256 "$work/base.json")
peak=$(key peak_device_bytes "$work/base.json")
expect "paging without a budget" "$(key recomputed_ops "$work/base.json")" == 0

# same WHAT CHECK ARGUMENTS...: train once more, and hold jq's CHECK against the result.
same() {
	what=$1 check=$2
	shift 2
	train "$work/run.json" "$@" || fail "$name, $what: $(cat "$work/run.json.err")"
	[ "$(key weights_sha256 "$work/run.json")" = "$base" ] || fail "$name, $what: other weights than unconstrained"
	jq -e "$check" "$work/run.json" >/dev/null || fail "$name, $what: $check does not hold: $(jq -c . "$work/run.json")"
	echo "$name, $what: same weights, $(key peak_device_bytes "$work/run.json") of $peak bytes"
}

# least ARGUMENTS...: the least device memory that works with them.
least() {
	bytes=$(least_device "$@")
	[ "$bytes" -gt 0 ] || fail "$name: no budget works with $*"
	echo "$bytes"
}

same "two threads" true "$@" --device embedded:threads=2
same "scalar engine" true "$@" --device embedded:isa=scalar
same "recompute only" '.recomputed_ops > 0' "$@" --policy recompute --device-mem "$(least "$@" --policy recompute)"
same "host paging only" '.recomputed_ops == 0 and .paged_bytes > 0' "$@" --policy host --device-mem "$(least "$@" --policy host)"
same "storage paging only" '.recomputed_ops == 0 and .peak_storage_bytes > 0' "$@" --policy storage --storage "$work:256M" \
	--device-mem "$(least "$@" --policy storage --storage "$work:256M")"
mix=$(least "$@" --storage "$work:256M")
same "a mix at the least budget" '.paged_bytes > 0' "$@" --storage "$work:256M" --device-mem "$mix"
same "a mix with two threads" true "$@" --storage "$work:256M" --device-mem "$mix" --device embedded:threads=2
