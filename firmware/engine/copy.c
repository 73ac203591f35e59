/* SPDX-License-Identifier: MIT */
/* COPY and FILL. */
#include <string.h>
#include "iterate.h"
#include "kernels.h"

/* Side of the square that is transposed at a time: both sides' lines stay in the first-level cache. */
#define TILE 32

typedef uint32_t quad __attribute__((vector_size(16)));
typedef uint32_t quad_unaligned __attribute__((vector_size(16), aligned(4), may_alias));

/* dst[a][b] = src[b][a] for b < 4, a < 4; strides in bytes. */
static inline __attribute__((always_inline)) void transpose_quad(char *dst, ptrdiff_t dst_step, const char *src,
								 ptrdiff_t src_step)
{
	quad r0 = *(const quad_unaligned *)src;
	quad r1 = *(const quad_unaligned *)(src + src_step);
	quad r2 = *(const quad_unaligned *)(src + 2 * src_step);
	quad r3 = *(const quad_unaligned *)(src + 3 * src_step);
	quad a = __builtin_shuffle(r0, r1, (quad){0, 4, 1, 5});
	quad b = __builtin_shuffle(r2, r3, (quad){0, 4, 1, 5});
	quad c = __builtin_shuffle(r0, r1, (quad){2, 6, 3, 7});
	quad d = __builtin_shuffle(r2, r3, (quad){2, 6, 3, 7});

	*(quad_unaligned *)dst = __builtin_shuffle(a, b, (quad){0, 1, 4, 5});
	*(quad_unaligned *)(dst + dst_step) = __builtin_shuffle(a, b, (quad){2, 3, 6, 7});
	*(quad_unaligned *)(dst + 2 * dst_step) = __builtin_shuffle(c, d, (quad){0, 1, 4, 5});
	*(quad_unaligned *)(dst + 3 * dst_step) = __builtin_shuffle(c, d, (quad){2, 3, 6, 7});
}

#define TRANSPOSE(type)                                                                     \
	do {                                                                                \
		for (size_t i = 0; i < rows; i++)                                           \
			for (size_t j = 0; j < columns; j++)                                \
				((type *)(dst + (ptrdiff_t)i * dst_step))[j] =              \
					((const type *)(src + (ptrdiff_t)j * src_step))[i]; \
	} while (0)

/* dst has @rows rows of @columns dense elements; src the reverse. */
static void transpose_tile(char *dst, ptrdiff_t dst_step, const char *src, ptrdiff_t src_step, size_t rows,
			   size_t columns, unsigned int bytes)
{
	switch (bytes) {
	case 1:
		TRANSPOSE(uint8_t);
		break;
	case 2:
		TRANSPOSE(uint16_t);
		break;
	case 8:
		TRANSPOSE(uint64_t);
		break;
	case 4: {
		size_t whole_rows = rows & ~(size_t)3, whole_columns = columns & ~(size_t)3;

		for (size_t i = 0; i < whole_rows; i += 4)
			for (size_t j = 0; j < whole_columns; j += 4)
				transpose_quad(dst + (ptrdiff_t)i * dst_step + j * 4, dst_step,
					       src + (ptrdiff_t)j * src_step + i * 4, src_step);
		for (size_t i = 0; i < rows; i++)
			for (size_t j = i < whole_rows ? whole_columns : 0; j < columns; j++)
				((uint32_t *)(dst + (ptrdiff_t)i * dst_step))[j] =
					((const uint32_t *)(src + (ptrdiff_t)j * src_step))[i];
		break;
	}
	}
}

/* A copy whose source is dense along another dimension than its destination. */
struct transpose {
	struct weft_iteration it;
	unsigned int other; /* the dimension along which the source is dense */
	uint64_t tiles;	    /* rows' worth of tiles of each pair of planes */
	uint64_t jobs;
	unsigned int pieces;
};

