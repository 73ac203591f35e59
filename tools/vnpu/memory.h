/* SPDX-License-Identifier: MIT */
/**
 * The memories that the virtual NPU reaches: BAR 2 (mailbox, rings, firmware area,
 * device memory) and the guest's RAM, by bus address.
 */
#ifndef WEFT_VNPU_MEMORY_H
#define WEFT_VNPU_MEMORY_H

#include <stdbool.h>
#include <stdint.h>
#include <weft_hw.h>

struct vnpu_memory {
	int bar_fd;
	uint8_t *bar;
	uint64_t bar_bytes;	/* a power of two, as PCI wants it */
	uint64_t control_bytes; /* of the bar that are not device memory */
	uint64_t device_bytes;
	int ram_fd;
	uint8_t *ram;
	uint64_t ram_bytes;
	uint64_t ram_low_bytes; /* of the guest's RAM below 4 GiB; the rest starts there */
};

/**
 * Create BAR 2 for @device_bytes of device memory, and map the guest's RAM from
 * @ram_path, a file of QEMU's memory-backend-file; NULL: no RAM.  Returns 0 or a
 * negative errno value after a message on standard error.
 */
int vnpu_memory_init(struct vnpu_memory *memory, uint64_t device_bytes, const char *ram_path);
void vnpu_memory_release(struct vnpu_memory *memory);
/** The bytes at a bus address; NULL where they are not wholly RAM.  @bytes is at most 4 GiB. */
void *vnpu_memory_bus(const struct vnpu_memory *memory, uint64_t address, uint64_t bytes);
static inline struct weft_hw_mailbox *vnpu_mailbox(const struct vnpu_memory *memory)
{
	return (struct weft_hw_mailbox *)memory->bar;
}

/* Layout of the part of BAR 2 before device memory. */
#define VNPU_REQUEST_OFFSET 4096u
#define VNPU_REQUEST_ENTRIES 256u
#define VNPU_FIRMWARE_OFFSET (64u << 10)
#define VNPU_FIRMWARE_BYTES (512u << 10)
#define VNPU_CONTROL_BYTES (1u << 20)

#endif /* WEFT_VNPU_MEMORY_H */
