// SPDX-License-Identifier: MIT
#include "sizes.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int size_parse(const char *text, uint64_t *bytes)
{
	static const char units[] = "KMGT";
	unsigned int shift = 0;
	const char *unit;
	double value;
	char *end;

	if (!strcmp(text, "unlimited")) {
		*bytes = UINT64_MAX;
		return 0;
	}
	if (strspn(text, "0123456789.") == 0)
		return -EINVAL;
	/* Whole numbers are kept to the last byte. */
	errno = 0;
	*bytes = strtoull(text, &end, 10);
	if (errno)
		return -ERANGE;
	value = (double)*bytes;
	if (*end == '.') {
		size_t digits = strspn(end + 1, "0123456789");

		value = strtod(text, NULL);
		end += 1 + digits;
		if (!digits)
			return -EINVAL;
	}
	unit = *end ? strchr(units, *end >= 'a' ? *end - 'a' + 'A' : *end) : NULL;
	if (unit) {
		shift = 10 * (unsigned int)(unit - units + 1);
		end++;
		if (*end == 'i')
			end++;
	}
	if (*end == 'B')
		end++;
	if (*end)
		return -EINVAL;
	if (value * (double)(UINT64_C(1) << shift) >= 0x1p63)
		return -ERANGE;
	*bytes = value == (double)*bytes ? *bytes << shift : (uint64_t)(value * (double)(UINT64_C(1) << shift));
	return 0;
}

const char *size_format(uint64_t bytes, char text[24])
{
	static const char units[] = "KMGTPE";
	double value = (double)bytes / 1024;
	int unit = 0;

	if (bytes == UINT64_MAX) {
		strcpy(text, "unlimited");
	} else if (bytes < 1024) {
		snprintf(text, 24, "%" PRIu64 " B", bytes);
	} else {
		while (value >= 1023.95 && units[unit + 1]) {
			value /= 1024;
			unit++;
		}
		snprintf(text, 24, "%.*f %ciB", value < 99.95 ? 1 : 0, value, units[unit]);
	}
	return text;
}

const char *size_exact(uint64_t bytes, char text[24])
{
	if (bytes && bytes % (1 << 20) == 0)
		snprintf(text, 24, "%" PRIu64 "M", bytes >> 20);
	else if (bytes && bytes % (1 << 10) == 0)
		snprintf(text, 24, "%" PRIu64 "K", bytes >> 10);
	else
		snprintf(text, 24, "%" PRIu64, bytes);
	return text;
}

const char *seconds_format(double seconds, char text[32])
{
	if (!isfinite(seconds))
		strcpy(text, "-");
	else if (seconds < 1e-3)
		snprintf(text, 32, "%.0f \302\265s", seconds * 1e6);
	else if (seconds < 1)
		snprintf(text, 32, "%.*f ms", seconds < 0.1 ? 2 : 0, seconds * 1e3);
	else if (seconds < 99.95)
		snprintf(text, 32, "%.1f s", seconds);
	else
		snprintf(text, 32, "%.0f min %02.0f s", floor(seconds / 60), floor(fmod(seconds, 60)));
	return text;
}

const char *joules_format(double joules, char text[32])
{
	if (joules < 1e-3)
		snprintf(text, 32, "%.1f \302\265J", joules * 1e6);
	else if (joules < 1)
		snprintf(text, 32, "%.2f mJ", joules * 1e3);
	else
		snprintf(text, 32, "%.2f J", joules);
	return text;
}
