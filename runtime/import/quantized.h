/* SPDX-License-Identifier: MIT */
/**
 * Quantized models: from QuantizeLinear and DequantizeLinear around float
 * operators to integer operations.
 *
 * A DequantizeLinear appends nothing: its output remembers the integers behind it.
 * A node that only moves or picks elements is lowered on those integers.  One
 * that computes is put off until its result is read: by a QuantizeLinear, which
 * knows scale and zero point of the result, so that an integer operation makes it;
 * or as a float tensor, which the operators' usual lowering makes then (products
 * as 32-bit totals times their scale).  Without constant scales, and in training,
 * everything is lowered as it stands.
 */
#ifndef WEFT_IMPORT_QUANTIZED_H
#define WEFT_IMPORT_QUANTIZED_H

#include "import/lower.h"
#include "import/window.h"

/** How integers stand for numbers: (q - zero) * scale, alike everywhere or along dimension @axis. */
struct weft_quantization {
	uint8_t type; /* of the integers */
	unsigned int axis;
	uint32_t count; /* of scale and zero: 1, or the extent of @axis */
	double *scale;	/* owned */
	int32_t *zero;	/* owned */
};

struct weft_integer {
	/** Put off until its result is wanted; NULL: made of integers that exist. */
	const Onnx__NodeProto *node;
	char *node_name; /* owned */
	/** Else: the integers on the device, or constants, and what they stand for. */
	weft_id value;				 /* WEFT_NO_ID where constant */
	const struct weft_host_tensor *constant; /* the model's */
	struct weft_quantization quantization;
};

/** Lower the present node by way of integers, or put it off, where that can be; *done says whether. */
int weft_lower_integers(struct weft_lower *lower, bool *done);
/** Make the float tensor of a symbol that integers stand behind: as its value, or as a known tensor where it is
 * constant. */
int weft_integer_materialize(struct weft_lower *lower, struct weft_symbol *symbol);
void weft_integer_free(struct weft_integer *integer);

/* Between the files of this part. */

/** Where a result goes: its integers, and the clamp that activations on the way left. */
struct weft_integer_result {
	const struct weft_quantization *quantization;
	double low, high; /* real numbers; infinite where there is none */
};
/** q's least and greatest value under the clamp. */
void weft_integer_clamp(const struct weft_integer_result *result, int32_t *low, int32_t *high);
/** m and s of <weft_isa.h>'s R for a real factor. */
void weft_integer_multiplier(double factor, int32_t multiplier[2]);

/** The integers behind input @index, if they exist and are alike everywhere (@channels: or not). */
const struct weft_integer *weft_integer_input(const struct weft_lower *lower, unsigned int index, bool channels);
/** The same as an operand of the device; false for constants. */
bool weft_integer_operand(const struct weft_lower *lower, const struct weft_integer *integer,
			  struct weft_operand *operand);
/** A new value for the result of @layout's dims and strides, of its quantization's type; named after the node. */
int weft_integer_value(struct weft_lower *lower, const struct weft_integer_result *result,
		       const struct weft_layout *layout, struct weft_operand *y);

/** weft_window_read() for integers. */
int weft_integer_window(struct weft_lower *lower, const struct weft_layout *x, const uint32_t *kernel,
			struct weft_window *window);
/** Whether the present node is a product that quantized_product.c can make. */
bool weft_is_integer_product(const struct weft_lower *lower);
/** Make it: quantized, or (@result NULL) as a float tensor from its totals. */
int weft_integer_product(struct weft_lower *lower, const struct weft_integer_result *result, weft_id *id);
/** Make the result that @pending puts off, as integers; *done is false where no integer operation can. */
int weft_integer_emit(struct weft_lower *lower, const struct weft_integer *pending,
		      const struct weft_integer_result *result, weft_id *id, bool *done);

#endif /* WEFT_IMPORT_QUANTIZED_H */
