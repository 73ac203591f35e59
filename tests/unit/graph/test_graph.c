// SPDX-License-Identifier: MIT
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "graph/graph.h"
#include "weft/error.h"

static struct weft_layout dense(unsigned int type, unsigned int rank, const uint32_t *dims)
{
	struct weft_layout layout = {.type = (uint8_t)type, .rank = (uint8_t)rank};

	memcpy(layout.dims, dims, rank * sizeof(*dims));
	weft_layout_dense(&layout);
	return layout;
}

static void layouts(void **state)
{
	struct weft_layout layout = dense(WEFT_TYPE_F32, 4, (uint32_t[]){2, 3, 4, 5});

	(void)state;
	assert_int_equal(layout.strides[0], 60);
	assert_int_equal(layout.strides[3], 1);
	assert_int_equal(weft_layout_bytes(&layout), 480);
	weft_layout_channels_last(&layout);
	assert_int_equal(layout.strides[0], 60);
	assert_int_equal(layout.strides[1], 1);
	assert_int_equal(layout.strides[2], 15);
	assert_int_equal(layout.strides[3], 3);
	assert_int_equal(weft_layout_bytes(&layout), 480);

	layout = dense(WEFT_TYPE_F32, 4, (uint32_t[]){1u << 31, 1u << 31, 1u << 31, 1u << 31});
	assert_int_equal(weft_layout_elements(&layout), 0);
	assert_int_equal(weft_layout_bytes(&layout), 0);
	layout = dense(WEFT_TYPE_F32, 2, (uint32_t[]){3, UINT32_MAX});
	assert_int_equal(weft_layout_bytes(&layout), 0);
	layout = dense(WEFT_TYPE_F32, 1, (uint32_t[]){4});
	layout.strides[0] = -1;
	assert_int_equal(weft_layout_bytes(&layout), 0);
	layout = dense(WEFT_TYPE_BIT, 1, (uint32_t[]){33});
	assert_int_equal(weft_layout_bytes(&layout), 8);
	layout = dense(WEFT_TYPE_I4, 1, (uint32_t[]){5});
	assert_int_equal(weft_layout_bytes(&layout), 3);
	layout = dense(WEFT_TYPE_F32, 0, (uint32_t[]){0});
	assert_int_equal(weft_layout_bytes(&layout), 4);
}

/* x -> relu -> y -> relu -> z, and w updated from z. */
struct small {
	struct weft_graph *graph;
	weft_id x, y, z, w, hyper;
};

static struct small small_graph(void)
{
	struct weft_layout layout = dense(WEFT_TYPE_F32, 2, (uint32_t[]){4, 8});
	struct weft_layout hyper = dense(WEFT_TYPE_F32, 1, (uint32_t[]){WEFT_HYPERS});
	union weft_params relu = {.unary = {.function = WEFT_UNARY_RELU}};
	struct small s = {.graph = weft_graph_new("small")};
	weft_id at;

	assert_non_null(s.graph);
	assert_int_equal(weft_graph_add_value(s.graph, "x", WEFT_VALUE_INPUT, &layout, &s.x), 0);
	assert_int_equal(weft_graph_add_value(s.graph, "y", WEFT_VALUE_ACTIVATION, &layout, &s.y), 0);
	assert_int_equal(weft_graph_add_value(s.graph, "z", WEFT_VALUE_ACTIVATION, &layout, &s.z), 0);
	assert_int_equal(weft_graph_add_value(s.graph, "w", WEFT_VALUE_WEIGHT, &layout, &s.w), 0);
	assert_int_equal(weft_graph_add_value(s.graph, "hyper", WEFT_VALUE_STEP, &hyper, &s.hyper), 0);
	assert_int_equal(
		weft_graph_add_operation(s.graph, "r0", WEFT_OP_UNARY, &relu, 1, 2, (weft_id[]){s.x, s.y}, NULL), 0);
	assert_int_equal(
		weft_graph_add_operation(s.graph, "r1", WEFT_OP_UNARY, &relu, 1, 2, (weft_id[]){s.y, s.z}, &at), 0);
	weft_operation_allow_in_place(&s.graph->operation[at], 1, 0);
	assert_int_equal(weft_graph_add_operation(s.graph, "sgd", WEFT_OP_SGD, NULL, 2, 4,
						  (weft_id[]){s.z, s.hyper, s.w, WEFT_NO_ID}, NULL),
			 0);
	return s;
}

static void valid_graph(void **state)
{
	struct small s = small_graph();

	(void)state;
	assert_int_equal(weft_graph_check(s.graph), 0);
	assert_true(s.graph->operation[0].recomputable);
	assert_false(s.graph->operation[2].recomputable);
	assert_int_equal(s.graph->operation[2].updates, 1u << 2);
	assert_int_equal(s.graph->value[s.y].producer, 0);
	weft_graph_free(s.graph);
}

