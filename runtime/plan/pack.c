// SPDX-License-Identifier: MIT
/*
 * Addresses: place blocks, which are rectangles of lifetime by size, so that
 * those alive together do not overlap and the highest byte is low.  Best fit,
 * in several orders; the best result stands.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plan/draft.h"
#include "weft/error.h"

struct packer {
	struct weft_draft *draft;
	enum weft_tier tier;
	uint32_t *member; /* blocks of this tier in the order of placing */
	uint32_t members;
	uint32_t *near; /* placed blocks alive together with the one at hand, by offset */
	uint64_t *best; /* offsets of the best packing so far, by block */
	uint64_t best_peak;
	uint64_t *hot; /* per block: most bytes alive at once during its life */
};

enum pack_order { ORDER_SIZE, ORDER_AREA, ORDER_START, ORDER_HOT, ORDERS };

struct sorting {
	const struct packer *packer;
	enum pack_order order;
};

static uint64_t life(const struct weft_draft *draft, const struct weft_block *block)
{
	return (block->end == WEFT_NONE ? draft->actions + 1 : block->end) - (uint64_t)block->start;
}

static int compare(uint64_t a, uint64_t b)
{
	return a > b ? -1 : a < b; /* larger first */
}

static int by_order(const void *x, const void *y, void *user)
{
	const struct sorting *sorting = user;
	const struct weft_draft *draft = sorting->packer->draft;
	uint32_t i = *(const uint32_t *)x, j = *(const uint32_t *)y;
	const struct weft_block *a = &draft->block[i], *b = &draft->block[j];
	int c = 0;

	switch (sorting->order) {
	case ORDER_AREA:
		c = compare(a->bytes * life(draft, a), b->bytes * life(draft, b));
		break;
	case ORDER_START:
		c = compare(b->start, a->start);
		break;
	case ORDER_HOT:
		c = compare(sorting->packer->hot[i], sorting->packer->hot[j]);
		break;
	default:
		break;
	}
	if (!c)
		c = compare(a->bytes, b->bytes);
	if (!c)
		c = compare(life(draft, a), life(draft, b));
	return c ? c : i < j ? -1 : i > j;
}

static int by_offset(const void *x, const void *y, void *user)
{
	const struct weft_draft *draft = user;
	uint64_t a = draft->block[*(const uint32_t *)x].offset, b = draft->block[*(const uint32_t *)y].offset;

	return a < b ? -1 : a > b;
}

static bool together(const struct weft_block *a, const struct weft_block *b)
{
	return a->start < b->end && b->start < a->end;
}

/* Best fit: the smallest gap that takes the block; else on top. */
static void place(struct packer *p, uint32_t count)
{
	struct weft_block *block = &p->draft->block[p->member[count]];
	uint64_t floor = 0, best = UINT64_MAX, best_gap = UINT64_MAX;
	uint32_t near = 0;

	for (uint32_t i = 0; i < count; i++)
		if (together(block, &p->draft->block[p->member[i]]))
			p->near[near++] = p->member[i];
	qsort_r(p->near, near, sizeof(*p->near), by_offset, p->draft);
	for (uint32_t i = 0; i < near; i++) {
		const struct weft_block *other = &p->draft->block[p->near[i]];
		uint64_t start = weft_round_up(floor, block->align);

		if (other->offset >= start && other->offset - start >= block->bytes &&
		    other->offset - start < best_gap) {
			best = start;
			best_gap = other->offset - start;
		}
		if (other->offset + other->bytes > floor)
			floor = other->offset + other->bytes;
	}
	block->offset = best != UINT64_MAX ? best : weft_round_up(floor, block->align);
}

static uint64_t pack_once(struct packer *p, enum pack_order order)
{
	struct sorting sorting = {p, order};
	uint64_t peak = 0;

	qsort_r(p->member, p->members, sizeof(*p->member), by_order, &sorting);
	for (uint32_t i = 0; i < p->members; i++) {
		const struct weft_block *block = &p->draft->block[p->member[i]];

		place(p, i);
		if (block->offset + block->bytes > peak)
			peak = block->offset + block->bytes;
	}
	return peak;
}

static int measure_heat(struct packer *p, uint64_t *most)
{
	const struct weft_draft *draft = p->draft;
	uint64_t *live = calloc(draft->actions + 2, sizeof(*live));

	if (!live)
		return -ENOMEM;
	for (uint32_t i = 0; i < p->members; i++) {
		const struct weft_block *block = &draft->block[p->member[i]];
		uint32_t end = block->end == WEFT_NONE ? draft->actions + 1 : block->end;

		for (uint32_t t = block->start; t < end; t++)
			live[t] += block->bytes;
	}
	*most = 0;
	for (uint32_t i = 0; i < p->members; i++) {
		const struct weft_block *block = &draft->block[p->member[i]];
		uint32_t end = block->end == WEFT_NONE ? draft->actions + 1 : block->end;
		uint64_t hot = 0;

		for (uint32_t t = block->start; t < end; t++)
			if (live[t] > hot)
				hot = live[t];
		p->hot[p->member[i]] = hot;
		if (hot > *most)
			*most = hot;
	}
	free(live);
	return 0;
}

static int pack_tier(struct packer *p, uint64_t room)
{
	struct weft_draft *draft = p->draft;
	uint64_t most;

	p->members = 0;
	p->best_peak = UINT64_MAX;
	for (uint32_t b = 0; b < draft->blocks; b++)
		if (draft->block[b].tier == p->tier)
			p->member[p->members++] = b;
	if (measure_heat(p, &most))
		return -ENOMEM;
	for (enum pack_order order = 0; order < ORDERS; order++) {
		uint64_t peak = pack_once(p, order);

		if (peak < p->best_peak) {
			p->best_peak = peak;
			for (uint32_t i = 0; i < p->members; i++)
				p->best[p->member[i]] = draft->block[p->member[i]].offset;
		}
		if (peak == most || peak <= room)
			break;
	}
	for (uint32_t i = 0; i < p->members; i++)
		draft->block[p->member[i]].offset = p->best[p->member[i]];
	draft->peak[p->tier] = p->members ? p->best_peak : 0;
	return 0;
}

int weft_draft_pack(struct weft_draft *draft, const uint64_t room[WEFT_TIERS])
{
	struct packer p = {.draft = draft};
	int result = -ENOMEM;

	p.member = calloc(draft->blocks + 1, sizeof(*p.member));
	p.near = calloc(draft->blocks + 1, sizeof(*p.near));
	p.best = calloc(draft->blocks + 1, sizeof(*p.best));
	p.hot = calloc(draft->blocks + 1, sizeof(*p.hot));
	if (p.member && p.near && p.best && p.hot) {
		result = 0;
		for (p.tier = WEFT_TIER_DEVICE; !result && p.tier < WEFT_TIERS; p.tier++)
			result = pack_tier(&p, room[p.tier]);
	}
	free(p.member);
	free(p.near);
	free(p.best);
	free(p.hot);
	return result ? weft_fail(ENOMEM, "no memory for planning") : 0;
}
