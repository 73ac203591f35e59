/* SPDX-License-Identifier: MIT */
/** What actions cost on a device, for planners. */
#ifndef WEFT_EXEC_COSTS_H
#define WEFT_EXEC_COSTS_H

#include <accel/accel.h>

#include "plan/plan.h"

/** Costs of every operation of @graph and of transfers by the analytical model of @device.  Free with
 * weft_costs_clear(). */
int weft_costs_model(struct accel_device *device, const struct weft_graph *graph, struct weft_costs *costs);
void weft_costs_clear(struct weft_costs *costs);

#endif /* WEFT_EXEC_COSTS_H */
