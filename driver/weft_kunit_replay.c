// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: tests of where a job goes on after a reset
 *
 * Each case is what the mailbox says after a reset, and where the job goes on by that, or
 * that it does not.  The rules are those of struct weft_hw_slot_progress and
 * struct weft_hw_engine_last.
 */
#include "weft_context.h"
#include "weft_job.h"
#include "weft_kunit.h"
#include "weft_queue.h"
#include "weft_replay.h"

#define CONTEXT 5
#define SEQUENCE 0x120003
#define SLOT 2
#define COMMANDS 10

struct replay_test {
	struct weft_device *wdev;
	struct weft_hw_mailbox *mailbox;
	struct weft_context context;
	struct weft_queue queue;
	struct weft_job job;
};

static int replay_test_init(struct kunit *test)
{
	struct replay_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, t);
	t->wdev = weft_kunit_device(test);
	t->mailbox = weft_kunit_mailbox(t->wdev);
	t->context.id = CONTEXT;
	t->queue.context = &t->context;
	t->job.queue = &t->queue;
	t->job.call.sequence = SEQUENCE;
	t->job.request.context = CONTEXT;
	t->job.request.bytes = COMMANDS * sizeof(struct weft_cmd);
	test->priv = t;
	return 0;
}

/* The job is in the slot, as everything is before a case changes it. */
static void hold(struct replay_test *t)
{
	t->mailbox->slot[SLOT].context = CONTEXT;
	t->mailbox->slot[SLOT].sequence = SEQUENCE;
}

#define NONE { WEFT_HW_LAST_NONE, 0, 0 }

static const struct {
	const char *name;
	u32 skip[WEFT_ENGINES]; /* of the request */
	u32 completed[WEFT_ENGINES];
	struct weft_hw_engine_last last[WEFT_ENGINES];
	bool goes_on;
	u32 skips[WEFT_ENGINES]; /* then */
} progress[] = {
	{ "nothing executed", {}, {}, {}, true, {} },
	{ "some of each engine", {}, { 3, 2, 1 }, {}, true, { 3, 2, 1 } },
	{ "all", {}, { COMMANDS, 0, 0 }, {}, true, { COMMANDS, 0, 0 } },
	{ "after an earlier reset", { 2, 1, 0 }, { 4, 1, 1 }, {}, true, { 4, 1, 1 } },
	{ "less than before", { 2, 1, 0 }, { 2, 0, 0 }, {}, false, {} },
	{ "more than the stream has", {}, { 0, COMMANDS + 1, 0 }, {}, false, {} },
	{ "more than the stream has, of all engines", {}, { 4, 4, 4 }, {}, false, {} },
	{ "failed", {}, { 1, 0, WEFT_HW_PROGRESS_FAULT }, {}, false, {} },
	{ "last completed, not counted", {}, { 3, 2, 1 }, { NONE, { WEFT_HW_LAST_COMPLETED, SEQUENCE, 2 } }, true,
	  { 3, 3, 1 } },
	{ "last completed, counted", {}, { 3, 2, 1 }, { { WEFT_HW_LAST_COMPLETED, SEQUENCE, 2 } }, true, { 3, 2, 1 } },
	{ "last completed, one is missing", {}, { 3, 2, 1 }, { { WEFT_HW_LAST_COMPLETED, SEQUENCE, 4 } }, false, {} },
	{ "last completed, long ago", {}, { 3, 2, 1 }, { { WEFT_HW_LAST_COMPLETED, SEQUENCE, 1 } }, false, {} },
	{ "last completed, ordinal wraps", {}, {}, { { WEFT_HW_LAST_COMPLETED, SEQUENCE, ~0U } }, false, {} },
	{ "last completed, beyond the stream", {}, { COMMANDS }, { { WEFT_HW_LAST_COMPLETED, SEQUENCE, COMMANDS } },
	  false, {} },
	{ "last completed, of a failed job", {}, { WEFT_HW_PROGRESS_FAULT },
	  { { WEFT_HW_LAST_COMPLETED, SEQUENCE, ~0U } }, false, {} },
	{ "last stopped half-way", {}, { 3, 2, 1 }, { NONE, NONE, { WEFT_HW_LAST_ABORTED, SEQUENCE, 1 } }, false, {} },
	{ "last of nonsense", {}, { 3, 2, 1 }, { { 77, SEQUENCE, 3 } }, false, {} },
	{ "last of another job", {}, { 3, 2, 1 }, { { WEFT_HW_LAST_ABORTED, SEQUENCE + 1, 3 } }, true, { 3, 2, 1 } },
};

