/* SPDX-License-Identifier: MIT */
/**
 * What the control core's program sees of the chip around it.
 *
 * This is the inside of the device; nothing of it is visible to the host.  The
 * firmware's RV32 build and every implementation of the chip (the virtual NPU is
 * one) share it.
 *
 *   0x00000000  the core's own memory: program, data, stack
 *   0x40000000  registers, below; 32-bit accesses only
 *   0x80000000  the start of BAR 2: mailbox and request ring; any access size
 *
 * A 64-bit quantity takes two registers, low word first.  Reading a low word
 * latches the high one; a write takes effect when the high word is written.
 */
#ifndef WEFT_CONTROL_RV32_SOC_H
#define WEFT_CONTROL_RV32_SOC_H

#define SOC_MEMORY_BYTES 0x100000
#define SOC_REGISTERS 0x40000000
#define SOC_WINDOW 0x80000000

/** ro: nanoseconds since reset, 64 bit. */
#define SOC_TIME 0x000
/** rw: SOC_EVENT_* that have occurred since they were cleared; writing ones clears. */
#define SOC_PENDING 0x008
/** rw: time at which SOC_EVENT_TIMER occurs next, 64 bit. */
#define SOC_ALARM 0x010
/** wo: raise this interrupt vector towards the host. */
#define SOC_RAISE 0x018
/** wo: stop the core for good; the value appears in the device's log. */
#define SOC_HALT 0x01c

#define SOC_EVENT_REQUEST (1u << 0)
#define SOC_EVENT_TIMER (1u << 1)
#define SOC_EVENT_ENGINE(engine) (1u << (8 + (engine)))

/*
 * The core's copy engine: between its own memory and a context's or the host's.
 * It has finished when the write to SOC_COPY_START returns.
 */
/** rw: address in the core's memory. */
#define SOC_COPY_LOCAL 0x040
/** rw: bytes. */
#define SOC_COPY_BYTES 0x044
/** rw: device virtual address in SOC_COPY_CONTEXT, or bus address where that is 0; 64 bit. */
#define SOC_COPY_ADDRESS 0x048
#define SOC_COPY_CONTEXT 0x050
/** wo: SOC_COPY_READ into the core's memory, or SOC_COPY_WRITE from it. */
#define SOC_COPY_START 0x054
/** ro: enum weft_fault of the last copy. */
#define SOC_COPY_STATUS 0x058

#define SOC_COPY_READ 1
#define SOC_COPY_WRITE 2

/* Address translation. */
/** rw: context that the other registers of this block concern. */
#define SOC_MMU_CONTEXT 0x060
/** rw: ATTACH: bus address of the root table; CHECK, INVALIDATE: device virtual address; 64 bit. */
#define SOC_MMU_ADDRESS 0x068
/** rw: CHECK, INVALIDATE: bytes, 64 bit. */
#define SOC_MMU_BYTES 0x070
/** rw: CHECK: SOC_MMU_WRITE, SOC_MMU_HOST. */
#define SOC_MMU_ACCESS 0x078
/** wo: one of SOC_MMU_ATTACH to SOC_MMU_CHECK; done when the write returns. */
#define SOC_MMU_COMMAND 0x07c
/** ro: enum weft_fault of the last command. */
#define SOC_MMU_STATUS 0x080
/** ro: CHECK: first device virtual address that failed, 64 bit. */
#define SOC_MMU_FAILED 0x088

#define SOC_MMU_ATTACH 1
#define SOC_MMU_DETACH 2
#define SOC_MMU_INVALIDATE 3
#define SOC_MMU_CHECK 4

#define SOC_MMU_WRITE (1u << 0)
#define SOC_MMU_HOST (1u << 1)

/* One block for each enum weft_engine. */
#define SOC_ENGINE(engine) (0x100u + (engine)*0x80u)
/** rw: address in the core's memory of the command, aligned to 8; read when started. */
#define SOC_ENGINE_COMMAND 0x00
/** rw: context that the command's addresses belong to. */
#define SOC_ENGINE_CONTEXT 0x04
/** wo: SOC_ENGINE_START, SOC_ENGINE_ABORT or SOC_ENGINE_RETIRE. */
#define SOC_ENGINE_CONTROL 0x08
/** ro: SOC_ENGINE_IDLE, _RUNNING, or _DONE until the next start. */
#define SOC_ENGINE_STATE 0x0c
/** ro: enum weft_fault of the command that is done. */
#define SOC_ENGINE_REASON 0x10
/** ro: operand that the fault concerns, 0xff if none. */
#define SOC_ENGINE_OPERAND 0x14
/** ro: detail of the fault. */
#define SOC_ENGINE_DETAIL 0x18
/** ro: address or value of the fault, 64 bit. */
#define SOC_ENGINE_ADDRESS 0x20
/** ro: nanoseconds that the command took, 64 bit. */
#define SOC_ENGINE_BUSY 0x28
/** ro: modelled cycles, picojoules and bytes moved, 64 bit each. */
#define SOC_ENGINE_CYCLES 0x30
#define SOC_ENGINE_PICOJOULES 0x38
#define SOC_ENGINE_BYTES 0x40
/**
 * rw: the command's name: sequence of the job's request, and commands that the engine
 * has completed for the job; taken at the start.  At a reset the device puts it into
 * mailbox.last if the command has not been retired.
 */
#define SOC_ENGINE_SEQUENCE 0x48
#define SOC_ENGINE_ORDINAL 0x4c

#define SOC_ENGINE_START 1
/** The command ends as soon as the engine can, with reason WEFT_FAULT_TIMEOUT. */
#define SOC_ENGINE_ABORT 2
/** The command that is done has been counted in mailbox.progress. */
#define SOC_ENGINE_RETIRE 3

#define SOC_ENGINE_IDLE 0
#define SOC_ENGINE_RUNNING 1
#define SOC_ENGINE_DONE 2

#endif /* WEFT_CONTROL_RV32_SOC_H */
