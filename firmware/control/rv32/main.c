// SPDX-License-Identifier: MIT
/* Boot and the loop. */
#include "firmware.h"

/* Half the period that the host is promised. */
#define HEARTBEAT_NS (WEFT_HW_HEARTBEAT_MS * 1000000ull / 2)

int main(void);

static void boot(void)
{
	static const char version[] = WEFT_FIRMWARE_VERSION;
	volatile struct weft_hw_mailbox *mailbox = CHIP_MAILBOX;
	uint64_t address = mailbox->event_address;
	uint32_t entries = mailbox->event_entries;

	for (uint32_t i = 0; i < sizeof(version) && i < sizeof(mailbox->firmware_version) - 1; i++)
		mailbox->firmware_version[i] = version[i];
	mailbox->isa_version = WEFT_HW_VERSION(WEFT_ISA_VERSION_MAJOR, WEFT_ISA_VERSION_MINOR);
	mailbox->slots = FIRMWARE_JOBS;
	if (!entries || entries > WEFT_HW_MAX_RING_ENTRIES || (entries & (entries - 1)) ||
	    address % WEFT_HW_PAGE_BYTES) {
		mailbox->boot_error = WEFT_HW_BOOT_RING;
		mailbox->state = WEFT_HW_STATE_REFUSED;
		chip_write(SOC_RAISE, WEFT_HW_VECTOR_EVENT);
		for (;;)
			chip_wait();
	}
	event_init(address, entries);
	request_init((uint32_t)mailbox->request_offset, mailbox->request_entries, mailbox->contexts);
	job_init();
	mailbox->heartbeat = 1;
	mailbox->state = WEFT_HW_STATE_RUNNING;
	chip_write(SOC_RAISE, WEFT_HW_VECTOR_EVENT);
}

/*
 * Nothing is to be done: may the core sleep?  With no job at all it looks for requests a
 * while longer first: the host may submit the next one now that it knows of the last's end.
 */
static bool may_sleep(uint64_t active)
{
	uint32_t poll_ns = CHIP_MAILBOX->poll_ns;

	if (poll_ns > WEFT_HW_MAX_POLL_NS)
		poll_ns = WEFT_HW_MAX_POLL_NS;
	if (poll_ns && !job_any() && chip_time() - active < poll_ns)
		return false;
	return request_arm();
}

int main(void)
{
	uint64_t active = 0;

	boot();
	for (uint64_t beat = 0;;) {
		bool again, more;

		/* Cleared first: what occurs from here on ends the wait below. */
		chip_write(SOC_PENDING, chip_read(SOC_PENDING));
		if (chip_time() >= beat) {
			CHIP_MAILBOX->heartbeat++;
			beat = chip_time() + HEARTBEAT_NS;
			chip_write64(SOC_ALARM, beat);
		}
		again = request_turn();
		more = job_turn();
		if (event_flush(more || request_waiting()) || again || more)
			active = chip_time();
		else if (may_sleep(active))
			chip_wait();
	}
}
