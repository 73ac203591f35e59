// SPDX-License-Identifier: MIT
/*
 * POET's problem: our schedules and bounds beside what POET's integer program
 * reached (baseline.jsonl), on all instances that are found; and how planning
 * time grows with the graph.
 */
#include "growth.h"

#include "weft/error.h"

#include <argp.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum format { FORMAT_TABLE, FORMAT_CSV, FORMAT_JSON };
enum peer { PEER_CBC, PEER_HIGHS, PEER_COMPACT, PEERS };

static const char *const peer_name[PEERS] = {"poet_cbc", "poet_highs", "compact_highs"};

/* One run of baseline.jsonl. */
struct baseline {
	char instance[64];
	uint64_t ram_bytes;
	double ratio, joules /* NAN: none found */, seconds;
	enum peer peer;
};

struct bench {
	const char *folder, *filter, *generate;
	double seconds, gap;
	uint32_t growth; /* most nodes; 0: POET's instances */
	enum format format;
	struct baseline *baseline;
	size_t baselines;
	size_t rows, infeasible;
	/* Rows that miss each bar, and rows that miss any. */
	size_t unknown, wide_gap, wide_overhead, worse, late, missed;
};

/* The best of each peer on one row. */
struct peers {
	double joules[PEERS], seconds[PEERS];
};

static double number_of(const cJSON *object, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

	return cJSON_IsNumber(item) ? item->valuedouble : NAN;
}

static const char *text_of(const cJSON *object, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

	return cJSON_IsString(item) ? item->valuestring : "";
}

static void read_baseline(struct bench *bench)
{
	char path[4096], *line = NULL;
	size_t room = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/baseline.jsonl", bench->folder);
	file = fopen(path, "re");
	if (!file) {
		fprintf(stderr, "%s: %s; no peers are shown\n", path, strerror(errno));
		return;
	}
	while (getline(&line, &room, file) > 0) {
		cJSON *row = cJSON_Parse(line);
		struct baseline *more = realloc(bench->baseline, (bench->baselines + 1) * sizeof(*more));

		if (!more || !row) {
			fprintf(stderr, "%s: line %zu is not JSON\n", path, bench->baselines + 1);
			exit(1);
		}
		bench->baseline = more;
		more += bench->baselines++;
		snprintf(more->instance, sizeof(more->instance), "%s.%s", text_of(row, "model"), text_of(row, "plat"));
		more->ram_bytes = (uint64_t)number_of(row, "ram");
		more->ratio = number_of(row, "tr");
		/* What its replay refused is no schedule. */
		more->joules =
			cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(row, "replay_ok")) ? number_of(row, "obj") : NAN;
		more->seconds = number_of(row, "solve_s");
		more->peer = !strcmp(text_of(row, "formulation"), "compact") ? PEER_COMPACT
			     : !strcmp(text_of(row, "solver"), "cbc")	     ? PEER_CBC
									     : PEER_HIGHS;
		cJSON_Delete(row);
	}
	free(line);
	fclose(file);
}

static struct peers find_peers(const struct bench *bench, const char *name, uint64_t ram_bytes, double ratio)
{
	struct peers peers;

	for (int p = 0; p < PEERS; p++)
		peers.joules[p] = peers.seconds[p] = NAN;
	for (size_t b = 0; b < bench->baselines; b++) {
		const struct baseline *row = &bench->baseline[b];

		if (strcmp(row->instance, name) || row->ram_bytes != ram_bytes || fabs(row->ratio - ratio) > 1e-9)
			continue;
		if (isnan(peers.joules[row->peer]) || row->joules < peers.joules[row->peer]) {
			peers.joules[row->peer] = row->joules;
			peers.seconds[row->peer] = row->seconds;
		}
	}
	return peers;
}

static void print_head(const struct bench *bench)
{
	if (bench->format == FORMAT_CSV)
		printf("instance,nodes,ram_bytes,time_ratio,base_joules,status,energy_joules,bound_joules,gap,overhead_"
		       "gap,"
		       "peak_bytes,solver_seconds,poet_cbc_joules,poet_cbc_seconds,poet_highs_joules,poet_highs_"
		       "seconds,"
		       "compact_highs_joules,compact_highs_seconds,energy_ratio,time_ratio_of_best\n");
	else if (bench->format == FORMAT_TABLE)
		printf("%-24s %5s %12s %5s %11s %11s %11s %7s %8s %12s %7s | %11s %11s %11s | %8s %8s\n", "instance",
		       "nodes", "RAM", "time", "base J", "energy J", "bound J", "gap %", "over %", "peak", "s",
		       "POET CBC", "POET HiGHS", "compact", "energy /", "time /");
}

static const char *cell(double value, const char *format, char text[32])
{
	if (isnan(value))
		strcpy(text, "-");
	else
		snprintf(text, 32, format, value);
	return text;
}

