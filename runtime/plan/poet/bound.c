// SPDX-License-Identifier: MIT
/* Linear and integer programs through the C interfaces of Clp and Cbc. */
#include "plan/poet/bound.h"

#include "plan/poet/solver.h"

#include <coin/Cbc_C_Interface.h>
#include <coin/Clp_C_Interface.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Of Clp: perturb costs where it seems to help; status of what stopped at a limit. */
#define PERTURB 50
#define STOPPED 3
/* Going on from the last basis may take as many iterations as the first time and these. */
#define LEAST_ITERATIONS 1000

/* A program by columns, without what is fixed and what no longer says anything. */
struct columns {
	int columns, rows;
	int *original; /* column here -> column of the program */
	int *keep;     /* row of the program -> row here, -1: says nothing */
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
	free(c->keep);
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
	c->keep = keep;
	free(number);
	free(most);
	return 0;
}

int poet_lp_open(struct poet_lp *lp, const struct poet_program *p)
{
	struct columns c;

	*lp = (struct poet_lp){.value = -INFINITY};
	if (columns_init(&c, p) < 0)
		return -ENOMEM;
	lp->infeasible = c.infeasible;
	lp->column = malloc(((size_t)p->columns + 1) * sizeof(int));
	lp->original = c.original;
	lp->row = c.keep;
	lp->reduced = calloc((size_t)p->columns + 1, sizeof(double));
	lp->x = calloc((size_t)p->columns + 1, sizeof(double));
	c.original = c.keep = NULL;
	if (!lp->column || !lp->reduced || !lp->x) {
		columns_clear(&c);
		poet_lp_close(lp);
		return -ENOMEM;
	}
	lp->columns = c.columns;
	lp->rows = p->rows;
	for (int column = 0; column < p->columns; column++)
		lp->column[column] = -1;
	for (int column = 0; column < c.columns; column++)
		lp->column[lp->original[column]] = column;
	lp->clp = Clp_newModel();
	Clp_setLogLevel(lp->clp, 0);
	Clp_loadProblem(lp->clp, c.columns, c.rows, c.start, c.row, c.cell, c.lower, c.upper, c.cost, c.least, c.most);
	columns_clear(&c);
	return 0;
}

int poet_lp_add_rows(struct poet_lp *lp, const struct poet_program *p)
{
	int rows = p->rows - lp->rows, kept = Clp_numberRows(lp->clp), status = -ENOMEM;
	size_t first = p->row_start[lp->rows], cells = p->row_start[p->rows] - first;
	int *start = malloc(((size_t)rows + 1) * sizeof(int)), *column = malloc((cells + 1) * sizeof(int));
	double *cell = malloc((cells + 1) * sizeof(double)), *most = malloc(((size_t)rows + 1) * sizeof(double)),
	       *least = malloc(((size_t)rows + 1) * sizeof(double));
	int *more = realloc(lp->row, ((size_t)p->rows + 1) * sizeof(int));
	int used = 0;

	if (more)
		lp->row = more;
	if (!start || !column || !cell || !most || !least || !more)
		goto done;
	for (int r = 0; r < rows; r++) {
		double fixed = 0;

		start[r] = used;
		for (size_t e = p->row_start[lp->rows + r]; e < p->row_start[lp->rows + r + 1]; e++) {
			int own = lp->column[p->cell_column[e]];

			if (own < 0)
				fixed += p->cell[e] * p->lower[p->cell_column[e]];
			else {
				column[used] = own;
				cell[used++] = p->cell[e];
			}
		}
		most[r] = p->most[lp->rows + r] - fixed;
		least[r] = -INFINITY;
		lp->row[lp->rows + r] = kept + r;
	}
	start[rows] = used;
	Clp_addRows(lp->clp, rows, least, most, start, column, cell);
	lp->rows = p->rows;
	status = 0;
done:
	free(start);
	free(column);
	free(cell);
	free(most);
	free(least);
	return status;
}

