// SPDX-License-Identifier: MIT
#include "tier/storage.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "tier/checksum.h"
#include "weft/error.h"

#define DEFAULT_DEPTH 64
#define MOST_AT_ONCE (256u << 20) /* bytes of one request; larger transfers continue */
/* What was begun goes to the kernel without waiting for more when it is so much, or such a part of all places. */
#define SUBMIT_BYTES (1u << 20)
#define SUBMIT_SHARE 4

enum fault_kind {
	FAULT_NONE,
	FAULT_READ_ERROR,
	FAULT_WRITE_ERROR,
	FAULT_CORRUPT,
	FAULT_TRUNCATE,
	FAULT_FULL,
	FAULT_NO_RING
};

struct transfer {
	bool used, write, watch;
	bool done;  /* without io_uring: executed, not yet returned */
	int result; /* of a transfer without io_uring */
	uint32_t key;
	uint64_t offset, bytes, rounded, moved, tag;
	char *memory;
	int watched;
	uint64_t beyond; /* fault injection: where the file has no more bytes */
	bool faulty;	 /* the one that fault injection is for */
};

struct weft_storage {
	int fd;
	uint64_t bytes;
	char *memory;
	size_t memory_bytes;
	bool uring, fixed, fixed_file;
	struct io_uring ring;
	uint64_t begun_bytes; /* of requests that the kernel does not know of yet */
	struct transfer *transfer;
	uint32_t depth, pending;
	uint64_t *checksum;
	uint32_t keys;
	enum fault_kind fault;
	uint64_t fault_at, reads, writes;
	char place[PATH_MAX + 32]; /* for messages */
	char note[256];
};

static int parse_fault(struct weft_storage *storage, const char *text)
{
	static const struct {
		const char *name;
		enum fault_kind kind;
	} kinds[] = {
		{"read-error", FAULT_READ_ERROR},
		{"write-error", FAULT_WRITE_ERROR},
		{"corrupt", FAULT_CORRUPT},
		{"truncate", FAULT_TRUNCATE},
		{"full", FAULT_FULL},
		{"no-ring", FAULT_NO_RING},
	};

	if (!text || !*text)
		return 0;
	for (unsigned int i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t length = strlen(kinds[i].name);
		char *end;

		if (strncmp(text, kinds[i].name, length) || text[length] != ':')
			continue;
		storage->fault_at = strtoull(text + length + 1, &end, 10);
		if (*end || !storage->fault_at)
			break;
		storage->fault = kinds[i].kind;
		return 0;
	}
	return weft_fail(
		EINVAL,
		"WEFT_STORAGE_FAULT: '%s'; expected read-error, write-error, corrupt, truncate, full or no-ring, a "
		"colon and a count from 1",
		text);
}

/* The page file */

static int open_file(struct weft_storage *storage, const char *dir)
{
	char path[PATH_MAX];
	int flags;

	snprintf(storage->place, sizeof(storage->place), "page file in %s", dir);
	storage->fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (storage->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
		if (snprintf(path, sizeof(path), "%s/weft-pages-XXXXXX", dir) >= (int)sizeof(path))
			return weft_fail(ENAMETOOLONG, "storage directory '%s': the name is too long", dir);
		storage->fd = mkostemp(path, O_CLOEXEC);
		if (storage->fd >= 0)
			unlink(path);
	}
	if (storage->fd < 0)
		return weft_fail(errno,
				 "storage directory '%s': cannot make a page file: %s; give a directory that you "
				 "can write to",
				 dir, strerror(errno));
	flags = fcntl(storage->fd, F_GETFL);
	if (fcntl(storage->fd, F_SETFL, flags | O_DIRECT))
		snprintf(storage->note, sizeof(storage->note),
			 "the file system of %s refuses O_DIRECT (%s): storage goes through the page cache", dir,
			 strerror(errno));
	return 0;
}

