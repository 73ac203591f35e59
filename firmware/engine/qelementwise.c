// SPDX-License-Identifier: MIT
/*
 * Integer operations on each element by itself.  A byte b of either sign is
 * (b ^ flip) - offset, so that one loop serves both.
 */
#include "integer.h"
#include "iterate.h"
#include "kernels.h"

struct bytes {
	uint8_t flip;
	/** What is left to take off: of the sign, and the zero point. */
	int32_t offset;
};

static struct bytes bytes_of(const struct weft_tensor *tensor)
{
	struct bytes b = {.flip = tensor->type == WEFT_TYPE_I8 ? 0x80 : 0};

	b.offset = tensor->zero_point + b.flip;
	return b;
}

WEFT_INTEGER_INLINE int32_t value_of(uint8_t byte, struct bytes b)
{
	return (int32_t)(byte ^ b.flip) - b.offset;
}

WEFT_INTEGER_INLINE int32_t clamp(int32_t q, int32_t low, int32_t high)
{
	q = q < low ? low : q;
	return q > high ? high : q;
}

/* All that the row functions need to know. */
struct context {
	struct bytes a, b;
	int32_t zero, low, high;
	int32_t factor[2];
	uint32_t shift;
	bool is_signed;	   /* of the zero points given as an operand */
	unsigned int type; /* of X, or of Y: where it is i32, i8 or u8 */
};

static void set_range(struct context *c, const struct weft_tensor *result, int32_t low, int32_t high)
{
	c->zero = result->zero_point;
	c->low = low;
	c->high = high;
}

#define ROWS(name)                                                                                     \
	static void name(const void *context, uint64_t first, size_t rows, size_t n, char *const at[], \
			 const ptrdiff_t step[])
#define ROW(type, operand) (type *)(at[operand] + (ptrdiff_t)row * step[operand])

ROWS(quantize_rows)
{
	const struct context c = *(const struct context *)context;

	(void)first;
	for (size_t row = 0; row < rows; row++) {
		const float *restrict x = ROW(const float, 0), *restrict scale = ROW(const float, 1);
		const uint8_t *zeros = at[2] ? ROW(const uint8_t, 2) : NULL;
		uint8_t *restrict y = ROW(uint8_t, 3);

		for (size_t i = 0; i < n; i++) {
			float q = x[i] / scale[i];
			int32_t zero = zeros ? weft_byte(zeros + i, c.is_signed) : c.zero;

			/* Beyond every type's range already; the addition then rounds to nearest even. */
			q = q > 1024.0f ? 1024.0f : q;
			q = q < -1024.0f ? -1024.0f : q;
			q = q != q ? 0.0f : q;
			y[i] = (uint8_t)clamp((int32_t)((q + 0x1.8p23f) - 0x1.8p23f) + zero, c.low, c.high);
		}
	}
}

ROWS(dequantize_rows)
{
	const struct context c = *(const struct context *)context;

	(void)first;
	for (size_t row = 0; row < rows; row++) {
		const float *restrict scale = ROW(const float, 1);
		float *restrict y = ROW(float, 3);

		if (c.type == WEFT_TYPE_I32) {
			const int32_t *x = ROW(const int32_t, 0), *zeros = at[2] ? ROW(const int32_t, 2) : NULL;

			for (size_t i = 0; i < n; i++)
				y[i] = (float)((int64_t)x[i] - (zeros ? zeros[i] : 0)) * scale[i];
		} else {
			const uint8_t *restrict x = ROW(const uint8_t, 0);
			const uint8_t *zeros = at[2] ? ROW(const uint8_t, 2) : NULL;

			if (!zeros)
				for (size_t i = 0; i < n; i++)
					y[i] = (float)value_of(x[i], c.a) * scale[i];
			else
				for (size_t i = 0; i < n; i++)
					y[i] = (float)(value_of(x[i], c.a) - weft_byte(zeros + i, c.is_signed)) *
					       scale[i];
		}
	}
}

