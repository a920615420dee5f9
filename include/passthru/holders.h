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
 * A holder is a user of a device on the host, which would lose the device if its driver were
 * unbound. The kernel does not check: unbinding the NVMe driver under a mounted filesystem
 * succeeds, and destroys the filesystem. So passthru checks first.
 */

/**
 * enum pt_holder_kind - the kind of a holder
 * @PT_HOLDER_FILESYSTEM: a mounted filesystem, through any depth of
 *	partitions, dm, md, LVM, multipath, bcache, loop
 * @PT_HOLDER_SWAP: a swap area
 * @PT_HOLDER_STORAGE: a storage layer that is assembled but not mounted
 *	(dm or md member, bcache, imported zpool), or an export by the kernel
 *	(NVMe or SCSI target, usbip-host)
 * @PT_HOLDER_PROCESS: a process with a block, char, DRM, input, sound or
 *	hidraw node, or a BAR, of the device open or mapped
 * @PT_HOLDER_NETWORK: an interface that is up with addresses, or carries a route
 * @PT_HOLDER_BRIDGE: an interface that is a port of a bridge, bond, team, OVS,
 *	or has vlan/macvlan interfaces on it
 * @PT_HOLDER_SOCKET: a packet, AF_XDP, PPPoE or CAN socket bound to an interface of it
 * @PT_HOLDER_CONSOLE: the boot framebuffer or the VT console draws on it
 * @PT_HOLDER_VF: a physical function with VFs enabled
 * @PT_HOLDER_GUEST: a running guest or other VFIO user has it, or a mediated device of it
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
 * pt_holders_read() - find the holders of a function
 * @host: the host
 * @address: which
 * @ret_holders: freed by the caller with pt_holders_free()
 * @err: PT_NO_DEVICE, PT_SYSTEM
 *
 * Reads only. Without privilege other users' open files are invisible; pt_holders_is_complete()
 * is false then.
 *
 * Return: 0 or a negative errno.
 */
int pt_holders_read(struct pt_host *host, const struct pt_address *address,
		    struct pt_holders **ret_holders, struct pt_error *err);

/**
 * pt_holders_free() - free holders
 * @holders: NULL is allowed
 */
void pt_holders_free(struct pt_holders *holders);

/**
 * pt_holders_count() - the number of holders found
 * @holders: the result of pt_holders_read()
 *
 * Return: the number; 0 if the host does not use the device.
 */
size_t pt_holders_count(const struct pt_holders *holders);

/**
 * pt_holders_at() - one holder
 * @holders: the result of pt_holders_read()
 * @index: below pt_holders_count()
 *
 * Return: the holder, owned by @holders; NULL past the end.
 */
const struct pt_holder *pt_holders_at(const struct pt_holders *holders, size_t index);

/**
 * pt_holders_is_complete() - was everything checked?
 * @holders: the result of pt_holders_read()
 *
 * Return: false if a process or file could not be checked.
 */
bool pt_holders_is_complete(const struct pt_holders *holders);

/**
 * pt_holders_unseen() - the holders that could not be checked
 * @holders: the result of pt_holders_read()
 *
 * Return: text with the reason ("the open files of other users' processes"), owned by
 *	@holders; NULL if the result is complete.
 */
const char *pt_holders_unseen(const struct pt_holders *holders);

/**
 * pt_holders_is_unprivileged() - would root have seen everything?
 * @holders: the result of pt_holders_read()
 *
 * Return: true if the result is incomplete only because of missing privilege.
 */
bool pt_holders_is_unprivileged(const struct pt_holders *holders);

/**
 * pt_holder_kind_name() - the name of a kind in JSON output
 * @kind: any value
 *
 * Return: a static string such as "filesystem".
 */
const char *pt_holder_kind_name(enum pt_holder_kind kind);

#ifdef __cplusplus
}
#endif
#endif
