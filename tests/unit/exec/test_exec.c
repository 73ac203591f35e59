// SPDX-License-Identifier: MIT
/* A plan changes when and where, never what: weights to the bit, for every policy, budget and number of threads. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "plan/plan.h"
#include "random_graph.h"
#include "weft/error.h"
#include "weft/session.h"

#define STEPS 3

static char directory[] = "/tmp/weft-test-exec-XXXXXX";

static struct accel_device *device(unsigned int threads)
{
	struct accel_device *opened;
	char spec[64];

	snprintf(spec, sizeof(spec), "embedded:mem=256M,threads=%u", threads);
	if (accel_device_open(spec, &opened))
		fail_msg("%s", accel_error());
	return opened;
}

static struct weft_session_options unlimited(int policy)
{
	return (struct weft_session_options){
		.device_bytes = UINT64_MAX,
		.host_bytes = UINT64_MAX,
		.storage_bytes = policy == WEFT_POLICY_STORAGE ? UINT64_MAX : 0,
		.storage_dir = directory,
		.policy = policy,
	};
}

static void feed(struct weft_session *session, uint64_t step)
{
	const float hyper[WEFT_HYPERS] = {
		[WEFT_HYPER_LR] = 0.05f, [WEFT_HYPER_BETA1] = 0.9f, [WEFT_HYPER_GRADIENT_SCALE] = 1};
	uint64_t random = step;
	void *memory;
	size_t bytes;
	float *x;

	assert_int_equal(weft_session_input(session, "x", &memory, &bytes), 0);
	x = memory;
	for (size_t i = 0; i < bytes / sizeof(float); i++)
		x[i] = (float)(random_next(&random) % 2001) / 1000 - 1;
	assert_int_equal(weft_session_hyper(session, hyper), 0);
}

static void run_steps(struct weft_session *session, unsigned int steps)
{
	for (unsigned int i = 0; i < steps; i++) {
		feed(session, weft_session_steps(session));
		if (weft_session_step(session))
			fail_msg("%s", weft_error());
	}
}

/* Train for a few steps; 0 or -ENOSPC. */
static int train(uint64_t seed, unsigned int threads, const struct weft_session_options *options, char hex[65],
		 struct weft_session_usage *usage, struct weft_session_refusal *refusal)
{
	struct accel_device *opened = device(threads);
	struct weft_session *session;
	float loss;
	int result;

	result = weft_session_new(opened, random_graph(seed, 24), options, &session, refusal);
	if (result && result != -ENOSPC)
		fail_msg("%s", weft_error());
	if (!result) {
		run_steps(session, STEPS);
		assert_int_equal(weft_session_digest(session, hex), 0);
		assert_int_equal(weft_session_output(session, "loss", &loss, sizeof(loss)), 0);
		assert_true(loss == loss);
		assert_int_equal(weft_session_usage(session, usage), 0);
		weft_session_free(session);
	}
	accel_device_unref(opened);
	return result;
}

static void same_weights_however_planned(void **state)
{
	static const int policies[] = {WEFT_POLICY_AUTO, WEFT_POLICY_KEEP, WEFT_POLICY_RECOMPUTE, WEFT_POLICY_HOST,
				       WEFT_POLICY_STORAGE};
	uint64_t recomputed = 0, stored = 0, paged = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 12; seed++) {
		struct weft_session_options options = unlimited(WEFT_POLICY_KEEP);
		struct weft_session_refusal refusal;
		struct weft_session_usage usage;
		char expected[65], hex[65];
		uint64_t peak;

		assert_int_equal(train(seed, 1, &options, expected, &usage, &refusal), 0);
		peak = usage.peak_device_bytes;
		assert_int_equal(train(seed, 2, &options, hex, &usage, &refusal), 0);
		assert_string_equal(hex, expected);
		for (unsigned int p = 0; p < 5; p++) {
			for (unsigned int share = 1; share <= 3; share++) {
				options = unlimited(policies[p]);
				options.device_bytes = peak * share / 4;
				if (train(seed, 1 + share % 2, &options, hex, &usage, &refusal)) {
					assert_true(refusal.least_device_bytes > options.device_bytes);
					options.device_bytes = refusal.least_device_bytes;
					assert_int_equal(train(seed, 1, &options, hex, &usage, &refusal), 0);
				}
				if (strcmp(hex, expected))
					fail_msg("seed %d, policy %d, budget %llu: other weights", (int)seed,
						 policies[p], (unsigned long long)options.device_bytes);
				assert_true(usage.peak_device_bytes <= options.device_bytes);
				recomputed += usage.recomputed_ops;
				stored += usage.peak_storage_bytes;
				paged += usage.paged_bytes;
			}
		}
	}
	/* All means were used somewhere. */
	assert_true(recomputed && stored && paged);
}