static void transpose_job(const struct transpose *t, uint64_t job)
{
	const struct weft_iteration *it = &t->it;
	unsigned int inner = it->rank - 1;
	size_t row = job % t->tiles * TILE;
	size_t rows = it->dims[t->other] - row < TILE ? it->dims[t->other] - row : TILE;
	ptrdiff_t src_step = it->stride[0][inner], dst_step = it->stride[1][t->other];
	char *src = it->base[0] + (ptrdiff_t)row * it->stride[0][t->other];
	char *dst = it->base[1] + (ptrdiff_t)row * dst_step;

	job /= t->tiles;
	for (unsigned int d = inner; d-- > 0;) {
		if (d == t->other)
			continue;
		src += it->stride[0][d] * (ptrdiff_t)(job % it->dims[d]);
		dst += it->stride[1][d] * (ptrdiff_t)(job % it->dims[d]);
		job /= it->dims[d];
	}
	for (size_t column = 0; column < it->dims[inner]; column += TILE) {
		size_t columns = it->dims[inner] - column < TILE ? it->dims[inner] - column : TILE;

		transpose_tile(dst + column * it->bytes[1], dst_step, src + (ptrdiff_t)column * src_step, src_step,
			       rows, columns, it->bytes[1]);
	}
}

static void transpose_piece(void *argument, unsigned int index, unsigned int lane)
{
	const struct transpose *t = argument;
	uint64_t end = index + 1 == t->pieces ? t->jobs : t->jobs / t->pieces * (index + 1);

	(void)lane;
	for (uint64_t job = t->jobs / t->pieces * index; job < end; job++)
		transpose_job(t, job);
}

static bool is_transpose(struct transpose *t)
{
	const struct weft_iteration *it = &t->it;
	unsigned int inner = it->rank - 1;
	ptrdiff_t bytes = it->bytes[1];

	if (it->elements == 0 || it->stride[1][inner] != bytes || it->stride[0][inner] == bytes || it->dims[inner] < 4)
		return false;
	for (t->other = 0; t->other < inner; t->other++)
		if (it->stride[0][t->other] == bytes && it->dims[t->other] > 1)
			break;
	if (t->other == inner)
		return false;
	t->tiles = (it->dims[t->other] + TILE - 1) / TILE;
	t->jobs = it->elements / it->dims[inner] / it->dims[t->other] * t->tiles;
	return true;
}

#define COPY_ROWS(type)                                                                                               \
	static void copy_##type(const void *context, uint64_t first, size_t rows, size_t n, char *const at[],         \
				const ptrdiff_t step[])                                                               \
	{                                                                                                             \
		(void)context, (void)first;                                                                           \
		for (size_t row = 0; row < rows; row++)                                                               \
			memcpy(at[1] + (ptrdiff_t)row * step[1], at[0] + (ptrdiff_t)row * step[0], n * sizeof(type)); \
	}

COPY_ROWS(uint8_t)
COPY_ROWS(uint16_t)
COPY_ROWS(uint32_t)
COPY_ROWS(uint64_t)

#define FILL_ROWS(type)                                                                                       \
	static void fill_##type(const void *context, uint64_t first, size_t rows, size_t n, char *const at[], \
				const ptrdiff_t step[])                                                       \
	{                                                                                                     \
		type value = (type) * (const uint64_t *)context;                                              \
                                                                                                              \
		(void)first;                                                                                  \
		for (size_t row = 0; row < rows; row++) {                                                     \
			type *y = (type *)(at[0] + (ptrdiff_t)row * step[0]);                                 \
                                                                                                              \
			for (size_t i = 0; i < n; i++)                                                        \
				y[i] = value;                                                                 \
		}                                                                                             \
	}

FILL_ROWS(uint8_t)
FILL_ROWS(uint16_t)
FILL_ROWS(uint32_t)
FILL_ROWS(uint64_t)

/* Packed types: elements of a few bits, visited one by one unless whole bytes can be copied. */

static unsigned int packed_bits(unsigned int type)
{
	return type == WEFT_TYPE_I4 ? 4 : type == WEFT_TYPE_BIT ? 1 : 0;
}

static bool is_dense(const struct weft_tensor *t)
{
	int64_t expected = 1;

	for (unsigned int d = t->rank; d-- > 0;) {
		if (t->dims[d] != 1 && t->strides[d] != expected)
			return false;
		expected *= t->dims[d];
	}
	return true;
}

static uint64_t elements_of(const struct weft_tensor *t)
{
	uint64_t n = 1;

	for (unsigned int d = 0; d < t->rank; d++)
		n *= t->dims[d];
	return n;
}

