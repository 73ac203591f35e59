// SPDX-License-Identifier: MIT
/* Classifiers of text whose first layer is a projection of hashed features. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "project/network.h"
#include "weft/error.h"
#include "weft/project.h"
#include "weft_isa.h"

#define OPSET 17
#define MOST_UNITS 4096
#define MOST_SEQUENCE 1024
#define MOST_LAYERS 4
#define NAME 64

static int check(const struct weft_text_projection *how)
{
	bool layered = how->kind == WEFT_TEXT_PRADO || how->kind == WEFT_TEXT_PQRNN;

	if (!how->sequence || how->sequence > MOST_SEQUENCE)
		return weft_fail(EINVAL, "texts of %u features; expected 1 to %u", how->sequence, MOST_SEQUENCE);
	if (!how->width || how->width > WEFT_PROJECT_MAX_BITS)
		return weft_fail(EINVAL, "a projection to %u numbers; expected 1 to %u", how->width,
				 WEFT_PROJECT_MAX_BITS);
	if (!how->units || how->units > MOST_UNITS || !how->classes)
		return weft_fail(EINVAL, "%u units and %u classes; expected 1 to %u units", how->units, how->classes,
				 MOST_UNITS);
	if (layered && (!how->layers || how->layers > MOST_LAYERS))
		return weft_fail(EINVAL, "%u layers; expected 1 to %u", how->layers, MOST_LAYERS);
	if (!(how->dropout >= 0 && how->dropout < 1))
		return weft_fail(EINVAL, "dropout of %g; it is a share from 0 to below 1", (double)how->dropout);
	return 0;
}

static void matrix(struct weft_network *n, const char *name, uint32_t in, uint32_t out)
{
	weft_network_weight(n, name, 2, (const uint32_t[]){in, out}, 1 / sqrt(in));
}

/* @to = @from with a share of it left out in training. */
static void dropout(struct weft_network *n, const struct weft_text_projection *how, const char *from, const char *to)
{
	if (how->dropout > 0) {
		weft_network_float(n, "dropout.ratio", how->dropout);
		weft_network_node(n, NULL, "Dropout", (const char *[]){from, "dropout.ratio", NULL}, to);
	} else {
		weft_network_node(n, NULL, "Identity", (const char *[]){from, NULL}, to);
	}
}

static void scores(struct weft_network *n, const struct weft_text_projection *how, const char *from, uint32_t width)
{
	matrix(n, "scores.weight", width, how->classes);
	weft_network_weight(n, "scores.bias", 1, &how->classes, 0);
	dropout(n, how, from, "kept");
	weft_network_node(n, NULL, "Gemm", (const char *[]){"kept", "scores.weight", "scores.bias", NULL}, "scores");
}

static void bag(struct weft_network *n, const struct weft_text_projection *how)
{
	bool mean = how->kind == WEFT_TEXT_MEAN;
	Onnx__NodeProto *node = weft_network_node(n, "weft", mean ? "ProjectMean" : "Project",
						  (const char *[]){"features", NULL}, "projection");

	weft_network_int(n, node, "functions", how->width);
	weft_network_int(n, node, "bits", 1);
	weft_network_int(n, node, "seed", (int64_t)how->seed);
	matrix(n, "hidden.weight", how->width, how->units);
	weft_network_weight(n, "hidden.bias", 1, &how->units, 0);
	weft_network_node(n, mean ? NULL : "weft", mean ? "Gemm" : "BitMatMul",
			  (const char *[]){"projection", "hidden.weight", "hidden.bias", NULL}, "hidden.sum");
	weft_network_node(n, NULL, "Relu", (const char *[]){"hidden.sum", NULL}, "hidden");
	scores(n, how, "hidden", how->units);
}

/* Ternary numbers of each word through a layer: [batch, units, words]. */
static void embed(struct weft_network *n, const struct weft_text_projection *how)
{
	Onnx__NodeProto *node =
		weft_network_node(n, "weft", "ProjectTernary", (const char *[]){"features", NULL}, "projection");

	weft_network_int(n, node, "channels", how->width);
	weft_network_int(n, node, "seed", (int64_t)how->seed);
	matrix(n, "embedding.weight", how->width, how->units);
	weft_network_weight(n, "embedding.bias", 1, &how->units, 0);
	weft_network_node(n, NULL, "MatMul", (const char *[]){"projection", "embedding.weight", NULL},
			  "embedding.product");
	weft_network_node(n, NULL, "Add", (const char *[]){"embedding.product", "embedding.bias", NULL},
			  "embedding.sum");
	weft_network_node(n, NULL, "Relu", (const char *[]){"embedding.sum", NULL}, "embedding.words");
	node = weft_network_node(n, NULL, "Transpose", (const char *[]){"embedding.words", NULL}, "embedding");
	weft_network_ints(n, node, "perm", 3, (const int64_t[]){0, 2, 1});
}

