/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PASSTHRU_STATE_H
#define PASSTHRU_STATE_H

#include <stdbool.h>

#include <passthru/address.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * DOC: Unreadable state files
 *
 * passthru has one state file per claim, per operation in progress and per persisted device. An
 * unreadable file (truncated, edited, or written by another version) affects only its own device:
 * lists contain it beside the readable ones, and operations on other devices work.
 */

/**
 * struct pt_unreadable - an unreadable state file
 * @has_address: the file's name contains the address of its device
 * @address: the device, if @has_address
 * @path: the file, "/run/passthru/claims/0000:01:00.0"
 * @why: the reason
 * @next: the remedy
 */
struct pt_unreadable {
	bool has_address;
	struct pt_address address;
	char path[320];
	char why[256];
	char next[256];
};

#ifdef __cplusplus
}
#endif
#endif
