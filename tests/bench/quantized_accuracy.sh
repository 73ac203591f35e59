#!/bin/sh
# SPDX-License-Identifier: MIT
# What quantization costs in accuracy: networks trained here on generated pictures, then quantized with calibration
# alone (PTQ) and with training (QAT).  Accuracies in percent of the test set, and bytes beside the float model's.
# Usage: quantized_accuracy.sh [NETWORK...] (default: resnet18_cifar_w16 mobilenetv2_cifar)
# WEFT names the command; WEFT_SHARED where models are that are not part of the project; PYTHON one that has PyTorch;
# EPOCHS, COUNT: training epochs, pictures.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
: "${WEFT_SHARED:=$here/../../../shared}" "${PYTHON:=/usr/bin/python3}" "${EPOCHS:=6}" "${COUNT:=12000}"
work=$(mktemp -d "${TMPDIR:-/tmp}/weft-bench-XXXXXX")
trap 'rm -rf "$work"' EXIT
data=generate:32x32x3,count=$COUNT

[ $# != 0 ] || set -- resnet18_cifar_w16 mobilenetv2_cifar
for name; do
	model=$WEFT_SHARED/models/$name.onnx
	if [ ! -e "$model" ]; then
		model=$work/$name.onnx
		"$PYTHON" "$here/torch/models.py" "$work" "$name" >"$work/log" 2>&1 || {
			echo "SKIP: no $name: $(tail -1 "$work/log")"
			continue
		}
	fi
	"$WEFT" train --quiet "$model" --data "$data" --epochs "$EPOCHS" --batch 64 --optim adam --lr 0.002 \
		--lr-schedule cosine --out "$work/$name" --json >"$work/train.json"
	quantize() { "$WEFT" quantize "$work/$name/model.onnx" --data "$data" --out "$work/int8.onnx" --json "$@"; }
	quantize >"$work/ptq.json"
	quantize --qat 1 --lr 0.001 >"$work/qat.json"
	jq -c -n --arg network "$name" --slurpfile ptq "$work/ptq.json" --slurpfile qat "$work/qat.json" '
		def percent: . * 10000 | round / 100;
		{network: $network, float: ($ptq[0].float_accuracy | percent), ptq: ($ptq[0].test_accuracy | percent),
		 qat: ($qat[0].test_accuracy | percent), bytes: $ptq[0].bytes, float_bytes: $ptq[0].float_bytes,
		 size_ratio: ($ptq[0].bytes / $ptq[0].float_bytes * 1000 | round / 1000)}'
done
