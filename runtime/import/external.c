// SPDX-License-Identifier: MIT
/*
 * Tensors whose bytes stand in files beside the model, as exporters write models
 * that a protobuf cannot hold (ONNX, "External Data").  They are read when the
 * model is, and are then like any other tensor.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "import/model.h"
#include "weft/error.h"

/* The file that is open; most models have one. */
struct side_file {
	int directory;
	int fd;
	char *name;
	uint64_t bytes;
	uint64_t claimed; /* by tensors so far: no more than there are, or a small file could ask for much */
};

struct extent {
	const char *location;
	uint64_t offset, length;
	bool whole; /* no length was given: up to the end */
};

static int read_number(const char *tensor, const char *key, const char *text, uint64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoull(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || *number > INT64_MAX)
		return weft_fail(EINVAL, "tensor %s: %s \"%.40s\" of its data in another file is not a number", tensor,
				 key, text);
	return 0;
}

/* Files lie beside the model or below it, nowhere else. */
static bool is_beside(const char *location)
{
	const char *at = location;

	if (!location[0] || location[0] == '/')
		return false;
	while (at) {
		if (!strncmp(at, "..", 2) && (!at[2] || at[2] == '/'))
			return false;
		at = strchr(at, '/');
		at = at ? at + 1 : NULL;
	}
	return true;
}

static int read_extent(const Onnx__TensorProto *tensor, const char *name, struct extent *extent)
{
	int r = 0;

	*extent = (struct extent){.whole = true};
	for (size_t i = 0; i < tensor->n_external_data && !r; i++) {
		const char *key = tensor->external_data[i]->key, *value = tensor->external_data[i]->value;

		if (!key || !value)
			return weft_fail(EINVAL, "tensor %s: its place in another file has no name or no value", name);
		if (!strcmp(key, "location")) {
			extent->location = value;
		} else if (!strcmp(key, "offset")) {
			r = read_number(name, key, value, &extent->offset);
		} else if (!strcmp(key, "length")) {
			r = read_number(name, key, value, &extent->length);
			extent->whole = false;
		}
	}
	if (!r && !extent->location)
		r = weft_fail(EINVAL, "tensor %s: its data is in another file, but which one is not said", name);
	if (!r && !is_beside(extent->location))
		r = weft_fail(EINVAL, "tensor %s: its data is in \"%s\", which is not beside the model or below it",
			      name, extent->location);
	return r;
}

static void close_file(struct side_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	free(file->name);
	file->fd = -1;
	file->name = NULL;
}

static int open_file(struct side_file *file, const char *tensor, const char *location)
{
	struct stat status;

	if (file->name && !strcmp(file->name, location))
		return 0;
	close_file(file);
	file->fd = openat(file->directory, location, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (file->fd < 0 || fstat(file->fd, &status))
		return weft_fail(errno, "tensor %s: its data is in \"%s\" beside the model, which cannot be opened: %s",
				 tensor, location, strerror(errno));
	if (!S_ISREG(status.st_mode))
		return weft_fail(EINVAL, "tensor %s: \"%s\", which has its data, is not a file", tensor, location);
	file->name = strdup(location);
	if (!file->name)
		return weft_fail(ENOMEM, "no memory for the name of a file");
	file->bytes = (uint64_t)status.st_size;
	file->claimed = 0;
	return 0;
}

static int read_bytes(const struct side_file *file, const char *tensor, uint64_t offset, uint64_t length, uint8_t *to)
{
	while (length) {
		size_t most = length < INT_MAX ? (size_t)length : INT_MAX;
		ssize_t got = pread(file->fd, to, most, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return weft_fail(got ? errno : EIO, "tensor %s: \"%s\" cannot be read: %s", tensor, file->name,
					 got ? strerror(errno) : "it has become shorter");
		to += got;
		offset += (uint64_t)got;
		length -= (uint64_t)got;
	}
	return 0;
}

/* Let the tensor have its bytes as if they had stood in the model. */
static void settle(Onnx__TensorProto *tensor, uint8_t *data, uint64_t length)
{
	for (size_t i = 0; i < tensor->n_external_data; i++)
		onnx__string_string_entry_proto__free_unpacked(tensor->external_data[i], NULL);
	free(tensor->external_data);
	tensor->external_data = NULL;
	tensor->n_external_data = 0;
	tensor->has_data_location = 0;
	tensor->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__DEFAULT;
	tensor->has_raw_data = 1;
	tensor->raw_data.data = data;
	tensor->raw_data.len = (size_t)length;
}

static int read_tensor(struct side_file *file, Onnx__TensorProto *tensor)
{
	const char *name = tensor->name && tensor->name[0] ? tensor->name : "(unnamed)";
	struct extent extent;
	uint8_t *data;
	int r;

	if (tensor->data_location != ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL)
		return 0;
	if (tensor->has_raw_data && tensor->raw_data.len)
		return weft_fail(EINVAL, "tensor %s has data in the model and in another file", name);
	r = read_extent(tensor, name, &extent);
	if (!r)
		r = open_file(file, name, extent.location);
	if (r)
		return r;
	if (extent.whole && extent.offset <= file->bytes)
		extent.length = file->bytes - extent.offset;
	if (extent.offset > file->bytes || extent.length > file->bytes - extent.offset)
		return weft_fail(EINVAL,
				 "tensor %s: %" PRIu64 " bytes at %" PRIu64 " of \"%s\", which has %" PRIu64
				 ": is it cut short?",
				 name, extent.length, extent.offset, extent.location, file->bytes);
	if (extent.length > file->bytes - file->claimed)
		return weft_fail(EINVAL, "tensor %s: tensors have more bytes of \"%s\" than it holds", name,
				 extent.location);
	file->claimed += extent.length;
	data = malloc(extent.length ? extent.length : 1);
	if (!data)
		return weft_fail(ENOMEM, "no memory for the %" PRIu64 " bytes of tensor %s", extent.length, name);
	r = read_bytes(file, name, extent.offset, extent.length, data);
	if (r) {
		free(data);
		return r;
	}
	if (tensor->has_raw_data)
		free(tensor->raw_data.data);
	settle(tensor, data, extent.length);
	return 0;
}

/* Depth is bounded: the graph's strings have been checked. */
static int read_graph(struct side_file *file, const Onnx__GraphProto *graph)
{
	int r = 0;

	for (size_t i = 0; i < graph->n_initializer && !r; i++)
		r = read_tensor(file, graph->initializer[i]);
	for (size_t i = 0; i < graph->n_node && !r; i++) {
		const Onnx__NodeProto *node = graph->node[i];

		for (size_t j = 0; j < node->n_attribute && !r; j++) {
			if (node->attribute[j]->t)
				r = read_tensor(file, node->attribute[j]->t);
			if (!r && node->attribute[j]->g)
				r = read_graph(file, node->attribute[j]->g);
		}
	}
	return r;
}

int weft_model_read_external(struct weft_model *model, const char *path)
{
	struct side_file file = {.directory = AT_FDCWD, .fd = -1};
	const char *slash = strrchr(path, '/');
	char *directory = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	int r;

	if (!directory)
		return weft_fail(ENOMEM, "no memory for the name of a directory");
	file.directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (file.directory < 0)
		r = weft_fail(errno, "%s: %s", directory, strerror(errno));
	else
		r = read_graph(&file, model->proto->graph);
	close_file(&file);
	if (file.directory >= 0)
		close(file.directory);
	free(directory);
	return r ? weft_fail_in(r, "%s", path) : 0;
}
