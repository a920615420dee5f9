/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon begins, for the first time since the host did, or after it was stopped, upgraded or
 * killed: what is defined is read, what runs is found again.
 */
#include "daemon/guests/load.h"

#include <fcntl.h>
#include <passthru/plan.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "base/auto.h"
#include "daemon/guests/both.h"
#include "daemon/guests/domain_events.h"
#include "daemon/guests/end.h"
#include "daemon/guests/logs.h"
#include "daemon/log.h"
#include "daemon/guests/monitor.h"
#include "daemon/guests/reboot.h"
#include "daemon/guests/scope.h"
#include "daemon/guests/start.h"
#include "domain/confine/run_files.h"
#include "domain/resources/macvtap.h"
#include "domain/definition/defaults.h"
#include "domain/guest/hotplug.h"

/* There once what starts with the host was started; /run is empty after a boot. */
#define AUTOSTARTED STORE_LIVE "/.autostarted"
/* Until then: a file for each guest that was begun. */
#define AUTOSTARTING STORE_LIVE "/.autostarting"

#define RECONNECT_MS 10000
#define KILL_MS	     30000

/* ---- done by workers ---- */

static void report(void *context, const struct pt_address *address, const char *what)
{
	char text[PT_ADDRESS_TEXT];

	(void)context;
	log_message(PT_LOG_NOTICE, "%s: %s", pt_address_format(address, text), what);
}

static void do_recover(struct pt_host *host, struct domain *domain, struct guest *guest,
		       const char *alias)
{
	struct pt_error err;

	(void)domain;
	(void)guest;
	(void)alias;
	if (pt_recover(host, report, NULL, &err) < 0)
		log_message(PT_LOG_WARNING, "recovery: %s", err.message);
}

/* It ended while no daemon was there to see it. */
static void do_forget(struct pt_host *host, struct domain *domain, struct guest *guest,
		      const char *alias)
{
	AUTO(auto_store_live) struct store_live *record = NULL;
	AUTO(auto_definition) struct definition *live = NULL;
	struct pt_error err;
	int r = store_read_live(host, domain->name, &record, &err);

	(void)guest;
	(void)alias;
	(void)state_fail_file(r, &state_live, domain->name, &err);
	if (!r)
		r = guest_forget(host, record, &err);
	if (!r && definition_parse(record->xml, DEFINITION_LIVE, &live, NULL) == 0)
		domain_forget_state(host, domain, live);
	if (r < 0)
		log_message(PT_LOG_WARNING, "guest %s: %s", domain->name, err.message);
	else
		log_message(PT_LOG_NOTICE,
			    "guest %s has ended: its devices were returned to the "
			    "host",
			    domain->name);
	both_recover(host, domain);
	guests_lock(domain->guests);
	domain_drop_if_unused(domain);
	guests_unlock(domain->guests);
	domain_end_job(domain);
}

static void tell_removed(void *context, const char *alias)
{
	domain_event_device(context, DEVICE_EVENT_REMOVED, alias);
}

static int read_state(struct domain *domain, struct guest *guest, struct pt_error *err)
{
	char status[GUEST_STATUS];
	int r = guest_read_status(guest, status, err);
	bool is_running, is_rebooting;

	if (r < 0)
		return r;
	(void)guest_read_memory(guest, NULL);
	is_running = !strcmp(status, "running");
	is_rebooting = reboot_resume(domain, guest, status);
	guests_lock(domain->guests);
	if (is_running || is_rebooting)
		domain_set_state(domain, DOMAIN_RUNNING, DOMAIN_RUNNING_BOOTED);
	else
		domain_set_state(domain, DOMAIN_PAUSED, DOMAIN_PAUSED_UNKNOWN);
	guests_unlock(domain->guests);
	return 0;
}

