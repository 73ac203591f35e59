// SPDX-License-Identifier: MIT
#include "model.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/*
 * Profiles.  Energies of arithmetic and memory are from M. Horowitz, "Computing's
 * energy problem", ISSCC 2014 (45 nm, 0.9 V: f32 multiply 3.7 pJ, add 0.9 pJ, DRAM
 * 1.3 to 2.6 nJ per 64 bits), where nothing else is said.
 */
static const struct weft_model profiles[] = {
	{
		/*
		 * A small edge NPU of our own design: 16 x 16 f32 multiply-adders at
		 * 500 MHz (256 GFLOP/s), one channel of x32 LPDDR4-3200 (12.8 GB/s at
		 * about 4 pJ a bit, JEDEC-era vendor figures), and one lane of PCIe 2.0
		 * to the host (500 MB/s raw, 400 MB/s after headers, 1 us for a request,
		 * about 5 pJ a bit for link and host DRAM each).  Four 8-bit multiply-adders
		 * stand for a float one (0.2 pJ, and 0.1 pJ for a 32-bit addition).
		 */
		.name = "weft-1",
		.description = "edge NPU, 16x16 f32 array at 500 MHz, LPDDR4, PCIe 2.0 x1",
		.clock_hz = 500e6,
		.rows = 16,
		.columns = 16,
		.step_cycles = 1,
		.vector_lanes = 32,
		.command_cycles = 200,
		.device_bytes_per_second = 12.8e9,
		.dma_bytes_per_second = {400e6, 400e6},
		.dma_latency_seconds = {1e-6, 1e-6},
		.mac_pj = 4.6,
		.integer_speed = 4,
		.integer_mac_pj = 0.3,
		.operation_pj = 0.9,
		.device_byte_pj = 32,
		.dma_byte_pj = 80,
		.static_watts = 0.1,
		.dma_watts = 0.05,
		.local_bytes = 1 << 20,
	},
	{
		/*
		 * Arduino MKR1000 (Cortex-M0+ at 48 MHz, SD card): throughput, energy and
		 * paging figures of POET (Patil et al., ICML 2022), chipsets.py.
		 */
		.name = "m0",
		.description = "Cortex-M0+ at 48 MHz with an SD card (POET's figures)",
		.clock_hz = 48e6,
		.rows = 1,
		.columns = 1,
		.step_cycles = 576, /* 166,667 flop/s */
		.vector_lanes = 1.0 / 288,
		.device_bytes_per_second = 48e6,
		.dma_bytes_per_second = {4616510, 4440000},
		.dma_latency_seconds = {109e-6, 113e-6},
		.mac_pj = 792000,    /* 2,525,252 flop/J */
		.integer_speed = 96, /* six instructions at the same power */
		.integer_mac_pj = 8250,
		.operation_pj = 396000,
		.dma_watts = 0.33,
	},
	{
		/* nRF52840 (Cortex-M4F at 64 MHz), the same SD card: POET, likewise. */
		.name = "m4f",
		.description = "Cortex-M4F at 64 MHz with an SD card (POET's figures)",
		.clock_hz = 64e6,
		.rows = 1,
		.columns = 1,
		.step_cycles = 20.094474, /* 6,369,910 flop/s */
		.vector_lanes = 0.09952985,
		.device_bytes_per_second = 128e6,
		.dma_bytes_per_second = {4616510, 4440000},
		.dma_latency_seconds = {109e-6, 113e-6},
		.mac_pj = 3448.21,   /* 580,010,758 flop/J */
		.integer_speed = 10, /* two instructions (SMLAD works on two), at the same power */
		.integer_mac_pj = 343,
		.operation_pj = 1724.107,
		.dma_watts = 0.33,
	},
	{
		/* Raspberry Pi 4B (Cortex-A72 at 1.5 GHz, SD card behind a page cache): POET, likewise. */
		.name = "a72",
		.description = "Cortex-A72 at 1.5 GHz with an SD card (POET's figures)",
		.clock_hz = 1.5e9,
		.rows = 1,
		.columns = 1,
		.step_cycles = 1.5, /* 2 Gflop/s */
		.vector_lanes = 4.0 / 3,
		.device_bytes_per_second = 4e9,
		.dma_bytes_per_second = {45.5e6, 24.5e6},
		.dma_latency_seconds = {5.09561e-6, 18.5314e-6},
		.mac_pj = 49855.8,  /* 40,115,792 flop/J */
		.integer_speed = 4, /* 16-bit multiply-adds of NEON, at the same power */
		.integer_mac_pj = 12464,
		.operation_pj = 24927.9,
		.dma_watts = 0.15,
	},
	{
		/*
		 * Jetson TX2 (NVIDIA data sheet: 256 CUDA cores at 1.3 GHz, 59.7 GB/s
		 * LPDDR4, 7.5 to 15 W of which about 3 W idle).  10 W spent on 665.6
		 * GFLOP/s are 15 pJ a flop.  Paging is to its eMMC 5.1 (250 and 125 MB/s).
		 */
		.name = "tx2",
		.description = "Jetson TX2, 256 f32 lanes at 1.3 GHz, LPDDR4, eMMC",
		.clock_hz = 1.3e9,
		.rows = 16,
		.columns = 16,
		.step_cycles = 1,
		.vector_lanes = 256,
		.command_cycles = 6500,
		.device_bytes_per_second = 59.7e9,
		.dma_bytes_per_second = {250e6, 125e6},
		.dma_latency_seconds = {100e-6, 100e-6},
		.mac_pj = 30,
		.integer_speed = 1,
		.integer_mac_pj = 30,
		.operation_pj = 15,
		.device_byte_pj = 32,
		.static_watts = 3,
		.dma_watts = 0.5,
		.local_bytes = 512 << 10,
	},
	{
		/*
		 * TPU v1 (Jouppi et al., ISCA 2017): 256 x 256 8-bit multiply-adders at
		 * 700 MHz, 34 GB/s of weight memory, 28 MiB on chip, PCIe 3.0 x16 (14 GB/s
		 * measured), 40 W busy and 28 W idle.  (40 - 28) W / 46e12 MAC/s = 0.26 pJ.
		 * The array's width is that of its 8-bit products: float commands are
		 * counted as if they were such, and integer ones are.
		 */
		.name = "tpuv1",
		.description = "TPU v1, 256x256 8-bit array at 700 MHz, DDR3, PCIe 3.0 x16",
		.clock_hz = 700e6,
		.rows = 256,
		.columns = 256,
		.step_cycles = 1,
		.vector_lanes = 256,
		.command_cycles = 1400,
		.device_bytes_per_second = 34e9,
		.dma_bytes_per_second = {14e9, 14e9},
		.dma_latency_seconds = {1e-6, 1e-6},
		.mac_pj = 0.26,
		.integer_speed = 1,
		.integer_mac_pj = 0.26,
		.operation_pj = 0.03,
		.device_byte_pj = 160,
		.dma_byte_pj = 40,
		.static_watts = 28,
		.local_bytes = 28 << 20,
	},
	{
		/*
		 * One core of a present x86 server at 3 GHz with two 256-bit FMA units
		 * (96 GFLOP/s), 20 GB/s of memory per core, 10 GB/s of copying; about 5 W a
		 * core at load (vendors' package power divided by cores), half of it static.
		 */
		.name = "host",
		.description = "one x86 core at 3 GHz, two 256-bit FMA units",
		.clock_hz = 3e9,
		.rows = 1,
		.columns = 16,
		.step_cycles = 1,
		.vector_lanes = 16,
		.command_cycles = 1500,
		.device_bytes_per_second = 20e9,
		.dma_bytes_per_second = {10e9, 10e9},
		.dma_latency_seconds = {1e-6, 1e-6},
		.mac_pj = 52,
		.integer_speed = 2, /* 16-bit multiply-adds, at the same power */
		.integer_mac_pj = 26,
		.operation_pj = 26,
		.device_byte_pj = 160,
		.dma_byte_pj = 160,
		.static_watts = 2.5,
		.local_bytes = 1 << 20,
	},
};

