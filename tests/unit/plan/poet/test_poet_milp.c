// SPDX-License-Identifier: MIT
/*
 * The solver against POET's integer program, written down here as poet.h states
 * it and solved to the end by Cbc: the same least energy, no bound above it,
 * and infeasible where it is.
 */
#include "plan/poet/poet.h"

#include <coin/Cbc_C_Interface.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "random_instance.h"

#define MOST_FORWARD 6
#define MOST_NODES (2 * MOST_FORWARD - 1)
#define MOST_CELLS 64

/* Columns of R, S, D, MI, MO (0..4), of the level U and of FREE per edge, each per stage. */
struct milp {
	const struct weft_poet_instance *g;
	Cbc_Model *cbc;
	int nodes;
	int column[MOST_CELLS];
	double cell[MOST_CELLS];
	int cells;
};

enum { R, S, D, MI, MO, U };

static int column_of(const struct milp *m, int matrix, int t, int i)
{
	return (matrix * m->nodes + t) * m->nodes + i;
}

static int free_column(const struct milp *m, int t, uint32_t edge)
{
	return 6 * m->nodes * m->nodes + t * (int)m->g->edges + (int)edge;
}

static void term(struct milp *m, int column, double value)
{
	assert_true(m->cells < MOST_CELLS);
	m->column[m->cells] = column;
	m->cell[m->cells++] = value;
}

static void end_row(struct milp *m, char sense, double value)
{
	Cbc_addRow(m->cbc, "", m->cells, m->column, m->cell, sense, value);
	m->cells = 0;
}

static void add_columns(struct milp *m, uint64_t ram)
{
	for (int matrix = R; matrix <= U; matrix++)
		for (int t = 0; t < m->nodes; t++)
			for (int i = 0; i < m->nodes; i++) {
				const struct weft_poet_node *node = &m->g->node[i];
				double cost[] = {node->compute_joules, 0, 0, node->pagein_joules,
						 node->pageout_joules, 0};
				bool above = matrix == S || matrix == D ? i >= t : matrix != U && i > t;

				Cbc_addCol(m->cbc, "", matrix == R && i == t,
					   matrix == U ? (double)ram
					   : above     ? 0
						       : 1,
					   cost[matrix], matrix != U, 0, NULL, NULL);
			}
	for (int t = 0; t < m->nodes; t++)
		for (uint32_t e = 0; e < m->g->edges; e++)
			Cbc_addCol(m->cbc, "", 0, 1, 0, 1, 0, NULL, NULL);
}

/* What may be where when, for stage t. */
static void add_rules(struct milp *m, int t)
{
	const struct weft_poet_adjacency *input = &m->g->input;

	for (int v = 0; v < m->nodes; v++)
		for (uint32_t e = input->start[v]; e < input->start[v + 1]; e++) {
			term(m, column_of(m, R, t, v), 1);
			term(m, column_of(m, R, t, (int)input->item[e]), -1);
			term(m, column_of(m, S, t, (int)input->item[e]), -1);
			end_row(m, 'L', 0);
		}
	for (int i = 0; i < m->nodes; i++) {
		if (t + 1 < m->nodes) {
			term(m, column_of(m, S, t + 1, i), 1);
			term(m, column_of(m, S, t, i), -1);
			term(m, column_of(m, R, t, i), -1);
			term(m, column_of(m, MI, t, i), -1);
			end_row(m, 'L', 0);
			term(m, column_of(m, D, t + 1, i), 1);
			term(m, column_of(m, D, t, i), -1);
			term(m, column_of(m, MO, t, i), -1);
			end_row(m, 'L', 0);
		}
		term(m, column_of(m, MI, t, i), 1);
		term(m, column_of(m, D, t, i), -1);
		end_row(m, 'L', 0);
		term(m, column_of(m, MO, t, i), 1);
		term(m, column_of(m, S, t, i), -1);
		end_row(m, 'L', 0);
	}
}

/* What keeps input i from being freed after v, in stage t: 1 - R[t,v], S[t+1,i], R[t,later reader]; their number. */
static int add_hazards(struct milp *m, int t, int v, uint32_t i, double sign)
{
	const struct weft_poet_adjacency *reader = &m->g->reader;
	int hazards = 1;

	term(m, column_of(m, R, t, v), -sign);
	if (t + 1 < m->nodes) {
		term(m, column_of(m, S, t + 1, (int)i), sign);
		hazards++;
	}
	for (uint32_t e = reader->start[i]; e < reader->start[i + 1]; e++)
		if ((int)reader->item[e] > v) {
			term(m, column_of(m, R, t, (int)reader->item[e]), sign);
			hazards++;
		}
	return hazards;
}

/* Levels of RAM in stage t, after each node's addition. */
static void add_levels(struct milp *m, int t)
{
	const struct weft_poet_adjacency *input = &m->g->input;

	for (int v = 0; v < m->nodes; v++) {
		term(m, column_of(m, U, t, v), 1);
		term(m, column_of(m, R, t, v), -(double)m->g->node[v].bytes);
		if (v == 0) {
			for (int i = 0; i < m->nodes; i++)
				term(m, column_of(m, S, t, i), -(double)m->g->node[i].bytes);
		} else {
			term(m, column_of(m, U, t, v - 1), -1);
			for (uint32_t e = input->start[v - 1]; e < input->start[v]; e++)
				term(m, free_column(m, t, e), (double)m->g->node[input->item[e]].bytes);
		}
		end_row(m, 'E', 0);
		for (uint32_t e = input->start[v]; e < input->start[v + 1]; e++) {
			int hazards;

			/* FREE is 1 exactly where there is no hazard: 1 - FREE <= hazards <= number (1 - FREE). */
			term(m, free_column(m, t, e), -1);
			add_hazards(m, t, v, input->item[e], -1);
			end_row(m, 'L', 0);
			hazards = add_hazards(m, t, v, input->item[e], 1);
			term(m, free_column(m, t, e), hazards);
			end_row(m, 'L', hazards - 1);
		}
	}
}

