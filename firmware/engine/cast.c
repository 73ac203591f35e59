/* SPDX-License-Identifier: MIT */
/*
 * CAST between any two numeric types, through a chunk of an intermediate type:
 * i64 between integers (the low bits are kept), else f32.
 */
#include "iterate.h"
#include "kernels.h"
#include "real.h"

#define CHUNK 512

static bool is_real(unsigned int type)
{
	return type == WEFT_TYPE_F32 || type == WEFT_TYPE_F16 || type == WEFT_TYPE_BF16;
}

WEFT_INLINE float from_half(uint16_t h)
{
	uint32_t sign = (uint32_t)(h & 0x8000) << 16, magnitude = h & 0x7fff;
	/* The exponent is rebased by a multiplication, which normalises denormals too. */
	float scaled = weft_float(magnitude << 13) * 0x1p112f;
	uint32_t bits = magnitude >= 0x7c00 ? 0x7f800000 | (magnitude & 0x3ff) << 13 : weft_bits32(scaled);

	return weft_float(sign | bits);
}

/* Rounds to nearest even. */
WEFT_INLINE uint16_t to_half(float x)
{
	uint32_t bits = weft_bits32(x), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
	/* Normal: add half a unit less the tie's bit, then rebase the exponent. */
	uint32_t normal = (magnitude + 0xfff + (magnitude >> 13 & 1) - (112u << 23)) >> 13;
	/* Denormal: adding 0.5 makes the adder round at the right bit. */
	uint32_t denormal = weft_bits32(weft_float(magnitude) + 0.5f) - weft_bits32(0.5f);
	uint32_t result = magnitude < 0x38800000 ? denormal : normal;

	result = magnitude >= 0x477ff000 ? 0x7c00 : result;
	result = magnitude > 0x7f800000 ? 0x7e00 : result;
	return (uint16_t)(sign | result);
}

WEFT_INLINE float from_bf16(uint16_t h)
{
	return weft_float((uint32_t)h << 16);
}

WEFT_INLINE uint16_t to_bf16(float x)
{
	uint32_t bits = weft_bits32(x);
	uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;

	return (uint16_t)(x != x ? (bits >> 16) | 0x40 : rounded);
}

/* Truncates and saturates; NaN gives 0. */
#define SATURATE(name, type, low, high, below, above)                               \
	WEFT_INLINE type name(float x)                                              \
	{                                                                           \
		return x >= above ? high : x <= below ? low : x != x ? 0 : (type)x; \
	}
SATURATE(to_i8, int8_t, INT8_MIN, INT8_MAX, -0x1p7f, 0x1p7f)
SATURATE(to_u8, uint8_t, 0, UINT8_MAX, 0.0f, 0x1p8f)
SATURATE(to_i16, int16_t, INT16_MIN, INT16_MAX, -0x1p15f, 0x1p15f)
SATURATE(to_i32, int32_t, INT32_MIN, INT32_MAX, -0x1p31f, 0x1p31f)
SATURATE(to_i64, int64_t, INT64_MIN, INT64_MAX, -0x1p63f, 0x1p63f)

#define CONVERT(to_type, from_type, expression)          \
	do {                                             \
		const from_type *restrict from = source; \
		to_type *restrict to = target;           \
                                                         \
		for (size_t i = 0; i < n; i++) {         \
			const from_type x = from[i];     \
			to[i] = (to_type)(expression);   \
		}                                        \
	} while (0)

static void read_real(unsigned int type, const void *source, float *target, size_t n)
{
	switch (type) {
	case WEFT_TYPE_F32:
		CONVERT(float, float, x);
		break;
	case WEFT_TYPE_F16:
		CONVERT(float, uint16_t, from_half(x));
		break;
	case WEFT_TYPE_BF16:
		CONVERT(float, uint16_t, from_bf16(x));
		break;
	case WEFT_TYPE_I32:
		CONVERT(float, int32_t, x);
		break;
	case WEFT_TYPE_I64:
		CONVERT(float, int64_t, x);
		break;
	case WEFT_TYPE_I8:
		CONVERT(float, int8_t, x);
		break;
	case WEFT_TYPE_U8:
		CONVERT(float, uint8_t, x);
		break;
	case WEFT_TYPE_I16:
		CONVERT(float, int16_t, x);
		break;
	case WEFT_TYPE_BOOL:
		CONVERT(float, uint8_t, x != 0);
		break;
	}
}

