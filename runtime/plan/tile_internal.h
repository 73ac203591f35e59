/* SPDX-License-Identifier: MIT */
/* What the files of tiling share; see tile.c. */
#ifndef WEFT_PLAN_TILE_INTERNAL_H
#define WEFT_PLAN_TILE_INTERNAL_H

#include "graph/build.h"
#include "plan/tile.h"

/* How an operation may be cut (tile_rules.c). */

#define TILE_AXES (WEFT_MAX_RANK + 2)
#define TILE_NO_AXIS 0xff

enum tile_reach {
	TILE_SAME,   /* the axis' range itself */
	TILE_WINDOW, /* rows that the windows of the range touch */
	TILE_COVER,  /* windows that touch the rows of the range */
};

struct tile_axis {
	uint32_t extent;
	uint32_t grain; /* cuts are at multiples of this */
	bool sums;	/* a reduced index: parts accumulate in order */
};

/* Which range of an operand's dimension a tile takes: all, or as an axis says. */
struct tile_dim {
	uint8_t axis;
	uint8_t reach;
	uint32_t unit; /* elements of the dimension per step of the axis */
};

struct tile_rule {
	unsigned int axes;
	struct tile_axis axis[TILE_AXES]; /* the first is the outermost loop */
	struct tile_dim dim[WEFT_MAX_OPERANDS][WEFT_MAX_RANK];
	struct weft_layout shown[WEFT_MAX_OPERANDS]; /* with dimensions taken apart where that helps */
	bool loose;	 /* dimensions may be taken apart */
	bool fixed;	 /* cut only where the pieces of outputs end */
	bool one_sample; /* a tile that is cut along the last axis has one step of the axis before */
	unsigned int row_axis, group_axis; /* whose cuts change parameters; TILE_NO_AXIS: none */
	int64_t row_stride, row_pad, row_reach;
	int64_t rows; /* of the side that windows look at */
};

/** The rule of @operation: no axes where it can only run whole. */
void tile_rule_of(const struct weft_graph *graph, const struct weft_operation *operation, struct tile_rule *rule);
/** Parameters of the tile [low, high) along each axis; @first: rows that windows look at begin there. */
void tile_params(const struct tile_rule *rule, const struct weft_operation *operation, const uint32_t low[],
		 const uint32_t high[], union weft_params *params);
/** The range [*low, *high) of dimension @d of slot @slot, for the tile. */
void tile_range(const struct tile_rule *rule, unsigned int slot, unsigned int d, const uint32_t tile_low[],
		const uint32_t tile_high[], uint32_t *low, uint32_t *high);

/* Values as arrays of axes, and their pieces (tile_grid.c). */

/* A value's axes; block is its extent where the value is not cut. */
struct tile_value {
	bool cut;
	bool barred; /* must stay whole */
	bool square; /* cut along its two largest axes, not from the outermost in */
	bool columns; /* cut along the innermost axis first */
	uint32_t link; /* to a value that is cut alike, or itself */
	struct weft_grid grid;
	uint64_t stride[WEFT_MAX_RANK]; /* elements */
	uint32_t align[WEFT_MAX_RANK];
	bool bound[WEFT_MAX_RANK]; /* must not be cut */
	uint64_t total;		   /* elements */
	uint32_t size;		   /* of one, bytes */
};

/* The axes that a shown dimension runs along. */
struct tile_span {
	uint8_t inner, outer; /* TILE_NO_AXIS: repeats, or a single element */
	uint32_t product;     /* steps of the dimension per step of the outer axis */
};

/* A box of a value's elements. */
struct tile_box {
	uint32_t origin[WEFT_MAX_RANK], extent[WEFT_MAX_RANK];
};

/** Spans of @layout at @offset elements, and the coordinates of its first element.  False: it does not follow the axes. */
bool tile_spans(const struct tile_value *value, const struct weft_layout *layout, uint64_t offset,
		struct tile_span span[], uint32_t first[]);
/** The smallest box around the ranges [low, high) of a layout's dimensions. */
void tile_box(const struct tile_value *value, const struct weft_layout *layout, const struct tile_span span[],
	      const uint32_t first[], const uint32_t low[], const uint32_t high[], struct tile_box *box);
uint64_t tile_box_bytes(const struct tile_value *value, const struct tile_box *box);

struct tiler {
	const struct weft_graph *from;
	struct weft_graph *to;
	uint64_t bytes;		  /* wanted working set */
	bool roomy;		  /* which counts a piece for each operand that is put together */
	struct tile_value *value; /* per value of @from; for bases */
	struct tile_rule *rule;	  /* per operation */
};

/** Which values are cut, and how. */
int tile_choose(struct tiler *tiler);

#endif /* WEFT_PLAN_TILE_INTERNAL_H */
