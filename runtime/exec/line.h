/* SPDX-License-Identifier: MIT */
/**
 * Straight lines through measurements, with the least squared relative error: a second
 * too much matters more in a short time than in a long one.
 */
#ifndef WEFT_EXEC_LINE_H
#define WEFT_EXEC_LINE_H

struct weft_line {
	double start, slope; /* slope 0: nothing is known */
};

/** Sums over points; zero it, then weft_line_add(). */
struct weft_line_sums {
	double w, wx, wy, wxx, wxy;
};

void weft_line_add(struct weft_line_sums *sums, double x, double y);
/** Through the origin where noise would make the line fall, or start below 0. */
struct weft_line weft_line_fit(const struct weft_line_sums *sums);
struct weft_line weft_line_through_origin(const struct weft_line_sums *sums);

#endif /* WEFT_EXEC_LINE_H */
