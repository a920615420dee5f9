/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* watch: device events as they happen. */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/error.h"
#include "base/text.h"
#include "cli/auto.h"
#include "cli/cli.h"
#include "cli/print.h"

static const char *describe_owner(const struct pt_owner *owner, char *buffer, size_t size)
{
	if (owner->kind == PT_OWNER_MANUAL)
		(void)text_format(buffer, size, "detached manually");
	else if (owner->kind == PT_OWNER_DOMAIN)
		(void)text_format(buffer, size, "guest %s", owner->name);
	else
		(void)text_format(buffer, size, "%s, pid %ld", owner->name, (long)owner->pid);
	return buffer;
}

static const char *kind_of_owner(const struct pt_owner *owner)
{
	static const char *const names[] = {"manual", "process", "domain"};

	return names[owner->kind];
}

/* One line an event, so that a reader needs no parser that waits for the end. */
static void watch_print_json(struct cli *cli, const struct pt_event *event)
{
	struct json_object *object = json_object_new_object();
	AUTO_FREE char *text = NULL;

	json_object_object_add(object, "time_ms", json_object_new_int64(event->time_ms));
	json_object_object_add(object, "event", json_new_text(pt_event_kind_name(event->kind)));
	json_object_object_add(object, "device",
			       event->kind == PT_EVENT_LOST ? NULL
							    : cli_json_address(&event->address));
	if (*event->driver)
		json_object_object_add(object, "driver", json_new_text(event->driver));
	if (event->has_claim) {
		struct json_object *owner = json_object_new_object();

		json_object_object_add(owner, "kind",
				       json_new_text(kind_of_owner(&event->claim.owner)));
		json_object_object_add(owner, "name", json_new_text(event->claim.owner.name));
		json_object_object_add(owner, "pid", json_object_new_int64(event->claim.owner.pid));
		json_object_object_add(object, "owner", owner);
		json_object_object_add(object, "state",
				       json_new_text(pt_claim_state_name(event->claim.state)));
	}
	json_object_object_add(object, "words", json_new_text(event->text));
	if (json_format(object, JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE, &text,
			NULL) == 0)
		(void)fprintf(cli->out, "%s\n", text);
	else
		(void)fprintf(cli->err, "passthru: out of memory\n");
	json_object_put(object);
}

static const char *color_of(const struct cli *cli, enum pt_event_kind kind)
{
	switch (kind) {
	case PT_EVENT_BUS_ERROR:
	case PT_EVENT_DMA_FAULT:
	case PT_EVENT_LOST:
		return cli_red(cli);
	case PT_EVENT_CLAIMED:
	case PT_EVENT_RELEASED:
		return cli_green(cli);
	default:
		return "";
	}
}

static void print_event(struct cli *cli, const struct pt_event *event)
{
	char text[PT_ADDRESS_TEXT] = "-", when[16] = "", owner[128];
	time_t seconds = (time_t)(event->time_ms / 1000);
	const char *color = color_of(cli, event->kind);
	struct tm local;

	if (localtime_r(&seconds, &local))
		(void)strftime(when, sizeof(when), "%H:%M:%S", &local);
	if (event->kind != PT_EVENT_LOST)
		pt_address_format(&event->address, text);
	(void)fprintf(cli->out, "%s.%03d  %s%-12s%s  %s%-9s%s  %s", when,
		      (int)(event->time_ms % 1000), cli_bold(cli), text, cli_plain(cli), color,
		      pt_event_kind_name(event->kind), *color ? cli_plain(cli) : "", event->text);
	/* the words of a claim event already contain its owner */
	if (event->has_claim && event->kind != PT_EVENT_CLAIMED)
		(void)fprintf(cli->out, "  (%s)",
			      describe_owner(&event->claim.owner, owner, sizeof(owner)));
	(void)fprintf(cli->out, "\n");
}

static bool watch_is_wanted(const struct cli_devices *devices, const struct pt_event *event)
{
	size_t i;

	for (i = 0; i < devices->count; i++) {
		if (pt_address_compare(&devices->addresses[i], &event->address) == 0)
			return true;
	}
	return !devices->count || event->kind == PT_EVENT_LOST;
}

/* Returns the exit status, -1 to go on. */
static int print_pending(struct cli *cli, struct pt_watch *watch, const struct cli_devices *devices)
{
	struct pt_event event;
	struct pt_error err;
	int r;

	while ((r = pt_watch_next(watch, &event, &err)) > 0) {
		if (!watch_is_wanted(devices, &event))
			continue;
		if (cli->is_json)
			watch_print_json(cli, &event);
		else
			print_event(cli, &event);
	}
	if (fflush(cli->out) != 0)
		return 1; /* the reader has gone */
	return r < 0 ? cli_fail(cli, &err) : -1;
}

/* Runs until a signal, which is the normal end and not a failure. */
static int loop(struct cli *cli, struct pt_watch *watch, const struct cli_devices *devices,
		int signal_fd)
{
	struct pollfd fds[] = {
		{.fd = pt_watch_fd(watch), .events = POLLIN},
		{.fd = signal_fd, .events = POLLIN},
	};
	int status;

	for (;;) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR) {
			struct pt_error err;

			(void)pt_fail(&err, PT_SYSTEM, errno, "watching: %s", strerror(errno));
			return cli_fail(cli, &err);
		}
		status = print_pending(cli, watch, devices);
		if (status >= 0)
			return status;
		if (fds[1].revents)
			return 0;
	}
}

static int watch(struct cli *cli, const struct cli_devices *devices)
{
	AUTO(auto_watch) struct pt_watch *watch = NULL;
	AUTO_CLOSE int signal_fd = -1;
	struct pt_error err;
	sigset_t signals;

	if (pt_watch_new(cli->host, PT_WATCH_ALL, &watch, &err) < 0)
		return cli_fail(cli, &err);
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &signals, NULL);
	signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
	if (signal_fd < 0) {
		(void)pt_fail(&err, PT_SYSTEM, errno, "watching: %s", strerror(errno));
		return cli_fail(cli, &err);
	}
	if (!cli->is_json)
		(void)fprintf(cli->err, "passthru: watching devices; press Ctrl-C to stop\n");
	return loop(cli, watch, devices, signal_fd);
}

int verb_watch(struct cli *cli, int argc, char **argv)
{
	struct cli_devices devices = {0};
	struct pt_error err;
	int i, status = -1;

	for (i = 1; i < argc && status < 0; i++) {
		if (argv[i][0] == '-')
			status = cli_usage(cli, "%s: unknown option %s", argv[0], argv[i]);
		else if (cli_devices_add(&devices, argv[i], &err) < 0)
			status = cli_fail(cli, &err);
	}
	if (status < 0)
		status = watch(cli, &devices);
	cli_devices_free(&devices);
	return status;
}
