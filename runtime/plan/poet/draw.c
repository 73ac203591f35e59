// SPDX-License-Identifier: MIT
/* A schedule as SVG. */
#include "plan/poet/poet.h"

#include "weft/error.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LEFT = 90, TOP = 60, WIDTH = 960, LEVELS = 140, GAP = 40, NODES = 720, BOTTOM = 60 };

struct drawing {
	const struct weft_poet_instance *instance;
	const struct weft_poet_schedule *schedule;
	FILE *file;
};

static double x_of(const struct drawing *d, uint32_t stage)
{
	return LEFT + (double)stage * WIDTH / d->instance->nodes;
}

static double y_of(const struct drawing *d, uint32_t node)
{
	return TOP + LEVELS + GAP + (double)node * NODES / d->instance->nodes;
}

/* Runs of one bit of node i, as rectangles. */
static void draw_runs(const struct drawing *d, const uint64_t *matrix, uint32_t i, const char *style, bool again)
{
	uint32_t nodes = d->instance->nodes;

	for (uint32_t t = i + again; t < nodes; t++) {
		uint32_t begin = t;

		while (t < nodes && weft_poet_bit(d->schedule, matrix, t, i))
			t++;
		if (t > begin)
			fprintf(d->file, "<rect class=\"%s\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\"/>\n",
				style, x_of(d, begin), y_of(d, i), x_of(d, t) - x_of(d, begin), (double)NODES / nodes);
	}
}

static void draw_nodes(const struct drawing *d)
{
	const struct weft_poet_schedule *s = d->schedule;

	fprintf(d->file, "<text x=\"%d\" y=\"%d\">node, by stage</text>\n", LEFT, TOP + LEVELS + GAP - 6);
	for (uint32_t i = 0; i < d->instance->nodes; i++) {
		draw_runs(d, s->retained, i, "kept", false);
		draw_runs(d, s->page_out, i, "out", false);
		draw_runs(d, s->page_in, i, "in", false);
		draw_runs(d, s->compute, i, "again", true);
		fprintf(d->file, "<rect class=\"first\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\"/>\n",
			x_of(d, i), y_of(d, i), (double)WIDTH / d->instance->nodes, (double)NODES / d->instance->nodes);
	}
}

static void draw_levels(const struct drawing *d, const uint64_t *level, uint64_t ram_bytes)
{
	double most = (double)ram_bytes, scale;

	for (uint32_t t = 0; t < d->instance->nodes; t++)
		if ((double)level[t] > most)
			most = (double)level[t];
	scale = most > 0 ? LEVELS / most : 0;
	fprintf(d->file, "<polygon class=\"level\" points=\"%d,%d", LEFT, TOP + LEVELS);
	for (uint32_t t = 0; t < d->instance->nodes; t++)
		fprintf(d->file, " %.2f,%.2f %.2f,%.2f", x_of(d, t), TOP + LEVELS - (double)level[t] * scale,
			x_of(d, t + 1), TOP + LEVELS - (double)level[t] * scale);
	fprintf(d->file, " %d,%d\"/>\n", LEFT + WIDTH, TOP + LEVELS);
	fprintf(d->file, "<line class=\"budget\" x1=\"%d\" x2=\"%d\" y1=\"%.2f\" y2=\"%.2f\"/>\n", LEFT, LEFT + WIDTH,
		TOP + LEVELS - (double)ram_bytes * scale, TOP + LEVELS - (double)ram_bytes * scale);
	fprintf(d->file, "<text x=\"%d\" y=\"%.2f\" text-anchor=\"end\">%.4g KiB</text>\n", LEFT - 6,
		TOP + LEVELS - (double)ram_bytes * scale + 4, (double)ram_bytes / 1024);
	fprintf(d->file, "<text x=\"%d\" y=\"%d\">RAM level, highest of each stage; budget (dashed)</text>\n", LEFT,
		TOP - 6);
}

static void draw_legend(const struct drawing *d)
{
	static const struct {
		const char *style, *text;
	} entry[] = {{"first", "computed"},
		     {"again", "computed again"},
		     {"kept", "kept"},
		     {"out", "paged out"},
		     {"in", "paged in"}};
	int y = TOP + LEVELS + GAP + NODES + 24;

	for (size_t e = 0; e < sizeof(entry) / sizeof(entry[0]); e++)
		fprintf(d->file,
			"<rect class=\"%s\" x=\"%zu\" y=\"%d\" width=\"12\" height=\"12\"/>"
			"<text x=\"%zu\" y=\"%d\">%s</text>\n",
			entry[e].style, LEFT + e * 140, y, LEFT + e * 140 + 18, y + 10, entry[e].text);
}

static void draw_title(const struct drawing *d)
{
	fprintf(d->file, "<text x=\"%d\" y=\"24\" font-size=\"15\">", LEFT);
	for (const char *text = d->instance->name; *text; text++) {
		if (*text == '<' || *text == '>' || *text == '&')
			fprintf(d->file, "&#%d;", *text);
		else
			fputc((unsigned char)*text < ' ' ? ' ' : *text, d->file);
	}
	fprintf(d->file, ": %" PRIu32 " nodes</text>\n", d->instance->nodes);
}

int weft_poet_draw(const struct weft_poet_instance *instance, const struct weft_poet_schedule *schedule,
		   uint64_t ram_bytes, FILE *file)
{
	struct drawing d = {instance, schedule, file};
	uint64_t *level = calloc(instance->nodes, sizeof(*level));
	int status;

	if (!level)
		return weft_fail(ENOMEM, "out of memory for a drawing of %" PRIu32 " stages", instance->nodes);
	status = weft_poet_levels(instance, schedule, level);
	if (!status) {
		fprintf(file,
			"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
			"font-family=\"sans-serif\" font-size=\"11\">\n<style>.first{fill:#1f5fbf}.again{fill:#d1491f}"
			".kept{fill:#cdd7e5}.in{fill:#2e8b57}.out{fill:#9a5fb5}.level{fill:#dbe5f4;stroke:#1f5fbf}"
			".budget{stroke:#d1491f;stroke-dasharray:4 3}</style>\n"
			"<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
			LEFT + WIDTH + 20, TOP + LEVELS + GAP + NODES + BOTTOM);
		draw_title(&d);
		draw_levels(&d, level, ram_bytes);
		draw_nodes(&d);
		draw_legend(&d);
		fputs("</svg>\n", file);
		if (ferror(file) || fflush(file))
			status = weft_fail(errno ? errno : EIO, "writing a drawing of a schedule: %s",
					   strerror(errno ? errno : EIO));
	}
	free(level);
	return status;
}
