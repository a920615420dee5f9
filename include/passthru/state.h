/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PASSTHRU_STATE_H
#define PASSTHRU_STATE_H

#include <stdbool.h>

#include <passthru/address.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * DOC: State files that can't be read
 *
 * What passthru remembers is a file for each claim, each operation under way and each persisted
 * device. A file that can't be read (it was cut, edited, or written by another version) concerns
 * its own device alone: lists hold it beside what could be read, and everything about other
 * devices goes on.
 */

/**
 * struct pt_unreadable - a state file that can't be read
 * @has_address: the file's name tells which device it is about
 * @address: the device, when @has_address
 * @path: the file, "/run/passthru/claims/0000:01:00.0"
 * @why: what is wrong with it
 * @next: what to do about it
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
