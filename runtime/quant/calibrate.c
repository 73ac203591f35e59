// SPDX-License-Identifier: MIT
/* Ranges, histograms and channel means of activations, from examples. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "graph/graph.h"
#include "quant/quant.h"
#include "train/feed.h"
#include "weft/error.h"

#define DEFAULT_EXAMPLES 512
#define DEFAULT_BATCH 32

struct run {
	struct weft_session *session;
	struct weft_feed feed;
	struct weft_calibrated *activation;
	const struct weft_value **value; /* of each activation */
	uint32_t activations, examples;
	uint64_t of, seed;
	float *data;   /* room for the largest */
	bool counting; /* into histograms; else ranges and means */
};

static unsigned int channel_dim(const struct weft_layout *layout)
{
	return layout->rank >= 3 ? 1 : layout->rank ? layout->rank - 1u : 0;
}

static int see(struct weft_calibrated *a, const struct weft_layout *layout, const float *data, uint64_t elements,
	       bool counting)
{
	unsigned int d = channel_dim(layout);
	uint64_t stride = layout->rank ? (uint64_t)layout->strides[d] : 1;
	double width = (double)a->high - (double)a->low;

	for (uint64_t i = 0; i < elements; i++) {
		float x = data[i];

		if (!isfinite(x))
			return weft_fail(EDOM, "activation %s is %f: the model's weights or the data are out of range",
					 a->name, (double)x);
		if (counting) {
			double place = width > 0 ? ((double)x - (double)a->low) / width * WEFT_HISTOGRAM_BINS : 0;

			a->histogram[place < WEFT_HISTOGRAM_BINS ? (size_t)place : WEFT_HISTOGRAM_BINS - 1]++;
			continue;
		}
		a->low = x < a->low ? x : a->low;
		a->high = x > a->high ? x : a->high;
		a->mean[i / stride % a->channels] += (double)x;
	}
	if (!counting)
		a->values += elements / a->channels;
	return 0;
}

static int run_examples(struct run *run)
{
	struct weft_shuffle shuffle = {run->of, run->seed, 0};
	uint32_t batch = run->feed.batch;
	int r = 0;

	for (uint32_t first = 0; first + batch <= run->examples && !r; first += batch) {
		for (uint32_t i = 0; i < batch; i++)
			run->feed.index[i] = weft_shuffle_at(&shuffle, first + i);
		r = weft_feed_fill(&run->feed);
		if (!r)
			r = weft_session_step(run->session);
		for (uint32_t i = 0; i < run->activations && !r; i++) {
			const struct weft_value *value = run->value[i];

			r = weft_session_output(run->session, value->name, run->data, value->bytes);
			if (!r)
				r = see(&run->activation[i], &value->layout, run->data,
					weft_layout_elements(&value->layout), run->counting);
		}
	}
	return r;
}

/* The graph's values for the activations, which are outputs of the graph. */
static int find_values(struct run *run, const Onnx__GraphProto *proto)
{
	const struct weft_graph *graph = weft_session_graph(run->session);
	uint64_t most = 0;

	run->value = calloc(run->activations + 1u, sizeof(*run->value));
	if (!run->value)
		return weft_fail(ENOMEM, "no memory to calibrate");
	for (uint32_t i = 0; i < run->activations; i++) {
		struct weft_calibrated *a = &run->activation[i];

		for (size_t o = 0; o < proto->n_output; o++)
			if (!strcmp(proto->output[o]->name, a->name))
				run->value[i] = &graph->value[graph->model_output[o]];
		if (!run->value[i] || run->value[i]->layout.type != WEFT_TYPE_F32)
			return weft_fail(EOPNOTSUPP, "activation %s is no float tensor", a->name);
		most = run->value[i]->bytes > most ? run->value[i]->bytes : most;
		a->channels = run->value[i]->layout.rank
				      ? run->value[i]->layout.dims[channel_dim(&run->value[i]->layout)]
				      : 1;
		/* Every range holds 0, which padding and ReLU must be able to say. */
		a->low = a->high = 0;
		a->values = 0;
		a->mean = calloc(a->channels, sizeof(*a->mean));
		a->histogram = calloc(WEFT_HISTOGRAM_BINS, sizeof(*a->histogram));
		if (!a->mean || !a->histogram)
			return weft_fail(ENOMEM, "no memory to calibrate %s", a->name);
	}
	run->data = malloc(most ? most : 1);
	return run->data ? 0 : weft_fail(ENOMEM, "no memory to calibrate");
}

/* The model with the activations as outputs. */
static int observable(const struct weft_model *model, const struct weft_calibrated activation[], uint32_t activations,
		      struct weft_model **copy)
{
	int r = weft_edit_copy(model, copy);

	for (uint32_t i = 0; i < activations && !r; i++) {
		if (weft_edit_is_output((*copy)->proto->graph, activation[i].name))
			continue;
		r = weft_edit_add_output((*copy)->proto->graph, activation[i].name);
		if (r)
			weft_model_free(*copy);
	}
	return r;
}

