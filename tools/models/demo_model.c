// SPDX-License-Identifier: MIT
/*
 * weft-demo-model: write the networks that the demonstration and the tests
 * train, with weights drawn from a seed.
 *
 * cnn	 1 x 28 x 28: eight 3 x 3 convolutions in four residual blocks, two
 *	 poolings, one matrix product; 10 classes
 * lenet 1 x 28 x 28: two 5 x 5 convolutions, three matrix products
 * color 3 x 32 x 32: as cnn
 * text	 any number of bytes: an embedding, a hidden layer, their mean; 4 classes
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "onnx_build.h"

#define CLASSES 10

/* Uniform with the variance that keeps the size of signals through a ReLU (He et al., 2015). */
static float bound_for(int64_t fan_in, float gain)
{
	return gain * sqrtf(6.0f / (float)fan_in);
}

static void convolution(struct onnx_build *build, const char *name, const char *from, int64_t in, int64_t out,
			int64_t side, int64_t pad, float gain)
{
	const int64_t weight_dims[4] = {out, in, side, side}, bias_dims[1] = {out};
	const int64_t kernel[2] = {side, side}, pads[4] = {pad, pad, pad, pad};
	char weight[64], bias[64];
	Onnx__NodeProto *node;

	snprintf(weight, sizeof(weight), "%s.weight", name);
	snprintf(bias, sizeof(bias), "%s.bias", name);
	onnx_build_weight(build, weight, 4, weight_dims, bound_for(in * side * side, gain));
	onnx_build_weight(build, bias, 1, bias_dims, 0.0f);
	node = onnx_build_node(build, "Conv", name, (const char *[]){from, weight, bias, NULL});
	onnx_build_ints(build, node, "kernel_shape", 2, kernel);
	onnx_build_ints(build, node, "pads", 4, pads);
	onnx_build_ints(build, node, "strides", 2, (int64_t[]){1, 1});
}

static void linear(struct onnx_build *build, const char *name, const char *from, int64_t in, int64_t out, float gain)
{
	const int64_t weight_dims[2] = {out, in}, bias_dims[1] = {out};
	char weight[64], bias[64];
	Onnx__NodeProto *node;

	snprintf(weight, sizeof(weight), "%s.weight", name);
	snprintf(bias, sizeof(bias), "%s.bias", name);
	onnx_build_weight(build, weight, 2, weight_dims, bound_for(in, gain));
	onnx_build_weight(build, bias, 1, bias_dims, 0.0f);
	node = onnx_build_node(build, "Gemm", name, (const char *[]){from, weight, bias, NULL});
	onnx_build_int(build, node, "transB", 1);
}

static void relu(struct onnx_build *build, const char *name, const char *from)
{
	onnx_build_node(build, "Relu", name, (const char *[]){from, NULL});
}

static void pool(struct onnx_build *build, const char *name, const char *from)
{
	Onnx__NodeProto *node = onnx_build_node(build, "MaxPool", name, (const char *[]){from, NULL});

	onnx_build_ints(build, node, "kernel_shape", 2, (int64_t[]){2, 2});
	onnx_build_ints(build, node, "strides", 2, (int64_t[]){2, 2});
}

static void flatten(struct onnx_build *build, const char *name, const char *from)
{
	onnx_build_int(build, onnx_build_node(build, "Flatten", name, (const char *[]){from, NULL}), "axis", 1);
}

/* out = relu(in + conv(relu(conv(in)))), the second convolution starting small. */
static void block(struct onnx_build *build, int number, const char *from, char *out, size_t out_bytes, int64_t channels)
{
	char a[32], b[32], c[32], d[32];

	snprintf(a, sizeof(a), "block%d.conv1", number);
	snprintf(b, sizeof(b), "block%d.relu1", number);
	snprintf(c, sizeof(c), "block%d.conv2", number);
	snprintf(d, sizeof(d), "block%d.add", number);
	convolution(build, a, from, channels, channels, 3, 1, 1.0f);
	relu(build, b, a);
	convolution(build, c, b, channels, channels, 3, 1, 0.3f);
	onnx_build_node(build, "Add", d, (const char *[]){c, from, NULL});
	snprintf(out, out_bytes, "block%d", number);
	relu(build, out, d);
}

