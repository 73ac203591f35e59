/* SPDX-License-Identifier: MIT */
/* A device with a context, a queue and a stream, for tests.  WEFT_TEST_DEVICE names another device than the embedded
 * one. */
#ifndef TESTS_LIBACCEL_FIXTURE_H
#define TESTS_LIBACCEL_FIXTURE_H

#include <accel/commands.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define KIB 1024u
#define MIB (1024u * KIB)

struct fixture {
	struct accel_device *device;
	struct accel_context *context;
	struct accel_queue *queue;
	struct accel_stream *stream;
};

/* The device that tests use. */
const char *fixture_spec(void);
bool fixture_embedded(void);

/* For cmocka: *state is a struct fixture. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* More of the same on a device that is there. */
void fixture_context(struct accel_device *device, struct fixture *fixture);
void fixture_release(struct fixture *fixture);

struct memory {
	struct accel_buffer *buffer;
	uint64_t address;
	void *at; /* NULL: not reachable */
};
struct memory fixture_memory(struct fixture *fixture, uint64_t bytes, unsigned int flags);

/* Submit the fixture's stream, wait, and forget its commands.  Returns what the wait returned. */
int fixture_run(struct fixture *fixture);
void fixture_append(struct fixture *fixture, const union accel_command *command);

/* A vector of @count f32 at @address. */
struct weft_tensor vector(uint64_t address, uint32_t count);

#endif /* TESTS_LIBACCEL_FIXTURE_H */
