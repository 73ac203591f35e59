// SPDX-License-Identifier: MIT
/* What is checked alike for every command: header, padding, types, extents, alignment, overlap. */
#include "check.h"

static const struct check_op *const families[WEFT_OP_LIMIT / 16] = {
	[0x0] = check_basic,	 [0x1] = check_matrix,	    [0x2] = check_pool,	   [0x3] = check_norm,
	[0x4] = check_loss,	 [0x5] = check_elementwise, [0x6] = check_reduce,  [0x7] = check_index,
	[0x8] = check_optimizer, [0x9] = check_random,	    [0xa] = check_integer, [0xc] = check_projection,
};

/* Bits of an element, and elements that share the smallest addressable unit. */
static const uint8_t type_bits[WEFT_TYPES] = {
	[WEFT_TYPE_F32] = 32, [WEFT_TYPE_F16] = 16, [WEFT_TYPE_BF16] = 16, [WEFT_TYPE_I32] = 32,
	[WEFT_TYPE_I64] = 64, [WEFT_TYPE_I8] = 8,   [WEFT_TYPE_U8] = 8,	   [WEFT_TYPE_I16] = 16,
	[WEFT_TYPE_BOOL] = 8, [WEFT_TYPE_I4] = 4,   [WEFT_TYPE_BIT] = 1,
};

static uint32_t unit_bytes(uint32_t type)
{
	if (type == WEFT_TYPE_BIT)
		return 4;
	return type == WEFT_TYPE_I4 ? 1 : type_bits[type] / 8u;
}

uint32_t check_fail(struct check *check, uint32_t reason, uint32_t operand, uint32_t detail, uint64_t value)
{
	check->fault->reason = reason;
	check->fault->operand = (uint8_t)operand;
	check->fault->detail = detail;
	check->fault->address = value;
	return reason;
}

uint32_t check_fail_param(struct check *check, uint32_t offset, uint64_t value)
{
	return check_fail(check, WEFT_FAULT_PARAMETER, 0xff, offset, value);
}

uint32_t check_fail_type(struct check *check, uint32_t operand)
{
	return check_fail(check, WEFT_FAULT_TYPE, operand, 0, check_operand(check, operand)->type);
}

uint32_t check_fail_dim(struct check *check, uint32_t operand, uint32_t dim, uint64_t expected)
{
	return check_fail(check, WEFT_FAULT_SHAPE, operand, dim, expected);
}

uint32_t check_rank(struct check *check, uint32_t operand, uint32_t least, uint32_t most)
{
	uint32_t rank = check_operand(check, operand)->rank;

	if (rank < least || rank > most)
		return check_fail_dim(check, operand, WEFT_DETAIL_RANK, rank < least ? least : most);
	return WEFT_FAULT_NONE;
}

uint32_t check_dim(struct check *check, uint32_t operand, uint32_t dim, uint64_t expected)
{
	if (check_operand(check, operand)->dims[dim] != expected)
		return check_fail_dim(check, operand, dim, expected);
	return WEFT_FAULT_NONE;
}

uint32_t check_vector(struct check *check, uint32_t operand, uint64_t extent)
{
	CHECK(check_rank(check, operand, 1, 1));
	return check_dim(check, operand, 0, extent);
}

uint32_t check_same_dims(struct check *check, uint32_t operand, uint32_t as)
{
	const struct weft_tensor *other = check_operand(check, as);

	CHECK(check_rank(check, operand, other->rank, other->rank));
	for (uint32_t i = 0; i < other->rank; i++)
		CHECK(check_dim(check, operand, i, other->dims[i]));
	return WEFT_FAULT_NONE;
}

uint32_t check_same_type(struct check *check, uint32_t operand, uint32_t as)
{
	if (check_operand(check, operand)->type != check_operand(check, as)->type)
		return check_fail_type(check, operand);
	return WEFT_FAULT_NONE;
}

uint32_t check_broadcast(struct check *check, uint32_t operand, uint32_t as)
{
	const struct weft_tensor *other = check_operand(check, as), *tensor = check_operand(check, operand);

	CHECK(check_rank(check, operand, other->rank, other->rank));
	for (uint32_t i = 0; i < other->rank; i++) {
		if (tensor->dims[i] != other->dims[i] && tensor->dims[i] != 1)
			return check_fail_dim(check, operand, i, other->dims[i]);
	}
	return WEFT_FAULT_NONE;
}

