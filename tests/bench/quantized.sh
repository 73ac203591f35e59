#!/bin/sh
# SPDX-License-Identifier: MIT
# The step of a quantized ResNet-18 (32x32) beside that of its float form: one core, interleaved, medians.
# WEFT names the command; WEFT_SHARED where models are that are not part of the project.
set -eu
: "${WEFT_SHARED:=$(dirname "$0")/../../../shared}"
model=$WEFT_SHARED/models/resnet18_cifar_w16.onnx
[ -e "$model" ] || { echo "SKIP: no $model"; exit 77; }
work=$(mktemp -d "${TMPDIR:-/tmp}/weft-bench-XXXXXX")
trap 'rm -rf "$work"' EXIT
data=generate:32x32x3,count=640

# The weights of the file will do: what they are does not change how long a step takes.
"$WEFT" quantize "$model" --data $data --examples 64 --out "$work/int8.onnx" >/dev/null
step() { "$WEFT" infer "$1" --data $data --batch 64 --json | jq .step_seconds; }
for _ in 1 2 3 4 5 6 7; do
	step "$model" >>"$work/float"
	step "$work/int8.onnx" >>"$work/int8"
done
median() { sort -g "$1" | sed -n 4p; }
jq -n "{float_seconds: $(median "$work/float"), seconds: $(median "$work/int8")} | .ratio = .seconds / .float_seconds"
