// SPDX-License-Identifier: MIT
/*
 * The planner's heart: go through the operations in order with a fixed amount
 * of room, as a pager would that knows the future.  What is needed farthest
 * from now and is cheapest to bring back goes first.
 *
 * Dropping a value for recomputation puts a claim on the inputs of its writers:
 * they have one more use, at the position where the dropped value is next used.
 * A claim on an input that is gone makes that input pending as well, so chains
 * of recomputation follow from the single case.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plan/simulate.h"
#include "weft/error.h"

enum method { METHOD_NONE, METHOD_DROP, METHOD_PAGE, METHOD_RECOMPUTE };

static int bring(struct simulation *s, uint32_t b);

/* Device room. */

static double page_seconds(const struct simulation *s, uint32_t b, bool out)
{
	const struct weft_costs *costs = s->problem->costs;
	double bytes = (double)s->problem->base[b].bytes, seconds;
	bool storage = s->tactics->through || (s->problem->base[b].persistent && sim_is_home(s, b, WEFT_TIER_STORAGE));

	if (s->tactics->by_bytes)
		return bytes * (out ? 2 : 1);
	seconds = weft_transfer_seconds(&costs->page_in, bytes);
	if (out)
		seconds += weft_transfer_seconds(&costs->page_out, bytes);
	if (storage)
		seconds += weft_transfer_seconds(&costs->load, bytes);
	if (storage && out)
		seconds += weft_transfer_seconds(&costs->store, bytes);
	return seconds;
}

/*
 * How to free @b's device copy, and at what cost: seconds (or bytes, when judged by
 * them), with paging counted at a part because it overlaps with compute.
 */
static enum method cheapest_method(const struct simulation *s, uint32_t b, double *cost, uint64_t *freed)
{
	const struct weft_base *base = &s->problem->base[b];
	const struct state *state = &s->state[b];
	const struct weft_tactics *tactics = s->tactics;
	enum method method = METHOD_NONE;
	const double overlap = 0.4;
	bool pageable = base->persistent || base->fed || tactics->page_host || tactics->page_storage;
	bool partial = base->writers > 1 && state->written < base->writers;

	*freed = sim_tier_bytes(s, b, WEFT_TIER_DEVICE);
	if ((state->host != WEFT_NONE || state->storage != WEFT_NONE) && !state->dirty) {
		*cost = overlap * page_seconds(s, b, false);
		return METHOD_DROP;
	}
	if (pageable && state->banned != s->now + 1) {
		*cost = overlap * page_seconds(s, b, true);
		method = METHOD_PAGE;
	}
	if (tactics->recompute && base->recomputable && !partial) {
		uint64_t kept = 0;
		double seconds = sim_recompute_seconds(s, b, sim_next_use(s, b), &kept, 0);

		if (seconds >= 0 && kept < *freed / 2 && (method == METHOD_NONE || seconds < *cost)) {
			*cost = seconds;
			*freed -= kept;
			method = METHOD_RECOMPUTE;
		}
	}
	return method;
}

/* Make sure that @b can be brought back once its device copy is gone.  -ENOSPC: it cannot. */
static int save(struct simulation *s, uint32_t b, enum method method)
{
	struct state *state = &s->state[b];
	bool through;
	int result;

	if (method == METHOD_DROP)
		return 0;
	if (method == METHOD_RECOMPUTE) {
		result = sim_claim_inputs(s, b, sim_next_use(s, b), 0);
		if (result)
			return result;
		state->pending = true;
		return 0;
	}
	through = sim_is_home(s, b, WEFT_TIER_STORAGE) || (!s->problem->base[b].persistent && s->tactics->through);
	if (through && state->storage == WEFT_NONE &&
	    !sim_fits(s, WEFT_TIER_STORAGE, sim_tier_bytes(s, b, WEFT_TIER_STORAGE)))
		return -ENOSPC;
	if (state->host == WEFT_NONE) {
		result = sim_make_host_room(s, sim_tier_bytes(s, b, WEFT_TIER_HOST));
		if (!result)
			result = sim_new_block(s, b, WEFT_TIER_HOST);
		if (result)
			return result;
	}
	result = sim_emit(s, WEFT_ACTION_PAGE_OUT, WEFT_TIER_HOST, b, state->host);
	if (!result && through) {
		result = sim_store(s, b);
		if (!result && !s->problem->base[b].output)
			result = sim_drop(s, b, WEFT_TIER_HOST);
	}
	if (!result)
		state->dirty = false;
	return result;
}

