// SPDX-License-Identifier: MIT
/*
 * The best life of one tensor: a dynamic program over (in RAM, in storage) per
 * event.  An event is one stage that reads or computes the tensor, or a run of
 * stages in which it can only lie there, be paged or be computed ahead of its
 * reader.  In such a run whatever leaves does so at once, and whatever comes
 * back does so as late as it can: being there never costs less than not.
 */
#include "plan/poet/life.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The states at the start of an event. */
enum { IN_RAM = 1, IN_STORAGE = 2, STATES = 4 };
/*
 * What happens in an event: it is absent at its end, or there, because it was
 * kept, computed (having been absent at the start or not) or paged in.
 */
enum { BY_NOTHING, BY_KEEPING, BY_COMPUTING, BY_RETURNING, BY_LOADING };

struct poet_event {
	uint32_t first, last;	     /* stages */
	uint32_t computed, returned; /* stages of BY_COMPUTING and BY_RETURNING */
	/* At its end: least cost, and how it came about. */
	double cost[STATES];
	uint8_t from[STATES], by[STATES];
};

static uint64_t *column(const struct poet_lives *l, uint64_t *matrix, uint32_t i)
{
	return matrix + (size_t)i * l->state.words;
}

static double page_joules(const struct poet_lives *l, uint32_t i)
{
	const struct weft_poet_node *node = &l->instance->node[i];

	return l->loads[i] ? node->pageout_joules + l->loads[i] * node->pagein_joules : 0;
}

static double excess(const struct poet_lives *l, uint64_t peak)
{
	return peak > l->ram_bytes ? (double)(peak - l->ram_bytes) : 0;
}

static double stage_price(const struct poet_lives *l, const struct poet_stage *stage, uint64_t peak)
{
	return stage->joules + l->second_price * stage->seconds + l->byte_price * excess(l, peak);
}

double poet_lives_price(const struct poet_lives *l)
{
	double late = l->seconds > l->most_seconds ? l->seconds - l->most_seconds : 0;

	return l->joules + l->byte_price * l->overflow + l->second_price * late;
}

bool poet_lives_feasible(const struct poet_lives *l)
{
	return l->overflow < 0.5 && l->seconds <= l->most_seconds * (1 + 1e-12);
}

static void account(struct poet_lives *l, uint32_t t, double sign)
{
	const struct poet_stage *stage = &l->state.stage[t];

	l->joules += sign * stage->joules;
	l->seconds += sign * stage->seconds;
	l->overflow += sign * excess(l, stage->peak);
}

void poet_lives_recount(struct poet_lives *l)
{
	l->joules = l->seconds = l->overflow = 0;
	for (uint32_t t = 0; t < l->state.nodes; t++)
		account(l, t, 1);
	for (uint32_t i = 0; i < l->state.nodes; i++)
		l->joules += page_joules(l, i);
}

static uint32_t count_bits(const uint64_t *row, uint32_t words)
{
	uint32_t count = 0;

	for (uint32_t w = 0; w < words; w++)
		count += (uint32_t)__builtin_popcountll(row[w]);
	return count;
}

/* Set bits @first..@last. */
static void set_range(uint64_t *row, uint32_t first, uint32_t last)
{
	if (first > last)
		return;
	for (uint32_t w = first / 64; w <= last / 64; w++) {
		uint64_t bits = ~UINT64_C(0);

		if (w == first / 64)
			bits &= ~UINT64_C(0) << first % 64;
		if (w == last / 64)
			bits &= ~UINT64_C(0) >> (63 - last % 64);
		row[w] |= bits;
	}
}

static bool has_bits(const uint64_t *row, uint32_t from, uint32_t words)
{
	for (uint32_t w = from; w < words; w++)
		if (row[w])
			return true;
	return false;
}

/* First set bit of @row at @from or later, @end if there is none before it. */
static uint32_t next_bit(const uint64_t *row, uint32_t from, uint32_t end)
{
	for (uint32_t w = from / 64; w * 64 < end; w++) {
		uint64_t left = row[w];

		if (w == from / 64)
			left &= ~UINT64_C(0) << from % 64;
		if (left) {
			uint32_t found = w * 64 + (uint32_t)__builtin_ctzll(left);

			return found < end ? found : end;
		}
	}
	return end;
}

