// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: requests and events
 *
 * Every request to the firmware has a struct weft_call, whose place in a table is
 * part of the sequence number that the answering event carries.  An event whose
 * sequence number is not that of the call in its place is a stray: it is counted
 * and dropped, so a confused device cannot complete anything twice, or anything
 * that was not asked.
 *
 * Whoever removes a call from the table, under the lock, completes it: an event, a
 * cancellation, or the waiter that forgets it.
 *
 * Jobs never wait for room: the scheduler and weft_ring_enter() together hand out no
 * more of them than the device has slots, and the table and the ring have room for all.
 *
 * Doorbells and interrupts are dear: they leave the guest, or cross the bus.  The device
 * gets a doorbell only if it has said that it wants one, and is told which interrupt the
 * driver wants (weft_hw.h): none as long as somebody polls, see weft_ring_poll_begin().
 * What the device says is not trusted: the watchdog rings and looks from time to time.
 */
#include <linux/dma-mapping.h>
#include <linux/io-64-nonatomic-lo-hi.h>

#include <drm/drm_print.h>

#include "weft_device.h"
#include "weft_inject.h"
#include "weft_reset.h"
#include "weft_trace.h"

#define PLACE_MASK 0xffff

/**
 * weft_ring_init() - allocate the event ring
 * @wdev: the device
 *
 * Return: 0 or -ENOMEM.
 */
int weft_ring_init(struct weft_device *wdev)
{
	struct weft_ring *ring = &wdev->ring;

	BUILD_BUG_ON(sizeof(struct weft_hw_event) != 192);
	BUILD_BUG_ON(sizeof(struct weft_hw_request) != 64);
	spin_lock_init(&ring->lock);
	sema_init(&ring->room, WEFT_RING_CALLS);
	init_waitqueue_head(&ring->released);
	ring->closed = true;
	/* Room for an answer to everything that can be unanswered, so the device never waits. */
	ring->entries = roundup_pow_of_two(WEFT_RING_PLACES);
	ring->events = weft_alloc(dma_alloc_coherent(&wdev->pdev->dev, ring->entries * sizeof(*ring->events),
						     &ring->events_dma, GFP_KERNEL));
	return ring->events ? 0 : -ENOMEM;
}

/**
 * weft_ring_fini() - free it
 * @wdev: the device, which reaches no memory any more
 */
void weft_ring_fini(struct weft_device *wdev)
{
	struct weft_ring *ring = &wdev->ring;

	dma_free_coherent(&wdev->pdev->dev, ring->entries * sizeof(*ring->events), ring->events, ring->events_dma);
	ring->events = NULL;
}

/**
 * weft_ring_open() - accept requests, from empty rings
 * @wdev: the device, whose firmware has not been started yet
 */
void weft_ring_open(struct weft_device *wdev)
{
	struct weft_ring *ring = &wdev->ring;
	unsigned long flags;

	spin_lock_irqsave(&ring->lock, flags);
	memset(ring->events, 0, ring->entries * sizeof(*ring->events));
	ring->tail = 0;
	ring->head = 0;
	ring->closed = false;
	spin_unlock_irqrestore(&ring->lock, flags);
	weft_mailbox_write32(wdev, request_tail, 0);
	weft_mailbox_write32(wdev, event_head, 0);
	weft_mailbox_write32(wdev, event_wanted, 0);
	weft_mailbox_write32(wdev, poll_ns, min(weft_poll_us, WEFT_HW_MAX_POLL_NS / 1000) * 1000);
	weft_mailbox_write32(wdev, event_entries, ring->entries);
	weft_mailbox_write64(wdev, event_address, ring->events_dma);
}

/**
 * weft_ring_close() - refuse requests, and ignore events from now on
 * @wdev: the device
 */
void weft_ring_close(struct weft_device *wdev)
{
	unsigned long flags;

	spin_lock_irqsave(&wdev->ring.lock, flags);
	wdev->ring.closed = true;
	spin_unlock_irqrestore(&wdev->ring.lock, flags);
}

/**
 * weft_ring_hold() - keep weft_ring_call() waiting: the device is being reset or sleeps
 * @wdev: the device
 *
 * Nobody is between weft_ring_enter() and weft_ring_leave() when this returns.
 */
