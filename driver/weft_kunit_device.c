// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: tests of what a device may say of itself
 *
 * Each field that places or counts something, at and beyond its bounds.
 */
#include <linux/sizes.h>

#include "weft_kunit.h"

#define BAR_BYTES SZ_128M
#define MEMORY_OFFSET SZ_2M

static void good(struct weft_hw_mailbox *mailbox)
{
	memset(mailbox, 0, sizeof(*mailbox));
	mailbox->virtual_bits = WEFT_VA_BITS;
	mailbox->contexts = WEFT_HW_MAX_CONTEXTS;
	mailbox->request_offset = WEFT_HW_MAILBOX_BYTES;
	mailbox->request_entries = 256;
	mailbox->firmware_offset = SZ_64K;
	mailbox->firmware_bytes = SZ_1M;
	mailbox->memory_offset = MEMORY_OFFSET;
	mailbox->memory_bytes = BAR_BYTES - MEMORY_OFFSET;
}

#define CASE32(name, field, value, ret) { name, offsetof(struct weft_hw_mailbox, field), sizeof(u32), value, ret }
#define CASE64(name, field, value, ret) { name, offsetof(struct weft_hw_mailbox, field), sizeof(u64), value, ret }

static const struct {
	const char *name;
	size_t offset, size;
	u64 value;
	int ret;
} fields[] = {
	CASE32("as it is", pad2, 0, 0),
	CASE32("more virtual bits", virtual_bits, WEFT_VA_BITS + 9, -EPROTO),
	CASE32("no context", contexts, 0, -EPROTO),
	CASE32("one context", contexts, 1, 0),
	CASE32("a context too many", contexts, WEFT_HW_MAX_CONTEXTS + 1, -EPROTO),
	CASE32("no request", request_entries, 0, -EPROTO),
	CASE32("fewer requests than places", request_entries, WEFT_RING_PLACES / 2, -EPROTO),
	CASE32("no power of two", request_entries, 255, -EPROTO),
	CASE32("most requests", request_entries, WEFT_HW_MAX_RING_ENTRIES, 0),
	CASE32("more requests", request_entries, 2 * WEFT_HW_MAX_RING_ENTRIES, -EPROTO),
	CASE32("2^31 requests", request_entries, 1U << 31, -EPROTO),
	CASE64("requests in the mailbox", request_offset, 0, -EPROTO),
	CASE64("requests between pages", request_offset, WEFT_HW_MAILBOX_BYTES + 64, -EPROTO),
	CASE64("last place of requests", request_offset, MEMORY_OFFSET - 256 * 64, 0),
	CASE64("requests in device memory", request_offset, MEMORY_OFFSET - 256 * 64 + PAGE_SIZE, -EPROTO),
	CASE64("requests that wrap", request_offset, -(u64)PAGE_SIZE, -EPROTO),
	CASE64("firmware in the mailbox", firmware_offset, 0, -EPROTO),
	CASE64("firmware in device memory", firmware_offset, MEMORY_OFFSET, -EPROTO),
	CASE64("no firmware", firmware_bytes, 0, -EPROTO),
	CASE64("most firmware", firmware_bytes, MEMORY_OFFSET - SZ_64K, 0),
	CASE64("more firmware", firmware_bytes, MEMORY_OFFSET - SZ_64K + 1, -EPROTO),
	CASE64("firmware that wraps", firmware_bytes, U64_MAX, -EPROTO),
	CASE64("memory between pages", memory_offset, MEMORY_OFFSET + 64, -EPROTO),
	CASE64("memory beyond the window", memory_offset, MEMORY_OFFSET + PAGE_SIZE, -EPROTO),
	CASE64("memory far away", memory_offset, WEFT_HW_CONTROL_MAX_BYTES + PAGE_SIZE, -EPROTO),
	CASE64("memory that wraps", memory_offset, -(u64)MEMORY_OFFSET, -EPROTO),
	CASE64("no memory", memory_bytes, 0, -EPROTO),
	CASE64("a page of memory", memory_bytes, PAGE_SIZE, 0),
	CASE64("part of a page", memory_bytes, PAGE_SIZE + 1, -EPROTO),
	CASE64("more memory than the window", memory_bytes, BAR_BYTES, -EPROTO),
	CASE64("memory whose end wraps", memory_bytes, -(u64)MEMORY_OFFSET, -EPROTO),
};

static void describe_field(const typeof(fields[0]) *field, char *text)
{
	strscpy(text, field->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(field, fields, describe_field);

static struct weft_device *device(struct kunit *test)
{
	struct weft_device *wdev = weft_kunit_device(test);

	wdev->pdev->resource[WEFT_BAR_MEMORY] = DEFINE_RES_MEM(SZ_1G, BAR_BYTES);
	good(weft_kunit_mailbox(wdev));
	return wdev;
}

static void of_fields(struct kunit *test)
{
	const typeof(fields[0]) *field = test->param_value;
	struct weft_device *wdev = device(test);
	void *mailbox = weft_kunit_mailbox(wdev);

	/* Little endian, as the mailbox is. */
	memcpy(mailbox + field->offset, &field->value, field->size);
	KUNIT_EXPECT_EQ(test, field->ret, weft_device_read_info(wdev));
}

/* Names end, and go to a terminal safely. */
static void of_names(struct kunit *test)
{
	struct weft_device *wdev = device(test);
	struct weft_hw_mailbox *mailbox = weft_kunit_mailbox(wdev);

	memset(mailbox->name, 'n', sizeof(mailbox->name));
	memcpy(mailbox->profile, "a\x1b[2J\xff", 7);
	KUNIT_ASSERT_EQ(test, 0, weft_device_read_info(wdev));
	KUNIT_EXPECT_EQ(test, sizeof(mailbox->name) - 1, strlen(wdev->hw.name));
	KUNIT_EXPECT_STREQ(test, "a?[2J?", wdev->hw.profile);
	KUNIT_EXPECT_STREQ(test, "", wdev->hw.kernels);
}

static struct kunit_case cases[] = {
	KUNIT_CASE_PARAM(of_fields, field_gen_params),
	KUNIT_CASE(of_names),
	{}
};

static struct kunit_suite suite = {
	.name = "weft_device_read_info",
	.test_cases = cases,
};

kunit_test_suite(suite);
