// SPDX-License-Identifier: MIT
/* Compiled models: from a file to memory, commands and descriptions, each checked before it is used. */
#include "model.h"

#include <accel/commands.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "internal.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files are read as they stand");
_Static_assert(sizeof(struct accel_model_header) == 88, "header");
_Static_assert(sizeof(struct accel_model_record) == 152, "record");
_Static_assert(sizeof(struct accel_model_region) == 24, "region");

/** Most memory to bring contents to the device with. */
#define STAGING_BYTES (256u << 10)

/* Where the bytes come from, in order, once. */
struct source {
	const char *name;
	int fd; /* below 0: memory */
	const uint8_t *memory;
	uint64_t left;
	XXH64_state_t check;
};

/* A model while it is loaded. */
struct loading {
	struct accel_model *model;
	struct source *source;
	struct accel_model_header header;
	struct accel_model_region *region;
};

static int take(struct source *source, void *to, size_t bytes)
{
	uint8_t *at = to;

	if (bytes > source->left)
		return accel_fail(EBADMSG, "model %s: truncated: %zu more bytes were expected, %llu are there",
				  source->name, bytes, (unsigned long long)source->left);
	source->left -= bytes;
	if (source->fd < 0) {
		memcpy(to, source->memory, bytes);
		source->memory += bytes;
	}
	for (size_t left = source->fd < 0 ? 0 : bytes; left;) {
		ssize_t got = read(source->fd, at, left);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return accel_fail(errno, "model %s: %s", source->name, strerror(errno));
		if (!got)
			return accel_fail(EBADMSG, "model %s: truncated while it was read", source->name);
		at += got;
		left -= (size_t)got;
	}
	XXH64_update(&source->check, to, bytes);
	return 0;
}

static int check_versions(const struct loading *l, struct accel_device *device)
{
	const struct accel_model_header *h = &l->header;
	struct accel_device_info info = {.size = sizeof(info)};
	int result;

	if (h->version != ACCEL_MODEL_VERSION || h->header_bytes != sizeof(*h))
		return accel_fail(EPROTO,
				  "model %s: a file of version %u, but this library (%s) reads version %u; compile the "
				  "model again with the weft of this library's release",
				  l->source->name, h->version, ACCEL_VERSION, ACCEL_MODEL_VERSION);
	result = accel_device_query(device, &info);
	if (result)
		return result;
	if (h->isa_major != info.isa_major || h->isa_minor > info.isa_minor)
		return accel_fail(EPROTO,
				  "model %s: compiled for instruction set %u.%u, but the device (%s) has %u.%u; update "
				  "the device's firmware, or compile the model with the weft of its release",
				  l->source->name, h->isa_major, h->isa_minor, info.name, info.isa_major,
				  info.isa_minor);
	return 0;
}

/* Counts that are possible, and add up to the size of the file. */
static int check_sizes(const struct loading *l, uint64_t size)
{
	const struct accel_model_header *h = &l->header;
	uint64_t fixed = sizeof(*h) + (uint64_t)h->tensors * sizeof(struct accel_model_record) +
			 (uint64_t)h->regions * sizeof(struct accel_model_region);

	if (h->file_bytes != size)
		return accel_fail(EBADMSG, "model %s: has %llu bytes, its header says %llu; copy the file again",
				  l->source->name, (unsigned long long)size, (unsigned long long)h->file_bytes);
	if (h->tensors > ACCEL_MODEL_MOST_TENSORS || h->inputs > h->tensors || h->regions > ACCEL_MODEL_MOST_REGIONS)
		return accel_fail(EINVAL, "model %s: %u tensors (at most %u), %u inputs and %u regions (at most %u)",
				  l->source->name, h->tensors, ACCEL_MODEL_MOST_TENSORS, h->inputs, h->regions,
				  ACCEL_MODEL_MOST_REGIONS);
	if (h->stream_bytes > WEFT_STREAM_MAX_BYTES || fixed > size || h->stream_bytes > size - fixed)
		return accel_fail(EINVAL, "model %s: %llu bytes of commands do not fit its %llu bytes", l->source->name,
				  (unsigned long long)h->stream_bytes, (unsigned long long)size);
	if (h->device_bytes > ACCEL_MODEL_MOST_ARENA_BYTES || h->host_bytes > ACCEL_MODEL_MOST_ARENA_BYTES)
		return accel_fail(EINVAL, "model %s: wants %llu bytes of device and %llu of host memory",
				  l->source->name, (unsigned long long)h->device_bytes,
				  (unsigned long long)h->host_bytes);
	return 0;
}

