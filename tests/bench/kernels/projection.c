// SPDX-License-Identifier: MIT
/*
 * The projection of 784 inputs to T = 60 functions of d = 12 bits beside the float
 * matrix product of the same shape, the engine's own and oneDNN's, on one core.
 * Runs alternate; times are of the thread's processor time.  The time of the
 * projection includes drawing the random vectors anew in every run.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels.h"

#define INPUTS 784
#define BITS (60 * 12)
#define WORDS ((BITS + 31) / 32)
#define TAPS 8
#define REPEATS 15
#define SECONDS 0.01

enum { PROJECTION, PROJECTION_BYTES, MATMUL, ONEDNN, SIDES };

struct side {
	struct weft_engine_unit *unit;
	void *pointer[4];
	union {
		unsigned char room[WEFT_CMD_MAX_BYTES];
		struct weft_cmd command;
	};
	struct runner peer;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void run(struct side *side)
{
	struct weft_fault_record fault;

	if (side->peer.run)
		side->peer.run(side->peer.state);
	else
		weft_engine_execute(side->unit, &side->command, side->pointer, &fault);
}

static void set_operand(struct side *side, unsigned int slot, enum weft_type type, uint32_t rows, uint32_t columns,
			uint32_t row_stride, void *at)
{
	side->command.operand[slot] = (struct weft_tensor){
		.type = type, .rank = 2, .dims = {rows, columns}, .strides = {(int32_t)row_stride, 1}};
	side->pointer[slot] = at;
}

static double median(struct side *side, unsigned int loops, double *times, unsigned int repeat)
{
	double begin = now();

	for (unsigned int i = 0; i < loops; i++)
		run(side);
	times[repeat] = (now() - begin) / loops;
	return times[repeat];
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void measure(struct side sides[SIDES], double result[SIDES])
{
	static double times[SIDES][REPEATS];
	unsigned int loops[SIDES];

	for (unsigned int s = 0; s < SIDES; s++) {
		double once;

		run(&sides[s]);
		once = median(&sides[s], 1, times[s], 0);
		loops[s] = once < SECONDS ? (unsigned int)(SECONDS / (once + 1e-7)) + 1 : 1;
	}
	for (unsigned int r = 0; r < REPEATS; r++)
		for (unsigned int s = 0; s < SIDES; s++)
			if (sides[s].unit || sides[s].peer.run)
				median(&sides[s], loops[s], times[s], r);
	for (unsigned int s = 0; s < SIDES; s++) {
		qsort(times[s], REPEATS, sizeof(double), ascending);
		result[s] = times[s][REPEATS / 2];
	}
}

static int bench(enum weft_engine_isa isa, const char *name, uint32_t rows)
{
	const struct bench_case peer = {.kind = KIND_MATMUL, .rows = rows, .columns = BITS, .depth = INPUTS};
	const size_t count[3] = {(size_t)rows * INPUTS, (size_t)INPUTS * BITS, (size_t)rows * BITS};
	struct side sides[SIDES];
	struct buffers buffers;
	uint8_t *bytes = malloc(count[0]);
	uint32_t *bits = malloc((size_t)rows * WORDS * sizeof(*bits));
	double seconds[SIDES];
	bool onednn;

	memset(sides, 0, sizeof(sides));
	for (unsigned int i = 0; i < 3; i++) {
		buffers.count[i] = count[i];
		buffers.data[i] = aligned_alloc(4096, (count[i] * sizeof(float) + 4095) / 4096 * 4096);
		if (!buffers.data[i] || !bytes || !bits)
			return 1;
		for (size_t k = 0; k < count[i]; k++)
			buffers.data[i][k] = (float)rand() / (float)RAND_MAX - 0.5f;
	}
	for (size_t k = 0; k < count[0]; k++)
		bytes[k] = (uint8_t)rand();
	for (unsigned int s = PROJECTION; s <= MATMUL; s++)
		if (weft_engine_unit_new(isa, 1, &sides[s].unit))
			return 0;
	for (unsigned int s = PROJECTION; s <= PROJECTION_BYTES; s++) {
		sides[s].command.opcode = WEFT_OP_PROJECT;
		sides[s].command.operands = 2;
		sides[s].command.params.project.seed = 1;
		sides[s].command.params.project.taps = TAPS;
		set_operand(&sides[s], 0, s == PROJECTION ? WEFT_TYPE_F32 : WEFT_TYPE_U8, rows, INPUTS, INPUTS,
			    s == PROJECTION ? (void *)buffers.data[0] : bytes);
		set_operand(&sides[s], 1, WEFT_TYPE_BIT, rows, BITS, WORDS * 32, bits);
	}
	sides[MATMUL].command.opcode = WEFT_OP_MATMUL;
	sides[MATMUL].command.operands = 4;
	sides[MATMUL].command.params.matmul.scale = 1;
	set_operand(&sides[MATMUL], 0, WEFT_TYPE_F32, rows, INPUTS, INPUTS, buffers.data[0]);
	set_operand(&sides[MATMUL], 1, WEFT_TYPE_F32, INPUTS, BITS, BITS, buffers.data[1]);
	set_operand(&sides[MATMUL], 3, WEFT_TYPE_F32, rows, BITS, BITS, buffers.data[2]);
	onednn = !onednn_runner(&peer, isa, &buffers, &sides[ONEDNN].peer);
	if (!onednn)
		sides[ONEDNN] = sides[MATMUL];
	measure(sides, seconds);
	printf("%-7s %5u %11.4f %11.4f %11.4f ", name, rows, seconds[PROJECTION] * 1e3, seconds[PROJECTION_BYTES] * 1e3,
	       seconds[MATMUL] * 1e3);
	if (onednn)
		printf("%11.4f  x%.1f x%.1f\n", seconds[ONEDNN] * 1e3, seconds[MATMUL] / seconds[PROJECTION],
		       seconds[ONEDNN] / seconds[PROJECTION]);
	else
		printf("%11s  x%.1f\n", "absent", seconds[MATMUL] / seconds[PROJECTION]);
	if (onednn)
		sides[ONEDNN].peer.free(sides[ONEDNN].peer.state);
	for (unsigned int s = PROJECTION; s <= MATMUL; s++)
		weft_engine_unit_free(sides[s].unit);
	for (unsigned int i = 0; i < 3; i++)
		free(buffers.data[i]);
	free(bytes);
	free(bits);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		enum weft_engine_isa isa;
		const char *name;
	} paths[] = {{WEFT_ENGINE_AUTO, "auto"},
		     {WEFT_ENGINE_SCALAR, "scalar"},
		     {WEFT_ENGINE_AVX2, "avx2"},
		     {WEFT_ENGINE_AVX512, "avx512"}};
	static const uint32_t rows[] = {1, 16, 64, 256, 1024};
	unsigned int path = 0;
	int failed = 0;

	/* One path in a run: oneDNN is told once which one it may use. */
	while (argc == 2 && path < 4 && strcmp(argv[1], paths[path].name))
		path++;
	if (argc > 2 || path == 4) {
		fprintf(stderr, "usage: projection [auto|scalar|avx2|avx512]\n");
		return 2;
	}
	printf("784 inputs to 60 functions of 12 bits, vectors of %d terms, one core; bar: x10 of the matrix product\n"
	       "path     rows  project ms    of bytes   matmul ms      oneDNN  speed over the engine's and oneDNN's\n",
	       TAPS);
	for (unsigned int r = 0; r < sizeof(rows) / sizeof(rows[0]); r++)
		failed |= bench(paths[path].isa, paths[path].name, rows[r]);
	return failed;
}
