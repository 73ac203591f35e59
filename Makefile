# SPDX-License-Identifier: MIT
#
# The front door: meson and ninja do the work, scripts/setup installs what is
# missing on Debian (SETUP=no: never).
#
#	make			build; then build/bin/weft runs in place
#	make demo		train within a memory that cannot hold the network
#	make check		every test; the last line counts them
#	make check-asan		the tests that fit under AddressSanitizer and UBSan
#	make check-onnx		ONNX's backend tests: nodes and models, one line each
#	make check-torch	gradients of exported networks beside PyTorch's
#	make fuzz		libFuzzer on TARGET (model or stream) for SECONDS
#	make bench		measurements
#	make bench-torch	a training step beside PyTorch's
#	make install		DESTDIR, prefix, libdir
#	make clean

BUILD ?= build
ASAN_BUILD ?= build-asan
prefix ?= /usr/local
JOBS ?= $(shell nproc)
export SETUP

MESON_SETUP = meson setup
LIBDIR = $(if $(libdir),-Dlibdir=$(libdir))

all: build

build: setup-build $(BUILD)/build.ninja
	@ninja -C $(BUILD) -j $(JOBS)
	@mkdir -p $(BUILD)/bin
	@ln -sf ../tools/weft/weft ../tools/models/weft-demo-model $(BUILD)/bin/

setup-build setup-test setup-bench setup-fuzz: setup-%:
	@scripts/setup $*

$(BUILD)/build.ninja: | setup-build
	@$(MESON_SETUP) $(BUILD) -Dprefix=$(prefix) $(LIBDIR)

$(ASAN_BUILD)/build.ninja: | setup-build setup-test
	@$(MESON_SETUP) $(ASAN_BUILD) -Dtests=enabled -Db_sanitize=address,undefined -Db_lundef=false

demo: build
	@scripts/demo $(BUILD)

# What the tests in guests need, before the build looks for compilers; where it
# cannot be had, those tests are skipped with the reason.
try-setup-guest:
	@scripts/setup vm dkms || true

check: setup-build setup-test try-setup-guest build $(ASAN_BUILD)/build.ninja
	@meson setup --reconfigure $(BUILD) -Dtests=enabled >/dev/null
	@$(MAKE) --no-print-directory build
	@ninja -C $(ASAN_BUILD) -j $(JOBS)
	@scripts/check $(BUILD) $(ASAN_BUILD):-house,-e2e "tap:driver:tests/driver/check.sh $(BUILD)" "tap:vm:tests/vm/check.sh $(BUILD)"

check-asan: $(ASAN_BUILD)/build.ninja
	@ninja -C $(ASAN_BUILD) -j $(JOBS)
	@scripts/check $(ASAN_BUILD)

check-onnx: setup-test build
	@meson configure $(BUILD) -Dtests=enabled
	@ninja -C $(BUILD) -j $(JOBS) tests/conformance/onnx-node
	@$(BUILD)/tests/conformance/onnx-node --scope tests/conformance/onnx-node.scope --least 780 --verbose node
	@$(BUILD)/tests/conformance/onnx-node --scope tests/conformance/onnx-models.scope --least 120 --verbose \
		pytorch-converted pytorch-operator simple

check-torch: setup-build setup-test setup-bench build
	@/usr/bin/python3 tests/conformance/torch_models.py $(BUILD)

fuzz: setup-build setup-fuzz build
	@scripts/fuzz $(BUILD) $(or $(TARGET),model) $(or $(SECONDS),60)

bench: setup-build setup-test setup-bench build
	@meson configure $(BUILD) -Dbench=enabled
	@$(MAKE) --no-print-directory build
	@meson test -C $(BUILD) --benchmark --verbose --num-processes 1

bench-torch: setup-build setup-test setup-bench build
	@/usr/bin/python3 tests/bench/torch/compare.py $(BUILD) --gradients $(NETWORKS)
	@/usr/bin/python3 tests/bench/torch/compare.py $(BUILD) $(NETWORKS)
	@/usr/bin/python3 tests/bench/torch/compare.py $(BUILD) --infer $(NETWORKS)

install: build
	@meson configure $(BUILD) -Dprefix=$(prefix) $(LIBDIR)
	@ninja -C $(BUILD) -j $(JOBS)
	@DESTDIR=$(DESTDIR) meson install -C $(BUILD) --no-rebuild

clean:
	rm -rf $(BUILD) $(ASAN_BUILD)

.PHONY: all build demo check check-asan check-onnx fuzz check-torch bench bench-torch install clean setup-build setup-test try-setup-guest setup-bench setup-fuzz

include tools/vm/vm.mk
