// SPDX-License-Identifier: MIT
/*
 * Lives of tensors: totals that are kept up to date against totals made anew,
 * and the best life against every life there is.
 */
#include "plan/poet/life.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "random_instance.h"

static const struct random_costs costs = {.most_bytes = 5, .least_page = 1, .pages = 4};

static void prices(struct poet_lives *lives, uint64_t *random)
{
	lives->byte_price = (double)(next_random(random) % 4);
	lives->second_price = (double)(next_random(random) % 3);
}

/* Everything anew from the same rows is the same. */
static void check_totals(const struct poet_lives *lives, const struct weft_poet_options *options)
{
	size_t bytes = (size_t)(lives->state.nodes + 1) * lives->state.words * sizeof(uint64_t);
	size_t columns = (size_t)lives->state.nodes * lives->state.words * sizeof(uint64_t);
	struct poet_lives anew;

	assert_int_equal(poet_lives_init(&anew, lives->instance, options), 0);
	memcpy(anew.state.keep, lives->state.keep, bytes);
	memcpy(anew.state.load, lives->state.load, bytes);
	poet_lives_derive(&anew);
	assert_memory_equal(anew.state.run, lives->state.run, columns);
	assert_memory_equal(anew.run_of, lives->run_of, columns);
	assert_memory_equal(anew.keep_of, lives->keep_of, columns);
	assert_memory_equal(anew.load_of, lives->load_of, columns);
	for (uint32_t t = 0; t < lives->state.nodes; t++) {
		assert_int_equal(anew.state.stage[t].kept, lives->state.stage[t].kept);
		assert_int_equal(anew.state.stage[t].peak, lives->state.stage[t].peak);
	}
	assert_true(anew.joules == lives->joules && anew.seconds == lives->seconds && anew.overflow == lives->overflow);
	poet_lives_clear(&anew);
}

/* One that makes sense or any at all; what is paged in is not there at the start of its stage, but after it. */
static void random_life(const struct poet_lives *lives, uint32_t i, uint64_t *random, uint64_t *life)
{
	enum poet_life_kind kind = next_random(random) % (POET_LIFE_KINDS + 1);
	uint32_t shift = 1 + next_random(random) % 20;

	if (kind < POET_LIFE_KINDS) {
		poet_life_simple(lives, i, kind, life);
		return;
	}
	memset(life, 0, poet_life_words(lives) * sizeof(*life));
	for (uint32_t t = i + 1; t < lives->state.nodes; t++)
		poet_put_bit(life, t, (t / shift + next_random(random) % 5 / 4) % 2);
	for (uint32_t t = i + 2; t < lives->state.nodes; t++)
		if (poet_bit(life, t) && !poet_bit(life, t - 1) && poet_bit(life, i + 1))
			poet_put_bit(life + lives->state.words, t - 1, next_random(random) % 2);
}

static void test_totals(void **state)
{
	static const uint32_t forwards[] = {9, 32, 33, 65, 101};
	uint64_t random = 7;

	(void)state;
	for (size_t f = 0; f < sizeof(forwards) / sizeof(forwards[0]); f++) {
		struct weft_poet_instance *g = random_chain(&random, forwards[f], costs);
		struct weft_poet_options options = {.ram_bytes = (g->least_bytes + g->storeall_bytes) / 2,
						    .time_ratio = 2};
		struct poet_lives lives;
		uint64_t *life;

		assert_int_equal(poet_lives_init(&lives, g, &options), 0);
		poet_lives_derive(&lives);
		life = calloc(poet_life_words(&lives), sizeof(*life));
		for (uint32_t step = 0; step < 600; step++) {
			uint32_t i = (uint32_t)(next_random(&random) % (g->nodes - 1));

			if (step % 2) {
				prices(&lives, &random);
				poet_life_replan(&lives, i);
			} else {
				random_life(&lives, i, &random, life);
				poet_life_apply(&lives, i, life);
			}
			check_totals(&lives, &options);
		}
		free(life);
		poet_lives_clear(&lives);
		weft_poet_free(g);
	}
}

/* Is @i computed for later in a stage where not all that it reads is kept?  That is not looked for. */
static bool is_far_fetched(const struct poet_lives *lives, uint32_t i)
{
	const struct weft_poet_adjacency *input = &lives->instance->input, *reader = &lives->instance->reader;
	uint64_t odd = lives->run_of[i] & ~(UINT64_C(1) << i), kept = ~UINT64_C(0);

	for (uint32_t e = reader->start[i]; e < reader->start[i + 1]; e++)
		odd &= ~lives->run_of[reader->item[e]];
	for (uint32_t e = input->start[i]; e < input->start[i + 1]; e++)
		kept &= lives->keep_of[input->item[e]];
	return odd & ~kept;
}

