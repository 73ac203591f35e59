// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: tests of the rings
 *
 * The test is the device: it looks at requests and writes events, right and wrong ones.
 */
#include <linux/workqueue.h>

#include "weft_kunit.h"

#define CALLS 8

struct ring_call {
	struct weft_call call;
	unsigned int completed, cancelled;
	u32 status;
};

struct ring_test {
	struct weft_device *wdev;
	struct ring_call calls[WEFT_RING_JOBS + 1];
	u32 events; /* written */
};

static void note_event(struct weft_call *call, const struct weft_hw_event *event)
{
	struct ring_call *noted = container_of(call, struct ring_call, call);

	if (event) {
		noted->completed++;
		noted->status = event->status;
	} else {
		noted->cancelled++;
	}
}

static int ring_test_init(struct kunit *test)
{
	struct ring_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	int ret;

	KUNIT_ASSERT_NOT_NULL(test, t);
	t->wdev = weft_kunit_device(test);
	for (unsigned int i = 0; i < ARRAY_SIZE(t->calls); i++)
		t->calls[i].call.complete = note_event;
	/* Nobody watches. */
	weft_reset_init(t->wdev);
	disable_delayed_work_sync(&t->wdev->watchdog);
	disable_work_sync(&t->wdev->timeout_work);
	ret = weft_ring_init(t->wdev);
	if (ret)
		return ret;
	test->priv = t;
	weft_ring_open(t->wdev);
	return 0;
}

static void ring_test_exit(struct kunit *test)
{
	struct ring_test *t = test->priv;

	if (t)
		weft_ring_fini(t->wdev);
}

static int submit(struct ring_test *t, unsigned int call)
{
	struct weft_hw_request request = { .type = WEFT_HW_REQUEST_JOB, .context = 1 + call };

	return weft_ring_submit_job(t->wdev, &t->calls[call].call, &request);
}

/* What the device finds in the request ring. */
static const struct weft_hw_request *request_at(struct ring_test *t, u32 index)
{
	const struct weft_hw_request *ring = (__force void *)(t->wdev->control + t->wdev->hw.request_offset);

	return &ring[index % t->wdev->hw.request_entries];
}

static void answer(struct ring_test *t, u32 sequence, u32 status)
{
	struct weft_ring *ring = &t->wdev->ring;
	struct weft_hw_event *event = &ring->events[t->events % ring->entries];

	event->sequence = sequence;
	event->status = status;
	event->index = ++t->events;
}

static void requests_are_written(struct kunit *test)
{
	struct ring_test *t = test->priv;

	for (unsigned int i = 0; i < CALLS; i++) {
		KUNIT_ASSERT_EQ(test, 0, submit(t, i));
		KUNIT_EXPECT_EQ(test, i + 1, weft_kunit_mailbox(t->wdev)->request_tail);
		KUNIT_EXPECT_EQ(test, 1 + i, request_at(t, i)->context);
		KUNIT_EXPECT_EQ(test, t->calls[i].call.sequence, request_at(t, i)->sequence);
		for (unsigned int j = 0; j < i; j++)
			KUNIT_EXPECT_NE(test, request_at(t, j)->sequence, request_at(t, i)->sequence);
	}
}

/* The doorbell rings for the request that the device has asked to be told of, and no other. */
static void doorbells_are_wanted(struct kunit *test)
{
	struct ring_test *t = test->priv;

	t->wdev->hw.doorbell = 0x70000;
	weft_kunit_mailbox(t->wdev)->request_wanted = 2;
	for (unsigned int i = 0; i < CALLS; i++) {
		iowrite32(0, t->wdev->registers + WEFT_REG_DOORBELL);
		KUNIT_ASSERT_EQ(test, 0, submit(t, i));
		KUNIT_EXPECT_EQ_MSG(test, i == 2 ? 0x70000 | WEFT_HW_DOORBELL_REQUEST : 0,
				    ioread32(t->wdev->registers + WEFT_REG_DOORBELL), "request %u", i);
	}
}