static int read_header(struct loading *l, struct accel_device *device)
{
	struct accel_model_header *h = &l->header;
	uint64_t size = l->source->left;
	int result;

	if (size < sizeof(*h))
		return accel_fail(EINVAL, "model %s: %llu bytes are no compiled model; `weft compile` makes one",
				  l->source->name, (unsigned long long)size);
	result = take(l->source, h, sizeof(*h));
	if (result)
		return result;
	if (memcmp(h->magic, ACCEL_MODEL_MAGIC, sizeof(h->magic)))
		return accel_fail(EINVAL, "model %s: not a compiled model; `weft compile MODEL.onnx` makes one",
				  l->source->name);
	/* Before the checksum: it may be elsewhere in other versions. */
	result = check_versions(l, device);
	if (result)
		return result;
	if (h->header_check != XXH64(h, offsetof(struct accel_model_header, header_check), 0))
		return accel_fail(EBADMSG, "model %s: its header is damaged; copy the file again", l->source->name);
	XXH64_reset(&l->source->check, 0);
	return check_sizes(l, size);
}

static int open_memory(struct loading *l, struct accel_device *device)
{
	struct accel_model *m = l->model;
	void *memory = NULL;
	int result = accel_context_new(device, NULL, &m->context);

	if (!result)
		result = accel_queue_new(m->context, NULL, &m->queue);
	if (!result)
		result = accel_stream_new(m->context, &m->stream);
	if (!result)
		result = accel_buffer_new(m->context, l->header.device_bytes ? l->header.device_bytes : 1,
					  ACCEL_DEVICE_MEMORY, &m->device);
	if (!result)
		result = accel_buffer_new(m->context, l->header.host_bytes ? l->header.host_bytes : 1,
					  ACCEL_HOST_MEMORY, &m->host);
	if (!result)
		result = accel_buffer_map(m->host, &memory);
	m->memory = memory;
	return result;
}

static int read_tensors(struct loading *l)
{
	struct accel_model *m = l->model;
	size_t bytes = l->header.tensors * sizeof(*m->record);
	int result;

	m->record = malloc(bytes + 1);
	if (!m->record)
		return accel_fail(ENOMEM, "model %s: no memory for %u tensors", l->source->name, l->header.tensors);
	result = take(l->source, m->record, bytes);
	for (uint32_t i = 0; i < l->header.tensors && !result; i++)
		if (!accel_model_record_valid(&m->record[i], l->header.host_bytes))
			result = accel_fail(EINVAL, "model %s: %s %u is described by what cannot be", l->source->name,
					    i < l->header.inputs ? "input" : "output",
					    i < l->header.inputs ? i : i - l->header.inputs);
	m->inputs = l->header.inputs;
	m->outputs = l->header.tensors - l->header.inputs;
	return result;
}

