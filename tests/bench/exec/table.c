// SPDX-License-Identifier: MIT
/*
 * What less device memory costs: steps of a model with 100 to 20 % of its activations'
 * memory and with the least that works.
 *
 *	bench-table MODEL.onnx BATCH sgd|adam [STEPS [HOST [BUDGET...]]]
 *
 * Activations are what the unconstrained step takes beyond its weights, optimizer state
 * and constants.  Steps of each row and of the unconstrained session take turns, so
 * that what else the machine does disturbs both; times are the least of STEPS.  On a
 * device that stands for another machine, times are those of its cycles.
 *
 *	time, cpu	over the unconstrained step's: on the clock, and of all threads
 *	known		predicted over measured seconds, with operations and transfers measured in
 *			the unconstrained session, and of tiles of some sizes alone
 *	pred		the same with the row's own tiles measured too (weft calibrate --device-mem)
 *	energy		by the device's counters, over the unconstrained step's
 *	pred		predicted over counted energy
 *	bound		the most that any other plan of the row's memory could save
 *	hidden		of the seconds that transfers between host and device take, the part during
 *			which the plan computes, by the same costs as pred
 *	done		of the seconds that the plan hides so, those that were, in the shortest of STEPS
 *
 * HOST limits host memory, so that storage takes the rest, in a file in
 * $WEFT_BENCH_STORAGE (/tmp).  With BUDGETs, these sizes are the rows.
 * $WEFT_BENCH_DEVICE names another device.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "exec/calibration.h"
#include "exec/costs.h"
#include "graph/graph.h"
#include "plan/draft.h"
#include "plan/plan.h"
#include "sizes.h"
#include "weft/error.h"
#include "weft/session.h"

struct table {
	struct accel_device *device;
	struct weft_model *model;
	struct weft_graph_options graph;
	struct weft_calibration calibration;
	struct weft_session *base;
	unsigned int steps;
	uint64_t persistent; /* bytes */
	uint64_t host;
	enum weft_clock clock;
	double hertz;
	char hex[65]; /* of the unconstrained session's weights after as many steps */
};

struct run {
	double wall, cpu, joules;
};

static void die(void)
{
	fprintf(stderr, "%s\n", weft_error());
	exit(1);
}

static double cpu_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static int open_session(const struct table *t, uint64_t device_bytes, uint64_t host_bytes, int policy,
			struct weft_session **session, struct weft_session_refusal *refusal)
{
	const char *dir = getenv("WEFT_BENCH_STORAGE");
	struct weft_session_options options = {
		.device_bytes = device_bytes,
		.host_bytes = host_bytes,
		.storage_bytes = host_bytes == UINT64_MAX ? 0 : UINT64_MAX,
		.storage_dir = dir ? dir : "/tmp",
		.policy = policy,
		.model_costs = true,
	};
	struct weft_graph *graph;
	int result;

	if (weft_model_graph(t->model, &t->graph, &graph))
		die();
	result = weft_session_new(t->device, graph, &options, session, refusal);
	if (result && result != -ENOSPC)
		die();
	return result;
}

static void step(const struct table *t, struct weft_session *session, struct run *run)
{
	double cpu = cpu_seconds();
	struct weft_step_cost cost;

	if (weft_measure_steps(session, t->clock, 1, &cost))
		die();
	cpu = cpu_seconds() - cpu;
	if (!run->wall || cost.seconds < run->wall)
		run->wall = cost.seconds;
	if (!run->cpu || cpu < run->cpu)
		run->cpu = cpu;
	run->joules = cost.joules;
}

/* What the session's operations and transfers cost by what was measured in the unconstrained one. */
static void measured_costs(const struct table *t, struct weft_session *session, struct weft_costs *costs)
{
	const char *dir = getenv("WEFT_BENCH_STORAGE");

	if (weft_costs_model(t->device, weft_session_graph(session), costs))
		die();
	weft_calibration_apply(&t->calibration, weft_session_graph(session), dir ? dir : "/tmp", costs);
}

static double predicted(const struct table *t, struct weft_session *session)
{
	struct weft_plan plan = *weft_session_plan(session);
	struct weft_costs costs;

	measured_costs(t, session, &costs);
	if (weft_plan_predict(&plan, weft_session_graph(session), &costs))
		die();
	weft_costs_clear(&costs);
	return plan.seconds;
}

