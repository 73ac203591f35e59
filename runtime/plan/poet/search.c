// SPDX-License-Identifier: MIT
/*
 * Local search for POET schedules.
 *
 * One move replans one tensor over its whole life with all others fixed (see
 * life.h), where bytes and seconds above the budgets are bought at a price.
 * The prices rise while the state is infeasible and fall while it is feasible.
 * A step forgets a few related tensors and replans them one by one, and is
 * taken back unless the result is about as good (simulated annealing).
 */
#include "plan/poet/life.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_RUINED 12
/* Steps from hot to cold: at least so many, and so many for each node that has a choice. */
#define LEAST_CYCLE 6000
#define CYCLE_PER_NODE 10

struct poet_search {
	struct poet_lives now;
	const struct weft_poet_instance *instance;
	double base_byte_price, base_second_price;
	double best_joules;
	uint64_t *best_keep, *best_load;
	uint64_t random;
	uint64_t step, best_step; /* steps in all, and when the best was found */
	uint64_t cycle;		  /* steps from hot to cold */
	double temperature;
	uint32_t *candidate, candidates; /* nodes whose life has a choice */
	/* Their lives as they were before the present step. */
	uint32_t ruined[MOST_RUINED], ruins;
	uint64_t *saved, *life;
	int infeasible_run, feasible_run;
	uint32_t sweep_node;
};

