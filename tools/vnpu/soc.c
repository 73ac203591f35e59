// SPDX-License-Identifier: MIT
#include "soc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine.h"
#include "model.h"
#include "rv32/crc32.h"
#include "rv32/soc.h"

/* Instructions that the core executes between two looks at the doorbells. */
#define SLICE 20000

struct vnpu_soc {
	struct vnpu_soc_options options;
	struct vnpu_mmu *mmu;
	struct vnpu_engines *engines;
	struct rv32 core;
	uint8_t *memory;   /* the core's own */
	bool running;	   /* the core executes */
	bool waiting;	   /* in WFI */
	uint32_t pending;  /* SOC_EVENT_*; atomic */
	uint64_t reset_ns; /* time zero of SOC_TIME */
	uint64_t alarm;	   /* 0: none */
	uint64_t latched;  /* high word of the last 64-bit register read */
	uint32_t copy_local, copy_bytes, copy_context, copy_status;
	uint64_t copy_address;
	uint32_t mmu_context, mmu_access, mmu_status;
	uint64_t mmu_address, mmu_bytes, mmu_failed;
	uint32_t engine_command[WEFT_ENGINES], engine_context[WEFT_ENGINES];
	struct vnpu_engine_name engine_name[WEFT_ENGINES];
};

static uint64_t now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static uint64_t soc_time(const struct vnpu_soc *soc)
{
	return now_ns() - soc->reset_ns;
}

static void set_state(struct vnpu_soc *soc, uint32_t state, uint32_t error)
{
	struct weft_hw_mailbox *mailbox = vnpu_mailbox(soc->options.memory);

	mailbox->boot_error = error;
	__atomic_store_n(&mailbox->state, state, __ATOMIC_RELEASE);
}

