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

#ifdef __cplusplus
}
#endif

#endif /* ACCEL_COMMANDS_H */