static void write_real(unsigned int type, const float *source, void *target, size_t n)
{
	switch (type) {
	case WEFT_TYPE_F32:
		CONVERT(float, float, x);
		break;
	case WEFT_TYPE_F16:
		CONVERT(uint16_t, float, to_half(x));
		break;
	case WEFT_TYPE_BF16:
		CONVERT(uint16_t, float, to_bf16(x));
		break;
	case WEFT_TYPE_I32:
		CONVERT(int32_t, float, to_i32(x));
		break;
	case WEFT_TYPE_I64:
		CONVERT(int64_t, float, to_i64(x));
		break;
	case WEFT_TYPE_I8:
		CONVERT(int8_t, float, to_i8(x));
		break;
	case WEFT_TYPE_U8:
		CONVERT(uint8_t, float, to_u8(x));
		break;
	case WEFT_TYPE_I16:
		CONVERT(int16_t, float, to_i16(x));
		break;
	case WEFT_TYPE_BOOL:
		CONVERT(uint8_t, float, x != 0.0f);
		break;
	}
}

static void read_integer(unsigned int type, const void *source, int64_t *target, size_t n)
{
	switch (type) {
	case WEFT_TYPE_I32:
		CONVERT(int64_t, int32_t, x);
		break;
	case WEFT_TYPE_I64:
		CONVERT(int64_t, int64_t, x);
		break;
	case WEFT_TYPE_I8:
		CONVERT(int64_t, int8_t, x);
		break;
	case WEFT_TYPE_U8:
		CONVERT(int64_t, uint8_t, x);
		break;
	case WEFT_TYPE_I16:
		CONVERT(int64_t, int16_t, x);
		break;
	case WEFT_TYPE_BOOL:
		CONVERT(int64_t, uint8_t, x != 0);
		break;
	}
}

static void write_integer(unsigned int type, const int64_t *source, void *target, size_t n)
{
	switch (type) {
	case WEFT_TYPE_I32:
		CONVERT(int32_t, int64_t, x);
		break;
	case WEFT_TYPE_I64:
		CONVERT(int64_t, int64_t, x);
		break;
	case WEFT_TYPE_I8:
		CONVERT(int8_t, int64_t, x);
		break;
	case WEFT_TYPE_U8:
		CONVERT(uint8_t, int64_t, x);
		break;
	case WEFT_TYPE_I16:
		CONVERT(int16_t, int64_t, x);
		break;
	case WEFT_TYPE_BOOL:
		CONVERT(uint8_t, int64_t, x != 0);
		break;
	}
}

static void cast_rows(const void *context, uint64_t first, size_t rows, size_t n, char *const at[],
		      const ptrdiff_t step[])
{
	const struct weft_cmd *command = context;
	const struct weft_tensor *x = &command->operand[0], *y = &command->operand[1];
	unsigned int x_bytes = weft_element_bytes(x->type), y_bytes = weft_element_bytes(y->type);

	(void)first;
	for (size_t row = 0; row < rows; row++)
		for (size_t done = 0; done < n; done += CHUNK) {
			const char *source = at[0] + (ptrdiff_t)row * step[0] + done * x_bytes;
			char *target = at[1] + (ptrdiff_t)row * step[1] + done * y_bytes;
			size_t count = n - done < CHUNK ? n - done : CHUNK;
			float real[CHUNK];
			int64_t integer[CHUNK];

			if (is_real(x->type) || is_real(y->type)) {
				read_real(x->type, source, real, count);
				write_real(y->type, real, target, count);
			} else {
				read_integer(x->type, source, integer, count);
				write_integer(y->type, integer, target, count);
			}
		}
}

enum weft_fault WEFT_KERNEL(weft_cast)(WEFT_KERNEL_ARGUMENTS)
{
	struct weft_iteration it;

	for (unsigned int i = 0; i < 2; i++)
		if (!weft_element_bytes(command->operand[i].type)) {
			fault->operand = (uint8_t)i;
			return WEFT_FAULT_TYPE;
		}
	weft_iteration_begin(&it, &command->operand[1]);
	weft_iteration_add(&it, &command->operand[0], pointer[0], false);
	weft_iteration_add(&it, &command->operand[1], pointer[1], true);
	weft_iteration_run(&it, unit, cast_rows, command);
	return WEFT_FAULT_NONE;
}