static void answers_in_any_order(struct kunit *test)
{
	struct ring_test *t = test->priv;

	for (unsigned int i = 0; i < CALLS; i++)
		KUNIT_ASSERT_EQ(test, 0, submit(t, i));
	KUNIT_EXPECT_FALSE(test, weft_ring_poll(t->wdev));
	KUNIT_EXPECT_NE(test, 0, weft_ring_jobs(t->wdev));
	for (unsigned int i = CALLS; i--;)
		answer(t, t->calls[i].call.sequence, i);
	KUNIT_EXPECT_TRUE(test, weft_ring_poll(t->wdev));
	KUNIT_EXPECT_FALSE(test, weft_ring_poll(t->wdev));
	for (unsigned int i = 0; i < CALLS; i++) {
		KUNIT_EXPECT_EQ(test, 1, t->calls[i].completed);
		KUNIT_EXPECT_EQ(test, i, t->calls[i].status);
	}
	KUNIT_EXPECT_EQ(test, CALLS, weft_kunit_mailbox(t->wdev)->event_head);
	KUNIT_EXPECT_EQ(test, 0, weft_ring_jobs(t->wdev));
	KUNIT_EXPECT_EQ(test, 0, t->wdev->ring.strays);
}

/* Events that nothing asked for complete nothing, and do no harm to what was asked. */
static void strays_are_dropped(struct kunit *test)
{
	/* For the sequence number asked: */
	static const struct {
		u32 mask, flip;
	} strays[] = {
		{ ~0, 1 << 16 }, /* an earlier one in its place */
		{ ~0, 1 }, /* of a place that is free */
		{ ~0xffff, WEFT_RING_PLACES }, /* no place */
		{ ~0xffff, 0xffff },
		{ 0, 0 },
		{ 0, ~0 },
	};
	struct ring_test *t = test->priv;

	KUNIT_ASSERT_EQ(test, 0, submit(t, 0));
	for (unsigned int i = 0; i < ARRAY_SIZE(strays); i++)
		answer(t, (t->calls[0].call.sequence & strays[i].mask) ^ strays[i].flip, 0);
	weft_ring_poll(t->wdev);
	KUNIT_EXPECT_EQ(test, 0, t->calls[0].completed);
	KUNIT_EXPECT_EQ(test, ARRAY_SIZE(strays), t->wdev->ring.strays);
}

static void answered_twice(struct kunit *test)
{
	struct ring_test *t = test->priv;

	KUNIT_ASSERT_EQ(test, 0, submit(t, 0));
	answer(t, t->calls[0].call.sequence, 0);
	answer(t, t->calls[0].call.sequence, 0);
	weft_ring_poll(t->wdev);
	KUNIT_EXPECT_EQ(test, 1, t->calls[0].completed);
	KUNIT_EXPECT_EQ(test, 1, t->wdev->ring.strays);
}

/* An entry counts when its index is the next one, not any other. */
static void index_tells_new_from_old(struct kunit *test)
{
	static const u32 wrong[] = { 0, 2, ~0U };
	struct ring_test *t = test->priv;
	struct weft_hw_event *event = &t->wdev->ring.events[0];

	KUNIT_ASSERT_EQ(test, 0, submit(t, 0));
	event->sequence = t->calls[0].call.sequence;
	for (unsigned int i = 0; i < ARRAY_SIZE(wrong); i++) {
		event->index = wrong[i];
		KUNIT_EXPECT_FALSE(test, weft_ring_poll(t->wdev));
	}
	event->index = 1;
	KUNIT_EXPECT_TRUE(test, weft_ring_poll(t->wdev));
	KUNIT_EXPECT_EQ(test, 1, t->calls[0].completed);
}

/* Indices go on through 2^32, entries are used again. */
static void indices_wrap(struct kunit *test)
{
	struct ring_test *t = test->priv;
	struct weft_ring *ring = &t->wdev->ring;
	u32 start = -CALLS, rounds = 3 * ring->entries;

	ring->tail = start;
	ring->head = start;
	t->events = start;
	for (u32 i = 0; i < ring->entries; i++)
		ring->events[(start + i) % ring->entries].index = start + i + 1 - ring->entries;
	for (u32 i = 0; i < rounds; i++) {
		struct ring_call *call = &t->calls[i % CALLS];

		call->completed = 0;
		KUNIT_ASSERT_EQ(test, 0, submit(t, i % CALLS));
		KUNIT_ASSERT_EQ(test, call->call.sequence, request_at(t, start + i)->sequence);
		KUNIT_ASSERT_EQ(test, start + i + 1, weft_kunit_mailbox(t->wdev)->request_tail);
		KUNIT_ASSERT_FALSE(test, weft_ring_poll(t->wdev));
		answer(t, call->call.sequence, 0);
		KUNIT_ASSERT_TRUE(test, weft_ring_poll(t->wdev));
		KUNIT_ASSERT_EQ(test, 1, call->completed);
	}
	KUNIT_EXPECT_EQ(test, 0, ring->strays);
}