uint32_t check_param_most(struct check *check, uint32_t offset, uint32_t most)
{
	uint32_t value = check_param(check, offset);

	return value > most ? check_fail_param(check, offset, value) : WEFT_FAULT_NONE;
}

uint32_t check_param_least(struct check *check, uint32_t offset, uint32_t least)
{
	uint32_t value = check_param(check, offset);

	return value < least ? check_fail_param(check, offset, value) : WEFT_FAULT_NONE;
}

uint32_t check_activation(struct check *check, uint32_t offset)
{
	return check_param_most(check, offset, WEFT_ACT_CLIP);
}

static uint32_t check_semaphores(struct check *check)
{
	const struct weft_cmd *command = check->command;
	const struct weft_sem *sems[] = {&command->wait[0], &command->wait[1], &command->signal};

	for (uint32_t i = 0; i < 3; i++) {
		bool none = sems[i]->index == WEFT_SEM_NONE;

		if ((!none && sems[i]->index >= WEFT_SEMAPHORES) || (none && sems[i]->value) || sems[i]->pad)
			return check_fail(check, WEFT_FAULT_SEMAPHORE, 0xff, i, sems[i]->index);
	}
	return WEFT_FAULT_NONE;
}

static uint32_t word_at(const union weft_params *params, uint32_t byte)
{
	uint32_t word;

	__builtin_memcpy(&word, __builtin_assume_aligned(params->bytes + byte, 4), sizeof(word));
	return word;
}

static uint32_t check_params_tail(struct check *check, uint32_t used)
{
	const union weft_params *params = &check->command->params;

	for (uint32_t i = used; i < sizeof(*params); i++) {
		/* Most are zero: words at a time. */
		while (i % 4 == 0 && i < sizeof(*params) && !word_at(params, i))
			i += 4;
		if (i < sizeof(*params) && params->bytes[i])
			return check_fail_param(check, i, params->bytes[i]);
	}
	return WEFT_FAULT_NONE;
}

/* An empty slot carries nothing. */
static uint32_t check_absent(struct check *check, const struct check_op *op, uint32_t operand)
{
	const uint8_t *byte = (const uint8_t *)check_operand(check, operand);

	if (!(op->optional & SLOT(operand)))
		return check_fail(check, WEFT_FAULT_OPERANDS, operand, 0, 0);
	for (uint32_t i = 0; i < sizeof(struct weft_tensor); i++) {
		if (byte[i])
			return check_fail(check, WEFT_FAULT_PARAMETER, operand, i, byte[i]);
	}
	return WEFT_FAULT_NONE;
}

/* Packed types: rows start on a unit, and elements are neighbours. */
static uint32_t check_packed(struct check *check, uint32_t operand)
{
	const struct weft_tensor *tensor = check_operand(check, operand);
	int32_t elements = tensor->type == WEFT_TYPE_BIT ? 32 : 2;

	for (uint32_t i = 0; i < tensor->rank; i++) {
		bool inner = i + 1 == tensor->rank;

		if (inner ? tensor->strides[i] != 1 : tensor->strides[i] % elements != 0)
			return check_fail_dim(check, operand, WEFT_DETAIL_STRIDE + i, inner ? 1 : (uint64_t)elements);
	}
	return WEFT_FAULT_NONE;
}

/*
 * Two index tuples of an output must not name the same element.  Sufficient, and
 * true of every layout that permutes, slices or walks backwards: each stride is
 * longer than what all shorter ones together can span.
 */
static uint32_t check_distinct(struct check *check, uint32_t operand)
{
	const struct weft_tensor *tensor = check_operand(check, operand);
	uint64_t step[WEFT_MAX_RANK], span = 0;
	uint32_t order[WEFT_MAX_RANK], count = 0;

	for (uint32_t i = tensor->rank; i-- > 0;) {
		int64_t stride = tensor->strides[i];
		uint32_t at;

		if (tensor->dims[i] == 1)
			continue;
		step[count] = (uint64_t)(stride < 0 ? -stride : stride);
		order[count] = i;
		for (at = count++; at > 0 && step[at] < step[at - 1]; at--) {
			uint64_t s = step[at];
			uint32_t o = order[at];

			step[at] = step[at - 1];
			order[at] = order[at - 1];
			step[at - 1] = s;
			order[at - 1] = o;
		}
	}
	for (uint32_t i = 0; i < count; i++) {
		if (step[i] <= span)
			return check_fail(check, WEFT_FAULT_OVERLAP, operand, operand, tensor->address);
		/* The extents were checked: no overflow. */
		span += step[i] * (tensor->dims[order[i]] - 1);
	}
	return WEFT_FAULT_NONE;
}