static int no_room(const struct weft_storage *storage, const char *dir)
{
	struct statvfs fs = {.f_bavail = 0};

	fstatvfs(storage->fd, &fs);
	return weft_fail(
		ENOSPC,
		"storage directory '%s': the page file needs %llu bytes, but %llu are free; free some, or give "
		"another directory or a larger memory budget",
		dir, (unsigned long long)storage->bytes,
		(unsigned long long)fs.f_bavail * (unsigned long long)fs.f_frsize);
}

static int allocate_file(struct weft_storage *storage, const char *dir)
{
	struct statvfs fs;

	if (storage->fault == FAULT_FULL)
		return no_room(storage, dir);
	if (!storage->bytes)
		return 0;
	if (storage->bytes > INT64_MAX)
		return no_room(storage, dir);
	while (fallocate(storage->fd, 0, 0, (off_t)storage->bytes)) {
		if (errno == EINTR)
			continue;
		if (errno == ENOSPC || errno == EFBIG || errno == EDQUOT)
			return no_room(storage, dir);
		if (errno != EOPNOTSUPP)
			return weft_fail(errno, "storage directory '%s': cannot allocate %llu bytes: %s", dir,
					 (unsigned long long)storage->bytes, strerror(errno));
		/* A file system that cannot allocate: at least ask before, and write the whole file. */
		if (!fstatvfs(storage->fd, &fs) && storage->bytes / fs.f_frsize >= fs.f_bavail)
			return no_room(storage, dir);
		if (ftruncate(storage->fd, (off_t)storage->bytes))
			return weft_fail(errno, "storage directory '%s': cannot size the page file: %s", dir,
					 strerror(errno));
		break;
	}
	return 0;
}

static int init_ring(struct weft_storage *storage)
{
	int result;

	if (storage->fault == FAULT_NO_RING)
		return -ENOSYS;
	/* Completions wait until somebody asks for them, instead of interrupting; kernels before 5.19 cannot. */
	result = io_uring_queue_init(storage->depth, &storage->ring,
				     IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG);
	return result == -EINVAL ? io_uring_queue_init(storage->depth, &storage->ring, 0) : result;
}

static void open_ring(struct weft_storage *storage)
{
	struct iovec memory = {storage->memory, storage->memory_bytes};
	int result = init_ring(storage);

	if (result) {
		snprintf(storage->note, sizeof(storage->note),
			 "io_uring is not available (%s): storage transfers do not overlap with anything",
			 strerror(-result));
		return;
	}
	storage->uring = true;
	/* Where locked memory is limited, transfers work without registration. */
	storage->fixed = storage->memory_bytes && !io_uring_register_buffers(&storage->ring, &memory, 1);
	storage->fixed_file = !io_uring_register_files(&storage->ring, &storage->fd, 1);
}

int weft_storage_open(const struct weft_storage_options *options, struct weft_storage **out)
{
	struct weft_storage *storage = calloc(1, sizeof(*storage));
	int result;

	*out = NULL;
	if (!storage)
		return weft_fail(ENOMEM, "no memory for the storage tier");
	storage->fd = -1;
	storage->bytes = options->bytes;
	storage->memory = options->memory;
	storage->memory_bytes = options->memory_bytes;
	storage->depth = options->depth ? options->depth : DEFAULT_DEPTH;
	storage->keys = options->keys;
	storage->transfer = calloc(storage->depth, sizeof(*storage->transfer));
	storage->checksum = calloc((size_t)options->keys + 1, sizeof(*storage->checksum));
	if (!storage->transfer || !storage->checksum)
		result = weft_fail(ENOMEM, "no memory for the storage tier");
	else
		result = parse_fault(storage, options->fault ? options->fault : getenv("WEFT_STORAGE_FAULT"));
	if (!result)
		result = open_file(storage, options->dir);
	if (!result)
		result = allocate_file(storage, options->dir);
	if (result) {
		weft_storage_close(storage);
		return result;
	}
	open_ring(storage);
	*out = storage;
	return 0;
}

