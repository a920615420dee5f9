/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PASSTHRU_RESET_H
#define PASSTHRU_RESET_H

#include <passthru/device.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * DOC: Resets
 *
 * passthru does not trust a reset, but establishes three facts: which methods exist (the kernel's
 * reset_method), which functions each method resets, and whether configuration space responds
 * afterwards and is unchanged.
 */

/**
 * enum pt_reset_scope - the functions that a reset affects
 * @PT_RESET_NONE: there is no reset
 * @PT_RESET_FUNCTION: only this function
 * @PT_RESET_BUS: every function on its bus or in its slot, and below
 */
enum pt_reset_scope { PT_RESET_NONE, PT_RESET_FUNCTION, PT_RESET_BUS };

/**
 * struct pt_reset - the reset of a function
 * @scope: the affected functions
 * @method: "flr", "pm", "bus" … the kernel's names; "vfio-hot" for a bus reset through VFIO; NULL
 *	with PT_RESET_NONE
 * @affected: every affected function, including this one, in address order; if scope is
 *	PT_RESET_BUS and there is more than one, they must be assigned together
 * @affected_count: how many
 * @is_disabled: with PT_RESET_NONE: the administrator switched the reset off, for this function or
 *	another one on its bus (reset_method is empty)
 */
struct pt_reset {
	enum pt_reset_scope scope;
	const char *method;
	const struct pt_address *affected;
	size_t affected_count;
	bool is_disabled;
};

/**
 * pt_reset_choose() - choose the reset of a function
 * @host: the host
 * @snapshot: contains the functions beside and below it
 * @address: which
 * @ret_reset: freed by the caller with pt_reset_free()
 * @err: PT_NO_DEVICE
 *
 * A reset of this function only is preferred; the kernel lists "bus" in reset_method only if the
 * function is alone on its bus. Changes nothing.
 *
 * Return: 0 (also for PT_RESET_NONE) or a negative errno.
 */
int pt_reset_choose(struct pt_host *host, const struct pt_snapshot *snapshot,
		    const struct pt_address *address, struct pt_reset **ret_reset,
		    struct pt_error *err);

/**
 * pt_reset_free() - free a reset
 * @reset: NULL is allowed
 */
void pt_reset_free(struct pt_reset *reset);

#ifdef __cplusplus
}
#endif
#endif
