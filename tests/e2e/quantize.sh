#!/bin/sh
# SPDX-License-Identifier: MIT
# Quantization: small, about as accurate, the same numbers on every code path, and refusals that say why.
. "$(dirname "$0")/lib.sh"

"$WEFT_DEMO_MODEL" lenet "$work/lenet.onnx"
data=generate:28x28x1,count=1500
train "$work/float.json" "$work/lenet.onnx" --data $data --epochs 3 --batch 32 --lr 0.02 --out "$work/run" ||
	fail "$(cat "$work/float.json.err")"
model=$work/run/model.onnx

# quantize NAME OPTIONS...: within 2 points of the float model, at most 0.27 of its size.
quantize() {
	name=$1
	shift
	"$WEFT" quantize "$model" --data $data --out "$work/$name.onnx" --json "$@" >"$work/$name.json" 2>"$work/err" ||
		fail "$name: $(cat "$work/err")"
	expect "$name: accuracy" "$(key test_accuracy "$work/$name.json")" ">=" "$(key float_accuracy "$work/$name.json") - 0.02"
	expect "$name: bytes" "$(key bytes "$work/$name.json")" "<=" "0.27 * $(key float_bytes "$work/$name.json")"
	expect "$name: weights" "$(key weights "$work/$name.json")" "==" 5
	expect "$name: energy" "$(key energy_joules "$work/$name.json")" "<" "$(key float_energy_joules "$work/$name.json")"
}
quantize minmax
quantize percentile --method percentile --percentile 99.9
quantize mse --method mse --per-tensor
quantize plain --no-equalize --no-bias-correction --examples 64
quantize qat --qat 1 --lr 0.005 --batch 32
cmp -s "$work/minmax.onnx" "$work/plain.onnx" && fail "equalisation and bias correction changed nothing"
cmp -s "$work/minmax.onnx" "$work/qat.onnx" && fail "training changed nothing"

# Quantizing is the same every time.
"$WEFT" quantize "$model" --data $data --out "$work/again.onnx" >/dev/null || fail "a second time"
cmp "$work/minmax.onnx" "$work/again.onnx" || fail "another model from the same input"

# loss DEVICE OPTIONS...: test loss of the integer model, in all its digits.
loss() {
	"$WEFT" infer "$work/minmax.onnx" --data $data --json --device "$@" >"$work/infer.json" 2>"$work/err" ||
		fail "$1: $(cat "$work/err")"
	key test_loss "$work/infer.json"
}
wanted=$(loss embedded)
for device in embedded:isa=scalar embedded:threads=3 embedded:isa=scalar,threads=2; do
	[ "$(loss $device)" = "$wanted" ] || fail "$device gives other numbers"
done
if grep -qw avx2 /proc/cpuinfo; then
	[ "$(loss embedded:isa=avx2)" = "$wanted" ] || fail "AVX2 gives other numbers"
fi

# Budgets below what integer operations want, so that they go in pieces.
"$WEFT" infer "$work/minmax.onnx" --data $data --device-mem 1K >"$work/out" 2>"$work/err" && fail "1K of device memory are enough"
least=$(sed -n 's/.*Use --device-mem \([0-9]*\)K$/\1/p' "$work/err")
[ -n "$least" ] || fail "no least: $(cat "$work/err")"
for budget in $least $((least * 3 / 2)) $((least * 3)); do
	[ "$(loss embedded --device-mem "${budget}K")" = "$wanted" ] || fail "${budget}K of device memory give other numbers"
done

# refused STATUS PATTERN ARGUMENTS...
refused() {
	status=0
	wanted_status=$1 pattern=$2
	shift 2
	"$WEFT" quantize "$@" >"$work/out" 2>"$work/err" || status=$?
	[ $status = "$wanted_status" ] || fail "$*: status $status, expected $wanted_status: $(cat "$work/err")"
	grep -q "$pattern" "$work/err" || fail "$*: $(cat "$work/err")"
}
refused 1 'quantized already' "$work/minmax.onnx" --data $data
refused 2 'give --data' "$model"
refused 2 'expected minmax' "$model" --data $data --method entropy
refused 2 '\-\-percentile' "$model" --data $data --percentile 20
refused 1 'cannot be opened' "$work/none.onnx" --data $data
head -c 3000 "$model" >"$work/short.onnx"
refused 1 'short.onnx' "$work/short.onnx" --data $data
echo "quantization: ok"
