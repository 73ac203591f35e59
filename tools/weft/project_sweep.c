// SPDX-License-Identifier: MIT
#include "project_sweep.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "sizes.h"
#include "weft/error.h"

/* The networks of the paper's table for MNIST. */
static const char paper[] = "8:10,10:12,60:10,60:12,60:10:128,60:12:256,70:12:256";

bool project_sweep_add(struct project_sweep *sweep, const struct weft_projection *projection)
{
	struct project_row *larger = reallocarray(sweep->row, sweep->count + 1u, sizeof(*larger));

	if (!larger)
		return false;
	sweep->row = larger;
	sweep->row[sweep->count++] = (struct project_row){.projection = *projection};
	return true;
}

void project_sweep_free(struct project_sweep *sweep)
{
	free(sweep->row);
	*sweep = (struct project_sweep){0};
}

void project_parse_hidden(struct argp_state *state, const char *option, char *text, const char *separators,
			  struct weft_projection *projection)
{
	char *part;

	projection->layers = 0;
	while ((part = strsep(&text, separators))) {
		if (projection->layers == WEFT_PROJECTION_LAYERS)
			argp_error(state, "%s: more than %d hidden layers", option, WEFT_PROJECTION_LAYERS);
		projection->hidden[projection->layers++] = (uint32_t)argument_whole(state, option, part, 1, 1 << 20);
	}
}

void project_parse_sweep(struct argp_state *state, char *text, struct project_sweep *sweep)
{
	char list[sizeof(paper)], *rest = text, *item;

	if (!strcmp(text, "paper")) {
		memcpy(list, paper, sizeof(list));
		rest = list;
	}
	while ((item = strsep(&rest, ","))) {
		struct weft_projection projection = {0};
		char *functions = strsep(&item, ":"), *bits = strsep(&item, ":");

		if (!bits)
			argp_error(state, "--sweep: expected T:D or T:D:HIDDEN, with commas between them");
		projection.functions = (uint32_t)argument_whole(state, "--sweep", functions, 1, 65536);
		projection.bits = (uint32_t)argument_whole(state, "--sweep", bits, 1, 65536);
		if (item)
			project_parse_hidden(state, "--sweep", item, "-", &projection);
		if (!project_sweep_add(sweep, &projection))
			argp_failure(state, STATUS_FAILED, 0, "out of memory");
	}
}

/* "256-64", or "-". */
static void hidden_text(const struct weft_projection *projection, char text[96])
{
	int length = 0;

	strcpy(text, "-");
	for (uint32_t i = 0; i < projection->layers; i++)
		length += snprintf(text + length, 96 - (size_t)length, "%s%u", i ? "-" : "", projection->hidden[i]);
}

void project_print_row(const struct project_sweep *sweep, uint32_t index, bool with_trainer)
{
	const struct project_row *row = &sweep->row[index];
	char hidden[96], bytes[24], joules[32], seconds[32];

	if (!index)
		printf("   T   d   hidden  parameters      size  multiply-adds  accuracy    (least, most)%s    energy  "
		       "    time\n",
		       with_trainer ? "   trainer" : "");
	hidden_text(&row->projection, hidden);
	printf("%4u %3u %8s %11llu %9s %14llu  %6.2f %%  (%5.2f, %5.2f)", row->projection.functions,
	       row->projection.bits, hidden, (unsigned long long)row->cost.parameters,
	       size_format(row->measure.bytes, bytes), (unsigned long long)row->cost.multiply_adds,
	       100 * row->measure.accuracy, 100 * row->least, 100 * row->most);
	if (with_trainer)
		printf("  %6.2f %%", 100 * row->trainer.accuracy);
	printf("  %9s %9s\n", joules_format(row->measure.joules, joules),
	       seconds_format(row->measure.seconds, seconds));
	fflush(stdout);
}

int project_write_csv(const struct project_sweep *sweep, const char *path)
{
	FILE *file = fopen(path, "w");

	if (!file)
		return weft_fail(errno, "%s: cannot be written: %m", path);
	fputs("functions,bits,hidden,parameters,bytes,multiply_adds,additions,accuracy,least_accuracy,most_accuracy,"
	      "trainer_accuracy,energy_joules,seconds\n",
	      file);
	for (uint32_t i = 0; i < sweep->count; i++) {
		const struct project_row *row = &sweep->row[i];
		char hidden[96];

		hidden_text(&row->projection, hidden);
		fprintf(file, "%u,%u,%s,%llu,%llu,%llu,%llu,%.4f,%.4f,%.4f,", row->projection.functions,
			row->projection.bits, hidden, (unsigned long long)row->cost.parameters,
			(unsigned long long)row->measure.bytes, (unsigned long long)row->cost.multiply_adds,
			(unsigned long long)row->cost.additions, row->measure.accuracy, row->least, row->most);
		if (row->trainer.accuracy > 0)
			fprintf(file, "%.4f", row->trainer.accuracy);
		fprintf(file, ",%.6g,%.6g\n", row->measure.joules, row->measure.seconds);
	}
	if (ferror(file) | fclose(file))
		return weft_fail(EIO, "%s: could not be written whole", path);
	return 0;
}

/* Where things are in the drawing. */
#define WIDTH 720.0
#define HEIGHT 440.0
#define LEFT 70.0
#define TOP 40.0
#define RIGHT 40.0
#define BOTTOM 60.0

