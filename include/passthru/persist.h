/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PASSTHRU_PERSIST_H
#define PASSTHRU_PERSIST_H

#include <passthru/identity.h>
#include <passthru/state.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * DOC: Boot-time configuration
 *
 * Devices that the host shall never drive. One file a device under
 * /etc/passthru/devices.d, written whole, with the device's address and identity. At
 * boot, before the drivers of the host are loaded, and when a card is plugged in,
 * pt_persist_apply() gives those devices to the driver kept with them; a
 * device that was moved to another slot or exchanged for another is left alone and
 * reported.
 */

/**
 * enum pt_persist_state - what has become of a persisted device
 * @PT_PERSIST_APPLIED: it is on the driver kept for it
 * @PT_PERSIST_PENDING: it is there, on another driver or none
 * @PT_PERSIST_MOVED: it is in another slot now
 * @PT_PERSIST_EXCHANGED: another device sits at its address, and it is not in the
 *	machine, or can't be told from others of its model
 * @PT_PERSIST_MISSING: nothing is at its address, and it is not in the machine
 */
enum pt_persist_state {
	PT_PERSIST_APPLIED,
	PT_PERSIST_PENDING,
	PT_PERSIST_MOVED,
	PT_PERSIST_EXCHANGED,
	PT_PERSIST_MISSING,
};

/**
 * struct pt_persisted - one persisted device
 * @address: where it was when persisted
 * @identity: what it is
 * @driver: the driver it shall have, "vfio-pci"
 * @since: seconds since the epoch
 * @why: the reason given with force, "" for none
 * @state: see &enum pt_persist_state
 * @is_there: it was found in the machine
 * @now: where it is; only with @is_there. Differs from @address in its bus number alone
 *	when the firmware has counted buses anew; that is no move
 * @driver_now: the driver it has there, "" for none
 * @text: the state in words
 */
struct pt_persisted {
	struct pt_address address;
	struct pt_identity identity;
	char driver[64];
	int64_t since;
	char why[256];
	enum pt_persist_state state;
	bool is_there;
	struct pt_address now;
	char driver_now[64];
	char text[768];
};

struct pt_persist_list;

/**
 * pt_persist_read() - what is persisted, and what has become of it
 * @host: the host
 * @ret_list: freed by the caller with pt_persist_free(); empty when there is nothing
 * @err: PT_NOT_PERMITTED or PT_STORAGE when the directory can't be read
 *
 * Changes nothing. Without root serial numbers can't be compared. A file that can't be read keeps
 * nobody from the others: see pt_persist_unreadable_at().
 *
 * Return: 0 or a negative errno.
 */
int pt_persist_read(struct pt_host *host, struct pt_persist_list **ret_list, struct pt_error *err);

/**
 * pt_persist_free() - forget the list
 * @list: NULL is allowed
 */
void pt_persist_free(struct pt_persist_list *list);

/**
 * pt_persist_count() - how many
 * @list: what pt_persist_read() gave
 *
 * Return: the number.
 */
size_t pt_persist_count(const struct pt_persist_list *list);

/**
 * pt_persist_at() - one of them, in address order
 * @list: what pt_persist_read() gave
 * @index: below pt_persist_count()
 *
 * Return: the device, owned by @list; NULL past the end.
 */
const struct pt_persisted *pt_persist_at(const struct pt_persist_list *list, size_t index);

/**
 * pt_persist_unreadable_count() - how many files could not be read
 * @list: what pt_persist_read() gave
 *
 * Return: the number.
 */
size_t pt_persist_unreadable_count(const struct pt_persist_list *list);

/**
 * pt_persist_unreadable_at() - one of the files that could not be read
 * @list: what pt_persist_read() gave
 * @index: below pt_persist_unreadable_count()
 *
 * At boot its device is not kept from the host; pt_persist_remove() removes the file, and
 * pt_persist_add() writes it anew.
 *
 * Return: the file, owned by @list; NULL past the end.
 */
