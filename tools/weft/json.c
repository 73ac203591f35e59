// SPDX-License-Identifier: MIT
#include "json.h"

#include <stdio.h>
#include <stdlib.h>

#include "command.h"

void json_print(cJSON *object)
{
	char *text = cJSON_PrintUnformatted(object);

	if (!text)
		exit(command_error("out of memory for the result as JSON"));
	puts(text);
	cJSON_free(text);
	cJSON_Delete(object);
}
