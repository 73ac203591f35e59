// SPDX-License-Identifier: MIT
#include "adapter.h"

#include <errno.h>
#include <stdlib.h>

#include "import/output.h"
#include "weft/error.h"

static const struct weft_value *matrix(const struct weft_graph *graph, uint32_t index)
{
	const struct weft_adapter *adapter = &graph->adapter[index / 2];

	return &graph->value[index % 2 ? adapter->b : adapter->a];
}

static int make_header(const struct weft_graph *graph, char **header, size_t *size)
{
	uint32_t rank = graph->value[graph->adapter[0].a].layout.dims[0];
	FILE *text = open_memstream(header, size);
	uint64_t offset = 0;

	if (!text)
		return weft_fail(ENOMEM, "no memory for a header");
	fprintf(text, "{\"__metadata__\":{\"r\":\"%u\",\"lora_alpha\":\"%.9g\"}", rank,
		(double)graph->adapter[0].scale * rank);
	for (uint32_t i = 0; i < 2 * graph->adapters; i++) {
		const struct weft_value *value = matrix(graph, i);

		putc(',', text);
		weft_put_json_string(text, value->name);
		fprintf(text, ":{\"dtype\":\"F32\",\"shape\":[%u,%u],\"data_offsets\":[%llu,%llu]}",
			value->layout.dims[0], value->layout.dims[1], (unsigned long long)offset,
			(unsigned long long)(offset + value->bytes));
		offset += value->bytes;
	}
	putc('}', text);
	return fclose(text) ? weft_fail(ENOMEM, "no memory for a header") : 0;
}

int weft_adapter_save(const struct weft_graph *graph, const char *path, weft_read_value read, void *user)
{
	struct weft_output output = {.fd = -1};
	char *header = NULL;
	size_t size = 0;
	int result = make_header(graph, &header, &size);

	if (!result)
		result = weft_output_open(&output, path);
	if (!result)
		result = weft_output_safetensors_head(&output, header, size);
	for (uint32_t i = 0; i < 2 * graph->adapters && !result; i++) {
		const struct weft_value *value = matrix(graph, i);
		void *data = malloc(value->bytes);

		result = data ? read(user, value->name, data, value->bytes)
			      : weft_fail(ENOMEM, "no memory to save %s", value->name);
		if (!result)
			result = weft_output_write(&output, data, value->bytes);
		free(data);
	}
	free(header);
	return output.temporary ? weft_output_close(&output, result) : result;
}
