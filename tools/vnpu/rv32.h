/* SPDX-License-Identifier: MIT */
/**
 * An interpreter for RV32IMC with Zicsr, machine mode only: the control core of
 * the virtual NPU.
 *
 * Memory is one array from address 0; every access beyond it goes to the bus
 * functions.  There are no interrupts: WFI returns to the caller, which decides
 * when to go on.  An exception sets mepc, mcause and mtval and jumps to mtvec, as
 * the privileged specification says; with mtvec 0 it stops the core instead.
 * Instructions that were executed are kept decoded until FENCE.I, so what a program
 * writes over its own instructions counts from there on.
 *
 * After "The RISC-V Instruction Set Manual", volumes I (20191213) and II (20211203).
 */
#ifndef WEFT_VNPU_RV32_H
#define WEFT_VNPU_RV32_H

#include <stdbool.h>
#include <stdint.h>

enum rv32_cause {
	RV32_FETCH_MISALIGNED = 0,
	RV32_FETCH_FAULT = 1,
	RV32_ILLEGAL = 2,
	RV32_BREAKPOINT = 3,
	RV32_LOAD_MISALIGNED = 4,
	RV32_LOAD_FAULT = 5,
	RV32_STORE_MISALIGNED = 6,
	RV32_STORE_FAULT = 7,
	RV32_ECALL = 11,
};

enum rv32_stop {
	/** The instruction budget is used up. */
	RV32_BUDGET,
	/** A WFI was executed; pc is behind it. */
	RV32_WAIT,
	/** An exception with mtvec 0; mcause, mepc and mtval tell. */
	RV32_TRAPPED,
	/** rv32_stop() was called by a bus function. */
	RV32_STOPPED,
};

struct rv32_bus {
	void *user;
	/** Read @bytes (1, 2 or 4) at the aligned @address into *value.  False: access fault. */
	bool (*load)(void *user, uint32_t address, uint32_t bytes, uint32_t *value);
	bool (*store)(void *user, uint32_t address, uint32_t bytes, uint32_t value);
};

/** Instructions that are kept decoded, by address; a power of two. */
#define RV32_DECODED 16384
/** Where results for x0 go. */
#define RV32_NOWHERE 32

struct rv32_decoded {
	uint32_t pc; /* odd: none */
	uint8_t operation, bytes, rd, rs1, rs2, f3;
	uint32_t constant;
};

struct rv32 {
	uint32_t x[RV32_NOWHERE + 1];
	uint32_t pc;
	uint32_t mtvec, mepc, mcause, mtval, mscratch, mstatus;
	uint64_t retired; /* instructions; mcycle and minstret */
	uint8_t *memory;
	uint32_t memory_bytes;
	struct rv32_bus bus;
	bool stop;
	struct rv32_decoded decoded[RV32_DECODED];
};

/** Clear all registers and start at @entry.  @memory stays the caller's. */
void rv32_reset(struct rv32 *core, uint8_t *memory, uint32_t memory_bytes, const struct rv32_bus *bus, uint32_t entry);
/** Execute at most @budget instructions. */
enum rv32_stop rv32_run(struct rv32 *core, uint64_t budget);
/** Make rv32_run() return after the present instruction; for bus functions. */
void rv32_stop(struct rv32 *core);
/** The 32-bit instruction that a 16-bit one stands for; 0 where it is illegal or reserved. */
uint32_t rv32_expand(uint16_t instruction);

#endif /* WEFT_VNPU_RV32_H */
