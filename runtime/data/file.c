// SPDX-License-Identifier: MIT
/* Files of data sets: plain, or inflated once into an unlinked temporary file. */
#include "dataset.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "weft/error.h"

#define CHUNK 65536

/* A file without a name, in $TMPDIR or /tmp. */
static int temporary_file(const char *for_what)
{
	const char *directory = getenv("TMPDIR");
	char path[512];
	int fd;

	if (!directory || !*directory)
		directory = "/tmp";
	fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;
	snprintf(path, sizeof(path), "%s/weft-data-XXXXXX", directory);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return weft_fail(errno,
				 "%s: no temporary file in %s to inflate it into (%m): set TMPDIR to a directory that "
				 "can be written",
				 for_what, directory);
	unlink(path);
	return fd;
}

static int write_all(int fd, const void *data, size_t bytes, const char *for_what)
{
	const char *at = data;

	while (bytes) {
		ssize_t done = write(fd, at, bytes);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return weft_fail(errno,
					 "%s: writing its inflated form to a temporary file: %m: set TMPDIR to a "
					 "directory with more room",
					 for_what);
		at += done;
		bytes -= (size_t)done;
	}
	return 0;
}

static int inflate_into(gzFile in, struct weft_data_file *file, uint64_t most)
{
	unsigned char *chunk = malloc(CHUNK);
	int result = 0, got;

	if (!chunk)
		return weft_fail(ENOMEM, "%s: out of memory", file->path);
	while ((got = gzread(in, chunk, CHUNK)) > 0) {
		file->bytes += (uint64_t)got;
		if (file->bytes > most) {
			result = weft_fail(EFBIG,
					   "%s: more than %llu bytes when inflated, which no data set of this kind has",
					   file->path, (unsigned long long)most);
			break;
		}
		result = write_all(file->fd, chunk, (size_t)got, file->path);
		if (result)
			break;
	}
	if (!result) {
		int error;
		const char *message = gzerror(in, &error);

		/* A file that ends inside a deflate block is only noticed as Z_BUF_ERROR. */
		if (error == Z_BUF_ERROR)
			result =
				weft_fail(EINVAL, "%s: truncated: the compressed data ends early; fetch the file again",
					  file->path);
		else if (got < 0 || error < 0)
			result = weft_fail(EINVAL, "%s: damaged compressed data: %s; fetch the file again", file->path,
					   message);
	}
	free(chunk);
	return result;
}

static int open_compressed(struct weft_data_file *file, int fd, uint64_t most)
{
	gzFile in;
	int result;

	file->fd = temporary_file(file->path);
	if (file->fd < 0) {
		result = file->fd;
		close(fd);
		return result;
	}
	in = gzdopen(fd, "rb");
	if (!in) {
		close(fd);
		result = weft_fail(ENOMEM, "%s: out of memory", file->path);
	} else {
		result = inflate_into(in, file, most);
		gzclose(in);
	}
	if (result)
		weft_data_file_close(file);
	return result;
}

int weft_data_file_open(struct weft_data_file *file, const char *directory, const char *name, uint64_t most)
{
	static const char *const suffix[] = {"", ".gz"};
	struct stat status;
	int fd = -1;
	size_t i;

	memset(file, 0, sizeof(*file));
	file->fd = -1;
	for (i = 0; i < 2; i++) {
		int length = snprintf(file->path, sizeof(file->path), "%s/%s%s", directory, name, suffix[i]);

		if (length < 0 || (size_t)length >= sizeof(file->path))
			return weft_fail(ENAMETOOLONG, "%.64s...: the path is longer than %zu bytes", directory,
					 sizeof(file->path));
		fd = open(file->path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0)
			break;
		if (errno != ENOENT && errno != ENOTDIR)
			return weft_fail(errno, "%s: %m", file->path);
	}
	if (fd < 0)
		return -ENOENT;
	if (fstat(fd, &status) || !S_ISREG(status.st_mode)) {
		close(fd);
		return weft_fail(EINVAL, "%s: not a regular file", file->path);
	}
	if (i == 1)
		return open_compressed(file, fd, most);
	file->fd = fd;
	file->bytes = (uint64_t)status.st_size;
	return 0;
}

void weft_data_file_close(struct weft_data_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
}

int weft_data_file_read(const struct weft_data_file *file, uint64_t offset, void *data, size_t bytes)
{
	char *to = data;

	while (bytes) {
		ssize_t done = pread(file->fd, to, bytes, (off_t)offset);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return weft_fail(errno, "%s: reading at byte %llu: %m", file->path, (unsigned long long)offset);
		if (!done)
			return weft_fail(EINVAL, "%s: truncated: it ends before byte %llu", file->path,
					 (unsigned long long)(offset + bytes));
		to += done;
		offset += (uint64_t)done;
		bytes -= (size_t)done;
	}
	return 0;
}
