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
 * Persisted devices are kept from host drivers. There is one file per device under
 * /etc/passthru/devices.d, written as a whole, with the device's address, identity and driver. At
 * boot, before host drivers are loaded, and when a card is plugged in, pt_persist_apply() binds
 * these devices to their driver. A device that was moved to another slot, or exchanged for
 * another, is not touched but reported.
 */

/**
 * enum pt_persist_state - the state of a persisted device
 * @PT_PERSIST_APPLIED: it is bound to its driver
 * @PT_PERSIST_PENDING: it is present, bound to another driver or none
 * @PT_PERSIST_MOVED: it was moved to another slot
 * @PT_PERSIST_EXCHANGED: another device is at its address, and it is not in the machine, or can't
 *	be told from others of its model
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
 * @address: its address when it was persisted
 * @identity: its identity
 * @driver: its driver, for example "vfio-pci"
 * @since: seconds since the epoch
 * @why: the reason given with force, "" for none
 * @state: see &enum pt_persist_state
 * @is_there: it was found in the machine
 * @now: its current address; only with @is_there. If the firmware has renumbered the buses, only
 *	the bus number differs from @address; that is not a move
 * @driver_now: its current driver, "" for none
 * @text: describes the state
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
 * pt_persist_read() - read the persisted devices and their states
 * @host: the host
 * @ret_list: freed by the caller with pt_persist_free(); empty when there is nothing
 * @err: PT_NOT_PERMITTED or PT_STORAGE when the directory can't be read
 *
 * Changes nothing. Without root, serial numbers can't be compared. An unreadable file does not
 * affect the others: see pt_persist_unreadable_at().
 *
 * Return: 0 or a negative errno.
 */
int pt_persist_read(struct pt_host *host, struct pt_persist_list **ret_list, struct pt_error *err);

/**
 * pt_persist_free() - free the list
 * @list: NULL is allowed
 */
void pt_persist_free(struct pt_persist_list *list);

/**
 * pt_persist_count() - the number of persisted devices
 * @list: the result of pt_persist_read()
 *
 * Return: the number.
 */
size_t pt_persist_count(const struct pt_persist_list *list);

/**
 * pt_persist_at() - one persisted device, in address order
 * @list: the result of pt_persist_read()
 * @index: below pt_persist_count()
 *
 * Return: the device, owned by @list; NULL past the end.
 */
const struct pt_persisted *pt_persist_at(const struct pt_persist_list *list, size_t index);

/**
 * pt_persist_unreadable_count() - the number of unreadable files
 * @list: the result of pt_persist_read()
 *
 * Return: the number.
 */
size_t pt_persist_unreadable_count(const struct pt_persist_list *list);

/**
 * pt_persist_unreadable_at() - one unreadable file
 * @list: the result of pt_persist_read()
 * @index: below pt_persist_unreadable_count()
 *
 * The boot does not keep its device from the host. pt_persist_remove() removes the file, and
 * pt_persist_add() replaces it.
 *
 * Return: the file, owned by @list; NULL past the end.
 */
const struct pt_unreadable *pt_persist_unreadable_at(const struct pt_persist_list *list,
						     size_t index);

/**
 * pt_persist_state_name() - the name of a state in JSON output
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
 * The device is found by its persisted address, or by its identity if the buses were renumbered.
 * An unreadable configuration counts as empty.
 *
 * Return: true when it is.
 */
bool pt_persist_has(struct pt_host *host, const struct pt_address *address);

/**
 * struct pt_persist_request - devices to persist
 * @devices: which; all of them or none
 * @count: how many, at least 1
 * @driver: a VFIO driver, pci-stub or uio_pci_generic; NULL for "vfio-pci"
 * @is_forced: override the refusal of a device that the host uses
 * @why: the reason for @is_forced (required with it), recorded in the file and the log
 */
struct pt_persist_request {
	const struct pt_address *devices;
	size_t count;
	const char *driver;
	bool is_forced;
	const char *why;
};

/**
 * pt_persist_add() - keep devices from host drivers, from the next boot on
 * @host: the host
 * @request: the devices, and their driver
 * @err: all refusals, one per line: PT_NO_DEVICE; PT_UNSUITABLE for a bridge; PT_IN_USE if the
 *	running host uses a device for filesystems, swap, networks, the console or virtual
 *	functions, which would be missing after the next boot; PT_IDENTITY if another device is
 *	persisted at that address; PT_NOT_PERMITTED, PT_STORAGE
 *
 * Writes below /etc/passthru and changes no device. The entry of a device that is already
 * persisted is replaced, also if it was persisted in another slot.
 *
 * Return: 0 or a negative errno; then nothing has changed.
 */
int pt_persist_add(struct pt_host *host, const struct pt_persist_request *request,
		   struct pt_error *err);

/**
 * pt_persist_remove() - return devices to host drivers, from the next boot on
 * @host: the host
 * @devices: by their persisted or their current address
 * @count: how many
 * @ret_removed: the number of removed entries; may be NULL. A device that is not persisted is not
 *	a failure
 * @err: PT_NOT_PERMITTED, PT_STORAGE
 *
 * Removes files below /etc/passthru and changes no device.
 *
 * Return: 0 or a negative errno.
 */
int pt_persist_remove(struct pt_host *host, const struct pt_address *devices, size_t count,
		      size_t *ret_removed, struct pt_error *err);

/**
 * typedef pt_persist_fn - called for each persisted device
 * @context: as given to pt_persist_apply()
 * @persisted: the device, as it is after applying; valid during the call
 * @result: 0 if it is bound to its driver or claimed, otherwise a negative errno
 * @text: the change, or the reason of the failure
 */
typedef void (*pt_persist_fn)(void *context, const struct pt_persisted *persisted, int result,
			      const char *text);

/**
 * pt_persist_apply() - bind persisted devices to their drivers
 * @host: the host
 * @only: bind only this device, when it appears; NULL for all. driver_override is set for all
 *	persisted devices either way, for the module loaded next may be the driver of any of them
 * @may_take: also unbind a device from a host driver, unless the host uses the device
 * @report: called for each device that should be bound; NULL for none
 * @context: passed to @report
 * @err: the first failure; the other devices are still handled. PT_IDENTITY for a device that was
 *	moved or exchanged
 *
 * Changes driver_override and driver of the persisted devices and loads the modules of those
 * drivers. Claimed devices stay with their owners. After an interruption, call the function
 * again. Needs root.
 *
 * Return: 0 or a negative errno.
 */
int pt_persist_apply(struct pt_host *host, const struct pt_address *only, bool may_take,
		     pt_persist_fn report, void *context, struct pt_error *err);

#ifdef __cplusplus
}
#endif
#endif
