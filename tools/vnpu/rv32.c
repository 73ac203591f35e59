// SPDX-License-Identifier: MIT
#include "rv32.h"

#include <string.h>

#define OP_LOAD 0x03
#define OP_FENCE 0x0f
#define OP_IMM 0x13
#define OP_AUIPC 0x17
#define OP_STORE 0x23
#define OP_REG 0x33
#define OP_LUI 0x37
#define OP_BRANCH 0x63
#define OP_JALR 0x67
#define OP_JAL 0x6f
#define OP_SYSTEM 0x73

#define CSR_MSTATUS 0x300
#define CSR_MISA 0x301
#define CSR_MTVEC 0x305
#define CSR_MSCRATCH 0x340
#define CSR_MEPC 0x341
#define CSR_MCAUSE 0x342
#define CSR_MTVAL 0x343
#define CSR_MCYCLE 0xb00
#define CSR_MINSTRET 0xb02
#define CSR_MCYCLEH 0xb80
#define CSR_MINSTRETH 0xb82
#define CSR_MHARTID 0xf14

#define MISA_RV32IMC ((1u << 30) | (1u << 2) | (1u << 8) | (1u << 12))

static uint32_t bits(uint32_t value, unsigned int high, unsigned int low)
{
	return (value >> low) & ((1u << (high - low + 1)) - 1);
}

static int32_t sign_extend(uint32_t value, unsigned int width)
{
	return (int32_t)(value << (32 - width)) >> (32 - width);
}

/* Encoders of the 32-bit formats that compressed instructions expand to. */

static uint32_t encode_i(uint32_t op, uint32_t f3, uint32_t rd, uint32_t rs1, uint32_t imm)
{
	return op | rd << 7 | f3 << 12 | rs1 << 15 | (imm & 0xfff) << 20;
}

static uint32_t encode_s(uint32_t f3, uint32_t rs1, uint32_t rs2, uint32_t imm)
{
	return OP_STORE | (imm & 0x1f) << 7 | f3 << 12 | rs1 << 15 | rs2 << 20 | bits(imm, 11, 5) << 25;
}

static uint32_t encode_r(uint32_t f7, uint32_t f3, uint32_t rd, uint32_t rs1, uint32_t rs2)
{
	return OP_REG | rd << 7 | f3 << 12 | rs1 << 15 | rs2 << 20 | f7 << 25;
}

static uint32_t encode_b(uint32_t f3, uint32_t rs1, uint32_t imm)
{
	return OP_BRANCH | bits(imm, 11, 11) << 7 | bits(imm, 4, 1) << 8 | f3 << 12 | rs1 << 15 |
	       bits(imm, 10, 5) << 25 | bits(imm, 12, 12) << 31;
}

static uint32_t encode_j(uint32_t rd, uint32_t imm)
{
	return OP_JAL | rd << 7 | bits(imm, 19, 12) << 12 | bits(imm, 11, 11) << 20 | bits(imm, 10, 1) << 21 |
	       bits(imm, 20, 20) << 31;
}

static uint32_t expand_quadrant0(uint32_t c)
{
	uint32_t rd = 8 + bits(c, 4, 2), rs1 = 8 + bits(c, 9, 7);
	uint32_t word = bits(c, 5, 5) << 6 | bits(c, 12, 10) << 3 | bits(c, 6, 6) << 2;
	uint32_t wide = bits(c, 10, 7) << 6 | bits(c, 12, 11) << 4 | bits(c, 5, 5) << 3 | bits(c, 6, 6) << 2;

	switch (bits(c, 15, 13)) {
	case 0: /* c.addi4spn */
		return wide ? encode_i(OP_IMM, 0, rd, 2, wide) : 0;
	case 2: /* c.lw */
		return encode_i(OP_LOAD, 2, rd, rs1, word);
	case 6: /* c.sw */
		return encode_s(2, rs1, rd, word);
	default:
		return 0;
	}
}

