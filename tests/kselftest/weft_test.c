// SPDX-License-Identifier: MIT
#include "weft_test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <linux/sync_file.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <drm.h>

int weft_ioctl(int fd, unsigned long request, void *argument)
{
	int result;

	do {
		result = ioctl(fd, request, argument);
	} while (result < 0 && errno == EINTR);
	return result < 0 ? errno : 0;
}

static bool is_weft(const char *path)
{
	char name[16] = "";
	struct drm_version version = {.name = name, .name_len = sizeof(name) - 1};
	int fd = open(path, O_RDWR | O_CLOEXEC), error;

	if (fd < 0)
		return false;
	error = weft_ioctl(fd, DRM_IOCTL_VERSION, &version);
	close(fd);
	return !error && !strcmp(name, DRM_WEFT_NAME);
}

const char *weft_node(void)
{
	static char found[64];
	const char *named = getenv("WEFT_NODE");

	if (named)
		return named;
	for (int i = 0; i < 64; i++) {
		snprintf(found, sizeof(found), "/dev/accel/accel%d", i);
		if (!access(found, F_OK) && is_weft(found))
			return found;
	}
	/* Where there must be one, that there is none is not a reason to skip. */
	return getenv("WEFT_REQUIRED") ? "/dev/accel/accel0" : NULL;
}

const char *weft_pci(void)
{
	static char address[64];
	const char *node = weft_node();
	char link[128], target[PATH_MAX];
	ssize_t length;

	if (!node)
		return NULL;
	snprintf(link, sizeof(link), "/sys/class/accel/%s/device", strrchr(node, '/') + 1);
	length = readlink(link, target, sizeof(target) - 1);
	if (length < 0)
		return NULL;
	target[length] = 0;
	snprintf(address, sizeof(address), "%.63s", strrchr(target, '/') + 1);
	return address;
}

bool weft_debugfs(const char *name, char *text, size_t size)
{
	char path[256];
	ssize_t length;
	int fd;

	snprintf(path, sizeof(path), "/sys/kernel/debug/accel/%s/%s", weft_pci() ?: "none", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	length = read(fd, text, size - 1);
	close(fd);
	text[length > 0 ? length : 0] = 0;
	return length >= 0;
}

int weft_write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), error = 0;
	ssize_t written;

	if (fd < 0)
		return errno;
	written = write(fd, text, strlen(text));
	if (written < 0)
		error = errno;
	else if ((size_t)written < strlen(text))
		error = EIO;
	close(fd);
	return error;
}

int weft_uevents_open(void)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = 1};
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static double monotonic(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec * 1e-9;
}

/* An event is strings, each ended by a zero. */
static bool has_string(const char *text, ssize_t length, const char *wanted)
{
	for (const char *at = text; at < text + length; at += strlen(at) + 1) {
		if (!strcmp(at, wanted))
			return true;
	}
	return false;
}

bool weft_uevent(int uevents, const char *variable, double seconds)
{
	const double end = monotonic() + seconds;
	char text[8192];

	for (double rest = seconds; rest > 0; rest = end - monotonic()) {
		struct pollfd poll_one = {.fd = uevents, .events = POLLIN};
		ssize_t length;

		if (poll(&poll_one, 1, (int)(rest * 1000) + 1) <= 0)
			continue;
		length = recv(uevents, text, sizeof(text) - 1, 0);
		if (length <= 0)
			continue;
		text[length] = 0;
		if (has_string(text, length, variable))
			return true;
	}
	return false;
}

int weft_open(void)
{
	const char *node = weft_node();

	return node ? open(node, O_RDWR | O_CLOEXEC) : -1;
}

int weft_setup(struct weft *w)
{
	int error;

	*w = (struct weft){.fd = weft_open()};
	if (w->fd < 0)
		return ENODEV;
	error = weft_context_new(w->fd, 0, 0, &w->context);
	if (!error)
		error = weft_queue_new(w->fd, w->context, &w->queue);
	if (!error)
		error = weft_syncobj_new(w->fd, &w->timeline);
	if (error)
		close(w->fd);
	return error;
}

