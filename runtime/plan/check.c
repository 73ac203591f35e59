// SPDX-License-Identifier: MIT
/*
 * The checker: replay a plan with symbolic contents.
 *
 * First the graph is executed in its own order on symbols: each result is a hash
 * of the operation and of what it read.  This gives what every operand must
 * contain.  Then the plan is replayed, each copy in each tier carrying its
 * symbol; an operand whose symbol differs was read too early, too late, from a
 * stale copy, or was recomputed from something that has changed since.
 */
#include "plan/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "weft/error.h"

struct copy {
	bool present;
	uint64_t offset;
	uint64_t symbol;
	uint32_t slot; /* in the tier's list of live copies */
};

struct reference {
	uint64_t (*operand)[WEFT_MAX_OPERANDS]; /* per operation: symbol of each operand before it runs */
	uint64_t *final;			/* per value */
	uint16_t *writers;			/* per base: operations that write it or a piece */
};

struct replay {
	const struct weft_plan *plan;
	const struct weft_graph *graph;
	const struct weft_budget *budget;
	struct reference reference;
	struct copy (*copy)[WEFT_TIERS];
	weft_id *live[WEFT_TIERS];
	uint32_t lives[WEFT_TIERS];
	bool *io;	/* per base: ever in storage */
	uint32_t *runs; /* per operation */
	uint64_t high[WEFT_TIERS];
	uint32_t index; /* action at hand */
};

static const char *const tier_name[WEFT_TIERS] = {"device", "host", "storage"};

static uint64_t mix(uint64_t a, uint64_t b)
{
	a = (a ^ b) * 0x9e3779b97f4a7c15u;
	a ^= a >> 29;
	a *= 0xbf58476d1ce4e5b9u;
	return a ^ a >> 32;
}

static weft_id base_of(const struct weft_graph *graph, weft_id value)
{
	return graph->value[value].base;
}

static bool has_home(const struct weft_value *value)
{
	return value->kind != WEFT_VALUE_ACTIVATION && !value->grid;
}

/* The symbol of what @operation computes, from those of its operands. */
static uint64_t result_symbol(const struct weft_operation *operation, weft_id index, const uint64_t symbol[])
{
	uint64_t hash = mix(0x77656674, index);

	for (unsigned int i = 0; i < operation->operands; i++)
		if (operation->operand[i] != WEFT_NO_ID && (i < operation->inputs || operation->updates & (1u << i)))
			hash = mix(hash, symbol[i]);
	return hash;
}

/* What slot @i contains afterwards: pieces add up, in any order. */
static uint64_t written_symbol(uint64_t result, unsigned int i, bool piece, bool present, uint64_t before)
{
	uint64_t symbol = mix(result, i + 1);

	return piece && present ? before + symbol : symbol;
}

static int execute_reference(struct replay *r)
{
	const struct weft_graph *graph = r->graph;
	struct reference *reference = &r->reference;
	bool *present = calloc(graph->values + 1, sizeof(*present));

	reference->operand = calloc(graph->operations + 1, sizeof(*reference->operand));
	reference->final = calloc(graph->values + 1, sizeof(*reference->final));
	reference->writers = calloc(graph->values + 1, sizeof(*reference->writers));
	if (!present || !reference->operand || !reference->final || !reference->writers) {
		free(present);
		return weft_fail(ENOMEM, "no memory to check a plan");
	}
	for (weft_id v = 0; v < graph->values; v++) {
		if (graph->value[v].base == v && has_home(&graph->value[v])) {
			present[v] = true;
			reference->final[v] = mix(0x686f6d65, v);
		}
	}
	for (weft_id o = 0; o < graph->operations; o++) {
		const struct weft_operation *operation = &graph->operation[o];

		for (unsigned int i = operation->inputs; i < operation->operands; i++)
			if (operation->operand[i] != WEFT_NO_ID && !(operation->updates & (1u << i)))
				reference->writers[base_of(graph, operation->operand[i])]++;
	}
	for (weft_id o = 0; o < graph->operations; o++) {
		const struct weft_operation *operation = &graph->operation[o];
		uint64_t result;

		for (unsigned int i = 0; i < operation->operands; i++)
			if (operation->operand[i] != WEFT_NO_ID)
				reference->operand[o][i] = reference->final[base_of(graph, operation->operand[i])];
		result = result_symbol(operation, o, reference->operand[o]);
		for (unsigned int i = operation->inputs; i < operation->operands; i++) {
			weft_id b;

			if (operation->operand[i] == WEFT_NO_ID)
				continue;
			b = base_of(graph, operation->operand[i]);
			reference->final[b] = written_symbol(
				result, i, !(operation->updates & (1u << i)) && reference->writers[b] > 1, present[b],
				reference->final[b]);
			present[b] = true;
		}
	}
	free(present);
	return 0;
}