/* Least energy, INFINITY if infeasible. */
static double solve_milp(const struct weft_poet_instance *g, uint64_t ram, double time_ratio)
{
	struct milp m = {.g = g, .cbc = Cbc_newModel(), .nodes = (int)g->nodes};
	double least = INFINITY, *seconds = malloc(sizeof(double) * g->nodes * g->nodes);
	int *columns = malloc(sizeof(int) * g->nodes * g->nodes), count = 0;

	Cbc_setLogLevel(m.cbc, 0);
	add_columns(&m, ram);
	for (int t = 0; t < m.nodes; t++) {
		add_rules(&m, t);
		add_levels(&m, t);
		for (int i = 0; i <= t; i++) {
			seconds[count] = g->node[i].seconds;
			columns[count++] = column_of(&m, R, t, i);
		}
	}
	Cbc_addRow(m.cbc, "", count, columns, seconds, 'L', time_ratio * g->base_seconds);
	Cbc_setAllowableGap(m.cbc, 1e-9);
	Cbc_setAllowableFractionGap(m.cbc, 0);
	Cbc_solve(m.cbc);
	if (Cbc_isProvenOptimal(m.cbc))
		least = Cbc_getObjValue(m.cbc);
	else
		assert_true(Cbc_isProvenInfeasible(m.cbc));
	Cbc_deleteModel(m.cbc);
	free(seconds);
	free(columns);
	return least;
}

/* A chain and its gradients, one skip in it. */
static struct weft_poet_instance *random_instance(uint64_t *random, uint32_t forward)
{
	uint32_t nodes = 2 * forward - 1;
	struct weft_poet_node node[MOST_NODES];
	struct weft_poet_edge edge[MOST_NODES * 4];
	struct weft_poet_instance *instance;
	size_t edges = 0;

	for (uint32_t i = 0; i < nodes; i++)
		node[i] = (struct weft_poet_node){.bytes = 1 + next_random(random) % 5,
						  .seconds = i ? (double)(1 + next_random(random) % 5) : 0,
						  .compute_joules = i ? (double)(1 + next_random(random) % 9) : 0,
						  .pageout_joules = 1 + 0.125 * (double)(next_random(random) % 20),
						  .pagein_joules = 1 + 0.125 * (double)(next_random(random) % 20)};
	for (uint32_t i = 1; i < forward; i++)
		edge[edges++] = (struct weft_poet_edge){i - 1, i};
	edge[edges++] = (struct weft_poet_edge){0, 3};
	for (uint32_t i = forward - 1, g = forward; g < nodes; i--, g++) {
		edge[edges++] = (struct weft_poet_edge){i, g};
		edge[edges++] = (struct weft_poet_edge){i - 1, g};
		if (g > forward)
			edge[edges++] = (struct weft_poet_edge){g - 1, g};
	}
	assert_int_equal(weft_poet_build("random", node, nodes, edge, edges, &instance), 0);
	return instance;
}

/* Budgets from one that nothing fits in to one where it is cheap; little time and more of it. */
static void test_against_milp(void **state)
{
	static const double ratios[] = {1.05, 1.5};
	uint32_t dear = 0, infeasible = 0;
	uint64_t random = 5;

	(void)state;
	for (uint32_t round = 0; round < 9; round++) {
		struct weft_poet_instance *g = random_instance(&random, 4 + round % 3);
		uint64_t step = (g->storeall_bytes - g->least_bytes) / 6 + 1;

		for (uint64_t ram = g->least_bytes - 1; ram < g->storeall_bytes; ram += step)
			for (size_t r = 0; r < 2; r++) {
				struct weft_poet_options options = {
					.ram_bytes = ram, .time_ratio = ratios[r], .iterations = 3000, .gap = 1e-6};
				struct weft_poet_result result;
				double least = solve_milp(g, ram, ratios[r]);

				assert_int_equal(weft_poet_solve(g, &options, &result), 0);
				dear += least > g->base_joules && least < INFINITY;
				infeasible += least == INFINITY;
				if (least == INFINITY) {
					assert_int_equal(result.status, WEFT_POET_INFEASIBLE);
				} else {
					assert_int_equal(result.status, WEFT_POET_FEASIBLE);
					if (fabs(result.joules - least) > 1e-6 * least ||
					    result.bound_joules > least * (1 + 1e-9) || result.overhead_gap > 1e-3)
						fail_msg("round %u, %lu bytes, ratio %g: %.9g J, bound %.9g J; MILP "
							 "%.9g J",
							 round, (unsigned long)ram, ratios[r], result.joules,
							 result.bound_joules, least);
				}
				weft_poet_result_clear(&result);
			}
		weft_poet_free(g);
	}
	printf("%u budgets cost energy, %u are infeasible\n", dear, infeasible);
	assert_true(dear >= 15);
	assert_true(infeasible >= 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_milp)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
