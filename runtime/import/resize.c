// SPDX-License-Identifier: MIT
/*
 * Resize and Upsample.  Along each dimension that changes, nearest neighbours
 * are a gather by places that are known, and interpolation is a product with a
 * matrix of weights, [out, in].
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "graph/layout.h"
#include "import/expression.h"
#include "import/operators.h"
#include "weft/error.h"

enum coordinates {
	HALF_PIXEL,
	PYTORCH_HALF_PIXEL,
	ALIGN_CORNERS,
	ASYMMETRIC,
	TF_HALF_PIXEL_FOR_NN,
	TF_CROP_AND_RESIZE
};
enum nearest { ROUND_PREFER_FLOOR, ROUND_PREFER_CEIL, FLOOR, CEIL };
enum method { NEAREST, LINEAR, CUBIC };

struct resize {
	struct weft_expression e;
	enum coordinates coordinates;
	enum nearest nearest;
	enum method method;
	double cubic;	      /* the coefficient of the cubic */
	bool exclude_outside; /* neighbours outside have no weight */
	float outside;	      /* what stands outside of a crop */
	uint32_t out[WEFT_MAX_RANK];
	double scale[WEFT_MAX_RANK];
	double start[WEFT_MAX_RANK], end[WEFT_MAX_RANK]; /* of a crop, as fractions */
};

/* The text attribute @name among @names; -1: none of them. */
static int choose(const struct weft_lower *lower, const char *name, const char *const names[], int fallback)
{
	int i;

	if (!weft_attribute(lower, name))
		return fallback;
	for (i = 0; names[i]; i++)
		if (weft_attribute_is(lower, name, names[i], false))
			return i;
	return -1;
}

