/* SPDX-License-Identifier: MIT */
/** The subcommands of weft, and what they share. */
#ifndef WEFT_COMMAND_H
#define WEFT_COMMAND_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>
#include "weft/session.h"

enum exit_status { STATUS_DONE = 0, STATUS_FAILED = 1, STATUS_USAGE = 2, STATUS_REFUSED = 3 };

struct command {
	const char *name, *summary;
	int (*run)(int argc, char **argv); /* argv[0] is "weft name"; returns an exit status */
};
extern const struct command command_calibrate, command_compile, command_distill, command_doctor, command_infer,
	command_info, command_plan, command_project, command_quantize, command_train;

/** Keys of options without a letter; each command's own begin at KEY_COMMAND. */
enum {
	KEY_DEVICE = 0x100,
	KEY_DEVICE_MEM,
	KEY_HOST_MEM,
	KEY_STORAGE,
	KEY_TIME_BUDGET,
	KEY_POLICY,
	KEY_PLAN_SECONDS,
	KEY_COSTS,
	KEY_OPTIM,
	KEY_FREEZE,
	KEY_TRAIN_WEIGHTS,
	KEY_LOSS,
	KEY_LABEL_SMOOTHING,
	KEY_CLIP_NORM,
	KEY_ACCUMULATE,
	KEY_LORA,
	KEY_NORMALIZE,
	KEY_SEQ_LEN,
	KEY_VOCAB,
	KEY_FEATURES,
	KEY_BATCH,
	KEY_DIM,
	KEY_NO_PASS,
	KEY_PASSES,
	KEY_COMMAND,
};

/** --device, --device-mem, --host-mem, --storage, --time-budget, --policy, --plan-seconds, --costs. */
struct budget_options {
	const char *device;
	char *storage_dir; /* owned */
	struct weft_session_options session;
};
extern const struct argp budget_argp; /* its input is a struct budget_options */
void budget_defaults(struct budget_options *options);
void budget_free(struct budget_options *options);
/** Open the device that the options ask for, large enough for the budget where it is the embedded one. */
int budget_open_device(const struct budget_options *options, struct accel_device **device);

/** Parse with the program's exit statuses; "weft train" as the program's name. */
void command_parse(const struct argp *argp, int argc, char **argv, void *input);

/* Values of options; a bad one ends the program with a sentence and STATUS_USAGE. */
uint64_t argument_whole(struct argp_state *state, const char *option, const char *text, uint64_t least, uint64_t most);
double argument_number(struct argp_state *state, const char *option, const char *text, double least, double most);
uint32_t argument_batch(struct argp_state *state, const char *text);
enum weft_optimizer argument_optimizer(struct argp_state *state, const char *text);

/** Print "weft: sentence" on standard error; returns STATUS_FAILED. */
__attribute__((format(printf, 1, 2))) int command_error(const char *format, ...);
/** The refusal of a budget, with what to type instead; returns STATUS_REFUSED. */
int command_refused(const struct budget_options *options, const struct weft_session_refusal *refusal);

#endif /* WEFT_COMMAND_H */
