// SPDX-License-Identifier: MIT
/*
 * Races over who owns what: threads that use, guess and close the same handles, and
 * processes that are killed anywhere.  What fails here is the kernel: a warning, an
 * object left, a process that does not end.
 */
#include "kselftest_harness.h"
#include "weft_test.h"

#include <pthread.h>
#include <signal.h>

#include <drm.h>

#define STREAM (1ull << 20)
#define AT (1ull << 30)
#define THREADS 4
#define ROUNDS 150

FIXTURE(lifetime)
{
	struct weft w;
};

FIXTURE_SETUP(lifetime)
{
	if (!weft_node())
		SKIP(return, "no Weft node");
	ASSERT_EQ(0, weft_setup(&self->w));
}

FIXTURE_TEARDOWN(lifetime)
{
	weft_teardown(&self->w);
}

struct racer {
	struct weft w;
	unsigned int seed;
	int unexpected; /* an errno value that no race explains */
};

/* Errors that losing a race may give. */
static bool explained(int error)
{
	return !error || error == ENOENT || error == EINVAL || error == ECANCELED || error == ENOSPC ||
	       error == EBUSY || error == EOPNOTSUPP;
}

static void note(struct racer *racer, int error)
{
	if (!explained(error) && !racer->unexpected)
		racer->unexpected = error;
}

static int race(FIXTURE_DATA(lifetime) * self, void *(*run)(void *))
{
	struct racer racers[THREADS];
	pthread_t threads[THREADS];
	int unexpected = 0;

	for (int i = 0; i < THREADS; i++) {
		racers[i] = (struct racer){.w = self->w, .seed = i + 1};
		pthread_create(&threads[i], NULL, run, &racers[i]);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		if (racers[i].unexpected)
			unexpected = racers[i].unexpected;
	}
	return unexpected;
}

static void *guess_objects(void *argument)
{
	struct racer *racer = argument;
	int fd = racer->w.fd;

	for (int i = 0; i < ROUNDS; i++) {
		uint32_t guess = 1 + rand_r(&racer->seed) % 8;
		struct drm_weft_bo_info info = {.handle = guess};
		struct weft_bo bo;
		int dmabuf;

		note(racer, weft_bo_new(fd, WEFT_PAGE, i & 1 ? DRM_WEFT_BO_DEVICE : 0, &bo));
		note(racer, weft_map(fd, racer->w.context, guess, 0, AT + guess * WEFT_PAGE, WEFT_PAGE));
		note(racer, weft_ioctl(fd, DRM_IOCTL_WEFT_BO_INFO, &info));
		if (!weft_export(fd, guess, &dmabuf))
			close(dmabuf);
		note(racer, weft_close_handle(fd, guess));
		note(racer, weft_unmap(fd, racer->w.context, AT + WEFT_PAGE, 8 * WEFT_PAGE));
	}
	return NULL;
}

TEST_F(lifetime, guessed_objects)
{
	EXPECT_EQ(0, race(self, guess_objects));
}

static void *guess_queues(void *argument)
{
	static const struct weft_stream nothing;
	struct racer *racer = argument;
	int fd = racer->w.fd;

	for (int i = 0; i < ROUNDS; i++) {
		uint32_t guess = 1 + rand_r(&racer->seed) % 6, id;
		struct drm_weft_queue_info info;
		struct drm_weft_sync sync = {.handle = racer->w.timeline, .flags = DRM_WEFT_SYNC_SIGNAL};

		note(racer, weft_queue_new(fd, racer->w.context, &id));
		note(racer, weft_submit_syncs(fd, guess, &nothing, &sync, 1, NULL));
		note(racer, weft_query(fd, DRM_WEFT_QUERY_QUEUE, guess, &info, sizeof(info)));
		note(racer, weft_queue_free(fd, guess));
	}
	return NULL;
}

TEST_F(lifetime, guessed_queues)
{
	EXPECT_EQ(0, race(self, guess_queues));
}

static void *guess_contexts(void *argument)
{
	static const struct weft_stream nothing;
	struct racer *racer = argument;
	int fd = racer->w.fd;

	for (int i = 0; i < ROUNDS / 3; i++) {
		uint32_t guess = 1 + rand_r(&racer->seed) % 6, id, queue;
		struct drm_weft_context_info info;

		note(racer, weft_context_new(fd, 0, 0, &id));
		if (!weft_queue_new(fd, guess, &queue)) {
			note(racer, weft_submit_syncs(fd, queue, &nothing, NULL, 0, NULL));
			note(racer, weft_unmap(fd, guess, AT, WEFT_PAGE));
		}
		note(racer, weft_query(fd, DRM_WEFT_QUERY_CONTEXT, guess, &info, sizeof(info)));
		note(racer, weft_context_recover(fd, guess));
		note(racer, weft_context_free(fd, guess));
	}
	return NULL;
}

TEST_F(lifetime, guessed_contexts)
{
	EXPECT_EQ(0, race(self, guess_contexts));
}

