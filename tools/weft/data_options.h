/* SPDX-License-Identifier: MIT */
/** Options that say how data becomes inputs. */
#ifndef WEFT_DATA_OPTIONS_H
#define WEFT_DATA_OPTIONS_H

#include <argp.h>
#include "weft/data.h"

/** --normalize, --seq-len, --vocab; its input is a struct weft_dataset_options. */
extern const struct argp data_argp;
/** The value of --augment: flip, crop:N, or both. */
void data_augmentation(struct argp_state *state, const char *text, struct weft_augmentation *augmentation);

#endif /* WEFT_DATA_OPTIONS_H */
