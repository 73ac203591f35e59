#!/bin/sh
# SPDX-License-Identifier: MIT
# Every tracked file says its licence, it is the one that its folder has, and LICENSES/ holds its text.
set -eu
cd "$(dirname "$0")/../.."
if ! git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
	echo "SKIP: not a git checkout, so the tracked files are not known"
	exit 77
fi

bad=0
complain() {
	echo "$1: $2" >&2
	bad=1
}

# Formats that cannot carry a comment; they are under the licence of README.md, MIT.
no_comment() {
	case $1 in
	LICENSES/* | */debian/copyright | */debian/source/format | tests/kselftest/settings | *.png | *.onnx | *.json | *.npy) return 0 ;;
	esac
	return 1
}

expected() {
	case $1 in
	uapi/*.h) echo '(GPL-2.0-only WITH Linux-syscall-note) OR MIT' ;;
	driver/* | Kbuild | tests/bench/vm/weft_bench.c | tests/bench/vm/Kbuild) echo 'GPL-2.0-only' ;;
	*.bpf.c | *.bpf.h) echo 'GPL-2.0-only OR BSD-2-Clause' ;;
	*) echo 'MIT' ;;
	esac
}

git ls-files >"${TMPDIR:-/tmp}/weft-licences.$$"
trap 'rm -f "${TMPDIR:-/tmp}/weft-licences.$$"' EXIT
while read -r file; do
	[ -f "$file" ] || continue
	no_comment "$file" && continue
	line=$(head -n 5 "$file" | grep -o 'SPDX-License-Identifier: .*' | head -n 1) || true
	if [ -z "$line" ]; then
		complain "$file" "no SPDX-License-Identifier in the first five lines"
		continue
	fi
	licence=$(echo "$line" | sed -e 's/SPDX-License-Identifier: *//' -e 's# *\*/ *$##' -e 's# *--> *$##')
	[ "$licence" = "$(expected "$file")" ] || complain "$file" "licence is '$licence', expected '$(expected "$file")'"
	for name in $(echo "$licence" | tr -d '()' | sed -e 's/ OR / /g' -e 's/ AND / /g' -e 's/ WITH / /g'); do
		[ -s "LICENSES/$name.txt" ] || complain "$file" "LICENSES/$name.txt is missing"
	done
done <"${TMPDIR:-/tmp}/weft-licences.$$"
exit $bad