static void describe_progress(const typeof(progress[0]) *given, char *text)
{
	strscpy(text, given->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(progress, progress, describe_progress);

static void by_progress(struct kunit *test)
{
	const typeof(progress[0]) *given = test->param_value;
	struct replay_test *t = test->priv;

	hold(t);
	memcpy(t->job.request.skip, given->skip, sizeof(given->skip));
	memcpy(t->mailbox->progress[SLOT].completed, given->completed, sizeof(given->completed));
	memcpy(t->mailbox->last, given->last, sizeof(given->last));
	KUNIT_ASSERT_EQ(test, given->goes_on, weft_replay_prepare(t->wdev, &t->job, true));
	if (given->goes_on)
		KUNIT_EXPECT_MEMEQ(test, t->job.request.skip, given->skips, sizeof(given->skips));
}

/* A job that no slot has begins anew if it waits in the ring still; else its answer was lost. */
static const struct {
	const char *name;
	u32 index; /* of its request */
	u32 tail, head; /* requests written and taken */
	bool goes_on;
} waiting[] = {
	{ "next to be taken", 4, 6, 4, true },
	{ "last of those that wait", 5, 6, 4, true },
	{ "taken last", 3, 6, 4, false },
	{ "all taken", 5, 6, 6, false },
	{ "waits, past the wrap", ~0U, 1, ~0U, true },
	{ "taken, past the wrap", ~1U, 1, ~0U, false },
	{ "more taken than written", 5, 6, 7, false },
	{ "far fewer taken than the ring holds", 5, 6, 6 - 1000, false },
};

static void describe_waiting(const typeof(waiting[0]) *given, char *text)
{
	strscpy(text, given->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(waiting, waiting, describe_waiting);

static void by_request(struct kunit *test)
{
	const typeof(waiting[0]) *given = test->param_value;
	struct replay_test *t = test->priv;

	/* Of another context, and of another job. */
	t->mailbox->slot[SLOT].context = CONTEXT + 1;
	t->mailbox->slot[SLOT].sequence = SEQUENCE;
	t->mailbox->slot[SLOT + 1].context = CONTEXT;
	t->mailbox->slot[SLOT + 1].sequence = SEQUENCE + 1;
	t->job.call.index = given->index;
	t->wdev->ring.tail = given->tail;
	t->mailbox->request_head = given->head;
	KUNIT_EXPECT_EQ(test, given->goes_on, weft_replay_prepare(t->wdev, &t->job, true));
}

/* A job that is at an engine in too many resets is given up. */
static void by_strikes(struct kunit *test)
{
	struct replay_test *t = test->priv;

	hold(t);
	for (unsigned int i = 0; i < 4; i++)
		KUNIT_EXPECT_TRUE(test, weft_replay_prepare(t->wdev, &t->job, true));
	t->mailbox->engine[WEFT_ENGINE_DMA_OUT].context = CONTEXT;
	t->mailbox->engine[WEFT_ENGINE_DMA_OUT].sequence = SEQUENCE;
	for (unsigned int i = 0; i < 4; i++)
		KUNIT_EXPECT_TRUE(test, weft_replay_prepare(t->wdev, &t->job, false));
	KUNIT_EXPECT_TRUE(test, weft_replay_prepare(t->wdev, &t->job, true));
	KUNIT_EXPECT_TRUE(test, weft_replay_prepare(t->wdev, &t->job, true));
	KUNIT_EXPECT_FALSE(test, weft_replay_prepare(t->wdev, &t->job, true));
}

static struct kunit_case cases[] = {
	KUNIT_CASE_PARAM(by_progress, progress_gen_params),
	KUNIT_CASE_PARAM(by_request, waiting_gen_params),
	KUNIT_CASE(by_strikes),
	{}
};

static struct kunit_suite suite = {
	.name = "weft_replay",
	.init = replay_test_init,
	.test_cases = cases,
};

kunit_test_suite(suite);
