/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM weft

#if !defined(__WEFT_TRACE_H__) || defined(TRACE_HEADER_MULTI_READ)
#define __WEFT_TRACE_H__

#include <linux/tracepoint.h>
#include <linux/types.h>

#include <weft_isa.h>

DECLARE_EVENT_CLASS(weft_job,
	TP_PROTO(u32 context, u32 queue, u64 fence_context, u64 seqno, s64 value),
	TP_ARGS(context, queue, fence_context, seqno, value),
	TP_STRUCT__entry(
		__field(u32, context)
		__field(u32, queue)
		__field(u64, fence_context)
		__field(u64, seqno)
		__field(s64, value)
	),
	TP_fast_assign(
		__entry->context = context;
		__entry->queue = queue;
		__entry->fence_context = fence_context;
		__entry->seqno = seqno;
		__entry->value = value;
	),
	TP_printk("context=%u queue=%u fence=%llu:%llu value=%lld", __entry->context, __entry->queue,
		  __entry->fence_context, __entry->seqno, __entry->value)
);

/* value: bytes of the stream */
DEFINE_EVENT(weft_job, weft_job_run,
	TP_PROTO(u32 context, u32 queue, u64 fence_context, u64 seqno, s64 value),
	TP_ARGS(context, queue, fence_context, seqno, value)
);

/* value: 0 or a negative errno */
DEFINE_EVENT(weft_job, weft_job_end,
	TP_PROTO(u32 context, u32 queue, u64 fence_context, u64 seqno, s64 value),
	TP_ARGS(context, queue, fence_context, seqno, value)
);

TRACE_EVENT(weft_job_submit,
	TP_PROTO(u32 context, u32 queue, u64 fence_context, u64 seqno),
	TP_ARGS(context, queue, fence_context, seqno),
	TP_STRUCT__entry(
		__field(u32, context)
		__field(u32, queue)
		__field(u64, fence_context)
		__field(u64, seqno)
	),
	TP_fast_assign(
		__entry->context = context;
		__entry->queue = queue;
		__entry->fence_context = fence_context;
		__entry->seqno = seqno;
	),
	TP_printk("context=%u queue=%u fence=%llu:%llu", __entry->context, __entry->queue, __entry->fence_context,
		  __entry->seqno)
);

TRACE_EVENT(weft_bind,
	TP_PROTO(u32 context, bool map, u64 address, u64 range),
	TP_ARGS(context, map, address, range),
	TP_STRUCT__entry(
		__field(u32, context)
		__field(bool, map)
		__field(u64, address)
		__field(u64, range)
	),
	TP_fast_assign(
		__entry->context = context;
		__entry->map = map;
		__entry->address = address;
		__entry->range = range;
	),
	TP_printk("context=%u %s address=%#llx range=%#llx", __entry->context, __entry->map ? "map" : "unmap",
		  __entry->address, __entry->range)
);

TRACE_EVENT(weft_fault,
	TP_PROTO(u32 context, const struct weft_fault_record *fault),
	TP_ARGS(context, fault),
	TP_STRUCT__entry(
		__field(u32, context)
		__field(u32, reason)
		__field(u32, opcode)
		__field(u32, operand)
		__field(u32, command)
		__field(u64, address)
	),
	TP_fast_assign(
		__entry->context = context;
		__entry->reason = fault->reason;
		__entry->opcode = fault->opcode;
		__entry->operand = fault->operand;
		__entry->command = fault->command;
		__entry->address = fault->address;
	),
	TP_printk("context=%u reason=%u opcode=%#x operand=%u command=%u address=%#llx", __entry->context,
		  __entry->reason, __entry->opcode, __entry->operand, __entry->command, __entry->address)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE weft_trace
#include <trace/define_trace.h>
