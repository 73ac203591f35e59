// SPDX-License-Identifier: MIT
/*
 * Training steps of a model under shrinking device budgets: time, traffic,
 * recomputation, and that the weights are the same.
 *
 *	budgets MODEL.onnx BATCH sgd|adam [steps]
 *	budgets MODEL.onnx BATCH sgd|adam STEPS PERCENT HOST...
 *
 * The second form tries one device budget, in percent of the unconstrained peak,
 * with each host budget (a size such as 512K, or "least"), so that storage takes the rest.
 * The environment's WEFT_BENCH_STORAGE names the directory of the page file,
 * WEFT_BENCH_DEVICE another device.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "plan/plan.h"
#include "sizes.h"
#include "weft/error.h"
#include "weft/session.h"

struct setting {
	struct accel_device *device;
	struct weft_model *model;
	struct weft_graph_options graph;
	unsigned int steps;
};

static void feed(struct weft_session *session)
{
	const struct weft_graph *graph = weft_session_graph(session);
	const float hyper[WEFT_HYPERS] = {1e-3f, 0.9f, 0.999f, 1e-8f, 0, 0, 0, 1};
	uint32_t random = 1;

	weft_session_hyper(session, hyper);
	for (uint32_t i = 0; i < graph->inputs; i++) {
		const struct weft_value *value = &graph->value[graph->input[i]];
		void *memory;
		size_t bytes;

		if (weft_session_input(session, value->name, &memory, &bytes))
			exit(fprintf(stderr, "%s\n", weft_error()));
		for (size_t j = 0; j < bytes / 4; j++) {
			random = random * 1664525 + 1013904223;
			if (value->layout.type == WEFT_TYPE_F32)
				((float *)memory)[j] = (float)(random >> 8) / (1 << 23) - 1;
			else if (value->layout.type == WEFT_TYPE_I32)
				((int32_t *)memory)[j] = (int32_t)(random >> 8) % 10;
			else
				((int32_t *)memory)[j] = 0;
		}
	}
}

static double cpu_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

struct measured {
	double wall, cpu; /* of a step: median, mean */
	uint64_t peak;
	char hex[65];
};

static int open_session(const struct setting *s, const struct weft_session_options *options,
			struct weft_session **session, struct weft_session_refusal *refusal)
{
	struct weft_graph *graph;
	int result = weft_model_graph(s->model, &s->graph, &graph);

	if (result)
		exit(fprintf(stderr, "%s\n", weft_error()));
	result = weft_session_new(s->device, graph, options, session, refusal);
	if (result && result != -ENOSPC)
		exit(fprintf(stderr, "%s\n", weft_error()));
	return result;
}

static void step(struct weft_session *session)
{
	if (weft_session_step(session))
		exit(fprintf(stderr, "%s\n", weft_error()));
}

/* Steps of @session and of @base by turns, so that what else the machine does disturbs both. */
static void measure(const struct setting *s, struct weft_session *session, struct weft_session *base,
		    struct measured *of, struct measured *of_base)
{
	struct weft_session *const sessions[2] = {session, base};
	struct measured *const results[2] = {of, of_base};
	double *wall = calloc(s->steps, 2 * sizeof(double)), cpu[2] = {0, 0};
	struct weft_session_usage before, after;

	feed(session);
	if (base)
		feed(base);
	for (unsigned int i = 0; i < s->steps; i++) {
		for (unsigned int k = 0; k < 2 && sessions[k]; k++) {
			double start = cpu_seconds();

			weft_session_usage(sessions[k], &before);
			step(sessions[k]);
			weft_session_usage(sessions[k], &after);
			cpu[k] += cpu_seconds() - start;
			wall[k * s->steps + i] = after.step_seconds * (i + 1) - before.step_seconds * i;
		}
	}
	for (unsigned int k = 0; k < 2 && sessions[k]; k++) {
		qsort(wall + k * s->steps, s->steps, sizeof(double), by_value);
		results[k]->wall = wall[k * s->steps + s->steps / 2];
		results[k]->cpu = cpu[k] / s->steps;
		weft_session_digest(sessions[k], results[k]->hex);
	}
	free(wall);
}

static void report(const char *what, const struct setting *s, struct weft_session *session, struct weft_session *base,
		   uint64_t device_bytes)
{
	const struct weft_plan *plan = weft_session_plan(session), *base_plan = weft_session_plan(base);
	struct measured of, of_base;

	measure(s, session, base, &of, &of_base);
	printf("%-10s %7.1f%% %10llu %10llu %7.3f %7.3f %9llu %9llu %7u %6.3f %6.2f %s\n", what,
	       100.0 * (double)device_bytes / (double)base_plan->peak[WEFT_TIER_DEVICE],
	       (unsigned long long)plan->peak[WEFT_TIER_DEVICE], (unsigned long long)plan->peak[WEFT_TIER_HOST],
	       of.wall / of_base.wall, of.cpu / of_base.cpu, (unsigned long long)plan->paged_bytes[WEFT_TIER_HOST],
	       (unsigned long long)plan->paged_bytes[WEFT_TIER_STORAGE], plan->recomputed,
	       plan->seconds / base_plan->seconds, plan->solver_seconds,
	       strcmp(of.hex, of_base.hex) ? "DIFFER" : "same");
	fflush(stdout);
}

