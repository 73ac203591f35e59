#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tests/vm/guest.sh NAME...: tests in the guest, one after another.  Each prints
# "ok - NAME" or "not ok - NAME (why)"; what else it prints comes before, after "# ".
# A test must leave no object in the driver and no warning in the kernel's log.
# BUILD names the build tree, MODEL a model, WEIGHTS the hash that training it on the
# embedded device gives, QUANTIZED an integer model and LOSS its test loss there, PROJECTION
# and PROJECTION_LOSS the same for a projection network,
# KSELFTESTS the folder of the kernel's own kind of tests.  SLOW: times slower than usual.
set -u
debugfs=/sys/kernel/debug/accel/0000:01:00.0
trouble='WARNING:|BUG:|Oops|Call Trace|general protection|refcount_t:|possible .* deadlock|blocked for more than|UBSAN:|INFO: '
slow=${SLOW:-1}

# Closing a file does not wait for what the device still has to forget.
no_objects() {
	local i
	[ -e $debugfs/objects ] || return 0
	for i in $(seq 100); do
		grep -qv ' 0$' $debugfs/objects || return 0
		sleep 0.1
	done
	grep -v ' 0$' $debugfs/objects
	return 1
}

clean_log() {
	dmesg -c >/run/dmesg
	! grep -aE "$trouble" /run/dmesg || { cat /run/dmesg; return 1; }
}

# infer MODEL LOSS: the test loss here has all the digits of the embedded device's.
infer() {
	"$BUILD/bin/weft" infer "$1" --data generate:28x28x1,count=300 --json --device /dev/accel/accel0 >/tmp/infer.json ||
		return 1
	grep -qF "$2" /tmp/infer.json || {
		echo "results differ from the embedded device's: $2"
		cat /tmp/infer.json
		return 1
	}
}

train() { # arguments of weft train
	"$BUILD/bin/weft" train "$MODEL" --data generate:28x28x1,count=1000 --epochs 1 --batch 64 --json --quiet \
		--device /dev/accel/accel0 "$@" >/tmp/train.json || return 1
	grep -q "$WEIGHTS" /tmp/train.json || {
		echo "weights differ from the embedded device's"
		cat /tmp/train.json
		return 1
	}
}

# The tests of a program that prints TAP count one by one, under its name.
tap() { # name command...
	local name=$1
	shift
	"$@" 2>&1 | while IFS= read -r line; do
		if [[ $line =~ ^(ok|not\ ok)\ [0-9]+\ (-\ )?(.*)$ ]]; then
			echo "${BASH_REMATCH[1]} - $name: ${BASH_REMATCH[3]}"
		else
			echo "# $line"
		fi
	done
	return "${PIPESTATUS[0]}"
}