/* The sentence for a broken rule: which action, which value. */
static int broken(const struct replay *r, weft_id value, const char *rule)
{
	static const char *const kind[] = {"compute", "page-out", "page-in", "store", "load", "drop"};
	const struct weft_action *action;
	const char *name = value < r->graph->values ? r->graph->value[value].name : "?";
	const char *operation = "";

	if (r->index >= r->plan->actions)
		return weft_fail(EINVAL, "plan: at the end: value '%s' %s", name, rule);
	action = &r->plan->action[r->index];
	if (action->kind == WEFT_ACTION_COMPUTE && action->operation < r->graph->operations)
		operation = r->graph->operation[action->operation].name;
	return weft_fail(EINVAL, "plan: action %u (%s %s): value '%s' %s", r->index,
			 action->kind <= WEFT_ACTION_DROP ? kind[action->kind] : "unknown", operation, name, rule);
}

static uint64_t extent(const struct replay *r, weft_id base, enum weft_tier tier)
{
	uint64_t bytes = r->graph->value[base].bytes;

	if (tier != WEFT_TIER_DEVICE && r->io[base])
		bytes = (bytes + WEFT_PLAN_IO_ALIGN - 1) / WEFT_PLAN_IO_ALIGN * WEFT_PLAN_IO_ALIGN;
	return bytes;
}

static void forget(struct replay *r, weft_id base, enum weft_tier tier)
{
	struct copy *copy = &r->copy[base][tier];
	weft_id last = r->live[tier][--r->lives[tier]];

	r->live[tier][copy->slot] = last;
	r->copy[last][tier].slot = copy->slot;
	copy->present = false;
}

/* A new copy of @base in @tier, which may overlap nothing. */
static int appear(struct replay *r, weft_id base, enum weft_tier tier, uint64_t offset, uint64_t symbol)
{
	struct copy *copy = &r->copy[base][tier];
	uint64_t bytes = extent(r, base, tier), end;
	uint64_t align = tier != WEFT_TIER_DEVICE && r->io[base] ? WEFT_PLAN_IO_ALIGN : WEFT_PLAN_ALIGN;

	if (offset % align)
		return broken(r, base, "stands at an address that is not aligned");
	if (__builtin_add_overflow(offset, bytes, &end) || end > r->plan->peak[tier])
		return broken(r, base, "reaches beyond the peak that the plan states");
	for (uint32_t i = 0; i < r->lives[tier]; i++) {
		weft_id other = r->live[tier][i];
		uint64_t start = r->copy[other][tier].offset;

		if (offset < start + extent(r, other, tier) && start < end)
			return weft_fail_in(broken(r, base, "overlaps a live copy"), "%s tier, '%s'", tier_name[tier],
					    r->graph->value[other].name);
	}
	copy->present = true;
	copy->offset = offset;
	copy->symbol = symbol;
	copy->slot = r->lives[tier];
	r->live[tier][r->lives[tier]++] = base;
	if (end > r->high[tier])
		r->high[tier] = end;
	return 0;
}

static bool same_shape(const struct weft_graph *graph, const struct weft_operation *operation, unsigned int a,
		       unsigned int b)
{
	const struct weft_value *x = &graph->value[operation->operand[a]], *y = &graph->value[operation->operand[b]];
	const struct weft_layout *l = operation->view[a] ? operation->view[a] : &x->layout;
	const struct weft_layout *m = operation->view[b] ? operation->view[b] : &y->layout;

	if (l->type != m->type || l->rank != m->rank || x->offset != y->offset)
		return false;
	for (unsigned int i = 0; i < l->rank; i++)
		if (l->dims[i] != m->dims[i] || l->strides[i] != m->strides[i])
			return false;
	return true;
}

/* Output slot @i has no copy yet: it may stand on the input that it replaces, or on free ground. */
static int new_output(struct replay *r, const struct weft_action *action, unsigned int i, uint64_t symbol)
{
	const struct weft_graph *graph = r->graph;
	const struct weft_operation *operation = &graph->operation[action->operation];
	weft_id base = base_of(graph, operation->operand[i]);
	unsigned int in = operation->in_place[i];

	if (operation->may_in_place & (1u << i) && in < operation->inputs && operation->operand[in] != WEFT_NO_ID) {
		weft_id from = base_of(graph, operation->operand[in]);

		if (r->copy[from][WEFT_TIER_DEVICE].present && action->place[i] == action->place[in] &&
		    graph->value[from].bytes == graph->value[base].bytes && same_shape(graph, operation, i, in)) {
			for (unsigned int j = 0; j < operation->operands; j++)
				if (j != in && operation->operand[j] != WEFT_NO_ID &&
				    base_of(graph, operation->operand[j]) == from)
					return broken(r, from, "is replaced in place and used by another operand");
			if (has_home(&graph->value[from]) && r->plan->home[from].tier == WEFT_TIER_DEVICE)
				return broken(r, from, "is at home in device memory and replaced in place");
			forget(r, from, WEFT_TIER_DEVICE);
		}
	}
	return appear(r, base, WEFT_TIER_DEVICE, action->place[i], symbol);
}

