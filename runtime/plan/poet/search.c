// SPDX-License-Identifier: MIT
/*
 * Local search for POET schedules.
 *
 * One move replans one tensor over its whole life with all others fixed: a
 * dynamic program over (in RAM, in storage) per stage finds the best of
 * keeping, paging and computing again, at the true cost of every stage, where
 * bytes and seconds above the budgets are bought at a price.  The prices rise
 * while the state is infeasible and fall while it is feasible.  A step forgets
 * a few related tensors and replans them one by one, and is taken back unless
 * the result is about as good (simulated annealing).
 */
#include "plan/poet/solver.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The dynamic program's states at the start of a stage. */
enum { IN_RAM = 1, IN_STORAGE = 2, STATES = 4 };
/* How a tensor comes to be in RAM at the start of the next stage. */
enum { BY_NOTHING, BY_KEEPING, BY_COMPUTING, BY_LOADING };

struct step {
	double cost[STATES];
	uint8_t from[STATES], by[STATES];
};

#define MOST_RUINED 12
/* Steps from hot to cold. */
#define CYCLE 6000

struct poet_search {
	struct poet_state state;
	const struct weft_poet_instance *instance;
	uint64_t ram_bytes;
	double most_seconds; /* INFINITY for none */
	uint32_t *loads;     /* per node, how often it is paged in */
	uint32_t *last;	     /* per node, last stage that reads it for the first time */
	double joules, seconds,
		overflow; /* of the present state; overflow: sum over stages of bytes above the budget */
	double byte_price, second_price, base_byte_price, base_second_price;
	double best_joules;
	uint64_t *best_keep, *best_load;
	uint64_t random;
	uint64_t step, best_step; /* steps in all, and when the best was found */
	double temperature;
	struct step *plan;
	uint64_t *scratch;		 /* a row */
	uint32_t *candidate, candidates; /* nodes whose life has a choice */
	/* Columns as they were before the present step. */
	uint32_t ruined[MOST_RUINED], ruins;
	uint8_t *saved;
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

static double page_joules(const struct poet_search *s, uint32_t i)
{
	const struct weft_poet_node *node = &s->instance->node[i];

	return s->loads[i] ? node->pageout_joules + s->loads[i] * node->pagein_joules : 0;
}

static double excess(const struct poet_search *s, uint64_t peak)
{
	return peak > s->ram_bytes ? (double)(peak - s->ram_bytes) : 0;
}

static double stage_price(const struct poet_search *s, const struct poet_stage *stage, uint64_t peak)
{
	return stage->joules + s->second_price * stage->seconds + s->byte_price * excess(s, peak);
}

static double total_price(const struct poet_search *s)
{
	double late = s->seconds > s->most_seconds ? s->seconds - s->most_seconds : 0;

	return s->joules + s->byte_price * s->overflow + s->second_price * late;
}

static void account(struct poet_search *s, uint32_t t, double sign)
{
	const struct poet_stage *stage = &s->state.stage[t];

	s->joules += sign * stage->joules;
	s->seconds += sign * stage->seconds;
	s->overflow += sign * excess(s, stage->peak);
}

/* Totals anew, free of the rounding that updates pile up. */
static void recount(struct poet_search *s)
{
	s->joules = s->seconds = s->overflow = 0;
	for (uint32_t t = 0; t < s->state.nodes; t++)
		account(s, t, 1);
	for (uint32_t i = 0; i < s->state.nodes; i++)
		s->joules += page_joules(s, i);
}

static bool run_reads(const struct poet_search *s, uint32_t t, uint32_t i)
{
	const struct weft_poet_adjacency *reader = &s->instance->reader;
	const uint64_t *run = poet_row(&s->state, s->state.run, t);

	for (uint32_t e = reader->start[i]; e < reader->start[i + 1]; e++)
		if (reader->item[e] <= t && poet_bit(run, reader->item[e]))
			return true;
	return false;
}

/* Could @i be computed in stage @t without computing anything else that is not there already? */
static bool inputs_present(const struct poet_search *s, uint32_t t, uint32_t i)
{
	const struct weft_poet_adjacency *input = &s->instance->input;
	const uint64_t *keep = poet_row(&s->state, s->state.keep, t), *run = poet_row(&s->state, s->state.run, t);

	for (uint32_t e = input->start[i]; e < input->start[i + 1]; e++)
		if (!poet_bit(keep, input->item[e]) && !poet_bit(run, input->item[e]))
			return false;
	return true;
}

/* What stage @t costs for each way in which @i can pass through it. */
struct passage {
	double absent, leaves, stays, computed; /* 0 -> 0, 1 -> 0, 1 -> 1, 0 -> 1 by computing */
};

static double evaluate_with(struct poet_search *s, uint32_t t, uint32_t i, bool before, bool after)
{
	struct poet_stage stage;

	poet_put_bit(poet_row(&s->state, s->state.keep, t), i, before);
	poet_put_bit(poet_row(&s->state, s->state.keep, t + 1), i, after);
	stage = poet_state_evaluate(&s->state, t, s->scratch);
	return stage_price(s, &stage, stage.peak);
}

static struct passage price_passage(struct poet_search *s, uint32_t t, uint32_t i)
{
	uint64_t *keep = poet_row(&s->state, s->state.keep, t), *next = poet_row(&s->state, s->state.keep, t + 1);
	uint64_t *load = poet_row(&s->state, s->state.load, t);
	const struct poet_stage *stage = &s->state.stage[t];
	bool before = poet_bit(keep, i), after = poet_bit(next, i), loaded = poet_bit(load, i);
	bool runs = poet_bit(poet_row(&s->state, s->state.run, t), i);
	bool involved = runs || run_reads(s, t, i);
	struct passage p;

