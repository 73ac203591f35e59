/* SPDX-License-Identifier: MIT */
/**
 * Reverse-mode differentiation of a graph of device operations.
 *
 * Operations are visited backwards; each has a rule that reads the gradients
 * of its outputs and contributes to those of its inputs.  The gradient of a
 * base has the base's layout, so whatever way an operation sees a value is
 * also a way to see its gradient.  Contributions of several readers are added;
 * those to views of a part are joined once the last reader has been visited.
 * The gradient of a weight is complete right after its first reader, so that
 * its update can follow there.
 */
#ifndef WEFT_AUTODIFF_AUTODIFF_H
#define WEFT_AUTODIFF_AUTODIFF_H

#include "graph/build.h"

/**
 * Append the backward operations of graph->loss and set weft_value.gradient of
 * weights.  @as_outputs: gradients of weights and float inputs become outputs.
 */
int weft_autodiff(struct weft_graph *graph, bool as_outputs);

/* For rules. */

struct weft_backward;

/** Rule of one opcode: @operation is a copy, because appending moves the graph's own. */
typedef int (*weft_gradient_rule)(struct weft_backward *backward, const struct weft_operation *operation);
/** NULL: nothing flows through the operation. */
weft_gradient_rule weft_gradient_rule_of(unsigned int opcode);

/** Where a gradient is to be written: operand.layout has the dims of the operation's operand. */
struct weft_target {
	struct weft_operand operand;
	weft_id of;		  /* the forward value */
	struct weft_layout shown; /* how the forward operation saw it */
	bool reduce;		  /* the operand repeats elements: sum over the repetitions */
	bool whole;		  /* covers its base */
};

struct weft_graph *weft_backward_graph(struct weft_backward *backward);
/** Whether a gradient of input @slot is asked for. */
bool weft_backward_wants(const struct weft_backward *backward, const struct weft_operation *operation,
			 unsigned int slot);
/** The gradient of output @slot as the operation saw the output; absent if there is none. */
struct weft_operand weft_backward_of_output(struct weft_backward *backward, const struct weft_operation *operation,
					    unsigned int slot, int *result);
/** Make room for the gradient of input @slot; write it, then call weft_backward_done(). */
int weft_backward_target(struct weft_backward *backward, const struct weft_operation *operation, unsigned int slot,
			 struct weft_target *target);
/** The same for value @of seen with @shown. */
int weft_backward_target_of(struct weft_backward *backward, weft_id of, const struct weft_layout *shown,
			    struct weft_target *target);
int weft_backward_done(struct weft_backward *backward, const struct weft_target *target);
/** @gradient, with the dims of input @slot, is a contribution as it stands. */
int weft_backward_contribute(struct weft_backward *backward, const struct weft_operation *operation, unsigned int slot,
			     const struct weft_operand *gradient);
int weft_backward_contribute_to(struct weft_backward *backward, weft_id of, const struct weft_layout *shown,
				const struct weft_operand *gradient);
/**
 * If input @slot is the whole result of an epilogue's ReLU that nothing else reads, take over that ReLU's gradient:
 * the caller's contribution to the input is then zero wherever the input is not positive, and the producer's rule
 * passes it on as it is.  False: the producer does it.
 */
bool weft_backward_claim_relu(struct weft_backward *backward, const struct weft_operation *operation,
			      unsigned int slot);
/** Whether the gradient of output @slot has been through the ReLU already. */
bool weft_backward_relu_claimed(const struct weft_backward *backward, const struct weft_operation *operation,
				unsigned int slot);
/** Whether @operation has a ReLU as its epilogue that its rule takes through weft_gradient_before_epilogue(); its slot.
 */
bool weft_gradient_epilogue(const struct weft_operation *operation, unsigned int *slot);
/** A value for something on the way, with dense strides in @layout's order of dimensions. */
int weft_backward_temporary(struct weft_backward *backward, const struct weft_layout *layout,
			    struct weft_operand *operand);
/** The constant 0, shown with the dims of @like. */
int weft_backward_zero(struct weft_backward *backward, const struct weft_layout *like, struct weft_operand *operand);
/** The name for operations made from the one being differentiated. */
const char *weft_backward_name(const struct weft_backward *backward);

#endif /* WEFT_AUTODIFF_AUTODIFF_H */
