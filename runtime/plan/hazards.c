// SPDX-License-Identifier: MIT
/*
 * Who touched which bytes last.  Per tier, the addresses are cut into stretches, each
 * with its last writer and those who have read it since; an index by address finds
 * the stretch to begin with, so that the work depends on the stretches that a range
 * meets and not on how many there are.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plan/problem.h"
#include "plan/walk.h"
#include "weft/error.h"

#define NOBODY UINT32_MAX
#define ENTRIES 8192u
#define FIRST_GRANULE 4096u

/* Lists only ever grow at their heads, so that stretches that were one share their tails. */
struct reader {
	uint32_t index;
	uint32_t next;
};

struct stretch {
	uint64_t low, high;
	uint32_t writer, readers;
	uint32_t next, previous; /* by address; of a free one, next is the next free one */
};

struct space {
	struct stretch *stretch;
	uint32_t stretches, room, unused;
	uint32_t last;		 /* the one with the highest addresses */
	uint32_t entry[ENTRIES]; /* the stretch that holds the first byte of each granule */
	uint64_t granule;
};

struct weft_hazards {
	struct space space[WEFT_TIERS];
	struct reader *reader;
	uint32_t readers, room;
};

struct weft_hazards *weft_hazards_new(void)
{
	struct weft_hazards *hazards = calloc(1, sizeof(*hazards));

	for (unsigned int t = 0; hazards && t < WEFT_TIERS; t++) {
		struct space *space = &hazards->space[t];

		space->granule = FIRST_GRANULE;
		space->unused = space->last = WEFT_NONE;
		memset(space->entry, 0xff, sizeof(space->entry));
	}
	return hazards;
}

void weft_hazards_free(struct weft_hazards *hazards)
{
	for (unsigned int t = 0; hazards && t < WEFT_TIERS; t++)
		free(hazards->space[t].stretch);
	if (hazards)
		free(hazards->reader);
	free(hazards);
}

/* The stretch that holds @at; WEFT_NONE if nothing has touched as much. */
static uint32_t find(const struct space *space, uint64_t at)
{
	uint64_t g = at / space->granule;
	uint32_t s = g < ENTRIES ? space->entry[g] : WEFT_NONE;

	while (s != WEFT_NONE && space->stretch[s].high <= at)
		s = space->stretch[s].next;
	return s;
}

void weft_hazards_visit(const struct weft_hazards *hazards, const struct weft_access *access, weft_hazard_visit visit,
			void *user)
{
	const struct space *space = &hazards->space[access->tier];

	if (access->low >= access->high)
		return;
	for (uint32_t s = find(space, access->low); s != WEFT_NONE; s = space->stretch[s].next) {
		const struct stretch *stretch = &space->stretch[s];

		if (stretch->low >= access->high)
			break;
		if (stretch->writer != NOBODY)
			visit(user, stretch->writer);
		for (uint32_t r = stretch->readers; access->write && r != WEFT_NONE; r = hazards->reader[r].next)
			visit(user, hazards->reader[r].index);
	}
}

/* @stretch holds the first bytes of the granules in its range. */
static void enter(struct space *space, uint32_t s)
{
	const struct stretch *stretch = &space->stretch[s];

	for (uint64_t g = (stretch->low + space->granule - 1) / space->granule;
	     g < ENTRIES && g * space->granule < stretch->high; g++)
		space->entry[g] = s;
}

static int new_stretch(struct space *space, const struct stretch *contents, uint32_t *s)
{
	if (space->unused != WEFT_NONE) {
		*s = space->unused;
		space->unused = space->stretch[*s].next;
	} else {
		if (space->stretches == space->room) {
			uint32_t room = space->room ? 2 * space->room : 256;
			struct stretch *more = realloc(space->stretch, room * sizeof(*more));

			if (!more)
				return weft_fail(ENOMEM, "no memory for the executor's dependencies");
			space->stretch = more;
			space->room = room;
		}
		*s = space->stretches++;
	}
	space->stretch[*s] = *contents;
	return 0;
}