/* Jobs have all the places that a device can hold, and a request of another kind finds one beside them. */
static void places_run_out(struct kunit *test)
{
	struct ring_test *t = test->priv;
	struct weft_hw_request request = { .type = WEFT_HW_REQUEST_QUIESCE };

	for (unsigned int i = 0; i < WEFT_RING_JOBS; i++)
		KUNIT_ASSERT_EQ(test, 0, submit(t, i));
	KUNIT_EXPECT_EQ(test, -EBUSY, submit(t, WEFT_RING_JOBS));
	KUNIT_EXPECT_EQ(test, -ETIMEDOUT, weft_ring_call_timeout(t->wdev, &request, 1));
	answer(t, t->calls[3].call.sequence, 0);
	KUNIT_EXPECT_TRUE(test, weft_ring_poll(t->wdev));
	KUNIT_EXPECT_EQ(test, 0, submit(t, WEFT_RING_JOBS));
}

/* A call that was taken back is not completed, and its answer is a stray. */
static void calls_are_taken_back(struct kunit *test)
{
	struct ring_test *t = test->priv;
	struct weft_hw_request request = { .type = WEFT_HW_REQUEST_QUIESCE };

	KUNIT_ASSERT_EQ(test, 0, submit(t, 0));
	KUNIT_EXPECT_TRUE(test, weft_ring_forget(t->wdev, &t->calls[0].call));
	KUNIT_EXPECT_FALSE(test, weft_ring_forget(t->wdev, &t->calls[0].call));
	answer(t, t->calls[0].call.sequence, 0);
	KUNIT_EXPECT_EQ(test, -ETIMEDOUT, weft_ring_call_timeout(t->wdev, &request, 1));
	answer(t, request.sequence, 0);
	weft_ring_poll(t->wdev);
	KUNIT_EXPECT_EQ(test, 0, t->calls[0].completed);
	KUNIT_EXPECT_EQ(test, 2, t->wdev->ring.strays);
}

static void closed(struct kunit *test)
{
	struct ring_test *t = test->priv;

	KUNIT_ASSERT_EQ(test, 0, submit(t, 0));
	answer(t, t->calls[0].call.sequence, 0);
	weft_ring_close(t->wdev);
	KUNIT_EXPECT_EQ(test, -ENODEV, submit(t, 1));
	KUNIT_EXPECT_FALSE(test, weft_ring_poll(t->wdev));
	KUNIT_EXPECT_EQ(test, 0, t->calls[0].completed);
	KUNIT_EXPECT_TRUE(test, weft_ring_forget(t->wdev, &t->calls[0].call));
}

/* As many jobs as there are slots for go past the scheduler, and none while the ring is held. */
static void direct_slots_run_out(struct kunit *test)
{
	struct ring_test *t = test->priv;

	t->wdev->direct_slots = 2;
	for (unsigned int i = 0; i < 2; i++) {
		t->calls[i].call.direct = true;
		KUNIT_ASSERT_TRUE(test, weft_ring_enter(t->wdev));
		/* The one that enters counts until it has left. */
		KUNIT_EXPECT_EQ(test, !i, weft_ring_enter(t->wdev));
		if (!i)
			weft_ring_leave(t->wdev);
		KUNIT_ASSERT_EQ(test, 0, submit(t, i));
		weft_ring_leave(t->wdev);
	}
	/* The scheduler's do not count. */
	KUNIT_ASSERT_EQ(test, 0, submit(t, 2));
	KUNIT_EXPECT_FALSE(test, weft_ring_enter(t->wdev));
	answer(t, t->calls[2].call.sequence, 0);
	weft_ring_poll(t->wdev);
	KUNIT_EXPECT_FALSE(test, weft_ring_enter(t->wdev));
	answer(t, t->calls[0].call.sequence, 0);
	weft_ring_poll(t->wdev);
	KUNIT_EXPECT_TRUE(test, weft_ring_enter(t->wdev));
	weft_ring_leave(t->wdev);
	weft_ring_hold(t->wdev);
	KUNIT_EXPECT_FALSE(test, weft_ring_enter(t->wdev));
	weft_ring_release(t->wdev);
	KUNIT_EXPECT_TRUE(test, weft_ring_enter(t->wdev));
	weft_ring_leave(t->wdev);
	weft_ring_close(t->wdev);
	KUNIT_EXPECT_FALSE(test, weft_ring_enter(t->wdev));
}

