/* SPDX-License-Identifier: MIT */
/** Several projection networks: which they are, and what became of them as text, table and drawing. */
#ifndef WEFT_PROJECT_SWEEP_H
#define WEFT_PROJECT_SWEEP_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

#include "learn.h"

struct cJSON;

struct project_row {
	struct weft_projection projection;
	struct weft_projection_cost cost;
	struct learn_measure measure, trainer; /* of the seed of median accuracy */
	struct weft_session_usage usage;       /* of the last training */
	double least, most;		       /* accuracy over the seeds */
};

struct project_sweep {
	struct project_row *row; /* owned */
	uint32_t count;
};

/** False: no memory. */
bool project_sweep_add(struct project_sweep *sweep, const struct weft_projection *projection);
void project_sweep_free(struct project_sweep *sweep);

/** Numbers of units with one of @separators between them, as hidden layers; a bad one ends the program. */
void project_parse_hidden(struct argp_state *state, const char *option, char *text, const char *separators,
			  struct weft_projection *projection);
/** The value of --sweep. */
void project_parse_sweep(struct argp_state *state, char *text, struct project_sweep *sweep);

/** A line on standard output, with a heading before the first. */
void project_print_row(const struct project_sweep *sweep, uint32_t index, bool with_trainer);
int project_write_csv(const struct project_sweep *sweep, const char *path);
int project_write_svg(const struct project_sweep *sweep, const char *path);
struct cJSON *project_row_json(const struct project_row *row, bool with_trainer);

#endif /* WEFT_PROJECT_SWEEP_H */
