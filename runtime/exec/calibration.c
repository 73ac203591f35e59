// SPDX-License-Identifier: MIT
/* Files of measured costs, and their use. */
#include "exec/calibration.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <accel/commands.h>

#include "weft/error.h"

#define MAGIC 0x54534f4354464557ull /* "WEFTCOST" */
#define VERSION 3
#define MOST_COMMANDS (1u << 22)

/* Numbers are little-endian; doubles are stored as their bits. */
struct header {
	uint64_t magic;
	uint32_t version, commands;
	uint64_t device_key, model_key, storage_key;
	uint32_t clock, pad;
	uint64_t step_seconds, handover_seconds;
	uint64_t transfer[4][4]; /* page-in, page-out, load, store */
	uint64_t recent[WEFT_RECENT_COSTS][3];
	uint64_t checksum; /* of what is before it, and of the records */
};

struct record {
	uint64_t key, seconds, modelled_seconds;
	uint32_t opcode, pad;
};

/* Keys */

enum weft_clock weft_calibration_clock(const struct accel_device_info *info)
{
	return !strcmp(info->backend, "embedded") && strcmp(info->profile, "host") ? WEFT_CLOCK_MODEL : WEFT_CLOCK_WALL;
}

/* The processor, for devices that compute on it. */
static void processor(char *text, size_t bytes)
{
	char line[256];
	FILE *file = fopen("/proc/cpuinfo", "re");

	*text = '\0';
	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, "model name", 10) || !strncmp(line, "CPU part", 8)) {
			snprintf(text, bytes, "%s", line);
			break;
		}
	if (file)
		fclose(file);
}

uint64_t weft_device_key(const struct accel_device_info *info)
{
	char text[1024], host[256];
	int length;

	processor(host, sizeof(host));
	length = snprintf(text, sizeof(text), "%s|%s|%s|%s|%s|%s|%u|%s|%llu|%llu|%u.%u", host, info->backend,
			  info->name, info->profile, info->firmware, info->driver, info->threads, info->kernels,
			  (unsigned long long)info->clock_hz, (unsigned long long)info->device_bytes_per_second,
			  info->isa_major, info->isa_minor);

	return XXH3_64bits(text, (size_t)length);
}

uint64_t weft_command_key(const struct weft_graph *graph, weft_id operation)
{
	static const uint64_t nowhere[WEFT_MAX_OPERANDS];
	union accel_command command;

	memset(&command, 0, sizeof(command));
	weft_operation_command(graph, &graph->operation[operation], nowhere, &command.header);
	for (unsigned int i = 0; i < command.header.operands; i++)
		command.header.operand[i].address = 0;
	return XXH3_64bits(&command, command.header.size);
}

uint64_t weft_graph_key(const struct weft_graph *graph)
{
	uint64_t key = 0;

	for (weft_id o = 0; o < graph->operations; o++) {
		uint64_t pair[2] = {key, weft_command_key(graph, o)};

		key = XXH3_64bits(pair, sizeof(pair));
	}
	return key;
}

uint64_t weft_storage_key(const char *dir)
{
	char path[PATH_MAX];
	const char *name = realpath(dir, path) ? path : dir;
	uint64_t key = XXH3_64bits(name, strlen(name));

	return key ? key : 1;
}

int weft_calibration_path(uint64_t device_key, uint64_t model_key, char *path, size_t bytes)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	bool given = cache && cache[0] == '/'; /* others are to be ignored, says the specification */

	if (!given && (!home || !*home))
		return weft_fail(ENOENT, "measured costs: neither XDG_CACHE_HOME nor HOME says where to keep them");
	if ((size_t)snprintf(path, bytes, "%s%s/weft/costs-%016llx-%016llx", given ? cache : home,
			     given ? "" : "/.cache", (unsigned long long)device_key,
			     (unsigned long long)model_key) >= bytes)
		return weft_fail(ENAMETOOLONG, "measured costs: the cache directory's name is too long");
	return 0;
}

/* Files */

static uint64_t bits_of(double number)
{
	uint64_t bits;

	memcpy(&bits, &number, sizeof(bits));
	return htole64(bits);
}

static double number_of(uint64_t bits)
{
	double number;

	bits = le64toh(bits);
	memcpy(&number, &bits, sizeof(number));
	return number;
}

static uint64_t checksum_of(const struct header *header, const struct record *record, uint32_t records)
{
	return XXH3_64bits_withSeed(record, records * sizeof(*record),
				    XXH3_64bits(header, offsetof(struct header, checksum)));
}

