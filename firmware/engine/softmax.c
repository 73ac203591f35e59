/* SPDX-License-Identifier: MIT */
/*
 * SOFTMAX_FWD, SOFTMAX_BWD, XENT_FWD and XENT_BWD: rows along the last dimension,
 * visited a block of WEFT_SUM_REDUCE elements at a time, so that rows of any
 * length and stride need no more than a block of local memory.
 */
#include "iterate.h"
#include "kernels.h"
#include "real.h"
#include "sum.h"

#define EACH _Pragma("GCC ivdep") for (size_t i = 0; i < n; i++)
#define BLOCK WEFT_SUM_REDUCE

/* A row of floats with any stride. */
struct row {
	char *at;
	ptrdiff_t stride; /* bytes */
};

static const float *load(struct row row, size_t first, size_t n, float *buffer)
{
	const char *at = row.at + (ptrdiff_t)first * row.stride;

	if (row.stride == sizeof(float))
		return (const float *)at;
	for (size_t i = 0; i < n; i++)
		buffer[i] = *(const float *)(at + (ptrdiff_t)i * row.stride);
	return buffer;
}

static void store(struct row row, size_t first, size_t n, const float *from)
{
	char *at = row.at + (ptrdiff_t)first * row.stride;

	if (row.stride == sizeof(float)) {
		memmove(at, from, n * sizeof(float));
		return;
	}
	for (size_t i = 0; i < n; i++)
		*(float *)(at + (ptrdiff_t)i * row.stride) = from[i];
}

static size_t block_length(size_t length, size_t first)
{
	return length - first < BLOCK ? length - first : BLOCK;
}

/* The largest element; a NaN is not needed here, it comes back in the sum. */
static float row_largest(struct row x, size_t length)
{
	float buffer[BLOCK], largest = -INFINITY;

	for (size_t first = 0; first < length; first += BLOCK) {
		size_t n = block_length(length, first);
		const float *v = load(x, first, n, buffer);
		float lane[16];
		size_t i = 0;

		for (size_t j = 0; j < 16; j++)
			lane[j] = largest;
		for (; i + 16 <= n; i += 16)
			for (size_t j = 0; j < 16; j++)
				lane[j] = v[i + j] > lane[j] ? v[i + j] : lane[j];
		for (; i < n; i++)
			lane[0] = v[i] > lane[0] ? v[i] : lane[0];
		for (size_t j = 0; j < 16; j++)
			largest = lane[j] > largest ? lane[j] : largest;
	}
	return largest;
}

/* Sum of exp(x - shift); the terms go to @out if that is given. */
static float row_exponentials(struct row x, size_t length, float shift, const struct row *out)
{
	float buffer[BLOCK], term[BLOCK], total = 0.0f;

	for (size_t first = 0; first < length; first += BLOCK) {
		size_t n = block_length(length, first);
		const float *v = load(x, first, n, buffer);

		EACH
		{
			term[i] = weft_exp(v[i] - shift);
		}
		total += weft_sum_block(term, n);
		if (out)
			store(*out, first, n, term);
	}
	return total;
}

static void row_divide(struct row y, size_t length, float by)
{
	float buffer[BLOCK], result[BLOCK];

	for (size_t first = 0; first < length; first += BLOCK) {
		size_t n = block_length(length, first);
		const float *v = load(y, first, n, buffer);

		EACH
		{
			result[i] = v[i] / by;
		}
		store(y, first, n, result);
	}
}

static void softmax_row(struct row x, struct row y, size_t length)
{
	row_divide(y, length, row_exponentials(x, length, row_largest(x, length), &y));
}

static void log_softmax_row(struct row x, struct row y, size_t length)
{
	float buffer[BLOCK], result[BLOCK];
	float largest = row_largest(x, length);
	float log_sum = (float)weft_log_d(row_exponentials(x, length, largest, NULL));

	for (size_t first = 0; first < length; first += BLOCK) {
		size_t n = block_length(length, first);
		const float *v = load(x, first, n, buffer);

		EACH
		{
			result[i] = (v[i] - largest) - log_sum;
		}
		store(y, first, n, result);
	}
}

