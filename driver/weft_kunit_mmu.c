// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: tests of page tables
 *
 * What the driver writes is read back by a walk of our own, as weft_hw.h tells the device
 * to walk.
 */
#include <linux/dma-mapping.h>
#include <linux/io.h>
#include <linux/slab.h>

#include "weft_inject.h"
#include "weft_kunit.h"
#include "weft_mmu.h"

#define PAGE WEFT_HW_PAGE_BYTES
/* What one table of the last level, and one of the middle level, translate. */
#define LAST_SPAN BIT_ULL(WEFT_PT_SHIFT(1))
#define MIDDLE_SPAN BIT_ULL(WEFT_PT_SHIFT(0))
#define END BIT_ULL(WEFT_VA_BITS)
#define FLAGS (WEFT_PTE_VALID | WEFT_PTE_LEAF)

struct mmu_test {
	struct weft_device *wdev;
	struct weft_mmu mmu;
	struct mutex lock; /* of mmu */
	u64 entries[600];
};

static int mmu_test_init(struct kunit *test)
{
	struct mmu_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, t);
	t->wdev = weft_kunit_device(test);
	mutex_init(&t->lock);
	for (unsigned int i = 0; i < ARRAY_SIZE(t->entries); i++)
		t->entries[i] = (u64)(i + 7) * PAGE | (i & 1 ? WEFT_PTE_HOST : 0);
	test->priv = t;
	return weft_mmu_init(&t->mmu, &t->wdev->pdev->dev);
}

static void mmu_test_exit(struct kunit *test)
{
	struct mmu_test *t = test->priv;

	if (t && t->mmu.root)
		weft_mmu_fini(&t->mmu);
}

/* The last entry that a walk comes to; 0 where it meets one that is not valid before. */
static u64 walk(struct mmu_test *t, u64 address)
{
	dma_addr_t table = t->mmu.root->dma;

	for (unsigned int level = 0; level < WEFT_PT_LEVELS; level++) {
		const __le64 *entries = phys_to_virt(table);
		u64 entry = le64_to_cpu(entries[(address >> (12 + 9 * (2 - level))) & 511]);

		if (level == WEFT_PT_LEVELS - 1)
			return entry;
		if (!(entry & WEFT_PTE_VALID) || entry & WEFT_PTE_LEAF)
			return 0;
		table = entry & WEFT_PTE_ADDRESS;
	}
	return 0;
}

static int map(struct mmu_test *t, u64 address, u64 range, bool write)
{
	int ret = weft_mmu_prepare(&t->mmu, &t->lock, address, range);

	if (!ret)
		weft_mmu_map(&t->mmu, address, range, t->entries, write);
	return ret;
}

static void expect_mapped(struct kunit *test, u64 address, u64 range, u64 flags)
{
	struct mmu_test *t = test->priv;

	for (u64 at = 0; at < range; at += PAGE)
		KUNIT_ASSERT_EQ_MSG(test, walk(t, address + at), t->entries[at / PAGE] | flags, "page %llu of %#llx",
				    at / PAGE, address);
}

/* Where a range may begin and end: at both ends of a table, across one, at the ends of the space. */
static const struct {
	const char *name;
	u64 address;
	u64 pages;
} ranges[] = {
	{ "the first page that can be mapped", PAGE, 1 },
	{ "the last page", END - PAGE, 1 },
	{ "the first page of a table", LAST_SPAN, 1 },
	{ "the last page of a table", 2 * LAST_SPAN - PAGE, 1 },
	{ "a whole table", 3 * LAST_SPAN, 512 },
	{ "across two tables", LAST_SPAN - PAGE, 2 },
	{ "across three tables", LAST_SPAN - PAGE, 514 },
	{ "across tables of the middle level", MIDDLE_SPAN - 3 * PAGE, 7 },
	{ "up to the end", END - 514 * PAGE, 514 },
};