static void end_half_started(struct pt_host *host, struct domain *domain, struct guest *guest)
{
	struct pt_error err;

	log_message(PT_LOG_NOTICE,
		    "guest %s was being started when the daemon ended: the start "
		    "was undone",
		    domain->name);
	(void)guest_signal(guest, SIGKILL);
	if (!guest_wait_end(guest, KILL_MS))
		log_message(PT_LOG_WARNING, "guest %s: QEMU (pid %d) does not exit", domain->name,
			    (int)guest->owner.pid);
	guests_lock(domain->guests);
	domain->end_reason = DOMAIN_SHUTOFF_FAILED;
	guests_unlock(domain->guests);
	if (domain_ended(host, domain, guest, &err) < 0)
		log_message(PT_LOG_WARNING, "guest %s: %s", domain->name, err.message);
}

static void do_reconnect(struct pt_host *host, struct domain *domain, struct guest *guest,
			 const char *alias)
{
	struct qmp *events = NULL;
	struct pt_error err;
	int r;

	(void)alias;
	if (guest->record->phase == STORE_STARTING) {
		end_half_started(host, domain, guest);
		domain_end_job(domain);
		return;
	}
	r = guest_connect_events(guest, RECONNECT_MS, &events, &err);
	if (!r)
		r = guest_connect(guest, RECONNECT_MS, &err);
	if (!r)
		r = read_state(domain, guest, &err);
	if (!r)
		r = hotplug_reconcile(host, guest, tell_removed, domain, &err);
	if (!r)
		both_recover(host, domain);
	if (r < 0)
		log_message(PT_LOG_WARNING, "guest %s: %s", domain->name, err.message);
	else
		log_message(PT_LOG_NOTICE, "guest %s is still running (pid %d)", domain->name,
			    (int)guest->owner.pid);
	monitor_post(domain, guest, events);
	domain_end_job(domain);
}

/* ---- started with the host ---- */

static void note_autostarted(struct pt_host *host, const char *file)
{
	int r = io_replace_at(host->root_fd, file, "", 0, 0600);

	if (r < 0)
		log_message(PT_LOG_WARNING,
			    "/%s: %s: if the daemon restarts before the host does, autostarted "
			    "guests may be started a second time",
			    file, strerror(-r));
}

static void note_begun(struct pt_host *host, const char *name)
{
	char file[sizeof(AUTOSTARTING) + STORE_NAME];

	(void)text_format(file, sizeof(file), AUTOSTARTING "/%s", name);
	note_autostarted(host, file);
}

static bool was_begun(struct pt_host *host, const char *name)
{
	char file[sizeof(AUTOSTARTING) + STORE_NAME];

	(void)text_format(file, sizeof(file), AUTOSTARTING "/%s", name);
	return faccessat(host->root_fd, file, F_OK, 0) == 0;
}

static void do_autostart(struct pt_host *host, struct domain *domain, struct guest *guest,
			 const char *alias)
{
	struct pt_error err;

	(void)guest;
	(void)alias;
	if (domain_await_job(domain, NULL, "autostart")) {
		if (!domain->guest && domain->definition && !domain->unreadable &&
		    domain_start(host, domain, domain->definition, false, &err) < 0)
			log_message(PT_LOG_WARNING, "can't autostart guest %s: %s", domain->name,
				    err.message);
		note_begun(host, domain->name);
		domain_end_job(domain);
	}
	if (atomic_fetch_sub(&domain->guests->autostarts, 1) == 1)
		note_autostarted(host, AUTOSTARTED);
}

/* ---- done before the first client is served ---- */

/* RFC 9562, version 8, from the name of a file with an unknown UUID: the same each time. */
static void make_uuid(const char *file, unsigned char ret_uuid[16])
{
	uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */
	size_t i;

	for (i = 0; file[i]; i++)
		hash = (hash ^ (unsigned char)file[i]) * 0x100000001b3;
	memset(ret_uuid, 0, 16);
	for (i = 0; i < 16; i++) {
		ret_uuid[i] = (unsigned char)(hash >> 56);
		hash = (hash ^ i) * 0x100000001b3;
	}
	ret_uuid[6] = (ret_uuid[6] & 0x0f) | 0x80;
	ret_uuid[8] = (ret_uuid[8] & 0x3f) | 0x80;
}

/*
 * The guest of a file; if the file's name can't be a guest's name, the guest is named by the path,
 * which can't be one either.
 */
