// SPDX-License-Identifier: MIT
/* The server of the ivshmem protocol, spoken to as QEMU does. */
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "ivshmem.h"

struct fixture {
	struct ivshmem server;
	char folder[32], path[64];
	int shared;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	strcpy(f->folder, "/tmp/ivshmem.XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	snprintf(f->path, sizeof(f->path), "%s/socket", f->folder);
	f->shared = memfd_create("shared", MFD_CLOEXEC);
	assert_true(f->shared >= 0);
	assert_int_equal(ivshmem_init(&f->server, f->path, f->shared), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	ivshmem_release(&f->server);
	assert_int_not_equal(access(f->path, F_OK), 0);
	assert_int_equal(rmdir(f->folder), 0);
	close(f->shared);
	free(f);
	return 0;
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* One message and the descriptor that came with it, -1 if none did. */
static int64_t receive(int socket, int *fd)
{
	int64_t message = 0;
	struct iovec vector = {.iov_base = &message, .iov_len = sizeof(message)};
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr header = {
		.msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
	struct cmsghdr *rights;

	*fd = -1;
	assert_int_equal(recvmsg(socket, &header, 0), sizeof(message));
	rights = CMSG_FIRSTHDR(&header);
	if (rights)
		memcpy(fd, CMSG_DATA(rights), sizeof(*fd));
	return (int64_t)le64toh((uint64_t)message);
}

static void handshake(int client, int *shared, int doorbells[IVSHMEM_VECTORS], int vectors[IVSHMEM_VECTORS])
{
	int fd;

	assert_int_equal(receive(client, &fd), 0); /* version */
	assert_int_equal(fd, -1);
	assert_int_equal(receive(client, &fd), IVSHMEM_PEER_GUEST);
	assert_int_equal(fd, -1);
	assert_int_equal(receive(client, shared), -1);
	assert_true(*shared >= 0);
	for (unsigned int i = 0; i < IVSHMEM_VECTORS; i++)
		assert_int_equal(receive(client, &doorbells[i]), IVSHMEM_PEER_DEVICE);
	for (unsigned int i = 0; i < IVSHMEM_VECTORS; i++)
		assert_int_equal(receive(client, &vectors[i]), IVSHMEM_PEER_GUEST);
}

static void a_client_gets_everything(void **state)
{
	struct fixture *f = *state;
	int client = connect_to(f->path), shared, doorbells[IVSHMEM_VECTORS], vectors[IVSHMEM_VECTORS];
	uint64_t one = 1, count;
	char text[4];

	assert_int_equal(ivshmem_accept(&f->server), 0);
	handshake(client, &shared, doorbells, vectors);
	/* The memory is ours: what one side writes the other reads. */
	assert_int_equal(pwrite(f->shared, "weft", 4, 100), 4);
	assert_int_equal(pread(shared, text, 4, 100), 4);
	assert_memory_equal(text, "weft", 4);
	for (unsigned int i = 0; i < IVSHMEM_VECTORS; i++) {
		/* Each doorbell is its own, and is taken once. */
		assert_false(ivshmem_rung(&f->server, i));
		assert_int_equal(write(doorbells[i], &one, sizeof(one)), sizeof(one));
		assert_int_equal(write(doorbells[i], &one, sizeof(one)), sizeof(one));
		assert_false(ivshmem_rung(&f->server, IVSHMEM_VECTORS - 1 - i));
		assert_true(ivshmem_rung(&f->server, i));
		assert_false(ivshmem_rung(&f->server, i));
		/* And so is each vector. */
		ivshmem_raise(&f->server, i);
		assert_int_equal(read(vectors[i], &count, sizeof(count)), sizeof(count));
		assert_int_equal(count, 1);
		assert_int_equal(read(vectors[IVSHMEM_VECTORS - 1 - i], &count, sizeof(count)), -1);
		assert_int_equal(errno, EAGAIN);
	}
	for (unsigned int i = 0; i < IVSHMEM_VECTORS; i++) {
		close(doorbells[i]);
		close(vectors[i]);
	}
	close(shared);
	close(client);
}

static void one_client_at_a_time(void **state)
{
	struct fixture *f = *state;
	int first = connect_to(f->path), second, shared, doorbells[IVSHMEM_VECTORS], vectors[IVSHMEM_VECTORS];
	char byte;

	assert_int_equal(ivshmem_accept(&f->server), 0);
	second = connect_to(f->path);
	assert_int_equal(ivshmem_accept(&f->server), -EBUSY);
	assert_int_equal(recv(second, &byte, 1, 0), 0); /* closed */
	close(second);
	assert_false(ivshmem_gone(&f->server));
	/* The first has lost nothing; when it goes, another may come. */
	handshake(first, &shared, doorbells, vectors);
	close(shared);
	close(first);
	assert_true(ivshmem_gone(&f->server));
	second = connect_to(f->path);
	assert_int_equal(ivshmem_accept(&f->server), 0);
	close(second);
	for (unsigned int i = 0; i < IVSHMEM_VECTORS; i++) {
		close(doorbells[i]);
		close(vectors[i]);
	}
}

/* A vector that nobody takes does not block the device. */
static void full_vector(void **state)
{
	struct fixture *f = *state;
	uint64_t most = UINT64_MAX - 1;

	assert_int_equal(write(f->server.vector_fd[0], &most, sizeof(most)), sizeof(most));
	ivshmem_raise(&f->server, 0);
}

static void path_too_long(void **state)
{
	struct ivshmem server;
	char path[200];

	(void)state;
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = 0;
	assert_int_equal(ivshmem_init(&server, path, -1), -ENAMETOOLONG);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_client_gets_everything),
		TEST(one_client_at_a_time),
		TEST(full_vector),
		cmocka_unit_test(path_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
