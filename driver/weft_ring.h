/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __WEFT_RING_H__
#define __WEFT_RING_H__

#include <linux/completion.h>
#include <linux/semaphore.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>

#include <weft_hw.h>

struct weft_device;

/* Requests that can be unanswered at once: jobs have places of their own, as they must never wait for one. */
#define WEFT_RING_JOBS WEFT_HW_MAX_SLOTS
#define WEFT_RING_CALLS 64
#define WEFT_RING_PLACES (WEFT_RING_JOBS + WEFT_RING_CALLS)

/**
 * struct weft_call - a request that the firmware has not answered
 * @complete: called once, with interrupts possibly off, when it is answered;
 *	event is NULL when it was cancelled
 * @sequence: the request's; valid while @active
 * @index: of the request in the ring
 * @since: jiffies when it was put there
 * @active: it is in the table
 * @direct: of a job that the scheduler does not know
 */
struct weft_call {
	void (*complete)(struct weft_call *call, const struct weft_hw_event *event);
	u32 sequence;
	u32 index;
	unsigned long since;
	bool active;
	bool direct;
};

/**
 * struct weft_ring - the request ring, the event ring, and what is unanswered
 * @lock: protects everything here; taken in interrupts
 * @calls: unanswered requests; the place is in the low bits of the sequence number
 * @jobs: of them, jobs
 * @direct: of them, those that the scheduler does not know
 * @entering: callers between weft_ring_enter() and weft_ring_leave()
 * @generation: high bits of the next sequence number
 * @tail: requests written
 * @head: events taken
 * @events: the event ring
 * @events_dma: its bus address
 * @entries: of it
 * @pollers: those who look for events, so that no interrupt is wanted; not under @lock
 * @room: counts free places for calls that are not jobs
 * @closed: no requests are accepted (reset, removal)
 * @held: only those of the reset are
 * @released: woken when neither is so any more, and when the device is dead
 * @strays: events that no request belongs to
 */
struct weft_ring {
	spinlock_t lock; /* of everything here */
	struct weft_call *calls[WEFT_RING_PLACES];
	u32 jobs;
	u32 direct;
	u32 entering;
	u32 generation;
	u32 tail;
	u32 head;
	struct weft_hw_event *events;
	dma_addr_t events_dma;
	u32 entries;
	atomic_t pollers;
	struct semaphore room;
	bool closed;
	bool held;
	wait_queue_head_t released;
	u64 strays;
};

int weft_ring_init(struct weft_device *wdev);
void weft_ring_fini(struct weft_device *wdev);
void weft_ring_open(struct weft_device *wdev);
void weft_ring_close(struct weft_device *wdev);
void weft_ring_hold(struct weft_device *wdev);
void weft_ring_release(struct weft_device *wdev);
bool weft_ring_poll(struct weft_device *wdev);
void weft_ring_poll_begin(struct weft_device *wdev);
void weft_ring_poll_once(struct weft_device *wdev);
void weft_ring_poll_end(struct weft_device *wdev);
u32 weft_ring_jobs(struct weft_device *wdev);
int weft_ring_submit_job(struct weft_device *wdev, struct weft_call *call, struct weft_hw_request *request);
bool weft_ring_enter(struct weft_device *wdev);
void weft_ring_leave(struct weft_device *wdev);
bool weft_ring_forget(struct weft_device *wdev, struct weft_call *call);
struct weft_call *weft_ring_forget_job(struct weft_device *wdev);
bool weft_ring_overdue(struct weft_device *wdev, unsigned long patience);
void weft_ring_cancel_calls(struct weft_device *wdev);
int weft_ring_call(struct weft_device *wdev, struct weft_hw_request *request);
int weft_ring_call_timeout(struct weft_device *wdev, struct weft_hw_request *request, unsigned long patience);

#endif
