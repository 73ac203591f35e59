// SPDX-License-Identifier: MIT
/*
 * The storage tier beside fio: the same file and contents, block size, depth and
 * amount, O_DIRECT and registered buffers for both.
 *
 *	bench-storage DIR [BLOCK [TOTAL [DEPTH [ROUNDS]]]]
 *
 * The two take turns, and change places from round to round: what else the machine
 * and its disk do disturbs both.  Rates are medians over the rounds; so is the ratio, of
 * the tier's rate to fio's in the same round, which is given with its quartiles.
 *
 * The tier moves to and from a host buffer of the embedded device, as a session does.
 * It also computes a checksum of what it writes and compares what it reads.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <accel/accel.h>
#include <cjson/cJSON.h>

#include "sizes.h"
#include "tier/storage.h"
#include "weft/error.h"

#define PATTERN 0x5a /* of which all bytes are */
#define MOST_ROUNDS 1000

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
	uint64_t place;
	int result = 0;

	/* Whichever transfer ends, the next one takes its place in memory. */
	for (uint32_t begun = 0, ended = 0; !result && ended < s->blocks; begun++) {
		char *at;

		if (begun < s->depth)
			place = begun;
		else
			result = weft_storage_wait(storage, &place);
		ended += begun >= s->depth;
		at = memory + place * s->block;
		if (!result && begun < s->blocks)
			result = write ? weft_storage_write(storage, begun, begun * s->block, at, s->block, place)
				       : weft_storage_read(storage, begun, begun * s->block, at, s->block, place);
	}
	if (result)
		die(weft_error());
	return (double)s->total / (now_seconds() - start);
}

/* Bytes per second that fio says of the tier's own file, into which it writes the same. */
static double fio(const struct setting *s, const struct weft_storage *storage, bool write)
{
	const char *way = write ? "write" : "read";
	char command[1024], *text = NULL;
	size_t used = 0, room = 0;
	cJSON *object, *rate;
	double result;
	FILE *pipe;

	snprintf(command, sizeof(command),
		 "fio --name=weft --filename=/proc/%ld/fd/%d --rw=%s --bs=%llu --size=%llu --iodepth=%llu "
		 "--ioengine=io_uring --fixedbufs=1 --direct=1 --overwrite=1 --buffer_pattern=0x%02x --thread "
		 "--output-format=json",
		 (long)getpid(), weft_storage_fd(storage), way, (unsigned long long)s->block,
		 (unsigned long long)s->total, (unsigned long long)s->depth, PATTERN);
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

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Sorts @value. */
static double quantile(double *value, unsigned int count, double part)
{
	double at = part * (count - 1);
	unsigned int low = (unsigned int)at;

	qsort(value, count, sizeof(*value), by_value);
	return low + 1 < count ? value[low] + (at - low) * (value[low + 1] - value[low]) : value[low];
}

/* Rates of both, and their ratio, per round. */
struct rates {
	double ours[MOST_ROUNDS], theirs[MOST_ROUNDS], ratio[MOST_ROUNDS];
};

/* Memory as the executor has it. */
static void *host_memory(uint64_t bytes)
{
	struct accel_device *device;
	struct accel_context *context;
	struct accel_buffer *buffer;
	void *memory;

	if (accel_device_open("embedded:mem=1M", &device) || accel_context_new(device, NULL, &context) ||
	    accel_buffer_new(context, bytes, ACCEL_HOST_MEMORY, &buffer) || accel_buffer_map(buffer, &memory))
		die(accel_error());
	return memory;
}

static void compare(const struct setting *s, unsigned int rounds)
{
	static struct rates rates[2];
	struct weft_storage_options options = {
		.dir = s->dir,
		.bytes = s->total,
		.memory_bytes = s->depth * s->block,
		.keys = s->blocks,
		.depth = (uint32_t)s->depth,
	};
	struct weft_storage *storage;
	char size[24];

	options.memory = host_memory(options.memory_bytes);
	memset(options.memory, PATTERN, options.memory_bytes);
	if (weft_storage_open(&options, &storage))
		die(weft_error());
	if (weft_storage_note(storage))
		printf("note: %s\n", weft_storage_note(storage));
	/* Blocks that have been written before. */
	tier(s, storage, options.memory, true);
	for (unsigned int i = 0; i < rounds; i++)
		for (int write = 1; write >= 0; write--) {
			struct rates *r = &rates[write];

			if (i % 2)
				r->ours[i] = tier(s, storage, options.memory, write);
			r->theirs[i] = fio(s, storage, write);
			if (i % 2 == 0)
				r->ours[i] = tier(s, storage, options.memory, write);
			r->ratio[i] = r->ours[i] / r->theirs[i];
		}
	for (int write = 1; write >= 0; write--) {
		struct rates *r = &rates[write];

		printf("%-6s %10s x %llu under way: tier %7.0f MB/s, fio %7.0f MB/s, ratio %.2f (%.2f to %.2f)\n",
		       write ? "write" : "read", size_format(s->block, size), (unsigned long long)s->depth,
		       1e-6 * quantile(r->ours, rounds, 0.5), 1e-6 * quantile(r->theirs, rounds, 0.5),
		       quantile(r->ratio, rounds, 0.5), quantile(r->ratio, rounds, 0.25),
		       quantile(r->ratio, rounds, 0.75));
	}
	weft_storage_close(storage);
}

int main(int argc, char **argv)
{
	struct setting s = {.block = 256 << 10, .total = 256 << 20, .depth = 32};
	unsigned int rounds = argc > 5 ? (unsigned int)atoi(argv[5]) : 11;

	if (argc < 2 || argc > 6 || (argc > 2 && size_parse(argv[2], &s.block)) ||
	    (argc > 3 && size_parse(argv[3], &s.total)) || (argc > 4 && size_parse(argv[4], &s.depth)) || !s.block ||
	    s.block % WEFT_STORAGE_ALIGN || s.block > 1u << 30 || !s.depth || s.depth > 1024 || s.total / s.block < 1 ||
	    s.total / s.block > UINT32_MAX || !rounds || rounds > MOST_ROUNDS)
		return fprintf(stderr,
			       "usage: %s DIR [BLOCK [TOTAL [DEPTH [ROUNDS]]]]; blocks are multiples of 4096 bytes, "
			       "rounds at "
			       "most 1000\n",
			       argv[0]),
		       2;
	s.dir = argv[1];
	s.blocks = (uint32_t)(s.total / s.block);
	s.total = s.blocks * s.block;
	compare(&s, rounds);
	return 0;
}
