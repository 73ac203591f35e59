// SPDX-License-Identifier: MIT
#include "ivshmem.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PROTOCOL_VERSION 0
/* "Shared memory follows": the descriptor that comes with it. */
#define SHARED_MEMORY (-1)

static int listen_on(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	unlink(path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

int ivshmem_init(struct ivshmem *server, const char *path, int shared_fd)
{
	int err = 0;

	*server = (struct ivshmem){.listen_fd = -1, .client_fd = -1, .shared_fd = shared_fd, .path = path};
	for (unsigned int i = 0; i < IVSHMEM_VECTORS; i++) {
		/* QEMU makes them non-blocking too, as the file description is shared. */
		server->doorbell_fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		server->vector_fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (server->doorbell_fd[i] < 0 || server->vector_fd[i] < 0)
			err = -errno;
	}
	if (!err)
		server->listen_fd = listen_on(path);
	if (!err && server->listen_fd < 0)
		err = server->listen_fd;
	if (err) {
		fprintf(stderr, "vnpu: cannot listen on %s: %s\n", path, strerror(-err));
		ivshmem_release(server);
	}
	return err;
}

void ivshmem_release(struct ivshmem *server)
{
	if (server->client_fd >= 0)
		close(server->client_fd);
	if (server->listen_fd >= 0) {
		close(server->listen_fd);
		unlink(server->path);
	}
	for (unsigned int i = 0; i < IVSHMEM_VECTORS; i++) {
		if (server->doorbell_fd[i] >= 0)
			close(server->doorbell_fd[i]);
		if (server->vector_fd[i] >= 0)
			close(server->vector_fd[i]);
	}
}

static int send_message(int socket, int64_t value, int fd)
{
	int64_t message = (int64_t)htole64((uint64_t)value);
	struct iovec vector = {.iov_base = &message, .iov_len = sizeof(message)};
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr header = {.msg_iov = &vector, .msg_iovlen = 1};

	if (fd >= 0) {
		struct cmsghdr *rights;

		header.msg_control = &control;
		header.msg_controllen = sizeof(control);
		rights = CMSG_FIRSTHDR(&header);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(rights), &fd, sizeof(fd));
	}
	/* Eight bytes go as a whole or not at all. */
	return sendmsg(socket, &header, MSG_NOSIGNAL) == sizeof(message) ? 0 : -errno;
}

static int send_all(const struct ivshmem *server, int client)
{
	int err = send_message(client, PROTOCOL_VERSION, -1);

	if (!err)
		err = send_message(client, IVSHMEM_PEER_GUEST, -1);
	if (!err)
		err = send_message(client, SHARED_MEMORY, server->shared_fd);
	for (unsigned int i = 0; !err && i < IVSHMEM_VECTORS; i++)
		err = send_message(client, IVSHMEM_PEER_DEVICE, server->doorbell_fd[i]);
	for (unsigned int i = 0; !err && i < IVSHMEM_VECTORS; i++)
		err = send_message(client, IVSHMEM_PEER_GUEST, server->vector_fd[i]);
	return err;
}

int ivshmem_accept(struct ivshmem *server)
{
	int client = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC), err;

	if (client < 0)
		return -errno;
	if (server->client_fd >= 0) {
		close(client);
		return -EBUSY;
	}
	err = send_all(server, client);
	if (err) {
		close(client);
		return err;
	}
	server->client_fd = client;
	return 0;
}

bool ivshmem_gone(struct ivshmem *server)
{
	char byte;

	/* A client never writes: readable means that it has closed. */
	if (recv(server->client_fd, &byte, 1, MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	close(server->client_fd);
	server->client_fd = -1;
	return true;
}

void ivshmem_raise(struct ivshmem *server, unsigned int vector)
{
	uint64_t one = 1;

	/* EAGAIN: the counter is full, so the guest will be interrupted anyway. */
	if (write(server->vector_fd[vector], &one, sizeof(one)) < 0 && errno != EAGAIN)
		perror("vnpu: interrupt");
}

bool ivshmem_rung(struct ivshmem *server, unsigned int doorbell)
{
	uint64_t count;

	return read(server->doorbell_fd[doorbell], &count, sizeof(count)) == sizeof(count);
}
