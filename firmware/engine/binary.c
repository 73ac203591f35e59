/* SPDX-License-Identifier: MIT */
/* BINARY and WHERE. */
#include "iterate.h"
#include "kernels.h"
#include "real.h"

#define EACH _Pragma("GCC ivdep") for (size_t i = 0; i < n; i++)

/* One function on one type; ROW is how the result is stored. */
#define BINARY_TYPED(name, input, output, expression, store)                                                    \
	static void binary_##name(const void *context, uint64_t first, size_t rows, size_t n, char *const at[], \
				  const ptrdiff_t step[])                                                       \
	{                                                                                                       \
		(void)context, (void)first;                                                                     \
		for (size_t row = 0; row < rows; row++) {                                                       \
			const input *as = (const input *)(at[0] + (ptrdiff_t)row * step[0]);                    \
			const input *bs = (const input *)(at[1] + (ptrdiff_t)row * step[1]);                    \
			output *y = (output *)(at[2] + (ptrdiff_t)row * step[2]);                               \
                                                                                                                \
			store(input, output, expression)                                                        \
		}                                                                                               \
	}

#define STORE_PLAIN(input, output, expression)    \
	EACH                                      \
	{                                         \
		const input a = as[i], b = bs[i]; \
		y[i] = (output)(expression);      \
	}

/* Floats may be followed by an activation. */
#define STORE_ACTIVATED(input, output, expression)                          \
	const union weft_params *params = context;                          \
	const float low = params->binary.alpha, high = params->binary.beta; \
                                                                            \
	if (params->binary.activation == WEFT_ACT_NONE) {                   \
		STORE_PLAIN(input, output, expression)                      \
	} else if (params->binary.activation == WEFT_ACT_RELU) {            \
		EACH                                                        \
		{                                                           \
			const input a = as[i], b = bs[i];                   \
			const float v = (float)(expression);                \
			y[i] = 0.0f > v ? 0.0f : v;                         \
		}                                                           \
	} else {                                                            \
		EACH                                                        \
		{                                                           \
			const input a = as[i], b = bs[i];                   \
			float v = (float)(expression);                      \
			v = low > v ? low : v;                              \
			y[i] = high < v ? high : v;                         \
		}                                                           \
	}

/* The remainder with the sign of the dividend is exact. */
WEFT_INLINE float mod_float(float a, float b)
{
	float r = fmodf(a, b);

	return r != 0.0f && (r < 0.0f) != (b < 0.0f) ? r + b : r;
}

