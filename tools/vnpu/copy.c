// SPDX-License-Identifier: MIT
/*
 * A copy is a nest of loops around a contiguous run.  The innermost dimensions
 * that are dense on both sides are folded into the run; the others are counted.
 */
#include "copy.h"

#include <string.h>

static const uint8_t element_bits[WEFT_TYPES] = {
	[WEFT_TYPE_F32] = 32, [WEFT_TYPE_F16] = 16, [WEFT_TYPE_BF16] = 16, [WEFT_TYPE_I32] = 32,
	[WEFT_TYPE_I64] = 64, [WEFT_TYPE_I8] = 8,   [WEFT_TYPE_U8] = 8,	   [WEFT_TYPE_I16] = 16,
	[WEFT_TYPE_BOOL] = 8, [WEFT_TYPE_I4] = 4,   [WEFT_TYPE_BIT] = 1,
};

/* Bytes of @elements neighbours, in whole units of a packed type. */
static uint64_t run_bytes(unsigned int type, uint64_t elements)
{
	if (type == WEFT_TYPE_BIT)
		return (elements + 31) / 32 * 4;
	return (elements * element_bits[type] + 7) / 8;
}

uint32_t vnpu_copy(struct vnpu_mmu *mmu, uint32_t context, const struct weft_cmd *command, void *device,
		   uint32_t *operand, uint64_t *address)
{
	bool in = command->engine == WEFT_ENGINE_DMA_IN;
	const struct weft_tensor *host = &command->operand[in ? 0 : 1], *local = &command->operand[in ? 1 : 0];
	uint32_t index[WEFT_MAX_RANK] = {0}, outer = host->rank, type = host->type;
	uint64_t run = 1;

	*operand = in ? 0 : 1;
	/* A dimension folds if the run before it fills its stride on both sides. */
	while (outer) {
		uint32_t extent = host->dims[outer - 1];
		bool dense = host->strides[outer - 1] == (int64_t)run && local->strides[outer - 1] == (int64_t)run;

		if (extent != 1 && !dense)
			break;
		run *= extent;
		outer--;
	}
	for (;;) {
		int64_t host_at = 0, local_at = 0; /* elements */
		uint32_t reason, d;

		for (d = 0; d < outer; d++) {
			host_at += (int64_t)index[d] * host->strides[d];
			local_at += (int64_t)index[d] * local->strides[d];
		}
		reason = vnpu_mmu_copy(mmu, context, host->address + (uint64_t)(host_at * element_bits[type] / 8),
				       run_bytes(type, run), in ? VNPU_READ : VNPU_WRITE,
				       (uint8_t *)device + local_at * element_bits[type] / 8, address);
		if (reason)
			return reason;
		for (d = outer; d > 0; d--) {
			if (++index[d - 1] < host->dims[d - 1])
				break;
			index[d - 1] = 0;
		}
		if (!d)
			return WEFT_FAULT_NONE;
	}
}
