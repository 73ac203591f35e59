// SPDX-License-Identifier: MIT
#include "integer.h"

enum weft_fault weft_multipliers_check(const struct weft_tensor *tensor, const void *at, unsigned int operand,
				       struct weft_fault_record *fault)
{
	const int32_t *row = at;

	for (uint32_t i = 0; i < tensor->dims[0]; i++, row += tensor->strides[0]) {
		bool shift = row[1] < 1 || row[1] > 62;

		if (row[0] >= 0 && !shift)
			continue;
		fault->operand = (uint8_t)operand;
		fault->address = (uint64_t)(int64_t)row[shift];
		return WEFT_FAULT_VALUE;
	}
	return WEFT_FAULT_NONE;
}
