// SPDX-License-Identifier: MIT
#include "weft/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char sentence[1024] = "no error";

const char *weft_error(void)
{
	return sentence;
}

int weft_fail(int error, const char *format, ...)
{
	/* Arguments may point into the present sentence. */
	char text[sizeof(sentence)];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	memcpy(sentence, text, sizeof(sentence));
	return -error;
}

int weft_fail_in(int result, const char *format, ...)
{
	char text[sizeof(sentence)];
	va_list arguments;
	int used;

	va_start(arguments, format);
	used = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (used >= 0 && (size_t)used < sizeof(text))
		snprintf(text + used, sizeof(text) - (size_t)used, ": %s", sentence);
	memcpy(sentence, text, sizeof(sentence));
	return result;
}