/* Take what @matrix holds by stage over into @of, by node. */
static void transpose(const struct poet_lives *l, const uint64_t *matrix, uint64_t *of)
{
	uint32_t words = l->state.words;

	memset(of, 0, (size_t)l->state.nodes * words * sizeof(*of));
	for (uint32_t t = 0; t < l->state.nodes; t++)
		for (uint32_t w = 0; w <= t / 64; w++)
			for (uint64_t left = matrix[(size_t)t * words + w]; left; left &= left - 1)
				poet_put_bit(column(l, of, w * 64 + (uint32_t)__builtin_ctzll(left)), t, true);
}

void poet_lives_derive(struct poet_lives *l)
{
	for (uint32_t t = 0; t < l->state.nodes; t++)
		poet_state_update(&l->state, t);
	transpose(l, l->state.keep, l->keep_of);
	transpose(l, l->state.load, l->load_of);
	transpose(l, l->state.run, l->run_of);
	for (uint32_t i = 0; i < l->state.nodes; i++)
		l->loads[i] = count_bits(column(l, l->load_of, i), l->state.words);
	poet_lives_recount(l);
}

/* Evaluate stage @t, which now starts with @kept bytes. */
static void update(struct poet_lives *l, uint32_t t, uint64_t kept)
{
	uint64_t *run = poet_row(&l->state, l->state.run, t);

	l->state.stage[t] = poet_state_evaluate(&l->state, t, kept, l->row);
	for (uint32_t w = 0; w <= t / 64; w++) {
		for (uint64_t left = run[w] ^ l->row[w]; left; left &= left - 1)
			column(l, l->run_of, w * 64 + (uint32_t)__builtin_ctzll(left))[t / 64] ^= UINT64_C(1) << t % 64;
		run[w] = l->row[w];
	}
}

/* Stages in which a computation reads @i. */
static void find_reads(const struct poet_lives *l, uint32_t i, uint64_t *reads)
{
	const struct weft_poet_adjacency *reader = &l->instance->reader;
	uint32_t words = l->state.words;

	memset(reads, 0, words * sizeof(*reads));
	for (uint32_t e = reader->start[i]; e < reader->start[i + 1]; e++) {
		const uint64_t *run = column(l, l->run_of, reader->item[e]);

		for (uint32_t w = i / 64; w < words; w++)
			reads[w] |= run[w];
	}
}

/* Stages in which @i is computed or read. */
static void find_involved(struct poet_lives *l, uint32_t i)
{
	const uint64_t *run = column(l, l->run_of, i);

	find_reads(l, i, l->involved);
	for (uint32_t w = i / 64; w < l->state.words; w++)
		l->involved[w] |= run[w];
}

/*
 * Stages in which @i could be computed without computing anything else that is
 * not there already; and through which all it reads stays in RAM.
 */
static void find_present(struct poet_lives *l, uint32_t i)
{
	const struct weft_poet_adjacency *input = &l->instance->input;
	uint32_t words = l->state.words;

	memset(l->present, 0xff, words * sizeof(*l->present));
	memset(l->steady, 0xff, words * sizeof(*l->steady));
	for (uint32_t e = input->start[i]; e < input->start[i + 1]; e++) {
		const uint64_t *keep = column(l, l->keep_of, input->item[e]);
		const uint64_t *run = column(l, l->run_of, input->item[e]);

		for (uint32_t w = i / 64; w < words; w++) {
			uint64_t next = keep[w] >> 1 | (w + 1 < words ? keep[w + 1] << 63 : 0);

			l->present[w] &= keep[w] | run[w];
			l->steady[w] &= keep[w] & next;
		}
	}
}

/* What stage @t costs with @i there at its start or not, and at its end or not; @kept: its bytes without i. */
static double evaluate_with(struct poet_lives *l, uint32_t t, uint32_t i, uint64_t kept, bool before, bool after)
{
	struct poet_stage stage;

	poet_put_bit(poet_row(&l->state, l->state.keep, t), i, before);
	poet_put_bit(poet_row(&l->state, l->state.keep, t + 1), i, after);
	stage = poet_state_evaluate(&l->state, t, kept + (before ? l->instance->node[i].bytes : 0), l->row);
	return stage_price(l, &stage, stage.peak);
}

/* What an event costs for each way in which a tensor can pass through it. */
struct passage {
	double absent, leaves, stays, computed, loaded; /* 0 -> 0, 1 -> 0, 1 -> 1, 0 -> 1 by computing or paging in */
	double returned, reloaded; /* 1 -> 1, but not there in between, and computed or paged in again */
};

