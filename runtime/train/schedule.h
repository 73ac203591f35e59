/* SPDX-License-Identifier: MIT */
#ifndef WEFT_TRAIN_SCHEDULE_H
#define WEFT_TRAIN_SCHEDULE_H

#include "weft/train.h"

/** What the learning rate is multiplied by in update @update, from 0, of @updates, @epoch_updates of them an epoch. */
double weft_schedule_factor(const struct weft_schedule *schedule, uint64_t update, uint64_t updates,
			    uint64_t epoch_updates);

#endif /* WEFT_TRAIN_SCHEDULE_H */
