/* SPDX-License-Identifier: MIT */
/**
 * Address translation of the virtual NPU.
 *
 * Every access walks the context's page table in the guest's memory; nothing is
 * cached between accesses, so that a stale or missing entry shows as a fault.
 *
 * Engines want a tensor as one range of this process's addresses, while its pages
 * may lie anywhere in device memory.  So each context has a mirror: a reservation
 * of the size of its address space in which each device page that a command
 * touches is mapped at its device virtual address.  The walk compares the entry
 * with the one that the mirror was made from and maps the page anew if it differs.
 * Host pages are not mirrored (they are scattered, and mappings are limited):
 * they are reached in runs by vnpu_mmu_copy().
 */
#ifndef WEFT_VNPU_MMU_H
#define WEFT_VNPU_MMU_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "memory.h"

enum vnpu_access {
	VNPU_READ = 0,
	VNPU_WRITE = 1 << 0,
	/** Host memory is meant; without it, device memory. */
	VNPU_HOST = 1 << 1,
};

/** Contexts at once: their mirrors take half of this process's 2^47 bytes of addresses. */
#define VNPU_CONTEXTS 128

struct vnpu_mmu;

int vnpu_mmu_new(const struct vnpu_memory *memory, struct vnpu_mmu **mmu);
void vnpu_mmu_free(struct vnpu_mmu *mmu);

/** Make @context (1 to VNPU_CONTEXTS) known.  False: out of range, known already, root not in RAM, no memory. */
bool vnpu_mmu_attach(struct vnpu_mmu *mmu, uint32_t context, uint64_t root);
void vnpu_mmu_detach(struct vnpu_mmu *mmu, uint32_t context);
void vnpu_mmu_detach_all(struct vnpu_mmu *mmu);

/** Walk the range.  Returns enum weft_fault and, on a fault, the first address that failed. */
uint32_t vnpu_mmu_check(struct vnpu_mmu *mmu, uint32_t context, uint64_t address, uint64_t bytes, uint32_t access,
			uint64_t *failed);
/** Walk a range of device memory and give it as one range of this process. */
uint32_t vnpu_mmu_pointer(struct vnpu_mmu *mmu, uint32_t context, uint64_t address, uint64_t bytes, uint32_t access,
			  void **pointer, uint64_t *failed);
/**
 * Walk a range of either tier and copy it to @local (without VNPU_WRITE) or from
 * it.  VNPU_HOST is not looked at.
 */
uint32_t vnpu_mmu_copy(struct vnpu_mmu *mmu, uint32_t context, uint64_t address, uint64_t bytes, uint32_t access,
		       void *local, uint64_t *failed);

#endif /* WEFT_VNPU_MMU_H */