/* dx = y * (dy - sum(dy * y)), or dy - exp(y) * sum(dy) for log-softmax. */
static void softmax_backward_row(struct row y, struct row dy, struct row dx, size_t length, bool log)
{
	float buffer[2][BLOCK], result[BLOCK], total = 0.0f;

	for (size_t first = 0; first < length; first += BLOCK) {
		size_t n = block_length(length, first);
		const float *v = load(y, first, n, buffer[0]), *g = load(dy, first, n, buffer[1]);

		if (log) {
			total += weft_sum_block(g, n);
			continue;
		}
		EACH
		{
			result[i] = g[i] * v[i];
		}
		total += weft_sum_block(result, n);
	}
	for (size_t first = 0; first < length; first += BLOCK) {
		size_t n = block_length(length, first);
		const float *v = load(y, first, n, buffer[0]), *g = load(dy, first, n, buffer[1]);

		if (log) {
			EACH
			{
				result[i] = fmaf(-weft_exp(v[i]), total, g[i]);
			}
		} else {
			EACH
			{
				result[i] = v[i] * (g[i] - total);
			}
		}
		store(dx, first, n, result);
	}
}

/* All rows of up to three tensors of one shape. */
struct rows {
	const struct weft_cmd *command;
	void *const *pointer;
	unsigned int tensors; /* operands [0, tensors) */
	uint64_t count;
	size_t length;
	unsigned int pieces;
};

static void find_rows(const struct rows *rows, uint64_t number, struct row row[])
{
	const struct weft_tensor *shape = &rows->command->operand[0];
	unsigned int last = shape->rank - 1;

	for (unsigned int i = 0; i < rows->tensors; i++) {
		row[i].at = rows->pointer[i];
		row[i].stride = rows->command->operand[i].strides[last] * (ptrdiff_t)sizeof(float);
	}
	for (unsigned int d = last; d-- > 0;) {
		ptrdiff_t index = (ptrdiff_t)(number % shape->dims[d]);

		number /= shape->dims[d];
		for (unsigned int i = 0; i < rows->tensors; i++)
			row[i].at += index * rows->command->operand[i].strides[d] * (ptrdiff_t)sizeof(float);
	}
}

static void run_rows(struct rows *rows, struct weft_engine_unit *unit, weft_piece piece)
{
	const struct weft_tensor *shape = &rows->command->operand[0];
	unsigned int lanes = weft_engine_unit_lanes(unit);

	rows->length = shape->dims[shape->rank - 1];
	rows->count = 1;
	for (unsigned int d = 0; d + 1 < shape->rank; d++)
		rows->count *= shape->dims[d];
	rows->pieces = lanes == 1 || rows->count * rows->length < 8192 ? 1 : 4 * lanes;
	if (rows->pieces > rows->count)
		rows->pieces = rows->count ? (unsigned int)rows->count : 1;
	weft_engine_parallel(unit, rows->pieces, piece, rows);
}

static uint64_t piece_begin(const struct rows *rows, unsigned int index)
{
	return rows->count / rows->pieces * index + (index == rows->pieces ? rows->count % rows->pieces : 0);
}

static void softmax_piece(void *argument, unsigned int index, unsigned int lane)
{
	const struct rows *rows = argument;

	(void)lane;
	for (uint64_t k = piece_begin(rows, index); k < piece_begin(rows, index + 1); k++) {
		struct row row[2];

		find_rows(rows, k, row);
		if (rows->command->params.softmax.log)
			log_softmax_row(row[0], row[1], rows->length);
		else
			softmax_row(row[0], row[1], rows->length);
	}
}

enum weft_fault WEFT_KERNEL(weft_softmax_fwd)(WEFT_KERNEL_ARGUMENTS)
{
	struct rows rows = {.command = command, .pointer = pointer, .tensors = 2};

	(void)fault;
	run_rows(&rows, unit, softmax_piece);
	return WEFT_FAULT_NONE;
}

static void softmax_backward_piece(void *argument, unsigned int index, unsigned int lane)
{
	const struct rows *rows = argument;

	(void)lane;
	for (uint64_t k = piece_begin(rows, index); k < piece_begin(rows, index + 1); k++) {
		struct row row[3];

		find_rows(rows, k, row);
		softmax_backward_row(row[0], row[1], row[2], rows->length, rows->command->params.softmax.log);
	}
}

