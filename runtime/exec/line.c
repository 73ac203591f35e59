// SPDX-License-Identifier: MIT
#include "exec/line.h"

#include <math.h>

/* Of seconds. */
#define LEAST 1e-9

void weft_line_add(struct weft_line_sums *sums, double x, double y)
{
	double weight = 1 / fmax(y * y, LEAST * LEAST);

	/* What takes no time at all says nothing about what does. */
	if (x <= 0)
		return;
	sums->w += weight;
	sums->wx += weight * x;
	sums->wy += weight * y;
	sums->wxx += weight * x * x;
	sums->wxy += weight * x * y;
}

struct weft_line weft_line_through_origin(const struct weft_line_sums *sums)
{
	return (struct weft_line){0, sums->wxx > 0 ? sums->wxy / sums->wxx : 0};
}

struct weft_line weft_line_fit(const struct weft_line_sums *sums)
{
	double spread = sums->w * sums->wxx - sums->wx * sums->wx;
	/* Points of one x, but for rounding, have no slope. */
	double slope = spread > 1e-9 * sums->w * sums->wxx ? (sums->w * sums->wxy - sums->wx * sums->wy) / spread : 0;
	double start = slope > 0 ? (sums->wy - slope * sums->wx) / sums->w : -1;

	return start >= 0 ? (struct weft_line){start, slope} : weft_line_through_origin(sums);
}