static void small_host_tier_uses_storage(void **state)
{
	unsigned int spilled = 0;

	(void)state;
	for (uint64_t seed = 20; seed < 28; seed++) {
		struct weft_session_options options = unlimited(WEFT_POLICY_KEEP);
		struct weft_session_refusal refusal;
		struct weft_session_usage usage;
		char expected[65], hex[65];

		assert_int_equal(train(seed, 1, &options, expected, &usage, &refusal), 0);
		options = unlimited(WEFT_POLICY_AUTO);
		options.storage_bytes = 64 << 20;
		options.device_bytes = usage.peak_device_bytes / 2;
		options.host_bytes = usage.peak_host_bytes;
		if (train(seed, 1, &options, hex, &usage, &refusal)) {
			if (!refusal.least_host_bytes)
				continue;
			options.host_bytes = refusal.least_host_bytes;
			assert_int_equal(train(seed, 1, &options, hex, &usage, &refusal), 0);
		}
		assert_string_equal(hex, expected);
		assert_true(usage.peak_host_bytes <= options.host_bytes);
		assert_true(usage.peak_storage_bytes <= options.storage_bytes);
		spilled += usage.peak_storage_bytes > 0;
	}
	assert_true(spilled);
}

/* Neither more device memory nor more host memory would do: the refusal says what does, together. */
static void both_budgets_too_small(void **state)
{
	(void)state;
	for (uint64_t seed = 40; seed < 48; seed++) {
		struct weft_session_options options = unlimited(WEFT_POLICY_KEEP);
		struct weft_session_refusal refusal;
		struct weft_session_usage usage;
		char expected[65], hex[65];

		assert_int_equal(train(seed, 1, &options, expected, &usage, &refusal), 0);
		options = unlimited(seed % 3 ? WEFT_POLICY_AUTO : WEFT_POLICY_KEEP);
		options.storage_bytes = seed % 2 ? 64 << 20 : 0;
		options.device_bytes = 4096;
		options.host_bytes = 0;
		assert_int_equal(train(seed, 1, &options, hex, &usage, &refusal), -ENOSPC);
		assert_true(refusal.together && refusal.least_device_bytes && refusal.least_host_bytes);
		options.device_bytes = refusal.least_device_bytes;
		options.host_bytes = refusal.least_host_bytes;
		assert_int_equal(train(seed, 1, &options, hex, &usage, &refusal), 0);
		assert_string_equal(hex, expected);
		assert_true(usage.peak_device_bytes <= options.device_bytes);
		assert_true(usage.peak_host_bytes <= options.host_bytes);
	}
}

/* A session with a budget at which much must move. */
static struct weft_session *tight(struct accel_device *opened, int policy, uint64_t seed)
{
	struct weft_session_options keep = unlimited(WEFT_POLICY_KEEP), options = unlimited(policy);
	struct weft_session_refusal refusal;
	struct weft_session *session;

	if (weft_session_new(opened, random_graph(seed, 24), &keep, &session, NULL))
		fail_msg("%s", weft_error());
	options.device_bytes = weft_session_plan(session)->peak[WEFT_TIER_DEVICE] / 2;
	weft_session_free(session);
	if (weft_session_new(opened, random_graph(seed, 24), &options, &session, &refusal)) {
		assert_true(refusal.least_device_bytes);
		options.device_bytes = refusal.least_device_bytes;
		if (weft_session_new(opened, random_graph(seed, 24), &options, &session, &refusal))
			fail_msg("%s", weft_error());
	}
	return session;
}

static const struct {
	const char *fault;
	const char *says;
} storage_faults[] = {
	{"read-error:9", "Input/output error"},
	{"write-error:100", "Input/output error"},
	{"corrupt:9", "checksum"},
	{"truncate:9", "truncated"},
};
#define STORAGE_FAULTS (sizeof(storage_faults) / sizeof(storage_faults[0]))