static uint32_t expand_arithmetic(uint32_t c)
{
	uint32_t rd = 8 + bits(c, 9, 7), rs2 = 8 + bits(c, 4, 2);
	uint32_t shift = bits(c, 12, 12) << 5 | bits(c, 6, 2);

	switch (bits(c, 11, 10)) {
	case 0: /* c.srli */
		return shift < 32 ? encode_i(OP_IMM, 5, rd, rd, shift) : 0;
	case 1: /* c.srai */
		return shift < 32 ? encode_i(OP_IMM, 5, rd, rd, shift | 0x400) : 0;
	case 2: /* c.andi */
		return encode_i(OP_IMM, 7, rd, rd, (uint32_t)sign_extend(shift, 6));
	}
	if (bits(c, 12, 12))
		return 0;
	switch (bits(c, 6, 5)) {
	case 0: /* c.sub */
		return encode_r(0x20, 0, rd, rd, rs2);
	case 1: /* c.xor */
		return encode_r(0, 4, rd, rd, rs2);
	case 2: /* c.or */
		return encode_r(0, 6, rd, rd, rs2);
	default: /* c.and */
		return encode_r(0, 7, rd, rd, rs2);
	}
}

static uint32_t expand_quadrant1(uint32_t c)
{
	uint32_t rd = bits(c, 11, 7);
	uint32_t imm6 = (uint32_t)sign_extend(bits(c, 12, 12) << 5 | bits(c, 6, 2), 6);
	uint32_t jump = (uint32_t)sign_extend(bits(c, 12, 12) << 11 | bits(c, 8, 8) << 10 | bits(c, 10, 9) << 8 |
						      bits(c, 6, 6) << 7 | bits(c, 7, 7) << 6 | bits(c, 2, 2) << 5 |
						      bits(c, 11, 11) << 4 | bits(c, 5, 3) << 1,
					      12);
	uint32_t branch = (uint32_t)sign_extend(bits(c, 12, 12) << 8 | bits(c, 6, 5) << 6 | bits(c, 2, 2) << 5 |
							bits(c, 11, 10) << 3 | bits(c, 4, 3) << 1,
						9);

	switch (bits(c, 15, 13)) {
	case 0: /* c.nop, c.addi */
		return encode_i(OP_IMM, 0, rd, rd, imm6);
	case 1: /* c.jal */
		return encode_j(1, jump);
	case 2: /* c.li */
		return encode_i(OP_IMM, 0, rd, 0, imm6);
	case 3:
		if (!imm6)
			return 0;
		if (rd == 2) /* c.addi16sp */
			return encode_i(OP_IMM, 0, 2, 2,
					(uint32_t)sign_extend(bits(c, 12, 12) << 9 | bits(c, 4, 3) << 7 |
								      bits(c, 5, 5) << 6 | bits(c, 2, 2) << 5 |
								      bits(c, 6, 6) << 4,
							      10));
		return OP_LUI | rd << 7 | imm6 << 12; /* c.lui */
	case 4:
		return expand_arithmetic(c);
	case 5: /* c.j */
		return encode_j(0, jump);
	case 6: /* c.beqz */
		return encode_b(0, 8 + bits(c, 9, 7), branch);
	default: /* c.bnez */
		return encode_b(1, 8 + bits(c, 9, 7), branch);
	}
}

static uint32_t expand_quadrant2(uint32_t c)
{
	uint32_t rd = bits(c, 11, 7), rs2 = bits(c, 6, 2);

	switch (bits(c, 15, 13)) {
	case 0: /* c.slli */
		return bits(c, 12, 12) ? 0 : encode_i(OP_IMM, 1, rd, rd, rs2);
	case 2: /* c.lwsp */
		return rd ? encode_i(OP_LOAD, 2, rd, 2, bits(c, 3, 2) << 6 | bits(c, 12, 12) << 5 | bits(c, 6, 4) << 2)
			  : 0;
	case 4:
		if (!bits(c, 12, 12)) {
			if (rs2) /* c.mv */
				return encode_r(0, 0, rd, 0, rs2);
			return rd ? encode_i(OP_JALR, 0, 0, rd, 0) : 0; /* c.jr */
		}
		if (rs2) /* c.add */
			return encode_r(0, 0, rd, rd, rs2);
		return rd ? encode_i(OP_JALR, 0, 1, rd, 0) : 0x00100073; /* c.jalr, c.ebreak */
	case 6:								 /* c.swsp */
		return encode_s(2, 2, rs2, bits(c, 8, 7) << 6 | bits(c, 12, 9) << 2);
	default:
		return 0;
	}
}

uint32_t rv32_expand(uint16_t instruction)
{
	switch (instruction & 3) {
	case 0:
		return expand_quadrant0(instruction);
	case 1:
		return expand_quadrant1(instruction);
	case 2:
		return expand_quadrant2(instruction);
	default:
		return 0;
	}
}