static int replay_compute(struct replay *r, const struct weft_action *action)
{
	const struct weft_graph *graph = r->graph;
	const struct weft_operation *operation;
	uint64_t symbol[WEFT_MAX_OPERANDS] = {0}, result;

	if (action->operation >= graph->operations)
		return broken(r, WEFT_NO_ID, "names an operation that does not exist");
	operation = &graph->operation[action->operation];
	for (unsigned int i = 0; i < operation->operands; i++) {
		struct copy *copy;
		weft_id base;

		if (operation->operand[i] == WEFT_NO_ID)
			continue;
		base = base_of(graph, operation->operand[i]);
		copy = &r->copy[base][WEFT_TIER_DEVICE];
		if (i >= operation->inputs && !(operation->updates & (1u << i)))
			continue;
		if (!copy->present)
			return broken(r, base, "is an operand but not in device memory");
		if (copy->offset != action->place[i])
			return broken(r, base, "is an operand at another address than stated");
		if (copy->symbol != r->reference.operand[action->operation][i])
			return broken(r, base, "has other contents than this operation needs");
		symbol[i] = copy->symbol;
	}
	if (r->runs[action->operation]++ ? !action->recompute : action->recompute)
		return broken(r, WEFT_NO_ID, "is marked wrongly as first run or recomputation");
	if (action->recompute && !operation->recomputable)
		return broken(r, WEFT_NO_ID, "belongs to an operation that may run once only");
	result = result_symbol(operation, action->operation, symbol);
	for (unsigned int i = operation->inputs; i < operation->operands; i++) {
		struct copy *copy;
		bool update, piece;
		weft_id base;
		int error;

		if (operation->operand[i] == WEFT_NO_ID)
			continue;
		base = base_of(graph, operation->operand[i]);
		copy = &r->copy[base][WEFT_TIER_DEVICE];
		update = operation->updates & (1u << i);
		piece = !update && r->reference.writers[base] > 1;
		if (!copy->present) {
			error = new_output(r, action, i, written_symbol(result, i, piece, false, 0));
			if (error)
				return error;
			continue;
		}
		if (copy->offset != action->place[i])
			return broken(r, base, "is written at another address than its copy has");
		copy->symbol = written_symbol(result, i, piece, true, copy->symbol);
	}
	return 0;
}

static int replay_transfer(struct replay *r, const struct weft_action *action, enum weft_tier from, enum weft_tier to)
{
	const struct weft_value *value = &r->graph->value[action->value];
	struct copy *source = &r->copy[action->value][from], *target = &r->copy[action->value][to];

	if (!source->present)
		return broken(r, action->value, "is moved from a tier in which it is not");
	if (target->present) {
		/* Bringing a changed value home overwrites the old copy; nothing else has two. */
		if (!has_home(value) || r->plan->home[action->value].tier != to)
			return broken(r, action->value, "is moved to a tier in which it is already");
		if (target->offset != action->offset)
			return broken(r, action->value, "is moved home to another address than home");
		target->symbol = source->symbol;
		return 0;
	}
	return appear(r, action->value, to, action->offset, source->symbol);
}

static int replay_action(struct replay *r, const struct weft_action *action)
{
	if (action->kind == WEFT_ACTION_COMPUTE)
		return replay_compute(r, action);
	if (action->value >= r->graph->values || r->graph->value[action->value].base != action->value)
		return broken(r, WEFT_NO_ID, "is not a base value");
	switch (action->kind) {
	case WEFT_ACTION_PAGE_OUT:
		return replay_transfer(r, action, WEFT_TIER_DEVICE, WEFT_TIER_HOST);
	case WEFT_ACTION_PAGE_IN:
		return replay_transfer(r, action, WEFT_TIER_HOST, WEFT_TIER_DEVICE);
	case WEFT_ACTION_STORE:
		return replay_transfer(r, action, WEFT_TIER_HOST, WEFT_TIER_STORAGE);
	case WEFT_ACTION_LOAD:
		return replay_transfer(r, action, WEFT_TIER_STORAGE, WEFT_TIER_HOST);
	case WEFT_ACTION_DROP:
		if (action->tier >= WEFT_TIERS || !r->copy[action->value][action->tier].present)
			return broken(r, action->value, "is dropped from a tier in which it is not");
		if (has_home(&r->graph->value[action->value]) && r->plan->home[action->value].tier == action->tier)
			return broken(r, action->value, "is dropped from its home");
		forget(r, action->value, action->tier);
		return 0;
	default:
		return broken(r, action->value, "has an action of unknown kind");
	}
}