static void put_transfer(uint64_t to[4], const struct weft_transfer_cost *cost)
{
	to[0] = bits_of(cost->seconds);
	to[1] = bits_of(cost->bytes_per_second);
	to[2] = bits_of(cost->joules);
	to[3] = bits_of(cost->joules_per_byte);
}

static bool plausible(double number)
{
	return isfinite(number) && number >= 0 && number < 1e15;
}

static bool get_transfer(const uint64_t from[4], struct weft_transfer_cost *cost)
{
	*cost = (struct weft_transfer_cost){number_of(from[0]), number_of(from[1]), number_of(from[2]),
					    number_of(from[3])};
	return plausible(cost->seconds) && plausible(cost->bytes_per_second) && plausible(cost->joules) &&
	       plausible(cost->joules_per_byte);
}

static int read_bytes(int fd, void *data, size_t bytes)
{
	char *at = data;

	while (bytes) {
		ssize_t n = read(fd, at, bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return -EBADMSG;
		at += n;
		bytes -= (size_t)n;
	}
	return 0;
}

static bool get_recent(const struct header *header, struct weft_recent_cost recent[WEFT_RECENT_COSTS])
{
	bool good = true;

	for (unsigned int i = 0; i < WEFT_RECENT_COSTS; i++) {
		recent[i] = (struct weft_recent_cost){number_of(header->recent[i][0]), number_of(header->recent[i][1]),
						      number_of(header->recent[i][2])};
		good = good && plausible(recent[i].bytes) && plausible(recent[i].in_bytes_per_second) &&
		       plausible(recent[i].out_bytes_per_second) &&
		       (recent[i].bytes == 0 ||
			(recent[i].in_bytes_per_second > 0 && recent[i].out_bytes_per_second > 0));
	}
	return good;
}

static int unpack(const struct header *header, const struct record *record, struct weft_calibration *out)
{
	bool good = get_transfer(header->transfer[0], &out->page_in) &&
		    get_transfer(header->transfer[1], &out->page_out) &&
		    get_transfer(header->transfer[2], &out->load) && get_transfer(header->transfer[3], &out->store) &&
		    get_recent(header, out->recent);

	out->storage_key = le64toh(header->storage_key);
	out->clock = le32toh(header->clock);
	out->step_seconds = number_of(header->step_seconds);
	out->handover_seconds = number_of(header->handover_seconds);
	good = good && plausible(out->step_seconds) && plausible(out->handover_seconds) &&
	       out->clock <= WEFT_CLOCK_MODEL && out->page_in.bytes_per_second > 0 &&
	       out->page_out.bytes_per_second > 0 &&
	       (!out->storage_key || (out->load.bytes_per_second > 0 && out->store.bytes_per_second > 0));
	for (uint32_t i = 0; good && i < out->commands; i++) {
		struct weft_measured_command *command = &out->command[i];

		*command = (struct weft_measured_command){
			.key = le64toh(record[i].key),
			.opcode = le32toh(record[i].opcode),
			.seconds = number_of(record[i].seconds),
			.modelled_seconds = number_of(record[i].modelled_seconds),
		};
		good = plausible(command->seconds) && plausible(command->modelled_seconds) &&
		       command->opcode < WEFT_OP_LIMIT && (!i || command[-1].key < command->key);
	}
	return good ? 0 : -EBADMSG;
}

static int read_file(int fd, uint64_t device_key, uint64_t model_key, struct weft_calibration *out)
{
	struct header header;
	struct record *record;
	struct stat status;
	uint32_t commands;
	int result;

	result = fstat(fd, &status) ? -errno : read_bytes(fd, &header, sizeof(header));
	if (result)
		return result;
	commands = le32toh(header.commands);
	if (le64toh(header.magic) != MAGIC || le32toh(header.version) != VERSION ||
	    le64toh(header.device_key) != device_key || le64toh(header.model_key) != model_key ||
	    commands > MOST_COMMANDS ||
	    (uint64_t)status.st_size != sizeof(header) + (uint64_t)commands * sizeof(*record))
		return -EBADMSG;
	record = calloc((size_t)commands + 1, sizeof(*record));
	out->command = calloc((size_t)commands + 1, sizeof(*out->command));
	result = record && out->command ? read_bytes(fd, record, commands * sizeof(*record)) : -ENOMEM;
	if (!result && checksum_of(&header, record, commands) != le64toh(header.checksum))
		result = -EBADMSG;
	out->device_key = device_key;
	out->model_key = model_key;
	out->commands = commands;
	if (!result)
		result = unpack(&header, record, out);
	free(record);
	return result;
}

int weft_calibration_read(const char *path, uint64_t device_key, uint64_t model_key, struct weft_calibration *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), result;

	memset(out, 0, sizeof(*out));
	if (fd < 0)
		return weft_fail(errno, "measured costs '%s': %s", path, strerror(errno));
	result = read_file(fd, device_key, model_key, out);
	close(fd);
	if (!result)
		return 0;
	weft_calibration_clear(out);
	if (result == -EBADMSG)
		return weft_fail(EBADMSG, "measured costs '%s' are damaged or of another version; measure again", path);
	return weft_fail(-result, "measured costs '%s': %s", path, strerror(-result));
}

