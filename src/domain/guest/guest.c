/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/guest/guest.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "assign/owner.h"
#include "base/clock.h"
#include "base/text.h"
#include "domain/confine/run_files.h"
#include "domain/confine/profile.h"
#include "domain/confine/files.h"
#include "domain/resources/macvtap.h"
#include "domain/resources/usb.h"
#include "domain/resources/vf.h"
#include "domain/confine/output.h"
#include "domain/confine/own_user.h"
#include "domain/resources/companion.h"

/* ---- the struct ---- */

struct guest *guest_new(void)
{
	struct guest *guest = calloc(1, sizeof(*guest));
	pthread_condattr_t attributes;

	if (!guest)
		return NULL;
	(void)pthread_mutex_init(&guest->lock, NULL);
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&guest->changed, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	guest->users = 1;
	guest->pidfd = -1;
	guest->output_fd = -1;
	return guest;
}

struct guest *guest_ref(struct guest *guest)
{
	guest->users++;
	return guest;
}

void guest_unref(struct guest *guest)
{
	if (!guest || --guest->users)
		return;
	qmp_close(guest->qmp);
	if (guest->pidfd >= 0)
		close(guest->pidfd);
	if (guest->output_fd >= 0)
		close(guest->output_fd);
	view_unpin(&guest->pins);
	store_live_free(guest->record);
	definition_free(guest->live);
	(void)pthread_cond_destroy(&guest->changed);
	(void)pthread_mutex_destroy(&guest->lock);
	free(guest->root);
	free(guest);
}

/* ---- its process ---- */

int guest_signal(const struct guest *guest, int number)
{
	return syscall(SYS_pidfd_send_signal, guest->pidfd, number, NULL, 0) < 0 ? -errno : 0;
}

bool guest_wait_end(const struct guest *guest, unsigned int timeout_ms)
{
	struct pollfd poll_fd = {.fd = guest->pidfd, .events = POLLIN};
	int64_t deadline = clock_now_ms() + timeout_ms, left = timeout_ms;
	int r;

	while ((r = poll(&poll_fd, 1, (int)left)) < 0 && errno == EINTR) {
		left = deadline - clock_now_ms();
		left = left > 0 ? left : 0;
	}
	return r > 0;
}

/* A zombie looks like a living process in /proc. */
static void guest_reap(const struct guest *guest)
{
	siginfo_t info;

	if (guest->is_child)
		(void)waitid(P_PIDFD, (id_t)guest->pidfd, &info, WEXITED | WNOHANG);
}

struct pt_owner guest_owner(const struct store_live *record)
{
	struct pt_owner owner = {
		.kind = PT_OWNER_DOMAIN, .pid = record->pid, .start_time = record->start_time};

	text_copy(owner.name, sizeof(owner.name), record->name);
	return owner;
}

/* Whom it has in common with other guests: an account, which may be gone by now. */
static void find_common_user(struct guest *guest, const char *name)
{
	struct confine_user common;

	if (!*name || confine_find_user(name, &common, NULL) < 0)
		return;
	guest->user.common_uid = common.uid;
	guest->user.common_gid = common.gid;
	text_copy(guest->user.name, sizeof(guest->user.name), common.name);
}

int guest_adopt(struct pt_host *host, struct store_live *record, struct guest **ret_guest,
		struct pt_error *err)
{
	AUTO(auto_guest) struct guest *guest = guest_new();
	int r;

	if (!guest)
		return pt_fail_memory(err);
	guest->owner = guest_owner(record);
	text_copy(guest->name, sizeof(guest->name), record->name);
	guest->id = record->id;
	guest->root = strdup(host->root);
	if (!guest->root)
		return pt_fail_memory(err);
	r = owner_open_process(host, record->pid, record->start_time);
	if (r >= 0)
		guest->pidfd = r;
	if (r == -ESRCH || (r >= 0 && guest_wait_end(guest, 0)))
		return pt_fail(err, PT_SYSTEM, ESRCH, "its process has ended");
	if (r < 0)
		return pt_fail(err, PT_SYSTEM, -r, "its process %ld can't be looked at: %s",
			       (long)record->pid, strerror(-r));
	r = confine_user_of_process(host, record->pid, &guest->user, err);
	/* it may end at any time, and then nothing can be read of it */
	if (r < 0 && guest_wait_end(guest, 0))
		return pt_fail(err, PT_SYSTEM, ESRCH, "its process has ended");
	if (!r)
		r = definition_parse(record->xml, DEFINITION_LIVE, &guest->live, err);
	if (r < 0)
		return r;
	find_common_user(guest, record->user);
	own_user_note_common(guest->user.common_uid);
	r = output_find(host, record->pid);
	if (r >= 0)
		guest->output_fd = r;
	guest->record = record;
	*ret_guest = TAKE_POINTER(guest);
	return 0;
}

