/* SPDX-License-Identifier: MIT */
/* Entry of the control core's program: stack, trap handler, zeroed data, main. */
#include "soc.h"

	.section .text.start, "ax"
	.globl _start
_start:
	la	sp, __stack_end
	la	t0, trap
	csrw	mtvec, t0
	la	t0, __bss_start
	la	t1, __bss_end
1:	bgeu	t0, t1, 2f
	sw	zero, 0(t0)
	addi	t0, t0, 4
	j	1b
2:	call	main
	li	a0, 0x100

	/* Any exception is an error of this program: stop, with the cause. */
	.balign 4
trap:
	csrr	a0, mcause
	li	t0, SOC_REGISTERS + SOC_HALT
	sw	a0, 0(t0)
3:	j	3b
