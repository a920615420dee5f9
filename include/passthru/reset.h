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
 * A reset is a fact to establish. Which methods exist (the kernel's
 * reset_method), which functions go down with each, and afterwards whether
 * configuration space answers and is what it was.
 */

/**
 * enum pt_reset_scope - what a reset takes down
 * @PT_RESET_NONE: there is no reset
 * @PT_RESET_FUNCTION: this function alone
 * @PT_RESET_BUS: every function on its bus or in its slot, and below
 */
enum pt_reset_scope { PT_RESET_NONE, PT_RESET_FUNCTION, PT_RESET_BUS };

/**
 * struct pt_reset - how a function would be reset
 * @scope: what goes down
 * @method: "flr", "pm", "bus" … as the kernel names them; "vfio-hot" for a bus
 *	reset through VFIO; NULL with PT_RESET_NONE
 * @affected: every function that goes down, this one included, in address
 *	order; the same set must be assigned together when scope is PT_RESET_BUS
 *	and it holds more than one
 * @affected_count: how many
 */
struct pt_reset {
	enum pt_reset_scope scope;
	const char *method;
	const struct pt_address *affected;
	size_t affected_count;
};

/**
 * pt_reset_choose() - find out how a function would be reset
 * @host: the host
 * @snapshot: for the functions beside and below it
 * @address: which
 * @ret_reset: freed by the caller with pt_reset_free()
 * @err: PT_NO_DEVICE
 *
 * A reset of the function alone is preferred; the kernel lists "bus" in
 * reset_method only where the function is alone on its bus. Changes nothing.
 *
 * Return: 0 (also for PT_RESET_NONE) or a negative errno.
 */
int pt_reset_choose(struct pt_host *host, const struct pt_snapshot *snapshot,
		    const struct pt_address *address, struct pt_reset **ret_reset,
		    struct pt_error *err);

/**
 * pt_reset_free() - forget it
 * @reset: NULL is allowed
 */
void pt_reset_free(struct pt_reset *reset);

#ifdef __cplusplus
}
#endif
#endif