static int write_bytes(int fd, const void *data, size_t bytes)
{
	const char *at = data;

	while (bytes) {
		ssize_t n = write(fd, at, bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += n;
		bytes -= (size_t)n;
	}
	return 0;
}

static int write_file(int fd, const struct weft_calibration *calibration)
{
	struct record *record = calloc((size_t)calibration->commands + 1, sizeof(*record));
	struct header header = {
		.magic = htole64(MAGIC),
		.version = htole32(VERSION),
		.commands = htole32(calibration->commands),
		.device_key = htole64(calibration->device_key),
		.model_key = htole64(calibration->model_key),
		.storage_key = htole64(calibration->storage_key),
		.clock = htole32(calibration->clock),
		.step_seconds = bits_of(calibration->step_seconds),
		.handover_seconds = bits_of(calibration->handover_seconds),
	};
	int result;

	if (!record)
		return -ENOMEM;
	put_transfer(header.transfer[0], &calibration->page_in);
	put_transfer(header.transfer[1], &calibration->page_out);
	put_transfer(header.transfer[2], &calibration->load);
	put_transfer(header.transfer[3], &calibration->store);
	for (unsigned int i = 0; i < WEFT_RECENT_COSTS; i++) {
		header.recent[i][0] = bits_of(calibration->recent[i].bytes);
		header.recent[i][1] = bits_of(calibration->recent[i].in_bytes_per_second);
		header.recent[i][2] = bits_of(calibration->recent[i].out_bytes_per_second);
	}
	for (uint32_t i = 0; i < calibration->commands; i++)
		record[i] = (struct record){
			.key = htole64(calibration->command[i].key),
			.seconds = bits_of(calibration->command[i].seconds),
			.modelled_seconds = bits_of(calibration->command[i].modelled_seconds),
			.opcode = htole32(calibration->command[i].opcode),
		};
	header.checksum = htole64(checksum_of(&header, record, calibration->commands));
	result = write_bytes(fd, &header, sizeof(header));
	if (!result)
		result = write_bytes(fd, record, calibration->commands * sizeof(*record));
	if (!result && fsync(fd))
		result = -errno;
	free(record);
	return result;
}

/* The directories above the file's name. */
static int make_directories(const char *path)
{
	char part[PATH_MAX];

	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		if (mkdir(part, 0700) && errno != EEXIST)
			return weft_fail(errno, "measured costs: directory '%s': %s", part, strerror(errno));
	}
	return 0;
}

int weft_calibration_write(const char *path, const struct weft_calibration *calibration)
{
	char temporary[PATH_MAX];
	int fd, result;

	if (snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path) >= (int)sizeof(temporary))
		return weft_fail(ENAMETOOLONG, "measured costs '%s': the name is too long", path);
	result = make_directories(path);
	if (result)
		return result;
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return weft_fail(errno, "measured costs '%s': %s", temporary, strerror(errno));
	result = write_file(fd, calibration);
	if (close(fd) && !result)
		result = -errno;
	if (!result && rename(temporary, path))
		result = -errno;
	if (result)
		unlink(temporary);
	return result ? weft_fail(-result, "measured costs '%s': %s", path, strerror(-result)) : 0;
}

void weft_calibration_clear(struct weft_calibration *calibration)
{
	free(calibration->command);
	memset(calibration, 0, sizeof(*calibration));
}

/* Use */

static const struct weft_measured_command *find(const struct weft_calibration *calibration, uint64_t key)
{
	uint32_t low = 0, high = calibration->commands;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (calibration->command[middle].key < key)
			low = middle + 1;
		else
			high = middle;
	}
	return low < calibration->commands && calibration->command[low].key == key ? &calibration->command[low] : NULL;
}