void weft_ring_hold(struct weft_device *wdev)
{
	unsigned long flags;

	spin_lock_irqsave(&wdev->ring.lock, flags);
	wdev->ring.held = true;
	spin_unlock_irqrestore(&wdev->ring.lock, flags);
	wait_event(wdev->ring.released, !READ_ONCE(wdev->ring.entering));
}

/**
 * weft_ring_release() - the device works again, or is dead
 * @wdev: the device
 */
void weft_ring_release(struct weft_device *wdev)
{
	unsigned long flags;

	spin_lock_irqsave(&wdev->ring.lock, flags);
	wdev->ring.held = false;
	spin_unlock_irqrestore(&wdev->ring.lock, flags);
	wake_up_all(&wdev->ring.released);
}

static void ring_remove(struct weft_ring *ring, u32 place)
{
	struct weft_call *call = ring->calls[place];

	lockdep_assert_held(&ring->lock);
	call->active = false;
	ring->calls[place] = NULL;
	if (place >= WEFT_RING_JOBS)
		return;
	ring->jobs--;
	if (call->direct)
		ring->direct--;
}

static void ring_stray(struct weft_device *wdev, u32 sequence)
{
	wdev->ring.strays++;
	drm_err_ratelimited(&wdev->drm, "event with unknown sequence %#x dropped\n", sequence);
	/* Its job may have lost its answer: have the time-out handler look now. */
	weft_reset_suspect(wdev);
}

/* Take the next event, if there is one, and the call that it answers, if there is one. */
static bool ring_take(struct weft_device *wdev, struct weft_hw_event *event, struct weft_call **call)
{
	struct weft_ring *ring = &wdev->ring;
	const struct weft_hw_event *entry;
	u32 place;

	lockdep_assert_held(&ring->lock);
	if (ring->closed)
		return false;
	entry = &ring->events[ring->head & (ring->entries - 1)];
	if (READ_ONCE(entry->index) != ring->head + 1)
		return false;
	dma_rmb(); /* the index is written last: the rest is there */
	memcpy(event, entry, sizeof(*event));
	ring->head++;
	weft_mailbox_write32(wdev, event_head, ring->head);

	place = event->sequence & PLACE_MASK;
	*call = place < WEFT_RING_PLACES ? ring->calls[place] : NULL;
	if (!*call || (*call)->sequence != event->sequence) {
		ring_stray(wdev, event->sequence);
		*call = NULL;
		return true;
	}
	ring_remove(ring, place);
	return true;
}

/* Is there an event?  A hint: looks without the lock. */
static bool ring_ready(struct weft_ring *ring)
{
	u32 head = READ_ONCE(ring->head);

	return READ_ONCE(ring->events[head & (ring->entries - 1)].index) == head + 1;
}

/* Have the device interrupt for the next event.  False: it is there already. */
static bool ring_arm(struct weft_device *wdev)
{
	struct weft_ring *ring = &wdev->ring;
	unsigned long flags;
	bool armed = true;

	spin_lock_irqsave(&ring->lock, flags);
	if (!ring->closed) {
		weft_mailbox_write32(wdev, event_wanted, ring->head);
		/* The device writes an event, and then reads the index. */
		mb();
		armed = !ring_ready(ring);
	}
	spin_unlock_irqrestore(&ring->lock, flags);
	return armed;
}

/* Take all events that are there.  Signals fences. */
static bool ring_take_all(struct weft_device *wdev)
{
	struct weft_ring *ring = &wdev->ring;
	bool any = false;

	for (;;) {
		struct weft_hw_event event;
		struct weft_call *call;
		unsigned long flags;
		bool taken;

		spin_lock_irqsave(&ring->lock, flags);
		taken = ring_take(wdev, &event, &call);
		spin_unlock_irqrestore(&ring->lock, flags);
		if (!taken)
			break;
		any = true;
		if (call)
			call->complete(call, &event);
	}
	return any;
}

static bool ring_poll(struct weft_device *wdev)
{
	bool any = ring_take_all(wdev);

	while (!atomic_read(&wdev->ring.pollers) && !ring_arm(wdev))
		any |= ring_take_all(wdev);
	return any;
}