void poet_lp_restrict(struct poet_lp *lp, const struct poet_program *p)
{
	double *lower = Clp_columnLower(lp->clp), *upper = Clp_columnUpper(lp->clp);

	for (int column = 0; column < lp->columns; column++) {
		lower[column] = p->lower[lp->original[column]];
		upper[column] = p->upper[lp->original[column]];
	}
}

/*
 * With multipliers y >= 0 for the rows A x <= most, every x within its bounds
 * has cost x >= cost x + y (A x - most) >= sum of min(d lower, d upper) - y most,
 * where d = cost + y A.  Summed in extended precision, with what rounding can
 * have moved taken off.  @scale 0 leaves the costs out: a value above 0 then
 * says that there is no x at all.
 */
static double dual_bound(const struct poet_lp *lp, const struct poet_program *p, const double *multiplier, double scale,
			 double *reduced)
{
	long double *d = calloc((size_t)p->columns + 1, sizeof(*d)), value = 0, moved = 0;

	if (!d)
		return -INFINITY;
	for (int column = 0; column < p->columns; column++)
		d[column] = scale * p->cost[column];
	for (int r = 0; r < p->rows; r++) {
		/* Clp's sign for <= rows of a minimisation */
		double y = lp->row[r] >= 0 && multiplier[lp->row[r]] < 0 ? -multiplier[lp->row[r]] : 0;

		if (y <= 0)
			continue;
		value -= (long double)y * p->most[r];
		moved += fabsl((long double)y * p->most[r]);
		for (size_t e = p->row_start[r]; e < p->row_start[r + 1]; e++) {
			d[p->cell_column[e]] += (long double)y * p->cell[e];
			moved += fabsl((long double)y * p->cell[e]);
		}
	}
	for (int column = 0; column < p->columns; column++) {
		value += d[column] < 0 ? d[column] * p->upper[column] : d[column] * p->lower[column];
		if (reduced)
			reduced[column] = (double)d[column];
	}
	free(d);
	return (double)(value - moved * 0x1p-58L);
}

/* Is what Clp calls infeasible so?  Its ray, of either sign, must show it. */
static bool is_infeasible(const struct poet_lp *lp, const struct poet_program *p)
{
	int rows = Clp_numberRows(lp->clp);
	double *ray = Clp_infeasibilityRay(lp->clp);
	bool shown;

	if (!ray)
		return false;
	shown = dual_bound(lp, p, ray, 0, NULL) > 1e-9;
	for (int r = 0; r < rows; r++)
		ray[r] = -ray[r];
	shown = shown || dual_bound(lp, p, ray, 0, NULL) > 1e-9;
	Clp_freeRay(lp->clp, ray);
	return shown;
}

/*
 * The first time with presolve.  Then on from the last basis with perturbed
 * costs: the programs are degenerate, and without them going on takes longer
 * than starting anew.  Where it takes long all the same, it is given up.
 */
static void run_simplex(struct poet_lp *lp, double seconds)
{
	double end = poet_clock() + seconds;

	Clp_setNumberIterations(lp->clp, 0);
	Clp_setMaximumSeconds(lp->clp, seconds);
	if (lp->started) {
		Clp_setPerturbation(lp->clp, PERTURB);
		Clp_setMaximumIterations(lp->clp, lp->iterations);
		Clp_dual(lp->clp, 0);
		Clp_setMaximumIterations(lp->clp, INT32_MAX);
		if (Clp_status(lp->clp) != STOPPED || poet_clock() >= end)
			return;
		Clp_setNumberIterations(lp->clp, 0);
		Clp_setMaximumSeconds(lp->clp, fmax(end - poet_clock(), 0.01));
	}
	Clp_initialDualSolve(lp->clp);
	lp->iterations = Clp_numberIterations(lp->clp) + LEAST_ITERATIONS;
}

