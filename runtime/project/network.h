/* SPDX-License-Identifier: MIT */
/** Building ONNX models; errors stick, so that they need be looked at only once. */
#ifndef WEFT_PROJECT_NETWORK_H
#define WEFT_PROJECT_NETWORK_H

#include "import/model.h"

struct weft_network {
	struct weft_model *model;
	uint64_t random; /* state of what initial weights are drawn from */
	int error;
};

/** A model without nodes; @seed decides the weights. */
void weft_network_begin(struct weft_network *network, const char *name, int64_t opset, uint64_t seed);
/** An input with a batch dimension before @dims, of ONNX's data type @type. */
void weft_network_input(struct weft_network *network, const char *name, int32_t type, uint32_t rank,
			const uint32_t dims[]);
/**
 * Append a node; @inputs ends with NULL.  @domain NULL: ONNX's own.  It stays the model's, to set attributes of;
 * NULL after an error.
 */
Onnx__NodeProto *weft_network_node(struct weft_network *network, const char *domain, const char *operator,
				   const char * const inputs[], const char *output);
void weft_network_int(struct weft_network *network, Onnx__NodeProto *node, const char *name, int64_t value);
void weft_network_ints(struct weft_network *network, Onnx__NodeProto *node, const char *name, unsigned int count,
		       const int64_t values[]);
/** A trainable tensor, uniform in +-@range (0: zeros). */
void weft_network_weight(struct weft_network *network, const char *name, unsigned int rank, const uint32_t dims[],
			 double range);
/** A vector of 64-bit integers. */
void weft_network_integers(struct weft_network *network, const char *name, uint32_t count, const int64_t values[]);
void weft_network_output(struct weft_network *network, const char *name);
/** A line of the model's metadata. */
void weft_network_note(struct weft_network *network, const char *key, const char *value);
/** One more output of a node. */
void weft_network_also(struct weft_network *network, Onnx__NodeProto *node, const char *output);
void weft_network_float(struct weft_network *network, const char *name, float value);
/** The model, read as if from a file; frees what was built.  */
int weft_network_end(struct weft_network *network, struct weft_model **model);

#endif /* WEFT_PROJECT_NETWORK_H */
