// SPDX-License-Identifier: MIT
#include "micro_batches.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "weft/error.h"

void micro_batches_suggest(int result, const struct weft_micro_batches *found)
{
	if (result == -EOPNOTSUPP)
		fprintf(stderr, "weft: %s\n", weft_error());
	if (result)
		return;
	fprintf(stderr,
		"weft: or --batch %" PRIu32 " --accumulate %" PRIu32
		", which --micro-batches chooses by itself: the same examples for each update, their gradients added "
		"in "
		"another order, so that last bits differ\n",
		found->batch, found->accumulate);
}

void micro_batches_chosen(const struct weft_micro_batches *found)
{
	fprintf(stderr,
		"weft: the batch does not fit: going on with --batch %" PRIu32 " --accumulate %" PRIu32
		", whose gradients are added in another order\n",
		found->batch, found->accumulate);
}