/* The last computation of stage @t that reads @i; the most there is if none does. */
static uint32_t last_reader(const struct poet_lives *l, uint32_t t, uint32_t i)
{
	const struct weft_poet_adjacency *reader = &l->instance->reader;
	const uint64_t *run = poet_row(&l->state, l->state.run, t);

	for (uint32_t e = reader->start[i + 1]; e-- > reader->start[i];)
		if (reader->item[e] <= t && poet_bit(run, reader->item[e]))
			return reader->item[e];
	return UINT32_MAX;
}

/*
 * Where @reader is the last that reads @i: what stage @t costs if i is freed
 * after it, and if i stays.  It lies there from then on, and nothing else differs.
 */
static void evaluate_read(struct poet_lives *l, uint32_t t, uint32_t i, uint64_t kept, bool before, uint32_t reader,
			  double *freed, double *stays)
{
	uint64_t bytes = l->instance->node[i].bytes, after;
	struct poet_stage stage;

	poet_put_bit(poet_row(&l->state, l->state.keep, t), i, before);
	stage = poet_state_evaluate_around(&l->state, t, kept + (before ? bytes : 0), l->row, reader, &after);
	*freed = stage_price(l, &stage, stage.peak);
	*stays = after && after + bytes > stage.peak ? stage_price(l, &stage, after + bytes) : *freed;
}

/* A stage in which @i is computed or read. */
static struct passage price_stage(struct poet_lives *l, uint32_t t, uint32_t i)
{
	uint64_t *keep = poet_row(&l->state, l->state.keep, t), *next = poet_row(&l->state, l->state.keep, t + 1);
	uint64_t *load = poet_row(&l->state, l->state.load, t);
	bool before = poet_bit(keep, i), after = poet_bit(next, i), loaded = poet_bit(load, i);
	uint64_t kept = l->state.stage[t].kept - (before ? l->instance->node[i].bytes : 0);
	struct passage p = {.returned = INFINITY, .reloaded = INFINITY};
	uint32_t reader = last_reader(l, t, i);

	poet_put_bit(load, i, false);
	poet_put_bit(next, i, false);
	if (reader != UINT32_MAX) {
		evaluate_read(l, t, i, kept, false, reader, &p.absent, &p.computed);
		evaluate_read(l, t, i, kept, true, reader, &p.leaves, &p.stays);
		/* It is computed here for its reader, and so not paged in as well. */
		p.loaded = INFINITY;
	} else {
		p.absent = evaluate_with(l, t, i, kept, false, false);
		p.leaves = p.stays = evaluate_with(l, t, i, kept, true, false);
		p.computed = evaluate_with(l, t, i, kept, false, true);
		p.loaded = p.absent + l->instance->node[i].pagein_joules;
	}
	poet_put_bit(keep, i, before);
	poet_put_bit(next, i, after);
	poet_put_bit(load, i, loaded);
	return p;
}

/* Bytes above the budget that @i lying there adds to stage @t, and without it. */
static uint64_t added_excess(const struct poet_lives *l, uint32_t t, uint32_t i, const uint64_t *keep,
			     uint64_t *without)
{
	uint64_t bytes = l->instance->node[i].bytes, peak = l->state.stage[t].peak - (poet_bit(keep, t) ? bytes : 0);

	*without = peak;
	if (peak + bytes <= l->ram_bytes)
		return 0;
	return peak >= l->ram_bytes ? bytes : peak + bytes - l->ram_bytes;
}

/* What computing @i in stage @t, where nothing asks for it, costs above leaving it absent. */
static double price_computing(struct poet_lives *l, uint32_t t, uint32_t i, uint64_t peak)
{
	const struct weft_poet_node *node = &l->instance->node[i];
	uint64_t *keep = poet_row(&l->state, l->state.keep, t), *next = poet_row(&l->state, l->state.keep, t + 1);
	uint64_t *load = poet_row(&l->state, l->state.load, t);
	bool before = poet_bit(keep, i), after = poet_bit(next, i), loaded = poet_bit(load, i);
	double price;

	if (peak + node->bytes <= l->ram_bytes && poet_bit(l->steady, t))
		return node->compute_joules + l->second_price * node->seconds;
	poet_put_bit(load, i, false);
	price = evaluate_with(l, t, i, l->state.stage[t].kept - (before ? node->bytes : 0), false, true) -
		stage_price(l, &l->state.stage[t], peak);
	poet_put_bit(keep, i, before);
	poet_put_bit(next, i, after);
	poet_put_bit(load, i, loaded);
	return price;
}

