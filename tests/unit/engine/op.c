// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "op.h"

#define GUARD 64
#define MAX_UNITS 9

struct weft_engine_unit *op_units[MAX_UNITS];
unsigned int op_unit_count;

const enum weft_type whole_types[WHOLE_TYPES] = {WEFT_TYPE_F32, WEFT_TYPE_F16, WEFT_TYPE_BF16,
						 WEFT_TYPE_I32, WEFT_TYPE_I64, WEFT_TYPE_I8,
						 WEFT_TYPE_U8,	WEFT_TYPE_I16, WEFT_TYPE_BOOL};

unsigned int type_bytes(unsigned int type)
{
	switch (type) {
	case WEFT_TYPE_F32:
	case WEFT_TYPE_I32:
		return 4;
	case WEFT_TYPE_I64:
		return 8;
	case WEFT_TYPE_F16:
	case WEFT_TYPE_BF16:
	case WEFT_TYPE_I16:
		return 2;
	default:
		return 1;
	}
}

static void fill(uint64_t *state, struct tensor *tensor)
{
	unsigned int bytes = type_bytes(tensor->t.type);

	for (size_t i = 0; i < tensor->bytes / bytes; i++) {
		unsigned char *at = tensor->storage + i * bytes;
		float real = random_float(state);
		int64_t integer = (int32_t)(random_next(state) % 41) - 20;
		uint32_t half = random_next(state);

		switch (tensor->t.type) {
		case WEFT_TYPE_F32:
			memcpy(at, &real, 4);
			break;
		case WEFT_TYPE_F16:
		case WEFT_TYPE_BF16:
			memcpy(at, &half, 2);
			break;
		case WEFT_TYPE_BOOL:
			*at = half & 1;
			break;
		default:
			memcpy(at, &integer, bytes);
		}
	}
}

static struct tensor allocate(enum weft_type type, unsigned int rank, size_t elements)
{
	struct tensor t = {.t = {.type = type, .rank = rank}};

	t.bytes = (elements + 2 * GUARD) * type_bytes(type);
	t.storage = calloc(1, t.bytes);
	if (!t.storage)
		abort();
	t.base = t.storage + GUARD * type_bytes(type);
	return t;
}

static struct tensor make(uint64_t *state, enum weft_type type, unsigned int rank, const uint32_t dims[],
			  const unsigned int order[], unsigned int gap, bool backwards)
{
	int64_t stride[WEFT_MAX_RANK], next = 1, start = 0;
	struct tensor t;

	for (unsigned int i = 0; i < rank; i++) {
		unsigned int d = order[i];

		stride[d] = next;
		next = next * dims[d] + (gap ? random_range(state, 0, gap) : 0);
		if (backwards && random_next(state) % 4 == 0) {
			start += (dims[d] - 1) * stride[d];
			stride[d] = -stride[d];
		}
	}
	t = allocate(type, rank, (size_t)next);
	t.base += start * type_bytes(type);
	for (unsigned int d = 0; d < rank; d++) {
		t.t.dims[d] = dims[d];
		t.t.strides[d] = (int32_t)stride[d];
	}
	if (state)
		fill(state, &t);
	return t;
}

struct tensor tensor_dense(enum weft_type type, unsigned int rank, const uint32_t dims[])
{
	unsigned int order[WEFT_MAX_RANK];

	for (unsigned int i = 0; i < rank; i++)
		order[i] = rank - 1 - i;
	return make(NULL, type, rank, dims, order, 0, false);
}

struct tensor tensor_ordered(uint64_t *state, enum weft_type type, unsigned int rank, const uint32_t dims[],
			     const unsigned int order[])
{
	return make(state, type, rank, dims, order, 0, false);
}

struct tensor tensor_random(uint64_t *state, enum weft_type type, unsigned int rank, const uint32_t dims[])
{
	unsigned int order[WEFT_MAX_RANK], kind = random_next(state) % 3;

	for (unsigned int i = 0; i < rank; i++)
		order[i] = rank - 1 - i;
	for (unsigned int i = rank; kind && i > 1; i--) {
		unsigned int j = random_next(state) % i, swap = order[i - 1];

		order[i - 1] = order[j];
		order[j] = swap;
	}
	return make(state, type, rank, dims, order, kind == 2 ? 3 : 0, kind == 2);
}

struct tensor tensor_absent(void)
{
	return (struct tensor){.t = {.type = WEFT_TYPE_NONE}};
}

struct tensor tensor_copy(const struct tensor *tensor)
{
	struct tensor t = *tensor;

	if (!tensor->storage)
		return t;
	t.storage = malloc(t.bytes);
	if (!t.storage)
		abort();
	memcpy(t.storage, tensor->storage, t.bytes);
	t.base = t.storage + (tensor->base - tensor->storage);
	return t;
}

struct tensor tensor_broadcast(const struct tensor *tensor, const uint32_t dims[])
{
	struct tensor t = *tensor;

	for (unsigned int d = 0; d < t.t.rank; d++)
		if (t.t.dims[d] != dims[d]) {
			t.t.dims[d] = dims[d];
			t.t.strides[d] = 0;
		}
	return t;
}

void tensor_free(struct tensor *tensor)
{
	free(tensor->storage);
	tensor->storage = tensor->base = NULL;
}

uint64_t tensor_elements(const struct tensor *tensor)
{
	uint64_t n = 1;

	for (unsigned int d = 0; d < tensor->t.rank; d++)
		n *= tensor->t.dims[d];
	return n;
}

void *tensor_at(const struct tensor *tensor, uint64_t element)
{
	int64_t offset = 0;

	for (unsigned int d = tensor->t.rank; d-- > 0;) {
		offset += (int64_t)(element % tensor->t.dims[d]) * tensor->t.strides[d];
		element /= tensor->t.dims[d];
	}
	return tensor->base + offset * (int64_t)type_bytes(tensor->t.type);
}

