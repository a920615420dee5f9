/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The start of a guest. QEMU's process exists, held at its barrier, before anything is claimed;
 * so whatever dies when, each claim has an owner that lives as long as it should, and the file
 * under run/passthru/guests says what was begun.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "assign/claim.h"
#include "base/auto.h"
#include "base/io.h"
#include "base/text.h"
#include "domain/command_line/command_line.h"
#include "domain/guest/guest.h"
#include "domain/confine/output.h"
#include "domain/confine/own_user.h"
#include "domain/confine/run_files.h"
#include "domain/confine/secmodel.h"
#include "domain/definition/complete.h"
#include "domain/confine/files.h"
#include "domain/resources/bar_window.h"
#include "domain/resources/resources.h"
#include "domain/resources/smbios.h"
#include "domain/confine/label.h"
#include "domain/confine/limits.h"
#include "domain/confine/spawn.h"
#include "domain/resources/listeners.h"
#include "domain/resources/macvtap.h"
#include "domain/resources/recorder.h"
#include "domain/resources/tpm.h"
#include "domain/resources/usb.h"
#include "domain/resources/virtiofs.h"
#include "domain/resources/volume.h"

/* What is kept of what QEMU says before its start has failed. */
#define OUTPUT_MAX ((size_t)1024 * 1024)

/* From here on a start is announced as slow. */
#define SLOW_MEMORY ((uint64_t)16 * 1024 * 1024 * 1024)

/* Two monitors, a TPM, a vsock, pipes and sockets, and two descriptors of each queue of a tap. */
_Static_assert(4 + RECORDER_MAX + LISTENERS_MAX + STORE_FILESYSTEMS_MAX +
			       2 * COMMAND_LINE_ALL_QUEUES_MAX <=
		       SPAWN_KEPT_MAX,
	       "a guest's QEMU inherits more than it can");