/**
 * weft_ring_poll() - take all events that are there
 * @wdev: the device
 *
 * Called by the interrupt, and wherever an interrupt may have been lost.  Signals fences.
 * The next event raises an interrupt, unless somebody polls.
 *
 * Return: true if there was any.
 */
bool weft_ring_poll(struct weft_device *wdev)
{
	bool any, cookie = dma_fence_begin_signalling();

	any = ring_poll(wdev);
	dma_fence_end_signalling(cookie);
	return any;
}

/**
 * weft_ring_poll_begin() - the caller polls from here on: the device need not interrupt
 * @wdev: the device
 */
void weft_ring_poll_begin(struct weft_device *wdev)
{
	struct weft_ring *ring = &wdev->ring;
	unsigned long flags;

	atomic_inc(&ring->pollers);
	spin_lock_irqsave(&ring->lock, flags);
	/* One that was there before. */
	if (!ring->closed)
		weft_mailbox_write32(wdev, event_wanted, ring->head - 1);
	spin_unlock_irqrestore(&ring->lock, flags);
}

/**
 * weft_ring_poll_once() - take the events that are there, if there are any
 * @wdev: the device
 *
 * Cheap where there is none.  Does not ask for an interrupt: who has asked for one, gets it.
 */
void weft_ring_poll_once(struct weft_device *wdev)
{
	bool cookie;

	if (!ring_ready(&wdev->ring))
		return;
	cookie = dma_fence_begin_signalling();
	ring_take_all(wdev);
	dma_fence_end_signalling(cookie);
}

/**
 * weft_ring_poll_end() - interrupts are wanted again, if this was the last who polls
 * @wdev: the device
 */
void weft_ring_poll_end(struct weft_device *wdev)
{
	if (atomic_dec_and_test(&wdev->ring.pollers))
		weft_ring_poll(wdev);
}

/**
 * weft_ring_jobs() - how many jobs has the device?
 * @wdev: the device
 *
 * Return: as many as a moment ago.
 */
u32 weft_ring_jobs(struct weft_device *wdev)
{
	return READ_ONCE(wdev->ring.jobs);
}

enum ring_user {
	RING_JOB, /* also of a reset */
	RING_CALL,
	RING_CALL_OF_RESET,
};

/*
 * Put a request into the ring, with @call in a free place.  Return: 0, -ENODEV (closed),
 * -EAGAIN (held), -EBUSY (no place).
 */
static int ring_put(struct weft_device *wdev, struct weft_call *call, struct weft_hw_request *request,
		    enum ring_user user)
{
	u32 first = user == RING_JOB ? 0 : WEFT_RING_JOBS, count = user == RING_JOB ? WEFT_RING_JOBS : WEFT_RING_CALLS;
	struct weft_ring *ring = &wdev->ring;
	void __iomem *entry;
	unsigned long flags;
	u32 place;
	bool wanted;

	spin_lock_irqsave(&ring->lock, flags);
	if (ring->closed || (ring->held && user == RING_CALL)) {
		spin_unlock_irqrestore(&ring->lock, flags);
		return ring->held && user == RING_CALL ? -EAGAIN : -ENODEV;
	}
	for (place = first; place < first + count; place++) {
		if (!ring->calls[place])
			break;
	}
	if (place == first + count) {
		spin_unlock_irqrestore(&ring->lock, flags);
		return -EBUSY;
	}
	ring->generation++;
	call->sequence = ring->generation << 16 | place;
	call->active = true;
	ring->calls[place] = call;
	call->since = jiffies;
	if (place < WEFT_RING_JOBS) {
		ring->jobs++;
		if (call->direct)
			ring->direct++;
	}
	request->sequence = call->sequence;
	entry = wdev->control + wdev->hw.request_offset +
		(ring->tail & (wdev->hw.request_entries - 1)) * sizeof(*request);
	memcpy_toio(entry, request, sizeof(*request));
	call->index = ring->tail++;
	/* iowrite32() orders the entry before the index, and that before the doorbell. */
	weft_mailbox_write32(wdev, request_tail, ring->tail);
	/* The device writes which it wants, and then reads the tail. */
	mb();
	wanted = weft_hw_wanted(weft_mailbox_read32(wdev, request_wanted), call->index, ring->tail);
	spin_unlock_irqrestore(&ring->lock, flags);
	if (wanted)
		weft_doorbell(wdev, WEFT_HW_DOORBELL_REQUEST);
	weft_reset_watch(wdev);
	return 0;
}

