// SPDX-License-Identifier: MIT
#include "feed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "feed_text.h"
#include "graph/graph.h"
#include "import/model.h"
#include "weft/error.h"
#include "weft/train.h"

/* What a model of text says it was trained with. */
static const char *features_of(const struct weft_model *model)
{
	for (size_t i = 0; i < model->proto->n_metadata_props; i++) {
		const Onnx__StringStringEntryProto *entry = model->proto->metadata_props[i];

		if (entry->key && entry->value && !strcmp(entry->key, WEFT_FEATURES_KEY))
			return entry->value;
	}
	return NULL;
}

int weft_dataset_options_for(const struct weft_model *model, struct weft_dataset_options *options)
{
	struct weft_model_info info;
	int result = weft_model_info(model, &info);

	if (!result && info.input_rank == 2 && !options->sequence && info.input_dims[1] > 0 &&
	    info.input_dims[1] <= UINT32_MAX)
		options->sequence = (uint32_t)info.input_dims[1];
	if (!options->features && !options->vocabulary)
		options->features = features_of(model);
	if (result || info.input_rank != 4)
		return result;
	if (info.input_dims[1] > 0 && info.input_dims[1] <= UINT32_MAX)
		options->channels = (uint32_t)info.input_dims[1];
	if (info.input_dims[2] > 0 && info.input_dims[2] <= UINT32_MAX && info.input_dims[3] > 0 &&
	    info.input_dims[3] <= UINT32_MAX) {
		options->height = (uint32_t)info.input_dims[2];
		options->width = (uint32_t)info.input_dims[3];
	}
	return 0;
}

/* Does the value take images as the data set has them, and in which order of memory? */
static int match_images(struct weft_feed *feed, const struct weft_value *value, const struct weft_dataset_info *info)
{
	const struct weft_layout *layout = &value->layout;
	uint64_t elements = (uint64_t)info->channels * info->height * info->width;

	if (layout->type != WEFT_TYPE_F32)
		return weft_fail(EINVAL, "the model's input '%s' is not float32, which images are", value->name);
	if (layout->rank == 4 && layout->dims[1] == info->channels && layout->dims[2] == info->height &&
	    layout->dims[3] == info->width) {
		feed->channels_last = info->channels > 1 && layout->strides[1] == 1;
		return 0;
	}
	if (layout->rank != 4 && weft_layout_elements(layout) == feed->batch * elements) {
		feed->channels_last = false;
		return 0;
	}
	return weft_fail(EINVAL,
			 "the model's input '%s' is of %u x %u x %u (channels, rows, columns), the images of data set "
			 "%s are of %u x %u x %u",
			 value->name, layout->rank > 1 ? layout->dims[1] : 1, layout->rank > 2 ? layout->dims[2] : 1,
			 layout->rank > 3 ? layout->dims[3] : 1, info->name, info->channels, info->height, info->width);
}

/* A loss of class indices takes them as they are. */
static int take_label_input(struct weft_feed *feed, const struct weft_value *label)
{
	size_t bytes;
	void *memory;
	int result = weft_session_input(feed->session, label->name, &memory, &bytes);

	if (result)
		return result;
	if (label->layout.type == WEFT_TYPE_F32 && label->layout.rank && label->layout.rank <= 2 &&
	    label->layout.dims[0] == feed->batch) {
		feed->target = label;
		feed->targets = memory;
		return 0;
	}
	if (label->layout.type != WEFT_TYPE_I32 || bytes < feed->batch * sizeof(int32_t))
		return weft_fail(
			EINVAL,
			"the model's label input '%s' takes neither one class index nor a row of targets for each "
			"example",
			label->name);
	feed->labels = memory;
	return 0;
}

