/* SPDX-License-Identifier: MIT */
/** Records of text files: CSV (RFC 4180) and JSON lines. */
#ifndef WEFT_DATA_RECORD_H
#define WEFT_DATA_RECORD_H

#include <stdbool.h>
#include "dataset.h"

/** Goes through a file from its beginning. */
struct weft_record_reader {
	const struct weft_data_file *file;
	bool json;
	char *buffer; /* owned */
	size_t room, begin, end;
	uint64_t offset; /* in the file, of buffer[begin] */
	uint64_t line;	 /* from 1, of that */
};

void weft_record_begin(struct weft_record_reader *reader, const struct weft_data_file *file, bool json);
/** The next record without its end of line; 0 with *record NULL after the last.  Valid until the next call. */
int weft_record_next(struct weft_record_reader *reader, const char **record, size_t *bytes, uint64_t *offset,
		     uint64_t *line);
void weft_record_end(struct weft_record_reader *reader);

/** Field @column of a CSV record, from 0, without its quotes; *field is to be freed, NULL where there is none. */
int weft_csv_field(const char *record, size_t bytes, unsigned int column, char **field);
/** Member @name of a JSON object, a string or a number as text; *field is to be freed, NULL where there is none. */
int weft_json_field(const char *record, size_t bytes, const char *name, char **field);

#endif /* WEFT_DATA_RECORD_H */
