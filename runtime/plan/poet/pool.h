/* SPDX-License-Identifier: MIT */
/**
 * The inequalities of cuts.h and levels.h, said in stages instead of segments:
 * they hold whatever stages are active, so that what one relaxation has shown
 * to matter serves the next one.
 */
#ifndef WEFT_PLAN_POET_POOL_H
#define WEFT_PLAN_POET_POOL_H

#include "plan/poet/bound.h"

/** Who asks for the node at the end of a path. */
enum poet_demand {
	POET_READ,    /* the first computation of stage @to */
	POET_CARRIED, /* it goes on to the next segment */
	POET_READER,  /* a computation of @reader, again */
};

/** Set in an item of a path: the inequality says SAVE of that node, not the sum of its LOADs. */
#define POET_PATH_SAVE UINT32_C(0x80000000)

struct poet_path {
	enum poet_demand demand;
	uint32_t from, to; /* stages: the first of the segment where it begins, and one of that where it ends */
	uint32_t reader;
	uint32_t length;
	uint32_t *item; /* nodes, from the one that is asked for */
	int row;	/* of the program in hand */
	uint32_t idle;	/* for how many relaxations in a row it did not matter */
};

enum poet_level_kind {
	POET_LEVEL_ONCE,  /* @node is there, computed again or paged in, one of them, in stages @stage..@last */
	POET_LEVEL_AFTER, /* the level after position @node of @stage */
};

/** What a node's share of a level is at least. */
enum poet_share_term {
	POET_SHARE_ABSENT,
	POET_SHARE_FIXED,   /* read by the stage itself */
	POET_SHARE_PRESENT, /* there at the start, of use later */
	POET_SHARE_THROUGH, /* goes through the stage */
	POET_SHARE_RUNS,    /* has just been computed */
	POET_SHARE_READER,  /* is read by @reader, which is still to come */
	POET_SHARE_WAITS,   /* there at the start and not read so far */
};

struct poet_share {
	uint32_t node, reader;
	enum poet_share_term term;
};

struct poet_level {
	enum poet_level_kind kind;
	uint32_t stage, last, node; /* stages of a segment, one where it is about a position */
	uint32_t shares;
	struct poet_share *share;
	int row;       /* of the program in hand */
	uint32_t idle; /* as of a path */
};

struct poet_pool {
	struct poet_path *path;
	size_t paths, room;
	struct poet_level *level;
	size_t levels, level_room;
};

/** Write @level as a row, if it can be said in this relaxation: see levels.h. */
bool poet_level_write(struct poet_relaxation *relaxation, struct poet_level *level);
/** Write @level and remember it; its shares become the pool's. -ENOMEM. */
int poet_pool_add_level(struct poet_pool *pool, struct poet_relaxation *relaxation, struct poet_level level);

void poet_pool_clear(struct poet_pool *pool);

/** Write @path as a row and remember it; its items become the pool's. -ENOMEM. */
int poet_pool_add(struct poet_pool *pool, struct poet_relaxation *relaxation, struct poet_path path);
/** Take back the last row and its path. */
void poet_pool_undo(struct poet_pool *pool, struct poet_relaxation *relaxation);
/** Forget what has not mattered for some relaxations, this one, solved in @lp, among them. */
void poet_pool_purge(struct poet_pool *pool, const struct poet_lp *lp);
/** Write what is remembered into a new relaxation, and forget what cannot be said there. -ENOMEM. */
int poet_pool_write(struct poet_pool *pool, struct poet_relaxation *relaxation);

#endif /* WEFT_PLAN_POET_POOL_H */
