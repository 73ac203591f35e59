// SPDX-License-Identifier: MIT
/*
 * vnpu: the virtual NPU, a process beside a stock QEMU.
 *
 * QEMU connects its ivshmem-doorbell device to this process's socket and gets BAR 2
 * and the doorbells from it; guest memory is a file that both map.
 */
#include <argp.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine.h"
#include "ivshmem.h"
#include "model.h"
#include "soc.h"

struct arguments {
	const char *socket, *ram;
	uint64_t memory_bytes;
	unsigned int lanes;
	const struct weft_model *model;
	struct vnpu_misbehave misbehave;
	bool verbose;
};

enum { KEY_HELP_MISBEHAVE = 0x100 };

static const struct argp_option options[] = {
	{"socket", 's', "PATH", 0, "Unix socket for QEMU's ivshmem-doorbell (required)", 0},
	{"ram", 'r', "PATH", 0, "File of QEMU's memory-backend-file with the guest's RAM", 0},
	{"mem", 'm', "SIZE", 0, "Device memory; K, M, G are powers of 1024 (default 64M)", 0},
	{"threads", 't', "N", 0, "Compute lanes (default 1)", 0},
	{"profile", 'p', "NAME", 0, "Analytical model of cycles and energy", 0},
	{"misbehave", 'b', "LIST", 0, "NAME[=COUNT],...: misbehave on purpose", 0},
	{"list-misbehaviours", KEY_HELP_MISBEHAVE, NULL, 0, "List the names for --misbehave", 0},
	{"verbose", 'v', NULL, 0, "Tell of boots and resets", 0},
	{0},
};

static bool parse_size(const char *text, uint64_t *bytes)
{
	static const char units[] = "KMG";
	char *end;
	const char *unit;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || end == text)
		return false;
	unit = *end ? strchr(units, *end) : NULL;
	if ((*end && !unit) || (*end && end[1]))
		return false;
	return !__builtin_mul_overflow(value, unit ? 1ull << 10 * (unit - units + 1) : 1ull, bytes);
}

static error_t parse(int key, char *text, struct argp_state *state)
{
	struct arguments *arguments = state->input;
	char *end;

	switch (key) {
	case 's':
		arguments->socket = text;
		return 0;
	case 'r':
		arguments->ram = text;
		return 0;
	case 'm':
		if (!parse_size(text, &arguments->memory_bytes) || arguments->memory_bytes % WEFT_HW_PAGE_BYTES ||
		    !arguments->memory_bytes || arguments->memory_bytes > 16ull << 30)
			argp_error(state, "--mem %s: expected a multiple of 4K up to 16G", text);
		return 0;
	case 't':
		arguments->lanes = (unsigned int)strtoul(text, &end, 10);
		if (*end || !arguments->lanes || arguments->lanes > WEFT_ENGINE_MAX_LANES)
			argp_error(state, "--threads %s: expected 1 to %u", text, WEFT_ENGINE_MAX_LANES);
		return 0;
	case 'p':
		arguments->model = weft_model_find(text);
		if (!arguments->model)
			argp_error(state, "--profile %s: no such profile", text);
		return 0;
	case 'b':
		if (!vnpu_misbehave_parse(&arguments->misbehave, text))
			exit(2);
		return 0;
	case KEY_HELP_MISBEHAVE:
		vnpu_misbehave_help();
		exit(0);
	case 'v':
		arguments->verbose = true;
		return 0;
	case ARGP_KEY_END:
		if (!arguments->socket)
			argp_error(state, "--socket is required");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void raise_vector(void *user, unsigned int vector)
{
	ivshmem_raise(user, vector);
}

static volatile sig_atomic_t stopping;

static void on_signal(int number)
{
	(void)number;
	stopping = 1;
}

enum { POLL_LISTEN, POLL_CLIENT, POLL_WAKE, POLL_DOORBELL, POLL_COUNT = POLL_DOORBELL + IVSHMEM_VECTORS };

static int serve(struct ivshmem *server, struct vnpu_soc *soc, int wake_fd)
{
	int timeout = -1;

	while (!stopping) {
		struct pollfd fds[POLL_COUNT] = {
			[POLL_LISTEN] = {.fd = server->listen_fd, .events = POLLIN},
			[POLL_CLIENT] = {.fd = server->client_fd, .events = POLLIN},
			[POLL_WAKE] = {.fd = wake_fd, .events = POLLIN},
		};
		uint64_t count;

		for (unsigned int i = 0; i < IVSHMEM_VECTORS; i++)
			fds[POLL_DOORBELL + i] = (struct pollfd){.fd = server->doorbell_fd[i], .events = POLLIN};
		if (poll(fds, POLL_COUNT, timeout) < 0 && errno != EINTR) {
			perror("vnpu: poll");
			return 1;
		}
		if (fds[POLL_LISTEN].revents && ivshmem_accept(server) == 0)
			vnpu_soc_reset(soc);
		if (fds[POLL_CLIENT].revents && server->client_fd >= 0 && ivshmem_gone(server))
			return 0;
		if (fds[POLL_WAKE].revents && read(wake_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
			perror("vnpu: wake");
		for (unsigned int i = 0; i < IVSHMEM_VECTORS; i++) {
			if (fds[POLL_DOORBELL + i].revents && ivshmem_rung(server, i))
				vnpu_soc_doorbell(soc, i);
		}
		timeout = vnpu_soc_run(soc);
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.doc = "The virtual Weft NPU: a PCI function for a stock QEMU.  Ends when QEMU closes the connection.\v"
		       "EXAMPLE\n  vnpu --socket /tmp/npu.sock --ram /dev/shm/guest.ram --mem 64M\n",
	};
	struct arguments arguments = {.memory_bytes = 64 << 20, .lanes = 1, .model = weft_model_get(0)};
	struct sigaction action = {.sa_handler = on_signal};
	struct vnpu_memory memory;
	struct ivshmem server;
	struct vnpu_soc *soc;
	int wake_fd, status = 1;

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	if (vnpu_memory_init(&memory, arguments.memory_bytes, arguments.ram))
		return 1;
	wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (wake_fd >= 0 && !ivshmem_init(&server, arguments.socket, memory.bar_fd)) {
		struct vnpu_soc_options soc_options = {
			.memory = &memory,
			.misbehave = &arguments.misbehave,
			.model = arguments.model,
			.lanes = arguments.lanes,
			.doorbell = IVSHMEM_PEER_DEVICE << 16,
			.wake_fd = wake_fd,
			.raise = raise_vector,
			.user = &server,
			.verbose = arguments.verbose,
		};
		int err = vnpu_soc_new(&soc_options, &soc);

		if (err) {
			fprintf(stderr, "vnpu: cannot start the device: %s\n", strerror(-err));
		} else {
			status = serve(&server, soc, wake_fd);
			vnpu_soc_free(soc);
		}
		ivshmem_release(&server);
	}
	if (wake_fd >= 0)
		close(wake_fd);
	vnpu_memory_release(&memory);
	return status;
}