/* A convolution over @taps words that keeps their number, from @in to @out units. */
static void convolve(struct weft_network *n, const char *from, uint32_t in, uint32_t out, uint32_t taps, bool back,
		     const char *name)
{
	const uint32_t dims[3] = {out, in, taps};
	int64_t before = back ? taps - 1 : (taps - 1) / 2;
	char weight[NAME + 16], bias[NAME + 16];
	Onnx__NodeProto *node;

	snprintf(weight, sizeof(weight), "%s.weight", name);
	snprintf(bias, sizeof(bias), "%s.bias", name);
	weft_network_weight(n, weight, 3, dims, 1 / sqrt((double)in * taps));
	weft_network_weight(n, bias, 1, &out, 0);
	node = weft_network_node(n, NULL, "Conv", (const char *[]){from, weight, bias, NULL}, name);
	weft_network_ints(n, node, "kernel_shape", 1, (const int64_t[]){taps});
	weft_network_ints(n, node, "pads", 2, (const int64_t[]){before, taps - 1 - before});
}

/* For each length of n-gram: values weighed by what attention says of their places. */
static void attend(struct weft_network *n, const struct weft_text_projection *how)
{
	const char *pooled[MOST_LAYERS + 1] = {NULL};
	char name[MOST_LAYERS][NAME];
	Onnx__NodeProto *node;

	embed(n, how);
	weft_network_integers(n, "words", 1, (const int64_t[]){2});
	for (uint32_t k = 0; k < how->layers; k++) {
		char value[NAME], attention[NAME], weight[NAME], product[NAME];

		snprintf(value, sizeof(value), "value%u", k + 1);
		snprintf(attention, sizeof(attention), "attention%u", k + 1);
		snprintf(weight, sizeof(weight), "share%u", k + 1);
		snprintf(product, sizeof(product), "weighed%u", k + 1);
		snprintf(name[k], sizeof(name[k]), "gram%u", k + 1);
		convolve(n, "embedding", how->units, how->units, k + 1, false, value);
		convolve(n, "embedding", how->units, how->units, k + 1, false, attention);
		node = weft_network_node(n, NULL, "Softmax", (const char *[]){attention, NULL}, weight);
		weft_network_int(n, node, "axis", 2);
		weft_network_node(n, NULL, "Mul", (const char *[]){value, weight, NULL}, product);
		node = weft_network_node(n, NULL, "ReduceSum", (const char *[]){product, "words", NULL}, name[k]);
		weft_network_int(n, node, "keepdims", 0);
		pooled[k] = name[k];
	}
	node = weft_network_node(n, NULL, "Concat", pooled, "grams");
	weft_network_int(n, node, "axis", 1);
	scores(n, how, "grams", how->units * how->layers);
}

/* The places of @from, [batch, units, words], as words values [batch, units, 1]. */
static void split(struct weft_network *n, const char *from, uint32_t words)
{
	Onnx__NodeProto *node;
	char name[NAME + 24];

	snprintf(name, sizeof(name), "%s/0", from);
	node = weft_network_node(n, NULL, "Split", (const char *[]){from, NULL}, name);
	weft_network_int(n, node, "axis", 2);
	for (uint32_t t = 1; t < words; t++) {
		snprintf(name, sizeof(name), "%s/%u", from, t);
		weft_network_also(n, node, name);
	}
}

/*
 * c_t = f_t c_(t-1) + (1 - f_t) z_t, word after word in one direction: the only part
 * that is not done for all words at once.
 */
