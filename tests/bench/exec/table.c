// SPDX-License-Identifier: MIT
/*
 * What less device memory costs: steps of a model with 100 to 20 % of its activations'
 * memory and with the least that works.
 *
 *	bench-table MODEL.onnx BATCH sgd|adam [STEPS [HOST [BUDGET...]]]
 *
 * Activations are what the unconstrained step takes beyond its weights, optimizer state
 * and constants.  Steps of each row and of the unconstrained session take turns, so
 * that what else the machine does disturbs both; times are the least of STEPS.
 *
 *	time, cpu	over the unconstrained step's: on the clock, and of all threads
 *	pred		predicted over measured seconds, with operations and transfers
 *			measured in the unconstrained session (weft calibrate)
 *	energy		by the device's counters, over the unconstrained step's
 *	pred		predicted over counted energy
 *	bound		the most that any other plan of the row's memory could save
 *	hidden		of the seconds that the transfers between host and device take, the part in
 *			which compute does not wait: planned by the device's model, and executed
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

static void step(struct weft_session *session, struct run *run)
{
	double cpu = cpu_seconds();
	struct weft_step_cost cost;

	if (weft_measure_steps(session, WEFT_CLOCK_WALL, 1, &cost))
		die();
	cpu = cpu_seconds() - cpu;
	if (!run->wall || cost.seconds < run->wall)
		run->wall = cost.seconds;
	if (!run->cpu || cpu < run->cpu)
		run->cpu = cpu;
	run->joules = cost.joules;
}

/* Seconds of the session's plan with what was measured in the unconstrained one. */
static double predicted(const struct table *t, struct weft_session *session)
{
	const struct weft_graph *graph = weft_session_graph(session);
	struct weft_plan plan = *weft_session_plan(session);
	const char *dir = getenv("WEFT_BENCH_STORAGE");
	struct weft_costs costs;

	if (weft_costs_model(t->device, graph, &costs))
		die();
	weft_calibration_apply(&t->calibration, graph, dir ? dir : "/tmp", &costs);
	if (weft_plan_predict(&plan, graph, &costs))
		die();
	weft_costs_clear(&costs);
	return plan.seconds;
}

static double clamp(double share)
{
	return share < 0 ? 0 : share > 1 ? 1 : share;
}

/* Of the planned transfers' seconds, those in which compute goes on. */
static double hidden_by_plan(const struct weft_plan *plan)
{
	double paging = plan->lane_seconds[WEFT_LANE_PAGE_IN] + plan->lane_seconds[WEFT_LANE_PAGE_OUT];

	return paging > 0 ? clamp(1 - (plan->seconds - plan->lane_seconds[WEFT_LANE_COMPUTE]) / paging) : 1;
}

/* The same of a traced step.  Compute also pauses from one command to the next where nothing is moved: @pause each. */
static double hidden_by_trace(struct weft_session *session, double pause)
{
	const struct weft_event *event;
	double compute = 0, paging = 0, last = 0, commands = 0;
	size_t events;

	if (weft_session_trace(session, true) || weft_session_step(session))
		die();
	events = weft_session_events(session, &event);
	for (size_t i = 0; i < events; i++) {
		double seconds = 1e-9 * (double)(event[i].end_ns - event[i].start_ns);

		compute += event[i].lane ? 0 : seconds;
		commands += !event[i].lane;
		paging += event[i].lane == 1 || event[i].lane == 2 ? seconds : 0;
		if (event[i].lane < 3 && 1e-9 * (double)event[i].end_ns > last)
			last = 1e-9 * (double)event[i].end_ns;
	}
	last -= events ? 1e-9 * (double)event[0].start_ns : 0;
	weft_session_trace(session, false);
	return paging > 0 ? clamp(1 - (last - compute - pause * commands) / paging) : 1;
}

/* Mean seconds between commands of a session that moves next to nothing. */
static double pause_of(struct weft_session *base)
{
	const struct weft_event *event;
	double compute = 0, first = 0, last = 0;
	size_t events, commands = 0;

	if (weft_session_trace(base, true) || weft_session_step(base))
		die();
	events = weft_session_events(base, &event);
	for (size_t i = 0; i < events; i++) {
		if (event[i].lane)
			continue;
		first = commands++ ? first : 1e-9 * (double)event[i].start_ns;
		compute += 1e-9 * (double)(event[i].end_ns - event[i].start_ns);
		last = 1e-9 * (double)event[i].end_ns;
	}
	weft_session_trace(base, false);
	return commands ? (last - first - compute) / (double)commands : 0;
}

static void print_row(const struct table *t, const char *name, struct weft_session *session)
{
	const struct weft_plan *plan = weft_session_plan(session);
	char device[24], host[24], paged[24], stored[24], hex[65];
	struct run of = {0}, of_base = {0};
	double traced;

	if (weft_measure_feed(session))
		die();
	for (unsigned int i = 0; i < t->steps; i++) {
		step(session, &of);
		step(t->base, &of_base);
	}
	if (weft_session_digest(session, hex))
		die();
	traced = hidden_by_trace(session, pause_of(t->base));
	printf("%-6s %9s %9s %6.2f %8.3f %6.2f %6.2f %6.2f %8.3f %+6.1f%% %6.3f %5.1f%% %9s %9s %6u %6.2f %6.2f %.12s "
	       "%s\n",
	       name, size_format(plan->peak[WEFT_TIER_DEVICE], device), size_format(plan->peak[WEFT_TIER_HOST], host),
	       plan->solver_seconds, of.wall, of.wall / of_base.wall, of.cpu / of_base.cpu,
	       predicted(t, session) / of.wall, of.joules, 100 * (of.joules / of_base.joules - 1),
	       plan->joules / of.joules, 100 * (plan->joules - plan->bound_joules) / plan->joules,
	       size_format(plan->paged_bytes[WEFT_TIER_HOST], paged),
	       size_format(plan->paged_bytes[WEFT_TIER_STORAGE], stored), plan->recomputed, hidden_by_plan(plan),
	       traced, hex, strcmp(hex, t->hex) ? "DIFFERS" : "same");
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
	if (weft_measure_feed(t->base))
		die();
	for (unsigned int i = 0; i < t->steps; i++)
		step(t->base, &run);
	if (weft_session_digest(t->base, t->hex) || weft_measure(t->device, t->base, t->steps,
								 t->host == UINT64_MAX ? NULL
								 : dir		       ? dir
										       : "/tmp",
								 &t->calibration))
		die();
}

/* A row for @budget; for the least that works if @or_least. */
static void add_row(struct table *t, const char *name, uint64_t budget, bool or_least)
{
	struct weft_session_refusal refusal = {0};
	struct weft_session *session;

	if (open_session(t, budget, t->host, WEFT_POLICY_AUTO, &session, &refusal) &&
	    (!or_least || !refusal.least_device_bytes ||
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
	printf("%-6s %9s %9s %6s %8s %6s %6s %6s %8s %7s %6s %6s %9s %9s %6s %6s %6s %s\n", "share", "device", "host",
	       "plan s", "step s", "time", "cpu", "pred", "J", "energy", "pred", "bound", "paged", "stored", "recomp",
	       "hidden", "done", "weights");
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
	if (weft_model_load(argv[1], &t.model))
		die();
	print_table(&t, argv + (argc > 6 ? 6 : argc));
	weft_model_free(t.model);
	accel_device_unref(t.device);
	return 0;
}
