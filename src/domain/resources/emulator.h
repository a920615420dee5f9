/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An installed QEMU: what it says of itself. It is run for a moment, as the guests' user, without
 * a machine, and asked by QMP.
 */
#ifndef DOMAIN_RESOURCES_EMULATOR_H
#define DOMAIN_RESOURCES_EMULATOR_H

#include "domain/confine/confine.h"
#include "domain/definition/definition.h"

/* That of guests whose definition names none. */
#define EMULATOR "/usr/bin/qemu-system-x86_64"

#define EMULATOR_NAME 48

struct emulator_machine {
	char name[EMULATOR_NAME];  /* "pc-q35-10.0" */
	char alias[EMULATOR_NAME]; /* "q35"; "": it has none */
	unsigned int cpus_max;
	bool is_deprecated;
};

struct emulator {
	unsigned long version; /* 10.0.2 is 10 000 002 */
	struct emulator_machine *machines;
	size_t machine_count;
};

/*
 * Ask @program, which is absolute, as @user: a process, and some tenths of a second or seconds.
 * Freed with emulator_free().
 */
int emulator_ask(struct pt_host *host, const char *program, const struct confine_user *user,
		 struct emulator *ret_emulator, struct pt_error *err);
int emulator_copy(const struct emulator *from, struct emulator *ret_emulator, struct pt_error *err);
void emulator_free(struct emulator *emulator); /* a zeroed one is allowed */

/* By its name or its alias; NULL: there is none. */
const struct emulator_machine *emulator_find(const struct emulator *emulator, const char *name);

/*
 * A guest keeps its machine when QEMU is upgraded: os/type@machine gets the name behind an alias,
 * "pc-q35-10.0" for "q35". PT_INVALID EOPNOTSUPP: this QEMU has no such machine, and the words
 * name the nearest that it has.
 */
int emulator_pin_machine(const struct emulator *emulator, struct definition *def,
			 struct pt_error *err);

#endif
