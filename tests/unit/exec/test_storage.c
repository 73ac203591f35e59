// SPDX-License-Identifier: MIT
/* The storage tier by itself: what is written comes back, and what goes wrong is said. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cmocka.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "tier/checksum.h"
#include "tier/storage.h"
#include "weft/error.h"

#define PAGES 64
#define BYTES (PAGES * WEFT_STORAGE_ALIGN)

static char *memory;

static struct weft_storage *open_storage(const char *dir, const char *fault)
{
	struct weft_storage_options options = {
		.dir = dir,
		.bytes = BYTES,
		.memory = memory,
		.memory_bytes = BYTES,
		.keys = PAGES,
		.depth = 16,
		.fault = fault,
	};
	struct weft_storage *storage;

	if (weft_storage_open(&options, &storage))
		fail_msg("%s", weft_error());
	return storage;
}

static int finish(struct weft_storage *storage)
{
	uint64_t tag;
	int result = 0;

	while (!result && weft_storage_pending(storage))
		result = weft_storage_wait(storage, &tag);
	return result;
}

/* With O_DIRECT and io_uring, through the page cache (a tmpfs, where there is one), and without io_uring. */
static void round_trip(void **state)
{
	static const struct {
		const char *dir, *fault;
	} ways[] = {{"/tmp", ""}, {"/dev/shm", ""}, {"/tmp", "no-ring:1"}};

	(void)state;
	for (unsigned int way = 0; way < 3; way++) {
		struct weft_storage *storage;

		if (access(ways[way].dir, W_OK))
			continue;
		storage = open_storage(ways[way].dir, ways[way].fault);
		assert_true(!ways[way].fault[0] || weft_storage_note(storage));
		for (uint32_t i = 0; i < 8; i++) {
			memset(memory + i * WEFT_STORAGE_ALIGN, 'a' + (int)i, WEFT_STORAGE_ALIGN);
			assert_int_equal(weft_storage_write(storage, i, (7 - i) * WEFT_STORAGE_ALIGN,
							    memory + i * WEFT_STORAGE_ALIGN, 1000 + i, i),
					 0);
		}
		assert_int_equal(finish(storage), 0);
		memset(memory, 0, BYTES);
		for (uint32_t i = 0; i < 8; i++)
			assert_int_equal(weft_storage_read(storage, i, (7 - i) * WEFT_STORAGE_ALIGN,
							   memory + i * WEFT_STORAGE_ALIGN, 1000 + i, i),
					 0);
		assert_int_equal(finish(storage), 0);
		for (uint32_t i = 0; i < 8; i++)
			assert_int_equal(memory[i * WEFT_STORAGE_ALIGN + 999], 'a' + i);
		/* Another value's bytes are not taken for this one's. */
		assert_int_equal(weft_storage_read(storage, 3, 0, memory, 1003, 0), 0);
		assert_int_equal(finish(storage), -EBADMSG);
		weft_storage_close(storage);
	}
}

static void bounds(void **state)
{
	struct weft_storage *storage = open_storage("/tmp", "");

	(void)state;
	assert_int_equal(weft_storage_write(storage, 0, 1, memory, 10, 0), -EINVAL);
	assert_int_equal(weft_storage_write(storage, 0, BYTES, memory, 10, 0), -EINVAL);
	assert_int_equal(weft_storage_write(storage, 0, UINT64_MAX - WEFT_STORAGE_ALIGN + 1, memory, 10, 0), -EINVAL);
	assert_int_equal(weft_storage_write(storage, 0, 0, memory, BYTES + 1, 0), -EINVAL);
	assert_int_equal(weft_storage_read(storage, 0, 0, memory + BYTES - 8, 10, 0), -EINVAL);
	for (unsigned int i = 0; i < 16; i++)
		assert_int_equal(weft_storage_write(storage, i, i * WEFT_STORAGE_ALIGN, memory, 10, i), 0);
	assert_int_equal(weft_storage_write(storage, 0, 0, memory, 10, 0), -EBUSY);
	assert_int_equal(finish(storage), 0);
	weft_storage_close(storage);
}

