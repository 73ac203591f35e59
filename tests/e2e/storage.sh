#!/bin/sh
# SPDX-License-Identifier: MIT
# Storage that is full, or that gives back other bytes than were written: a clear error, and the last checkpoint stands.
. "$(dirname "$0")/lib.sh"

"$WEFT_DEMO_MODEL" cnn "$work/cnn.onnx"
mkdir "$work/pages"
set -- "$work/cnn.onnx" --data generate:28x28x1,count=640 --epochs 50 --batch 64 --policy storage --out "$work/run" --checkpoint-every 2
device=$(least_device "$@" --storage "$work/pages:64M")
set -- "$@" --device-mem "$device" --storage "$work/pages:64M"

# Change bytes of the page file while training runs: the checksum of what is read must tell.
"$WEFT" train --quiet "$@" >"$work/out" 2>"$work/err" &
process=$!
tries=0
while [ ! -s "$work/run/checkpoint" ]; do
	tries=$((tries + 1))
	[ $tries -lt 600 ] || fail "no checkpoint after a minute: $(cat "$work/err")"
	sleep 0.1
done
file=
for fd in "/proc/$process/fd"/*; do
	case $(readlink "$fd") in
	"$work/pages"*) file=$fd ;;
	esac
done
[ -n "$file" ] || fail "no page file is open in $work/pages"
status=0
while kill -0 $process 2>/dev/null; do
	head -c 262144 /dev/urandom | dd of="$file" bs=4096 seek=$((tries % 200)) conv=notrunc 2>/dev/null || true
	tries=$((tries + 61))
	[ $tries -lt 20000 ] || fail "the page file was overwritten, and training went on"
done
wait $process || status=$?
[ $status = 1 ] || fail "a damaged page file ended with status $status, expected 1: $(cat "$work/err")"
grep -qi "checksum" "$work/err" || fail "a damaged page file: '$(cat "$work/err")' does not speak of a checksum"
echo "damaged page file: $(tail -n 1 "$work/err")"
"$WEFT" train --quiet "$@" --resume >"$work/out" 2>"$work/err" &
process=$!
sleep 2
kill -TERM $process
status=0
wait $process || status=$?
[ $status = 143 ] || fail "resume after the damage: status $status, expected 143: $(cat "$work/err")"

# Storage with less room than the budget says.
[ "$(id -u)" = 0 ] || skip "only root can mount a small file system to fill"
mkdir "$work/small"
mount -t tmpfs -o size=256k none "$work/small" 2>/dev/null || skip "no small file system can be mounted here"
trap 'umount "$work/small"; rm -rf "$work"' EXIT
sum=$(sha256sum <"$work/run/checkpoint")
status=0
"$WEFT" train --quiet "$work/cnn.onnx" --data generate:28x28x1,count=640 --epochs 50 --batch 64 --policy storage --out "$work/run" \
	--checkpoint-every 2 --resume --device-mem "$device" --storage "$work/small:64M" >"$work/out" 2>"$work/err" || status=$?
[ $status = 1 ] || fail "full storage ended with status $status, expected 1: $(cat "$work/err")"
grep -Eqi "free" "$work/err" || fail "full storage: '$(cat "$work/err")' does not speak of free space"
[ "$(sha256sum <"$work/run/checkpoint")" = "$sum" ] || fail "full storage: the checkpoint has changed"
echo "full storage: $(tail -n 1 "$work/err")"