void weft_teardown(struct weft *w)
{
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}

int weft_load_setup(struct weft_load *load)
{
	const uint64_t stream = 1 << 20, result = 2 << 20, at = WEFT_LOAD_AT, matrix = WEFT_LOAD_MATRIX;
	struct weft *w = &load->w;
	int error = weft_setup(w);

	if (error)
		return error;
	error = weft_stream_new(w, 1 << 18, stream, &load->busy);
	if (!error)
		error = weft_stream_new(w, WEFT_PAGE, stream + (1 << 19), &load->copy);
	if (!error)
		error = weft_bo_new_mapped(w->fd, 3 * matrix, DRM_WEFT_BO_DEVICE, &load->matrices);
	if (!error)
		error = weft_bo_new_mapped(w->fd, WEFT_PAGE, 0, &load->result);
	if (!error)
		error = weft_map(w->fd, w->context, load->matrices.handle, 0, at, 3 * matrix);
	if (!error)
		error = weft_map(w->fd, w->context, load->result.handle, 0, result, WEFT_PAGE);
	if (error) {
		weft_teardown(w);
		return error;
	}
	for (int i = 0; i < 50; i++)
		weft_matmul(&load->busy, at, at + matrix, at + 2 * matrix, 512);
	weft_copy(&load->copy, WEFT_ENGINE_DMA_OUT, at, result, WEFT_PAGE);
	return 0;
}

bool weft_load_works(struct weft_load *load, char value)
{
	memset(load->matrices.memory, value, WEFT_PAGE);
	return !weft_run(&load->w, &load->copy) && ((volatile char *)load->result.memory)[WEFT_PAGE - 1] == value;
}

int weft_query(int fd, uint32_t type, uint32_t id, void *info, uint32_t size)
{
	struct drm_weft_query query = {.type = type, .size = size, .pointer = (uintptr_t)info, .id = id};

	return weft_ioctl(fd, DRM_IOCTL_WEFT_QUERY, &query);
}

int weft_context_new(int fd, uint64_t device_limit, uint64_t timeout_ns, uint32_t *id)
{
	struct drm_weft_context_create create = {
		.command_timeout_ns = timeout_ns,
		.device_bytes_limit = device_limit,
	};
	int error = weft_ioctl(fd, DRM_IOCTL_WEFT_CONTEXT_CREATE, &create);

	*id = create.id;
	return error;
}

int weft_context_free(int fd, uint32_t id)
{
	struct drm_weft_context_destroy destroy = {.id = id};

	return weft_ioctl(fd, DRM_IOCTL_WEFT_CONTEXT_DESTROY, &destroy);
}

int weft_context_recover(int fd, uint32_t id)
{
	struct drm_weft_context_recover recover = {.id = id};

	return weft_ioctl(fd, DRM_IOCTL_WEFT_CONTEXT_RECOVER, &recover);
}

int weft_queue_new(int fd, uint32_t context, uint32_t *id)
{
	struct drm_weft_queue_create create = {.context = context, .priority = DRM_WEFT_PRIORITY_NORMAL};
	int error = weft_ioctl(fd, DRM_IOCTL_WEFT_QUEUE_CREATE, &create);

	*id = create.id;
	return error;
}

int weft_queue_free(int fd, uint32_t id)
{
	struct drm_weft_queue_destroy destroy = {.id = id};

	return weft_ioctl(fd, DRM_IOCTL_WEFT_QUEUE_DESTROY, &destroy);
}

int weft_bo_new(int fd, uint64_t size, uint32_t flags, struct weft_bo *bo)
{
	struct drm_weft_bo_create create = {.size = size, .flags = flags};
	int error = weft_ioctl(fd, DRM_IOCTL_WEFT_BO_CREATE, &create);

	*bo = (struct weft_bo){.handle = create.handle, .size = create.size, .offset = create.mmap_offset};
	return error;
}