/* Ours over the best of the peers, and their time over ours; NAN without a peer. */
static void compare(const struct weft_poet_result *result, const struct peers *peers, double *energy, double *time)
{
	*energy = *time = NAN;
	for (int p = 0; p < PEERS; p++) {
		double ratio = result->joules / peers->joules[p];

		if (result->status == WEFT_POET_FEASIBLE && !isnan(ratio) && (isnan(*energy) || ratio > *energy)) {
			*energy = ratio;
			*time = peers->seconds[p] / result->solver_seconds;
		}
	}
}

static void print_json(const struct weft_poet_instance *instance, const struct weft_poet_options *options,
		       const struct weft_poet_result *result, const struct peers *peers)
{
	static const char *const status[] = {"feasible", "infeasible", "unknown"};
	cJSON *row = cJSON_CreateObject();
	char *text, key[64];

	cJSON_AddStringToObject(row, "instance", instance->name);
	cJSON_AddNumberToObject(row, "nodes", instance->nodes);
	cJSON_AddNumberToObject(row, "ram_bytes", (double)options->ram_bytes);
	cJSON_AddNumberToObject(row, "time_ratio", options->time_ratio);
	cJSON_AddNumberToObject(row, "base_joules", instance->base_joules);
	cJSON_AddStringToObject(row, "status", status[result->status]);
	if (result->status == WEFT_POET_FEASIBLE) {
		cJSON_AddNumberToObject(row, "energy_joules", result->joules);
		cJSON_AddNumberToObject(row, "gap", result->gap);
		cJSON_AddNumberToObject(row, "overhead_gap", result->overhead_gap);
		cJSON_AddNumberToObject(row, "peak_bytes", (double)result->measure.peak_bytes);
		cJSON_AddNumberToObject(row, "seconds", result->measure.seconds);
	}
	cJSON_AddNumberToObject(row, "bound_joules", result->bound_joules);
	cJSON_AddNumberToObject(row, "solver_seconds", result->solver_seconds);
	for (int p = 0; p < PEERS; p++) {
		snprintf(key, sizeof(key), "%s_joules", peer_name[p]);
		if (!isnan(peers->joules[p]))
			cJSON_AddNumberToObject(row, key, peers->joules[p]);
		snprintf(key, sizeof(key), "%s_seconds", peer_name[p]);
		if (!isnan(peers->seconds[p]))
			cJSON_AddNumberToObject(row, key, peers->seconds[p]);
	}
	text = cJSON_PrintUnformatted(row);
	puts(text ? text : "{}");
	cJSON_free(text);
	cJSON_Delete(row);
}

/* What the issue asks of a row.  The limit is of processor time: other work on the machine is not the planner's. */
#define MOST_GAP 0.01
#define MOST_OVERHEAD_GAP 0.1
#define MOST_LATE 1.02 /* times the limit */
/* The peers' own energies are right to about 1e-8: their variables are integers to a tolerance. */
#define MOST_ENERGY (1 + 1e-7)

static bool count_misses(struct bench *bench, const struct weft_poet_result *result, double energy)
{
	bool unknown = result->status == WEFT_POET_UNKNOWN, wide_gap = result->gap > MOST_GAP;
	bool wide_overhead = result->overhead_gap > MOST_OVERHEAD_GAP, worse = energy > MOST_ENERGY;
	bool late = result->solver_seconds > bench->seconds * MOST_LATE;
	bool missed = unknown || wide_gap || wide_overhead || worse || late;

	bench->unknown += unknown;
	bench->wide_gap += wide_gap;
	bench->wide_overhead += wide_overhead;
	bench->worse += worse;
	bench->late += late;
	bench->missed += missed;
	return missed;
}

