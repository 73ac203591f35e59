// SPDX-License-Identifier: MIT
#include "model_file.h"

#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

static const uint32_t x_dims[] = {2, 3}, w_dims[] = {3, 4}, y_dims[] = {2, 4};

static void append(struct model_file *f, union accel_command *command)
{
	f->offset[f->header.commands++] = f->header.stream_bytes;
	memcpy(f->stream.bytes + f->header.stream_bytes, command, command->header.size);
	f->header.stream_bytes += command->header.size;
}

struct weft_cmd *model_file_command(struct model_file *file, unsigned int index)
{
	return (struct weft_cmd *)(void *)(file->stream.bytes + file->offset[index]);
}

static struct weft_tensor matrix(uint64_t offset, const uint32_t *dims)
{
	return accel_tensor(offset, WEFT_TYPE_F32, 2, dims);
}

void model_file_make(struct model_file *f)
{
	struct weft_tensor x = matrix(DEVICE_X, x_dims), w = matrix(DEVICE_W, w_dims), y = matrix(DEVICE_Y, y_dims);
	struct weft_tensor host_x = matrix(HOST_X, x_dims), host_y = matrix(HOST_Y, y_dims);
	union accel_command command;

	memset(f, 0, sizeof(*f));
	accel_cmd_copy(&command, WEFT_ENGINE_DMA_IN, &host_x, &x);
	accel_cmd_signal(&command, 1, 1);
	append(f, &command);
	accel_cmd_matmul(&command, &x, &w, NULL, &y);
	accel_cmd_wait(&command, 1, 1);
	accel_cmd_signal(&command, 0, 1);
	append(f, &command);
	accel_cmd_copy(&command, WEFT_ENGINE_DMA_OUT, &y, &host_y);
	accel_cmd_wait(&command, 0, 1);
	append(f, &command);
	memcpy(f->header.magic, ACCEL_MODEL_MAGIC, sizeof(f->header.magic));
	f->header.version = ACCEL_MODEL_VERSION;
	f->header.header_bytes = sizeof(f->header);
	f->header.isa_major = WEFT_ISA_VERSION_MAJOR;
	f->header.isa_minor = WEFT_ISA_VERSION_MINOR;
	f->header.tensors = 2;
	f->header.inputs = 1;
	f->header.regions = 2;
	f->header.device_bytes = DEVICE_BYTES;
	f->header.host_bytes = HOST_BYTES;
	strcpy(f->record[0].name, "x");
	f->record[0].tensor = host_x;
	strcpy(f->record[1].name, "y");
	f->record[1].tensor = host_y;
	f->region[0] = (struct accel_model_region){.offset = DEVICE_W, .bytes = sizeof(f->weights)};
	f->region[1] = (struct accel_model_region){.arena = 1, .offset = HOST_EXTRA, .bytes = sizeof(f->host)};
	for (unsigned int i = 0; i < 12; i++)
		f->weights[i] = (float)i - 5;
	f->host[0] = 7;
	f->host[1] = 8;
}

void model_file_seal(uint8_t *bytes, size_t size)
{
	struct accel_model_header h;

	memcpy(&h, bytes, sizeof(h));
	h.file_bytes = size;
	h.body_check = XXH64(bytes + sizeof(h), size - sizeof(h), 0);
	h.header_check = XXH64(&h, offsetof(struct accel_model_header, header_check), 0);
	memcpy(bytes, &h, sizeof(h));
}

uint8_t *model_file_bytes(const struct model_file *f, bool seal, size_t *size)
{
	const struct {
		const void *at;
		size_t bytes;
	} part[] = {
		{&f->header, sizeof(f->header)},
		{f->record, sizeof(f->record)},
		{f->region, sizeof(f->region)},
		{f->stream.bytes, f->offset[2] + model_file_command((struct model_file *)f, 2)->size},
		{f->weights, sizeof(f->weights)},
		{f->host, sizeof(f->host)},
	};
	uint8_t *bytes;

	*size = 0;
	for (unsigned int i = 0; i < sizeof(part) / sizeof(part[0]); i++)
		*size += part[i].bytes;
	bytes = malloc(*size);
	*size = 0;
	for (unsigned int i = 0; bytes && i < sizeof(part) / sizeof(part[0]); i++) {
		memcpy(bytes + *size, part[i].at, part[i].bytes);
		*size += part[i].bytes;
	}
	if (bytes && seal)
		model_file_seal(bytes, *size);
	return bytes;
}