static uint64_t next_random(struct poet_search *s)
{
	uint64_t z = s->random += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static uint32_t random_below(struct poet_search *s, uint32_t n)
{
	return (uint32_t)(next_random(s) % n);
}

static double random_unit(struct poet_search *s)
{
	return (double)(next_random(s) >> 11) * 0x1p-53;
}

static uint64_t *saved_life(struct poet_search *s, uint32_t r)
{
	return s->saved + r * poet_life_words(&s->now);
}

static size_t matrix_bytes(const struct poet_search *s)
{
	return (size_t)(s->now.state.nodes + 1) * s->now.state.words * sizeof(uint64_t);
}

static void keep_best(struct poet_search *s)
{
	if (!poet_lives_feasible(&s->now) || s->now.joules >= s->best_joules * (1 - 1e-12))
		return;
	poet_lives_recount(&s->now);
	if (!poet_lives_feasible(&s->now) || s->now.joules >= s->best_joules)
		return;
	s->best_joules = s->now.joules;
	s->best_step = s->step;
	memcpy(s->best_keep, s->now.state.keep, matrix_bytes(s));
	memcpy(s->best_load, s->now.state.load, matrix_bytes(s));
}

/* From the start: everything kept until its last reader, then prices raised sweep by sweep until it fits. */
static void start_state(struct poet_search *s)
{
	for (uint32_t i = 0; i < s->now.state.nodes; i++)
		for (uint32_t t = i + 1; t <= s->now.last[i]; t++)
			poet_put_bit(poet_row(&s->now.state, s->now.state.keep, t), i, true);
	poet_lives_derive(&s->now);
	s->now.byte_price = s->base_byte_price * 1e-3;
}

static void adapt_prices(struct poet_search *s)
{
	bool good = poet_lives_feasible(&s->now);

	s->feasible_run = good ? s->feasible_run + 1 : 0;
	s->infeasible_run = good ? 0 : s->infeasible_run + 1;
	if (s->infeasible_run >= 20) {
		if (s->now.overflow >= 0.5 && s->now.byte_price < 1e9 * s->base_byte_price)
			s->now.byte_price *= 1.3;
		if (s->now.seconds > s->now.most_seconds && s->now.second_price < 1e9 * s->base_second_price)
			s->now.second_price = s->now.second_price * 1.3 + 1e-3 * s->base_second_price;
		s->infeasible_run = 0;
	}
	if (s->feasible_run >= 20) {
		if (s->now.byte_price > 1e-3 * s->base_byte_price)
			s->now.byte_price /= 1.2;
		s->now.second_price /= 1.2;
		if (s->now.second_price < 1e-3 * s->base_second_price)
			s->now.second_price = 0;
		s->feasible_run = 0;
	}
}

static void add_ruin(struct poet_search *s, uint32_t i, uint32_t most)
{
	if (s->ruins >= most || i >= s->now.state.nodes || s->now.last[i] <= i)
		return;
	for (uint32_t r = 0; r < s->ruins; r++)
		if (s->ruined[r] == i)
			return;
	s->ruined[s->ruins++] = i;
}

static void choose_ruins(struct poet_search *s)
{
	const struct weft_poet_adjacency *input = &s->instance->input, *reader = &s->instance->reader;
	uint32_t most = 1 + random_below(s, MOST_RUINED - 1), kind = random_below(s, 4);
	uint32_t seed = s->candidate[random_below(s, s->candidates)];

	s->ruins = 0;
	add_ruin(s, seed, most);
	for (uint32_t tries = 0; tries < 4 * most && s->ruins < most; tries++) {
		uint32_t i = s->ruined[random_below(s, s->ruins)];

		if (kind == 0) {
			add_ruin(s, seed + random_below(s, 2 * most + 1) - most, most);
		} else if (kind == 1) {
			uint32_t ins = input->start[i + 1] - input->start[i],
				 outs = reader->start[i + 1] - reader->start[i];
			uint32_t pick = random_below(s, ins + outs + 1);

			if (pick < ins)
				add_ruin(s, input->item[input->start[i] + pick], most);
			else if (pick < ins + outs)
				add_ruin(s, reader->item[reader->start[i] + pick - ins], most);
		} else if (kind == 2) {
			add_ruin(s, s->candidate[random_below(s, s->candidates)], most);
		} else {
			add_ruin(s, seed + tries + 1, most);
		}
	}
}

static void shuffle_ruins(struct poet_search *s)
{
	for (uint32_t r = s->ruins; r > 1; r--) {
		uint32_t other = random_below(s, r), held = s->ruined[r - 1];

		s->ruined[r - 1] = s->ruined[other];
		s->ruined[other] = held;
	}
}

/* Forget lives and replan them. */
static void replan_ruins(struct poet_search *s, enum poet_life_kind kind)
{
	uint32_t original[MOST_RUINED];

	memcpy(original, s->ruined, sizeof(original));
	for (uint32_t r = 0; r < s->ruins; r++) {
		poet_life_simple(&s->now, s->ruined[r], kind, s->life);
		poet_life_apply(&s->now, s->ruined[r], s->life);
	}
	for (uint32_t pass = 0; pass < 2; pass++) {
		shuffle_ruins(s);
		for (uint32_t r = 0; r < s->ruins; r++) {
			poet_life_replan(&s->now, s->ruined[r]);
			keep_best(s);
		}
		if (s->ruins == 1)
			break;
	}
	memcpy(s->ruined, original, sizeof(original));
}

static void step(struct poet_search *s)
{
	double before = poet_lives_price(&s->now), after;
	uint32_t kind = random_below(s, POET_LIFE_KINDS);

	choose_ruins(s);
	for (uint32_t r = 0; r < s->ruins; r++)
		poet_life_read(&s->now, s->ruined[r], saved_life(s, r));
	if (s->ruins > 1 || kind != POET_LIFE_WHERE_READ)
		replan_ruins(s, kind);
	else
		poet_life_replan(&s->now, s->ruined[0]);
	after = poet_lives_price(&s->now);
	keep_best(s);
	if (after > before + 1e-15 * before && random_unit(s) >= exp((before - after) / s->temperature))
		for (uint32_t r = 0; r < s->ruins; r++)
			poet_life_apply(&s->now, s->ruined[r], saved_life(s, r));
	adapt_prices(s);
	if (s->step % 4096 == 0)
		poet_lives_recount(&s->now);
}

/* First sweeps: each node in turn, prices raised until a sweep ends feasible or they are high. */
static bool sweeping(const struct poet_search *s)
{
	return s->best_joules == INFINITY && s->now.byte_price < 1e5 * s->base_byte_price;
}

static void sweep_step(struct poet_search *s)
{
	poet_life_replan(&s->now, s->candidate[s->sweep_node]);
	keep_best(s);
	if (++s->sweep_node == s->candidates) {
		s->sweep_node = 0;
		s->now.byte_price *= 1.5;
		if (s->now.seconds > s->now.most_seconds)
			s->now.second_price = s->now.second_price * 1.5 + 1e-2 * s->base_second_price;
	}
}

/* Go back to the best state found. */
static void restart(struct poet_search *s)
{
	memcpy(s->now.state.keep, s->best_keep, matrix_bytes(s));
	memcpy(s->now.state.load, s->best_load, matrix_bytes(s));
	poet_lives_derive(&s->now);
}

void poet_search_seed(struct poet_search *s, const uint64_t *keep, const uint64_t *load)
{
	memcpy(s->now.state.keep, keep, matrix_bytes(s));
	memcpy(s->now.state.load, load, matrix_bytes(s));
	poet_lives_derive(&s->now);
	/* On from the cool half of a cycle that does not begin at the best state. */
	s->step = ((s->step / s->cycle + 1) | 1) * s->cycle + s->cycle / 2;
}

/* Cool from a part of the overhead to almost nothing, over and over, from a different part each time. */
static void cool(struct poet_search *s)
{
	static const double heat[] = {0.01, 0.003, 0.05, 0.02};
	uint64_t cycle = s->step / s->cycle;
	double overhead = s->now.joules, part = (double)(s->step % s->cycle) / (double)s->cycle;

	if (s->best_joules < INFINITY) {
		overhead = s->best_joules - s->instance->base_joules;
		if (s->step % s->cycle == 0 && cycle % 2 == 0)
			restart(s);
	}
	s->temperature = fmax(overhead * heat[cycle % 4] * pow(1e-4, part), 1e-300);
}

/* Found nothing for much longer than it took to find the best. */
static bool stalled(const struct poet_search *s)
{
	return s->best_joules < INFINITY && s->step > 4 * s->best_step + 3 * s->cycle + 2000;
}

void poet_search_run(struct poet_search *s, double until, uint64_t steps, double target, bool stop_stalled)
{
	uint64_t done = 0;

	keep_best(s);
	while (s->candidates && s->best_joules > target && (!steps || done < steps) && !(stop_stalled && stalled(s))) {
		double now;

		if (sweeping(s))
			sweep_step(s);
		else
			step(s);
		s->step++;
		done++;
		now = steps ? 0 : poet_clock();
		if (!steps && now >= until)
			break;
		cool(s);
	}
}

double poet_search_best(const struct poet_search *s)
{
	return s->best_joules;
}

struct weft_poet_schedule *poet_search_schedule(struct poet_search *s)
{
	restart(s);
	/* The best can be from the middle of a step, where something may lie there for nothing. */
	for (uint32_t i = s->now.state.nodes; i-- > 0;)
		poet_life_trim(&s->now, i);
	return poet_state_schedule(&s->now.state);
}

static void set_prices(struct poet_search *s)
{
	double joules = 0, bytes = 0;

	for (uint32_t i = 0; i < s->now.state.nodes; i++) {
		const struct weft_poet_node *node = &s->instance->node[i];

		joules += node->pageout_joules + node->pagein_joules;
		bytes += (double)node->bytes;
	}
	s->base_byte_price = joules > 0 && bytes > 0 ? joules / bytes : 1;
	s->now.byte_price = s->base_byte_price;
	s->base_second_price = s->instance->base_seconds > 0 ? s->instance->base_joules / s->instance->base_seconds : 1;
	if (s->base_second_price <= 0)
		s->base_second_price = 1;
}

struct poet_search *poet_search_new(const struct weft_poet_instance *instance, const struct weft_poet_options *options)
{
	struct poet_search *s = calloc(1, sizeof(*s));
	uint32_t nodes = instance->nodes;

	if (!s)
		return NULL;
	if (poet_lives_init(&s->now, instance, options)) {
		free(s);
		return NULL;
	}
	s->instance = instance;
	s->best_joules = INFINITY;
	s->random = options->seed;
	s->temperature = 1e-300;
	s->best_keep = calloc(1, matrix_bytes(s));
	s->best_load = calloc(1, matrix_bytes(s));
	s->candidate = calloc(nodes, sizeof(*s->candidate));
	s->saved = calloc(MOST_RUINED * poet_life_words(&s->now), sizeof(uint64_t));
	s->life = calloc(poet_life_words(&s->now), sizeof(uint64_t));
	if (!s->best_keep || !s->best_load || !s->candidate || !s->saved || !s->life) {
		poet_search_free(s);
		return NULL;
	}
	for (uint32_t i = 0; i < nodes; i++)
		if (s->now.last[i] > i)
			s->candidate[s->candidates++] = i;
	s->cycle = CYCLE_PER_NODE * (uint64_t)s->candidates;
	if (s->cycle < LEAST_CYCLE)
		s->cycle = LEAST_CYCLE;
	set_prices(s);
	start_state(s);
	return s;
}

void poet_search_free(struct poet_search *s)
{
	if (!s)
		return;
	poet_lives_clear(&s->now);
	free(s->best_keep);
	free(s->best_load);
	free(s->candidate);
	free(s->saved);
	free(s->life);
	free(s);
}
