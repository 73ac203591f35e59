#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tests/vm/check.sh BUILD [NAME...]: the tests of the kernel driver, or those named (patterns
# as of files), in guests whose kernel log must stay clean.  Builds the module; prints TAP.
#
# WEFT_VM_IMAGE and WEFT_VM_MODULE: another kernel than Debian's, slow since it looks for
# errors, and the module for it.
# Everything is skipped where a guest cannot be: no kernel image or QEMU (make check-vm
# installs them where it can).  A guest that does not boot or does not end is a failure.
set -u
cd "$(dirname "$0")/../.." || exit 1
BUILD=$(realpath "$1")
shift
only=("$@")
number=0 failures=0
slow=1 ram=1G
[ -z "${WEFT_VM_IMAGE-}" ] || slow=4 ram=2G

result() { # "ok" or "not ok", name
	number=$((number + 1))
	[ "$1" = ok ] || failures=$((failures + 1))
	echo "$1 $number - $2"
}

bail_out() {
	echo "Bail out! $*"
	exit 1
}

skip_all() {
	echo "1..0 # SKIP $*"
	exit 0
}

wanted() { # name
	local pattern
	[ ${#only[@]} != 0 ] || return 0
	for pattern in "${only[@]}"; do
		# shellcheck disable=SC2053 # a pattern
		[[ $1 != $pattern ]] || return 0
	done
	return 1
}

# The names of "$@" that have not been told.
untold() {
	local name
	for name in "$@"; do
		[ -n "${told[$name]-}" ] || echo "$name"
	done
}

# Boots a guest for the tests of "names" with "arguments", prints their results, and notes what
# was told, and the status.
boot() {
	local line rest
	while IFS= read -r line; do
		case $line in
		'ok - '* | 'not ok - '*)
			rest=${line#*ok - }
			result "${line%% - *}" "$rest"
			told[${rest%% *}]=1
			;;
		'ok '[0-9]* | 'not ok '[0-9]*) result "${line%% [0-9]*}" "${names[0]}: ${line#*ok [0-9]* }" ;;
		'status '*) status=${line#status } ;;
		*) echo "# ${line#\# }" ;;
		esac
	done < <(
		tools/vm/run --build "$BUILD" --clean-log --log "$BUILD/vm-logs/${names[0]}.log" --ram "$ram" \
			--timeout $((1500 * slow)) "$@" "${names[@]}" </dev/null 2>&1
		echo "status $?"
	)
}

