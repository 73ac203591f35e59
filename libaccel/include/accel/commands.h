/* SPDX-License-Identifier: MIT */
/**
 * Filling in commands.
 *
 *	union accel_command c;
 *
 *	accel_cmd_matmul(&c, &a, &b, NULL, &product);
 *	accel_cmd_wait(&c, 3, 1);
 *	c.header.tag = 42;
 *	accel_stream_append(stream, &c.header);
 *
 * Every function starts from a cleared command: no semaphores, parameters zero
 * unless said.  Nothing is checked here; the device checks all of it.
 */
#ifndef ACCEL_COMMANDS_H
#define ACCEL_COMMANDS_H

#include <accel/accel.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Room for any command. */
union accel_command {
	struct weft_cmd header;
	uint64_t words[WEFT_CMD_MAX_BYTES / sizeof(uint64_t)];
};

/** A command with @operands empty operand slots (at most WEFT_MAX_OPERANDS).  Returns its slots. */
static inline struct weft_tensor *accel_cmd_init(union accel_command *command, unsigned int opcode,
						 enum weft_engine engine, unsigned int operands)
{
	memset(command, 0, sizeof(*command));
	command->header.opcode = (uint16_t)opcode;
	command->header.engine = (uint8_t)engine;
	command->header.operands = (uint8_t)operands;
	command->header.size = (uint32_t)(sizeof(struct weft_cmd) + operands * sizeof(struct weft_tensor));
	command->header.wait[0].index = WEFT_SEM_NONE;
	command->header.wait[1].index = WEFT_SEM_NONE;
	command->header.signal.index = WEFT_SEM_NONE;
	return command->header.operand;
}

/** Wait until @semaphore is at least @value.  Two waits at most: false, and nothing done, for a third. */
static inline bool accel_cmd_wait(union accel_command *command, unsigned int semaphore, uint32_t value)
{
	for (int i = 0; i < 2; i++) {
		if (command->header.wait[i].index == WEFT_SEM_NONE) {
			command->header.wait[i].index = (uint16_t)semaphore;
			command->header.wait[i].value = value;
			return true;
		}
	}
	return false;
}

/** Set @semaphore to @value when the command has completed. */
static inline void accel_cmd_signal(union accel_command *command, unsigned int semaphore, uint32_t value)
{
	command->header.signal.index = (uint16_t)semaphore;
	command->header.signal.value = value;
}

static inline void accel_cmd_nop(union accel_command *command, enum weft_engine engine)
{
	accel_cmd_init(command, WEFT_OP_NOP, engine, 0);
}

/** @engine says which side is host memory: see WEFT_OP_COPY. */
static inline void accel_cmd_copy(union accel_command *command, enum weft_engine engine,
				  const struct weft_tensor *source, const struct weft_tensor *destination)
{
	struct weft_tensor *operand = accel_cmd_init(command, WEFT_OP_COPY, engine, 2);

	operand[0] = *source;
	operand[1] = *destination;
}

/** @bits: the element's bits, in the low bytes. */
static inline void accel_cmd_fill(union accel_command *command, const struct weft_tensor *destination, uint64_t bits)
{
	struct weft_tensor *operand = accel_cmd_init(command, WEFT_OP_FILL, WEFT_ENGINE_COMPUTE, 1);

	operand[0] = *destination;
	command->header.params.fill.bits = bits;
}

/** @product = @a x @b + @bias (NULL: none), with a scale of 1 and no activation. */
static inline void accel_cmd_matmul(union accel_command *command, const struct weft_tensor *a,
				    const struct weft_tensor *b, const struct weft_tensor *bias,
				    const struct weft_tensor *product)
{
	struct weft_tensor *operand = accel_cmd_init(command, WEFT_OP_MATMUL, WEFT_ENGINE_COMPUTE, 4);

	operand[0] = *a;
	operand[1] = *b;
	if (bias)
		operand[2] = *bias;
	operand[3] = *product;
	command->header.params.matmul.scale = 1;
}

/**
 * @product = @a x @b + @bias in integers.  With @multiplier, i32 [N, 2] or [1, 2]
 * (see "Integer operations" in <weft_isa.h>), @product is i8 or u8, between @low and
 * @high; without, it is i32, and @low and @high are 0.  @bias and @multiplier may be NULL.
 */
