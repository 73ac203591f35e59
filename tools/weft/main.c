// SPDX-License-Identifier: MIT
/* weft: train and run neural networks within a memory budget. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

static const struct command *const commands[] = {
	&command_train,	   &command_infer,     &command_plan,	 &command_info,	   &command_doctor,
	&command_quantize, &command_calibrate, &command_compile, &command_project, &command_distill};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void usage(FILE *to)
{
	fputs("Usage: weft COMMAND [OPTION...]\n"
	      "Train and run neural networks within a memory budget.\n\n",
	      to);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(to, "  %-9s %s\n", commands[i]->name, commands[i]->summary);
	fputs("\nweft COMMAND --help tells a command's options; weft --version the version.\n"
	      "Exit status: 0 done, 1 failed, 2 wrong usage, 3 budget refused.\n",
	      to);
}

int command_error(const char *format, ...)
{
	va_list arguments;

	fputs("weft: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	return STATUS_FAILED;
}

void command_parse(const struct argp *argp, int argc, char **argv, void *input)
{
	argp_err_exit_status = STATUS_USAGE;
	if (argp_parse(argp, argc, argv, 0, NULL, input))
		exit(STATUS_USAGE);
}

int main(int argc, char **argv)
{
	char name[64];

	if (argc < 2) {
		usage(stderr);
		return STATUS_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "help") || !strcmp(argv[1], "-h")) {
		usage(stdout);
		return STATUS_DONE;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		puts("weft " WEFT_VERSION);
		return STATUS_DONE;
	}
	for (size_t i = 0; i < COMMANDS; i++) {
		if (strcmp(argv[1], commands[i]->name))
			continue;
		snprintf(name, sizeof(name), "weft %s", commands[i]->name);
		argv[1] = name;
		return commands[i]->run(argc - 1, argv + 1);
	}
	fprintf(stderr, "weft: no command '%s'\n\n", argv[1]);
	usage(stderr);
	return STATUS_USAGE;
}
