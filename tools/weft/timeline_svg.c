// SPDX-License-Identifier: MIT
/* Drawing a timeline.  One style sheet serves light and dark surroundings. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sizes.h"
#include "timeline.h"
#include "weft/error.h"

#define WIDTH 1200
#define LEFT 132
#define RIGHT 28
#define PLOT (WIDTH - LEFT - RIGHT)
#define LANE 20
#define HEADING 26 /* above a panel */
#define GAP 20	   /* below it */

static const struct {
	const char *class, *label;
} kinds[TIMELINE_KINDS] = {
	[TIMELINE_WEIGHT] = {"weight", "weights"},
	[TIMELINE_STATE] = {"state", "optimizer state"},
	[TIMELINE_INPUT] = {"input", "inputs"},
	[TIMELINE_KEPT] = {"kept", "activations kept"},
	[TIMELINE_PAGED] = {"paged", "activations paged"},
	[TIMELINE_RECOMPUTED] = {"recomputed", "activations recomputed"},
	[TIMELINE_GRADIENT] = {"gradient", "gradients"},
};

static const char *const lane_label[TIMELINE_LANES] = {"compute", "DMA in", "DMA out", "storage read", "storage write"};
static const char *const tier_label[WEFT_TIERS] = {"Device memory", "Host memory", "Storage"};
static const int tier_height[WEFT_TIERS] = {250, 110, 90};

/* Colours of Paul Tol's "bright" scheme, which stays distinct for colour-blind readers. */
static const char style[] =
	"<style>\n"
	"  .ground { fill: #ffffff } .ink { fill: #1c2733 } .faint { fill: #5d6b7a }\n"
	"  .grid { stroke: #1c2733; stroke-opacity: 0.12 } .frame { stroke: #1c2733; stroke-opacity: 0.35; fill: none "
	"}\n"
	"  .plot { fill: #f4f6f8 }\n"
	"  .budget { stroke: #d1242f; stroke-width: 1.5; stroke-dasharray: 7 4 } .budget-text { fill: #d1242f }\n"
	"  text { font-family: 'DejaVu Sans', 'Segoe UI', 'Helvetica Neue', sans-serif; font-size: 12px }\n"
	"  .title { font-size: 21px; font-weight: bold } .heading { font-size: 13px; font-weight: bold }\n"
	"  .weight { fill: #4477aa } .state { fill: #66ccee } .input { fill: #9aa5b1 } .kept { fill: #228833 }\n"
	"  .paged { fill: #ccbb44 } .recomputed { fill: #aa3377 } .gradient { fill: #ee6677 }\n"
	"  .forward { fill: #7f93a8 } .backward { fill: #51657a } .update { fill: #a9b8c6 }\n"
	"  @media (prefers-color-scheme: dark) {\n"
	"    .ground { fill: #0f1620 } .ink { fill: #e8edf2 } .faint { fill: #9fb0c0 } .plot { fill: #17212e }\n"
	"    .grid { stroke: #e8edf2; stroke-opacity: 0.13 } .frame { stroke: #e8edf2; stroke-opacity: 0.35 }\n"
	"    .budget { stroke: #ff7b72 } .budget-text { fill: #ff7b72 }\n"
	"  }\n"
	"</style>\n";

struct canvas {
	FILE *file;
	const struct timeline *timeline;
	double per_ns; /* pixels */
};

static double x_of(const struct canvas *canvas, uint64_t at_ns)
{
	return LEFT + (double)at_ns * canvas->per_ns;
}

static void put_escaped(FILE *file, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '<':
			fputs("&lt;", file);
			break;
		case '>':
			fputs("&gt;", file);
			break;
		case '&':
			fputs("&amp;", file);
			break;
		case '"':
			fputs("&quot;", file);
			break;
		default:
			/* Names come from model files; control characters are not allowed in XML. */
			fputc((unsigned char)*text < 0x20 ? '?' : *text, file);
		}
	}
}

