// SPDX-License-Identifier: MIT
#include "mmu.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define VA_BYTES (1ULL << WEFT_VA_BITS)
#define PAGES (VA_BYTES >> WEFT_HW_PAGE_SHIFT)
#define PAGE_OFFSET ((uint64_t)WEFT_HW_PAGE_BYTES - 1)

struct context {
	pthread_mutex_t lock; /* protects the mirror and its table; root changes only while no engine runs */
	uint64_t root;	      /* bus address, 0 if not attached */
	uint8_t *mirror;      /* VA_BYTES reserved */
	uint64_t *mirrored;   /* for each page, device offset + 1 that the mirror shows; sparse */
};

struct vnpu_mmu {
	const struct vnpu_memory *memory;
	struct context context[VNPU_CONTEXTS + 1];
};

int vnpu_mmu_new(const struct vnpu_memory *memory, struct vnpu_mmu **mmu)
{
	*mmu = calloc(1, sizeof(**mmu));
	if (!*mmu)
		return -ENOMEM;
	(*mmu)->memory = memory;
	for (unsigned int i = 0; i <= VNPU_CONTEXTS; i++)
		pthread_mutex_init(&(*mmu)->context[i].lock, NULL);
	return 0;
}

void vnpu_mmu_free(struct vnpu_mmu *mmu)
{
	if (!mmu)
		return;
	vnpu_mmu_detach_all(mmu);
	for (unsigned int i = 0; i <= VNPU_CONTEXTS; i++)
		pthread_mutex_destroy(&mmu->context[i].lock);
	free(mmu);
}

static struct context *find(struct vnpu_mmu *mmu, uint32_t number)
{
	if (!number || number > VNPU_CONTEXTS || !mmu->context[number].root)
		return NULL;
	return &mmu->context[number];
}

