/* SPDX-License-Identifier: MIT */
/** The steps of quantization; within the runtime. */
#ifndef WEFT_QUANT_QUANT_H
#define WEFT_QUANT_QUANT_H

#include "quant/edit.h"
#include "weft/quantize.h"

/** What calibration learned of one activation. */
struct weft_calibrated {
	const char *name;
	float low, high;     /* seen */
	uint64_t *histogram; /* over [low, high], owned */
	uint32_t channels;   /* of mean; dimension 1 of images, else the last */
	double *mean;	     /* of each channel; owned */
	uint64_t values;     /* counted for each channel */
	/* The choice. */
	double scale;
	int32_t zero;
};
#define WEFT_HISTOGRAM_BINS 2048

/** Fold BatchNormalization behind Conv into its weights. */
int weft_quant_fold(Onnx__GraphProto *graph, uint32_t *folded);
/** Equalise channel ranges of convolutions and matrix products in a row. */
int weft_quant_equalize(Onnx__GraphProto *graph, uint32_t *pairs);
/** Run @model on examples, and fill in what was seen of @activations. */
int weft_quant_calibrate(struct accel_device *device, const struct weft_model *model,
			 const struct weft_quantize_options *options, struct weft_dataset *dataset,
			 struct weft_calibrated activation[], uint32_t activations, uint32_t *examples);
/** Choose scale and zero point of an activation. */
void weft_quant_choose(struct weft_calibrated *activation, const struct weft_quantize_options *options);

/** Whether @node is a product with a constant float weight, input 1; its channel dimension. */
bool weft_quant_is_product(const Onnx__GraphProto *graph, const Onnx__NodeProto *node, unsigned int *axis);

/** Integers of a weight along @axis. */
struct weft_weight {
	uint32_t count; /* of scales */
	unsigned int axis;
	float *scale;
	int8_t *integers;
};
int weft_quant_weight(const struct weft_host_tensor *tensor, unsigned int axis,
		      const struct weft_quantize_options *options, struct weft_weight *weight);
void weft_quant_weight_free(struct weft_weight *weight);
/** The elements of @tensor that share channel @c along @axis: every (step)th run of @inner from first on. */
size_t weft_quant_inner(const struct weft_host_tensor *tensor, unsigned int axis);

#endif /* WEFT_QUANT_QUANT_H */
