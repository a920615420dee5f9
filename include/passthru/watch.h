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
 * A watch receives device events as they happen: changes of PCI functions and drivers (kobject
 * uevents), changes of claims, and errors in the kernel log: PCI Express errors (AER, DPC) and
 * DMA that the IOMMU blocked. An error comes with the claim on the device, which names the guest.
 */

/**
 * enum pt_event_kind - the kind of an event
 * @PT_EVENT_APPEARED: a function was added to the machine
 * @PT_EVENT_LEFT: it was removed
 * @PT_EVENT_BOUND: a driver was bound to it
 * @PT_EVENT_UNBOUND: its driver was unbound
 * @PT_EVENT_CLAIMED: its claim is new or has changed
 * @PT_EVENT_RELEASED: its claim was removed
 * @PT_EVENT_BUS_ERROR: the function reported a PCI Express error
 * @PT_EVENT_DMA_FAULT: the IOMMU blocked a DMA of the function
 * @PT_EVENT_LOST: events were lost; read the state of all devices again
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

/** PT_WATCH - the bit of a kind: pt_watch_new() takes PT_WATCH(PT_EVENT_LEFT) | PT_WATCH(…) */
#define PT_WATCH(kind) (1U << (kind))

/** PT_WATCH_ALL - all kinds */
#define PT_WATCH_ALL (~0U)

/**
 * struct pt_event - one event
 * @kind: the kind
 * @time_ms: when it was received, milliseconds since the epoch
 * @address: the function; not with PT_EVENT_LOST
 * @driver: the new driver (PT_EVENT_BOUND) or the previous one (PT_EVENT_UNBOUND; "" if unknown);
 *	else ""
 * @has_claim: the device was claimed when the event was received
 * @claim: the claim; only with @has_claim
 * @text: describes the event together with @kind; for errors the kernel's message,
 *	with the severity ("corrected", "non-fatal", "fatal") or the DMA address
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
 * pt_watch_new() - start a watch
 * @host: the host; must outlive the watch
 * @kinds: the kinds of events to receive, or PT_WATCH_ALL; PT_EVENT_LOST is always received.
 *	A source of events is opened, and the drivers that functions have now are read, only if
 *	one of @kinds needs it
 * @ret_watch: freed by the caller with pt_watch_free()
 * @err: PT_SYSTEM if no source of events is available
 *
 * Without root, or on another machine's files, some sources are unavailable; the host's log names
 * them. The watch receives events from now on, and no earlier ones.
 *
 * Return: 0 or a negative errno.
 */
int pt_watch_new(struct pt_host *host, unsigned int kinds, struct pt_watch **ret_watch,
		 struct pt_error *err);

/**
 * pt_watch_free() - end a watch
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
 * Return: 1 with an event, 0 if there is none now, or a negative errno.
 */
int pt_watch_next(struct pt_watch *watch, struct pt_event *ret_event, struct pt_error *err);

/**
 * pt_event_kind_name() - the name of a kind in JSON output
 * @kind: any value
 *
 * Return: a static string, "appeared" …
 */
const char *pt_event_kind_name(enum pt_event_kind kind);

#ifdef __cplusplus
}
#endif
#endif
