# SPDX-License-Identifier: MIT
#
#	make driver		build driver/weft.ko for the guest's kernel
#	make vm			an interactive shell in a guest with the virtual NPU
#	make check-vm		the driver's tests, in guests (TESTS="name ...": only these)
#
# KERNEL: a Debian kernel version with headers installed.

KERNEL ?= $(shell ls -v /boot 2>/dev/null | sed -n 's/^vmlinuz-//p' | tail -n 1)

setup-vm:
	@scripts/setup vm

driver: setup-vm
	@$(MAKE) --no-print-directory -C /lib/modules/$(KERNEL)/build M=$(CURDIR) modules

vm: build driver
	@tools/vm/run --build $(BUILD) --kernel $(KERNEL)

check-vm: setup-test build driver
	@meson configure $(BUILD) -Dtests=enabled
	@$(MAKE) --no-print-directory build
	@tests/vm/check.sh $(BUILD) $(TESTS)

.PHONY: driver vm check-vm setup-vm
