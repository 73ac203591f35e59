// SPDX-License-Identifier: MIT
/* Tensors whose bytes stand beside the model: read as if inside; what does not fit, or lies elsewhere, is refused. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "graph/graph.h"
#include "models/onnx_build.h"
#include "weft/error.h"
#include "weft/model.h"

#define WIDTH 8
#define WEIGHT_BYTES (WIDTH * WIDTH * sizeof(float))

static char directory[] = "/tmp/weft-external-XXXXXX";

/* How a test tells where the second weight's bytes are; NULL: as they are. */
struct place {
	const char *location, *offset, *length;
	bool twice; /* also inside */
};

static const char *path_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static void entry(Onnx__TensorProto *tensor, const char *key, const char *value)
{
	Onnx__StringStringEntryProto *entry = malloc(sizeof(*entry));

	assert_non_null(entry);
	onnx__string_string_entry_proto__init(entry);
	entry->key = strdup(key);
	entry->value = strdup(value);
	tensor->external_data =
		realloc(tensor->external_data, (tensor->n_external_data + 1) * sizeof(*tensor->external_data));
	assert_non_null(tensor->external_data);
	tensor->external_data[tensor->n_external_data++] = entry;
}

/* Append the tensor's bytes to the file beside the model, and say so in it. */
static void move_out(Onnx__TensorProto *tensor, const struct place *place)
{
	char offset[32], length[32];
	FILE *file = fopen(path_of("weights.bin"), "abe");

	assert_non_null(file);
	snprintf(offset, sizeof(offset), "%ld", ftell(file));
	snprintf(length, sizeof(length), "%zu", tensor->raw_data.len);
	assert_int_equal(fwrite(tensor->raw_data.data, 1, tensor->raw_data.len, file), tensor->raw_data.len);
	assert_int_equal(fclose(file), 0);
	if (!place->location || place->location[0])
		entry(tensor, "location", place->location ? place->location : "weights.bin");
	entry(tensor, "offset", place->offset ? place->offset : offset);
	entry(tensor, "length", place->length ? place->length : length);
	tensor->has_data_location = 1;
	tensor->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
	if (place->twice)
		return;
	free(tensor->raw_data.data);
	tensor->has_raw_data = 0;
	tensor->raw_data = (ProtobufCBinaryData){0, NULL};
}

static void write_model(const char *name, const struct place *place)
{
	struct onnx_build b;

	onnx_build_begin(&b, "external", 11);
	onnx_build_input(&b, "x", 2, (int64_t[]){0, WIDTH});
	onnx_build_output(&b, "y", 2, (int64_t[]){0, WIDTH});
	onnx_build_weight(&b, "w", 2, (int64_t[]){WIDTH, WIDTH}, 0.5f);
	onnx_build_weight(&b, "v", 2, (int64_t[]){WIDTH, WIDTH}, 0.5f);
	onnx_build_node(&b, "MatMul", "h", (const char *[]){"x", "w", NULL});
	onnx_build_node(&b, "MatMul", "y", (const char *[]){"h", "v", NULL});
	unlink(path_of("weights.bin"));
	if (place) {
		move_out(b.model->graph->initializer[0], &(struct place){NULL, NULL, NULL, false});
		move_out(b.model->graph->initializer[1], place);
	}
	assert_int_equal(onnx_build_end(&b, path_of(name)), 0);
}

static void load_weights(const char *name, float w[], float v[])
{
	const struct weft_graph_options options = {.batch = 1, .loss = WEFT_LOSS_NONE};
	struct weft_model *model;
	struct weft_graph *graph;
	unsigned int found = 0;

	if (weft_model_load(path_of(name), &model) || weft_model_graph(model, &options, &graph))
		fail_msg("%s", weft_error());
	for (weft_id id = 0; id < graph->values; id++) {
		const struct weft_value *value = &graph->value[id];
		float *to = !strcmp(value->name, "w") ? w : v;

		if (value->kind != WEFT_VALUE_WEIGHT || !value->data)
			continue;
		assert_int_equal(value->bytes, WEIGHT_BYTES);
		memcpy(to, value->data, WEIGHT_BYTES);
		found++;
	}
	assert_int_equal(found, 2);
	weft_graph_free(graph);
	weft_model_free(model);
}

