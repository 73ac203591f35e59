// SPDX-License-Identifier: MIT
/* weft doctor: the version of every part, what is wrong, and what to type. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <gnu/libc-version.h>
#include <liburing.h>
#include <protobuf-c/protobuf-c.h>
#include <zlib.h>

#include "command.h"
#include "json.h"
#include "sizes.h"

enum { KEY_JSON = KEY_COMMAND, KEY_STORAGE_DIR };

struct doctor {
	const char *device, *storage;
	bool json;
	cJSON *facts, *problems;
};

static const struct argp_option options[] = {
	{"device", KEY_DEVICE, "SPEC", 0, "Device to look at, as for weft train", 1},
	{"storage", KEY_STORAGE_DIR, "DIR", 0, "Directory to try for paging to storage (default: .)", 1},
	{"json", KEY_JSON, NULL, 0, "Print one JSON object on standard output", 1},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct doctor *doctor = state->input;
	char *colon;

	switch (key) {
	case KEY_DEVICE:
		doctor->device = arg;
		return 0;
	case KEY_STORAGE_DIR:
		/* DIR:SIZE as for weft train is welcome, too. */
		colon = strrchr(arg, ':');
		if (colon && access(arg, F_OK))
			*colon = '\0';
		doctor->storage = arg;
		return 0;
	case KEY_JSON:
		doctor->json = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	options, parse,
	"",	 "Print the version of every component, what is wrong, and the fix. Exit status 1 if anything is.",
	NULL,	 NULL,
	NULL,
};

__attribute__((format(printf, 3, 4))) static void fact(struct doctor *doctor, const char *name, const char *format, ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	cJSON_AddStringToObject(doctor->facts, name, text);
}

/* @severity: "error" makes the exit status 1, "note" does not. */
static void problem(struct doctor *doctor, const char *severity, const char *what, const char *fix)
{
	cJSON *item = cJSON_CreateObject();

	cJSON_AddStringToObject(item, "severity", severity);
	cJSON_AddStringToObject(item, "what", what);
	cJSON_AddStringToObject(item, "fix", fix);
	cJSON_AddItemToArray(doctor->problems, item);
}

static void look_at_versions(struct doctor *doctor)
{
	char compiled[32];

	snprintf(compiled, sizeof(compiled), "%d.%d.%d", ACCEL_VERSION_MAJOR, ACCEL_VERSION_MINOR, ACCEL_VERSION_PATCH);
	fact(doctor, "weft", "%s", WEFT_VERSION);
	fact(doctor, "libaccel", "%s", accel_version());
	if (strcmp(compiled, accel_version())) {
		char what[160];

		snprintf(what, sizeof(what), "libaccel is %s, but weft was built for %s", accel_version(), compiled);
		problem(doctor, "error", what, "install both from one build: make install");
	}
	fact(doctor, "instruction set", "%u.%u in this build", WEFT_ISA_VERSION_MAJOR, WEFT_ISA_VERSION_MINOR);
	fact(doctor, "C library", "glibc %s", gnu_get_libc_version());
	fact(doctor, "liburing", "%s", LIBURING_VERSION);
	fact(doctor, "protobuf-c", "%s", protobuf_c_version());
	fact(doctor, "zlib", "%s", zlibVersion());
	fact(doctor, "cJSON", "%s", cJSON_Version());
}

static void look_at_device(struct doctor *doctor)
{
	struct accel_device_info info = {.size = sizeof(info)};
	struct accel_device *device;
	char size[24], what[640];

	if (accel_device_open(doctor->device, &device)) {
		snprintf(what, sizeof(what), "the device %s cannot be opened: %s",
			 doctor->device ? doctor->device : "(default)", accel_error());
		problem(doctor, "error", what,
			doctor->device || getenv("ACCEL_DEVICE")
				? "use the device in this process: --device embedded, and unset ACCEL_DEVICE"
				: "check the permissions of /dev/accel/*, or use --device embedded");
		return;
	}
	if (!accel_device_query(device, &info)) {
		fact(doctor, "device", "%s (%s), %s of memory", info.name, info.backend,
		     size_format(info.device_memory_bytes, size));
		fact(doctor, "device instruction set", "%u.%u", info.isa_major, info.isa_minor);
		fact(doctor, "firmware", "%s", *info.firmware ? info.firmware : "none");
		fact(doctor, "engine", "%s, %u thread%s, profile %s", info.kernels, info.threads,
		     info.threads == 1 ? "" : "s", info.profile);
		if (info.isa_major != WEFT_ISA_VERSION_MAJOR || (int)info.isa_minor < WEFT_ISA_VERSION_MINOR) {
			snprintf(what, sizeof(what), "the device speaks instruction set %u.%u, this build needs %u.%u",
				 info.isa_major, info.isa_minor, WEFT_ISA_VERSION_MAJOR, WEFT_ISA_VERSION_MINOR);
			problem(doctor, "error", what,
				"install driver, firmware and libraries from one build: make install");
		}
		if (!strcmp(info.kernels, "scalar"))
			problem(doctor, "note", "the engine runs scalar code, which is slow",
				"a CPU with AVX2, or leave isa= out of --device");
	}
	accel_device_unref(device);
}

