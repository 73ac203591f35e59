/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tests of the parts of the driver that need no device, or only what a device says of
 * itself.  They are in the module if it is built with CONFIG_DRM_ACCEL_WEFT_KUNIT_TEST=y.
 */
#ifndef __WEFT_KUNIT_H__
#define __WEFT_KUNIT_H__

#include <kunit/test.h>

#include "weft_device.h"

struct weft_device *weft_kunit_device(struct kunit *test);

/* The mailbox of weft_kunit_device(), as the device sees it. */
static inline struct weft_hw_mailbox *weft_kunit_mailbox(struct weft_device *wdev)
{
	return (__force void *)wdev->control;
}

#endif
