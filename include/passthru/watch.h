/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PASSTHRU_WATCH_H
#define PASSTHRU_WATCH_H

#include <passthru/claim.h>
#include <passthru/device.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * DOC: Events
 *
 * What happens to devices, as it happens: what the kernel announces of PCI functions and
 * drivers (kobject uevents), claims that come and go, and the errors that the kernel writes
 * to its log: PCI Express errors (AER, DPC) and DMA that the IOMMU stopped. Those two come with
 * the claim on the device, so that it is clear whose guest it was.
 */

/**
 * enum pt_event_kind - what happened
 * @PT_EVENT_APPEARED: a function came into the machine
 * @PT_EVENT_LEFT: it left
 * @PT_EVENT_BOUND: a driver has taken it
 * @PT_EVENT_UNBOUND: its driver has let go of it
 * @PT_EVENT_CLAIMED: its claim is new or has changed
 * @PT_EVENT_RELEASED: its claim is gone
 * @PT_EVENT_BUS_ERROR: the function reported a PCI Express error
 * @PT_EVENT_DMA_FAULT: the IOMMU stopped a DMA of it
 * @PT_EVENT_LOST: more happened than could be kept; look at everything anew
 */
enum pt_event_kind {
	PT_EVENT_APPEARED,
	PT_EVENT_LEFT,
	PT_EVENT_BOUND,
	PT_EVENT_UNBOUND,
	PT_EVENT_CLAIMED,
	PT_EVENT_RELEASED,
	PT_EVENT_BUS_ERROR,
	PT_EVENT_DMA_FAULT,
	PT_EVENT_LOST,
};

/**
 * struct pt_event - one thing that happened
 * @kind: what
 * @time_ms: when it was received, milliseconds since the epoch
 * @address: the function; not with PT_EVENT_LOST
 * @driver: with PT_EVENT_BOUND; else ""
 * @has_claim: the device was claimed when the event was received
 * @claim: by whom; only with @has_claim
 * @text: what happened, in words; of errors what the kernel says, among it the
 *	severity ("corrected", "non-fatal", "fatal") or the DMA address
 */
struct pt_event {
	enum pt_event_kind kind;
	int64_t time_ms;
	struct pt_address address;
	char driver[64];
	bool has_claim;
	struct pt_claim claim;
	char text[256];
};

struct pt_watch;

/**
 * pt_watch_new() - begin to watch
 * @host: the host; must outlive the watch
 * @ret_watch: freed by the caller with pt_watch_free()
 * @err: PT_SYSTEM when there is nothing that can be watched
 *
 * Without root, or on another machine's files, some sources stay silent; the host's log
 * is told which. Events from now on are kept; none of before.
 *
 * Return: 0 or a negative errno.
 */
int pt_watch_new(struct pt_host *host, struct pt_watch **ret_watch, struct pt_error *err);

/**
 * pt_watch_free() - watch no longer
 * @watch: NULL is allowed
 */
void pt_watch_free(struct pt_watch *watch);

/**
 * pt_watch_fd() - a descriptor to poll
 * @watch: a watch
 *
 * Return: a descriptor that is readable when pt_watch_next() may have an event; owned by
 * @watch.
 */
int pt_watch_fd(const struct pt_watch *watch);

/**
 * pt_watch_next() - the next event
 * @watch: a watch
 * @ret_event: untouched unless 1 is returned
 * @err: PT_SYSTEM
 *
 * Never waits.
 *
 * Return: 1 with an event, 0 when there is none now, or a negative errno.
 */
int pt_watch_next(struct pt_watch *watch, struct pt_event *ret_event, struct pt_error *err);

/**
 * pt_event_kind_name() - the kind as it stands in JSON output
 * @kind: any value
 *
 * Return: a static string, "appeared" …
 */
const char *pt_event_kind_name(enum pt_event_kind kind);

#ifdef __cplusplus
}
#endif
#endif
