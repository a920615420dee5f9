/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The sockets, folders and logs of one guest's QEMU. */
#ifndef DOMAIN_CONFINE_RUN_FILES_H
#define DOMAIN_CONFINE_RUN_FILES_H

#include <sys/un.h>

#include "domain/confine/confine.h"
#include "domain/definition/definition.h"

#define GUEST_LOGS "/var/log/passthru/guests"

#define GUEST_PATH sizeof(((struct sockaddr_un *)NULL)->sun_path)

enum guest_socket { GUEST_COMMANDS, GUEST_EVENTS };

/* Below @root, pt_host's. */
int run_files_socket_path(const char *root, const char *name, enum guest_socket which,
			  char path[GUEST_PATH], struct pt_error *err);

/* A socket that listens there, for QEMU to inherit; its owner stays root, and so does its folder.
 */
int run_files_listen(struct pt_host *host, const char *name, enum guest_socket which, int *ret_fd,
		     struct pt_error *err);

/*
 * The guest's folder, empty: root's, or @user's where QEMU makes something in it itself (NULL: it
 * doesn't). A QEMU in the hands of its guest could fill the host's /run there.
 */
int run_files_make_folder(struct pt_host *host, const char *name, const struct confine_user *user,
			  char path[GUEST_PATH], struct pt_error *err);

/* The same as run_files_listen() in that folder, by an alias. */
int run_files_listen_own(struct pt_host *host, const char *name, const char *alias, int *ret_fd,
			 struct pt_error *err);

/* All of the above. */
void run_files_remove(struct pt_host *host, const char *name);

/*
 * The same for all guests without a live state, whose start stopped before it had one. Only while
 * no guest is being started.
 */
void run_files_sweep(struct pt_host *host);

/*
 * Open it for appending, and write a line with the command; *ret_start is the end of the file
 * before that.
 */
int run_files_open_log(struct pt_host *host, const char *name, char *const *argv, int *ret_fd,
		       long long *ret_start, struct pt_error *err);

/* To add to it; a descriptor or a negative errno. */
int run_files_reopen_log(struct pt_host *host, const char *name);

/* QEMU's messages since then, as one line, truncated to fit; "" if there are none. */
void run_files_read_log(struct pt_host *host, const char *name, long long start, char *text,
			size_t size);

/* Whom a process runs as, its groups included; the name is the number. */
int confine_user_of_process(struct pt_host *host, pid_t pid, struct confine_user *ret_user,
			    struct pt_error *err);

#endif
