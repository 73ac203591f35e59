# SPDX-License-Identifier: MIT
#
#	make driver		build driver/weft.ko for the guest's kernel
#	make vm			an interactive shell in a guest with the virtual NPU
#	make check-vm		the driver's tests, in guests (TESTS="name ...": only these)
#	make check-vm-debug	the same in a kernel with KASAN and lockdep, built from source
#	make bench-vm		submissions beside a bare doorbell, a disk and drm_sched (BOOTS=5)
#	make check-driver	the driver under W=1, sparse and checkpatch --strict
#	make check-driver-next	the driver against Debian's newest kernel headers
#	make dkms-deb		build/weft-dkms_VERSION_all.deb: the module for every kernel
#	make install-driver	the module for KERNEL, firmware and udev rule (DESTDIR)
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

VERSION = $(shell sed -n "s/^ *version: '\(.*\)',/\1/p" meson.build)

dkms-deb: build
	@scripts/setup dkms
	@packaging/dkms/build $(BUILD) $(VERSION)

install-driver: build driver
	$(MAKE) -C /lib/modules/$(KERNEL)/build M=$(CURDIR) INSTALL_MOD_PATH=$(DESTDIR) modules_install
	install -D -m 644 $(BUILD)/firmware/control/rv32/weft-fw.bin $(DESTDIR)/lib/firmware/weft/weft-fw.bin
	install -D -m 644 packaging/60-weft.rules $(DESTDIR)/lib/udev/rules.d/60-weft.rules

check-vm: setup-test try-setup-guest build
	@meson setup --reconfigure $(BUILD) -Dtests=enabled >/dev/null
	@$(MAKE) --no-print-directory build
	@scripts/check "tap:vm:tests/vm/check.sh $(BUILD) $(TESTS)"

# What the debug kernel is for: the driver's own tests, not what surrounds them.
DEBUG_TESTS = kunit libaccel-* train kselftest-* failures module bind misbehave-*

check-vm-debug: setup-test setup-vm
	@scripts/setup debug-kernel
	@meson setup --reconfigure $(BUILD) -Dtests=enabled >/dev/null
	@$(MAKE) --no-print-directory build
	@tools/vm/debug-kernel $(BUILD)
	@WEFT_VM_IMAGE=$(CURDIR)/$(BUILD)/debug-kernel/bzImage \
		WEFT_VM_MODULE=$(CURDIR)/$(BUILD)/debug-kernel/module/driver/weft.ko \
		scripts/check "tap:vm:tests/vm/check.sh $(BUILD) $(or $(TESTS),$(DEBUG_TESTS))"

bench-vm: build driver
	@tests/bench/vm/run.sh $(BUILD) $(BOOTS)

check-driver: setup-vm
	@mkdir -p $(BUILD)
	@scripts/check "tap:driver:tests/driver/check.sh $(BUILD)"

check-driver-next: setup-vm
	@mkdir -p $(BUILD)
	@scripts/check "tap:driver:tests/driver/next.sh $(BUILD)"

.PHONY: driver vm vm-kernel check-vm check-vm-debug check-driver check-driver-next setup-vm dkms-deb install-driver bench-vm
