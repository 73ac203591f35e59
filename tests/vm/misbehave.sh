#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tests/vm/misbehave.sh misbehave-KIND, in a guest whose vnpu misbehaves in that way: two
# training runs beside one another.  What may fail is what the kind says; what
# does not fail must have the right weights.  BUILD and MODEL name the build tree and the model;
# WEIGHTS the hash that an undisturbed run gives; KSELFTESTS the folder of the program that
# meets the misbehaviour where KIND begins with "seen-": it looks at how soon, and how, the
# driver tells it, and one training run is beside it.
set -u
kind=${1#misbehave-}
slow=${SLOW:-1}
weft=$BUILD/bin/weft
out=/tmp/misbehave
mkdir -p $out

train() {
	timeout $((600 * slow)) "$weft" train "$MODEL" --data generate:28x28x1,count=1000 --epochs 1 --json --quiet --batch 64 \
		--device /dev/accel/accel0 >"$out/$1.json" 2>"$out/$1.err"
	echo $? >"$out/$1.status"
}

runs="first second"
case $kind in
seen-die)
	runs=
	"$KSELFTESTS/misbehave" die $((10 * slow)) || exit 1
	;;
seen-*)
	# A command of 4 s at the most is looked at every 3 s; only a reset ends a wedged one.
	limits_hang=8 limits_wedge=25
	limit=limits_${kind#seen-}
	runs=first
	"$KSELFTESTS/misbehave" hang $((${!limit} * slow)) &
	seen=$!
	train first
	wait $seen || exit 1
	;;
*)
	for _ in $(seq $([ "$kind" = garbage ] && echo 2 || echo 1)); do
		train first &
		train second &
		wait
	done
	;;
esac
good=0 failed=0
for run in $runs; do
	status=$(cat $out/$run.status)
	if [ "$status" = 0 ]; then
		# A device that lies about what it has done may get away with it.
		if grep -q "$WEIGHTS" $out/$run.json || [ "$kind" = garbage ]; then
			good=$((good + 1))
		else
			echo "$kind: $run run finished with wrong weights"
			exit 1
		fi
	elif [ "$status" = 124 ]; then
		echo "$kind: $run run did not end"
		exit 1
	else
		failed=$((failed + 1))
		[ "$kind" != die ] || grep -q 'the device is gone' $out/$run.err || { cat $out/$run.err; exit 1; }
		sed "s/^/$kind: $run: /" $out/$run.err
	fi
done
dumps=0
for dump in /sys/class/devcoredump/devcd*; do
	[ -e "$dump/data" ] || continue
	dumps=$((dumps + 1))
	head -n 1 "$dump/data" | grep -q '^weft coredump 1$' || { echo "$kind: a devcoredump is not readable"; exit 1; }
	echo 1 >"$dump/data"
done
echo "$kind: $good finished, $failed failed, $dumps devcoredumps"

expect() { # good failed least-dumps
	if [ $good != "$1" ] || [ $failed != "$2" ] || [ "$dumps" -lt "$3" ]; then
		echo "$kind: expected $1 finished, $2 failed, at least $3 devcoredumps"
		exit 1
	fi
}
case $kind in
none | drop-irq | double-irq | late | corrupt-mailbox) expect 2 0 0 ;;
hang | corrupt-event) expect 1 1 1 ;;
# The whole device is reset.  Whoever is not to blame goes on where it was; that a frozen
# control core is anybody's fault cannot be told.
wedge) expect 1 1 1 ;;
freeze) expect 2 0 1 ;;
die) expect 0 2 1 ;;
seen-hang | seen-wedge) expect 1 0 1 ;;
seen-die) expect 0 0 1 ;;
garbage) ;;
esac
# Nothing is left behind.
for _ in $(seq 100); do
	grep -qv ' 0$' /sys/kernel/debug/accel/*/objects || break
	sleep 0.1
done
if grep -v ' 0$' /sys/kernel/debug/accel/*/objects; then
	echo "$kind: objects are left"
	exit 1
fi
rmmod weft || exit 1
