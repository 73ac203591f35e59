// SPDX-License-Identifier: MIT
/* Tensors whose extents depend on the contents of others, which must therefore be known before the model runs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "import/fold.h"
#include "weft/error.h"

/* The places of all elements that are not zero, one row for each dimension. */
int weft_fold_non_zero(struct weft_lower *lower, struct weft_host_tensor **result)
{
	const struct weft_host_tensor *in = weft_input_known(lower, 0);
	struct weft_shape shape = {.rank = 2, .dims = {in->rank, 0}};
	size_t i, n = 0;
	int r;

	for (i = 0; i < in->elements; i++)
		shape.dims[1] += weft_host_number(in, i) != 0;
	r = weft_fold_result(lower, WEFT_TYPE_I64, &shape, result);
	for (i = 0; i < in->elements && !r; i++) {
		size_t rest = i;
		unsigned int d;

		if (weft_host_number(in, i) == 0)
			continue;
		for (d = in->rank; d-- > 0; rest /= in->dims[d])
			weft_host_set_integer(*result, (size_t)d * shape.dims[1] + n, (int64_t)(rest % in->dims[d]));
		n++;
	}
	return r;
}
