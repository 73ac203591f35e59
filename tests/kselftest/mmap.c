// SPDX-License-Identifier: MIT
/* Mappings of both kinds of memory, in each way in which mappings have gone wrong elsewhere. */
#include "kselftest_harness.h"
#include "weft_test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/uio.h>

#define PAGES 4

FIXTURE(mmap)
{
	struct weft w;
	struct weft_bo bo;
};

FIXTURE_VARIANT(mmap)
{
	uint32_t flags;
};

FIXTURE_VARIANT_ADD(mmap, host){.flags = 0};
FIXTURE_VARIANT_ADD(mmap, device){.flags = DRM_WEFT_BO_DEVICE};

FIXTURE_SETUP(mmap)
{
	if (!weft_node())
		SKIP(return, "no Weft node");
	ASSERT_EQ(0, weft_setup(&self->w));
	ASSERT_EQ(0, weft_bo_new_mapped(self->w.fd, PAGES * WEFT_PAGE, variant->flags, &self->bo));
	for (int i = 0; i < PAGES; i++)
		memset((char *)self->bo.memory + i * WEFT_PAGE, 'a' + i, WEFT_PAGE);
}

FIXTURE_TEARDOWN(mmap)
{
	weft_teardown(&self->w);
}

static char *map_pages(FIXTURE_DATA(mmap) * self, uint64_t first, uint64_t count, int protection, int flags)
{
	return mmap(NULL, count * WEFT_PAGE, protection, flags, self->w.fd, self->bo.offset + first * WEFT_PAGE);
}

TEST_F(mmap, private)
{
	/* Copies on write would be the device's no more. */
	EXPECT_EQ(MAP_FAILED, map_pages(self, 0, PAGES, PROT_READ | PROT_WRITE, MAP_PRIVATE));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, map_pages(self, 0, PAGES, PROT_READ, MAP_PRIVATE));
}

TEST_F(mmap, second_mapping)
{
	char *second = map_pages(self, 0, PAGES, PROT_READ, MAP_SHARED);

	ASSERT_NE(MAP_FAILED, second);
	((volatile char *)self->bo.memory)[17] = 'X';
	EXPECT_EQ('X', second[17]);
	munmap(second, PAGES * WEFT_PAGE);
	EXPECT_EQ('X', ((volatile char *)self->bo.memory)[17]);
}

TEST_F(mmap, part)
{
	char *part = map_pages(self, 0, 2, PROT_READ | PROT_WRITE, MAP_SHARED);

	ASSERT_NE(MAP_FAILED, part);
	EXPECT_EQ('a', part[0]);
	EXPECT_EQ('b', part[2 * WEFT_PAGE - 1]);
	part[WEFT_PAGE + 5] = 'Y';
	EXPECT_EQ('Y', ((volatile char *)self->bo.memory)[WEFT_PAGE + 5]);
	munmap(part, 2 * WEFT_PAGE);
	/* An offset names an object; none begins in the middle of one. */
	EXPECT_EQ(MAP_FAILED, map_pages(self, 2, 1, PROT_READ, MAP_SHARED));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(mmap, past_the_end)
{
	EXPECT_EQ(MAP_FAILED, map_pages(self, 0, PAGES + 1, PROT_READ, MAP_SHARED));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, map_pages(self, 1, PAGES, PROT_READ, MAP_SHARED));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, map_pages(self, PAGES, 1, PROT_READ, MAP_SHARED));
	EXPECT_EQ(MAP_FAILED, map_pages(self, 0, 1ull << 32, PROT_READ, MAP_SHARED));
}

TEST_F(mmap, offsets_of_nothing)
{
	const uint64_t offsets[] = {0, WEFT_PAGE, 1ull << 40, (1ull << 63) - WEFT_PAGE};

	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		EXPECT_EQ(MAP_FAILED, mmap(NULL, WEFT_PAGE, PROT_READ, MAP_SHARED, self->w.fd, offsets[i]));
	}
	weft_bo_unmap(&self->bo);
	weft_close_handle(self->w.fd, self->bo.handle);
	EXPECT_EQ(MAP_FAILED, map_pages(self, 0, 1, PROT_READ, MAP_SHARED));
}

TEST_F(mmap, dont_need_and_touch)
{
	char *memory = self->bo.memory;

	for (int round = 0; round < 3; round++) {
		ASSERT_EQ(0, madvise(memory, PAGES * WEFT_PAGE, MADV_DONTNEED) && errno != EINVAL);
		for (int i = 0; i < PAGES; i++)
			EXPECT_EQ('a' + i, ((volatile char *)memory)[i * WEFT_PAGE]);
	}
	ASSERT_EQ(0, madvise(memory + WEFT_PAGE, WEFT_PAGE, MADV_DONTNEED) && errno != EINVAL);
	memory[WEFT_PAGE] = 'Z';
	EXPECT_EQ('Z', ((volatile char *)memory)[WEFT_PAGE]);
}