/**
 * weft_ring_submit_job() - hand a job to the device
 * @wdev: the device
 * @call: the job's; its complete() is called when the job has ended
 * @request: the job's request; sequence is filled in
 *
 * Return: 0 or -ENODEV.
 */
int weft_ring_submit_job(struct weft_device *wdev, struct weft_call *call, struct weft_hw_request *request)
{
	return ring_put(wdev, call, request, RING_JOB);
}

/**
 * weft_ring_enter() - may a job go to the device without the scheduler?
 * @wdev: the device
 *
 * If so, the device has a slot for it, and is not reset before weft_ring_leave(): between
 * the two the caller submits one job, and does nothing that waits for memory.
 *
 * Return: false: the scheduler shall have it.
 */
bool weft_ring_enter(struct weft_device *wdev)
{
	struct weft_ring *ring = &wdev->ring;
	unsigned long flags;
	bool free;

	spin_lock_irqsave(&ring->lock, flags);
	free = !ring->closed && !ring->held && ring->direct + ring->entering < wdev->direct_slots;
	if (free)
		ring->entering++;
	spin_unlock_irqrestore(&ring->lock, flags);
	return free;
}

/**
 * weft_ring_leave() - the job was submitted
 * @wdev: the device
 */
void weft_ring_leave(struct weft_device *wdev)
{
	struct weft_ring *ring = &wdev->ring;
	unsigned long flags;
	bool last;

	spin_lock_irqsave(&ring->lock, flags);
	last = !--ring->entering && ring->held;
	spin_unlock_irqrestore(&ring->lock, flags);
	if (last)
		wake_up_all(&ring->released);
}

/**
 * weft_ring_forget() - take a call back
 * @wdev: the device
 * @call: the call
 *
 * Return: true if the caller has it now; false if it is complete or being completed.
 */
bool weft_ring_forget(struct weft_device *wdev, struct weft_call *call)
{
	struct weft_ring *ring = &wdev->ring;
	unsigned long flags;
	bool active;

	spin_lock_irqsave(&ring->lock, flags);
	active = call->active;
	if (active)
		ring_remove(ring, call->sequence & PLACE_MASK);
	spin_unlock_irqrestore(&ring->lock, flags);
	return active;
}

/**
 * weft_ring_forget_job() - take the oldest job back
 * @wdev: the device
 *
 * Return: its call, which the caller has now, or NULL: there is no job.
 */
struct weft_call *weft_ring_forget_job(struct weft_device *wdev)
{
	struct weft_ring *ring = &wdev->ring;
	struct weft_call *oldest = NULL;
	unsigned long flags;

	spin_lock_irqsave(&ring->lock, flags);
	for (u32 place = 0; place < WEFT_RING_JOBS; place++) {
		struct weft_call *call = ring->calls[place];

		if (call && (!oldest || (s32)(call->index - oldest->index) < 0))
			oldest = call;
	}
	if (oldest)
		ring_remove(ring, oldest->sequence & PLACE_MASK);
	spin_unlock_irqrestore(&ring->lock, flags);
	return oldest;
}

/**
 * weft_ring_overdue() - has the device held a job for long?
 * @wdev: the device
 * @patience: what is long, in jiffies
 *
 * Return: true: it has.
 */
bool weft_ring_overdue(struct weft_device *wdev, unsigned long patience)
{
	struct weft_ring *ring = &wdev->ring;
	unsigned long flags;
	bool overdue = false;

	spin_lock_irqsave(&ring->lock, flags);
	for (u32 place = 0; place < WEFT_RING_JOBS && !overdue; place++)
		overdue = ring->calls[place] && time_after_eq(jiffies, ring->calls[place]->since + patience);
	spin_unlock_irqrestore(&ring->lock, flags);
	return overdue;
}

/**
 * weft_ring_cancel_calls() - end all calls that are not jobs
 * @wdev: the device, which has been stopped
 */
