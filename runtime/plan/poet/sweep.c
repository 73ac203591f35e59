// SPDX-License-Identifier: MIT
/* The Pareto front: least energy against memory, as points, CSV and SVG. */
#include "plan/poet/poet.h"

#include "weft/error.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#define DEFAULT_SECONDS_PER_POINT 2.0

static int solve_point(const struct weft_poet_instance *instance, const struct weft_poet_options *options,
		       struct weft_poet_point *point)
{
	struct weft_poet_result result;
	int status = weft_poet_solve(instance, options, &result);

	if (status < 0)
		return status;
	*point = (struct weft_poet_point){
		.ram_bytes = options->ram_bytes, .status = result.status, .bound_joules = result.bound_joules};
	if (result.status == WEFT_POET_FEASIBLE) {
		point->joules = result.joules;
		point->seconds = result.measure.seconds;
		point->peak_bytes = result.measure.peak_bytes;
	}
	weft_poet_result_clear(&result);
	return 0;
}

/* A schedule fits every larger budget; a bound, and that there is none, hold for every smaller one. */
static void share(struct weft_poet_point *point, uint32_t points)
{
	for (uint32_t p = 1; p < points; p++) {
		const struct weft_poet_point *smaller = &point[p - 1];

		if (smaller->status != WEFT_POET_FEASIBLE ||
		    (point[p].status == WEFT_POET_FEASIBLE && point[p].joules <= smaller->joules))
			continue;
		point[p].status = WEFT_POET_FEASIBLE;
		point[p].joules = smaller->joules;
		point[p].seconds = smaller->seconds;
		point[p].peak_bytes = smaller->peak_bytes;
	}
	for (uint32_t p = points - 1; p-- > 0;) {
		if (point[p + 1].bound_joules > point[p].bound_joules)
			point[p].bound_joules = point[p + 1].bound_joules;
		if (point[p + 1].status == WEFT_POET_INFEASIBLE && point[p].status == WEFT_POET_UNKNOWN)
			point[p].status = WEFT_POET_INFEASIBLE;
	}
}

int weft_poet_sweep(const struct weft_poet_instance *instance, const struct weft_poet_options *options, uint32_t points,
		    struct weft_poet_point *point)
{
	struct weft_poet_options each = *options;
	uint64_t room = instance->storeall_bytes - instance->least_bytes;

	if (points < 2 || points > WEFT_POET_MAX_POINTS)
		return weft_fail(EINVAL, "%" PRIu32 " points; expected 2 to %u", points, WEFT_POET_MAX_POINTS);
	each.seconds = options->seconds > 0 ? options->seconds / points : DEFAULT_SECONDS_PER_POINT;
	for (uint32_t p = 0; p < points; p++) {
		int status;

		each.ram_bytes =
			instance->least_bytes + room / (points - 1) * p + room % (points - 1) * p / (points - 1);
		status = solve_point(instance, &each, &point[p]);
		if (status < 0)
			return status;
	}
	share(point, points);
	return 0;
}

static int written(FILE *file, const char *what)
{
	if (!ferror(file) && !fflush(file))
		return 0;
	return weft_fail(errno ? errno : EIO, "writing %s: %s", what, strerror(errno ? errno : EIO));
}

int weft_poet_sweep_write_csv(const struct weft_poet_point *point, uint32_t points, FILE *file)
{
	static const char *const status[] = {"feasible", "infeasible", "unknown"};

	fputs("ram_bytes,status,energy_joules,bound_joules,seconds,peak_bytes\n", file);
	for (uint32_t p = 0; p < points; p++) {
		fprintf(file, "%" PRIu64 ",%s,", point[p].ram_bytes, status[point[p].status]);
		if (point[p].status == WEFT_POET_FEASIBLE)
			fprintf(file, "%.12g,%.12g,%.12g,%" PRIu64 "\n", point[p].joules, point[p].bound_joules,
				point[p].seconds, point[p].peak_bytes);
		else
			fputs(",,,\n", file);
	}
	return written(file, "the sweep as CSV");
}

enum { WIDTH = 760, PANEL = 240, LEFT = 90, RIGHT = 20, TOP = 50, GAP = 50, TICKS = 4 };

/* One of the two drawings: which values, and the range that they span. */
struct panel {
	const char *title, *unit;
	double low, high;
	double top; /* pixels */
};

static double x_of(const struct weft_poet_point *point, uint32_t points, uint64_t bytes)
{
	double low = (double)point[0].ram_bytes, span = (double)point[points - 1].ram_bytes - low;

	return LEFT + (span > 0 ? ((double)bytes - low) / span : 0.5) * (WIDTH - LEFT - RIGHT);
}

