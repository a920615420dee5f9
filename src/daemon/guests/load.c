/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon begins, for the first time since the host did, or after it was stopped, upgraded or
 * killed: what is defined is read, what runs is found again.
 */
#include <fcntl.h>
#include <passthru/plan.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "daemon/guests/domain_events.h"
#include "daemon/guests/guests.h"
#include "daemon/guests/logs.h"
#include "daemon/log.h"
#include "daemon/guests/monitor.h"
#include "daemon/guests/reboot.h"
#include "daemon/guests/scope.h"
#include "domain/guest/hotplug.h"

/* There once what starts with the host was started; /run is empty after a boot. */
#define AUTOSTARTED STORE_LIVE "/.autostarted"

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
static void do_lost(struct pt_host *host, struct domain *domain, struct guest *guest,
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
		domain_forget_tpm(host, domain, live);
	if (r < 0)
		log_message(PT_LOG_WARNING, "guest %s: %s", domain->name, err.message);
	else
		log_message(PT_LOG_NOTICE, "guest %s had ended: its devices were given back",
			    domain->name);
	domain_end_job(domain);
	guests_lock(domain->guests);
	domain_drop_if_unused(domain);
	guests_unlock(domain->guests);
}

static void tell_removed(void *context, const char *alias)
{
	domain_event_device(context, DEVICE_EVENT_REMOVED, alias);
}

static int read_state(struct domain *domain, struct guest *guest, struct pt_error *err)
{
	struct json_object *answer = NULL, *status = NULL;
	int r = guest_call(guest, "query-status", NULL, &answer, err);
	bool is_running, is_rebooting = false;

	if (r < 0)
		return r;
	(void)json_object_object_get_ex(answer, "status", &status);
	is_running = json_object_is_type(status, json_type_string) &&
		     !strcmp(json_object_get_string(status), "running");
	if (json_object_is_type(status, json_type_string))
		is_rebooting = reboot_resume(domain, guest, json_object_get_string(status));
	json_object_put(answer);
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

	log_message(PT_LOG_NOTICE, "guest %s was being started when the daemon ended: undone",
		    domain->name);
	(void)guest_signal(guest, SIGKILL);
	if (!guest_wait_end(guest, KILL_MS))
		log_message(PT_LOG_WARNING, "guest %s: QEMU (pid %d) doesn't end", domain->name,
			    (int)guest->owner.pid);
	domain->end_reason = DOMAIN_SHUTOFF_FAILED;
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
	if (r < 0)
		log_message(PT_LOG_WARNING, "guest %s: %s", domain->name, err.message);
	else
		log_message(PT_LOG_NOTICE, "guest %s was found again (pid %d)", domain->name,
			    (int)guest->owner.pid);
	monitor_post(domain, guest, events);
	domain_end_job(domain);
}

static void do_autostart(struct pt_host *host, struct domain *domain, struct guest *guest,
			 const char *alias)
{
	struct pt_error err;

	(void)guest;
	(void)alias;
	if (domain_begin_job(domain, "autostart", DOMAIN_JOB_MS) < 0)
		return;
	if (!domain->guest && domain->definition && !domain->unreadable &&
	    domain_start(host, domain, domain->definition, false, &err) < 0)
		log_message(PT_LOG_WARNING, "guest %s can't be started with the host: %s",
			    domain->name, err.message);
	domain_end_job(domain);
}

/* ---- done before the first client is served ---- */

/* RFC 9562, version 8, from the name of a file whose own UUID nobody knows: the same each time. */
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

/* The guest of a file; where no guest can be called so, by its path, as no guest can be either. */
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

/* Its file stays: it is somebody's work, and may be readable to a newer version. */
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
	if (!r && strcmp(definition_name(definition), name) != 0)
		r = pt_fail(&why, PT_CORRUPT, EBADMSG, "it defines a guest called %s",
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
	if (record->id > guests->last_id)
		guests->last_id = record->id;
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
		guests_work(guests, do_lost, domain, NULL, NULL);
		return 0;
	}
	record = NULL; /* the guest's now */
	guest->limit = scope_limit;
	if (!domain->definition)
		take_uuid(guests, domain, guest);
	domain->guest = guest;
	domain_set_state(domain, DOMAIN_RUNNING, DOMAIN_RUNNING_BOOTED);
	guests_work(guests, do_reconnect, domain, guest, NULL);
	return 0;
}

static void start_with_host(struct guests *guests, struct pt_host *host)
{
	struct domain *domain;

	if (faccessat(host->root_fd, AUTOSTARTED, F_OK, 0) == 0)
		return;
	if (io_make_directories_at(host->root_fd, STORE_LIVE, 0755) < 0 ||
	    io_replace_at(host->root_fd, AUTOSTARTED, "", 0, 0600) < 0)
		return;
	for (domain = guests->first; domain; domain = domain->next)
		if (domain->is_autostart && !domain->guest && !domain->unreadable)
			guests_work(guests, do_autostart, domain, NULL, NULL);
}

int guests_load(struct daemon *daemon, struct pt_error *err)
{
	struct guests *guests = daemon->guests;
	AUTO_FREE char **defined = NULL;
	AUTO_FREE char **live = NULL;
	size_t i;
	int r = store_list_definitions(daemon->host, &defined, err);

	if (!r)
		r = store_list_live(daemon->host, &live, err);
	for (i = 0; !r && defined && defined[i]; i++)
		r = load_definition(guests, daemon->host, defined[i], err);
	for (i = 0; !r && live && live[i]; i++)
		r = load_live(guests, daemon->host, live[i], err);
	if (r < 0)
		return r;
	if (!daemon_is_this_machine(daemon))
		return 0;
	r = guest_logs_begin(guests);
	if (r < 0)
		return pt_fail(err, PT_SYSTEM, -r, "no timer: %s", strerror(-r));
	guests_work(guests, do_recover, NULL, NULL, NULL);
	start_with_host(guests, daemon->host);
	return 0;
}
