// SPDX-License-Identifier: MIT
/* The event ring, in host memory. */
#include "firmware.h"

/* Turns that an event waits for others to be told of with it. */
#define DEFERRED_TURNS 8

static uint64_t ring;
static uint32_t ring_entries, tail;
static uint32_t told;	  /* of them, those that the host had the chance to be told of */
static uint32_t deferred; /* turns since the first event that the host has not been told of */

void event_init(uint64_t address, uint32_t entries)
{
	ring = address;
	ring_entries = entries;
}

bool event_room(void)
{
	if (tail - CHIP_MAILBOX->event_head < ring_entries)
		return true;
	CHIP_MAILBOX->overflows++;
	return false;
}

void event_post(struct weft_hw_event *event)
{
	uint64_t place = ring + (tail & (ring_entries - 1)) * sizeof(*event);
	uint8_t *bytes = (uint8_t *)event;

	tail++;
	event->index = tail;
	/* The index goes last: it tells the host that the rest is there. */
	if (chip_copy(SOC_COPY_WRITE, bytes + 4, sizeof(*event) - 4, 0, place + 4) ||
	    chip_copy(SOC_COPY_WRITE, bytes, 4, 0, place))
		chip_halt(HALT_RING);
}

bool event_flush(bool more)
{
	uint32_t from = told;

	if (from == tail || (more && ++deferred < DEFERRED_TURNS))
		return false;
	told = tail;
	deferred = 0;
	CHIP_MAILBOX->event_tail = tail;
	/* The host writes the index, and then looks for events that have come meanwhile. */
	chip_fence();
	if (weft_hw_wanted(CHIP_MAILBOX->event_wanted, from, tail))
		chip_write(SOC_RAISE, WEFT_HW_VECTOR_EVENT);
	return true;
}
