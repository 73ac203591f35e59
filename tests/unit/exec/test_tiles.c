// SPDX-License-Identifier: MIT
/*
 * Operations in tiles: the same weights to the bit as when they run whole, from
 * budgets smaller than their operands.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "graph/build.h"
#include "plan/plan.h"
#include "plan/split.h"
#include "plan/tile.h"
#include "random_graph.h"
#include "weft/error.h"
#include "weft/session.h"

#define DEVICE "embedded:mem=64M,threads=1"

static void must(int result)
{
	if (result)
		fail_msg("%s", weft_error());
}

/* Graphs: one operation of each kind after another, every result an output or a weight's. */

struct maker {
	struct weft_graph *graph;
	unsigned int names;
};

static weft_id make_value(struct maker *m, enum weft_value_kind kind, uint8_t type, unsigned int rank,
			  const uint32_t dims[])
{
	struct weft_layout layout = {.type = type, .rank = (uint8_t)rank};
	char name[32];
	weft_id id;

	memcpy(layout.dims, dims, rank * sizeof(*dims));
	weft_layout_dense(&layout);
	snprintf(name, sizeof(name), "v%u", m->names++);
	must(weft_graph_add_value(m->graph, name, kind, &layout, &id));
	return id;
}

#define VALUE(m, kind, ...) \
	make_value(m, kind, WEFT_TYPE_F32, sizeof((uint32_t[]){__VA_ARGS__}) / 4, (uint32_t[]){__VA_ARGS__})
#define TEMP(m, ...) VALUE(m, WEFT_VALUE_ACTIVATION, __VA_ARGS__)
#define WEIGHT(m, ...) VALUE(m, WEFT_VALUE_WEIGHT, __VA_ARGS__)

static weft_id operate(struct maker *m, uint16_t opcode, const union weft_params *params, unsigned int inputs,
		       unsigned int operands, const weft_id operand[])
{
	char name[32];
	weft_id id;

	snprintf(name, sizeof(name), "op%u", m->names++);
	must(weft_graph_add_operation(m->graph, name, opcode, params, inputs, operands, operand, &id));
	return id;
}

/* Add @gradient, shown as @weight is, to the weight: what the test compares. */
static void update(struct maker *m, weft_id weight, weft_id gradient)
{
	const union weft_params params = {.lerp = {.scale = 0.5f, .weight = 0.25f}};
	weft_id operand[2] = {gradient, weight};

	operate(m, WEFT_OP_LERP, &params, 1, 2, operand);
}

static weft_id filled(struct maker *m, weft_id x, unsigned int rank, const uint32_t dims[], uint8_t type)
{
	weft_id id = make_value(m, WEFT_VALUE_ACTIVATION, type, rank, dims);
	const union weft_params cast = {0};
	struct weft_operand operand[2] = {weft_operand_of(m->graph, x), weft_operand_of(m->graph, id)};

	operand[0].layout = operand[1].layout;
	operand[0].layout.type = WEFT_TYPE_F32;
	must(weft_build_elementwise(m->graph, "fill", type == WEFT_TYPE_F32 ? WEFT_OP_COPY : WEFT_OP_CAST, &cast, 1, 2,
				    operand, NULL));
	return id;
}

#define FILLED(m, x, ...) filled(m, x, sizeof((uint32_t[]){__VA_ARGS__}) / 4, (uint32_t[]){__VA_ARGS__}, WEFT_TYPE_F32)

struct conv_case {
	uint32_t batch, height, channels, filters, kernel, stride, dilation, pad, groups;
};

static const struct conv_case convs[] = {
	{1, 37, 16, 48, 3, 1, 1, 1, 1}, {1, 40, 64, 32, 3, 1, 1, 1, 1},	 {2, 23, 32, 32, 3, 1, 1, 0, 1},
	{2, 24, 32, 16, 3, 2, 1, 1, 1}, {1, 31, 3, 32, 7, 2, 1, 3, 1},	 {2, 20, 32, 64, 1, 2, 1, 0, 1},
	{1, 40, 16, 32, 3, 1, 2, 2, 1}, {1, 28, 64, 64, 3, 1, 1, 1, 64}, {1, 20, 32, 64, 3, 1, 1, 1, 2},
	{3, 17, 32, 32, 5, 3, 1, 2, 1},
};

