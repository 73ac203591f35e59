// SPDX-License-Identifier: MIT
/*
 * lstm-model FILE VOCABULARY SEQUENCE EMBEDDING UNITS CLASSES: write the ONNX model of
 * a text classifier that is not small, to compare small ones with: an embedding, an LSTM,
 * the greatest output of each unit over the words, dropout and a layer.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "project/network.h"
#include "weft/error.h"
#include "weft/project.h"

static uint32_t number(const char *text)
{
	unsigned long value = strtoul(text, NULL, 10);

	if (!value || value > 1 << 24) {
		fprintf(stderr, "lstm-model: %s: expected a number from 1 to 2^24\n", text);
		exit(2);
	}
	return (uint32_t)value;
}

int main(int argc, char **argv)
{
	uint32_t vocabulary, sequence, width, units, classes;
	struct weft_model *model;
	struct weft_network n;
	Onnx__NodeProto *node;

	if (argc != 7) {
		fprintf(stderr, "usage: lstm-model FILE VOCABULARY SEQUENCE EMBEDDING UNITS CLASSES\n");
		return 2;
	}
	vocabulary = number(argv[2]);
	sequence = number(argv[3]);
	width = number(argv[4]);
	units = number(argv[5]);
	classes = number(argv[6]);
	weft_network_begin(&n, "lstm", 17, 1);
	weft_network_input(&n, "tokens", ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 1, &sequence);
	weft_network_weight(&n, "embedding.weight", 2, (const uint32_t[]){vocabulary, width}, 0.1);
	weft_network_node(&n, NULL, "Gather", (const char *[]){"embedding.weight", "tokens", NULL}, "embedding");
	node = weft_network_node(&n, NULL, "Transpose", (const char *[]){"embedding", NULL}, "words");
	weft_network_ints(&n, node, "perm", 3, (const int64_t[]){1, 0, 2});
	weft_network_weight(&n, "lstm.w", 3, (const uint32_t[]){1, 4 * units, width}, 1 / sqrt(units));
	weft_network_weight(&n, "lstm.r", 3, (const uint32_t[]){1, 4 * units, units}, 1 / sqrt(units));
	weft_network_weight(&n, "lstm.b", 2, (const uint32_t[]){1, 8 * units}, 0);
	node = weft_network_node(&n, NULL, "LSTM", (const char *[]){"words", "lstm.w", "lstm.r", "lstm.b", NULL},
				 "outputs");
	weft_network_int(&n, node, "hidden_size", units);
	node = weft_network_node(&n, NULL, "ReduceMax", (const char *[]){"outputs", NULL}, "pooled");
	weft_network_ints(&n, node, "axes", 2, (const int64_t[]){0, 1});
	weft_network_int(&n, node, "keepdims", 0);
	weft_network_float(&n, "ratio", 0.3f);
	weft_network_node(&n, NULL, "Dropout", (const char *[]){"pooled", "ratio", NULL}, "kept");
	weft_network_weight(&n, "scores.weight", 2, (const uint32_t[]){units, classes}, 1 / sqrt(units));
	weft_network_weight(&n, "scores.bias", 1, &classes, 0);
	weft_network_node(&n, NULL, "Gemm", (const char *[]){"kept", "scores.weight", "scores.bias", NULL}, "scores");
	weft_network_output(&n, "scores");
	if (weft_network_end(&n, &model) || weft_model_save(model, argv[1])) {
		fprintf(stderr, "lstm-model: %s\n", weft_error());
		return 1;
	}
	weft_model_free(model);
	return 0;
}
