// SPDX-License-Identifier: MIT
/* DepthToSpace and SpaceToDepth: a reshape, a permutation and a reshape. */
#include <errno.h>

#include "import/expression.h"
#include "import/operators.h"
#include "weft/error.h"

static int read_block(struct weft_lower *lower, const struct weft_layout *x, uint32_t *block)
{
	int64_t size = weft_attribute_int(lower, "blocksize", 0);

	if (x->rank != 4 || size < 1 || size > 32768)
		return weft_node_fail(lower, EINVAL, "rank %u and blocksize %lld; 4, and at least 1 are wanted",
				      x->rank, (long long)size);
	*block = (uint32_t)size;
	return 0;
}

int weft_lower_depth_to_space(struct weft_lower *lower)
{
	bool columns_first = weft_attribute_is(lower, "mode", "CRD", false);
	struct weft_expression e = {.lower = lower};
	struct weft_operand x = weft_expression_input(&e, 0), split;
	const uint32_t *d = x.layout.dims;
	uint32_t b = 1, c;
	int r = e.error ? e.error : read_block(lower, &x.layout, &b);

	if (r)
		return r;
	if (d[1] % (b * b))
		return weft_node_fail(lower, EINVAL, "%u channels are no multiple of %u", d[1], b * b);
	c = d[1] / (b * b);
	if (columns_first) {
		split = weft_expression_reshape(&e, x, 6, (uint32_t[]){d[0], c, b, b, d[2], d[3]});
		split = weft_expression_permuted(&e, split, (uint8_t[]){0, 1, 4, 2, 5, 3});
	} else {
		split = weft_expression_reshape(&e, x, 6, (uint32_t[]){d[0], b, b, c, d[2], d[3]});
		split = weft_expression_permuted(&e, split, (uint8_t[]){0, 3, 4, 1, 5, 2});
	}
	return weft_expression_output(&e, 0,
				      weft_expression_reshape(&e, split, 4, (uint32_t[]){d[0], c, d[2] * b, d[3] * b}));
}

int weft_lower_space_to_depth(struct weft_lower *lower)
{
	struct weft_expression e = {.lower = lower};
	struct weft_operand x = weft_expression_input(&e, 0), split;
	const uint32_t *d = x.layout.dims;
	uint32_t b = 1, h, w;
	int r = e.error ? e.error : read_block(lower, &x.layout, &b);

	if (r)
		return r;
	if (d[2] % b || d[3] % b)
		return weft_node_fail(lower, EINVAL, "%u by %u are no multiples of %u", d[2], d[3], b);
	h = d[2] / b;
	w = d[3] / b;
	split = weft_expression_reshape(&e, x, 6, (uint32_t[]){d[0], d[1], h, b, w, b});
	split = weft_expression_permuted(&e, split, (uint8_t[]){0, 3, 5, 1, 2, 4});
	return weft_expression_output(&e, 0,
				      weft_expression_reshape(&e, split, 4, (uint32_t[]){d[0], d[1] * b * b, h, w}));
}
