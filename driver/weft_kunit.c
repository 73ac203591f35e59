// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: a device for tests
 *
 * Its registers and its mailbox are memory, which nobody looks at but the test.
 */
#include <kunit/device.h>
#include <linux/pci.h>

#include "weft_kunit.h"

#define CONTROL_BYTES SZ_64K
#define REQUEST_OFFSET SZ_16K
#define REQUEST_ENTRIES 128

/**
 * weft_kunit_device() - a device of which only registers, mailbox and request ring exist
 * @test: the test; the device goes with it
 *
 * Return: the device.
 */
struct weft_device *weft_kunit_device(struct kunit *test)
{
	struct weft_device *wdev = kunit_kzalloc(test, sizeof(*wdev), GFP_KERNEL);
	struct pci_dev *pdev = kunit_kzalloc(test, sizeof(*pdev), GFP_KERNEL);
	struct device *dev = kunit_device_register(test, "weft");
	void *control = kunit_kzalloc(test, CONTROL_BYTES, GFP_KERNEL);
	void *registers = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, wdev);
	KUNIT_ASSERT_NOT_NULL(test, pdev);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	KUNIT_ASSERT_NOT_NULL(test, control);
	KUNIT_ASSERT_NOT_NULL(test, registers);
	pdev->dev.coherent_dma_mask = DMA_BIT_MASK(64);
	pdev->dev.dma_mask = &pdev->dev.coherent_dma_mask;
	wdev->pdev = pdev;
	wdev->drm.dev = dev;
	wdev->control = (__force void __iomem *)control;
	wdev->registers = (__force void __iomem *)registers;
	wdev->hw.request_offset = REQUEST_OFFSET;
	wdev->hw.request_entries = REQUEST_ENTRIES;
	wdev->hw.slots = WEFT_HW_MAX_SLOTS;
	return wdev;
}