#define PROFILES (sizeof(profiles) / sizeof(profiles[0]))

const struct weft_model *weft_model_get(unsigned int index)
{
	return index < PROFILES ? &profiles[index] : NULL;
}

const struct weft_model *weft_model_find(const char *name)
{
	for (size_t i = 0; i < PROFILES; i++) {
		if (!strcmp(profiles[i].name, name))
			return &profiles[i];
	}
	return NULL;
}

static const double type_bytes[WEFT_TYPES] = {
	[WEFT_TYPE_F32] = 4,  [WEFT_TYPE_F16] = 2,  [WEFT_TYPE_BF16] = 2,    [WEFT_TYPE_I32] = 4,
	[WEFT_TYPE_I64] = 8,  [WEFT_TYPE_I8] = 1,   [WEFT_TYPE_U8] = 1,	     [WEFT_TYPE_I16] = 2,
	[WEFT_TYPE_BOOL] = 1, [WEFT_TYPE_I4] = 0.5, [WEFT_TYPE_BIT] = 0.125,
};

static double elements(const struct weft_tensor *tensor)
{
	double count = 1;

	for (unsigned int i = 0; i < tensor->rank; i++)
		count *= tensor->dims[i];
	return count;
}

/* Bytes that must move at least: repeated elements once. */
static double operand_bytes(const struct weft_tensor *tensor)
{
	double count = 1;

	for (unsigned int i = 0; i < tensor->rank; i++) {
		if (tensor->strides[i])
			count *= tensor->dims[i];
	}
	return count * type_bytes[tensor->type];
}

