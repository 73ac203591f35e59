// SPDX-License-Identifier: MIT
/* The inequalities of pool.h. */
#include "plan/poet/pool.h"

#include <errno.h>
#include <stdlib.h>

/* A price below this is none; without one for so many relaxations, an inequality is forgotten. */
#define LEAST_PRICE 1e-7
#define MOST_IDLE 2

void poet_pool_clear(struct poet_pool *pool)
{
	for (size_t p = 0; p < pool->paths; p++)
		free(pool->path[p].item);
	free(pool->path);
	for (size_t l = 0; l < pool->levels; l++)
		free(pool->level[l].share);
	free(pool->level);
	*pool = (struct poet_pool){0};
}

static uint32_t node_of(uint32_t item)
{
	return item & ~POET_PATH_SAVE;
}

/* Every node of it must be older than the segment where it begins: what is computed for the first time is there. */
static bool can_be_said(const struct poet_relaxation *r, const struct poet_path *path)
{
	uint32_t a = r->segment_of[path->from], b = r->segment_of[path->to];

	for (uint32_t p = 0; p < path->length; p++)
		if (r->segment_of[node_of(path->item[p])] >= a)
			return false;
	return a <= b && (path->demand != POET_READER || poet_relaxation_column(r, POET_RUN, b, path->reader) >= 0);
}

static void write_path(struct poet_relaxation *r, struct poet_path *path)
{
	uint32_t a = r->segment_of[path->from], b = r->segment_of[path->to],
		 end = node_of(path->item[path->length - 1]);
	/* What a loose segment loads can be of use in it. */
	uint32_t loads_end = poet_is_loose(r, b) ? b + 1 : b;
	struct poet_row row = poet_row_begin(&r->program, 0);

	if (path->demand == POET_READ) {
		row.most -= 1;
	} else if (path->demand == POET_CARRIED) {
		poet_row_add(&row, poet_relaxation_column(r, POET_KEEP, b, node_of(path->item[0])), 1);
		poet_row_add(&row, poet_relaxation_column(r, POET_BACK, b, node_of(path->item[0])), 1);
	} else {
		poet_row_add(&row, poet_relaxation_column(r, POET_RUN, b, path->reader), 1);
	}
	for (uint32_t p = 0; p < path->length; p++) {
		uint32_t i = node_of(path->item[p]);

		poet_row_add_present(r, &row, a, i, -1);
		if (path->item[p] & POET_PATH_SAVE)
			poet_row_add(&row, r->save[i], -1);
		else
			for (uint32_t s = a; s < loads_end; s++)
				poet_row_add(&row, poet_relaxation_column(r, POET_LOAD, s, i), -1);
	}
	for (uint32_t s = a; s <= b; s++)
		poet_row_add(&row, poet_relaxation_column(r, POET_RUN, s, end), -1);
	path->row = r->program.rows;
	poet_row_end(&row);
}

int poet_pool_add(struct poet_pool *pool, struct poet_relaxation *r, struct poet_path path)
{
	if (pool->paths == pool->room) {
		size_t room = pool->room * 2 + 256;
		struct poet_path *more = realloc(pool->path, room * sizeof(*more));

		if (!more) {
			free(path.item);
			return -ENOMEM;
		}
		pool->path = more;
		pool->room = room;
	}
	write_path(r, &path);
	pool->path[pool->paths++] = path;
	return r->program.failed ? -ENOMEM : 0;
}

void poet_pool_undo(struct poet_pool *pool, struct poet_relaxation *r)
{
	free(pool->path[--pool->paths].item);
	r->program.rows--;
	r->program.cells = r->program.row_start[r->program.rows];
}

int poet_pool_add_level(struct poet_pool *pool, struct poet_relaxation *r, struct poet_level level)
{
	if (pool->levels == pool->level_room) {
		size_t room = pool->level_room * 2 + 256;
		struct poet_level *more = realloc(pool->level, room * sizeof(*more));

		if (!more) {
			free(level.share);
			return -ENOMEM;
		}
		pool->level = more;
		pool->level_room = room;
	}
	if (poet_level_write(r, &level))
		pool->level[pool->levels++] = level;
	else
		free(level.share);
	return r->program.failed ? -ENOMEM : 0;
}

/* Keep the path at @p, behind those that were kept before, or forget it. */
static void keep_path(struct poet_pool *pool, size_t *kept, size_t p, bool wanted)
{
	if (wanted)
		pool->path[(*kept)++] = pool->path[p];
	else
		free(pool->path[p].item);
}

static void keep_level(struct poet_pool *pool, size_t *kept, size_t l, bool wanted)
{
	if (wanted)
		pool->level[(*kept)++] = pool->level[l];
	else
		free(pool->level[l].share);
}

/* For how many relaxations it has been idle now. */
static uint32_t age(const struct poet_lp *lp, int row, uint32_t idle)
{
	return poet_lp_multiplier(lp, row) > LEAST_PRICE ? 0 : idle + 1;
}

void poet_pool_purge(struct poet_pool *pool, const struct poet_lp *lp)
{
	size_t paths = 0, levels = 0;

	for (size_t p = 0; p < pool->paths; p++) {
		pool->path[p].idle = age(lp, pool->path[p].row, pool->path[p].idle);
		keep_path(pool, &paths, p, pool->path[p].idle < MOST_IDLE);
	}
	for (size_t l = 0; l < pool->levels; l++) {
		pool->level[l].idle = age(lp, pool->level[l].row, pool->level[l].idle);
		keep_level(pool, &levels, l, pool->level[l].idle < MOST_IDLE);
	}
	pool->paths = paths;
	pool->levels = levels;
}

int poet_pool_write(struct poet_pool *pool, struct poet_relaxation *r)
{
	size_t paths = 0, levels = 0;

	for (size_t p = 0; p < pool->paths; p++) {
		bool sayable = can_be_said(r, &pool->path[p]);

		if (sayable)
			write_path(r, &pool->path[p]);
		keep_path(pool, &paths, p, sayable);
	}
	for (size_t l = 0; l < pool->levels; l++)
		keep_level(pool, &levels, l, poet_level_write(r, &pool->level[l]));
	pool->paths = paths;
	pool->levels = levels;
	return r->program.failed ? -ENOMEM : 0;
}
