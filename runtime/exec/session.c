// SPDX-License-Identifier: MIT
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "exec/planning.h"
#include "exec/session_internal.h"
#include "weft/error.h"

static double now_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Opening */

/* Put the initial contents where they live; the graph's copies are then gone. */
static int place_values(struct weft_session *session)
{
	struct weft_graph *graph = session->graph;

	for (weft_id v = 0; v < graph->values; v++) {
		struct weft_value *value = &graph->value[v];
		void *zero = NULL;
		int result;

		if (value->base != v || value->whole != WEFT_NO_ID ||
		    (!weft_value_is_kept(graph, v) && value->kind != WEFT_VALUE_CONSTANT))
			continue;
		if (!value->data) {
			zero = calloc(1, value->bytes);
			if (!zero)
				return weft_fail(ENOMEM, "no memory to place '%s'", value->name);
		}
		result = weft_executor_write(session->executor, v, value->data ? value->data : zero);
		free(zero);
		free(value->data);
		value->data = NULL;
		if (result)
			return result;
	}
	return 0;
}

int weft_session_new(struct accel_device *device, struct weft_graph *graph, const struct weft_session_options *options,
		     struct weft_session **out, struct weft_session_refusal *refusal)
{
	struct weft_session *session = calloc(1, sizeof(*session));
	int result;

	*out = NULL;
	if (refusal)
		memset(refusal, 0, sizeof(*refusal));
	if (!session) {
		weft_graph_free(graph);
		return weft_fail(ENOMEM, "no memory for a session");
	}
	session->device = accel_device_ref(device);
	session->graph = graph;
	session->seed = options->seed;
	session->hyper[WEFT_HYPER_GRADIENT_SCALE] = 1;
	accel_device_reset_peaks(device);
	result = weft_graph_check(graph);
	if (!result)
		result = weft_plan_session(device, &session->graph, options, &session->plan, &session->costs, refusal);
	if (!result)
		result = weft_executor_new(device, session->graph, session->plan, options->storage_dir,
					   &session->executor);
	if (!result)
		result = place_values(session);
	if (result) {
		weft_session_free(session);
		return result;
	}
	*out = session;
	return 0;
}

void weft_session_free(struct weft_session *session)
{
	if (!session)
		return;
	weft_executor_free(session->executor);
	weft_costs_clear(&session->costs);
	weft_plan_free(session->plan);
	weft_graph_free(session->graph);
	accel_device_unref(session->device);
	free(session->event);
	free(session);
}

const struct weft_graph *weft_session_graph(const struct weft_session *session)
{
	return session->graph;
}

const struct weft_plan *weft_session_plan(const struct weft_session *session)
{
	return session->plan;
}

/* Values */

static weft_id find_value(const struct weft_session *session, const char *name)
{
	const struct weft_graph *graph = session->graph;

	for (weft_id v = 0; v < graph->values; v++)
		if (!strcmp(graph->value[v].name, name))
			return v;
	weft_fail(ENOENT, "the graph has no value '%s'", name);
	return WEFT_NO_ID;
}

int weft_session_input(struct weft_session *session, const char *name, void **memory, size_t *bytes)
{
	weft_id v = find_value(session, name);
	const struct weft_value *value;

	if (v == WEFT_NO_ID)
		return -ENOENT;
	value = &session->graph->value[v];
	if (value->base != v || (value->kind != WEFT_VALUE_INPUT && value->kind != WEFT_VALUE_STEP))
		return weft_fail(EINVAL, "'%s' is not an input", name);
	*memory = weft_executor_host(session->executor, v);
	if (bytes)
		*bytes = value->bytes;
	return 0;
}

int weft_session_hyper(struct weft_session *session, const float hyper[8])
{
	for (unsigned int i = 0; i < WEFT_HYPERS; i++)
		if (!isfinite(hyper[i]))
			return weft_fail(EINVAL, "hyperparameter %u is %g; expected a finite number", i,
					 (double)hyper[i]);
	memcpy(session->hyper, hyper, sizeof(session->hyper));
	return 0;
}

