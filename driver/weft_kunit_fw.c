// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: tests of the firmware image's header
 */
#include <linux/crc32.h>
#include <linux/sizes.h>

#include "weft_fw.h"
#include "weft_kunit.h"

#define PROGRAM_BYTES 64

struct image {
	struct weft_fw_image header;
	u8 program[PROGRAM_BYTES];
	u8 beyond[8];
};

/* With a checksum that is right, whatever the header says. */
static void seal(struct image *image)
{
	image->header.program_crc = ~crc32_le(~0, image->program, PROGRAM_BYTES);
	image->header.header_crc = 0;
	image->header.header_crc = ~crc32_le(~0, (const void *)&image->header, sizeof(image->header));
}

static void good(struct image *image)
{
	image->header = (struct weft_fw_image){
		.magic = WEFT_FW_MAGIC,
		.header_version = WEFT_FW_HEADER_VERSION,
		.header_bytes = sizeof(image->header),
		.hw_version = WEFT_HW_VERSION(WEFT_HW_VERSION_MAJOR, WEFT_HW_VERSION_MINOR),
		.isa_version = WEFT_HW_VERSION(WEFT_ISA_VERSION_MAJOR, WEFT_ISA_VERSION_MINOR),
		.program_bytes = PROGRAM_BYTES,
	};
	for (unsigned int i = 0; i < PROGRAM_BYTES; i++)
		image->program[i] = 3 * i;
	memset(image->beyond, 0, sizeof(image->beyond));
}

static void other_magic(struct image *image)
{
	image->header.magic ^= 1;
}

static void other_header(struct image *image)
{
	image->header.header_version++;
}

static void longer_header(struct image *image)
{
	image->header.header_bytes += 8;
}

static void no_program(struct image *image)
{
	image->header.program_bytes = 0;
}

static void longer_program(struct image *image)
{
	image->header.program_bytes++;
}

static void endless_program(struct image *image)
{
	image->header.program_bytes = U32_MAX - sizeof(image->header) + 1;
}

static void other_interface(struct image *image)
{
	image->header.hw_version += 1 << 16;
}

static void older_interface(struct image *image)
{
	image->header.hw_version--;
}

static void later_minor(struct image *image)
{
	image->header.hw_version++;
	image->header.isa_version++;
}

static void other_instructions(struct image *image)
{
	image->header.isa_version += 1 << 16;
}

static const struct {
	const char *name;
	void (*change)(struct image *image);
	int ret;
} headers[] = {
	{ "as it is", NULL, 0 },
	{ "a later minor", later_minor, 0 },
	{ "another magic", other_magic, -EINVAL },
	{ "another version of the header", other_header, -EINVAL },
	{ "a longer header", longer_header, -EINVAL },
	{ "no program", no_program, -EINVAL },
	{ "a program longer than the file", longer_program, -EINVAL },
	{ "a program whose end wraps", endless_program, -EINVAL },
	{ "another interface", other_interface, -EPROTO },
	{ "an older interface", older_interface, -EPROTO },
	{ "another instruction set", other_instructions, -EPROTO },
};

static void describe_header(const typeof(headers[0]) *header, char *text)
{
	strscpy(text, header->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(header, headers, describe_header);

static struct weft_device *device(struct kunit *test)
{
	struct weft_device *wdev = weft_kunit_device(test);

	wdev->hw.firmware_bytes = SZ_1M;
	return wdev;
}

static void of_header(struct kunit *test)
{
	const typeof(headers[0]) *header = test->param_value;
	struct image image;

	good(&image);
	if (header->change)
		header->change(&image);
	seal(&image);
	KUNIT_EXPECT_EQ(test, header->ret, weft_fw_check(device(test), &image, offsetof(struct image, beyond)));
}

static void of_size(struct kunit *test)
{
	struct image image;
	const size_t wrong[] = { 0, 1, sizeof(image.header) - 1, sizeof(image.header), sizeof(image.header) + 1,
				 offsetof(struct image, beyond) - 1, offsetof(struct image, beyond) + 1,
				 sizeof(image) };
	struct weft_device *wdev = device(test);

	good(&image);
	seal(&image);
	for (unsigned int i = 0; i < ARRAY_SIZE(wrong); i++)
		KUNIT_EXPECT_EQ(test, -EINVAL, weft_fw_check(wdev, &image, wrong[i]));
	KUNIT_EXPECT_EQ(test, 0, weft_fw_check(wdev, &image, offsetof(struct image, beyond)));
	wdev->hw.firmware_bytes = offsetof(struct image, beyond) - 1;
	KUNIT_EXPECT_EQ(test, -EFBIG, weft_fw_check(wdev, &image, offsetof(struct image, beyond)));
}

/* Bits of all bytes, and of all places in a byte. */
static void of_damage(struct kunit *test)
{
	struct weft_device *wdev = device(test);
	struct image image;
	u8 *bytes = (u8 *)&image;

	good(&image);
	seal(&image);
	for (size_t bit = 0; bit < 8 * offsetof(struct image, beyond); bit += 7) {
		bytes[bit / 8] ^= 1 << bit % 8;
		KUNIT_EXPECT_EQ_MSG(test, -EINVAL, weft_fw_check(wdev, &image, offsetof(struct image, beyond)),
				    "bit %zu", bit);
		bytes[bit / 8] ^= 1 << bit % 8;
	}
}

static struct kunit_case cases[] = {
	KUNIT_CASE_PARAM(of_header, header_gen_params),
	KUNIT_CASE(of_size),
	KUNIT_CASE(of_damage),
	{}
};

static struct kunit_suite suite = {
	.name = "weft_fw_check",
	.test_cases = cases,
};

kunit_test_suite(suite);