static void look_at_kernel(struct doctor *doctor)
{
	struct utsname name;
	unsigned int nodes = 0;
	struct dirent *entry;
	struct stat status;
	DIR *directory;

	uname(&name);
	fact(doctor, "kernel", "%s %s", name.release, name.machine);
	directory = opendir("/dev/accel");
	while (directory && (entry = readdir(directory)))
		nodes += !strncmp(entry->d_name, "accel", 5);
	if (directory)
		closedir(directory);
	if (!stat("/sys/module/weft", &status)) {
		char version[64] = "unknown version";
		FILE *file = fopen("/sys/module/weft/version", "re");

		if (file) {
			if (fgets(version, sizeof(version), file))
				version[strcspn(version, "\n")] = '\0';
			fclose(file);
		}
		fact(doctor, "kernel module", "weft %s, %u node%s under /dev/accel", version, nodes,
		     nodes == 1 ? "" : "s");
		if (!nodes)
			problem(doctor, "error",
				"the module weft is loaded, but there is no node under /dev/accel: no device was found "
				"or its probe failed",
				"look at: dmesg | grep weft");
	} else {
		fact(doctor, "kernel module", "not loaded: the device in this process is used, which needs none");
	}
}

static void look_at_io_uring(struct doctor *doctor)
{
	struct io_uring ring;
	int result = io_uring_queue_init(8, &ring, 0);

	if (!result) {
		fact(doctor, "io_uring", "works");
		io_uring_queue_exit(&ring);
		return;
	}
	fact(doctor, "io_uring", "%s", strerror(-result));
	if (result == -ENOMEM)
		problem(doctor, "error", "io_uring has no memory to lock, so nothing can be paged to storage",
			"ulimit -l unlimited (as root), or raise memlock in /etc/security/limits.conf");
	else if (result == -EPERM)
		problem(doctor, "error", "io_uring is forbidden, so nothing can be paged to storage",
			"sysctl kernel.io_uring_disabled=0 (as root); in a container, allow io_uring in its seccomp "
			"profile");
	else
		problem(doctor, "error", "io_uring does not work, so nothing can be paged to storage",
			"use a kernel of 5.10 or later with CONFIG_IO_URING");
}

static void look_at_storage(struct doctor *doctor)
{
	char path[4096], what[4400];
	int fd;

	if ((size_t)snprintf(path, sizeof(path), "%s/weft-doctor-XXXXXX", doctor->storage) >= sizeof(path))
		return;
	fd = mkstemp(path);
	if (fd < 0) {
		fact(doctor, "storage", "%s: %s", doctor->storage, strerror(errno));
		snprintf(what, sizeof(what), "no file can be made in %s: %s", doctor->storage, strerror(errno));
		problem(doctor, "error", what, "name a directory that can be written: --storage DIR:SIZE");
		return;
	}
	close(fd);
	fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (fd >= 0) {
		fact(doctor, "storage", "%s: O_DIRECT works", doctor->storage);
		close(fd);
	} else {
		fact(doctor, "storage", "%s: no O_DIRECT (%s)", doctor->storage, strerror(errno));
		snprintf(what, sizeof(what),
			 "the file system of %s does not do O_DIRECT: what is paged there stays in the page cache, and "
			 "takes memory",
			 doctor->storage);
		problem(doctor, "note", what, "name a directory on ext4, xfs or btrfs: --storage DIR:SIZE");
	}
	unlink(path);
}

static void look_at_limits(struct doctor *doctor)
{
	struct rlimit limit;
	char size[24];

	getrlimit(RLIMIT_MEMLOCK, &limit);
	fact(doctor, "locked memory", "at most %s",
	     limit.rlim_cur == RLIM_INFINITY ? "unlimited" : size_format(limit.rlim_cur, size));
}

static int report(struct doctor *doctor)
{
	unsigned int errors = 0;
	cJSON *item;

	cJSON_ArrayForEach(item, doctor->problems) errors +=
		!strcmp(cJSON_GetObjectItem(item, "severity")->valuestring, "error");
	if (doctor->json) {
		cJSON *object = cJSON_CreateObject();

		cJSON_AddBoolToObject(object, "healthy", !errors);
		cJSON_AddItemToObject(object, "components", doctor->facts);
		cJSON_AddItemToObject(object, "problems", doctor->problems);
		json_print(object);
		return errors ? STATUS_FAILED : STATUS_DONE;
	}
	cJSON_ArrayForEach(item, doctor->facts) printf("  %-24s %s\n", item->string, item->valuestring);
	cJSON_ArrayForEach(item, doctor->problems)
		printf("\n%s: %s\n  fix: %s\n", cJSON_GetObjectItem(item, "severity")->valuestring,
		       cJSON_GetObjectItem(item, "what")->valuestring, cJSON_GetObjectItem(item, "fix")->valuestring);
	if (!errors)
		puts("\nnothing is broken");
	cJSON_Delete(doctor->facts);
	cJSON_Delete(doctor->problems);
	return errors ? STATUS_FAILED : STATUS_DONE;
}

static int run(int argc, char **argv)
{
	struct doctor doctor = {.storage = "."};

	command_parse(&argp, argc, argv, &doctor);
	doctor.facts = cJSON_CreateObject();
	doctor.problems = cJSON_CreateArray();
	look_at_versions(&doctor);
	look_at_device(&doctor);
	look_at_kernel(&doctor);
	look_at_io_uring(&doctor);
	look_at_storage(&doctor);
	look_at_limits(&doctor);
	return report(&doctor);
}

const struct command command_doctor = {"doctor", "versions of every component, what is wrong, the fix", run};
