#!/bin/sh
# SPDX-License-Identifier: MIT
# Distillation: from one teacher, from two, on hidden values, and refusals that say why.
. "$(dirname "$0")/lib.sh"

"$WEFT_DEMO_MODEL" lenet "$work/lenet.onnx"
data=generate:28x28x1,count=1500
train "$work/teacher.json" "$work/lenet.onnx" --data $data --epochs 3 --batch 32 --lr 0.01 --out "$work/run" ||
	fail "$(cat "$work/teacher.json.err")"
teacher=$work/run/model.onnx
"$WEFT" project --alone --data $data --functions 40 --bits 8 --hidden 84 --epochs 1 --out "$work/small.onnx" --quiet \
	>/dev/null || fail "no student"

# distill NAME ARGUMENTS...
distill() {
	name=$1
	shift
	"$WEFT" distill "$@" --data $data --batch 32 --out "$work/$name.onnx" --quiet --json >"$work/$name.json" \
		2>"$work/err" || fail "$name: $(cat "$work/err")"
}
distill lenet "$work/lenet.onnx" --teacher "$teacher" --epochs 2 --lr 0.005 --temperature 3 --weight 0.9
expect "the student's accuracy" "$(key test_accuracy "$work/lenet.json")" ">" \
	"$(key 'teacher_accuracy[0]' "$work/lenet.json") - 0.25"
# The teacher is unchanged.
expect "the teacher's accuracy" "$(key 'teacher_accuracy[0]' "$work/lenet.json")" "==" \
	"$(key test_accuracy "$work/teacher.json")"
distill two "$work/small.onnx" --teacher "$teacher" --teacher "$work/lenet.onnx" --epochs 1
[ "$(key 'teacher_accuracy|length' "$work/two.json")" = 2 ] || fail "two teachers: $(cat "$work/two.json")"
# A projection network whose hidden layer is to be like its own.
distill hidden "$work/small.onnx" --teacher "$work/small.onnx" --epochs 1 --hidden projection/hidden1=projection/hidden1
distill plain "$work/small.onnx" --teacher "$work/small.onnx" --epochs 1
cmp -s "$work/hidden.onnx" "$work/plain.onnx" && fail "hidden values change nothing"
distill again "$work/small.onnx" --teacher "$work/small.onnx" --epochs 1
cmp "$work/again.onnx" "$work/plain.onnx" || fail "another model from the same input"

# refused STATUS PATTERN ARGUMENTS...
refused() {
	status=0
	wanted_status=$1 pattern=$2
	shift 2
	"$WEFT" distill --out "$work/no.onnx" --quiet "$@" >"$work/out" 2>"$work/err" || status=$?
	[ $status = "$wanted_status" ] || fail "$*: status $status, expected $wanted_status: $(cat "$work/err")"
	grep -q "$pattern" "$work/err" || fail "$*: $(cat "$work/err")"
}
refused 2 'which teacher' "$work/lenet.onnx" --data $data
refused 2 'which student' --teacher "$teacher" --data $data
refused 2 'STUDENT=TEACHER' "$work/lenet.onnx" --teacher "$teacher" --data $data --hidden a
refused 1 'no node makes' "$work/lenet.onnx" --teacher "$teacher" --data $data --hidden a=b
refused 1 'cannot be opened' "$work/lenet.onnx" --teacher "$work/none.onnx" --data $data
refused 3 'device memory' "$work/lenet.onnx" --teacher "$teacher" --data $data --device-mem 64K
echo "distillation: ok"
