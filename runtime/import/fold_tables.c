// SPDX-License-Identifier: MIT
/* Tensors made of a few numbers: EyeLike, windows of samples, filter banks. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "import/fold.h"
#include "weft/error.h"

/* The element type of an attribute; @fallback where absent. */
static int attribute_type(struct weft_lower *lower, const char *name, uint8_t fallback, uint8_t *type)
{
	int r;

	*type = fallback;
	if (!weft_attribute(lower, name))
		return 0;
	r = weft_onnx_type((int32_t)weft_attribute_int(lower, name, 0), type);
	return r ? weft_fail_in(r, "%s", weft_node_where(lower)) : 0;
}

int weft_fold_eye_like(struct weft_lower *lower, struct weft_host_tensor **result)
{
	int64_t k = weft_attribute_int(lower, "k", 0), row;
	struct weft_shape shape = {.rank = 2};
	struct weft_layout in;
	uint8_t type;
	int r = weft_input_shape(lower, 0, &in);

	if (!r && in.rank != 2)
		r = weft_node_fail(lower, EINVAL, "rank %u; it takes a matrix", in.rank);
	if (!r)
		r = attribute_type(lower, "dtype", in.type, &type);
	if (r)
		return r;
	memcpy(shape.dims, in.dims, sizeof(shape.dims));
	r = weft_fold_result(lower, type, &shape, result);
	if (r || k <= -(int64_t)in.dims[0] || k >= (int64_t)in.dims[1])
		return r;
	for (row = k < 0 ? -k : 0; row < in.dims[0] && row + k < in.dims[1]; row++)
		weft_host_set_number(*result, (size_t)(row * in.dims[1] + row + k), 1);
	return 0;
}

static double window_at(const char *name, double angle)
{
	if (!strcmp(name, "BlackmanWindow"))
		return 0.42 - 0.5 * cos(angle) + 0.08 * cos(2 * angle);
	if (!strcmp(name, "HammingWindow"))
		return 25.0 / 46 - 21.0 / 46 * cos(angle);
	return 0.5 - 0.5 * cos(angle);
}

/* BlackmanWindow, HammingWindow and HannWindow: sums of cosines over one period. */
int weft_fold_window(struct weft_lower *lower, struct weft_host_tensor **result)
{
	bool periodic = weft_attribute_int(lower, "periodic", 1) != 0;
	const struct weft_host_tensor *known = weft_input_known(lower, 0);
	struct weft_shape shape = {.rank = 1};
	int64_t size = known->elements == 1 ? weft_host_integer(known, 0) : -1;
	double period;
	uint8_t type;
	uint32_t i;
	int r = attribute_type(lower, "output_datatype", WEFT_TYPE_F32, &type);

	if (!r && (size < 1 || size > WEFT_FOLD_MOST))
		r = weft_node_fail(lower, EINVAL, "a window of %lld samples; 1 to %u are supported", (long long)size,
				   WEFT_FOLD_MOST);
	if (r)
		return r;
	shape.dims[0] = (uint32_t)size;
	r = weft_fold_result(lower, type, &shape, result);
	period = periodic ? (double)size : (double)(size - 1);
	for (i = 0; i < shape.dims[0] && !r; i++)
		weft_host_set_number(*result, i,
				     window_at(lower->node->op_type, period > 0 ? 2 * M_PI * (double)i / period : 0));
	return r;
}

static double to_mel(double hertz)
{
	return 2595 * log10(1 + hertz / 700);
}

/* One triangular filter: it rises from @low to @center and falls to @high, in bins of the spectrum. */
static void mel_filter(struct weft_host_tensor *weights, uint32_t column, int64_t low, int64_t center, int64_t high)
{
	int64_t bin, columns = weights->dims[1], rows = weights->dims[0];

	if (low == center && center < rows)
		weft_host_set_number(weights, (size_t)(center * columns + column), 1);
	for (bin = low; bin <= center && bin < rows && low < center; bin++)
		weft_host_set_number(weights, (size_t)(bin * columns + column),
				     (double)(bin - low) / (double)(center - low));
	for (bin = center; bin < high && bin < rows; bin++)
		weft_host_set_number(weights, (size_t)(bin * columns + column),
				     (double)(high - bin) / (double)(high - center));
}

int weft_fold_mel_weights(struct weft_lower *lower, struct weft_host_tensor **result)
{
	double number[5], step, lowest;
	struct weft_shape shape = {.rank = 2};
	int64_t bin[3];
	uint32_t band, j;
	uint8_t type;
	unsigned int i;
	int r = attribute_type(lower, "output_datatype", WEFT_TYPE_F32, &type);

	for (i = 0; i < 5; i++) {
		const struct weft_host_tensor *known = weft_input_known(lower, i);

		if (known->elements != 1)
			return weft_node_fail(lower, EINVAL, "input %u has %zu elements, not one", i, known->elements);
		number[i] = weft_host_number(known, 0);
	}
	/* Bands, samples of the transform, rate, lowest and highest frequency. */
	if (!r && !(number[0] >= 1 && number[0] <= WEFT_FOLD_MOST && number[1] >= 1 && number[1] <= WEFT_FOLD_MOST &&
		    number[2] > 0 && number[3] >= 0 && number[4] > number[3] && number[4] <= number[2]))
		r = weft_node_fail(lower, EINVAL, "%g bands of %g samples at %g Hz, from %g to %g Hz", number[0],
				   number[1], number[2], number[3], number[4]);
	if (r)
		return r;
	shape.dims[0] = (uint32_t)number[1] / 2 + 1;
	shape.dims[1] = (uint32_t)number[0];
	r = weft_fold_result(lower, type, &shape, result);
	lowest = to_mel(number[3]);
	step = (to_mel(number[4]) - lowest) / (number[0] + 2);
	for (band = 0; band < shape.dims[1] && !r; band++) {
		for (j = 0; j < 3; j++) {
			double hertz = 700 * (pow(10, ((band + j) * step + lowest) / 2595) - 1);

			bin[j] = (int64_t)floor((number[1] + 1) * hertz / number[2]);
		}
		mel_filter(*result, band, bin[0], bin[1], bin[2]);
	}
	return r;
}