static uint32_t multiply(uint32_t f3, uint32_t a, uint32_t b)
{
	switch (f3) {
	case 0: /* mul */
		return a * b;
	case 1: /* mulh */
		return (uint32_t)((uint64_t)((int64_t)(int32_t)a * (int32_t)b) >> 32);
	case 2: /* mulhsu */
		return (uint32_t)((uint64_t)((int64_t)(int32_t)a * (int64_t)(uint64_t)b) >> 32);
	case 3: /* mulhu */
		return (uint32_t)((uint64_t)a * b >> 32);
	case 4: /* div */
		if (!b)
			return UINT32_MAX;
		return a == 0x80000000u && b == UINT32_MAX ? a : (uint32_t)((int32_t)a / (int32_t)b);
	case 5: /* divu */
		return b ? a / b : UINT32_MAX;
	case 6: /* rem */
		if (!b)
			return a;
		return a == 0x80000000u && b == UINT32_MAX ? 0 : (uint32_t)((int32_t)a % (int32_t)b);
	default: /* remu */
		return b ? a % b : a;
	}
}

static bool csr_read(const struct rv32 *core, uint32_t csr, uint32_t *value)
{
	switch (csr) {
	case CSR_MSTATUS:
		*value = core->mstatus;
		return true;
	case CSR_MISA:
		*value = MISA_RV32IMC;
		return true;
	case CSR_MTVEC:
		*value = core->mtvec;
		return true;
	case CSR_MSCRATCH:
		*value = core->mscratch;
		return true;
	case CSR_MEPC:
		*value = core->mepc;
		return true;
	case CSR_MCAUSE:
		*value = core->mcause;
		return true;
	case CSR_MTVAL:
		*value = core->mtval;
		return true;
	case CSR_MCYCLE:
	case CSR_MINSTRET:
		*value = (uint32_t)core->retired;
		return true;
	case CSR_MCYCLEH:
	case CSR_MINSTRETH:
		*value = (uint32_t)(core->retired >> 32);
		return true;
	case CSR_MHARTID:
		*value = 0;
		return true;
	default:
		return false;
	}
}

static bool csr_write(struct rv32 *core, uint32_t csr, uint32_t value)
{
	switch (csr) {
	case CSR_MSTATUS:
		core->mstatus = value;
		return true;
	case CSR_MTVEC:
		core->mtvec = value & ~3u;
		return true;
	case CSR_MSCRATCH:
		core->mscratch = value;
		return true;
	case CSR_MEPC:
		core->mepc = value & ~1u;
		return true;
	case CSR_MCAUSE:
		core->mcause = value;
		return true;
	case CSR_MTVAL:
		core->mtval = value;
		return true;
	case CSR_MISA:
	case CSR_MCYCLE:
	case CSR_MINSTRET:
	case CSR_MCYCLEH:
	case CSR_MINSTRETH:
		return true; /* writable by specification; the write has no effect here */
	default:
		return false;
	}
}

/* CSRRW, CSRRS, CSRRC and their immediate forms.  False: illegal instruction. */
static bool csr_access(struct rv32 *core, uint32_t instruction)
{
	uint32_t csr = instruction >> 20, f3 = bits(instruction, 14, 12);
	uint32_t field = bits(instruction, 19, 15), rd = bits(instruction, 11, 7);
	uint32_t operand = f3 & 4 ? field : core->x[field], old;

	if (!csr_read(core, csr, &old))
		return false;
	if ((f3 & 3) == 1 || field) {
		uint32_t value = (f3 & 3) == 1 ? operand : (f3 & 3) == 2 ? old | operand : old & ~operand;

		if (csr >> 10 == 3 || !csr_write(core, csr, value))
			return false;
	}
	core->x[rd] = old;
	return true;
}

enum {
	DO_DECODE, /* not decoded yet */
	DO_ILLEGAL,
	DO_FETCH_FAULT,
	DO_CONSTANT, /* LUI, AUIPC */
	DO_JAL,
	DO_JALR,
	DO_BRANCH, /* six, by their f3 */
	DO_LOAD = DO_BRANCH + 8,
	DO_STORE = DO_LOAD + 8,
	DO_IMM = DO_STORE + 8,
	DO_SRAI = DO_IMM + 8,
	DO_REG,
	DO_SUB = DO_REG + 8,
	DO_SRA,
	DO_MULTIPLY,
	DO_FENCE,
	DO_FENCE_I,
	DO_SYSTEM,
};