int weft_session_output(struct weft_session *session, const char *name, void *data, size_t bytes)
{
	weft_id v = find_value(session, name);
	const struct weft_value *value;
	const char *memory;

	if (v == WEFT_NO_ID)
		return -ENOENT;
	value = &session->graph->value[v];
	if (!value->output)
		return weft_fail(EINVAL, "'%s' is not an output", name);
	if (bytes != weft_file_bytes(value))
		return weft_fail(EINVAL, "output '%s' has %" PRIu64 " bytes, not %zu", name, weft_file_bytes(value),
				 bytes);
	if (weft_executor_broken(session->executor) || !session->steps_run)
		return weft_fail(EINVAL, "output '%s': no step has been completed", name);
	memory = weft_executor_host(session->executor, value->base);
	weft_to_file(value, memory + value->offset, data);
	return 0;
}

static int find_kept(const struct weft_session *session, const char *name, size_t bytes, weft_id *v)
{
	const struct weft_value *value;

	*v = find_value(session, name);
	if (*v == WEFT_NO_ID)
		return -ENOENT;
	value = &session->graph->value[*v];
	if (value->base != *v || (!weft_value_is_kept(session->graph, *v) && value->kind != WEFT_VALUE_CONSTANT))
		return weft_fail(EINVAL, "'%s' is not a persistent value", name);
	if (bytes != weft_file_bytes(value))
		return weft_fail(EINVAL, "'%s' has %" PRIu64 " bytes, not %zu", name, weft_file_bytes(value), bytes);
	return 0;
}

static int read_value(struct weft_session *session, weft_id v, void *data)
{
	const struct weft_value *value = &session->graph->value[v];
	void *memory;
	int result;

	if (weft_value_is_in_file_order(value))
		return weft_executor_read(session->executor, v, data);
	memory = malloc(value->bytes);
	if (!memory)
		return weft_fail(ENOMEM, "no memory to read '%s'", value->name);
	result = weft_executor_read(session->executor, v, memory);
	if (!result)
		weft_to_file(value, memory, data);
	free(memory);
	return result;
}

int weft_session_read(struct weft_session *session, const char *name, void *data, size_t bytes)
{
	weft_id v;
	int result = find_kept(session, name, bytes, &v);

	return result ? result : read_value(session, v, data);
}

int weft_session_write(struct weft_session *session, const char *name, const void *data, size_t bytes)
{
	const struct weft_value *value;
	void *memory;
	weft_id v;
	int result = find_kept(session, name, bytes, &v);

	if (result)
		return result;
	value = &session->graph->value[v];
	memory = calloc(1, value->bytes);
	if (!memory)
		return weft_fail(ENOMEM, "no memory to write '%s'", name);
	weft_from_file(value, memory, data);
	result = weft_executor_write(session->executor, v, memory);
	free(memory);
	return result;
}