void poet_lp_solve(struct poet_lp *lp, const struct poet_program *p, double seconds)
{
	const double *x;

	lp->solved = false;
	if (lp->infeasible)
		return;
	run_simplex(lp, seconds > 0.01 ? seconds : 0.01);
	if (Clp_status(lp->clp) == 1 && !lp->started)
		Clp_dual(lp->clp, 0); /* without presolve, so that there is a ray */
	lp->started = true;
	lp->solved = Clp_status(lp->clp) == 0;
	if (Clp_status(lp->clp) == 1)
		lp->infeasible = is_infeasible(lp, p);
	lp->value = dual_bound(lp, p, Clp_dualRowSolution(lp->clp), 1, lp->reduced);
	x = Clp_primalColumnSolution(lp->clp);
	memcpy(lp->x, p->lower, (size_t)p->columns * sizeof(double));
	for (int column = 0; column < lp->columns; column++)
		lp->x[lp->original[column]] = x[column];
}

double poet_lp_multiplier(const struct poet_lp *lp, int row)
{
	/* Clp's sign for <= rows of a minimisation */
	return lp->row[row] < 0 ? 0 : fmax(-Clp_dualRowSolution(lp->clp)[lp->row[row]], 0);
}

void poet_lp_close(struct poet_lp *lp)
{
	if (lp->clp)
		Clp_deleteModel(lp->clp);
	free(lp->column);
	free(lp->original);
	free(lp->row);
	free(lp->reduced);
	free(lp->x);
	*lp = (struct poet_lp){0};
}

int poet_penalty_init(struct poet_penalty *penalty, const struct poet_program *p)
{
	size_t bytes = (size_t)p->columns * sizeof(double);

	*penalty = (struct poet_penalty){p->columns, malloc(bytes + 1), malloc(bytes + 1), malloc(bytes + 1),
					 malloc(bytes + 1)};
	if (!penalty->lower || !penalty->upper || !penalty->at_one || !penalty->at_zero) {
		poet_penalty_clear(penalty);
		return -ENOMEM;
	}
	memcpy(penalty->lower, p->lower, bytes);
	memcpy(penalty->upper, p->upper, bytes);
	for (int column = 0; column < p->columns; column++)
		penalty->at_one[column] = penalty->at_zero[column] = -INFINITY;
	return 0;
}

void poet_penalty_clear(struct poet_penalty *penalty)
{
	free(penalty->lower);
	free(penalty->upper);
	free(penalty->at_one);
	free(penalty->at_zero);
	*penalty = (struct poet_penalty){0};
}

/* The multipliers' bound with the columns' first bounds: what is fixed now may have been free to be worse. */
static double first_value(const struct poet_penalty *penalty, const struct poet_program *p, const struct poet_lp *lp)
{
	long double value = lp->value, moved = 0;

	for (int column = 0; column < p->columns; column++) {
		double d = lp->reduced[column];

		if (d < 0)
			value += (long double)d * (penalty->upper[column] - p->upper[column]);
		else
			value += (long double)d * (penalty->lower[column] - p->lower[column]);
		moved += fabs(d);
	}
	return (double)(value - moved * 0x1p-50L);
}

void poet_penalty_learn(struct poet_penalty *penalty, const struct poet_program *p, const struct poet_lp *lp)
{
	double value = first_value(penalty, p, lp);

	for (int column = 0; column < p->columns; column++) {
		double d = lp->reduced[column];

		penalty->at_one[column] = fmax(penalty->at_one[column], value + (d > 0 ? d : 0));
		penalty->at_zero[column] = fmax(penalty->at_zero[column], value + (d < 0 ? -d : 0));
	}
}