static bool in_memory(const struct rv32 *core, uint32_t address, uint32_t bytes)
{
	return address < core->memory_bytes && core->memory_bytes - address >= bytes;
}

/* The instruction at @pc, a 16-bit one expanded; 0 where it is illegal.  False: not in memory. */
static bool fetch(const struct rv32 *core, uint32_t pc, uint32_t *instruction, uint32_t *bytes)
{
	*instruction = 0;
	*bytes = 2;
	if (!in_memory(core, pc, 2))
		return false;
	memcpy(instruction, core->memory + pc, 2);
	if ((*instruction & 3) != 3) {
		*instruction = rv32_expand((uint16_t)*instruction);
		return true;
	}
	*bytes = 4;
	if (!in_memory(core, pc, 4))
		return false;
	memcpy(instruction, core->memory + pc, 4);
	return true;
}

static uint8_t decode_register(uint32_t f7, uint32_t f3)
{
	switch (f7) {
	case 0x00:
		return (uint8_t)(DO_REG + f3);
	case 0x01:
		return DO_MULTIPLY;
	case 0x20:
		return f3 == 0 ? DO_SUB : f3 == 5 ? DO_SRA : DO_ILLEGAL;
	default:
		return DO_ILLEGAL;
	}
}

/*
 * What @what needs is in its fields as it is used: constants of AUIPC, jumps and branches
 * are absolute, and a result that goes to x0 goes to a register that nobody reads.
 */
static void decode(const struct rv32 *core, uint32_t pc, struct rv32_decoded *what)
{
	uint32_t word, bytes, f3, f7;

	*what = (struct rv32_decoded){.pc = pc, .operation = DO_ILLEGAL};
	if (!fetch(core, pc, &word, &bytes)) {
		what->operation = DO_FETCH_FAULT;
		what->constant = bytes == 4 ? pc + 2 : pc;
		return;
	}
	f3 = bits(word, 14, 12);
	f7 = word >> 25;
	what->bytes = (uint8_t)bytes;
	what->rd = (uint8_t)bits(word, 11, 7);
	what->rd = what->rd ? what->rd : RV32_NOWHERE;
	what->rs1 = (uint8_t)bits(word, 19, 15);
	what->rs2 = (uint8_t)bits(word, 24, 20);
	what->f3 = (uint8_t)f3;
	what->constant = (uint32_t)sign_extend(word >> 20, 12);
	switch (word & 0x7f) {
	case OP_LUI:
	case OP_AUIPC:
		what->operation = DO_CONSTANT;
		what->constant = (word & 0xfffff000u) + ((word & 0x7f) == OP_AUIPC ? pc : 0);
		break;
	case OP_JAL:
		what->operation = DO_JAL;
		what->constant = pc + (uint32_t)sign_extend(bits(word, 31, 31) << 20 | bits(word, 19, 12) << 12 |
								    bits(word, 20, 20) << 11 | bits(word, 30, 21) << 1,
							    21);
		break;
	case OP_JALR:
		what->operation = f3 ? DO_ILLEGAL : DO_JALR;
		break;
	case OP_BRANCH:
		what->operation = f3 == 2 || f3 == 3 ? DO_ILLEGAL : (uint8_t)(DO_BRANCH + f3);
		what->constant = pc + (uint32_t)sign_extend(bits(word, 31, 31) << 12 | bits(word, 7, 7) << 11 |
								    bits(word, 30, 25) << 5 | bits(word, 11, 8) << 1,
							    13);
		break;
	case OP_LOAD:
		what->operation = f3 == 3 || f3 > 5 ? DO_ILLEGAL : (uint8_t)(DO_LOAD + f3);
		break;
	case OP_STORE:
		what->operation = f3 > 2 ? DO_ILLEGAL : (uint8_t)(DO_STORE + f3);
		what->constant = (uint32_t)sign_extend(f7 << 5 | bits(word, 11, 7), 12);
		break;
	case OP_IMM:
		if ((f3 == 1 && f7) || (f3 == 5 && f7 & ~0x20u))
			break;
		what->operation = f3 == 5 && f7 ? DO_SRAI : (uint8_t)(DO_IMM + f3);
		break;
	case OP_REG:
		what->operation = decode_register(f7, f3);
		break;
	case OP_FENCE:
		what->operation = f3 == 0 ? DO_FENCE : f3 == 1 ? DO_FENCE_I : DO_ILLEGAL;
		break;
	case OP_SYSTEM:
		what->operation = DO_SYSTEM;
		break;
	}
	if (what->operation == DO_ILLEGAL || what->operation == DO_SYSTEM)
		what->constant = word;
}

