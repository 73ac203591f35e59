// SPDX-License-Identifier: MIT
/* Which example of a data set is most like another one: by the bits of projections of both. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <accel/accel.h>
#include <accel/commands.h>

#include "weft/error.h"
#include "weft/project.h"

#define TAPS 8
/* Examples that are projected at a time, and results of a comparison. */
#define ROWS 256
#define RESULTS (1u << 20)

struct search {
	struct weft_dataset *dataset;
	struct weft_dataset_info info;
	struct accel_context *context;
	struct accel_buffer *buffer;
	struct accel_queue *queue;
	uint64_t address;
	char *memory;
	size_t elements;      /* of an example */
	size_t bits, results; /* offsets in the buffer; examples are at 0 */
	uint32_t words, width;
	uint64_t seed;
};

static int device_failed(int result)
{
	return weft_fail(-result, "neighbours: %s", accel_error());
}

static size_t aligned(size_t bytes)
{
	return (bytes + 63) / 64 * 64;
}

static int begin(struct search *s, struct accel_device *device)
{
	size_t element = s->info.sequence ? sizeof(int64_t) : sizeof(float), total;
	void *memory;
	int r;

	s->elements = s->info.sequence ? s->info.sequence : (size_t)s->info.channels * s->info.height * s->info.width;
	s->words = accel_bit_words(s->width);
	s->bits = aligned(ROWS * s->elements * element);
	s->results = s->bits + aligned((size_t)s->info.examples * s->words * sizeof(uint32_t));
	total = s->results + aligned((RESULTS > s->info.examples ? RESULTS : s->info.examples) * sizeof(int32_t));
	r = accel_context_new(device, NULL, &s->context);
	if (!r)
		r = accel_buffer_new(s->context, total, ACCEL_DEVICE_MEMORY, &s->buffer);
	if (!r)
		r = accel_buffer_map(s->buffer, &memory);
	if (!r)
		r = accel_queue_new(s->context, NULL, &s->queue);
	if (r)
		return device_failed(r);
	s->memory = memory;
	s->address = accel_buffer_address(s->buffer);
	return 0;
}

static void end(struct search *s)
{
	accel_queue_unref(s->queue);
	accel_buffer_unref(s->buffer);
	accel_context_unref(s->context);
}

static int execute(struct search *s, const union accel_command *command)
{
	struct accel_stream *stream;
	uint64_t point;
	int r = accel_stream_new(s->context, &stream);

	if (r)
		return device_failed(r);
	r = accel_stream_append(stream, &command->header);
	if (!r)
		r = accel_queue_submit(s->queue, stream, NULL, &point);
	if (!r)
		r = accel_queue_wait(s->queue, point, ACCEL_WAIT_FOREVER);
	accel_stream_unref(stream);
	return r ? device_failed(r) : 0;
}

/* Project examples [@first, @first + @count). */
static int project(struct search *s, uint64_t first, uint32_t count)
{
	const uint32_t dims[2] = {count, (uint32_t)s->elements};
	struct weft_tensor bits =
		accel_bits(s->address + s->bits + first * s->words * sizeof(uint32_t), count, s->width);
	struct weft_tensor examples =
		accel_tensor(s->address, s->info.sequence ? WEFT_TYPE_I64 : WEFT_TYPE_F32, 2, dims);
	int32_t labels[ROWS];
	uint64_t index[ROWS];
	uint32_t used[ROWS];
	union accel_command command;
	int r;

	for (uint32_t i = 0; i < count; i++)
		index[i] = first + i;
	if (s->info.sequence)
		r = weft_dataset_read_tokens(s->dataset, index, count, (int64_t *)s->memory, used, labels);
	else
		r = weft_dataset_read(s->dataset, index, count, false, (float *)s->memory, labels);
	if (r)
		return r;
	if (s->info.sequence)
		accel_cmd_project_hashed(&command, &examples, NULL, &bits, s->seed);
	else
		accel_cmd_project(&command, &examples, &bits, s->seed, TAPS);
	return execute(s, &command);
}

/* The nearest of all to examples [@first, @first + @count). */
static int compare(struct search *s, uint64_t first, uint32_t count, uint32_t *neighbour)
{
	uint32_t all = (uint32_t)s->info.examples;
	const uint32_t dims[2] = {count, all};
	uint64_t bits = s->address + s->bits;
	struct weft_tensor a = accel_bits(bits + first * s->words * sizeof(uint32_t), count, s->width);
	struct weft_tensor b = accel_bits(bits, all, s->width);
	struct weft_tensor c = accel_tensor(s->address + s->results, WEFT_TYPE_I32, 2, dims);
	const int32_t *result = (const int32_t *)(s->memory + s->results);
	union accel_command command;
	int r;

	accel_cmd_bit_dot(&command, &a, &b, &c);
	r = execute(s, &command);
	for (uint32_t i = 0; i < count && !r; i++, result += all) {
		uint32_t own = (uint32_t)first + i, best = own ? 0 : 1;

		for (uint32_t k = 0; k < all; k++)
			if (result[k] > result[best] && k != own)
				best = k;
		neighbour[own] = best;
	}
	return r;
}

int weft_neighbours(struct accel_device *device, struct weft_dataset *dataset, uint32_t bits, uint64_t seed,
		    uint32_t *neighbour)
{
	struct search s = {.dataset = dataset, .width = bits, .seed = seed};
	uint32_t rows;
	int r = weft_dataset_info(dataset, &s.info);

	if (r)
		return r;
	if (s.info.examples < 2 || s.info.examples > INT32_MAX)
		return weft_fail(EINVAL, "neighbours among %llu examples", (unsigned long long)s.info.examples);
	if (!bits || bits > WEFT_PROJECT_MAX_BITS)
		return weft_fail(EINVAL, "neighbours by %u bits; expected 1 to %u", bits, WEFT_PROJECT_MAX_BITS);
	r = begin(&s, device);
	for (uint64_t i = 0; i < s.info.examples && !r; i += ROWS)
		r = project(&s, i, s.info.examples - i < ROWS ? (uint32_t)(s.info.examples - i) : ROWS);
	rows = RESULTS > s.info.examples ? (uint32_t)(RESULTS / s.info.examples) : 1;
	for (uint64_t i = 0; i < s.info.examples && !r; i += rows)
		r = compare(&s, i, s.info.examples - i < rows ? (uint32_t)(s.info.examples - i) : rows, neighbour);
	end(&s);
	return r;
}
