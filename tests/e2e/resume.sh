#!/bin/sh
# SPDX-License-Identifier: MIT
# Killed at random moments and resumed, training ends in the weights of an undisturbed run.
. "$(dirname "$0")/lib.sh"

"$WEFT_DEMO_MODEL" lenet "$work/lenet.onnx"
set -- "$work/lenet.onnx" --data generate:28x28x1,count=3200 --epochs 3 --batch 32 --checkpoint-every 7 --device-mem 1800K \
	--host-mem 1M --storage "$work:64M"

start=$(date +%s%N)
train "$work/whole.json" "$@" --out "$work/whole" || fail "undisturbed: $(cat "$work/whole.json.err")"
length=$((($(date +%s%N) - start) / 1000000))
wanted=$(key weights_sha256 "$work/whole.json")

# Moments from a fixed seed, all inside the time of an undisturbed run.
kills=0 random=20
while [ $kills -lt 20 ]; do
	random=$(((random * 1103515245 + 12345) % 2147483648))
	moment=$((random / 65536 % (length / 4 + 1)))
	"$WEFT" train --quiet --json "$@" --out "$work/killed" --resume >"$work/killed.json" 2>"$work/killed.err" &
	process=$!
	sleep "$((moment / 1000)).$(printf %03d $((moment % 1000)))"
	kill -9 $process 2>/dev/null || true
	status=0
	wait $process 2>/dev/null || status=$?
	case $status in
	137) kills=$((kills + 1)) ;;
	0) # It was done before: begin again.
		[ "$(key weights_sha256 "$work/killed.json")" = "$wanted" ] || fail "resumed $kills times: other weights"
		rm -rf "$work/killed"
		kills=$((kills + 1))
		;;
	*) fail "resumed after $kills kills: status $status: $(cat "$work/killed.err")" ;;
	esac
done
train "$work/end.json" "$@" --out "$work/killed" --resume || fail "the last resume: $(cat "$work/end.json.err")"
[ "$(key weights_sha256 "$work/end.json")" = "$wanted" ] || fail "after $kills kills: other weights than undisturbed"
cmp "$work/whole/model.onnx" "$work/killed/model.onnx" || fail "model.onnx differs"
[ "$(wc -l <"$work/killed/metrics.jsonl")" = 3 ] || fail "metrics.jsonl has $(wc -l <"$work/killed/metrics.jsonl") lines for 3 epochs"

# SIGTERM: a checkpoint and a clean end.
rm -rf "$work/killed"
"$WEFT" train --quiet --json "$@" --out "$work/killed" >"$work/term.json" 2>"$work/term.err" &
process=$!
sleep "$((length / 2000)).$(printf %03d $((length / 2 % 1000)))"
kill -TERM $process
status=0
wait $process || status=$?
[ $status = 143 ] || fail "SIGTERM ended with status $status, expected 143: $(cat "$work/term.err")"
[ "$(key stopped "$work/term.json")" = true ] || fail "SIGTERM: the result does not say so"
train "$work/end.json" "$@" --out "$work/killed" --resume || fail "resume after SIGTERM: $(cat "$work/end.json.err")"
[ "$(key weights_sha256 "$work/end.json")" = "$wanted" ] || fail "after SIGTERM: other weights"

# Other options than those of the checkpoint are refused, and named.
status=0
train "$work/other.json" "$@" --out "$work/killed" --resume --lr 0.5 || status=$?
if [ $status != 1 ] || ! grep -q "learning rate" "$work/other.json.err"; then
	fail "--lr changed: status $status: $(cat "$work/other.json.err")"
fi
echo "20 kills, SIGTERM: the weights of an undisturbed run"