static int read_regions(struct loading *l)
{
	const struct accel_model_header *h = &l->header;
	size_t bytes = h->regions * sizeof(*l->region);
	uint64_t left;
	int result;

	l->region = malloc(bytes + 1);
	if (!l->region)
		return accel_fail(ENOMEM, "model %s: no memory for %u regions", l->source->name, h->regions);
	result = take(l->source, l->region, bytes);
	if (result)
		return result;
	/* What is left is the stream, which check_sizes() has seen to fit, and the contents. */
	left = l->source->left - h->stream_bytes;
	for (uint32_t i = 0; i < h->regions; i++) {
		const struct accel_model_region *r = &l->region[i];
		uint64_t arena = r->arena ? h->host_bytes : h->device_bytes;

		if (r->arena > 1 || r->pad || !r->bytes || r->bytes > left || r->offset > arena ||
		    r->bytes > arena - r->offset)
			return accel_fail(
				EINVAL,
				"model %s: region %u, %llu bytes at %llu of arena %u, is outside of its %llu bytes or "
				"of the file",
				l->source->name, i, (unsigned long long)r->bytes, (unsigned long long)r->offset,
				r->arena, (unsigned long long)arena);
		left -= r->bytes;
	}
	if (left)
		return accel_fail(EINVAL, "model %s: %llu bytes belong to no region", l->source->name,
				  (unsigned long long)left);
	return 0;
}

/* From an offset to an address; operands that are absent have none. */
static bool relocate(const struct loading *l, const struct weft_cmd *command, unsigned int operand,
		     struct weft_tensor *tensor)
{
	bool host = (command->engine == WEFT_ENGINE_DMA_IN && operand == 0) ||
		    (command->engine == WEFT_ENGINE_DMA_OUT && operand == 1);

	if (tensor->type == WEFT_TYPE_NONE)
		return true;
	if (tensor->address > (host ? l->header.host_bytes : l->header.device_bytes))
		return false;
	tensor->address += accel_buffer_address(host ? l->model->host : l->model->device);
	return true;
}

static int read_command(struct loading *l, uint32_t index, uint64_t *left)
{
	struct accel_model *m = l->model;
	union accel_command c;
	struct accel_cost cost;
	int result;

	if (*left < sizeof(c.header))
		return accel_fail(EINVAL, "model %s: its commands end before command %u of %u", l->source->name, index,
				  l->header.commands);
	result = take(l->source, &c, sizeof(c.header));
	if (result)
		return result;
	if (c.header.operands > WEFT_MAX_OPERANDS ||
	    c.header.size != sizeof(c.header) + c.header.operands * sizeof(struct weft_tensor) || c.header.size > *left)
		return accel_fail(EINVAL, "model %s: command %u (%s) says that it has %u operands and %u bytes",
				  l->source->name, index, accel_op_name(c.header.opcode), c.header.operands,
				  c.header.size);
	*left -= c.header.size;
	result = take(l->source, c.words + sizeof(c.header) / sizeof(c.words[0]), c.header.size - sizeof(c.header));
	for (unsigned int i = 0; i < c.header.operands && !result; i++)
		if (!relocate(l, &c.header, i, &c.header.operand[i]))
			result = accel_fail(EINVAL, "model %s: command %u (%s): operand %u is outside of its arena",
					    l->source->name, index, accel_op_name(c.header.opcode), i);
	/* Says what is wrong with the command, if something is; the address range is the device's to check. */
	if (!result)
		result = accel_device_cost(m->context->device, &c.header, &cost);
	return result ? result : accel_stream_append(m->stream, &c.header);
}

static int read_commands(struct loading *l)
{
	uint64_t left = l->header.stream_bytes;
	int result = 0;

	for (uint32_t i = 0; i < l->header.commands && !result; i++)
		result = read_command(l, i, &left);
	if (!result && left)
		result = accel_fail(EINVAL, "model %s: %llu bytes follow its %u commands", l->source->name,
				    (unsigned long long)left, l->header.commands);
	return result;
}

/* [0, bytes) of @staging to @offset of the device arena. */
static int upload(struct accel_model *m, struct accel_stream *stream, const struct accel_buffer *staging,
		  uint64_t offset, uint32_t bytes)
{
	struct weft_tensor from = accel_tensor(accel_buffer_address(staging), WEFT_TYPE_U8, 1, &bytes);
	struct weft_tensor to = accel_tensor(accel_buffer_address(m->device) + offset, WEFT_TYPE_U8, 1, &bytes);
	union accel_command command;
	uint64_t point;
	int result = accel_stream_reset(stream);

	accel_cmd_copy(&command, WEFT_ENGINE_DMA_IN, &from, &to);
	if (!result)
		result = accel_stream_append(stream, &command.header);
	if (!result)
		result = accel_queue_submit(m->queue, stream, NULL, &point);
	return result ? result : accel_queue_wait(m->queue, point, ACCEL_WAIT_FOREVER);
}

