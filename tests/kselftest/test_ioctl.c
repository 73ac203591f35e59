// SPDX-License-Identifier: MIT
/*
 * Each rejection of each ioctl, by a call that has only that one fault; prints TAP.
 * Needs a Weft node: the first argument, else /dev/accel/accel0.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <drm/weft_accel.h>

#define PAGE 4096ull

static int fd, number, failures;
static uint32_t context, queue, device_bo, host_bo;

static void expect(const char *what, unsigned long request, void *argument, int error)
{
	int result = ioctl(fd, request, argument) ? errno : 0;

	number++;
	if (result == error) {
		printf("ok %d - %s\n", number, what);
	} else {
		printf("not ok %d - %s: %s, expected %s\n", number, what, strerror(result), strerror(error));
		failures++;
	}
}

#define EXPECT(what, error, request, type, ...)           \
	do {                                              \
		struct type argument_ = {__VA_ARGS__};    \
		expect(what, request, &argument_, error); \
	} while (0)

static void setup(void)
{
	struct drm_weft_context_create create = {0};
	struct drm_weft_queue_create make = {.priority = DRM_WEFT_PRIORITY_NORMAL};
	struct drm_weft_bo_create bo = {.size = 4 * PAGE, .flags = DRM_WEFT_BO_DEVICE};

	expect("context", DRM_IOCTL_WEFT_CONTEXT_CREATE, &create, 0);
	context = create.id;
	make.context = context;
	expect("queue", DRM_IOCTL_WEFT_QUEUE_CREATE, &make, 0);
	queue = make.id;
	expect("device memory", DRM_IOCTL_WEFT_BO_CREATE, &bo, 0);
	device_bo = bo.handle;
	bo = (struct drm_weft_bo_create){.size = 4 * PAGE};
	expect("host memory", DRM_IOCTL_WEFT_BO_CREATE, &bo, 0);
	host_bo = bo.handle;
}

static void query(void)
{
	EXPECT("query: size only", 0, DRM_IOCTL_WEFT_QUERY, drm_weft_query, .type = DRM_WEFT_QUERY_DEVICE);
	EXPECT("query: type", EINVAL, DRM_IOCTL_WEFT_QUERY, drm_weft_query, .type = 5);
	EXPECT("query: type, most", EINVAL, DRM_IOCTL_WEFT_QUERY, drm_weft_query, .type = UINT32_MAX);
	EXPECT("query: pad", EINVAL, DRM_IOCTL_WEFT_QUERY, drm_weft_query, .pad = 1);
	EXPECT("query: id where none is", EINVAL, DRM_IOCTL_WEFT_QUERY, drm_weft_query, .id = 1);
	EXPECT("query: context", ENOENT, DRM_IOCTL_WEFT_QUERY, drm_weft_query, .type = DRM_WEFT_QUERY_CONTEXT,
	       .id = 999);
	EXPECT("query: queue", ENOENT, DRM_IOCTL_WEFT_QUERY, drm_weft_query, .type = DRM_WEFT_QUERY_QUEUE, .id = 999);
	EXPECT("query: pointer", EFAULT, DRM_IOCTL_WEFT_QUERY, drm_weft_query, .size = 8, .pointer = 1);
}

static void contexts_and_queues(void)
{
	EXPECT("context: flags", EINVAL, DRM_IOCTL_WEFT_CONTEXT_CREATE, drm_weft_context_create, .flags = 1);
	EXPECT("context: id", EINVAL, DRM_IOCTL_WEFT_CONTEXT_CREATE, drm_weft_context_create, .id = 1);
	EXPECT("destroy: none", ENOENT, DRM_IOCTL_WEFT_CONTEXT_DESTROY, drm_weft_context_destroy, .id = 999);
	EXPECT("destroy: 0", ENOENT, DRM_IOCTL_WEFT_CONTEXT_DESTROY, drm_weft_context_destroy, .id = 0);
	EXPECT("destroy: pad", EINVAL, DRM_IOCTL_WEFT_CONTEXT_DESTROY, drm_weft_context_destroy, .id = context,
	       .pad = 1);
	EXPECT("recover: none", ENOENT, DRM_IOCTL_WEFT_CONTEXT_RECOVER, drm_weft_context_recover, .id = 999);
	EXPECT("recover: pad", EINVAL, DRM_IOCTL_WEFT_CONTEXT_RECOVER, drm_weft_context_recover, .id = context,
	       .pad = 1);
	EXPECT("queue: context", ENOENT, DRM_IOCTL_WEFT_QUEUE_CREATE, drm_weft_queue_create, .context = 999);
	EXPECT("queue: priority", EINVAL, DRM_IOCTL_WEFT_QUEUE_CREATE, drm_weft_queue_create, .context = context,
	       .priority = 3);
	EXPECT("queue: flags", EINVAL, DRM_IOCTL_WEFT_QUEUE_CREATE, drm_weft_queue_create, .context = context,
	       .flags = 1);
	EXPECT("queue: destroy none", ENOENT, DRM_IOCTL_WEFT_QUEUE_DESTROY, drm_weft_queue_destroy, .id = 999);
	EXPECT("queue: destroy pad", EINVAL, DRM_IOCTL_WEFT_QUEUE_DESTROY, drm_weft_queue_destroy, .id = queue,
	       .pad = 1);
}

static void memory(void)
{
	EXPECT("bo: size 0", EINVAL, DRM_IOCTL_WEFT_BO_CREATE, drm_weft_bo_create, .size = 0);
	EXPECT("bo: flags", EINVAL, DRM_IOCTL_WEFT_BO_CREATE, drm_weft_bo_create, .size = PAGE, .flags = 2);
	EXPECT("bo: pad", EINVAL, DRM_IOCTL_WEFT_BO_CREATE, drm_weft_bo_create, .size = PAGE, .pad = 1);
	EXPECT("bo: context", ENOENT, DRM_IOCTL_WEFT_BO_CREATE, drm_weft_bo_create, .size = PAGE, .context = 999);
	EXPECT("bo: device memory, size wraps", ENOSPC, DRM_IOCTL_WEFT_BO_CREATE, drm_weft_bo_create,
	       .size = UINT64_MAX, .flags = DRM_WEFT_BO_DEVICE);
	EXPECT("bo: host memory, size wraps", ENOMEM, DRM_IOCTL_WEFT_BO_CREATE, drm_weft_bo_create, .size = UINT64_MAX);
	EXPECT("bo: more than the device", ENOSPC, DRM_IOCTL_WEFT_BO_CREATE, drm_weft_bo_create, .size = 1ull << 38,
	       .flags = DRM_WEFT_BO_DEVICE);
	EXPECT("info: handle", ENOENT, DRM_IOCTL_WEFT_BO_INFO, drm_weft_bo_info, .handle = 999);
	EXPECT("info: output field", EINVAL, DRM_IOCTL_WEFT_BO_INFO, drm_weft_bo_info, .handle = host_bo, .size = 1);
}

static void bind_one(const char *what, int error, struct drm_weft_bind_op op)
{
	struct drm_weft_vm_bind bind = {
		.context = context,
		.ops = {.stride = sizeof(op), .count = 1, .array = (uintptr_t)&op},
	};

	expect(what, DRM_IOCTL_WEFT_VM_BIND, &bind, error);
}

static void bind(void)
{
	const uint64_t end = 1ull << 39;
	const struct drm_weft_bind_op good = {.handle = device_bo, .address = 1 << 20, .range = 4 * PAGE};
	struct drm_weft_bind_op op;

#define BIND(what, error, change) (op = good, change, bind_one("bind: " what, error, op))
	BIND("good", 0, (void)0);
	BIND("again, over itself", 0, (void)0);
	BIND("split", 0, (op.type = DRM_WEFT_BIND_UNMAP, op.handle = 0, op.address += PAGE, op.range = PAGE));
	BIND("type", EINVAL, op.type = 2);
	BIND("flags", EINVAL, op.flags = 2);
	BIND("pad", EINVAL, op.pad = 1);
	BIND("handle", ENOENT, op.handle = 999);
	BIND("address 0", EINVAL, op.address = 0);
	BIND("address misaligned", EINVAL, op.address += 8);
	BIND("address past the end", EINVAL, op.address = end);
	BIND("end past the end", EINVAL, op.address = end - 3 * PAGE);
	BIND("range 0", EINVAL, op.range = 0);
	BIND("range misaligned", EINVAL, op.range = 8);
	BIND("range larger than the object", EINVAL, op.range = 5 * PAGE);
	BIND("range wraps", EINVAL, op.range = 0ull - (1 << 20));
	BIND("offset misaligned", EINVAL, (op.range = PAGE, op.offset = 8));
	BIND("offset past the end", EINVAL, (op.range = PAGE, op.offset = 4 * PAGE));
	BIND("offset wraps", EINVAL, (op.range = PAGE, op.offset = 0ull - PAGE));
	BIND("unmap with handle", EINVAL, op.type = DRM_WEFT_BIND_UNMAP);
	BIND("unmap everything", 0,
	     (op.type = DRM_WEFT_BIND_UNMAP, op.handle = 0, op.address = PAGE, op.range = end - PAGE));
#undef BIND
	op = good;
	EXPECT("bind: context", ENOENT, DRM_IOCTL_WEFT_VM_BIND, drm_weft_vm_bind, .context = 999);
	EXPECT("bind: nothing", 0, DRM_IOCTL_WEFT_VM_BIND, drm_weft_vm_bind, .context = context);
	EXPECT("bind: flags", EINVAL, DRM_IOCTL_WEFT_VM_BIND, drm_weft_vm_bind, .context = context, .flags = 2);
	EXPECT("bind: stride too small", EINVAL, DRM_IOCTL_WEFT_VM_BIND, drm_weft_vm_bind, .context = context,
	       .ops = {.stride = 8, .count = 1, .array = (uintptr_t)&op});
	EXPECT("bind: too many", EINVAL, DRM_IOCTL_WEFT_VM_BIND, drm_weft_vm_bind, .context = context,
	       .ops = {.stride = sizeof(op), .count = DRM_WEFT_MAX_BIND_OPS + 1, .array = (uintptr_t)&op});
	EXPECT("bind: array", EFAULT, DRM_IOCTL_WEFT_VM_BIND, drm_weft_vm_bind, .context = context,
	       .ops = {.stride = sizeof(op), .count = 1, .array = 8});
	EXPECT("bind: syncs without async", EINVAL, DRM_IOCTL_WEFT_VM_BIND, drm_weft_vm_bind, .context = context,
	       .syncs = {.stride = 16, .count = 1, .array = (uintptr_t)&op});
}

static void submit(void)
{
	struct drm_weft_sync sync = {.handle = 999};

	EXPECT("submit: empty stream", 0, DRM_IOCTL_WEFT_SUBMIT, drm_weft_submit, .queue = queue);
	EXPECT("submit: queue", ENOENT, DRM_IOCTL_WEFT_SUBMIT, drm_weft_submit, .queue = 999);
	EXPECT("submit: flags", EINVAL, DRM_IOCTL_WEFT_SUBMIT, drm_weft_submit, .queue = queue, .flags = 1);
	EXPECT("submit: address misaligned", EINVAL, DRM_IOCTL_WEFT_SUBMIT, drm_weft_submit, .queue = queue,
	       .address = 4);
	EXPECT("submit: address", EINVAL, DRM_IOCTL_WEFT_SUBMIT, drm_weft_submit, .queue = queue,
	       .address = 1ull << 39);
	EXPECT("submit: bytes misaligned", EINVAL, DRM_IOCTL_WEFT_SUBMIT, drm_weft_submit, .queue = queue, .bytes = 4);
	EXPECT("submit: bytes", EINVAL, DRM_IOCTL_WEFT_SUBMIT, drm_weft_submit, .queue = queue,
	       .bytes = WEFT_STREAM_MAX_BYTES + 8ull);
	EXPECT("submit: job", EINVAL, DRM_IOCTL_WEFT_SUBMIT, drm_weft_submit, .queue = queue, .job = 1);
	EXPECT("submit: sync to wait for", ENOENT, DRM_IOCTL_WEFT_SUBMIT, drm_weft_submit, .queue = queue,
	       .syncs = {.stride = sizeof(sync), .count = 1, .array = (uintptr_t)&sync});
	sync.flags = DRM_WEFT_SYNC_SIGNAL;
	EXPECT("submit: sync to signal", ENOENT, DRM_IOCTL_WEFT_SUBMIT, drm_weft_submit, .queue = queue,
	       .syncs = {.stride = sizeof(sync), .count = 1, .array = (uintptr_t)&sync});
	sync.flags = 2;
	EXPECT("submit: sync flags", EINVAL, DRM_IOCTL_WEFT_SUBMIT, drm_weft_submit, .queue = queue,
	       .syncs = {.stride = sizeof(sync), .count = 1, .array = (uintptr_t)&sync});
	EXPECT("submit: too many syncs", EINVAL, DRM_IOCTL_WEFT_SUBMIT, drm_weft_submit, .queue = queue,
	       .syncs = {.stride = sizeof(sync), .count = DRM_WEFT_MAX_SYNCS + 1, .array = (uintptr_t)&sync});
}

int main(int argc, char **argv)
{
	const char *node = argc > 1 ? argv[1] : "/dev/accel/accel0";

	fd = open(node, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		printf("1..0 # SKIP %s: %s\n", node, strerror(errno));
		return 4;
	}
	setup();
	query();
	contexts_and_queues();
	memory();
	bind();
	submit();
	printf("1..%d\n", number);
	close(fd);
	return failures != 0;
}