/* Coarser granules, until the index reaches @high. */
static void coarsen(struct space *space, uint64_t high)
{
	while ((high - 1) / space->granule >= ENTRIES) {
		space->granule *= 2;
		for (uint32_t g = 0; g < ENTRIES; g++)
			space->entry[g] = 2 * g < ENTRIES ? space->entry[2 * g] : WEFT_NONE;
	}
}

/* The stretches reach up to @high at least. */
static int extend(struct space *space, uint64_t high)
{
	uint64_t end = space->last == WEFT_NONE ? 0 : space->stretch[space->last].high;
	struct stretch stretch = {end, high, NOBODY, WEFT_NONE, WEFT_NONE, space->last};
	uint32_t s;
	int result;

	coarsen(space, high);
	if (end >= high)
		return 0;
	result = new_stretch(space, &stretch, &s);
	if (result)
		return result;
	if (space->last != WEFT_NONE)
		space->stretch[space->last].next = s;
	space->last = s;
	enter(space, s);
	return 0;
}

/* Cut at @at, so that a stretch begins there. */
static int cut(struct space *space, uint64_t at)
{
	uint32_t s = find(space, at), upper;
	struct stretch stretch;
	int result;

	if (s == WEFT_NONE || space->stretch[s].low == at)
		return 0;
	stretch = space->stretch[s];
	stretch.low = at;
	stretch.previous = s;
	result = new_stretch(space, &stretch, &upper);
	if (result)
		return result;
	space->stretch[s].high = at;
	space->stretch[s].next = upper;
	if (stretch.next != WEFT_NONE)
		space->stretch[stretch.next].previous = upper;
	else
		space->last = upper;
	enter(space, upper);
	return 0;
}

/* All stretches of [@low, @high) become the one at @low. */
static void merge(struct space *space, uint32_t s, uint64_t high)
{
	struct stretch *stretch = &space->stretch[s];

	while (stretch->high < high) {
		uint32_t gone = stretch->next;

		stretch->high = space->stretch[gone].high;
		stretch->next = space->stretch[gone].next;
		if (stretch->next != WEFT_NONE)
			space->stretch[stretch->next].previous = s;
		else
			space->last = s;
		space->stretch[gone].next = space->unused;
		space->unused = gone;
	}
	enter(space, s);
}

static int add_reader(struct weft_hazards *hazards, struct stretch *stretch, uint32_t index)
{
	if (stretch->readers != WEFT_NONE && hazards->reader[stretch->readers].index == index)
		return 0;
	if (hazards->readers == hazards->room) {
		uint32_t room = hazards->room ? 2 * hazards->room : 256;
		struct reader *more = realloc(hazards->reader, room * sizeof(*more));

		if (!more)
			return weft_fail(ENOMEM, "no memory for the executor's dependencies");
		hazards->reader = more;
		hazards->room = room;
	}
	hazards->reader[hazards->readers] = (struct reader){index, stretch->readers};
	stretch->readers = hazards->readers++;
	return 0;
}

int weft_hazards_record(struct weft_hazards *hazards, const struct weft_access *access, uint32_t index)
{
	struct space *space = &hazards->space[access->tier];
	uint32_t s;
	int result;

	if (access->low >= access->high)
		return 0;
	result = extend(space, access->high);
	if (!result)
		result = cut(space, access->low);
	if (!result)
		result = cut(space, access->high);
	if (result)
		return result;
	s = find(space, access->low);
	/* Whoever conflicts with what is overwritten will wait for the overwriting instead. */
	if (access->write) {
		merge(space, s, access->high);
		space->stretch[s].writer = index;
		space->stretch[s].readers = WEFT_NONE;
		return 0;
	}
	for (; !result && s != WEFT_NONE && space->stretch[s].low < access->high; s = space->stretch[s].next)
		result = add_reader(hazards, &space->stretch[s], index);
	return result;
}