static int64_t packed_index(const struct weft_tensor *t, uint64_t element)
{
	int64_t index = 0;

	for (unsigned int d = t->rank; d-- > 0;) {
		index += (int64_t)(element % t->dims[d]) * t->strides[d];
		element /= t->dims[d];
	}
	return index;
}

/* Element i starts at bit i * bits of the little-endian byte string. */
static unsigned int packed_get(const uint8_t *at, int64_t index, unsigned int bits)
{
	int64_t bit = index * bits;

	return at[bit >> 3] >> (bit & 7) & ((1u << bits) - 1);
}

static void packed_set(uint8_t *at, int64_t index, unsigned int bits, unsigned int value)
{
	int64_t bit = index * bits;
	unsigned int mask = ((1u << bits) - 1) << (bit & 7);

	at[bit >> 3] = (uint8_t)((at[bit >> 3] & ~mask) | (value << (bit & 7) & mask));
}

static void copy_packed(const struct weft_tensor *from, const uint8_t *src, const struct weft_tensor *to, uint8_t *dst)
{
	unsigned int bits = packed_bits(to->type);
	uint64_t n = elements_of(to), done = 0;

	if (is_dense(from) && is_dense(to)) {
		done = n * bits / 8 * 8 / bits;
		memcpy(dst, src, n * bits / 8);
	}
	for (; done < n; done++)
		packed_set(dst, packed_index(to, done), bits, packed_get(src, packed_index(from, done), bits));
}

static void fill_packed(const struct weft_tensor *to, uint8_t *dst, unsigned int value)
{
	unsigned int bits = packed_bits(to->type);
	uint64_t n = elements_of(to);

	for (uint64_t i = 0; i < n; i++)
		packed_set(dst, packed_index(to, i), bits, value);
}

enum weft_fault WEFT_KERNEL(weft_copy)(WEFT_KERNEL_ARGUMENTS)
{
	static const weft_rows by_bytes[9] = {
		[1] = copy_uint8_t, [2] = copy_uint16_t, [4] = copy_uint32_t, [8] = copy_uint64_t};
	const struct weft_tensor *src = &command->operand[0], *dst = &command->operand[1];
	struct transpose t;
	unsigned int lanes = weft_engine_unit_lanes(unit);

	if (packed_bits(dst->type)) {
		copy_packed(src, pointer[0], dst, pointer[1]);
		return WEFT_FAULT_NONE;
	}
	if (!by_bytes[weft_element_bytes(dst->type)]) {
		fault->operand = 1;
		return WEFT_FAULT_TYPE;
	}
	weft_iteration_begin(&t.it, dst);
	weft_iteration_add(&t.it, src, pointer[0], false);
	weft_iteration_add(&t.it, dst, pointer[1], true);
	weft_iteration_simplify(&t.it);
	if (!is_transpose(&t)) {
		weft_iteration_run(&t.it, unit, by_bytes[weft_element_bytes(dst->type)], NULL);
		return WEFT_FAULT_NONE;
	}
	t.pieces = lanes == 1 || t.it.elements < 16384 ? 1 : lanes * 4;
	if (t.pieces > t.jobs)
		t.pieces = (unsigned int)t.jobs;
	weft_engine_parallel(unit, t.pieces, transpose_piece, &t);
	return WEFT_FAULT_NONE;
}

enum weft_fault WEFT_KERNEL(weft_fill)(WEFT_KERNEL_ARGUMENTS)
{
	static const weft_rows by_bytes[9] = {
		[1] = fill_uint8_t, [2] = fill_uint16_t, [4] = fill_uint32_t, [8] = fill_uint64_t};
	const struct weft_tensor *dst = &command->operand[0];
	struct weft_iteration it;

	if (packed_bits(dst->type)) {
		fill_packed(dst, pointer[0], (unsigned int)command->params.fill.bits);
		return WEFT_FAULT_NONE;
	}
	if (!by_bytes[weft_element_bytes(dst->type)]) {
		fault->operand = 0;
		return WEFT_FAULT_TYPE;
	}
	weft_iteration_begin(&it, dst);
	weft_iteration_add(&it, dst, pointer[0], true);
	weft_iteration_run(&it, unit, by_bytes[weft_element_bytes(dst->type)], &command->params.fill.bits);
	return WEFT_FAULT_NONE;
}
