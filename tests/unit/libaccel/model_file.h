/* SPDX-License-Identifier: MIT */
/* A small compiled model in memory, for tests: y [2, 4] = x [2, 3] * w [3, 4]. */
#ifndef TESTS_LIBACCEL_MODEL_FILE_H
#define TESTS_LIBACCEL_MODEL_FILE_H

#include <accel/commands.h>
#include <accel/model.h>

/* The parts as they stand in the file. */
struct model_file {
	struct accel_model_header header;
	struct accel_model_record record[2];
	struct accel_model_region region[2];
	union {
		uint8_t bytes[3 * WEFT_CMD_MAX_BYTES];
		uint64_t aligned;
	} stream;
	float weights[12], host[2]; /* of the regions: w, and two numbers in the host arena */
	size_t offset[3];	    /* of the commands in the stream: x in, product, y out */
};

/* Offsets in the arenas. */
enum { DEVICE_X = 0, DEVICE_W = 64, DEVICE_Y = 128, DEVICE_BYTES = 192 };
enum { HOST_X = 0, HOST_Y = 64, HOST_EXTRA = 128, HOST_BYTES = 160 };

void model_file_make(struct model_file *file);
/* The file's bytes with checksums and sizes that are right; to be freed.  @seal false: as they are in the header. */
uint8_t *model_file_bytes(const struct model_file *file, bool seal, size_t *size);
/* Make the checksums right. */
void model_file_seal(uint8_t *bytes, size_t size);
/* Command @index in the stream. */
struct weft_cmd *model_file_command(struct model_file *file, unsigned int index);

#endif /* TESTS_LIBACCEL_MODEL_FILE_H */
