/* SPDX-License-Identifier: MIT */
/**
 * Misbehaviour on purpose, to test the driver: each kind strikes after a number
 * of occasions that the command line sets.
 */
#ifndef WEFT_VNPU_MISBEHAVE_H
#define WEFT_VNPU_MISBEHAVE_H

#include <stdbool.h>
#include <stdint.h>

enum vnpu_misbehaviour {
	/** The nth command never ends until the engine is aborted. */
	VNPU_HANG,
	/** The nth command never ends, and aborting the engine does not help: only a reset does. */
	VNPU_WEDGE,
	/** Every nth interrupt is not raised. */
	VNPU_DROP_INTERRUPT,
	/** Every nth interrupt is raised twice. */
	VNPU_DOUBLE_INTERRUPT,
	/** Every command answers so many milliseconds late. */
	VNPU_LATE,
	/** The nth event carries a wrong sequence number. */
	VNPU_CORRUPT_EVENT,
	/** At the nth interrupt, the mailbox fields that the driver has read are overwritten. */
	VNPU_CORRUPT_MAILBOX,
	/** Every nth event is garbled, and all that the mailbox tells. */
	VNPU_GARBAGE,
	/** The process exits at the nth command. */
	VNPU_DIE,
	/** The control core stops executing at the nth command. */
	VNPU_FREEZE,
	/** The firmware is started but never executes an instruction. */
	VNPU_NO_BOOT,
	/** The mailbox carries no magic: a stranger's ivshmem device. */
	VNPU_STRANGER,
	VNPU_MISBEHAVIOURS,
};

struct vnpu_misbehave {
	uint64_t every[VNPU_MISBEHAVIOURS]; /* 0: off */
	uint64_t count[VNPU_MISBEHAVIOURS];
};

/** Parse "name[=number][,...]"; false after a message on standard error. */
bool vnpu_misbehave_parse(struct vnpu_misbehave *misbehave, const char *text);
/** Names and meanings, for --help. */
void vnpu_misbehave_help(void);
/** Counts an occasion: is this the nth?  Thread-safe. */
bool vnpu_misbehave_once(struct vnpu_misbehave *misbehave, enum vnpu_misbehaviour kind);
/** Likewise for every nth. */
bool vnpu_misbehave_every(struct vnpu_misbehave *misbehave, enum vnpu_misbehaviour kind);

#endif /* WEFT_VNPU_MISBEHAVE_H */
