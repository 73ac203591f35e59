// SPDX-License-Identifier: MIT
/*
 * What a no-op job costs inside of the virtual NPU, without a guest: instructions of the
 * firmware and time, from the doorbell to the interrupt, for one job at a time and for as
 * many as the device holds.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "memory.h"
#include "misbehave.h"
#include "model.h"
#include "soc.h"

#define RAM_BYTES (4u << 20)
#define EVENTS_AT 0x10000u
#define EVENTS 128u
#define TABLES_AT 0x20000u
#define STREAM_AT 0ull
#define JOBS 20000u

struct bench {
	struct vnpu_memory memory;
	struct vnpu_misbehave misbehave;
	struct vnpu_soc *soc;
	struct weft_hw_mailbox *mailbox;
	uint32_t put, taken, raised;
};

static void fail(const char *what)
{
	fprintf(stderr, "vm-firmware: %s\n", what);
	exit(1);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	return time.tv_sec * 1e9 + time.tv_nsec;
}

static void on_raise(void *user, unsigned int vector)
{
	struct bench *bench = user;

	(void)vector;
	bench->raised++;
}

static void boot(struct bench *bench, const char *image)
{
	FILE *file = fopen(image, "rb");

	if (!file)
		fail(image);
	bench->mailbox->image_bytes =
		(uint32_t)fread(bench->memory.bar + VNPU_FIRMWARE_OFFSET, 1, VNPU_FIRMWARE_BYTES, file);
	fclose(file);
	bench->mailbox->event_address = EVENTS_AT;
	bench->mailbox->event_entries = EVENTS;
	bench->mailbox->control = WEFT_HW_CONTROL_BOOT;
	vnpu_soc_doorbell(bench->soc, WEFT_HW_DOORBELL_CONTROL);
	for (int i = 0; i < 1000 && bench->mailbox->state != WEFT_HW_STATE_RUNNING; i++)
		vnpu_soc_run(bench->soc);
	if (bench->mailbox->state != WEFT_HW_STATE_RUNNING)
		fail("the firmware does not boot");
}

static void put(struct bench *bench, struct weft_hw_request request)
{
	struct weft_hw_request *ring = (void *)(bench->memory.bar + VNPU_REQUEST_OFFSET);

	request.sequence = bench->put + 1;
	request.context = 1;
	ring[bench->put++ & (VNPU_REQUEST_ENTRIES - 1)] = request;
	bench->mailbox->request_tail = bench->put;
}

/* Run until the next interrupt, and take the events. */
static void run(struct bench *bench)
{
	const struct weft_hw_event *events = (const void *)(bench->memory.ram + EVENTS_AT);
	uint32_t raised = bench->raised;

	vnpu_soc_doorbell(bench->soc, WEFT_HW_DOORBELL_REQUEST);
	while (bench->raised == raised) {
		if (vnpu_soc_run(bench->soc) < 0 && bench->raised == raised)
			fail("the firmware has stopped");
	}
	while (events[bench->taken & (EVENTS - 1)].index == bench->taken + 1) {
		if (events[bench->taken & (EVENTS - 1)].status)
			fail("a request failed");
		bench->taken++;
	}
	bench->mailbox->event_head = bench->taken;
	bench->mailbox->event_wanted = bench->taken;
}

static void map_stream(struct bench *bench)
{
	uint64_t *tables = (void *)(bench->memory.ram + TABLES_AT);
	struct weft_cmd *command = (void *)(bench->memory.bar + bench->memory.control_bytes);

	tables[0] = (TABLES_AT + WEFT_HW_PAGE_BYTES) | WEFT_PTE_VALID;
	tables[WEFT_PT_ENTRIES] = WEFT_PTE_VALID | WEFT_PTE_WRITE | WEFT_PTE_LEAF;
	memset(command, 0, sizeof(*command));
	command->opcode = WEFT_OP_NOP;
	command->size = sizeof(*command);
	command->engine = WEFT_ENGINE_COMPUTE;
	command->wait[0].index = command->wait[1].index = command->signal.index = WEFT_SEM_NONE;
	put(bench, (struct weft_hw_request){.type = WEFT_HW_REQUEST_CONTEXT_OPEN, .address = TABLES_AT});
	run(bench);
}

static void measure(struct bench *bench, uint32_t depth)
{
	uint64_t instructions = vnpu_soc_instructions(bench->soc);
	uint32_t first = bench->put, interrupts = bench->raised;
	double start = now();

	while (bench->taken - first < JOBS) {
		while (bench->put - bench->taken < depth && bench->put - first < JOBS)
			put(bench, (struct weft_hw_request){.type = WEFT_HW_REQUEST_JOB,
							    .queue = 1,
							    .address = STREAM_AT,
							    .bytes = sizeof(struct weft_cmd)});
		run(bench);
	}
	printf("%2u jobs at once: %6.0f instructions, %6.2f us, %.2f interrupts for each\n", depth,
	       (double)(vnpu_soc_instructions(bench->soc) - instructions) / JOBS, (now() - start) / JOBS / 1e3,
	       (double)(bench->raised - interrupts) / JOBS);
}

int main(int argc, char **argv)
{
	int ram = memfd_create("ram", MFD_CLOEXEC), wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct bench bench = {0};
	struct vnpu_soc_options options = {
		.memory = &bench.memory,
		.misbehave = &bench.misbehave,
		.model = weft_model_get(0),
		.lanes = 1,
		.wake_fd = wake,
		.raise = on_raise,
		.user = &bench,
	};
	char path[64];

	if (argc != 2) {
		fprintf(stderr, "usage: vm-firmware IMAGE\n");
		return 2;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", ram);
	if (ram < 0 || wake < 0 || ftruncate(ram, RAM_BYTES) || vnpu_memory_init(&bench.memory, 16 << 20, path) ||
	    vnpu_soc_new(&options, &bench.soc))
		fail("no memory");
	bench.mailbox = vnpu_mailbox(&bench.memory);
	boot(&bench, argv[1]);
	map_stream(&bench);
	measure(&bench, 1);
	measure(&bench, 32);
	vnpu_soc_free(bench.soc);
	vnpu_memory_release(&bench.memory);
	return 0;
}