/* Outputs that are read too are moved twice. */
static unsigned int moved_twice(const struct weft_cmd *command)
{
	switch (command->opcode) {
	case WEFT_OP_MATMUL:
		return command->params.matmul.flags & WEFT_F_ACCUMULATE ? 1u << 3 : 0;
	case WEFT_OP_CONV_FWD:
	case WEFT_OP_CONV_BWD_DATA:
		return command->params.conv.flags & WEFT_F_ACCUMULATE ? 1u << 3 : 0;
	case WEFT_OP_CONV_BWD_WEIGHT:
		return command->params.conv.flags & WEFT_F_ACCUMULATE ? 1u << 2 : 0;
	case WEFT_OP_REDUCE:
		return command->params.reduce.flags & WEFT_F_ACCUMULATE ? 1u << 1 : 0;
	case WEFT_OP_SCATTER_ADD:
		return 1u << 2;
	case WEFT_OP_SGD:
		return 1u << 2 | 1u << 3;
	case WEFT_OP_ADAM:
		return 1u << 2 | 1u << 3 | 1u << 4;
	case WEFT_OP_LERP:
		return 1u << 1;
	default:
		return 0;
	}
}

/* Operations for a word of Philox: ten rounds of eight for four words. */
#define RANDOM_WORD 20.0

/* Functions that are series or tables, rather than one instruction, count as 8 operations. */
static double unary_operations(unsigned int function)
{
	switch (function) {
	case WEFT_UNARY_IDENTITY:
	case WEFT_UNARY_NEG:
	case WEFT_UNARY_ABS:
	case WEFT_UNARY_SIGN:
	case WEFT_UNARY_SQUARE:
	case WEFT_UNARY_RELU:
	case WEFT_UNARY_FLOOR:
	case WEFT_UNARY_CEIL:
	case WEFT_UNARY_ROUND:
	case WEFT_UNARY_NOT:
	case WEFT_UNARY_ISNAN:
	case WEFT_UNARY_ISINF:
	case WEFT_UNARY_THRESHOLDED_RELU:
		return 1;
	case WEFT_UNARY_LEAKY_RELU:
	case WEFT_UNARY_CLIP:
	case WEFT_UNARY_AFFINE:
	case WEFT_UNARY_SQRT:
	case WEFT_UNARY_RSQRT:
	case WEFT_UNARY_RECIPROCAL:
	case WEFT_UNARY_SHRINK:
	case WEFT_UNARY_HARD_SIGMOID:
	case WEFT_UNARY_HARD_SWISH:
		return 2;
	default:
		return 8;
	}
}

