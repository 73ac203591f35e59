/* SPDX-License-Identifier: MIT */
/* What the check of a command says, compared with what it should. */
#ifndef TESTS_CONTROL_EXPECT_FAULT_H
#define TESTS_CONTROL_EXPECT_FAULT_H

#include "command_text.h"

#include <core.h>
#include <check.h>
#undef BOOL

#include <setjmp.h>
#include <stddef.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>
#include <stdio.h>

#define P(member) offsetof(union weft_params, member)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define RANK WEFT_DETAIL_RANK
#define STRIDE WEFT_DETAIL_STRIDE
#define NONE 0xff

static inline uint32_t check(const union text_command *command, struct weft_fault_record *fault)
{
	struct core_range range[WEFT_MAX_OPERANDS];
	uint32_t reason = core_check(&command->header, range, fault);

	assert_int_equal(reason, fault->reason);
	return reason;
}

#define expect(command, reason_, operand_, detail_)                                                           \
	do {                                                                                                  \
		struct weft_fault_record fault_;                                                              \
		check(command, &fault_);                                                                      \
		if (fault_.reason != (reason_) || fault_.operand != (operand_) ||                             \
		    fault_.detail != (uint32_t)(detail_))                                                     \
			fail_msg("opcode 0x%x: reason %u operand %u detail 0x%x; expected %u, %u, 0x%x",      \
				 (command)->header.opcode, fault_.reason, fault_.operand, fault_.detail,      \
				 (unsigned int)(reason_), (unsigned int)(operand_), (unsigned int)(detail_)); \
		if (fault_.reason) {                                                                          \
			assert_int_equal(fault_.opcode, (command)->header.opcode);                            \
			assert_int_equal(fault_.tag, (command)->header.tag);                                  \
			assert_int_equal(fault_.engine, (command)->header.engine);                            \
		}                                                                                             \
	} while (0)

#endif /* TESTS_CONTROL_EXPECT_FAULT_H */