static struct domain *find_or_add(struct guests *guests, const struct state_kind *kind,
				  const char *file)
{
	struct domain *domain = domain_find_name(guests, file);
	char name[STORE_NAME];
	unsigned char uuid[16];

	make_uuid(file, uuid);
	if (!domain)
		domain = domain_find_uuid(guests, uuid);
	if (domain)
		return domain;
	if (text_is_utf8(file) && store_check_name(file, NULL) == 0)
		return domain_add(guests, file, uuid);
	(void)text_format(name, sizeof(name), "/%s/%s%s", kind->directory, file, kind->suffix);
	text_clean(name);
	return domain_add(guests, name, uuid);
}

/* A file of the guest that it is named by can't be read: the guest is shown, and can't be used. */
static int show_unreadable(struct guests *guests, struct pt_host *host,
			   const struct state_kind *kind, const char *file,
			   const struct pt_error *why, struct pt_error *err)
{
	struct domain *domain;
	int r = state_check_general(kind, file, why, err);

	if (r < 0)
		return r;
	domain = find_or_add(guests, kind, file);
	if (!domain)
		return pt_fail_memory(err);
	domain->is_autostart = store_is_autostart(host, file);
	return domain_set_unreadable(domain, kind, file, why, err);
}

/* The file is kept: it may be a user's work, and readable by a newer version. */
static int load_definition(struct guests *guests, struct pt_host *host, const char *name,
			   struct pt_error *err)
{
	AUTO(auto_definition) struct definition *definition = NULL;
	AUTO_FREE char *xml = NULL;
	struct domain *domain;
	unsigned char uuid[16];
	struct pt_error why;
	int r = store_read_definition(host, name, &xml, &why);

	if (!r)
		r = definition_parse(xml, 0, &definition, &why);
	if (!r)
		r = definition_set_sizes(definition, &why);
	if (!r && strcmp(definition_name(definition), name) != 0)
		r = pt_fail(&why, PT_CORRUPT, EBADMSG, "it defines a guest with another name, %s",
			    definition_name(definition));
	if (!r) {
		definition_uuid_bytes(definition, uuid);
		domain = domain_find_uuid(guests, uuid);
		if (domain)
			r = pt_fail(&why, PT_CORRUPT, EEXIST, "guest %s has the same UUID",
				    domain->name);
	}
	if (r < 0)
		return show_unreadable(guests, host, &state_definitions, name, &why, err);
	domain = domain_add(guests, name, uuid);
	if (!domain)
		return pt_fail_memory(err);
	domain->definition = TAKE_POINTER(definition);
	domain->is_autostart = store_is_autostart(host, name);
	return 0;
}

/* The domain that @record is about, which may be a transient one. */
static struct domain *domain_of_record(struct guests *guests, const struct store_live *record)
{
	AUTO(auto_definition) struct definition *live = NULL;
	struct domain *domain = domain_find_name(guests, record->name);
	unsigned char uuid[16];

	if (domain)
		return domain;
	if (definition_parse(record->xml, DEFINITION_LIVE, &live, NULL) < 0)
		make_uuid(record->name, uuid);
	else
		definition_uuid_bytes(live, uuid);
	return domain_add(guests, record->name, uuid);
}

/* Its definition can't be read: clients know it by the UUID that it runs with. */
static void take_uuid(struct guests *guests, struct domain *domain, const struct guest *guest)
{
	unsigned char uuid[16];

	definition_uuid_bytes(guest->live, uuid);
	if (!domain_find_uuid(guests, uuid))
		memcpy(domain->uuid, uuid, sizeof(uuid));
}

/*
 * One that can't be used, as after an upgrade that went wrong, leaves its guest alone: its QEMU may
 * well run, so it is not touched, and nothing is started in its place, for that would take its
 * files from it. A later daemon that can read the file has all of it again.
 */
static int load_live(struct guests *guests, struct pt_host *host, const char *name,
		     struct pt_error *err)
{
	AUTO(auto_store_live) struct store_live *record = NULL;
	struct guest *guest = NULL;
	struct domain *domain;
	struct pt_error why;
	int r = store_read_live(host, name, &record, &why);

