// SPDX-License-Identifier: MIT
/* The shared library by its public headers alone. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <weft/data.h>
#include <weft/error.h>
#include <weft/model.h>
#include <weft/session.h>

static void not_a_model(void **state)
{
	struct weft_model *model;

	(void)state;
	assert_int_equal(weft_model_load_memory("\xff\xff", 2, "two bytes", &model), -EINVAL);
	assert_non_null(strstr(weft_error(), "two bytes: not an ONNX model"));
	assert_int_equal(weft_model_load("/nowhere/model.onnx", &model), -ENOENT);
	weft_model_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(not_a_model)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