/* The resident value that is worth least: cheap to bring back, big, and not needed for long. */
static uint32_t pick_victim(const struct simulation *s, uint64_t need, enum method *method)
{
	const struct weft_problem *problem = s->problem;
	uint32_t victim = WEFT_NONE;
	double best = 0;

	for (uint32_t i = 0; i < s->residents; i++) {
		uint32_t b = s->resident[i], next;
		enum method how;
		uint64_t freed;
		double cost, idle, worth;

		if (s->state[b].pins || sim_is_home(s, b, WEFT_TIER_DEVICE))
			continue;
		next = sim_next_use(s, b);
		if (next <= s->now)
			continue; /* needed by the recomputation under way */
		how = cheapest_method(s, b, &cost, &freed);
		if (how == METHOD_NONE)
			continue;
		if (next == NEVER)
			next = problem->graph->operations;
		if (s->tactics->by_bytes)
			idle = next - (s->now + 1);
		else
			idle = problem->clock[next] - problem->clock[s->now + 1];
		worth = (idle + 1e-7) * (double)(freed < need ? freed : need) / (cost + 1e-9);
		/* Ties by index, so that the choice does not depend on the list's order. */
		if (victim == WEFT_NONE || worth > best || (worth == best && b < victim)) {
			victim = b;
			best = worth;
			*method = how;
		}
	}
	return victim;
}

/* Values that the recomputation under way needs again, if nothing else is left. */
static uint32_t pick_needed(const struct simulation *s, enum method *method)
{
	for (uint32_t b = 0; b < s->problem->bases; b++) {
		uint64_t freed;
		double cost;

		if (s->state[b].device == WEFT_NONE || s->state[b].pins || sim_is_home(s, b, WEFT_TIER_DEVICE) ||
		    sim_next_use(s, b) > s->now)
			continue;
		*method = cheapest_method(s, b, &cost, &freed);
		if (*method == METHOD_DROP || *method == METHOD_PAGE)
			return b;
	}
	return WEFT_NONE;
}

static int make_device_room(struct simulation *s, uint64_t bytes)
{
	while (!sim_fits(s, WEFT_TIER_DEVICE, bytes)) {
		enum method method = METHOD_NONE;
		uint64_t need;
		uint32_t victim;
		int result;

		if (bytes > s->tactics->room[WEFT_TIER_DEVICE])
			return -ENOSPC;
		need = s->used[WEFT_TIER_DEVICE] + bytes - s->tactics->room[WEFT_TIER_DEVICE];
		victim = pick_victim(s, need, &method);
		if (victim == WEFT_NONE)
			victim = pick_needed(s, &method);
		if (victim == WEFT_NONE)
			return -ENOSPC;
		result = save(s, victim, method);
		if (result == -ENOSPC && method == METHOD_PAGE) {
			s->state[victim].banned = s->now + 1;
			continue;
		}
		if (!result)
			result = sim_drop(s, victim, WEFT_TIER_DEVICE);
		if (result)
			return result;
	}
	return 0;
}

static int new_device_block(struct simulation *s, uint32_t b)
{
	int result = make_device_room(s, sim_tier_bytes(s, b, WEFT_TIER_DEVICE));

	return result ? result : sim_new_block(s, b, WEFT_TIER_DEVICE);
}

/* Running operations. */

static bool dead(const struct simulation *s, uint32_t b)
{
	const struct weft_base *base = &s->problem->base[b];

	return sim_next_use(s, b) == NEVER && !base->persistent && !base->fed;
}

