/* SPDX-License-Identifier: MIT */
/**
 * Measured costs: what the commands of a compiled model, and the tiers, take on the
 * device at hand.  They are measured once, kept in a file per device and model, and
 * replace the device model's figures when steps are planned.
 *
 * Seconds are known per command, which is named by a hash of everything but its
 * addresses: the same command costs the same in whichever plan it stands.  Commands
 * that were not measured (tiles, in a plan for another budget) get the model's figure
 * times the ratio of measured to modelled seconds of their opcode, in which commands
 * that take about as long count most.  Energy always comes from the device's counters,
 * which are its model.
 *
 * Transfers between host and device are measured with memory that was not touched for
 * long, and at rates that depend on how much else was touched since.
 */
#ifndef WEFT_EXEC_CALIBRATION_H
#define WEFT_EXEC_CALIBRATION_H

#include <accel/accel.h>

#include "plan/plan.h"
#include "weft/session.h"

/** What seconds are read from. */
enum weft_clock {
	WEFT_CLOCK_WALL,  /* the time that passes */
	WEFT_CLOCK_MODEL, /* the device's cycles: for an embedded device that stands for another machine */
};

struct weft_measured_command {
	uint64_t key;
	uint32_t opcode;
	double seconds, modelled_seconds;
};

/** One file's contents.  Free with weft_calibration_clear(). */
struct weft_calibration {
	uint64_t device_key, model_key;
	enum weft_clock clock;
	struct weft_measured_command *command; /* by ascending key */
	uint32_t commands;
	double step_seconds, handover_seconds;
	struct weft_transfer_cost page_in, page_out;
	struct weft_recent_cost recent[WEFT_RECENT_COSTS];
	uint64_t storage_key; /* of the directory that load and store were measured in; 0: they were not */
	struct weft_transfer_cost load, store;
};

/** Which clock is the right one for @device. */
enum weft_clock weft_calibration_clock(const struct accel_device_info *info);

/** Hashes that name a device, and a compiled model on it.  The latter by its commands. */
uint64_t weft_device_key(const struct accel_device_info *info);
uint64_t weft_graph_key(const struct weft_graph *graph);
uint64_t weft_command_key(const struct weft_graph *graph, weft_id operation);
/** Of a storage directory, never 0. */
uint64_t weft_storage_key(const char *dir);

/**
 * The file for a device and a model: in $XDG_CACHE_HOME/weft, else $HOME/.cache/weft.
 * -ENOENT: neither is set; -ENAMETOOLONG.
 */
int weft_calibration_path(uint64_t device_key, uint64_t model_key, char *path, size_t bytes);

/**
 * Read a file.  -ENOENT: there is none; -EBADMSG: it is damaged, of another version of the
 * format, or of another device or model than named.
 */
int weft_calibration_read(const char *path, uint64_t device_key, uint64_t model_key, struct weft_calibration *out);
/** Write a file, beside @path and renamed; its directory is made if need be. */
int weft_calibration_write(const char *path, const struct weft_calibration *calibration);
void weft_calibration_clear(struct weft_calibration *calibration);

/** Put measured seconds into the modelled @costs of @graph.  @storage_dir may be NULL. */
void weft_calibration_apply(const struct weft_calibration *calibration, const struct weft_graph *graph,
			    const char *storage_dir, struct weft_costs *costs);

/** Fill the inputs of @session with numbers that any model accepts, and its hyperparameters. */
int weft_measure_feed(struct weft_session *session);

/**
 * Measure: @steps traced steps of @session, which was planned with the device's model,
 * then transfers between device and host memory, and with @storage_dir where that is set.
 */
int weft_measure(struct accel_device *device, struct weft_session *session, unsigned int steps, const char *storage_dir,
		 struct weft_calibration *out);

/**
 * Add what the commands of @session take, which is of the same model in other budgets, in
 * @steps traced steps: those of its tiles were not measured before.  Measured ones are measured anew.
 */
int weft_measure_more(struct accel_device *device, struct weft_session *session, unsigned int steps,
		      struct weft_calibration *calibration);
/**
 * Add what commands take that tiles of @graph, of several sizes, have: the model's graph, in which nothing
 * is split.  Each kind of command is run alone, for about 5 s together.  By the model's clock there is nothing to
 * measure.
 */
int weft_measure_tiles(struct accel_device *device, const struct weft_graph *graph,
		       struct weft_calibration *calibration);
/** Orders struct weft_measured_command by key, for qsort() and bsearch(). */
int weft_command_by_key(const void *a, const void *b);
/** Add @command, each of another key, by ascending keys; what was measured before of these is replaced. */
int weft_calibration_add(struct weft_calibration *calibration, const struct weft_measured_command *command,
			 uint32_t commands);
/** Whether every command of @graph was measured. */
bool weft_calibration_covers(const struct weft_calibration *calibration, const struct weft_graph *graph);

/** Seconds and joules of one more step of @session. */
struct weft_step_cost {
	double seconds, joules;
};

/**
 * Run @steps steps: the least of their seconds, and the mean of their joules by the device's
 * counters.  By the model's clock, seconds are what the step's plan takes when each action
 * takes the cycles that the device counted for it.
 */
int weft_measure_steps(struct weft_session *session, enum weft_clock clock, unsigned int steps,
		       struct weft_step_cost *cost);

#endif /* WEFT_EXEC_CALIBRATION_H */
