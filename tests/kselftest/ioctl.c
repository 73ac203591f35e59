// SPDX-License-Identifier: MIT
/*
 * Each rejection of each ioctl, by a call that has only that one fault.  Each kind of
 * call is also made without a fault, so that the one fault is what is rejected.
 */
#include "kselftest_harness.h"
#include "weft_test.h"

#include <drm.h>

FIXTURE(ioctl)
{
	struct weft w;
	struct weft_bo device, host;
	uint32_t binary;
};

FIXTURE_SETUP(ioctl)
{
	if (!weft_node())
		SKIP(return, "no Weft node");
	ASSERT_EQ(0, weft_setup(&self->w));
	ASSERT_EQ(0, weft_bo_new(self->w.fd, 4 * WEFT_PAGE, DRM_WEFT_BO_DEVICE, &self->device));
	ASSERT_EQ(0, weft_bo_new(self->w.fd, 4 * WEFT_PAGE, 0, &self->host));
	ASSERT_EQ(0, weft_syncobj_new(self->w.fd, &self->binary));
}

FIXTURE_TEARDOWN(ioctl)
{
	weft_teardown(&self->w);
}

/* A test of one call: its arguments are the initialisers that follow its struct. */
#define CALL(name, error, request, type, ...)                                                   \
	TEST_F(ioctl, name)                                                                     \
	{                                                                                       \
		struct type argument_ = {__VA_ARGS__};                                          \
                                                                                                \
		ASSERT_EQ(error, weft_ioctl(self->w.fd, DRM_IOCTL_WEFT_##request, &argument_)); \
	}

#define ARRAY(pointer, number)                                                                 \
	{                                                                                      \
		.stride = sizeof(*(pointer)), .count = (number), .array = (uintptr_t)(pointer) \
	}

/* clang-format off */
CALL(query_size_only, 0, QUERY, drm_weft_query, .type = DRM_WEFT_QUERY_DEVICE)
CALL(query_type, EINVAL, QUERY, drm_weft_query, .type = 5)
CALL(query_type_most, EINVAL, QUERY, drm_weft_query, .type = UINT32_MAX)
CALL(query_pad, EINVAL, QUERY, drm_weft_query, .pad = 1)
CALL(query_device_id, EINVAL, QUERY, drm_weft_query, .type = DRM_WEFT_QUERY_DEVICE, .id = 1)
CALL(query_counters_id, EINVAL, QUERY, drm_weft_query, .type = DRM_WEFT_QUERY_COUNTERS, .id = 1)
CALL(query_client_id, EINVAL, QUERY, drm_weft_query, .type = DRM_WEFT_QUERY_CLIENT, .id = 1)
CALL(query_context_none, ENOENT, QUERY, drm_weft_query, .type = DRM_WEFT_QUERY_CONTEXT)
CALL(query_context_unknown, ENOENT, QUERY, drm_weft_query, .type = DRM_WEFT_QUERY_CONTEXT, .id = 999)
CALL(query_queue_none, ENOENT, QUERY, drm_weft_query, .type = DRM_WEFT_QUERY_QUEUE)
CALL(query_queue_unknown, ENOENT, QUERY, drm_weft_query, .type = DRM_WEFT_QUERY_QUEUE, .id = 999)
CALL(query_pointer, EFAULT, QUERY, drm_weft_query, .size = 8, .pointer = 1)
CALL(query_pointer_kernel, EFAULT, QUERY, drm_weft_query, .size = 8, .pointer = 0xffff888000000000)
CALL(query_size_past_memory, EFAULT, QUERY, drm_weft_query, .size = UINT32_MAX, .pointer = 4096)

CALL(context_good, 0, CONTEXT_CREATE, drm_weft_context_create, .flags = 0)
CALL(context_flags, EINVAL, CONTEXT_CREATE, drm_weft_context_create, .flags = 1)
CALL(context_flags_high, EINVAL, CONTEXT_CREATE, drm_weft_context_create, .flags = 1u << 31)
CALL(context_id, EINVAL, CONTEXT_CREATE, drm_weft_context_create, .id = 1)
CALL(context_timeout_most, 0, CONTEXT_CREATE, drm_weft_context_create, .command_timeout_ns = UINT64_MAX)
CALL(context_limit_most, 0, CONTEXT_CREATE, drm_weft_context_create, .device_bytes_limit = UINT64_MAX)
CALL(destroy_good, 0, CONTEXT_DESTROY, drm_weft_context_destroy, .id = self->w.context)
CALL(destroy_0, ENOENT, CONTEXT_DESTROY, drm_weft_context_destroy, .id = 0)
CALL(destroy_unknown, ENOENT, CONTEXT_DESTROY, drm_weft_context_destroy, .id = 999)
CALL(destroy_most, ENOENT, CONTEXT_DESTROY, drm_weft_context_destroy, .id = UINT32_MAX)
CALL(destroy_pad, EINVAL, CONTEXT_DESTROY, drm_weft_context_destroy, .id = self->w.context, .pad = 1)
CALL(recover_good, 0, CONTEXT_RECOVER, drm_weft_context_recover, .id = self->w.context)
CALL(recover_unknown, ENOENT, CONTEXT_RECOVER, drm_weft_context_recover, .id = 999)
CALL(recover_pad, EINVAL, CONTEXT_RECOVER, drm_weft_context_recover, .id = self->w.context, .pad = 1)

CALL(queue_good, 0, QUEUE_CREATE, drm_weft_queue_create, .context = self->w.context)
CALL(queue_context_0, ENOENT, QUEUE_CREATE, drm_weft_queue_create, .context = 0)
CALL(queue_context_unknown, ENOENT, QUEUE_CREATE, drm_weft_queue_create, .context = 999)
CALL(queue_priority, EINVAL, QUEUE_CREATE, drm_weft_queue_create, .context = self->w.context, .priority = 3)
CALL(queue_priority_most, EINVAL, QUEUE_CREATE, drm_weft_queue_create, .context = self->w.context, .priority = UINT32_MAX)
CALL(queue_flags, EINVAL, QUEUE_CREATE, drm_weft_queue_create, .context = self->w.context, .flags = 1)
CALL(queue_id, EINVAL, QUEUE_CREATE, drm_weft_queue_create, .context = self->w.context, .id = 1)
CALL(queue_destroy_good, 0, QUEUE_DESTROY, drm_weft_queue_destroy, .id = self->w.queue)
CALL(queue_destroy_0, ENOENT, QUEUE_DESTROY, drm_weft_queue_destroy, .id = 0)
CALL(queue_destroy_unknown, ENOENT, QUEUE_DESTROY, drm_weft_queue_destroy, .id = 999)
CALL(queue_destroy_pad, EINVAL, QUEUE_DESTROY, drm_weft_queue_destroy, .id = self->w.queue, .pad = 1)

CALL(bo_good, 0, BO_CREATE, drm_weft_bo_create, .size = 1, .flags = DRM_WEFT_BO_DEVICE, .context = self->w.context)
CALL(bo_size_0, EINVAL, BO_CREATE, drm_weft_bo_create, .size = 0)
CALL(bo_flags, EINVAL, BO_CREATE, drm_weft_bo_create, .size = 1, .flags = 2)
CALL(bo_flags_high, EINVAL, BO_CREATE, drm_weft_bo_create, .size = 1, .flags = 1u << 31)
CALL(bo_pad, EINVAL, BO_CREATE, drm_weft_bo_create, .size = 1, .pad = 1)
CALL(bo_handle, EINVAL, BO_CREATE, drm_weft_bo_create, .size = 1, .handle = 1)
CALL(bo_mmap_offset, EINVAL, BO_CREATE, drm_weft_bo_create, .size = 1, .mmap_offset = 1)
CALL(bo_context_unknown, ENOENT, BO_CREATE, drm_weft_bo_create, .size = 1, .context = 999)
CALL(bo_device_size_wraps, ENOSPC, BO_CREATE, drm_weft_bo_create, .size = UINT64_MAX, .flags = DRM_WEFT_BO_DEVICE)
CALL(bo_device_size_rounds_to_0, ENOSPC, BO_CREATE, drm_weft_bo_create, .size = 0 - WEFT_PAGE + 1, .flags = DRM_WEFT_BO_DEVICE)
CALL(bo_device_too_large, ENOSPC, BO_CREATE, drm_weft_bo_create, .size = 1ull << 38, .flags = DRM_WEFT_BO_DEVICE)
CALL(bo_host_size_wraps, ENOMEM, BO_CREATE, drm_weft_bo_create, .size = UINT64_MAX)
CALL(bo_host_too_large, ENOMEM, BO_CREATE, drm_weft_bo_create, .size = 1ull << 38)
CALL(info_good, 0, BO_INFO, drm_weft_bo_info, .handle = self->host.handle)
CALL(info_handle_0, ENOENT, BO_INFO, drm_weft_bo_info, .handle = 0)
CALL(info_handle_unknown, ENOENT, BO_INFO, drm_weft_bo_info, .handle = 999)
CALL(info_flags, EINVAL, BO_INFO, drm_weft_bo_info, .handle = self->host.handle, .flags = 1)
CALL(info_size, EINVAL, BO_INFO, drm_weft_bo_info, .handle = self->host.handle, .size = 1)
CALL(info_mmap_offset, EINVAL, BO_INFO, drm_weft_bo_info, .handle = self->host.handle, .mmap_offset = 1)

CALL(bind_nothing, 0, VM_BIND, drm_weft_vm_bind, .context = self->w.context)
CALL(bind_context_0, ENOENT, VM_BIND, drm_weft_vm_bind, .context = 0)
CALL(bind_context_unknown, ENOENT, VM_BIND, drm_weft_vm_bind, .context = 999)
CALL(bind_flags, EINVAL, VM_BIND, drm_weft_vm_bind, .context = self->w.context, .flags = 2)
CALL(bind_failed, EINVAL, VM_BIND, drm_weft_vm_bind, .context = self->w.context, .failed = 1)
CALL(bind_pad, EINVAL, VM_BIND, drm_weft_vm_bind, .context = self->w.context, .pad = 1)
CALL(bind_array_unreadable, EFAULT, VM_BIND, drm_weft_vm_bind, .context = self->w.context,
     .ops = {.stride = sizeof(struct drm_weft_bind_op), .count = 1, .array = 8})
CALL(bind_array_kernel, EFAULT, VM_BIND, drm_weft_vm_bind, .context = self->w.context,
     .ops = {.stride = sizeof(struct drm_weft_bind_op), .count = 1, .array = 0xffff888000000000})
CALL(bind_array_null, EFAULT, VM_BIND, drm_weft_vm_bind, .context = self->w.context,
     .ops = {.stride = sizeof(struct drm_weft_bind_op), .count = 1})
CALL(bind_no_count_but_array, EINVAL, VM_BIND, drm_weft_vm_bind, .context = self->w.context, .ops = {.array = 8})
CALL(bind_no_count_but_stride, EINVAL, VM_BIND, drm_weft_vm_bind, .context = self->w.context, .ops = {.stride = 8})
CALL(bind_syncs_without_async, EINVAL, VM_BIND, drm_weft_vm_bind, .context = self->w.context,
     .syncs = ARRAY((&(struct drm_weft_sync){.handle = self->binary, .flags = DRM_WEFT_SYNC_SIGNAL}), 1))

CALL(submit_empty_stream, 0, SUBMIT, drm_weft_submit, .queue = self->w.queue)
CALL(submit_queue_0, ENOENT, SUBMIT, drm_weft_submit, .queue = 0)
CALL(submit_queue_unknown, ENOENT, SUBMIT, drm_weft_submit, .queue = 999)
CALL(submit_flags, EINVAL, SUBMIT, drm_weft_submit, .queue = self->w.queue, .flags = 1)
CALL(submit_address_misaligned, EINVAL, SUBMIT, drm_weft_submit, .queue = self->w.queue, .address = 4)
CALL(submit_address_past_the_end, EINVAL, SUBMIT, drm_weft_submit, .queue = self->w.queue, .address = WEFT_SPACE)
CALL(submit_address_most, EINVAL, SUBMIT, drm_weft_submit, .queue = self->w.queue, .address = 0ull - 8)
CALL(submit_bytes_misaligned, EINVAL, SUBMIT, drm_weft_submit, .queue = self->w.queue, .bytes = 4)
CALL(submit_bytes_too_many, EINVAL, SUBMIT, drm_weft_submit, .queue = self->w.queue, .bytes = WEFT_STREAM_MAX_BYTES + 8ull)
CALL(submit_bytes_wrap, EINVAL, SUBMIT, drm_weft_submit, .queue = self->w.queue, .bytes = 0ull - 8)
CALL(submit_job, EINVAL, SUBMIT, drm_weft_submit, .queue = self->w.queue, .job = 1)

CALL(wait_queue_0, ENOENT, WAIT, drm_weft_wait, .queue = 0, .job = 1)
CALL(wait_queue_unknown, ENOENT, WAIT, drm_weft_wait, .queue = 999, .job = 1)
CALL(wait_flags, EINVAL, WAIT, drm_weft_wait, .queue = self->w.queue, .job = 1, .flags = 2)
CALL(wait_flags_high, EINVAL, WAIT, drm_weft_wait, .queue = self->w.queue, .job = 1, .flags = 1u << 31)
CALL(wait_poll_with_deadline, EINVAL, WAIT, drm_weft_wait, .queue = self->w.queue, .job = 1, .flags = DRM_WEFT_WAIT_POLL, .deadline_ns = 1)
CALL(wait_job_0, EINVAL, WAIT, drm_weft_wait, .queue = self->w.queue, .job = 0)
CALL(wait_job_not_submitted, EINVAL, WAIT, drm_weft_wait, .queue = self->w.queue, .job = 1)
CALL(wait_job_most, EINVAL, WAIT, drm_weft_wait, .queue = self->w.queue, .job = UINT64_MAX)
CALL(wait_ended, EINVAL, WAIT, drm_weft_wait, .queue = self->w.queue, .job = 1, .ended = 1)
CALL(wait_failed, EINVAL, WAIT, drm_weft_wait, .queue = self->w.queue, .job = 1, .failed = 1)
/* clang-format on */

/* VM_BIND with one operation, which each test spoils in one place. */
static int bind_op(FIXTURE_DATA(ioctl) * self, struct drm_weft_bind_op op)
{
	struct drm_weft_vm_bind bind = {.context = self->w.context, .ops = ARRAY(&op, 1)};

	return weft_ioctl(self->w.fd, DRM_IOCTL_WEFT_VM_BIND, &bind);
}

#define BIND(name, error, change)                                                                   \
	TEST_F(ioctl, bind_##name)                                                                  \
	{                                                                                           \
		struct drm_weft_bind_op op = {                                                      \
			.handle = self->device.handle, .address = 1 << 20, .range = 4 * WEFT_PAGE}; \
                                                                                                    \
		ASSERT_EQ(0, bind_op(self, op));                                                    \
		change;                                                                             \
		ASSERT_EQ(error, bind_op(self, op));                                                \
	}

/* clang-format off */
BIND(again, 0, (void)0)
BIND(type, EINVAL, op.type = 2)
BIND(type_most, EINVAL, op.type = UINT32_MAX)
BIND(op_flags, EINVAL, op.flags = 2)
BIND(op_flags_high, EINVAL, op.flags = 1u << 31)
BIND(op_pad, EINVAL, op.pad = 1)
BIND(handle_0, ENOENT, op.handle = 0)
BIND(handle_unknown, ENOENT, op.handle = 999)
BIND(address_0, EINVAL, op.address = 0)
BIND(address_misaligned, EINVAL, op.address += 8)
BIND(address_past_the_end, EINVAL, op.address = WEFT_SPACE)
BIND(end_past_the_end, EINVAL, op.address = WEFT_SPACE - 3 * WEFT_PAGE)
BIND(end_at_the_end, 0, op.address = WEFT_SPACE - 4 * WEFT_PAGE)
BIND(address_wraps, EINVAL, op.address = 0 - WEFT_PAGE)
BIND(range_0, EINVAL, op.range = 0)
BIND(range_misaligned, EINVAL, op.range = 8)
BIND(range_past_the_object, EINVAL, op.range = 5 * WEFT_PAGE)
BIND(range_wraps, EINVAL, op.range = 0ull - (1 << 20))
BIND(offset_misaligned, EINVAL, (op.range = WEFT_PAGE, op.offset = 8))
BIND(offset_last_page, 0, (op.range = WEFT_PAGE, op.offset = 3 * WEFT_PAGE))
BIND(offset_past_the_object, EINVAL, (op.range = WEFT_PAGE, op.offset = 4 * WEFT_PAGE))
BIND(offset_wraps, EINVAL, (op.range = WEFT_PAGE, op.offset = 0ull - WEFT_PAGE))
BIND(unmap_good, 0, (op.type = DRM_WEFT_BIND_UNMAP, op.handle = 0))
BIND(unmap_handle, EINVAL, op.type = DRM_WEFT_BIND_UNMAP)
BIND(unmap_flags, EINVAL, (op.type = DRM_WEFT_BIND_UNMAP, op.handle = 0, op.flags = DRM_WEFT_BIND_READ_ONLY))
BIND(unmap_offset, EINVAL, (op.type = DRM_WEFT_BIND_UNMAP, op.handle = 0, op.offset = WEFT_PAGE))
BIND(unmap_everything, 0, (op.type = DRM_WEFT_BIND_UNMAP, op.handle = 0, op.address = WEFT_PAGE, op.range = WEFT_SPACE - WEFT_PAGE))
/* clang-format on */

TEST_F(ioctl, bind_strides)
{
	struct drm_weft_bind_op op = {.handle = self->device.handle, .address = 1 << 20, .range = WEFT_PAGE};
	struct drm_weft_vm_bind bind = {.context = self->w.context, .ops = ARRAY(&op, 1)};
	struct {
		struct drm_weft_bind_op op;
		uint64_t newer;
	} longer = {.op = op};

	bind.ops.stride = sizeof(op) - 8;
	EXPECT_EQ(EINVAL, weft_ioctl(self->w.fd, DRM_IOCTL_WEFT_VM_BIND, &bind));
	bind.ops.stride = 0;
	EXPECT_EQ(EINVAL, weft_ioctl(self->w.fd, DRM_IOCTL_WEFT_VM_BIND, &bind));
	bind.ops.stride = 4096 + 8;
	EXPECT_EQ(EINVAL, weft_ioctl(self->w.fd, DRM_IOCTL_WEFT_VM_BIND, &bind));
	bind.ops = (struct drm_weft_array)ARRAY(&longer, 1);
	EXPECT_EQ(0, weft_ioctl(self->w.fd, DRM_IOCTL_WEFT_VM_BIND, &bind));
	longer.newer = 1;
	EXPECT_EQ(E2BIG, weft_ioctl(self->w.fd, DRM_IOCTL_WEFT_VM_BIND, &bind));
}

TEST_F(ioctl, bind_counts)
{
	struct drm_weft_bind_op *ops = calloc(DRM_WEFT_MAX_BIND_OPS + 1, sizeof(*ops));
	struct drm_weft_vm_bind bind = {.context = self->w.context, .ops = ARRAY(ops, DRM_WEFT_MAX_BIND_OPS)};

	ASSERT_NE(NULL, ops);
	for (uint32_t i = 0; i <= DRM_WEFT_MAX_BIND_OPS; i++)
		ops[i] = (struct drm_weft_bind_op){
			.type = DRM_WEFT_BIND_UNMAP, .address = (i + 1) * WEFT_PAGE, .range = WEFT_PAGE};
	EXPECT_EQ(0, weft_ioctl(self->w.fd, DRM_IOCTL_WEFT_VM_BIND, &bind));
	bind.ops.count++;
	EXPECT_EQ(EINVAL, weft_ioctl(self->w.fd, DRM_IOCTL_WEFT_VM_BIND, &bind));
	bind.ops.count = UINT32_MAX;
	EXPECT_EQ(EINVAL, weft_ioctl(self->w.fd, DRM_IOCTL_WEFT_VM_BIND, &bind));
}

/* The index of the operation that is not valid comes back, and none was carried out. */
TEST_F(ioctl, bind_all_or_nothing)
{
	struct drm_weft_bind_op ops[] = {
		{.handle = self->device.handle, .address = 1 << 20, .range = WEFT_PAGE},
		{.handle = self->device.handle, .address = 2 << 20, .range = WEFT_PAGE},
		{.handle = 999, .address = 3 << 20, .range = WEFT_PAGE},
	};
	struct drm_weft_vm_bind bind = {.context = self->w.context, .ops = ARRAY(ops, 3)};
	struct drm_weft_context_info info;

	ASSERT_EQ(ENOENT, weft_ioctl(self->w.fd, DRM_IOCTL_WEFT_VM_BIND, &bind));
	ASSERT_EQ(0, weft_query(self->w.fd, DRM_WEFT_QUERY_CONTEXT, self->w.context, &info, sizeof(info)));
	EXPECT_EQ(0, info.mappings);
}

/* The synchronisation arguments of SUBMIT and of VM_BIND are checked alike. */
static int with_sync(FIXTURE_DATA(ioctl) * self, bool bind, struct drm_weft_array syncs)
{
	struct drm_weft_vm_bind bind_argument = {
		.context = self->w.context, .flags = DRM_WEFT_VM_BIND_ASYNC, .syncs = syncs};
	struct drm_weft_submit submit = {.queue = self->w.queue, .syncs = syncs};

	return bind ? weft_ioctl(self->w.fd, DRM_IOCTL_WEFT_VM_BIND, &bind_argument)
		    : weft_ioctl(self->w.fd, DRM_IOCTL_WEFT_SUBMIT, &submit);
}

#define SYNC(name, error, ...)                                                                    \
	TEST_F(ioctl, sync_##name)                                                                \
	{                                                                                         \
		struct drm_weft_sync sync = {__VA_ARGS__};                                        \
                                                                                                  \
		EXPECT_EQ(error, with_sync(self, false, (struct drm_weft_array)ARRAY(&sync, 1))); \
		EXPECT_EQ(error, with_sync(self, true, (struct drm_weft_array)ARRAY(&sync, 1)));  \
	}

/* clang-format off */
SYNC(signal_binary, 0, .handle = self->binary, .flags = DRM_WEFT_SYNC_SIGNAL)
SYNC(signal_point, 0, .handle = self->w.timeline, .flags = DRM_WEFT_SYNC_SIGNAL, .point = 1)
SYNC(signal_point_most, 0, .handle = self->w.timeline, .flags = DRM_WEFT_SYNC_SIGNAL, .point = UINT64_MAX)
SYNC(signal_unknown, ENOENT, .handle = 999, .flags = DRM_WEFT_SYNC_SIGNAL)
SYNC(signal_handle_0, ENOENT, .handle = 0, .flags = DRM_WEFT_SYNC_SIGNAL)
SYNC(wait_unknown, ENOENT, .handle = 999)
SYNC(wait_handle_0, ENOENT, .handle = 0)
SYNC(wait_without_fence, EINVAL, .handle = self->binary)
SYNC(wait_without_point, EINVAL, .handle = self->w.timeline, .point = 1)
SYNC(flags, EINVAL, .handle = self->binary, .flags = 2)
SYNC(flags_high, EINVAL, .handle = self->binary, .flags = 1u << 31)
/* clang-format on */

TEST_F(ioctl, sync_arrays)
{
	struct drm_weft_sync *syncs = calloc(DRM_WEFT_MAX_SYNCS + 1, sizeof(*syncs));

	ASSERT_NE(NULL, syncs);
	for (uint32_t i = 0; i <= DRM_WEFT_MAX_SYNCS; i++)
		syncs[i] = (struct drm_weft_sync){.handle = self->binary, .flags = DRM_WEFT_SYNC_SIGNAL};
	for (int bind = 0; bind < 2; bind++) {
		struct drm_weft_array good = ARRAY(syncs, DRM_WEFT_MAX_SYNCS), array = good;

		EXPECT_EQ(0, with_sync(self, bind, array));
		array.count++;
		EXPECT_EQ(EINVAL, with_sync(self, bind, array));
		array.count = UINT32_MAX;
		EXPECT_EQ(EINVAL, with_sync(self, bind, array));
		array = good, array.stride = 8;
		EXPECT_EQ(EINVAL, with_sync(self, bind, array));
		array = good, array.stride = 0;
		EXPECT_EQ(EINVAL, with_sync(self, bind, array));
		array = good, array.array = 8;
		EXPECT_EQ(EFAULT, with_sync(self, bind, array));
		array = good, array.count = 0;
		EXPECT_EQ(EINVAL, with_sync(self, bind, array));
	}
}

/* Numbers past the driver's last ioctl, and its ioctls of another size or direction. */
TEST_F(ioctl, unknown_numbers)
{
	char buffer[4096] = {0};

	for (unsigned int number = DRM_WEFT_WAIT + 1; number < DRM_COMMAND_END - DRM_COMMAND_BASE; number++)
		EXPECT_EQ(EINVAL,
			  weft_ioctl(self->w.fd, DRM_IOWR(DRM_COMMAND_BASE + number, struct drm_weft_submit), buffer));
}

/* The core zero-extends a shorter argument, and leaves what is past it alone. */
TEST_F(ioctl, shorter_argument)
{
	struct drm_weft_query query = {.type = DRM_WEFT_QUERY_DEVICE, .id = 0xdeadbeef, .pad = 0xdeadbeef};
	unsigned long request = _IOC(_IOC_READ | _IOC_WRITE, DRM_IOCTL_BASE, DRM_COMMAND_BASE + DRM_WEFT_QUERY,
				     offsetof(struct drm_weft_query, id));

	EXPECT_EQ(0, weft_ioctl(self->w.fd, request, &query));
	EXPECT_EQ(sizeof(struct drm_weft_device_info), query.size);
	EXPECT_EQ(0xdeadbeef, query.id);
	EXPECT_EQ(0xdeadbeef, query.pad);
}

TEST_F(ioctl, argument_pointer)
{
	EXPECT_EQ(EFAULT, weft_ioctl(self->w.fd, DRM_IOCTL_WEFT_QUERY, NULL));
	EXPECT_EQ(EFAULT, weft_ioctl(self->w.fd, DRM_IOCTL_WEFT_SUBMIT, (void *)8));
}

TEST_F(ioctl, query_sizes_are_negotiated)
{
	struct drm_weft_device_info known, info;
	struct {
		struct drm_weft_device_info info;
		uint64_t newer;
	} longer;

	ASSERT_EQ(0, weft_query(self->w.fd, DRM_WEFT_QUERY_DEVICE, 0, &known, sizeof(known)));
	EXPECT_NE(0, known.device_bytes);
	EXPECT_EQ(WEFT_PAGE, known.page_bytes);
	/* A caller that knows less gets less. */
	memset(&info, 0xff, sizeof(info));
	ASSERT_EQ(0, weft_query(self->w.fd, DRM_WEFT_QUERY_DEVICE, 0, &info, 8));
	EXPECT_EQ(0, memcmp(&info, &known, 8));
	EXPECT_EQ(0xff, ((unsigned char *)&info)[8]);
	/* One that knows more finds zeros. */
	memset(&longer, 0xff, sizeof(longer));
	ASSERT_EQ(0, weft_query(self->w.fd, DRM_WEFT_QUERY_DEVICE, 0, &longer, sizeof(longer)));
	EXPECT_EQ(0, memcmp(&longer.info, &known, sizeof(known)));
	EXPECT_EQ(0, longer.newer);
}

TEST_HARNESS_MAIN