static void recur(struct weft_network *n, const char *forget, const char *add, uint32_t words, bool backwards,
		  const char *to)
{
	const char **state = calloc(words + 1, sizeof(*state));
	char(*name)[NAME + 24] = calloc(words, sizeof(*name));
	char f[NAME + 24], z[NAME + 24], kept[NAME + 40];
	Onnx__NodeProto *node;

	if (!state || !name) {
		n->error = weft_fail(ENOMEM, "no memory for the network");
		goto out;
	}
	for (uint32_t i = 0; i < words; i++) {
		uint32_t t = backwards ? words - 1 - i : i, before = backwards ? t + 1 : t - 1;

		snprintf(z, sizeof(z), "%s/%u", add, t);
		state[t] = name[t];
		snprintf(name[t], sizeof(name[t]), "%s/%u", to, t);
		if (!i) {
			weft_network_node(n, NULL, "Identity", (const char *[]){z, NULL}, name[t]);
			continue;
		}
		snprintf(f, sizeof(f), "%s/%u", forget, t);
		snprintf(kept, sizeof(kept), "%s.kept", name[t]);
		weft_network_node(n, NULL, "Mul", (const char *[]){f, name[before], NULL}, kept);
		weft_network_node(n, NULL, "Add", (const char *[]){kept, z, NULL}, name[t]);
	}
	node = weft_network_node(n, NULL, "Concat", state, to);
	weft_network_int(n, node, "axis", 2);
out:
	free(state);
	free(name);
}

/* One direction of a quasi-recurrent layer: @to is [batch, units, words]. */
static void quasi_recurrent(struct weft_network *n, const struct weft_text_projection *how, const char *from,
			    uint32_t in, bool backwards, const char *to)
{
	char value[NAME + 8], gate[NAME + 8], z[NAME + 8], f[NAME + 8], stay[NAME + 8], add[NAME + 8];

	snprintf(value, sizeof(value), "%s.value", to);
	snprintf(gate, sizeof(gate), "%s.gate", to);
	snprintf(z, sizeof(z), "%s.z", to);
	snprintf(f, sizeof(f), "%s.f", to);
	snprintf(stay, sizeof(stay), "%s.1-f", to);
	snprintf(add, sizeof(add), "%s.add", to);
	convolve(n, from, in, how->units, 2, !backwards, value);
	convolve(n, from, in, how->units, 2, !backwards, gate);
	weft_network_node(n, NULL, "Tanh", (const char *[]){value, NULL}, z);
	weft_network_node(n, NULL, "Sigmoid", (const char *[]){gate, NULL}, f);
	weft_network_node(n, NULL, "Sub", (const char *[]){"one", f, NULL}, stay);
	weft_network_node(n, NULL, "Mul", (const char *[]){stay, z, NULL}, add);
	split(n, f, how->sequence);
	split(n, add, how->sequence);
	recur(n, f, add, how->sequence, backwards, to);
}

static void recurrent(struct weft_network *n, const struct weft_text_projection *how)
{
	char from[NAME] = "embedding", forth[NAME], back[NAME];
	uint32_t width = how->units;
	Onnx__NodeProto *node;

	embed(n, how);
	weft_network_float(n, "one", 1);
	weft_network_integers(n, "words", 1, (const int64_t[]){2});
	for (uint32_t i = 0; i < how->layers; i++) {
		snprintf(forth, sizeof(forth), "forth%u", i + 1);
		snprintf(back, sizeof(back), "back%u", i + 1);
		quasi_recurrent(n, how, from, width, false, forth);
		quasi_recurrent(n, how, from, width, true, back);
		snprintf(from, sizeof(from), "both%u", i + 1);
		node = weft_network_node(n, NULL, "Concat", (const char *[]){forth, back, NULL}, from);
		weft_network_int(n, node, "axis", 1);
		width = 2 * how->units;
	}
	/* Attention over the words. */
	convolve(n, from, width, 1, 1, false, "attention");
	node = weft_network_node(n, NULL, "Softmax", (const char *[]){"attention", NULL}, "share");
	weft_network_int(n, node, "axis", 2);
	weft_network_node(n, NULL, "Mul", (const char *[]){from, "share", NULL}, "weighed");
	node = weft_network_node(n, NULL, "ReduceSum", (const char *[]){"weighed", "words", NULL}, "pooled");
	weft_network_int(n, node, "keepdims", 0);
	scores(n, how, "pooled", width);
}

int weft_text_projection_new(const struct weft_text_projection *how, struct weft_model **model)
{
	static void (*const build[])(struct weft_network *, const struct weft_text_projection *) = {
		[WEFT_TEXT_SGNN] = bag,
		[WEFT_TEXT_MEAN] = bag,
		[WEFT_TEXT_PRADO] = attend,
		[WEFT_TEXT_PQRNN] = recurrent,
	};
	struct weft_network n;
	int r = check(how);

	if (r)
		return r;
	weft_network_begin(&n, "text", OPSET, how->seed);
	weft_network_input(&n, "features", ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 1, &how->sequence);
	weft_network_note(&n, WEFT_FEATURES_KEY, how->features);
	build[how->kind](&n, how);
	weft_network_output(&n, "scores");
	return weft_network_end(&n, model);
}