static int read_modes(struct resize *resize)
{
	static const char *const coordinates[] = {"half_pixel", "pytorch_half_pixel",	"align_corners",
						  "asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize",
						  NULL};
	static const char *const nearest[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil", NULL};
	static const char *const methods[] = {"nearest", "linear", "cubic", "bilinear", NULL};
	struct weft_lower *lower = resize->e.lower;
	/* Before opset 11 places were cut off. */
	bool old = lower->model->opset < 11;
	int c = choose(lower, "coordinate_transformation_mode", coordinates, old ? ASYMMETRIC : HALF_PIXEL);
	int n = choose(lower, "nearest_mode", nearest, old ? FLOOR : ROUND_PREFER_FLOOR);
	int m = choose(lower, "mode", methods, NEAREST);

	if (c < 0 || n < 0 || m < 0 || weft_attribute_int(lower, "antialias", 0) ||
	    weft_attribute(lower, "keep_aspect_ratio_policy"))
		return weft_node_fail(lower, EOPNOTSUPP,
				      "its mode, coordinate transformation or rounding is not supported, or it has "
				      "antialias or keep_aspect_ratio_policy");
	resize->coordinates = (enum coordinates)c;
	resize->nearest = (enum nearest)n;
	resize->method = m == 3 ? LINEAR : (enum method)m;
	resize->cubic = (double)weft_attribute_float(lower, "cubic_coeff_a", -0.75f);
	resize->exclude_outside = weft_attribute_int(lower, "exclude_outside", 0) != 0;
	resize->outside = weft_attribute_float(lower, "extrapolation_value", 0);
	return 0;
}

/* Numbers of input @index, one for each of @axes; absent where it is empty. */
static int read_numbers(struct weft_lower *lower, unsigned int index, unsigned int count, double numbers[], bool *given)
{
	const struct weft_host_tensor *known;
	unsigned int i;

	*given = false;
	if (!weft_has_input(lower, index))
		return 0;
	known = weft_input_known(lower, index);
	if (!known)
		return -EOPNOTSUPP;
	if (!known->elements)
		return 0;
	if (known->elements != count)
		return weft_node_fail(lower, EINVAL, "input %u has %zu numbers, not %u", index, known->elements, count);
	for (i = 0; i < count; i++)
		numbers[i] = weft_host_number(known, i);
	*given = true;
	return 0;
}

static int read_scales_attribute(struct weft_lower *lower, unsigned int count, double scale[])
{
	const Onnx__AttributeProto *attribute = weft_attribute(lower, "scales");
	unsigned int i;

	if (!attribute || attribute->n_floats != count)
		return weft_node_fail(lower, EINVAL, "%u scales are missing", count);
	for (i = 0; i < count; i++)
		scale[i] = (double)attribute->floats[i];
	return 0;
}

/* Dimension @dim is scaled by @scale, or where that is 0 made @size. */
static int set_extent(struct resize *resize, const struct weft_layout *x, unsigned int dim, double scale, double size)
{
	double extent = scale != 0 ? floor((double)x->dims[dim] * scale) : size;

	if (!(scale >= 0) || !(extent >= 1) || !(extent <= INT32_MAX))
		return weft_node_fail(resize->e.lower, EINVAL, "dimension %u of %u would be scaled by %g to %g", dim,
				      x->dims[dim], scale, extent);
	resize->out[dim] = (uint32_t)extent;
	resize->scale[dim] = scale != 0 ? scale : extent / (double)x->dims[dim];
	return 0;
}

static int read_extents(struct resize *resize, const struct weft_layout *x)
{
	struct weft_lower *lower = resize->e.lower;
	bool upsample = !strcmp(lower->node->op_type, "Upsample"), scaled = true, sized = false, cropped = false;
	double scale[WEFT_MAX_RANK] = {0}, size[WEFT_MAX_RANK] = {0}, crop[2 * WEFT_MAX_RANK] = {0};
	bool short_form = lower->model->opset < 11;
	int64_t axes[WEFT_MAX_RANK];
	unsigned int count, i, dim;
	int r = weft_attribute_ints(lower, "axes", WEFT_MAX_RANK, axes, &count);

	if (!count)
		for (; count < x->rank; count++)
			axes[count] = count;
	if (!r && upsample && lower->model->opset < 9)
		r = read_scales_attribute(lower, count, scale);
	else if (!r)
		r = read_numbers(lower, short_form ? 1 : 2, count, scale, &scaled);
	if (!r && !short_form)
		r = read_numbers(lower, 3, count, size, &sized);
	if (!r && resize->coordinates == TF_CROP_AND_RESIZE)
		r = read_numbers(lower, 1, 2 * count, crop, &cropped);
	if (!r && (scaled == sized || cropped != (resize->coordinates == TF_CROP_AND_RESIZE)))
		r = weft_node_fail(lower, EINVAL, "either scales or sizes must be given, and a region where it crops");
	for (dim = 0; dim < x->rank; dim++) {
		resize->out[dim] = x->dims[dim];
		resize->scale[dim] = 1;
		resize->end[dim] = 1;
	}
	for (i = 0; i < count && !r; i++) {
		r = weft_axis(lower, axes[i], x->rank, &dim);
		if (!r)
			r = set_extent(resize, x, dim, scaled ? scale[i] : 0, size[i]);
		if (!r && cropped) {
			resize->start[dim] = crop[i];
			resize->end[dim] = crop[count + i];
		}
	}
	return r;
}

/* Where element @at of the result lies in dimension @dim of the input. */
static double source(const struct resize *resize, unsigned int dim, uint32_t in, uint32_t at)
{
	double scale = resize->scale[dim], x = at, length = scale * in, whole = in - 1.0;

	switch (resize->coordinates) {
	case ALIGN_CORNERS:
		return length == 1 ? 0 : x * whole / (length - 1);
	case ASYMMETRIC:
		return x / scale;
	case TF_HALF_PIXEL_FOR_NN:
		return (x + 0.5) / scale;
	case TF_CROP_AND_RESIZE:
		if (resize->out[dim] == 1)
			return (resize->end[dim] + resize->start[dim]) * whole / 2;
		return resize->start[dim] * whole +
		       x * (resize->end[dim] - resize->start[dim]) * whole / (resize->out[dim] - 1.0);
	case PYTORCH_HALF_PIXEL:
		if (resize->out[dim] == 1)
			return 0;
		/* fallthrough */
	case HALF_PIXEL:
		break;
	}
	return (x + 0.5) / scale - 0.5;
}

static uint32_t clamp(double place, uint32_t in)
{
	return place >= in ? in - 1 : place > 0 ? (uint32_t)place : 0;
}

static uint32_t nearest_place(const struct resize *resize, double place, uint32_t in)
{
	switch (resize->nearest) {
	case ROUND_PREFER_FLOOR:
		return clamp(ceil(place - 0.5), in);
	case ROUND_PREFER_CEIL:
		return clamp(floor(place + 0.5), in);
	case FLOOR:
		return clamp(floor(place), in);
	case CEIL:
		break;
	}
	return clamp(ceil(place), in);
}

/* Weights of the neighbours floor(place) - 1 ... floor(place) + 2 of a place @t past the floor. */
static void neighbour_weights(const struct resize *resize, double t, double weight[4])
{
	double a = resize->cubic;

	if (resize->method == LINEAR) {
		weight[0] = weight[3] = 0;
		weight[1] = 1 - t;
		weight[2] = t;
		return;
	}
	weight[0] = ((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a;
	weight[1] = ((a + 2) * t - (a + 3)) * t * t + 1;
	weight[2] = ((a + 2) * (1 - t) - (a + 3)) * (1 - t) * (1 - t) + 1;
	weight[3] = ((a * (2 - t) - 5 * a) * (2 - t) + 8 * a) * (2 - t) - 4 * a;
}

static void fill_row(const struct resize *resize, double place, uint32_t in, float row[])
{
	double low = floor(place), weight[4], total = 0;
	int i;

	neighbour_weights(resize, place - low, weight);
	for (i = 0; i < 4; i++) {
		if (resize->exclude_outside && (low + i - 1 < 0 || low + i - 1 >= in))
			weight[i] = 0;
		total += weight[i];
	}
	for (i = 0; i < 4; i++)
		row[clamp(low + i - 1, in)] += (float)(weight[i] / total);
}

/* [out, in] */
static struct weft_operand weights(struct resize *resize, unsigned int dim, uint32_t in)
{
	struct weft_layout layout = {.type = WEFT_TYPE_F32, .rank = 2, .dims = {resize->out[dim], in}};
	struct weft_operand matrix;
	uint32_t at;
	void *data;

	matrix = weft_expression_constant(&resize->e, &layout, &data);
	for (at = 0; data && at < resize->out[dim]; at++)
		fill_row(resize, source(resize, dim, in, at), in, (float *)data + (size_t)at * in);
	return matrix;
}

/* Dimensions other than @dim from the outermost in memory to the innermost, and @dim before the last of them. */
static void order_around(const struct weft_layout *x, unsigned int dim, uint8_t order[])
{
	unsigned int n = 0, d, i;

	for (d = 0; d < x->rank; d++) {
		if (d == dim)
			continue;
		for (i = n++; i && x->strides[order[i - 1]] < x->strides[d]; i--)
			order[i] = order[i - 1];
		order[i] = (uint8_t)d;
	}
	order[n] = n ? order[n - 1] : (uint8_t)dim;
	if (n)
		order[n - 1] = (uint8_t)dim;
}

/* @x and @y have rank 4 at most and differ along @dim only. */
static int multiply(struct resize *resize, struct weft_operand matrix, struct weft_operand x, struct weft_operand y,
		    unsigned int dim)
{
	union weft_params params = {.matmul = {.scale = 1}};
	struct weft_operand operand[4] = {matrix, x, WEFT_ABSENT, y};
	struct weft_layout shown = {.type = WEFT_TYPE_F32};
	uint8_t order[WEFT_MAX_RANK];
	unsigned int i;

	for (i = 1; i < 4; i += 2) {
		if (operand[i].layout.rank == 1) {
			/* A vector is a matrix of one column. */
			operand[i].layout.rank = 2;
			operand[i].layout.dims[1] = 1;
			operand[i].layout.strides[1] = 1;
		}
	}
	order_around(&operand[1].layout, dim, order);
	operand[1].layout = weft_layout_permuted(&operand[1].layout, order);
	operand[3].layout = weft_layout_permuted(&operand[3].layout, order);
	shown.rank = operand[3].layout.rank;
	memcpy(shown.dims, operand[3].layout.dims, sizeof(shown.dims));
	shown.dims[shown.rank - 1] = matrix.layout.dims[1];
	weft_layout_broadcast(&matrix.layout, shown.rank, shown.dims, &operand[0].layout);
	return weft_build(resize->e.lower->graph, resize->e.lower->node_name, WEFT_OP_MATMUL, &params, 3, 4, operand,
			  NULL);
}

/* Interpolate along @dim. */
static struct weft_operand interpolate(struct resize *resize, struct weft_operand x, unsigned int dim)
{
	struct weft_expression *e = &resize->e;
	struct weft_operand matrix = weights(resize, dim, x.layout.dims[dim]), y = WEFT_ABSENT;
	uint32_t dims[WEFT_MAX_RANK], flat[3] = {1, x.layout.dims[dim], 1};
	struct weft_layout layout;
	unsigned int d, rank = x.layout.rank;

	memcpy(dims, x.layout.dims, sizeof(dims));
	dims[dim] = resize->out[dim];
	if (rank > 4) {
		for (d = 0; d < rank; d++)
			if (d != dim)
				flat[d < dim ? 0 : 2] *= x.layout.dims[d];
		x = weft_expression_reshape(e, x, 3, flat);
		flat[1] = resize->out[dim];
		layout = weft_layout_like(NULL, WEFT_TYPE_F32, 3, flat);
	} else {
		layout = weft_layout_like(&x.layout, WEFT_TYPE_F32, rank, dims);
	}
	if (!e->error)
		e->error = weft_temporary(e->lower, &layout, &y);
	if (!e->error)
		e->error = multiply(resize, matrix, x, y, rank > 4 ? 1 : dim);
	return rank > 4 ? weft_expression_reshape(e, y, rank, dims) : y;
}

static struct weft_operand take_nearest(struct resize *resize, struct weft_operand x, unsigned int dim)
{
	struct weft_layout layout = {.type = WEFT_TYPE_I32, .rank = 1, .dims = {resize->out[dim]}};
	struct weft_operand places;
	void *data;
	int32_t *place;
	uint32_t at;

	places = weft_expression_constant(&resize->e, &layout, &data);
	place = data;
	for (at = 0; place && at < resize->out[dim]; at++)
		place[at] =
			(int32_t)nearest_place(resize, source(resize, dim, x.layout.dims[dim], at), x.layout.dims[dim]);
	return weft_expression_take(&resize->e, x, dim, places);
}

/* Put the value for outside where the crop reaches beyond dimension @dim. */
static struct weft_operand blank_outside(struct resize *resize, struct weft_operand y, unsigned int dim, uint32_t in)
{
	struct weft_layout layout = {.type = WEFT_TYPE_BOOL, .rank = y.layout.rank};
	struct weft_operand mask;
	unsigned int d;
	uint32_t at;
	void *data;
	bool *inside;

	for (d = 0; d < layout.rank; d++)
		layout.dims[d] = d == dim ? y.layout.dims[d] : 1;
	mask = weft_expression_constant(&resize->e, &layout, &data);
	inside = data;
	for (at = 0; inside && at < y.layout.dims[dim]; at++) {
		double place = source(resize, dim, in, at);

		inside[at] = place >= 0 && place <= in - 1.0;
	}
	return weft_expression_where(&resize->e, mask, y,
				     weft_expression_number(&resize->e, y.layout.type, (double)resize->outside));
}

int weft_lower_resize(struct weft_lower *lower)
{
	struct resize resize = {.e = {.lower = lower}};
	struct weft_operand x = weft_expression_input(&resize.e, 0);
	struct weft_layout in = x.layout;
	unsigned int dim;
	int r = resize.e.error ? resize.e.error : read_modes(&resize);

	if (!r)
		r = read_extents(&resize, &in);
	if (!r && resize.method != NEAREST && in.type != WEFT_TYPE_F32)
		r = weft_node_fail(lower, EOPNOTSUPP, "only float tensors are interpolated");
	for (dim = 0; dim < in.rank && !r; dim++) {
		if (resize.out[dim] == in.dims[dim] && resize.start[dim] == 0 && resize.end[dim] == 1 &&
		    (resize.scale[dim] == 1 || resize.coordinates == ALIGN_CORNERS))
			continue;
		x = resize.method == NEAREST ? take_nearest(&resize, x, dim) : interpolate(&resize, x, dim);
		r = resize.e.error;
	}
	for (dim = 0; dim < in.rank && !r && resize.coordinates == TF_CROP_AND_RESIZE; dim++)
		if (resize.start[dim] < 0 || resize.start[dim] > 1 || resize.end[dim] < 0 || resize.end[dim] > 1)
			x = blank_outside(&resize, x, dim, in.dims[dim]);
	return r ? r : weft_expression_output(&resize.e, 0, x);
}
