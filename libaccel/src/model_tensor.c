// SPDX-License-Identifier: MIT
/* Compiled models: inputs, outputs and runs. */
#include "model.h"

#include <errno.h>
#include <string.h>

#include "internal.h"

bool accel_model_record_valid(const struct accel_model_record *record, uint64_t arena)
{
	const struct weft_tensor *t = &record->tensor;
	size_t size = accel_type_bytes(t->type), name = strnlen(record->name, ACCEL_MODEL_NAME_BYTES);
	int64_t low = 0, high = 0;
	uint64_t elements = 1;

	for (size_t i = name; i < ACCEL_MODEL_NAME_BYTES; i++)
		if (record->name[i])
			return false;
	if (name == ACCEL_MODEL_NAME_BYTES || !size || t->rank > WEFT_MAX_RANK || t->pad || t->zero_point ||
	    t->scales || t->address % size)
		return false;
	for (unsigned int i = 0; i < WEFT_MAX_RANK; i++) {
		int64_t reach;

		if (i >= t->rank) {
			if (t->dims[i] || t->strides[i])
				return false;
			continue;
		}
		if (!t->dims[i] || __builtin_mul_overflow(elements, t->dims[i], &elements))
			return false;
		reach = (int64_t)(t->dims[i] - 1) * t->strides[i];
		if (__builtin_add_overflow(reach < 0 ? low : high, reach, reach < 0 ? &low : &high))
			return false;
	}
	/* Repeated elements would make a small arena a large tensor. */
	if (elements > arena / size || t->address > arena)
		return false;
	return low >= -(int64_t)(t->address / size) && high < (int64_t)((arena - t->address) / size);
}

ACCEL_EXPORT uint32_t accel_model_inputs(const struct accel_model *model)
{
	return model->inputs;
}

ACCEL_EXPORT uint32_t accel_model_outputs(const struct accel_model *model)
{
	return model->outputs;
}

static int find(struct accel_model *m, bool output, uint32_t index, struct accel_model_tensor *all)
{
	const struct weft_tensor *t;

	if (index >= (output ? m->outputs : m->inputs))
		return accel_fail(EINVAL, "the model has %u %s, there is no %u (they count from 0)",
				  output ? m->outputs : m->inputs, output ? "outputs" : "inputs", index);
	index += output ? m->inputs : 0;
	t = &m->record[index].tensor;
	*all = (struct accel_model_tensor){
		.name = m->record[index].name,
		.type = t->type,
		.rank = t->rank,
		.elements = 1,
		.memory = m->memory + t->address,
	};
	for (unsigned int i = 0; i < t->rank; i++)
		all->elements *= t->dims[i];
	all->bytes = all->elements * accel_type_bytes(t->type);
	memcpy(all->dims, t->dims, sizeof(all->dims));
	memcpy(all->strides, t->strides, sizeof(all->strides));
	return 0;
}

static int describe(struct accel_model *m, bool output, uint32_t index, struct accel_model_tensor *tensor)
{
	struct accel_model_tensor all;
	size_t size = tensor->size;
	int result;

	if (size < sizeof(size))
		return accel_fail(EINVAL, "struct accel_model_tensor: set size to sizeof(struct accel_model_tensor)");
	result = find(m, output, index, &all);
	if (result)
		return result;
	all.size = size;
	memcpy(tensor, &all, size < sizeof(all) ? size : sizeof(all));
	return 0;
}

ACCEL_EXPORT int accel_model_input(struct accel_model *model, uint32_t index, struct accel_model_tensor *tensor)
{
	return describe(model, false, index, tensor);
}

ACCEL_EXPORT int accel_model_output(struct accel_model *model, uint32_t index, struct accel_model_tensor *tensor)
{
	return describe(model, true, index, tensor);
}

/* Between @dense and where the tensor stands. */
static void transfer(const struct accel_model_tensor *t, uint8_t *dense, bool in)
{
	const size_t size = accel_type_bytes(t->type);
	uint32_t at[WEFT_MAX_RANK] = {0};
	uint8_t *memory = t->memory;
	int64_t offset = 0;

	for (uint64_t i = 0; i < t->elements; i++, dense += size) {
		memcpy(in ? memory + offset * (int64_t)size : dense, in ? dense : memory + offset * (int64_t)size,
		       size);
		for (unsigned int d = t->rank; d-- > 0;) {
			offset += t->strides[d];
			if (++at[d] < t->dims[d])
				break;
			offset -= (int64_t)t->dims[d] * t->strides[d];
			at[d] = 0;
		}
	}
}

static int move(struct accel_model *m, bool output, uint32_t index, void *dense, size_t bytes)
{
	struct accel_model_tensor t;
	int result = find(m, output, index, &t);

	if (result)
		return result;
	if (bytes != t.bytes)
		return accel_fail(EINVAL, "%s '%s' has %zu bytes, not %zu", output ? "output" : "input", t.name,
				  t.bytes, bytes);
	transfer(&t, dense, !output);
	return 0;
}

ACCEL_EXPORT int accel_model_set(struct accel_model *model, uint32_t input, const void *dense, size_t bytes)
{
	return move(model, false, input, (void *)dense, bytes);
}

ACCEL_EXPORT int accel_model_get(struct accel_model *model, uint32_t output, void *dense, size_t bytes)
{
	return move(model, true, output, dense, bytes);
}

ACCEL_EXPORT int accel_model_run(struct accel_model *m)
{
	struct weft_fault_record fault;
	uint64_t point;
	int result = accel_context_fault(m->context, &fault);

	if (!result && fault.reason)
		result = accel_context_recover(m->context);
	if (!result)
		result = accel_queue_submit(m->queue, m->stream, NULL, &point);
	return result ? result : accel_queue_wait(m->queue, point, ACCEL_WAIT_FOREVER);
}
