/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A running guest: its QEMU, the devices claimed in the name of that process, its live
 * definition, and the state file for a later daemon.
 *
 * One thread at a time changes a guest (it has the daemon's job). @lock is for readers; the
 * worker holds it while it changes the fields that they read.
 */
#ifndef DOMAIN_GUEST_GUEST_H
#define DOMAIN_GUEST_GUEST_H

#include <pthread.h>
#include <stdatomic.h>

#include "domain/confine/confine.h"
#include "domain/definition/definition.h"
#include "domain/confine/reach.h"
#include "domain/confine/view.h"
#include "domain/store/store.h"
#include "qmp/qmp.h"

/* How long QEMU may take to answer what should be quick, in ms. */
#define GUEST_CALL_MS 30000
/* The same, once it hasn't answered: what waits for the guest's job needn't wait as long again. */
#define GUEST_CALL_AGAIN_MS 1000

/* The default timeout of an unplug. */
#define GUEST_UNPLUG_MS 10000

struct guest;

/*
 * Limit the process of a guest to what @live needs: before it becomes QEMU (the record's phase is
 * STORE_STARTING), before a device is plugged in and when one is out.
 */
typedef int (*guest_limit_fn)(const struct guest *guest, const struct definition *live,
			      const struct reach *reach, struct pt_error *err);

/* The guest's reply to an unplug request. */
enum guest_unplug { GUEST_UNPLUG_ASKED, GUEST_UNPLUG_REFUSED, GUEST_UNPLUG_DONE };

struct guest {
	pthread_mutex_t lock;
	pthread_cond_t changed; /* a device left, a refusal, or the end */
	_Atomic unsigned int users;

	/* these don't change */
	char name[STORE_NAME];
	char *root; /* of its sockets: pt_host's */
	int id;
	struct pt_owner owner;
	struct confine_user user;
	int pidfd;
	int output_fd; /* of its pipe (confine/output.h); -1: none */
	bool is_child;
	guest_limit_fn limit; /* the daemon's; NULL for none */

	/* the worker's */
	struct qmp *qmp; /* NULL when the connection is lost or not made yet */
	bool is_silent;	 /* QEMU didn't answer the last call */
	struct view_pins pins;

	/* under the lock */
	struct store_live *record; /* its xml is set when it is written */
	struct definition *live;
	bool has_ended;
	struct {
		char alias[STORE_ALIAS];
		enum guest_unplug answer;
		bool is_awaited; /* by a worker, which does the rest */
	} unplug;
};

struct guest_options {
	int id;
	bool is_paused;
	const struct confine_user *user;
	/* called before a long operation, with a text; NULL for none */
	void (*notice)(const char *text);
	guest_limit_fn limit; /* NULL for none */
	/*
	 * called once its process exists, which guest_signal() can end from now on; false: the
	 * start is given up. NULL for none
	 */
	bool (*begun)(void *context, struct guest *guest);
	void *context;
};

/*
 * Start it: claim and reset all of its host devices together, run QEMU, connect. @ret_events
 * gets the second QMP connection. All or nothing: on failure nothing of it is left.
 */
int guest_start(struct pt_host *host, const struct definition *def,
		const struct guest_options *options, struct guest **ret_guest,
		struct qmp **ret_events, struct pt_error *err);

/*
 * After a restart of the daemon: the guest of @record (owned by the guest on success), whose
 * process is alive. ESRCH if it is not.
 */
int guest_adopt(struct pt_host *host, struct store_live *record, struct guest **ret_guest,
		struct pt_error *err);

/* Open the connection for commands if there is none. */
int guest_connect(struct guest *guest, unsigned int timeout_ms, struct pt_error *err);
int guest_connect_events(const struct guest *guest, unsigned int timeout_ms,
			 struct qmp **ret_events, struct pt_error *err);

/*
 * qmp_call() on it, connecting first where needed. A QEMU that breaks the protocol or its bounds is
 * killed: no QEMU does that that is itself.
 */
int guest_call(struct guest *guest, const char *command, struct json_object *arguments,
	       struct json_object **ret_answer, struct pt_error *err);

/* What QEMU says of its processors: "running", "paused", "io-error"…: RunState in its QAPI. */
#define GUEST_STATUS 32
int guest_read_status(struct guest *guest, char status[GUEST_STATUS], struct pt_error *err);

/*
 * With the guest's job: how much of its memory the guest has, as its balloon's driver left it, goes
 * to its live definition (currentMemory). Nothing is asked of a guest without a balloon.
 */
int guest_read_memory(struct guest *guest, struct pt_error *err);

/*
 * Call all of {"execute": …, "arguments": …} in order; when one fails, those before it are undone
 * in the reverse order, unless QEMU didn't answer at all.
 */
int guest_call_all(struct guest *guest, struct json_object *commands, unsigned int timeout_ms,
		   struct pt_error *err);

/*
 * QEMU's devices that have an alias, for guest_has_device(); the list is freed with
 * json_object_put().
 */
int guest_list_devices(struct guest *guest, struct json_object **ret_list, struct pt_error *err);
bool guest_has_device(struct json_object *list, const char *alias);

/* Which ptys QEMU made for its consoles, into the live definition. */
int guest_read_consoles(struct guest *guest, struct pt_error *err);

/* Write the file. */
int guest_save(struct pt_host *host, struct guest *guest, struct pt_error *err);

/* -ESRCH when it is gone already. */
int guest_signal(const struct guest *guest, int number);

/* True when QEMU has ended by then. */
bool guest_wait_end(const struct guest *guest, unsigned int timeout_ms);

/* QEMU has ended: reset and return all its devices, remove its file. Can be repeated. */
int guest_end(struct pt_host *host, struct guest *guest, struct pt_error *err);

/* The same for a guest that ended while no daemon ran, of which only the file is left. */
int guest_forget(struct pt_host *host, struct store_live *record, struct pt_error *err);

/*
 * Return all devices claimed in its name, and their nodes. A device of @live (NULL: unknown) with
 * an unreadable claim is not returned, only its node: PT_CORRUPT names the file.
 */
int guest_give_back(struct pt_host *host, const struct pt_owner *owner,
		    const struct definition *live, struct pt_error *err);

/* Give back some of them. */
int guest_give_back_devices(struct pt_host *host, const struct pt_owner *owner,
			    const struct pt_address *devices, size_t count, struct pt_error *err);

/* Return the devices that are claimed for it but missing in its live definition. */
int guest_give_back_unused(struct pt_host *host, struct guest *guest, struct pt_error *err);

/*
 * Why a guest can't have these devices beyond what plans say: an unmanaged device that a host
 * driver still has. All reasons, a line each.
 */
int guest_check_unmanaged(struct pt_host *host, const struct definition_hostdev *hostdevs,
			  size_t count, struct pt_error *err);

/* Claim devices for it: one request, so all or none; then let its user at their nodes. */
int guest_take(struct pt_host *host, const struct pt_owner *owner, const struct confine_user *user,
	       const struct definition_hostdev *hostdevs, size_t count, struct pt_error *err);

/*
 * MAC addresses and VLANs of the virtual functions it has claimed, as @live says (of @device
 * alone, unless that is NULL).
 */
int guest_set_vfs(struct pt_host *host, struct guest *guest, const struct definition *live,
		  const xmlNode *device, struct pt_error *err);

/*
 * Claim the host's USB devices that @live has (@device: only that one), as usb_choose() chose them,
 * and save that: PT_IN_USE when another guest has one.
 */
int guest_take_usb(struct pt_host *host, struct guest *guest, const struct definition *live,
		   const xmlNode *device, struct pt_error *err);

/* Let its QEMU at what @live needs, and at nothing else. */
int guest_confine(struct pt_host *host, struct guest *guest, const struct definition *live,
		  struct pt_error *err);

/* The same with its live definition; what fails is in the log, for it keeps more, not less. */
void guest_confine_again(struct pt_host *host, struct guest *guest);

struct guest *guest_ref(struct guest *guest);
void guest_unref(struct guest *guest); /* NULL is allowed */
AUTO_DEFINE(guest, struct guest *, guest_unref)

/* In whose name the devices of @record's guest are claimed. */
struct pt_owner guest_owner(const struct store_live *record);

/* For guest_start(): an empty one. */
struct guest *guest_new(void);

#endif
