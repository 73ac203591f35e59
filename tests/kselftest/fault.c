// SPDX-License-Identifier: MIT
/* Streams with one fault each: the reason, and how the context goes on. */
#include "kselftest_harness.h"
#include "weft_test.h"

#define STREAM (1ull << 20)
#define RESULT (2ull << 20)
#define DEVICE (1ull << 30)
#define NOWHERE (1ull << 36)

/* One fault each: how the stream is spoilt, and the reason that must come back. */
enum spoilt {
	SPOILT_STREAM_UNMAPPED,
	SPOILT_STREAM_CUT,
	SPOILT_SIZE,
	SPOILT_OPCODE,
	SPOILT_ENGINE,
	SPOILT_PAD,
	SPOILT_OPERANDS,
	SPOILT_TYPE,
	SPOILT_SHAPE,
	SPOILT_OPERAND_UNMAPPED,
	SPOILT_OPERAND_PAST_THE_END,
	SPOILT_OPERAND_WRAPS,
	SPOILT_TIER,
	SPOILT_SEMAPHORE,
	SPOILT_DEADLOCK,
};

FIXTURE(fault)
{
	struct weft w;
	struct weft_stream stream;
	struct weft_bo device, result;
};

FIXTURE_VARIANT(fault)
{
	enum spoilt spoilt;
	enum weft_fault reason;
};

FIXTURE_SETUP(fault)
{
	if (!weft_node())
		SKIP(return, "no Weft node");
	ASSERT_EQ(0, weft_setup(&self->w));
	ASSERT_EQ(0, weft_stream_new(&self->w, WEFT_PAGE, STREAM, &self->stream));
	ASSERT_EQ(0, weft_bo_new(self->w.fd, WEFT_PAGE, DRM_WEFT_BO_DEVICE, &self->device));
	ASSERT_EQ(0, weft_bo_new(self->w.fd, WEFT_PAGE, 0, &self->result));
	ASSERT_EQ(0, weft_map(self->w.fd, self->w.context, self->device.handle, 0, DEVICE, WEFT_PAGE));
	ASSERT_EQ(0, weft_map(self->w.fd, self->w.context, self->result.handle, 0, RESULT, WEFT_PAGE));
}

FIXTURE_TEARDOWN(fault)
{
	weft_teardown(&self->w);
}

#define FAULT(name, spoilt_, reason_)                                      \
	FIXTURE_VARIANT_ADD(fault, name)                                   \
	{                                                                  \
		.spoilt = SPOILT_##spoilt_, .reason = WEFT_FAULT_##reason_ \
	}

FAULT(stream_unmapped, STREAM_UNMAPPED, UNMAPPED);
FAULT(stream_cut, STREAM_CUT, STREAM);
FAULT(command_size, SIZE, STREAM);
FAULT(opcode, OPCODE, OPCODE);
FAULT(engine, ENGINE, OPCODE);
FAULT(pad, PAD, PARAMETER);
FAULT(operands, OPERANDS, OPERANDS);
FAULT(type, TYPE, TYPE);
FAULT(shape, SHAPE, SHAPE);
FAULT(operand_unmapped, OPERAND_UNMAPPED, UNMAPPED);
FAULT(operand_past_the_end, OPERAND_PAST_THE_END, UNMAPPED);
FAULT(operand_wraps, OPERAND_WRAPS, SHAPE);
FAULT(tier, TIER, PERMISSION);
FAULT(semaphore, SEMAPHORE, SEMAPHORE);
FAULT(deadlock, DEADLOCK, DEADLOCK);

static void spoil(FIXTURE_DATA(fault) * self, enum spoilt how)
{
	struct weft_cmd *command = self->stream.bo.memory;

	switch (how) {
	case SPOILT_STREAM_UNMAPPED:
		self->stream.address = NOWHERE;
		break;
	case SPOILT_STREAM_CUT:
		self->stream.used -= 8;
		break;
	case SPOILT_SIZE:
		command->size = 8;
		break;
	case SPOILT_OPCODE:
		command->opcode = 0xffff;
		break;
	case SPOILT_ENGINE:
		command->engine = WEFT_ENGINES;
		break;
	case SPOILT_PAD:
		command->pad = 1;
		break;
	case SPOILT_OPERANDS:
		command->operands = 1;
		command->size -= sizeof(struct weft_tensor);
		self->stream.used -= sizeof(struct weft_tensor);
		break;
	case SPOILT_TYPE:
		command->operand[0].type = 99;
		break;
	case SPOILT_SHAPE:
		command->operand[0].rank = WEFT_MAX_RANK + 1;
		break;
	case SPOILT_OPERAND_UNMAPPED:
		command->operand[0].address = NOWHERE;
		break;
	case SPOILT_OPERAND_PAST_THE_END:
		command->operand[0].address = DEVICE + WEFT_PAGE - 32;
		break;
	case SPOILT_OPERAND_WRAPS:
		command->operand[0].address = 0ull - 32;
		break;
	case SPOILT_TIER:
		command->operand[0].address = RESULT + WEFT_PAGE / 2;
		break;
	case SPOILT_SEMAPHORE:
		command->signal.index = WEFT_SEMAPHORES;
		break;
	case SPOILT_DEADLOCK:
		command->wait[0] = (struct weft_sem){.index = 3, .value = 1};
		break;
	}
}

TEST_F(fault, stops_the_context_until_it_is_recovered)
{
	struct drm_weft_context_info context;
	struct drm_weft_queue_info info;
	uint64_t address = self->stream.address;

	weft_copy(&self->stream, WEFT_ENGINE_DMA_OUT, DEVICE, RESULT, 64);
	ASSERT_EQ(0, weft_run(&self->w, &self->stream));
	spoil(self, variant->spoilt);
	EXPECT_EQ(EIO, weft_run(&self->w, &self->stream));
	ASSERT_EQ(0, weft_query(self->w.fd, DRM_WEFT_QUERY_QUEUE, self->w.queue, &info, sizeof(info)));
	ASSERT_EQ(0, weft_query(self->w.fd, DRM_WEFT_QUERY_CONTEXT, self->w.context, &context, sizeof(context)));
	EXPECT_EQ(2, info.failed);
	EXPECT_EQ(variant->reason, info.fault.reason);
	EXPECT_EQ(variant->reason, context.fault.reason);
	/* Stopped. */
	self->stream.address = address;
	self->stream.used = 0;
	weft_copy(&self->stream, WEFT_ENGINE_DMA_OUT, DEVICE, RESULT, 64);
	EXPECT_EQ(ECANCELED, weft_submit(&self->w, &self->stream));
	ASSERT_EQ(0, weft_query(self->w.fd, DRM_WEFT_QUERY_QUEUE, self->w.queue, &info, sizeof(info)));
	EXPECT_EQ(2, info.submitted);
	/* And working again. */
	ASSERT_EQ(0, weft_context_recover(self->w.fd, self->w.context));
	ASSERT_EQ(0, weft_query(self->w.fd, DRM_WEFT_QUERY_CONTEXT, self->w.context, &context, sizeof(context)));
	EXPECT_EQ(0, context.fault.reason);
	EXPECT_EQ(0, weft_run(&self->w, &self->stream));
}

TEST_HARNESS_MAIN