enum weft_fault WEFT_KERNEL(weft_softmax_bwd)(WEFT_KERNEL_ARGUMENTS)
{
	struct rows rows = {.command = command, .pointer = pointer, .tensors = 3};

	(void)fault;
	run_rows(&rows, unit, softmax_backward_piece);
	return WEFT_FAULT_NONE;
}

/*
 * Cross entropy.  A row's loss is
 *	(1 - smoothing) * w[label] * -logp[label] + smoothing / C * sum over c of w[c] * -logp[c]
 * as torch.nn.CrossEntropyLoss defines it; rows to be ignored count for nothing.
 */
struct xent {
	const struct weft_cmd *command;
	struct row logits, output; /* of row 0; output: probabilities or dlogits */
	ptrdiff_t logits_step, output_step;
	const char *labels, *loss_gradient;
	ptrdiff_t label_step, loss_gradient_step;
	bool wide_labels;
	struct row weights;
	bool weighted;
	size_t rows, classes;
	float weight_sum; /* of all classes */
	float denominator;
	char *loss; /* per row, or NULL */
	ptrdiff_t loss_step;
	unsigned int pieces;
};

static int64_t label_of(const struct xent *x, size_t row)
{
	const char *at = x->labels + (ptrdiff_t)row * x->label_step;

	return x->wide_labels ? *(const int64_t *)at : *(const int32_t *)at;
}

static bool ignored(const struct xent *x, int64_t label)
{
	return x->command->params.xent.has_ignore && label == x->command->params.xent.ignore_index;
}

static float class_weight(const struct xent *x, int64_t label)
{
	return x->weighted ? *(const float *)(x->weights.at + label * x->weights.stride) : 1.0f;
}

/* Logits, labels and class weights are operands 0 to 2 of both operations. */
static enum weft_fault xent_begin(struct xent *x, const struct weft_cmd *command, void *const pointer[],
				  struct weft_fault_record *fault)
{
	const struct weft_tensor *t = command->operand;
	ptrdiff_t bytes = (ptrdiff_t)sizeof(float);

	*x = (struct xent){.command = command,
			   .logits = {pointer[0], t[0].strides[1] * bytes},
			   .logits_step = t[0].strides[0] * bytes,
			   .labels = pointer[1],
			   .wide_labels = t[1].type == WEFT_TYPE_I64,
			   .weights = {pointer[2], t[2].strides[0] * bytes},
			   .weighted = pointer[2] != NULL,
			   .rows = t[0].dims[0],
			   .classes = t[0].dims[1]};
	x->label_step = t[1].strides[0] * (x->wide_labels ? 8 : 4);
	for (size_t r = 0; r < x->rows; r++) {
		int64_t label = label_of(x, r);

		if (ignored(x, label) || (label >= 0 && (uint64_t)label < x->classes))
			continue;
		fault->operand = 1;
		fault->detail = (uint32_t)r;
		fault->address = (uint64_t)label;
		return WEFT_FAULT_VALUE;
	}
	x->weight_sum = (float)x->classes;
	if (x->weighted) {
		float buffer[BLOCK];

		x->weight_sum = 0.0f;
		for (size_t first = 0; first < x->classes; first += BLOCK) {
			size_t n = block_length(x->classes, first);

			x->weight_sum += weft_sum_block(load(x->weights, first, n, buffer), n);
		}
	}
	return WEFT_FAULT_NONE;
}

/* What a mean divides by: the weights of the labels that count. */
static float label_weight_sum(const struct xent *x)
{
	float term[BLOCK], total = 0.0f;

	for (size_t first = 0; first < x->rows; first += BLOCK) {
		size_t n = block_length(x->rows, first);

		for (size_t i = 0; i < n; i++) {
			int64_t label = label_of(x, first + i);

			term[i] = ignored(x, label) ? 0.0f : class_weight(x, label);
		}
		total += weft_sum_block(term, n);
	}
	return total;
}

static struct row row_of(struct row first, ptrdiff_t step, size_t number)
{
	first.at += (ptrdiff_t)number * step;
	return first;
}

