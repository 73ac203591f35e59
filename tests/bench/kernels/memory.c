// SPDX-License-Identifier: MIT
/*
 * Operations that are bound by memory: bytes moved per second, beside memcpy in
 * the same run.  Usage: memory [isa [lanes]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine.h"

#define MAX_BYTES (64u << 20)
#define OPERANDS 9

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Images are [N, C, H, W]; 'c' is channels last, 'p' planes, 'k' one value per channel, 's' a scalar, 'u' u8, 'h'
 * hyper. */
struct job {
	const char *name;
	enum weft_op op;
	const char *operand; /* '-': absent */
	uint32_t dims[4];
	union weft_params params;
	double moved; /* images' worth of bytes read and written */
};

static const struct job jobs[] = {
	{"copy NCHW to NHWC", WEFT_OP_COPY, "pc", {32, 64, 56, 56}, {{0}}, 2},
	{"copy NHWC to NCHW", WEFT_OP_COPY, "cp", {32, 64, 56, 56}, {{0}}, 2},
	{"fill", WEFT_OP_FILL, "c", {32, 64, 56, 56}, {{0}}, 1},
	{"add", WEFT_OP_BINARY, "ccc", {32, 64, 56, 56}, {{0}}, 3},
	{"add bias, 16 channels", WEFT_OP_BINARY, "ckc", {32, 16, 112, 112}, {{0}}, 2},
	{"relu", WEFT_OP_UNARY, "cc", {32, 64, 56, 56}, {.unary = {WEFT_UNARY_RELU, 0, 0}}, 2},
	{"relu backward", WEFT_OP_UNARY_BWD, "ccc", {32, 64, 56, 56}, {.unary = {WEFT_UNARY_RELU, 0, 0}}, 3},
	{"exp", WEFT_OP_UNARY, "cc", {32, 64, 56, 56}, {.unary = {WEFT_UNARY_EXP, 0, 0}}, 2},
	{"tanh", WEFT_OP_UNARY, "cc", {32, 64, 56, 56}, {.unary = {WEFT_UNARY_TANH, 0, 0}}, 2},
	{"sigmoid", WEFT_OP_UNARY, "cc", {32, 64, 56, 56}, {.unary = {WEFT_UNARY_SIGMOID, 0, 0}}, 2},
	{"log", WEFT_OP_UNARY, "cc", {32, 64, 56, 56}, {.unary = {WEFT_UNARY_LOG, 0, 0}}, 2},
	{"gelu", WEFT_OP_UNARY, "cc", {32, 64, 56, 56}, {.unary = {WEFT_UNARY_GELU, 0, 0}}, 2},
	{"gelu backward", WEFT_OP_UNARY_BWD, "ccc", {32, 64, 56, 56}, {.unary = {WEFT_UNARY_GELU, 0, 0}}, 3},
	{"silu", WEFT_OP_UNARY, "cc", {32, 64, 56, 56}, {.unary = {WEFT_UNARY_SILU, 0, 0}}, 2},
	{"batch norm statistics", WEFT_OP_NORM_STATS, "ckk-", {32, 64, 56, 56}, {{0}}, 2},
	{"batch norm statistics, 16", WEFT_OP_NORM_STATS, "ckk-", {32, 16, 112, 112}, {{0}}, 2},
	{"batch norm apply", WEFT_OP_NORM_APPLY, "ckkkkc", {32, 64, 56, 56}, {{0}}, 2},
	{"batch norm apply, 16", WEFT_OP_NORM_APPLY, "ckkkkc", {32, 16, 112, 112}, {{0}}, 2},
	{"batch norm backward sums", WEFT_OP_NORM_BWD_STATS, "cckk--kk", {32, 64, 56, 56}, {{0}}, 2},
	{"batch norm backward sums, 16", WEFT_OP_NORM_BWD_STATS, "cckk--kk", {32, 16, 112, 112}, {{0}}, 2},
	{"batch norm backward", WEFT_OP_NORM_BWD_APPLY, "cckkkkk-c", {32, 64, 56, 56}, {{0}}, 3},
	{"batch norm backward, 16", WEFT_OP_NORM_BWD_APPLY, "cckkkkk-c", {32, 16, 112, 112}, {{0}}, 3},
	{"sum to bias, 64", WEFT_OP_REDUCE, "ck", {32, 64, 56, 56}, {.reduce = {0, 0, 0, 1}}, 1},
	{"sum to bias, 6", WEFT_OP_REDUCE, "ck", {64, 6, 28, 28}, {.reduce = {0, 0, 0, 1}}, 1},
	{"sum of all", WEFT_OP_REDUCE, "ps", {32, 64, 56, 56}, {.reduce = {0, 0, 0, 1}}, 1},
	{"softmax, 64", WEFT_OP_SOFTMAX_FWD, "pp", {32, 8, 64, 64}, {{0}}, 2},
	{"softmax, 1000", WEFT_OP_SOFTMAX_FWD, "pp", {32, 8, 8, 1000}, {{0}}, 2},
	{"max pool 2x2, 64",
	 WEFT_OP_MAXPOOL_FWD,
	 "nqu",
	 {32, 56, 56, 64},
	 {.pool = {{2, 2}, {2, 2}, {1, 1}, {0, 0}, 0, {0, 0}}},
	 1.3125},
	{"max pool 2x2, 6",
	 WEFT_OP_MAXPOOL_FWD,
	 "nqu",
	 {64, 28, 28, 6},
	 {.pool = {{2, 2}, {2, 2}, {1, 1}, {0, 0}, 0, {0, 0}}},
	 1.3125},
	{"max pool backward, 64",
	 WEFT_OP_MAXPOOL_BWD,
	 "qun",
	 {32, 56, 56, 64},
	 {.pool = {{2, 2}, {2, 2}, {1, 1}, {0, 0}, 0, {0, 0}}},
	 1.3125},
	{"max pool backward, 6",
	 WEFT_OP_MAXPOOL_BWD,
	 "qun",
	 {64, 28, 28, 6},
	 {.pool = {{2, 2}, {2, 2}, {1, 1}, {0, 0}, 0, {0, 0}}},
	 1.3125},
	{"average pool 2x2, 64",
	 WEFT_OP_AVGPOOL_FWD,
	 "nq",
	 {32, 56, 56, 64},
	 {.pool = {{2, 2}, {2, 2}, {1, 1}, {0, 0}, 0, {0, 0}}},
	 1.25},
	{"sgd, momentum", WEFT_OP_SGD, "phpp", {16, 64, 56, 56}, {{0}}, 5},
	{"adam", WEFT_OP_ADAM, "phppp", {16, 64, 56, 56}, {{0}}, 7},
	{"dropout", WEFT_OP_DROPOUT, "p-pu", {32, 64, 56, 56}, {.random = {1, 0, 0, 1, 0, 0.5f}}, 2.25},
};

