/* SPDX-License-Identifier: MIT */
/**
 * The matrix product and the convolutions of <weft_isa.h>, one output element
 * at a time in the specified order of summation: what every code path must
 * agree with to the bit.  Operands are in the slots of the command.
 */
#ifndef TEST_REFERENCE_H
#define TEST_REFERENCE_H

#include <weft_isa.h>

#include "operand.h"

void reference_matmul(const union weft_params *params, struct operand operand[4]);
void reference_conv_fwd(const union weft_params *params, struct operand operand[4]);
void reference_conv_bwd_data(const union weft_params *params, struct operand operand[4]);
void reference_conv_bwd_weight(const union weft_params *params, struct operand operand[3]);

#endif /* TEST_REFERENCE_H */
