// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: dumps
 *
 * What was going on when a job or the device was given up, as text, for devcoredump.
 *
 * It is captured at once, with interrupts possibly off and in the fence signalling
 * path: it gives up rather than wait for memory.  A work item hands it over.  While one
 * is under way, or waits to be read, no other is made: the first tells most.
 */
#include <linux/devcoredump.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include <drm/drm_print.h>

#include <drm/weft_accel.h>

#include "weft_context.h"
#include "weft_coredump.h"
#include "weft_device.h"
#include "weft_job.h"
#include "weft_queue.h"

#define DUMP_BYTES 16384

static void coredump_work(struct work_struct *work)
{
	struct weft_device *wdev = container_of(work, struct weft_device, coredump.work);
	struct weft_coredump *dump = &wdev->coredump;
	unsigned long flags;
	size_t bytes;
	void *text, *copy;

	spin_lock_irqsave(&dump->lock, flags);
	text = dump->text;
	bytes = dump->bytes;
	dump->text = NULL;
	spin_unlock_irqrestore(&dump->lock, flags);
	if (!text)
		return;
	/* devcoredump wants vmalloc()ed memory, and frees it. */
	copy = vmalloc(bytes);
	if (copy) {
		memcpy(copy, text, bytes);
		dev_coredumpv(wdev->drm.dev, copy, bytes, GFP_KERNEL);
	}
	kfree(text);
}

/**
 * weft_coredump_init() - set up, at probe
 * @wdev: the device
 */
void weft_coredump_init(struct weft_device *wdev)
{
	spin_lock_init(&wdev->coredump.lock);
	INIT_WORK(&wdev->coredump.work, coredump_work);
}

/**
 * weft_coredump_fini() - wait for the last dump to be handed over, at removal
 * @wdev: the device, which makes none any more
 */
void weft_coredump_fini(struct weft_device *wdev)
{
	flush_work(&wdev->coredump.work);
}

static void print_mailbox(struct drm_printer *p, const struct weft_hw_mailbox *mailbox)
{
	drm_printf(p, "state: %u\nheartbeat: %llu\nrequests: %u written, %u taken\nevents: %u written, %u taken\n",
		   mailbox->state, mailbox->heartbeat, mailbox->request_tail, mailbox->request_head,
		   mailbox->event_tail, mailbox->event_head);
	for (unsigned int i = 0; i < WEFT_ENGINES; i++) {
		const struct weft_hw_engine_status *engine = &mailbox->engine[i];

		drm_printf(p, "engine %u: context %u, sequence %#x, command %u, %llu commands, busy %llu ns\n", i,
			   engine->context, engine->sequence, engine->command, engine->commands, engine->busy_ns);
	}
	for (unsigned int i = 0; i < WEFT_HW_MAX_SLOTS; i++) {
		const struct weft_hw_slot_status *slot = &mailbox->slot[i];

		if (slot->context)
			drm_printf(p, "slot %u: context %u, sequence %#x, %u commands started, %u completed\n", i,
				   slot->context, slot->sequence, slot->started, slot->completed);
	}
}

static void print_fault(struct drm_printer *p, const struct weft_fault_record *fault)
{
	drm_printf(p, "fault: reason %u, opcode %#x, engine %u, operand %u, command %u, tag %u, detail %u, ",
		   fault->reason, fault->opcode, fault->engine, fault->operand, fault->command, fault->tag,
		   fault->detail);
	drm_printf(p, "address %#llx\n", fault->address);
}

/* False: one is under way already. */
static bool hand_over(struct weft_coredump *dump, void *text, size_t bytes)
{
	unsigned long flags;
	bool first;

	spin_lock_irqsave(&dump->lock, flags);
	first = !dump->text;
	if (first) {
		dump->text = text;
		dump->bytes = bytes;
	}
	spin_unlock_irqrestore(&dump->lock, flags);
	if (first)
		queue_work(weft_release_wq, &dump->work);
	return first;
}

/**
 * weft_coredump() - make a dump
 * @wdev: the device
 * @job: the job concerned, or NULL
 * @fault: why it was stopped, or NULL
 * @why: one line
 *
 * May be called with interrupts off.
 */
void weft_coredump(struct weft_device *wdev, const struct weft_job *job, const struct weft_fault_record *fault,
		   const char *why)
{
	struct drm_print_iterator iterator = { .remain = DUMP_BYTES };
	struct weft_hw_mailbox *mailbox;
	struct drm_printer p;
	void *text;

	mailbox = kmalloc(sizeof(*mailbox), GFP_NOWAIT | __GFP_NOWARN);
	text = kzalloc(DUMP_BYTES, GFP_NOWAIT | __GFP_NOWARN);
	if (!mailbox || !text)
		goto out;
	memcpy_fromio(mailbox, wdev->control, sizeof(*mailbox));
	iterator.data = text;
	p = drm_coredump_printer(&iterator);
	drm_printf(&p, "weft coredump 1\nreason: %s\ntime: %lld ns\n", why, ktime_get_boottime_ns());
	drm_printf(&p, "driver: %d.%d\nfirmware: %s\n", DRM_WEFT_MAJOR, DRM_WEFT_MINOR, wdev->hw.firmware_version);
	if (job)
		drm_printf(&p, "job: context %u, queue %u, number %llu, sequence %#x, stream %#llx + %#llx\n",
			   job->queue->context->id, job->queue->hw_id, job->number, job->call.sequence,
			   job->request.address, job->request.bytes);
	if (fault)
		print_fault(&p, fault);
	print_mailbox(&p, mailbox);
	if (hand_over(&wdev->coredump, text, DUMP_BYTES - iterator.remain))
		text = NULL;
out:
	kfree(text);
	kfree(mailbox);
}