	poet_put_bit(load, i, false);
	if (involved) {
		p.absent = evaluate_with(s, t, i, false, false);
		p.leaves = evaluate_with(s, t, i, true, false);
		p.stays = evaluate_with(s, t, i, true, true);
		p.computed = evaluate_with(s, t, i, false, true);
	} else {
		/* Nothing in this stage asks for it: it only lies there. */
		uint64_t bytes = s->instance->node[i].bytes, peak = stage->peak - (before ? bytes : 0);

		p.absent = stage_price(s, stage, peak);
		p.leaves = p.stays = stage_price(s, stage, peak + bytes);
		p.computed = inputs_present(s, t, i) ? evaluate_with(s, t, i, false, true) : INFINITY;
	}
	poet_put_bit(keep, i, before);
	poet_put_bit(next, i, after);
	poet_put_bit(load, i, loaded);
	return p;
}

static void relax(struct step *step, uint32_t to, double cost, uint32_t from, uint8_t by)
{
	if (cost < step->cost[to]) {
		step->cost[to] = cost;
		step->from[to] = (uint8_t)from;
		step->by[to] = by;
	}
}

/* Last stage in which @i matters now, or could. */
static uint32_t end_of_life(const struct poet_search *s, uint32_t i)
{
	for (uint32_t t = s->state.nodes - 1; t > s->last[i]; t--)
		if (poet_bit(poet_row(&s->state, s->state.run, t), i) ||
		    poet_bit(poet_row(&s->state, s->state.keep, t), i))
			return t;
	return s->last[i];
}

/* Forward pass: plan[t] holds the least cost of reaching each state at the start of stage t. */
static void price_life(struct poet_search *s, uint32_t i, uint32_t end)
{
	const struct weft_poet_node *node = &s->instance->node[i];

	s->plan[i + 1] = (struct step){.cost = {0, 0, INFINITY, INFINITY}};
	for (uint32_t t = i + 1; t <= end; t++) {
		const struct passage p = price_passage(s, t, i);
		const double *cost = s->plan[t].cost;
		struct step *to = &s->plan[t + 1];

		*to = (struct step){.cost = {INFINITY, INFINITY, INFINITY, INFINITY}};
		for (uint32_t x = 0; x < STATES; x++) {
			uint32_t stored = x & IN_STORAGE;

			if (cost[x] == INFINITY)
				continue;
			if (x & IN_RAM) {
				relax(to, stored, cost[x] + p.leaves, x, BY_NOTHING);
				relax(to, stored | IN_RAM, cost[x] + p.stays, x, BY_KEEPING);
				if (!stored) {
					relax(to, IN_STORAGE, cost[x] + p.leaves + node->pageout_joules, x, BY_NOTHING);
					relax(to, IN_STORAGE | IN_RAM, cost[x] + p.stays + node->pageout_joules, x,
					      BY_KEEPING);
				}
			} else {
				relax(to, stored, cost[x] + p.absent, x, BY_NOTHING);
				relax(to, stored | IN_RAM, cost[x] + p.computed, x, BY_COMPUTING);
				if (stored)
					relax(to, stored | IN_RAM, cost[x] + p.absent + node->pagein_joules, x,
					      BY_LOADING);
			}
		}
	}
}

/* Change what happens to @i in stage @t; the stages touched are accounted again. */
static void set_passage(struct poet_search *s, uint32_t t, uint32_t i, bool after, bool loaded)
{
	uint64_t *next = poet_row(&s->state, s->state.keep, t + 1), *load = poet_row(&s->state, s->state.load, t);

	if (poet_bit(load, i) != loaded) {
		s->joules -= page_joules(s, i);
		s->loads[i] += loaded ? 1 : -1u;
		s->joules += page_joules(s, i);
	}
	poet_put_bit(next, i, after);
	poet_put_bit(load, i, loaded);
}

/*
 * Give @i the life in @life: per stage from i + 1 on, bit 0: in RAM at its
 * start, bit 1: paged in during it.  Only stages whose rows change are evaluated.
 */
static void apply_life(struct poet_search *s, uint32_t i, uint32_t end, const uint8_t *life)
{
	bool changed = false; /* keep[t] differs from before */

	if (i + 1 > end)
		return;
	for (uint32_t t = i; t <= end; t++) {
		bool after = t < end && (life[t + 1] & 1), loaded = t > i && (life[t] & 2);
		bool was = poet_bit(poet_row(&s->state, s->state.keep, t + 1), i);
		bool differs = was != after || poet_bit(poet_row(&s->state, s->state.load, t), i) != loaded;

		if (differs || changed) {
			account(s, t, -1);
			set_passage(s, t, i, after, loaded);
			poet_state_update(&s->state, t);
			account(s, t, 1);
		}
		changed = was != after;
	}
}

static void read_life(const struct poet_search *s, uint32_t i, uint8_t *life)
{
	for (uint32_t t = i + 1; t < s->state.nodes; t++)
		life[t] = (uint8_t)(poet_bit(poet_row(&s->state, s->state.keep, t), i) |
				    poet_bit(poet_row(&s->state, s->state.load, t), i) << 1);
}

/* Replan @i optimally with everything else as it is. */
static void replan(struct poet_search *s, uint32_t i)
{
	uint32_t end = end_of_life(s, i), x;
	uint8_t *life = s->saved + (size_t)MOST_RUINED * s->state.nodes;

	if (end <= i)
		return;
	price_life(s, i, end);
	x = s->plan[end + 1].cost[IN_STORAGE] < s->plan[end + 1].cost[0] ? IN_STORAGE : 0;
	memset(life, 0, s->state.nodes);
	for (uint32_t t = end; t > i; t--) {
		const struct step *step = &s->plan[t + 1];

		if (step->by[x] == BY_LOADING)
			life[t] |= 2;
		x = step->from[x];
		if (x & IN_RAM)
			life[t] |= 1;
	}
	apply_life(s, i, end, life);
}

static bool feasible(const struct poet_search *s)
{
	return s->overflow < 0.5 && s->seconds <= s->most_seconds * (1 + 1e-12);
}

static void keep_best(struct poet_search *s)
{
	size_t bytes = (size_t)(s->state.nodes + 1) * s->state.words * sizeof(uint64_t);

	if (!feasible(s) || s->joules >= s->best_joules * (1 - 1e-12))
		return;
	recount(s);
	if (!feasible(s) || s->joules >= s->best_joules)
		return;
	s->best_joules = s->joules;
	s->best_step = s->step;
	memcpy(s->best_keep, s->state.keep, bytes);
	memcpy(s->best_load, s->state.load, bytes);
}

/* From the start: everything kept until its last reader, then prices raised sweep by sweep until it fits. */
static void start_state(struct poet_search *s)
{
	for (uint32_t i = 0; i < s->state.nodes; i++)
		for (uint32_t t = i + 1; t <= s->last[i]; t++)
			poet_put_bit(poet_row(&s->state, s->state.keep, t), i, true);
	for (uint32_t t = 0; t < s->state.nodes; t++)
		poet_state_update(&s->state, t);
	recount(s);
	s->byte_price = s->base_byte_price * 1e-3;
}

static void adapt_prices(struct poet_search *s)
{
	bool good = feasible(s);

	s->feasible_run = good ? s->feasible_run + 1 : 0;
	s->infeasible_run = good ? 0 : s->infeasible_run + 1;
	if (s->infeasible_run >= 20) {
		if (s->overflow >= 0.5 && s->byte_price < 1e9 * s->base_byte_price)
			s->byte_price *= 1.3;
		if (s->seconds > s->most_seconds && s->second_price < 1e9 * s->base_second_price)
			s->second_price = s->second_price * 1.3 + 1e-3 * s->base_second_price;
		s->infeasible_run = 0;
	}
	if (s->feasible_run >= 20) {
		if (s->byte_price > 1e-3 * s->base_byte_price)
			s->byte_price /= 1.2;
		s->second_price /= 1.2;
		if (s->second_price < 1e-3 * s->base_second_price)
			s->second_price = 0;
		s->feasible_run = 0;
	}
}

static void add_ruin(struct poet_search *s, uint32_t i, uint32_t most)
{
	if (s->ruins >= most || i >= s->state.nodes || s->last[i] <= i)
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

/* Forget what was planned for @i: it is never in RAM, always, or exactly where it is read. */
static void ruin(struct poet_search *s, uint32_t i, uint32_t kind)
{
	uint8_t *life = s->saved + (size_t)MOST_RUINED * s->state.nodes;
	uint32_t end = end_of_life(s, i);

	memset(life, 0, s->state.nodes);
	if (kind == 1)
		memset(life + i + 1, 1, s->last[i] - i);
	if (kind == 2) {
		life[i + 1] = 1;
		for (uint32_t t = i + 2; t <= end; t++) {
			if (!run_reads(s, t, i))
				continue;
			life[t] |= 1;
			if (!(life[t - 1] & 1))
				life[t - 1] |= 2;
		}
		if (end > i + 2 && life[i + 1] & 2)
			life[i + 2] |= 1;
	}
	apply_life(s, i, end, life);
}

static void shuffle_ruins(struct poet_search *s)
{
	for (uint32_t r = s->ruins; r > 1; r--) {
		uint32_t other = random_below(s, r), held = s->ruined[r - 1];

		s->ruined[r - 1] = s->ruined[other];
		s->ruined[other] = held;
	}
}

static void step(struct poet_search *s)
{
	double before = total_price(s), after;
	uint32_t kind = random_below(s, 3);

	choose_ruins(s);
	for (uint32_t r = 0; r < s->ruins; r++)
		read_life(s, s->ruined[r], s->saved + (size_t)r * s->state.nodes);
	if (s->ruins > 1 || kind != 2) {
		uint32_t original[MOST_RUINED];

		memcpy(original, s->ruined, sizeof(original));
		for (uint32_t r = 0; r < s->ruins; r++)
			ruin(s, s->ruined[r], kind);
		for (uint32_t pass = 0; pass < 2; pass++) {
			shuffle_ruins(s);
			for (uint32_t r = 0; r < s->ruins; r++)
				replan(s, s->ruined[r]);
			if (s->ruins == 1)
				break;
		}
		memcpy(s->ruined, original, sizeof(original));
	} else {
		replan(s, s->ruined[0]);
	}
	after = total_price(s);
	keep_best(s);
	if (after > before + 1e-15 * before && random_unit(s) >= exp((before - after) / s->temperature))
		for (uint32_t r = 0; r < s->ruins; r++)
			apply_life(s, s->ruined[r], s->state.nodes - 1, s->saved + (size_t)r * s->state.nodes);
	adapt_prices(s);
	if (s->step % 4096 == 0)
		recount(s);
}

/* First sweeps: each node in turn, prices raised until a sweep ends feasible or they are high. */
static bool sweeping(const struct poet_search *s)
{
	return s->best_joules == INFINITY && s->byte_price < 1e5 * s->base_byte_price;
}

static void sweep_step(struct poet_search *s)
{
	replan(s, s->candidate[s->sweep_node]);
	keep_best(s);
	if (++s->sweep_node == s->candidates) {
		s->sweep_node = 0;
		s->byte_price *= 1.5;
		if (s->seconds > s->most_seconds)
			s->second_price = s->second_price * 1.5 + 1e-2 * s->base_second_price;
	}
}

/* Everything anew from the rows of keep and load. */
static void derive(struct poet_search *s)
{
	memset(s->loads, 0, s->state.nodes * sizeof(*s->loads));
	for (uint32_t t = 0; t < s->state.nodes; t++) {
		const uint64_t *load = poet_row(&s->state, s->state.load, t);

		for (uint32_t i = 0; i < t; i++)
			s->loads[i] += poet_bit(load, i);
		poet_state_update(&s->state, t);
	}
	recount(s);
}

/* Go back to the best state found. */
static void restart(struct poet_search *s)
{
	size_t bytes = (size_t)(s->state.nodes + 1) * s->state.words * sizeof(uint64_t);

	memcpy(s->state.keep, s->best_keep, bytes);
	memcpy(s->state.load, s->best_load, bytes);
	derive(s);
}

void poet_search_seed(struct poet_search *s, const uint64_t *keep, const uint64_t *load)
{
	size_t bytes = (size_t)(s->state.nodes + 1) * s->state.words * sizeof(uint64_t);

	memcpy(s->state.keep, keep, bytes);
	memcpy(s->state.load, load, bytes);
	derive(s);
	/* On from the cool half of a cycle that does not begin at the best state. */
	s->step = ((s->step / CYCLE + 1) | 1) * CYCLE + CYCLE / 2;
}

/* Cool from a part of the overhead to almost nothing, over and over, from a different part each time. */
static void cool(struct poet_search *s)
{
	static const double heat[] = {0.01, 0.003, 0.05, 0.02};
	uint64_t cycle = s->step / CYCLE;
	double overhead = s->joules, part = (double)(s->step % CYCLE) / CYCLE;

	if (s->best_joules < INFINITY) {
		overhead = s->best_joules - s->instance->base_joules;
		if (s->step % CYCLE == 0 && cycle % 2 == 0)
			restart(s);
	}
	s->temperature = fmax(overhead * heat[cycle % 4] * pow(1e-4, part), 1e-300);
}

/* Found nothing for much longer than it took to find the best. */
static bool stalled(const struct poet_search *s)
{
	return s->best_joules < INFINITY && s->step > 4 * s->best_step + 20000;
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
	size_t bytes = (size_t)(s->state.nodes + 1) * s->state.words * sizeof(uint64_t);
	struct poet_state state;
	struct weft_poet_schedule *schedule;

	if (poet_state_init(&state, s->instance))
		return NULL;
	memcpy(state.keep, s->best_keep, bytes);
	memcpy(state.load, s->best_load, bytes);
	for (uint32_t t = 0; t < state.nodes; t++)
		poet_state_update(&state, t);
	schedule = poet_state_schedule(&state);
	poet_state_clear(&state);
	return schedule;
}

static void set_prices(struct poet_search *s)
{
	double joules = 0, bytes = 0;

	for (uint32_t i = 0; i < s->state.nodes; i++) {
		const struct weft_poet_node *node = &s->instance->node[i];

		joules += node->pageout_joules + node->pagein_joules;
		bytes += (double)node->bytes;
	}
	s->base_byte_price = joules > 0 && bytes > 0 ? joules / bytes : 1;
	s->byte_price = s->base_byte_price;
	s->base_second_price = s->instance->base_seconds > 0 ? s->instance->base_joules / s->instance->base_seconds : 1;
	if (s->base_second_price <= 0)
		s->base_second_price = 1;
}

struct poet_search *poet_search_new(const struct weft_poet_instance *instance, const struct weft_poet_options *options)
{
	struct poet_search *s = calloc(1, sizeof(*s));
	uint32_t nodes = instance->nodes;
	size_t words;

	if (!s)
		return NULL;
	if (poet_state_init(&s->state, instance)) {
		free(s);
		return NULL;
	}
	s->instance = instance;
	s->ram_bytes = options->ram_bytes;
	s->most_seconds = options->time_ratio > 0 ? options->time_ratio * instance->base_seconds : INFINITY;
	s->best_joules = INFINITY;
	s->random = options->seed;
	s->temperature = 1e-300;
	words = (size_t)(nodes + 1) * s->state.words;
	s->loads = calloc(nodes, sizeof(*s->loads));
	s->last = calloc(nodes, sizeof(*s->last));
	s->best_keep = calloc(words, sizeof(uint64_t));
	s->best_load = calloc(words, sizeof(uint64_t));
	s->plan = calloc(nodes + 2, sizeof(*s->plan));
	s->scratch = calloc(s->state.words, sizeof(uint64_t));
	s->candidate = calloc(nodes, sizeof(*s->candidate));
	s->saved = calloc((size_t)(MOST_RUINED + 1) * (nodes + 1), 1);
	if (!s->loads || !s->last || !s->best_keep || !s->best_load || !s->plan || !s->scratch || !s->candidate ||
	    !s->saved) {
		poet_search_free(s);
		return NULL;
	}
	for (uint32_t i = 0; i < nodes; i++) {
		uint32_t begin = instance->reader.start[i], end = instance->reader.start[i + 1];

		s->last[i] = end > begin ? instance->reader.item[end - 1] : i;
		if (s->last[i] > i)
			s->candidate[s->candidates++] = i;
	}
	set_prices(s);
	start_state(s);
	return s;
}

void poet_search_free(struct poet_search *s)
{
	if (!s)
		return;
	poet_state_clear(&s->state);
	free(s->loads);
	free(s->last);
	free(s->best_keep);
	free(s->best_load);
	free(s->plan);
	free(s->scratch);
	free(s->candidate);
	free(s->saved);
	free(s);
}
