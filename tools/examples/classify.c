// SPDX-License-Identifier: MIT
/*
 * Classify with a compiled model and libaccel alone.  The input is an IDX file of
 * images (the format of MNIST), text with the numbers of one example a line
 * (.csv), or examples as they stand in memory (anything else).
 */
#include <accel/model.h>
#include <ctype.h>
#include <endian.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
	const char *device, *labels;
	float mean, deviation;
	unsigned long most;
	bool scores;
};

struct input {
	const char *path;
	FILE *file;
	enum { IDX, CSV, RAW } kind;
};

static void fail(const char *what, const char *why)
{
	fprintf(stderr, "classify: %s: %s\n", what, why);
	exit(1);
}

static void check(int result)
{
	if (result < 0) {
		fprintf(stderr, "classify: %s\n", accel_error());
		exit(1);
	}
}

/* The header of an IDX file of bytes: returns how many examples of @elements it promises, 0 if it is none. */
static uint32_t idx_header(FILE *file, uint64_t elements)
{
	uint32_t word[2];
	uint64_t product = 1;

	if (fread(word, sizeof(word), 1, file) != 1 || be32toh(word[0]) >> 8 != 8 || !(be32toh(word[0]) & 255))
		return 0;
	for (uint32_t rank = be32toh(word[0]) & 255; rank > 1; rank--) {
		uint32_t extent;

		if (fread(&extent, sizeof(extent), 1, file) != 1 || be32toh(extent) > elements)
			return 0;
		product *= be32toh(extent);
		if (!product || product > elements)
			return 0;
	}
	return product == elements ? be32toh(word[1]) : 0;
}

static struct input open_input(const char *path, uint64_t elements)
{
	struct input in = {.path = path, .file = fopen(path, "rb"), .kind = RAW};
	const char *dot = strrchr(path, '.');
	unsigned char magic[4] = {0};

	if (!in.file)
		fail(path, strerror(errno));
	if (dot && !strcmp(dot, ".csv")) {
		in.kind = CSV;
		return in;
	}
	if (fread(magic, 1, 4, in.file) == 4 && !magic[0] && !magic[1] && magic[2] == 8)
		in.kind = IDX;
	rewind(in.file);
	if (in.kind == IDX && !idx_header(in.file, elements))
		fail(path, "an IDX file, but its images do not have the size of the model's input");
	return in;
}

/* Element @i of the model's input from a number. */
static void put(const struct accel_model_tensor *t, void *to, uint64_t i, double value)
{
	switch (t->type) {
	case WEFT_TYPE_F32:
		((float *)to)[i] = (float)value;
		break;
	case WEFT_TYPE_I32:
		((int32_t *)to)[i] = (int32_t)value;
		break;
	case WEFT_TYPE_I64:
		((int64_t *)to)[i] = (int64_t)value;
		break;
	case WEFT_TYPE_I8:
		((int8_t *)to)[i] = (int8_t)value;
		break;
	case WEFT_TYPE_U8:
		((uint8_t *)to)[i] = (uint8_t)value;
		break;
	default:
		fail(t->name, "an input of a type that is not read from text or images; give the bytes");
	}
}

static bool read_line(const struct input *in, const struct accel_model_tensor *t, uint64_t elements, void *to)
{
	static char *line;
	static size_t room;
	char *at, *end;

	do {
		if (getline(&line, &room, in->file) < 0)
			return false;
		for (at = line; isspace((unsigned char)*at); at++)
			;
	} while (!*at);
	for (uint64_t i = 0; i < elements; i++, at = end) {
		double value = strtod(at, &end);

		if (end == at || value < -2147483648.0 || value > 2147483647.0)
			fail(in->path, "a line with too few numbers, or one that is none");
		put(t, to, i, value);
		while (isspace((unsigned char)*end) || *end == ',' || *end == ';')
			end++;
	}
	if (*at)
		fail(in->path, "a line with more numbers than the model's input has");
	return true;
}

static bool read_image(const struct input *in, const struct options *o, const struct accel_model_tensor *t,
		       uint64_t elements, void *to)
{
	unsigned char *pixel = malloc(elements);
	bool whole;

	if (!pixel)
		fail(in->path, strerror(ENOMEM));
	whole = fread(pixel, 1, elements, in->file) == elements;
	for (uint64_t i = 0; i < elements && whole; i++) {
		if (t->type == WEFT_TYPE_F32)
			((float *)to)[i] = ((float)pixel[i] / 255.0f - o->mean) / o->deviation;
		else
			put(t, to, i, pixel[i]);
	}
	free(pixel);
	return whole;
}

