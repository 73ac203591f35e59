#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tests/driver/next.sh BUILD: the kernel driver compiles against the newest kernel headers
# that Debian has for a later release, and needs no symbol that that kernel does not have.
# The headers are unpacked in the build tree; nothing is installed.  Prints TAP.
#
# WEFT_NEXT_SUITE: the suite to look in (default: trixie-backports, then sid).
set -u
cd "$(dirname "$0")/../.." || exit 1
mkdir -p "$1/next/apt/lists/partial" "$1/next/apt/cache/archives/partial"
next=$(realpath "$1/next")
mirror=$(scripts/debian-source | cut -d ' ' -f 1)
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

skip() {
	echo "1..1"
	echo "ok 1 - newest kernel headers # SKIP $*"
	exit 0
}

[ -e "$keyring" ] || skip "missing: Debian's keys (Debian: debian-archive-keyring)"
[ -n "$mirror" ] || skip "no Debian source in /etc/apt"
cat >"$next/apt/apt.conf" <<APT
Dir::Etc::sourcelist "$next/apt/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "$next/apt/lists";
Dir::State::status "/dev/null";
Dir::Cache "$next/apt/cache";
APT::Sandbox::User "root";
APT
export APT_CONFIG=$next/apt/apt.conf
version=
for suite in ${WEFT_NEXT_SUITE:-trixie-backports sid}; do
	echo "deb [signed-by=$keyring] $mirror $suite main" >"$next/apt/sources.list"
	timeout 300 apt-get -qq update >"$next/apt.log" 2>&1 || continue
	version=$(apt-cache search --names-only '^linux-headers-[0-9].*-amd64$' | awk '{ print $1 }' |
		grep -vE -- '-(cloud|rt)-' | sed 's/^linux-headers-//; s/-amd64$//' | sort -V | tail -n 1)
	[ -z "$version" ] || break
done
[ -n "$version" ] || skip "no later suite of Debian can be reached: $(tail -n 1 "$next/apt.log")"

root=$next/$version
if [ ! -e "$root/complete" ]; then
	rm -rf "$root"
	mkdir -p "$root"
	(cd "$root" && apt-get -qq download "linux-headers-$version-amd64" "linux-headers-$version-common" \
		"linux-kbuild-$version") >"$next/apt.log" 2>&1 || skip "cannot fetch linux-headers-$version-amd64"
	for package in "$root"/*.deb; do
		dpkg -x "$package" "$root" || exit 1
		rm "$package"
	done
	sed -i "s|/usr/src/|$root/usr/src/|" "$root/usr/src/linux-headers-$version-amd64/Makefile"
	# Found out for Debian's compiler of then; an older one may not know the option.
	sed -i '/CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT/d' "$root/usr/src/linux-headers-$version-amd64/include/config/auto.conf"
	touch "$root/complete"
fi
headers=$root/usr/src/linux-headers-$version-amd64

rm -rf "$next/source"
mkdir -p "$next/source"
git ls-files Kbuild driver uapi | tar -cf - -T - | tar -xf - -C "$next/source"
# The module is compiled and linked, but not finished: objtool and modpost of those packages
# may need a later C library.  What modpost would say is looked up below.
found=$(make -C "$headers" M="$next/source" CC="${CC:-gcc}" CROSS_COMPILE= objtool=true driver/ 2>&1)
status=$?
found=$(grep -E '(warning|error): ' <<<"$found" | grep -v '^warning: pahole')
[ -z "$found" ] || status=1
if [ $status = 0 ]; then
	found=$(comm -23 <(nm -u "$next/source/driver/weft.o" | awk '{ print $2 }' | sort) \
		<(awk -F'\t' '{ print $2 }' "$headers/Module.symvers" | sort) | grep -vx __this_module)
	[ -z "$found" ] || { status=1 found="symbols that Linux $version does not export: $found"; }
fi
echo "1..1"
[ -z "$found" ] || sed 's/^/# /' <<<"$found"
[ $status = 0 ] && echo "ok 1 - Linux $version" || { echo "not ok 1 - Linux $version"; exit 1; }
