/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virDomainOpenConsole: a stream to the pty that QEMU made for a serial port or console. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/text.h"
#include "daemon/handlers/handlers.h"
#include "daemon/handlers/domain_call.h"
#include "daemon/handlers/domain_fault.h"
#include "daemon/stream.h"
#include "domain/definition/xml_node.h"

/*
 * virDomainConsoleFlags. "Safe" requests an exclusive session: every session here is exclusive
 * among clients of this daemon.
 */
#define CONSOLE_FORCE 1u
#define CONSOLE_SAFE  2u

/* Linux's majors of what is below /dev/pts (Documentation/admin-guide/devices.txt). */
#define PTS_MAJOR_FIRST 136
#define PTS_MAJOR_LAST	143

#define PTS "/dev/pts/"

static bool is_meant(const xmlNode *node, const char *alias)
{
	const char *own = node_get(node, "alias@name");

	if (!node_is(node, "serial") && !node_is(node, "console") && !node_is(node, "parallel") &&
	    !node_is(node, "channel"))
		return false;
	/* a channel is only used if it is named; otherwise it is not a console */
	return alias ? own && !strcmp(own, alias) : !node_is(node, "channel");
}

/* Where the console called @alias (NULL: the first one) is; with the guest's lock. */
static int find_terminal(struct call *call, const struct guest *guest, const char *alias,
			 char path[64])
{
	const xmlNode *devices = node_child(definition_root(guest->live), "devices"), *node;
	const char *source;

	node = node_child(devices, NULL);
	while (node && !is_meant(node, alias))
		node = node_next(node, NULL);
	if (!node)
		return fault_set(&call->fault, FAULT_INTERNAL, FAULT_FROM_QEMU, "cannot find %s %s",
				 alias ? "character device" : "a console",
				 alias ? alias : "in this guest");
	source = node_get(node, "source@path");
	if (!node_has(node, "type", "pty") || !source)
		return fault_set(&call->fault, FAULT_INTERNAL, FAULT_FROM_QEMU,
				 "character device %s is not using a PTY",
				 alias ? alias : node_get(node, "alias@name"));
	/* this is QEMU's word: nothing else of the host's is opened for it */
	if (strncmp(source, PTS, strlen(PTS)) != 0 || strchr(source + strlen(PTS), '/') ||
	    text_format(path, 64, "%s", source) < 0)
		return fault_set(&call->fault, FAULT_INTERNAL, FAULT_FROM_QEMU,
				 "QEMU reports a path that is not a terminal: %s", source);
	return 0;
}

/* Only a terminal of the guest user: a QEMU that lies gets no other terminal. */
static int open_terminal(struct call *call, const char *path, uid_t uid, dev_t *ret_terminal)
{
	AUTO_CLOSE int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return fault_set(&call->fault, FAULT_SYSTEM, FAULT_FROM_QEMU,
				 "can't open the guest's terminal %s: %s", path, strerror(errno));
	if (!S_ISCHR(st.st_mode) || major(st.st_rdev) < PTS_MAJOR_FIRST ||
	    major(st.st_rdev) > PTS_MAJOR_LAST || st.st_uid != uid)
		return fault_set(&call->fault, FAULT_SYSTEM, FAULT_FROM_QEMU,
				 "%s is not a terminal of this guest's QEMU", path);
	*ret_terminal = st.st_rdev;
	return TAKE_FD(fd);
}

static int open_console(struct pt_host *host, struct call *call)
{
	const struct rpc_domain_console_args *args = call->args;
	const char *alias = args->device ? *args->device : NULL;
	struct stream *before;
	struct domain *domain;
	struct pt_error err;
	dev_t terminal = 0;
	char path[64];
	uid_t uid = 0;
	int fd, r = 0;

	(void)host;
	if (fault_check_flags(call, args->flags, CONSOLE_FORCE | CONSOLE_SAFE) < 0)
		return -1;
	domain = domain_lock_of(call, &args->domain);
	if (!domain)
		return -1;
	if (domain->guest) {
		(void)pthread_mutex_lock(&domain->guest->lock);
		r = find_terminal(call, domain->guest, alias, path);
		uid = domain->guest->user.uid;
		(void)pthread_mutex_unlock(&domain->guest->lock);
	} else {
		r = fault_set(&call->fault, FAULT_INVALID, FAULT_FROM_QEMU,
			      "domain is not running");
	}
	guests_unlock(guests_of(call));
	if (r < 0)
		return r;
	fd = open_terminal(call, path, uid, &terminal);
	if (fd < 0)
		return fd;
	before = stream_find(call->client->clients, terminal);
	if (before && !(args->flags & CONSOLE_FORCE)) {
		close(fd);
		return fault_set(&call->fault, FAULT_FAILED, FAULT_FROM_QEMU,
				 "Active console session exists for this domain");
	}
	if (before)
		stream_break(before, "another client took the console over (--force)");
	if (!call->client) { /* that was this client, and it is no more */
		close(fd);
		return -1;
	}
	return stream_new(call->client, &call->header, fd, &err) < 0
		       ? fault_set_reason(&call->fault, &err, NULL)
		       : 0;
}

const struct handler handlers_domain_console[] = {
	{RPC_DOMAIN_OPEN_CONSOLE, open_console, HANDLER_QUICK},
	{0},
};
