// SPDX-License-Identifier: MIT
// The public headers are C++ too.
#include <accel/accel.h>
#include <accel/commands.h>
#include <accel/model.h>

int main()
{
	union accel_command command;

	accel_cmd_nop(&command, WEFT_ENGINE_COMPUTE);
	return accel_version()[0] == '\0' || command.header.size != sizeof(struct weft_cmd);
}