static int match_labels(struct weft_feed *feed, const struct weft_graph *graph, const struct weft_dataset_info *info)
{
	const struct weft_value *output = graph->model_outputs ? &graph->value[graph->model_output[0]] : NULL;
	int result = 0;

	if (graph->label != WEFT_NO_ID)
		result = take_label_input(feed, &graph->value[graph->label]);
	if (result)
		return result;
	if (output && output->layout.rank == 2 && output->layout.dims[1] < info->classes &&
	    (output->layout.dims[1] != 1 || (graph->label != WEFT_NO_ID && !feed->target)))
		return weft_fail(EINVAL, "the model's output '%s' has %u classes, data set %s has %u", output->name,
				 output->layout.dims[1], info->name, info->classes);
	if (feed->labels)
		return 0;
	feed->own_labels = calloc(feed->batch, sizeof(*feed->own_labels));
	feed->labels = feed->own_labels;
	return feed->labels ? 0 : weft_fail(ENOMEM, "out of memory");
}

static int init_images(struct weft_feed *feed, const struct weft_graph *graph, const struct weft_dataset_info *info)
{
	const struct weft_value *value = &graph->value[graph->input[0]];
	size_t bytes;
	void *memory;
	int result = match_images(feed, value, info);

	if (!result)
		result = weft_session_input(feed->session, value->name, &memory, &bytes);
	if (result)
		return result;
	if (bytes < (uint64_t)feed->batch * info->channels * info->height * info->width * sizeof(float))
		return weft_fail(EINVAL, "the model's input '%s' has room for %zu bytes, a batch of images is larger",
				 value->name, bytes);
	feed->images = memory;
	return 0;
}

int weft_feed_init(struct weft_feed *feed, struct weft_session *session, struct weft_dataset *dataset)
{
	const struct weft_graph *graph = weft_session_graph(session);
	struct weft_dataset_info info;
	int result;

	memset(feed, 0, sizeof(*feed));
	feed->session = session;
	feed->dataset = dataset;
	feed->batch = graph->batch;
	weft_dataset_info(dataset, &info);
	if (!graph->inputs || !graph->batch)
		return weft_fail(EINVAL,
				 "the model has no input with a batch dimension, so no examples can be fed to it");
	result = info.sequence ? weft_feed_init_text(feed, graph, &info) : init_images(feed, graph, &info);
	if (!result)
		result = match_labels(feed, graph, &info);
	if (!result) {
		feed->index = calloc(feed->batch, sizeof(*feed->index));
		if (!feed->index)
			result = weft_fail(ENOMEM, "out of memory");
	}
	if (result)
		weft_feed_done(feed);
	return result;
}

void weft_feed_done(struct weft_feed *feed)
{
	free(feed->own_labels);
	free(feed->index);
	free(feed->text);
	free(feed->tokens);
	free(feed->features);
	free(feed->used);
	memset(feed, 0, sizeof(*feed));
}

static int fill_targets(struct weft_feed *feed)
{
	const struct weft_layout *layout = &feed->target->layout;
	uint32_t width = layout->rank == 2 ? layout->dims[1] : 1;

	for (uint32_t i = 0; i < feed->batch; i++) {
		float *row = feed->targets + (size_t)i * (size_t)layout->strides[0];

		if (width == 1) {
			*row = (float)feed->labels[i];
			continue;
		}
		if (feed->labels[i] < 0 || (uint32_t)feed->labels[i] >= width)
			return weft_fail(EINVAL, "label %d is not one of the model's %u outputs", feed->labels[i],
					 width);
		for (uint32_t c = 0; c < width; c++)
			row[(size_t)c * (size_t)layout->strides[1]] = c == (uint32_t)feed->labels[i] ? 1.0f : 0.0f;
	}
	return 0;
}

int weft_feed_fill(struct weft_feed *feed)
{
	int result = feed->text
			     ? weft_feed_fill_text(feed)
			     : weft_dataset_read_augmented(feed->dataset, feed->augmentation, feed->index, feed->batch,
							   feed->channels_last, feed->images, feed->labels);

	return result || !feed->target ? result : fill_targets(feed);
}
