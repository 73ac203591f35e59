/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * The hardware interface of the Weft NPU: kernel driver <-> device.
 *
 * Rules of this header:
 *
 *  - All fields are little-endian, naturally aligned, with explicit padding
 *    that is written as zero and ignored when read.
 *  - Each field has one writer.  "Device" below is the hardware before the
 *    firmware runs, "firmware" the program on the control core, "host" the
 *    kernel driver.
 *  - Neither side trusts the other: a value is read once into private memory,
 *    checked, and used from there.
 *  - An index or count that one side advances only grows (modulo 2^32); the
 *    place in a ring is the index modulo the number of entries.
 *
 * The device is a PCI function with two windows:
 *
 *   BAR 0	registers: one doorbell that the host writes
 *   BAR 2	memory: struct weft_hw_mailbox at offset 0, the request ring, the
 *		area for the firmware image, and device memory, each at the
 *		offset that the mailbox states
 *
 * and with MSI-X vectors that it raises towards the host.
 *
 * Life of a device.  The device fills in its part of the mailbox and sets
 * @state to WEFT_HW_STATE_WAITING.  The host copies a firmware image to the
 * firmware area, zeroes the host's part of the mailbox and fills it in, writes
 * WEFT_HW_CONTROL_BOOT to @control and rings WEFT_HW_DOORBELL_CONTROL.  The
 * device checks the image, starts it, and the firmware, having filled in its
 * part, sets @state to WEFT_HW_STATE_RUNNING and raises WEFT_HW_VECTOR_EVENT.
 * WEFT_HW_CONTROL_RESET stops everything and leads back to WAITING; device
 * memory keeps its contents.
 *
 * Going on after a reset.  A reset stops the control core at once, lets each
 * engine finish the command that it executes where that takes a bounded time, and
 * says in @last how that command ended.  The firmware's part of the mailbox stays
 * until the next boot.  So for each job that the device held, the host knows how
 * many commands each engine has completed for it (@progress, and @last for the
 * command that the firmware could not take any more), and may hand the job to the
 * new firmware with request.skip: no command is executed twice, and none is left
 * out.  A job whose command was stopped half-way (WEFT_HW_LAST_ABORTED) cannot go
 * on, since what that command wrote is not defined.
 *
 * Requests and events.  The host writes struct weft_hw_request entries into the
 * request ring (in BAR 2), advances @request_tail and rings
 * WEFT_HW_DOORBELL_REQUEST.  The firmware answers each with one struct
 * weft_hw_event in the event ring (in host memory) that carries the request's
 * @sequence, and raises WEFT_HW_VECTOR_EVENT.  Jobs are answered when they have
 * ended, in any order; the other requests are carried out in ring order.
 *
 * Each side says whether it has to be told.  A doorbell leaves a guest or crosses a bus,
 * and an interrupt costs more than most of what it tells of, so neither is sent to
 * somebody who looks anyway.  @request_wanted is the index of the request that the
 * firmware wants the doorbell for: while it polls the ring, it leaves there the index of
 * one that it has taken, and the host rings only if the requests that it has just put
 * into the ring include the one wanted (weft_hw_wanted()).  @event_wanted is likewise the
 * index of the event that the host wants an interrupt for.  Who goes to sleep writes the
 * index of the next entry there, and then looks at the ring once more; who adds an entry
 * writes it, and then reads the index; with a full barrier between in both cases, so that
 * one of the two sees what the other has written.  An index that was passed sends nothing
 * until a new one is written.  Both are hints: a side that trusts neither looks at the
 * ring, or rings, from time to time.
 */
#ifndef _UAPI_WEFT_HW_H_
#define _UAPI_WEFT_HW_H_

#include "weft_isa.h"

