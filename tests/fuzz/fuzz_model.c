// SPDX-License-Identifier: MIT
/* The ONNX loader, lowering and autodiff on arbitrary bytes: any outcome but a crash. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "graph/graph.h"
#include "weft/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct weft_graph_options options = {.loss = WEFT_LOSS_CROSS_ENTROPY};
	const struct weft_tuning tuning = {.lora_rank = 2, .clip_norm = 1, .accumulate = 2, .label_smoothing = 0.1f};
	struct weft_model_info info;
	struct weft_graph *graph;
	struct weft_model *model;

	if (weft_model_load_memory(bytes, size, "fuzz", &model))
		return 0;
	weft_model_info(model, &info);
	/* Training and not, each with the batch that the model says, and with one given and fine-tuning. */
	for (unsigned int variant = 0; variant < 4; variant++) {
		options.training = variant & 1;
		options.batch = variant & 2;
		options.fixed_weights = !options.training;
		options.tuning = variant & 2 ? &tuning : NULL;
		if (!weft_model_graph(model, &options, &graph))
			weft_graph_free(graph);
	}
	weft_model_free(model);
	return 0;
}

#ifdef FUZZ_MAIN
/* Files named on the command line, each as it is and with bytes changed by a fixed sequence. */
int main(int argc, char **argv)
{
	uint64_t random = 88172645463325252u;
	unsigned int seeds = 0;

	for (int i = 1; i < argc; i++) {
		FILE *file = fopen(argv[i], "rb");
		static uint8_t bytes[1 << 16];
		size_t size;

		if (!file) {
			printf("not there: %s\n", argv[i]);
			continue;
		}
		seeds++;
		size = fread(bytes, 1, sizeof(bytes), file);
		fclose(file);
		LLVMFuzzerTestOneInput(bytes, size);
		/* One byte at a time: most of the file still means something. */
		for (int round = 0; round < 1000 && size; round++) {
			uint8_t before;

			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			before = bytes[random % size];
			bytes[random % size] = (uint8_t)(random >> 56);
			LLVMFuzzerTestOneInput(bytes, size);
			bytes[random % size] = before;
		}
	}
	if (!seeds)
		printf("skipped: no model to start from; libonnx-testdata has some\n");
	return seeds ? 0 : 77;
}
#endif