/* Operations of the vector unit per element of the operand that is counted: see vector_operations(). */
static const unsigned char operations_per_element[WEFT_OP_LIMIT] = {
	[WEFT_OP_NORM_STATS] = 4, /* add; subtract, multiply, add */
	[WEFT_OP_NORM_APPLY] = 4,
	[WEFT_OP_NORM_BWD_STATS] = 5,
	[WEFT_OP_NORM_BWD_APPLY] = 7,
	[WEFT_OP_SOFTMAX_FWD] = 12, /* maximum, subtract, exponential, add, scale */
	[WEFT_OP_SOFTMAX_BWD] = 4,
	[WEFT_OP_XENT_FWD] = 12,
	[WEFT_OP_XENT_BWD] = 14,
	[WEFT_OP_BINARY] = 1,
	[WEFT_OP_WHERE] = 1,
	[WEFT_OP_CAST] = 1,
	[WEFT_OP_REDUCE] = 1,
	[WEFT_OP_ARGREDUCE] = 1,
	[WEFT_OP_SCATTER_ADD] = 1,
	[WEFT_OP_TOPK] = 8,
	[WEFT_OP_SCATTER] = 1,
	[WEFT_OP_IOTA] = 2,
	[WEFT_OP_SGD] = 5,
	[WEFT_OP_ADAM] = 12,
	[WEFT_OP_LERP] = 3,
	[WEFT_OP_RANDOM] = RANDOM_WORD,
	[WEFT_OP_DROPOUT] = 22,
	[WEFT_OP_QUANTIZE] = 4, /* divide, round, add, clamp */
	[WEFT_OP_DEQUANTIZE] = 2,
	[WEFT_OP_REQUANTIZE] = 4,
	[WEFT_OP_QADD] = 5,
	[WEFT_OP_QMUL] = 5,
	[WEFT_OP_QLOOKUP] = 1,
	[WEFT_OP_QSOFTMAX] = 5,
	[WEFT_OP_QLAYERNORM] = 9,
	[WEFT_OP_BIT_UNPACK] = 1,
	[WEFT_OP_BIT_PACK] = 1,
};

static double vector_operations(const struct weft_cmd *command)
{
	const union weft_params *p = &command->params;
	double most = 0;

	switch (command->opcode) {
	case WEFT_OP_MAXPOOL_FWD:
	case WEFT_OP_AVGPOOL_FWD:
		return elements(&command->operand[1]) * p->pool.kernel[0] * p->pool.kernel[1];
	case WEFT_OP_AVGPOOL_BWD:
		return elements(&command->operand[0]) * p->pool.kernel[0] * p->pool.kernel[1];
	case WEFT_OP_MAXPOOL_BWD:
		return elements(&command->operand[0]);
	case WEFT_OP_UNARY:
		return elements(&command->operand[1]) * unary_operations(p->unary.function);
	case WEFT_OP_UNARY_BWD:
		return elements(&command->operand[2]) * (1 + unary_operations(p->unary.function));
	case WEFT_OP_SCATTER_ADD:
		return elements(&command->operand[0]);
	case WEFT_OP_QMAXPOOL:
	case WEFT_OP_QAVGPOOL:
		return elements(&command->operand[1]) * p->qpool.kernel[0] * p->qpool.kernel[1];
	/* A term is drawn once for all rows and added for each. */
	case WEFT_OP_PROJECT:
		return (elements(&command->operand[1]) + command->operand[1].dims[1] * RANDOM_WORD) * p->project.taps;
	/* Bits of a hash serve 32, 4 or 16 results; each result takes one addition. */
	case WEFT_OP_PROJECT_HASHED:
		return elements(&command->operand[0]) * command->operand[2].dims[1] * (1 + RANDOM_WORD / 32);
	case WEFT_OP_PROJECT_MEAN:
		return elements(&command->operand[0]) * command->operand[1].dims[1] * (1 + RANDOM_WORD / 4);
	case WEFT_OP_PROJECT_TERNARY:
		return elements(&command->operand[1]) * (1 + RANDOM_WORD / 16);
	/* A difference, a count and an addition for 32 bits. */
	case WEFT_OP_BIT_DOT:
		return elements(&command->operand[2]) * ((command->operand[0].dims[1] + 31) / 32) * 3;
	default:
		for (unsigned int i = 0; i < command->operands; i++) {
			double count = elements(&command->operand[i]);

			if (command->operand[i].type != WEFT_TYPE_NONE && count > most)
				most = count;
		}
		return most * operations_per_element[command->opcode];
	}
}

/* A product, or several equal ones. */
struct product {
	double count, m, k, n;
	bool integer;
	bool additions; /* of one operand or 0 */
};