/* Sum over the classes of w[c] * (log_sum - (x[c] - largest)). */
static float smooth_loss(const struct xent *x, struct row logits, float largest, float log_sum)
{
	float buffer[2][BLOCK], term[BLOCK], total = 0.0f;

	for (size_t first = 0; first < x->classes; first += BLOCK) {
		size_t n = block_length(x->classes, first);
		const float *v = load(logits, first, n, buffer[0]);
		const float *w = x->weighted ? load(x->weights, first, n, buffer[1]) : NULL;

		for (size_t i = 0; i < n; i++) {
			float loss = log_sum - (v[i] - largest);

			term[i] = w ? w[i] * loss : loss;
		}
		total += weft_sum_block(term, n);
	}
	return total;
}

static float xent_row(const struct xent *x, size_t number)
{
	struct row logits = row_of(x->logits, x->logits_step, number);
	float smoothing = x->command->params.xent.smoothing;
	int64_t label = label_of(x, number);
	float largest, sum, log_sum, at_label, loss;

	if (ignored(x, label) && !x->output.at)
		return 0.0f;
	largest = row_largest(logits, x->classes);
	if (x->output.at) {
		struct row probabilities = row_of(x->output, x->output_step, number);

		at_label = ignored(x, label) ? 0.0f : *(const float *)(logits.at + label * logits.stride);
		sum = row_exponentials(logits, x->classes, largest, &probabilities);
		row_divide(probabilities, x->classes, sum);
		if (ignored(x, label))
			return 0.0f;
	} else {
		at_label = *(const float *)(logits.at + label * logits.stride);
		sum = row_exponentials(logits, x->classes, largest, NULL);
	}
	log_sum = (float)weft_log_d(sum);
	loss = class_weight(x, label) * (log_sum - (at_label - largest));
	if (smoothing == 0.0f)
		return loss;
	return fmaf(smoothing / (float)x->classes, smooth_loss(x, logits, largest, log_sum), (1.0f - smoothing) * loss);
}

/* The rows of a piece are whole blocks of the sum over rows; block sums go to the loss_blocks of lane memory. */
struct xent_forward {
	struct xent x;
	float *block; /* sums of blocks of rows; NULL: loss per row */
	size_t first_block, blocks;
};

static void xent_forward_piece(void *argument, unsigned int index, unsigned int lane)
{
	const struct xent_forward *f = argument;
	const struct xent *x = &f->x;
	size_t first = (f->first_block + index) * BLOCK;
	size_t n = block_length(x->rows, first);
	float loss[BLOCK];

	(void)lane;
	for (size_t i = 0; i < n; i++)
		loss[i] = xent_row(x, first + i);
	if (f->block)
		f->block[index] = weft_sum_block(loss, n);
	else
		for (size_t i = 0; i < n; i++)
			*(float *)(x->loss + (ptrdiff_t)(first + i) * x->loss_step) = loss[i];
}

/* Operands: logits, labels, [class weights] -> loss, [probabilities], [denominator]. */
enum weft_fault WEFT_KERNEL(weft_xent_fwd)(WEFT_KERNEL_ARGUMENTS)
{
	const struct weft_tensor *t = command->operand;
	unsigned int reduction = command->params.xent.reduction;
	struct xent_forward f = {.block = NULL};
	enum weft_fault reason = xent_begin(&f.x, command, pointer, fault);
	float total = 0.0f, denominator;
	size_t blocks, most = WEFT_LANE_LOCAL_BYTES / sizeof(float);