void weft_storage_close(struct weft_storage *storage)
{
	uint64_t tag;

	if (!storage)
		return;
	for (uint32_t i = 0; storage->transfer && i < storage->depth; i++)
		if (storage->transfer[i].used && storage->transfer[i].watch && storage->uring) {
			struct io_uring_sqe *sqe = io_uring_get_sqe(&storage->ring);

			if (sqe) {
				io_uring_prep_cancel(sqe, &storage->transfer[i], 0);
				io_uring_sqe_set_data(sqe, NULL);
			}
		}
	while (storage->uring && storage->pending)
		weft_storage_wait(storage, &tag);
	if (storage->uring)
		io_uring_queue_exit(&storage->ring);
	if (storage->fd >= 0)
		close(storage->fd);
	free(storage->transfer);
	free(storage->checksum);
	free(storage);
}

const char *weft_storage_note(const struct weft_storage *storage)
{
	return storage->note[0] ? storage->note : NULL;
}

uint64_t weft_storage_bytes(const struct weft_storage *storage)
{
	return storage->bytes;
}

int weft_storage_fd(const struct weft_storage *storage)
{
	return storage->fd;
}

uint32_t weft_storage_pending(const struct weft_storage *storage)
{
	return storage->pending;
}

uint64_t weft_storage_checksum(const struct weft_storage *storage, uint32_t key)
{
	return key < storage->keys ? storage->checksum[key] : 0;
}

void weft_storage_set_checksum(struct weft_storage *storage, uint32_t key, uint64_t checksum)
{
	if (key < storage->keys)
		storage->checksum[key] = checksum;
}

/* Transfers */

static int queue_request(struct weft_storage *storage, struct transfer *t)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&storage->ring);
	int fd = storage->fixed_file ? 0 : storage->fd;
	uint64_t left = t->rounded - t->moved;
	unsigned int bytes = left > MOST_AT_ONCE ? MOST_AT_ONCE : (unsigned int)left;
	char *memory = t->memory + t->moved;
	uint64_t offset = t->beyond ? t->beyond : t->offset + t->moved;

	if (!sqe) {
		io_uring_submit(&storage->ring);
		sqe = io_uring_get_sqe(&storage->ring);
	}
	if (!sqe)
		return weft_fail(EBUSY, "%s: io_uring takes no request", storage->place);
	if (t->watch)
		io_uring_prep_poll_add(sqe, t->watched, POLLIN);
	else if (t->write && storage->fixed)
		io_uring_prep_write_fixed(sqe, fd, memory, bytes, offset, 0);
	else if (t->write)
		io_uring_prep_write(sqe, fd, memory, bytes, offset);
	else if (storage->fixed)
		io_uring_prep_read_fixed(sqe, fd, memory, bytes, offset, 0);
	else
		io_uring_prep_read(sqe, fd, memory, bytes, offset);
	if (storage->fixed_file && !t->watch)
		io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
	io_uring_sqe_set_data(sqe, t);
	storage->begun_bytes += t->watch ? 0 : bytes;
	return 0;
}