static int settle_homes(struct replay *r)
{
	for (weft_id v = 0; v < r->graph->values; v++) {
		const struct weft_value *value = &r->graph->value[v];
		const struct weft_home *home = &r->plan->home[v];
		int result;

		if (value->base != v || !has_home(value))
			continue;
		if (home->tier >= WEFT_TIERS)
			return broken(r, v, "has a home in no tier");
		if ((value->kind == WEFT_VALUE_INPUT || value->kind == WEFT_VALUE_STEP) && home->tier != WEFT_TIER_HOST)
			return broken(r, v, "is filled by the host, but its home is not the host tier");
		result = appear(r, v, home->tier, home->offset, mix(0x686f6d65, v));
		if (result)
			return result;
	}
	return 0;
}

static int check_end(struct replay *r)
{
	for (weft_id o = 0; o < r->graph->operations; o++)
		if (!r->runs[o])
			return weft_fail(EINVAL, "plan: operation '%s' never runs", r->graph->operation[o].name);
	for (weft_id v = 0; v < r->graph->values; v++) {
		const struct weft_value *value = &r->graph->value[v];
		const struct copy *copy;

		if (value->output) {
			copy = &r->copy[value->base][WEFT_TIER_HOST];
			if (!copy->present || copy->symbol != r->reference.final[value->base])
				return broken(r, v, "is an output but not in the host tier");
		}
		if (value->base != v || !has_home(value))
			continue;
		copy = &r->copy[v][r->plan->home[v].tier];
		if (!copy->present || copy->symbol != r->reference.final[v])
			return broken(r, v, "is not back home with its last contents");
	}
	for (unsigned int t = 0; t < WEFT_TIERS; t++) {
		if (r->high[t] > r->plan->peak[t])
			return weft_fail(EINVAL, "plan: %s peak is %llu, but the plan states %llu", tier_name[t],
					 (unsigned long long)r->high[t], (unsigned long long)r->plan->peak[t]);
		if (r->plan->peak[t] > r->budget->bytes[t])
			return weft_fail(EINVAL, "plan: %s peak of %llu bytes is over the budget of %llu", tier_name[t],
					 (unsigned long long)r->plan->peak[t], (unsigned long long)r->budget->bytes[t]);
	}
	return 0;
}

static int prepare(struct replay *r)
{
	const struct weft_graph *graph = r->graph;

	if (r->plan->homes < graph->values)
		return weft_fail(EINVAL, "plan: homes for %u values, but the graph has %u", r->plan->homes,
				 graph->values);
	r->copy = calloc(graph->values + 1, sizeof(*r->copy));
	r->io = calloc(graph->values + 1, sizeof(*r->io));
	r->runs = calloc(graph->operations + 1, sizeof(*r->runs));
	for (unsigned int t = 0; t < WEFT_TIERS; t++)
		r->live[t] = calloc(graph->values + 1, sizeof(*r->live[t]));
	if (!r->copy || !r->io || !r->runs || !r->live[0] || !r->live[1] || !r->live[2])
		return weft_fail(ENOMEM, "no memory to check a plan");
	for (uint32_t i = 0; i < r->plan->actions; i++) {
		const struct weft_action *action = &r->plan->action[i];

		if ((action->kind == WEFT_ACTION_STORE || action->kind == WEFT_ACTION_LOAD) &&
		    action->value < graph->values)
			r->io[action->value] = true;
	}
	for (weft_id v = 0; v < graph->values; v++)
		if (has_home(&graph->value[v]) && r->plan->home[v].tier == WEFT_TIER_STORAGE)
			r->io[v] = true;
	return execute_reference(r);
}

int weft_plan_check(const struct weft_plan *plan, const struct weft_graph *graph, const struct weft_budget *budget)
{
	struct replay r = {.plan = plan, .graph = graph, .budget = budget};
	int result = prepare(&r);

	if (!result)
		result = settle_homes(&r);
	for (r.index = 0; !result && r.index < plan->actions; r.index++)
		result = replay_action(&r, &plan->action[r.index]);
	if (!result)
		result = check_end(&r);
	for (unsigned int t = 0; t < WEFT_TIERS; t++)
		free(r.live[t]);
	free(r.reference.operand);
	free(r.reference.final);
	free(r.reference.writers);
	free(r.copy);
	free(r.io);
	free(r.runs);
	return result;
}