/* Integers wrap around; a division by zero gives 0. */
#define INTEGER_FUNCTIONS(type, unsigned_type)                                                                 \
	WEFT_INLINE type divide_##type(type a, type b)                                                         \
	{                                                                                                      \
		if (b == 0)                                                                                    \
			return 0;                                                                              \
		return b == -1 ? (type)(0 - (unsigned_type)a) : a / b;                                         \
	}                                                                                                      \
	WEFT_INLINE type fmod_##type(type a, type b)                                                           \
	{                                                                                                      \
		return b == 0 || b == -1 ? 0 : a % b;                                                          \
	}                                                                                                      \
	WEFT_INLINE type mod_##type(type a, type b)                                                            \
	{                                                                                                      \
		type r = fmod_##type(a, b);                                                                    \
                                                                                                               \
		return r != 0 && (r < 0) != (b < 0) ? r + b : r;                                               \
	}                                                                                                      \
	WEFT_INLINE type pow_##type(type a, type b)                                                            \
	{                                                                                                      \
		unsigned_type base = (unsigned_type)a, result = 1;                                             \
                                                                                                               \
		if (b < 0)                                                                                     \
			return a == 1 ? 1 : a == -1 ? (b & 1 ? -1 : 1) : 0;                                    \
		for (unsigned_type e = (unsigned_type)b; e; e >>= 1) {                                         \
			if (e & 1)                                                                             \
				result *= base;                                                                \
			base *= base;                                                                          \
		}                                                                                              \
		return (type)result;                                                                           \
	}                                                                                                      \
	WEFT_INLINE type left_##type(type a, type b)                                                           \
	{                                                                                                      \
		return b < 0 || b >= (type)sizeof(type) * 8 ? 0 : (type)((unsigned_type)a << b);               \
	}                                                                                                      \
	WEFT_INLINE type right_##type(type a, type b)                                                          \
	{                                                                                                      \
		return b < 0 || b >= (type)sizeof(type) * 8 ? (a < 0 ? -1 : 0) : a >> b;                       \
	}                                                                                                      \
	BINARY_TYPED(add_##type, type, type, (unsigned_type)a + (unsigned_type)b, STORE_PLAIN)                 \
	BINARY_TYPED(sub_##type, type, type, (unsigned_type)a - (unsigned_type)b, STORE_PLAIN)                 \
	BINARY_TYPED(mul_##type, type, type, (unsigned_type)a *(unsigned_type)b, STORE_PLAIN)                  \
	BINARY_TYPED(div_##type, type, type, divide_##type(a, b), STORE_PLAIN)                                 \
	BINARY_TYPED(pow_##type, type, type, pow_##type(a, b), STORE_PLAIN)                                    \
	BINARY_TYPED(max_##type, type, type, a > b ? a : b, STORE_PLAIN)                                       \
	BINARY_TYPED(min_##type, type, type, a < b ? a : b, STORE_PLAIN)                                       \
	BINARY_TYPED(mod_##type, type, type, mod_##type(a, b), STORE_PLAIN)                                    \
	BINARY_TYPED(fmod_##type, type, type, fmod_##type(a, b), STORE_PLAIN)                                  \
	BINARY_TYPED(prelu_##type, type, type, a < 0 ? (unsigned_type)a * (unsigned_type)b : (unsigned_type)a, \
		     STORE_PLAIN)                                                                              \
	BINARY_TYPED(left_##type, type, type, left_##type(a, b), STORE_PLAIN)                                  \
	BINARY_TYPED(right_##type, type, type, right_##type(a, b), STORE_PLAIN)

#define COMPARISONS(type)                                                   \
	BINARY_TYPED(equal_##type, type, uint8_t, a == b, STORE_PLAIN)      \
	BINARY_TYPED(less_##type, type, uint8_t, a < b, STORE_PLAIN)        \
	BINARY_TYPED(less_equal_##type, type, uint8_t, a <= b, STORE_PLAIN) \
	BINARY_TYPED(greater_##type, type, uint8_t, a > b, STORE_PLAIN)     \
	BINARY_TYPED(greater_equal_##type, type, uint8_t, a >= b, STORE_PLAIN)

INTEGER_FUNCTIONS(int32_t, uint32_t)
INTEGER_FUNCTIONS(int64_t, uint64_t)
COMPARISONS(float)
COMPARISONS(int32_t)
COMPARISONS(int64_t)

BINARY_TYPED(add_float, float, float, a + b, STORE_ACTIVATED)
BINARY_TYPED(sub_float, float, float, a - b, STORE_ACTIVATED)
BINARY_TYPED(mul_float, float, float, a *b, STORE_ACTIVATED)
BINARY_TYPED(div_float, float, float, a / b, STORE_ACTIVATED)
BINARY_TYPED(pow_float, float, float, weft_pow_d(a, b), STORE_ACTIVATED)
BINARY_TYPED(max_float, float, float, weft_max(a, b), STORE_ACTIVATED)
BINARY_TYPED(min_float, float, float, weft_min(a, b), STORE_ACTIVATED)
BINARY_TYPED(mod_float, float, float, mod_float(a, b), STORE_ACTIVATED)
BINARY_TYPED(fmod_float, float, float, fmodf(a, b), STORE_ACTIVATED)
BINARY_TYPED(prelu_float, float, float, a < 0.0f ? a * b : a, STORE_ACTIVATED)

BINARY_TYPED(equal_bool, uint8_t, uint8_t, !a == !b, STORE_PLAIN)
BINARY_TYPED(and_bool, uint8_t, uint8_t, a &&b, STORE_PLAIN)
BINARY_TYPED(or_bool, uint8_t, uint8_t, a || b, STORE_PLAIN)
BINARY_TYPED(xor_bool, uint8_t, uint8_t, !a != !b, STORE_PLAIN)

/* By function, then by type: f32, i32, i64, bool. */
#define NUMERIC(name)                                                                         \
	{                                                                                     \
		binary_##name##_float, binary_##name##_int32_t, binary_##name##_int64_t, NULL \
	}

static const weft_rows binary_table[WEFT_BINARY_FUNCTIONS][4] = {
	[WEFT_BINARY_ADD] = NUMERIC(add),
	[WEFT_BINARY_SUB] = NUMERIC(sub),
	[WEFT_BINARY_MUL] = NUMERIC(mul),
	[WEFT_BINARY_DIV] = NUMERIC(div),
	[WEFT_BINARY_POW] = NUMERIC(pow),
	[WEFT_BINARY_MAX] = NUMERIC(max),
	[WEFT_BINARY_MIN] = NUMERIC(min),
	[WEFT_BINARY_MOD] = NUMERIC(mod),
	[WEFT_BINARY_FMOD] = NUMERIC(fmod),
	[WEFT_BINARY_PRELU] = NUMERIC(prelu),
	[WEFT_BINARY_EQUAL] = {binary_equal_float, binary_equal_int32_t, binary_equal_int64_t, binary_equal_bool},
	[WEFT_BINARY_LESS] = NUMERIC(less),
	[WEFT_BINARY_LESS_EQUAL] = NUMERIC(less_equal),
	[WEFT_BINARY_GREATER] = NUMERIC(greater),
	[WEFT_BINARY_GREATER_EQUAL] = NUMERIC(greater_equal),
	[WEFT_BINARY_AND] = {NULL, NULL, NULL, binary_and_bool},
	[WEFT_BINARY_OR] = {NULL, NULL, NULL, binary_or_bool},
	[WEFT_BINARY_XOR] = {NULL, NULL, NULL, binary_xor_bool},
	[WEFT_BINARY_SHIFT_LEFT] = {NULL, binary_left_int32_t, binary_left_int64_t, NULL},
	[WEFT_BINARY_SHIFT_RIGHT] = {NULL, binary_right_int32_t, binary_right_int64_t, NULL},
};

static int type_column(unsigned int type)
{
	switch (type) {
	case WEFT_TYPE_F32:
		return 0;
	case WEFT_TYPE_I32:
		return 1;
	case WEFT_TYPE_I64:
		return 2;
	case WEFT_TYPE_BOOL:
		return 3;
	default:
		return -1;
	}
}

enum weft_fault WEFT_KERNEL(weft_binary)(WEFT_KERNEL_ARGUMENTS)
{
	int column = type_column(command->operand[0].type);
	struct weft_iteration it;
	weft_rows rows = column < 0 ? NULL : binary_table[command->params.binary.function][column];

	if (!rows) {
		fault->operand = 0;
		return WEFT_FAULT_TYPE;
	}
	weft_iteration_begin(&it, &command->operand[2]);
	weft_iteration_add(&it, &command->operand[0], pointer[0], false);
	weft_iteration_add(&it, &command->operand[1], pointer[1], false);
	weft_iteration_add(&it, &command->operand[2], pointer[2], true);
	weft_iteration_run(&it, unit, rows, &command->params);
	return WEFT_FAULT_NONE;
}

#define WHERE(type)                                                                                            \
	static void where_##type(const void *context, uint64_t first, size_t rows, size_t n, char *const at[], \
				 const ptrdiff_t step[])                                                       \
	{                                                                                                      \
		(void)context, (void)first;                                                                    \
		for (size_t row = 0; row < rows; row++) {                                                      \
			const uint8_t *c = (const uint8_t *)(at[0] + (ptrdiff_t)row * step[0]);                \
			const type *a = (const type *)(at[1] + (ptrdiff_t)row * step[1]);                      \
			const type *b = (const type *)(at[2] + (ptrdiff_t)row * step[2]);                      \
			type *y = (type *)(at[3] + (ptrdiff_t)row * step[3]);                                  \
                                                                                                               \
			EACH                                                                                   \
			{                                                                                      \
				const type yes = a[i], no = b[i];                                              \
				y[i] = c[i] ? yes : no;                                                        \
			}                                                                                      \
		}                                                                                              \
	}

WHERE(uint8_t)
WHERE(uint16_t)
WHERE(uint32_t)
WHERE(uint64_t)

enum weft_fault WEFT_KERNEL(weft_where)(WEFT_KERNEL_ARGUMENTS)
{
	static const weft_rows by_bytes[9] = {
		[1] = where_uint8_t, [2] = where_uint16_t, [4] = where_uint32_t, [8] = where_uint64_t};
	weft_rows rows = by_bytes[weft_element_bytes(command->operand[3].type)];
	struct weft_iteration it;

	if (!rows) {
		fault->operand = 3;
		return WEFT_FAULT_TYPE;
	}
	weft_iteration_begin(&it, &command->operand[3]);
	for (unsigned int i = 0; i < 4; i++)
		weft_iteration_add(&it, &command->operand[i], pointer[i], i == 3);
	weft_iteration_run(&it, unit, rows, NULL);
	return WEFT_FAULT_NONE;
}