/* ---- talking to it ---- */

int guest_connect(struct guest *guest, unsigned int timeout_ms, struct pt_error *err)
{
	char path[GUEST_PATH];
	int r;

	if (guest->qmp && !qmp_is_lost(guest->qmp))
		return 0;
	qmp_close(guest->qmp);
	guest->qmp = NULL;
	r = run_files_socket_path(guest->root, guest->name, GUEST_COMMANDS, path, err);
	return r < 0 ? r : qmp_connect(path, timeout_ms, &guest->qmp, err);
}

int guest_connect_events(const struct guest *guest, unsigned int timeout_ms,
			 struct qmp **ret_events, struct pt_error *err)
{
	char path[GUEST_PATH];
	int r = run_files_socket_path(guest->root, guest->name, GUEST_EVENTS, path, err);

	return r < 0 ? r : qmp_connect(path, timeout_ms, ret_events, err);
}

int guest_call(struct guest *guest, const char *command, struct json_object *arguments,
	       struct json_object **ret_answer, struct pt_error *err)
{
	unsigned int timeout_ms = guest->is_silent ? GUEST_CALL_AGAIN_MS : GUEST_CALL_MS;
	int r = guest_connect(guest, timeout_ms, err);

	if (r < 0) {
		json_object_put(arguments);
	} else {
		r = qmp_call(guest->qmp, command, arguments, timeout_ms, ret_answer, err);
		/* the loop reads the events, from a connection of its own */
		qmp_drop_events(guest->qmp);
	}
	guest->is_silent = r == -ETIMEDOUT;
	if (r == -EPROTO && guest_signal(guest, SIGKILL) == 0)
		pt_error_append(err, "; QEMU was killed");
	return r;
}

/* What the next daemon could not read would be a guest that it doesn't find. */
static int check_readable(const char *xml, struct pt_error *err)
{
	AUTO(auto_definition) struct definition *live = NULL;
	int r = definition_parse(xml, DEFINITION_LIVE, &live, err);

	if (r < 0)
		pt_error_prefix(err, "this is a fault of passthrud: it couldn't read its own words "
				     "back: ");
	return r;
}

int guest_save(struct pt_host *host, struct guest *guest, struct pt_error *err)
{
	AUTO_FREE char *xml = NULL;
	int r = definition_format(guest->live, DEFINITION_LIVE | DEFINITION_SECURE, &xml, err);

	if (!r)
		r = check_readable(xml, err);
	if (r < 0)
		return r;
	free(guest->record->xml);
	guest->record->xml = TAKE_POINTER(xml);
	return store_write_live(host, guest->record, err);
}

/* ---- the end ---- */

int guest_end(struct pt_host *host, struct guest *guest, struct pt_error *err)
{
	int r;

	guest_reap(guest);
	qmp_close(guest->qmp);
	guest->qmp = NULL;
	companions_end(host, guest->record);
	vf_settle(host, NULL, guest->record);
	usb_settle(host, NULL, guest->record);
	macvtap_remove(host, guest->live, NULL);
	r = guest_give_back(host, &guest->owner, guest->live, err);
	files_take_back(host, guest->record, 0);
	view_unpin(&guest->pins);
	profile_remove(host, guest->live);
	run_files_remove(host, guest->name);
	if (store_remove_live(host, guest->name, r < 0 ? NULL : err) < 0)
		r = r < 0 ? r : -EIO;
	(void)pthread_mutex_lock(&guest->lock);
	guest->has_ended = true;
	(void)pthread_cond_broadcast(&guest->changed);
	(void)pthread_mutex_unlock(&guest->lock);
	return r;
}

int guest_forget(struct pt_host *host, struct store_live *record, struct pt_error *err)
{
	AUTO(auto_definition) struct definition *live = NULL;
	const struct pt_owner owner = guest_owner(record);
	int r;

	companions_end(host, record);
	vf_restore(host, record);
	usb_settle(host, NULL, record);
	(void)definition_parse(record->xml, DEFINITION_LIVE, &live, NULL);
	r = guest_give_back(host, &owner, live, err);
	files_take_back(host, record, 0);
	if (live) {
		macvtap_remove(host, live, NULL);
		profile_remove(host, live);
	}
	run_files_remove(host, record->name);
	return r < 0 ? r : store_remove_live(host, record->name, err);
}
