// SPDX-License-Identifier: MIT
/* Faults as sentences. */
#include "internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct text {
	char *to;
	size_t room;
	int length; /* of the whole sentence */
};

static void add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct text *text, const char *format, ...)
{
	size_t used = (size_t)text->length < text->room ? (size_t)text->length : text->room;
	va_list arguments;

	va_start(arguments, format);
	text->length += vsnprintf(text->room > used ? text->to + used : NULL, text->room - used, format, arguments);
	va_end(arguments);
}

/* Names of operands, in the order of their slots, as <weft_isa.h> lists them. */
static const char *const operand_names[WEFT_OP_LIMIT] = {
	[WEFT_OP_COPY] = "source destination",
	[WEFT_OP_FILL] = "destination",
	[WEFT_OP_MATMUL] = "A B bias C",
	[WEFT_OP_CONV_FWD] = "X W bias Y",
	[WEFT_OP_CONV_BWD_DATA] = "DY W bias DX",
	[WEFT_OP_CONV_BWD_WEIGHT] = "X DY DW",
	[WEFT_OP_MAXPOOL_FWD] = "X Y index",
	[WEFT_OP_MAXPOOL_BWD] = "DY index DX",
	[WEFT_OP_AVGPOOL_FWD] = "X Y",
	[WEFT_OP_AVGPOOL_BWD] = "DY DX",
	[WEFT_OP_NORM_STATS] = "X mean rstd var",
	[WEFT_OP_NORM_APPLY] = "X mean rstd gamma beta Y",
	[WEFT_OP_NORM_BWD_STATS] = "X DY mean rstd gamma Y sum_dy sum_dy_xhat",
	[WEFT_OP_NORM_BWD_APPLY] = "X DY mean rstd gamma sum_dy sum_dy_xhat Y DX",
	[WEFT_OP_SOFTMAX_FWD] = "X Y",
	[WEFT_OP_SOFTMAX_BWD] = "Y DY DX",
	[WEFT_OP_XENT_FWD] = "logits labels weights loss probabilities denominator",
	[WEFT_OP_XENT_BWD] = "logits labels weights dloss denominator dlogits",
	[WEFT_OP_UNARY] = "X Y",
	[WEFT_OP_UNARY_BWD] = "Z DY DX",
	[WEFT_OP_BINARY] = "A B Y",
	[WEFT_OP_WHERE] = "condition A B Y",
	[WEFT_OP_CAST] = "X Y",
	[WEFT_OP_REDUCE] = "X Y",
	[WEFT_OP_ARGREDUCE] = "X Y",
	[WEFT_OP_TOPK] = "X Y",
	[WEFT_OP_GATHER] = "table indices Y",
	[WEFT_OP_SCATTER_ADD] = "DY indices DX",
	[WEFT_OP_IOTA] = "Y",
	[WEFT_OP_SCATTER] = "table indices X Y",
	[WEFT_OP_SGD] = "G hyper W momentum",
	[WEFT_OP_ADAM] = "G hyper W m v",
	[WEFT_OP_LERP] = "A Y",
	[WEFT_OP_RANDOM] = "counter Y",
	[WEFT_OP_DROPOUT] = "X counter Y mask",
	[WEFT_OP_QMATMUL] = "A B bias multiplier C",
	[WEFT_OP_QCONV] = "X W bias multiplier Y",
	[WEFT_OP_QUANTIZE] = "X scale zero Y",
	[WEFT_OP_DEQUANTIZE] = "X scale zero Y",
	[WEFT_OP_REQUANTIZE] = "X multiplier Y",
	[WEFT_OP_QADD] = "A B Y",
	[WEFT_OP_QMUL] = "A B Y",
	[WEFT_OP_QMAXPOOL] = "X Y",
	[WEFT_OP_QAVGPOOL] = "X Y",
	[WEFT_OP_QLOOKUP] = "X table Y",
	[WEFT_OP_QSOFTMAX] = "X table Y",
	[WEFT_OP_QLAYERNORM] = "X gamma bias multiplier Y",
	[WEFT_OP_PROJECT] = "X Y",
	[WEFT_OP_PROJECT_HASHED] = "F V Y",
	[WEFT_OP_PROJECT_MEAN] = "F Y",
	[WEFT_OP_PROJECT_TERNARY] = "F Y",
	[WEFT_OP_BIT_MATMUL] = "A B bias multiplier C",
	[WEFT_OP_BIT_DOT] = "A B C",
	[WEFT_OP_BIT_UNPACK] = "X Y",
	[WEFT_OP_BIT_PACK] = "X Y",
};

