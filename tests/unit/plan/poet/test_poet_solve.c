// SPDX-License-Identifier: MIT
/*
 * The POET solver against exhaustive search on small random graphs.  The
 * exhaustive search is Dijkstra over (stage, set in RAM, set in storage): it
 * tries every row of every matrix that could matter, written anew here.
 */
#include "plan/poet/poet.h"

#include "weft/error.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "random_instance.h"

#define MOST 6

/* Level of one stage by the rules; UINT64_MAX if an input is missing. */
static uint64_t stage_peak(const struct weft_poet_instance *g, uint32_t t, uint32_t s, uint32_t r, uint32_t next)
{
	uint64_t level = 0, peak = 0;

	for (uint32_t i = 0; i < t; i++)
		level += s >> i & 1 ? g->node[i].bytes : 0;
	for (uint32_t k = 0; k <= t; k++) {
		if (!(r >> k & 1))
			continue;
		level += g->node[k].bytes;
		peak = level > peak ? level : peak;
		for (uint32_t e = g->input.start[k]; e < g->input.start[k + 1]; e++) {
			uint32_t i = g->input.item[e];
			bool later = false;

			if (!((s | r) >> i & 1))
				return UINT64_MAX;
			for (uint32_t f = g->reader.start[i]; f < g->reader.start[i + 1]; f++)
				later |= g->reader.item[f] > k && g->reader.item[f] <= t && r >> g->reader.item[f] & 1;
			if (!later && !(next >> i & 1))
				level -= g->node[i].bytes;
		}
	}
	return peak;
}

/* Least energy without a time limit, INFINITY if infeasible: value iteration backwards over (S, D). */
static double exhaustive(const struct weft_poet_instance *g, uint64_t ram)
{
	uint32_t n = g->nodes, sets = 1u << n;
	double *now = malloc(sizeof(double) * sets * sets), *then = calloc(sets * sets, sizeof(double));
	double best;

	for (uint32_t t = n; t-- > 0;) {
		for (uint32_t i = 0; i < sets * sets; i++)
			now[i] = INFINITY;
		for (uint32_t s = 0; s < 1u << t; s++) {
			for (uint32_t r = 0; r < 1u << t; r++) {
				for (uint32_t next = 0; next < 2u << t; next++) {
					uint32_t run = r | 1u << t;
					double joules = 0;

					if (stage_peak(g, t, s, run, next) > ram)
						continue;
					for (uint32_t i = 0; i <= t; i++)
						joules += run >> i & 1 ? g->node[i].compute_joules : 0;
					for (uint32_t d = 0; d < 1u << t; d++) {
						uint32_t load = next & ~(s | run);
						double moved = joules;

						if (load & ~d)
							continue;
						for (uint32_t i = 0; i <= t; i++)
							moved += load >> i & 1 ? g->node[i].pagein_joules : 0;
						/* Page out any subset of what is in RAM and not stored. */
						for (uint32_t out = s & ~d;; out = (out - 1) & s & ~d) {
							double all = moved + then[(next % sets) * sets + (d | out)];

							for (uint32_t i = 0; i < t; i++)
								all += out >> i & 1 ? g->node[i].pageout_joules : 0;
							if (all < now[s * sets + d])
								now[s * sets + d] = all;
							if (!out)
								break;
						}
					}
				}
			}
		}
		memcpy(then, now, sizeof(double) * sets * sets);
	}
	best = then[0];
	free(now);
	free(then);
	return best;
}

static struct weft_poet_instance *random_instance(uint64_t *random, uint32_t nodes)
{
	struct weft_poet_node node[MOST];
	struct weft_poet_edge edge[MOST * MOST];
	struct weft_poet_instance *instance;
	size_t edges = 0;

	for (uint32_t i = 0; i < nodes; i++) {
		node[i] = (struct weft_poet_node){.bytes = 1 + next_random(random) % 8,
						  .seconds = (double)(1 + next_random(random) % 5),
						  .compute_joules = (double)(next_random(random) % 20),
						  .pageout_joules = (double)(next_random(random) % 12),
						  .pagein_joules = (double)(next_random(random) % 12)};
		/* A chain, read again in reverse as a backward pass does, and now and then something else. */
		for (uint32_t u = 0; u < i; u++)
			if (u + 1 == i || u + i + 1 == nodes || next_random(random) % 6 == 0)
				edge[edges++] = (struct weft_poet_edge){u, i};
	}
	assert_int_equal(weft_poet_build("random", node, nodes, edge, edges, &instance), 0);
	return instance;
}

