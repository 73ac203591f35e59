#!/bin/sh
# SPDX-License-Identifier: MIT
# LeNet on MNIST in the least memory that works with 512 KiB of host memory and storage: at least 98.3 % in 5 epochs.
. "$(dirname "$0")/lib.sh"

model=$WEFT_SHARED/models/lenet.onnx data=$WEFT_SHARED/data/mnist
if ! [ -r "$model" ] || ! [ -d "$data" ]; then
	skip "no LeNet or MNIST in $WEFT_SHARED"
fi
set -- "$model" --data "$data" --batch 64 --optim adam --epochs 5 --host-mem 512K --storage "$work:64M"
peak=$("$WEFT" plan "$model" --train --batch 64 --json | jq .peak_bytes)
least=$(least_device "$@")
expect "least device memory" "$least" '<=' $((peak * 60 / 100))
train "$work/run.json" "$@" --device-mem "$least" || fail "$(cat "$work/run.json.err")"
expect "accuracy" "$(key test_accuracy "$work/run.json")" '>=' 0.983
expect "storage used" "$(key peak_storage_bytes "$work/run.json")" '>' 0
expect "peak device memory" "$(key peak_device_bytes "$work/run.json")" '<=' "$least"
echo "accuracy $(key test_accuracy "$work/run.json") in $least of $peak bytes, $(key step_seconds "$work/run.json") s a step"
