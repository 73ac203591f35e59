#!/bin/sh
# SPDX-License-Identifier: MIT
# The library exports exactly what its map lists, and the map exactly what the headers declare.
# usage: symbols.sh LIBRARY MAP HEADER...
set -eu
fail=0
exported=$(nm -D --defined-only "$1" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort -u)
listed=$(sed -n 's/^[[:space:]]*\(accel_[a-z_]*\);$/\1/p' "$2" | sort -u)
shift 2
declared=$(grep -ohE '\baccel_[a-z_]+\(' "$@" | tr -d '(' | sort -u)
[ -n "$exported" ] && [ -n "$listed" ] && [ -n "$declared" ]
[ "$exported" = "$listed" ] || { echo "exported, but not listed, or the reverse:"; fail=1
	printf '%s\n%s\n' "$exported" "$listed" | sort | uniq -u; }
[ "$declared" = "$listed" ] || { echo "declared, but not listed, or the reverse:"; fail=1
	printf '%s\n%s\n' "$declared" "$listed" | sort | uniq -u; }
exit $fail