static void forget_decoded(struct rv32 *core)
{
	/* No instruction has an odd address. */
	for (uint32_t i = 0; i < RV32_DECODED; i++)
		core->decoded[i].pc = 1;
}

void rv32_reset(struct rv32 *core, uint8_t *memory, uint32_t memory_bytes, const struct rv32_bus *bus, uint32_t entry)
{
	memset(core, 0, sizeof(*core));
	core->memory = memory;
	core->memory_bytes = memory_bytes;
	core->bus = *bus;
	core->pc = entry & ~1u;
	forget_decoded(core);
}

void rv32_stop(struct rv32 *core)
{
	core->stop = true;
}

/* Go to the handler.  False: there is none. */
static bool trap(struct rv32 *core, uint32_t cause, uint32_t pc, uint32_t value)
{
	core->mcause = cause;
	core->mepc = pc;
	core->mtval = value;
	core->pc = core->mtvec ? core->mtvec & ~3u : pc;
	return core->mtvec;
}

/* Beyond memory.  Returns enum rv32_cause, or -1. */
static int bus_load(struct rv32 *core, uint32_t address, uint32_t bytes, uint32_t *value)
{
	if (address & (bytes - 1))
		return RV32_LOAD_MISALIGNED;
	return core->bus.load && core->bus.load(core->bus.user, address, bytes, value) ? -1 : RV32_LOAD_FAULT;
}

static int bus_store(struct rv32 *core, uint32_t address, uint32_t bytes, uint32_t value)
{
	if (address & (bytes - 1))
		return RV32_STORE_MISALIGNED;
	return core->bus.store && core->bus.store(core->bus.user, address, bytes, value) ? -1 : RV32_STORE_FAULT;
}

enum system { SYSTEM_NEXT, SYSTEM_TRAP, SYSTEM_WAIT, SYSTEM_STOP };

/* CSRs, ecall, ebreak, mret, wfi.  SYSTEM_TRAP: pc is the handler's. */
static enum system execute_system(struct rv32 *core, uint32_t instruction, uint32_t pc)
{
	bool handled;

	if ((bits(instruction, 14, 12) & 3) != 0) {
		if (csr_access(core, instruction)) {
			core->x[0] = 0;
			return SYSTEM_NEXT;
		}
		handled = trap(core, RV32_ILLEGAL, pc, instruction);
	} else if (instruction == 0x00000073) { /* ecall */
		handled = trap(core, RV32_ECALL, pc, 0);
	} else if (instruction == 0x00100073) { /* ebreak */
		handled = trap(core, RV32_BREAKPOINT, pc, pc);
	} else if (instruction == 0x30200073) { /* mret */
		core->pc = core->mepc;
		handled = true;
	} else if (instruction == 0x10500073) { /* wfi */
		return SYSTEM_WAIT;
	} else {
		handled = trap(core, RV32_ILLEGAL, pc, instruction);
	}
	return handled ? SYSTEM_TRAP : SYSTEM_STOP;
}

/*
 * One case per operation, so that each has a branch of its own to be predicted, and
 * nothing is decoded twice: the firmware's time is part of every submission's latency.
 */
enum rv32_stop rv32_run(struct rv32 *core, uint64_t budget)
{
	uint64_t left = budget, before = core->retired;
	uint32_t *const x = core->x;
	uint32_t pc = core->pc, a, b, value;
	enum rv32_stop why = RV32_BUDGET;
	int cause;

