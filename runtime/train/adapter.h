/* SPDX-License-Identifier: MIT */
/** Adapters of low rank, apart from the model they belong to. */
#ifndef WEFT_TRAIN_ADAPTER_H
#define WEFT_TRAIN_ADAPTER_H

#include "graph/graph.h"
#include "weft/model.h"

/** Write the adapters of @graph with the contents that @read returns, as safetensors with rank and alpha as metadata.
 */
int weft_adapter_save(const struct weft_graph *graph, const char *path, weft_read_value read, void *user);

#endif /* WEFT_TRAIN_ADAPTER_H */