struct start {
	struct pt_host *host;
	const struct guest_options *options;
	struct guest *guest;
	struct definition_hostdev *hostdevs;
	size_t hostdev_count;
	struct command_line_files files;
	struct command_line_tap *taps;
	size_t tap_count;
	char folder[GUEST_PATH];
	char **argv;
	char **environment;
	int log_fd;
	long long log_start;
	int output_fd; /* QEMU's end of its pipe */
	struct spawn spawn;
	struct companions companions;
	int tpm_fd; /* QEMU's end of its socket pair with swtpm, and the other one */
	int tpm_own_fd;
	int vsock_fd;
	struct smbios_value smbios[SMBIOS_MAX];
	struct command_line_smbios words[SMBIOS_MAX];
	struct listeners listeners;
	struct recorder recorder;
	struct virtiofs virtiofs;
	struct qmp *events;
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void start_free(struct start *start)
{
	close_fd(&start->files.commands.fd);
	close_fd(&start->files.events.fd);
	close_fd(&start->log_fd);
	close_fd(&start->output_fd);
	close_fd(&start->spawn.status_fd);
	close_fd(&start->spawn.barrier_fd);
	close_fd(&start->tpm_fd);
	close_fd(&start->tpm_own_fd);
	close_fd(&start->vsock_fd);
	listeners_close(&start->listeners);
	recorder_close(&start->recorder);
	virtiofs_close(&start->virtiofs);
	companions_close(&start->companions);
	free(start->hostdevs);
	resources_close_taps(start->taps, start->tap_count);
	command_line_free(start->argv);
	command_line_free(start->environment);
	qmp_close(start->events);
	guest_unref(start->guest);
}

/* ---- before anything is changed ---- */

static int prepare_guest(struct start *start, const struct definition *def, struct pt_error *err)
{
	struct guest *guest = guest_new();
	int r;

	if (!guest)
		return pt_fail_memory(err);
	start->guest = guest;
	guest->id = start->options->id;
	guest->root = strdup(start->host->root);
	if (!guest->root)
		return pt_fail_memory(err);
	guest->user = *start->options->user;
	own_user_note_common(guest->user.common_uid);
	guest->is_child = true;
	guest->limit = start->options->limit;
	text_copy(guest->name, sizeof(guest->name), definition_name(def));
	guest->record = calloc(1, sizeof(*guest->record));
	if (!guest->record)
		return pt_fail_memory(err);
	r = definition_make_live(def, guest->id, &guest->live, err);
	if (!r)
		r = secmodel_choose(start->host, guest->live, &guest->user, err);
	if (r < 0)
		return r;
	text_copy(guest->record->name, sizeof(guest->record->name), guest->name);
	guest->record->id = guest->id;
	if (confine_is_own(&guest->user))
		text_copy(guest->record->user, sizeof(guest->record->user), guest->user.name);
	guest->record->has_view = !guest->user.sees_host;
	guest->record->has_pipes = true;
	guest->record->phase = STORE_STARTING;
	guest->record->since = (int64_t)time(NULL);
	return definition_hostdevs(guest->live, &start->hostdevs, &start->hostdev_count, err);
}

static int prepare_tpm(struct start *start, struct pt_error *err)
{
	int r;

	if (!tpm_is_wanted(start->guest->live))
		return 0;
	r = tpm_prepare(start->host, start->guest->live, &start->guest->user, &start->tpm_fd,
			&start->tpm_own_fd, err);
	if (r == 0)
		start->files.tpm_fd = start->tpm_fd;
	return r;
}

/* What QEMU inherits of them. */
static int prepare_sockets(struct start *start, struct pt_error *err)
{
	struct guest *guest = start->guest;
	int r;

	label_sockets(start->host, guest->live, true);
	r = run_files_listen(start->host, guest->name, GUEST_COMMANDS, &start->files.commands.fd,
			     err);
	if (!r)
		r = run_files_listen(start->host, guest->name, GUEST_EVENTS,
				     &start->files.events.fd, err);
	if (!r)
		r = listeners_open(start->host, guest->live, &start->listeners, err);
	if (!r)
		r = virtiofs_prepare(start->host, guest->live, &start->virtiofs, err);
	if (!r)
		r = prepare_tpm(start, err);
	label_sockets(start->host, guest->live, false);
	return r;
}

/* <smbios mode='host'>: the guest says of itself what the host's firmware does. */
static void prepare_smbios(struct start *start)
{
	size_t count;

	if (!text_equal(definition_get(start->guest->live, "os/smbios@mode"), "host"))
		return;
	count = smbios_read(start->host, start->smbios);
	for (size_t i = 0; i < count; i++)
		start->words[i] = (struct command_line_smbios){.element = start->smbios[i].element,
							       .name = start->smbios[i].name,
							       .text = start->smbios[i].text};
	start->files.smbios = start->words;
	start->files.smbios_count = count;
}

/* Where QEMU makes something itself. */
static int label_folder(const struct start *start, struct pt_error *err)
{
	AUTO_CLOSE int fd = openat(start->host->root_fd, io_relative(start->folder),
				   O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r = fd < 0 ? -errno : label_directory(start->host, start->guest->live, fd);

	return r < 0 ? pt_fail(err, PT_SYSTEM, -r, "can't label %s for QEMU: %s", start->folder,
			       strerror(-r))
		     : 0;
}

/* What QEMU inherits, in the words of its command line. */
static void name_inherited(struct start *start)
{
	struct command_line_files *files = &start->files;

	files->vsock_fd = start->vsock_fd > 0 ? start->vsock_fd : 0;
	files->taps = start->taps;
	files->tap_count = start->tap_count;
	files->outputs = start->recorder.outputs;
	files->output_count = start->recorder.count;
	files->listeners = start->listeners.sockets;
	files->listener_count = start->listeners.count;
	files->filesystems = start->virtiofs.sockets;
	files->filesystem_count = start->virtiofs.count;
}

static int prepare_files(struct start *start, struct pt_error *err)
{
	struct guest *guest = start->guest;
	int r = io_make_directories_at(start->host->root_fd, STORE_LIVE, 0755);

	if (r < 0)
		return state_fail(err, -r, STORE_LIVE);
	r = run_files_make_folder(start->host, guest->name,
				  command_line_has_own(guest->live) ? &guest->user : NULL,
				  start->folder, err);
	if (!r && command_line_has_own(guest->live))
		r = label_folder(start, err);
	if (r < 0)
		return r;
	start->files.run_directory = start->folder;
	start->files.is_paused = true;
	prepare_smbios(start);
	r = volumes_settle(start->host, guest->live, err);
	if (!r)
		r = usb_choose(start->host, guest->live, NULL, err);
	if (!r)
		r = bar_window_choose(start->host, guest->live, start->hostdevs,
				      start->hostdev_count, &start->files.window, err);
	if (!r)
		r = resources_check_pages(start->host, guest->live, err);
	if (!r)
		r = resources_choose_ports(start->host, guest->live, err);
	if (!r)
		r = resources_choose_render_node(start->host, guest->live, start->hostdevs,
						 start->hostdev_count, err);
	if (!r)
		r = resources_open_taps(start->host, guest->live, &start->taps, &start->tap_count,
					err);
	if (!r)
		r = resources_open_vsock(start->host, guest->live, &start->vsock_fd, err);
	if (!r)
		r = resources_make_nvram(start->host, guest->live, guest->user.common_uid,
					 guest->user.common_gid, err);
	if (!r)
		r = files_check(start->host, guest->live, NULL, &guest->user, guest->record, err);
	if (!r)
		r = recorder_prepare(start->host, guest->live, &guest->user, &start->recorder, err);
	if (!r)
		r = prepare_sockets(start, err);
	if (r < 0)
		return r;
	name_inherited(start);
	r = command_line_build(guest->live, &start->files, &start->argv, err);
	if (!r)
		r = command_line_environment(guest->live, &start->environment, err);
	if (!r)
		r = run_files_open_log(start->host, guest->name, start->argv, &start->log_fd,
				       &start->log_start, err);
	if (r < 0)
		return r;
	r = output_open(&guest->output_fd, &start->output_fd);
	return r < 0 ? pt_fail(err, PT_SYSTEM, -r, "can't create a pipe: %s", strerror(-r)) : 0;
}

/* ---- step by step ---- */

static int hold_tpm(struct start *start, struct spawn_request *request, struct pt_error *err)
{
	struct guest *guest = start->guest;

	if (start->tpm_fd < 0)
		return 0;
	request->kept[request->kept_count++] = start->tpm_fd;
	return tpm_hold(start->host, guest->live, &guest->user, start->tpm_own_fd, start->output_fd,
			guest->record, &start->companions, err);
}

static int hold_recorder(struct start *start, struct spawn_request *request, struct pt_error *err)
{
	const struct recorder *recorder = &start->recorder;
	struct guest *guest = start->guest;

	if (!recorder->count)
		return 0;
	for (size_t i = 0; i < recorder->count; i++)
		request->kept[request->kept_count++] = recorder->outputs[i].fd;
	return recorder_hold(start->host, recorder, &guest->user, start->output_fd, guest->record,
			     &start->companions, err);
}

static int hold_virtiofs(struct start *start, struct spawn_request *request, struct pt_error *err)
{
	const struct virtiofs *virtiofs = &start->virtiofs;
	struct guest *guest = start->guest;

	for (size_t i = 0; i < virtiofs->count; i++)
		request->kept[request->kept_count++] = virtiofs->sockets[i].fd;
	return virtiofs_hold(start->host, virtiofs, &guest->user, start->output_fd, guest->record,
			     &start->companions, err);
}

static int release(struct start *start, struct pt_error *err)
{
	int r = companions_release(&start->companions, err);

	return r < 0 ? r : spawn_release(&start->spawn, err);
}

static void keep(struct spawn_request *request, const int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		request->kept[request->kept_count++] = fds[i];
}

/* As many as there are in what command_line_check() takes; resources_open_taps() looks again. */
static void keep_taps(struct start *start, struct spawn_request *request)
{
	for (size_t i = 0; i < start->tap_count; i++) {
		const struct command_line_tap *tap = &start->taps[i];

		keep(request, tap->fds, tap->count);
		keep(request, tap->vhost_fds, tap->has_vhost ? tap->count : 0);
	}
}

static int hold(struct start *start, struct pt_error *err)
{
	struct guest *guest = start->guest;
	struct spawn_request request = {
		.argv = start->argv,
		.environment = start->environment,
		.user = &guest->user,
		.own = start->folder,
		.label = secmodel_label(guest->live),
		.locked_memory = limits_lock_bytes(guest->live, start->hostdev_count),
		.must_lock = limits_must_lock(guest->live, start->hostdev_count),
		.output_fd = start->output_fd,
		.kept = {start->files.commands.fd, start->files.events.fd},
		.kept_count = 2,
	};
	size_t i;
	int r, pidfd;

	keep_taps(start, &request);
	if (start->vsock_fd >= 0)
		request.kept[request.kept_count++] = start->vsock_fd;
	for (i = 0; i < start->listeners.count; i++)
		request.kept[request.kept_count++] = start->listeners.sockets[i].fd;
	r = hold_tpm(start, &request, err);
	if (!r)
		r = hold_recorder(start, &request, err);
	if (!r)
		r = hold_virtiofs(start, &request, err);
	if (!r)
		r = spawn_begin(start->host, &request, &start->spawn, err);
	if (r < 0)
		return r;
	pidfd = dup(start->spawn.pidfd);
	if (pidfd < 0)
		return pt_fail(err, PT_SYSTEM, errno,
			       "can't create a descriptor: "
			       "%s",
			       strerror(errno));
	guest->pidfd = pidfd;
	guest->record->pid = start->spawn.pid;
	guest->record->start_time = start->spawn.start_time;
	guest->owner = guest_owner(guest->record);
	if (start->options->begun && !start->options->begun(start->options->context, guest))
		return pt_fail(err, PT_BUSY, ECANCELED, "the start was cancelled");
	return guest_save(start->host, guest, err);
}

/* What QEMU said on its way out is worth more than that its connection broke. */
static int explain(const struct start *start, int r, struct pt_error *err)
{
	char text[1024];

	if (r >= 0 || (r != -ECONNRESET && r != -ECONNREFUSED && r != -EPIPE))
		return r;
	(void)guest_wait_end(start->guest, 2000);
	(void)output_move(start->guest->output_fd, start->log_fd, OUTPUT_MAX);
	run_files_read_log(start->host, start->guest->name, start->log_start, text, sizeof(text));
	return pt_fail(err, PT_SYSTEM, ECONNRESET,
		       "QEMU unexpectedly closed the monitor (vm='%s'): %s", start->guest->name,
		       *text ? text : "it printed no message");
}

/* QMP commands before the guest runs. */
static int settle(struct guest *guest, struct pt_error *err)
{
	struct json_object *commands = NULL;
	int r = command_line_settle(guest->live, &commands, err);

	if (!r)
		r = guest_call_all(guest, commands, GUEST_CALL_MS, err);
	json_object_put(commands);
	return r;
}

static int converse(struct start *start, struct pt_error *err)
{
	struct guest *guest = start->guest;
	unsigned int patience = limits_start_ms(guest->live, start->hostdev_count);
	int r;

	/* QEMU has its own: with ours closed, its end ends the connection */
	close_fd(&start->files.commands.fd);
	close_fd(&start->files.events.fd);
	close_fd(&start->tpm_fd);
	close_fd(&start->tpm_own_fd);
	close_fd(&start->output_fd);
	close_fd(&start->vsock_fd);
	recorder_close(&start->recorder);
	virtiofs_close(&start->virtiofs);
	listeners_close(&start->listeners);
	r = guest_connect(guest, patience, err);
	if (!r)
		r = guest_connect_events(guest, patience, &start->events, err);
	if (!r)
		r = guest_read_consoles(guest, err);
	if (!r)
		r = settle(guest, err);
	/* all of it, until its driver gives some back */
	if (!r && definition_memory_now(guest->live) != definition_memory(guest->live))
		(void)guest_read_memory(guest, NULL);
	if (!r)
		r = resources_pin(start->host, guest->live, guest->qmp, guest->owner.pid, err);
	if (!r && !start->options->is_paused)
		r = guest_call(guest, "cont", NULL, NULL, err);
	if (r < 0)
		return explain(start, r, err);
	guest->record->phase = STORE_RUNNING;
	return guest_save(start->host, guest, err);
}

static void undo(struct start *start)
{
	struct guest *guest = start->guest;
	struct pt_error err;

	companions_close(&start->companions);
	/* QEMU's ends: without ours they end when QEMU has */
	close_fd(&start->tpm_fd);
	recorder_close(&start->recorder);
	virtiofs_close(&start->virtiofs);
	if (guest->owner.pid) {
		(void)guest_signal(guest, SIGKILL);
		/* not even SIGKILL ends what is in a driver; its claims stay until it does */
		if (!guest_wait_end(guest, GUEST_CALL_MS))
			host_log(start->host, PT_LOG_WARNING, "QEMU (pid %d) does not exit",
				 (int)guest->owner.pid);
		close_fd(&start->spawn.pidfd);
		if (guest_end(start->host, guest, &err) < 0)
			host_log(start->host, PT_LOG_WARNING, "guest %s: %s", guest->name,
				 err.message);
		return;
	}
	spawn_cancel(&start->spawn);
	macvtap_remove(start->host, guest->live, NULL);
	run_files_remove(start->host, guest->name);
}

static void tell_if_slow(const struct start *start)
{
	const struct definition *live = start->guest->live;
	uint64_t memory = definition_memory(live);
	char text[256];

	if (!start->options->notice || !start->hostdev_count || memory < SLOW_MEMORY ||
	    definition_memory_is_huge(live))
		return;
	(void)text_format(text, sizeof(text),
			  "guest %s: pinning %llu GiB of memory for its devices takes about %llu "
			  "s; huge pages (<memoryBacking><hugepages/>) are faster",
			  start->guest->name, (unsigned long long)(memory >> 30),
			  (unsigned long long)(memory >> 32) + 1);
	start->options->notice(text);
}

static int start_run(struct start *start, const struct definition *def, struct pt_error *err)
{
	int r = prepare_guest(start, def, err);

	if (!r)
		r = guest_check_unmanaged(start->host, start->hostdevs, start->hostdev_count, err);
	if (r < 0)
		return r;
	r = prepare_files(start, err);
	if (!r)
		r = hold(start, err);
	if (!r)
		r = guest_take_usb(start->host, start->guest, start->guest->live, NULL, err);
	if (!r)
		r = files_lend(start->host, start->guest->record, 0, &start->guest->user, err);
	if (!r)
		r = guest_take(start->host, &start->guest->owner, &start->guest->user,
			       start->hostdevs, start->hostdev_count, err);
	if (!r)
		r = guest_set_vfs(start->host, start->guest, start->guest->live, NULL, err);
	if (!r)
		r = spawn_await(&start->spawn, err);
	if (!r)
		r = guest_confine(start->host, start->guest, start->guest->live, err);
	if (!r) {
		tell_if_slow(start);
		r = release(start, err);
	}
	if (!r)
		r = converse(start, err);
	if (r < 0)
		undo(start);
	return r;
}

int guest_start(struct pt_host *host, const struct definition *def,
		const struct guest_options *options, struct guest **ret_guest,
		struct qmp **ret_events, struct pt_error *err)
{
	struct start start = {.host = host,
			      .options = options,
			      .files = {.commands.fd = -1, .events.fd = -1},
			      .log_fd = -1,
			      .output_fd = -1,
			      .spawn = SPAWN_NONE,
			      .tpm_fd = -1,
			      .tpm_own_fd = -1,
			      .vsock_fd = -1};
	int r = start_run(&start, def, err);

	if (r < 0 && start.log_fd >= 0)
		(void)output_move(start.guest->output_fd, start.log_fd, OUTPUT_MAX);
	close_fd(&start.spawn.pidfd);
	if (!r) {
		*ret_guest = TAKE_POINTER(start.guest);
		*ret_events = TAKE_POINTER(start.events);
	}
	start_free(&start);
	return r;
}