/*
 * Stages in which nothing asks for @i, above what they cost without it.  It is
 * computed as late as RAM allows: the earlier, the longer it lies there.
 */
static struct passage price_idle(struct poet_lives *l, struct poet_event *event, uint32_t i)
{
	const struct weft_poet_node *node = &l->instance->node[i];
	const uint64_t *keep = column(l, l->keep_of, i);
	double compute = node->compute_joules + l->second_price * node->seconds;
	struct passage p = {0, 0, 0, INFINITY, node->pagein_joules, INFINITY, INFINITY};
	uint64_t sum = 0, without, first = added_excess(l, event->first, i, keep, &without);

	for (uint32_t t = event->last + 1; t-- > event->first;) {
		uint64_t added = added_excess(l, t, i, keep, &without);
		double after = l->byte_price * (double)sum;

		/* Where its inputs stay anyway, it costs at least its computation. */
		if (poet_bit(l->present, t) && (compute + after < p.computed || !poet_bit(l->steady, t))) {
			double price = price_computing(l, t, i, without) + after;

			if (price < p.computed) {
				p.computed = price;
				event->computed = t;
			}
			if (t > event->first && price < p.returned) {
				p.returned = price;
				event->returned = t;
			}
		}
		sum += added;
	}
	p.stays = l->byte_price * (double)sum;
	p.leaves = l->byte_price * (double)first;
	if (event->last > event->first)
		p.reloaded = p.leaves + p.loaded;
	p.returned += p.leaves;
	return p;
}

static void relax(struct poet_event *event, uint32_t to, double cost, uint32_t from, uint8_t by)
{
	if (cost < event->cost[to]) {
		event->cost[to] = cost;
		event->from[to] = (uint8_t)from;
		event->by[to] = by;
	}
}

/* From the costs of reaching each state at the start of @event to those at its end. */
static void pass_event(const struct passage *p, const double *cost, double pageout, struct poet_event *event)
{
	for (uint32_t x = 0; x < STATES; x++)
		event->cost[x] = INFINITY;
	for (uint32_t x = 0; x < STATES; x++) {
		/* With or without paging out on the way. */
		for (uint32_t stored = x & IN_STORAGE; stored <= IN_STORAGE; stored += IN_STORAGE) {
			double before = cost[x] + (stored == (x & IN_STORAGE) ? 0 : pageout);

			if (cost[x] == INFINITY || (!(x & IN_RAM) && stored != (x & IN_STORAGE)))
				continue;
			if (!(x & IN_RAM)) {
				relax(event, stored, before + p->absent, x, BY_NOTHING);
				relax(event, stored | IN_RAM, before + p->computed, x, BY_COMPUTING);
				if (stored)
					relax(event, stored | IN_RAM, before + p->loaded, x, BY_LOADING);
				continue;
			}
			relax(event, stored, before + p->leaves, x, BY_NOTHING);
			relax(event, stored | IN_RAM, before + p->stays, x, BY_KEEPING);
			relax(event, stored | IN_RAM, before + p->returned, x, BY_RETURNING);
			if (stored)
				relax(event, stored | IN_RAM, before + p->reloaded, x, BY_LOADING);
		}
	}
}

/* Last stage in which @i matters now, or could. */
static uint32_t end_of_life(const struct poet_lives *l, uint32_t i)
{
	const uint64_t *run = column(l, l->run_of, i), *keep = column(l, l->keep_of, i);

	for (uint32_t w = l->state.words; w-- > l->last[i] / 64;) {
		uint64_t bits = run[w] | keep[w];

		if (bits) {
			uint32_t found = w * 64 + 63 - (uint32_t)__builtin_clzll(bits);

			return found > l->last[i] ? found : l->last[i];
		}
	}
	return l->last[i];
}

/* The events of the life of @i up to stage @end, priced in order; how many. */
static uint32_t price_life(struct poet_lives *l, uint32_t i, uint32_t end)
{
	static const double begin[STATES] = {0, 0, INFINITY, INFINITY};
	const double *cost = begin;
	uint32_t count = 0;

	find_involved(l, i);
	find_present(l, i);
	for (uint32_t t = i + 1; t <= end; t = l->event[count++].last + 1) {
		struct poet_event *event = &l->event[count];
		uint32_t stop = next_bit(l->involved, t, end + 1);
		struct passage p;

		*event = (struct poet_event){.first = t, .last = stop > t ? stop - 1 : t, .computed = t};
		p = stop > t ? price_idle(l, event, i) : price_stage(l, t, i);
		pass_event(&p, cost, l->instance->node[i].pageout_joules, event);
		cost = event->cost;
	}
	return count;
}