static ssize_t move_now(struct weft_storage *storage, struct transfer *t)
{
	while (t->moved < t->rounded) {
		char *memory = t->memory + t->moved;
		size_t left = t->rounded - t->moved;
		off_t offset = (off_t)(t->beyond ? t->beyond : t->offset + t->moved);
		ssize_t n =
			t->write ? pwrite(storage->fd, memory, left, offset) : pread(storage->fd, memory, left, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		t->moved += (uint64_t)n;
	}
	return 1;
}

/* A read behind the end of the file ends as one of a truncated file does. */
static void inject_before(const struct weft_storage *storage, struct transfer *t)
{
	if (storage->fault == FAULT_TRUNCATE && !t->write && storage->reads == storage->fault_at)
		t->beyond = weft_storage_bytes(storage) + WEFT_STORAGE_ALIGN;
}

static int submit(struct weft_storage *storage)
{
	int result = 0;

	while (io_uring_sq_ready(&storage->ring) && result >= 0) {
		result = io_uring_submit(&storage->ring);
		if (result == -EINTR)
			result = 0;
	}
	storage->begun_bytes = 0;
	return result < 0 ? result : 0;
}

static int begin(struct weft_storage *storage, const struct transfer *request)
{
	struct transfer *t = NULL;
	int result = 0;

	for (uint32_t i = 0; i < storage->depth && !t; i++)
		if (!storage->transfer[i].used)
			t = &storage->transfer[i];
	if (!t)
		return weft_fail(EBUSY, "%s: %u transfers are under way, which is the most", storage->place,
				 storage->depth);
	*t = *request;
	if (!t->watch) {
		t->rounded = (t->bytes + WEFT_STORAGE_ALIGN - 1) / WEFT_STORAGE_ALIGN * WEFT_STORAGE_ALIGN;
		if (t->offset % WEFT_STORAGE_ALIGN || t->rounded > storage->bytes ||
		    t->offset > storage->bytes - t->rounded || t->memory < storage->memory ||
		    (size_t)(t->memory - storage->memory) > storage->memory_bytes ||
		    t->rounded > storage->memory_bytes - (size_t)(t->memory - storage->memory))
			return weft_fail(EINVAL, "%s: a transfer of %llu bytes at offset %llu is out of bounds",
					 storage->place, (unsigned long long)t->bytes, (unsigned long long)t->offset);
		if (t->write)
			storage->writes++;
		else
			storage->reads++;
		inject_before(storage, t);
	}
	if (storage->uring) {
		result = queue_request(storage, t);
	} else if (!t->watch) {
		t->result = (int)move_now(storage, t);
		t->done = true;
	}
	if (result)
		return result;
	/* Which transfer a fault is for is decided when it begins. */
	if (!t->watch && storage->fault != FAULT_NONE) {
		uint64_t count = t->write ? storage->writes : storage->reads;

		t->faulty = count == storage->fault_at;
	}
	t->used = true;
	storage->pending++;
	/* What does not go now goes when the next transfer is waited for, which also says what is wrong. */
	if (storage->uring && storage->begun_bytes >= SUBMIT_BYTES)
		submit(storage);
	/* The kernel is at work meanwhile. */
	if (t->write && t->key < storage->keys)
		storage->checksum[t->key] = weft_storage_hash(t->memory, t->bytes);
	return 0;
}

int weft_storage_write(struct weft_storage *storage, uint32_t key, uint64_t offset, const void *memory, uint64_t bytes,
		       uint64_t tag)
{
	struct transfer request = {
		.write = true, .key = key, .offset = offset, .memory = (char *)memory, .bytes = bytes, .tag = tag};

	return begin(storage, &request);
}

int weft_storage_read(struct weft_storage *storage, uint32_t key, uint64_t offset, void *memory, uint64_t bytes,
		      uint64_t tag)
{
	struct transfer request = {.key = key, .offset = offset, .memory = memory, .bytes = bytes, .tag = tag};

	return begin(storage, &request);
}

int weft_storage_submit(struct weft_storage *storage)
{
	int result = storage->uring ? submit(storage) : 0;

	return result ? weft_fail(-result, "%s: io_uring takes no request: %s", storage->place, strerror(-result)) : 0;
}

int weft_storage_watch(struct weft_storage *storage, int fd, uint64_t tag)
{
	struct transfer request = {.watch = true, .watched = fd, .tag = tag};

	return begin(storage, &request);
}

/* The transfer has moved all it can: judge it. */
static int conclude(struct weft_storage *storage, struct transfer *t, int error)
{
	const char *verb = t->write ? "write" : "read";

	if (t->faulty &&
	    ((t->write && storage->fault == FAULT_WRITE_ERROR) || (!t->write && storage->fault == FAULT_READ_ERROR)))
		error = EIO;
	if (error)
		return weft_fail(EIO, "%s: %s of %llu bytes at offset %llu failed: %s", storage->place, verb,
				 (unsigned long long)t->bytes, (unsigned long long)t->offset, strerror(error));
	if (t->moved < t->rounded)
		return weft_fail(EIO, "%s: %s of %llu bytes at offset %llu ended after %llu: the file was truncated",
				 storage->place, verb, (unsigned long long)t->bytes, (unsigned long long)t->offset,
				 (unsigned long long)t->moved);
	if (t->write || t->key >= storage->keys)
		return 0;
	if (t->faulty && storage->fault == FAULT_CORRUPT)
		t->memory[t->bytes / 2] ^= 1;
	if (weft_storage_hash(t->memory, t->bytes) != storage->checksum[t->key])
		return weft_fail(EBADMSG,
				 "%s: the %llu bytes at offset %llu are not those that were written (checksum "
				 "mismatch): the storage or its memory is faulty",
				 storage->place, (unsigned long long)t->bytes, (unsigned long long)t->offset);
	return 0;
}

static int wait_without_ring(struct weft_storage *storage, uint64_t *tag)
{
	for (unsigned int round = 0; round < 2; round++) {
		struct transfer *watch = NULL;

		for (uint32_t i = 0; i < storage->depth; i++) {
			struct transfer *t = &storage->transfer[i];

			if (t->used && t->watch)
				watch = t;
			if (!t->used || !t->done)
				continue;
			t->used = false;
			storage->pending--;
			*tag = t->tag;
			return t->watch ? 0 : conclude(storage, t, t->result < 0 ? -t->result : 0);
		}
		if (watch) {
			struct pollfd poller = {.fd = watch->watched, .events = POLLIN};

			while (poll(&poller, 1, -1) < 0 && errno == EINTR)
				;
			watch->done = true;
		}
	}
	return weft_fail(EINVAL, "%s: nothing to wait for", storage->place);
}

int weft_storage_wait(struct weft_storage *storage, uint64_t *tag)
{
	*tag = UINT64_MAX;
	if (!storage->uring)
		return wait_without_ring(storage, tag);
	while (storage->pending) {
		struct io_uring_cqe *cqe;
		struct transfer *t;
		int result = 0;

		/* What has ended already comes before a call to the kernel, unless that has much to begin. */
		if (!io_uring_cq_ready(&storage->ring) || storage->begun_bytes >= SUBMIT_BYTES ||
		    io_uring_sq_ready(&storage->ring) > storage->depth / SUBMIT_SHARE) {
			result = io_uring_submit_and_wait(&storage->ring, 1);
			storage->begun_bytes = 0;
		}
		if (result < 0 && result != -EINTR)
			return weft_fail(-result, "%s: waiting failed: %s", storage->place, strerror(-result));
		if (io_uring_peek_cqe(&storage->ring, &cqe))
			continue;
		t = io_uring_cqe_get_data(cqe);
		result = cqe->res;
		io_uring_cqe_seen(&storage->ring, cqe);
		if (!t)
			continue;
		*tag = t->tag;
		if (t->watch) {
			t->used = false;
			storage->pending--;
			return 0;
		}
		if (result > 0)
			t->moved += (uint64_t)result;
		/* Short, but on the way: go on where it stopped, if that is a place to go on from. */
		if (result == -EINTR || result == -EAGAIN ||
		    (result > 0 && t->moved < t->rounded && !(t->moved % WEFT_STORAGE_ALIGN))) {
			result = queue_request(storage, t);
			if (result)
				return result;
			continue;
		}
		t->used = false;
		storage->pending--;
		return conclude(storage, t, result < 0 ? -result : 0);
	}
	return weft_fail(EINVAL, "%s: nothing to wait for", storage->place);
}