	if (reason)
		return reason;
	if (command->operands > 4 && pointer[4]) {
		f.x.output = (struct row){pointer[4], t[4].strides[1] * (ptrdiff_t)sizeof(float)};
		f.x.output_step = t[4].strides[0] * (ptrdiff_t)sizeof(float);
	}
	f.x.loss = pointer[3];
	f.x.loss_step = t[3].strides[0] * (ptrdiff_t)sizeof(float);
	if (reduction != WEFT_XENT_NONE)
		f.block = weft_engine_local(unit, 0);
	blocks = (f.x.rows + BLOCK - 1) / BLOCK;
	for (; f.first_block < blocks; f.first_block += f.blocks) {
		f.blocks = blocks - f.first_block < most ? blocks - f.first_block : most;
		weft_engine_parallel(unit, (unsigned int)f.blocks, xent_forward_piece, &f);
		for (size_t i = 0; f.block && i < f.blocks; i++)
			total += f.block[i];
	}
	denominator = label_weight_sum(&f.x);
	if (reduction != WEFT_XENT_NONE)
		*(float *)pointer[3] = reduction == WEFT_XENT_MEAN ? total / denominator : total;
	if (command->operands > 5 && pointer[5])
		*(float *)pointer[5] = denominator;
	return WEFT_FAULT_NONE;
}

/* dx[c] = g * (k * p[c] - b * w[c] - (c is the label ? a : 0)), k = a + b * sum of w. */
static void xent_backward_row(const struct xent *x, size_t number)
{
	struct row logits = row_of(x->logits, x->logits_step, number);
	struct row dx = row_of(x->output, x->output_step, number);
	int64_t label = label_of(x, number);
	float smoothing = x->command->params.xent.smoothing;
	float g = *(const float *)(x->loss_gradient + (ptrdiff_t)number * x->loss_gradient_step) / x->denominator;
	float a, b, k, sum, largest, buffer[2][BLOCK], result[BLOCK];

	if (ignored(x, label)) {
		memset(result, 0, sizeof(result));
		for (size_t first = 0; first < x->classes; first += BLOCK)
			store(dx, first, block_length(x->classes, first), result);
		return;
	}
	a = (1.0f - smoothing) * class_weight(x, label);
	b = smoothing / (float)x->classes;
	k = fmaf(b, x->weight_sum, a);
	largest = row_largest(logits, x->classes);
	sum = row_exponentials(logits, x->classes, largest, &dx);
	for (size_t first = 0; first < x->classes; first += BLOCK) {
		size_t n = block_length(x->classes, first);
		const float *e = load(dx, first, n, buffer[0]);
		const float *w = x->weighted ? load(x->weights, first, n, buffer[1]) : NULL;

		EACH
		{
			result[i] = fmaf(k, e[i] / sum, -(b * (w ? w[i] : 1.0f)));
		}
		if ((uint64_t)label >= first && (uint64_t)label - first < n)
			result[(size_t)label - first] -= a;
		EACH
		{
			result[i] *= g;
		}
		store(dx, first, n, result);
	}
}

static void xent_backward_piece(void *argument, unsigned int index, unsigned int lane)
{
	const struct xent *x = argument;
	size_t end = index + 1 == x->pieces ? x->rows : x->rows / x->pieces * (index + 1);

	(void)lane;
	for (size_t r = x->rows / x->pieces * index; r < end; r++)
		xent_backward_row(x, r);
}

/* Operands: logits, labels, [class weights], dloss, [denominator] -> dlogits. */
enum weft_fault WEFT_KERNEL(weft_xent_bwd)(WEFT_KERNEL_ARGUMENTS)
{
	const struct weft_tensor *t = command->operand;
	unsigned int lanes = weft_engine_unit_lanes(unit);
	struct xent x;
	enum weft_fault reason = xent_begin(&x, command, pointer, fault);

	if (reason)
		return reason;
	x.output = (struct row){pointer[5], t[5].strides[1] * (ptrdiff_t)sizeof(float)};
	x.output_step = t[5].strides[0] * (ptrdiff_t)sizeof(float);
	x.loss_gradient = pointer[3];
	x.loss_gradient_step = t[3].rank ? t[3].strides[0] * (ptrdiff_t)sizeof(float) : 0;
	x.denominator = 1.0f;
	if (command->params.xent.reduction == WEFT_XENT_MEAN)
		x.denominator = pointer[4] ? *(const float *)pointer[4] : label_weight_sum(&x);
	x.pieces = lanes == 1 || x.rows * x.classes < 8192 ? 1 : 4 * lanes;
	if (x.pieces > x.rows)
		x.pieces = x.rows ? (unsigned int)x.rows : 1;
	weft_engine_parallel(unit, x.pieces, xent_backward_piece, &x);
	return WEFT_FAULT_NONE;
}
