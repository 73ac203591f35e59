# SPDX-License-Identifier: MIT
#
#	make driver		build driver/weft.ko for the guest's kernel
#	make vm			an interactive shell in a guest with the virtual NPU
#	make check-vm		the driver's tests, in guests (TESTS="name ...": only these)
#	make check-driver	the driver under W=1, sparse and checkpatch --strict
#	make check-driver-next	the driver against Debian's newest kernel headers
#
# KERNEL: a Debian kernel version with headers installed.

# The newest with DRM accel; asked for when it is needed, as setup may install it.
KERNEL ?= $(shell cd /boot && ls -v config-* | xargs -r grep -l '^CONFIG_DRM_ACCEL=y' | sed -n '$$s/^config-//p')

setup-vm:
	@scripts/setup vm

vm-kernel:
	@echo $(KERNEL)

driver: setup-vm
	@$(MAKE) --no-print-directory -C /lib/modules/$(KERNEL)/build M=$(CURDIR) modules

vm: build driver
	@tools/vm/run --build $(BUILD) --kernel $(KERNEL)

check-vm: setup-test build
	@meson configure $(BUILD) -Dtests=enabled
	@$(MAKE) --no-print-directory build
	@scripts/check "tap:vm:tests/vm/check.sh $(BUILD) $(TESTS)"

check-driver: setup-vm
	@mkdir -p $(BUILD)
	@scripts/check "tap:driver:tests/driver/check.sh $(BUILD)"

check-driver-next: setup-vm
	@mkdir -p $(BUILD)
	@scripts/check "tap:driver:tests/driver/next.sh $(BUILD)"

.PHONY: driver vm vm-kernel check-vm check-driver check-driver-next setup-vm
