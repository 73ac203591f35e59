// SPDX-License-Identifier: MIT
/* Schedules of the POET problem as bit matrices. */
#include "plan/poet/poet.h"

#include "weft/error.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct weft_poet_schedule *weft_poet_schedule_new(uint32_t nodes)
{
	struct weft_poet_schedule *schedule = calloc(1, sizeof(*schedule));
	size_t words;

	if (!schedule)
		return NULL;
	schedule->nodes = nodes;
	schedule->row_words = nodes / 64 + 1;
	words = (size_t)nodes * schedule->row_words;
	/* One block for all five, so that there is one thing to fail and to free. */
	schedule->compute = nodes <= WEFT_POET_MAX_NODES ? calloc(5 * words + 1, sizeof(uint64_t)) : NULL;
	if (!schedule->compute) {
		free(schedule);
		return NULL;
	}
	schedule->retained = schedule->compute + words;
	schedule->stored = schedule->retained + words;
	schedule->page_in = schedule->stored + words;
	schedule->page_out = schedule->page_in + words;
	return schedule;
}

void weft_poet_schedule_free(struct weft_poet_schedule *schedule)
{
	if (!schedule)
		return;
	free(schedule->compute);
	free(schedule);
}

static void write_list(const struct weft_poet_schedule *schedule, const uint64_t *matrix, uint32_t stage,
		       const char *name, const char *before, FILE *file)
{
	bool any = false;

	for (uint32_t i = 0; i <= stage; i++) {
		if (!weft_poet_bit(schedule, matrix, stage, i))
			continue;
		if (any)
			fprintf(file, ",%" PRIu32, i);
		else
			fprintf(file, "%s\"%s\":[%" PRIu32, before, name, i);
		any = true;
	}
	if (any)
		fputc(']', file);
}

int weft_poet_schedule_write(const struct weft_poet_schedule *schedule, FILE *file)
{
	fputc('[', file);
	for (uint32_t t = 0; t < schedule->nodes; t++) {
		fprintf(file, "%s{\"stage\":%" PRIu32, t ? "," : "", t);
		write_list(schedule, schedule->compute, t, "compute", ",", file);
		write_list(schedule, schedule->retained, t, "retained", ",", file);
		write_list(schedule, schedule->page_in, t, "page_in", ",", file);
		write_list(schedule, schedule->page_out, t, "page_out", ",", file);
		fputc('}', file);
	}
	fputc(']', file);
	if (ferror(file))
		return weft_fail(errno ? errno : EIO, "writing a schedule: %s", strerror(errno ? errno : EIO));
	return 0;
}