static void bad_appends(void **state)
{
	struct small s = small_graph();
	struct weft_layout layout = dense(WEFT_TYPE_F32, 1, (uint32_t[]){33});
	uint32_t values = s.graph->values, operations = s.graph->operations;
	weft_id id;

	(void)state;
	assert_int_equal(weft_graph_add_view(s.graph, "v", s.x, 0, &layout, &id), -EINVAL);
	assert_int_equal(weft_graph_add_view(s.graph, "v", 99, 0, &layout, &id), -EINVAL);
	layout.dims[0] = 32;
	assert_int_equal(weft_graph_add_view(s.graph, "v", s.x, 4, &layout, &id), -EINVAL);
	assert_int_equal(weft_graph_add_view(s.graph, "v", s.x, UINT64_MAX - 3, &layout, &id), -EINVAL);
	layout.strides[0] = -1;
	assert_int_equal(weft_graph_add_view(s.graph, "v", s.x, 0, &layout, &id), -EINVAL);
	layout.dims[0] = 0;
	assert_int_equal(weft_graph_add_value(s.graph, "v", WEFT_VALUE_INPUT, &layout, &id), -EINVAL);
	layout.rank = 9;
	assert_int_equal(weft_graph_add_value(s.graph, "v", WEFT_VALUE_INPUT, &layout, &id), -EINVAL);
	layout = dense(77, 1, (uint32_t[]){1});
	assert_int_equal(weft_graph_add_value(s.graph, "v", WEFT_VALUE_INPUT, &layout, &id), -EINVAL);
	assert_int_equal(weft_graph_add_operation(s.graph, "o", 0xff, NULL, 1, 2, (weft_id[]){0, 1}, NULL), -EINVAL);
	assert_int_equal(weft_graph_add_operation(s.graph, "o", WEFT_OP_UNARY, NULL, 2, 3, (weft_id[]){0, 1, 2}, NULL),
			 -EINVAL);
	assert_int_equal(weft_graph_add_operation(s.graph, "o", WEFT_OP_UNARY, NULL, 1, 2, (weft_id[]){0, 99}, NULL),
			 -EINVAL);
	assert_int_equal(
		weft_graph_add_operation(s.graph, "o", WEFT_OP_UNARY, NULL, 1, 2, (weft_id[]){WEFT_NO_ID, 1}, NULL),
		-EINVAL);
	assert_int_equal(s.graph->values, values);
	assert_int_equal(s.graph->operations, operations);
	assert_int_equal(weft_graph_check(s.graph), 0);
	weft_graph_free(s.graph);
}

/* A view with negative strides from the last element is inside its base. */
static void views(void **state)
{
	struct small s = small_graph();
	struct weft_layout layout = dense(WEFT_TYPE_F32, 1, (uint32_t[]){32});
	weft_id id, nested;

	(void)state;
	layout.strides[0] = -1;
	assert_int_equal(weft_graph_add_view(s.graph, "v", s.x, 31 * 4, &layout, &id), 0);
	layout = dense(WEFT_TYPE_F32, 1, (uint32_t[]){1});
	assert_int_equal(weft_graph_add_view(s.graph, "n", id, 0, &layout, &nested), 0);
	assert_int_equal(s.graph->value[nested].base, s.x);
	assert_int_equal(s.graph->value[nested].offset, 31 * 4);
	assert_int_equal(weft_graph_check(s.graph), 0);
	weft_graph_free(s.graph);
}

static void break_name(struct small *s)
{
	strcpy(s->graph->value[s->y].name, "x");
}

static void break_base(struct small *s)
{
	s->graph->value[s->y].base = 99;
}

static void break_bytes(struct small *s)
{
	s->graph->value[s->y].bytes++;
}

static void break_constant(struct small *s)
{
	s->graph->value[s->x].kind = WEFT_VALUE_CONSTANT;
}

static void break_operand(struct small *s)
{
	s->graph->operation[0].operand[1] = 1000;
}

static void break_slots(struct small *s)
{
	s->graph->operation[0].inputs = 2;
}

static void break_order(struct small *s)
{
	struct weft_operation first = s->graph->operation[0];

	s->graph->operation[0] = s->graph->operation[1];
	s->graph->operation[1] = first;
}

static void break_second_write(struct small *s)
{
	s->graph->operation[1].operand[1] = s->y;
	s->graph->operation[1].may_in_place = 0;
}

static void break_host_write(struct small *s)
{
	s->graph->operation[0].operand[1] = s->x;
}

static void break_in_place(struct small *s)
{
	weft_operation_allow_in_place(&s->graph->operation[0], 1, 0);
}

static void break_two_updates(struct small *s)
{
	weft_id operand[] = {s->z, s->hyper, s->w, WEFT_NO_ID};

	assert_int_equal(weft_graph_add_operation(s->graph, "again", WEFT_OP_SGD, NULL, 2, 4, operand, NULL), 0);
}

static void break_read_after_update(struct small *s)
{
	weft_id operand[] = {s->w, s->hyper, s->w, WEFT_NO_ID};

	assert_int_equal(weft_graph_add_operation(s->graph, "late", WEFT_OP_SGD, NULL, 2, 4, operand, NULL), 0);
}

