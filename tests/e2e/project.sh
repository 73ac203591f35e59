#!/bin/sh
# SPDX-License-Identifier: MIT
# Projection networks: trained beside a trainer and alone, the same file for every budget, and the same numbers on
# every code path.
. "$(dirname "$0")/lib.sh"

"$WEFT_DEMO_MODEL" lenet "$work/lenet.onnx"
data=generate:28x28x1,count=2000

# project NAME ARGUMENTS...: writes NAME.onnx and NAME.json.
project() {
	name=$1
	shift
	"$WEFT" project "$@" --data $data --out "$work/$name.onnx" --quiet --json >"$work/$name.json" 2>"$work/err" ||
		fail "$name: $(cat "$work/err")"
}
network='--functions 40 --bits 8 --hidden 32 --epochs 3'
project joint "$work/lenet.onnx" $network --trainer-out "$work/trainer.onnx"
expect "parameters" "$(key networks[0].parameters "$work/joint.json")" "==" "(320 * 32 + 32 + 32 * 10 + 10)"
expect "bytes" "$(key networks[0].bytes "$work/joint.json")" "<" "4 * 10602 + 1024"
expect "accuracy" "$(key networks[0].test_accuracy "$work/joint.json")" ">" 0.2
"$WEFT" infer "$work/trainer.onnx" --data $data --json >"$work/infer.json" || fail "the trainer does not run"
expect "the trainer's accuracy" "$(key test_accuracy "$work/infer.json")" "==" \
	"$(key networks[0].trainer_accuracy "$work/joint.json")"

# The budget changes nothing in the result; one that is too small is refused with the least, which works.
status=0
"$WEFT" project "$work/lenet.onnx" --data $data $network --out "$work/no.onnx" --quiet --device-mem 64K \
	>/dev/null 2>"$work/err" || status=$?
[ $status = 3 ] || fail "64K: status $status, expected 3: $(cat "$work/err")"
[ ! -e "$work/no.onnx" ] || fail "a refused budget left a model"
peak=$(key networks[0].peak_device_bytes "$work/joint.json")
project half "$work/lenet.onnx" $network --device-mem $((peak * 3 / 4)) --host-mem 8M
expect "peak of three quarters" "$(key networks[0].peak_device_bytes "$work/half.json")" "<=" $((peak * 3 / 4))
cmp "$work/joint.onnx" "$work/half.onnx" || fail "another model with three quarters of the memory"

# loss DEVICE
loss() {
	"$WEFT" infer "$work/joint.onnx" --data $data --device "$1" --json >"$work/infer.json" 2>"$work/err" ||
		fail "$1: $(cat "$work/err")"
	key test_loss "$work/infer.json"
}
wanted=$(loss embedded)
for device in embedded:isa=scalar embedded:threads=3; do
	[ "$(loss $device)" = "$wanted" ] || fail "$device gives other numbers"
done
if grep -qw avx2 /proc/cpuinfo; then
	[ "$(loss embedded:isa=avx2)" = "$wanted" ] || fail "AVX2 gives other numbers"
fi

# Alone, several networks and seeds, as a table and a drawing.
project sweep --alone --sweep 4:8,40:8,40:8:16 --seeds 3 --epochs 2 --csv "$work/t.csv" --svg "$work/t.svg"
[ "$(wc -l <"$work/t.csv")" = 4 ] || fail "the table: $(cat "$work/t.csv")"
[ "$(grep -c '<circle' "$work/t.svg")" = 3 ] || fail "the drawing: $(cat "$work/t.svg")"
expect "more bits" "$(key networks[1].test_accuracy "$work/sweep.json")" ">" \
	"$(key networks[0].test_accuracy "$work/sweep.json")"
project seed --alone --sweep 4:8 --epochs 1 --seed 7
project again --alone --sweep 4:8 --epochs 1 --seed 7
cmp "$work/seed.onnx" "$work/again.onnx" || fail "another model from the same seed"
project other --alone --sweep 4:8 --epochs 1 --seed 8
cmp -s "$work/seed.onnx" "$work/other.onnx" && fail "the seed changes nothing"

# Few labels: the others' examples take part in what is said of neighbours.
project few --alone --sweep 20:8 --epochs 1 --labelled 100
project near --alone --sweep 20:8 --epochs 1 --labelled 100 --neighbours 0.5
cmp -s "$work/few.onnx" "$work/near.onnx" && fail "neighbours change nothing"

# Text: a model says which features it takes; weights as bytes.
awk 'BEGIN {
	split("play hear song music tune|rain sun weather cold forecast|book table eat dinner lunch", kind, "|");
	print "text,label";
	for (i = 0; i < 600; i++) {
		n = split(kind[i % 3 + 1], word, " ");
		print "please " word[int(i * 7 / 3) % n + 1] " the " word[int(i * 11 / 3) % n + 1] " " i ",k" i % 3;
	}
}' >"$work/text.csv"
for kind in sgnn mean prado pqrnn; do
	"$WEFT" project --alone --text $kind --data "$work/text.csv" --functions 128 --bits 1 --hidden 16 --epochs 3 --batch 32 \
		--lr 0.01 --seq-len 24 --int8 --out "$work/$kind.onnx" --quiet --json >"$work/$kind.json" 2>"$work/err" ||
		fail "$kind: $(cat "$work/err")"
	expect "$kind: accuracy" "$(key networks[0].test_accuracy "$work/$kind.json")" ">" 0.9
	"$WEFT" infer "$work/$kind.onnx" --data "$work/text.csv" --json >"$work/infer.json" 2>"$work/err" ||
		fail "$kind: $(cat "$work/err")"
	expect "$kind: its file" "$(key test_accuracy "$work/infer.json")" "==" \
		"$(key networks[0].test_accuracy "$work/$kind.json")"
done

# refused STATUS PATTERN ARGUMENTS...
refused() {
	status=0
	wanted_status=$1 pattern=$2
	shift 2
	"$WEFT" project --out "$work/no.onnx" "$@" >"$work/out" 2>"$work/err" || status=$?
	[ $status = "$wanted_status" ] || fail "$*: status $status, expected $wanted_status: $(cat "$work/err")"
	grep -q "$pattern" "$work/err" || fail "$*: $(cat "$work/err")"
}
refused 2 'which trainer' --data $data
refused 2 'which data' --alone
refused 2 'three numbers' "$work/lenet.onnx" --data $data --lambda 1,2
refused 2 'three numbers' "$work/lenet.onnx" --data $data --lambda 1,2,3,4
refused 2 'expected T:D' --alone --data $data --sweep 8
refused 2 'expected sgnn' --alone --text gru --data "$work/text.csv"
refused 2 'without a trainer' "$work/lenet.onnx" --alone --text sgnn --data "$work/text.csv"
refused 1 'expected words' --alone --text sgnn --data "$work/text.csv" --features syllables
refused 1 'leave out --text' --alone --text sgnn --data $data
refused 1 'give --text' --alone --data "$work/text.csv" --seq-len 8
refused 1 'cannot be opened' "$work/none.onnx" --data $data
refused 1 '65536 bits' --alone --data $data --functions 65536 --bits 2
refused 1 'weights of the loss are 0' "$work/lenet.onnx" --data $data --lambda 0,0,0
echo "projection: ok"
