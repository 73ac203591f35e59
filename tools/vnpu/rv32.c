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

void rv32_reset(struct rv32 *core, uint8_t *memory, uint32_t memory_bytes, const struct rv32_bus *bus, uint32_t entry)
{
	memset(core, 0, sizeof(*core));
	core->memory = memory;
	core->memory_bytes = memory_bytes;
	core->bus = *bus;
	core->pc = entry;
}

void rv32_stop(struct rv32 *core)
{
	core->stop = true;
}

/* Returns the next pc, or stops the core where there is no handler. */
static uint32_t trap(struct rv32 *core, uint32_t cause, uint32_t pc, uint32_t value, bool *trapped)
{
	core->mcause = cause;
	core->mepc = pc;
	core->mtval = value;
	if (!core->mtvec) {
		*trapped = true;
		return pc;
	}
	return core->mtvec & ~3u;
}

static bool in_memory(const struct rv32 *core, uint32_t address, uint32_t bytes)
{
	return address < core->memory_bytes && core->memory_bytes - address >= bytes;
}

static bool load(struct rv32 *core, uint32_t address, uint32_t bytes, uint32_t *value, uint32_t *cause)
{
	if (in_memory(core, address, bytes)) {
		*value = 0;
		memcpy(value, core->memory + address, bytes);
		return true;
	}
	*cause = address & (bytes - 1) ? RV32_LOAD_MISALIGNED : RV32_LOAD_FAULT;
	return *cause == RV32_LOAD_FAULT && core->bus.load && core->bus.load(core->bus.user, address, bytes, value);
}

