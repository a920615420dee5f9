/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parts of the fake kernel to each other. Reactions return 0 or a negative errno. */
#ifndef FAKE_KERNEL_H
#define FAKE_KERNEL_H

#include "tree.h"

#define NAME_SIZE 64

/* A function of the fake machine. */
struct function {
	struct pt_address address;
	char name[PT_ADDRESS_TEXT];
	char dir[PATH_MAX]; /* real, absolute */
};

/* ---- functions.c ---- */

/* @name as the kernel takes it: one newline at its end is fine. False when there is none. */
bool function_find(const struct fake *fake, const char *name, struct function *ret_function);
/* An attribute of it: @dir/@name. */
char *function_path(const struct function *function, char path[TREE_PATH], const char *name);
bool function_read(const struct function *function, const char *name, char *text, size_t size);
bool function_link(const struct function *function, const char *name, char *target, size_t size);
int function_group(const struct function *function);	  /* -1 for none */
bool function_is_bridge(const struct function *function); /* by its header type */

/* Call @visit for each function whose directory is below @dir ("" for all); copes with changes. */
void functions_visit(const struct fake *fake, const char *dir,
		     void (*visit)(const struct fake *fake, const struct function *function,
				   void *context),
		     void *context);

void function_remove(const struct fake *fake, const struct function *function);
/* It is pulled out, with its lock held; there is no rescan for that. */
void function_vanish(const struct fake *fake, const struct function *function);
void functions_rescan(const struct fake *fake);
int function_set_vfs(const struct fake *fake, const struct function *function, const char *text);
void function_drop_vfs(const struct fake *fake, const struct function *function);

/* ---- faults.c ---- */

#define FAULT_SIZE 64

/*
 * If a fault is set for that operation: errnos, "hang", "delay", "crash" and "gone"
 * strike here; others are left in @what for the operation itself, "" for none.
 */
int fault_strike(const struct fake *fake, const struct function *function, const char *operation,
		 char what[FAULT_SIZE]);
/* Is it one that takes time (hang, delay, crash), or for ever? */
bool fault_is_slow(const struct fake *fake, const struct function *function, const char *operation);
void fault_wait(const struct fake *fake); /* a while, or for ever once the tree is gone */
int fault_errno(const char *name);	  /* "EBUSY": EBUSY; 0 for unknown */

/* Take the device's lock; waits as the kernel does. Closing the descriptor gives it back. */
int device_lock(const struct fake *fake, const struct function *function);
/* Readers of attributes that take the device's lock wait until @path is gone, and so do we. */
void device_hang(const struct fake *fake, const struct function *function, const char *path,
		 const char *while_it_reads);

/* ---- drivers.c ---- */

bool driver_is_registered(const struct fake *fake, const char *driver);
bool driver_has_flag(const struct fake *fake, const char *driver, const char *flag);
int driver_bind(const struct fake *fake, const char *driver, const char *name);
int driver_unbind(const struct fake *fake, const char *driver, const char *name);
int driver_probe_any(const struct fake *fake, const char *name);
int driver_override(const struct fake *fake, const struct function *function, const char *data,
		    size_t size);
/* As when a function was discovered: bind the first driver that takes it. None is no failure.
 * Lock held. */
int driver_attach_any(const struct fake *fake, const struct function *function);
/* The driver lets go. Lock held. */
void driver_detach(const struct fake *fake, const struct function *function);
int driver_load_module(const struct fake *fake, const char *module, char message[HOST_MESSAGE]);
/* @module may be NULL: built in */
void driver_register(const struct fake *fake, const char *driver, const char *module);
void driver_unregister(const struct fake *fake, const char *driver);
/* Loading @module registers @driver. */
void driver_add_module(const struct fake *fake, const char *module, const char *driver);

/* ---- resets.c ---- */

int reset_write(const struct fake *fake, const struct function *function, const char *text);
int reset_set_methods(const struct fake *fake, const struct function *function, const char *text);
int reset_hot_info(const struct fake *fake, const struct pt_address *address,
		   struct pt_address *affected, size_t max, size_t *ret_count);
int reset_hot(const struct fake *fake, const struct pt_address *address);

/* ---- recording.c ---- */

void recording_materialise(const struct fake *fake, const char *recording);

/* ---- reuse.c ---- */

/* Make a directory for a temporary tree. */
void reuse_new_root(char root[TREE_PATH]);
/* The tree of an earlier trial of this process, as it was when remembered; NULL when there is
 * none. */
struct kept *reuse_take(const char *recording, char root[TREE_PATH]);
/* Remember a tree that was just made. */
struct kept *reuse_remember(const char *recording, const char *root);
/* A trial is over: its tree, which moves away, is for the next. */
void reuse_give(struct kept *kept);

#endif