	if (r < 0)
		return show_unreadable(guests, host, &state_live, name, &why, err);
	domain_keep_id(guests, record->id);
	domain = domain_of_record(guests, record);
	if (!domain)
		return pt_fail_memory(err);
	r = guest_adopt(host, record, &guest, &why);
	if (r < 0 && r != -ESRCH) {
		r = state_check_general(&state_live, name, &why, err);
		return r < 0 ? r : domain_set_unreadable(domain, &state_live, name, &why, err);
	}
	domain->job = "reconnecting";
	if (r < 0) {
		domain_set_state(domain, DOMAIN_SHUTOFF, DOMAIN_SHUTOFF_CRASHED);
		return 0;
	}
	record = NULL; /* the guest's now */
	guest->limit = host->is_this_machine ? scope_limit : NULL;
	if (!domain->definition)
		take_uuid(guests, domain, guest);
	domain->guest = guest;
	domain_set_state(domain, DOMAIN_RUNNING, DOMAIN_RUNNING_BOOTED);
	return 0;
}

static int load_all(struct guests *guests, struct pt_host *host, struct pt_error *err)
{
	AUTO_FREE char **defined = NULL;
	AUTO_FREE char **live = NULL;
	size_t i;
	int r = store_list_definitions(host, &defined, err);

	if (!r)
		r = store_list_live(host, &live, err);
	guests_lock(guests);
	for (i = 0; !r && defined && defined[i]; i++)
		r = load_definition(guests, host, defined[i], err);
	for (i = 0; !r && live && live[i]; i++)
		r = load_live(guests, host, live[i], err);
	guests_unlock(guests);
	return r;
}

/* ---- left to workers ---- */

static bool is_reconnecting(const struct domain *domain)
{
	return domain->job;
}

static bool is_to_start(const struct domain *domain)
{
	return domain->is_autostart && !domain->guest && !domain->unreadable;
}

/* Once the list is whole: from here on workers change it. */
static int reconnect(struct guests *guests, struct pt_error *err)
{
	AUTO_FREE struct domain **found = guests_list(guests, is_reconnecting);
	struct domain **at;

	if (!found)
		return pt_fail_memory(err);
	for (at = found; *at; at++) {
		/* no other thread has started yet, so it can be read without the lock */
		struct guest *guest = (*at)->guest;

		guests_work(guests, guest ? do_reconnect : do_forget, *at, guest, NULL);
		domain_release(*at);
	}
	return 0;
}

static int start_with_host(struct guests *guests, struct pt_host *host, struct pt_error *err)
{
	AUTO_FREE struct domain **found = NULL;
	struct domain **at;
	unsigned int count = 0;
	int r;

	if (faccessat(host->root_fd, AUTOSTARTED, F_OK, 0) == 0)
		return 0;
	r = io_make_directories_at(host->root_fd, AUTOSTARTING, 0755);
	if (r < 0) {
		log_message(PT_LOG_WARNING, "no guest is autostarted: /%s: %s", AUTOSTARTING,
			    strerror(-r));
		return 0;
	}
	found = guests_list(guests, is_to_start);
	if (!found)
		return pt_fail_memory(err);
	for (at = found; *at; at++)
		count += !was_begun(host, (*at)->name);
	if (!count)
		note_autostarted(host, AUTOSTARTED);
	atomic_store(&guests->autostarts, count);
	for (at = found; *at; at++) {
		if (!was_begun(host, (*at)->name))
			guests_work(guests, do_autostart, *at, NULL, NULL);
		domain_release(*at);
	}
	return 0;
}

int guests_load(struct guests *guests, struct pt_error *err)
{
	struct pt_host *host = guests->parts.context->host;
	int r = load_all(guests, host, err);

	if (r < 0)
		return r;
	if (!host->is_this_machine && !host->machine)
		return reconnect(guests, err);
	state_sweep(host, &state_definitions);
	state_sweep(host, &state_live);
	run_files_sweep(host);
	macvtap_sweep(host);
	r = logs_begin(guests);
	if (r < 0)
		return pt_fail(err, PT_SYSTEM, -r, "can't create a timer: %s", strerror(-r));
	guests_work(guests, do_recover, NULL, NULL, NULL);
	r = reconnect(guests, err);
	return r < 0 ? r : start_with_host(guests, host, err);
}