const struct pt_unreadable *pt_persist_unreadable_at(const struct pt_persist_list *list,
						     size_t index);

/**
 * pt_persist_state_name() - the state as it stands in JSON output
 * @state: any value
 *
 * Return: a static string, "applied" …
 */
const char *pt_persist_state_name(enum pt_persist_state state);

/**
 * pt_persist_has() - is the device at this address persisted?
 * @host: the host
 * @address: which
 *
 * By the address kept, or by identity when the buses were counted anew. A configuration that
 * can't be read has nothing.
 *
 * Return: true when it is.
 */
bool pt_persist_has(struct pt_host *host, const struct pt_address *address);

/**
 * struct pt_persist_request - devices to persist
 * @devices: which; all of them or none
 * @count: how many, at least 1
 * @driver: a VFIO driver, pci-stub or uio_pci_generic; NULL for "vfio-pci"
 * @is_forced: also when the host hangs on a device
 * @why: the reason for @is_forced (required with it), kept in the file and the log
 */
struct pt_persist_request {
	const struct pt_address *devices;
	size_t count;
	const char *driver;
	bool is_forced;
	const char *why;
};

/**
 * pt_persist_add() - keep devices from the host from the next boot on
 * @host: the host
 * @request: which, and how
 * @err: all reasons against it, a line each: PT_NO_DEVICE; PT_UNSUITABLE for a
 *	bridge; PT_IN_USE when filesystems, swap, networks, the console or virtual functions
 *	of the running host are on a device, for then the next boot would miss them;
 *	PT_IDENTITY when another device is persisted at that address; PT_NOT_PERMITTED, PT_STORAGE
 *
 * Writes below /etc/passthru and changes no device. A device that is persisted
 * already is written anew; one that was persisted in another slot moves.
 *
 * Return: 0 or a negative errno; then nothing has changed.
 */
int pt_persist_add(struct pt_host *host, const struct pt_persist_request *request,
		   struct pt_error *err);

/**
 * pt_persist_remove() - give devices to the host again from the next boot on
 * @host: the host
 * @devices: by the address kept, or where the device is now
 * @count: how many
 * @ret_removed: how many were persisted; may be NULL. What isn't persisted is no failure
 * @err: PT_NOT_PERMITTED, PT_STORAGE
 *
 * Removes files below /etc/passthru and changes no device.
 *
 * Return: 0 or a negative errno.
 */
int pt_persist_remove(struct pt_host *host, const struct pt_address *devices, size_t count,
		      size_t *ret_removed, struct pt_error *err);

/**
 * typedef pt_persist_fn - told what became of each persisted device
 * @context: as given to pt_persist_apply()
 * @persisted: the device, as it is after applying; valid during the call
 * @result: 0 when it has its driver or is claimed, else a negative errno
 * @text: what was done, or why not
 */
typedef void (*pt_persist_fn)(void *context, const struct pt_persisted *persisted, int result,
			      const char *text);

/**
 * pt_persist_apply() - give persisted devices to their drivers
 * @host: the host
 * @only: bind just this device, for the event of its appearing; NULL for all.
 *	driver_override is set for all persisted devices either way, for the module loaded next may
 *be the driver of any of them
 * @may_take: also take a device from a host driver that has it already, unless
 *	something on the host hangs on it
 * @report: called for each device that was to be bound; NULL for silence
 * @context: handed to @report
 * @err: the first failure; the other devices are gone on with. PT_IDENTITY for a device that was
 *	moved or exchanged
 *
 * Changes driver_override and driver of the persisted devices and loads the modules of
 * those drivers. Devices that are claimed are left to their owners. What is interrupted is done by
 * calling it again. Needs root.
 *
 * Return: 0 or a negative errno.
 */
int pt_persist_apply(struct pt_host *host, const struct pt_address *only, bool may_take,
		     pt_persist_fn report, void *context, struct pt_error *err);

#ifdef __cplusplus
}
#endif
#endif
