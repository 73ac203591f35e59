// SPDX-License-Identifier: MIT
/* Errors as sentences, and the log. */
#include "internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static _Thread_local char sentence[1024] = "no error";

ACCEL_EXPORT const char *accel_error(void)
{
	return sentence;
}

int accel_fail(int error, const char *format, ...)
{
	/* Arguments may point into the present sentence. */
	char text[sizeof(sentence)];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	memcpy(sentence, text, sizeof(sentence));
	accel_log(ACCEL_LOG_DEBUG, "error %d: %s", error, text);
	return -error;
}

static const char *const level_names[] = {"error", "warning", "info", "debug"};

static void log_to_stderr(enum accel_log_level level, const char *message, void *user)
{
	(void)user;
	fprintf(stderr, "libaccel: %s: %s\n", level_names[level], message);
}

static accel_log_function log_function = log_to_stderr;
static void *log_user;
static enum accel_log_level log_most = ACCEL_LOG_WARNING;
static pthread_once_t log_once = PTHREAD_ONCE_INIT;

static void log_environment(void)
{
	const char *wanted = getenv("ACCEL_LOG");

	for (unsigned int i = 0; wanted && i < sizeof(level_names) / sizeof(level_names[0]); i++) {
		if (!strcasecmp(wanted, level_names[i]))
			log_most = (enum accel_log_level)i;
	}
}

ACCEL_EXPORT void accel_log_set(accel_log_function function, void *user, enum accel_log_level most)
{
	log_function = function ? function : log_to_stderr;
	log_user = function ? user : NULL;
	log_most = most;
	/* The environment has the last word, whichever came first. */
	log_once = (pthread_once_t)PTHREAD_ONCE_INIT;
}

void accel_log(enum accel_log_level level, const char *format, ...)
{
	char text[sizeof(sentence)];
	va_list arguments;

	pthread_once(&log_once, log_environment);
	if (level > log_most)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	log_function(level, text, log_user);
}