static void put_text(const struct canvas *canvas, double x, double y, const char *class, const char *anchor,
		     const char *text)
{
	fprintf(canvas->file, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", class, x, y, anchor);
	put_escaped(canvas->file, text);
	fputs("</text>\n", canvas->file);
}

/* A step of 1, 2 or 5 times a power of @base's digits that gives at most @most ticks. */
static double tick(double range, int most)
{
	double step = pow(10, floor(log10(range / most)));

	while (range / step > most)
		step *= range / (step * 2) <= most ? 2 : range / (step * 5) <= most ? 5 : 10;
	return step;
}

static uint64_t tick_bytes(uint64_t range)
{
	uint64_t step = 1;

	while (range / step > 4)
		step *= 2;
	return step;
}

/* The upper and lower edge of one kind's area, as a path of horizontal and vertical lines. */
static void put_area(const struct canvas *canvas, enum weft_tier tier, enum timeline_kind kind, double bottom,
		     double per_byte)
{
	const struct timeline *timeline = canvas->timeline;
	const struct timeline_level *level = timeline->level[tier];
	size_t count = timeline->levels[tier];
	uint64_t any = 0;

	for (size_t i = 0; i < count; i++)
		any |= level[i].bytes[kind];
	if (!any)
		return;
	fprintf(canvas->file, "<path class=\"%s\" d=\"M%.1f %.1f", kinds[kind].class, x_of(canvas, level[0].at_ns),
		bottom);
	for (size_t pass = 0; pass < 2; pass++) {
		for (size_t n = 0; n < count; n++) {
			size_t i = pass ? count - 1 - n : n;
			uint64_t under = 0;
			double y, x;

			for (unsigned int k = 0; k < (unsigned int)kind + !pass; k++)
				under += level[i].bytes[k];
			y = bottom - (double)under * per_byte;
			/* Forwards to where the level ends, backwards to where it begins. */
			x = pass ? x_of(canvas, level[i].at_ns)
				 : x_of(canvas, i + 1 < count ? level[i + 1].at_ns : timeline->end_ns);
			fprintf(canvas->file, "V%.1fH%.1f", y, x);
		}
	}
	fprintf(canvas->file, "Z\"><title>%s</title></path>\n", kinds[kind].label);
}

static uint64_t highest(const struct timeline *timeline, enum weft_tier tier)
{
	uint64_t most = timeline->peak[tier];

	for (size_t i = 0; i < timeline->levels[tier]; i++) {
		uint64_t sum = 0;

		for (unsigned int k = 0; k < TIMELINE_KINDS; k++)
			sum += timeline->level[tier][i].bytes[k];
		most = sum > most ? sum : most;
	}
	return most;
}

static void put_tier(const struct canvas *canvas, enum weft_tier tier, double top)
{
	const struct timeline *timeline = canvas->timeline;
	uint64_t budget = timeline->budget[tier], most = highest(timeline, tier);
	bool line = budget != UINT64_MAX && budget <= most + most / 2;
	double height = tier_height[tier], bottom = top + height;
	uint64_t range = line && budget > most ? budget : most, step = tick_bytes(range);
	double per_byte = (height - 12) / (double)range;
	char text[128], size[24], limit[24];

	snprintf(text, sizeof(text), "%s: highest %s of %s", tier_label[tier], size_format(timeline->peak[tier], size),
		 budget == UINT64_MAX ? "an unlimited budget" : size_format(budget, limit));
	put_text(canvas, LEFT, top - 8, "ink heading", "start", text);
	fprintf(canvas->file, "<rect class=\"plot\" x=\"%d\" y=\"%.1f\" width=\"%d\" height=\"%.1f\"/>\n", LEFT, top,
		PLOT, height);
	for (unsigned int kind = 0; kind < TIMELINE_KINDS; kind++)
		put_area(canvas, tier, (enum timeline_kind)kind, bottom, per_byte);
	for (uint64_t at = 0; at <= range; at += step) {
		double y = bottom - (double)at * per_byte;

		fprintf(canvas->file, "<path class=\"grid\" d=\"M%d %.1fh%d\"/>\n", LEFT, y, PLOT);
		put_text(canvas, LEFT - 10, y + 4, "faint", "end", size_format(at, size));
	}
	if (line) {
		double y = bottom - (double)budget * per_byte;

		fprintf(canvas->file, "<path class=\"budget\" d=\"M%d %.1fh%d\"/>\n", LEFT, y, PLOT);
		put_text(canvas, LEFT + PLOT, top - 8, "budget-text", "end", "- - budget");
	}
	fprintf(canvas->file, "<rect class=\"frame\" x=\"%d\" y=\"%.1f\" width=\"%d\" height=\"%.1f\"/>\n", LEFT, top,
		PLOT, height);
}

static bool lane_used(const struct timeline *timeline, unsigned int lane)
{
	for (size_t i = 0; i < timeline->blocks; i++)
		if (timeline->block[i].lane == lane)
			return true;
	return lane <= TIMELINE_OUT;
}

static const char *block_class(const struct timeline_block *block)
{
	static const char *const phase[] = {"forward", "backward", "update"};

	if (block->recompute)
		return "recomputed";
	if (block->lane == TIMELINE_COMPUTE)
		return phase[block->phase < 3 ? block->phase : 2];
	return "paged";
}

static void put_block(const struct canvas *canvas, const struct timeline_block *block, double y)
{
	double x = x_of(canvas, block->span.start_ns), width = x_of(canvas, block->span.end_ns) - x;
	char time[32], size[24];

	/* A hair of ground between neighbours, where there is room for it. */
	width = width > 2 ? width - 0.6 : width < 0.8 ? 0.8 : width;
	fprintf(canvas->file, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%d\"><title>",
		block_class(block), x, y + 2, width, LANE - 4);
	put_escaped(canvas->file, block->name ? block->name : "");
	fprintf(canvas->file, "%s: %s", block->recompute ? " again" : "",
		seconds_format((double)(block->span.end_ns - block->span.start_ns) * 1e-9, time));
	if (block->bytes)
		fprintf(canvas->file, ", %s", size_format(block->bytes, size));
	fputs("</title></rect>\n", canvas->file);
}

static double put_lanes(const struct canvas *canvas, double top)
{
	const struct timeline *timeline = canvas->timeline;
	double y = top;

	put_text(canvas, LEFT, top - 8, "ink heading", "start", "What runs");
	for (unsigned int lane = 0; lane < TIMELINE_LANES; lane++) {
		if (!lane_used(timeline, lane))
			continue;
		fprintf(canvas->file, "<rect class=\"plot\" x=\"%d\" y=\"%.1f\" width=\"%d\" height=\"%d\"/>\n", LEFT,
			y + 1, PLOT, LANE - 2);
		put_text(canvas, LEFT - 10, y + 14, "faint", "end", lane_label[lane]);
		for (size_t i = 0; i < timeline->blocks; i++)
			if (timeline->block[i].lane == lane)
				put_block(canvas, &timeline->block[i], y);
		y += LANE;
	}
	return y;
}

static void put_time_axis(const struct canvas *canvas, double top, double bottom)
{
	double seconds = (double)canvas->timeline->end_ns * 1e-9, step = tick(seconds, 10);
	char text[32];

	for (double at = 0; at <= seconds * 1.0001; at += step) {
		double x = LEFT + at * 1e9 * canvas->per_ns;

		fprintf(canvas->file, "<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/>\n", x, top, bottom);
		snprintf(text, sizeof(text), "%.6g ms", round(at * 1e9) * 1e-6);
		put_text(canvas, x, bottom + 18, "faint", "middle", text);
	}
}

static double put_legend_entry(const struct canvas *canvas, double x, double y, const char *class, const char *label)
{
	fprintf(canvas->file, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"13\" height=\"13\" rx=\"2\"/>\n", class,
		x, y - 11);
	put_text(canvas, x + 19, y, "ink", "start", label);
	return x + 19 + 7.2 * (double)strlen(label) + 18;
}

static void put_legend(const struct canvas *canvas, double y)
{
	double x = LEFT;

	put_text(canvas, LEFT - 10, y, "faint", "end", "memory");
	for (unsigned int kind = 0; kind < TIMELINE_KINDS; kind++)
		x = put_legend_entry(canvas, x, y, kinds[kind].class, kinds[kind].label);
	put_text(canvas, LEFT - 10, y + 22, "faint", "end", "engines");
	x = put_legend_entry(canvas, LEFT, y + 22, "forward", "forward");
	x = put_legend_entry(canvas, x, y + 22, "backward", "backward");
	x = put_legend_entry(canvas, x, y + 22, "update", "update of weights");
	x = put_legend_entry(canvas, x, y + 22, "recomputed", "recomputed");
	put_legend_entry(canvas, x, y + 22, "paged", "paging");
}

static void draw(FILE *file, const struct timeline *timeline)
{
	struct canvas canvas = {file, timeline, PLOT / (double)(timeline->end_ns ? timeline->end_ns : 1)};
	double y = 158, top, height = 158;
	unsigned int tier;

	for (unsigned int lane = 0; lane < TIMELINE_LANES; lane++)
		height += lane_used(timeline, lane) ? LANE : 0;
	for (tier = 0; tier < WEFT_TIERS; tier++)
		height += highest(timeline, (enum weft_tier)tier) ? HEADING + GAP + tier_height[tier] : 0;
	height += 24;
	fprintf(file,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- SPDX-License-Identifier: MIT -->\n"
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %.0f\" width=\"%d\" height=\"%.0f\" "
		"role=\"img\">\n<title>",
		WIDTH, height, WIDTH, height);
	put_escaped(file, timeline->title);
	fprintf(file, "</title>\n%s<rect class=\"ground\" width=\"100%%\" height=\"100%%\"/>\n", style);
	put_text(&canvas, LEFT, 38, "ink title", "start", timeline->title);
	put_text(&canvas, LEFT, 62, "faint", "start", timeline->subtitle);
	put_legend(&canvas, 92);
	top = y;
	y = put_lanes(&canvas, y) + GAP;
	for (tier = 0; tier < WEFT_TIERS; tier++) {
		if (!highest(timeline, (enum weft_tier)tier))
			continue;
		y += HEADING;
		put_tier(&canvas, (enum weft_tier)tier, y);
		y += tier_height[tier] + GAP;
	}
	put_time_axis(&canvas, top, y - GAP);
	fputs("</svg>\n", file);
}

int timeline_write(const struct timeline *timeline, const char *path)
{
	char temporary[4096];
	FILE *file;

	if ((size_t)snprintf(temporary, sizeof(temporary), "%s.new", path) >= sizeof(temporary))
		return weft_fail(ENAMETOOLONG, "timeline: the path is too long");
	file = fopen(temporary, "we");
	if (!file)
		return weft_fail(errno, "timeline %s: %m", temporary);
	draw(file, timeline);
	if (ferror(file) | fclose(file) || rename(temporary, path)) {
		int error = errno;

		unlink(temporary);
		return weft_fail(error, "timeline %s: %s", path, strerror(error));
	}
	return 0;
}
