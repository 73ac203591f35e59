#!/bin/sh
# SPDX-License-Identifier: MIT
# LeNet on MNIST in half of the memory that it takes unconstrained, with 512 KiB of host memory and storage: at
# least 98.3 % in 5 epochs.
. "$(dirname "$0")/lib.sh"

model=$WEFT_SHARED/models/lenet.onnx data=$WEFT_SHARED/data/mnist
if ! [ -r "$model" ] || ! [ -d "$data" ]; then
	skip "no LeNet or MNIST in $WEFT_SHARED"
fi
set -- "$model" --data "$data" --batch 64 --optim adam --epochs 5 --host-mem 512K --storage "$work:64M"
peak=$("$WEFT" plan "$model" --train --batch 64 --json | jq .peak_bytes)
train "$work/run.json" "$@" --device-mem $((peak / 2)) || fail "$(cat "$work/run.json.err")"
expect "accuracy" "$(key test_accuracy "$work/run.json")" '>=' 0.983
expect "storage used" "$(key peak_storage_bytes "$work/run.json")" '>' 0
expect "peak device memory" "$(key peak_device_bytes "$work/run.json")" '<=' $((peak / 2))
echo "accuracy $(key test_accuracy "$work/run.json") in half of $peak bytes, $(key step_seconds "$work/run.json") s a step"