ROWS(requantize_rows)
{
	const struct context c = *(const struct context *)context;

	(void)first;
	for (size_t row = 0; row < rows; row++) {
		const int32_t *m = ROW(const int32_t, 1), *s = ROW(const int32_t, 2);
		uint8_t *y = ROW(uint8_t, 3);

		for (size_t i = 0; i < n; i++) {
			int32_t t = c.type == WEFT_TYPE_I32 ? (ROW(const int32_t, 0))[i]
							    : value_of((ROW(const uint8_t, 0))[i], c.a);

			y[i] = (uint8_t)weft_clamp_result(weft_requantize(t, m[i], (uint32_t)s[i]), c.zero, c.low,
							  c.high);
		}
	}
}

ROWS(qadd_rows)
{
	const struct context c = *(const struct context *)context;
	const int32_t half = 1 << (c.shift - 1);

	(void)first;
	for (size_t row = 0; row < rows; row++) {
		const uint8_t *a = ROW(const uint8_t, 0), *b = ROW(const uint8_t, 1);
		uint8_t *y = ROW(uint8_t, 2);

		for (size_t i = 0; i < n; i++) {
			int32_t t = value_of(a[i], c.a) * c.factor[0] + value_of(b[i], c.b) * c.factor[1] + half;

			y[i] = (uint8_t)clamp((t >> c.shift) + c.zero, c.low, c.high);
		}
	}
}

ROWS(qmul_rows)
{
	const struct context c = *(const struct context *)context;

	(void)first;
	for (size_t row = 0; row < rows; row++) {
		const uint8_t *a = ROW(const uint8_t, 0), *b = ROW(const uint8_t, 1);
		uint8_t *y = ROW(uint8_t, 2);

		for (size_t i = 0; i < n; i++) {
			int32_t r = weft_requantize(value_of(a[i], c.a) * value_of(b[i], c.b), c.factor[0], c.shift);

			y[i] = (uint8_t)weft_clamp_result(r, c.zero, c.low, c.high);
		}
	}
}

ROWS(qlookup_rows)
{
	const struct {
		struct bytes x;
		uint8_t table[256];
	} *c = context;

	(void)first;
	for (size_t row = 0; row < rows; row++) {
		const uint8_t *x = ROW(const uint8_t, 0);
		uint8_t *y = ROW(uint8_t, 1);

		for (size_t i = 0; i < n; i++)
			y[i] = c->table[x[i] ^ c->x.flip];
	}
}

static void set_type_range(struct context *c, const struct weft_tensor *result)
{
	bool is_signed = result->type == WEFT_TYPE_I8;

	set_range(c, result, is_signed ? -128 : 0, is_signed ? 127 : 255);
}

enum weft_fault WEFT_KERNEL(weft_quantize)(WEFT_KERNEL_ARGUMENTS)
{
	const struct weft_tensor *o = command->operand;
	struct context c = {.is_signed = o[3].type == WEFT_TYPE_I8};
	struct weft_iteration it;

	(void)fault;
	set_type_range(&c, &o[3]);
	weft_iteration_begin(&it, &o[3]);
	for (unsigned int i = 0; i < 4; i++)
		weft_iteration_add(&it, &o[i], pointer[i], i == 3);
	weft_iteration_run(&it, unit, quantize_rows, &c);
	return WEFT_FAULT_NONE;
}

enum weft_fault WEFT_KERNEL(weft_dequantize)(WEFT_KERNEL_ARGUMENTS)
{
	const struct weft_tensor *o = command->operand;
	struct context c = {.a = bytes_of(&o[0]), .type = o[0].type, .is_signed = o[0].type == WEFT_TYPE_I8};
	struct weft_iteration it;