/* The next example, dense; false where there is none. */
static bool read_example(const struct input *in, const struct options *o, const struct accel_model_tensor *t,
			 uint64_t elements, void *to)
{
	if (in->kind == CSV)
		return read_line(in, t, elements, to);
	if (in->kind == IDX)
		return read_image(in, o, t, elements, to);
	return fread(to, accel_type_bytes(t->type), elements, in->file) == elements;
}

static uint64_t report(const struct options *o, const float *score, uint64_t classes, FILE *labels)
{
	uint64_t best = 0;
	int label;

	for (uint64_t c = 1; c < classes; c++)
		best = score[c] > score[best] ? c : best;
	if (!labels)
		printf("%llu", (unsigned long long)best);
	for (uint64_t c = 0; c < classes && o->scores; c++)
		printf(" %.9g", (double)score[c]);
	if (!labels || o->scores)
		putchar('\n');
	if (!labels)
		return 0;
	label = fgetc(labels);
	if (label == EOF)
		fail(o->labels, "fewer labels than images");
	return (uint64_t)label == best;
}

static void classify(struct accel_model *model, const char *path, const struct options *o)
{
	struct accel_model_tensor in = {.size = sizeof(in)}, out = {.size = sizeof(out)};
	uint64_t batch, elements, classes, read, done = 0, right = 0;
	unsigned char *example;
	struct input input;
	FILE *labels = NULL;
	float *scores;

	check(accel_model_input(model, 0, &in));
	check(accel_model_output(model, 0, &out));
	batch = in.rank ? in.dims[0] : 1;
	if (out.type != WEFT_TYPE_F32 || out.elements % batch)
		fail(out.name, "no float32 scores for each example");
	elements = in.elements / batch;
	classes = out.elements / batch;
	input = open_input(path, elements);
	if (o->labels) {
		labels = fopen(o->labels, "rb");
		if (!labels)
			fail(o->labels, strerror(errno));
		if (!idx_header(labels, 1))
			fail(o->labels, "no IDX file of labels");
	}
	example = malloc(in.bytes);
	scores = malloc(out.bytes);
	if (!example || !scores)
		fail(path, strerror(ENOMEM));
	do {
		memset(example, 0, in.bytes);
		for (read = 0; read < batch && (!o->most || done + read < o->most); read++)
			if (!read_example(&input, o, &in, elements, example + read * (in.bytes / batch)))
				break;
		if (!read)
			break;
		check(accel_model_set(model, 0, example, in.bytes));
		check(accel_model_run(model));
		check(accel_model_get(model, 0, scores, out.bytes));
		for (uint64_t i = 0; i < read; i++)
			right += report(o, scores + i * classes, classes, labels);
		done += read;
	} while (read == batch);
	if (!done)
		fail(path, "not one example");
	if (labels) {
		printf("%llu of %llu right\n", (unsigned long long)right, (unsigned long long)done);
		fclose(labels);
	}
	fclose(input.file);
	free(example);
	free(scores);
}

int main(int argc, char **argv)
{
	struct options o = {.deviation = 1};
	struct accel_device *device;
	struct accel_model *model;
	int c;

	while ((c = getopt(argc, argv, "d:l:m:n:ps:")) != -1) {
		if (c == 'd')
			o.device = optarg;
		else if (c == 'l')
			o.labels = optarg;
		else if (c == 'm')
			o.mean = strtof(optarg, NULL);
		else if (c == 'n')
			o.most = strtoul(optarg, NULL, 10);
		else if (c == 'p')
			o.scores = true;
		else if (c == 's')
			o.deviation = strtof(optarg, NULL);
		else
			optind = argc;
	}
	if (argc - optind != 2) {
		fputs("Usage: classify [-p] [-d DEVICE] [-n MOST] [-m MEAN -s DEVIATION] [-l LABELS] MODEL.weft INPUT\n"
		      "INPUT: IDX images, .csv with an example a line, or bytes.  -p prints the scores, -l counts how\n"
		      "many are right.\n",
		      stderr);
		return 2;
	}
	check(accel_device_open(o.device, &device));
	check(accel_model_load(device, argv[optind], &model));
	classify(model, argv[optind + 1], &o);
	accel_model_free(model);
	accel_device_unref(device);
	return 0;
}