static void break_recomputable(struct small *s)
{
	s->graph->operation[2].recomputable = true;
}

static void break_label(struct small *s)
{
	s->graph->label = s->w;
}

static void break_output(struct small *s)
{
	static weft_id output = 1000;

	s->graph->model_output = malloc(sizeof(output));
	assert_non_null(s->graph->model_output);
	s->graph->model_output[0] = output;
	s->graph->model_outputs = 1;
}

static void break_piece(struct small *s)
{
	struct weft_layout half = dense(WEFT_TYPE_F32, 1, (uint32_t[]){16});
	struct weft_layout whole = dense(WEFT_TYPE_F32, 1, (uint32_t[]){32});
	union weft_params zero = {0};
	weft_id base, view;

	assert_int_equal(weft_graph_add_value(s->graph, "p", WEFT_VALUE_ACTIVATION, &whole, &base), 0);
	assert_int_equal(weft_graph_add_view(s->graph, "p.0", base, 0, &half, &view), 0);
	assert_int_equal(weft_graph_add_operation(s->graph, "fill", WEFT_OP_FILL, &zero, 0, 1, &view, NULL), 0);
}

static void broken_graphs(void **state)
{
	static const struct {
		void (*damage)(struct small *s);
		const char *sentence;
	} cases[] = {
		{break_name, "two values are called x"},
		{break_base, "base 99 does not exist"},
		{break_bytes, "do not fit its layout"},
		{break_constant, "has no contents"},
		{break_operand, "names no value"},
		{break_slots, "wrong number of operands"},
		{break_order, "reads y before it is whole"},
		{break_second_write, "before it is whole"},
		{break_host_write, "only the host may"},
		{break_in_place, "cannot take over"},
		{break_two_updates, "twice"},
		{break_read_after_update, "after its update by sgd"},
		{break_recomputable, "cannot be recomputed"},
		{break_label, "the label of the graph, w, is of the wrong kind"},
		{break_output, "output 0 of the graph is no value"},
		{break_piece, "never written in full"},
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct small s = small_graph();

		cases[i].damage(&s);
		assert_int_equal(weft_graph_check(s.graph), -EINVAL);
		if (!strstr(weft_error(), cases[i].sentence))
			fail_msg("case %u: \"%s\" does not say \"%s\"", i, weft_error(), cases[i].sentence);
		weft_graph_free(s.graph);
	}
}

static void commands(void **state)
{
	struct small s = small_graph();
	struct weft_layout row = dense(WEFT_TYPE_F32, 1, (uint32_t[]){8});
	struct weft_layout shown = dense(WEFT_TYPE_F32, 3, (uint32_t[]){2, 2, 8});
	union {
		struct weft_cmd header;
		uint8_t bytes[WEFT_CMD_MAX_BYTES];
	} command;
	union weft_params zero = {0};
	weft_id view, at;

	(void)state;
	assert_int_equal(weft_graph_add_view(s.graph, "row1", s.y, 32, &row, &view), 0);
	assert_int_equal(
		weft_graph_add_operation(s.graph, "copy", WEFT_OP_COPY, &zero, 1, 2, (weft_id[]){view, view}, &at), 0);
	weft_operation_command(s.graph, &s.graph->operation[at], (uint64_t[]){0x1000, 0x2000}, &command.header);
	assert_int_equal(command.header.opcode, WEFT_OP_COPY);
	assert_int_equal(command.header.operands, 2);
	assert_int_equal(command.header.size, sizeof(struct weft_cmd) + 2 * sizeof(struct weft_tensor));
	assert_int_equal(command.header.operand[0].address, 0x1020);
	assert_int_equal(command.header.operand[1].address, 0x2020);
	assert_int_equal(command.header.operand[0].rank, 1);
	assert_int_equal(command.header.operand[0].dims[0], 8);
	assert_int_equal(command.header.wait[0].index, WEFT_SEM_NONE);
	assert_int_equal(command.header.signal.index, WEFT_SEM_NONE);

	assert_int_equal(weft_operation_set_view(&s.graph->operation[1], 0, &shown), 0);
	assert_int_equal(weft_operation_set_view(&s.graph->operation[1], 5, &shown), -EINVAL);
	weft_operation_command(s.graph, &s.graph->operation[1], (uint64_t[]){64, 128}, &command.header);
	assert_int_equal(command.header.operand[0].rank, 3);
	assert_int_equal(command.header.operand[1].rank, 2);
	weft_operation_command(s.graph, &s.graph->operation[2], (uint64_t[]){64, 128, 256, 0}, &command.header);
	assert_int_equal(command.header.operand[3].type, WEFT_TYPE_NONE);
	weft_graph_free(s.graph);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layouts), cmocka_unit_test(valid_graph),   cmocka_unit_test(bad_appends),
		cmocka_unit_test(views),   cmocka_unit_test(broken_graphs), cmocka_unit_test(commands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
