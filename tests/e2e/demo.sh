#!/bin/sh
# SPDX-License-Identifier: MIT
# The demonstration runs to its end within its budget, learns, uses every tier, and draws.
. "$(dirname "$0")/lib.sh"

mkdir -p "$work/build/bin"
ln -s "$WEFT" "$work/build/bin/weft"
ln -s "$WEFT_DEMO_MODEL" "$work/build/bin/weft-demo-model"
"$(dirname "$0")/../../scripts/demo" "$work/build" >"$work/log" 2>&1 || fail "$(cat "$work/log")"
accuracy=$(sed -n 's/^ *test accuracy *\([0-9.]*\) %$/\1/p' "$work/log")
expect "test accuracy" "$accuracy" '>=' 95
grep -q '^ *recomputed  *[1-9]' "$work/log" || fail "nothing recomputed: $(cat "$work/log")"
grep -q '^ *storage  *[0-9.]* [KM]iB of 64.0 MiB$' "$work/log" || fail "no storage used: $(cat "$work/log")"
head -c 300 "$work/build/demo/step.svg" | grep -q '<svg' || fail "no picture"
