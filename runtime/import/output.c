// SPDX-License-Identifier: MIT
#include "import/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "weft/error.h"

int weft_output_open(struct weft_output *output, const char *path)
{
	output->path = path;
	output->fd = -1;
	if (asprintf(&output->temporary, "%s.XXXXXX", path) < 0) {
		output->temporary = NULL;
		return weft_fail(ENOMEM, "no memory to save %s", path);
	}
	output->fd = mkostemp(output->temporary, O_CLOEXEC);
	if (output->fd < 0)
		return weft_fail(errno, "%s cannot be made: %s", output->temporary, strerror(errno));
	return 0;
}

int weft_output_write(struct weft_output *output, const void *bytes, size_t size)
{
	const uint8_t *from = bytes;

	while (size) {
		ssize_t written = write(output->fd, from, size);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return weft_fail(written ? errno : EIO, "%s: %s", output->temporary,
					 strerror(written ? errno : EIO));
		from += written;
		size -= (size_t)written;
	}
	return 0;
}

int weft_output_safetensors_head(struct weft_output *output, const char *json, size_t size)
{
	uint64_t length = (size + 7) & ~(uint64_t)7;
	int r = weft_output_write(output, &length, sizeof(length));

	if (!r)
		r = weft_output_write(output, json, size);
	return r ? r : weft_output_write(output, "       ", (size_t)length - size);
}

/* The directory holds the new name: without this a crash could lose it. */
static int sync_directory(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *directory = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
	int fd, r = 0;

	if (!directory)
		return weft_fail(ENOMEM, "no memory to save %s", path);
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd))
		r = weft_fail(errno, "%s: %s", directory, strerror(errno));
	if (fd >= 0)
		close(fd);
	free(directory);
	return r;
}

int weft_output_close(struct weft_output *output, int r)
{
	if (output->fd >= 0) {
		if (!r && (fchmod(output->fd, 0644) || fsync(output->fd)))
			r = weft_fail(errno, "%s: %s", output->temporary, strerror(errno));
		if (close(output->fd) && !r)
			r = weft_fail(errno, "%s: %s", output->temporary, strerror(errno));
		if (!r && rename(output->temporary, output->path))
			r = weft_fail(errno, "%s cannot be replaced: %s", output->path, strerror(errno));
		else if (!r)
			r = sync_directory(output->path);
		if (r)
			unlink(output->temporary);
	}
	free(output->temporary);
	return r;
}

void weft_put_json_string(FILE *text, const char *name)
{
	putc('"', text);
	for (; *name; name++) {
		if (*name == '"' || *name == '\\')
			fprintf(text, "\\%c", *name);
		else if ((unsigned char)*name < 0x20)
			fprintf(text, "\\u%04x", (unsigned char)*name);
		else
			putc(*name, text);
	}
	putc('"', text);
}
