/* SPDX-License-Identifier: MIT */
/**
 * The planning problem of POET (Patil et al., "POET: Training Neural Networks
 * on Tiny Devices with Integrated Rematerialization and Paging", ICML 2022),
 * exactly as its integer program states it, so that results compare.
 *
 * Nodes 0..T-1 are in topological order; stage t of 0..T-1 ends with the first
 * computation of node t.  A schedule says for each stage t and node i:
 *
 *   compute   R[t,i]  i is computed, or computed again, in stage t
 *   retained  S[t,i]  i's output is in RAM at the start of stage t
 *   stored    D[t,i]  i's output is in storage at the start of stage t
 *   page_in   MI[t,i] storage -> RAM during stage t
 *   page_out  MO[t,i] RAM -> storage during stage t
 *
 * Rules: R[t,t] = 1; nothing is computed or paged ahead of its stage (R, MI, MO
 * are 0 for i > t, S and D for i >= t); an edge u -> v asks for R[t,u] or S[t,u]
 * wherever R[t,v]; S[t+1,i] <= S[t,i] + R[t,i] + MI[t,i];
 * D[t+1,i] <= D[t,i] + MO[t,i]; MI[t,i] <= D[t,i]; MO[t,i] <= S[t,i].
 *
 * RAM in stage t starts with everything retained; computing k adds k; right
 * after k is computed, each input i of k is freed if S[t+1,i] = 0 and no later
 * node computed in this stage reads i.  What nobody frees stays until the stage
 * ends.  The level after each addition, before the frees, is within the budget.
 * Paging takes neither time nor, during the stage in which it happens, RAM.
 *
 * Energy is the sum over R of compute_joules, MI of pagein_joules and MO of
 * pageout_joules; time the sum over R of seconds, at most the ratio times the
 * time of computing every node once.
 *
 *	struct weft_poet_instance *instance;
 *	struct weft_poet_options options = {.ram_bytes = 65536, .time_ratio = 1.4};
 *	struct weft_poet_result result;
 *
 *	if (weft_poet_read("network.json", &instance) < 0 || weft_poet_solve(instance, &options, &result) < 0)
 *		errx(1, "%s", weft_error());
 *	if (result.status == WEFT_POET_FEASIBLE)
 *		printf("%g J, proven to be at most %g J above the least\n", result.joules, result.joules -
 *result.bound_joules); weft_poet_result_clear(&result); weft_poet_free(instance);
 *
 * Functions return 0 or a negative errno value, with the sentence in
 * weft_error().  Instances may be read by several threads; nothing else is
 * shared between calls.
 */
#ifndef WEFT_PLAN_POET_H
#define WEFT_PLAN_POET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/** Most nodes of an instance; schedules are square in it. */
#define WEFT_POET_MAX_NODES 20000u

struct weft_poet_node {
	char *name;					      /* may be empty */
	bool backward;					      /* a gradient */
	uint64_t bytes;					      /* of the output */
	double seconds;					      /* of one computation */
	double compute_joules, pageout_joules, pagein_joules; /* of one execution each */
};

/** A list of node ids per node, in compressed rows: row i is item[start[i]] .. item[start[i + 1] - 1], ascending. */
struct weft_poet_adjacency {
	uint32_t *start; /* nodes + 1 */
	uint32_t *item;
};

struct weft_poet_budget {
	char *label;
	uint64_t bytes;
};

struct weft_poet_instance {
	char *name, *model, *platform; /* for reports; may be empty */
	uint32_t nodes;
	struct weft_poet_node *node;
	uint32_t edges;			   /* without duplicates */
	struct weft_poet_adjacency input;  /* what a node reads */
	struct weft_poet_adjacency reader; /* who reads a node */
	double base_seconds, base_joules;  /* everything computed once */
	uint64_t storeall_bytes;	   /* peak when everything is kept until its last use */
	uint64_t least_bytes;		   /* largest output plus inputs of one node; below it nothing is feasible */
	/* What the file proposes to try. */
	struct weft_poet_budget *budget;
	uint32_t budgets;
	double *time_ratio;
	uint32_t time_ratios;
};

/** Read an instance ("poet-instance-1", JSON). -ENOENT and the like, -EINVAL for what the file says, -ENOMEM. */
int weft_poet_read(const char *path, struct weft_poet_instance **instance);
/** The same from memory; @name is for messages. */
int weft_poet_parse(const char *text, size_t length, const char *name, struct weft_poet_instance **instance);
void weft_poet_free(struct weft_poet_instance *instance);

/** Parts of an instance made by a program: what weft_poet_build() needs. */
struct weft_poet_edge {
	uint32_t from, to; /* @to reads @from; from < to */
};
/**
 * Make an instance of @nodes nodes (copied, names too) and @edges edges; same
 * checks as a file's.  Duplicate edges are dropped.
 */
int weft_poet_build(const char *name, const struct weft_poet_node *node, size_t nodes,
		    const struct weft_poet_edge *edge, size_t edges, struct weft_poet_instance **instance);
/** Write an instance in the format that weft_poet_read() reads. */
int weft_poet_write(const struct weft_poet_instance *instance, FILE *file);

/** Five square bit matrices; see above. */
struct weft_poet_schedule {
	uint32_t nodes;
	uint32_t row_words; /* 64-bit words of a row */
	uint64_t *compute, *retained, *stored, *page_in, *page_out;
};

