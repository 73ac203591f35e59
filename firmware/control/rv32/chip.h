/* SPDX-License-Identifier: MIT */
/** Access to the chip's registers and to the window on BAR 2; see soc.h. */
#ifndef WEFT_CONTROL_RV32_CHIP_H
#define WEFT_CONTROL_RV32_CHIP_H

#include <stdint.h>
#include <weft_hw.h>

#include "soc.h"

static inline uint32_t chip_read(uint32_t offset)
{
	return *(volatile uint32_t *)(SOC_REGISTERS + offset);
}

static inline void chip_write(uint32_t offset, uint32_t value)
{
	*(volatile uint32_t *)(SOC_REGISTERS + offset) = value;
}

/* The low word latches the high one. */
static inline uint64_t chip_read64(uint32_t offset)
{
	uint32_t low = chip_read(offset);

	return low | (uint64_t)chip_read(offset + 4) << 32;
}

static inline void chip_write64(uint32_t offset, uint64_t value)
{
	chip_write(offset, (uint32_t)value);
	chip_write(offset + 4, (uint32_t)(value >> 32));
}

static inline uint64_t chip_time(void)
{
	return chip_read64(SOC_TIME);
}

/* The mailbox, which the host can change at any moment: read a field once. */
#define CHIP_MAILBOX ((volatile struct weft_hw_mailbox *)(uintptr_t)SOC_WINDOW)

/* Copy between the core's memory and @address of @context, or a bus address where that is 0.  Returns enum weft_fault.
 */
static inline uint32_t chip_copy(uint32_t direction, void *local, uint32_t bytes, uint32_t context, uint64_t address)
{
	chip_write(SOC_COPY_LOCAL, (uint32_t)(uintptr_t)local);
	chip_write(SOC_COPY_BYTES, bytes);
	chip_write64(SOC_COPY_ADDRESS, address);
	chip_write(SOC_COPY_CONTEXT, context);
	__asm__ volatile("" ::: "memory"); /* the copy engine sees memory as it is now */
	chip_write(SOC_COPY_START, direction);
	__asm__ volatile("" ::: "memory");
	return chip_read(SOC_COPY_STATUS);
}

static inline uint32_t chip_mmu(uint32_t command, uint32_t context, uint64_t address, uint64_t bytes, uint32_t access)
{
	chip_write(SOC_MMU_CONTEXT, context);
	chip_write64(SOC_MMU_ADDRESS, address);
	chip_write64(SOC_MMU_BYTES, bytes);
	chip_write(SOC_MMU_ACCESS, access);
	chip_write(SOC_MMU_COMMAND, command);
	return chip_read(SOC_MMU_STATUS);
}

static inline _Noreturn void chip_halt(uint32_t code)
{
	chip_write(SOC_HALT, code);
	for (;;)
		;
}

/* What was written before is visible to the host before what follows is read. */
static inline void chip_fence(void)
{
	__asm__ volatile("fence" ::: "memory");
}

static inline void chip_wait(void)
{
	__asm__ volatile("wfi" ::: "memory");
}

#endif /* WEFT_CONTROL_RV32_CHIP_H */
