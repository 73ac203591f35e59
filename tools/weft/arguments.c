// SPDX-License-Identifier: MIT
/* Values of options that several commands take. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

uint64_t argument_whole(struct argp_state *state, const char *option, const char *text, uint64_t least, uint64_t most)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || value < least || value > most)
		argp_error(state, "%s %s: expected a whole number from %llu to %llu", option, text,
			   (unsigned long long)least, (unsigned long long)most);
	return value;
}

double argument_number(struct argp_state *state, const char *option, const char *text, double least, double most)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value >= least) || value > most)
		argp_error(state, "%s %s: expected a number from %g to %g", option, text, least, most);
	return value;
}

uint32_t argument_batch(struct argp_state *state, const char *text)
{
	return (uint32_t)argument_whole(state, "--batch", text, 1, 1 << 20);
}

enum weft_optimizer argument_optimizer(struct argp_state *state, const char *text)
{
	static const char *const name[] = {
		[WEFT_OPTIMIZER_SGD] = "sgd",
		[WEFT_OPTIMIZER_ADAM] = "adam",
		[WEFT_OPTIMIZER_ADAMW] = "adamw",
	};

	for (size_t i = 0; i < sizeof(name) / sizeof(name[0]); i++)
		if (!strcmp(name[i], text))
			return (enum weft_optimizer)i;
	argp_error(state, "--optim %s: expected sgd, adam or adamw", text);
	return WEFT_OPTIMIZER_ADAM;
}