int sim_release_if_dead(struct simulation *s, uint32_t b)
{
	struct state *state = &s->state[b];
	int result = 0;

	if (sim_next_use(s, b) != NEVER || state->pins)
		return 0;
	if (state->pending) {
		state->pending = false;
		return sim_drop_claims(s, b, true);
	}
	if (state->dirty && state->device != WEFT_NONE && !sim_is_home(s, b, WEFT_TIER_DEVICE))
		result = save(s, b, METHOD_PAGE);
	if (!result)
		result = sim_drop(s, b, WEFT_TIER_DEVICE);
	if (!result && !s->problem->base[b].output) {
		result = sim_drop(s, b, WEFT_TIER_HOST);
		if (!result)
			result = sim_drop(s, b, WEFT_TIER_STORAGE);
	}
	return result;
}

static bool same_placement(const struct simulation *s, const struct weft_operation *operation, unsigned int out,
			   unsigned int in)
{
	const struct weft_graph *graph = s->problem->graph;
	const struct weft_value *a = &graph->value[operation->operand[out]];
	const struct weft_value *b = &graph->value[operation->operand[in]];
	const struct weft_layout *la = operation->view[out] ? operation->view[out] : &a->layout;
	const struct weft_layout *lb = operation->view[in] ? operation->view[in] : &b->layout;

	if (a->offset || b->offset || la->type != lb->type || la->rank != lb->rank ||
	    graph->value[a->base].bytes != graph->value[b->base].bytes)
		return false;
	for (unsigned int i = 0; i < la->rank; i++)
		if (la->dims[i] != lb->dims[i] || la->strides[i] != lb->strides[i])
			return false;
	return true;
}

static bool used_in_other_slot(const struct simulation *s, const struct weft_operation *operation, unsigned int slot)
{
	uint32_t b = s->problem->base_of[operation->operand[slot]];

	for (unsigned int i = 0; i < operation->operands; i++)
		if (i != slot && operation->operand[i] != WEFT_NO_ID && s->problem->base_of[operation->operand[i]] == b)
			return true;
	return false;
}

/* Let output slot @out stand where its input stood, if that may go.  1: done. */
static int take_over(struct simulation *s, weft_id o, unsigned int out, bool force)
{
	const struct weft_operation *operation = &s->problem->graph->operation[o];
	unsigned int in = operation->in_place[out];
	uint32_t from, to = s->problem->base_of[operation->operand[out]], block;

	if (!s->tactics->in_place || !(operation->may_in_place & (1u << out)) || operation->operand[in] == WEFT_NO_ID)
		return 0;
	from = s->problem->base_of[operation->operand[in]];
	if (s->state[from].pins != 1 || s->state[from].device == WEFT_NONE || sim_is_home(s, from, WEFT_TIER_DEVICE) ||
	    s->problem->base[from].writers > 1 || s->problem->base[to].writers > 1 ||
	    used_in_other_slot(s, operation, in) || !same_placement(s, operation, out, in))
		return 0;
	if (!dead(s, from)) {
		enum method method;
		uint64_t freed;
		double cost;
		int result;

		method = cheapest_method(s, from, &cost, &freed);
		if (method != METHOD_DROP && !force)
			return 0;
		if (method == METHOD_NONE || sim_next_use(s, from) <= s->now)
			return 0;
		result = save(s, from, method);
		if (result)
			return result == -ENOSPC ? 0 : result;
	}
	block = s->state[from].device;
	sim_leave_device(s, from);
	sim_become_resident(s, to, block);
	return 1;
}

