/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A conversation with one running QEMU in its QMP (qemu.git docs/interop/qmp-spec.rst). Calls
 * are synchronous; one thread uses a connection at a time. What QEMU sends is bounded: it may
 * be in the hands of its guest.
 *
 * A guest is best started with two monitors: QEMU sends its events to all of them, so a loop can
 * watch the second (qmp_fd(), qmp_read_event()) while workers send commands through the first.
 *
 * Errors, all with reason PT_SYSTEM unless said otherwise, told apart by errnum:
 *	EREMOTEIO	QEMU refused the command; its class is in qmp_error_class(), its words
 *			are in the message. The connection goes on.
 *	ETIMEDOUT	no answer by the deadline. The connection goes on; the late answer is
 *			dropped when it comes, but QEMU may have done what was asked.
 *	ECONNRESET	the connection is lost (QEMU ended); so it stays.
 *	EPROTO		QEMU sent what isn't QMP, or too much; so it stays.
 */
#ifndef QMP_QMP_H
#define QMP_QMP_H

#include <stdbool.h>
#include <stdint.h>

#include <json-c/json.h>

#include "base/auto.h"
#include "base/error.h"

/*
 * The longest message that is accepted, as text and in memory once parsed, and its depth. Of what
 * is asked here two replies grow with the guest: query-pci, which takes 6 MiB with devices behind
 * 240 root ports, and query-cpus-fast, 3.5 KiB a processor. They may be long; many guests may be
 * asked at once.
 */
#define QMP_MAX_MESSAGE	    (1024u * 1024)
#define QMP_MAX_MEMORY	    (1024u * 1024)
#define QMP_MAX_LONG_MEMORY (8u * 1024 * 1024)
#define QMP_MAX_DEPTH	    64

/*
 * The longest event on a connection for events, likewise; and how many events are kept, in which
 * memory.
 */
#define QMP_MAX_EVENT	     (64u * 1024)
#define QMP_MAX_EVENT_MEMORY (256u * 1024)
#define QMP_MAX_EVENTS	     1024
#define QMP_MAX_KEPT_BYTES   (2u * 1024 * 1024)

/* At most so many bytes are received at once. */
#define QMP_RECEIVE_MAX (16u * 1024)

struct qmp;

/* An event as QEMU sent it. */
struct qmp_event {
	struct json_object *message; /* all of it; owns the others */
	const char *name;	     /* "DEVICE_DELETED" */
	struct json_object *data;    /* may be NULL: not every event has any */
};

/* Lets the event go and zeroes it; nothing on a zeroed one. */
void qmp_event_free(struct qmp_event *event);

/* Text member of an event's data, NULL if it is missing: qmp_event_text(&event, "device"). */
const char *qmp_event_text(const struct qmp_event *event, const char *key);

/* Connect to a unix socket, hear the greeting, end the negotiation. */
int qmp_connect(const char *path, unsigned int timeout_ms, struct qmp **ret_qmp,
		struct pt_error *err);

/* The same on a connected stream socket, which is taken, on failure too. */
int qmp_open(int fd, unsigned int timeout_ms, struct qmp **ret_qmp, struct pt_error *err);

/* Close the connection; QEMU doesn't mind. NULL is allowed. */
void qmp_close(struct qmp *qmp);
AUTO_DEFINE(qmp, struct qmp *, qmp_close)

/*
 * Call a command and wait for its answer. @arguments (NULL for none) is taken in any case.
 * @ret_answer may be NULL; else it gets the "return" member, owned by the caller. Events that
 * come meanwhile are kept for qmp_wait_event() and qmp_read_event().
 */
int qmp_call(struct qmp *qmp, const char *command, struct json_object *arguments,
	     unsigned int timeout_ms, struct json_object **ret_answer, struct pt_error *err);

/*
 * The same with a descriptor handed over beside it, for "getfd" and "add-fd"; @fd stays the
 * caller's.
 */
int qmp_call_with_fd(struct qmp *qmp, const char *command, struct json_object *arguments, int fd,
		     unsigned int timeout_ms, struct json_object **ret_answer,
		     struct pt_error *err);

/* Class of the last refusal (EREMOTEIO): "GenericError", "DeviceNotFound", …; never NULL. */
const char *qmp_error_class(const struct qmp *qmp);

/* QEMU's version from the greeting, as libvirt counts: 10.0.2 is 10 000 002. */
unsigned long qmp_version(const struct qmp *qmp);

/*
 * True after QEMU has ended, or has sent invalid QMP. Only qmp_close() and stored events work then.
 */
bool qmp_is_lost(const struct qmp *qmp);

/*
 * Wait for the first event that @match says true to, among those kept and those to come;
 * others stay kept, in order. When more than QMP_MAX_EVENTS are kept the oldest are forgotten.
 */
int qmp_wait_event(struct qmp *qmp, bool (*match)(const struct qmp_event *event, void *context),
		   void *context, unsigned int timeout_ms, struct qmp_event *ret_event,
		   struct pt_error *err);

/* Forget the events that are kept. */
void qmp_drop_events(struct qmp *qmp);

/* From now on only events are expected, which are short: a longer message is EPROTO. */
void qmp_expect_events(struct qmp *qmp);

/* For a loop: poll it for reading, then call qmp_read_event() until it doesn't return 1. */
int qmp_fd(const struct qmp *qmp);

/*
 * Without waiting: 1 and the next event, 0 if there is none yet, or a negative errno. It receives
 * at most once, and clears @may_receive then, so that a round over the events of one QEMU ends
 * whatever this QEMU sends; the poll reports the rest.
 */
int qmp_read_event(struct qmp *qmp, bool *may_receive, struct qmp_event *ret_event,
		   struct pt_error *err);

#endif
