#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tests/bench/vm/run.sh BUILD [BOOTS]: submissions in the guest beside what they are
# measured against, in turns in each boot; prints the medians of all boots.
set -eu
cd "$(dirname "$0")/../../.."
build=$(realpath "$1") boots=${2:-5}
kernel=$(make --no-print-directory --silent vm-kernel)
make --no-print-directory -C "/lib/modules/$kernel/build" M="$PWD/tests/bench/vm" modules >/dev/null
work=$(mktemp -d)
echo_pid=
trap 'kill $echo_pid 2>/dev/null || true; rm -rf "$work"' EXIT

for boot in $(seq "$boots"); do
	"$build/tests/bench/vm/vm-echo" "$work/echo" &
	echo_pid=$!
	while [ ! -S "$work/echo" ]; do sleep 0.1; done
	tools/vm/run --build "$build" --kernel "$kernel" --disk 64M --cpus "${CPUS:-2}" \
		--qemu "-chardev socket,id=echo,path=$work/echo -device ivshmem-doorbell,chardev=echo,vectors=2" -- \
		sh -c "insmod '$PWD/tests/bench/vm/weft_bench.ko' && '$build/tests/bench/vm/vm-bench'" |
		tr -d '\r' | tee "$work/line" >&2
	cat "$work/line" >>"$work/figures"
	kill $echo_pid 2>/dev/null || true
	wait $echo_pid 2>/dev/null || true
done
awk -v boots="$boots" '
{ for (i = 1; i < NF; i += 2) value[$i, ++count[$i]] = $(i + 1) }
function median(name,  n, i, j, t, v) {
	n = count[name]
	for (i = 1; i <= n; i++) v[i] = value[name, i]
	for (i = 2; i <= n; i++)
		for (j = i; j > 1 && v[j] < v[j - 1]; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
	return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
}
# The ratio within a boot is what counts: the machine differs from boot to boot.
function ratio(a, b,  i) {
	for (i = 1; i <= count[a]; i++) value["ratio", i] = value[a, i] / value[b, i]
	count["ratio"] = count[a]
	return median("ratio")
}
function row(what, figure, unit, to, r, aim) {
	printf "%-34s %10.1f %-5s  %-28s %6.2f  %s\n", what, figure, unit, to, r, aim
}
END {
	printf "%-34s %16s  %-28s %6s  %s\n", "medians of " boots " boots", "", "beside", "ratio", "aim"
	row("no-op job, submit to complete", median("noop") / 1e3, "us", "doorbell round trip", ratio("noop", "doorbell"), "<= 1.6")
	row("  waiting for a timeline syncobj", median("noop-timeline") / 1e3, "us", "doorbell round trip", ratio("noop-timeline", "doorbell"), "")
	row("  waiting for a binary syncobj", median("noop-binary") / 1e3, "us", "doorbell round trip", ratio("noop-binary", "doorbell"), "")
	row("", median("noop") / 1e3, "us", "virtio-blk read, 4 KiB", ratio("noop", "disk"), "<= 0.4")
	row("", median("noop") / 1e3, "us", "drm_sched job, mock device", ratio("noop", "sched"), "")
	row("doorbell round trip", median("doorbell") / 1e3, "us", "virtio-blk read, 4 KiB", ratio("doorbell", "disk"), "")
	row("no-op jobs, queued", 1e6 / median("queued"), "k/s", "drm_sched jobs, queued", 1 / ratio("queued", "queued-sched"), ">= 0.8")
	row("DMA host to device", median("dma-in") / 1e9, "GB/s", "copy in the device", ratio("dma-in", "copy"), ">= 0.9")
	row("DMA device to host", median("dma-out") / 1e9, "GB/s", "copy in the device", ratio("dma-out", "copy"), ">= 0.9")
	printf "%-34s %10.1f us\n", "virtio-blk read, 4 KiB, O_DIRECT", median("disk") / 1e3
	printf "%-34s %10.1f us\n", "drm_sched job, mock device", median("sched") / 1e3
	printf "%-34s %10.1f k/s\n", "drm_sched jobs, queued", 1e6 / median("queued-sched")
	printf "%-34s %10.1f GB/s\n", "copy in the device", median("copy") / 1e9
}' "$work/figures"
echo "in the device, from doorbell to interrupt (processor time):"
"$build/tests/bench/vm/vm-firmware" "$build/firmware/control/rv32/weft-fw.bin"