static void post(struct vnpu_soc *soc, uint32_t event)
{
	uint64_t one = 1;

	__atomic_or_fetch(&soc->pending, event, __ATOMIC_RELEASE);
	if (write(soc->options.wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		perror("vnpu: wake");
}

static void engine_done(void *user, unsigned int engine)
{
	post(user, SOC_EVENT_ENGINE(engine));
}

/* Fields that the driver has read at probe; it must not look at them again. */
static void corrupt_mailbox(struct vnpu_soc *soc)
{
	struct weft_hw_mailbox *mailbox = vnpu_mailbox(soc->options.memory);

	mailbox->request_offset = ~0ull;
	mailbox->request_entries = 0xffffffff;
	mailbox->memory_offset = ~0ull;
	mailbox->memory_bytes = ~0ull;
	mailbox->bar_bytes = ~0ull;
	mailbox->slots = 0xffffffff;
	mailbox->contexts = 0xffffffff;
	mailbox->request_head += 0x40000000;
	mailbox->event_tail += 0x40000000;
	memset(mailbox->engine, 0xa5, sizeof(mailbox->engine));
	memset(mailbox->slot, 0xa5, sizeof(mailbox->slot));
	memset(mailbox->name, 'x', sizeof(mailbox->name));
}

/* Overwrite one of @most words with a number at a boundary, or any. */
static void garble(void *from, size_t bytes, uint32_t most)
{
	static const uint32_t boundaries[] = {0, 1, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};
	static uint32_t random = 1;
	volatile uint32_t *words = from;

	for (size_t i = 0; i < bytes / sizeof(*words); i++) {
		random = random * 1664525 + 1013904223;
		if (random >> 8 & (most - 1))
			continue;
		words[i] = random & 0x80 ? random : boundaries[(random >> 16) % (sizeof(boundaries) / 4)];
	}
}

/* The firmware has written an event but for its index, which makes it valid. */
static void spoil_event(struct vnpu_soc *soc, uint8_t *written)
{
	struct weft_hw_event *event = (void *)(written - offsetof(struct weft_hw_event, sequence));
	struct weft_hw_mailbox *mailbox = vnpu_mailbox(soc->options.memory);
	struct vnpu_misbehave *misbehave = soc->options.misbehave;

	if (vnpu_misbehave_once(misbehave, VNPU_CORRUPT_EVENT))
		event->sequence ^= 0x5a5a5a5a;
	if (!vnpu_misbehave_every(misbehave, VNPU_GARBAGE))
		return;
	garble(&event->sequence, sizeof(*event) - sizeof(event->index), 4);
	/* What the device and the firmware say, up to where the host's part begins. */
	garble(&mailbox->state, offsetof(struct weft_hw_mailbox, control) - offsetof(struct weft_hw_mailbox, state),
	       16);
}

static void raise(struct vnpu_soc *soc, uint32_t vector)
{
	struct vnpu_misbehave *misbehave = soc->options.misbehave;

	if (vector >= WEFT_HW_VECTORS)
		return;
	if (vnpu_misbehave_once(misbehave, VNPU_CORRUPT_MAILBOX))
		corrupt_mailbox(soc);
	if (vnpu_misbehave_every(misbehave, VNPU_DROP_INTERRUPT))
		return;
	soc->options.raise(soc->options.user, vector);
	if (vnpu_misbehave_every(misbehave, VNPU_DOUBLE_INTERRUPT))
		soc->options.raise(soc->options.user, vector);
}

static void crash(struct vnpu_soc *soc, const char *why, uint32_t value)
{
	fprintf(stderr, "vnpu: control core stopped: %s 0x%x at pc 0x%x (cause %u, value 0x%x)\n", why, value,
		soc->core.pc, soc->core.mcause, soc->core.mtval);
	soc->running = false;
	set_state(soc, WEFT_HW_STATE_CRASHED, 0);
	raise(soc, WEFT_HW_VECTOR_EVENT);
}

/* The core's copy engine. */
static void copy_start(struct vnpu_soc *soc, uint32_t direction)
{
	uint32_t bytes = soc->copy_bytes, access = direction == SOC_COPY_WRITE ? VNPU_WRITE : VNPU_READ;
	uint64_t failed;
	void *local, *bus;

	soc->copy_status = WEFT_FAULT_UNMAPPED;
	if (soc->copy_local > SOC_MEMORY_BYTES || bytes > SOC_MEMORY_BYTES - soc->copy_local)
		return;
	local = soc->memory + soc->copy_local;
	if (soc->copy_context) {
		soc->copy_status =
			vnpu_mmu_copy(soc->mmu, soc->copy_context, soc->copy_address, bytes, access, local, &failed);
		return;
	}
	bus = vnpu_memory_bus(soc->options.memory, soc->copy_address, bytes);
	if (!bus)
		return;
	if (direction == SOC_COPY_WRITE) {
		memcpy(bus, local, bytes);
		if (bytes == sizeof(struct weft_hw_event) - offsetof(struct weft_hw_event, sequence))
			spoil_event(soc, bus);
		/* The next copy must not be seen before this one. */
		__atomic_thread_fence(__ATOMIC_RELEASE);
	} else {
		memcpy(local, bus, bytes);
	}
	soc->copy_status = WEFT_FAULT_NONE;
}

static void mmu_command(struct vnpu_soc *soc, uint32_t command)
{
	uint32_t access = 0;

	soc->mmu_status = WEFT_FAULT_NONE;
	switch (command) {
	case SOC_MMU_ATTACH:
		if (!vnpu_mmu_attach(soc->mmu, soc->mmu_context, soc->mmu_address))
			soc->mmu_status = WEFT_FAULT_PARAMETER;
		break;
	case SOC_MMU_DETACH:
		vnpu_mmu_detach(soc->mmu, soc->mmu_context);
		break;
	case SOC_MMU_INVALIDATE: /* nothing is cached between accesses */
		break;
	case SOC_MMU_CHECK:
		access |= soc->mmu_access & SOC_MMU_WRITE ? VNPU_WRITE : 0;
		access |= soc->mmu_access & SOC_MMU_HOST ? VNPU_HOST : 0;
		soc->mmu_status = vnpu_mmu_check(soc->mmu, soc->mmu_context, soc->mmu_address, soc->mmu_bytes, access,
						 &soc->mmu_failed);
		break;
	default:
		soc->mmu_status = WEFT_FAULT_PARAMETER;
	}
}

static void engine_control(struct vnpu_soc *soc, unsigned int engine, uint32_t value)
{
	uint32_t command = soc->engine_command[engine];
	bool done = false;

	if (value == SOC_ENGINE_ABORT) {
		vnpu_engine_abort(soc->engines, engine);
		return;
	}
	if (value == SOC_ENGINE_RETIRE) {
		vnpu_engine_retire(soc->engines, engine);
		return;
	}
	if (vnpu_misbehave_once(soc->options.misbehave, VNPU_FREEZE)) {
		soc->running = false;
		rv32_stop(&soc->core);
		return;
	}
	if (value != SOC_ENGINE_START || command % 8 || command > SOC_MEMORY_BYTES - WEFT_CMD_MAX_BYTES ||
	    !vnpu_engine_start(soc->engines, engine, soc->engine_context[engine], soc->engine_name[engine],
			       soc->memory + command, &done)) {
		crash(soc, "engine register misused", value);
		rv32_stop(&soc->core);
	}
	if (done)
		__atomic_or_fetch(&soc->pending, SOC_EVENT_ENGINE(engine), __ATOMIC_RELEASE);
}

/* 64-bit registers: the low word's read latches the high one. */
static uint32_t read_low(struct vnpu_soc *soc, uint64_t value)
{
	soc->latched = value >> 32;
	return (uint32_t)value;
}

static bool engine_load(struct vnpu_soc *soc, unsigned int engine, uint32_t offset, uint32_t *value)
{
	struct vnpu_engine_result result = vnpu_engine_result(soc->engines, engine);

	switch (offset) {
	case SOC_ENGINE_COMMAND:
		*value = soc->engine_command[engine];
		return true;
	case SOC_ENGINE_CONTEXT:
		*value = soc->engine_context[engine];
		return true;
	case SOC_ENGINE_SEQUENCE:
		*value = soc->engine_name[engine].sequence;
		return true;
	case SOC_ENGINE_ORDINAL:
		*value = soc->engine_name[engine].ordinal;
		return true;
	case SOC_ENGINE_STATE:
		*value = vnpu_engine_state(soc->engines, engine);
		return true;
	case SOC_ENGINE_REASON:
		*value = result.reason;
		return true;
	case SOC_ENGINE_OPERAND:
		*value = result.operand;
		return true;
	case SOC_ENGINE_DETAIL:
		*value = result.detail;
		return true;
	case SOC_ENGINE_ADDRESS:
		*value = read_low(soc, result.address);
		return true;
	case SOC_ENGINE_BUSY:
		*value = read_low(soc, result.busy_ns);
		return true;
	case SOC_ENGINE_CYCLES:
		*value = read_low(soc, result.cycles);
		return true;
	case SOC_ENGINE_PICOJOULES:
		*value = read_low(soc, result.picojoules);
		return true;
	case SOC_ENGINE_BYTES:
		*value = read_low(soc, result.bytes);
		return true;
	case SOC_ENGINE_ADDRESS + 4:
	case SOC_ENGINE_BUSY + 4:
	case SOC_ENGINE_CYCLES + 4:
	case SOC_ENGINE_PICOJOULES + 4:
	case SOC_ENGINE_BYTES + 4:
		*value = (uint32_t)soc->latched;
		return true;
	default:
		return false;
	}
}

static bool register_load(struct vnpu_soc *soc, uint32_t offset, uint32_t *value)
{
	if (offset >= SOC_ENGINE(0) && offset < SOC_ENGINE(WEFT_ENGINES))
		return engine_load(soc, (offset - SOC_ENGINE(0)) / 0x80, (offset - SOC_ENGINE(0)) % 0x80, value);
	switch (offset) {
	case SOC_TIME:
		*value = read_low(soc, soc_time(soc));
		return true;
	case SOC_TIME + 4:
	case SOC_MMU_FAILED + 4:
		*value = (uint32_t)soc->latched;
		return true;
	case SOC_PENDING:
		*value = __atomic_load_n(&soc->pending, __ATOMIC_ACQUIRE);
		return true;
	case SOC_COPY_STATUS:
		*value = soc->copy_status;
		return true;
	case SOC_MMU_STATUS:
		*value = soc->mmu_status;
		return true;
	case SOC_MMU_FAILED:
		*value = read_low(soc, soc->mmu_failed);
		return true;
	default:
		return false;
	}
}

static void write_half(uint64_t *target, bool high, uint32_t value)
{
	unsigned int shift = high ? 32 : 0;

	*target = (*target & ~(0xffffffffull << shift)) | (uint64_t)value << shift;
}

static bool register_store(struct vnpu_soc *soc, uint32_t offset, uint32_t value)
{
	if (offset >= SOC_ENGINE(0) && offset < SOC_ENGINE(WEFT_ENGINES)) {
		unsigned int engine = (offset - SOC_ENGINE(0)) / 0x80;

		switch ((offset - SOC_ENGINE(0)) % 0x80) {
		case SOC_ENGINE_COMMAND:
			soc->engine_command[engine] = value;
			return true;
		case SOC_ENGINE_CONTEXT:
			soc->engine_context[engine] = value;
			return true;
		case SOC_ENGINE_SEQUENCE:
			soc->engine_name[engine].sequence = value;
			return true;
		case SOC_ENGINE_ORDINAL:
			soc->engine_name[engine].ordinal = value;
			return true;
		case SOC_ENGINE_CONTROL:
			engine_control(soc, engine, value);
			return true;
		default:
			return false;
		}
	}
	switch (offset) {
	case SOC_PENDING:
		__atomic_and_fetch(&soc->pending, ~value, __ATOMIC_ACQ_REL);
		return true;
	case SOC_ALARM:
	case SOC_ALARM + 4:
		write_half(&soc->alarm, offset == SOC_ALARM + 4, value);
		return true;
	case SOC_RAISE:
		raise(soc, value);
		return true;
	case SOC_HALT:
		crash(soc, "halt", value);
		rv32_stop(&soc->core);
		return true;
	case SOC_COPY_LOCAL:
		soc->copy_local = value;
		return true;
	case SOC_COPY_BYTES:
		soc->copy_bytes = value;
		return true;
	case SOC_COPY_ADDRESS:
	case SOC_COPY_ADDRESS + 4:
		write_half(&soc->copy_address, offset == SOC_COPY_ADDRESS + 4, value);
		return true;
	case SOC_COPY_CONTEXT:
		soc->copy_context = value;
		return true;
	case SOC_COPY_START:
		copy_start(soc, value);
		return true;
	case SOC_MMU_CONTEXT:
		soc->mmu_context = value;
		return true;
	case SOC_MMU_ADDRESS:
	case SOC_MMU_ADDRESS + 4:
		write_half(&soc->mmu_address, offset == SOC_MMU_ADDRESS + 4, value);
		return true;
	case SOC_MMU_BYTES:
	case SOC_MMU_BYTES + 4:
		write_half(&soc->mmu_bytes, offset == SOC_MMU_BYTES + 4, value);
		return true;
	case SOC_MMU_ACCESS:
		soc->mmu_access = value;
		return true;
	case SOC_MMU_COMMAND:
		mmu_command(soc, value);
		return true;
	default:
		return false;
	}
}

/* The window shows the mailbox and the request ring. */
static uint8_t *window(struct vnpu_soc *soc, uint32_t address, uint32_t bytes)
{
	uint32_t offset = address - SOC_WINDOW;

	if (address < SOC_WINDOW || offset > VNPU_FIRMWARE_OFFSET - bytes)
		return NULL;
	return soc->options.memory->bar + offset;
}

static bool bus_load(void *user, uint32_t address, uint32_t bytes, uint32_t *value)
{
	struct vnpu_soc *soc = user;
	const uint8_t *place = window(soc, address, bytes);

	if (place) {
		*value = bytes == 4   ? __atomic_load_n((const uint32_t *)(const void *)place, __ATOMIC_ACQUIRE)
			 : bytes == 2 ? *(const uint16_t *)(const void *)place
				      : *place;
		return true;
	}
	if (bytes != 4 || address < SOC_REGISTERS || address - SOC_REGISTERS >= 0x1000)
		return false;
	return register_load(soc, address - SOC_REGISTERS, value);
}

static bool bus_store(void *user, uint32_t address, uint32_t bytes, uint32_t value)
{
	struct vnpu_soc *soc = user;
	uint8_t *place = window(soc, address, bytes);

	if (place) {
		if (bytes == 4)
			__atomic_store_n((uint32_t *)(void *)place, value, __ATOMIC_RELEASE);
		else
			memcpy(place, &value, bytes);
		return true;
	}
	if (bytes != 4 || address < SOC_REGISTERS || address - SOC_REGISTERS >= 0x1000)
		return false;
	return register_store(soc, address - SOC_REGISTERS, value);
}

int vnpu_soc_new(const struct vnpu_soc_options *options, struct vnpu_soc **out)
{
	struct vnpu_soc *soc = calloc(1, sizeof(*soc));
	struct vnpu_engines_options engines;
	int err = -ENOMEM;

	if (!soc)
		return -ENOMEM;
	soc->options = *options;
	soc->memory = calloc(1, SOC_MEMORY_BYTES);
	if (!soc->memory)
		goto fail;
	err = vnpu_mmu_new(options->memory, &soc->mmu);
	if (err)
		goto fail;
	engines = (struct vnpu_engines_options){
		.mmu = soc->mmu,
		.misbehave = options->misbehave,
		.model = options->model,
		.lanes = options->lanes,
		.done = engine_done,
		.user = soc,
	};
	err = vnpu_engines_new(&engines, &soc->engines);
	if (err)
		goto fail;
	*out = soc;
	vnpu_soc_reset(soc);
	return 0;
fail:
	vnpu_soc_free(soc);
	return err;
}

void vnpu_soc_free(struct vnpu_soc *soc)
{
	if (!soc)
		return;
	vnpu_engines_free(soc->engines);
	vnpu_mmu_free(soc->mmu);
	free(soc->memory);
	free(soc);
}

void vnpu_soc_reset(struct vnpu_soc *soc)
{
	const struct vnpu_memory *memory = soc->options.memory;
	struct weft_hw_mailbox *mailbox = vnpu_mailbox(memory);
	const struct weft_model *model = soc->options.model;
	bool stranger = soc->options.misbehave->every[VNPU_STRANGER];
	struct weft_hw_engine_last last[WEFT_ENGINES];

	soc->running = false;
	set_state(soc, WEFT_HW_STATE_OFF, WEFT_HW_BOOT_OK);
	vnpu_engines_reset(soc->engines, last);
	vnpu_mmu_detach_all(soc->mmu);
	__atomic_store_n(&soc->pending, 0, __ATOMIC_RELEASE);
	soc->alarm = 0;
	soc->reset_ns = now_ns();

	/* The firmware's part stays until the next boot: the host reads there how far jobs were. */
	memset(mailbox, 0, offsetof(struct weft_hw_mailbox, firmware_version));
	memcpy(mailbox->last, last, sizeof(last));
	mailbox->version = WEFT_HW_VERSION(WEFT_HW_VERSION_MAJOR, WEFT_HW_VERSION_MINOR);
	mailbox->doorbell = soc->options.doorbell;
	mailbox->bar_bytes = memory->bar_bytes;
	mailbox->request_offset = VNPU_REQUEST_OFFSET;
	mailbox->request_entries = VNPU_REQUEST_ENTRIES;
	mailbox->virtual_bits = WEFT_VA_BITS;
	mailbox->firmware_offset = VNPU_FIRMWARE_OFFSET;
	mailbox->firmware_bytes = VNPU_FIRMWARE_BYTES;
	mailbox->memory_offset = memory->control_bytes;
	mailbox->memory_bytes = memory->device_bytes;
	mailbox->local_bytes = (uint64_t)soc->options.lanes * WEFT_LANE_LOCAL_BYTES;
	mailbox->lanes = soc->options.lanes;
	mailbox->contexts = VNPU_CONTEXTS;
	mailbox->clock_hz = (uint64_t)model->clock_hz;
	mailbox->macs_per_cycle = (uint64_t)(model->rows * model->columns / model->step_cycles);
	mailbox->device_bytes_per_second = (uint64_t)model->device_bytes_per_second;
	mailbox->dma_in_bytes_per_second = (uint64_t)model->dma_bytes_per_second[0];
	mailbox->dma_out_bytes_per_second = (uint64_t)model->dma_bytes_per_second[1];
	snprintf(mailbox->name, sizeof(mailbox->name), "Weft virtual NPU");
	snprintf(mailbox->profile, sizeof(mailbox->profile), "%s", model->name);
	snprintf(mailbox->kernels, sizeof(mailbox->kernels), "%s", vnpu_engines_kernels(soc->engines));
	set_state(soc, WEFT_HW_STATE_WAITING, WEFT_HW_BOOT_OK);
	__atomic_store_n(&mailbox->magic, stranger ? 0 : WEFT_HW_MAGIC, __ATOMIC_RELEASE);
}

/* Check the image, which the host may go on changing: the header and the program are copied first. */
static uint32_t load_image(struct vnpu_soc *soc, uint32_t *entry)
{
	const struct vnpu_memory *memory = soc->options.memory;
	const uint8_t *area = memory->bar + VNPU_FIRMWARE_OFFSET;
	uint32_t image_bytes = __atomic_load_n(&vnpu_mailbox(memory)->image_bytes, __ATOMIC_ACQUIRE), crc;
	struct weft_fw_image header;

	if (image_bytes < sizeof(header) || image_bytes > VNPU_FIRMWARE_BYTES)
		return WEFT_HW_BOOT_SIZE;
	memcpy(&header, area, sizeof(header));
	if (header.magic != WEFT_FW_MAGIC)
		return WEFT_HW_BOOT_MAGIC;
	if (header.header_version != WEFT_FW_HEADER_VERSION || header.hw_version >> 16 != WEFT_HW_VERSION_MAJOR)
		return WEFT_HW_BOOT_ABI;
	if (header.header_bytes != sizeof(header) || header.program_bytes != image_bytes - sizeof(header) ||
	    header.memory_bytes > SOC_MEMORY_BYTES || header.load_address > header.memory_bytes ||
	    header.program_bytes > header.memory_bytes - header.load_address || header.entry < header.load_address ||
	    header.entry - header.load_address >= header.program_bytes || header.entry % 2)
		return WEFT_HW_BOOT_SIZE;
	crc = header.header_crc;
	header.header_crc = 0;
	if (weft_crc32(0, &header, sizeof(header)) != crc)
		return WEFT_HW_BOOT_CRC;
	memset(soc->memory, 0, SOC_MEMORY_BYTES);
	memcpy(soc->memory + header.load_address, area + sizeof(header), header.program_bytes);
	if (weft_crc32(0, soc->memory + header.load_address, header.program_bytes) != header.program_crc)
		return WEFT_HW_BOOT_CRC;
	*entry = header.entry;
	return WEFT_HW_BOOT_OK;
}

static void boot(struct vnpu_soc *soc)
{
	const struct rv32_bus bus = {.user = soc, .load = bus_load, .store = bus_store};
	struct weft_hw_mailbox *mailbox = vnpu_mailbox(soc->options.memory);
	uint32_t entry = 0, error;

	error = load_image(soc, &entry);
	if (error) {
		fprintf(stderr, "vnpu: firmware image refused, error %u\n", error);
		set_state(soc, WEFT_HW_STATE_REFUSED, error);
		raise(soc, WEFT_HW_VECTOR_EVENT);
		return;
	}
	memset(mailbox->firmware_version, 0,
	       offsetof(struct weft_hw_mailbox, control) - offsetof(struct weft_hw_mailbox, firmware_version));
	set_state(soc, WEFT_HW_STATE_BOOTING, WEFT_HW_BOOT_OK);
	rv32_reset(&soc->core, soc->memory, SOC_MEMORY_BYTES, &bus, entry);
	soc->waiting = false;
	soc->running = !soc->options.misbehave->every[VNPU_NO_BOOT];
}

void vnpu_soc_doorbell(struct vnpu_soc *soc, unsigned int doorbell)
{
	struct weft_hw_mailbox *mailbox = vnpu_mailbox(soc->options.memory);
	uint32_t control;

	if (doorbell == WEFT_HW_DOORBELL_REQUEST) {
		__atomic_or_fetch(&soc->pending, SOC_EVENT_REQUEST, __ATOMIC_RELEASE);
		return;
	}
	control = __atomic_load_n(&mailbox->control, __ATOMIC_ACQUIRE);
	if (soc->options.verbose)
		fprintf(stderr, "vnpu: control %u in state %u\n", control, mailbox->state);
	if (control == WEFT_HW_CONTROL_RESET)
		vnpu_soc_reset(soc);
	else if (control == WEFT_HW_CONTROL_BOOT && mailbox->state == WEFT_HW_STATE_WAITING)
		boot(soc);
	__atomic_store_n(&mailbox->control, WEFT_HW_CONTROL_NONE, __ATOMIC_RELEASE);
}

/* How long the core, in WFI, has nothing to do, as vnpu_soc_run() returns it. */
static int idle_ms(struct vnpu_soc *soc)
{
	uint64_t now = soc->alarm ? soc_time(soc) : 0;

	if (soc->alarm && now >= soc->alarm) {
		soc->alarm = 0;
		__atomic_or_fetch(&soc->pending, SOC_EVENT_TIMER, __ATOMIC_RELEASE);
	}
	if (__atomic_load_n(&soc->pending, __ATOMIC_ACQUIRE))
		return 0;
	return soc->alarm ? (int)((soc->alarm - now + 999999) / 1000000) : -1;
}

int vnpu_soc_run(struct vnpu_soc *soc)
{
	if (!soc->running)
		return -1;
	if (soc->waiting) {
		int idle = idle_ms(soc);

		if (idle)
			return idle;
	}
	soc->waiting = false;
	switch (rv32_run(&soc->core, SLICE)) {
	case RV32_WAIT:
		soc->waiting = true;
		return idle_ms(soc);
	case RV32_TRAPPED:
		crash(soc, "exception", soc->core.mcause);
		return -1;
	case RV32_BUDGET:
	case RV32_STOPPED:
		return 0;
	}
	return 0;
}

uint64_t vnpu_soc_instructions(const struct vnpu_soc *soc)
{
	return soc->core.retired;
}
