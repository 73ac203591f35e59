/* SPDX-License-Identifier: MIT */
/**
 * The server side of QEMU's ivshmem protocol, for one client.
 *
 * After docs/specs/ivshmem-spec.rst of QEMU ("Client-server protocol"): eight-byte
 * little-endian messages on a Unix stream socket, some with a file descriptor.
 * The device itself is peer 0; the guest is peer 1.
 */
#ifndef WEFT_VNPU_IVSHMEM_H
#define WEFT_VNPU_IVSHMEM_H

#include <stdbool.h>
#include <stdint.h>

#define IVSHMEM_VECTORS 2
#define IVSHMEM_PEER_DEVICE 0
#define IVSHMEM_PEER_GUEST 1

struct ivshmem {
	int listen_fd;
	int client_fd;			  /* -1: none */
	int shared_fd;			  /* BAR 2, the caller's */
	int doorbell_fd[IVSHMEM_VECTORS]; /* the guest rings */
	int vector_fd[IVSHMEM_VECTORS];	  /* the guest is interrupted */
	const char *path;
};

/** Listen on @path.  0 or a negative errno value after a message on standard error. */
int ivshmem_init(struct ivshmem *server, const char *path, int shared_fd);
void ivshmem_release(struct ivshmem *server);
/** listen_fd is readable: take the client, if there is none yet, and send it everything. */
int ivshmem_accept(struct ivshmem *server);
/** client_fd is readable: true once the client has gone. */
bool ivshmem_gone(struct ivshmem *server);
/** Interrupt the guest. */
void ivshmem_raise(struct ivshmem *server, unsigned int vector);
/** doorbell_fd[@doorbell] is readable: take the event.  False: there was none. */
bool ivshmem_rung(struct ivshmem *server, unsigned int doorbell);

#endif /* WEFT_VNPU_IVSHMEM_H */