/* A context that faults again and again, recovered and changed by several threads at once. */
static void *fault_and_recover(void *argument)
{
	static const struct weft_stream nowhere = {.address = 1ull << 36, .used = 64};
	struct racer *racer = argument;
	int fd = racer->w.fd;

	for (int i = 0; i < ROUNDS; i++) {
		uint64_t address = AT + (racer->seed % 8 + 8 * (i % 4)) * WEFT_PAGE;
		struct weft_bo bo;

		note(racer, weft_submit_syncs(fd, racer->w.queue, &nowhere, NULL, 0, NULL));
		note(racer, weft_bo_new(fd, WEFT_PAGE, 0, &bo));
		note(racer, weft_map(fd, racer->w.context, bo.handle, 0, address, WEFT_PAGE));
		note(racer, weft_context_recover(fd, racer->w.context));
		note(racer, weft_unmap(fd, racer->w.context, address, WEFT_PAGE));
		weft_bo_free(fd, &bo);
	}
	return NULL;
}

TEST_F(lifetime, recovered_by_several)
{
	EXPECT_EQ(0, race(self, fault_and_recover));
	while (weft_context_recover(self->w.fd, self->w.context) == EBUSY)
		usleep(10000);
	EXPECT_EQ(0, weft_run(&self->w, &(struct weft_stream){0}));
}

static void *guess_syncobjs(void *argument)
{
	static const struct weft_stream nothing;
	struct racer *racer = argument;
	int fd = racer->w.fd;

	for (int i = 0; i < ROUNDS; i++) {
		uint32_t id, guess = 1 + rand_r(&racer->seed) % 8;
		struct drm_weft_sync syncs[] = {
			{.handle = guess, .flags = DRM_WEFT_SYNC_SIGNAL, .point = rand_r(&racer->seed) % 3},
			{.handle = 1 + rand_r(&racer->seed) % 8},
		};

		note(racer, weft_syncobj_new(fd, &id));
		note(racer, weft_submit_syncs(fd, racer->w.queue, &nothing, syncs, 1 + (i & 1), NULL));
		note(racer, weft_bind_async(fd, racer->w.context, NULL, 0, syncs, 1));
		note(racer, weft_syncobj_free(fd, guess));
	}
	return NULL;
}

TEST_F(lifetime, guessed_syncobjs)
{
	EXPECT_EQ(0, race(self, guess_syncobjs));
}

/* Binds, asynchronous ones too, of objects that are closed meanwhile. */
static void *bind_and_close(void *argument)
{
	struct racer *racer = argument;
	int fd = racer->w.fd;

	for (int i = 0; i < ROUNDS; i++) {
		uint64_t address = AT + rand_r(&racer->seed) % 64 * WEFT_PAGE;
		struct drm_weft_bind_op ops[2];
		struct weft_bo bo;

		if (weft_bo_new(fd, 4 * WEFT_PAGE, i & 1 ? DRM_WEFT_BO_DEVICE : 0, &bo))
			continue;
		ops[0] = (struct drm_weft_bind_op){.handle = bo.handle, .address = address, .range = 4 * WEFT_PAGE};
		ops[1] = (struct drm_weft_bind_op){
			.type = DRM_WEFT_BIND_UNMAP, .address = address + WEFT_PAGE, .range = 2 * WEFT_PAGE};
		note(racer, weft_bind_async(fd, racer->w.context, ops, 1 + (i & 1), NULL, 0));
		note(racer, weft_map(fd, racer->w.context, bo.handle, WEFT_PAGE, address + WEFT_PAGE, WEFT_PAGE));
		weft_bo_free(fd, &bo);
	}
	return NULL;
}

TEST_F(lifetime, objects_closed_while_bound)
{
	struct drm_weft_client_info info;

	EXPECT_EQ(0, race(self, bind_and_close));
	ASSERT_EQ(0, weft_context_free(self->w.fd, self->w.context));
	/* Releasing a context goes on for a moment. */
	for (int i = 0; i < 20 * WEFT_PATIENCE_S; i++) {
		ASSERT_EQ(0, weft_query(self->w.fd, DRM_WEFT_QUERY_CLIENT, 0, &info, sizeof(info)));
		if (!info.device_bytes && !info.host_bytes)
			break;
		usleep(50000);
	}
	EXPECT_EQ(0, info.device_bytes);
	EXPECT_EQ(0, info.host_bytes);
}

/*
 * Queues that are destroyed, with jobs in them, while the scheduler takes jobs out of them:
 * a scheduler that keeps a destroyed queue in its tree fails at one of the next.
 */
static void *destroy_loaded_queues(void *argument)
{
	static const struct weft_stream nothing;
	struct racer *racer = argument;
	int fd = racer->w.fd;

	for (int i = 0; i < 2 * ROUNDS; i++) {
		unsigned int jobs = 20 + rand_r(&racer->seed) % 40;
		uint32_t queue;

		if (weft_queue_new(fd, racer->w.context, &queue))
			continue;
		while (jobs--)
			note(racer, weft_submit_syncs(fd, queue, &nothing, NULL, 0, NULL));
		usleep(rand_r(&racer->seed) % 500);
		note(racer, weft_queue_free(fd, queue));
	}
	return NULL;
}

