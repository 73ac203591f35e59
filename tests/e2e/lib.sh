# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# Common to the end-to-end tests.  The environment names the programs: WEFT,
# WEFT_DEMO_MODEL; and may name WEFT_SHARED, where models and data are that are
# not part of the project.
set -eu
: "${WEFT_SHARED:=$(dirname "$0")/../../../shared}"

work=$(mktemp -d "${TMPDIR:-/tmp}/weft-e2e-XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

fail() {
	echo "FAILED: $*" >&2
	exit 1
}

skip() {
	echo "SKIP: $*"
	exit 77
}

# train OUTPUT.json ARGUMENTS...: train quietly; the status is weft's.
train() {
	json=$1
	shift
	"$WEFT" train --quiet --json "$@" >"$json" 2>"$json.err"
}

# key NAME FILE.json
key() {
	jq -r ".$1" "$2"
}

# expect WHAT ACTUAL OPERATOR WANTED: numbers, by jq, so that fractions and large ones compare.
expect() {
	jq -en "$2 $3 $4" >/dev/null || fail "$1 is $2, expected $3 $4"
}

# refused_at FILE MODEL ARGUMENTS...: print the least device memory that the refusal of a tiny budget states.
least_device() {
	status=0
	train "$work/least.json" "$@" --device-mem 4K || status=$?
	[ $status = 3 ] || fail "a budget of 4K ended with status $status, expected 3: $(cat "$work/least.json.err")"
	key least_device_bytes "$work/least.json"
}
