/* SPDX-License-Identifier: MIT */
/** The one object that --json prints. */
#ifndef WEFT_JSON_H
#define WEFT_JSON_H

#include <cjson/cJSON.h>

/** Print @object in a line on standard output and delete it; without memory to do so, the program ends. */
void json_print(cJSON *object);

#endif /* WEFT_JSON_H */
