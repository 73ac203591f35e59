/* SPDX-License-Identifier: MIT */
/**
 * The storage tier: one page file, read and written through io_uring without a
 * copy (O_DIRECT, registered buffers) where kernel and file system allow it.
 *
 * Each stored value has a key, and a checksum that is kept in memory when it is
 * written and verified when it comes back.  The file has no name in the file
 * system and is gone with the process.
 *
 * Belongs to one thread at a time.
 */
#ifndef WEFT_TIER_STORAGE_H
#define WEFT_TIER_STORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Granule of offsets in the file and of transfers. */
#define WEFT_STORAGE_ALIGN 4096

struct weft_storage;

struct weft_storage_options {
	const char *dir;
	uint64_t bytes; /* of the page file, allocated at once */
	void *memory;	/* transfers go into and out of here; aligned to WEFT_STORAGE_ALIGN */
	size_t memory_bytes;
	uint32_t keys;	/* keys are below this */
	uint32_t depth; /* most transfers under way; 0: 64 */
	/**
	 * For tests: "KIND:N" lets the Nth transfer (from 1) of that kind go wrong.
	 * read-error and write-error: EIO; corrupt: the Nth read brings a flipped
	 * bit; truncate: the Nth read finds the file's end; full: the file
	 * cannot be allocated; no-ring: the kernel has no io_uring.  NULL: the environment's WEFT_STORAGE_FAULT, if
	 * set.
	 */
	const char *fault;
};

/**
 * -ENOSPC: the file system has not enough room (the sentence names the
 * directory, what is needed and what is free); -EINVAL: bad fault.
 */
int weft_storage_open(const struct weft_storage_options *options, struct weft_storage **storage);
/** Waits for transfers under way. */
void weft_storage_close(struct weft_storage *storage);

/** What is not as fast as it could be, and why, or NULL. */
const char *weft_storage_note(const struct weft_storage *storage);
uint64_t weft_storage_bytes(const struct weft_storage *storage);
/** Descriptor of the page file, which stays the tier's; for measurements of the same file by other means. */
int weft_storage_fd(const struct weft_storage *storage);

/**
 * Begin to write @bytes at @memory (inside the registered memory) as @key at
 * @offset of the file; whole granules are moved.  The memory must not change
 * until the transfer has ended.  @tag comes back from weft_storage_wait().
 */
int weft_storage_write(struct weft_storage *storage, uint32_t key, uint64_t offset, const void *memory, uint64_t bytes,
		       uint64_t tag);
/** Begin to read @key back. */
int weft_storage_read(struct weft_storage *storage, uint32_t key, uint64_t offset, void *memory, uint64_t bytes,
		      uint64_t tag);
/**
 * Transfers that have begun go to the kernel together, at the next
 * weft_storage_wait() or here at the latest.  -EIO and the like: the kernel takes none.
 */
int weft_storage_submit(struct weft_storage *storage);
/** Let weft_storage_wait() also return when the eventfd @fd is readable, with @tag; once. */
int weft_storage_watch(struct weft_storage *storage, int fd, uint64_t tag);
/**
 * Wait until a transfer ends or the watched descriptor is readable.
 * -EIO: the transfer failed; -EBADMSG: what was read is not what was written.
 * The sentence says which offset of which file; *tag is set in any case.
 */
int weft_storage_wait(struct weft_storage *storage, uint64_t *tag);
/** Transfers (and watches) that have begun and were not returned by weft_storage_wait(). */
uint32_t weft_storage_pending(const struct weft_storage *storage);

/**
 * For values larger than the memory at hand: the checksum of @key, which the
 * caller computes over several transfers, is set or returned here.  Such
 * transfers use the key WEFT_STORAGE_UNCHECKED.
 */
#define WEFT_STORAGE_UNCHECKED UINT32_MAX
uint64_t weft_storage_checksum(const struct weft_storage *storage, uint32_t key);
void weft_storage_set_checksum(struct weft_storage *storage, uint32_t key, uint64_t checksum);

#endif /* WEFT_TIER_STORAGE_H */