/* "operand 1 (W)" */
static void add_operand(struct text *text, const struct weft_fault_record *fault, unsigned int operand)
{
	const char *name = fault->opcode < WEFT_OP_LIMIT ? operand_names[fault->opcode] : NULL;

	add(text, "operand %u", operand);
	for (unsigned int i = 0; name && i < operand; i++) {
		name = strchr(name, ' ');
		name = name ? name + 1 : NULL;
	}
	if (name)
		add(text, " (%.*s)", (int)strcspn(name, " "), name);
}

/* The command in the submitter's stream, if it is there. */
static const struct weft_cmd *find_command(const struct weft_fault_record *fault, const void *stream, size_t bytes)
{
	const struct weft_cmd *command;

	if (!stream || fault->offset > bytes || bytes - fault->offset < sizeof(*command) ||
	    fault->offset % WEFT_CMD_ALIGN)
		return NULL;
	command = (const struct weft_cmd *)((const char *)stream + fault->offset);
	if (command->size > bytes - fault->offset ||
	    command->size < sizeof(*command) + command->operands * sizeof(struct weft_tensor))
		return NULL;
	return command;
}

/* "f32 [64, 3, 3, 16]", with strides where they are not those of a dense tensor. */
static void add_tensor(struct text *text, const struct weft_tensor *tensor)
{
	unsigned int rank = tensor->rank < WEFT_MAX_RANK ? tensor->rank : WEFT_MAX_RANK;
	struct weft_tensor dense = accel_tensor(0, (enum weft_type)tensor->type, rank, tensor->dims);

	add(text, "%s [", accel_type_name(tensor->type));
	for (unsigned int i = 0; i < rank; i++)
		add(text, "%s%u", i ? ", " : "", tensor->dims[i]);
	add(text, "]");
	if (!memcmp(tensor->strides, dense.strides, rank * sizeof(dense.strides[0])))
		return;
	add(text, " with strides [");
	for (unsigned int i = 0; i < rank; i++)
		add(text, "%s%d", i ? ", " : "", tensor->strides[i]);
	add(text, "]");
}

static void add_shape(struct text *text, const struct weft_fault_record *fault)
{
	unsigned long long expected = fault->address;

	if (fault->detail == WEFT_DETAIL_RANK && expected)
		add(text, "the rank does not suit the operation; expected %llu", expected);
	else if (fault->detail == WEFT_DETAIL_RANK)
		add(text, "the tensor reaches beyond the address space");
	else if (fault->detail >= WEFT_DETAIL_STRIDE && expected > 1)
		add(text, "the stride of dimension %u must be a multiple of %llu", fault->detail - WEFT_DETAIL_STRIDE,
		    expected);
	else if (fault->detail >= WEFT_DETAIL_STRIDE)
		add(text, "the stride of dimension %u must be %llu", fault->detail - WEFT_DETAIL_STRIDE, expected);
	else if (expected)
		add(text, "dimension %u does not match the other operands; expected %llu", fault->detail, expected);
	else
		add(text, "dimension %u is not allowed (zero, beyond the rank, or too large)", fault->detail);
}

static void add_semaphore(struct text *text, const struct weft_fault_record *fault)
{
	if (fault->detail == 2 && fault->address < WEFT_SEMAPHORES)
		add(text, "semaphore %llu would go backwards", (unsigned long long)fault->address);
	else
		add(text, "%s %llu is not a semaphore (below %u), or its slot is not clean",
		    fault->detail == 2 ? "signal" : "wait", (unsigned long long)fault->address, WEFT_SEMAPHORES);
}

static const char *access_name(uint32_t access)
{
	static const char *const names[] = {"nothing", "read", "write", "read and write"};

	return names[access & 3];
}

static void add_stream(struct text *text, const struct weft_fault_record *fault)
{
	unsigned long long value = fault->address;

	if (fault->detail == 0)
		add(text, "size %llu is misaligned, does not fit the operands, or passes the stream's end", value);
	else if (fault->detail == 1)
		add(text, "only %llu bytes are left in the stream, less than a command", value);
	else
		add(text, "a stream of %llu bytes; expected a multiple of %u, at most %u", value, WEFT_CMD_ALIGN,
		    WEFT_STREAM_MAX_BYTES);
}