static void describe(struct weft_tensor *t, char kind, const uint32_t dims[4])
{
	static const unsigned int orders[2][4] = {{3, 2, 1, 0}, {1, 3, 2, 0}};
	const unsigned int *order = orders[kind == 'c' || kind == 'k'];
	int32_t stride = 1;

	t->type = kind == 'u' ? WEFT_TYPE_U8 : kind == '-' ? WEFT_TYPE_NONE : WEFT_TYPE_F32;
	t->rank = kind == 'h' ? 1 : 4;
	for (unsigned int i = 0; i < 4; i++) {
		unsigned int d = order[i];

		t->dims[d] = kind == 's' || (kind == 'k' && d != 1) ? 1 : dims[d];
		if ((kind == 'q' || kind == 'u') && (d == 1 || d == 2) && dims[3] != dims[2])
			t->dims[d] /= 2;
		t->strides[d] = stride;
		stride *= (int32_t)t->dims[d];
	}
	if (kind == 'h') {
		*t = (struct weft_tensor){.type = WEFT_TYPE_F32, .rank = 1, .dims = {WEFT_HYPERS}, .strides = {1}};
	}
}

static double time_job(struct weft_engine_unit *unit, const struct job *job, void *const buffer[])
{
	union {
		unsigned char bytes[WEFT_CMD_MAX_BYTES];
		struct weft_cmd command;
	} u;
	struct weft_fault_record fault;
	void *pointer[OPERANDS] = {NULL};
	double best = 1e9;

	memset(&u, 0, sizeof(u));
	u.command.opcode = (uint16_t)job->op;
	u.command.operands = (uint8_t)strlen(job->operand);
	u.command.params = job->params;
	for (unsigned int i = 0; i < u.command.operands; i++) {
		describe(&u.command.operand[i], job->operand[i], job->dims);
		/* One value per channel, shown with the image's dims, where dims must agree. */
		if (job->op == WEFT_OP_BINARY && job->operand[i] == 'k')
			for (unsigned int d = 0; d < 4; d++)
				if (d != 1) {
					u.command.operand[i].dims[d] = job->dims[d];
					u.command.operand[i].strides[d] = 0;
				}
		pointer[i] = job->operand[i] == '-' ? NULL : buffer[i];
	}
	for (int run = 0; run < 5; run++) {
		double start = seconds();

		if (weft_engine_execute(unit, &u.command, pointer, &fault))
			return -1;
		if (seconds() - start < best)
			best = seconds() - start;
	}
	return best;
}

int main(int argc, char **argv)
{
	static const char *const names[] = {"auto", "scalar", "avx2", "avx512"};
	unsigned int isa = 0, lanes = argc > 2 ? (unsigned int)atoi(argv[2]) : 1;
	struct weft_engine_unit *unit;
	void *buffer[OPERANDS];
	double memory;

	for (unsigned int i = 0; argc > 1 && i < 4; i++)
		if (!strcmp(argv[1], names[i]))
			isa = i;
	if (weft_engine_unit_new(isa, lanes, &unit)) {
		fprintf(stderr, "memory: no such code path or too many lanes\n");
		return 1;
	}
	for (unsigned int i = 0; i < OPERANDS; i++) {
		buffer[i] = aligned_alloc(4096, MAX_BYTES);
		if (!buffer[i])
			return 1;
		/* Bytes that are small floats: bit pattern 0x3c3c3c3c is 0.0115; as u8 it is no tap. */
		memset(buffer[i], 0x3c, MAX_BYTES);
	}
	printf("%s, %u lanes; of memcpy's speed in the same run\n", weft_engine_unit_kernels(unit), lanes);
	for (size_t k = 0; k < sizeof(jobs) / sizeof(jobs[0]); k++) {
		const struct job *job = &jobs[k];
		double elements = (double)job->dims[0] * job->dims[1] * job->dims[2] * job->dims[3], best = 1e9, time;

		for (int run = 0; run < 5; run++) {
			double start = seconds();

			memcpy(buffer[1], buffer[0], (size_t)elements * 4);
			if (seconds() - start < best)
				best = seconds() - start;
		}
		memory = 8 * elements / best;
		if (job->op == WEFT_OP_MAXPOOL_BWD)
			memset(buffer[1], 1, MAX_BYTES);
		time = time_job(unit, job, buffer);
		printf("%-30s %8.3f ms  %6.2f GB/s  %5.2f\n", job->name, time * 1e3,
		       job->moved * 4 * elements / time * 1e-9, job->moved * 4 * elements / time / memory);
	}
	weft_engine_unit_free(unit);
	for (unsigned int i = 0; i < OPERANDS; i++)
		free(buffer[i]);
	return 0;
}
