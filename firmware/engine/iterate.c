/* SPDX-License-Identifier: MIT */
/* Element-wise traversal; see iterate.h. */
#include <string.h>
#include "iterate.h"

/* Elements copied through local memory at a time: all operands together stay in the first-level cache. */
#define CHUNK 512
/* Fewer elements than this are not worth another lane. */
#define PIECE_ELEMENTS 8192

unsigned int weft_element_bytes(unsigned int type)
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
	case WEFT_TYPE_I8:
	case WEFT_TYPE_U8:
	case WEFT_TYPE_BOOL:
		return 1;
	default:
		return 0;
	}
}

void weft_iteration_begin(struct weft_iteration *it, const struct weft_tensor *shape)
{
	memset(it, 0, sizeof(*it));
	it->rank = shape->rank;
	it->elements = 1;
	for (unsigned int d = 0; d < shape->rank; d++) {
		it->dims[d] = shape->dims[d];
		it->elements *= shape->dims[d];
	}
}

void weft_iteration_add(struct weft_iteration *it, const struct weft_tensor *tensor, void *at, bool output)
{
	unsigned int slot = it->operands++;

	it->input[slot] = !output;
	it->output[slot] = output;
	if (!at)
		return;
	it->base[slot] = at;
	it->bytes[slot] = weft_element_bytes(tensor->type);
	for (unsigned int d = 0; d < it->rank; d++)
		it->stride[slot][d] =
			tensor->dims[d] == it->dims[d] ? (ptrdiff_t)tensor->strides[d] * it->bytes[slot] : 0;
}

void weft_iteration_add_updated(struct weft_iteration *it, const struct weft_tensor *tensor, void *at)
{
	weft_iteration_add(it, tensor, at, true);
	it->input[it->operands - 1] = true;
}

static void drop_dimension(struct weft_iteration *it, unsigned int dimension)
{
	it->rank--;
	for (unsigned int d = dimension; d < it->rank; d++) {
		it->dims[d] = it->dims[d + 1];
		for (unsigned int i = 0; i < it->operands; i++)
			it->stride[i][d] = it->stride[i][d + 1];
	}
}

static void swap_dimensions(struct weft_iteration *it, unsigned int a, unsigned int b)
{
	size_t extent = it->dims[a];

	it->dims[a] = it->dims[b];
	it->dims[b] = extent;
	for (unsigned int i = 0; i < it->operands; i++) {
		ptrdiff_t stride = it->stride[i][a];

		it->stride[i][a] = it->stride[i][b];
		it->stride[i][b] = stride;
	}
}

static size_t magnitude(ptrdiff_t stride)
{
	return stride < 0 ? -(size_t)stride : (size_t)stride;
}

/* The output's smallest stride goes innermost. */
static void sort_dimensions(struct weft_iteration *it)
{
	unsigned int key = it->operands - 1;

	while (key > 0 && !(it->output[key] && it->base[key]))
		key--;
	for (unsigned int i = 1; i < it->rank; i++)
		for (unsigned int d = i; d > 0 && magnitude(it->stride[key][d - 1]) < magnitude(it->stride[key][d]);
		     d--)
			swap_dimensions(it, d - 1, d);
}

static bool mergeable(const struct weft_iteration *it, unsigned int d)
{
	for (unsigned int i = 0; i < it->operands; i++)
		if (it->stride[i][d] != it->stride[i][d + 1] * (ptrdiff_t)it->dims[d + 1])
			return false;
	return true;
}

void weft_iteration_simplify(struct weft_iteration *it)
{
	for (unsigned int d = it->rank; d-- > 0;)
		if (it->dims[d] == 1)
			drop_dimension(it, d);
	if (!it->ordered)
		sort_dimensions(it);
	for (unsigned int d = it->rank; d-- > 1;) {
		if (!mergeable(it, d - 1))
			continue;
		it->dims[d] *= it->dims[d - 1];
		drop_dimension(it, d - 1);
	}
	if (it->rank == 0) {
		it->rank = 1;
		it->dims[0] = 1;
		for (unsigned int i = 0; i < it->operands; i++)
			it->stride[i][0] = it->bytes[i];
	}
}

/* Where the traversal stands: index along each dimension, and each operand's address there. */
struct position {
	size_t index[WEFT_MAX_RANK];
	char *at[WEFT_ITERATE_OPERANDS];
};

static void seek(const struct weft_iteration *it, struct position *p, uint64_t element)
{
	for (unsigned int i = 0; i < it->operands; i++)
		p->at[i] = it->base[i];
	for (unsigned int d = it->rank; d-- > 0;) {
		p->index[d] = element % it->dims[d];
		element /= it->dims[d];
		for (unsigned int i = 0; i < it->operands; i++)
			if (p->at[i])
				p->at[i] += it->stride[i][d] * (ptrdiff_t)p->index[d];
	}
}

/* Go on by @count along dimension @d, which may end it, but not go past it. */
static void advance(const struct weft_iteration *it, struct position *p, unsigned int d, size_t count)
{
	for (;;) {
		p->index[d] += count;
		for (unsigned int i = 0; i < it->operands; i++)
			if (p->at[i])
				p->at[i] += it->stride[i][d] * (ptrdiff_t)count;
		if (p->index[d] < it->dims[d] || d == 0)
			return;
		for (unsigned int i = 0; i < it->operands; i++)
			if (p->at[i])
				p->at[i] -= it->stride[i][d] * (ptrdiff_t)it->dims[d];
		p->index[d] = 0;
		d--;
		count = 1;
	}
}

