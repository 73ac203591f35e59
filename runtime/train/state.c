// SPDX-License-Identifier: MIT
#include "state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "weft/error.h"

static const char first_line[] = "weft-training 2\n";
static const char *const optimizer_name[] = {"sgd", "adam", "adamw"};
static const char *const loss_name[] = {"none", "cross-entropy", "mse", "bce", "distill"};

static const char *const schedule_name[] = {"constant", "step", "cosine"};

static void write_patterns(FILE *file, const char *name, const char *const *pattern, uint32_t patterns)
{
	fprintf(file, "%s=", name);
	for (uint32_t i = 0; i < patterns; i++)
		fprintf(file, "%s%s", i ? " " : "", pattern[i]);
	putc('\n', file);
}

static void write_data(FILE *file, const struct weft_train_options *options)
{
	const struct weft_dataset_options *dataset = &options->dataset;

	fprintf(file, "augmentation=%s crop:%u\n", options->augmentation.flip ? "flip" : "no flip",
		options->augmentation.crop);
	fprintf(file, "tokens=%u %s\n", dataset->sequence,
		dataset->vocabulary ? dataset->vocabulary
		: dataset->features ? dataset->features
				    : "bytes");
	fputs("dimensions=", file);
	for (uint32_t i = 0; i < options->dims; i++)
		fprintf(file, "%s%s=%" PRId64, i ? " " : "", options->dim_names[i], options->dim_values[i]);
	putc('\n', file);
	write_patterns(file, "passes left out", options->without_pass, options->without_passes);
	fputs("normalisation=", file);
	for (uint32_t i = 0; i < dataset->normalisations && i < 4; i++)
		fprintf(file, "%s%.9g/%.9g", i ? " " : "", (double)dataset->mean[i], (double)dataset->deviation[i]);
	putc('\n', file);
}

static void write_schedule(FILE *file, const struct weft_train_options *options)
{
	const struct weft_schedule *schedule = &options->schedule;

	fprintf(file, "warm-up=%" PRIu64 "\n", schedule->warmup);
	fprintf(file, "learning-rate schedule=%s", schedule_name[schedule->kind]);
	if (schedule->kind == WEFT_SCHEDULE_STEP)
		fprintf(file, ":%u:%.9g", schedule->epochs, schedule->factor);
	/* Where the rate falls to at the end of training, the end is part of it. */
	if (schedule->kind == WEFT_SCHEDULE_COSINE)
		fprintf(file, ":%.9g of %u epochs", schedule->factor, options->epochs);
	putc('\n', file);
}

static void write_tuning(FILE *file, const struct weft_tuning *tuning)
{
	write_patterns(file, "trained weights", tuning->train, tuning->trains);
	write_patterns(file, "frozen weights", tuning->freeze, tuning->freezes);
	fprintf(file, "adapters=%u:%.9g:%s\n", tuning->lora_rank, (double)tuning->lora_alpha,
		tuning->lora_pattern ? tuning->lora_pattern : "");
	fprintf(file, "label smoothing=%.9g\n", (double)tuning->label_smoothing);
	fprintf(file, "clipping=%.9g\n", (double)tuning->clip_norm);
	fprintf(file, "accumulation=%u\n", tuning->accumulate > 1 ? tuning->accumulate : 1);
	if (tuning->distillation) {
		const struct weft_distillation *d = tuning->distillation;

		fprintf(file, "distillation=%.9g:%.9g:%.9g:%.9g:%u:%u:%.9g:%.9g:%d\n", (double)d->teacher_label,
			(double)d->teacher, (double)d->label, (double)d->temperature, d->teachers, d->hidden,
			(double)d->hidden_weight, (double)d->neighbour_weight, d->both_ways);
	}
}

/* What must be the same for a resumed run to end in the same weights: one option per line. */
static void write_options(FILE *file, const struct weft_train_options *options)
{
	const float *hyper = options->hyper;

	fputs(first_line, file);
	fprintf(file, "data=%s\n", options->data);
	fprintf(file, "batch=%u\n", options->batch);
	fprintf(file, "optimizer=%s\n", optimizer_name[options->optimizer]);
	fprintf(file, "loss=%s\n", loss_name[options->loss]);
	fprintf(file, "learning rate=%.9g\n", (double)hyper[WEFT_HYPER_LR]);
	fprintf(file, "momentum or beta1=%.9g\n", (double)hyper[WEFT_HYPER_BETA1]);
	fprintf(file, "dampening or beta2=%.9g\n", (double)hyper[WEFT_HYPER_BETA2]);
	fprintf(file, "epsilon=%.9g\n", (double)hyper[WEFT_HYPER_EPSILON]);
	fprintf(file, "weight decay=%.9g\n", (double)hyper[WEFT_HYPER_WEIGHT_DECAY]);
	fprintf(file, "gradient scale=%.9g\n", (double)hyper[WEFT_HYPER_GRADIENT_SCALE]);
	fprintf(file, "seed=%" PRIu64 "\n", options->session.seed);
	write_data(file, options);
	write_schedule(file, options);
	write_tuning(file, &options->tuning);
	if (options->labelled || options->neighbour)
		fprintf(file, "labelled=%u%s\n", options->labelled, options->neighbour ? " with neighbours" : "");
	fprintf(file, "evaluation every=%u\n", options->evaluate_every);
	fprintf(file, "patience=%u\n", options->patience);
}

