#!/bin/sh
# SPDX-License-Identifier: MIT
# What is wrong outside of the program gets its own sentence, and the last checkpoint stands.
. "$(dirname "$0")/lib.sh"

"$WEFT_DEMO_MODEL" lenet "$work/lenet.onnx"
data=generate:28x28x1,count=640
set -- "$work/lenet.onnx" --data $data --epochs 1 --batch 64

# breaks WHAT SENTENCE ARGUMENTS...: must end with status 1 and a sentence that matches.
breaks() {
	what=$1 sentence=$2
	shift 2
	status=0
	train "$work/broken.json" "$@" || status=$?
	[ $status = 1 ] || fail "$what: status $status, expected 1: $(cat "$work/broken.json.err")"
	grep -Eq "$sentence" "$work/broken.json.err" || fail "$what: '$(cat "$work/broken.json.err")' does not say '$sentence'"
	[ "$(key error "$work/broken.json")" != null ] || fail "$what: no error in the JSON"
	echo "$what: $(tail -n 1 "$work/broken.json.err")"
}

# Model files cut off anywhere.
bytes=$(wc -c <"$work/lenet.onnx")
for cut in 0 1 17 1000 $((bytes / 2)) $((bytes - 1)); do
	head -c "$cut" "$work/lenet.onnx" >"$work/cut.onnx"
	breaks "model of $cut bytes" "cut.onnx" "$work/cut.onnx" --data $data
done
breaks "no model" "nosuch.onnx" "$work/nosuch.onnx" --data $data
breaks "no data" "nosuch" "$work/lenet.onnx" --data "$work/nosuch"
breaks "images of another size" "28 x 28" "$work/lenet.onnx" --data generate:32x32x3

# NaN among the images: the array's header, then numbers.
npy() {
	header="{'descr': '$1', 'fortran_order': False, 'shape': ($2), }"
	printf '\223NUMPY\001\000%b%s' "\\0$(printf %03o ${#header})\\000" "$header"
}
mkdir "$work/nan"
{
	npy '<f4' '128, 1, 28, 28'
	head -c $((127 * 3136 + 100)) /dev/zero
	printf '\000\000\300\177'
	head -c $((3136 - 104)) /dev/zero
} >"$work/nan/train-images.npy"
{
	npy '|u1' '128,'
	head -c 128 /dev/zero
} >"$work/nan/train-labels.npy"
cp "$work/nan/train-images.npy" "$work/nan/test-images.npy"
cp "$work/nan/train-labels.npy" "$work/nan/test-labels.npy"
breaks "NaN in the data" "example 127 .*row 0, column 25" "$work/lenet.onnx" --data "$work/nan" --batch 64 --epochs 1

# A loss that is not a number.  The checkpoint before it can be resumed.
breaks "exploding loss" "step [0-9]+ .*loss is .*learning rate.*checkpoint holds step" "$@" --optim sgd --lr 1e18 --out "$work/nanloss" \
	--checkpoint-every 1
[ -s "$work/nanloss/checkpoint" ] || fail "no checkpoint is left"

# Damaged checkpoints.
train "$work/good.json" "$@" --out "$work/run" || fail "$(cat "$work/good.json.err")"
bytes=$(wc -c <"$work/run/checkpoint")
cp "$work/run/checkpoint" "$work/checkpoint"
head -c $((bytes / 2)) "$work/checkpoint" >"$work/run/checkpoint"
breaks "checkpoint cut off" "checkpoint" "$@" --out "$work/run" --resume
other=X
[ "$(tail -c +$((bytes / 2 + 1)) "$work/checkpoint" | head -c 1 | tr -d '\000')" != X ] || other=Y
{
	head -c $((bytes / 2)) "$work/checkpoint"
	printf $other
	tail -c +$((bytes / 2 + 2)) "$work/checkpoint"
} >"$work/run/checkpoint"
breaks "checkpoint with a changed byte" "checkpoint" "$@" --out "$work/run" --resume
cp "$work/checkpoint" "$work/run/checkpoint"
train "$work/again.json" "$@" --out "$work/run" --resume || fail "the intact checkpoint: $(cat "$work/again.json.err")"
[ "$(key weights_sha256 "$work/again.json")" = "$(key weights_sha256 "$work/good.json")" ] || fail "the intact checkpoint has other weights"

# A directory that cannot be written, as far as that can be tested.
breaks "results where no directory can be made" "nosuch" "$@" --out "$work/nosuch/run"