/* The bytes that the operand can reach. */
static uint32_t check_extent(struct check *check, uint32_t operand, struct core_range *range)
{
	const struct weft_tensor *tensor = check_operand(check, operand);
	uint32_t unit = unit_bytes(tensor->type), bits = type_bits[tensor->type];
	int64_t low = 0, high = 0; /* elements */
	uint64_t below, above;

	for (uint32_t i = 0; i < tensor->rank; i++) {
		/* Below 2^32 times at most 2^31: fits. */
		int64_t reach = (int64_t)(tensor->dims[i] - 1) * tensor->strides[i];
		int64_t *end = reach < 0 ? &low : &high;

		/* 2^56 elements are more than any address space; the products below fit. */
		if (__builtin_add_overflow(*end, reach, end) || *end >= (int64_t)1 << 56 || *end <= -((int64_t)1 << 56))
			return check_fail_dim(check, operand, i, 0);
	}
	/* Packed rows start on units: low is one, and high counts from one. */
	if (bits >= 8) {
		below = (uint64_t)-low * unit;
		above = (uint64_t)(high + 1) * unit;
	} else {
		uint32_t shift = bits == 4 ? 1 : 5;

		below = ((uint64_t)-low >> shift) * unit;
		above = (((uint64_t)high >> shift) + 1) * unit;
	}
	if (tensor->address < below || tensor->address + above < tensor->address)
		return check_fail_dim(check, operand, WEFT_DETAIL_RANK, 0);
	range->low = tensor->address - below;
	range->bytes = below + above;
	return WEFT_FAULT_NONE;
}

static uint32_t check_tensor(struct check *check, const struct check_op *op, uint32_t operand, struct core_range *range)
{
	const struct weft_tensor *tensor = check_operand(check, operand);
	bool output = op->outputs & SLOT(operand);

	if (tensor->type >= WEFT_TYPES || !(op->type[operand] & (1u << tensor->type)))
		return check_fail_type(check, operand);
	if (tensor->rank > WEFT_MAX_RANK)
		return check_fail_dim(check, operand, WEFT_DETAIL_RANK, WEFT_MAX_RANK);
	if (tensor->pad)
		return check_fail(check, WEFT_FAULT_PARAMETER, operand, offsetof(struct weft_tensor, pad), tensor->pad);
	if (!(op->quantized & SLOT(operand)) && tensor->zero_point)
		return check_fail(check, WEFT_FAULT_PARAMETER, operand, offsetof(struct weft_tensor, zero_point),
				  (uint32_t)tensor->zero_point);
	if (tensor->scales)
		return check_fail(check, WEFT_FAULT_PARAMETER, operand, offsetof(struct weft_tensor, scales),
				  tensor->scales);
	for (uint32_t i = 0; i < WEFT_MAX_RANK; i++) {
		bool in_use = i < tensor->rank;

		if (in_use ? !tensor->dims[i] : tensor->dims[i] || tensor->strides[i])
			return check_fail_dim(check, operand, i, 0);
	}
	if ((op->inner_dense & SLOT(operand)) && tensor->rank && tensor->dims[tensor->rank - 1] > 1 &&
	    tensor->strides[tensor->rank - 1] != 1)
		return check_fail(check, WEFT_FAULT_SHAPE, operand, WEFT_DETAIL_STRIDE + tensor->rank - 1u, 1);
	if (type_bits[tensor->type] < 8)
		CHECK(check_packed(check, operand));
	CHECK(check_extent(check, operand, range));
	if (tensor->address & (unit_bytes(tensor->type) - 1))
		return check_fail(check, WEFT_FAULT_ALIGNMENT, operand, unit_bytes(tensor->type), tensor->address);
	if (output)
		CHECK(check_distinct(check, operand));
	range->access = output ? CORE_WRITE : CORE_READ;
	if (op->read_outputs & SLOT(operand))
		range->access |= CORE_READ;
	return WEFT_FAULT_NONE;
}