static void residual(struct onnx_build *build, int64_t channels, int64_t side)
{
	const int64_t width = 16, in[4] = {0, channels, side, side}, out[2] = {0, CLASSES};
	char one[32], two[32], three[32], four[32];

	onnx_build_input(build, "image", 4, in);
	convolution(build, "stem", "image", channels, width, 3, 1, 1.0f);
	relu(build, "stem.relu", "stem");
	block(build, 1, "stem.relu", one, sizeof(one), width);
	block(build, 2, one, two, sizeof(two), width);
	pool(build, "pool1", two);
	convolution(build, "widen", "pool1", width, 2 * width, 3, 1, 1.0f);
	relu(build, "widen.relu", "widen");
	block(build, 3, "widen.relu", three, sizeof(three), 2 * width);
	block(build, 4, three, four, sizeof(four), 2 * width);
	pool(build, "pool2", four);
	flatten(build, "flat", "pool2");
	linear(build, "scores", "flat", 2 * width * (side / 4) * (side / 4), CLASSES, 0.3f);
	onnx_build_output(build, "scores", 2, out);
}

static void lenet(struct onnx_build *build)
{
	const int64_t in[4] = {0, 1, 28, 28}, out[2] = {0, CLASSES};

	onnx_build_input(build, "image", 4, in);
	convolution(build, "conv1", "image", 1, 6, 5, 2, 1.0f);
	relu(build, "relu1", "conv1");
	pool(build, "pool1", "relu1");
	convolution(build, "conv2", "pool1", 6, 16, 5, 0, 1.0f);
	relu(build, "relu2", "conv2");
	pool(build, "pool2", "relu2");
	flatten(build, "flat", "pool2");
	linear(build, "fc1", "flat", 400, 120, 1.0f);
	relu(build, "relu3", "fc1");
	linear(build, "fc2", "relu3", 120, 84, 1.0f);
	relu(build, "relu4", "fc2");
	linear(build, "scores", "relu4", 84, CLASSES, 0.5f);
	onnx_build_output(build, "scores", 2, out);
}

/* The mean over a text of what a hidden layer makes of each token. */
static void text(struct onnx_build *build)
{
	const int64_t bytes = 256, width = 24, hidden = 32, classes = 4;
	Onnx__NodeProto *node;

	onnx_build_tokens(build, "input_ids");
	onnx_build_weight(build, "embedding.weight", 2, (int64_t[]){bytes, width}, 0.5f);
	onnx_build_weight(build, "hidden.weight", 2, (int64_t[]){width, hidden}, bound_for(width, 1.0f));
	onnx_build_weight(build, "hidden.bias", 1, &hidden, 0.0f);
	onnx_build_node(build, "Gather", "embedded", (const char *[]){"embedding.weight", "input_ids", NULL});
	onnx_build_node(build, "MatMul", "product", (const char *[]){"embedded", "hidden.weight", NULL});
	onnx_build_node(build, "Add", "biased", (const char *[]){"product", "hidden.bias", NULL});
	relu(build, "active", "biased");
	node = onnx_build_node(build, "ReduceMean", "mean", (const char *[]){"active", NULL});
	onnx_build_ints(build, node, "axes", 1, (int64_t[]){1});
	onnx_build_int(build, node, "keepdims", 0);
	linear(build, "scores", "mean", hidden, classes, 1.0f);
	onnx_build_output(build, "scores", 2, (int64_t[]){0, classes});
}

int main(int argc, char **argv)
{
	struct onnx_build build;
	const char *kind = argc > 1 ? argv[1] : "";
	uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;

	if (argc < 3 || argc > 4 ||
	    (strcmp(kind, "cnn") && strcmp(kind, "lenet") && strcmp(kind, "color") && strcmp(kind, "text"))) {
		fputs("Usage: weft-demo-model cnn|lenet|color|text FILE.onnx [SEED]\n", stderr);
		return 2;
	}
	onnx_build_begin(&build, kind, seed);
	if (!strcmp(kind, "lenet"))
		lenet(&build);
	else if (!strcmp(kind, "text"))
		text(&build);
	else if (!strcmp(kind, "cnn"))
		residual(&build, 1, 28);
	else
		residual(&build, 3, 32);
	if (onnx_build_end(&build, argv[2])) {
		fprintf(stderr, "weft-demo-model: %s: %s\n", argv[2], strerror(errno));
		return 1;
	}
	return 0;
}