static const char *storage_dir(void)
{
	return getenv("WEFT_BENCH_STORAGE") ? getenv("WEFT_BENCH_STORAGE") : "/tmp";
}

/* One device budget, several of the host. */
static void with_hosts(const struct setting *s, const struct weft_session_options *keep, unsigned int percent,
		       char **hosts)
{
	for (; *hosts; hosts++) {
		struct weft_session_options options = *keep;
		bool least = !strcmp(*hosts, "least");
		struct weft_session_refusal refusal;
		struct weft_session *session, *base;

		open_session(s, keep, &base, &refusal);
		options.policy = WEFT_POLICY_AUTO;
		options.device_bytes = weft_session_plan(base)->peak[WEFT_TIER_DEVICE] * percent / 100;
		options.host_bytes = 4096;
		if (!least && size_parse(*hosts, &options.host_bytes))
			exit(fprintf(stderr, "%s: expected a size, for example 512K, or least\n", *hosts));
		options.storage_bytes = UINT64_MAX;
		options.storage_dir = storage_dir();
		if (open_session(s, &options, &session, &refusal)) {
			options.host_bytes = refusal.least_host_bytes;
			if (!least || !refusal.least_host_bytes || open_session(s, &options, &session, &refusal)) {
				printf("%-10s refused: %s\n", *hosts, weft_error());
				weft_session_free(base);
				continue;
			}
		}
		report(*hosts, s, session, base, options.device_bytes);
		weft_session_free(session);
		weft_session_free(base);
	}
}

static void with_policies(const struct setting *s, const struct weft_session_options *keep)
{
	static const char *const names[] = {"auto", "keep", "recompute", "host", "storage"};
	static const unsigned int shares[] = {100, 70, 50, 40, 30, 20, 0};

	for (int policy = 0; policy < 5; policy++) {
		struct weft_session_options options = *keep;

		options.policy = policy;
		options.storage_bytes = policy == WEFT_POLICY_STORAGE ? UINT64_MAX : 0;
		options.storage_dir = storage_dir();
		for (unsigned int i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
			struct weft_session_refusal refusal;
			struct weft_session *session, *base;
			uint64_t peak;

			open_session(s, keep, &base, &refusal);
			peak = weft_session_plan(base)->peak[WEFT_TIER_DEVICE];
			options.device_bytes = shares[i] ? peak * shares[i] / 100 : 4096;
			if (open_session(s, &options, &session, &refusal)) {
				options.device_bytes = refusal.least_device_bytes;
				if (shares[i] || !refusal.least_device_bytes ||
				    open_session(s, &options, &session, &refusal)) {
					weft_session_free(base);
					continue;
				}
			}
			report(names[policy], s, session, base, options.device_bytes);
			weft_session_free(session);
			weft_session_free(base);
		}
	}
}

int main(int argc, char **argv)
{
	struct setting s = {.steps = argc > 4 ? (unsigned int)atoi(argv[4]) : 10};
	struct weft_session_options keep = {
		.device_bytes = UINT64_MAX, .host_bytes = UINT64_MAX, .policy = WEFT_POLICY_KEEP};

	if (argc < 4 || argc == 6 || !s.steps)
		return fprintf(stderr, "usage: %s MODEL.onnx BATCH sgd|adam [STEPS [PERCENT HOST...]]\n", argv[0]), 2;
	s.graph = (struct weft_graph_options){
		.batch = (uint32_t)atoi(argv[2]),
		.training = true,
		.loss = WEFT_LOSS_CROSS_ENTROPY,
		.optimizer = strcmp(argv[3], "adam") ? WEFT_OPTIMIZER_SGD : WEFT_OPTIMIZER_ADAM,
	};
	if (accel_device_open(getenv("WEFT_BENCH_DEVICE") ? getenv("WEFT_BENCH_DEVICE") : "embedded:mem=2G,threads=1",
			      &s.device))
		return fprintf(stderr, "%s\n", accel_error()), 1;
	if (weft_model_load(argv[1], &s.model))
		return fprintf(stderr, "%s\n", weft_error()), 1;
	printf("%-10s %8s %10s %10s %7s %7s %9s %9s %7s %6s %6s %s\n", argc > 5 ? "host" : "policy", "budget", "device",
	       "host", "time", "cpu", "paged", "stored", "recomp", "pred", "plan s", "weights");
	if (argc > 5)
		with_hosts(&s, &keep, (unsigned int)atoi(argv[5]), argv + 6);
	else
		with_policies(&s, &keep);
	weft_model_free(s.model);
	accel_device_unref(s.device);
	return 0;
}
