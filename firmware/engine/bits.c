// SPDX-License-Identifier: MIT
/* BIT_MATMUL, BIT_DOT, BIT_UNPACK and BIT_PACK. */
#include <stdbool.h>
#include <string.h>

#include "kernels.h"

/* Rows of a tensor, by row-major index of all dimensions but the last: elements from the first. */
static ptrdiff_t row_offset(const struct weft_tensor *t, uint64_t row)
{
	ptrdiff_t offset = 0;

	for (unsigned int d = t->rank - 1; d-- > 0; row /= t->dims[d])
		offset += (ptrdiff_t)(row % t->dims[d]) * t->strides[d];
	return offset;
}

static uint64_t row_count(const struct weft_tensor *t)
{
	uint64_t rows = 1;

	for (unsigned int d = 0; d + 1 < t->rank; d++)
		rows *= t->dims[d];
	return rows;
}

struct conversion {
	const struct weft_tensor *x, *y;
	const void *x_at;
	void *y_at;
	uint64_t rows, piece_rows;
	bool signs;
};

static void unpack_f32(const uint32_t *from, uint32_t n, bool signs, float *to, ptrdiff_t step)
{
	const float low = signs ? -1.0f : 0.0f;
	uint32_t i = 0;

	for (; step == 1 && i + 32 <= n; i += 32) {
		uint32_t word = from[i / 32];

		for (unsigned int b = 0; b < 32; b++)
			to[i + b] = word >> b & 1 ? 1.0f : low;
	}
	for (; i < n; i++)
		to[(ptrdiff_t)i * step] = from[i / 32] >> i % 32 & 1 ? 1.0f : low;
}

/* A set bit as @one, another as @zero. */
static void unpack_bytes(const uint32_t *from, uint32_t n, uint8_t zero, uint8_t one, uint8_t *to, ptrdiff_t step)
{
	uint32_t i = 0;

	for (; step == 1 && i + 32 <= n; i += 32) {
		uint32_t word = from[i / 32];

		for (unsigned int b = 0; b < 32; b++)
			to[i + b] = word >> b & 1 ? one : zero;
	}
	for (; i < n; i++)
		to[(ptrdiff_t)i * step] = from[i / 32] >> i % 32 & 1 ? one : zero;
}

static void unpack_piece(void *argument, unsigned int index, unsigned int lane)
{
	const struct conversion *c = argument;
	unsigned int last = c->x->rank - 1u;

	(void)lane;
	for (uint64_t row = index * c->piece_rows; row < c->rows && row < (index + 1) * c->piece_rows; row++) {
		const uint32_t *from = (const uint32_t *)c->x_at + row_offset(c->x, row) / 32;
		ptrdiff_t to = row_offset(c->y, row);

		if (c->y->type == WEFT_TYPE_F32)
			unpack_f32(from, c->x->dims[last], c->signs, (float *)c->y_at + to, c->y->strides[last]);
		else
			unpack_bytes(from, c->x->dims[last], c->signs ? 0xff : 0, 1, (uint8_t *)c->y_at + to,
				     c->y->strides[last]);
	}
}

static bool is_positive(const struct weft_tensor *x, const void *x_at, ptrdiff_t at)
{
	if (x->type == WEFT_TYPE_F32)
		return ((const float *)x_at)[at] > 0;
	if (x->type == WEFT_TYPE_I8)
		return ((const int8_t *)x_at)[at] > x->zero_point;
	return ((const uint8_t *)x_at)[at] > x->zero_point;
}

static void pack_piece(void *argument, unsigned int index, unsigned int lane)
{
	const struct conversion *c = argument;
	unsigned int last = c->x->rank - 1u;

	(void)lane;
	for (uint64_t row = index * c->piece_rows; row < c->rows && row < (index + 1) * c->piece_rows; row++) {
		uint32_t *to = (uint32_t *)c->y_at + row_offset(c->y, row) / 32;
		ptrdiff_t from = row_offset(c->x, row);

		for (uint32_t i = 0; i < c->x->dims[last]; i += 32) {
			uint32_t word = 0, n = c->x->dims[last] - i < 32 ? c->x->dims[last] - i : 32;

			for (uint32_t b = 0; b < n; b++)
				word |= (uint32_t)is_positive(c->x, c->x_at,
							      from + (ptrdiff_t)(i + b) * c->x->strides[last])
					<< b;
			to[i / 32] = word;
		}
	}
}

static enum weft_fault convert(struct weft_engine_unit *unit, const struct weft_cmd *command, void *const pointer[],
			       weft_piece piece)
{
	struct conversion c = {.x = &command->operand[0],
			       .y = &command->operand[1],
			       .x_at = pointer[0],
			       .y_at = pointer[1],
			       .signs = command->opcode == WEFT_OP_BIT_UNPACK && command->params.bits.signs};
	unsigned int lanes = weft_engine_unit_lanes(unit);

	c.rows = row_count(c.x);
	c.piece_rows = (c.rows + lanes - 1) / lanes;
	weft_engine_parallel(unit, (unsigned int)((c.rows + c.piece_rows - 1) / c.piece_rows), piece, &c);
	return WEFT_FAULT_NONE;
}

enum weft_fault WEFT_KERNEL(weft_bit_unpack)(WEFT_KERNEL_ARGUMENTS)
{
	(void)fault;
	return convert(unit, command, pointer, unpack_piece);
}

enum weft_fault WEFT_KERNEL(weft_bit_pack)(WEFT_KERNEL_ARGUMENTS)
{
	(void)fault;
	return convert(unit, command, pointer, pack_piece);
}