static inline void accel_cmd_qmatmul(union accel_command *command, const struct weft_tensor *a,
				     const struct weft_tensor *b, const struct weft_tensor *bias,
				     const struct weft_tensor *multiplier, const struct weft_tensor *product,
				     int32_t low, int32_t high)
{
	struct weft_tensor *operand = accel_cmd_init(command, WEFT_OP_QMATMUL, WEFT_ENGINE_COMPUTE, 5);

	operand[0] = *a;
	operand[1] = *b;
	if (bias)
		operand[2] = *bias;
	if (multiplier)
		operand[3] = *multiplier;
	operand[4] = *product;
	command->header.params.qmatmul.low = low;
	command->header.params.qmatmul.high = high;
}

/** The same for a convolution without padding, of stride and dilation 1 and one group: change params.qconv for others.
 */
static inline void accel_cmd_qconv(union accel_command *command, const struct weft_tensor *x,
				   const struct weft_tensor *w, const struct weft_tensor *bias,
				   const struct weft_tensor *multiplier, const struct weft_tensor *y, int32_t low,
				   int32_t high)
{
	accel_cmd_qmatmul(command, x, w, bias, multiplier, y, low, high);
	command->header.opcode = WEFT_OP_QCONV;
	command->header.params.qconv.stride[0] = command->header.params.qconv.stride[1] = 1;
	command->header.params.qconv.dilation[0] = command->header.params.qconv.dilation[1] = 1;
	command->header.params.qconv.groups = 1;
}

/*
 * Projections: <weft_isa_projection.h> defines them.  Bits are tensors of
 * WEFT_TYPE_BIT, whose rows start on 32-bit words: accel_bits() makes them.
 */

/** Words of a row of @bits bits. */
static inline uint32_t accel_bit_words(uint32_t bits)
{
	return (bits + 31) / 32;
}

/** Bits [@rows, @bits] at @address, each row accel_bit_words(@bits) words. */
static inline struct weft_tensor accel_bits(uint64_t address, uint32_t rows, uint32_t bits)
{
	const uint32_t dims[2] = {rows, bits};
	struct weft_tensor tensor = accel_tensor(address, WEFT_TYPE_BIT, 2, dims);

	tensor.strides[0] = (int32_t)(accel_bit_words(bits) * 32);
	return tensor;
}

/**
 * @bits [N, R] = signs of the products of @x [N, K], f32, i8 or u8, with R random
 * vectors of @taps terms, drawn from @seed: for T functions of d bits, R is T * d.
 */
static inline void accel_cmd_project(union accel_command *command, const struct weft_tensor *x,
				     const struct weft_tensor *bits, uint64_t seed, uint32_t taps)
{
	struct weft_tensor *operand = accel_cmd_init(command, WEFT_OP_PROJECT, WEFT_ENGINE_COMPUTE, 2);

	operand[0] = *x;
	operand[1] = *bits;
	command->header.params.project.seed = seed;
	command->header.params.project.taps = taps;
}

/**
 * The same for rows of @features, i32 or i64 [N, L]: hashes (of n-grams, say), where
 * negative ones are absent; @values f32 [N, L] multiplies them, NULL: 1.
 */
static inline void accel_cmd_project_hashed(union accel_command *command, const struct weft_tensor *features,
					    const struct weft_tensor *values, const struct weft_tensor *bits,
					    uint64_t seed)
{
	struct weft_tensor *operand = accel_cmd_init(command, WEFT_OP_PROJECT_HASHED, WEFT_ENGINE_COMPUTE, 3);

	operand[0] = *features;
	if (values)
		operand[1] = *values;
	operand[2] = *bits;
	command->header.params.project.seed = seed;
}

/** @y f32 [N, R] = means in [-1, 1] of numbers drawn for each of a row's @features (SGNN). */
static inline void accel_cmd_project_mean(union accel_command *command, const struct weft_tensor *features,
					  const struct weft_tensor *y, uint64_t seed)
{
	struct weft_tensor *operand = accel_cmd_init(command, WEFT_OP_PROJECT_MEAN, WEFT_ENGINE_COMPUTE, 2);

	operand[0] = *features;
	operand[1] = *y;
	command->header.params.project.seed = seed;
}

/** @y i8 or f32 [..., C] = C numbers -1, 0 or 1 for each of @features [...] (PRADO, pQRNN). */
static inline void accel_cmd_project_ternary(union accel_command *command, const struct weft_tensor *features,
					     const struct weft_tensor *y, uint64_t seed)
{
	accel_cmd_project_mean(command, features, y, seed);
	command->header.opcode = WEFT_OP_PROJECT_TERNARY;
}

