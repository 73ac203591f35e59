// SPDX-License-Identifier: MIT
/*
 * The least that an ivshmem device can do: answer each doorbell with an interrupt.
 * A submission to the virtual NPU is measured against its round trip.
 */
#include <poll.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ivshmem.h"

enum { LISTEN, CLIENT, DOORBELL, DESCRIPTORS };

static int serve(struct ivshmem *server)
{
	for (;;) {
		struct pollfd fds[DESCRIPTORS] = {
			[LISTEN] = {.fd = server->listen_fd, .events = POLLIN},
			[CLIENT] = {.fd = server->client_fd, .events = POLLIN},
			[DOORBELL] = {.fd = server->doorbell_fd[0], .events = POLLIN},
		};

		if (poll(fds, DESCRIPTORS, -1) < 0) {
			perror("echo: poll");
			return 1;
		}
		if (fds[DOORBELL].revents && ivshmem_rung(server, 0))
			ivshmem_raise(server, 0);
		if (fds[LISTEN].revents)
			ivshmem_accept(server);
		if (fds[CLIENT].revents && server->client_fd >= 0 && ivshmem_gone(server))
			return 0;
	}
}

int main(int argc, char **argv)
{
	struct ivshmem server;
	int memory = memfd_create("echo", MFD_CLOEXEC), status;

	if (argc != 2 || memory < 0 || ftruncate(memory, 1 << 20) < 0) {
		fprintf(stderr, "usage: vm-echo SOCKET\n");
		return 2;
	}
	if (ivshmem_init(&server, argv[1], memory))
		return 1;
	status = serve(&server);
	ivshmem_release(&server);
	return status;
}