/* A transfer between host and device, or compute. */
struct span {
	double start, end;
	uint32_t action;
	bool compute;
};

/* Spans of a step, and per action the share of its transfer during which compute goes on. */
struct overlap {
	struct span *span;
	size_t spans;
	double *share;
};

static int by_start(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static void overlap_new(struct overlap *o, const struct weft_plan *plan)
{
	*o = (struct overlap){.span = calloc(plan->actions + 1, sizeof(*o->span)),
			      .share = calloc(plan->actions + 1, sizeof(*o->share))};
	if (!o->span || !o->share)
		exit(fprintf(stderr, "out of memory\n"));
}

static void overlap_free(struct overlap *o)
{
	free(o->span);
	free(o->share);
}

/* Commands of compute do not overlap. */
static void overlap_measure(struct overlap *o)
{
	struct span *span = o->span;
	size_t first = 0;

	qsort(span, o->spans, sizeof(*span), by_start);
	for (size_t i = 0; i < o->spans; i++) {
		double length = span[i].end - span[i].start, together = 0;

		if (span[i].compute)
			continue;
		/* Compute that has ended before this transfer begins has ended for those that begin later. */
		while (first < o->spans && (!span[first].compute || span[first].end <= span[i].start))
			first++;
		for (size_t j = first; j < o->spans && span[j].start < span[i].end; j++) {
			double low = span[j].start > span[i].start ? span[j].start : span[i].start;
			double high = span[j].end < span[i].end ? span[j].end : span[i].end;

			if (span[j].compute && high > low)
				together += high - low;
		}
		o->share[span[i].action] = length > 0 ? together / length : 1;
	}
}

/* The part of all transfers' seconds that is hidden; with @planned shares per action: of the seconds that these are of.
 */
static double overlap_share(const struct overlap *o, const double *planned)
{
	double of = 0, hidden = 0;

	for (size_t i = 0; i < o->spans; i++) {
		double seconds = o->span[i].end - o->span[i].start, share = o->share[o->span[i].action];
		double most = planned ? planned[o->span[i].action] : 1;

		if (o->span[i].compute)
			continue;
		of += seconds * most;
		hidden += seconds * (share < most ? share : most);
	}
	return of > 0 ? hidden / of : 1;
}

/* As the plan has it; @known: seconds per action, negative where they follow from the costs, or NULL. */
static void overlap_of_plan(const struct table *t, struct weft_session *session, const double *known, struct overlap *o)
{
	struct weft_plan plan = *weft_session_plan(session);
	double *start = calloc(plan.actions + 1, sizeof(*start)), *finish = calloc(plan.actions + 1, sizeof(*finish));
	struct weft_costs costs;

	measured_costs(t, session, &costs);
	if (!start || !finish ||
	    weft_plan_predict_times(&plan, weft_session_graph(session), &costs, known, start, finish))
		die();
	overlap_new(o, &plan);
	for (uint32_t a = 0; a < plan.actions; a++)
		if (plan.action[a].kind <= WEFT_ACTION_PAGE_IN)
			o->span[o->spans++] =
				(struct span){start[a], finish[a], a, plan.action[a].kind == WEFT_ACTION_COMPUTE};
	overlap_measure(o);
	weft_costs_clear(&costs);
	free(start);
	free(finish);
}

/* As the device's clock says that the step which has been traced went. */
static void overlap_of_trace(const struct table *t, struct weft_session *session, struct overlap *o)
{
	const struct weft_plan *plan = weft_session_plan(session);
	const struct weft_event *event;
	size_t events = weft_session_events(session, &event);
	double *known;

	if (t->clock == WEFT_CLOCK_WALL) {
		overlap_new(o, plan);
		for (size_t i = 0; i < events; i++)
			if (event[i].lane <= 2)
				o->span[o->spans++] =
					(struct span){1e-9 * (double)event[i].start_ns, 1e-9 * (double)event[i].end_ns,
						      event[i].action, !event[i].lane};
		overlap_measure(o);
		return;
	}
	known = malloc((plan->actions + 1) * sizeof(*known));
	if (!known)
		exit(fprintf(stderr, "out of memory\n"));
	for (uint32_t a = 0; a < plan->actions; a++)
		known[a] = -1;
	for (size_t i = 0; i < events; i++)
		if (event[i].model_cycles)
			known[event[i].action] = (double)event[i].model_cycles / t->hertz;
	overlap_of_plan(t, session, known, o);
	free(known);
}

static double last_end(struct weft_session *session)
{
	const struct weft_event *event;
	size_t events = weft_session_events(session, &event);
	uint64_t last = 0;

	for (size_t i = 0; i < events; i++)
		if (event[i].end_ns > last)
			last = event[i].end_ns;
	return (double)last;
}

/* What the plan hides, and the part of that which the shortest of some steps has hidden. */
static double hidden(const struct table *t, struct weft_session *session, double *done)
{
	struct overlap planned, executed;
	double share, shortest = 0;

	overlap_of_plan(t, session, NULL, &planned);
	for (unsigned int i = 0; i < t->steps; i++) {
		if (weft_session_trace(session, true) || weft_session_step(session))
			die();
		if (i && last_end(session) >= shortest)
			continue;
		shortest = last_end(session);
		overlap_of_trace(t, session, &executed);
		*done = overlap_share(&executed, planned.share);
		overlap_free(&executed);
	}
	weft_session_trace(session, false);
	share = overlap_share(&planned, NULL);
	overlap_free(&planned);
	return share;
}

static void print_row(struct table *t, const char *name, struct weft_session *session)
{
	const struct weft_plan *plan = weft_session_plan(session);
	char device[24], host[24], paged[24], stored[24], hex[65];
	struct run of = {0}, of_base = {0};
	double done = 0, share, seconds;

	/* The first step finds memory that was never touched. */
	if (weft_measure_feed(session) || weft_session_step(session))
		die();
	for (unsigned int i = 0; i < t->steps; i++) {
		step(t, session, &of);
		step(t, t->base, &of_base);
	}
	if (weft_session_digest(session, hex))
		die();
	seconds = predicted(t, session);
	if (weft_measure_more(t->device, session, t->steps, &t->calibration))
		die();
	share = hidden(t, session, &done);
	printf("%-6s %9s %9s %6.2f %8.3f %6.2f %6.2f %6.2f %6.2f %8.3f %+6.1f%% %6.3f %5.1f%% %9s %9s %6u %6.2f %6.2f "
	       "%.12s "
	       "%s\n",
	       name, size_format(plan->peak[WEFT_TIER_DEVICE], device), size_format(plan->peak[WEFT_TIER_HOST], host),
	       plan->solver_seconds, of.wall, of.wall / of_base.wall, of.cpu / of_base.cpu, seconds / of.wall,
	       predicted(t, session) / of.wall, of.joules, 100 * (of.joules / of_base.joules - 1),
	       plan->joules / of.joules, 100 * (plan->joules - plan->bound_joules) / plan->joules,
	       size_format(plan->paged_bytes[WEFT_TIER_HOST], paged),
	       size_format(plan->paged_bytes[WEFT_TIER_STORAGE], stored), plan->recomputed, share, done, hex,
	       strcmp(hex, t->hex) ? "DIFFERS" : "same");
	fflush(stdout);
}

static void open_base(struct table *t)
{
	struct weft_session_refusal refusal;
	const struct weft_graph *graph;
	const char *dir = getenv("WEFT_BENCH_STORAGE");
	struct run run = {0};

	if (open_session(t, UINT64_MAX, UINT64_MAX, WEFT_POLICY_KEEP, &t->base, &refusal))
		die();
	graph = weft_session_graph(t->base);
	for (weft_id v = 0; v < graph->values; v++)
		if (graph->value[v].base == v &&
		    (graph->value[v].kind == WEFT_VALUE_WEIGHT || graph->value[v].kind == WEFT_VALUE_STATE ||
		     graph->value[v].kind == WEFT_VALUE_CONSTANT))
			t->persistent += graph->value[v].bytes;
	if (weft_measure_feed(t->base) || weft_session_step(t->base))
		die();
	for (unsigned int i = 0; i < t->steps; i++)
		step(t, t->base, &run);
	if (weft_session_digest(t->base, t->hex) || weft_measure(t->device, t->base, t->steps,
								 t->host == UINT64_MAX ? NULL
								 : dir		       ? dir
										       : "/tmp",
								 &t->calibration))
		die();
	if (weft_measure_tiles(t->device, graph, &t->calibration))
		die();
}

/* A row for @budget; for the least that works if @or_least. */
static void add_row(struct table *t, const char *name, uint64_t budget, bool or_least)
{
	struct weft_session_refusal refusal = {0};
	struct weft_session *session;

	if (open_session(t, budget, t->host, WEFT_POLICY_AUTO, &session, &refusal) &&
	    (!or_least || !refusal.least_device_bytes || refusal.together ||
	     open_session(t, refusal.least_device_bytes, t->host, WEFT_POLICY_AUTO, &session, &refusal))) {
		printf("%-6s refused: %s\n", name, weft_error());
		return;
	}
	print_row(t, name, session);
	weft_session_free(session);
}

static void print_table(struct table *t, char **budgets)
{
	static const unsigned int shares[] = {100, 60, 40, 30, 20, 0};
	uint64_t peak, activations;
	bool rows = false;
	char size[24], more[24];

	open_base(t);
	peak = weft_session_plan(t->base)->peak[WEFT_TIER_DEVICE];
	activations = peak - t->persistent;
	printf("unconstrained: %s of device memory, %s of it activations\n", size_format(peak, size),
	       size_format(activations, more));
	printf("%-6s %9s %9s %6s %8s %6s %6s %6s %6s %8s %7s %6s %6s %9s %9s %6s %6s %6s %s\n", "share", "device",
	       "host", "plan s", "step s", "time", "cpu", "known", "pred", "J", "energy", "pred", "bound", "paged",
	       "stored", "recomp", "hidden", "done", "weights");
	for (; *budgets; budgets++) {
		uint64_t budget;

		if (size_parse(*budgets, &budget))
			exit(fprintf(stderr, "%s: expected a size, for example 2M\n", *budgets));
		add_row(t, *budgets, budget, false);
		rows = true;
	}
	for (unsigned int i = 0; !rows && i < sizeof(shares) / sizeof(shares[0]); i++) {
		char name[16];

		snprintf(name, sizeof(name), shares[i] ? "%u%%" : "least", shares[i]);
		add_row(t, name,
			shares[i] == 100 ? peak
			: shares[i]	 ? t->persistent + activations / 100 * shares[i]
					 : 4096,
			!shares[i]);
	}
	weft_session_free(t->base);
	weft_calibration_clear(&t->calibration);
}

int main(int argc, char **argv)
{
	const char *device = getenv("WEFT_BENCH_DEVICE");
	struct accel_device_info info = {.size = sizeof(info)};
	struct table t = {.steps = argc > 4 ? (unsigned int)atoi(argv[4]) : 3, .host = UINT64_MAX};

	if (argc < 4 || !t.steps || atoi(argv[2]) < 1 || (argc > 5 && size_parse(argv[5], &t.host)))
		return fprintf(stderr, "usage: %s MODEL.onnx BATCH sgd|adam [STEPS [HOST [BUDGET...]]]\n", argv[0]), 2;
	t.graph = (struct weft_graph_options){
		.batch = (uint32_t)atoi(argv[2]),
		.training = true,
		.loss = WEFT_LOSS_CROSS_ENTROPY,
		.optimizer = strcmp(argv[3], "adam") ? WEFT_OPTIMIZER_SGD : WEFT_OPTIMIZER_ADAM,
	};
	if (accel_device_open(device ? device : "embedded:mem=6G,threads=1", &t.device))
		return fprintf(stderr, "%s\n", accel_error()), 1;
	if (accel_device_query(t.device, &info))
		return fprintf(stderr, "%s\n", accel_error()), 1;
	t.clock = weft_calibration_clock(&info);
	t.hertz = info.clock_hz ? (double)info.clock_hz : 1e9;
	if (weft_model_load(argv[1], &t.model))
		die();
	print_table(&t, argv + (argc > 6 ? 6 : argc));
	weft_model_free(t.model);
	accel_device_unref(t.device);
	return 0;
}
