/* SPDX-License-Identifier: MIT */
/** Files that appear under their name only once they are whole and on the disk. */
#ifndef WEFT_IMPORT_OUTPUT_H
#define WEFT_IMPORT_OUTPUT_H

#include <stddef.h>
#include <stdio.h>

struct weft_output {
	const char *path;
	char *temporary;
	int fd;
};

int weft_output_open(struct weft_output *output, const char *path);
int weft_output_write(struct weft_output *output, const void *bytes, size_t size);
/** The head of a safetensors file: the length of its JSON, and that, padded so that the data is aligned. */
int weft_output_safetensors_head(struct weft_output *output, const char *json, size_t size);
/** Give the file its name, or remove it where @result or the last writes failed; returns what failed first. */
int weft_output_close(struct weft_output *output, int result);

/** Append a string to JSON text. */
void weft_put_json_string(FILE *text, const char *string);

#endif /* WEFT_IMPORT_OUTPUT_H */