static void same_as_inside(void **state)
{
	float w[2][WIDTH * WIDTH], v[2][WIDTH * WIDTH];

	(void)state;
	write_model("inside.onnx", NULL);
	load_weights("inside.onnx", w[0], v[0]);
	write_model("outside.onnx", &(struct place){NULL, NULL, NULL, false});
	load_weights("outside.onnx", w[1], v[1]);
	assert_memory_equal(w[0], w[1], WEIGHT_BYTES);
	assert_memory_equal(v[0], v[1], WEIGHT_BYTES);
	assert_memory_not_equal(w[0], v[0], WEIGHT_BYTES);
}

/* From the model's own directory, whatever the working directory is. */
static void from_elsewhere(void **state)
{
	float w[WIDTH * WIDTH], v[WIDTH * WIDTH];
	struct weft_model *model;
	char before[4096];

	(void)state;
	write_model("outside.onnx", &(struct place){"./weights.bin", NULL, NULL, false});
	load_weights("outside.onnx", w, v);
	assert_non_null(getcwd(before, sizeof(before)));
	assert_int_equal(chdir(directory), 0);
	assert_int_equal(weft_model_load("outside.onnx", &model), 0);
	weft_model_free(model);
	assert_int_equal(chdir(before), 0);
}

static void refusals(void **state)
{
	static const struct {
		struct place place;
		const char *sentence;
	} cases[] = {
		{{.location = "nowhere.bin"}, "nowhere.bin\" beside the model, which cannot be opened"},
		{{.location = ""}, "which one is not said"},
		{{.location = "/etc/passwd"}, "not beside the model"},
		{{.location = "../weights.bin"}, "not beside the model"},
		{{.location = "a/../../weights.bin"}, "not beside the model"},
		{{.location = ".."}, "not beside the model"},
		{{.location = "folder"}, "is not a file"},
		{{.location = "link"}, "cannot be opened"},
		{{.offset = "300"}, "256 bytes at 300 of \"weights.bin\", which has 512"},
		{{.offset = "9223372036854775807"}, "is it cut short"},
		{{.offset = "-1"}, "offset \"-1\""},
		{{.offset = "12 bytes"}, "offset \"12 bytes\""},
		{{.length = "99999999999999999999"}, "length \"9999"},
		{{.offset = "0", .length = "512"}, "more bytes of \"weights.bin\" than it holds"},
		{{.length = "252"}, "252 bytes of data for 64 elements"},
		{{.twice = true}, "has data in the model and in another file"},
	};

	(void)state;
	assert_int_equal(mkdir(path_of("folder"), 0700), 0);
	assert_int_equal(symlink("weights.bin", path_of("link")), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct weft_graph_options options = {.batch = 1, .loss = WEFT_LOSS_NONE};
		struct weft_model *model = NULL;
		struct weft_graph *graph;
		int r;

		write_model("damaged.onnx", &cases[i].place);
		r = weft_model_load(path_of("damaged.onnx"), &model);
		if (!r)
			r = weft_model_graph(model, &options, &graph);
		if (!r)
			fail_msg("case %zu was not refused", i);
		if (!strstr(weft_error(), cases[i].sentence))
			fail_msg("case %zu: \"%s\" does not say \"%s\"", i, weft_error(), cases[i].sentence);
		weft_model_free(model);
	}
}

/* A file that ends early. */
static void truncated(void **state)
{
	struct weft_model *model = NULL;

	(void)state;
	write_model("outside.onnx", &(struct place){NULL, NULL, NULL, false});
	assert_int_equal(truncate(path_of("weights.bin"), 500), 0);
	assert_int_equal(weft_model_load(path_of("outside.onnx"), &model), -EINVAL);
	assert_null(model);
	assert_non_null(strstr(weft_error(), "is it cut short"));
}

static int make_directory(void **state)
{
	(void)state;
	return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
	static const char *const names[] = {"inside.onnx", "outside.onnx", "damaged.onnx", "weights.bin", "link"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(path_of(names[i]));
	rmdir(path_of("folder"));
	return rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(same_as_inside), cmocka_unit_test(from_elsewhere),
					   cmocka_unit_test(refusals), cmocka_unit_test(truncated)};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
