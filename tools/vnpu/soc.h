/* SPDX-License-Identifier: MIT */
/**
 * The chip around the control core: boot, registers, clock, interrupts.  The
 * firmware's view of it is <soc.h> of firmware/control/rv32.
 *
 * All functions belong to one thread.
 */
#ifndef WEFT_VNPU_SOC_H
#define WEFT_VNPU_SOC_H

#include "engines.h"
#include "rv32.h"

struct vnpu_soc_options {
	struct vnpu_memory *memory;
	struct vnpu_misbehave *misbehave;
	const struct weft_model *model; /* analytical, see firmware/engine/model.h */
	unsigned int lanes;
	uint32_t doorbell; /* for the mailbox */
	int wake_fd;	   /* eventfd, written when an engine is done */
	void (*raise)(void *user, unsigned int vector);
	void *user;
	bool verbose;
};

struct vnpu_soc;

int vnpu_soc_new(const struct vnpu_soc_options *options, struct vnpu_soc **soc);
void vnpu_soc_free(struct vnpu_soc *soc);
/** Stop everything and fill in the device's part of the mailbox. */
void vnpu_soc_reset(struct vnpu_soc *soc);
/** A doorbell has rung. */
void vnpu_soc_doorbell(struct vnpu_soc *soc, unsigned int doorbell);
/** Execute for a while.  Returns how long the core has nothing to do, in ms: 0 go on, -1 until something happens. */
int vnpu_soc_run(struct vnpu_soc *soc);
/** Instructions that the core has executed since it was started. */
uint64_t vnpu_soc_instructions(const struct vnpu_soc *soc);

#endif /* WEFT_VNPU_SOC_H */
