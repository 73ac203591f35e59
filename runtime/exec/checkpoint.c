// SPDX-License-Identifier: MIT
/*
 * Checkpoints.  The file, little-endian:
 *
 *	header		struct header, with a checksum of itself
 *	note		header.note_bytes, then their checksum
 *	values		each: its bytes in the layout of memory, then their checksum
 *
 * in the graph's order, without gaps.  The header's fingerprint covers names,
 * kinds, types, dims and strides of all values, so a checkpoint of another graph
 * is not mistaken for one of this.  Checksums are XXH3, 64 bits.
 *
 * Loading verifies the whole file before it changes anything.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "exec/session_internal.h"
#include "weft/error.h"

#define MAGIC 0x54504b4354464557u /* "WEFTCKPT" */
#define VERSION 1
#define MOST_NOTE_BYTES (64u << 20)

struct header {
	uint64_t magic;
	uint32_t version;
	uint32_t values;
	uint64_t fingerprint;
	uint64_t steps;
	uint64_t note_bytes;
	uint64_t file_bytes;
	uint64_t checksum; /* of what is before it */
};

static uint64_t fingerprint(const struct weft_graph *graph, uint32_t *values, uint64_t *bytes)
{
	uint64_t hash = 0;

	*values = 0;
	*bytes = 0;
	for (weft_id v = 0; v < graph->values; v++) {
		const struct weft_value *value = &graph->value[v];
		uint64_t shape[2 + 2 * WEFT_MAX_RANK] = {0};

		if (!weft_value_is_kept(graph, v))
			continue;
		shape[0] =
			htole64((uint64_t)value->kind << 16 | (uint64_t)value->layout.type << 8 | value->layout.rank);
		for (unsigned int i = 0; i < value->layout.rank; i++) {
			shape[1 + 2 * i] = htole64(value->layout.dims[i]);
			shape[2 + 2 * i] = htole64((uint64_t)(int64_t)value->layout.strides[i]);
		}
		hash = XXH3_64bits_withSeed(value->name, strlen(value->name), hash);
		hash = XXH3_64bits_withSeed(shape, sizeof(shape), hash);
		++*values;
		*bytes += value->bytes + sizeof(uint64_t);
	}
	return hash;
}

/* Files */