struct dot {
	const struct weft_cmd *command;
	void *const *pointer;
	uint32_t piece_rows;
};

static uint32_t differences(const uint32_t *a, const uint32_t *b, uint32_t bits)
{
	uint32_t words = bits / 32, count = 0, w = 0;

	for (; w + 2 <= words; w += 2) {
		uint64_t x, y;

		memcpy(&x, a + w, sizeof(x));
		memcpy(&y, b + w, sizeof(y));
		count += (uint32_t)__builtin_popcountll(x ^ y);
	}
	for (; w < words; w++)
		count += (uint32_t)__builtin_popcount(a[w] ^ b[w]);
	if (bits % 32)
		count += (uint32_t)__builtin_popcount((a[w] ^ b[w]) & ((1u << bits % 32) - 1));
	return count;
}

static void dot_piece(void *argument, unsigned int index, unsigned int lane)
{
	const struct dot *d = argument;
	const struct weft_tensor *a = &d->command->operand[0], *b = &d->command->operand[1],
				 *c = &d->command->operand[2];
	uint32_t bits = a->dims[1];

	(void)lane;
	for (uint32_t m = index * d->piece_rows; m < c->dims[0] && m < (index + 1) * d->piece_rows; m++) {
		const uint32_t *row = (const uint32_t *)d->pointer[0] + (ptrdiff_t)m * (a->strides[0] / 32);
		int32_t *to = (int32_t *)d->pointer[2] + (ptrdiff_t)m * c->strides[0];

		for (uint32_t n = 0; n < c->dims[1]; n++) {
			const uint32_t *column = (const uint32_t *)d->pointer[1] + (ptrdiff_t)n * (b->strides[0] / 32);

			to[(ptrdiff_t)n * c->strides[1]] = (int32_t)bits - 2 * (int32_t)differences(row, column, bits);
		}
	}
}

enum weft_fault WEFT_KERNEL(weft_bit_dot)(WEFT_KERNEL_ARGUMENTS)
{
	unsigned int lanes = weft_engine_unit_lanes(unit);
	uint32_t rows = command->operand[2].dims[0];
	struct dot d = {.command = command, .pointer = pointer, .piece_rows = (rows + lanes - 1) / lanes};

	(void)fault;
	weft_engine_parallel(unit, (rows + d.piece_rows - 1) / d.piece_rows, dot_piece, &d);
	return WEFT_FAULT_NONE;
}

/*
 * The product of the bits unpacked, some rows at a time: to bytes (less a zero
 * point of 1 where they are signs: 0 and 2 stand for -1 and 1) or floats.
 */
enum weft_fault WEFT_KERNEL(weft_bit_matmul)(WEFT_KERNEL_ARGUMENTS)
{
	const struct weft_bits_params *bits = &command->params.bits;
	const struct weft_tensor *a = &command->operand[0];
	bool real = command->operand[1].type == WEFT_TYPE_F32;
	uint32_t columns = a->dims[1], bytes = real ? 4 : 1, result = real ? 3 : 4;
	uint32_t most = WEFT_SHARED_BYTES / (columns * bytes), rows;
	void *at[5] = {weft_engine_shared(unit), pointer[1], pointer[2], real ? pointer[4] : pointer[3], pointer[4]};
	union {
		struct weft_cmd command;
		unsigned char room[sizeof(struct weft_cmd) + 5 * sizeof(struct weft_tensor)];
	} product = {.command = *command};
	struct weft_tensor *o = product.command.operand;

	product.command.opcode = real ? WEFT_OP_MATMUL : WEFT_OP_QMATMUL;
	product.command.operands = (uint8_t)(result + 1);
	product.command.params = (union weft_params){0};
	if (real) {
		product.command.params.matmul.activation = bits->activation;
		product.command.params.matmul.alpha = bits->alpha;
		product.command.params.matmul.beta = bits->beta;
		product.command.params.matmul.scale = 1;
	} else {
		product.command.params.qmatmul.low = bits->low;
		product.command.params.qmatmul.high = bits->high;
	}
	memcpy(&o[1], &command->operand[1], 3 * sizeof(*o));
	o[result] = command->operand[4];
	o[0] = (struct weft_tensor){.type = real ? WEFT_TYPE_F32 : WEFT_TYPE_U8,
				    .rank = 2,
				    .zero_point = real ? 0 : (int32_t)bits->signs,
				    .strides = {(int32_t)columns, 1}};
	o[0].dims[1] = columns;
	for (uint32_t row = 0; row < a->dims[0]; row += rows) {
		enum weft_fault reason;

		rows = a->dims[0] - row < most ? a->dims[0] - row : most;
		for (uint32_t i = 0; i < rows; i++) {
			const uint32_t *from =
				(const uint32_t *)pointer[0] + (ptrdiff_t)(row + i) * (a->strides[0] / 32);

			if (real)
				unpack_f32(from, columns, bits->signs, (float *)at[0] + (size_t)i * columns, 1);
			else
				unpack_bytes(from, columns, 0, bits->signs ? 2 : 1,
					     (uint8_t *)at[0] + (size_t)i * columns, 1);
		}
		o[0].dims[0] = o[result].dims[0] = rows;
		reason = real ? WEFT_KERNEL(weft_matmul)(unit, &product.command, at, fault)
			      : WEFT_KERNEL(weft_qmatmul)(unit, &product.command, at, fault);
		if (reason)
			return reason;
		at[result] = (char *)at[result] +
			     (ptrdiff_t)rows * o[result].strides[0] * (real || o[result].type == WEFT_TYPE_I32 ? 4 : 1);
	}
	return WEFT_FAULT_NONE;
}
