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

/* A slice of time, and the placed blocks that live in it. */
struct slice {
	uint32_t *block;
	uint32_t blocks, room;
	uint64_t hot; /* most bytes alive at once */
};

/* Fewer slices where there are few blocks: a long life is entered in each. */
#define BLOCKS_PER_SLICE 128

struct packer {
	struct weft_draft *draft;
	enum weft_tier tier;
	uint32_t *member; /* blocks of this tier that come or go, in the order of placing */
	uint32_t members;
	uint64_t bottom; /* above the blocks that are there all the time */
	uint32_t *near;	 /* placed blocks alive together with the one at hand, by offset */
	uint32_t *seen;	 /* per block: the last one for which it was looked at */
	struct slice *slice;
	uint32_t slices, width; /* actions per slice */
	uint64_t *best;		/* offsets of the best packing so far, by block */
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

static uint32_t last_action(const struct packer *p, const struct weft_block *block)
{
	uint32_t end = block->end == WEFT_NONE ? p->draft->actions + 1 : block->end;

	return end > block->start ? end - 1 : block->start;
}

static bool together(const struct weft_block *a, const struct weft_block *b)
{
	return a->start < b->end && b->start < a->end;
}

static uint32_t collect_near(struct packer *p, uint32_t member)
{
	const struct weft_block *block = &p->draft->block[member];
	uint32_t last = last_action(p, block) / p->width, near = 0;

	for (uint32_t s = block->start / p->width; s <= last; s++) {
		for (uint32_t i = 0; i < p->slice[s].blocks; i++) {
			uint32_t other = p->slice[s].block[i];

			if (p->seen[other] == member)
				continue;
			p->seen[other] = member;
			if (together(block, &p->draft->block[other]))
				p->near[near++] = other;
		}
	}
	return near;
}

static int enter_slices(struct packer *p, uint32_t member)
{
	const struct weft_block *block = &p->draft->block[member];
	uint32_t last = last_action(p, block) / p->width;

	for (uint32_t s = block->start / p->width; s <= last; s++) {
		struct slice *slice = &p->slice[s];

		if (slice->blocks == slice->room) {
			uint32_t room = slice->room ? slice->room * 2 : 16;
			uint32_t *more = realloc(slice->block, room * sizeof(*more));

			if (!more)
				return -ENOMEM;
			slice->block = more;
			slice->room = room;
		}
		slice->block[slice->blocks++] = member;
	}
	return 0;
}

/* Best fit: the smallest gap that takes the block; else on top. */
static int place(struct packer *p, uint32_t count)
{
	struct weft_block *block = &p->draft->block[p->member[count]];
	uint64_t floor = p->bottom, best = UINT64_MAX, best_gap = UINT64_MAX;
	uint32_t near = collect_near(p, p->member[count]);

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
	return enter_slices(p, p->member[count]);
}

static int pack_once(struct packer *p, enum pack_order order, uint64_t *peak)
{
	struct sorting sorting = {p, order};

	qsort_r(p->member, p->members, sizeof(*p->member), by_order, &sorting);
	for (uint32_t s = 0; s < p->slices; s++)
		p->slice[s].blocks = 0;
	memset(p->seen, 0xff, p->draft->blocks * sizeof(*p->seen));
	*peak = p->bottom;
	for (uint32_t i = 0; i < p->members; i++) {
		const struct weft_block *block = &p->draft->block[p->member[i]];

		if (place(p, i))
			return -ENOMEM;
		if (block->offset + block->bytes > *peak)
			*peak = block->offset + block->bytes;
	}
	return 0;
}

/* Most bytes alive at once in actions [from, to], whole slices at a time. */
static uint64_t heat(const struct packer *p, const uint64_t *live, uint32_t from, uint32_t to)
{
	uint64_t hot = 0;

	for (uint32_t t = from; t <= to;) {
		uint64_t here = live[t];

		if (t % p->width == 0 && to - t >= p->width) {
			here = p->slice[t / p->width].hot;
			t += p->width;
		} else {
			t++;
		}
		hot = here > hot ? here : hot;
	}
	return hot;
}

static int measure_heat(struct packer *p, uint64_t *most)
{
	const struct weft_draft *draft = p->draft;
	uint64_t *live = calloc(draft->actions + 3, sizeof(*live));

	if (!live)
		return -ENOMEM;
	for (uint32_t i = 0; i < p->members; i++) {
		const struct weft_block *block = &draft->block[p->member[i]];

		live[block->start] += block->bytes;
		live[last_action(p, block) + 1] -= block->bytes;
	}
	for (uint32_t t = 1; t < draft->actions + 3; t++)
		live[t] += live[t - 1];
	for (uint32_t s = 0; s < p->slices; s++)
		p->slice[s].hot = 0;
	*most = 0;
	for (uint32_t t = 0; t < draft->actions + 2; t++) {
		struct slice *slice = &p->slice[t / p->width];

		slice->hot = live[t] > slice->hot ? live[t] : slice->hot;
		*most = live[t] > *most ? live[t] : *most;
	}
	for (uint32_t i = 0; i < p->members; i++) {
		const struct weft_block *block = &draft->block[p->member[i]];

		p->hot[p->member[i]] = heat(p, live, block->start, last_action(p, block));
	}
	free(live);
	*most += p->bottom;
	return 0;
}

static bool is_permanent(const struct weft_block *block)
{
	return !block->start && block->end == WEFT_NONE;
}

/* Blocks that are there all the time stand at the bottom, the most aligned ones first. */
static void place_permanent(struct packer *p)
{
	struct weft_draft *draft = p->draft;

	p->members = 0;
	p->bottom = 0;
	for (uint32_t align = WEFT_PLAN_IO_ALIGN; align; align = align == WEFT_PLAN_IO_ALIGN ? WEFT_PLAN_ALIGN : 0) {
		for (uint32_t b = 0; b < draft->blocks; b++) {
			struct weft_block *block = &draft->block[b];

			if (block->tier != p->tier || !is_permanent(block) || block->align != align)
				continue;
			block->offset = weft_round_up(p->bottom, align);
			p->bottom = block->offset + block->bytes;
		}
	}
	for (uint32_t b = 0; b < draft->blocks; b++)
		if (draft->block[b].tier == p->tier && !is_permanent(&draft->block[b]))
			p->member[p->members++] = b;
}

static int pack_tier(struct packer *p, uint64_t room)
{
	struct weft_draft *draft = p->draft;
	uint64_t most;

	place_permanent(p);
	p->best_peak = UINT64_MAX;
	if (measure_heat(p, &most))
		return -ENOMEM;
	for (enum pack_order order = 0; order < ORDERS; order++) {
		uint64_t peak;

		if (pack_once(p, order, &peak))
			return -ENOMEM;
		if (peak < p->best_peak) {
			p->best_peak = peak;
			for (uint32_t i = 0; i < p->members; i++)
				p->best[p->member[i]] = draft->block[p->member[i]].offset;
		}
		if (peak <= most || peak <= room)
			break;
	}
	for (uint32_t i = 0; i < p->members; i++)
		draft->block[p->member[i]].offset = p->best[p->member[i]];
	draft->peak[p->tier] = p->best_peak;
	return 0;
}

int weft_draft_pack(struct weft_draft *draft, const uint64_t room[WEFT_TIERS])
{
	struct packer p = {.draft = draft};
	int result = -ENOMEM;

	p.width = (draft->actions + 2) / (draft->blocks / BLOCKS_PER_SLICE + 1) + 1;
	p.slices = (draft->actions + 2) / p.width + 1;
	p.member = calloc(draft->blocks + 1, sizeof(*p.member));
	p.near = calloc(draft->blocks + 1, sizeof(*p.near));
	p.seen = calloc(draft->blocks + 1, sizeof(*p.seen));
	p.best = calloc(draft->blocks + 1, sizeof(*p.best));
	p.hot = calloc(draft->blocks + 1, sizeof(*p.hot));
	p.slice = calloc(p.slices, sizeof(*p.slice));
	if (p.member && p.near && p.seen && p.best && p.hot && p.slice) {
		result = 0;
		for (p.tier = WEFT_TIER_DEVICE; !result && p.tier < WEFT_TIERS; p.tier++)
			result = pack_tier(&p, room[p.tier]);
	}
	for (uint32_t s = 0; p.slice && s < p.slices; s++)
		free(p.slice[s].block);
	free(p.slice);
	free(p.member);
	free(p.near);
	free(p.seen);
	free(p.best);
	free(p.hot);
	return result ? weft_fail(ENOMEM, "no memory for planning") : 0;
}
