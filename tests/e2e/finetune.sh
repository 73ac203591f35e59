#!/bin/sh
# SPDX-License-Identifier: MIT
# Fine-tuning: what is frozen stays, memory falls with it, and every way to train gives the same bits for every
# budget and after every interruption.
. "$(dirname "$0")/lib.sh"

"$WEFT_DEMO_MODEL" lenet "$work/lenet.onnx"
set -- "$work/lenet.onnx" --data generate:28x28x1,count=320 --epochs 2 --batch 16

train "$work/all.json" "$@" --out "$work/all" || fail "everything: $(cat "$work/all.json.err")"
all=$(key peak_device_bytes "$work/all.json")

# tensor NAME FILE.safetensors: the bytes of one tensor.
tensor() {
	header=$(od -An -tu8 -N8 "$2" | tr -d ' ')
	place=$(tail -c +9 "$2" | head -c "$header" | jq -er ".\"$1\".data_offsets | arrays | \"\(.[0]) \(.[1])\"")
	tail -c +$((9 + header + ${place% *})) "$2" | head -c $((${place#* } - ${place% *})) | sha256sum
}

# frozen WHAT PEAK PATTERN-OPTION...: the first convolution stays as it is, the last product does not, less memory is taken.
frozen() {
	what=$1 least=$2
	shift 2
	train "$work/frozen.json" "$@" --out "$work/frozen" || fail "$what: $(cat "$work/frozen.json.err")"
	[ "$(tensor conv1.weight "$work/frozen/model.safetensors")" = "$before" ] || fail "$what: a frozen weight has changed"
	[ "$(tensor scores.bias "$work/frozen/model.safetensors")" != "$(tensor scores.bias "$work/start/model.safetensors")" ] ||
		fail "$what: nothing was trained"
	expect "$what: peak" "$(key peak_device_bytes "$work/frozen.json")" "<" "$all * $least"
	rm -rf "$work/frozen"
}
# A rate of nothing leaves the weights of the file.
train "$work/start.json" "$@" --epochs 1 --lr 0 --out "$work/start" || fail "$(cat "$work/start.json.err")"
before=$(tensor conv1.weight "$work/start/model.safetensors")
frozen "convolutions frozen" 0.9 "$@" --freeze 'conv*'
frozen "last layer" 0.55 "$@" --train 'scores.*'
frozen "biases" 0.8 "$@" --train '*.bias' --freeze conv1.bias

# same WHAT OPTIONS...: the same weights for a small budget and two threads, and when it is killed and resumed.
same() {
	what=$1
	shift
	rm -rf "$work/whole" "$work/parts"
	train "$work/whole.json" "$@" --out "$work/whole" || fail "$what: $(cat "$work/whole.json.err")"
	wanted=$(key weights_sha256 "$work/whole.json")
	[ "$wanted" != "$(key weights_sha256 "$work/all.json")" ] || fail "$what: the weights of plain training"
	train "$work/small.json" "$@" --storage "$work:64M" --device embedded:threads=2 \
		--device-mem "$(least_device "$@" --storage "$work:64M")" || fail "$what, small: $(cat "$work/small.json.err")"
	[ "$(key weights_sha256 "$work/small.json")" = "$wanted" ] || fail "$what: other weights at the least budget"
	rounds=0
	until [ "$rounds" = 8 ]; do
		rounds=$((rounds + 1))
		"$WEFT" train --quiet --json "$@" --out "$work/parts" --resume --checkpoint-every 3 >"$work/parts.json" 2>"$work/parts.err" &
		process=$!
		sleep "0.0$((rounds * 11 % 10))"
		kill -9 $process 2>/dev/null || true
		wait $process 2>/dev/null || true
	done
	train "$work/parts.json" "$@" --out "$work/parts" --resume || fail "$what, resumed: $(cat "$work/parts.json.err")"
	[ "$(key weights_sha256 "$work/parts.json")" = "$wanted" ] || fail "$what: other weights when resumed"
	cmp "$work/whole/model.onnx" "$work/parts/model.onnx" || fail "$what: another model.onnx when resumed"
	sed 's/,"seconds.*//' "$work/whole/metrics.jsonl" >"$work/whole.metrics"
	sed 's/,"seconds.*//' "$work/parts/metrics.jsonl" | cmp "$work/whole.metrics" || fail "$what: other metrics when resumed"
	echo "$what: same weights"
}
same "clipping, sums over 4 steps, cosine" "$@" --clip-norm 0.3 --accumulate 4 --lr-schedule cosine --warmup 3
same "steps, smoothing, evaluations" "$@" --optim sgd --lr-schedule step:1:0.3 --label-smoothing 0.1 --eval-every 7
same "binary cross-entropy, one layer frozen" "$@" --loss bce --freeze 'conv1.*' --optim adamw
same "adapters and the last layer" "$@" --lora 4:8 --train 'scores.*'
expect "adapters: peak" "$(key peak_device_bytes "$work/whole.json")" "<" "$all * 0.8"
cmp "$work/whole/adapter.safetensors" "$work/parts/adapter.safetensors" || fail "another adapter.safetensors when resumed"
tail -c +9 "$work/whole/adapter.safetensors" | head -c "$(od -An -tu8 -N8 "$work/whole/adapter.safetensors" | tr -d ' ')" |
	jq -e '.__metadata__ == {r: "4", lora_alpha: "8"} and ."fc1.lora_A.weight".shape == [4, 400]' >/dev/null ||
	fail "adapter.safetensors does not say what it holds"
"$WEFT" infer "$work/whole/model.onnx" --data generate:28x28x1,count=320 --json >"$work/infer.json"
expect "adapters: loss of the merged model" "$(key test_loss "$work/infer.json")" == "$(key test_loss "$work/whole.json")"
same "augmentation, other normalisation" "$@" --augment flip,crop:3 --normalize 0.3/0.4
same "early stopping" "$@" --lr 0.02 --eval-every 2 --patience 2 --epochs 4
expect "early stopping: steps" "$(key steps "$work/whole.json")" "<" 80
expect "early stopping: the best" "$(key best_step "$work/whole.json")" "<" "$(key steps "$work/whole.json")"
best=$(jq -s 'min_by(.test_loss).step' "$work/whole/metrics.jsonl")
expect "early stopping: step of the lowest loss" "$(key best_step "$work/whole.json")" == "$best"
"$WEFT" infer "$work/whole/model.onnx" --data generate:28x28x1,count=320 --json >"$work/infer.json"
expect "early stopping: loss of the model kept" "$(key test_loss "$work/infer.json")" == "$(key test_loss "$work/whole.json")"

# Text: words of two kinds among others, with every tenth record for the test.
"$WEFT_DEMO_MODEL" text "$work/text.onnx"
awk 'BEGIN {
	split("ball goal team match bread soup salt plate", word); split("the and very with", filler)
	print "text,label"
	for (i = 0; i < 400; i++) {
		kind = int(i * 7 / 3) % 2; line = ""
		for (j = 0; j < 8; j++)
			line = line " " (i * j % 3 ? filler[1 + (i + j) % 4] : word[1 + 4 * kind + (i * 5 + j) % 4])
		printf "\"%s, ""said""\",%s\n", line, kind ? "food" : "sport"
	}
}' >"$work/text.csv"
same "text" "$work/text.onnx" --data "$work/text.csv" --seq-len 40 --epochs 4 --batch 16 --lr 0.01
expect "text: accuracy" "$(key test_accuracy "$work/whole.json")" ">" 0.9
printf '[UNK]\nball\ngoal\nteam\nmatch\nbread\nsoup\nsalt\nplate\n' >"$work/vocab.txt"
train "$work/words.json" "$work/text.onnx" --data "$work/text.csv" --seq-len 12 --vocab "$work/vocab.txt" --epochs 4 --batch 16 \
	--lr 0.01 || fail "words: $(cat "$work/words.json.err")"
expect "words: accuracy" "$(key test_accuracy "$work/words.json")" ">" 0.9

# wrong WHAT STATUS OPTIONS...
wrong() {
	what=$1 wanted=$2
	shift 2
	status=0
	train "$work/wrong.json" "$@" || status=$?
	[ "$status" = "$wanted" ] || fail "$what: status $status, expected $wanted"
}
wrong "a pattern without a match" 1 "$@" --freeze 'nothing*'
wrong "an adapter of nothing" 1 "$@" --lora '4:conv*'
wrong "an adapter of rank 0" 2 "$@" --lora 0
wrong "smoothing of another loss" 1 "$@" --loss mse --label-smoothing 0.1
wrong "more steps for an update than there are" 1 "$@" --accumulate 21
wrong "an unknown schedule" 2 "$@" --lr-schedule linear
wrong "an unknown augmentation" 2 "$@" --augment rotate
wrong "a deviation of nothing" 1 "$@" --normalize 0.5/0
wrong "another augmentation than the checkpoint's" 1 "$@" --out "$work/parts" --resume --augment flip
wrong "text for a model of images" 1 "$@" --data "$work/text.csv" --seq-len 40
wrong "text without a length" 1 "$work/text.onnx" --data "$work/text.csv"
wrong "an unknown loss" 2 "$@" --loss hinge
wrong "another clipping than the checkpoint's" 1 "$@" --out "$work/parts" --resume --clip-norm 1