/* The least price over all lives of @i: each set of stages, and each way of coming back. */
static double least_price(struct poet_lives *lives, uint32_t i)
{
	uint32_t words = lives->state.words, length = lives->state.nodes - i - 1;
	uint64_t life[2 * words];
	double least = INFINITY;

	assert_int_equal(words, 1);
	for (uint64_t keep = 0; keep < UINT64_C(1) << length; keep++) {
		uint64_t back, loads = 0;

		life[0] = keep << (i + 1);
		back = (life[0] >> 1) & ~life[0] & ~(UINT64_C(1) << i);
		/* There is nothing to page in before it was in RAM. */
		if (life[0])
			back &= ~(UINT64_C(1) << __builtin_ctzll(life[0]) >> 1);
		do {
			life[1] = loads;
			poet_life_apply(lives, i, life);
			if (!is_far_fetched(lives, i))
				least = fmin(least, poet_lives_price(lives));
			loads = (loads - back) & back;
		} while (loads);
	}
	return least;
}

/* Leaving out what nothing reads makes nothing worse, and leaves nothing to leave out. */
static void test_trim(void **state)
{
	uint64_t random = 13;
	uint32_t trimmed = 0;

	(void)state;
	for (uint32_t round = 0; round < 40; round++) {
		struct weft_poet_instance *g = random_chain(&random, 9 + round, costs);
		struct weft_poet_options options = {.ram_bytes = (g->least_bytes + g->storeall_bytes) / 2};
		struct weft_poet_schedule *schedule;
		struct weft_poet_measure measure;
		struct poet_lives lives;
		uint64_t *life;
		double before;

		assert_int_equal(poet_lives_init(&lives, g, &options), 0);
		poet_lives_derive(&lives);
		lives.byte_price = 1;
		life = calloc(poet_life_words(&lives), sizeof(*life));
		for (uint32_t i = 0; i + 1 < g->nodes; i++) {
			random_life(&lives, i, &random, life);
			poet_life_apply(&lives, i, life);
		}
		for (uint32_t pass = 0; pass < 2; pass++) {
			before = poet_lives_price(&lives);
			for (uint32_t i = g->nodes; i-- > 0;)
				poet_life_trim(&lives, i);
			assert_true(poet_lives_price(&lives) <= before);
			trimmed += pass == 0 && poet_lives_price(&lives) < before;
			assert_true(pass == 0 || poet_lives_price(&lives) == before);
			check_totals(&lives, &options);
		}
		schedule = poet_state_schedule(&lives.state);
		assert_int_equal(weft_poet_check(g, schedule, UINT64_MAX / 2, 0, &measure), 0);
		assert_true(measure.joules == lives.joules);
		weft_poet_schedule_free(schedule);
		free(life);
		poet_lives_clear(&lives);
		weft_poet_free(g);
	}
	assert_true(trimmed > 20);
}

static void test_replan_is_best(void **state)
{
	uint64_t random = 11;
	uint32_t paged = 0, again = 0, kept = 0;

	(void)state;
	for (uint32_t round = 0; round < 60; round++) {
		struct weft_poet_instance *g = random_chain(&random, 4 + round % 3, costs);
		struct weft_poet_options options = {.ram_bytes = g->least_bytes + next_random(&random) % 4};
		struct poet_lives lives;
		uint64_t *life;

		assert_int_equal(poet_lives_init(&lives, g, &options), 0);
		poet_lives_derive(&lives);
		life = calloc(poet_life_words(&lives), sizeof(*life));
		for (uint32_t step = 0; step < 60; step++) {
			uint32_t i = (uint32_t)(next_random(&random) % (g->nodes - 1));
			double price;

			lives.byte_price = (double)(next_random(&random) % 4);
			random_life(&lives, i, &random, life);
			poet_life_apply(&lives, i, life);
			if (step % 4)
				continue;
			i = (uint32_t)(next_random(&random) % (g->nodes - 1));
			poet_life_replan(&lives, i);
			paged += lives.load_of[i] != 0;
			again += (lives.run_of[i] & (lives.run_of[i] - 1)) != 0;
			kept += lives.keep_of[i] != 0;
			price = poet_lives_price(&lives);
			assert_true(price <= least_price(&lives, i));
		}
		free(life);
		poet_lives_clear(&lives);
		weft_poet_free(g);
	}
	printf("best lives: %u kept for a while, %u paged in, %u computed again\n", kept, paged, again);
	assert_true(paged > 20 && again > 100 && kept > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_totals),
		cmocka_unit_test(test_trim),
		cmocka_unit_test(test_replan_is_best),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