/* A session whose storage fails; its error is that of the step that met the fault. */
static struct weft_session *run_into_fault(struct accel_device *opened, const char *fault)
{
	struct weft_session *session;
	int result = 0;

	setenv("WEFT_STORAGE_FAULT", fault, 1);
	session = tight(opened, WEFT_POLICY_STORAGE, 3);
	unsetenv("WEFT_STORAGE_FAULT");
	for (unsigned int step = 0; step < 50 && !result; step++) {
		feed(session, step);
		result = weft_session_step(session);
	}
	assert_int_not_equal(result, 0);
	return session;
}

static void storage_faults_stop_the_step(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < STORAGE_FAULTS; i++) {
		struct accel_device *opened = device(1);
		struct weft_session *session = run_into_fault(opened, storage_faults[i].fault);
		char path[128];

		if (!strstr(weft_error(), storage_faults[i].says) || !strstr(weft_error(), "page file in") ||
		    !strstr(weft_error(), "offset") || !strstr(weft_error(), "value '"))
			fail_msg("%s: the sentence is '%s'", storage_faults[i].fault, weft_error());
		/* The session is stopped, and says so. */
		feed(session, 0);
		assert_int_equal(weft_session_step(session), -EIO);
		snprintf(path, sizeof(path), "%s/checkpoint", directory);
		assert_int_equal(weft_session_save(session, path, NULL, 0), -EIO);
		assert_int_not_equal(access(path, F_OK), 0);
		weft_session_free(session);
		accel_device_unref(opened);
	}
}

/* Stores go on when a step has returned: a failure of one is said by whoever needs what it stored. */
static void failures_after_the_step_are_not_lost(void **state)
{
	struct accel_device *opened = device(1);
	unsigned int by_step = 0, by_digest = 0;

	(void)state;
	/* Whichever write fails once the values are in their places, a step or the reading of the weights says so. */
	for (unsigned int n = 100; n < 160; n++) {
		struct weft_session *session;
		char fault[32], hex[65];
		int result = 0;

		snprintf(fault, sizeof(fault), "write-error:%u", n);
		setenv("WEFT_STORAGE_FAULT", fault, 1);
		session = tight(opened, WEFT_POLICY_STORAGE, n % 6);
		unsetenv("WEFT_STORAGE_FAULT");
		for (unsigned int step = 0; step < 200 && !result; step++) {
			feed(session, step);
			result = weft_session_step(session);
			by_step += result != 0;
			if (result)
				break;
			result = weft_session_digest(session, hex);
			by_digest += result != 0;
		}
		assert_int_not_equal(result, 0);
		assert_non_null(strstr(weft_error(), "Input/output error"));
		assert_non_null(strstr(weft_error(), "value '"));
		feed(session, 0);
		assert_int_equal(weft_session_step(session), -EIO);
		weft_session_free(session);
	}
	assert_true(by_step > 0);
	assert_true(by_digest > 0);
	accel_device_unref(opened);
}

static void checkpoint_mends_a_stopped_session(void **state)
{
	struct accel_device *opened = device(1);
	struct weft_session *session = tight(opened, WEFT_POLICY_HOST, 3);
	char path[128], expected[65], hex[65];

	(void)state;
	snprintf(path, sizeof(path), "%s/checkpoint", directory);
	run_steps(session, 1);
	assert_int_equal(weft_session_save(session, path, NULL, 0), 0);
	run_steps(session, 1);
	assert_int_equal(weft_session_digest(session, expected), 0);
	weft_session_free(session);
	for (unsigned int i = 0; i < STORAGE_FAULTS; i++) {
		session = run_into_fault(opened, storage_faults[i].fault);
		assert_int_equal(weft_session_load(session, path, NULL, NULL), 0);
		run_steps(session, 1);
		assert_int_equal(weft_session_digest(session, hex), 0);
		assert_string_equal(hex, expected);
		weft_session_free(session);
	}
	accel_device_unref(opened);
}

