// SPDX-License-Identifier: MIT
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * QEMU's q35 machine puts this much RAM below 4 GiB: all, unless there is more than
 * 0xb0000000, then 2 GiB.
 */
static uint64_t q35_low_bytes(uint64_t ram_bytes)
{
	return ram_bytes >= 0xb0000000u ? 0x80000000u : ram_bytes;
}

static int map_ram(struct vnpu_memory *memory, const char *path)
{
	struct stat status;
	int err;

	memory->ram_fd = open(path, O_RDWR | O_CLOEXEC);
	if (memory->ram_fd < 0 || fstat(memory->ram_fd, &status) < 0) {
		err = -errno;
		fprintf(stderr, "vnpu: cannot open guest memory %s: %s\n", path, strerror(-err));
		return err;
	}
	memory->ram_bytes = (uint64_t)status.st_size;
	memory->ram_low_bytes = q35_low_bytes(memory->ram_bytes);
	memory->ram = mmap(NULL, memory->ram_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory->ram_fd, 0);
	if (memory->ram == MAP_FAILED) {
		err = -errno;
		memory->ram = NULL;
		fprintf(stderr, "vnpu: cannot map guest memory %s: %s\n", path, strerror(-err));
		return err;
	}
	return 0;
}

int vnpu_memory_init(struct vnpu_memory *memory, uint64_t device_bytes, const char *ram_path)
{
	uint64_t bar_bytes = 1 << 20;
	int err;

	memset(memory, 0, sizeof(*memory));
	memory->ram_fd = -1;
	memory->control_bytes = VNPU_CONTROL_BYTES;
	memory->device_bytes = device_bytes;
	while (bar_bytes < memory->control_bytes + device_bytes)
		bar_bytes <<= 1;
	memory->bar_bytes = bar_bytes;
	memory->bar_fd = memfd_create("weft-bar2", MFD_CLOEXEC);
	if (memory->bar_fd < 0 || ftruncate(memory->bar_fd, (off_t)bar_bytes) < 0)
		goto fail;
	memory->bar = mmap(NULL, bar_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory->bar_fd, 0);
	if (memory->bar == MAP_FAILED) {
		memory->bar = NULL;
		goto fail;
	}
	if (ram_path) {
		err = map_ram(memory, ram_path);
		if (err)
			goto release;
	}
	return 0;
fail:
	err = -errno;
	fprintf(stderr, "vnpu: cannot make %llu bytes of device memory: %s\n", (unsigned long long)bar_bytes,
		strerror(-err));
release:
	vnpu_memory_release(memory);
	return err;
}

void vnpu_memory_release(struct vnpu_memory *memory)
{
	if (memory->ram)
		munmap(memory->ram, memory->ram_bytes);
	if (memory->ram_fd >= 0)
		close(memory->ram_fd);
	if (memory->bar)
		munmap(memory->bar, memory->bar_bytes);
	if (memory->bar_fd >= 0)
		close(memory->bar_fd);
	memory->ram = memory->bar = NULL;
	memory->ram_fd = memory->bar_fd = -1;
}

void *vnpu_memory_bus(const struct vnpu_memory *memory, uint64_t address, uint64_t bytes)
{
	uint64_t offset, room;

	if (address < memory->ram_low_bytes) {
		offset = address;
		room = memory->ram_low_bytes - address;
	} else if (address >= 1ULL << 32 && address - (1ULL << 32) < memory->ram_bytes - memory->ram_low_bytes) {
		offset = address - (1ULL << 32) + memory->ram_low_bytes;
		room = memory->ram_bytes - offset;
	} else {
		return NULL;
	}
	return bytes <= room ? memory->ram + offset : NULL;
}