static void run_dense(const struct weft_iteration *it, struct position *p, uint64_t first, uint64_t left)
{
	unsigned int inner = it->rank - 1;
	ptrdiff_t step[WEFT_ITERATE_OPERANDS] = {0};

	for (unsigned int i = 0; inner > 0 && i < it->operands; i++)
		step[i] = it->stride[i][inner - 1];
	while (left) {
		size_t n = it->dims[inner] - p->index[inner];
		size_t rows = 1;

		if (n > left)
			n = left;
		if (inner > 0 && n == it->dims[inner]) {
			rows = it->dims[inner - 1] - p->index[inner - 1];
			if (rows > left / n)
				rows = left / n;
		}
		it->rows(it->context, first, rows, n, p->at, step);
		if (n == it->dims[inner] && inner > 0)
			advance(it, p, inner - 1, rows);
		else
			advance(it, p, inner, n);
		first += rows * n;
		left -= rows * n;
	}
}

#define COPY_STRIDED(type)                                                                                             \
	do {                                                                                                           \
		for (size_t i = 0; i < n; i++)                                                                         \
			*(type *)(to + (ptrdiff_t)i * to_stride) = *(const type *)(from + (ptrdiff_t)i * from_stride); \
	} while (0)

static void copy_strided(char *to, ptrdiff_t to_stride, const char *from, ptrdiff_t from_stride, size_t n,
			 unsigned int bytes)
{
	switch (bytes) {
	case 1:
		COPY_STRIDED(uint8_t);
		break;
	case 2:
		COPY_STRIDED(uint16_t);
		break;
	case 4:
		COPY_STRIDED(uint32_t);
		break;
	case 8:
		COPY_STRIDED(uint64_t);
		break;
	}
}

/* Some operand is not dense along the innermost dimension. */
static void run_buffered(const struct weft_iteration *it, struct position *p, uint64_t first, uint64_t left,
			 char *local)
{
	unsigned int inner = it->rank - 1;
	ptrdiff_t step[WEFT_ITERATE_OPERANDS] = {0};
	const char *repeated[WEFT_ITERATE_OPERANDS] = {NULL}; /* the element that fills the buffer already */
	size_t filled[WEFT_ITERATE_OPERANDS] = {0};

	while (left) {
		char *at[WEFT_ITERATE_OPERANDS];
		size_t n = it->dims[inner] - p->index[inner];

		if (n > left)
			n = left;
		if (n > CHUNK)
			n = CHUNK;
		for (unsigned int i = 0; i < it->operands; i++) {
			ptrdiff_t stride = it->stride[i][inner];
			char *buffer = local + (size_t)i * CHUNK * 8;

			at[i] = p->at[i];
			if (!at[i] || stride == (ptrdiff_t)it->bytes[i])
				continue;
			at[i] = buffer;
			if (!it->input[i] || (stride == 0 && repeated[i] == p->at[i] && filled[i] >= n))
				continue;
			copy_strided(buffer, it->bytes[i], p->at[i], stride, n, it->bytes[i]);
			repeated[i] = stride == 0 ? p->at[i] : NULL;
			filled[i] = n;
		}
		it->rows(it->context, first, 1, n, at, step);
		for (unsigned int i = 0; i < it->operands; i++)
			if (it->output[i] && at[i] != p->at[i])
				copy_strided(p->at[i], it->stride[i][inner], at[i], it->bytes[i], n, it->bytes[i]);
		advance(it, p, inner, n);
		first += n;
		left -= n;
	}
}

static void run_piece(void *argument, unsigned int index, unsigned int lane)
{
	const struct weft_iteration *it = argument;
	uint64_t share = (it->elements / it->pieces + 63) & ~(uint64_t)63;
	uint64_t first = share * index;
	uint64_t end = index + 1 == it->pieces ? it->elements : first + share;
	bool dense = true;
	struct position p;

	if (end > it->elements)
		end = it->elements;
	if (first >= end)
		return;
	for (unsigned int i = 0; i < it->operands; i++)
		if (it->base[i] && it->stride[i][it->rank - 1] != (ptrdiff_t)it->bytes[i])
			dense = false;
	seek(it, &p, first);
	if (dense)
		run_dense(it, &p, first, end - first);
	else
		run_buffered(it, &p, first, end - first, weft_engine_local(it->unit, lane));
}

void weft_iteration_run(struct weft_iteration *it, struct weft_engine_unit *unit, weft_rows rows, const void *context)
{
	uint64_t most;

	if (it->elements == 0)
		return;
	it->unit = unit;
	it->rows = rows;
	it->context = context;
	weft_iteration_simplify(it);
	most = it->elements / PIECE_ELEMENTS;
	it->pieces = weft_engine_unit_lanes(unit);
	if (it->pieces > 1)
		it->pieces *= 4;
	if (it->pieces > most)
		it->pieces = most ? (unsigned int)most : 1;
	weft_engine_parallel(unit, it->pieces, run_piece, it);
}