void poet_penalty_fix(const struct poet_penalty *penalty, struct poet_program *p, double cutoff)
{
	for (int column = 0; column < p->columns; column++) {
		p->lower[column] = penalty->lower[column];
		p->upper[column] = penalty->upper[column];
		if (is_fixed(p, column) || !p->whole[column])
			continue;
		if (penalty->at_one[column] > cutoff)
			p->upper[column] = p->lower[column];
		else if (penalty->at_zero[column] > cutoff)
			p->lower[column] = p->upper[column];
	}
}

static double branch_and_cut(const struct columns *c, const struct poet_program *p, double cutoff, double seconds,
			     uint64_t nodes)
{
	Cbc_Model *cbc = Cbc_newModel();
	double value;
	char text[64];

	Cbc_setLogLevel(cbc, 0);
	Cbc_loadProblem(cbc, c->columns, c->rows, c->start, c->row, c->cell, c->lower, c->upper, c->cost, c->least,
			c->most);
	for (int column = 0; column < c->columns; column++)
		if (p->whole[c->original[column]])
			Cbc_setInteger(cbc, column);
	snprintf(text, sizeof(text), "%.3f", seconds > 0.01 ? seconds : 0.01);
	Cbc_setParameter(cbc, "seconds", text);
	Cbc_setParameter(cbc, "timeMode", "cpu");
	if (nodes) {
		snprintf(text, sizeof(text), "%llu", (unsigned long long)nodes);
		Cbc_setParameter(cbc, "maxNodes", text);
	}
	snprintf(text, sizeof(text), "%.15g", cutoff - c->offset);
	Cbc_setParameter(cbc, "cutoff", text);
	Cbc_solve(cbc);
	if (Cbc_isProvenInfeasible(cbc) || Cbc_status(cbc) == 0)
		value = Cbc_isProvenOptimal(cbc) ? Cbc_getObjValue(cbc) + c->offset : cutoff;
	else
		value = Cbc_getBestPossibleObjValue(cbc) + c->offset;
	Cbc_deleteModel(cbc);
	return value > cutoff ? cutoff : value;
}

/* What the child is to do before it ends; it never outlives its parent, nor its time by much. */
static _Noreturn void be_child(int result, const struct columns *c, const struct poet_program *p, double cutoff,
			       double seconds, uint64_t nodes)
{
	const rlim_t most = (rlim_t)fmin(fmax(ceil(seconds), 0) + 2, 1e9);
	double value;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
	setrlimit(RLIMIT_CPU, &(struct rlimit){most, most});
	value = branch_and_cut(c, p, cutoff, seconds, nodes);
	_exit(write(result, &value, sizeof(value)) == sizeof(value) ? 0 : 1);
}

/* The child's time counts as the caller's. */
static void wait_for(pid_t child)
{
	struct rusage usage;
	pid_t found;

	do
		found = wait4(child, NULL, 0, &usage);
	while (found < 0 && errno == EINTR);
	if (found == child)
		poet_clock_add((double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
			       1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec));
}

/* Cbc 2.10.8 can crash, or go on far too long, where time ends: then there is no bound, and that is all. */
static void bound_in_child(const struct columns *c, const struct poet_program *p, double cutoff, double seconds,
			   uint64_t nodes, double *value)
{
	double found;
	ssize_t got;
	pid_t child;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return;
	child = fork();
	if (!child)
		be_child(ends[1], c, p, cutoff, seconds, nodes);
	close(ends[1]);
	if (child > 0) {
		do
			got = read(ends[0], &found, sizeof(found));
		while (got < 0 && errno == EINTR);
		if (got == sizeof(found))
			*value = found;
		wait_for(child);
	}
	close(ends[0]);
}

int poet_mip_bound(const struct poet_program *p, double cutoff, double seconds, uint64_t nodes, double *value)
{
	struct columns c;

	*value = -INFINITY;
	if (columns_init(&c, p) < 0)
		return -ENOMEM;
	if (c.infeasible)
		*value = cutoff;
	else
		bound_in_child(&c, p, cutoff, seconds, nodes, value);
	columns_clear(&c);
	return 0;
}