static bool store(struct rv32 *core, uint32_t address, uint32_t bytes, uint32_t value, uint32_t *cause)
{
	if (in_memory(core, address, bytes)) {
		memcpy(core->memory + address, &value, bytes);
		return true;
	}
	*cause = address & (bytes - 1) ? RV32_STORE_MISALIGNED : RV32_STORE_FAULT;
	return *cause == RV32_STORE_FAULT && core->bus.store && core->bus.store(core->bus.user, address, bytes, value);
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

/* OP and OP-IMM; @alternate is bit 30: subtract or shift arithmetically. */
static uint32_t arithmetic(uint32_t f3, uint32_t a, uint32_t b, bool alternate)
{
	switch (f3) {
	case 0:
		return alternate ? a - b : a + b;
	case 1:
		return a << (b & 31);
	case 2:
		return (int32_t)a < (int32_t)b;
	case 3:
		return a < b;
	case 4:
		return a ^ b;
	case 5:
		return alternate ? (uint32_t)((int32_t)a >> (b & 31)) : a >> (b & 31);
	case 6:
		return a | b;
	default:
		return a & b;
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

static bool branch_taken(uint32_t f3, uint32_t a, uint32_t b, bool *illegal)
{
	switch (f3) {
	case 0:
		return a == b;
	case 1:
		return a != b;
	case 4:
		return (int32_t)a < (int32_t)b;
	case 5:
		return (int32_t)a >= (int32_t)b;
	case 6:
		return a < b;
	case 7:
		return a >= b;
	default:
		*illegal = true;
		return false;
	}
}

enum rv32_stop rv32_run(struct rv32 *core, uint64_t budget)
{
	static const uint8_t access_bytes[8] = {1, 2, 4, 0, 1, 2, 0, 0};

	for (core->stop = false; budget; budget--) {
		uint32_t pc = core->pc, next, instruction = 0, cause = 0, value, rd, f3, a, b;
		bool illegal = false, trapped = false, wait = false;

		if (core->stop)
			return RV32_STOPPED;
		if (!in_memory(core, pc, 2)) {
			core->pc = trap(core, RV32_FETCH_FAULT, pc, pc, &trapped);
			if (trapped)
				return RV32_TRAPPED;
			continue;
		}
		memcpy(&instruction, core->memory + pc, 2);
		if ((instruction & 3) == 3) {
			if (!in_memory(core, pc, 4)) {
				core->pc = trap(core, RV32_FETCH_FAULT, pc, pc + 2, &trapped);
				if (trapped)
					return RV32_TRAPPED;
				continue;
			}
			memcpy(&instruction, core->memory + pc, 4);
			next = pc + 4;
		} else {
			instruction = rv32_expand((uint16_t)instruction);
			next = pc + 2;
		}

		rd = bits(instruction, 11, 7);
		f3 = bits(instruction, 14, 12);
		a = core->x[bits(instruction, 19, 15)];
		b = core->x[bits(instruction, 24, 20)];
		switch (instruction & 0x7f) {
		case OP_LUI:
			core->x[rd] = instruction & 0xfffff000u;
			break;
		case OP_AUIPC:
			core->x[rd] = pc + (instruction & 0xfffff000u);
			break;
		case OP_JAL:
			core->x[rd] = next;
			next = pc + (uint32_t)sign_extend(
					    bits(instruction, 31, 31) << 20 | bits(instruction, 19, 12) << 12 |
						    bits(instruction, 20, 20) << 11 | bits(instruction, 30, 21) << 1,
					    21);
			break;
		case OP_JALR:
			if (f3) {
				illegal = true;
				break;
			}
			value = next;
			next = (a + (uint32_t)sign_extend(instruction >> 20, 12)) & ~1u;
			core->x[rd] = value;
			break;
		case OP_BRANCH:
			if (branch_taken(f3, a, b, &illegal))
				next = pc + (uint32_t)sign_extend(bits(instruction, 31, 31) << 12 |
									  bits(instruction, 7, 7) << 11 |
									  bits(instruction, 30, 25) << 5 |
									  bits(instruction, 11, 8) << 1,
								  13);
			break;
		case OP_LOAD:
			a += (uint32_t)sign_extend(instruction >> 20, 12);
			if (!access_bytes[f3]) {
				illegal = true;
				break;
			}
			if (!load(core, a, access_bytes[f3], &value, &cause)) {
				next = trap(core, cause, pc, a, &trapped);
				break;
			}
			core->x[rd] = f3 == 0	? (uint32_t)sign_extend(value, 8)
				      : f3 == 1 ? (uint32_t)sign_extend(value, 16)
						: value;
			break;
		case OP_STORE:
			a += (uint32_t)sign_extend(bits(instruction, 31, 25) << 5 | bits(instruction, 11, 7), 12);
			if (f3 > 2)
				illegal = true;
			else if (!store(core, a, access_bytes[f3], b, &cause))
				next = trap(core, cause, pc, a, &trapped);
			break;
		case OP_IMM:
			value = (uint32_t)sign_extend(instruction >> 20, 12);
			if ((f3 == 1 && instruction >> 25) || (f3 == 5 && (instruction >> 25 & ~0x20u)))
				illegal = true;
			else
				core->x[rd] = arithmetic(f3, a, value, f3 == 5 && bits(instruction, 30, 30));
			break;
		case OP_REG:
			switch (instruction >> 25) {
			case 0x00:
				core->x[rd] = arithmetic(f3, a, b, false);
				break;
			case 0x01:
				core->x[rd] = multiply(f3, a, b);
				break;
			case 0x20:
				if (f3 == 0 || f3 == 5)
					core->x[rd] = arithmetic(f3, a, b, true);
				else
					illegal = true;
				break;
			default:
				illegal = true;
			}
			break;
		case OP_FENCE: /* one core, in order: nothing to do for FENCE and FENCE.I */
			illegal = f3 > 1;
			break;
		case OP_SYSTEM:
			if (f3 && f3 != 4) {
				illegal = !csr_access(core, instruction);
			} else if (instruction == 0x00000073) { /* ecall */
				next = trap(core, RV32_ECALL, pc, 0, &trapped);
			} else if (instruction == 0x00100073) { /* ebreak */
				next = trap(core, RV32_BREAKPOINT, pc, pc, &trapped);
			} else if (instruction == 0x30200073) { /* mret */
				next = core->mepc;
			} else if (instruction == 0x10500073) { /* wfi */
				wait = true;
			} else {
				illegal = true;
			}
			break;
		default:
			illegal = true;
		}
		if (illegal)
			next = trap(core, RV32_ILLEGAL, pc, instruction, &trapped);
		core->x[0] = 0;
		core->pc = next;
		if (trapped)
			return RV32_TRAPPED;
		core->retired++;
		if (wait)
			return RV32_WAIT;
	}
	return core->stop ? RV32_STOPPED : RV32_BUDGET;
}
