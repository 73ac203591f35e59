// SPDX-License-Identifier: GPL-2.0-only
/*
 * devcoredump: what was going on when a job or the device was given up, as text.
 * Taken in the fence signalling path, so it gives up rather than wait for memory.
 */
#include <linux/devcoredump.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include <drm/drm_print.h>

#include <drm/weft_accel.h>

#include "weft_context.h"
#include "weft_coredump.h"
#include "weft_device.h"
#include "weft_job.h"
#include "weft_queue.h"

#define DUMP_BYTES 16384

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

/*
 * Hand the text to devcoredump, page by page: it would free a single buffer with vfree(),
 * and such a one cannot be had without waiting.
 */
static void publish(struct device *dev, const char *text, size_t bytes)
{
	unsigned int count = DIV_ROUND_UP(bytes, PAGE_SIZE);
	struct scatterlist *list = kmalloc_array(count, sizeof(*list), GFP_NOWAIT | __GFP_NOWARN);

	if (!list)
		return;
	sg_init_table(list, count);
	for (unsigned int i = 0; i < count; i++) {
		struct page *page = alloc_page(GFP_NOWAIT | __GFP_NOWARN);

		if (!page) {
			while (i--)
				__free_page(sg_page(&list[i]));
			kfree(list);
			return;
		}
		sg_set_page(&list[i], page, min(bytes - i * PAGE_SIZE, PAGE_SIZE), 0);
	}
	sg_copy_from_buffer(list, count, text, bytes);
	dev_coredumpsg(dev, list, bytes, GFP_NOWAIT); /* frees them */
}

/**
 * weft_coredump() - make a dump
 * @wdev: the device
 * @job: the job concerned, or NULL
 * @why: one line
 */
void weft_coredump(struct weft_device *wdev, const struct weft_job *job, const char *why)
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
	print_mailbox(&p, mailbox);
	publish(wdev->drm.dev, text, DUMP_BYTES - iterator.remain);
out:
	kfree(text);
	kfree(mailbox);
}