static void *reserve(uint64_t bytes, int protection)
{
	void *memory = mmap(NULL, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

bool vnpu_mmu_attach(struct vnpu_mmu *mmu, uint32_t number, uint64_t root)
{
	struct context *context;

	if (!number || number > VNPU_CONTEXTS || mmu->context[number].root || !root || root & PAGE_OFFSET ||
	    !vnpu_memory_bus(mmu->memory, root, WEFT_HW_PAGE_BYTES))
		return false;
	context = &mmu->context[number];
	context->mirror = reserve(VA_BYTES, PROT_NONE);
	context->mirrored = reserve(PAGES * sizeof(*context->mirrored), PROT_READ | PROT_WRITE);
	if (!context->mirror || !context->mirrored) {
		if (context->mirror)
			munmap(context->mirror, VA_BYTES);
		if (context->mirrored)
			munmap(context->mirrored, PAGES * sizeof(*context->mirrored));
		return false;
	}
	context->root = root;
	return true;
}

void vnpu_mmu_detach(struct vnpu_mmu *mmu, uint32_t number)
{
	struct context *context = find(mmu, number);

	if (!context)
		return;
	munmap(context->mirror, VA_BYTES);
	munmap(context->mirrored, PAGES * sizeof(*context->mirrored));
	context->mirror = NULL;
	context->mirrored = NULL;
	context->root = 0;
}

void vnpu_mmu_detach_all(struct vnpu_mmu *mmu)
{
	for (uint32_t i = 1; i <= VNPU_CONTEXTS; i++)
		vnpu_mmu_detach(mmu, i);
}

/*
 * A walk: where it is, and the last table it read from, since neighbouring pages
 * mostly share that.  It lives no longer than one access.
 */
struct walk {
	const struct vnpu_memory *memory;
	uint64_t root;
	const uint64_t *table; /* of the last level, NULL if none yet */
	uint64_t table_base;   /* first address that it translates */
};

/* Translate one page.  *entry has the page's own address, also inside a 2 MiB entry. */
static uint32_t walk_page(struct walk *walk, uint64_t address, uint64_t *entry)
{
	uint64_t table_address = walk->root, pte = 0;

	if (address >= VA_BYTES)
		return WEFT_FAULT_UNMAPPED;
	if (walk->table && address - walk->table_base < 1ULL << WEFT_PT_SHIFT(1)) {
		pte = walk->table[address >> WEFT_HW_PAGE_SHIFT & (WEFT_PT_ENTRIES - 1)];
		goto last;
	}
	walk->table = NULL;
	for (unsigned int level = 0; level < WEFT_PT_LEVELS; level++) {
		const uint64_t *table = vnpu_memory_bus(walk->memory, table_address, WEFT_HW_PAGE_BYTES);

		if (!table)
			return WEFT_FAULT_UNMAPPED;
		pte = __atomic_load_n(&table[address >> WEFT_PT_SHIFT(level) & (WEFT_PT_ENTRIES - 1)],
				      __ATOMIC_ACQUIRE);
		if (!(pte & WEFT_PTE_VALID))
			return WEFT_FAULT_UNMAPPED;
		if (level == 1 && pte & WEFT_PTE_LEAF) {
			*entry = pte + (address & ((1ULL << WEFT_PT_SHIFT(1)) - 1) & ~PAGE_OFFSET);
			return WEFT_FAULT_NONE;
		}
		if (level == WEFT_PT_LEVELS - 1) {
			walk->table = table;
			walk->table_base = address & ~((1ULL << WEFT_PT_SHIFT(1)) - 1);
		}
		table_address = pte & WEFT_PTE_ADDRESS;
	}
last:
	if (!(pte & WEFT_PTE_VALID) || !(pte & WEFT_PTE_LEAF))
		return WEFT_FAULT_UNMAPPED;
	*entry = pte;
	return WEFT_FAULT_NONE;
}

/* The bytes of a page that an entry names; NULL if it names none. */
static uint8_t *page_of(const struct vnpu_memory *memory, uint64_t entry)
{
	uint64_t address = entry & WEFT_PTE_ADDRESS;

	if (entry & WEFT_PTE_HOST)
		return vnpu_memory_bus(memory, address, WEFT_HW_PAGE_BYTES);
	if (address >= memory->device_bytes)
		return NULL;
	return memory->bar + memory->control_bytes + address;
}

static uint32_t check_entry(const struct vnpu_memory *memory, uint64_t entry, uint32_t access)
{
	if (!page_of(memory, entry))
		return WEFT_FAULT_UNMAPPED;
	if (access & VNPU_WRITE && !(entry & WEFT_PTE_WRITE))
		return WEFT_FAULT_PERMISSION;
	if (!!(access & VNPU_HOST) != !!(entry & WEFT_PTE_HOST))
		return WEFT_FAULT_PERMISSION;
	return WEFT_FAULT_NONE;
}

uint32_t vnpu_mmu_check(struct vnpu_mmu *mmu, uint32_t number, uint64_t address, uint64_t bytes, uint32_t access,
			uint64_t *failed)
{
	struct context *context = find(mmu, number);
	struct walk walk = {.memory = mmu->memory};
	uint64_t end, entry;

	*failed = address;
	if (!context || __builtin_add_overflow(address, bytes, &end) || end > VA_BYTES)
		return WEFT_FAULT_UNMAPPED;
	walk.root = context->root;
	for (uint64_t page = address & ~PAGE_OFFSET; page < end; page += WEFT_HW_PAGE_BYTES) {
		uint32_t reason = walk_page(&walk, page, &entry);

		if (!reason)
			reason = check_entry(mmu->memory, entry, access);
		if (reason) {
			*failed = page;
			return reason;
		}
	}
	return WEFT_FAULT_NONE;
}

/* A run of neighbouring pages that are neighbours in device memory too. */
struct run {
	uint64_t page, offset, bytes;
};

static bool mirror_run(struct vnpu_mmu *mmu, struct context *context, struct run *run)
{
	uint64_t file = mmu->memory->control_bytes + run->offset;

	if (!run->bytes)
		return true;
	if (mmap(context->mirror + run->page, run->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		 mmu->memory->bar_fd, (off_t)file) == MAP_FAILED)
		return false;
	for (uint64_t i = 0; i < run->bytes; i += WEFT_HW_PAGE_BYTES)
		context->mirrored[(run->page + i) >> WEFT_HW_PAGE_SHIFT] = run->offset + i + 1;
	run->bytes = 0;
	return true;
}

uint32_t vnpu_mmu_pointer(struct vnpu_mmu *mmu, uint32_t number, uint64_t address, uint64_t bytes, uint32_t access,
			  void **pointer, uint64_t *failed)
{
	struct context *context = find(mmu, number);
	struct walk walk = {.memory = mmu->memory};
	struct run run = {0};
	uint32_t reason = WEFT_FAULT_NONE;
	uint64_t end, entry;

	*failed = address;
	if (!context || __builtin_add_overflow(address, bytes, &end) || end > VA_BYTES)
		return WEFT_FAULT_UNMAPPED;
	walk.root = context->root;
	pthread_mutex_lock(&context->lock);
	for (uint64_t page = address & ~PAGE_OFFSET; page < end; page += WEFT_HW_PAGE_BYTES) {
		uint64_t offset;

		reason = walk_page(&walk, page, &entry);
		if (!reason)
			reason = check_entry(mmu->memory, entry, access & ~VNPU_HOST);
		if (reason) {
			*failed = page;
			break;
		}
		offset = entry & WEFT_PTE_ADDRESS;
		if (context->mirrored[page >> WEFT_HW_PAGE_SHIFT] == offset + 1)
			continue;
		if (run.bytes && run.page + run.bytes == page && run.offset + run.bytes == offset) {
			run.bytes += WEFT_HW_PAGE_BYTES;
			continue;
		}
		if (!mirror_run(mmu, context, &run)) {
			reason = WEFT_FAULT_ENGINE;
			break;
		}
		run = (struct run){.page = page, .offset = offset, .bytes = WEFT_HW_PAGE_BYTES};
	}
	if (!mirror_run(mmu, context, &run) && !reason)
		reason = WEFT_FAULT_ENGINE;
	pthread_mutex_unlock(&context->lock);
	*pointer = context->mirror + address;
	return reason;
}

/* Pages that are neighbours in memory too are copied in one piece: a large copy is faster than its parts. */
struct piece {
	uint8_t *memory, *local;
	uint64_t bytes;
};

static void copy_piece(struct piece *piece, uint32_t access)
{
	if (!piece->bytes)
		return;
	if (access & VNPU_WRITE)
		memcpy(piece->memory, piece->local, piece->bytes);
	else
		memcpy(piece->local, piece->memory, piece->bytes);
	piece->memory += piece->bytes;
	piece->local += piece->bytes;
	piece->bytes = 0;
}

uint32_t vnpu_mmu_copy(struct vnpu_mmu *mmu, uint32_t number, uint64_t address, uint64_t bytes, uint32_t access,
		       void *local, uint64_t *failed)
{
	struct context *context = find(mmu, number);
	struct walk walk = {.memory = mmu->memory};
	struct piece piece = {.local = local};
	uint32_t reason = WEFT_FAULT_NONE;
	uint64_t end, entry;

	*failed = address;
	if (!context || __builtin_add_overflow(address, bytes, &end) || end > VA_BYTES)
		return WEFT_FAULT_UNMAPPED;
	walk.root = context->root;
	while (address < end) {
		uint64_t part = WEFT_HW_PAGE_BYTES - (address & PAGE_OFFSET);
		uint8_t *memory;

		reason = walk_page(&walk, address & ~PAGE_OFFSET, &entry);
		if (!reason)
			reason = check_entry(mmu->memory, entry,
					     (access & VNPU_WRITE) | (entry & WEFT_PTE_HOST ? VNPU_HOST : 0));
		if (reason) {
			*failed = address;
			break;
		}
		if (part > end - address)
			part = end - address;
		memory = page_of(mmu->memory, entry) + (address & PAGE_OFFSET);
		if (memory != piece.memory + piece.bytes) {
			copy_piece(&piece, access);
			piece.memory = memory;
		}
		piece.bytes += part;
		address += part;
	}
	copy_piece(&piece, access);
	return reason;
}
