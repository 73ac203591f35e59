// SPDX-License-Identifier: MIT
/* Integer operations along the last dimension: softmax and layer normalisation.  A piece is a row. */
#include "integer.h"
#include "kernels.h"

struct rows {
	const struct weft_cmd *command;
	void *const *pointer;
	const struct weft_tensor *x, *y;
	const uint8_t *x_at;
	uint8_t *y_at;
	uint32_t n;
};

/* Element offset of row @index of @tensor. */
static ptrdiff_t row_offset(const struct weft_tensor *tensor, uint64_t index)
{
	ptrdiff_t offset = 0;

	for (unsigned int d = tensor->rank - 1u; d-- > 0;) {
		offset += (ptrdiff_t)(index % tensor->dims[d]) * tensor->strides[d];
		index /= tensor->dims[d];
	}
	return offset;
}

static uint64_t row_count(const struct weft_tensor *tensor)
{
	uint64_t rows = 1;

	for (unsigned int d = 0; d + 1u < tensor->rank; d++)
		rows *= tensor->dims[d];
	return rows;
}

/* Rows are handed out in runs, so that their number fits the count of pieces. */
#define RUN 8

static void run_rows(struct weft_engine_unit *unit, struct rows *r, weft_piece piece)
{
	weft_engine_parallel(unit, (unsigned int)((row_count(r->x) + RUN - 1) / RUN), piece, r);
}

static void softmax_row(const struct rows *r, const uint8_t *x, uint8_t *y)
{
	const int32_t *table = r->pointer[1];
	const ptrdiff_t step = r->command->operand[1].strides[0];
	const bool is_signed = r->x->type == WEFT_TYPE_I8;
	const int64_t most = r->y->type == WEFT_TYPE_I8 ? 127 : 255;
	const uint32_t bits = r->command->params.qsoftmax.bits;
	int32_t greatest = weft_byte(x, is_signed);
	int64_t sum = 0;

	for (uint32_t i = 1; i < r->n; i++)
		greatest = weft_byte(x + i, is_signed) > greatest ? weft_byte(x + i, is_signed) : greatest;
	for (uint32_t i = 0; i < r->n; i++)
		sum += table[(greatest - weft_byte(x + i, is_signed)) * step];
	for (uint32_t i = 0; i < r->n; i++) {
		int64_t e = table[(greatest - weft_byte(x + i, is_signed)) * step];
		int64_t q = r->y->zero_point + ((e << bits) + sum / 2) / sum;

		y[i] = (uint8_t)(q > most ? most : q);
	}
}

/* floor(sqrt(v)), a bit at a time. */
static uint64_t root(uint64_t v)
{
	uint64_t result = 0, bit = (uint64_t)1 << 62;

	while (bit > v)
		bit >>= 2;
	for (; bit; bit >>= 2) {
		if (v >= result + bit) {
			v -= result + bit;
			result = (result >> 1) + bit;
		} else {
			result >>= 1;
		}
	}
	return result;
}

static int64_t floor_divide(int64_t a, int64_t b)
{
	int64_t q = a / b;

	return q * b > a ? q - 1 : q;
}

static void layernorm_row(const struct rows *r, const uint8_t *x, uint8_t *y)
{
	const union weft_params *params = &r->command->params;
	const struct weft_tensor *o = r->command->operand;
	const int8_t *gamma = r->pointer[1];
	const int32_t *bias = r->pointer[2];
	const struct weft_multipliers multipliers = weft_multipliers_of(&o[3], r->pointer[3]);
	const bool is_signed = r->x->type == WEFT_TYPE_I8;
	int64_t n = r->n, sum = 0, squares = 0, divisor;

	for (uint32_t i = 0; i < r->n; i++) {
		int64_t v = weft_byte(x + i, is_signed) - r->x->zero_point;

		sum += v;
		squares += v * v;
	}
	divisor = (int64_t)root((uint64_t)(n * squares - sum * sum + (int64_t)params->qlayernorm.epsilon) << 16);
	for (uint32_t i = 0; i < r->n; i++) {
		int64_t d = n * (weft_byte(x + i, is_signed) - r->x->zero_point) - sum;
		int64_t t = floor_divide(d * (1 << 20) + divisor / 2, divisor);
		const int32_t *row = multipliers.row + (ptrdiff_t)i * multipliers.step;
		uint32_t total = (uint32_t)(t * gamma[i]) + (uint32_t)(bias ? bias[i] : 0);

		y[i] = (uint8_t)weft_clamp_result(weft_requantize((int32_t)total, row[0], (uint32_t)row[1]),
						  r->y->zero_point, params->qlayernorm.low, params->qlayernorm.high);
	}
}

#define RUN_PIECE(name)                                                                                  \
	static void name##_piece(void *argument, unsigned int index, unsigned int lane)                  \
	{                                                                                                \
		const struct rows *r = argument;                                                         \
		uint64_t end = row_count(r->x), row = (uint64_t)index * RUN;                             \
                                                                                                         \
		(void)lane;                                                                              \
		end = end < row + RUN ? end : row + RUN;                                                 \
		for (; row < end; row++)                                                                 \
			name##_row(r, r->x_at + row_offset(r->x, row), r->y_at + row_offset(r->y, row)); \
	}
RUN_PIECE(softmax)
RUN_PIECE(layernorm)

static struct rows rows_of(const struct weft_cmd *command, void *const pointer[], unsigned int result)
{
	return (struct rows){
		.command = command,
		.pointer = pointer,
		.x = &command->operand[0],
		.y = &command->operand[result],
		.x_at = pointer[0],
		.y_at = pointer[result],
		.n = command->operand[0].dims[command->operand[0].rank - 1],
	};
}

enum weft_fault WEFT_KERNEL(weft_qsoftmax)(WEFT_KERNEL_ARGUMENTS)
{
	struct rows r = rows_of(command, pointer, 2);
	const int32_t *table = pointer[1];

	for (ptrdiff_t i = 0; i < 256; i++) {
		int32_t e = table[i * command->operand[1].strides[0]];

		if (e >= 0 && e <= 1 << 24 && (e || i))
			continue;
		fault->operand = 1;
		fault->address = (uint64_t)(int64_t)e;
		return WEFT_FAULT_VALUE;
	}
	run_rows(unit, &r, softmax_piece);
	return WEFT_FAULT_NONE;
}

enum weft_fault WEFT_KERNEL(weft_qlayernorm)(WEFT_KERNEL_ARGUMENTS)
{
	struct rows r = rows_of(command, pointer, 4);
	enum weft_fault reason = weft_multipliers_check(&command->operand[3], pointer[3], 3, fault);

	if (reason)
		return reason;
	run_rows(unit, &r, layernorm_piece);
	return WEFT_FAULT_NONE;
}