void weft_ring_cancel_calls(struct weft_device *wdev)
{
	struct weft_ring *ring = &wdev->ring;

	for (u32 place = WEFT_RING_JOBS; place < WEFT_RING_PLACES; place++) {
		struct weft_call *call;
		unsigned long flags;

		spin_lock_irqsave(&ring->lock, flags);
		call = ring->calls[place];
		if (call)
			ring_remove(ring, place);
		spin_unlock_irqrestore(&ring->lock, flags);
		if (call)
			call->complete(call, NULL);
	}
}

struct waiter {
	struct weft_call call;
	struct completion done;
	u32 status;
	bool cancelled;
};

static void waiter_complete(struct weft_call *call, const struct weft_hw_event *event)
{
	struct waiter *waiter = container_of(call, struct waiter, call);

	waiter->cancelled = !event;
	if (event)
		waiter->status = event->status;
	complete(&waiter->done);
}

/**
 * weft_ring_call() - ask the firmware for something that is not a job, and wait
 * @wdev: the device
 * @request: the request; sequence is filled in
 *
 * A device that does not answer is reset.  So when this returns, the request has
 * been carried out, or nothing that the device was doing goes on.  While a reset is
 * going on, this waits for its end.
 *
 * Return: 0, -ENODEV, -ECANCELED (reset meanwhile: the device knows each context that
 * weft_context.opened says, and nothing else), -EBUSY (the device says so), -EIO (refused).
 */
int weft_ring_call(struct weft_device *wdev, struct weft_hw_request *request)
{
	/* The longest command, and then some. */
	unsigned long patience = msecs_to_jiffies(weft_command_timeout_ms + 2000);
	struct waiter waiter = { .call.complete = waiter_complete };
	int ret;

	init_completion(&waiter.done);
	down(&wdev->ring.room);
	do {
		wait_event(wdev->ring.released, !READ_ONCE(wdev->ring.held) || weft_device_dead(wdev));
		ret = weft_device_dead(wdev) ? -ENODEV : ring_put(wdev, &waiter.call, request, RING_CALL);
	} while (ret == -EAGAIN);
	if (ret)
		goto out;
	if (!wait_for_completion_timeout(&waiter.done, patience)) {
		/*
		 * The interrupt may have been lost.  Not as a signalling section: the caller may
		 * hold bind_lock, which such sections take.
		 */
		ring_poll(wdev);
		if (!completion_done(&waiter.done))
			weft_reset_request(wdev, "a request was not answered");
		/* The reset cancels the call. */
		wait_for_completion(&waiter.done);
	}
	if (waiter.cancelled)
		ret = weft_device_dead(wdev) ? -ENODEV : -ECANCELED;
	else if (waiter.status != WEFT_HW_STATUS_OK)
		ret = waiter.status == WEFT_HW_STATUS_BUSY ? -EBUSY : -EIO;
out:
	up(&wdev->ring.room);
	return ret;
}

/**
 * weft_ring_call_timeout() - likewise, from a reset: gives up instead of asking for one
 * @wdev: the device
 * @request: the request; sequence is filled in
 * @patience: how long to wait, in jiffies
 *
 * Return: 0, -ENODEV, -ETIMEDOUT, -EIO (refused), -EBUSY (no room).
 */
int weft_ring_call_timeout(struct weft_device *wdev, struct weft_hw_request *request, unsigned long patience)
{
	struct waiter waiter = { .call.complete = waiter_complete };
	int ret;

	init_completion(&waiter.done);
	if (down_trylock(&wdev->ring.room))
		return -EBUSY;
	ret = ring_put(wdev, &waiter.call, request, RING_CALL_OF_RESET);
	if (ret)
		goto out;
	if (!wait_for_completion_timeout(&waiter.done, patience)) {
		weft_ring_poll(wdev); /* the interrupt may have been lost */
		if (weft_ring_forget(wdev, &waiter.call)) {
			ret = -ETIMEDOUT;
			goto out;
		}
		wait_for_completion(&waiter.done);
	}
	if (waiter.cancelled)
		ret = -ENODEV;
	else if (waiter.status != WEFT_HW_STATUS_OK)
		ret = -EIO;
out:
	up(&wdev->ring.room);
	return ret;
}
