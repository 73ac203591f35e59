/* SPDX-License-Identifier: MIT */
/** A student learns beside teachers, and is judged: what weft project and weft distill share. */
#ifndef WEFT_LEARN_H
#define WEFT_LEARN_H

#include "command.h"
#include "progress.h"
#include "weft/project.h"
#include "weft/train.h"

struct learn {
	struct accel_device *device;
	const struct weft_session_options *session;
	const char *data, *out; /* out: a file that the results will stand at; its directory is used on the way */
	struct weft_dataset_options dataset;
	uint32_t epochs, batch;
	double lr;
	uint64_t seed;
	struct weft_distillation distillation; /* teachers and hidden are set here */
	const struct weft_hidden_pair *pair;
	uint32_t pairs;
	bool frozen;	   /* teachers are not trained */
	uint32_t labelled; /* training examples whose labels are used; 0: all */
	bool quiet;
	struct progress progress;
	struct weft_session_refusal refusal; /* where -ENOSPC */
	struct weft_session_usage usage;     /* of the training */
	uint64_t parameters;		     /* of the student */
};

/** Options of the commands that learn, which tell their defaults; those of the command's own begin at KEY_LEARN_END. */
enum {
	KEY_DATA = KEY_COMMAND,
	KEY_TEMPERATURE,
	KEY_EPOCHS,
	KEY_LR,
	KEY_OUT,
	KEY_QUIET,
	KEY_LEARN_END,
};

/** Parse one of them; ARGP_ERR_UNKNOWN for others. */
error_t learn_parse(int key, char *arg, struct argp_state *state, struct learn *learn);

/**
 * Train @student beside @teacher.  *trained receives the student, and *trained_teacher,
 * unless NULL, the first teacher; both are the caller's.
 */
int learn_train(struct learn *learn, const struct weft_model *student, const struct weft_model *const *teacher,
		uint32_t teachers, struct weft_model **trained, struct weft_model **trained_teacher);

/** What a model is worth, and what one inference costs. */
struct learn_measure {
	double accuracy, loss;	/* on the test set */
	double seconds, joules; /* for a batch of one; energy by the device's model */
	uint64_t operations;	/* of the compute engine, for a batch of one: two for a multiplication and addition */
	uint64_t bytes;		/* of the file */
};
/** @path: where it is, for its size; NULL: 0. */
int learn_measure(struct learn *learn, const struct weft_model *model, const char *path, struct learn_measure *measure);

#endif /* WEFT_LEARN_H */
