#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tests/vm/dkms.sh BUILD KERNEL: the DKMS package has what it must, and DKMS builds the
# module from it, in trees of its own.
set -eu
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
make --no-print-directory dkms-deb BUILD="$1" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
deb=$(tail -n 1 "$work/log")
version=$(dpkg-deb -f "$deb" Version)
files=$(dpkg-deb -c "$deb" | awk '{ print $6 }')
for file in lib/firmware/weft/weft-fw.bin lib/udev/rules.d/60-weft.rules "usr/src/weft-$version/dkms.conf" \
	"usr/src/weft-$version/Kbuild" "usr/src/weft-$version/uapi/drm/weft_accel.h"; do
	grep -qx "./$file" <<<"$files" || { echo "the package lacks $file"; exit 1; }
done
if grep -E '\.(o|ko|cmd|mod)$|\.mod\.c$' <<<"$files"; then
	echo "the package has what a build left"
	exit 1
fi
dpkg-deb --ctrl-tarfile "$deb" | tar -xO ./postinst | grep -q dkms || { echo "its postinst does not call DKMS"; exit 1; }

dpkg-deb -x "$deb" "$work/root"
mkdir "$work/tree"
dkms build --dkmstree "$work/tree" --sourcetree "$work/root/usr/src" -m weft -v "$version" -k "$2" >"$work/log" 2>&1 ||
	{ cat "$work/log" "$work/tree/weft/$version/build/make.log"; exit 1; }
module=$(find "$work/tree/weft/$version/$2" -name 'weft.ko*')
[ -n "$module" ] || { echo "DKMS built no module"; exit 1; }
modinfo -F alias "$module" | grep -q '^pci:v00001AF4d00001110' || { echo "the module does not ask for the device"; exit 1; }
modinfo -F firmware "$module" | grep -q . || { echo "the module does not name its firmware"; exit 1; }