TEST_F(lifetime, queues_destroyed_while_jobs_start)
{
	EXPECT_EQ(0, race(self, destroy_loaded_queues));
	EXPECT_EQ(0, weft_run(&self->w, &(struct weft_stream){0}));
}

/* What debugfs lists is held while it is read. */
static void *read_debugfs(void *argument)
{
	static const char *const files[] = {"objects", "bos", "contexts", "memory", "ring"};
	struct racer *racer = argument;
	char text[1 << 14];

	/* One reads: looking for the folder is not for several threads. */
	if (racer->seed != 1) {
		guess_objects(racer);
		return guess_contexts(racer);
	}
	for (int i = 0; i < ROUNDS; i++)
		for (unsigned int file = 0; file < sizeof(files) / sizeof(*files); file++)
			if (!weft_debugfs(files[file], text, sizeof(text)))
				racer->unexpected = EIO;
	return NULL;
}

TEST_F(lifetime, listed_while_objects_come_and_go)
{
	char text[4096];

	if (!weft_debugfs("objects", text, sizeof(text)))
		SKIP(return, "not root, or no debugfs");
	EXPECT_EQ(0, race(self, read_debugfs));
}

/* The descriptor is closed while other threads are in its calls. */
static void *use_descriptor(void *argument)
{
	struct racer *racer = argument;
	struct weft_bo bo;

	while (weft_bo_new_mapped(racer->w.fd, WEFT_PAGE, racer->seed & 1 ? DRM_WEFT_BO_DEVICE : 0, &bo) == 0) {
		weft_map(racer->w.fd, racer->w.context, bo.handle, 0, AT + racer->seed * WEFT_PAGE, WEFT_PAGE);
		weft_submit(&racer->w, &(struct weft_stream){0});
		weft_bo_free(racer->w.fd, &bo);
	}
	return NULL;
}

TEST_F(lifetime, descriptor_closed_under_threads)
{
	for (int round = 0; round < 10; round++) {
		struct racer racers[THREADS];
		pthread_t threads[THREADS];
		struct weft w;

		ASSERT_EQ(0, weft_setup(&w));
		for (int i = 0; i < THREADS; i++) {
			racers[i] = (struct racer){.w = w, .seed = i + 1};
			ASSERT_EQ(0, pthread_create(&threads[i], NULL, use_descriptor, &racers[i]));
		}
		usleep(round * 2000);
		close(w.fd);
		for (int i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
	}
}

/* A little of everything, until killed. */
static void work_until_killed(unsigned int seed)
{
	struct weft_stream stream;
	struct weft_bo bos[8] = {0};
	struct weft w;

	if (weft_setup(&w) || weft_stream_new(&w, 1 << 16, STREAM, &stream))
		_exit(1);
	weft_fill(&stream, AT, 4 * WEFT_PAGE, 1);
	for (;;) {
		unsigned int i = rand_r(&seed) % 8;
		struct drm_weft_bind_op op = {.address = AT + i * WEFT_PAGE, .range = WEFT_PAGE};
		int dmabuf;

		weft_bo_free(w.fd, &bos[i]);
		if (weft_bo_new_mapped(w.fd, 4 * WEFT_PAGE, i & 1 ? 0 : DRM_WEFT_BO_DEVICE, &bos[i]))
			continue;
		memset(bos[i].memory, i, bos[i].size);
		op.handle = bos[i].handle;
		weft_bind_async(w.fd, w.context, &op, 1, NULL, 0);
		weft_map(w.fd, w.context, bos[0].handle, 0, AT, 4 * WEFT_PAGE);
		if (weft_submit(&w, &stream))
			weft_context_recover(w.fd, w.context);
		if (i == 3 && !weft_export(w.fd, bos[i].handle, &dmabuf))
			close(dmabuf);
		if (i == 5)
			weft_wait(w.fd, w.timeline, w.point, 1);
	}
}

TEST_F(lifetime, killed_anywhere)
{
	char before[256], after[256];
	unsigned int seed = 7;
	int status;

	weft_debugfs("objects", before, sizeof(before));
	for (int i = 0; i < 40; i++) {
		pid_t pid = fork();

		if (!pid)
			work_until_killed(i + 1);
		usleep(rand_r(&seed) % 60000);
		ASSERT_EQ(0, kill(pid, SIGKILL));
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_TRUE(WIFSIGNALED(status));
	}
	for (int i = 0; i < 100 && weft_debugfs("objects", after, sizeof(after)) && strcmp(before, after); i++)
		usleep(100000);
	if (weft_debugfs("objects", after, sizeof(after)))
		EXPECT_STREQ(before, after);
}

TEST_HARNESS_MAIN
