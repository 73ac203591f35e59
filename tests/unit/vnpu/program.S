/* SPDX-License-Identifier: MIT */
/*
 * For the interpreter's test: computes, then does each thing that traps, noting
 * mcause, mtval and the handler's return, and waits.
 */
	.section .text.start, "ax"
	.globl _start
_start:
	li	sp, 0x80000
	li	a0, 0x40000
	call	compute
	li	t0, 0x3fffc
	sw	a0, 0(t0)

	la	t0, handler
	csrw	mtvec, t0
	li	s0, 0x60000		/* where the handler notes */
	.option	push
	.option	norvc
	ecall
	ebreak
	.word	0xffffffff		/* illegal */
	li	t0, 0x200000		/* beyond memory and bus */
	lw	t1, 0(t0)
	sw	t1, 0(t0)
	li	t0, 0x200002
	lw	t1, 0(t0)		/* beyond, and misaligned */
	csrr	t1, 0x7c0		/* no such register */
	csrw	0xf14, t1		/* read only */
	.option	pop
	/* Division by zero and overflow do not trap. */
	li	t0, -1
	div	t1, t0, zero
	sw	t1, 0(s0)
	rem	t1, t0, zero
	sw	t1, 4(s0)
	divu	t1, t0, zero
	sw	t1, 8(s0)
	remu	t1, t0, zero
	sw	t1, 12(s0)
	li	t1, 0x80000000
	div	t2, t1, t0
	sw	t2, 16(s0)
	rem	t2, t1, t0
	sw	t2, 20(s0)
	/* Read, set and clear a register. */
	li	t0, 0xf0
	csrw	mscratch, t0
	csrrsi	t1, mscratch, 15
	sw	t1, 24(s0)
	li	t0, 0x30
	csrrc	t1, mscratch, t0
	sw	t1, 28(s0)
	csrr	t1, mscratch
	sw	t1, 32(s0)
	/* Zero stays zero. */
	addi	zero, sp, 5
	sw	zero, 36(s0)
	/* The bus. */
	li	t0, 0x40000000
	lw	t1, 8(t0)
	sw	t1, 40(s0)
	sw	t1, 12(t0)
	wfi
1:	j	1b

	.balign	4
handler:
	csrr	t5, mcause
	sw	t5, 0(s0)
	csrr	t5, mtval
	sw	t5, 4(s0)
	addi	s0, s0, 8
	csrr	t5, mepc
	addi	t5, t5, 4
	csrw	mepc, t5
	mret
