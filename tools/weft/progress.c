// SPDX-License-Identifier: MIT
#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "sizes.h"

#define REDRAW_SECONDS 0.1
#define PLAIN_LINES 4 /* per epoch */

void progress_init(struct progress *progress, bool quiet)
{
	memset(progress, 0, sizeof(*progress));
	progress->quiet = quiet;
	progress->terminal = isatty(STDERR_FILENO);
}

static int columns(void)
{
	struct winsize size;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || size.ws_col < 40 ? 80 : size.ws_col;
}

static double time_left(const struct progress *progress, const struct weft_train_progress *now)
{
	return now->seconds / (double)now->run_steps * (double)(progress->run_total - now->run_steps);
}

/* "epoch 2/5 ████▌      45%  3120 images/s  loss 0.231  12 s left" */
static void draw(const struct progress *progress, const struct weft_train_progress *now)
{
	static const char *const eighth[] = {"", "\u258f", "\u258e", "\u258d", "\u258c", "\u258b", "\u258a", "\u2589"};
	char right[128], left[32], remaining[32];
	int room, filled, width = columns();

	snprintf(left, sizeof(left), "epoch %u/%u ", now->epoch + 1, now->epochs);
	snprintf(right, sizeof(right), " %3.0f%%  %.0f images/s  loss %.4f  %s left",
		 100.0 * (double)now->epoch_step / (double)now->epoch_steps,
		 (double)now->run_steps * now->batch / now->seconds, now->epoch_loss,
		 seconds_format(time_left(progress, now), remaining));
	room = width - (int)strlen(left) - (int)strlen(right) - 1;
	room = room > 40 ? 40 : room;
	fprintf(stderr, "\r%s", left);
	if (room > 4) {
		filled = (int)(8.0 * room * (double)now->epoch_step / (double)now->epoch_steps);
		for (int i = 0; i < room; i++)
			fputs(8 * (i + 1) <= filled ? "\u2588" : 8 * i < filled ? eighth[filled % 8] : " ", stderr);
	}
	fprintf(stderr, "%s\033[K", right);
	fflush(stderr);
}

void progress_step(struct progress *progress, const struct weft_train_progress *now)
{
	if (progress->quiet)
		return;
	if (!progress->run_total)
		progress->run_total = now->run_steps + (uint64_t)now->epochs * now->epoch_steps - now->step;
	if (progress->terminal) {
		if (now->seconds - progress->shown < REDRAW_SECONDS && now->epoch_step < now->epoch_steps)
			return;
		progress->shown = now->seconds;
		draw(progress, now);
		return;
	}
	if (now->epoch_step == 1 || now->run_steps == 1)
		progress->next_line = now->epoch_steps / PLAIN_LINES;
	if (now->epoch_step >= progress->next_line && now->epoch_step < now->epoch_steps) {
		char left[32];

		fprintf(stderr, "epoch %u/%u  step %llu/%llu  %.0f images/s  loss %.4f  %s left\n", now->epoch + 1,
			now->epochs, (unsigned long long)now->epoch_step, (unsigned long long)now->epoch_steps,
			(double)now->run_steps * now->batch / now->seconds, now->epoch_loss,
			seconds_format(time_left(progress, now), left));
		while (progress->next_line <= now->epoch_step)
			progress->next_line += now->epoch_steps / PLAIN_LINES + 1;
	}
}

void progress_clear(struct progress *progress)
{
	if (progress->terminal && !progress->quiet)
		fputs("\r\033[K", stderr);
}

void progress_epoch(struct progress *progress, const struct weft_train_progress *now)
{
	char seconds[32], place[64] = "";

	if (progress->quiet)
		return;
	progress_clear(progress);
	if (now->epoch_step)
		snprintf(place, sizeof(place), "  step %llu/%llu", (unsigned long long)now->epoch_step,
			 (unsigned long long)now->epoch_steps);
	fprintf(stderr, "epoch %u/%u%s  loss %.4f  test accuracy %.2f %%  test loss %.4f  %s\n",
		now->epoch + (now->epoch_step > 0), now->epochs, place, now->epoch_loss, 100 * now->test_accuracy,
		now->test_loss, seconds_format(now->seconds, seconds));
}