/* Whatever the answer to advice is, the contents stay. */
TEST_F(mmap, advice)
{
	static const int advices[] = {MADV_FREE,	  MADV_REMOVE,	       MADV_COLD,	MADV_PAGEOUT,
				      MADV_HUGEPAGE,	  MADV_NOHUGEPAGE,     MADV_MERGEABLE,	MADV_WILLNEED,
				      MADV_POPULATE_READ, MADV_POPULATE_WRITE, MADV_SEQUENTIAL, MADV_DODUMP};

	for (size_t i = 0; i < ARRAY_SIZE(advices); i++) {
		madvise(self->bo.memory, PAGES * WEFT_PAGE, advices[i]);
		for (int page = 0; page < PAGES; page++) {
			EXPECT_EQ('a' + page, ((volatile char *)self->bo.memory)[page * WEFT_PAGE])
			{
				TH_LOG("after advice %d", advices[i]);
			}
		}
	}
}

TEST_F(mmap, remap)
{
	char *memory = self->bo.memory, *moved;
	void *place = mmap(NULL, 16 * WEFT_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	/* It does not grow, nor is it doubled. */
	EXPECT_EQ(MAP_FAILED, mremap(memory, PAGES * WEFT_PAGE, (PAGES + 4) * WEFT_PAGE, MREMAP_MAYMOVE));
	EXPECT_EQ(MAP_FAILED, mremap(memory, 0, PAGES * WEFT_PAGE, MREMAP_MAYMOVE));
	/* It moves, as a whole and in part. */
	ASSERT_NE(MAP_FAILED, place);
	moved = mremap(memory, PAGES * WEFT_PAGE, PAGES * WEFT_PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place);
	ASSERT_EQ(place, moved);
	for (int i = 0; i < PAGES; i++)
		EXPECT_EQ('a' + i, ((volatile char *)moved)[i * WEFT_PAGE]);
	place = moved + 8 * WEFT_PAGE;
	ASSERT_EQ(place, mremap(moved + 2 * WEFT_PAGE, WEFT_PAGE, WEFT_PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place));
	madvise(place, WEFT_PAGE, MADV_DONTNEED);
	EXPECT_EQ('c', *(volatile char *)place);
	EXPECT_EQ('b', ((volatile char *)moved)[WEFT_PAGE]);
	EXPECT_EQ('d', ((volatile char *)moved)[3 * WEFT_PAGE]);
	/* It shrinks. */
	EXPECT_EQ(moved, mremap(moved, 2 * WEFT_PAGE, WEFT_PAGE, 0));
	self->bo.memory = NULL;
}

TEST_F(mmap, unmap_the_middle)
{
	char *memory = self->bo.memory;

	ASSERT_EQ(0, munmap(memory + WEFT_PAGE, 2 * WEFT_PAGE));
	madvise(memory, WEFT_PAGE, MADV_DONTNEED);
	madvise(memory + 3 * WEFT_PAGE, WEFT_PAGE, MADV_DONTNEED);
	EXPECT_EQ('a', ((volatile char *)memory)[0]);
	EXPECT_EQ('d', ((volatile char *)memory)[3 * WEFT_PAGE]);
}

TEST_F(mmap, fork)
{
	volatile char *memory = self->bo.memory;
	pid_t pid = fork();
	int status;

	if (!pid) {
		bool good = memory[0] == 'a' && memory[3 * WEFT_PAGE] == 'd';

		memory[1] = 'F';
		/* The handle is the child's too; closing it does not take the parent's mapping. */
		weft_close_handle(self->w.fd, self->bo.handle);
		_exit(good ? 0 : 1);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ('F', memory[1]);
	memory[2] = 'G';
	EXPECT_EQ('G', memory[2]);
}

TEST_F(mmap, grandchild_keeps_it)
{
	volatile char *memory = self->bo.memory;
	int ready[2], status;
	char byte;
	pid_t pid;

	ASSERT_EQ(0, pipe(ready));
	pid = fork();
	if (!pid) {
		/* The parent's file, handle and mapping go; the child's mapping stays. */
		_exit(read(ready[0], &byte, 1) == 1 && memory[0] == 'a' ? 0 : 1);
	}
	weft_bo_free(self->w.fd, &self->bo);
	weft_teardown(&self->w);
	ASSERT_EQ(1, write(ready[1], "", 1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

static volatile sig_atomic_t faults;
static sigjmp_buf after_fault;

static void on_fault(int number)
{
	(void)number;
	faults = faults + 1;
	siglongjmp(after_fault, 1);
}

TEST_F(mmap, protect)
{
	volatile char *memory = self->bo.memory;
	struct sigaction action = {.sa_handler = on_fault};

	faults = 0;
	sigaction(SIGSEGV, &action, NULL);
	ASSERT_EQ(0, mprotect(self->bo.memory, WEFT_PAGE, PROT_NONE));
	if (!sigsetjmp(after_fault, 1))
		EXPECT_NE('a', memory[0]);
	EXPECT_EQ(1, faults);
	ASSERT_EQ(0, mprotect(self->bo.memory, WEFT_PAGE, PROT_READ));
	EXPECT_EQ('a', memory[0]);
	if (!sigsetjmp(after_fault, 1))
		memory[0] = 'P';
	EXPECT_EQ(2, faults);
	ASSERT_EQ(0, mprotect(self->bo.memory, WEFT_PAGE, PROT_READ | PROT_WRITE));
	EXPECT_EQ('a', memory[0]);
	memory[0] = 'P';
	EXPECT_EQ('P', memory[0]);
	EXPECT_EQ('b', memory[WEFT_PAGE]);
}

/* A mapping that was made for reading does not become one for writing where the file is not. */
TEST_F(mmap, read_only_file)
{
	char path[64];
	char *memory;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", self->w.fd);
	fd = open(weft_node(), O_RDONLY | O_CLOEXEC);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, weft_bo_new(fd, PAGES * WEFT_PAGE, variant->flags, &self->bo));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, WEFT_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, self->bo.offset));
	EXPECT_EQ(EACCES, errno);
	memory = mmap(NULL, WEFT_PAGE, PROT_READ, MAP_SHARED, fd, self->bo.offset);
	ASSERT_NE(MAP_FAILED, memory);
	EXPECT_NE(0, mprotect(memory, WEFT_PAGE, PROT_READ | PROT_WRITE));
	close(fd);
}

TEST_F(mmap, over_another)
{
	char *memory = self->bo.memory;
	struct weft_bo other;

	ASSERT_EQ(0, weft_bo_new(self->w.fd, WEFT_PAGE, variant->flags ^ DRM_WEFT_BO_DEVICE, &other));
	ASSERT_EQ(memory + WEFT_PAGE, mmap(memory + WEFT_PAGE, WEFT_PAGE, PROT_READ | PROT_WRITE,
					   MAP_SHARED | MAP_FIXED, self->w.fd, other.offset));
	EXPECT_EQ(0, ((volatile char *)memory)[WEFT_PAGE]);
	memory[WEFT_PAGE] = 'O';
	EXPECT_EQ('a', ((volatile char *)memory)[0]);
	EXPECT_EQ('c', ((volatile char *)memory)[2 * WEFT_PAGE]);
}

/* The kernel reaches host memory for others; device memory it does not, and says so. */
TEST_F(mmap, system_calls_on_it)
{
	struct iovec local, remote = {.iov_base = self->bo.memory, .iov_len = WEFT_PAGE};
	char copy[WEFT_PAGE];
	int fds[2];

	ASSERT_EQ(0, pipe(fds));
	/* Copies through the page tables work for both. */
	ASSERT_EQ(64, write(fds[1], self->bo.memory, 64));
	ASSERT_EQ(64, read(fds[0], (char *)self->bo.memory + WEFT_PAGE, 64));
	EXPECT_EQ('a', ((volatile char *)self->bo.memory)[WEFT_PAGE + 63]);
	local = (struct iovec){.iov_base = copy, .iov_len = WEFT_PAGE};
	if (variant->flags & DRM_WEFT_BO_DEVICE) {
		EXPECT_EQ(-1, process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
		EXPECT_EQ(EFAULT, errno);
		EXPECT_EQ(-1, vmsplice(fds[1], &remote, 1, 0));
	} else {
		EXPECT_EQ(WEFT_PAGE, process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
		EXPECT_EQ('a', copy[WEFT_PAGE - 1]);
		EXPECT_EQ(WEFT_PAGE, vmsplice(fds[1], &remote, 1, 0));
		/* The pipe has the page now, whatever happens to the object. */
		weft_bo_free(self->w.fd, &self->bo);
		EXPECT_EQ(WEFT_PAGE, read(fds[0], copy, WEFT_PAGE));
		EXPECT_EQ('a', copy[5]);
	}
	close(fds[0]);
	close(fds[1]);
}

TEST_F(mmap, locked)
{
	ASSERT_EQ(0, mlock(self->bo.memory, PAGES * WEFT_PAGE) && errno != ENOMEM && errno != EAGAIN);
	EXPECT_EQ('d', ((volatile char *)self->bo.memory)[3 * WEFT_PAGE]);
	munlock(self->bo.memory, PAGES * WEFT_PAGE);
}

TEST_F(mmap, populated)
{
	char *memory = map_pages(self, 0, PAGES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE);

	ASSERT_NE(MAP_FAILED, memory);
	EXPECT_EQ('d', ((volatile char *)memory)[3 * WEFT_PAGE]);
	munmap(memory, PAGES * WEFT_PAGE);
}

TEST_HARNESS_MAIN
