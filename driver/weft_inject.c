// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: failures on purpose
 *
 * Kernels that people run are built without CONFIG_FAULT_INJECTION, and errors of
 * allocations are tested there too: writing N to the module's parameter fail_nth makes
 * the Nth allocation from then on fail, once; so do calls that allocate, and the steps of
 * probing.  Reading it gives what is left to count; 0 says that the failure has happened,
 * or that none was asked for.
 *
 * A test counts N up from 1 until the call succeeds with the parameter not used up.
 */
#include <linux/atomic.h>
#include <linux/errno.h>
#include <linux/moduleparam.h>
#include <linux/sysfs.h>

#include "weft_inject.h"

static atomic_t countdown = ATOMIC_INIT(0);

/**
 * weft_inject_nth() - let an allocation fail
 * @n: the nth from now on; 0: none
 */
void weft_inject_nth(unsigned int n)
{
	atomic_set(&countdown, n);
}

static int set_countdown(const char *text, const struct kernel_param *parameter)
{
	unsigned int value;
	int ret = kstrtouint(text, 0, &value);

	if (ret)
		return ret;
	if (value > INT_MAX)
		return -ERANGE;
	weft_inject_nth(value);
	return 0;
}

static int get_countdown(char *text, const struct kernel_param *parameter)
{
	return sysfs_emit(text, "%d\n", atomic_read(&countdown));
}

static const struct kernel_param_ops ops = {
	.set = set_countdown,
	.get = get_countdown,
};

module_param_cb(fail_nth, &ops, NULL, 0600);
MODULE_PARM_DESC(fail_nth, "Let the nth allocation from now on fail, for tests (default 0: none)");

/**
 * weft_inject_failure() - shall this allocation fail?
 *
 * Return: true: it shall.
 */
bool weft_inject_failure(void)
{
	return atomic_read(&countdown) && !atomic_dec_if_positive(&countdown);
}