int weft_bo_new_mapped(int fd, uint64_t size, uint32_t flags, struct weft_bo *bo)
{
	int error = weft_bo_new(fd, size, flags, bo);

	if (error)
		return error;
	bo->memory = mmap(NULL, bo->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, bo->offset);
	if (bo->memory != MAP_FAILED)
		return 0;
	error = errno;
	bo->memory = NULL;
	weft_bo_free(fd, bo);
	return error;
}

void weft_bo_unmap(struct weft_bo *bo)
{
	if (bo->memory)
		munmap(bo->memory, bo->size);
	bo->memory = NULL;
}

int weft_close_handle(int fd, uint32_t handle)
{
	struct drm_gem_close close = {.handle = handle};

	return weft_ioctl(fd, DRM_IOCTL_GEM_CLOSE, &close);
}

void weft_bo_free(int fd, struct weft_bo *bo)
{
	weft_bo_unmap(bo);
	weft_close_handle(fd, bo->handle);
	bo->handle = 0;
}

static int bind_one(int fd, uint32_t context, const struct drm_weft_bind_op *op)
{
	struct drm_weft_vm_bind bind = {
		.context = context,
		.ops = {.stride = sizeof(*op), .count = 1, .array = (uintptr_t)op},
	};

	return weft_ioctl(fd, DRM_IOCTL_WEFT_VM_BIND, &bind);
}

int weft_map(int fd, uint32_t context, uint32_t handle, uint64_t offset, uint64_t address, uint64_t range)
{
	return bind_one(fd, context,
			&(struct drm_weft_bind_op){
				.type = DRM_WEFT_BIND_MAP,
				.handle = handle,
				.address = address,
				.range = range,
				.offset = offset,
			});
}

int weft_map_read_only(int fd, uint32_t context, uint32_t handle, uint64_t address, uint64_t range)
{
	return bind_one(fd, context,
			&(struct drm_weft_bind_op){
				.type = DRM_WEFT_BIND_MAP,
				.flags = DRM_WEFT_BIND_READ_ONLY,
				.handle = handle,
				.address = address,
				.range = range,
			});
}

int weft_unmap(int fd, uint32_t context, uint64_t address, uint64_t range)
{
	return bind_one(fd, context,
			&(struct drm_weft_bind_op){.type = DRM_WEFT_BIND_UNMAP, .address = address, .range = range});
}

int weft_bind_async(int fd, uint32_t context, const struct drm_weft_bind_op *ops, uint32_t count,
		    const struct drm_weft_sync *syncs, uint32_t sync_count)
{
	struct drm_weft_vm_bind bind = {
		.context = context,
		.flags = DRM_WEFT_VM_BIND_ASYNC,
	};

	if (count)
		bind.ops = (struct drm_weft_array){.stride = sizeof(*ops), .count = count, .array = (uintptr_t)ops};
	if (sync_count)
		bind.syncs = (struct drm_weft_array){
			.stride = sizeof(*syncs), .count = sync_count, .array = (uintptr_t)syncs};
	return weft_ioctl(fd, DRM_IOCTL_WEFT_VM_BIND, &bind);
}

int weft_stream_new(struct weft *w, uint64_t size, uint64_t address, struct weft_stream *stream)
{
	int error;

	*stream = (struct weft_stream){.address = address};
	error = weft_bo_new_mapped(w->fd, size, 0, &stream->bo);
	if (error)
		return error;
	error = weft_map_read_only(w->fd, w->context, stream->bo.handle, address, stream->bo.size);
	if (error)
		weft_bo_free(w->fd, &stream->bo);
	return error;
}

void weft_stream_free(struct weft *w, struct weft_stream *stream)
{
	weft_unmap(w->fd, w->context, stream->address, stream->bo.size);
	weft_bo_free(w->fd, &stream->bo);
}

