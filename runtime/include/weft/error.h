/* SPDX-License-Identifier: MIT */
/** Errors of the runtime: a negative errno value, and a sentence per thread. */
#ifndef WEFT_ERROR_H
#define WEFT_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

/** The sentence for the last failed call of this thread: what, where, what was expected, what to do.  Valid until the next call. */
const char *weft_error(void);

/** Set the sentence and return -@error, for functions that fail.  @error is positive. */
__attribute__((format(printf, 2, 3))) int weft_fail(int error, const char *format, ...);
/** Put "context: " before the sentence in place; returns @result unchanged. */
__attribute__((format(printf, 2, 3))) int weft_fail_in(int result, const char *format, ...);

#ifdef __cplusplus
}
#endif

#endif /* WEFT_ERROR_H */