static inline bool weft_poet_bit(const struct weft_poet_schedule *schedule, const uint64_t *matrix, uint32_t stage,
				 uint32_t node)
{
	return matrix[(size_t)stage * schedule->row_words + node / 64] >> (node % 64) & 1;
}

static inline void weft_poet_set_bit(const struct weft_poet_schedule *schedule, uint64_t *matrix, uint32_t stage,
				     uint32_t node)
{
	matrix[(size_t)stage * schedule->row_words + node / 64] |= UINT64_C(1) << (node % 64);
}

/** An empty schedule, NULL if memory is short. */
struct weft_poet_schedule *weft_poet_schedule_new(uint32_t nodes);
void weft_poet_schedule_free(struct weft_poet_schedule *schedule);
/** JSON: an array of an object per stage with the lists "compute", "retained", "page_in", "page_out" (empty ones left
 * out). */
int weft_poet_schedule_write(const struct weft_poet_schedule *schedule, FILE *file);

/** What replaying a schedule shows. */
struct weft_poet_measure {
	double joules, seconds;
	uint64_t peak_bytes;
	uint64_t computations, page_ins, page_outs; /* counts */
	uint64_t paged_bytes;			    /* both ways */
};

/**
 * Replay @schedule against every rule above and within @ram_bytes and
 * @time_ratio.  0 and *measure, or -EINVAL and a sentence that names stage,
 * node and rule, or -ENOMEM.  Shares no code with the solver.
 */
int weft_poet_check(const struct weft_poet_instance *instance, const struct weft_poet_schedule *schedule,
		    uint64_t ram_bytes, double time_ratio, struct weft_poet_measure *measure);

/** Highest RAM level of each stage, into nodes values; for drawings.  Refuses what misses an input, like the check. */
int weft_poet_levels(const struct weft_poet_instance *instance, const struct weft_poet_schedule *schedule,
		     uint64_t *level);
/**
 * Draw a schedule: stages from left to right, a line per node that shows where
 * it is kept, computed, computed again and paged; above, the RAM level with its
 * budget.
 */
int weft_poet_draw(const struct weft_poet_instance *instance, const struct weft_poet_schedule *schedule,
		   uint64_t ram_bytes, FILE *file);

enum weft_poet_status {
	WEFT_POET_FEASIBLE,   /* there is a schedule */
	WEFT_POET_INFEASIBLE, /* proven that there is none */
	WEFT_POET_UNKNOWN,    /* neither within the limits */
};

struct weft_poet_options {
	uint64_t ram_bytes;
	double time_ratio; /* 0: no limit */
	double seconds;	   /* most processor time; 0: 10 s */
	/**
	 * Most steps of the search and of the proof, each counted for itself; 0: only
	 * @seconds limits.  With a limit here that is met before @seconds,
	 * the result depends on nothing but the instance, these options and the version of the LP library.
	 */
	uint64_t iterations;
	uint64_t seed;
	double gap; /* stop when the proven gap in overhead is at most this; 0: 0.0001 */
};

struct weft_poet_result {
	enum weft_poet_status status;
	struct weft_poet_schedule *schedule; /* NULL unless FEASIBLE; has passed weft_poet_check() */
	struct weft_poet_measure measure;    /* what the check measured */
	double joules;			     /* = measure.joules */
	double bound_joules;		     /* proven: no schedule has less */
	double gap;			     /* (joules - bound) / joules */
	double overhead_gap;		     /* (joules - bound) / (joules - base), 0 where joules = base */
	double solver_seconds;		     /* processor time */
	uint64_t least_bytes; /* INFEASIBLE: proven that less than this is infeasible too, 0 if unknown */
};

/**
 * Find a schedule of least energy.  0 whatever the status; negative only for bad options (-EINVAL), memory
 * (-ENOMEM) or an own schedule that the check refused (-EPROTO).
 */
int weft_poet_solve(const struct weft_poet_instance *instance, const struct weft_poet_options *options,
		    struct weft_poet_result *result);
void weft_poet_result_clear(struct weft_poet_result *result);

/** One budget of a sweep. */
struct weft_poet_point {
	uint64_t ram_bytes;
	enum weft_poet_status status;
	double joules, seconds; /* of the schedule, if FEASIBLE */
	double bound_joules;	/* proven for this budget */
	uint64_t peak_bytes;
};

/** Most points of a sweep. */
#define WEFT_POET_MAX_POINTS 1000u

/**
 * How much memory does it need?  Solve @points budgets, evenly from the
 * smallest that one node's operands allow to what keeping everything takes,
 * each with an equal part of @options->seconds.  What holds for one budget is
 * used for the others: a schedule fits every larger budget, a bound holds for
 * every smaller one.  @options->ram_bytes is ignored.
 */
int weft_poet_sweep(const struct weft_poet_instance *instance, const struct weft_poet_options *options, uint32_t points,
		    struct weft_poet_point *point);
/** The points as comma-separated values with a line of names. */
int weft_poet_sweep_write_csv(const struct weft_poet_point *point, uint32_t points, FILE *file);
/** The points as a drawing: energy with its bound, and time, against memory. */
int weft_poet_sweep_write_svg(const struct weft_poet_instance *instance, const struct weft_poet_point *point,
			      uint32_t points, FILE *file);

#endif /* WEFT_PLAN_POET_H */