static void training_works_without_io_uring(void **state)
{
	struct accel_device *opened = device(1);
	char expected[65], hex[65];

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		struct weft_session *session;

		if (i)
			setenv("WEFT_STORAGE_FAULT", "no-ring:1", 1);
		session = tight(opened, WEFT_POLICY_STORAGE, 9);
		unsetenv("WEFT_STORAGE_FAULT");
		run_steps(session, STEPS);
		assert_int_equal(weft_session_digest(session, i ? hex : expected), 0);
		weft_session_free(session);
	}
	assert_string_equal(hex, expected);
	accel_device_unref(opened);
}

static void full_storage_is_refused_up_front(void **state)
{
	struct accel_device *opened = device(1);
	struct weft_session_options options = unlimited(WEFT_POLICY_STORAGE);
	struct weft_session_refusal refusal;
	struct weft_session *session;

	(void)state;
	options.device_bytes = 4096;
	weft_session_new(opened, random_graph(3, 24), &options, &session, &refusal);
	options.device_bytes = refusal.least_device_bytes;
	setenv("WEFT_STORAGE_FAULT", "full:1", 1);
	assert_int_equal(weft_session_new(opened, random_graph(3, 24), &options, &session, &refusal), -ENOSPC);
	unsetenv("WEFT_STORAGE_FAULT");
	assert_non_null(strstr(weft_error(), directory));
	assert_non_null(strstr(weft_error(), "free"));
	/* Not a matter of memory budgets. */
	assert_int_equal(refusal.least_device_bytes, 0);
	accel_device_unref(opened);
}

static void no_storage_directory(void **state)
{
	struct accel_device *opened = device(1);
	struct weft_session_options options = unlimited(WEFT_POLICY_STORAGE);
	struct weft_session_refusal refusal;
	struct weft_session *session;

	(void)state;
	options.device_bytes = 4096;
	weft_session_new(opened, random_graph(3, 24), &options, &session, &refusal);
	options.device_bytes = refusal.least_device_bytes;
	options.storage_dir = "/nonexistent/weft";
	assert_int_equal(weft_session_new(opened, random_graph(3, 24), &options, &session, &refusal), -ENOENT);
	assert_non_null(strstr(weft_error(), "/nonexistent/weft"));
	options.storage_dir = NULL;
	assert_int_equal(weft_session_new(opened, random_graph(3, 24), &options, &session, &refusal), -EINVAL);
	accel_device_unref(opened);
}

static void copy_file(const char *from, const char *to, off_t bytes, off_t flip)
{
	static char data[1 << 22];
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ssize_t n = read(in, data, sizeof(data));

	assert_true(n >= bytes);
	if (flip >= 0)
		data[flip] ^= 4;
	assert_int_equal(write(out, data, (size_t)bytes), bytes);
	close(in);
	close(out);
}

static void checkpoints(void **state)
{
	static const char note[] = "epoch 3";
	char path[128], bad[128], expected[65], hex[65];
	struct accel_device *opened = device(1);
	struct weft_session *session = tight(opened, WEFT_POLICY_AUTO, 5), *other;
	struct weft_session_options options = unlimited(WEFT_POLICY_KEEP);
	struct stat file;
	size_t bytes;
	void *text;

	(void)state;
	snprintf(path, sizeof(path), "%s/a", directory);
	snprintf(bad, sizeof(bad), "%s/bad", directory);
	run_steps(session, 2);
	assert_int_equal(weft_session_save(session, path, note, sizeof(note)), 0);
	assert_int_equal(stat(path, &file), 0);
	run_steps(session, 3);
	assert_int_equal(weft_session_digest(session, expected), 0);

	/* Another plan goes on to the same weights. */
	assert_int_equal(weft_session_new(opened, random_graph(5, 24), &options, &other, NULL), 0);
	assert_int_equal(weft_session_load(other, path, &text, &bytes), 0);
	assert_int_equal(bytes, sizeof(note));
	assert_string_equal(text, note);
	free(text);
	assert_int_equal(weft_session_steps(other), 2);
	run_steps(other, 3);
	assert_int_equal(weft_session_digest(other, hex), 0);
	assert_string_equal(hex, expected);

	/* Damage is refused, and changes nothing. */
	for (off_t at = 0; at < file.st_size; at += file.st_size / 23) {
		copy_file(path, bad, at, -1);
		assert_int_equal(weft_session_load(other, bad, &text, &bytes), -EINVAL);
		assert_null(text);
		copy_file(path, bad, file.st_size, at);
		assert_int_equal(weft_session_load(other, bad, &text, &bytes), -EINVAL);
		assert_int_equal(weft_session_steps(other), 5);
	}
	assert_int_equal(weft_session_digest(other, hex), 0);
	assert_string_equal(hex, expected);
	assert_int_equal(weft_session_load(other, "/nonexistent", &text, &bytes), -ENOENT);
	weft_session_free(other);
	assert_int_equal(weft_session_new(opened, random_graph(6, 24), &options, &other, NULL), 0);
	assert_int_equal(weft_session_load(other, path, &text, &bytes), -EINVAL);
	assert_non_null(strstr(weft_error(), "another model"));
	assert_int_equal(weft_session_save(other, "/nonexistent/x", NULL, 0), -ENOENT);
	weft_session_free(other);
	weft_session_free(session);
	accel_device_unref(opened);
}

