#!/bin/sh
# SPDX-License-Identifier: MIT
# The integer engine's code for aarch64, with and without dot products, against the reference, in an emulator.
set -eu
source=$(cd "$(dirname "$0")/../../.." && pwd)
: "${CROSS:=aarch64-linux-gnu-gcc}" "${EMULATOR:=qemu-aarch64}"
for tool in "$CROSS" "$EMULATOR"; do
	command -v "$tool" >/dev/null || { echo "SKIP: no $tool"; exit 77; }
done
work=$(mktemp -d "${TMPDIR:-/tmp}/weft-neon-XXXXXX")
trap 'rm -rf "$work"' EXIT
engine=$source/firmware/engine tests=$source/tests/unit/engine

compile() { # OBJECT SOURCE FLAGS...
	object=$1 file=$2
	shift 2
	"$CROSS" -std=gnu11 -O2 -Wall -Wextra -D_GNU_SOURCE -ffp-contract=off -fno-math-errno -fno-trapping-math \
		-I"$engine" -I"$source/uapi" -I"$tests" -I"$tests/cross" "$@" -c "$file" -o "$work/$object.o"
}
for kernel in kernels "$engine"/q*.c; do
	name=$(basename "$kernel" .c)
	compile "$name-scalar" "$engine/$name.c" -Werror -DWEFT_KERNEL_ISA=scalar
	compile "$name-neon" "$engine/$name.c" -Werror -DWEFT_KERNEL_ISA=neon -march=armv8.2-a+dotprod
done
for name in unit integer iterate; do
	compile "$name" "$engine/$name.c"
done
for name in op operand integer_reference; do
	compile "$name" "$tests/$name.c"
done
for test in test_integer_product test_integer_elements; do
	compile $test "$tests/$test.c"
	mv "$work/$test.o" "$work/$test"
	# The tables name kernels that are not needed here.
	"$CROSS" -static -pthread -Wl,--unresolved-symbols=ignore-all -x none "$work/$test" "$work"/*.o -lm -o "$work/run"
	"$EMULATOR" -cpu max "$work/run"
done
"${CROSS%gcc}objdump" -d "$work/run" | grep -q 'sdot' || { echo "no dot products in the code"; exit 1; }
# A processor without them has the scalar path alone, which is then the only one to be had.
"$EMULATOR" -cpu cortex-a53 "$work/run" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
