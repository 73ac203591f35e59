#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tests/vm/check.sh BUILD [NAME...]: the tests of the kernel driver, each in a guest
# of its own whose kernel log must stay clean.  Prints TAP.
set -u
cd "$(dirname "$0")/../.."
BUILD=$(realpath "$1")
shift
MODEL=$BUILD/vm-model.onnx
"$BUILD/bin/weft-demo-model" cnn "$MODEL" >/dev/null || exit 1
WEIGHTS=$("$BUILD/bin/weft" train "$MODEL" --data generate:28x28x1,count=1000 --epochs 1 --batch 64 --json --quiet \
	--device embedded:mem=256M | grep -o '[0-9a-f]\{64\}')
[ -n "$WEIGHTS" ] || { echo "Bail out! training on the embedded device failed"; exit 1; }
MODULE=$PWD/driver/weft.ko
environment=(env "BUILD=$BUILD" "MODEL=$MODEL" "WEIGHTS=$WEIGHTS" "MODULE=$MODULE")
number=0 failures=0

run() { # name options... -- command...
	local name=$1 status
	shift
	[ ${#only[@]} = 0 ] || [[ " ${only[*]} " == *" $name "* ]] || return 0
	number=$((number + 1))
	tools/vm/run --build "$BUILD" --clean-log --timeout 300 "$@" 2>&1 | sed 's/^/# /'
	status=${PIPESTATUS[0]}
	if [ "$status" = 0 ]; then
		echo "ok $number - $name"
	else
		echo "not ok $number - $name (status $status)"
		failures=$((failures + 1))
	fi
}

guest() { # name options...
	local name=$1
	shift
	run "$name" "$@" -- "${environment[@]}" tests/vm/guest.sh "$name"
}

misbehave() { # kind[=count]
	run "misbehave-${1%%=*}" --module-args "command_timeout_ms=2000 job_timeout_ms=1500" --misbehave "$1" -- \
		"${environment[@]}" tests/vm/misbehave.sh "${1%%=*}"
}

only=("$@")
for part in device memory jobs faults; do
	guest libaccel-$part
done
guest train
guest train-storage --disk 256M
guest kselftest
guest module
guest bind
for kind in late=1 drop-irq=50 double-irq=3 corrupt-mailbox=20 hang=500 corrupt-event=40 wedge=500 freeze=500 die=500; do
	misbehave $kind
done
run misbehave-no-boot --misbehave no-boot --no-module -- sh -c "! insmod $MODULE || [ ! -e /dev/accel/accel0 ]"
run misbehave-stranger --misbehave stranger --no-module -- sh -c "insmod $MODULE && [ ! -e /dev/accel/accel0 ] && rmmod weft"
echo "1..$number"
[ $failures = 0 ]