char *weft_train_state_write(const struct weft_train_options *options, const struct weft_train_state *state)
{
	char *text = NULL;
	size_t bytes;
	FILE *file = open_memstream(&text, &bytes);

	if (!file)
		return NULL;
	write_options(file, options);
	fprintf(file, "epoch=%u\nepoch step=%" PRIu64 "\nloss sum=%a\nlast loss=%a\n", state->epoch, state->epoch_step,
		state->loss_sum, state->last_loss);
	fprintf(file, "best=%" PRIu64 " %a %a %s\nwaited=%u\n", state->best_step, state->best_loss,
		state->best_accuracy, state->best_sha256[0] ? state->best_sha256 : "-", state->waited);
	if (fclose(file)) {
		free(text);
		return NULL;
	}
	return text;
}

/* The two lines differ: say which option, and both values. */
static int differs(const char *had, const char *wanted)
{
	int name = (int)strcspn(wanted, "=\n"), had_line = (int)strcspn(had, "\n"),
	    wanted_line = (int)strcspn(wanted, "\n");

	if (had_line <= name || strncmp(had, wanted, (size_t)name + 1))
		return weft_fail(EINVAL,
				 "the checkpoint's description of its run is damaged or of another version at '%.*s'",
				 had_line, had);
	return weft_fail(EINVAL,
			 "the checkpoint was made with %.*s %.*s, now it is %.*s: resume with the same options, or "
			 "train into another directory",
			 name, wanted, had_line - name - 1, had + name + 1, wanted_line - name - 1, wanted + name + 1);
}

int weft_train_state_read(const char *text, size_t bytes, const struct weft_train_options *options,
			  struct weft_train_state *state)
{
	char *had = strndup(text, bytes), *wanted = NULL, *at, *expected;
	size_t wanted_bytes;
	FILE *file = open_memstream(&wanted, &wanted_bytes);
	int result = 0;

	if (file) {
		write_options(file, options);
		fclose(file);
	}
	if (!had || !file || !wanted) {
		result = weft_fail(ENOMEM, "out of memory");
		goto out;
	}
	for (at = had, expected = wanted; *expected && !result;) {
		size_t line = strcspn(expected, "\n") + 1;

		if (strncmp(at, expected, line))
			result = differs(at, expected);
		else
			at += line;
		expected += line;
	}
	if (!result && sscanf(at,
			      "epoch=%" SCNu32 "\nepoch step=%" SCNu64 "\nloss sum=%la\nlast loss=%la\nbest=%" SCNu64
			      " %la %la %64s\nwaited=%" SCNu32 "\n",
			      &state->epoch, &state->epoch_step, &state->loss_sum, &state->last_loss, &state->best_step,
			      &state->best_loss, &state->best_accuracy, state->best_sha256, &state->waited) != 9)
		result = weft_fail(EINVAL, "the checkpoint does not say how far its run was");
out:
	free(had);
	free(wanted);
	return result;
}

int weft_metrics_trim(const char *path, uint64_t step)
{
	char temporary[600], *line = NULL;
	size_t room = 0;
	FILE *from = fopen(path, "re"), *to;
	ssize_t length;
	int result = 0;

	if (!from)
		return errno == ENOENT ? 0 : weft_fail(errno, "%s: %m", path);
	snprintf(temporary, sizeof(temporary), "%s.new", path);
	to = fopen(temporary, "we");
	if (!to) {
		result = weft_fail(errno, "%s: %m", temporary);
		fclose(from);
		return result;
	}
	while ((length = getline(&line, &room, from)) > 0) {
		uint64_t at;

		if (line[length - 1] == '\n' && sscanf(line, "{\"epoch\":%*u,\"step\":%" SCNu64, &at) == 1 && at < step)
			fputs(line, to);
	}
	free(line);
	fclose(from);
	if (fflush(to) || fsync(fileno(to)))
		result = weft_fail(errno, "%s: %m", temporary);
	fclose(to);
	if (!result && rename(temporary, path))
		result = weft_fail(errno, "%s: %m", path);
	if (result)
		unlink(temporary);
	return result;
}

int weft_metrics_append(const char *path, const struct weft_train_progress *progress)
{
	FILE *file = fopen(path, "ae");
	int result = 0;

	if (!file)
		return weft_fail(errno, "%s: %m", path);
	fprintf(file,
		"{\"epoch\":%u,\"step\":%" PRIu64
		",\"loss\":%.9g,\"test_accuracy\":%.9g,\"test_loss\":%.9g,\"learning_rate\":%.9g,\"seconds\":%.3f}\n",
		progress->epoch, progress->step, progress->epoch_loss, progress->test_accuracy, progress->test_loss,
		progress->learning_rate, progress->seconds);
	if (fflush(file) || ferror(file))
		result = weft_fail(errno, "%s: %m", path);
	fclose(file);
	return result;
}
