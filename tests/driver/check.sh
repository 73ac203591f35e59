#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tests/driver/check.sh BUILD: the kernel driver builds without a finding of the compiler
# (W=1), sparse, kernel-doc and checkpatch --strict.  Prints TAP.
set -u
cd "$(dirname "$0")/../.." || exit 1
BUILD=$(realpath "$1")
tree=$BUILD/check-driver
kernel=$(make --no-print-directory --silent vm-kernel)
headers=/lib/modules/$kernel/build
failures=0

result() { # status number name findings
	local word=ok
	[ "$1" = 0 ] || { word="not ok"; failures=$((failures + 1)); }
	[ -z "$4" ] || sed 's/^/# /' <<<"$4"
	echo "$word $2 - $3"
}

copy_sources() { # to
	rm -rf "$1"
	mkdir -p "$1"
	git ls-files Kbuild driver uapi | tar -cf - -T - | tar -xf - -C "$1"
}

echo 1..3
if [ ! -e "$headers" ]; then
	echo "ok 1 - W=1, sparse # SKIP missing: kernel headers (Debian: linux-headers-amd64)"
elif ! command -v sparse >/dev/null; then
	echo "ok 1 - W=1, sparse # SKIP missing: sparse (Debian: sparse)"
else
	copy_sources "$tree"
	found=$(make -s -C "$headers" M="$tree" W=1 C=2 modules 2>&1)
	status=$?
	# Debian's kernels have no KUnit to link its tests with.
	mapfile -t objects < <(cd "$tree" && ls driver/weft_kunit*.c)
	found+=$(make -s -C "$headers" M="$tree" W=1 C=2 CONFIG_DRM_ACCEL_WEFT_KUNIT_TEST=y KCFLAGS=-DCONFIG_KUNIT=1 \
		"${objects[@]/%.c/.o}" 2>&1) || status=1
	found=$(grep -E '(warning|error):|rror [0-9]+' <<<"$found")
	[ -z "$found" ] || status=1
	result $status 1 "W=1, sparse" "$found"
fi

if [ -e "$headers/scripts/kernel-doc" ]; then
	mapfile -t files < <(git ls-files 'driver/*.[ch]' uapi/weft_hw.h uapi/drm)
	found=$(perl "$headers/scripts/kernel-doc" -none -Wall "${files[@]}" 2>&1)
	result "$([ -z "$found" ]; echo $?)" 2 kernel-doc "$found"
else
	echo "ok 2 - kernel-doc # SKIP missing: kernel headers (Debian: linux-headers-amd64)"
fi

# checkpatch comes with the kernel's source; it takes long to unpack, so it is kept.
source=$(find /usr/src -name 'linux-source-6.*.tar.xz' 2>/dev/null | sort -V | tail -n 1)
tool=$BUILD/checkpatch-$(basename "$source" .tar.xz)
if [ -z "$source" ]; then
	echo "ok 3 - checkpatch # SKIP missing: the kernel's source (Debian: linux-source-6.12)"
	exit $((failures != 0))
fi
if [ ! -e "$tool/checkpatch.pl" ]; then
	mkdir -p "$tool"
	tar -xf "$source" -C "$tool" --strip-components=2 --wildcards \
		'*/scripts/checkpatch.pl' '*/scripts/spelling.txt' '*/scripts/const_structs.checkpatch'
fi
found=
for file in $(git ls-files 'driver/*.[ch]' uapi/drm); do
	case $file in
	# The one file that looks at the kernel's version.
	*/weft_compat.h) ignore=LINUX_VERSION_CODE,CONSTANT_COMPARISON,MACRO_ARG_REUSE ;;
	# The form of every trace header in the kernel.
	*/weft_trace.h) ignore=OPEN_ENDED_LINE,PARENTHESIS_ALIGNMENT ;;
	# BIT() is the kernel's own.
	uapi/*) ignore=BIT_MACRO ;;
	*) ignore=NONE ;;
	esac
	found+=$(perl "$tool/checkpatch.pl" --strict --no-tree --terse --no-summary --max-line-length=120 \
		--ignore "$ignore" -f "$file" | grep .)$'\n'
done
found=$(grep . <<<"$found")
result "$([ -z "$found" ]; echo $?)" 3 "checkpatch --strict" "$found"
exit $((failures != 0))