static void values_are_read_and_written(void **state)
{
	static const int policies[] = {WEFT_POLICY_KEEP, WEFT_POLICY_HOST, WEFT_POLICY_STORAGE};
	struct accel_device *opened = device(1);

	(void)state;
	for (unsigned int p = 0; p < 3; p++) {
		struct weft_session *session = tight(opened, policies[p], 4);
		const struct weft_graph *graph = weft_session_graph(session);
		char before[65], after[65];
		void *memory;

		feed(session, 0);
		assert_int_equal(weft_session_digest(session, before), 0);
		for (weft_id v = 0; v < graph->values; v++) {
			const struct weft_value *value = &graph->value[v];
			float *data;

			if (value->kind != WEFT_VALUE_WEIGHT || value->base != v || value->whole != WEFT_NO_ID)
				continue;
			assert_null(value->data);
			data = malloc(value->bytes);
			if (weft_session_read(session, value->name, data, value->bytes))
				fail_msg("%s", weft_error());
			data[0] += 1;
			assert_int_equal(weft_session_write(session, value->name, data, value->bytes), 0);
			data[0] -= 1;
			assert_int_equal(weft_session_read(session, value->name, data, value->bytes - 1), -EINVAL);
			free(data);
		}
		assert_int_equal(weft_session_digest(session, after), 0);
		assert_string_not_equal(before, after);
		assert_int_equal(weft_session_read(session, "nothing", &memory, 4), -ENOENT);
		assert_int_equal(weft_session_read(session, "x", &memory, 4), -EINVAL);
		assert_int_equal(weft_session_input(session, "loss", &memory, NULL), -EINVAL);
		assert_int_equal(weft_session_output(session, "x", &memory, 4), -EINVAL);
		weft_session_free(session);
	}
	accel_device_unref(opened);
}

static void events_cover_the_plan(void **state)
{
	struct accel_device *opened = device(1);
	struct weft_session *session = tight(opened, WEFT_POLICY_STORAGE, 7);
	const struct weft_plan *plan = weft_session_plan(session);
	const struct weft_event *event;
	size_t events, expected = 0;

	(void)state;
	assert_int_equal(weft_session_trace(session, true), 0);
	run_steps(session, 2);
	events = weft_session_events(session, &event);
	for (uint32_t i = 0; i < plan->actions; i++)
		expected += plan->action[i].kind != WEFT_ACTION_DROP;
	assert_int_equal(events, expected);
	for (size_t i = 0; i < events; i++)
		assert_true(event[i].end_ns >= event[i].start_ns && event[i].name);
	weft_session_free(session);
	accel_device_unref(opened);
}

static int make_directory(void **state)
{
	(void)state;
	return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
	static const char *const names[] = {"a", "bad", "checkpoint"};
	char path[128];

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
		unlink(path);
	}
	/* Nothing else may be left. */
	return rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_weights_however_planned),
		cmocka_unit_test(small_host_tier_uses_storage),
		cmocka_unit_test(both_budgets_too_small),
		cmocka_unit_test(storage_faults_stop_the_step),
		cmocka_unit_test(failures_after_the_step_are_not_lost),
		cmocka_unit_test(checkpoint_mends_a_stopped_session),
		cmocka_unit_test(training_works_without_io_uring),
		cmocka_unit_test(full_storage_is_refused_up_front),
		cmocka_unit_test(no_storage_directory),
		cmocka_unit_test(checkpoints),
		cmocka_unit_test(values_are_read_and_written),
		cmocka_unit_test(events_cover_the_plan),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