/* What went wrong, without where. */
static void add_reason(struct text *text, const struct weft_fault_record *fault)
{
	unsigned long long value = fault->address;

	switch (fault->reason) {
	case WEFT_FAULT_STREAM:
		add_stream(text, fault);
		break;
	case WEFT_FAULT_OPCODE:
		if (fault->detail)
			add(text, "engine %llu cannot execute it", value);
		else
			add(text, "the device has no opcode 0x%llx", value);
		break;
	case WEFT_FAULT_OPERANDS:
		if (fault->operand != 0xff)
			add(text, "it is required, but absent");
		else
			add(text, "it has %llu operands; expected %u", value, fault->detail);
		break;
	case WEFT_FAULT_TYPE:
		add(text, "type %s does not suit the operation", accel_type_name((unsigned int)value));
		break;
	case WEFT_FAULT_SHAPE:
		add_shape(text, fault);
		break;
	case WEFT_FAULT_PARAMETER:
		if (fault->operand == 0xff && fault->detail == 0xffffffff)
			add(text, "the header's padding is 0x%llx; expected 0", value);
		else
			add(text, "the %s at byte %u is 0x%llx, which is out of range or in bytes that must be zero",
			    fault->operand == 0xff ? "parameter" : "descriptor", fault->detail, value);
		break;
	case WEFT_FAULT_ALIGNMENT:
		add(text, "address 0x%llx is not a multiple of %u", value, fault->detail);
		break;
	case WEFT_FAULT_UNMAPPED:
		add(text, "nothing, or not all of it, is mapped at address 0x%llx", value);
		break;
	case WEFT_FAULT_PERMISSION:
		add(text, "address 0x%llx is not %s memory that the device may %s", value,
		    fault->detail & 4 ? "host" : "device", access_name(fault->detail));
		break;
	case WEFT_FAULT_OVERLAP:
		if (fault->detail == fault->operand)
			add(text, "its strides let elements overlap");
		else
			add(text, "it overlaps "), add_operand(text, fault, fault->detail);
		break;
	case WEFT_FAULT_SEMAPHORE:
		add_semaphore(text, fault);
		break;
	case WEFT_FAULT_DEADLOCK:
		add(text, "it waits for semaphore %u to reach %llu, which no command left can do", fault->detail,
		    value);
		break;
	case WEFT_FAULT_VALUE:
		add(text, "the value %lld in it is out of range", (long long)fault->address);
		break;
	case WEFT_FAULT_TIMEOUT:
		add(text, "it ran longer than the context's limit");
		break;
	case WEFT_FAULT_ENGINE:
		add(text, "the engine failed, or has no kernel for it");
		break;
	default:
		add(text, "fault %u", fault->reason);
		break;
	}
}

static bool concerns_tensor(const struct weft_fault_record *fault)
{
	return fault->reason == WEFT_FAULT_TYPE || fault->reason == WEFT_FAULT_SHAPE ||
	       fault->reason == WEFT_FAULT_UNMAPPED || fault->reason == WEFT_FAULT_OVERLAP ||
	       fault->reason == WEFT_FAULT_PERMISSION;
}

int accel_describe(const struct weft_fault_record *fault, const void *stream, size_t stream_bytes, char *to,
		   size_t bytes)
{
	const struct weft_cmd *command = find_command(fault, stream, stream_bytes);
	struct text text = {.to = to, .room = bytes};
	bool first = true;

	if (fault->reason == WEFT_FAULT_NONE) {
		add(&text, "no fault");
		return text.length;
	}
	if (fault->reason == WEFT_FAULT_CANCELLED) {
		add(&text, "the job was cancelled, by its owner or by a fault that was not its own");
		return text.length;
	}
	add(&text, "command %u (%s, tag %u): ", fault->command, accel_op_name(fault->opcode), fault->tag);
	if (fault->operand != 0xff) {
		add_operand(&text, fault, fault->operand);
		add(&text, ": ");
	}
	add_reason(&text, fault);
	if (!command || fault->operand == 0xff || !concerns_tensor(fault))
		return text.length;
	add(&text, "; operands are ");
	for (unsigned int i = 0; i < command->operands && i < WEFT_MAX_OPERANDS; i++) {
		if (command->operand[i].type == WEFT_TYPE_NONE)
			continue;
		add(&text, "%s", first ? "" : ", ");
		add_operand(&text, fault, i);
		add(&text, " ");
		add_tensor(&text, &command->operand[i]);
		first = false;
	}
	return text.length;
}

ACCEL_EXPORT int accel_fault_describe(const struct weft_fault_record *fault, char *text, size_t bytes)
{
	return accel_describe(fault, NULL, 0, text, bytes);
}
