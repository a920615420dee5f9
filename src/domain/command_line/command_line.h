/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A live definition as QEMU's command line, and single devices of it as QMP commands. */
#ifndef DOMAIN_COMMAND_LINE_COMMAND_LINE_H
#define DOMAIN_COMMAND_LINE_COMMAND_LINE_H

#include <json-c/json.h>

#include "domain/definition/definition.h"

/*
 * A socket QEMU listens on: inherited and already listening if @fd is not -1, otherwise created at
 * @path.
 */
struct command_line_socket {
	int fd;
	const char *path; /* NULL and fd -1: not wanted */
};

/* Queues of one interface, and of all of a guest's; command_line_check() refuses more. */
#define COMMAND_LINE_QUEUES_MAX	    64
#define COMMAND_LINE_ALL_QUEUES_MAX 128

/* A tap that was opened for an interface: <interface type='bridge'> or 'ethernet'. */
struct command_line_tap {
	const char *alias; /* "net0" */
	int fds[COMMAND_LINE_QUEUES_MAX];
	int vhost_fds[COMMAND_LINE_QUEUES_MAX]; /* of /dev/vhost-net */
	size_t count;				/* of @fds, a queue each */
	bool has_vhost;				/* and as many of @vhost_fds */
};

/*
 * What QEMU inherits for the character device @alias: its end of a pipe in the place of a file
 * (domain/resources/recorder.h), or a socket (listeners.h, virtiofs.h).
 */
struct command_line_output {
	const char *alias; /* "serial0" */
	bool is_log;	   /* <log file>, not <source path> */
	int fd;
};

/* Files, and sockets, of one guest; command_line_check() refuses more. */
#define COMMAND_LINE_INHERITED_MAX 16

/* Room in the guest's address space (domain/resources/bar_window.h). */
struct command_line_window {
	uint64_t aperture; /* bytes for the firmware to keep above 4 GiB; 0: its own choice */
	uint64_t port;	   /* bytes for each empty root port to keep; 0: no wish */
};

/* A word of the host's firmware (domain/resources/smbios.h), for <smbios mode='host'>. */
struct command_line_smbios {
	const char *element;
	const char *name;
	const char *text;
};

/*
 * Parameters that are not in the definition. Zeroed with fds -1: no monitor, as for
 * domxml-to-native.
 */
struct command_line_files {
	struct command_line_socket commands; /* QMP for workers */
	struct command_line_socket events;   /* QMP for the loop */
	const struct command_line_tap *taps;
	size_t tap_count;
	const struct command_line_output *outputs; /* without one QEMU has the file itself */
	size_t output_count;
	const struct command_line_output *listeners; /* without one QEMU makes the socket itself */
	size_t listener_count;
	const struct command_line_output *filesystems; /* connected to a virtiofsd each */
	size_t filesystem_count;
	const struct command_line_smbios *smbios;
	size_t smbios_count;
	int vsock_fd;		   /* of /dev/vhost-vsock, with its address; 0: none */
	int tpm_fd;		   /* QEMU's end of swtpm's socket pair; 0: none */
	const char *run_directory; /* of this guest: sockets that the definition doesn't name */
	bool is_paused;		   /* -S: wait for "cont" */
	struct command_line_window window; /* the address space that the host devices need */
};

/*
 * QEMU's arguments, argv[0] the emulator, NULL-terminated. Fails with EOPNOTSUPP or EINVAL,
 * naming the element, if QEMU has no arguments for a value that the table permits.
 */
int command_line_build(const struct definition *live, const struct command_line_files *files,
		       char ***ret_argv, struct pt_error *err);

/*
 * QEMU's environment, NULL-terminated NAME=VALUE: only the necessary variables, independent of
 * the daemon's environment, and those of the definition (qemu:env). Freed with
 * command_line_free().
 */
int command_line_environment(const struct definition *live, char ***ret_environment,
			     struct pt_error *err);

/* Has it arguments of its own (qemu:arg)? What QEMU does for these, nobody else knows. */
bool command_line_has_own(const struct definition *live);

void command_line_free(char **argv); /* NULL is allowed */
AUTO_DEFINE(command_line, char **, command_line_free)

/* The same as text for a shell, options on lines of their own: domxml-to-native. */
int command_line_format(char *const *argv, char **ret_text, struct pt_error *err);

/*
 * QMP commands after QEMU has started and before the guest runs ("cont"), for settings without a
 * command line argument: passwords, links that are down, the balloon. An array of {"execute": …,
 * "arguments": …} in order, often empty.
 */
int command_line_settle(const struct definition *live, struct json_object **ret_commands,
			struct pt_error *err);

/*
 * Plug @node, a device of @live with alias and address, into the running guest: an array of
 * {"execute": …, "arguments": …} in order, undone in the reverse order.
 */
int command_line_plug(const struct definition *live, const xmlNode *node,
		      const struct command_line_files *files, struct json_object **ret_commands,
		      struct pt_error *err);

/*
 * What to call after DEVICE_DELETED came for it: what command_line_plug() made beside the
 * device (a blockdev, a netdev). An empty array for a hostdev.
 */
int command_line_unplugged(const struct definition *live, const xmlNode *node,
			   struct json_object **ret_commands, struct pt_error *err);

#endif