void poet_life_replan(struct poet_lives *l, uint32_t i)
{
	uint32_t end = end_of_life(l, i), count, x;
	uint64_t *keep = l->life, *load = l->life + l->state.words;

	if (end <= i)
		return;
	count = price_life(l, i, end);
	x = l->event[count - 1].cost[IN_STORAGE] < l->event[count - 1].cost[0] ? IN_STORAGE : 0;
	memset(l->life, 0, poet_life_words(l) * sizeof(*l->life));
	for (uint32_t k = count; k-- > 0;) {
		const struct poet_event *event = &l->event[k];

		if (event->by[x] == BY_LOADING)
			poet_put_bit(load, event->last, true);
		else if (event->by[x] == BY_COMPUTING)
			set_range(keep, event->computed + 1, event->last);
		else if (event->by[x] == BY_RETURNING)
			set_range(keep, event->returned + 1, event->last);
		else if (event->by[x] == BY_KEEPING)
			set_range(keep, event->first + 1, event->last);
		x = event->from[x];
		if (x & IN_RAM)
			poet_put_bit(keep, event->first, true);
	}
	poet_life_apply(l, i, l->life);
}

void poet_life_read(const struct poet_lives *l, uint32_t i, uint64_t *life)
{
	memcpy(life, column(l, l->keep_of, i), l->state.words * sizeof(*life));
	memcpy(life + l->state.words, column(l, l->load_of, i), l->state.words * sizeof(*life));
}

/* Flip bit @i of the rows of the stages in @stages. */
static void flip(struct poet_lives *l, uint64_t *matrix, uint32_t i, uint32_t w, uint64_t stages)
{
	for (; stages; stages &= stages - 1)
		poet_row(&l->state, matrix, w * 64 + (uint32_t)__builtin_ctzll(stages))[i / 64] ^= UINT64_C(1)
												   << i % 64;
}

/* Stage @t has other rows than before; where @idle, nothing but how much lies there from start to end differs. */
static void update_stage(struct poet_lives *l, uint32_t t, uint32_t i, bool changed, bool idle)
{
	struct poet_stage *stage = &l->state.stage[t];
	uint64_t bytes = !changed				 ? 0
			 : poet_bit(column(l, l->keep_of, i), t) ? l->instance->node[i].bytes
								 : -l->instance->node[i].bytes;

	if (idle) {
		l->overflow -= excess(l, stage->peak);
		stage->kept += bytes;
		stage->peak += bytes;
		l->overflow += excess(l, stage->peak);
		return;
	}
	account(l, t, -1);
	update(l, t, stage->kept + bytes);
	account(l, t, 1);
}

void poet_life_apply(struct poet_lives *l, uint32_t i, const uint64_t *life)
{
	uint32_t words = l->state.words;
	uint64_t *keep = column(l, l->keep_of, i), *load = column(l, l->load_of, i), *busy = l->involved;
	const uint64_t *changed = l->present;

	find_involved(l, i);
	/* Stages whose rows differ, and of those the ones in which more than what lies there does. */
	for (uint32_t w = i / 64; w < words; w++) {
		uint64_t differs = keep[w] ^ life[w], loads = load[w] ^ life[words + w];
		uint64_t later = w + 1 < words ? keep[w + 1] ^ life[w + 1] : 0;
		uint64_t next = life[w] >> 1 | (w + 1 < words ? life[w + 1] << 63 : 0);

		l->present[w] = differs;
		l->touched[w] = differs | differs >> 1 | later << 63 | loads;
		busy[w] |= load[w] | life[words + w] | (next & ~life[w]);
	}
	if (!has_bits(l->touched, i / 64, words))
		return;
	l->joules -= page_joules(l, i);
	for (uint32_t w = i / 64; w < words; w++) {
		flip(l, l->state.keep, i, w, keep[w] ^ life[w]);
		flip(l, l->state.load, i, w, load[w] ^ life[words + w]);
		keep[w] = life[w];
		load[w] = life[words + w];
	}
	l->loads[i] = count_bits(load, words);
	l->joules += page_joules(l, i);
	for (uint32_t t = next_bit(l->touched, i, l->state.nodes); t < l->state.nodes;
	     t = next_bit(l->touched, t + 1, l->state.nodes))
		update_stage(l, t, i, poet_bit(changed, t), !poet_bit(busy, t));
}

