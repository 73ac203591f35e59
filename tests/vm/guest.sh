#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tests/vm/guest.sh NAME: one test, in the guest.  BUILD names the build tree,
# MODEL a model, WEIGHTS the hash that training it on the embedded device gives.
set -eu
objects=/sys/kernel/debug/accel/0000:01:00.0/objects

no_objects() {
	sleep 0.3
	if grep -v ' 0$' $objects; then
		echo "objects are left"
		exit 1
	fi
}

train() { # arguments of weft train
	"$BUILD/bin/weft" train "$MODEL" --data generate:28x28x1,count=1000 --epochs 1 --batch 64 --json --quiet \
		--device /dev/accel/accel0 "$@" >/tmp/train.json
	grep -q "$WEIGHTS" /tmp/train.json || {
		echo "weights differ from the embedded device's"
		cat /tmp/train.json
		exit 1
	}
}

case $1 in
libaccel-*)
	WEFT_TEST_DEVICE=/dev/accel/accel0 "$BUILD/tests/unit/libaccel/test-accel-${1#libaccel-}"
	no_objects
	;;
train)
	train
	no_objects
	;;
train-storage)
	train --device-mem 9M --host-mem 1M --storage /mnt/disk:64M
	grep -q '"peak_storage_bytes":[[:space:]]*[1-9]' /tmp/train.json || { echo "storage was not used"; exit 1; }
	no_objects
	;;
module)
	for _ in $(seq 100); do
		rmmod weft
		insmod "$MODULE"
	done
	[ -c /dev/accel/accel0 ]
	;;
bind)
	# Under load: training runs lose their device again and again.
	cd /sys/bus/pci/drivers/weft
	for i in $(seq "${ROUNDS:-100}"); do
		if [ $((i % 4)) = 1 ]; then
			timeout 60 "$BUILD/bin/weft" train "$MODEL" --data generate:28x28x1,count=1000 --epochs 50 --quiet \
				--device /dev/accel/accel0 >/dev/null 2>&1 &
			sleep 1
		fi
		echo 0000:01:00.0 >unbind
		echo 0000:01:00.0 >bind
	done
	wait
	no_objects
	;;
kselftest)
	cd "$BUILD/tests/kselftest"
	for test in ./test_*[a-z]; do
		[ -f "$test" ] || continue
		$test || exit 1
	done
	no_objects
	;;
*)
	echo "no test $1"
	exit 1
	;;
esac