static void add_conv(struct maker *m, weft_id x, const struct conv_case *c)
{
	uint32_t out = (c->height + 2 * c->pad - c->dilation * (c->kernel - 1) - 1) / c->stride + 1;
	union weft_params params = {.conv = {.stride = {c->stride, c->stride},
					     .dilation = {c->dilation, c->dilation},
					     .pad = {c->pad, c->pad},
					     .groups = c->groups}};
	weft_id in = FILLED(m, x, c->batch, c->height, c->height, c->channels);
	weft_id w = WEIGHT(m, c->kernel, c->kernel, c->channels / c->groups, c->filters);
	weft_id dw = TEMP(m, c->kernel, c->kernel, c->channels / c->groups, c->filters);
	weft_id y = TEMP(m, c->batch, out, out, c->filters), dx = TEMP(m, c->batch, c->height, c->height, c->channels);
	weft_id keep = WEIGHT(m, c->batch, c->height, c->height, c->channels);
	weft_id bias = WEIGHT(m, c->filters);

	params.conv.activation = WEFT_ACT_RELU;
	operate(m, WEFT_OP_CONV_FWD, &params, 3, 4, (weft_id[]){in, w, bias, y});
	params.conv.activation = WEFT_ACT_NONE;
	operate(m, WEFT_OP_CONV_BWD_DATA, &params, 3, 4, (weft_id[]){y, w, WEFT_NO_ID, dx});
	operate(m, WEFT_OP_CONV_BWD_WEIGHT, &params, 2, 3, (weft_id[]){in, y, dw});
	update(m, keep, dx);
	update(m, w, dw);
}

static void add_pool(struct maker *m, weft_id x, bool average)
{
	const union weft_params params = {
		.pool = {.kernel = {3, 3}, .stride = {2, 2}, .dilation = {1, 1}, .pad = {1, 1}, .pad_end = {1, 1}}};
	weft_id in = FILLED(m, x, 2, 33, 33, 16), y = TEMP(m, 2, 17, 17, 16), dx = TEMP(m, 2, 33, 33, 16);
	weft_id keep = WEIGHT(m, 2, 33, 33, 16), keep_y = WEIGHT(m, 2, 17, 17, 16);
	weft_id index = make_value(m, WEFT_VALUE_ACTIVATION, WEFT_TYPE_U8, 4, (uint32_t[]){2, 17, 17, 16});

	if (average) {
		operate(m, WEFT_OP_AVGPOOL_FWD, &params, 1, 2, (weft_id[]){in, y});
		operate(m, WEFT_OP_AVGPOOL_BWD, &params, 1, 2, (weft_id[]){y, dx});
	} else {
		operate(m, WEFT_OP_MAXPOOL_FWD, &params, 1, 3, (weft_id[]){in, y, index});
		operate(m, WEFT_OP_MAXPOOL_BWD, &params, 2, 3, (weft_id[]){y, index, dx});
	}
	update(m, keep, dx);
	update(m, keep_y, y);
}

static void add_product(struct maker *m, weft_id x)
{
	const union weft_params params = {.matmul = {.activation = WEFT_ACT_RELU, .scale = 0.125f}};
	weft_id a = FILLED(m, x, 2, 40, 1100), b = WEIGHT(m, 2, 1100, 96), bias = WEIGHT(m, 96), c = TEMP(m, 2, 40, 96);
	weft_id keep = WEIGHT(m, 2, 40, 96), db = TEMP(m, 2, 1100, 96);
	struct weft_operand operand[4] = {weft_operand_of(m->graph, a), weft_operand_of(m->graph, c), WEFT_ABSENT,
					  weft_operand_of(m->graph, db)};
	const union weft_params plain = {.matmul = {.scale = 1}};

	operate(m, WEFT_OP_MATMUL, &params, 3, 4, (weft_id[]){a, b, bias, c});
	operand[0].layout.dims[1] = 1100;
	operand[0].layout.dims[2] = 40;
	operand[0].layout.strides[1] = 1;
	operand[0].layout.strides[2] = 1100;
	must(weft_build(m->graph, "product", WEFT_OP_MATMUL, &plain, 3, 4, operand, NULL));
	update(m, keep, c);
	update(m, b, db);
}