void poet_life_simple(const struct poet_lives *l, uint32_t i, enum poet_life_kind kind, uint64_t *life)
{
	uint32_t words = l->state.words, end = end_of_life(l, i);
	uint64_t *load = life + words;

	memset(life, 0, poet_life_words(l) * sizeof(*life));
	if (kind == POET_LIFE_ALWAYS)
		set_range(life, i + 1, l->last[i]);
	if (kind != POET_LIFE_WHERE_READ || i + 1 > end)
		return;
	find_reads(l, i, life);
	/* It stays for one stage first, so that it can be paged out. */
	life[i / 64] &= i % 64 < 63 ? ~UINT64_C(0) << (i % 64 + 1) : 0;
	poet_put_bit(life, i + 1, true);
	for (uint32_t w = i / 64; w < words; w++)
		load[w] = (life[w] >> 1 | (w + 1 < words ? life[w + 1] << 63 : 0)) & ~life[w];
	poet_put_bit(load, i, false);
}

void poet_life_trim(struct poet_lives *l, uint32_t i)
{
	uint64_t *keep = l->life, *load = l->life + l->state.words, *reads = l->steady;
	uint32_t first;
	bool later = false;

	poet_life_read(l, i, l->life);
	find_reads(l, i, reads);
	first = next_bit(keep, i, l->state.nodes);
	for (uint32_t t = l->state.nodes - 1; t > i; t--) {
		if (!later)
			poet_put_bit(load, t, false);
		later = poet_bit(keep, t) && (later || poet_bit(reads, t));
		poet_put_bit(keep, t, later);
	}
	/* From there it is paged out. */
	if (has_bits(load, i / 64, l->state.words))
		poet_put_bit(keep, first, true);
	poet_life_apply(l, i, l->life);
}

int poet_lives_init(struct poet_lives *l, const struct weft_poet_instance *instance,
		    const struct weft_poet_options *options)
{
	uint32_t nodes = instance->nodes, words = (nodes + 63) / 64;
	size_t cells = (size_t)nodes * words;

	*l = (struct poet_lives){.instance = instance,
				 .ram_bytes = options->ram_bytes,
				 .most_seconds = options->time_ratio > 0 ? options->time_ratio * instance->base_seconds
									 : INFINITY};
	if (poet_state_init(&l->state, instance))
		return -1;
	l->loads = calloc(nodes, sizeof(*l->loads));
	l->last = calloc(nodes, sizeof(*l->last));
	l->keep_of = calloc(cells, sizeof(uint64_t));
	l->load_of = calloc(cells, sizeof(uint64_t));
	l->run_of = calloc(cells, sizeof(uint64_t));
	l->row = calloc(words, sizeof(uint64_t));
	l->involved = calloc(words, sizeof(uint64_t));
	l->present = calloc(words, sizeof(uint64_t));
	l->steady = calloc(words, sizeof(uint64_t));
	l->touched = calloc(words, sizeof(uint64_t));
	l->life = calloc(poet_life_words(l), sizeof(uint64_t));
	l->event = calloc((size_t)nodes + 1, sizeof(*l->event));
	if (!l->loads || !l->last || !l->keep_of || !l->load_of || !l->run_of || !l->row || !l->involved ||
	    !l->present || !l->steady || !l->touched || !l->life || !l->event) {
		poet_lives_clear(l);
		return -1;
	}
	for (uint32_t i = 0; i < nodes; i++) {
		uint32_t begin = instance->reader.start[i], end = instance->reader.start[i + 1];

		l->last[i] = end > begin ? instance->reader.item[end - 1] : i;
	}
	return 0;
}

void poet_lives_clear(struct poet_lives *l)
{
	poet_state_clear(&l->state);
	free(l->loads);
	free(l->last);
	free(l->keep_of);
	free(l->load_of);
	free(l->run_of);
	free(l->row);
	free(l->involved);
	free(l->present);
	free(l->steady);
	free(l->touched);
	free(l->life);
	free(l->event);
	*l = (struct poet_lives){0};
}
