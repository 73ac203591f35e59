// SPDX-License-Identifier: MIT
/*
 * The storage tier beside fio: the same directory, block size, depth and amount,
 * O_DIRECT and registered buffers for both, by turns, the best of ROUNDS.
 *
 *	bench-storage DIR [BLOCK [TOTAL [DEPTH [ROUNDS]]]]
 *
 * The tier also computes a checksum of what it writes and compares what it reads.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "sizes.h"
#include "tier/storage.h"
#include "weft/error.h"

struct setting {
	const char *dir;
	uint64_t block, total, depth;
	uint32_t blocks;
};

static double now_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "%s\n", what);
	exit(1);
}

/* Bytes per second of moving all blocks once, with @depth of them under way. */
static double tier(const struct setting *s, struct weft_storage *storage, char *memory, bool write)
{
	double start = now_seconds();
	uint32_t begun = 0;

	for (uint32_t ended = 0; ended < s->blocks; ended++) {
		uint64_t tag;
		int result = 0;

		for (; !result && begun < s->blocks && begun - ended < s->depth; begun++) {
			char *place = memory + begun % s->depth * s->block;

			result = write ? weft_storage_write(storage, begun, begun * s->block, place, s->block, begun)
				       : weft_storage_read(storage, begun, begun * s->block, place, s->block, begun);
		}
		if (!result)
			result = weft_storage_wait(storage, &tag);
		if (result)
			die(weft_error());
	}
	return (double)s->total / (now_seconds() - start);
}

/* Bytes per second that fio says. */
static double fio(const struct setting *s, bool write)
{
	const char *way = write ? "write" : "read";
	char command[1024], *text = NULL;
	size_t used = 0, room = 0;
	cJSON *object, *rate;
	double result;
	FILE *pipe;

	snprintf(command, sizeof(command),
		 "fio --name=weft --filename='%s/weft-bench-fio' --rw=%s --bs=%llu --size=%llu --iodepth=%llu "
		 "--ioengine=io_uring --fixedbufs=1 --direct=1 --overwrite=1 --thread --output-format=json",
		 s->dir, way, (unsigned long long)s->block, (unsigned long long)s->total, (unsigned long long)s->depth);
	pipe = popen(command, "re");
	if (!pipe)
		die("fio cannot be started");
	do {
		if (room - used < 2) {
			room = room ? 2 * room : 65536;
			text = realloc(text, room);
			if (!text)
				die("out of memory");
		}
		used += fread(text + used, 1, room - used - 1, pipe);
	} while (!feof(pipe) && !ferror(pipe));
	text[used] = '\0';
	if (pclose(pipe))
		die("fio failed; it is the Debian package fio");
	object = cJSON_Parse(strchr(text, '{') ? strchr(text, '{') : "");
	rate = cJSON_GetArrayItem(cJSON_GetObjectItem(object, "jobs"), 0);
	rate = cJSON_GetObjectItem(cJSON_GetObjectItem(rate, way), "bw_bytes");
	if (!cJSON_IsNumber(rate))
		die("fio's output has no rate");
	result = rate->valuedouble;
	cJSON_Delete(object);
	free(text);
	return result;
}

static void better(double *best, double rate)
{
	if (rate > *best)
		*best = rate;
}

static void compare(const struct setting *s, unsigned int rounds)
{
	struct weft_storage_options options = {
		.dir = s->dir,
		.bytes = s->total,
		.memory_bytes = s->depth * s->block,
		.keys = s->blocks,
		.depth = (uint32_t)s->depth,
	};
	double ours[2] = {0}, theirs[2] = {0};
	struct weft_storage *storage;
	char size[24], path[4096];

	if (posix_memalign(&options.memory, WEFT_STORAGE_ALIGN, options.memory_bytes))
		die("out of memory");
	memset(options.memory, 0x5a, options.memory_bytes);
	if (weft_storage_open(&options, &storage))
		die(weft_error());
	if (weft_storage_note(storage))
		printf("note: %s\n", weft_storage_note(storage));
	/* Files that have been written before, for both. */
	tier(s, storage, options.memory, true);
	fio(s, true);
	for (unsigned int i = 0; i < rounds; i++)
		for (int write = 1; write >= 0; write--) {
			better(&ours[write], tier(s, storage, options.memory, write));
			better(&theirs[write], fio(s, write));
		}
	for (int write = 1; write >= 0; write--)
		printf("%-6s %10s x %llu under way: tier %7.0f MB/s, fio %7.0f MB/s, ratio %.2f\n",
		       write ? "write" : "read", size_format(s->block, size), (unsigned long long)s->depth,
		       ours[write] * 1e-6, theirs[write] * 1e-6, ours[write] / theirs[write]);
	weft_storage_close(storage);
	free(options.memory);
	snprintf(path, sizeof(path), "%s/weft-bench-fio", s->dir);
	unlink(path);
}

int main(int argc, char **argv)
{
	struct setting s = {.block = 256 << 10, .total = 256 << 20, .depth = 32};
	unsigned int rounds = argc > 5 ? (unsigned int)atoi(argv[5]) : 3;

	if (argc < 2 || argc > 6 || strchr(argv[1], '\'') || (argc > 2 && size_parse(argv[2], &s.block)) ||
	    (argc > 3 && size_parse(argv[3], &s.total)) || (argc > 4 && size_parse(argv[4], &s.depth)) || !s.block ||
	    s.block % WEFT_STORAGE_ALIGN || s.block > 1u << 30 || !s.depth || s.depth > 1024 || s.total / s.block < 1 ||
	    s.total / s.block > UINT32_MAX || !rounds)
		return fprintf(stderr,
			       "usage: %s DIR [BLOCK [TOTAL [DEPTH [ROUNDS]]]]; blocks are multiples of 4096 bytes\n",
			       argv[0]),
		       2;
	s.dir = argv[1];
	s.blocks = (uint32_t)(s.total / s.block);
	s.total = s.blocks * s.block;
	compare(&s, rounds);
	return 0;
}