static void add_norm(struct maker *m, weft_id x)
{
	const uint32_t rows = 1500, channels = 64;
	const union weft_params params = {
		.norm = {.epsilon = 1e-5f, .inverse_count = 1.0f / 1500, .activation = WEFT_ACT_RELU}};
	union weft_params plain = params;
	weft_id in = FILLED(m, x, rows, channels), y = TEMP(m, rows, channels), dx = TEMP(m, rows, channels);
	weft_id mean = TEMP(m, 1, channels), rstd = TEMP(m, 1, channels), s = TEMP(m, 1, channels),
		t = TEMP(m, 1, channels);
	weft_id gamma = WEIGHT(m, 1, channels), beta = WEIGHT(m, 1, channels), keep = WEIGHT(m, rows, channels);

	plain.norm.activation = WEFT_ACT_NONE;
	operate(m, WEFT_OP_NORM_STATS, &plain, 1, 4, (weft_id[]){in, mean, rstd, WEFT_NO_ID});
	operate(m, WEFT_OP_NORM_APPLY, &params, 5, 6, (weft_id[]){in, mean, rstd, gamma, beta, y});
	operate(m, WEFT_OP_NORM_BWD_STATS, &plain, 6, 8, (weft_id[]){in, y, mean, rstd, WEFT_NO_ID, y, s, t});
	operate(m, WEFT_OP_NORM_BWD_APPLY, &plain, 8, 9, (weft_id[]){in, y, mean, rstd, gamma, s, t, y, dx});
	update(m, keep, dx);
	update(m, beta, s);
	update(m, gamma, t);
}

static void add_rows(struct maker *m, weft_id x)
{
	const union weft_params sum = {.reduce = {.function = WEFT_REDUCE_SUM, .scale = 1}}, none = {0};
	weft_id in = FILLED(m, x, 600, 80), y = TEMP(m, 600, 80), dx = TEMP(m, 600, 80), keep = WEIGHT(m, 600, 80);
	weft_id columns = TEMP(m, 1, 80), keep_columns = WEIGHT(m, 1, 80);
	weft_id long_in = FILLED(m, x, 40000, 1), total = TEMP(m, 1, 1), keep_total = WEIGHT(m, 1, 1);

	operate(m, WEFT_OP_SOFTMAX_FWD, &none, 1, 2, (weft_id[]){in, y});
	operate(m, WEFT_OP_SOFTMAX_BWD, &none, 2, 3, (weft_id[]){y, in, dx});
	operate(m, WEFT_OP_REDUCE, &sum, 1, 2, (weft_id[]){dx, columns});
	operate(m, WEFT_OP_REDUCE, &sum, 1, 2, (weft_id[]){long_in, total});
	update(m, keep, dx);
	update(m, keep_columns, columns);
	update(m, keep_total, total);
}

static void add_table(struct maker *m, weft_id x)
{
	const union weft_params none = {0};
	const union weft_params small = {.unary = {.function = WEFT_UNARY_AFFINE, .alpha = 100, .beta = 200}};
	weft_id table = WEIGHT(m, 500, 64), dtable = TEMP(m, 500, 64), y = TEMP(m, 300, 64), keep = WEIGHT(m, 300, 64);
	weft_id raw = FILLED(m, x, 300), scaled = TEMP(m, 300);
	weft_id index = make_value(m, WEFT_VALUE_ACTIVATION, WEFT_TYPE_I32, 1, (uint32_t[]){300});

	operate(m, WEFT_OP_UNARY, &small, 1, 2, (weft_id[]){raw, scaled});
	operate(m, WEFT_OP_CAST, &none, 1, 2, (weft_id[]){scaled, index});
	operate(m, WEFT_OP_GATHER, &none, 2, 3, (weft_id[]){table, index, y});
	operate(m, WEFT_OP_FILL, &none, 0, 1, (weft_id[]){dtable});
	operate(m, WEFT_OP_SCATTER_ADD, &none, 2, 3, (weft_id[]){y, index, dtable});
	update(m, keep, y);
	update(m, table, dtable);
}

/* Heads of attention: the same bytes seen as rows and as heads, and put back by a copy. */
static void add_heads(struct maker *m, weft_id x)
{
	const union weft_params plain = {.matmul = {.scale = 1}}, none = {0};
	weft_id q = FILLED(m, x, 48, 8 * 32), k = FILLED(m, x, 48, 8 * 32), scores = TEMP(m, 8, 48, 48);
	weft_id back = TEMP(m, 48, 8, 48), keep = WEIGHT(m, 48, 8, 48);
	struct weft_operand operand[4] = {weft_operand_of(m->graph, q), weft_operand_of(m->graph, k), WEFT_ABSENT,
					  weft_operand_of(m->graph, scores)};
	struct weft_operand copy[2] = {weft_operand_of(m->graph, scores), weft_operand_of(m->graph, back)};

	operand[0].layout = (struct weft_layout){WEFT_TYPE_F32, 3, {8, 48, 32}, {32, 256, 1}};
	operand[1].layout = (struct weft_layout){WEFT_TYPE_F32, 3, {8, 32, 48}, {32, 1, 256}};
	must(weft_build(m->graph, "scores", WEFT_OP_MATMUL, &plain, 3, 4, operand, NULL));
	copy[0].layout = (struct weft_layout){WEFT_TYPE_F32, 3, {48, 8, 48}, {48, 48 * 48, 1}};
	must(weft_build_elementwise(m->graph, "back", WEFT_OP_COPY, &none, 1, 2, copy, NULL));
	update(m, keep, back);
}