static int both_passes(struct run *run, const struct weft_quantize_options *options, uint32_t *examples)
{
	uint32_t wanted = options->examples ? options->examples : DEFAULT_EXAMPLES;
	int r;

	run->examples = wanted < run->of ? wanted : (uint32_t)run->of;
	if (run->examples < run->feed.batch)
		return weft_fail(EINVAL, "%u examples to calibrate with, but a batch has %u", run->examples,
				 run->feed.batch);
	run->seed = options->seed;
	r = run_examples(run);
	for (uint32_t i = 0; i < run->activations && !r; i++)
		for (uint32_t c = 0; c < run->activation[i].channels; c++)
			run->activation[i].mean[c] /= (double)run->activation[i].values;
	run->counting = true;
	if (!r && options->calibration != WEFT_CALIBRATION_MINMAX)
		r = run_examples(run);
	*examples = run->examples / run->feed.batch * run->feed.batch;
	return r;
}

int weft_quant_calibrate(struct accel_device *device, const struct weft_model *model,
			 const struct weft_quantize_options *options, struct weft_dataset *dataset,
			 struct weft_calibrated activation[], uint32_t activations, uint32_t *examples)
{
	struct run run = {.activation = activation, .activations = activations};
	struct weft_graph_options graph_options = {.batch = options->batch ? options->batch : DEFAULT_BATCH,
						   .loss = WEFT_LOSS_NONE};
	struct weft_session_refusal refusal;
	struct weft_dataset_info info;
	struct weft_model_info shape;
	struct weft_model *copy;
	struct weft_graph *graph;
	int r = observable(model, activation, activations, &copy);

	if (r)
		return r;
	weft_dataset_info(dataset, &info);
	run.of = info.examples;
	r = weft_model_info(model, &shape);
	if (!r && shape.input_rank && shape.input_dims[0] > 0)
		graph_options.batch = 0;
	else if (graph_options.batch > info.examples)
		graph_options.batch = (uint32_t)info.examples;
	if (!r)
		r = weft_model_graph(copy, &graph_options, &graph);
	if (!r)
		r = weft_session_new(device, graph, &options->session, &run.session, &refusal);
	if (!r) {
		r = weft_feed_init(&run.feed, run.session, dataset);
		if (!r) {
			r = find_values(&run, copy->proto->graph);
			if (!r)
				r = both_passes(&run, options, examples);
			weft_feed_done(&run.feed);
		}
		weft_session_free(run.session);
	}
	free(run.value);
	free(run.data);
	weft_model_free(copy);
	return r ? weft_fail_in(r, "calibration") : 0;
}

/* Bounds that cut @fraction of the values off at either end. */
static void percentile_range(const struct weft_calibrated *a, double fraction, double *low, double *high)
{
	double width = ((double)a->high - (double)a->low) / WEFT_HISTOGRAM_BINS, total = 0, sum;
	size_t first = 0, last = WEFT_HISTOGRAM_BINS - 1;

	for (size_t i = 0; i < WEFT_HISTOGRAM_BINS; i++)
		total += (double)a->histogram[i];
	for (sum = (double)a->histogram[0]; sum < total * fraction && first < last; sum += (double)a->histogram[first])
		first++;
	for (sum = (double)a->histogram[last]; sum < total * fraction && last > first;
	     sum += (double)a->histogram[last])
		last--;
	*low = fmin(0, (double)a->low + (double)first * width);
	*high = fmax(0, (double)a->low + (double)(last + 1) * width);
}

static void set_range(double low, double high, double *scale, int32_t *zero)
{
	/* As the file holds it. */
	*scale = (double)(float)((high - low) / 255);
	if (!(*scale > 0x1p-100))
		*scale = 1;
	*zero = (int32_t)fmax(0, fmin(255, rint(-low / *scale)));
}

static double squared_error(const struct weft_calibrated *a, double low, double high)
{
	double width = ((double)a->high - (double)a->low) / WEFT_HISTOGRAM_BINS, scale, error = 0;
	int32_t zero;

	set_range(low, high, &scale, &zero);
	for (size_t i = 0; i < WEFT_HISTOGRAM_BINS; i++) {
		double x = (double)a->low + ((double)i + 0.5) * width, q = fmax(0, fmin(255, rint(x / scale) + zero));
		double difference = (q - zero) * scale - x;

		error += (double)a->histogram[i] * difference * difference;
	}
	return error;
}

/* Both ends shrink by steps of 1/64, each as long as the error falls. */
static void least_error_range(const struct weft_calibrated *a, double *low, double *high)
{
	double best;

	*low = (double)a->low;
	*high = (double)a->high;
	best = squared_error(a, *low, *high);
	for (int i = 63; i > 8; i--)
		for (int j = 64; j > 8; j -= 4) {
			double below = (double)a->low * j / 64, above = (double)a->high * i / 64;
			double error;

			if (a->low == 0 && j < 64)
				break;
			error = squared_error(a, below, above);
			if (error < best) {
				best = error;
				*low = below;
				*high = above;
			}
		}
}

void weft_quant_choose(struct weft_calibrated *a, const struct weft_quantize_options *options)
{
	double low = (double)a->low, high = (double)a->high;

	if (options->calibration == WEFT_CALIBRATION_PERCENTILE)
		percentile_range(a, (100 - options->percentile) / 200, &low, &high);
	else if (options->calibration == WEFT_CALIBRATION_MSE)
		least_error_range(a, &low, &high);
	set_range(low, high, &a->scale, &a->zero);
}
