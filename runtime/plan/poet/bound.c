// SPDX-License-Identifier: MIT
/* Linear and integer programs through the C interfaces of Clp and Cbc. */
#include "plan/poet/bound.h"

#include <coin/Cbc_C_Interface.h>
#include <coin/Clp_C_Interface.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A program by columns, without what is fixed and what no longer says anything. */
struct columns {
	int columns, rows;
	int *original; /* column here -> column of the program */
	int *start;    /* columns + 1 */
	int *row;
	double *cell;
	double *cost, *lower, *upper, *most, *least;
	double offset;	 /* objective of the fixed columns */
	bool infeasible; /* a row cannot be met whatever the free columns are */
};

static void columns_clear(struct columns *c)
{
	free(c->original);
	free(c->start);
	free(c->row);
	free(c->cell);
	free(c->cost);
	free(c->lower);
	free(c->upper);
	free(c->most);
	free(c->least);
	*c = (struct columns){0};
}

static bool is_fixed(const struct poet_program *p, int column)
{
	return p->upper[column] - p->lower[column] < 0.5;
}

/* Keep the rows that free columns can violate; *keep[r] is the new number or -1, most[] what is left of the limit. */
static void choose_rows(const struct poet_program *p, struct columns *c, int *keep, double *most)
{
	for (int r = 0; r < p->rows; r++) {
		double fixed = 0, high = 0, low = 0;

		for (size_t e = p->row_start[r]; e < p->row_start[r + 1]; e++) {
			int column = p->cell_column[e];

			if (is_fixed(p, column))
				fixed += p->cell[e] * p->lower[column];
			else if (p->cell[e] > 0)
				high += p->cell[e];
			else
				low += p->cell[e];
		}
		most[r] = p->most[r] - fixed;
		keep[r] = high > most[r] ? c->rows++ : -1;
		if (low > most[r] + 1e-7)
			c->infeasible = true;
	}
}

static int columns_init(struct columns *c, const struct poet_program *p)
{
	int *keep = malloc(((size_t)p->rows + 1) * sizeof(*keep)),
	    *number = malloc(((size_t)p->columns + 1) * sizeof(*number));
	double *most = malloc(((size_t)p->rows + 1) * sizeof(*most));
	size_t cells = 0;

	*c = (struct columns){0};
	c->original = malloc(((size_t)p->columns + 1) * sizeof(int));
	c->start = calloc((size_t)p->columns + 2, sizeof(int));
	c->cost = malloc(((size_t)p->columns + 1) * sizeof(double));
	c->lower = malloc(((size_t)p->columns + 1) * sizeof(double));
	c->upper = malloc(((size_t)p->columns + 1) * sizeof(double));
	c->most = malloc(((size_t)p->rows + 1) * sizeof(double));
	c->least = malloc(((size_t)p->rows + 1) * sizeof(double));
	c->row = malloc((p->cells + 1) * sizeof(int));
	c->cell = malloc((p->cells + 1) * sizeof(double));
	if (!keep || !number || !most || !c->original || !c->start || !c->cost || !c->lower || !c->upper || !c->most ||
	    !c->least || !c->row || !c->cell || p->cells > INT32_MAX) {
		free(keep);
		free(number);
		free(most);
		columns_clear(c);
		return -ENOMEM;
	}
	for (int column = 0; column < p->columns; column++) {
		number[column] = -1;
		if (is_fixed(p, column)) {
			c->offset += p->cost[column] * p->lower[column];
			continue;
		}
		c->cost[c->columns] = p->cost[column];
		c->lower[c->columns] = p->lower[column];
		c->upper[c->columns] = p->upper[column];
		c->original[c->columns] = column;
		number[column] = c->columns++;
	}
	choose_rows(p, c, keep, most);
	for (int r = 0; r < p->rows; r++) {
		if (keep[r] < 0)
			continue;
		c->most[keep[r]] = most[r];
		c->least[keep[r]] = -INFINITY;
		for (size_t e = p->row_start[r]; e < p->row_start[r + 1]; e++)
			if (number[p->cell_column[e]] >= 0) {
				c->start[number[p->cell_column[e]] + 2]++;
				cells++;
			}
	}
	for (int column = 1; column <= c->columns; column++)
		c->start[column + 1] += c->start[column];
	for (int r = 0; r < p->rows; r++) {
		if (keep[r] < 0)
			continue;
		for (size_t e = p->row_start[r]; e < p->row_start[r + 1]; e++) {
			int column = number[p->cell_column[e]];

			if (column < 0)
				continue;
			c->row[c->start[column + 1]] = keep[r];
			c->cell[c->start[column + 1]++] = p->cell[e];
		}
	}
	free(keep);
	free(number);
	free(most);
	return 0;
}

/*
 * With multipliers y >= 0 for the rows A x <= most, every x within its bounds
 * has cost x >= cost x + y (A x - most) >= sum of min(d lower, d upper) - y most,
 * where d = cost + y A.  Summed in extended precision, with what rounding can
 * have moved taken off.
 */
