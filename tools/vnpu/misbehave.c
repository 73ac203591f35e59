// SPDX-License-Identifier: MIT
#include "misbehave.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name, *meaning;
} kinds[VNPU_MISBEHAVIOURS] = {
	[VNPU_HANG] = {"hang", "the nth command never ends; aborting the engine helps"},
	[VNPU_WEDGE] = {"wedge", "the nth command never ends; only a device reset helps"},
	[VNPU_DROP_INTERRUPT] = {"drop-irq", "every nth interrupt is lost"},
	[VNPU_DOUBLE_INTERRUPT] = {"double-irq", "every nth interrupt comes twice"},
	[VNPU_LATE] = {"late", "every command ends n milliseconds late"},
	[VNPU_CORRUPT_EVENT] = {"corrupt-event", "the nth event carries a wrong sequence number"},
	[VNPU_CORRUPT_MAILBOX] = {"corrupt-mailbox", "at the nth interrupt, mailbox fields read before change"},
	[VNPU_GARBAGE] = {"garbage", "every nth event and what the mailbox tells are garbage"},
	[VNPU_DIE] = {"die", "the device vanishes at the nth command"},
	[VNPU_FREEZE] = {"freeze", "the control core stops at the nth command"},
	[VNPU_NO_BOOT] = {"no-boot", "the firmware never answers"},
	[VNPU_STRANGER] = {"stranger", "the device does not say that it is a Weft NPU"},
};

static bool parse_one(struct vnpu_misbehave *misbehave, const char *text, size_t length)
{
	for (unsigned int i = 0; i < VNPU_MISBEHAVIOURS; i++) {
		size_t name = strlen(kinds[i].name);
		char *end;

		if (length < name || memcmp(text, kinds[i].name, name))
			continue;
		if (length == name) {
			misbehave->every[i] = 1;
			return true;
		}
		if (text[name] != '=')
			continue;
		misbehave->every[i] = strtoull(text + name + 1, &end, 10);
		return end == text + length && end > text + name + 1 && misbehave->every[i];
	}
	return false;
}

bool vnpu_misbehave_parse(struct vnpu_misbehave *misbehave, const char *text)
{
	while (*text) {
		size_t length = strcspn(text, ",");

		if (!parse_one(misbehave, text, length)) {
			fprintf(stderr, "vnpu: --misbehave %.*s: expected NAME or NAME=COUNT, see --help\n",
				(int)length, text);
			return false;
		}
		text += length + (text[length] == ',');
	}
	return true;
}

void vnpu_misbehave_help(void)
{
	for (unsigned int i = 0; i < VNPU_MISBEHAVIOURS; i++)
		printf("  %-16s %s\n", kinds[i].name, kinds[i].meaning);
}

bool vnpu_misbehave_once(struct vnpu_misbehave *misbehave, enum vnpu_misbehaviour kind)
{
	return misbehave->every[kind] &&
	       __atomic_add_fetch(&misbehave->count[kind], 1, __ATOMIC_RELAXED) == misbehave->every[kind];
}

bool vnpu_misbehave_every(struct vnpu_misbehave *misbehave, enum vnpu_misbehaviour kind)
{
	return misbehave->every[kind] &&
	       __atomic_add_fetch(&misbehave->count[kind], 1, __ATOMIC_RELAXED) % misbehave->every[kind] == 0;
}