static int write_all(int fd, const void *data, size_t bytes)
{
	const char *at = data;

	while (bytes) {
		ssize_t n = write(fd, at, bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += n;
		bytes -= (size_t)n;
	}
	return 0;
}

static int write_checked(int fd, const void *data, size_t bytes)
{
	uint64_t checksum = htole64(XXH3_64bits(data, bytes));
	int result = write_all(fd, data, bytes);

	return result ? result : write_all(fd, &checksum, sizeof(checksum));
}

static int read_all(int fd, const char *path, void *data, size_t bytes)
{
	char *at = data;

	while (bytes) {
		ssize_t n = read(fd, at, bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return weft_fail(errno, "checkpoint '%s': %s", path, strerror(errno));
		if (!n)
			return weft_fail(EINVAL, "checkpoint '%s' is truncated", path);
		at += n;
		bytes -= (size_t)n;
	}
	return 0;
}

static int read_checked(int fd, const char *path, const char *what, void *data, size_t bytes)
{
	uint64_t checksum;
	int result = read_all(fd, path, data, bytes);

	if (!result)
		result = read_all(fd, path, &checksum, sizeof(checksum));
	if (!result && le64toh(checksum) != XXH3_64bits(data, bytes))
		result = weft_fail(EINVAL, "checkpoint '%s' is damaged: the checksum of %s is wrong", path, what);
	return result;
}

static int sync_directory(const char *path)
{
	char copy[PATH_MAX];
	int fd, result = 0;

	snprintf(copy, sizeof(copy), "%s", path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* Some file systems cannot; their renames are as durable as they get. */
	if (fsync(fd) && errno != EINVAL)
		result = -errno;
	close(fd);
	return result;
}

/* Saving */

static int save_values(struct weft_session *session, int fd)
{
	const struct weft_graph *graph = session->graph;

	for (weft_id v = 0; v < graph->values; v++) {
		void *data;
		int result;

		if (!weft_value_is_kept(graph, v))
			continue;
		data = malloc(graph->value[v].bytes);
		if (!data)
			return weft_fail(ENOMEM, "no memory to save '%s'", graph->value[v].name);
		result = weft_executor_read(session->executor, v, data);
		if (!result) {
			result = write_checked(fd, data, graph->value[v].bytes);
			if (result)
				weft_fail(-result, "%s", strerror(-result));
		}
		free(data);
		if (result)
			return result;
	}
	return 0;
}

static int save_to(struct weft_session *session, int fd, const void *note, size_t note_bytes)
{
	struct header header = {.magic = htole64(MAGIC), .version = htole32(VERSION)};
	uint64_t bytes;
	uint32_t values;
	int result;

	header.fingerprint = htole64(fingerprint(session->graph, &values, &bytes));
	header.values = htole32(values);
	header.steps = htole64(session->steps);
	header.note_bytes = htole64(note_bytes);
	header.file_bytes = htole64(sizeof(header) + note_bytes + sizeof(uint64_t) + bytes);
	header.checksum = htole64(XXH3_64bits(&header, offsetof(struct header, checksum)));
	result = write_all(fd, &header, sizeof(header));
	if (!result)
		result = write_checked(fd, note, note_bytes);
	if (result)
		return weft_fail(-result, "%s", strerror(-result));
	result = save_values(session, fd);
	if (!result && fsync(fd))
		result = weft_fail(errno, "%s", strerror(errno));
	return result;
}

int weft_session_save(struct weft_session *session, const char *path, const void *note, size_t note_bytes)
{
	char temporary[PATH_MAX];
	int fd, result;

	if (weft_executor_broken(session->executor))
		return weft_fail(EIO, "checkpoint '%s': a step failed in the middle, so the weights are not whole",
				 path);
	if (note_bytes > MOST_NOTE_BYTES)
		return weft_fail(EINVAL, "checkpoint '%s': a note of %zu bytes; at most %u", path, note_bytes,
				 MOST_NOTE_BYTES);
	if (snprintf(temporary, sizeof(temporary), "%s.tmp", path) >= (int)sizeof(temporary))
		return weft_fail(ENAMETOOLONG, "checkpoint '%s': the name is too long", path);
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		return weft_fail(errno, "checkpoint '%s': %s", temporary, strerror(errno));
	result = save_to(session, fd, note ? note : "", note_bytes);
	if (close(fd) && !result)
		result = weft_fail(errno, "%s", strerror(errno));
	if (!result && rename(temporary, path))
		result = weft_fail(errno, "%s", strerror(errno));
	if (result) {
		unlink(temporary);
		return weft_fail_in(result, "checkpoint '%s'", path);
	}
	result = sync_directory(path);
	return result ? weft_fail(-result, "checkpoint '%s': its directory cannot be synced: %s", path,
				  strerror(-result))
		      : 0;
}

/* Loading */

static int load_header(const struct weft_session *session, int fd, const char *path, struct header *header)
{
	uint64_t bytes, print, note;
	uint32_t values;
	struct stat file;
	int result = read_all(fd, path, header, sizeof(*header));

	if (result)
		return result;
	if (le64toh(header->magic) != MAGIC)
		return weft_fail(EINVAL, "'%s' is not a checkpoint", path);
	if (le32toh(header->version) != VERSION)
		return weft_fail(EINVAL, "checkpoint '%s' has version %u; this program reads %u", path,
				 le32toh(header->version), VERSION);
	if (le64toh(header->checksum) != XXH3_64bits(header, offsetof(struct header, checksum)))
		return weft_fail(EINVAL, "checkpoint '%s' is damaged: the checksum of the header is wrong", path);
	print = fingerprint(session->graph, &values, &bytes);
	if (le64toh(header->fingerprint) != print || le32toh(header->values) != values)
		return weft_fail(EINVAL,
				 "checkpoint '%s' belongs to another model or optimizer: it has %u values, this "
				 "graph %u; give those that it was made with",
				 path, le32toh(header->values), values);
	note = le64toh(header->note_bytes);
	if (note > MOST_NOTE_BYTES)
		return weft_fail(EINVAL, "checkpoint '%s' is damaged: a note of %" PRIu64 " bytes", path, note);
	if (fstat(fd, &file))
		return weft_fail(errno, "checkpoint '%s': %s", path, strerror(errno));
	bytes += sizeof(*header) + note + sizeof(uint64_t);
	if ((uint64_t)file.st_size != bytes || le64toh(header->file_bytes) != bytes)
		return weft_fail(EINVAL, "checkpoint '%s' is %s: %" PRIu64 " bytes, expected %" PRIu64, path,
				 (uint64_t)file.st_size < bytes ? "truncated" : "damaged", (uint64_t)file.st_size,
				 bytes);
	return 0;
}

/* Read all values; @place: and put them into the session. */
static int load_values(struct weft_session *session, int fd, const char *path, bool place)
{
	const struct weft_graph *graph = session->graph;

	for (weft_id v = 0; v < graph->values; v++) {
		const struct weft_value *value = &graph->value[v];
		void *data;
		int result;

		if (!weft_value_is_kept(graph, v))
			continue;
		data = malloc(value->bytes);
		if (!data)
			return weft_fail(ENOMEM, "no memory to load '%s'", value->name);
		result = read_checked(fd, path, value->name, data, value->bytes);
		if (!result && place)
			result = weft_executor_write(session->executor, v, data);
		free(data);
		if (result)
			return result;
	}
	return 0;
}

static int load_from(struct weft_session *session, int fd, const char *path, void **note, size_t *note_bytes)
{
	struct header header;
	char *text;
	off_t values;
	int result = load_header(session, fd, path, &header);

	if (result)
		return result;
	*note_bytes = le64toh(header.note_bytes);
	*note = text = malloc(*note_bytes + 1);
	if (!text)
		return weft_fail(ENOMEM, "no memory to load checkpoint '%s'", path);
	text[*note_bytes] = 0;
	result = read_checked(fd, path, "the note", text, *note_bytes);
	values = lseek(fd, 0, SEEK_CUR);
	if (!result)
		result = load_values(session, fd, path, false);
	if (!result && (values < 0 || lseek(fd, values, SEEK_SET) != values))
		result = weft_fail(errno, "checkpoint '%s': %s", path, strerror(errno));
	if (!result)
		result = load_values(session, fd, path, true);
	if (!result)
		result = weft_executor_mend(session->executor);
	if (!result)
		session->steps = le64toh(header.steps);
	return result;
}

int weft_session_load(struct weft_session *session, const char *path, void **note, size_t *note_bytes)
{
	void *text = NULL;
	size_t bytes = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC), result;

	if (fd < 0)
		return weft_fail(errno, "checkpoint '%s': %s", path, strerror(errno));
	result = load_from(session, fd, path, &text, &bytes);
	close(fd);
	if (result || !note) {
		free(text);
		text = NULL;
	}
	if (note)
		*note = text;
	if (note_bytes)
		*note_bytes = result ? 0 : bytes;
	return result;
}