static void hash_number(struct sha256_ctx *hash, uint64_t number)
{
	uint8_t bytes[8];

	for (unsigned int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(number >> 8 * i);
	sha256_update(hash, sizeof(bytes), bytes);
}

int weft_session_digest(struct weft_session *session, char hex[65])
{
	const struct weft_graph *graph = session->graph;
	uint8_t digest[SHA256_DIGEST_SIZE];
	struct sha256_ctx hash;

	sha256_init(&hash);
	for (weft_id v = 0; v < graph->values; v++) {
		const struct weft_value *value = &graph->value[v];
		uint32_t dims[WEFT_MAX_RANK];
		unsigned int rank;
		uint64_t bytes;
		void *data;
		int result;

		if (!weft_value_is_model(graph, v))
			continue;
		bytes = weft_file_bytes(value);
		data = malloc(bytes);
		if (!data)
			return weft_fail(ENOMEM, "no memory to read '%s'", value->name);
		result = read_value(session, v, data);
		if (!result) {
			sha256_update(&hash, strlen(value->name) + 1, (const uint8_t *)value->name);
			rank = weft_file_dims(value, dims);
			hash_number(&hash, rank);
			for (unsigned int i = 0; i < rank; i++)
				hash_number(&hash, dims[i]);
			sha256_update(&hash, bytes, data);
		}
		free(data);
		if (result)
			return result;
	}
	sha256_digest(&hash, sizeof(digest), digest);
	for (unsigned int i = 0; i < sizeof(digest); i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	return 0;
}

/* Steps */

static void fill_step_values(struct weft_session *session)
{
	const struct weft_graph *graph = session->graph;
	uint32_t every = graph->accumulate > 1 ? graph->accumulate : 1;
	bool applies = session->steps % every == every - 1;

	if (graph->hyper != WEFT_NO_ID) {
		float *hyper = weft_executor_host(session->executor, graph->hyper);
		double t = (double)(session->steps / every) + 1;

		memcpy(hyper, session->hyper, sizeof(session->hyper));
		hyper[WEFT_HYPER_BIAS1] = (float)(1 - pow((double)hyper[WEFT_HYPER_BETA1], t));
		hyper[WEFT_HYPER_BIAS2_SQRT] = (float)sqrt(1 - pow((double)hyper[WEFT_HYPER_BETA2], t));
		hyper[WEFT_HYPER_GRADIENT_SCALE] /= (float)every;
		/* In a step that only adds to the sums, updates leave weights and moments as they are. */
		if (!applies) {
			hyper[WEFT_HYPER_LR] = hyper[WEFT_HYPER_WEIGHT_DECAY] = hyper[WEFT_HYPER_GRADIENT_SCALE] = 0;
			hyper[WEFT_HYPER_BETA1] = hyper[WEFT_HYPER_BETA2] = 1;
			hyper[WEFT_HYPER_BIAS1] = hyper[WEFT_HYPER_BIAS2_SQRT] = 1;
		}
	}
	if (graph->carry != WEFT_NO_ID)
		*(float *)weft_executor_host(session->executor, graph->carry) = applies ? 0 : 1;
	if (graph->counter != WEFT_NO_ID) {
		int64_t counter[2] = {(int64_t)session->seed, (int64_t)session->steps};

		memcpy(weft_executor_host(session->executor, graph->counter), counter, sizeof(counter));
	}
}

static uint64_t model_picojoules(const struct weft_session *session)
{
	struct accel_counters counters = {.size = sizeof(counters)};
	uint64_t sum = 0;

	if (!accel_device_counters(session->device, &counters))
		for (unsigned int e = 0; e < WEFT_ENGINES; e++)
			sum += counters.model_picojoules[e];
	return sum;
}

int weft_session_step(struct weft_session *session)
{
	uint64_t joules = model_picojoules(session);
	struct timespec start_time;
	double start;
	int result;

	fill_step_values(session);
	if (session->tracing) {
		result = accel_context_trace(weft_executor_context(session->executor), session->plan->actions + 16);
		if (result)
			return weft_fail(-result, "%s", accel_error());
	}
	clock_gettime(CLOCK_MONOTONIC, &start_time);
	session->step_start_ns = (uint64_t)start_time.tv_sec * 1000000000u + (uint64_t)start_time.tv_nsec;
	start = now_seconds();
	result = weft_executor_step(session->executor);
	if (result)
		return result;
	session->seconds += now_seconds() - start;
	session->joules +=
		(double)(model_picojoules(session) - joules) * 1e-12 +
		(double)session->plan->paged_bytes[WEFT_TIER_STORAGE] * session->costs.load.joules_per_byte;
	session->steps++;
	session->steps_run++;
	return session->tracing ? weft_session_collect(session) : 0;
}

uint64_t weft_session_steps(const struct weft_session *session)
{
	return session->steps;
}

int weft_session_usage(struct weft_session *session, struct weft_session_usage *usage)
{
	struct accel_counters counters = {.size = sizeof(counters)};
	const struct weft_plan *plan = session->plan;
	int result = accel_device_counters(session->device, &counters);

	if (result)
		return weft_fail(-result, "%s", accel_error());
	*usage = (struct weft_session_usage){
		.peak_device_bytes = counters.device_bytes_peak,
		.peak_host_bytes = counters.host_bytes_peak,
		.peak_storage_bytes = weft_executor_storage_bytes(session->executor),
		.paged_bytes =
			session->steps_run * (plan->paged_bytes[WEFT_TIER_HOST] + plan->paged_bytes[WEFT_TIER_STORAGE]),
		.recomputed_ops = session->steps_run * plan->recomputed,
		.step_seconds = session->steps_run ? session->seconds / (double)session->steps_run : 0,
		.energy_joules = session->joules,
		.predicted_seconds = plan->seconds,
		.predicted_joules = plan->joules,
	};
	return 0;
}