	core->stop = false;
	for (; left; left--) {
		struct rv32_decoded *what = &core->decoded[pc >> 1 & (RV32_DECODED - 1)];

		if (what->pc != pc)
			decode(core, pc, what);
		a = x[what->rs1];
		b = x[what->rs2];
		switch (what->operation) {
		case DO_CONSTANT:
			x[what->rd] = what->constant;
			break;
		case DO_JAL:
			x[what->rd] = pc + what->bytes;
			pc = what->constant;
			continue;
		case DO_JALR:
			x[what->rd] = pc + what->bytes;
			pc = (a + what->constant) & ~1u;
			continue;

#define BRANCH(f3, condition)        \
	case DO_BRANCH + (f3):       \
		if (!(condition))    \
			break;       \
		pc = what->constant; \
		continue
			BRANCH(0, a == b);
			BRANCH(1, a != b);
			BRANCH(4, (int32_t)a < (int32_t)b);
			BRANCH(5, (int32_t)a >= (int32_t)b);
			BRANCH(6, a < b);
			BRANCH(7, a >= b);

#define LOAD(f3, width, extended)                                \
	case DO_LOAD + (f3):                                     \
		a += what->constant;                             \
		value = 0;                                       \
		if (in_memory(core, a, width)) {                 \
			memcpy(&value, core->memory + a, width); \
			x[what->rd] = (extended);                \
			break;                                   \
		}                                                \
		core->pc = pc;                                   \
		cause = bus_load(core, a, width, &value);        \
		if (cause >= 0)                                  \
			goto fault;                              \
		x[what->rd] = (extended);                        \
		goto accessed
			LOAD(0, 1, (uint32_t)sign_extend(value, 8));
			LOAD(1, 2, (uint32_t)sign_extend(value, 16));
			LOAD(2, 4, value);
			LOAD(4, 1, value);
			LOAD(5, 2, value);

#define STORE(f3, width)                                     \
	case DO_STORE + (f3):                                \
		a += what->constant;                         \
		if (in_memory(core, a, width)) {             \
			memcpy(core->memory + a, &b, width); \
			break;                               \
		}                                            \
		core->pc = pc;                               \
		cause = bus_store(core, a, width, b);        \
		if (cause >= 0)                              \
			goto fault;                          \
		goto accessed
			STORE(0, 1);
			STORE(1, 2);
			STORE(2, 4);

#define ARITHMETIC(operation, result)   \
	case operation:                 \
		x[what->rd] = (result); \
		break
#define BOTH(f3, operator, type)                                                      \
	ARITHMETIC(DO_IMM + (f3), (uint32_t)((type)a operator(type) what->constant)); \
	ARITHMETIC(DO_REG + (f3), (uint32_t)((type)a operator(type) b))
			BOTH(0, +, uint32_t);
			BOTH(2, <, int32_t);
			BOTH(3, <, uint32_t);
			BOTH(4, ^, uint32_t);
			BOTH(6, |, uint32_t);
			BOTH(7, &, uint32_t);
			ARITHMETIC(DO_IMM + 1, a << (what->constant & 31));
			ARITHMETIC(DO_REG + 1, a << (b & 31));
			ARITHMETIC(DO_IMM + 5, a >> (what->constant & 31));
			ARITHMETIC(DO_REG + 5, a >> (b & 31));
			ARITHMETIC(DO_SRAI, (uint32_t)((int32_t)a >> (what->constant & 31)));
			ARITHMETIC(DO_SRA, (uint32_t)((int32_t)a >> (b & 31)));
			ARITHMETIC(DO_SUB, a - b);
			ARITHMETIC(DO_MULTIPLY, multiply(what->f3, a, b));
		case DO_FENCE: /* towards the host: a store, then a load */
			__atomic_thread_fence(__ATOMIC_SEQ_CST);
			break;
		case DO_FENCE_I:
			pc += what->bytes;
			forget_decoded(core);
			continue;
		case DO_SYSTEM:
			core->retired = before + (budget - left);
			switch (execute_system(core, what->constant, pc)) {
			case SYSTEM_NEXT:
				break;
			case SYSTEM_TRAP:
				pc = core->pc;
				continue;
			case SYSTEM_WAIT:
				pc += what->bytes;
				left--;
				why = RV32_WAIT;
				goto out;
			case SYSTEM_STOP:
				why = RV32_TRAPPED;
				goto out;
			}
			break;
		default:
			cause = what->operation == DO_FETCH_FAULT ? RV32_FETCH_FAULT : RV32_ILLEGAL;
			a = what->constant;
			goto fault;
		}
		/* A branch, which is predicted: the next instruction need not wait for this one's size. */
		if (what->bytes == 2) {
			pc += 2;
			__asm__ volatile("");
		} else {
			pc += 4;
			__asm__ volatile("");
		}
		continue;

	accessed: /* a bus function may have stopped the core */
		pc += what->bytes;
		if (core->stop) {
			left--;
			why = RV32_STOPPED;
			goto out;
		}
		continue;

	fault: /* of the value @a */
		if (!trap(core, (uint32_t)cause, pc, a)) {
			why = RV32_TRAPPED;
			goto out;
		}
		pc = core->pc;
	}
out:
	core->pc = pc;
	core->retired = before + (budget - left);
	return why;
}
