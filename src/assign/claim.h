/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A claim on disk: run/passthru/claims/ADDRESS, one JSON object a file. Written only by the "claim"
 * and "release" steps (step.c) and where a device is marked stuck or quarantined (operation.c). The
 * list of all of them is claims.c.
 */
#ifndef ASSIGN_CLAIM_H
#define ASSIGN_CLAIM_H

#include <passthru/claim.h>

#include "assign/state.h"

/* The claim as JSON, for its file, the journal and --json output; NULL without memory. */
struct json_object *claim_to_json(const struct pt_claim *claim);

/* All of it or none of it: unknown states, bad addresses, overlong names are PT_CORRUPT. */
int claim_from_json(struct json_object *object, struct pt_claim *ret_claim, struct pt_error *err);

/* A fuzz target: the bytes of a claim file. */
int claim_parse(const char *text, size_t size, struct pt_claim *ret_claim, struct pt_error *err);

/* -ENOENT if there is no claim. @err has no path, as with state_read(). */
int claim_load(struct pt_host *host, const struct pt_address *address, struct pt_claim *ret_claim,
	       struct pt_error *err);

/* 0 and *ret_exists false if there is no claim. @err names the file and the next step. */
int claim_read(struct pt_host *host, const struct pt_address *address, bool *ret_exists,
	       struct pt_claim *ret_claim, struct pt_error *err);
int claim_write(struct pt_host *host, const struct pt_claim *claim, struct pt_error *err);
int claim_remove(struct pt_host *host, const struct pt_address *address, struct pt_error *err);

/* The unreadable claim on this device; NULL if there is none. */
const struct pt_unreadable *claims_find_unreadable(const struct pt_claims *claims,
						   const struct pt_address *address);

#endif
