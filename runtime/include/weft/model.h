/* SPDX-License-Identifier: MIT */
/** Models: ONNX in, ONNX and safetensors out. */
#ifndef WEFT_MODEL_H
#define WEFT_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A model file as it was read: operators, initializers, inputs and outputs. */
struct weft_model;
/** One step of a model as device operations (graph/graph.h). */
struct weft_graph;

/**
 * Read an ONNX file.  Hostile input is expected: truncated, oversized or
 * inconsistent files give -EINVAL and a sentence that names the place.  Tensors
 * whose bytes stand in other files (external data) are read from there, if those
 * are regular files of the model's directory or below it.
 */
int weft_model_load(const char *path, struct weft_model **model);
int weft_model_load_memory(const void *bytes, size_t size, const char *name, struct weft_model **model);
void weft_model_free(struct weft_model *model);

struct weft_model_info {
	const char *producer;
	int64_t opset;
	uint32_t nodes, parameters; /* nodes; trainable tensors */
	uint64_t parameter_elements;
	uint32_t inputs, outputs;
	/* Of the first input and output; dims are -1 where symbolic. */
	uint32_t input_rank, output_rank;
	int64_t input_dims[8], output_dims[8];
};
int weft_model_info(const struct weft_model *model, struct weft_model_info *info);

/**
 * CROSS_ENTROPY: of scores [batch, classes] and labels.  MSE: mean of the squared differences from a target like the
 * output.  BCE: mean binary cross-entropy of such a target and the sigmoid of the output, which the loss takes itself:
 * where the model ends in a Sigmoid, that one is used.  DISTILL: see struct weft_distillation.
 */
enum weft_loss { WEFT_LOSS_NONE, WEFT_LOSS_CROSS_ENTROPY, WEFT_LOSS_MSE, WEFT_LOSS_BCE, WEFT_LOSS_DISTILL };

/**
 * WEFT_LOSS_DISTILL: the model's first output is a student's scores [batch, classes], the next @teachers outputs are
 * those of teachers, then come @hidden pairs of values of the same shape, a student's and a teacher's.  With H the
 * mean cross-entropy over the batch, s = softmax(student / temperature) and q_i that of teacher i, the loss is
 *
 *	teacher_label * sum of H(teacher_i, label) + teacher * temperature^2 * mean of H(s, q_i)
 *	+ label * H(student, label) + hidden_weight * sum of the mean squared differences of the pairs
 *	+ neighbour_weight * mean squared distance of the student's probabilities of neighbours
 *
 * ProjectionNet (Ravi 2017) is teacher_label 1, teacher 0.1, label 1 with a single teacher, the trainer, that learns
 * at the same time.  Distillation (Hinton et al. 2015) has teachers whose weights are frozen.  Labels of -1 are
 * unknown: such examples count in the other terms only.  Neighbours are rows i and batch / 2 + i of a batch.
 */
struct weft_distillation {
	float teacher_label, teacher, label;
	float temperature; /* above 0 */
	uint32_t teachers, hidden;
	float hidden_weight, neighbour_weight;
	/*
	 * A teacher that learns is drawn to the student by H(s, q), too, as the gradient of the loss has it; false: its
	 * scores are targets only.  Without labels that hold the teacher, both would agree on nothing.
	 */
	bool both_ways;
};
enum weft_optimizer { WEFT_OPTIMIZER_SGD, WEFT_OPTIMIZER_ADAM, WEFT_OPTIMIZER_ADAMW };

/** What is trained, and how gradients become updates.  All zero: every weight, each by its own gradient. */
struct weft_tuning {
	/*
	 * Shell patterns on weights' names (fnmatch: * matches dots and slashes too).  Trained are those that match one
	 * of @train (without any: all) and none of @freeze.  A pattern without a match is -EINVAL.  Nothing is computed
	 * or kept for the gradients of the others.  Running statistics of normalisation follow the data all the same.
	 */
	const char *const *train, *const *freeze;
	uint32_t trains, freezes;
	/*
	 * > 0: matrix products whose weights match @lora_pattern (NULL: all) get adapters of this rank, "<w>.lora_A.weight"
	 * [rank, in] and "<w>.lora_B.weight" [out, rank] for "<w>.weight", which count times lora_alpha / lora_rank
	 * (lora_alpha 0: 1).  Besides them, only weights that match @train are trained.
	 */
	uint32_t lora_rank;
	float lora_alpha;
	const char *lora_pattern;
	uint64_t lora_seed; /* of the numbers that lora_A starts from; lora_B starts from 0 */
	float label_smoothing; /* cross-entropy: this share of each target is spread over the classes; [0, 1) */
	/* > 0: all gradients are multiplied by min(1, clip_norm / (norm + 1e-6)) of the norm of all of them together,
	 * as torch.nn.utils.clip_grad_norm_ does.  The graph has the norm as output "weft.gradient_norm".
	 */
	float clip_norm;
	/*
	 * > 1: a step adds its gradients to sums, from 0 and in the order of steps; every so many steps the sums,
	 * divided by that number, update the weights and are zero again.
	 */
	uint32_t accumulate;
	const struct weft_distillation *distillation; /* of WEFT_LOSS_DISTILL */
};

struct weft_graph_options {
	uint32_t batch; /* binds the dynamic batch dimension; 0: the file's own */
	bool training; /* autodiff, loss and updates; false: evaluation (normalisation uses running statistics, dropout is off) */
	enum weft_loss loss; /* over the first output; ignored where the model has a scalar loss output of its own */
	enum weft_optimizer optimizer;
	bool nesterov;
	bool gradients_as_outputs; /* no updates; every weight's gradient is an output of the graph (tests) */
	const char *const *dim_names; /* other symbolic dimensions to bind */
	const int64_t *dim_values;
	uint32_t dims;
	uint32_t sequence; /* binds what is still open of dimension 1 of inputs that are no floats: tokens of a text; 0: nothing */
	const struct weft_tuning *tuning; /* training; NULL: all zero */
	/*
	 * Inference: the weights are final, so that passes may compute with them (weft_session_write() of weights then
	 * means nothing).  @weights gives their contents, dense in the order of the file; NULL, or -ENOENT from it: the
	 * file's.
	 */
	bool fixed_weights;
	int (*weights)(void *user, const char *name, void *data, size_t bytes);
	void *weights_user;
	const char *const *without_pass; /* names of passes to leave out */
	uint32_t without_passes;
};

/** A pass that makes graphs smaller or faster. */
struct weft_pass_info {
	const char *name, *summary;
};
/** The passes in the order in which they run; NULL beyond the last. */
const struct weft_pass_info *weft_pass_at(uint32_t index);

/**
 * Lower the model to device operations, with shapes, gradients and updates.
 * -EOPNOTSUPP names the node, operator, opset and the nearest that is supported.
 */
int weft_model_graph(const struct weft_model *model, const struct weft_graph_options *options, struct weft_graph **graph);

/**
 * The present contents of a persistent value (weight, running statistic), dense, in the
 * order of dimensions of the model file.  @user as given.  Returns 0 or a
 * negative errno value, which stops the save.
 */
typedef int (*weft_read_value)(void *user, const char *name, void *data, size_t bytes);
/** Write the model with the weights that @read returns: to @path with a temporary name, fsync, rename. */
int weft_model_save_onnx(const struct weft_model *model, const char *path, weft_read_value read, void *user);
int weft_model_save_safetensors(const struct weft_model *model, const char *path, weft_read_value read, void *user);

#ifdef __cplusplus
}
#endif

#endif /* WEFT_MODEL_H */
