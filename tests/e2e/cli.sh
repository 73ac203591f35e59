#!/bin/sh
# SPDX-License-Identifier: MIT
# The command line that others rely on: spellings, exit statuses, keys.
. "$(dirname "$0")/lib.sh"

# usage STATUS ARGUMENTS...
usage() {
	wanted=$1
	shift
	status=0
	"$WEFT" "$@" >"$work/out" 2>"$work/err" || status=$?
	[ $status = "$wanted" ] || fail "weft $*: status $status, expected $wanted: $(cat "$work/err")"
	[ "$wanted" = 0 ] || [ -s "$work/err" ] || fail "weft $*: nothing on standard error"
}

"$WEFT_DEMO_MODEL" lenet "$work/lenet.onnx"
model=$work/lenet.onnx
usage 2
usage 0 --help
usage 0 --version
usage 2 nosuch
for command in train infer plan calibrate info doctor; do
	usage 0 $command --help
	usage 2 $command --nosuch
done
usage 2 train
usage 2 train "$model"
usage 2 train "$model" "$model" --data generate:28x28x1
for bad in "--epochs 0" "--epochs x" "--batch -1" "--optim nosuch" "--lr x" "--lr -1" "--device-mem 5Q" "--device-mem" "--storage /tmp" \
	"--storage /nosuch:1M" "--policy nosuch" "--time-budget 0.5" "--resume" "--checkpoint-every 5"; do
	# shellcheck disable=SC2086 # option and value
	usage 2 train "$model" --data generate:28x28x1 $bad
done
usage 2 infer "$model"
usage 2 plan
usage 2 plan --instance "$work/x.json"
usage 1 train "$work/nosuch.onnx" --data generate:28x28x1
usage 1 train "$model" --data generate:28x28x1 --device nosuch
usage 3 train "$model" --data generate:28x28x1 --device-mem 1K
usage 3 plan "$model" --train --batch 64 --device-mem 1K

# One object on standard output, with the keys that are promised.
"$WEFT" train "$model" --data generate:28x28x1,count=320 --epochs 1 --json --out "$work/run" --timeline "$work/step.svg" >"$work/train.json" 2>/dev/null
for key in test_accuracy final_loss weights_sha256 peak_device_bytes peak_host_bytes peak_storage_bytes peak_rss_bytes step_seconds \
	energy_joules recomputed_ops paged_bytes; do
	jq -e "has(\"$key\") and .$key != null" "$work/train.json" >/dev/null || fail "train --json has no $key"
done
[ "$(jq -s length "$work/train.json")" = 1 ] || fail "train --json prints more than one object"
head -c 5 "$work/step.svg" | grep -q '<?xml' || fail "no timeline"
for file in model.onnx model.safetensors checkpoint metrics.jsonl; do
	[ -s "$work/run/$file" ] || fail "no $file in --out"
done

"$WEFT" plan "$model" --train --batch 16 --json --timeline "$work/plan.svg" >"$work/plan.json"
for key in feasible energy_joules bound_joules gap seconds solver_seconds peak_bytes schedule; do
	jq -e "has(\"$key\") and .$key != null" "$work/plan.json" >/dev/null || fail "plan --json has no $key"
done
jq -e '.feasible and (.schedule | length > 10)' "$work/plan.json" >/dev/null || fail "plan --json has no schedule"
head -c 5 "$work/plan.svg" | grep -q '<?xml' || fail "no timeline of the plan"

# How much memory one needs: more of it never costs more, and bounds hold.
"$WEFT" plan "$model" --train --batch 16 --sweep "$work/front.svg" --json >"$work/front.json"
jq -e '(.points | length > 5) and .least_device_bytes == .points[0].device_budget_bytes and
	.bytes_within_20_percent <= .bytes_within_5_percent and
	([.points, .points[1:]] | transpose | map(select(.[1])) | all(.[0].energy_joules >= .[1].energy_joules or .[0].seconds >= .[1].seconds)) and
	all(.points[]; .bound_joules <= .energy_joules * 1.000001 and .peak_bytes <= .device_budget_bytes)' "$work/front.json" >/dev/null ||
	fail "plan --sweep: $(cat "$work/front.json")"
grep -q '<polyline class="energy"' "$work/front.svg" || fail "no picture of the sweep"
[ "$(wc -l <"$work/front.csv")" -gt 5 ] || fail "no table of the sweep"
usage 2 plan "$model" --sweep "$work/front.png"
usage 3 plan "$model" --train --batch 16 --device-mem 1K --sweep "$work/front.svg"
least=$(key least_device_bytes "$work/front.json")
"$WEFT" plan "$model" --train --batch 16 --device-mem "$least" --time-budget 4 --plan-seconds 5 --json |
	jq -e '.bound_joules > 0 and .gap >= 0 and .gap < 1 and .peak_bytes > 0 and .recomputed_ops >= 0 and .paged_bytes > 0' >/dev/null ||
	fail "the least budget of the sweep has no plan"