static int read_contents(struct loading *l)
{
	struct accel_model *m = l->model;
	struct accel_buffer *staging = NULL;
	struct accel_stream *stream = NULL;
	uint64_t most = 1;
	void *memory = NULL;
	int result;

	for (uint32_t i = 0; i < l->header.regions; i++)
		if (!l->region[i].arena && l->region[i].bytes > most)
			most = l->region[i].bytes;
	most = most < STAGING_BYTES ? most : STAGING_BYTES;
	result = accel_stream_new(m->context, &stream);
	if (!result)
		result = accel_buffer_new(m->context, most, ACCEL_HOST_MEMORY, &staging);
	if (!result)
		result = accel_buffer_map(staging, &memory);
	for (uint32_t i = 0; i < l->header.regions && !result; i++) {
		const struct accel_model_region *r = &l->region[i];

		if (r->arena)
			result = take(l->source, m->memory + r->offset, r->bytes);
		for (uint64_t done = 0, n; !r->arena && done < r->bytes && !result; done += n) {
			n = r->bytes - done < most ? r->bytes - done : most;
			result = take(l->source, memory, n);
			if (!result)
				result = upload(m, stream, staging, r->offset + done, (uint32_t)n);
		}
	}
	accel_buffer_unref(staging);
	accel_stream_unref(stream);
	return result;
}

static int load(struct accel_device *device, struct source *source, struct accel_model **out)
{
	struct loading l = {.model = calloc(1, sizeof(*l.model)), .source = source};
	int result;

	if (!l.model)
		return accel_fail(ENOMEM, "model %s: no memory", source->name);
	XXH64_reset(&source->check, 0);
	result = read_header(&l, device);
	if (!result)
		result = open_memory(&l, device);
	if (!result)
		result = read_tensors(&l);
	if (!result)
		result = read_regions(&l);
	if (!result)
		result = read_commands(&l);
	if (!result)
		result = read_contents(&l);
	if (!result && XXH64_digest(&source->check) != l.header.body_check)
		result =
			accel_fail(EBADMSG, "model %s: damaged (checksum mismatch); copy the file again", source->name);
	free(l.region);
	if (result) {
		accel_model_free(l.model);
		return result;
	}
	*out = l.model;
	return 0;
}

ACCEL_EXPORT int accel_model_load(struct accel_device *device, const char *path, struct accel_model **model)
{
	struct source source = {.name = path, .fd = open(path, O_RDONLY | O_CLOEXEC)};
	struct stat status;
	int result;

	*model = NULL;
	if (source.fd < 0)
		return accel_fail(errno, "model %s: %s", path, strerror(errno));
	if (fstat(source.fd, &status))
		result = accel_fail(errno, "model %s: %s", path, strerror(errno));
	else if (!S_ISREG(status.st_mode))
		result = accel_fail(EINVAL, "model %s: not a file", path);
	else {
		source.left = (uint64_t)status.st_size;
		result = load(device, &source, model);
	}
	close(source.fd);
	return result;
}

ACCEL_EXPORT int accel_model_load_memory(struct accel_device *device, const void *bytes, size_t size,
					 struct accel_model **model)
{
	struct source source = {.name = "in memory", .fd = -1, .memory = bytes, .left = size};

	*model = NULL;
	return load(device, &source, model);
}

ACCEL_EXPORT void accel_model_free(struct accel_model *m)
{
	if (!m)
		return;
	accel_stream_unref(m->stream);
	accel_buffer_unref(m->device);
	accel_buffer_unref(m->host);
	accel_queue_unref(m->queue);
	accel_context_unref(m->context);
	free(m->record);
	free(m);
}