int64_t integer_at(const struct tensor *t, uint64_t e)
{
	const void *at = tensor_at(t, e);

	switch (t->t.type) {
	case WEFT_TYPE_I64:
		return *(const int64_t *)at;
	case WEFT_TYPE_I32:
		return *(const int32_t *)at;
	case WEFT_TYPE_I16:
		return *(const int16_t *)at;
	case WEFT_TYPE_I8:
		return *(const int8_t *)at;
	default:
		return *(const uint8_t *)at;
	}
}

void set_integer(struct tensor *t, uint64_t e, int64_t value)
{
	memcpy(tensor_at(t, e), &value, type_bytes(t->t.type));
}

float *tensor_f32(const struct tensor *tensor, uint64_t element)
{
	return tensor_at(tensor, element);
}

ptrdiff_t tensor_difference(const struct tensor *a, const struct tensor *b)
{
	if (!a->storage)
		return -1;
	for (size_t i = 0; i < a->bytes; i++) {
		if (a->storage[i] == b->storage[i])
			continue;
		if (a->t.type == WEFT_TYPE_F32) {
			float x, y;

			memcpy(&x, a->storage + i / 4 * 4, 4);
			memcpy(&y, b->storage + i / 4 * 4, 4);
			if (x != x && y != y)
				continue;
		}
		return (ptrdiff_t)i;
	}
	return -1;
}

uint32_t float_bits(float x)
{
	uint32_t bits;

	memcpy(&bits, &x, sizeof(bits));
	return bits;
}

int op_units_make(void **state)
{
	static const enum weft_engine_isa isas[] = {WEFT_ENGINE_SCALAR, WEFT_ENGINE_AVX2, WEFT_ENGINE_AVX512,
						    WEFT_ENGINE_NEON};

	(void)state;
	for (unsigned int i = 0; i < 4; i++)
		for (unsigned int lanes = 1; lanes <= 3; lanes++)
			if (!weft_engine_unit_new(isas[i], lanes, &op_units[op_unit_count]))
				op_unit_count++;
	return op_unit_count < 3;
}

int op_units_free(void **state)
{
	(void)state;
	while (op_unit_count)
		weft_engine_unit_free(op_units[--op_unit_count]);
	return 0;
}

enum weft_fault op_run(struct weft_engine_unit *unit, enum weft_op op, const union weft_params *params,
		       unsigned int operands, const struct tensor operand[], struct weft_fault_record *fault)
{
	union {
		unsigned char bytes[WEFT_CMD_MAX_BYTES];
		struct weft_cmd command;
	} u;
	struct weft_fault_record ignored;
	void *pointer[WEFT_MAX_OPERANDS] = {NULL};

	memset(&u, 0, sizeof(u));
	u.command.opcode = (uint16_t)op;
	u.command.operands = (uint8_t)operands;
	u.command.size = (uint32_t)(sizeof(struct weft_cmd) + operands * sizeof(struct weft_tensor));
	if (params)
		u.command.params = *params;
	for (unsigned int i = 0; i < operands; i++) {
		u.command.operand[i] = operand[i].t;
		pointer[i] = operand[i].base;
	}
	return weft_engine_execute(unit, &u.command, pointer, fault ? fault : &ignored);
}

void op_check(enum weft_op op, const union weft_params *params, unsigned int operands, const struct tensor operand[],
	      const struct tensor expected[], const char *what)
{
	for (unsigned int u = 0; u < op_unit_count; u++) {
		struct tensor copy[WEFT_MAX_OPERANDS];

		for (unsigned int i = 0; i < operands; i++) {
			copy[i] = tensor_copy(&operand[i]);
			/* Operands in place stay in place. */
			for (unsigned int j = 0; j < i; j++)
				if (operand[i].storage && operand[j].storage == operand[i].storage) {
					tensor_free(&copy[i]);
					copy[i].storage = copy[j].storage;
					copy[i].base = copy[j].storage + (operand[i].base - operand[i].storage);
				}
		}
		assert_int_equal(op_run(op_units[u], op, params, operands, copy, NULL), WEFT_FAULT_NONE);
		for (unsigned int i = 0; i < operands; i++) {
			ptrdiff_t at = tensor_difference(&copy[i], &expected[i]);

			if (at >= 0)
				fail_msg(
					"%s: %s with %u lanes: operand %u differs at byte %td of %zu (%g, expected %g)",
					what, weft_engine_unit_kernels(op_units[u]),
					weft_engine_unit_lanes(op_units[u]), i, at, copy[i].bytes,
					(double)*(float *)(copy[i].storage + at / 4 * 4),
					(double)*(float *)(expected[i].storage + at / 4 * 4));
		}
		for (unsigned int i = 0; i < operands; i++) {
			bool shared = false;

			for (unsigned int j = 0; j < i; j++)
				shared |= operand[i].storage && operand[j].storage == operand[i].storage;
			if (!shared)
				tensor_free(&copy[i]);
		}
	}
}

float reference_sum(const float *term, size_t n)
{
	float total = 0.0f;

	for (size_t first = 0; first < n; first += WEFT_SUM_REDUCE) {
		float partial[WEFT_SUM_PARTIALS] = {0};

		for (size_t i = first; i < n && i < first + WEFT_SUM_REDUCE; i++)
			partial[(i - first) % WEFT_SUM_PARTIALS] += term[i];
		for (int half = WEFT_SUM_PARTIALS / 2; half; half /= 2)
			for (int j = 0; j < half; j++)
				partial[j] += partial[j + half];
		total += partial[0];
	}
	return total;
}