static void print_row(const struct bench *bench, const struct weft_poet_instance *instance,
		      const struct weft_poet_options *options, const struct weft_poet_result *result,
		      const struct peers *peers, bool missed)
{
	static const char *const status[] = {"", "infeasible", "unknown"};
	double energy, time;
	char text[8][32];

	if (bench->format == FORMAT_JSON) {
		print_json(instance, options, result, peers);
		return;
	}
	compare(result, peers, &energy, &time);
	if (bench->format == FORMAT_CSV) {
		printf("%s,%" PRIu32 ",%" PRIu64 ",%g,%.12g,%s,%.12g,%.12g,%.6g,%.6g,%" PRIu64 ",%.3f", instance->name,
		       instance->nodes, options->ram_bytes, options->time_ratio, instance->base_joules,
		       result->status ? status[result->status] : "feasible", result->joules, result->bound_joules,
		       result->gap, result->overhead_gap, result->measure.peak_bytes, result->solver_seconds);
		for (int p = 0; p < PEERS; p++)
			printf(",%s,%s", cell(peers->joules[p], "%.12g", text[0]),
			       cell(peers->seconds[p], "%.1f", text[1]));
		printf(",%s,%s\n", cell(energy, "%.9g", text[0]), cell(time, "%.1f", text[1]));
		return;
	}
	printf("%-24s %5" PRIu32 " %12" PRIu64 " %5g %11.6g ", instance->name, instance->nodes, options->ram_bytes,
	       options->time_ratio, instance->base_joules);
	if (result->status == WEFT_POET_FEASIBLE)
		printf("%11.6g %11.6g %7.4f %8.3f %12" PRIu64 " %7.2f", result->joules, result->bound_joules,
		       100 * result->gap, 100 * result->overhead_gap, result->measure.peak_bytes,
		       result->solver_seconds);
	else
		printf("%11s %11s %7s %8s %12s %7.2f", status[result->status], "", "", "", "", result->solver_seconds);
	printf(" | %11s %11s %11s | %8s %8s%s\n", cell(peers->joules[PEER_CBC], "%.6g", text[0]),
	       cell(peers->joules[PEER_HIGHS], "%.6g", text[1]), cell(peers->joules[PEER_COMPACT], "%.6g", text[2]),
	       cell(energy, "%.6f", text[3]), cell(time, "%.1f", text[4]), missed ? "  MISSED" : "");
}

static void run_row(struct bench *bench, const struct weft_poet_instance *instance, uint64_t ram_bytes, double ratio)
{
	struct weft_poet_options options = {
		.ram_bytes = ram_bytes, .time_ratio = ratio, .seconds = bench->seconds, .gap = bench->gap};
	struct peers peers = find_peers(bench, instance->name, ram_bytes, ratio);
	struct weft_poet_result result;
	double energy, time;

	if (weft_poet_solve(instance, &options, &result) < 0) {
		fprintf(stderr, "%s: %s\n", instance->name, weft_error());
		exit(1);
	}
	compare(&result, &peers, &energy, &time);
	bench->rows++;
	bench->infeasible += result.status == WEFT_POET_INFEASIBLE;
	print_row(bench, instance, &options, &result, &peers, count_misses(bench, &result, energy));
	fflush(stdout);
	weft_poet_result_clear(&result);
}

static bool is_proposed(const struct weft_poet_instance *instance, const struct baseline *row)
{
	for (uint32_t b = 0; b < instance->budgets; b++)
		for (uint32_t r = 0; r < instance->time_ratios; r++)
			if (instance->budget[b].bytes == row->ram_bytes &&
			    fabs(instance->time_ratio[r] - row->ratio) < 1e-9)
				return true;
	return false;
}

static bool seen_before(const struct bench *bench, size_t b)
{
	const struct baseline *row = &bench->baseline[b];

	for (size_t other = 0; other < b; other++)
		if (!strcmp(bench->baseline[other].instance, row->instance) &&
		    bench->baseline[other].ram_bytes == row->ram_bytes && bench->baseline[other].ratio == row->ratio)
			return true;
	return false;
}

static void run_file(struct bench *bench, const char *path)
{
	struct weft_poet_instance *instance;

	if (weft_poet_read(path, &instance) < 0) {
		fprintf(stderr, "%s\n", weft_error());
		exit(1);
	}
	for (uint32_t b = 0; b < instance->budgets; b++)
		for (uint32_t r = 0; r < instance->time_ratios; r++)
			run_row(bench, instance, instance->budget[b].bytes, instance->time_ratio[r]);
	for (size_t b = 0; b < bench->baselines; b++) {
		const struct baseline *row = &bench->baseline[b];

		if (!strcmp(row->instance, instance->name) && !is_proposed(instance, row) && !seen_before(bench, b))
			run_row(bench, instance, row->ram_bytes, row->ratio);
	}
	weft_poet_free(instance);
}

