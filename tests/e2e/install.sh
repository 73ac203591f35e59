#!/bin/sh
# SPDX-License-Identifier: MIT
# What is installed is whole: a program builds against it through pkg-config and runs, and the
# libraries export exactly what their maps list.
# Usage: install.sh BUILD
. "$(dirname "$0")/lib.sh"

source=$(cd "$(dirname "$0")/../.." && pwd)
# A copy of the build's install step into an empty root.
DESTDIR=$work/root meson install -C "$1" --no-rebuild --quiet >"$work/log" 2>&1 || fail "meson install: $(cat "$work/log")"
prefix=$(find "$work/root" -name weft -path '*/bin/weft' | sed 's#/bin/weft$##')
[ -n "$prefix" ] || fail "no bin/weft"
libraries=$(dirname "$(find "$prefix" -name libweft.so.0)")
for file in bin/weft include/weft/session.h include/accel/accel.h include/weft_isa.h include/accel/model.h include/weft/deploy.h share/man/man1/weft.1; do
	[ -e "$prefix/$file" ] || [ -e "$prefix/$file.gz" ] || fail "$file is not installed"
done
cat >"$work/program.c" <<'PROGRAM'
#include <stdio.h>
#include <weft/error.h>
#include <weft/train.h>

int main(void)
{
	struct weft_model *model;
	struct accel_device *device;

	if (accel_device_open("embedded:mem=1M", &device) || weft_model_load("/nonexistent", &model) == 0)
		return 1;
	accel_device_unref(device);
	return puts(weft_error()) < 0;
}
PROGRAM
export PKG_CONFIG_PATH="$libraries/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$work/root"
if [ -z "${WEFT_SANITIZED:-}" ]; then
	# shellcheck disable=SC2046 # flags
	cc -Wall -Werror "$work/program.c" -o "$work/program" $(pkg-config --cflags --libs libweft libaccel) ||
		fail "a program does not build against what is installed"
	LD_LIBRARY_PATH=$libraries "$work/program" >"$work/out" || fail "a program does not run with what is installed"
	grep -q nonexistent "$work/out" || fail "the program's error is lost: $(cat "$work/out")"
	LD_LIBRARY_PATH=$libraries "$prefix/bin/weft" --version >/dev/null || fail "the installed weft does not run"
fi
for pair in runtime/libweft.map:libweft.so libaccel/libaccel.map:libaccel.so; do
	sed -n 's/^[[:space:]]*\([a-z][a-z_0-9]*\);.*/\1/p' "$source/${pair%:*}" | sort >"$work/listed"
	nm -D --defined-only "$libraries/${pair#*:}" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort >"$work/exported"
	diff "$work/listed" "$work/exported" || fail "${pair#*:} exports other symbols than its map lists"
done
echo "installed files, symbols and a program"
