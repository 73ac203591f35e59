#!/bin/sh
# SPDX-License-Identifier: MIT
# The control core compiles freestanding for RV32IMC, and links with nothing but memcpy and memset.
# usage: rv32.sh COMPILER DIRECTORY UAPI SOURCE...
set -eu
cc=$1 dir=$(mktemp -d "$2/rv32.XXXXXX") uapi=$3
trap 'rm -rf "$dir"' EXIT
shift 3
"$cc" -march=rv32imc -mabi=ilp32 -ffreestanding -nostdlib -O2 -Wall -Wextra -Werror -I"$uapi" \
	-Wl,-r -o "$dir/core.o" "$@"
missing=$("${cc%gcc}nm" -u "$dir/core.o" | grep -vwE 'memcpy|memset' || true)
[ -z "$missing" ] || { echo "the core needs: $missing"; exit 1; }
"${cc%gcc}size" "$dir/core.o"
