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
 *	hidden, done	of the seconds that transfers between host and device take, the part during
 *			which compute goes on: as planned with the device's model, and as executed
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

/* What is going on: transfers between host and device, or compute. */
struct span {
	double start, end;
	bool compute;
};

static int by_start(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* Of the seconds of all transfers, the part during which compute goes on.  Commands of compute do not overlap. */
static double hidden(struct span *span, size_t spans)
{
	double paging = 0, together = 0;
	size_t first = 0;

	qsort(span, spans, sizeof(*span), by_start);
	for (size_t i = 0; i < spans; i++) {
		if (span[i].compute)
			continue;
		paging += span[i].end - span[i].start;
		/* Compute that has ended before this transfer begins has ended for those that begin later. */
		while (first < spans && (!span[first].compute || span[first].end <= span[i].start))
			first++;
		for (size_t j = first; j < spans && span[j].start < span[i].end; j++) {
			double low = span[j].start > span[i].start ? span[j].start : span[i].start;
			double high = span[j].end < span[i].end ? span[j].end : span[i].end;

			if (span[j].compute && high > low)
				together += high - low;
		}
	}
	return paging > 0 ? together / paging : 1;
}

static struct span *new_spans(size_t spans)
{
	struct span *span = calloc(spans + 1, sizeof(*span));

	if (!span)
		exit(fprintf(stderr, "out of memory\n"));
	return span;
}

static double hidden_by_plan(const struct table *t, struct weft_session *session)
{
	struct weft_plan plan = *weft_session_plan(session);
	double *start = calloc(plan.actions + 1, sizeof(*start)), *finish = calloc(plan.actions + 1, sizeof(*finish));
	struct span *span = new_spans(plan.actions);
	struct weft_costs costs;
	size_t spans = 0;
	double share;

	if (!start || !finish || weft_costs_model(t->device, weft_session_graph(session), &costs) ||
	    weft_plan_predict_times(&plan, weft_session_graph(session), &costs, start, finish))
		die();
	for (uint32_t a = 0; a < plan.actions; a++)
		if (plan.action[a].kind <= WEFT_ACTION_PAGE_IN)
			span[spans++] = (struct span){start[a], finish[a], plan.action[a].kind == WEFT_ACTION_COMPUTE};
	share = hidden(span, spans);
	weft_costs_clear(&costs);
	free(start);
	free(finish);
	free(span);
	return share;
}

static double hidden_by_trace(struct weft_session *session)
{
	const struct weft_event *event;
	struct span *span;
	size_t events, spans = 0;
	double share;

	if (weft_session_trace(session, true) || weft_session_step(session))
		die();
	events = weft_session_events(session, &event);
	span = new_spans(events);
	for (size_t i = 0; i < events; i++)
		if (event[i].lane <= 2)
			span[spans++] = (struct span){1e-9 * (double)event[i].start_ns, 1e-9 * (double)event[i].end_ns,
						      !event[i].lane};
	share = hidden(span, spans);
	weft_session_trace(session, false);
	free(span);
	return share;
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
	traced = hidden_by_trace(session);
	printf("%-6s %9s %9s %6.2f %8.3f %6.2f %6.2f %6.2f %8.3f %+6.1f%% %6.3f %5.1f%% %9s %9s %6u %6.2f %6.2f %.12s "
	       "%s\n",
	       name, size_format(plan->peak[WEFT_TIER_DEVICE], device), size_format(plan->peak[WEFT_TIER_HOST], host),
	       plan->solver_seconds, of.wall, of.wall / of_base.wall, of.cpu / of_base.cpu,
	       predicted(t, session) / of.wall, of.joules, 100 * (of.joules / of_base.joules - 1),
	       plan->joules / of.joules, 100 * (plan->joules - plan->bound_joules) / plan->joules,
	       size_format(plan->paged_bytes[WEFT_TIER_HOST], paged),
	       size_format(plan->paged_bytes[WEFT_TIER_STORAGE], stored), plan->recomputed, hidden_by_plan(t, session),
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
