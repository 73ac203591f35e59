// SPDX-License-Identifier: MIT
/*
 * Steps of a model without budgets, timed: the peer of step.py.
 *
 *	step MODEL.onnx BATCH sgd|adam|infer THREADS STEPS [WARM_UP [trace]]
 *
 * Prints one line of JSON; with "trace", the mean time of each operation as well.
 * products_of_peak is the arithmetic of convolutions and matrix products over the
 * CPU time of the whole step, as a share of the multiply-adds that a core of this
 * machine reaches, measured just before.  Above 1 where Winograd's form saves some.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <accel/commands.h>

#include "graph/graph.h"
#include "kernels/kernels.h"
#include "plan/plan.h"
#include "weft/error.h"
#include "weft/session.h"

static void check(int result)
{
	if (result) {
		fprintf(stderr, "%s\n", weft_error());
		exit(1);
	}
}

static void feed(struct weft_session *session)
{
	const struct weft_graph *graph = weft_session_graph(session);
	const float hyper[WEFT_HYPERS] = {1e-3f, 0.9f, 0.999f, 1e-8f, 0, 0, 0, 1};
	uint32_t random = 1;

	check(weft_session_hyper(session, hyper));
	for (uint32_t i = 0; i < graph->inputs; i++) {
		const struct weft_value *value = &graph->value[graph->input[i]];
		void *memory;
		size_t bytes;

		check(weft_session_input(session, value->name, &memory, &bytes));
		for (size_t j = 0; j < bytes / 4; j++) {
			random = random * 1664525 + 1013904223;
			if (value->layout.type == WEFT_TYPE_F32)
				((float *)memory)[j] = (float)(random >> 8) / (1 << 23) - 1;
			else if (value->layout.type == WEFT_TYPE_I32) /* labels and tokens that every network has */
				((int32_t *)memory)[j] = (int32_t)(random >> 8) % 2;
			else
				((int32_t *)memory)[j] = 0;
		}
	}
}

static double seconds(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Floating-point operations of a step's convolutions and matrix products. */
static double product_flops(struct accel_device *device, const struct weft_graph *graph)
{
	uint64_t address[WEFT_MAX_OPERANDS];
	double flops = 0;

	for (unsigned int i = 0; i < WEFT_MAX_OPERANDS; i++)
		address[i] = (uint64_t)(i + 1) << 40;
	for (weft_id o = 0; o < graph->operations; o++) {
		const struct weft_operation *operation = &graph->operation[o];
		union accel_command command;
		struct accel_cost cost;

		if (operation->opcode != WEFT_OP_MATMUL && operation->opcode != WEFT_OP_CONV_FWD &&
		    operation->opcode != WEFT_OP_CONV_BWD_DATA && operation->opcode != WEFT_OP_CONV_BWD_WEIGHT)
			continue;
		weft_operation_command(graph, operation, address, &command.header);
		if (accel_device_cost(device, &command.header, &cost))
			exit(fprintf(stderr, "%s\n", accel_error()));
		flops += (double)cost.operations;
	}
	return flops;
}

static double peak_flops(void)
{
	double wide = fma_peak(WEFT_ENGINE_AVX512), narrow = fma_peak(WEFT_ENGINE_AVX2);

	return wide > narrow ? wide : narrow;
}

struct operation {
	const char *name;
	uint64_t total_ns;
};

/* Events of one step come in the order of the plan, the same in every step. */
static size_t add_events(struct weft_session *session, struct operation **operations, size_t count)
{
	const struct weft_event *event;
	size_t events = weft_session_events(session, &event);

	if (!count) {
		*operations = calloc(events, sizeof(**operations));
		if (!*operations)
			exit(1);
		count = events;
	}
	for (size_t i = 0; i < events && i < count; i++) {
		(*operations)[i].name = event[i].name;
		(*operations)[i].total_ns += event[i].end_ns - event[i].start_ns;
	}
	return count;
}

static struct weft_session *open_session(struct accel_device *device, const char *path, uint32_t batch,
					 const char *optimizer)
{
	const bool training = strcmp(optimizer, "infer");
	const struct weft_graph_options graph_options = {
		.batch = batch,
		.training = training,
		.loss = training ? WEFT_LOSS_CROSS_ENTROPY : WEFT_LOSS_NONE,
		.optimizer = strcmp(optimizer, "adam") ? WEFT_OPTIMIZER_SGD : WEFT_OPTIMIZER_ADAM,
	};
	const struct weft_session_options options = {
		.device_bytes = UINT64_MAX, .host_bytes = UINT64_MAX, .policy = WEFT_POLICY_KEEP};
	struct weft_session_refusal refusal;
	struct weft_session *session;
	struct weft_graph *graph;
	struct weft_model *model;

	check(weft_model_load(path, &model));
	check(weft_model_graph(model, &graph_options, &graph));
	weft_model_free(model);
	check(weft_session_new(device, graph, &options, &session, &refusal));
	return session;
}

int main(int argc, char **argv)
{
	struct operation *operations = NULL;
	struct accel_device *device;
	struct weft_session *session;
	struct rusage usage;
	double wall, cpu, peak, flops;
	char spec[64], digest[65];
	size_t count = 0;
	int steps = argc > 5 ? atoi(argv[5]) : 0;
	int warm_up = argc > 6 ? atoi(argv[6]) : 5;
	bool trace = argc > 7 && !strcmp(argv[7], "trace");

	if (steps < 1)
		return fprintf(stderr, "usage: %s MODEL.onnx BATCH sgd|adam|infer THREADS STEPS [WARM_UP [trace]]\n",
			       argv[0]),
		       2;
	snprintf(spec, sizeof(spec), "embedded:mem=16G,threads=%d", atoi(argv[4]));
	if (accel_device_open(spec, &device))
		return fprintf(stderr, "%s\n", accel_error()), 1;
	session = open_session(device, argv[1], (uint32_t)atoi(argv[2]), argv[3]);
	feed(session);
	flops = product_flops(device, weft_session_graph(session));
	if (trace)
		check(weft_session_trace(session, true));
	for (int i = 0; i < warm_up; i++)
		check(weft_session_step(session));
	peak = peak_flops();
	wall = seconds(CLOCK_MONOTONIC);
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	for (int i = 0; i < steps; i++) {
		check(weft_session_step(session));
		if (trace)
			count = add_events(session, &operations, count);
	}
	wall = (seconds(CLOCK_MONOTONIC) - wall) / steps;
	cpu = (seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) / steps;
	getrusage(RUSAGE_SELF, &usage);
	check(weft_session_digest(session, digest));
	for (size_t i = 0; i < count; i++)
		printf("%8.1f us  %s\n", 1e-3 * (double)operations[i].total_ns / steps, operations[i].name);
	printf("{\"cpu_ms\": %.4f, \"wall_ms\": %.4f, \"peak_rss_kib\": %ld, \"weights_sha256\": \"%s\", "
	       "\"product_gflops\": %.3f, \"fma_gflops_per_second\": %.2f, \"products_of_peak\": %.3f}\n",
	       1e3 * cpu, 1e3 * wall, usage.ru_maxrss, digest, 1e-9 * flops, 1e-9 * peak,
	       peak > 0 ? flops / cpu / peak : 0.0);
	free(operations);
	weft_session_free(session);
	accel_device_unref(device);
	return 0;
}
