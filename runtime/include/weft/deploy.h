/* SPDX-License-Identifier: MIT */
/**
 * Compiling models: from a graph to a file that <accel/model.h> loads, so that
 * libaccel alone runs it.
 */
#ifndef WEFT_DEPLOY_H
#define WEFT_DEPLOY_H

#include "weft/session.h"

#ifdef __cplusplus
extern "C" {
#endif

struct weft_deploy_report {
	uint64_t file_bytes;
	uint64_t stream_bytes;	 /* commands */
	uint64_t constant_bytes; /* weights and tables */
	uint64_t device_bytes, host_bytes; /* that a run takes */
	uint32_t commands;
	double predicted_seconds, predicted_joules; /* of a run on @device, by its model */
};

/**
 * Plan the inference @graph (owned by this call from here on, also on failure) for
 * @device within the budgets of @options, and write it to @path, which appears once
 * the file is whole.  Storage is not used.  @report and @refusal may be NULL.
 * -ENOSPC: the budget is refused, *refusal says the least.  -EOPNOTSUPP: the graph
 * changes values of its own from run to run, or draws random numbers, or a name is
 * longer than files have room for.
 */
int weft_deploy(struct accel_device *device, struct weft_graph *graph, const struct weft_session_options *options,
		const char *path, struct weft_deploy_report *report, struct weft_session_refusal *refusal);

#ifdef __cplusplus
}
#endif

#endif /* WEFT_DEPLOY_H */
