/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PASSTHRU_HOLDERS_H
#define PASSTHRU_HOLDERS_H

#include <passthru/device.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * DOC: Holders
 *
 * What on the host would lose something if a device's driver let go of it.
 * The kernel doesn't ask: unbinding the NVMe under a mounted filesystem
 * succeeds, and the filesystem dies. So passthru asks first.
 */

/**
 * enum pt_holder_kind - what hangs on the device
 * @PT_HOLDER_FILESYSTEM: a mounted filesystem, through any depth of
 *	partitions, dm, md, LVM, multipath, bcache, loop
 * @PT_HOLDER_SWAP: a swap area
 * @PT_HOLDER_STORAGE: a storage layer that is assembled but not mounted
 *	(dm or md member, bcache, imported zpool)
 * @PT_HOLDER_PROCESS: a process with a block, char, DRM, input, sound or
 *	hidraw node of the device open
 * @PT_HOLDER_NETWORK: an interface that is up with addresses, or carries a route
 * @PT_HOLDER_BRIDGE: an interface that is a port of a bridge, bond, team, OVS,
 *	or has vlan/macvlan interfaces on it
 * @PT_HOLDER_SOCKET: a packet or AF_XDP socket bound to an interface of it
 * @PT_HOLDER_CONSOLE: the boot framebuffer or the VT console draws on it
 * @PT_HOLDER_VF: a physical function with VFs enabled
 * @PT_HOLDER_GUEST: a running guest or other VFIO user has it
 */
enum pt_holder_kind {
	PT_HOLDER_FILESYSTEM,
	PT_HOLDER_SWAP,
	PT_HOLDER_STORAGE,
	PT_HOLDER_PROCESS,
	PT_HOLDER_NETWORK,
	PT_HOLDER_BRIDGE,
	PT_HOLDER_SOCKET,
	PT_HOLDER_CONSOLE,
	PT_HOLDER_VF,
	PT_HOLDER_GUEST,
};

/**
 * struct pt_holder - one thing that hangs on a device
 * @kind: what sort of thing
 * @what: the thing: "/srv" (a mount point), "md0", "eth0", "Xorg (pid 812)"
 * @through: how it reaches the device, nearest first, e.g.
 *	"nvme0n1p2 > dm-0 (vg0-root)"; "" when directly
 * @pid: the process, for PT_HOLDER_PROCESS and PT_HOLDER_GUEST; else 0
 * @advice: the command or action that would free it, e.g. "umount /srv"; "" when none is known
 */
struct pt_holder {
	enum pt_holder_kind kind;
	const char *what;
	const char *through;
	int pid;
	const char *advice;
};

struct pt_holders;

/**
 * pt_holders_read() - ask what on the host hangs on a function
 * @host: the host
 * @address: which
 * @ret_holders: freed by the caller with pt_holders_free()
 * @err: PT_NO_DEVICE, PT_SYSTEM
 *
 * Reads only. Without privilege other users' open files can't be seen;
 * pt_holders_is_complete() then tells so.
 *
 * Return: 0 or a negative errno.
 */
int pt_holders_read(struct pt_host *host, const struct pt_address *address,
		    struct pt_holders **ret_holders, struct pt_error *err);

/**
 * pt_holders_free() - forget them
 * @holders: NULL is allowed
 */
void pt_holders_free(struct pt_holders *holders);

/**
 * pt_holders_count() - how many were found
 * @holders: what pt_holders_read() gave
 *
 * Return: the number; 0 when nothing hangs on the device.
 */
size_t pt_holders_count(const struct pt_holders *holders);

/**
 * pt_holders_at() - one of them
 * @holders: what pt_holders_read() gave
 * @index: below pt_holders_count()
 *
 * Return: the holder, owned by @holders; NULL past the end.
 */
const struct pt_holder *pt_holders_at(const struct pt_holders *holders, size_t index);

/**
 * pt_holders_is_complete() - could everything be looked at?
 * @holders: what pt_holders_read() gave
 *
 * Return: false when some process or file could not be inspected.
 */
bool pt_holders_is_complete(const struct pt_holders *holders);

/**
 * pt_holders_unseen() - what could not be looked at
 * @holders: what pt_holders_read() gave
 *
 * Return: in words, with the reason ("what processes of other users have open"), owned by
 * @holders; NULL when the answer is complete.
 */
const char *pt_holders_unseen(const struct pt_holders *holders);

/**
 * pt_holders_is_unprivileged() - would root have seen all of it?
 * @holders: what pt_holders_read() gave
 *
 * Return: true when the answer is incomplete for want of privilege only.
 */
bool pt_holders_is_unprivileged(const struct pt_holders *holders);

/**
 * pt_holder_kind_name() - the kind as it stands in JSON output
 * @kind: any value
 *
 * Return: a static string such as "filesystem".
 */
const char *pt_holder_kind_name(enum pt_holder_kind kind);

#ifdef __cplusplus
}
#endif
#endif
