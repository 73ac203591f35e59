/* SPDX-License-Identifier: MIT */
/**
 * Training and evaluation of a model on a labelled data set, within budgets.
 *
 * One session exists at a time: after each epoch the training session is saved
 * and freed, an evaluation session takes the trained values, and the training
 * session is made again.  So evaluation never adds to what training needs.
 */
#ifndef WEFT_TRAIN_H
#define WEFT_TRAIN_H

#include <signal.h>
#include "weft/data.h"
#include "weft/session.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Progress after a step or an evaluation. */
struct weft_train_progress {
	uint32_t epoch, epochs;		  /* that are complete, of how many */
	uint64_t step;			  /* steps done since the beginning of training, earlier runs included */
	uint64_t epoch_step, epoch_steps; /* steps done in this epoch, of how many */
	uint64_t run_steps;		  /* done by this run */
	uint32_t batch;
	float loss;			 /* of the step */
	double epoch_loss;		 /* mean since the epoch began */
	double seconds;			 /* since this run began */
	double learning_rate;		 /* of the step */
	double gradient_norm;		 /* of the step's gradients before clipping; NAN where there is none */
	double test_accuracy, test_loss; /* of the last evaluation; NAN before the first */
};

struct weft_train_observer {
	void *user;
	void (*step)(void *user, const struct weft_train_progress *progress);
	/** After an evaluation: at the end of an epoch (epoch_step is then 0), or where evaluate_every asks for one. */
	void (*epoch)(void *user, const struct weft_train_progress *progress);
	/** Something the user should know, a sentence. */
	void (*note)(void *user, const char *sentence);
	/** The first step of the run, traced, with the session that did it; called where set. */
	int (*traced)(void *user, struct weft_session *session);
};

enum weft_schedule_kind { WEFT_SCHEDULE_CONSTANT, WEFT_SCHEDULE_STEP, WEFT_SCHEDULE_COSINE };

/**
 * How the learning rate changes from update to update.  During the first @warmup
 * updates it rises in equal steps; after that it is the rate of the optimizer
 * times 1 (CONSTANT), times @factor for every @epochs epochs that are complete
 * (STEP), or falls along half a cosine to @factor at the end of training (COSINE).
 */
struct weft_schedule {
	enum weft_schedule_kind kind;
	uint64_t warmup;
	uint32_t epochs;
	double factor;
};

struct weft_train_options {
	const char *data; /* as weft_dataset_open() takes it */
	struct weft_dataset_options dataset;   /* the size of pictures is the model's */
	const char *const *dim_names; /* symbolic dimensions of the model to bind, as in struct weft_graph_options */
	const int64_t *dim_values;
	uint32_t dims;
	const char *const *without_pass; /* as in struct weft_graph_options */
	uint32_t without_passes;
	struct weft_augmentation augmentation; /* of training examples; its seed and epoch are set by training */
	uint32_t epochs, batch;
	enum weft_optimizer optimizer;
	enum weft_loss loss;
	float hyper[8];			     /* enum weft_hyper; bias corrections are the session's */
	struct weft_schedule schedule;
	struct weft_tuning tuning; /* a step is of @batch examples, also where several make an update */
	uint32_t evaluate_every;   /* steps between evaluations, besides those at the end of an epoch; 0: none */
	/*
	 * Evaluations in a row without a lower test loss after which training ends; what it leaves are then the
	 * weights of the lowest.  0: it goes on to the last epoch, and leaves the weights of its end.
	 */
	uint32_t patience;
	/*
	 * WEFT_LOSS_DISTILL with examples that have no label.  @labelled > 0: only so many training examples, drawn by
	 * session.seed, keep theirs.  @neighbour: for each training example another one; a step is then of batch / 2
	 * examples and their neighbours (struct weft_distillation.neighbour_weight).
	 */
	uint32_t labelled;
	const uint32_t *neighbour;
	struct weft_session_options session; /* session.seed also orders the examples */
	const char *out;		     /* directory for the checkpoint and the results; NULL: none is kept */
	uint32_t checkpoint_every;	     /* steps between checkpoints inside an epoch; 0: at its end only */
	bool resume;			     /* go on from the checkpoint in @out, if there is one */
	const volatile sig_atomic_t *stop;   /* not 0: save a checkpoint after the present step and return */
	struct weft_train_observer observer;
};