static struct weft_cmd *append(struct weft_stream *stream, enum weft_op opcode, enum weft_engine engine,
			       unsigned int operands)
{
	size_t size = sizeof(struct weft_cmd) + operands * sizeof(struct weft_tensor);
	struct weft_cmd *command = (void *)((char *)stream->bo.memory + stream->used);

	if (size > stream->bo.size - stream->used) {
		fprintf(stderr, "the test's stream is too small\n");
		abort();
	}
	stream->used += size;
	memset(command, 0, size);
	command->opcode = opcode;
	command->engine = engine;
	command->operands = operands;
	command->size = size;
	command->wait[0].index = command->wait[1].index = command->signal.index = WEFT_SEM_NONE;
	return command;
}

static struct weft_tensor vector(uint64_t address, uint32_t bytes)
{
	return (struct weft_tensor){
		.address = address, .type = WEFT_TYPE_U8, .rank = 1, .dims = {bytes}, .strides = {1}};
}

static struct weft_tensor matrix(uint64_t address, uint32_t n)
{
	return (struct weft_tensor){
		.address = address, .type = WEFT_TYPE_F32, .rank = 2, .dims = {n, n}, .strides = {n, 1}};
}

void weft_copy(struct weft_stream *stream, enum weft_engine engine, uint64_t from, uint64_t to, uint32_t bytes)
{
	struct weft_cmd *command = append(stream, WEFT_OP_COPY, engine, 2);

	command->operand[0] = vector(from, bytes);
	command->operand[1] = vector(to, bytes);
}

void weft_fill(struct weft_stream *stream, uint64_t to, uint32_t bytes, uint8_t value)
{
	struct weft_cmd *command = append(stream, WEFT_OP_FILL, WEFT_ENGINE_COMPUTE, 1);

	command->params.fill.bits = value;
	command->operand[0] = vector(to, bytes);
}

void weft_nop(struct weft_stream *stream, enum weft_engine engine)
{
	append(stream, WEFT_OP_NOP, engine, 0);
}

void weft_matmul(struct weft_stream *stream, uint64_t a, uint64_t b, uint64_t c, uint32_t n)
{
	struct weft_cmd *command = append(stream, WEFT_OP_MATMUL, WEFT_ENGINE_COMPUTE, 4);

	command->params.matmul.scale = 1;
	command->operand[0] = matrix(a, n);
	command->operand[1] = matrix(b, n);
	command->operand[3] = matrix(c, n);
}

static struct weft_cmd *last_command(struct weft_stream *stream)
{
	uint64_t at = 0, next = 0;

	while (next < stream->used) {
		at = next;
		next += ((struct weft_cmd *)(void *)((char *)stream->bo.memory + at))->size;
	}
	return (void *)((char *)stream->bo.memory + at);
}

void weft_last_waits(struct weft_stream *stream, uint16_t index, uint32_t value)
{
	last_command(stream)->wait[0] = (struct weft_sem){.index = index, .value = value};
}

void weft_last_signals(struct weft_stream *stream, uint16_t index, uint32_t value)
{
	last_command(stream)->signal = (struct weft_sem){.index = index, .value = value};
}

int weft_submit_syncs(int fd, uint32_t queue, const struct weft_stream *stream, const struct drm_weft_sync *syncs,
		      uint32_t count, uint64_t *job)
{
	struct drm_weft_submit submit = {
		.queue = queue,
		.address = stream ? stream->address : 0,
		.bytes = stream ? stream->used : 0,
	};
	int error;

	if (count)
		submit.syncs =
			(struct drm_weft_array){.stride = sizeof(*syncs), .count = count, .array = (uintptr_t)syncs};
	error = weft_ioctl(fd, DRM_IOCTL_WEFT_SUBMIT, &submit);
	if (job)
		*job = submit.job;
	return error;
}

