#!/bin/sh
# SPDX-License-Identifier: MIT
# The deployed form: a compiled model gives, by libaccel alone, what weft infer gives, to the bit.
# CLASSIFY names the example program.
. "$(dirname "$0")/lib.sh"

"$WEFT_DEMO_MODEL" lenet "$work/lenet.onnx"
data=generate:28x28x1,count=1000
train "$work/float.json" "$work/lenet.onnx" --data $data --epochs 1 --batch 32 --lr 0.02 --out "$work/run" ||
	fail "$(cat "$work/float.json.err")"
cp "$work/run/model.onnx" "$work/float.onnx"
"$WEFT" quantize "$work/float.onnx" --data $data --examples 64 --out "$work/int8.onnx" >/dev/null || fail "quantize"

"$WEFT" project --alone --data $data --epochs 1 --functions 8 --bits 10 --int8 --out "$work/projection.onnx" \
	>/dev/null 2>"$work/err" || fail "project: $(cat "$work/err")"

# Five images as numbers (.npy for infer, bytes and text for the program), and as IDX with labels.
python3 - "$work" <<'PYTHON'
import random, struct, sys
random.seed(7)
n, size = 5, 28 * 28
pixels = [random.randrange(256) for _ in range(n * size)]
numbers = struct.unpack('<%df' % (n * size), struct.pack('<%df' % (n * size), *[random.uniform(-3, 3) for _ in pixels]))
raw = struct.pack('<%df' % len(numbers), *numbers)
header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (%d, 1, 28, 28), }" % n
header += b' ' * (-(len(header) + 11) % 64) + b'\n'
def write(name, data):
    with open(sys.argv[1] + '/' + name, 'wb') as file:
        file.write(data)
write('x.npy', b'\x93NUMPY\x01\x00' + struct.pack('<H', len(header)) + header + raw)
write('x.raw', raw)
write('x.csv', ''.join(','.join('%.9g' % v for v in numbers[i * size:(i + 1) * size]) + '\n' for i in range(n)).encode())
import os
os.mkdir(sys.argv[1] + '/set')
for part in 'train', 't10k':
    write('set/%s-images-idx3-ubyte' % part, struct.pack('>4I', 0x803, n, 28, 28) + bytes(pixels))
    write('set/%s-labels-idx1-ubyte' % part, struct.pack('>2I', 0x801, n) + bytes(i % 10 for i in range(n)))
PYTHON

# The scores of weft infer, a line an example, in all their digits.
wanted() {
	"$WEFT" infer "$1" --input "$work/x.npy" --json >"$work/infer.json" 2>"$work/err" || fail "$1: $(cat "$work/err")"
	jq -c '.outputs[0] | .shape[1] as $n | .data as $d | [range(0; $d | length; $n) | $d[. : . + $n]][]' "$work/infer.json"
}
scores() {
	"$CLASSIFY" -p "$@" >"$work/out" 2>"$work/err" || fail "classify $*: $(cat "$work/err")"
	jq -R -c 'split(" ") | .[1:] | map(tonumber)' "$work/out"
}
# Both as float32: the shortest decimals differ, the numbers do not.
same() {
	[ "$(wc -l <"$work/wanted")" = 5 ] || fail "$1: $(wc -l <"$work/wanted") examples"
	jq -n -e --slurpfile a "$work/wanted" --slurpfile b "$work/got" '
		($a | flatten) as $a | ($b | flatten) as $b | ($a | length) == ($b | length) and
		([range($a | length) | (($a[.] - $b[.]) | fabs) <= 1e-8 * ($a[.] | fabs)] | all)' >/dev/null ||
		fail "$1 gives other numbers: $(cat "$work/got") instead of $(cat "$work/wanted")"
}

for model in float int8 projection; do
	for batch in 1 2 5; do
		"$WEFT" compile "$work/$model.onnx" --batch $batch --out "$work/$model.weft" --json >"$work/compile.json" ||
			fail "compile $model"
		wanted "$work/$model.onnx" >"$work/wanted"
		for input in x.raw x.csv; do
			scores "$work/$model.weft" "$work/$input" >"$work/got"
			same "$model, batch $batch, $input"
		done
	done
	expect "$model: bytes of the file" "$(key file_bytes "$work/compile.json")" "==" "$(wc -c <"$work/$model.weft")"
	# Weights in panels are a little larger than in the model.
	expect "$model: constants" "$(key constant_bytes "$work/compile.json")" "<" "1.1 * $(wc -c <"$work/$model.onnx")"
done

cp "$work/compile.json" "$work/projection.json"
expect "bytes of the compiled projection network" "$(key file_bytes "$work/projection.json")" "<" 5000

# Within a budget that pages weights, on other code paths and with threads: the same.
"$WEFT" compile "$work/int8.onnx" --device-mem 1K --out "$work/tiny.weft" 2>"$work/err" && fail "1K was enough"
least=$(sed -n 's/.*--device-mem \([0-9A-Z]*\)$/\1/p' "$work/err")
"$WEFT" compile "$work/int8.onnx" --device-mem "$least" --out "$work/tiny.weft" --json >"$work/tiny.json" ||
	fail "$least, which the refusal says works, does not"
"$WEFT" compile "$work/int8.onnx" --batch 5 --out "$work/int8.weft" --json >"$work/compile.json" || fail "compile int8"
expect "device memory in $least" "$(key device_bytes "$work/tiny.json")" "<" "$(key device_bytes "$work/compile.json")"
wanted "$work/int8.onnx" >"$work/wanted"
scores "$work/tiny.weft" "$work/x.raw" >"$work/got"
same "a small device"
for device in embedded:isa=scalar embedded:threads=2; do
	scores -d $device "$work/int8.weft" "$work/x.raw" >"$work/got"
	same $device
done

# Images: as many right as weft infer says.
"$CLASSIFY" -m 0.1307 -s 0.3081 -l "$work/set/t10k-labels-idx1-ubyte" "$work/int8.weft" \
	"$work/set/t10k-images-idx3-ubyte" >"$work/out" 2>"$work/err" || fail "IDX: $(cat "$work/err")"
"$WEFT" infer "$work/int8.onnx" --data "$work/set" --json >"$work/set.json" || fail "infer on IDX"
expect "images that are right" "$(sed 's/ of.*//' "$work/out")" "==" "($(key test_accuracy "$work/set.json") * 5 | round)"

# refused PATTERN MODEL INPUT
refused() {
	pattern=$1
	shift
	"$CLASSIFY" "$@" >"$work/out" 2>"$work/err" && fail "classify $* succeeded"
	grep -q "$pattern" "$work/err" || fail "classify $*: $(cat "$work/err")"
}
head -c 5000 "$work/int8.weft" >"$work/short.weft"
refused 'copy the file again' "$work/short.weft" "$work/x.raw"
refused 'not a compiled model' "$work/int8.onnx" "$work/x.raw"
refused 'No such file' "$work/none.weft" "$work/x.raw"
echo 1,2,3 >"$work/short.csv"
refused "too few numbers" "$work/int8.weft" "$work/short.csv"
echo "deployed form: ok"
