/* SPDX-License-Identifier: MIT */
/**
 * Quantization: from a float model to one that runs in 8-bit integers, written as
 * ONNX with QuantizeLinear and DequantizeLinear (QDQ).
 *
 * Weights become int8, symmetric, with a scale for each output channel or one for
 * the tensor; activations uint8 with a zero point.  Scales of activations follow
 * from running the float model on examples (calibration).  Before that, batch
 * normalisation is folded into convolutions, and the ranges of neighbouring
 * layers' channels are equalised; afterwards biases are corrected for the mean
 * error that rounding the weights leaves (Nagel et al., "Data-Free Quantization
 * Through Weight Equalization and Bias Correction", ICCV 2019).
 */
#ifndef WEFT_QUANTIZE_H
#define WEFT_QUANTIZE_H

#include "weft/data.h"
#include "weft/model.h"
#include "weft/session.h"

#ifdef __cplusplus
extern "C" {
#endif

/** How the range of an activation follows from its values. */
enum weft_calibration {
	WEFT_CALIBRATION_MINMAX,     /* the least and the greatest seen */
	WEFT_CALIBRATION_PERCENTILE, /* all but a fraction at either end */
	WEFT_CALIBRATION_MSE,	     /* the least mean squared error; weights' scales too */
};

struct weft_quantize_options {
	enum weft_calibration calibration;
	double percentile;  /* of values kept, in (50, 100]; PERCENTILE only */
	bool per_tensor;    /* one scale for each weight tensor, not one for each channel */
	bool keep_ranges;   /* no equalisation */
	bool keep_biases;   /* no correction */
	bool float_weights; /* weights stay float behind a QuantizeLinear, for training to change */
	uint32_t examples;  /* to calibrate with; 0: 512 */
	uint32_t batch;	    /* of those; 0: 32 */
	uint64_t seed;	    /* picks the examples */
	struct weft_session_options session;
};

struct weft_quantize_report {
	uint32_t folded;    /* batch normalisations */
	uint32_t equalized; /* pairs of layers */
	uint32_t weights;   /* tensors quantized */
	uint32_t activations;
	uint32_t corrected; /* biases */
	uint32_t examples;  /* used to calibrate */
};

/**
 * Quantize @model with examples of @dataset.  *quantized is a new model, to be
 * freed by the caller; @model is unchanged.  @report may be NULL.
 * -EOPNOTSUPP: nothing in the model can be quantized, or it is quantized already.
 * -EDOM: the model gives values that are no numbers.
 */
int weft_quantize(struct accel_device *device, const struct weft_model *model,
		  const struct weft_quantize_options *options, struct weft_dataset *dataset,
		  struct weft_model **quantized, struct weft_quantize_report *report);

/**
 * Turn float weights behind a QuantizeLinear, as options.float_weights leaves them
 * and training changed them, into integers.  *weights: how many.
 */
int weft_quantize_weights(struct weft_model *model, uint32_t *weights);

/** Write the model as it is: to @path with a temporary name, fsync, rename. */
int weft_quantize_save(const struct weft_model *model, const char *path);

#ifdef __cplusplus
}
#endif

#endif /* WEFT_QUANTIZE_H */
