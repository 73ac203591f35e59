#!/bin/sh
# SPDX-License-Identifier: MIT
# What the deployed form takes: bytes of the program that classifies (stripped; with libaccel shared and, where a
# static libdrm is to be had, as one static file) and of the model, and the peak resident set of one inference, beside
# those of weft infer.
# WEFT names the command, WEFT_DEMO_MODEL the writer of models, CLASSIFY the program, BUILD the build directory;
# WEFT_SHARED where models are that are not part of the project.
set -eu
: "${WEFT_SHARED:=$(dirname "$0")/../../../shared}"
work=$(mktemp -d "${TMPDIR:-/tmp}/weft-bench-XXXXXX")
trap 'rm -rf "$work"' EXIT

cp "$CLASSIFY" "$work/dynamic"
cp "$BUILD/libaccel/libaccel.so.0" "$work/libaccel.so"
strip "$work/dynamic" "$work/libaccel.so"
bytes() { if [ -e "$1" ]; then wc -c <"$1"; else echo null; fi; }
if ninja -C "$BUILD" tools/examples/classify-static >"$work/log" 2>&1; then
	strip -o "$work/static" "$BUILD/tools/examples/classify-static"
fi
# The least of five: what the kernel counts differs by pages.
peak() {
	for _ in 1 2 3 4 5; do
		/usr/bin/time -f %M -o "$work/peak" "$@" >/dev/null
		echo $(($(cat "$work/peak") * 1024))
	done | sort -n | head -1
}
program=$work/static
[ -e "$program" ] || program=$CLASSIFY

# measure NAME MODEL HEIGHT WIDTH CHANNELS
measure() {
	data=generate:$3x$4x$5,count=320
	"$WEFT" quantize "$2" --data "$data" --examples 64 --out "$work/int8.onnx" >/dev/null
	head -c $(($3 * $4 * $5 * 4)) /dev/zero >"$work/x.raw"
	for form in float int8; do
		onnx=$2
		[ $form = float ] || onnx=$work/int8.onnx
		"$WEFT" compile "$onnx" --out "$work/model.weft" --json >"$work/compile.json"
		jq -c -n --slurpfile c "$work/compile.json" "{model: \"$1\", form: \"$form\", onnx_bytes: $(bytes "$onnx"),
			file_bytes: \$c[0].file_bytes, device_bytes: \$c[0].device_bytes,
			peak_rss_bytes: $(peak "$program" "$work/model.weft" "$work/x.raw"),
			runtime_peak_rss_bytes: $(peak "$WEFT" infer "$onnx" --data "$data" --batch 1)}"
	done
}
jq -c -n "{classify_bytes: $(bytes "$work/dynamic"), libaccel_bytes: $(bytes "$work/libaccel.so"),
	classify_static_bytes: $(bytes "$work/static")}"
"$WEFT_DEMO_MODEL" lenet "$work/lenet.onnx"
measure lenet "$work/lenet.onnx" 28 28 1
resnet=$WEFT_SHARED/models/resnet18_cifar_w16.onnx
if [ -e "$resnet" ]; then measure resnet18_w16 "$resnet" 32 32 3; fi
