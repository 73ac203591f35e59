// SPDX-License-Identifier: MIT
/* The options that say which device, and how much of each memory it may use. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "command.h"
#include "plan/plan.h"
#include "sizes.h"

#define EMBEDDED_DEFAULT_BYTES (UINT64_C(256) << 20)

static const struct argp_option options[] = {
	{"device", KEY_DEVICE, "SPEC", 0,
	 "Device: embedded[:mem=SIZE,threads=N,isa=...] or /dev/accel/accelN (default: $ACCEL_DEVICE, else the first "
	 "there is)",
	 20},
	{"device-mem", KEY_DEVICE_MEM, "SIZE", 0, "Most device memory; K, M, G are powers of 1024 (default: unlimited)",
	 20},
	{"host-mem", KEY_HOST_MEM, "SIZE", 0, "Most host memory for what is paged (default: unlimited)", 20},
	{"storage", KEY_STORAGE, "DIR:SIZE", 0, "Page to a file in DIR of at most SIZE (default: no storage)", 20},
	{"time-budget", KEY_TIME_BUDGET, "R", 0,
	 "A step takes at most R times as long as without budgets (default: no limit)", 20},
	{"policy", KEY_POLICY, "POLICY", 0,
	 "What to do with activations: auto, keep, recompute, host, storage (default: auto)", 20},
	{"costs", KEY_COSTS, "WHICH", 0,
	 "Plan with costs that are measured, where weft calibrate has, or with the device's model (default: measured)",
	 20},
	{"plan-seconds", KEY_PLAN_SECONDS, "S", 0, "Most time to spend on planning", 20},
	{0},
};

static const struct {
	const char *name;
	int policy;
} policies[] = {
	{"auto", WEFT_POLICY_AUTO}, {"keep", WEFT_POLICY_KEEP},	      {"recompute", WEFT_POLICY_RECOMPUTE},
	{"host", WEFT_POLICY_HOST}, {"storage", WEFT_POLICY_STORAGE},
};

static uint64_t parse_size(struct argp_state *state, const char *option, const char *text)
{
	uint64_t bytes = 0;
	int result = size_parse(text, &bytes);

	if (result == -ERANGE)
		argp_error(state, "%s %s: too large", option, text);
	else if (result)
		argp_error(state, "%s %s: not a size; write for example 1536K, 16M or 2G", option, text);
	return bytes;
}

static void parse_storage(struct argp_state *state, struct budget_options *budget, const char *text)
{
	const char *colon = strrchr(text, ':');
	struct stat status;

	if (!colon || colon == text)
		argp_error(state, "--storage %s: expected DIR:SIZE, for example /var/tmp:1G", text);
	free(budget->storage_dir);
	budget->storage_dir = strndup(text, (size_t)(colon - text));
	budget->session.storage_dir = budget->storage_dir;
	budget->session.storage_bytes = parse_size(state, "--storage", colon + 1);
	if (!budget->storage_dir || stat(budget->storage_dir, &status))
		argp_error(state, "--storage %s: %s: %s", text, budget->storage_dir ? budget->storage_dir : "",
			   strerror(errno));
	else if (!S_ISDIR(status.st_mode))
		argp_error(state, "--storage %s: %s is not a directory", text, budget->storage_dir);
}

static int parse_policy(struct argp_state *state, const char *text)
{
	for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++)
		if (!strcmp(policies[i].name, text))
			return policies[i].policy;
	argp_error(state, "--policy %s: expected auto, keep, recompute, host or storage", text);
	return WEFT_POLICY_AUTO;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct budget_options *budget = state->input;

	switch (key) {
	case KEY_DEVICE:
		budget->device = arg;
		return 0;
	case KEY_DEVICE_MEM:
		budget->session.device_bytes = parse_size(state, "--device-mem", arg);
		return 0;
	case KEY_HOST_MEM:
		budget->session.host_bytes = parse_size(state, "--host-mem", arg);
		return 0;
	case KEY_STORAGE:
		parse_storage(state, budget, arg);
		return 0;
	case KEY_TIME_BUDGET:
		budget->session.time_ratio = argument_number(state, "--time-budget", arg, 1, 1e9);
		return 0;
	case KEY_POLICY:
		budget->session.policy = parse_policy(state, arg);
		return 0;
	case KEY_COSTS:
		if (strcmp(arg, "measured") && strcmp(arg, "model"))
			argp_error(state, "--costs %s: expected measured or model", arg);
		budget->session.model_costs = !strcmp(arg, "model");
		return 0;
	case KEY_PLAN_SECONDS:
		budget->session.plan_seconds = argument_number(state, "--plan-seconds", arg, 0, 1e9);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp budget_argp = {options, parse, NULL, NULL, NULL, NULL, NULL};

void budget_defaults(struct budget_options *budget)
{
	memset(budget, 0, sizeof(*budget));
	budget->session.device_bytes = UINT64_MAX;
	budget->session.host_bytes = UINT64_MAX;
	budget->session.policy = WEFT_POLICY_AUTO;
}

void budget_free(struct budget_options *budget)
{
	free(budget->storage_dir);
	budget->storage_dir = NULL;
}

int budget_open_device(const struct budget_options *budget, struct accel_device **device)
{
	const char *spec = budget->device ? budget->device : getenv("ACCEL_DEVICE");
	char larger[256], size[24];
	int result;

	/* The embedded device is as large as it is told: make the budget fit where no size was given. */
	if (budget->session.device_bytes != UINT64_MAX && budget->session.device_bytes > EMBEDDED_DEFAULT_BYTES &&
	    spec && !strncmp(spec, "embedded", 8) && !strstr(spec, "mem=")) {
		snprintf(larger, sizeof(larger), "%s%cmem=%s", spec, spec[8] ? ',' : ':',
			 size_exact(budget->session.device_bytes, size));
		spec = larger;
	}
	result = accel_device_open(spec, device);
	if (result)
		command_error("device %s: %s", spec && *spec ? spec : "(default)", accel_error());
	return result;
}

int command_refused(const struct budget_options *budget, const struct weft_session_refusal *refusal)
{
	char size[24], exact[24], host[24], host_exact[24];

	if (refusal->together) {
		command_error(
			"%s of device memory and %s of host memory are not enough. Use --device-mem %s --host-mem %s",
			size_format(budget->session.device_bytes, size), size_format(budget->session.host_bytes, host),
			size_exact(refusal->least_device_bytes, exact),
			size_exact(refusal->least_host_bytes, host_exact));
		return STATUS_REFUSED;
	}
	if (refusal->least_device_bytes)
		command_error("%s of device memory are not enough: the least that works is %s. Use --device-mem %s",
			      size_format(budget->session.device_bytes, size),
			      size_format(refusal->least_device_bytes, host),
			      size_exact(refusal->least_device_bytes, exact));
	if (refusal->least_host_bytes && refusal->least_host_bytes > budget->session.host_bytes)
		command_error("with this device memory, the least host memory that works is %s. Use --host-mem %s",
			      size_format(refusal->least_host_bytes, size),
			      size_exact(refusal->least_host_bytes, exact));
	if (!refusal->least_device_bytes)
		command_error("with the other budgets as they are, no amount of device memory works");
	return STATUS_REFUSED;
}