#if defined(__cplusplus)
extern "C" {
#endif

/** PCI vendor and device of the virtual NPU, shared with every ivshmem device: the magic decides. */
#define WEFT_PCI_VENDOR 0x1af4
#define WEFT_PCI_DEVICE 0x1110

#define WEFT_BAR_REGISTERS 0
#define WEFT_BAR_MEMORY 2

/** Offset in BAR 0 of the 32-bit doorbell: the host writes mailbox.doorbell | enum weft_hw_doorbell. */
#define WEFT_REG_DOORBELL 12

/** mailbox.magic: "WEFT-NPU" read as a little-endian number. */
#define WEFT_HW_MAGIC 0x55504e2d54464557ULL

/** Version of this interface.  Majors must be equal; a minor only adds. */
#define WEFT_HW_VERSION_MAJOR 1
#define WEFT_HW_VERSION_MINOR 2
#define WEFT_HW_VERSION(major, minor) (((__u32)(major) << 16) | (__u32)(minor))

/** Bytes of the mailbox in BAR 2. */
#define WEFT_HW_MAILBOX_BYTES 4096u
/** Bytes from the start of BAR 2 that hold no device memory at the least: mailbox, ring, firmware area. */
#define WEFT_HW_CONTROL_MAX_BYTES (4u << 20)

/** Granule of device memory and of translation. */
#define WEFT_HW_PAGE_SHIFT 12
#define WEFT_HW_PAGE_BYTES (1u << WEFT_HW_PAGE_SHIFT)

/** Most jobs that a device holds at once. */
#define WEFT_HW_MAX_SLOTS 64
/** Most contexts of a device; numbers run from 1, 0 names none. */
#define WEFT_HW_MAX_CONTEXTS 256
/** Most entries of the two rings; a power of two. */
#define WEFT_HW_MAX_RING_ENTRIES 4096

/**
 * enum weft_hw_doorbell - what the host rings for
 * @WEFT_HW_DOORBELL_CONTROL: mailbox.control has changed
 * @WEFT_HW_DOORBELL_REQUEST: mailbox.request_tail or .event_head has advanced
 * @WEFT_HW_DOORBELLS: number of them
 */
enum weft_hw_doorbell {
	WEFT_HW_DOORBELL_CONTROL = 0,
	WEFT_HW_DOORBELL_REQUEST = 1,
	WEFT_HW_DOORBELLS = 2,
};

/**
 * enum weft_hw_vector - MSI-X vectors that the device raises
 * @WEFT_HW_VECTOR_EVENT: the event ring has advanced, or mailbox.state has changed
 * @WEFT_HW_VECTORS: number of vectors
 */
enum weft_hw_vector {
	WEFT_HW_VECTOR_EVENT = 0,
	WEFT_HW_VECTORS = 1,
};

/**
 * enum weft_hw_state - mailbox.state
 * @WEFT_HW_STATE_OFF: the device is not ready; its part of the mailbox is not valid
 * @WEFT_HW_STATE_WAITING: the device waits for a firmware image
 * @WEFT_HW_STATE_BOOTING: the firmware was started and has not answered yet
 * @WEFT_HW_STATE_RUNNING: the firmware serves requests
 * @WEFT_HW_STATE_REFUSED: the image was not accepted; mailbox.boot_error says why
 * @WEFT_HW_STATE_CRASHED: the control core stopped on an error of its own program
 */
enum weft_hw_state {
	WEFT_HW_STATE_OFF = 0,
	WEFT_HW_STATE_WAITING = 1,
	WEFT_HW_STATE_BOOTING = 2,
	WEFT_HW_STATE_RUNNING = 3,
	WEFT_HW_STATE_REFUSED = 4,
	WEFT_HW_STATE_CRASHED = 5,
};

/**
 * enum weft_hw_boot_error - why an image was refused
 * @WEFT_HW_BOOT_OK: it was not
 * @WEFT_HW_BOOT_MAGIC: no image, or not one for this device
 * @WEFT_HW_BOOT_ABI: header or interface version not supported
 * @WEFT_HW_BOOT_SIZE: sizes in the header contradict each other or the device's memory
 * @WEFT_HW_BOOT_CRC: checksum wrong
 * @WEFT_HW_BOOT_RING: the host's ring addresses or sizes are not usable
 */
enum weft_hw_boot_error {
	WEFT_HW_BOOT_OK = 0,
	WEFT_HW_BOOT_MAGIC = 1,
	WEFT_HW_BOOT_ABI = 2,
	WEFT_HW_BOOT_SIZE = 3,
	WEFT_HW_BOOT_CRC = 4,
	WEFT_HW_BOOT_RING = 5,
};

/**
 * enum weft_hw_control - mailbox.control
 * @WEFT_HW_CONTROL_NONE: nothing
 * @WEFT_HW_CONTROL_BOOT: start the image in the firmware area
 * @WEFT_HW_CONTROL_RESET: stop the core and every engine, forget every job and context
 */
enum weft_hw_control {
	WEFT_HW_CONTROL_NONE = 0,
	WEFT_HW_CONTROL_BOOT = 1,
	WEFT_HW_CONTROL_RESET = 2,
};

/**
 * struct weft_hw_engine_status - what an engine is doing; written by the firmware
 * @context: context of the command that runs, 0 if the engine is idle
 * @sequence: of the job's request
 * @command: index of the command in its stream
 * @pad: zero
 * @busy_ns: nanoseconds of completed commands since boot
 * @commands: completed commands since boot
 * @cycles: modelled cycles of completed commands since boot
 * @picojoules: modelled energy of completed commands since boot
 * @bytes: moved between the engine and memory since boot
 */
struct weft_hw_engine_status {
	__u32 context;
	__u32 sequence;
	__u32 command;
	__u32 pad;
	__u64 busy_ns;
	__u64 commands;
	__u64 cycles;
	__u64 picojoules;
	__u64 bytes;
};

/**
 * struct weft_hw_slot_status - a job that the device holds; written by the firmware
 * @sequence: of the job's request; meaningful while @context is not 0
 * @context: the job's context, 0 if the slot is free
 * @started: commands that were handed to an engine
 * @completed: commands that have completed
 */
struct weft_hw_slot_status {
	__u32 sequence;
	__u32 context;
	__u32 started;
	__u32 completed;
};

/** weft_hw_slot_progress.completed: a command of the engine failed; the job cannot go on. */
#define WEFT_HW_PROGRESS_FAULT 0xffffffffu

/**
 * struct weft_hw_slot_progress - how far a job is; written by the firmware
 * @completed: commands that each enum weft_engine has completed for it, those that a
 *	request skipped included.  Each element is written at once, and before the
 *	engine is given another command.  WEFT_HW_PROGRESS_FAULT: one of them failed.
 */
struct weft_hw_slot_progress {
	__u32 completed[WEFT_ENGINES];
};

/**
 * enum weft_hw_last - the command that an engine held at a reset
 * @WEFT_HW_LAST_NONE: it held none, or the firmware had counted it
 * @WEFT_HW_LAST_COMPLETED: it was executed as a whole
 * @WEFT_HW_LAST_ABORTED: it was stopped half-way, or it faulted
 */
enum weft_hw_last {
	WEFT_HW_LAST_NONE = 0,
	WEFT_HW_LAST_COMPLETED = 1,
	WEFT_HW_LAST_ABORTED = 2,
};

/**
 * struct weft_hw_engine_last - what an engine held at the last reset; written by the device
 * @outcome: enum weft_hw_last
 * @sequence: of the job's request
 * @ordinal: commands that the engine had completed for the job before this one
 * @pad: zero
 */
struct weft_hw_engine_last {
	__u32 outcome;
	__u32 sequence;
	__u32 ordinal;
	__u32 pad;
};

/**
 * struct weft_hw_mailbox - the start of BAR 2
 * @magic: device: WEFT_HW_MAGIC, written last
 * @version: device: WEFT_HW_VERSION of the hardware
 * @state: device, then firmware: enum weft_hw_state
 * @boot_error: device: enum weft_hw_boot_error
 * @doorbell: device: the high bits of a value for WEFT_REG_DOORBELL
 * @bar_bytes: device: bytes of BAR 2 that are backed
 * @request_offset: device: byte offset of the request ring in BAR 2, page-aligned
 * @request_entries: device: struct weft_hw_request entries that fit there, a power of two
 * @virtual_bits: device: bits of a device virtual address
 * @firmware_offset: device: byte offset of the firmware area in BAR 2, page-aligned
 * @firmware_bytes: device: bytes of the firmware area
 * @memory_offset: device: byte offset of device memory in BAR 2, page-aligned
 * @memory_bytes: device: bytes of device memory, a multiple of the page
 * @local_bytes: device: scratch memory of the engines, not part of device memory
 * @lanes: device: compute lanes
 * @contexts: device: highest context number
 * @clock_hz: device: clock of the analytical model
 * @macs_per_cycle: device: f32 multiply-adds per cycle of the model
 * @device_bytes_per_second: device: bandwidth of device memory of the model
 * @dma_in_bytes_per_second: device: DMA bandwidth of the model, host to device
 * @dma_out_bytes_per_second: device: DMA bandwidth of the model, device to host
 * @name: device: its name, zero-terminated
 * @profile: device: name of the analytical model's parameters, zero-terminated
 * @kernels: device: code path of the engines, zero-terminated
 * @last: device: what each enum weft_engine held when the device was reset
 * @firmware_version: firmware: version as text, zero-terminated
 * @isa_version: firmware: instruction set, WEFT_HW_VERSION(major, minor)
 * @slots: firmware: jobs that it holds at once, at most WEFT_HW_MAX_SLOTS
 * @heartbeat: firmware: grows at least every WEFT_HW_HEARTBEAT_MS while it is alive
 * @request_head: firmware: requests taken from the ring
 * @event_tail: firmware: events written to the ring
 * @faults: firmware: jobs ended by a fault since boot
 * @overflows: firmware: times that it had to wait for room in the event ring
 * @engine: firmware: state of each enum weft_engine
 * @request_wanted: firmware: index of the request that the host shall ring the doorbell for
 * @progress: firmware: of the job in each slot
 * @slot: firmware: state of each job slot
 * @control: host: enum weft_hw_control; the device sets it to 0 when it has acted
 * @request_tail: host: requests put into the ring
 * @event_head: host: events taken from the ring
 * @event_entries: host: struct weft_hw_event entries of the event ring, a power of two
 * @event_address: host: bus address of the event ring, page-aligned
 * @image_bytes: host: bytes of the image in the firmware area
 * @event_wanted: host: index of the event that the firmware shall raise an interrupt for
 * @poll_ns: host: how long the firmware, while it has no job, polls the request ring before
 *	it wants a doorbell; at most WEFT_HW_MAX_POLL_NS.  0: not at all
 * @pad0: zero
 * @pad1: zero
 * @pad2: zero
 *
 * The device's part comes first, then the firmware's at 1024, then the host's at 3072.
 */
struct weft_hw_mailbox {
	__u64 magic;
	__u32 version;
	__u32 state;
	__u32 boot_error;
	__u32 doorbell;
	__u64 bar_bytes;
	__u64 request_offset;
	__u32 request_entries;
	__u32 virtual_bits;
	__u64 firmware_offset;
	__u64 firmware_bytes;
	__u64 memory_offset;
	__u64 memory_bytes;
	__u64 local_bytes;
	__u32 lanes;
	__u32 contexts;
	__u64 clock_hz;
	__u64 macs_per_cycle;
	__u64 device_bytes_per_second;
	__u64 dma_in_bytes_per_second;
	__u64 dma_out_bytes_per_second;
	char name[64];
	char profile[32];
	char kernels[16];
	struct weft_hw_engine_last last[WEFT_ENGINES];
	__u8 pad0[728];

	char firmware_version[32];
	__u32 isa_version;
	__u32 slots;
	__u64 heartbeat;
	__u32 request_head;
	__u32 event_tail;
	__u64 faults;
	__u64 overflows;
	struct weft_hw_engine_status engine[WEFT_ENGINES];
	__u32 request_wanted;
	__u8 pad1[12];
	struct weft_hw_slot_progress progress[WEFT_HW_MAX_SLOTS];
	struct weft_hw_slot_status slot[WEFT_HW_MAX_SLOTS];

	__u32 control;
	__u32 request_tail;
	__u32 event_head;
	__u32 event_entries;
	__u64 event_address;
	__u32 image_bytes;
	__u32 event_wanted;
	__u32 poll_ns;
	__u8 pad2[988];
};

/** Longest time that the firmware polls, in nanoseconds. */
#define WEFT_HW_MAX_POLL_NS 1000000u

/**
 * weft_hw_wanted() - is an entry that was just added the one that the other side waits for?
 * @wanted: the index that the other side wants to be told of
 * @from: index of the first entry added
 * @to: index after the last entry added
 *
 * Return: nonzero if it is.
 */
static inline int weft_hw_wanted(__u32 wanted, __u32 from, __u32 to)
{
	return to - wanted - 1 < to - from;
}

/** The heartbeat grows at least this often, in milliseconds. */
#define WEFT_HW_HEARTBEAT_MS 100

/**
 * enum weft_hw_request_type - what the host asks of the firmware
 * @WEFT_HW_REQUEST_JOB: execute a command stream
 * @WEFT_HW_REQUEST_CONTEXT_OPEN: make a context known, with its page table
 * @WEFT_HW_REQUEST_CONTEXT_CLOSE: end every job of a context (they are answered first, with
 *	WEFT_FAULT_CANCELLED) and forget it; no access through its page table follows the answer
 * @WEFT_HW_REQUEST_CONTEXT_STOP: end every job of a context likewise, but keep it
 * @WEFT_HW_REQUEST_INVALIDATE: forget cached translations of a range; no access by an
 *	earlier translation follows the answer
 * @WEFT_HW_REQUEST_QUIESCE: finish every job and answer; for suspend
 * @WEFT_HW_REQUEST_TYPES: number of types
 */
enum weft_hw_request_type {
	WEFT_HW_REQUEST_JOB = 1,
	WEFT_HW_REQUEST_CONTEXT_OPEN = 2,
	WEFT_HW_REQUEST_CONTEXT_CLOSE = 3,
	WEFT_HW_REQUEST_CONTEXT_STOP = 4,
	WEFT_HW_REQUEST_INVALIDATE = 5,
	WEFT_HW_REQUEST_QUIESCE = 6,
	WEFT_HW_REQUEST_TYPES,
};

/** request.flags of a job: answer it as completed without executing a command. */
#define WEFT_HW_JOB_NULL (1u << 0)

/**
 * struct weft_hw_request - an entry of the request ring; written by the host
 * @type: enum weft_hw_request_type
 * @sequence: the host's name for the request, returned in its event; unique among the
 *	requests that have not been answered
 * @context: 1 to mailbox.contexts; 0 for QUIESCE
 * @flags: JOB: WEFT_HW_JOB_*; else 0
 * @queue: JOB: jobs of one context and queue run one after another, in ring order
 * @priority: JOB: 0 to 2, higher first when an engine falls idle
 * @address: JOB: device virtual address of the command stream; CONTEXT_OPEN: bus address of
 *	the root page table; INVALIDATE: first device virtual address
 * @bytes: JOB: bytes of the command stream; INVALIDATE: bytes of the range
 * @timeout_ns: JOB: a command that runs longer faults with WEFT_FAULT_TIMEOUT; 0: never
 * @skip: JOB: commands of each enum weft_engine, from the start of the stream, that were
 *	executed before a reset: they are passed over, and their semaphores are set
 * @pad: zero
 */
struct weft_hw_request {
	__u32 type;
	__u32 sequence;
	__u32 context;
	__u32 flags;
	__u32 queue;
	__u32 priority;
	__u64 address;
	__u64 bytes;
	__u64 timeout_ns;
	__u32 skip[WEFT_ENGINES];
	__u32 pad;
};

/**
 * enum weft_hw_status - outcome of a request
 * @WEFT_HW_STATUS_OK: done
 * @WEFT_HW_STATUS_FAULT: a job ended early; event.fault says why
 * @WEFT_HW_STATUS_INVALID: a field of the request is out of range
 * @WEFT_HW_STATUS_BUSY: no job slot, or the context is open already
 * @WEFT_HW_STATUS_CONTEXT: the context is not open
 */
enum weft_hw_status {
	WEFT_HW_STATUS_OK = 0,
	WEFT_HW_STATUS_FAULT = 1,
	WEFT_HW_STATUS_INVALID = 2,
	WEFT_HW_STATUS_BUSY = 3,
	WEFT_HW_STATUS_CONTEXT = 4,
};

/**
 * struct weft_hw_job_engine - what a job did on one engine
 * @busy_ns: nanoseconds that the engine was busy with it
 * @commands: completed commands
 * @cycles: modelled cycles of them
 * @picojoules: modelled energy of them
 * @bytes: moved between the engine and memory
 */
struct weft_hw_job_engine {
	__u64 busy_ns;
	__u64 commands;
	__u64 cycles;
	__u64 picojoules;
	__u64 bytes;
};

/**
 * struct weft_hw_event - an entry of the event ring; written by the firmware
 * @index: the event's index plus one, written last: tells a new entry from an old one
 * @sequence: of the request
 * @status: enum weft_hw_status
 * @context: of the request
 * @fault: JOB: first fault, reason 0 if none
 * @engine: JOB: by enum weft_engine
 * @pad: zero
 */
struct weft_hw_event {
	__u32 index;
	__u32 sequence;
	__u32 status;
	__u32 context;
	struct weft_fault_record fault;
	struct weft_hw_job_engine engine[WEFT_ENGINES];
	__u64 pad[3];
};

/*
 * Page tables.  A device virtual address has WEFT_VA_BITS bits; three levels of
 * 512 entries of 8 bytes translate it, each table one page of host memory.  The
 * host writes them; the device only reads.  An entry without WEFT_PTE_VALID is a
 * fault, whatever its other bits.
 */
#define WEFT_VA_BITS 39
#define WEFT_PT_LEVELS 3
#define WEFT_PT_ENTRIES 512
#define WEFT_PT_INDEX_BITS 9

/** The entry translates, or leads to a table. */
#define WEFT_PTE_VALID (1ULL << 0)
/** Leaf: the device may write. */
#define WEFT_PTE_WRITE (1ULL << 1)
/** Leaf: the address is a bus address of host memory; otherwise an offset in device memory. */
#define WEFT_PTE_HOST (1ULL << 2)
/** The entry translates.  Always set in the last level; in the middle level it maps 2 MiB. */
#define WEFT_PTE_LEAF (1ULL << 3)
/** Address of the page or table. */
#define WEFT_PTE_ADDRESS 0x000ffffffffff000ULL

/** Level 0 is the root. */
#define WEFT_PT_SHIFT(level) (WEFT_HW_PAGE_SHIFT + WEFT_PT_INDEX_BITS * (WEFT_PT_LEVELS - 1 - (level)))

/** image.magic: "WEFTFIRM" read as a little-endian number. */
#define WEFT_FW_MAGIC 0x4d52494654464557ULL
/** Version of struct weft_fw_image. */
#define WEFT_FW_HEADER_VERSION 1
/** Most bytes of an image, header included. */
#define WEFT_FW_MAX_BYTES (1u << 20)

/**
 * struct weft_fw_image - the start of a firmware file; written by the image packer
 * @magic: WEFT_FW_MAGIC
 * @header_version: WEFT_FW_HEADER_VERSION
 * @header_bytes: sizeof(struct weft_fw_image); the program follows
 * @hw_version: the version of this header that the program was built for, WEFT_HW_VERSION
 * @isa_version: instruction set that it executes, WEFT_HW_VERSION
 * @program_bytes: bytes of code and data after the header
 * @load_address: address in the core's memory where the program goes
 * @entry: address of the first instruction
 * @memory_bytes: memory that the program needs from address 0, with its zeroed data and stack
 * @program_crc: CRC-32 (IEEE 802.3, as zlib's crc32) of the program
 * @header_crc: CRC-32 of the header with this field zero
 * @version: version as text, zero-terminated
 */
struct weft_fw_image {
	__u64 magic;
	__u32 header_version;
	__u32 header_bytes;
	__u32 hw_version;
	__u32 isa_version;
	__u32 program_bytes;
	__u32 load_address;
	__u32 entry;
	__u32 memory_bytes;
	__u32 program_crc;
	__u32 header_crc;
	char version[32];
};

#if defined(__cplusplus)
}
#endif

#endif /* _UAPI_WEFT_HW_H_ */