enum graph_kind {
	GRAPH_POOL_MAX,
	GRAPH_POOL_AVERAGE,
	GRAPH_PRODUCT,
	GRAPH_NORM,
	GRAPH_ROWS,
	GRAPH_TABLE,
	GRAPH_HEADS,
	GRAPH_CONVS
};
#define GRAPHS (GRAPH_CONVS + sizeof(convs) / sizeof(convs[0]))

static void fill_weights(struct weft_graph *graph)
{
	uint64_t random = 7;

	for (weft_id v = 0; v < graph->values; v++) {
		struct weft_value *value = &graph->value[v];

		if (value->kind != WEFT_VALUE_WEIGHT)
			continue;
		value->data = malloc(value->bytes);
		assert_non_null(value->data);
		for (uint64_t i = 0; i < value->bytes / 4; i++)
			((float *)value->data)[i] = (float)(random_next(&random) % 2001) / 1000 - 1;
	}
}

static struct weft_graph *make_graph(unsigned int kind)
{
	struct maker m = {.graph = weft_graph_new("tiles")};
	weft_id x = VALUE(&m, WEFT_VALUE_INPUT, 110000);

	m.graph->input = malloc(sizeof(weft_id));
	m.graph->input[0] = x;
	m.graph->inputs = 1;
	m.graph->training = true;
	switch (kind) {
	case GRAPH_POOL_MAX:
	case GRAPH_POOL_AVERAGE:
		add_pool(&m, x, kind == GRAPH_POOL_AVERAGE);
		break;
	case GRAPH_PRODUCT:
		add_product(&m, x);
		break;
	case GRAPH_NORM:
		add_norm(&m, x);
		break;
	case GRAPH_ROWS:
		add_rows(&m, x);
		break;
	case GRAPH_TABLE:
		add_table(&m, x);
		break;
	case GRAPH_HEADS:
		add_heads(&m, x);
		break;
	default:
		add_conv(&m, x, &convs[kind - GRAPH_CONVS]);
		break;
	}
	fill_weights(m.graph);
	must(weft_graph_check(m.graph));
	return m.graph;
}

/* Two steps of @graph, which is taken. */
static void digest_of(struct weft_graph *graph, char hex[65])
{
	struct weft_session_options options = {.device_bytes = UINT64_MAX, .host_bytes = UINT64_MAX};
	struct accel_device *device;
	struct weft_session *session;
	uint64_t random = 3;
	void *memory;
	size_t bytes;

	assert_int_equal(accel_device_open(DEVICE, &device), 0);
	must(weft_session_new(device, graph, &options, &session, NULL));
	for (unsigned int step = 0; step < 2; step++) {
		must(weft_session_input(session, "v0", &memory, &bytes));
		for (size_t i = 0; i < bytes / 4; i++)
			((float *)memory)[i] = (float)(random_next(&random) % 2001) / 1000 - 1;
		must(weft_session_step(session));
	}
	must(weft_session_digest(session, hex));
	weft_session_free(session);
	accel_device_unref(device);
}

static void every_operation_in_tiles(void **state)
{
	static const uint64_t sizes[] = {400 << 10, 100 << 10, 30 << 10};

	(void)state;
	for (unsigned int kind = 0; kind < GRAPHS; kind++) {
		char expected[65], hex[65];
		unsigned int tiled_once = 0;

		digest_of(make_graph(kind), expected);
		for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			struct weft_graph *graph = make_graph(kind), *tiled;
			int result = weft_graph_tile(graph, sizes[i], false, &tiled);

			if (result == -ERANGE) {
				weft_graph_free(graph);
				continue;
			}
			must(result);
			assert_true(tiled->operations > graph->operations);
			weft_graph_take_data(tiled, graph);
			weft_graph_free(graph);
			must(weft_graph_check(tiled));
			digest_of(tiled, hex);
			if (strcmp(hex, expected))
				fail_msg("graph %u in tiles of %llu bytes: other bits", kind,
					 (unsigned long long)sizes[i]);
			tiled_once++;
		}
		assert_true(tiled_once);
	}
}

/* Two wide layers that are trained with momentum: 4 MiB of weights and state, little else. */
static struct weft_graph *wide_graph(void)
{
	struct maker m = {.graph = weft_graph_new("wide")};
	const union weft_params plain = {.matmul = {.scale = 1}}, none = {0};
	const uint32_t rows = 8, width[3] = {256, 1024, 256};
	weft_id y[3], w[2], hyper;