static double dual_bound(const struct columns *c, const double *dual, double *reduced)
{
	long double value = c->offset, moved = 0;

	for (int r = 0; r < c->rows; r++) {
		double y = dual[r] < 0 ? -dual[r] : 0; /* Clp's sign for <= rows of a minimisation */

		value -= (long double)y * c->most[r];
		moved += fabsl((long double)y * c->most[r]);
	}
	for (int column = 0; column < c->columns; column++) {
		long double d = c->cost[column];

		for (int e = c->start[column]; e < c->start[column + 1]; e++) {
			double y = dual[c->row[e]] < 0 ? -dual[c->row[e]] : 0;

			d += (long double)y * c->cell[e];
			moved += fabsl((long double)y * c->cell[e]);
		}
		reduced[column] = (double)d;
		value += d < 0 ? d * c->upper[column] : d * c->lower[column];
	}
	return (double)(value - moved * 0x1p-58L);
}

static int take_solution(const struct poet_program *p, const struct columns *c, Clp_Simplex *clp, struct poet_lp *lp)
{
	double *reduced = malloc(((size_t)c->columns + 1) * sizeof(*reduced));
	const double *x = Clp_primalColumnSolution(clp);

	lp->reduced = calloc((size_t)p->columns + 1, sizeof(double));
	lp->x = calloc((size_t)p->columns + 1, sizeof(double));
	if (!reduced || !lp->reduced || !lp->x) {
		free(reduced);
		return -ENOMEM;
	}
	lp->value = dual_bound(c, Clp_dualRowSolution(clp), reduced);
	memcpy(lp->x, p->lower, (size_t)p->columns * sizeof(double));
	for (int column = 0; column < c->columns; column++) {
		lp->reduced[c->original[column]] = reduced[column];
		lp->x[c->original[column]] = x[column];
	}
	free(reduced);
	return 0;
}

int poet_lp_solve(const struct poet_program *p, double seconds, struct poet_lp *lp)
{
	struct columns c;
	Clp_Simplex *clp;
	int status;

	*lp = (struct poet_lp){.value = -INFINITY};
	if (columns_init(&c, p) < 0)
		return -ENOMEM;
	if (c.infeasible) {
		lp->infeasible = true;
		columns_clear(&c);
		return 0;
	}
	clp = Clp_newModel();
	Clp_setLogLevel(clp, 0);
	Clp_loadProblem(clp, c.columns, c.rows, c.start, c.row, c.cell, c.lower, c.upper, c.cost, c.least, c.most);
	Clp_setMaximumSeconds(clp, seconds);
	Clp_initialDualSolve(clp);
	lp->solved = Clp_status(clp) == 0;
	lp->infeasible = Clp_status(clp) == 1;
	status = take_solution(p, &c, clp, lp);
	Clp_deleteModel(clp);
	columns_clear(&c);
	return status;
}

void poet_lp_clear(struct poet_lp *lp)
{
	free(lp->reduced);
	free(lp->x);
	*lp = (struct poet_lp){0};
}

int poet_lp_fix(struct poet_program *p, const struct poet_lp *lp, double cutoff)
{
	int fixed = 0;

	for (int column = 0; column < p->columns; column++) {
		if (is_fixed(p, column) || !p->whole[column])
			continue;
		if (lp->reduced[column] > 0 && lp->value + lp->reduced[column] > cutoff) {
			p->upper[column] = p->lower[column];
			fixed++;
		} else if (lp->reduced[column] < 0 && lp->value - lp->reduced[column] > cutoff) {
			p->lower[column] = p->upper[column];
			fixed++;
		}
	}
	return fixed;
}

int poet_mip_bound(const struct poet_program *p, double cutoff, double seconds, uint64_t nodes, double *value)
{
	struct columns c;
	Cbc_Model *cbc;
	char text[64];

	*value = -INFINITY;
	if (columns_init(&c, p) < 0)
		return -ENOMEM;
	if (c.infeasible) {
		*value = cutoff;
		columns_clear(&c);
		return 0;
	}
	cbc = Cbc_newModel();
	Cbc_setLogLevel(cbc, 0);
	Cbc_loadProblem(cbc, c.columns, c.rows, c.start, c.row, c.cell, c.lower, c.upper, c.cost, c.least, c.most);
	for (int column = 0; column < c.columns; column++)
		if (p->whole[c.original[column]])
			Cbc_setInteger(cbc, column);
	snprintf(text, sizeof(text), "%.3f", seconds > 0.01 ? seconds : 0.01);
	Cbc_setParameter(cbc, "seconds", text);
	Cbc_setParameter(cbc, "timeMode", "cpu");
	if (nodes) {
		snprintf(text, sizeof(text), "%llu", (unsigned long long)nodes);
		Cbc_setParameter(cbc, "maxNodes", text);
	}
	snprintf(text, sizeof(text), "%.15g", cutoff - c.offset);
	Cbc_setParameter(cbc, "cutoff", text);
	Cbc_solve(cbc);
	if (Cbc_isProvenInfeasible(cbc) || Cbc_status(cbc) == 0) {
		*value = Cbc_isProvenOptimal(cbc) ? Cbc_getObjValue(cbc) + c.offset : cutoff;
	} else {
		*value = Cbc_getBestPossibleObjValue(cbc) + c.offset;
	}
	if (*value > cutoff)
		*value = cutoff;
	Cbc_deleteModel(cbc);
	columns_clear(&c);
	return 0;
}