/**
 * @product f32 [M, N] = @bits [M, K] x @b f32 [K, N] + @bias (NULL: none), where a bit stands
 * for 0 or 1, or with @signs for -1 or 1.  No activation: see params.bits.
 */
static inline void accel_cmd_bit_matmul(union accel_command *command, const struct weft_tensor *bits,
					const struct weft_tensor *b, const struct weft_tensor *bias,
					const struct weft_tensor *product, bool signs)
{
	struct weft_tensor *operand = accel_cmd_init(command, WEFT_OP_BIT_MATMUL, WEFT_ENGINE_COMPUTE, 5);

	operand[0] = *bits;
	operand[1] = *b;
	if (bias)
		operand[2] = *bias;
	operand[4] = *product;
	command->header.params.bits.signs = signs;
}

/** The same in integers, with @b i8 and what accel_cmd_qmatmul() says of the others. */
static inline void accel_cmd_bit_qmatmul(union accel_command *command, const struct weft_tensor *bits,
					 const struct weft_tensor *b, const struct weft_tensor *bias,
					 const struct weft_tensor *multiplier, const struct weft_tensor *product,
					 int32_t low, int32_t high, bool signs)
{
	accel_cmd_bit_matmul(command, bits, b, bias, product, signs);
	if (multiplier)
		command->header.operand[3] = *multiplier;
	command->header.params.bits.low = low;
	command->header.params.bits.high = high;
}

/** @product i32 [M, N]: sums of products of signs, of the rows of @a [M, K] and of @b [N, K]. */
static inline void accel_cmd_bit_dot(union accel_command *command, const struct weft_tensor *a,
				     const struct weft_tensor *b, const struct weft_tensor *product)
{
	struct weft_tensor *operand = accel_cmd_init(command, WEFT_OP_BIT_DOT, WEFT_ENGINE_COMPUTE, 3);

	operand[0] = *a;
	operand[1] = *b;
	operand[2] = *product;
}

/** @y f32 or i8 = the numbers that @bits stand for. */
static inline void accel_cmd_bit_unpack(union accel_command *command, const struct weft_tensor *bits,
					const struct weft_tensor *y, bool signs)
{
	struct weft_tensor *operand = accel_cmd_init(command, WEFT_OP_BIT_UNPACK, WEFT_ENGINE_COMPUTE, 2);

	operand[0] = *bits;
	operand[1] = *y;
	command->header.params.bits.signs = signs;
}

/** @bits = whether @x, f32, i8 or u8, is greater than 0. */
static inline void accel_cmd_bit_pack(union accel_command *command, const struct weft_tensor *x,
				      const struct weft_tensor *bits)
{
	struct weft_tensor *operand = accel_cmd_init(command, WEFT_OP_BIT_PACK, WEFT_ENGINE_COMPUTE, 2);

	operand[0] = *x;
	operand[1] = *bits;
}

/** Bytes of weights [@depth, @columns] in panels, see WEFT_OP_QMATMUL; 0 where @depth is no multiple of 4 or it is too
 * much. */
static inline size_t accel_panel_bytes(uint32_t depth, uint32_t columns)
{
	uint64_t panels = ((uint64_t)columns + WEFT_PANEL_COLUMNS - 1) / WEFT_PANEL_COLUMNS, bytes;

	if (depth % 4 || __builtin_mul_overflow(panels * WEFT_PANEL_COLUMNS, depth, &bytes) || bytes > INT32_MAX)
		return 0;
	return (size_t)bytes;
}

/** Put @weights [@depth, @columns], dense, in panels; @panels has accel_panel_bytes(). */
static inline void accel_panels(const int8_t *weights, uint32_t depth, uint32_t columns, int8_t *panels)
{
	memset(panels, 0, accel_panel_bytes(depth, columns));
	for (uint32_t k = 0; k < depth; k++)
		for (uint32_t n = 0; n < columns; n++) {
			size_t group = (size_t)n / WEFT_PANEL_COLUMNS * (depth / 4) + k / 4;

			panels[(group * WEFT_PANEL_COLUMNS + n % WEFT_PANEL_COLUMNS) * 4 + k % 4] =
				weights[(size_t)k * columns + n];
		}
}

#ifdef __cplusplus
}
#endif

#endif /* ACCEL_COMMANDS_H */