struct frame {
	double low, high;	/* accuracy in percent */
	double least, greatest; /* log10 of bytes */
};

static double x_of(const struct frame *f, double bytes)
{
	return LEFT + (log10(bytes) - f->least) / (f->greatest - f->least) * (WIDTH - LEFT - RIGHT);
}

static double y_of(const struct frame *f, double percent)
{
	return TOP + (f->high - percent) / (f->high - f->low) * (HEIGHT - TOP - BOTTOM);
}

static struct frame find_frame(const struct project_sweep *sweep)
{
	struct frame f = {100, 0, INFINITY, -INFINITY};

	for (uint32_t i = 0; i < sweep->count; i++) {
		double bytes = (double)sweep->row[i].measure.bytes;

		f.low = fmin(f.low, 100 * sweep->row[i].least);
		f.high = fmax(f.high, 100 * sweep->row[i].most);
		f.least = fmin(f.least, log10(fmax(bytes, 1)));
		f.greatest = fmax(f.greatest, log10(fmax(bytes, 1)));
	}
	f.low = floor(f.low / 5) * 5;
	f.high = fmin(ceil(f.high / 5) * 5, 100);
	if (f.high <= f.low)
		f.high = f.low + 5;
	f.least = floor(f.least * 2) / 2;
	f.greatest = ceil(f.greatest * 2 + 0.1) / 2;
	return f;
}

static void draw_axes(FILE *file, const struct frame *f)
{
	for (double p = f->low; p <= f->high + 1e-9; p += 5)
		fprintf(file,
			"<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>"
			"<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%.0f %%</text>\n",
			LEFT, y_of(f, p), WIDTH - RIGHT, y_of(f, p), LEFT - 8, y_of(f, p) + 4, p);
	for (double e = f->least; e <= f->greatest + 1e-9; e += 0.5) {
		double bytes = pow(10, e), x = x_of(f, bytes);
		char text[24];

		fprintf(file,
			"<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>"
			"<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n",
			x, TOP, x, HEIGHT - BOTTOM, x, HEIGHT - BOTTOM + 18, size_format((uint64_t)bytes, text));
	}
	fprintf(file,
		"<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">size of the model</text>\n"
		"<text x=\"%.1f\" y=\"22\" text-anchor=\"middle\">test accuracy of projection networks: T, d, hidden "
		"layers</text>\n",
		WIDTH / 2, HEIGHT - 14, WIDTH / 2);
}

int project_write_svg(const struct project_sweep *sweep, const char *path)
{
	struct frame f = find_frame(sweep);
	FILE *file = fopen(path, "w");

	if (!file)
		return weft_fail(errno, "%s: cannot be written: %m", path);
	fprintf(file,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" font-family=\"sans-serif\" "
		"font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
		WIDTH, HEIGHT);
	draw_axes(file, &f);
	for (uint32_t i = 0; i < sweep->count; i++) {
		const struct project_row *row = &sweep->row[i];
		double x = x_of(&f, fmax((double)row->measure.bytes, 1));
		char hidden[96];

		hidden_text(&row->projection, hidden);
		fprintf(file,
			"<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#269\"/>"
			"<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"#269\"/>"
			"<text x=\"%.1f\" y=\"%.1f\">%u, %u, %s</text>\n",
			x, y_of(&f, 100 * row->least), x, y_of(&f, 100 * row->most), x,
			y_of(&f, 100 * row->measure.accuracy), x + 7, y_of(&f, 100 * row->measure.accuracy) + 14,
			row->projection.functions, row->projection.bits, hidden);
	}
	fputs("</svg>\n", file);
	if (ferror(file) | fclose(file))
		return weft_fail(EIO, "%s: could not be written whole", path);
	return 0;
}

cJSON *project_row_json(const struct project_row *row, bool with_trainer)
{
	cJSON *object = cJSON_CreateObject();
	char hidden[96];

	hidden_text(&row->projection, hidden);
	cJSON_AddNumberToObject(object, "functions", row->projection.functions);
	cJSON_AddNumberToObject(object, "bits", row->projection.bits);
	cJSON_AddStringToObject(object, "hidden", hidden);
	cJSON_AddNumberToObject(object, "parameters", (double)row->cost.parameters);
	cJSON_AddNumberToObject(object, "bytes", (double)row->measure.bytes);
	cJSON_AddNumberToObject(object, "multiply_adds", (double)row->cost.multiply_adds);
	cJSON_AddNumberToObject(object, "additions", (double)row->cost.additions);
	cJSON_AddNumberToObject(object, "test_accuracy", row->measure.accuracy);
	cJSON_AddNumberToObject(object, "least_accuracy", row->least);
	cJSON_AddNumberToObject(object, "most_accuracy", row->most);
	if (with_trainer)
		cJSON_AddNumberToObject(object, "trainer_accuracy", row->trainer.accuracy);
	cJSON_AddNumberToObject(object, "energy_joules", row->measure.joules);
	cJSON_AddNumberToObject(object, "seconds", row->measure.seconds);
	cJSON_AddNumberToObject(object, "peak_device_bytes", (double)row->usage.peak_device_bytes);
	cJSON_AddNumberToObject(object, "peak_host_bytes", (double)row->usage.peak_host_bytes);
	cJSON_AddNumberToObject(object, "step_seconds", row->usage.step_seconds);
	return object;
}