static void watching(void **state)
{
	static const char *const ways[] = {"", "no-ring:1"};

	(void)state;
	for (unsigned int way = 0; way < 2; way++) {
		struct weft_storage *storage = open_storage("/tmp", ways[way]);
		uint64_t tag, one = 1;
		int fd = eventfd(0, EFD_NONBLOCK);

		assert_int_equal(weft_storage_watch(storage, fd, 77), 0);
		assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
		assert_int_equal(weft_storage_wait(storage, &tag), 0);
		assert_int_equal(tag, 77);
		assert_int_equal(weft_storage_wait(storage, &tag), -EINVAL);
		/* A watch that nothing answers does not keep the tier from closing. */
		assert_int_equal(read(fd, &one, sizeof(one)), sizeof(one));
		assert_int_equal(weft_storage_watch(storage, fd, 78), 0);
		weft_storage_close(storage);
		close(fd);
	}
}

static void refusals(void **state)
{
	struct weft_storage_options options = {.dir = "/tmp", .bytes = 1ull << 60, .memory = memory};
	struct weft_storage *storage;

	(void)state;
	assert_int_equal(weft_storage_open(&options, &storage), -ENOSPC);
	assert_null(storage);
	assert_non_null(strstr(weft_error(), "/tmp"));
	assert_non_null(strstr(weft_error(), "1152921504606846976"));
	options.bytes = BYTES;
	options.fault = "explode:3";
	assert_int_equal(weft_storage_open(&options, &storage), -EINVAL);
	options.fault = "corrupt:0";
	assert_int_equal(weft_storage_open(&options, &storage), -EINVAL);
	options.fault = "";
	options.dir = "/proc/self/status";
	assert_true(weft_storage_open(&options, &storage) < 0);
}

/* Whatever vectors the processor has: the executor also computes parts of it with the plain code. */
static void checksums(void **state)
{
	static const size_t lengths[] = {0, 1, 8, 17, 128, 240, 241, 1000, 4096, 65536, BYTES};

	(void)state;
	for (size_t i = 0; i < BYTES; i++)
		memory[i] = (char)(i * i >> 3);
	for (unsigned int i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		assert_int_equal(weft_storage_hash(memory, lengths[i]), XXH3_64bits(memory, lengths[i]));
}

/* More transfers than places: each takes the place of whichever has ended. */
static void full_queue(void **state)
{
	static const char *const faults[] = {"", "no-ring:1"};

	(void)state;
	for (unsigned int way = 0; way < 2; way++) {
		struct weft_storage *storage = open_storage("/tmp", faults[way]);
		uint64_t place;

		for (int write = 1; write >= 0; write--) {
			bool seen[PAGES] = {false};
			uint32_t ended = 0;

			for (uint32_t begun = 0; ended < PAGES; begun++) {
				char *at;

				place = begun;
				if (begun >= 16) {
					assert_int_equal(weft_storage_wait(storage, &place), 0);
					assert_false(seen[place]);
					seen[place] = true;
					ended++;
				}
				if (begun >= PAGES)
					continue;
				at = memory + begun * WEFT_STORAGE_ALIGN;
				memset(at, write ? (int)begun + 1 : 0, WEFT_STORAGE_ALIGN);
				assert_int_equal((write ? weft_storage_write(storage, begun, begun * WEFT_STORAGE_ALIGN,
									     at, WEFT_STORAGE_ALIGN, begun)
							: weft_storage_read(storage, begun, begun * WEFT_STORAGE_ALIGN,
									    at, WEFT_STORAGE_ALIGN, begun)),
						 0);
			}
			assert_int_equal(weft_storage_pending(storage), 0);
		}
		for (uint32_t i = 0; i < PAGES; i++)
			assert_int_equal(memory[i * WEFT_STORAGE_ALIGN + 4095], (char)(i + 1));
		weft_storage_close(storage);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip), cmocka_unit_test(bounds),	   cmocka_unit_test(watching),
		cmocka_unit_test(refusals),   cmocka_unit_test(checksums), cmocka_unit_test(full_queue),
	};
	int failed;

	memory = aligned_alloc(WEFT_STORAGE_ALIGN, BYTES);
	if (!memory)
		return 1;
	memset(memory, 0, BYTES);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(memory);
	return failed;
}
