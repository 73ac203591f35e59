// SPDX-License-Identifier: MIT
/* "embedded:mem=16M,threads=2,isa=avx2,profile=weft-1" */
#include "embedded.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define DEFAULT_MEMORY ((uint64_t)256 << 20)
#define MOST_MEMORY ((uint64_t)1 << 46)

/* Digits with K, M, G or T behind them. */
static bool parse_size(const char *text, size_t length, uint64_t *value)
{
	static const char units[] = "KMGT";
	uint64_t result = 0;
	size_t i = 0;

	for (; i < length && isdigit((unsigned char)text[i]); i++) {
		if (__builtin_mul_overflow(result, 10, &result) ||
		    __builtin_add_overflow(result, (uint64_t)(text[i] - '0'), &result))
			return false;
	}
	if (!i || length - i > 1)
		return false;
	if (length - i == 1) {
		const char *unit = strchr(units, toupper((unsigned char)text[i]));
		unsigned int shift;

		if (!text[i] || !unit)
			return false;
		shift = 10 * (unsigned int)(unit - units + 1);
		if (result > UINT64_MAX >> shift)
			return false;
		result <<= shift;
	}
	*value = result;
	return true;
}

static int parse_memory(const char *text, int length, struct embedded_options *options)
{
	uint64_t bytes;

	if (!parse_size(text, (size_t)length, &bytes) || bytes < EMBEDDED_PAGE || bytes > MOST_MEMORY)
		return accel_fail(EINVAL, "embedded device: mem=%.*s; expected a size from 4K to 64T, such as 16M",
				  length, text);
	options->memory_bytes = (bytes + EMBEDDED_PAGE - 1) & ~(uint64_t)(EMBEDDED_PAGE - 1);
	return 0;
}

static int parse_threads(const char *text, int length, struct embedded_options *options)
{
	uint64_t threads;

	if (!parse_size(text, (size_t)length, &threads) || threads < 1 || threads > WEFT_ENGINE_MAX_LANES)
		return accel_fail(EINVAL, "embedded device: threads=%.*s; expected a number from 1 to %u", length, text,
				  WEFT_ENGINE_MAX_LANES);
	options->threads = (unsigned int)threads;
	return 0;
}

static bool equals(const char *text, int length, const char *word)
{
	return strlen(word) == (size_t)length && !memcmp(text, word, (size_t)length);
}

static int parse_isa(const char *text, int length, struct embedded_options *options)
{
	static const struct {
		const char *name;
		enum weft_engine_isa isa;
	} isas[] = {
		{"auto", WEFT_ENGINE_AUTO},
		{"scalar", WEFT_ENGINE_SCALAR},
		{"avx2", WEFT_ENGINE_AVX2},
		{"avx512", WEFT_ENGINE_AVX512},
		{"neon", WEFT_ENGINE_NEON},
	};

	for (size_t i = 0; i < sizeof(isas) / sizeof(isas[0]); i++) {
		if (equals(text, length, isas[i].name)) {
			options->isa = isas[i].isa;
			return 0;
		}
	}
	return accel_fail(EINVAL, "embedded device: isa=%.*s; expected auto, scalar, avx2, avx512 or neon", length, text);
}

static int parse_profile(const char *text, int length, struct embedded_options *options)
{
	const struct weft_model *model;
	char names[256] = "";

	for (unsigned int i = 0; (model = weft_model_get(i)); i++) {
		if (equals(text, length, model->name)) {
			options->model = model;
			return 0;
		}
		strncat(names, i ? ", " : "", sizeof(names) - strlen(names) - 1);
		strncat(names, model->name, sizeof(names) - strlen(names) - 1);
	}
	return accel_fail(EINVAL, "embedded device: profile=%.*s; expected one of %s", length, text, names);
}

static const struct {
	const char *key;
	int (*parse)(const char *text, int length, struct embedded_options *options);
} keys[] = {
	{"mem", parse_memory},
	{"threads", parse_threads},
	{"isa", parse_isa},
	{"profile", parse_profile},
};

#define KEYS (sizeof(keys) / sizeof(keys[0]))

static int parse_option(const char *option, int length, struct embedded_options *options, unsigned int *seen)
{
	const char *value = memchr(option, '=', (size_t)length);
	int key_length = value ? (int)(value - option) : length;

	for (size_t i = 0; i < KEYS; i++) {
		if (!equals(option, key_length, keys[i].key))
			continue;
		if (!value)
			return accel_fail(EINVAL, "embedded device: option %s needs a value: %s=...", keys[i].key,
					  keys[i].key);
		if (*seen & 1u << i)
			return accel_fail(EINVAL, "embedded device: option %s is given twice", keys[i].key);
		*seen |= 1u << i;
		return keys[i].parse(value + 1, length - key_length - 1, options);
	}
	return accel_fail(EINVAL, "embedded device: unknown option \"%.*s\"; expected mem, threads, isa or profile",
			  key_length, option);
}

int embedded_parse(const char *spec, struct embedded_options *options)
{
	const char *option = strchr(spec, ':');
	unsigned int seen = 0;

	*options = (struct embedded_options){
		.memory_bytes = DEFAULT_MEMORY,
		.threads = 1,
		.isa = WEFT_ENGINE_AUTO,
		.model = weft_model_find("host"),
	};
	while (option) {
		int length = (int)strcspn(++option, ","), result;

		if (!length)
			return accel_fail(EINVAL, "embedded device: \"%s\" has an empty option at byte %d", spec,
					  (int)(option - spec));
		result = parse_option(option, length, options, &seen);
		if (result)
			return result;
		option = option[length] ? option + length : NULL;
	}
	return 0;
}