	(void)fault;
	weft_iteration_begin(&it, &o[3]);
	for (unsigned int i = 0; i < 4; i++)
		weft_iteration_add(&it, &o[i], pointer[i], i == 3);
	weft_iteration_run(&it, unit, dequantize_rows, &c);
	return WEFT_FAULT_NONE;
}

enum weft_fault WEFT_KERNEL(weft_requantize_op)(WEFT_KERNEL_ARGUMENTS)
{
	const struct weft_tensor *o = command->operand;
	struct context c = {.a = bytes_of(&o[0]), .type = o[0].type};
	struct weft_tensor column = {.type = WEFT_TYPE_I32, .rank = o[0].rank};
	enum weft_fault reason = weft_multipliers_check(&o[1], pointer[1], 1, fault);
	const int32_t *multiplier = pointer[1];
	struct weft_iteration it;

	if (reason)
		return reason;
	set_range(&c, &o[2], command->params.qmatmul.low, command->params.qmatmul.high);
	for (unsigned int d = 0; d < column.rank; d++)
		column.dims[d] = 1;
	column.dims[column.rank - 1] = o[1].dims[0];
	column.strides[column.rank - 1] = o[1].strides[0];
	weft_iteration_begin(&it, &o[2]);
	weft_iteration_add(&it, &o[0], pointer[0], false);
	weft_iteration_add(&it, &column, (void *)multiplier, false);
	weft_iteration_add(&it, &column, (void *)(multiplier + 1), false);
	weft_iteration_add(&it, &o[2], pointer[2], true);
	weft_iteration_run(&it, unit, requantize_rows, &c);
	return WEFT_FAULT_NONE;
}

static void binary(struct weft_engine_unit *unit, const struct weft_cmd *command, void *const pointer[],
		   struct context *c, weft_rows rows)
{
	const struct weft_tensor *o = command->operand;
	struct weft_iteration it;

	c->a = bytes_of(&o[0]);
	c->b = bytes_of(&o[1]);
	weft_iteration_begin(&it, &o[2]);
	for (unsigned int i = 0; i < 3; i++)
		weft_iteration_add(&it, &o[i], pointer[i], i == 2);
	weft_iteration_run(&it, unit, rows, c);
}

enum weft_fault WEFT_KERNEL(weft_qadd)(WEFT_KERNEL_ARGUMENTS)
{
	const union weft_params *p = &command->params;
	struct context c = {.factor = {p->qadd.factor[0], p->qadd.factor[1]}, .shift = p->qadd.shift};

	(void)fault;
	set_range(&c, &command->operand[2], p->qadd.low, p->qadd.high);
	binary(unit, command, pointer, &c, qadd_rows);
	return WEFT_FAULT_NONE;
}

enum weft_fault WEFT_KERNEL(weft_qmul)(WEFT_KERNEL_ARGUMENTS)
{
	const union weft_params *p = &command->params;
	struct context c = {.factor = {(int32_t)p->qmul.multiplier, 0}, .shift = p->qmul.shift};

	(void)fault;
	set_range(&c, &command->operand[2], p->qmul.low, p->qmul.high);
	binary(unit, command, pointer, &c, qmul_rows);
	return WEFT_FAULT_NONE;
}

enum weft_fault WEFT_KERNEL(weft_qlookup)(WEFT_KERNEL_ARGUMENTS)
{
	const struct weft_tensor *o = command->operand;
	struct {
		struct bytes x;
		uint8_t table[256];
	} c = {.x = bytes_of(&o[0])};
	const uint8_t *table = pointer[1];
	struct weft_iteration it;

	(void)fault;
	for (unsigned int i = 0; i < 256; i++)
		c.table[i] = table[(ptrdiff_t)i * o[1].strides[0]];
	weft_iteration_begin(&it, &o[2]);
	weft_iteration_add(&it, &o[0], pointer[0], false);
	weft_iteration_add(&it, &o[2], pointer[2], true);
	weft_iteration_run(&it, unit, qlookup_rows, &c);
	return WEFT_FAULT_NONE;
}