	y[0] = VALUE(&m, WEFT_VALUE_INPUT, rows, width[0]);
	hyper = VALUE(&m, WEFT_VALUE_STEP, WEFT_HYPERS);
	m.graph->hyper = hyper;
	m.graph->input = malloc(sizeof(weft_id));
	m.graph->input[0] = y[0];
	m.graph->inputs = 1;
	m.graph->training = true;
	for (unsigned int i = 0; i < 2; i++) {
		w[i] = WEIGHT(&m, width[i], width[i + 1]);
		y[i + 1] = TEMP(&m, rows, width[i + 1]);
		operate(&m, WEFT_OP_MATMUL, &plain, 3, 4, (weft_id[]){y[i], w[i], WEFT_NO_ID, y[i + 1]});
	}
	for (unsigned int i = 2; i-- > 0;) {
		weft_id gradient = TEMP(&m, width[i], width[i + 1]);
		weft_id momentum = VALUE(&m, WEFT_VALUE_STATE, width[i], width[i + 1]);
		struct weft_operand operand[4] = {weft_operand_of(m.graph, y[i]), weft_operand_of(m.graph, y[i + 1]),
						  WEFT_ABSENT, weft_operand_of(m.graph, gradient)};

		operand[0].layout = (struct weft_layout){WEFT_TYPE_F32, 2, {width[i], rows}, {1, (int32_t)width[i]}};
		must(weft_build(m.graph, "gradient", WEFT_OP_MATMUL, &plain, 3, 4, operand, NULL));
		operate(&m, WEFT_OP_SGD, &none, 2, 4, (weft_id[]){gradient, hyper, w[i], momentum});
	}
	fill_weights(m.graph);
	must(weft_graph_check(m.graph));
	return m.graph;
}

static void two_steps(struct weft_session *session)
{
	const float hyper[WEFT_HYPERS] = {
		[WEFT_HYPER_LR] = 0.01f, [WEFT_HYPER_BETA1] = 0.9f, [WEFT_HYPER_GRADIENT_SCALE] = 0.01f};
	void *memory;
	size_t bytes;

	must(weft_session_hyper(session, hyper));
	for (unsigned int step = 0; step < 2; step++) {
		must(weft_session_input(session, "v0", &memory, &bytes));
		for (size_t i = 0; i < bytes / 4; i++)
			((float *)memory)[i] = (float)((i + step) * 7919 % 2001) / 1000 - 1;
		must(weft_session_step(session));
	}
}

/*
 * A network whose weights and optimizer state are larger than device and host
 * budget together trains from storage, with the same bits; its checkpoint holds the
 * values, not their pieces, and so fits every budget.
 */
static void state_larger_than_memory(void **state)
{
	static const uint64_t budgets[] = {1 << 20, 256 << 10};
	const char *path = "/tmp/weft-test-tiles.checkpoint";
	struct weft_session_options options = {
		.device_bytes = UINT64_MAX, .host_bytes = UINT64_MAX, .storage_dir = "/tmp"};
	char first[65], expected[65], hex[65];
	struct accel_device *device;
	struct weft_session *session;

	(void)state;
	assert_int_equal(accel_device_open(DEVICE, &device), 0);
	must(weft_session_new(device, wide_graph(), &options, &session, NULL));
	two_steps(session);
	must(weft_session_digest(session, first));
	must(weft_session_save(session, path, NULL, 0));
	two_steps(session);
	must(weft_session_digest(session, expected));
	weft_session_free(session);
	options.storage_bytes = UINT64_MAX;
	for (unsigned int i = 0; i < sizeof(budgets) / sizeof(budgets[0]); i++) {
		struct weft_session_usage usage;

		options.device_bytes = options.host_bytes = budgets[i];
		must(weft_session_new(device, wide_graph(), &options, &session, NULL));
		two_steps(session);
		must(weft_session_digest(session, hex));
		assert_string_equal(hex, first);
		must(weft_session_usage(session, &usage));
		assert_true(usage.peak_storage_bytes > 2 << 20);
		must(weft_session_load(session, path, NULL, NULL));
		two_steps(session);
		must(weft_session_digest(session, hex));
		assert_string_equal(hex, expected);
		must(weft_session_usage(session, &usage));
		assert_true(usage.peak_device_bytes <= budgets[i]);
		assert_true(usage.peak_host_bytes <= budgets[i]);
		weft_session_free(session);
	}
	unlink(path);
	accel_device_unref(device);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_operation_in_tiles),
		cmocka_unit_test(state_larger_than_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