static int place_outputs(struct simulation *s, weft_id o, uint32_t *taken)
{
	const struct weft_operation *operation = &s->problem->graph->operation[o];

	for (unsigned int i = operation->inputs; i < operation->operands; i++) {
		uint32_t b;
		int result;

		if (operation->operand[i] == WEFT_NO_ID || operation->updates & (1u << i))
			continue;
		b = s->problem->base_of[operation->operand[i]];
		if (s->state[b].device != WEFT_NONE)
			continue;
		result = take_over(s, o, i, false);
		if (!result) {
			result = new_device_block(s, b);
			if (result == -ENOSPC)
				result = take_over(s, o, i, true) == 1 ? 1 : -ENOSPC;
		}
		if (result < 0)
			return result;
		if (result == 1)
			*taken |= 1u << operation->in_place[i];
	}
	return 0;
}

/* @before: the device blocks of inputs, which in-place outputs may have taken over since. */
static int emit_compute(struct simulation *s, weft_id o, bool recompute, const uint32_t before[WEFT_MAX_OPERANDS])
{
	const struct weft_operation *operation = &s->problem->graph->operation[o];
	struct weft_draft *draft = s->draft;
	struct weft_draft_action *action;

	if (draft->places + WEFT_MAX_OPERANDS > draft->place_room) {
		uint32_t room = draft->place_room ? draft->place_room * 2 : 256 * WEFT_MAX_OPERANDS;
		uint32_t *place = realloc(draft->place, room * sizeof(*place));

		if (!place)
			return -ENOMEM;
		draft->place = place;
		draft->place_room = room;
	}
	action = weft_draft_append(draft, WEFT_ACTION_COMPUTE);
	if (!action)
		return -ENOMEM;
	action->subject = o;
	action->recompute = recompute;
	action->place = draft->places;
	for (unsigned int i = 0; i < WEFT_MAX_OPERANDS; i++) {
		uint32_t block = WEFT_NONE;

		if (i < operation->operands && operation->operand[i] != WEFT_NO_ID)
			block = i < operation->inputs ? before[i]
						      : s->state[s->problem->base_of[operation->operand[i]]].device;
		draft->place[draft->places++] = block;
	}
	return 0;
}

static void remember_inputs(const struct simulation *s, weft_id o, uint32_t before[WEFT_MAX_OPERANDS])
{
	const struct weft_operation *operation = &s->problem->graph->operation[o];

	for (unsigned int i = 0; i < operation->inputs; i++)
		before[i] = operation->operand[i] == WEFT_NO_ID
				    ? WEFT_NONE
				    : s->state[s->problem->base_of[operation->operand[i]]].device;
}

static void pin_all(struct simulation *s, weft_id o, int by)
{
	for (unsigned int i = 0; i < s->problem->touches[o]; i++)
		s->state[s->problem->touch[o][i].base].pins += (uint32_t)by;
}

static int bring_inputs(struct simulation *s, weft_id o)
{
	for (unsigned int i = 0; i < s->problem->touches[o]; i++) {
		const struct weft_touch *touch = &s->problem->touch[o][i];
		bool begun = s->problem->base[touch->base].writers > 1 && s->state[touch->base].written;
		int result;

		if (touch->kinds == WEFT_TOUCH_WRITE && !begun)
			continue;
		result = bring(s, touch->base);
		if (result)
			return result;
	}
	return 0;
}