int weft_submit(struct weft *w, const struct weft_stream *stream)
{
	struct drm_weft_sync sync = {
		.handle = w->timeline,
		.flags = DRM_WEFT_SYNC_SIGNAL,
		.point = w->point + 1,
	};
	int error = weft_submit_syncs(w->fd, w->queue, stream, &sync, 1, NULL);

	if (!error)
		w->point++;
	return error;
}

int weft_run(struct weft *w, const struct weft_stream *stream)
{
	int error = weft_submit(w, stream);

	if (!error)
		error = weft_wait(w->fd, w->timeline, w->point, WEFT_PATIENCE_S);
	return error ?: weft_failed(w->fd, w->queue);
}

int weft_failed(int fd, uint32_t queue)
{
	struct drm_weft_queue_info info;
	int error = weft_query(fd, DRM_WEFT_QUERY_QUEUE, queue, &info, sizeof(info));

	if (error)
		return error;
	return info.failed ? EIO : 0;
}

int weft_syncobj_new(int fd, uint32_t *handle)
{
	struct drm_syncobj_create create = {0};
	int error = weft_ioctl(fd, DRM_IOCTL_SYNCOBJ_CREATE, &create);

	*handle = create.handle;
	return error;
}

int weft_syncobj_free(int fd, uint32_t handle)
{
	struct drm_syncobj_destroy destroy = {.handle = handle};

	return weft_ioctl(fd, DRM_IOCTL_SYNCOBJ_DESTROY, &destroy);
}

int weft_syncobj_signal(int fd, uint32_t handle, uint64_t point)
{
	struct drm_syncobj_timeline_array array = {
		.handles = (uintptr_t)&handle,
		.points = (uintptr_t)&point,
		.count_handles = 1,
	};

	return weft_ioctl(fd, DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL, &array);
}

int weft_wait(int fd, uint32_t handle, uint64_t point, double seconds)
{
	struct drm_syncobj_timeline_wait wait = {
		.handles = (uintptr_t)&handle,
		.points = (uintptr_t)&point,
		.count_handles = 1,
	};
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (seconds > 0)
		wait.timeout_nsec = now.tv_sec * 1000000000ll + now.tv_nsec + (int64_t)(seconds * 1e9);
	return weft_ioctl(fd, DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT, &wait);
}

int weft_wait_job(int fd, uint32_t queue, uint64_t job, double seconds)
{
	struct drm_weft_wait wait = {.queue = queue, .job = job};
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (seconds > 0)
		wait.deadline_ns = now.tv_sec * 1000000000ll + now.tv_nsec + (int64_t)(seconds * 1e9);
	return weft_ioctl(fd, DRM_IOCTL_WEFT_WAIT, &wait);
}

int weft_fence_error(int fd, uint32_t handle)
{
	struct drm_syncobj_handle export = {
		.handle = handle,
		.flags = DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE,
	};
	struct sync_file_info info = {0};
	int error = weft_ioctl(fd, DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, &export);

	if (error)
		return error;
	error = weft_ioctl(export.fd, SYNC_IOC_FILE_INFO, &info);
	close(export.fd);
	if (error)
		return error;
	return info.status < 0 ? -info.status : 0;
}

bool weft_drop_capability(int capability)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data))
		return false;
	data[capability / 32].effective &= ~(1u << capability % 32);
	return !syscall(SYS_capset, &header, data);
}

int weft_export(int fd, uint32_t handle, int *dmabuf)
{
	struct drm_prime_handle export = {.handle = handle, .flags = DRM_CLOEXEC | DRM_RDWR, .fd = -1};
	int error = weft_ioctl(fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &export);

	*dmabuf = export.fd;
	return error;
}

int weft_import(int fd, int dmabuf, uint32_t *handle)
{
	struct drm_prime_handle import = {.fd = dmabuf};
	int error = weft_ioctl(fd, DRM_IOCTL_PRIME_FD_TO_HANDLE, &import);

	*handle = import.handle;
	return error;
}