static void describe_range(const typeof(ranges[0]) *range, char *text)
{
	strscpy(text, range->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(range, ranges, describe_range);

static void mapped_and_unmapped(struct kunit *test)
{
	const typeof(ranges[0]) *range = test->param_value;
	u64 address = range->address, bytes = range->pages * PAGE;
	struct mmu_test *t = test->priv;

	KUNIT_ASSERT_EQ(test, 0, map(t, address, bytes, true));
	expect_mapped(test, address, bytes, FLAGS | WEFT_PTE_WRITE);
	/* Nothing beside it. */
	KUNIT_EXPECT_EQ(test, 0, walk(t, address - PAGE));
	if (address + bytes < END)
		KUNIT_EXPECT_EQ(test, 0, walk(t, address + bytes));
	weft_mmu_unmap(&t->mmu, address, bytes);
	for (u64 at = 0; at < bytes; at += PAGE)
		KUNIT_ASSERT_EQ(test, 0, walk(t, address + at));
}

static void read_only(struct kunit *test)
{
	struct mmu_test *t = test->priv;

	KUNIT_ASSERT_EQ(test, 0, map(t, LAST_SPAN, 2 * PAGE, false));
	expect_mapped(test, LAST_SPAN, 2 * PAGE, FLAGS);
}

static void middle_is_unmapped(struct kunit *test)
{
	u64 address = LAST_SPAN - 2 * PAGE;
	struct mmu_test *t = test->priv;

	KUNIT_ASSERT_EQ(test, 0, map(t, address, 5 * PAGE, true));
	weft_mmu_unmap(&t->mmu, address + PAGE, 3 * PAGE);
	KUNIT_EXPECT_EQ(test, walk(t, address), t->entries[0] | FLAGS | WEFT_PTE_WRITE);
	for (unsigned int i = 1; i < 4; i++)
		KUNIT_EXPECT_EQ(test, 0, walk(t, address + i * PAGE));
	KUNIT_EXPECT_EQ(test, walk(t, address + 4 * PAGE), t->entries[4] | FLAGS | WEFT_PTE_WRITE);
}

/* Of a range that was never mapped there are no tables. */
static void nothing_is_unmapped(struct kunit *test)
{
	struct mmu_test *t = test->priv;

	KUNIT_ASSERT_EQ(test, 0, map(t, MIDDLE_SPAN, PAGE, true));
	weft_mmu_unmap(&t->mmu, PAGE, END - PAGE);
	KUNIT_EXPECT_EQ(test, 0, walk(t, MIDDLE_SPAN));
}

static void prepared_twice(struct kunit *test)
{
	struct mmu_test *t = test->priv;

	KUNIT_ASSERT_EQ(test, 0, map(t, LAST_SPAN - PAGE, 2 * PAGE, true));
	KUNIT_ASSERT_EQ(test, 0, weft_mmu_prepare(&t->mmu, &t->lock, 0, 2 * LAST_SPAN));
	expect_mapped(test, LAST_SPAN - PAGE, 2 * PAGE, FLAGS | WEFT_PTE_WRITE);
}

/* Each allocation fails in turn; what is there already stays right. */
static void no_memory(struct kunit *test)
{
	u64 address = MIDDLE_SPAN - PAGE;
	struct mmu_test *t = test->priv;
	unsigned int n;
	int ret;

	KUNIT_ASSERT_EQ(test, 0, map(t, PAGE, PAGE, true));
	for (n = 1; n < 100; n++) {
		weft_inject_nth(n);
		ret = weft_mmu_prepare(&t->mmu, &t->lock, address, 2 * PAGE);
		if (!ret)
			break;
		KUNIT_ASSERT_EQ(test, -ENOMEM, ret);
		KUNIT_ASSERT_EQ(test, 0, walk(t, address));
		expect_mapped(test, PAGE, PAGE, FLAGS | WEFT_PTE_WRITE);
	}
	weft_inject_nth(0);
	KUNIT_ASSERT_EQ(test, 0, ret);
	KUNIT_EXPECT_GT(test, n, 1);
	weft_mmu_map(&t->mmu, address, 2 * PAGE, t->entries, true);
	expect_mapped(test, address, 2 * PAGE, FLAGS | WEFT_PTE_WRITE);
}

static struct kunit_case cases[] = {
	KUNIT_CASE_PARAM(mapped_and_unmapped, range_gen_params),
	KUNIT_CASE(read_only),
	KUNIT_CASE(middle_is_unmapped),
	KUNIT_CASE(nothing_is_unmapped),
	KUNIT_CASE(prepared_twice),
	KUNIT_CASE(no_memory),
	{}
};

static struct kunit_suite suite = {
	.name = "weft_mmu",
	.init = mmu_test_init,
	.exit = mmu_test_exit,
	.test_cases = cases,
};

kunit_test_suite(suite);
