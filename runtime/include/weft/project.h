/* SPDX-License-Identifier: MIT */
/**
 * Projection networks (ProjectionNet: Ravi, "ProjectionNet: Learning Efficient
 * On-Device Deep Networks Using Neural Projections", 2017), and learning from
 * teachers.
 *
 *	weft_projection_new(&how, &model, classes, &student);
 *	weft_models_join(student, &trainer, 1, NULL, 0, &joint);
 *	weft_train(device, joint, &options, &result);	(WEFT_LOSS_DISTILL)
 *	weft_model_load("out/model.onnx", &trained);
 *	weft_model_part(trained, 0, &small);
 *	weft_model_save(small, "small.onnx");
 *
 * The joint model is one graph, which is planned and trained like any other.
 *
 * All functions return 0 or a negative errno value with a sentence in weft_error().
 */
#ifndef WEFT_PROJECT_H
#define WEFT_PROJECT_H

#include <accel/accel.h>

#include "weft/data.h"
#include "weft/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Most hidden layers of a projection network. */
#define WEFT_PROJECTION_LAYERS 8

/**
 * T functions of d bits of the input, and fully connected layers, with ReLU between
 * them, from the bits to the scores.
 */
struct weft_projection {
	uint32_t functions, bits; /* T and d; at most 65536 bits together */
	uint32_t taps;		  /* terms of a random vector, at most 65536; 0: 8 */
	uint64_t seed;		  /* of the random vectors, and of what the layers' weights start from */
	uint32_t hidden[WEFT_PROJECTION_LAYERS];
	uint32_t layers; /* hidden ones */
};

/** What the network takes and gives; rank and dims are of an example (1 x 28 x 28). */
struct weft_projection_shape {
	uint32_t rank, dims[7];
	uint32_t classes;
	const char *input; /* its name; NULL: "input"; weft_projection_shape_of()'s is the model's */
	int64_t opset;	   /* of the model made; 0: 17 */
};

/** A new network, in ONNX with operators of domain "weft"; to be freed by the caller. */
int weft_projection_new(const struct weft_projection *how, const struct weft_projection_shape *shape,
			struct weft_model **model);

/** What such a network costs, for one example. */
struct weft_projection_cost {
	uint64_t parameters, multiply_adds; /* of the layers */
	uint64_t additions;		    /* of the projection */
};
void weft_projection_cost(const struct weft_projection *how, const struct weft_projection_shape *shape,
			  struct weft_projection_cost *cost);

/** The shape of an example and the scores of @model's first input and output. -EINVAL: they are not of that kind. */
int weft_projection_shape_of(const struct weft_model *model, struct weft_projection_shape *shape);

/** Classifiers of text whose first layer is a projection of hashed features. */
enum weft_text_network {
	WEFT_TEXT_SGNN,	 /* bits of a bag of n-grams (Ravi and Kozareva, EMNLP 2018) */
	WEFT_TEXT_MEAN,	 /* the same with means of hashes in the place of bits */
	WEFT_TEXT_PRADO, /* ternary numbers of each word, and attention over convolutions (Kaliamoorthi et al., EMNLP
			    2019) */
	WEFT_TEXT_PQRNN, /* ternary numbers of each word, and quasi-recurrent layers both ways (Bradbury et al., ICLR
			    2017) */
};

struct weft_text_projection {
	enum weft_text_network kind;
	const char *features; /* as struct weft_dataset_options has them */
	uint32_t sequence;    /* of a text */
	uint32_t classes;
	uint32_t width;	 /* SGNN: bits or means; else ternary numbers of a word; at most 65536 */
	uint32_t units;	 /* of the layer behind them, at most 4096 */
	uint32_t layers; /* PQRNN: quasi-recurrent layers, 1 to 4; PRADO: longest n-gram of words, 1 to 4 */
	float dropout;	 /* share of the units left out in training, [0, 1) */
	uint64_t seed;
};

/** A new classifier; to be freed by the caller. */
int weft_text_projection_new(const struct weft_text_projection *how, struct weft_model **model);

/**
 * Float weights of matrices and convolutions become int8, symmetric, with a scale for
 * each output channel, and a DequantizeLinear: a quarter of the bytes.  *@weights: how
 * many.  Activations stay float.
 */
int weft_model_compact(struct weft_model *model, uint32_t *weights);

/** Values of two models that are to be alike. */
struct weft_hidden_pair {
	const char *student, *teacher; /* names; the teacher's is of the first teacher */
};

/**
 * One model of @student and @teachers, which share its inputs (but hashed features of text only with a model of the same
 * ones).  Everything of teacher i
 * is called "teacher<i>/..." in it.  Its outputs are the student's first, each teacher's
 * first, then the pairs: what WEFT_LOSS_DISTILL takes.  All must be of one opset, or of
 * opsets from 13 to 17.
 */
int weft_models_join(const struct weft_model *student, const struct weft_model *const *teacher, uint32_t teachers,
		     const struct weft_hidden_pair *pair, uint32_t pairs, struct weft_model **joint);
/** A model of its own of what output @output of @model needs. */
int weft_model_part(const struct weft_model *model, uint32_t output, struct weft_model **part);
/**
 * neighbour[i] is the example of @dataset, not @i itself, of whose projection to @bits
 * bits (drawn from @seed) most are those of example i's; the first of several.  Takes
 * examples * bits / 8 bytes of device memory, and time that grows with the square of
 * the number of examples.
 */
int weft_neighbours(struct accel_device *device, struct weft_dataset *dataset, uint32_t bits, uint64_t seed,
		    uint32_t *neighbour);

/** Write the model as it is: to @path with a temporary name, fsync, rename. */
int weft_model_save(const struct weft_model *model, const char *path);

#ifdef __cplusplus
}
#endif

#endif /* WEFT_PROJECT_H */
