// SPDX-License-Identifier: MIT
#include "feed_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "weft/error.h"

enum role { ROLE_TOKENS, ROLE_FEATURES, ROLE_MASK, ROLE_SEGMENT, ROLE_POSITION };

struct weft_text_input {
	const struct weft_value *value;
	enum role role;
	void *memory;
};

/* Hashed features have a role of their own where they come besides tokens. */
static enum role role_of(const char *name, const struct weft_dataset_info *info)
{
	if (info->features && strstr(name, "features"))
		return ROLE_FEATURES;
	if (strstr(name, "mask"))
		return ROLE_MASK;
	if (strstr(name, "type") || strstr(name, "segment"))
		return ROLE_SEGMENT;
	return strstr(name, "position") ? ROLE_POSITION : ROLE_TOKENS;
}

static int check_input(const struct weft_feed *feed, const struct weft_value *value,
		       const struct weft_dataset_info *info)
{
	const struct weft_layout *layout = &value->layout;
	enum role role = role_of(value->name, info);
	uint32_t expected = role == ROLE_FEATURES ? info->features : info->sequence;

	if (layout->rank != 2 || layout->dims[0] != feed->batch || layout->dims[1] != expected)
		return weft_fail(
			EINVAL,
			"the model's input '%s' is not of %u x %u (batch, tokens), as texts are; the number of "
			"tokens is given with --seq-len",
			value->name, feed->batch, expected);
	switch (layout->type) {
	case WEFT_TYPE_I64:
	case WEFT_TYPE_I32:
		return 0;
	case WEFT_TYPE_F32:
	case WEFT_TYPE_BOOL:
		if (role == ROLE_MASK)
			return 0;
		break;
	}
	return weft_fail(EINVAL, "the model's input '%s' is not of whole numbers, which tokens are", value->name);
}

int weft_feed_init_text(struct weft_feed *feed, const struct weft_graph *graph, const struct weft_dataset_info *info)
{
	uint32_t tokens = 0, features = 0;

	feed->text = calloc(graph->inputs, sizeof(*feed->text));
	feed->tokens = calloc((size_t)feed->batch * info->sequence, sizeof(*feed->tokens));
	feed->used = calloc(feed->batch, sizeof(*feed->used));
	if (info->features)
		feed->features = calloc((size_t)feed->batch * info->features, sizeof(*feed->features));
	if (!feed->text || !feed->tokens || !feed->used || !feed->features != !info->features)
		return weft_fail(ENOMEM, "out of memory");
	for (uint32_t i = 0; i < graph->inputs; i++) {
		const struct weft_value *value = &graph->value[graph->input[i]];
		struct weft_text_input *input = &feed->text[feed->texts];
		int result;

		if (graph->input[i] == graph->label)
			continue;
		result = check_input(feed, value, info);
		if (!result)
			result = weft_session_input(feed->session, value->name, &input->memory, NULL);
		if (result)
			return result;
		input->value = value;
		input->role = role_of(value->name, info);
		tokens += input->role == ROLE_TOKENS;
		features += input->role == ROLE_FEATURES;
		feed->texts++;
	}
	if (tokens != 1 && !(features && !tokens))
		return weft_fail(EINVAL,
				 "the model has %u inputs that could take tokens; exactly one is expected, besides "
				 "masks, types and positions",
				 tokens);
	return 0;
}

static void put(void *memory, uint8_t type, size_t index, int64_t number)
{
	switch (type) {
	case WEFT_TYPE_I64:
		((int64_t *)memory)[index] = number;
		break;
	case WEFT_TYPE_I32:
		((int32_t *)memory)[index] = (int32_t)number;
		break;
	case WEFT_TYPE_F32:
		((float *)memory)[index] = (float)number;
		break;
	default:
		((uint8_t *)memory)[index] = (uint8_t)number;
	}
}

static int64_t number_for(const struct weft_feed *feed, enum role role, uint32_t row, uint32_t token, uint32_t sequence)
{
	switch (role) {
	case ROLE_TOKENS:
		return feed->tokens[(size_t)row * sequence + token];
	case ROLE_FEATURES:
		return feed->features[(size_t)row * sequence + token];
	case ROLE_MASK:
		return token < feed->used[row];
	case ROLE_POSITION:
		return token;
	case ROLE_SEGMENT:
		break;
	}
	return 0;
}

int weft_feed_fill_text(struct weft_feed *feed)
{
	int result = weft_dataset_read_tokens(feed->dataset, feed->index, feed->batch, feed->tokens, feed->used,
					      feed->labels);

	if (!result && feed->features)
		result = weft_dataset_read_features(feed->dataset, feed->index, feed->batch, feed->features);
	for (uint32_t i = 0; i < feed->texts && !result; i++) {
		const struct weft_text_input *input = &feed->text[i];
		const struct weft_layout *layout = &input->value->layout;

		for (uint32_t row = 0; row < feed->batch; row++)
			for (uint32_t t = 0; t < layout->dims[1]; t++)
				put(input->memory, layout->type,
				    (size_t)row * (size_t)layout->strides[0] + (size_t)t * (size_t)layout->strides[1],
				    number_for(feed, input->role, row, t, layout->dims[1]));
	}
	return result;
}
