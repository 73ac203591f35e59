#!/bin/sh
# SPDX-License-Identifier: MIT
# Intents of SNIPS and CLINC150: projection classifiers with weights of 8 bits beside an LSTM, each trained here on the
# same split: accuracy on the test set, bytes of the file, and time and energy of one inference.
# WEFT names the command, LSTM_MODEL the writer of the LSTM; WEFT_SHARED where data is that is not part of the project.
# About 15 minutes of one core.
set -eu
: "${WEFT_SHARED:=$(dirname "$0")/../../../../shared}"
snips=$WEFT_SHARED/data/snips clinc=$WEFT_SHARED/data/clinc150/data_full.json
[ -d "$snips" ] && [ -e "$clinc" ] || { echo "SKIP: no $snips or $clinc"; exit 77; }
work=$(mktemp -d "${TMPDIR:-/tmp}/weft-bench-XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/snips" "$work/clinc150"
for split in train test; do
	jq -nr --rawfile t "$snips/$split/seq.in" --rawfile l "$snips/$split/label" \
		'($t / "\n") as $x | ($l / "\n") as $y | range($x | length) | select($x[.] != "") |
		 {text: $x[.], label: ($y[.] | rtrimstr("\r"))} | tojson' >"$work/snips/$split.jsonl"
	jq -c ".$split[] | {text: .[0], label: .[1]}" "$clinc" >"$work/clinc150/$split.jsonl"
done

row() {
	awk -v name="$1" -v accuracy="$2" -v bytes="$3" -v seconds="$4" -v joules="$5" 'BEGIN {
		printf "  %-22s %6.2f %%  %8d bytes  %8.1f us  %8.1f uJ\n", name, 100 * accuracy, bytes, 1e6 * seconds,
			1e6 * joules }'
}

# An embedding of 100, 128 units; words are those of the training set.
lstm() {
	jq -r .text "$work/$1/train.jsonl" | tr 'A-Z' 'a-z' | sed 's/[[:punct:]]/ & /g' | tr -s ' \t' '\n\n' | LC_ALL=C sort -u |
		awk 'BEGIN { print "<pad>"; print "<unk>" } NF' >"$work/vocabulary"
	"$LSTM_MODEL" "$work/lstm.onnx" "$(wc -l <"$work/vocabulary")" 32 100 128 "$2"
	"$WEFT" train "$work/lstm.onnx" --data "$work/$1" --vocab "$work/vocabulary" --seq-len 32 --epochs 6 --lr 0.002 \
		--lr-schedule cosine --out "$work/run" --quiet --json >"$work/lstm.json"
	"$WEFT" infer "$work/run/model.onnx" --data "$work/$1" --vocab "$work/vocabulary" --seq-len 32 --batch 1 --json \
		>"$work/one.json"
	examples=$(wc -l <"$work/$1/test.jsonl")
	row "LSTM 100-128" "$(jq .test_accuracy "$work/lstm.json")" "$(wc -c <"$work/run/model.onnx")" \
		"$(jq .step_seconds "$work/one.json")" "$(jq ".energy_joules / $examples" "$work/one.json")"
	rm -r "$work/run"
}

projection() {
	name=$1 set=$2
	shift 2
	"$WEFT" project --data "$work/$set" --int8 --out "$work/p.onnx" --alone --quiet --json "$@" >"$work/p.json"
	row "$name" "$(jq '.networks[0].test_accuracy' "$work/p.json")" "$(jq '.networks[0].bytes' "$work/p.json")" \
		"$(jq '.networks[0].seconds' "$work/p.json")" "$(jq '.networks[0].energy_joules' "$work/p.json")"
}

for set in snips:7 clinc150:150; do
	echo "${set%:*}: accuracy, bytes, time and energy of one inference"
	lstm "${set%:*}" "${set#*:}"
	projection "SGNN 960 bits, 112" "${set%:*}" --text sgnn --functions 80 --bits 12 --hidden 112 --epochs 8
	projection "PRADO 512, 64, 2" "${set%:*}" --text prado --functions 512 --bits 1 --hidden 64 --epochs 8
	projection "pQRNN 256, 48, 2" "${set%:*}" --text pqrnn --functions 256 --bits 1 --hidden 48 --epochs 6
done
