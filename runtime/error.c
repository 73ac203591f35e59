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
	char context[sizeof(sentence)], text[2 * sizeof(sentence) + 2];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(context, sizeof(context), format, arguments);
	va_end(arguments);
	snprintf(text, sizeof(text), "%s: %s", context, sentence);
	text[sizeof(sentence) - 1] = '\0';
	memcpy(sentence, text, sizeof(sentence));
	return result;
}
