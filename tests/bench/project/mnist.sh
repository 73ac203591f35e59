#!/bin/sh
# SPDX-License-Identifier: MIT
# The table of ProjectionNet's paper on MNIST: seven projection networks, alone and beside LeNet as the trainer, each
# with three seeds; the median's accuracy beside the paper's at the same number of parameters.
# WEFT names the command; WEFT_SHARED where data and models are that are not part of the project.
# SEEDS, EPOCHS (alone) and JOINT_EPOCHS change what it takes: about 5 minutes of one core alone, and 30 with the trainer.
set -eu
: "${WEFT_SHARED:=$(dirname "$0")/../../../../shared}" "${SEEDS:=3}" "${EPOCHS:=12}" "${JOINT_EPOCHS:=6}"
data=$WEFT_SHARED/data/mnist trainer=$WEFT_SHARED/models/lenet.onnx
[ -d "$data" ] && [ -e "$trainer" ] || { echo "SKIP: no $data or $trainer"; exit 77; }
work=$(mktemp -d "${TMPDIR:-/tmp}/weft-bench-XXXXXX")
trap 'rm -rf "$work"' EXIT

"$WEFT" project --alone --data "$data" --sweep paper --seeds "$SEEDS" --epochs "$EPOCHS" --csv "$work/alone.csv" \
	--out "$work/p.onnx" --quiet >/dev/null
"$WEFT" project "$trainer" --data "$data" --sweep paper --seeds "$SEEDS" --epochs "$JOINT_EPOCHS" \
	--csv "$work/joint.csv" --out "$work/p.onnx" --quiet >/dev/null
echo "T, d, hidden layer; parameters; accuracy in the paper; alone; beside the trainer; the trainer; bytes; joules"
printf '70.6\n76.9\n91.1\n92.3\n96.3\n96.9\n97.1\n' >"$work/paper"
tail -n +2 "$work/alone.csv" >"$work/a"
tail -n +2 "$work/joint.csv" >"$work/j"
paste -d, "$work/paper" "$work/a" "$work/j" | awk -F, '{
	printf "%2d, %2d, %3s %7d  %5.1f  %6.2f  %6.2f  %6.2f  %7d  %s\n",
		$2, $3, $4, $5, $1, 100 * $9, 100 * $22, 100 * $25, $6, $13
	missed += 100 * $9 < $1 || 100 * $22 < $1
} END { exit missed > 0 }'