static bool same_tensor(const struct weft_tensor *a, const struct weft_tensor *b)
{
	if (a->address != b->address || a->type != b->type || a->rank != b->rank)
		return false;
	for (uint32_t i = 0; i < a->rank; i++) {
		if (a->dims[i] != b->dims[i] || a->strides[i] != b->strides[i])
			return false;
	}
	return true;
}

/* Byte ranges of outputs must be apart from all others, but for operations in place. */
static uint32_t check_overlap(struct check *check, const struct check_op *op, const struct core_range *range)
{
	uint32_t first = 0;

	while (first < op->operands && !(op->outputs & SLOT(first)))
		first++;
	for (uint32_t o = first; o < op->operands; o++) {
		if (!(op->outputs & SLOT(o)) || !range[o].bytes)
			continue;
		for (uint32_t i = 0; i < op->operands; i++) {
			/* Differences, as low + bytes may be 2^64. */
			if (i == o || !range[i].bytes ||
			    (range[i].low >= range[o].low ? range[i].low - range[o].low >= range[o].bytes
							  : range[o].low - range[i].low >= range[i].bytes))
				continue;
			if (o == first && (op->in_place & SLOT(i)) &&
			    same_tensor(check_operand(check, i), check_operand(check, o)))
				continue;
			return check_fail(check, WEFT_FAULT_OVERLAP, o, i, check_operand(check, o)->address);
		}
	}
	return WEFT_FAULT_NONE;
}

static uint32_t check_header(struct check *check, const struct check_op **row)
{
	const struct weft_cmd *command = check->command;
	const struct check_op *op;

	if (command->size < sizeof(*command) || command->size > WEFT_CMD_MAX_BYTES || command->size % WEFT_CMD_ALIGN)
		return check_fail(check, WEFT_FAULT_STREAM, 0xff, 0, command->size);
	if (command->opcode >= WEFT_OP_LIMIT || !families[command->opcode / 16])
		return check_fail(check, WEFT_FAULT_OPCODE, 0xff, 0, command->opcode);
	op = &families[command->opcode / 16][command->opcode % 16];
	if (!op->engines)
		return check_fail(check, WEFT_FAULT_OPCODE, 0xff, 0, command->opcode);
	if (command->engine >= WEFT_ENGINES || !(op->engines & (1u << command->engine)))
		return check_fail(check, WEFT_FAULT_OPCODE, 0xff, 1, command->engine);
	if (command->operands != op->operands)
		return check_fail(check, WEFT_FAULT_OPERANDS, 0xff, op->operands, command->operands);
	if (command->size != sizeof(*command) + command->operands * sizeof(struct weft_tensor))
		return check_fail(check, WEFT_FAULT_STREAM, 0xff, 0, command->size);
	if (command->pad)
		return check_fail(check, WEFT_FAULT_PARAMETER, 0xff, 0xffffffffu, command->pad);
	*row = op;
	return WEFT_FAULT_NONE;
}

static uint32_t check_all(struct check *check, struct core_range *range)
{
	const struct weft_cmd *command = check->command;
	const struct check_op *op;

	CHECK(check_header(check, &op));
	CHECK(check_semaphores(check));
	CHECK(check_params_tail(check, op->params));
	for (uint32_t i = 0; i < op->operands; i++) {
		range[i] = (struct core_range){0};
		if (check_present(check, i))
			CHECK(check_tensor(check, op, i, &range[i]));
		else
			CHECK(check_absent(check, op, i));
	}
	if (op->check)
		CHECK(op->check(check));
	/* DMA: exactly one side is host memory. */
	if (command->engine != WEFT_ENGINE_COMPUTE && op->operands == 2)
		range[command->engine == WEFT_ENGINE_DMA_IN ? 0 : 1].access |= CORE_HOST;
	return check_overlap(check, op, range);
}

uint32_t core_check(const struct weft_cmd *command, struct core_range *range, struct weft_fault_record *fault)
{
	struct check check = {.command = command, .fault = fault};

	*fault = (struct weft_fault_record){
		.opcode = command->opcode,
		.engine = command->engine,
		.operand = 0xff,
		.tag = command->tag,
	};
	return check_all(&check, range);
}