struct weft_train_result {
	bool stopped;	      /* by *options->stop, before the last epoch was done */
	bool early;	      /* patience ran out before the last epoch was done */
	double test_accuracy; /* fraction of the test set, with the weights that training leaves */
	double test_loss;
	double final_loss; /* mean training loss of the last epoch */
	uint64_t steps;
	uint64_t best_step; /* after which the weights are those that training leaves */
	char weights_sha256[65];
	struct weft_session_usage usage;     /* of this run: peaks are the highest, amounts the sums */
	struct weft_session_refusal refusal; /* where -ENOSPC */
};

/**
 * Train @model on @device.  In @options->out appear: checkpoint (as it goes),
 * metrics.jsonl (a line per evaluation), and at the end model.onnx and
 * model.safetensors with the trained weights; with adapters, these are merged
 * into them, and stand in adapter.safetensors alone.
 *
 * -ENOSPC: the budget is refused, result->refusal says the least that works.
 * -EDOM: the loss or the data is not a number; the last checkpoint stands.
 * -EINVAL: model, data, checkpoint and options do not fit each other.
 */
int weft_train(struct accel_device *device, const struct weft_model *model, const struct weft_train_options *options,
	       struct weft_train_result *result);

/** Smaller batches whose gradients are summed up for one update (struct weft_tuning.accumulate). */
struct weft_micro_batches {
	uint32_t batch, accumulate;
};
/**
 * The largest part of the batch of @graph, down to an eighth, whose training step fits the
 * budgets of @session.  Each update is of the same examples, but their gradients are added in
 * another order, so that last bits differ: what a user may choose where a step is refused.
 * -ENOSPC: parts do not fit either; -EOPNOTSUPP: batch normalisation would see other statistics.
 */
int weft_micro_batches_find(struct accel_device *device, const struct weft_model *model,
			    const struct weft_session_options *session, const struct weft_graph_options *graph,
			    struct weft_micro_batches *found);
/** The same for what weft_train() has refused. */
int weft_train_micro_batches(struct accel_device *device, const struct weft_model *model,
			     const struct weft_train_options *options, struct weft_micro_batches *found);

/** Fill in what @model says about its data: the size of pictures, tokens of a text and their features (@model's string). */
int weft_dataset_options_for(const struct weft_model *model, struct weft_dataset_options *options);

struct weft_evaluation {
	/*
	 * accuracy: the highest score is the label's; where the model has a single output, it is on the label's side of
	 * one half (BCE), or nearest to it (MSE).  loss: mean of the one asked for, cross-entropy in nats.
	 */
	double accuracy, loss;
	uint64_t examples;
	double step_seconds;
	struct weft_session_usage usage;
};
/** Where values for evaluation come from, instead of the model file's; same rules as weft_read_value. */
struct weft_value_source {
	weft_read_value read;
	void *user;
};
struct weft_evaluation_options {
	uint32_t batch;	     /* at most; fewer where the budget has no room */
	enum weft_loss loss; /* NONE is cross-entropy */
	const char *const *dim_names; /* symbolic dimensions of the model to bind, as in struct weft_graph_options */
	const int64_t *dim_values;
	uint32_t dims;
	const char *const *without_pass; /* as in struct weft_graph_options */
	uint32_t without_passes;
	const struct weft_value_source *source; /* NULL: the model file's weights */
};
/** Judge every example of @dataset with @model. */
int weft_evaluate(struct accel_device *device, const struct weft_model *model,
		  const struct weft_session_options *session, struct weft_dataset *dataset,
		  const struct weft_evaluation_options *options, struct weft_evaluation *evaluation,
		  struct weft_session_refusal *refusal);

#ifdef __cplusplus
}
#endif

#endif /* WEFT_TRAIN_H */
