/* SPDX-License-Identifier: MIT */
/** QCONV with one channel in and one out of each group. */
#ifndef WEFT_ENGINE_QDEPTHWISE_H
#define WEFT_ENGINE_QDEPTHWISE_H

#include "integer.h"
#include "kernels.h"

/** Whether the command is one that weft_qconv_depthwise() is made for. */
bool WEFT_KERNEL(weft_is_qdepthwise)(const struct weft_cmd *command);
/** The multipliers have been checked. */
void WEFT_KERNEL(weft_qconv_depthwise)(struct weft_engine_unit *unit, const struct weft_cmd *command,
				       void *const pointer[]);

/** The same for three by three taps by quads of bytes, of commands that weft_is_qdepthwise() is true for. */
bool WEFT_KERNEL(weft_is_qdepthwise3)(const struct weft_cmd *command);
void WEFT_KERNEL(weft_qconv_depthwise3)(struct weft_engine_unit *unit, const struct weft_cmd *command,
					void *const pointer[]);

#endif /* WEFT_ENGINE_QDEPTHWISE_H */