# Boots a guest for the tests named, which the command gets as arguments, and prints their
# results.  Each must be told; of a single one the exit status tells too.
run() { # "names" options... -- command...
	local names=() left=() name status=''
	declare -A told=()
	for name in $1; do
		! wanted "$name" || names+=("$name")
	done
	shift
	[ ${#names[@]} != 0 ] || return 0
	mkdir -p "$BUILD/vm-logs"
	boot "$@"
	# An assertion of QEMU's own, with two processors on a busy host, says nothing of the driver: once more.
	mapfile -t left < <(untold "${names[@]}")
	if [ "$status" = 126 ] && [ ${#left[@]} != 0 ]; then
		names=("${left[@]}")
		echo "# QEMU failed; what it had not come to is tried once more: ${names[*]}"
		boot "$@"
	fi
	for name in $(untold "${names[@]}"); do
		if [ ${#names[@]} = 1 ] && [ "$status" = 0 ]; then
			result ok "$name"
		else
			result "not ok" "$name (status $status)"
		fi
		status=0
	done
	[ "$status" = 0 ] || result "not ok" "guest of $* (status $status)"
}

misbehave() { # kind[=count] [name]
	run "misbehave-${2-${1%%=*}}" --module-args "command_timeout_ms=4000 job_timeout_ms=3000" --misbehave "$1" -- \
		"${environment[@]}" tests/vm/misbehave.sh
}

missing=$(tools/vm/run --build "$BUILD" --why-not) || skip_all "no guest can run here: missing: $missing"
kernel=$(make --no-print-directory --silent vm-kernel)
if [ -z "${WEFT_VM_MODULE-}" ]; then
	[ -e "/lib/modules/$kernel/build" ] || skip_all "the module cannot be built: missing: headers of $kernel (Debian: linux-headers-amd64)"
	why=$(make --no-print-directory SETUP=no driver 2>&1) || { echo "# ${why//$'\n'/$'\n'# }"; bail_out "the module does not build"; }
fi

MODEL=$BUILD/vm-model.onnx
"$BUILD/bin/weft-demo-model" cnn "$MODEL" >/dev/null || bail_out "cannot make a model"
WEIGHTS=$("$BUILD/bin/weft" train "$MODEL" --data generate:28x28x1,count=1000 --epochs 1 --batch 64 --json --quiet \
	--device embedded:mem=256M | grep -o '[0-9a-f]\{64\}')
[ -n "$WEIGHTS" ] || bail_out "training on the embedded device failed"
QUANTIZED=$BUILD/vm-model.int8.onnx
"$BUILD/bin/weft" quantize "$MODEL" --data generate:28x28x1,count=300 --out "$QUANTIZED" --device embedded >/dev/null &&
	LOSS=$("$BUILD/bin/weft" infer "$QUANTIZED" --data generate:28x28x1,count=300 --device embedded --json |
		grep -o '"test_loss":[0-9.e+-]*')
[ -n "${LOSS-}" ] || bail_out "quantizing on the embedded device failed"
COMPILED=$BUILD/vm-model.weft
# Ten images of whatever bytes the model has.
od -An -v -tu1 -w784 -N7840 "$QUANTIZED" >"$COMPILED.csv"
"$BUILD/bin/weft" compile "$QUANTIZED" --out "$COMPILED" --device embedded >/dev/null &&
	SCORES=$("$BUILD/tools/examples/classify" -p -d embedded "$COMPILED" "$COMPILED.csv" | sha256sum)
[ -n "${SCORES-}" ] || bail_out "a compiled model on the embedded device failed"
PROJECTION=$BUILD/vm-projection.onnx
"$BUILD/bin/weft" project --alone --data generate:28x28x1,count=300 --hidden 32 --epochs 1 --quiet --out "$PROJECTION" \
	--device embedded >/dev/null &&
	PROJECTION_LOSS=$("$BUILD/bin/weft" infer "$PROJECTION" --data generate:28x28x1,count=300 --device embedded --json |
		grep -o '"test_loss":[0-9.e+-]*')
[ -n "${PROJECTION_LOSS-}" ] || bail_out "projecting on the embedded device failed"
MODULE=${WEFT_VM_MODULE:-$PWD/driver/weft.ko}
KSELFTESTS=$BUILD/kselftest
environment=(env "BUILD=$BUILD" "MODEL=$MODEL" "WEIGHTS=$WEIGHTS" "QUANTIZED=$QUANTIZED" "LOSS=$LOSS" "COMPILED=$COMPILED" "SCORES=$SCORES" "PROJECTION=$PROJECTION" "PROJECTION_LOSS=$PROJECTION_LOSS" "MODULE=$MODULE" "KSELFTESTS=$KSELFTESTS" "SLOW=$slow")

if wanted dkms; then
	PATH=$PATH:/usr/sbin:/sbin
	if ! { command -v dkms && command -v dh_dkms && command -v dpkg-buildpackage; } >/dev/null; then
		result ok "dkms # SKIP missing: packages of scripts/packages-dkms"
	elif why=$(tests/vm/dkms.sh "$BUILD" "$kernel" 2>&1); then
		result ok dkms
	else
		echo "# ${why//$'\n'/$'\n'# }"
		result "not ok" dkms
	fi
fi
if [ -z "$(find /usr/src -name 'linux-source-6.*.tar.xz')" ]; then
	result ok "kselftest # SKIP missing: the kernel's harness for them (Debian: linux-source-6.12)"
	kselftests=
else
	why=$(make --no-print-directory -C tests/kselftest OUTPUT="$KSELFTESTS" 2>&1) ||
		{ echo "# ${why//$'\n'/$'\n'# }"; bail_out "the kselftests do not build"; }
	kselftests="$(make -s -C tests/kselftest OUTPUT="$KSELFTESTS" names) failures"
fi
# Only a module for another kernel has the tests of kunit.
run "${WEFT_VM_MODULE:+kunit} libaccel-device libaccel-memory libaccel-jobs libaccel-faults train train-storage idle quantized deployed projection $kselftests module" \
	--disk 256M -- "${environment[@]}" tests/vm/guest.sh
[ -z "$kselftests" ] || run kselftest-suspend --bare -- "$KSELFTESTS/suspend"
if wanted shell && ! script -qefc true /dev/null >/dev/null 2>&1; then
	result ok "shell # SKIP missing: pseudo-terminals (/dev/pts)"
elif wanted shell; then
	why=$(tests/vm/shell.sh "$BUILD" 2>&1) && result ok shell || { echo "# ${why//$'\n'/$'\n'# }"; result "not ok" shell; }
fi
run bind -- "${environment[@]}" tests/vm/guest.sh
for kind in late=1 drop-irq=50 double-irq=3 corrupt-mailbox=20 hang=500 corrupt-event=40 garbage=20 wedge=500 freeze=500 die=500; do
	misbehave $kind
done
if [ -n "$kselftests" ]; then
	for kind in hang=100 wedge=100 die=1000; do
		misbehave $kind seen-${kind%%=*}
	done
fi
run misbehave-no-boot --misbehave no-boot --no-module -- sh -c "! insmod $MODULE || [ ! -e /dev/accel/accel0 ]"
run misbehave-stranger --misbehave stranger --no-module -- sh -c "insmod $MODULE && [ ! -e /dev/accel/accel0 ] && rmmod weft"
echo "1..$number"
[ $failures = 0 ]