/* Run @b's writers again.  Other values that they make stay if they are needed. */
static int recompute(struct simulation *s, uint32_t b)
{
	const struct weft_problem *problem = s->problem;
	const struct weft_base *base = &problem->base[b];
	int result = 0;

	if (++s->depth > DEEPEST_CHAIN || s->recomputed > 3 * problem->graph->operations)
		return -ENOSPC;
	s->state[b].pending = false;
	s->state[b].written = 0;
	for (uint32_t w = 0; !result && w < base->writers; w++) {
		weft_id o = base->writer[w];
		uint32_t before[WEFT_MAX_OPERANDS], taken = 0;

		pin_all(s, o, 1);
		result = bring_inputs(s, o);
		if (result)
			return result;
		if (w + 1 == base->writers)
			result = sim_drop_claims(s, b, false);
		remember_inputs(s, o, before);
		if (!result)
			result = place_outputs(s, o, &taken);
		if (!result)
			result = emit_compute(s, o, true, before);
		pin_all(s, o, -1);
		s->state[b].written++;
		s->recomputed++;
		s->draft->recomputed++;
		for (unsigned int i = 0; !result && i < problem->touches[o]; i++) {
			uint32_t other = problem->touch[o][i].base;

			if (other == b)
				continue;
			if (problem->touch[o][i].kinds & WEFT_TOUCH_WRITE && s->state[other].pending) {
				s->state[other].pending = false;
				s->state[other].written = 1;
				result = sim_drop_claims(s, other, true);
			}
		}
	}
	/*
	 * Making room for it can have dropped values that are made of it, which asked for it
	 * to be made again, when it was not there yet.  Now it is.
	 */
	if (!result && s->state[b].pending) {
		s->state[b].pending = false;
		result = sim_drop_claims(s, b, false);
	}
	for (uint32_t w = 0; !result && w < base->writers; w++) {
		weft_id o = base->writer[w];

		for (unsigned int i = 0; !result && i < problem->touches[o]; i++)
			if (problem->touch[o][i].base != b)
				result = sim_release_if_dead(s, problem->touch[o][i].base);
	}
	s->depth--;
	return result;
}

static int bring(struct simulation *s, uint32_t b)
{
	struct state *state = &s->state[b];
	int result;

	if (state->device != WEFT_NONE)
		return 0;
	if (state->pending)
		return recompute(s, b);
	/* Let go although something needs it: a plan made of that would be refused. */
	if (state->host == WEFT_NONE && state->storage == WEFT_NONE)
		return s->problem->base[b].writers
			       ? -ENODATA
			       : weft_fail(EINVAL, "value '%s' is read before anything writes it",
					   s->problem->graph->value[s->problem->base[b].value].name);
	if (state->host == WEFT_NONE) {
		result = sim_make_host_room(s, sim_tier_bytes(s, b, WEFT_TIER_HOST));
		if (!result)
			result = sim_new_block(s, b, WEFT_TIER_HOST);
		if (!result)
			result = sim_emit(s, WEFT_ACTION_LOAD, WEFT_TIER_HOST, b, state->host);
		if (result)
			return result;
	}
	state->pins++;
	state->host_pins++;
	result = new_device_block(s, b);
	state->host_pins--;
	state->pins--;
	if (!result)
		result = sim_emit(s, WEFT_ACTION_PAGE_IN, WEFT_TIER_DEVICE, b, state->device);
	if (!result && state->storage != WEFT_NONE && !s->problem->base[b].output)
		result = sim_drop(s, b, WEFT_TIER_HOST);
	return result;
}

/* What follows a first run: old copies of updated values go, outputs are paged out. */
static int settle(struct simulation *s, uint32_t b, uint8_t kinds)
{
	const struct weft_base *base = &s->problem->base[b];
	struct state *state = &s->state[b];
	bool changed = kinds & (WEFT_TOUCH_WRITE | WEFT_TOUCH_UPDATE);
	uint32_t last_change = 0;
	int result = 0;

	if (kinds & WEFT_TOUCH_WRITE)
		state->written++;
	if (changed) {
		result = sim_drop(s, b, WEFT_TIER_HOST);
		if (!result)
			result = sim_drop(s, b, WEFT_TIER_STORAGE);
		state->dirty = base->persistent && !sim_is_home(s, b, WEFT_TIER_DEVICE);
	}
	if (base->updates)
		last_change = base->update[base->updates - 1];
	if (base->writers && s->problem->position[base->writer[base->writers - 1]] > last_change)
		last_change = s->problem->position[base->writer[base->writers - 1]];
	if (!result && changed && base->output && last_change == s->now && state->host == WEFT_NONE)
		result = save(s, b, METHOD_PAGE);
	return result;
}