static int run_instances(struct bench *bench)
{
	char pattern[4096];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s/*.json", bench->folder);
	if (glob(pattern, 0, NULL, &found)) {
		printf("no instances in %s: skipped; WEFT_SHARED or --folder says where they are\n", bench->folder);
		return 77;
	}
	read_baseline(bench);
	print_head(bench);
	for (size_t f = 0; f < found.gl_pathc; f++)
		if (!bench->filter || strstr(found.gl_pathv[f], bench->filter))
			run_file(bench, found.gl_pathv[f]);
	globfree(&found);
	free(bench->baseline);
	return 0;
}

static int run_growth(struct bench *bench)
{
	static const uint32_t sizes[] = {100, 300, 1000, 3000, 10000};

	print_head(bench);
	for (size_t n = 0; n < sizeof(sizes) / sizeof(sizes[0]) && sizes[n] <= bench->growth; n++) {
		for (int kind = 0; kind < GROWTH_KINDS; kind++) {
			struct weft_poet_instance *instance;

			if (bench->filter && !strstr(growth_name[kind], bench->filter))
				continue;
			if (growth_make(kind, sizes[n], &instance) < 0) {
				fprintf(stderr, "%s\n", weft_error());
				return 1;
			}
			run_row(bench, instance,
				instance->least_bytes + (instance->storeall_bytes - instance->least_bytes) * 3 / 10,
				1.4);
			weft_poet_free(instance);
		}
	}
	return 0;
}

static int run_generate(const char *what)
{
	struct weft_poet_instance *instance;
	const char *colon = strchr(what, ':');
	long nodes = colon ? strtol(colon + 1, NULL, 10) : 0;

	for (int kind = 0; kind < GROWTH_KINDS; kind++) {
		if (nodes < 3 || nodes > WEFT_POET_MAX_NODES || strlen(growth_name[kind]) != (size_t)(colon - what) ||
		    strncmp(what, growth_name[kind], (size_t)(colon - what)))
			continue;
		if (growth_make(kind, (uint32_t)nodes, &instance) < 0 || weft_poet_write(instance, stdout) < 0) {
			fprintf(stderr, "%s\n", weft_error());
			return 1;
		}
		weft_poet_free(instance);
		return 0;
	}
	fprintf(stderr, "--generate %s: expected chain:N, residual:N or attention:N with N from 3 to %u\n", what,
		WEFT_POET_MAX_NODES);
	return 2;
}

static void print_summary(const struct bench *bench)
{
	printf("%zu rows, %zu proven infeasible, %zu missed:\n"
	       "  %zu neither solved nor proven infeasible\n"
	       "  %zu with a gap of more than %g %% in energy\n"
	       "  %zu with a gap of more than %g %% in overhead (energy above everything computed once)\n"
	       "  %zu with more energy than the best of the peers\n"
	       "  %zu over %g s of processor time\n",
	       bench->rows, bench->infeasible, bench->missed, bench->unknown, bench->wide_gap, 100 * MOST_GAP,
	       bench->wide_overhead, 100 * MOST_OVERHEAD_GAP, bench->worse, bench->late, bench->seconds);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct bench *bench = state->input;
	char *end;

	switch (key) {
	case 'd':
		bench->folder = arg;
		return 0;
	case 'f':
		bench->filter = arg;
		return 0;
	case 's':
		bench->seconds = strtod(arg, &end);
		if (*end || !(bench->seconds > 0))
			argp_error(state, "--seconds %s: expected a number above 0", arg);
		return 0;
	case 'p':
		bench->gap = strtod(arg, &end);
		if (*end || !(bench->gap > 0))
			argp_error(state, "--gap %s: expected a number above 0", arg);
		return 0;
	case 'g':
		bench->growth = arg ? (uint32_t)strtoul(arg, NULL, 10) : 3000;
		return 0;
	case 'G':
		bench->generate = arg;
		return 0;
	case 'c':
		bench->format = FORMAT_CSV;
		return 0;
	case 'j':
		bench->format = FORMAT_JSON;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{"folder", 'd', "DIR", 0, "Instances and baseline.jsonl (default: $WEFT_SHARED/poet or ../shared/poet)", 0},
	{"filter", 'f', "TEXT", 0, "Only instances whose name contains TEXT", 0},
	{"seconds", 's', "S", 0, "Time limit per row (default: 10)", 0},
	{"gap", 'p', "GAP", 0, "Stop a row at this proven gap in overhead (default: 0.0001)", 0},
	{"growth", 'g', "NODES", OPTION_ARG_OPTIONAL, "Generated graphs of up to NODES (default: 3000) nodes instead",
	 0},
	{"generate", 'G', "KIND:NODES", 0, "Write a generated graph (chain, residual, attention) and stop", 0},
	{"csv", 'c', NULL, 0, "Comma-separated values", 0},
	{"json", 'j', NULL, 0, "A JSON object per row", 0},
	{0},
};

int main(int argc, char **argv)
{
	static const struct argp argp = {
		options, parse, NULL, "Plan POET's instances and compare with what POET's integer program reached.",
		NULL,	 NULL,	NULL};
	const char *shared = getenv("WEFT_SHARED");
	struct bench bench = {.seconds = 10};
	char folder[4096];
	int status;

	snprintf(folder, sizeof(folder), "%s/poet", shared ? shared : WEFT_SOURCE_ROOT "/../shared");
	bench.folder = folder;
	argp_parse(&argp, argc, argv, 0, NULL, &bench);
	if (bench.generate)
		return run_generate(bench.generate);
	status = bench.growth ? run_growth(&bench) : run_instances(&bench);
	if (!status && bench.format == FORMAT_TABLE)
		print_summary(&bench);
	return status;
}