static void test_against_exhaustive(void **state)
{
	uint64_t random = 1;
	uint32_t dear = 0, infeasible = 0;

	(void)state;
	for (uint32_t round = 0; round < 40; round++) {
		struct weft_poet_instance *g = random_instance(&random, 5);

		for (uint64_t ram = g->least_bytes; ram <= g->storeall_bytes; ram++) {
			struct weft_poet_options options = {.ram_bytes = ram, .iterations = 2000, .seed = round};
			struct weft_poet_result result;
			double least = exhaustive(g, ram);

			assert_int_equal(weft_poet_solve(g, &options, &result), 0);
			dear += least > g->base_joules && least < INFINITY;
			infeasible += least == INFINITY;
			if (least == INFINITY) {
				assert_int_not_equal(result.status, WEFT_POET_FEASIBLE);
			} else {
				assert_int_equal(result.status, WEFT_POET_FEASIBLE);
				if (fabs(result.joules - least) > 1e-9)
					fail_msg("round %u, %lu bytes: %g J, least %g J", round, (unsigned long)ram,
						 result.joules, least);
				assert_true(result.bound_joules <= least + 1e-9);
				assert_true(result.overhead_gap <= 1e-3);
			}
			weft_poet_result_clear(&result);
		}
		weft_poet_free(g);
	}
	/* Worth something only if budgets mattered. */
	assert_true(dear >= 50);
	printf("%u budgets cost energy, %u are infeasible\n", dear, infeasible);
}

static void test_plain_refusals(void **state)
{
	uint64_t random = 7;
	struct weft_poet_instance *g = random_instance(&random, 5);
	struct weft_poet_options options = {.ram_bytes = g->least_bytes - 1};
	struct weft_poet_result result;

	(void)state;
	assert_int_equal(weft_poet_solve(g, &options, &result), 0);
	assert_int_equal(result.status, WEFT_POET_INFEASIBLE);
	assert_int_equal(result.least_bytes, g->least_bytes);
	options = (struct weft_poet_options){.ram_bytes = g->storeall_bytes, .time_ratio = 0.9};
	assert_int_equal(weft_poet_solve(g, &options, &result), 0);
	assert_int_equal(result.status, WEFT_POET_INFEASIBLE);
	options.time_ratio = NAN;
	assert_int_equal(weft_poet_solve(g, &options, &result), -EINVAL);
	options = (struct weft_poet_options){.ram_bytes = 1, .seconds = -1};
	assert_int_equal(weft_poet_solve(g, &options, &result), -EINVAL);
	weft_poet_free(g);
}

/* The same options give the same schedule, to the bit, and bound; with a limit on steps time plays no part. */
static void test_deterministic(void **state)
{
	uint64_t random = 11;

	(void)state;
	for (uint64_t seed = 0; seed < 6; seed++) {
		struct weft_poet_instance *g = random_instance(&random, 6);
		struct weft_poet_options options = {
			.ram_bytes = g->least_bytes + 1, .time_ratio = 3, .iterations = 500, .seed = seed};
		struct weft_poet_result one, two;

		assert_int_equal(weft_poet_solve(g, &options, &one), 0);
		options.seconds = 100; /* more time changes nothing */
		assert_int_equal(weft_poet_solve(g, &options, &two), 0);
		assert_int_equal(one.status, two.status);
		assert_memory_equal(&one.joules, &two.joules, sizeof(one.joules));
		assert_memory_equal(&one.bound_joules, &two.bound_joules, sizeof(one.bound_joules));
		if (one.status == WEFT_POET_FEASIBLE)
			assert_memory_equal(one.schedule->compute, two.schedule->compute,
					    5 * sizeof(uint64_t) * one.schedule->nodes * one.schedule->row_words);
		weft_poet_result_clear(&one);
		weft_poet_result_clear(&two);
		weft_poet_free(g);
	}
}

static void test_everything_fits(void **state)
{
	uint64_t random = 9;
	struct weft_poet_instance *g = random_instance(&random, 6);
	struct weft_poet_options options = {.ram_bytes = g->storeall_bytes, .time_ratio = 1};
	struct weft_poet_result result;

	(void)state;
	assert_int_equal(weft_poet_solve(g, &options, &result), 0);
	assert_int_equal(result.status, WEFT_POET_FEASIBLE);
	assert_float_equal(result.joules, g->base_joules, 1e-12);
	assert_float_equal(result.overhead_gap, 0, 0);
	assert_int_equal(result.measure.computations, 6);
	weft_poet_result_clear(&result);
	weft_poet_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_exhaustive),
		cmocka_unit_test(test_plain_refusals),
		cmocka_unit_test(test_deterministic),
		cmocka_unit_test(test_everything_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
