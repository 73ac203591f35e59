/* SPDX-License-Identifier: MIT */
/**
 * Compiled models: inference with nothing but this library.
 *
 * `weft compile MODEL.onnx --out MODEL.weft` plans a model and writes what a device
 * needs to run it: commands, constants, and where inputs and outputs are.
 *
 *	accel_device_open(NULL, &device);
 *	accel_model_load(device, "digits.weft", &model);
 *	accel_model_set(model, 0, image, sizeof(image));
 *	accel_model_run(model);
 *	accel_model_get(model, 0, scores, sizeof(scores));
 *
 * tools/examples/classify.c is a program of that kind.  A file runs on every
 * device of the same instruction set, whatever it was compiled on, with the same
 * results to the bit.
 *
 * The file.  Little-endian; no part is optional, and nothing follows the last:
 *
 *	struct accel_model_header
 *	struct accel_model_record	[tensors]: inputs, then outputs
 *	struct accel_model_region	[regions]
 *	commands of <weft_isa.h>	stream_bytes
 *	contents of the regions		in their order, one after another
 *
 * Memory is two arenas, one on the device and one on the host, which are zero but
 * for the regions when a model has been loaded.  Addresses in commands and records
 * are offsets from the beginning of an arena: of the host's for the source of a
 * DMA_IN, the destination of a DMA_OUT, and records; of the device's for all other
 * operands.
 *
 * Nothing in a file is trusted.  Loading checks sizes, checksums, every record,
 * region and command; a model has a context of its own, so that its commands reach
 * its own arenas and nothing else.
 */
#ifndef ACCEL_MODEL_H
#define ACCEL_MODEL_H

#include <accel/accel.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ACCEL_MODEL_MAGIC "WEFTMODL"
/** A library reads files of this version only. */
#define ACCEL_MODEL_VERSION 1
#define ACCEL_MODEL_NAME_BYTES 64
/** Most inputs and outputs together, regions, and bytes of an arena. */
#define ACCEL_MODEL_MOST_TENSORS 1024u
#define ACCEL_MODEL_MOST_REGIONS (1u << 20)
#define ACCEL_MODEL_MOST_ARENA_BYTES (UINT64_C(1) << 40)

/**
 * @magic: ACCEL_MODEL_MAGIC, without a terminating zero
 * @version: ACCEL_MODEL_VERSION
 * @header_bytes: of this struct
 * @isa_major, @isa_minor: WEFT_ISA_VERSION_* that the commands are of
 * @tensors: records; @inputs: how many of them, from the first, are inputs
 * @regions: parts of the arenas that have contents
 * @commands, @stream_bytes: of the stream
 * @device_bytes, @host_bytes: sizes of the arenas
 * @file_bytes: of the whole file
 * @body_check: XXH64 with seed 0 of all that follows the header
 * @header_check: the same of the header's bytes before this field
 */
struct accel_model_header {
	uint8_t magic[8];
	uint32_t version, header_bytes;
	uint32_t isa_major, isa_minor;
	uint32_t tensors, inputs;
	uint32_t regions, commands;
	uint64_t stream_bytes;
	uint64_t device_bytes, host_bytes;
	uint64_t file_bytes;
	uint64_t body_check, header_check;
};

/**
 * An input or output.
 * @name: zero-terminated, zeros after it
 * @tensor: dims in the model's order; strides say how it stands in memory; the address is an offset in the host arena
 */
struct accel_model_record {
	char name[ACCEL_MODEL_NAME_BYTES];
	struct weft_tensor tensor;
};

/**
 * @arena: 0 the device's, 1 the host's
 * @pad: zero
 * @offset, @bytes: in the arena; @bytes is not 0
 */
struct accel_model_region {
	uint32_t arena, pad;
	uint64_t offset, bytes;
};

/** A loaded model; belongs to one thread at a time. */
struct accel_model;

/**
 * Load a file, or a file's contents (from flash, or linked into the program; they are
 * not needed afterwards).  Beyond the arenas this takes at most 256 KiB, given back
 * before the first run.
 * -EBADMSG: damaged.  -EINVAL: not such a file, or it holds what cannot be.  -EPROTO: of
 * another version, or for a newer instruction set.  -ENOSPC, -ENOMEM: the arenas do not
 * fit.  -ENOENT, -EACCES, -EIO...: the file cannot be read.
 */
int accel_model_load(struct accel_device *device, const char *path, struct accel_model **model);
int accel_model_load_memory(struct accel_device *device, const void *bytes, size_t size, struct accel_model **model);
void accel_model_free(struct accel_model *model);

/** What an input or output is.  Fill @size before the call. */
struct accel_model_tensor {
	size_t size;
	const char *name; /* the model's, as long as the model is loaded */
	enum weft_type type;
	uint32_t rank;
	uint32_t dims[WEFT_MAX_RANK];
	uint64_t elements;
	size_t bytes; /* dense */
	/* Where it stands, and how far neighbours are apart, in elements: to fill or read in place, between runs. */
	void *memory;
	int32_t strides[WEFT_MAX_RANK];
};

uint32_t accel_model_inputs(const struct accel_model *model);
uint32_t accel_model_outputs(const struct accel_model *model);
/** -EINVAL: no such input or output, or @tensor->size was not filled in. */
int accel_model_input(struct accel_model *model, uint32_t index, struct accel_model_tensor *tensor);
int accel_model_output(struct accel_model *model, uint32_t index, struct accel_model_tensor *tensor);
/** Copy a dense, row-major tensor in or out.  -EINVAL: no such one, or @bytes is not its size. */
int accel_model_set(struct accel_model *model, uint32_t input, const void *dense, size_t bytes);
int accel_model_get(struct accel_model *model, uint32_t output, void *dense, size_t bytes);
/**
 * Run once, and wait.  Inputs stay as they are.  -EIO: a fault, for instance an input value that the
 * model has no place for (a token beyond its table); the sentence says which.  The next run starts afresh.
 */
int accel_model_run(struct accel_model *model);

#ifdef __cplusplus
}
#endif

#endif /* ACCEL_MODEL_H */