static int run(struct simulation *s, weft_id o)
{
	const struct weft_problem *problem = s->problem;
	uint32_t before[WEFT_MAX_OPERANDS], taken = 0;
	int result;

	s->depth = 0;
	pin_all(s, o, 1);
	result = bring_inputs(s, o);
	if (result)
		return result;
	for (unsigned int i = 0; i < problem->touches[o]; i++)
		s->state[problem->touch[o][i].base].head++;
	remember_inputs(s, o, before);
	result = place_outputs(s, o, &taken);
	if (!result)
		result = emit_compute(s, o, false, before);
	pin_all(s, o, -1);
	for (unsigned int i = 0; !result && i < problem->touches[o]; i++)
		result = settle(s, problem->touch[o][i].base, problem->touch[o][i].kinds);
	for (unsigned int i = 0; !result && i < problem->touches[o]; i++)
		result = sim_release_if_dead(s, problem->touch[o][i].base);
	return result;
}

/* Homes exist for the whole step. */
static int settle_homes(struct simulation *s)
{
	for (uint32_t b = 0; b < s->problem->bases; b++) {
		const struct weft_base *base = &s->problem->base[b];
		enum weft_tier tier;
		uint32_t block;
		int result;

		if (!base->persistent && !base->fed)
			continue;
		tier = base->fed ? WEFT_TIER_HOST : s->tactics->home[b];
		if (!sim_fits(s, tier, sim_tier_bytes(s, b, tier)))
			return -ENOSPC;
		result = sim_new_block(s, b, tier);
		if (result)
			return result;
		block = *sim_tier_block(&s->state[b], tier);
		s->draft->block[block].end = WEFT_NONE;
		s->draft->home[b].tier = tier;
		s->draft->home[b].offset = block;
	}
	return 0;
}

/* Persistent outputs whose home is not the host tier, and inputs that are never used. */
static int finish_outputs(struct simulation *s)
{
	for (uint32_t b = 0; b < s->problem->bases; b++) {
		struct state *state = &s->state[b];
		int result = 0;

		if (!s->problem->base[b].output || state->host != WEFT_NONE)
			continue;
		if (!sim_has_copy(state))
			return weft_fail(EINVAL, "output '%s' is never written",
					 s->problem->graph->value[s->problem->base[b].value].name);
		result = sim_make_host_room(s, sim_tier_bytes(s, b, WEFT_TIER_HOST));
		if (!result)
			result = sim_new_block(s, b, WEFT_TIER_HOST);
		if (!result)
			result = sim_emit(s, state->device != WEFT_NONE ? WEFT_ACTION_PAGE_OUT : WEFT_ACTION_LOAD,
					  WEFT_TIER_HOST, b, state->host);
		if (result)
			return result;
	}
	return 0;
}

int weft_simulate(const struct weft_problem *problem, const struct weft_tactics *tactics, struct weft_draft **draft)
{
	struct simulation s = {.problem = problem, .tactics = tactics};
	int result = -ENOMEM;

	s.draft = weft_draft_new(problem);
	s.state = calloc(problem->bases + 1, sizeof(*s.state));
	s.resident = calloc(problem->bases + 1, sizeof(*s.resident));
	s.slot = calloc(problem->bases + 1, sizeof(*s.slot));
	if (s.draft && s.state && s.resident && s.slot) {
		for (uint32_t b = 0; b < problem->bases; b++)
			s.state[b].device = s.state[b].host = s.state[b].storage = WEFT_NONE;
		result = settle_homes(&s);
	}
	for (s.now = 0; !result && s.now < problem->graph->operations; s.now++)
		result = run(&s, problem->order[s.now]);
	if (!result) {
		s.now = problem->graph->operations ? problem->graph->operations - 1 : 0;
		result = finish_outputs(&s);
	}
	for (uint32_t b = 0; s.state && b < problem->bases; b++)
		free(s.state[b].claim);
	free(s.state);
	free(s.resident);
	free(s.slot);
	if (result) {
		weft_draft_free(s.draft);
		return result == -ENOMEM ? weft_fail(ENOMEM, "no memory for planning") : result;
	}
	*draft = s.draft;
	return 0;
}
