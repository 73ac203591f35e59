// SPDX-License-Identifier: MIT
#include "record.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "weft/error.h"

#define CHUNK 65536
#define MOST_RECORD (16u << 20)

void weft_record_begin(struct weft_record_reader *reader, const struct weft_data_file *file, bool json)
{
	*reader = (struct weft_record_reader){.file = file, .json = json, .line = 1};
}

void weft_record_end(struct weft_record_reader *reader)
{
	free(reader->buffer);
	reader->buffer = NULL;
}

/* More bytes of the file behind those that are there; *more says whether there were any. */
static int fill(struct weft_record_reader *reader, bool *more)
{
	uint64_t at = reader->offset + (reader->end - reader->begin), left = reader->file->bytes - at;
	size_t chunk = left < CHUNK ? (size_t)left : CHUNK;
	int result;

	*more = chunk > 0;
	if (!chunk)
		return 0;
	if (reader->begin) {
		memmove(reader->buffer, reader->buffer + reader->begin, reader->end - reader->begin);
		reader->end -= reader->begin;
		reader->begin = 0;
	}
	if (reader->room - reader->end < chunk) {
		size_t room = reader->room ? 2 * reader->room : 2 * CHUNK;
		char *larger = room <= 2 * (size_t)MOST_RECORD ? realloc(reader->buffer, room) : NULL;

		if (!larger)
			return weft_fail(room > 2 * (size_t)MOST_RECORD ? EINVAL : ENOMEM,
					 "%s: line %llu: a record of more than %u bytes; is a quote not closed?",
					 reader->file->path, (unsigned long long)reader->line, MOST_RECORD);
		reader->buffer = larger;
		reader->room = room;
	}
	result = weft_data_file_read(reader->file, at, reader->buffer + reader->end, chunk);
	reader->end += result ? 0 : chunk;
	return result;
}

int weft_record_next(struct weft_record_reader *reader, const char **record, size_t *bytes, uint64_t *offset,
		     uint64_t *line)
{
	size_t at = 0, lines = 0;
	bool quoted = false, more = true;
	int result;

	*record = NULL;
	for (;; at++) {
		const char *start;

		if (reader->begin + at == reader->end) {
			result = fill(reader, &more);
			if (result)
				return result;
			if (!more)
				break;
		}
		start = reader->buffer + reader->begin;
		quoted ^= !reader->json && start[at] == '"';
		lines += start[at] == '\n';
		if (start[at] == '\n' && !quoted)
			break;
	}
	if (!more && !at)
		return 0;
	if (quoted)
		return weft_fail(EINVAL, "%s: line %llu: a quote is not closed", reader->file->path,
				 (unsigned long long)reader->line);
	*record = reader->buffer + reader->begin;
	*offset = reader->offset;
	*line = reader->line;
	*bytes = at && (*record)[at - 1] == '\r' ? at - 1 : at;
	at += more; /* the end of the line */
	reader->begin += at;
	reader->offset += at;
	reader->line += lines;
	return 0;
}

int weft_csv_field(const char *record, size_t bytes, unsigned int column, char **field)
{
	char *text = malloc(bytes + 1);
	size_t length = 0, at = 0;
	bool quoted = false;

	*field = NULL;
	if (!text)
		return weft_fail(ENOMEM, "out of memory for a record");
	for (; at < bytes; at++) {
		char c = record[at];

		if (quoted && c == '"' && at + 1 < bytes && record[at + 1] == '"') {
			at++;
		} else if (c == '"') {
			quoted = !quoted;
			continue;
		} else if (c == ',' && !quoted) {
			if (!column--)
				break;
			continue;
		}
		if (!column)
			text[length++] = c;
	}
	if (column && column != (unsigned int)-1) {
		free(text);
		return 0;
	}
	text[length] = '\0';
	*field = text;
	return 0;
}

int weft_json_field(const char *record, size_t bytes, const char *name, char **field)
{
	cJSON *object = cJSON_ParseWithLength(record, bytes);
	const cJSON *member;
	int result = 0;

	*field = NULL;
	if (!object)
		return weft_fail(EINVAL, "not a JSON object");
	member = cJSON_GetObjectItemCaseSensitive(object, name);
	if (cJSON_IsString(member))
		*field = strdup(member->valuestring);
	else if (cJSON_IsBool(member))
		*field = strdup(cJSON_IsTrue(member) ? "1" : "0");
	else if (cJSON_IsNumber(member) && asprintf(field, "%.17g", member->valuedouble) < 0)
		*field = NULL;
	if (member && !*field && !cJSON_IsNull(member))
		result = weft_fail(EINVAL, "\"%s\" is neither a string nor a number", name);
	cJSON_Delete(object);
	return result;
}