one() { # name
	case $1 in
	libaccel-*)
		WEFT_TEST_DEVICE=/dev/accel/accel0 "$BUILD/tests/unit/libaccel/test-accel-${1#libaccel-}"
		;;
	train)
		train
		;;
	train-storage)
		train --device-mem 7M --host-mem 1M --storage /mnt/disk:64M &&
			grep -q '"peak_storage_bytes":[[:space:]]*[1-9]' /tmp/train.json || {
			echo "storage was not used"
			return 1
		}
		;;
	quantized)
		infer "$QUANTIZED" "$LOSS"
		;;
	deployed)
		local scores
		scores=$("$BUILD/tools/examples/classify" -p -d /dev/accel/accel0 "$COMPILED" "$COMPILED.csv" | sha256sum)
		[ "$scores" = "$SCORES" ] || { echo "scores differ from the embedded device's"; return 1; }
		;;
	projection)
		infer "$PROJECTION" "$PROJECTION_LOSS"
		;;
	idle)
		# Unused, the device goes to sleep; it wakes up by itself, and energy is counted on.
		local power=/sys/bus/pci/devices/0000:01:00.0/power energy before after
		energy=$(echo /sys/bus/pci/devices/0000:01:00.0/hwmon/hwmon*/energy1_input)
		for _ in 1 2; do
			for _ in $(seq 100); do
				[ "$(cat $power/runtime_status)" != suspended ] || break
				sleep 0.1
			done
			[ "$(cat $power/runtime_status)" = suspended ] || { echo "the device stays awake"; return 1; }
			before=$(cat "$energy")
			train || return 1
			after=$(cat "$energy")
			[ "$after" -gt "$before" ] || { echo "energy $before, then $after"; return 1; }
		done
		;;
	module)
		for _ in $(seq $((100 / slow))); do
			rmmod weft && insmod "$MODULE" || return 1
		done
		[ -c /dev/accel/accel0 ]
		;;
	bind)
		# Under load: training runs lose their device again and again.
		cd /sys/bus/pci/drivers/weft || return 1
		for i in $(seq "$((100 / slow))"); do
			if [ $((i % 4)) = 1 ]; then
				timeout 60 "$BUILD/bin/weft" train "$MODEL" --data generate:28x28x1,count=1000 \
					--epochs 50 --quiet --device /dev/accel/accel0 >/dev/null 2>&1 &
				sleep 1
			fi
			echo 0000:01:00.0 >unbind && echo 0000:01:00.0 >bind || return 1
		done
		wait
		;;
	failures)
		# Each step of probing fails in turn, and leaves nothing that disturbs the next.
		local door=/sys/module/weft/parameters/fail_nth n left test
		cd /sys/bus/pci/drivers/weft && echo 0000:01:00.0 >unbind || return 1
		for n in $(seq 100); do
			echo "$n" >$door
			! echo 0000:01:00.0 >bind || break
			[ "$(cat $door)" = 0 ] || { echo "probing failed before step $n"; return 1; }
		done 2>/dev/null
		left=$(cat $door)
		echo 0 >$door
		[ "$left" -gt 0 ] && [ "$n" -gt 15 ] && [ -c /dev/accel/accel0 ] || { echo "$n steps, $left left"; return 1; }
		# Whatever tests make of an allocation that fails somewhere: the driver stands it.
		for test in memory prime sync vm_bind; do
			for n in 3 15 50; do
				echo "$n" >$door
				WEFT_REQUIRED=1 timeout $((100 * slow)) "$KSELFTESTS/$test" >/tmp/failures.log 2>&1
				[ $? != 124 ] || { cat /tmp/failures.log; echo "$test hangs, failure $n"; return 1; }
			done
			echo 0 >$door
			no_objects && WEFT_REQUIRED=1 "$KSELFTESTS/$test" >/tmp/failures.log 2>&1 ||
				{ cat /tmp/failures.log; return 1; }
		done
		;;
	kunit)
		# They ran when the module was loaded.
		local suite failed=0
		for suite in /sys/kernel/debug/kunit/weft_*; do
			sed -nE "s/^    ((not )?ok) [0-9]+ /\1 - kunit: ${suite##*/}: /p; s/^ +(not ok|# .*(EXPECT|Expected|ASSERT))/# \1/p; \
				s/^ {12,}/# /p" "$suite/results"
			! grep -q '^ *not ok' "$suite/results" || failed=1
			grep -q '^    ok' "$suite/results" || failed=1
		done
		return $failed
		;;
	kselftest-*)
		export WEFT_REQUIRED=1
		[ "$1" != kselftest-unload ] || modprobe -q vgem
		cd "$KSELFTESTS" && tap "$1" "./${1#kselftest-}"
		;;
	*)
		echo "no such test"
		return 1
		;;
	esac
}

if [ "$1" = --one ]; then
	one "$2"
	exit
fi
dmesg -c >/dev/null
for name in "$@"; do
	timeout -k 10 $((900 * slow)) "$0" --one "$name" 2>&1 | sed -uE '/^(not )?ok - /!s/^/# /'
	status=${PIPESTATUS[0]}
	why=
	[ "$status" = 0 ] || why=" (status $status)"
	left=$(no_objects) || why="$why (objects are left: ${left//$'\n'/, })"
	log=$(clean_log) || { why="$why (the kernel's log has warnings)"; echo "# ${log//$'\n'/$'\n'# }"; }
	echo "${why:+not }ok - $name$why"
done
# Memory of the driver that nothing points to any more, where the kernel can tell.
if [ -w /sys/kernel/debug/kmemleak ]; then
	# It counts what is older than some seconds, and seen twice.
	sleep 6
	echo scan >/sys/kernel/debug/kmemleak
	sleep 6
	echo scan >/sys/kernel/debug/kmemleak
	if grep -B 20 -A 20 '\[weft\]\|weft_' /sys/kernel/debug/kmemleak | sed 's/^/# /' | grep .; then
		echo "not ok - kmemleak (memory is lost)"
	else
		echo "ok - kmemleak"
	fi
fi