# Where only smaller batches fit, that is said, and true; not where batch normalisation would notice.
usage 3 plan "$model" --train --batch 64 --device-mem 150K
grep -q -- "--batch 16 --accumulate 4" "$work/err" || fail "no word of smaller batches: $(cat "$work/err")"
usage 0 plan "$model" --train --batch 16 --accumulate 4 --device-mem 150K
usage 0 plan "$model" --train --batch 64 --device-mem 150K --micro-batches
grep -q -- "--batch 16 --accumulate 4" "$work/err" || fail "smaller batches were not chosen: $(cat "$work/err")"
usage 2 plan "$model" --batch 64 --micro-batches
usage 3 plan "$model" --train --batch 64 --device-mem 1K --micro-batches
usage 3 train "$model" --data generate:28x28x1 --epochs 1 --batch 64 --device-mem 150K
grep -q -- "--batch 16 --accumulate 4" "$work/err" || fail "training says nothing of smaller batches: $(cat "$work/err")"
usage 0 train "$model" --data generate:28x28x1 --epochs 1 --batch 64 --device-mem 150K --micro-batches --json
chosen=$(jq -r .weights_sha256 "$work/out")
usage 0 train "$model" --data generate:28x28x1 --epochs 1 --batch 16 --accumulate 4 --device-mem 150K --json
[ "$chosen" = "$(jq -r .weights_sha256 "$work/out")" ] || fail "smaller batches that were chosen train to other weights"
normalized=$WEFT_SHARED/models/resnet18_cifar_w16.onnx
if [ -e "$normalized" ]; then
	usage 3 plan "$normalized" --train --batch 32 --device-mem 400K
	grep -q "batch normalisation" "$work/err" || fail "smaller batches in spite of batch normalisation: $(cat "$work/err")"
fi

# Measured once, used from then on, measured again when damaged.
XDG_CACHE_HOME=$work/cache
export XDG_CACHE_HOME
usage 2 calibrate
calibrate() {
	"$WEFT" calibrate "$model" --train --batch 2 --optim sgd --device embedded:profile=m4f,mem=1M --device-mem 256K \
		--steps 1 --json >"$work/calibrate.json" 2>"$work/err" || fail "calibrate: $(cat "$work/err")"
}
calibrate
jq -e '.clock == "model" and (.measured_before | not) and .operations > 10 and (.plans | length >= 1)' "$work/calibrate.json" >/dev/null ||
	fail "calibrate: $(cat "$work/calibrate.json")"
# A modelled device counts what its plan predicts, to rounding.
jq -e 'def near(a; b): (a - b) / b | fabs < 1e-6;
	all(.plans[]; near(.predicted_seconds; .measured_seconds) and near(.predicted_joules; .measured_joules))' \
	"$work/calibrate.json" >/dev/null || fail "plan and counters differ: $(cat "$work/calibrate.json")"
calibrate
jq -e .measured_before "$work/calibrate.json" >/dev/null || fail "calibrate measures again"
"$WEFT" plan "$model" --train --batch 2 --optim sgd --device embedded:profile=m4f,mem=1M --device-mem 256K >"$work/out"
grep -q "by measured costs" "$work/out" || fail "plan does not use measured costs"
"$WEFT" plan "$model" --train --batch 2 --optim sgd --device embedded:profile=m4f,mem=1M --device-mem 256K --costs model >"$work/out"
grep -q "by the device's model" "$work/out" || fail "plan uses measured costs although told not to"
file=$(key file "$work/calibrate.json")
truncate -s -1 "$file"
calibrate
jq -e '.measured_before | not' "$work/calibrate.json" >/dev/null || fail "damaged costs are used"
grep -q damaged "$work/err" || fail "damaged costs are not mentioned"
unset XDG_CACHE_HOME

# The trained model, read back, scores what training said.
"$WEFT" infer "$work/run/model.onnx" --data generate:28x28x1,count=320 --json >"$work/infer.json"
[ "$(key test_accuracy "$work/infer.json")" = "$(key test_accuracy "$work/train.json")" ] || fail "infer scores other than train"

# One input: 784 numbers in, 10 out.
header="{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1, 28, 28), }"
{
	printf '\223NUMPY\001\000%b%s' "\\0$(printf %03o ${#header})\\000" "$header"
	head -c $((2 * 3136)) /dev/zero
} >"$work/two.npy"
"$WEFT" infer "$model" --input "$work/two.npy" --json >"$work/outputs.json"
jq -e '.outputs[0] | .shape == [2, 10] and (.data | length == 20) and .data[0:10] == .data[10:20]' "$work/outputs.json" >/dev/null ||
	fail "infer --input: $(cat "$work/outputs.json")"
"$WEFT" info "$model" --json | jq -e '.model.parameters == 61706 and .device.backend == "embedded"' >/dev/null || fail "info --json"
"$WEFT" doctor --json >"$work/doctor.json" || true
jq -e 'has("healthy") and (.components | has("weft") and has("libaccel") and has("engine") and has("kernel") and has("io_uring"))' \
	"$work/doctor.json" >/dev/null || fail "doctor --json: $(cat "$work/doctor.json")"
echo "spellings, statuses and keys hold"