static bool find_product(const struct weft_cmd *command, struct product *product)
{
	const struct weft_tensor *o = command->operand;
	const struct weft_tensor *w, *y;
	bool integer = command->opcode == WEFT_OP_QMATMUL || command->opcode == WEFT_OP_QCONV;
	double groups = integer ? command->params.qconv.groups : command->params.conv.groups, pixels, taps, outputs;
	unsigned int rank, result = integer ? 4 : 3;

	switch (command->opcode) {
	case WEFT_OP_BIT_MATMUL:
		*product =
			(struct product){1, o[0].dims[0], o[0].dims[1], o[1].dims[1], o[1].type != WEFT_TYPE_F32, true};
		return true;
	case WEFT_OP_MATMUL:
	case WEFT_OP_QMATMUL:
		rank = o[0].rank;
		*product = (struct product){
			1, o[result].dims[rank - 2], o[0].dims[rank - 1], o[result].dims[rank - 1], integer, false};
		for (unsigned int i = 0; i + 2 < rank; i++)
			product->count *= o[result].dims[i];
		return true;
	case WEFT_OP_CONV_FWD:
	case WEFT_OP_QCONV:
		w = &o[1], y = &o[result];
		if (integer && command->params.qconv.kernel[0]) {
			*product = (struct product){
				1,    (double)y->dims[0] * y->dims[1] * y->dims[2], 4.0 * w->dims[1], y->dims[3], true,
				false};
			return true;
		}
		break;
	case WEFT_OP_CONV_BWD_DATA:
		w = &o[1], y = &o[0];
		break;
	case WEFT_OP_CONV_BWD_WEIGHT:
		w = &o[2], y = &o[1];
		break;
	default:
		return false;
	}
	pixels = (double)y->dims[0] * y->dims[1] * y->dims[2];
	taps = (double)w->dims[0] * w->dims[1] * w->dims[2];
	outputs = w->dims[3] / groups;
	if (command->opcode == WEFT_OP_CONV_FWD || integer)
		*product = (struct product){groups, pixels, taps, outputs, integer, false};
	else if (command->opcode == WEFT_OP_CONV_BWD_DATA)
		*product = (struct product){groups, pixels, outputs, taps, false, false};
	else
		*product = (struct product){groups, taps, pixels, outputs, false, false};
	return true;
}

static uint64_t saturate(double value)
{
	return value < 0x1p64 ? (uint64_t)value : UINT64_MAX;
}

static void dma_cost(const struct weft_model *model, const struct weft_cmd *command, struct weft_model_cost *cost)
{
	unsigned int way = command->engine == WEFT_ENGINE_DMA_OUT;
	double bytes = command->operands == 2 ? operand_bytes(&command->operand[1]) : 0;
	double seconds = bytes > 0 ? model->dma_latency_seconds[way] + bytes / model->dma_bytes_per_second[way] : 0;

	cost->cycles = saturate(ceil(seconds * model->clock_hz));
	cost->picojoules = saturate(
		rint(bytes * (model->dma_byte_pj + model->device_byte_pj) + seconds * model->dma_watts * 1e12));
	cost->operations = 0;
	cost->bytes = saturate(bytes);
}

void weft_model_cost(const struct weft_model *model, const struct weft_cmd *command, struct weft_model_cost *cost)
{
	unsigned int twice = moved_twice(command);
	double macs = 0, steps = 0, operations = 0, bytes = 0, mac_pj = 0, busy, memory, cycles;
	struct product product;

	if (command->engine != WEFT_ENGINE_COMPUTE) {
		dma_cost(model, command, cost);
		return;
	}
	for (unsigned int i = 0; i < command->operands; i++) {
		if (command->operand[i].type != WEFT_TYPE_NONE)
			bytes += operand_bytes(&command->operand[i]) * (twice & 1u << i ? 2 : 1);
	}
	if (find_product(command, &product)) {
		macs = product.count * product.m * product.k * product.n;
		steps = product.count * (product.m * ceil(product.k / model->rows) * ceil(product.n / model->columns) +
					 model->rows + model->columns);
		if (product.integer)
			steps /= model->integer_speed;
		mac_pj = product.integer ? model->integer_mac_pj : model->mac_pj;
		if (product.additions && model->operation_pj < mac_pj)
			mac_pj = model->operation_pj;
	} else {
		operations = vector_operations(command);
	}
	busy = steps * model->step_cycles + operations / model->vector_lanes;
	memory = bytes * model->clock_hz / model->device_bytes_per_second;
	cycles = model->command_cycles + ceil(busy > memory ? busy : memory);
	cost->cycles = saturate(cycles);
	cost->picojoules =
		saturate(rint(macs * mac_pj + operations * model->operation_pj + bytes * model->device_byte_pj +
			      cycles / model->clock_hz * model->static_watts * 1e12));
	cost->operations = saturate(2 * macs + operations);
	cost->bytes = saturate(bytes);
}