int weft_command_by_key(const void *a, const void *b)
{
	const struct weft_measured_command *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

int weft_calibration_add(struct weft_calibration *calibration, const struct weft_measured_command *command,
			 uint32_t commands)
{
	struct weft_measured_command *all;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < calibration->commands; i++)
		if (!bsearch(&calibration->command[i], command, commands, sizeof(*command), weft_command_by_key))
			calibration->command[kept++] = calibration->command[i];
	calibration->commands = kept;
	all = realloc(calibration->command, ((size_t)kept + commands + 1) * sizeof(*all));
	if (!all)
		return weft_fail(ENOMEM, "no memory to measure costs");
	memcpy(all + kept, command, commands * sizeof(*all));
	calibration->command = all;
	calibration->commands += commands;
	qsort(all, calibration->commands, sizeof(*all), weft_command_by_key);
	return 0;
}

bool weft_calibration_covers(const struct weft_calibration *calibration, const struct weft_graph *graph)
{
	for (weft_id o = 0; o < graph->operations; o++)
		if (!find(calibration, weft_command_key(graph, o)))
			return false;
	return true;
}

/*
 * Measured over modelled seconds of an opcode's commands that take about as long: sums
 * over all, of which those near by count more.  Tiles differ from whole operations, but
 * those of one shape differ from others too, so that few of them say little.
 */
static double ratio_near(const struct weft_calibration *calibration, uint16_t opcode, double modelled)
{
	double seconds = 0, all = 0;

	for (uint32_t i = 0; i < calibration->commands; i++) {
		const struct weft_measured_command *command = &calibration->command[i];
		double distance, weight;

		if (command->opcode != opcode || command->modelled_seconds <= 0)
			continue;
		distance = log(command->modelled_seconds / modelled);
		weight = 1 / (0.1 + distance * distance);
		seconds += weight * command->seconds;
		all += weight * command->modelled_seconds;
	}
	return all > 0 ? seconds / all : 0;
}

static double ratio_of_all(const struct weft_calibration *calibration)
{
	double seconds = 0, modelled = 0;

	for (uint32_t i = 0; i < calibration->commands; i++) {
		seconds += calibration->command[i].seconds;
		modelled += calibration->command[i].modelled_seconds;
	}
	return modelled > 0 && seconds > 0 ? seconds / modelled : 1;
}

/* Ratios found last: tiles of a few kinds follow one another. */
#define REMEMBERED 1024

struct ratio {
	double modelled, ratio; /* modelled 0: free */
	uint16_t opcode;
};

static struct ratio *place_of(struct ratio *ratios, uint16_t opcode, double modelled)
{
	struct {
		double modelled;
		uint64_t opcode;
	} key = {modelled, opcode};

	return &ratios[XXH3_64bits(&key, sizeof(key)) % REMEMBERED];
}

void weft_calibration_apply(const struct weft_calibration *calibration, const struct weft_graph *graph,
			    const char *storage_dir, struct weft_costs *costs)
{
	struct ratio ratios[REMEMBERED] = {{0}};
	const double all = ratio_of_all(calibration);

	for (weft_id o = 0; o < graph->operations; o++) {
		const struct weft_measured_command *command = find(calibration, weft_command_key(graph, o));
		uint16_t opcode = graph->operation[o].opcode;
		double *seconds = &costs->operation_seconds[o];
		struct ratio *place = place_of(ratios, opcode, *seconds);

		if (command) {
			*seconds = command->seconds;
			continue;
		}
		if (*seconds > 0 && (place->modelled != *seconds || place->opcode != opcode))
			*place = (struct ratio){*seconds, ratio_near(calibration, opcode, *seconds), opcode};
		*seconds *= *seconds > 0 && place->ratio > 0 ? place->ratio : all;
	}
	costs->step_seconds = calibration->step_seconds;
	costs->handover_seconds = calibration->handover_seconds;
	costs->page_in.seconds = calibration->page_in.seconds;
	costs->page_in.bytes_per_second = calibration->page_in.bytes_per_second;
	costs->page_out.seconds = calibration->page_out.seconds;
	costs->page_out.bytes_per_second = calibration->page_out.bytes_per_second;
	memcpy(costs->recent, calibration->recent, sizeof(costs->recent));
	if (calibration->storage_key && storage_dir && weft_storage_key(storage_dir) == calibration->storage_key) {
		costs->load.seconds = calibration->load.seconds;
		costs->load.bytes_per_second = calibration->load.bytes_per_second;
		costs->store.seconds = calibration->store.seconds;
		costs->store.bytes_per_second = calibration->store.bytes_per_second;
	}
	costs->measured = true;
}