/* Jobs are taken back in the order of the ring, whatever their places. */
static void oldest_is_taken_back_first(struct kunit *test)
{
	struct ring_test *t = test->priv;

	for (unsigned int i = 0; i < 3; i++)
		KUNIT_ASSERT_EQ(test, 0, submit(t, i));
	answer(t, t->calls[0].call.sequence, 0);
	weft_ring_poll(t->wdev);
	/* It gets the first place. */
	KUNIT_ASSERT_EQ(test, 0, submit(t, 3));
	for (unsigned int i = 1; i <= 3; i++)
		KUNIT_EXPECT_PTR_EQ(test, &t->calls[i].call, weft_ring_forget_job(t->wdev));
	KUNIT_EXPECT_NULL(test, weft_ring_forget_job(t->wdev));
	KUNIT_EXPECT_EQ(test, 0, weft_ring_jobs(t->wdev));
}

/* Who polls wants no interrupt, until the last stops. */
static void pollers_want_no_interrupt(struct kunit *test)
{
	struct ring_test *t = test->priv;
	const u32 *wanted = &weft_kunit_mailbox(t->wdev)->event_wanted;

	for (unsigned int i = 0; i < 3; i++)
		KUNIT_ASSERT_EQ(test, 0, submit(t, i));
	weft_ring_poll(t->wdev);
	KUNIT_EXPECT_EQ(test, 0, *wanted);
	weft_ring_poll_begin(t->wdev);
	weft_ring_poll_begin(t->wdev);
	KUNIT_EXPECT_EQ(test, (u32)-1, *wanted);
	weft_ring_poll_once(t->wdev);
	KUNIT_EXPECT_EQ(test, 0, t->calls[0].completed);
	answer(t, t->calls[0].call.sequence, 0);
	weft_ring_poll_once(t->wdev);
	KUNIT_EXPECT_EQ(test, 1, t->calls[0].completed);
	weft_ring_poll_end(t->wdev);
	KUNIT_EXPECT_EQ(test, (u32)-1, *wanted);
	/* An interrupt that was under way takes events, and asks for no other. */
	answer(t, t->calls[1].call.sequence, 0);
	weft_ring_poll(t->wdev);
	KUNIT_EXPECT_EQ(test, 1, t->calls[1].completed);
	KUNIT_EXPECT_EQ(test, (u32)-1, *wanted);
	answer(t, t->calls[2].call.sequence, 0);
	weft_ring_poll_end(t->wdev);
	KUNIT_EXPECT_EQ(test, 1, t->calls[2].completed);
	KUNIT_EXPECT_EQ(test, 3, *wanted);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(requests_are_written),
	KUNIT_CASE(doorbells_are_wanted),
	KUNIT_CASE(answers_in_any_order),
	KUNIT_CASE(strays_are_dropped),
	KUNIT_CASE(answered_twice),
	KUNIT_CASE(index_tells_new_from_old),
	KUNIT_CASE(indices_wrap),
	KUNIT_CASE(places_run_out),
	KUNIT_CASE(calls_are_taken_back),
	KUNIT_CASE(closed),
	KUNIT_CASE(direct_slots_run_out),
	KUNIT_CASE(oldest_is_taken_back_first),
	KUNIT_CASE(pollers_want_no_interrupt),
	{}
};

static struct kunit_suite suite = {
	.name = "weft_ring",
	.init = ring_test_init,
	.exit = ring_test_exit,
	.test_cases = cases,
};

kunit_test_suite(suite);