static double y_of(const struct panel *panel, double value)
{
	double span = panel->high - panel->low;

	return panel->top + PANEL - (span > 0 ? (value - panel->low) / span : 0.5) * PANEL;
}

static void write_text(FILE *file, const char *text)
{
	for (; *text; text++) {
		if (*text == '<' || *text == '>' || *text == '&')
			fprintf(file, "&#%d;", *text);
		else
			fputc((unsigned char)*text < ' ' ? ' ' : *text, file);
	}
}

static void write_axes(FILE *file, const struct panel *panel, const struct weft_poet_point *point, uint32_t points)
{
	fprintf(file, "<text x=\"%d\" y=\"%.0f\" class=\"title\">%s</text>\n", LEFT, panel->top - 8, panel->title);
	fprintf(file, "<rect x=\"%d\" y=\"%.0f\" width=\"%d\" height=\"%d\" class=\"frame\"/>\n", LEFT, panel->top,
		WIDTH - LEFT - RIGHT, PANEL);
	for (int tick = 0; tick <= TICKS; tick++) {
		double value = panel->low + (panel->high - panel->low) * tick / TICKS, y = y_of(panel, value);
		uint64_t bytes = point[0].ram_bytes +
				 (point[points - 1].ram_bytes - point[0].ram_bytes) / TICKS * (uint64_t)tick;

		fprintf(file, "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" class=\"grid\"/>\n", LEFT,
			WIDTH - RIGHT, y, y);
		fprintf(file, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.5g %s</text>\n", LEFT - 6, y + 4, value,
			panel->unit);
		fprintf(file, "<text x=\"%.1f\" y=\"%.0f\" text-anchor=\"middle\">%.4g KiB</text>\n",
			x_of(point, points, bytes), panel->top + PANEL + 16, (double)bytes / 1024);
	}
}

static void write_line(FILE *file, const struct panel *panel, const char *style, const struct weft_poet_point *point,
		       uint32_t points, size_t offset)
{
	fprintf(file, "<polyline class=\"%s\" points=\"", style);
	for (uint32_t p = 0; p < points; p++) {
		double value;

		if (point[p].status != WEFT_POET_FEASIBLE)
			continue;
		memcpy(&value, (const char *)&point[p] + offset, sizeof(value));
		fprintf(file, "%.1f,%.1f ", x_of(point, points, point[p].ram_bytes), y_of(panel, value));
	}
	fputs("\"/>\n", file);
}

int weft_poet_sweep_write_svg(const struct weft_poet_instance *instance, const struct weft_poet_point *point,
			      uint32_t points, FILE *file)
{
	struct panel energy = {"Energy (line) and proven bound (dashed) against memory", "J", INFINITY, -INFINITY, TOP};
	struct panel time = {"Time of computing against memory", "s", INFINITY, -INFINITY, TOP + PANEL + GAP};

	for (uint32_t p = 0; p < points; p++) {
		if (point[p].status != WEFT_POET_FEASIBLE)
			continue;
		energy.low = fmin(energy.low, fmin(point[p].bound_joules, instance->base_joules));
		energy.high = fmax(energy.high, point[p].joules);
		time.low = fmin(time.low, fmin(point[p].seconds, instance->base_seconds));
		time.high = fmax(time.high, point[p].seconds);
	}
	fprintf(file,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" "
		"font-size=\"11\">\n<style>.frame{fill:none;stroke:#888}.grid{stroke:#ddd}.title{font-size:13px}"
		"polyline{fill:none;stroke-width:2}.energy{stroke:#1f5fbf}.bound{stroke:#1f5fbf;stroke-dasharray:4 3}"
		".time{stroke:#b5541c}</style>\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
		WIDTH, TOP + 2 * PANEL + GAP + 40);
	fprintf(file, "<text x=\"%d\" y=\"20\" font-size=\"15\">", LEFT);
	write_text(file, instance->name);
	fprintf(file, ": %" PRIu32 " nodes</text>\n", instance->nodes);
	if (energy.high >= energy.low) {
		write_axes(file, &energy, point, points);
		write_line(file, &energy, "bound", point, points, offsetof(struct weft_poet_point, bound_joules));
		write_line(file, &energy, "energy", point, points, offsetof(struct weft_poet_point, joules));
		write_axes(file, &time, point, points);
		write_line(file, &time, "time", point, points, offsetof(struct weft_poet_point, seconds));
	} else {
		fprintf(file, "<text x=\"%d\" y=\"%d\">No budget of the sweep has a schedule.</text>\n", LEFT, TOP);
	}
	fputs("</svg>\n", file);
	return written(file, "the sweep as SVG");
}
