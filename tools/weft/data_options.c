// SPDX-License-Identifier: MIT
#include "data_options.h"

#include <stdlib.h>
#include <string.h>

#include "command.h"

static const struct argp_option options[] = {
	{"normalize", KEY_NORMALIZE, "MEANS/DEVIATIONS", 0,
	 "Bytes of images become (x / 255 - mean) / deviation, with a number for each channel or one for all, for "
	 "example 0.485,0.456,0.406/0.229,0.224,0.225 (default: by the data set)",
	 17},
	{"seq-len", KEY_SEQ_LEN, "N", 0, "Tokens of a text (default: what the model takes, if it says)", 17},
	{"features", KEY_FEATURES, "WHAT", 0,
	 "Tokens are hashes: words:A-B (n-grams of words), chars:A-B (of a word's characters), or both with a comma "
	 "(default: what the model says)",
	 17},
	{"vocab", KEY_VOCAB, "FILE", 0, "Tokens of text, one a line, as of BERT (default: a token is a byte)", 17},
	{0},
};

/* Numbers with commas between them, up to @end; their count. */
static uint32_t parse_numbers(struct argp_state *state, const char *all, const char *text, const char *end,
			      float number[4])
{
	uint32_t count = 0;

	while (count < 4) {
		char *rest;

		number[count++] = strtof(text, &rest);
		if (rest == text || rest > end || (rest < end && *rest != ','))
			argp_error(state, "--normalize %s: expected MEANS/DEVIATIONS, numbers with commas between them",
				   all);
		if (rest >= end)
			return count;
		text = rest + 1;
	}
	argp_error(state, "--normalize %s: more than four channels", all);
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct weft_dataset_options *data = state->input;
	const char *slash;

	switch (key) {
	case KEY_NORMALIZE:
		slash = strchr(arg, '/');
		if (!slash)
			argp_error(state, "--normalize %s: expected MEANS/DEVIATIONS", arg);
		data->normalisations = parse_numbers(state, arg, arg, slash, data->mean);
		if (parse_numbers(state, arg, slash + 1, arg + strlen(arg), data->deviation) != data->normalisations)
			argp_error(state, "--normalize %s: as many means as deviations are needed", arg);
		return 0;
	case KEY_SEQ_LEN:
		data->sequence = (uint32_t)argument_whole(state, "--seq-len", arg, 1, 1 << 20);
		return 0;
	case KEY_FEATURES:
		data->features = arg;
		return 0;
	case KEY_VOCAB:
		data->vocabulary = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp data_argp = {options, parse, NULL, NULL, NULL, NULL, NULL};

void data_augmentation(struct argp_state *state, const char *text, struct weft_augmentation *augmentation)
{
	while (*text) {
		size_t length = strcspn(text, ",");
		char part[32] = "";

		if (length < sizeof(part))
			memcpy(part, text, length);
		if (!strcmp(part, "flip"))
			augmentation->flip = true;
		else if (!strncmp(part, "crop:", 5))
			augmentation->crop = (uint32_t)argument_whole(state, "--augment crop", part + 5, 1, 4096);
		else
			argp_error(state, "--augment %s: expected flip, crop:N, or both with a comma", text);
		text += length + (text[length] == ',');
	}
}
