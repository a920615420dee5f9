/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/guests/logs.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/io.h"
#include "base/text.h"
#include "daemon/log.h"
#include "domain/confine/output.h"
#include "domain/confine/run_files.h"

static int copy(int from, off_t start, off_t end, int to)
{
	while (start < end) {
		ssize_t n = sendfile(to, from, &start, (size_t)(end - start));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break; /* another process has truncated it */
	}
	return 0;
}

int logs_trim(struct pt_host *host, const char *directory, const char *name, size_t max)
{
	char path[512], old[512];
	AUTO_CLOSE int fd = -1;
	AUTO_CLOSE int old_fd = -1;
	struct stat st;
	int r;

	if (text_format(path, sizeof(path), "%s/%s.log", directory, name) < 0 ||
	    text_format(old, sizeof(old), "%s.old", path) < 0)
		return -ENAMETOOLONG;
	fd = openat(host->root_fd, io_relative(path), O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (st.st_size <= (off_t)max)
		return 0;
	old_fd = openat(host->root_fd, io_relative(old),
			O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	r = old_fd < 0 ? -errno : copy(fd, st.st_size - (off_t)max, st.st_size, old_fd);
	if (ftruncate(fd, 0) < 0)
		return -errno;
	return r;
}

static void trim(struct pt_host *host, struct domain *domain, struct guest *guest,
		 const char *alias)
{
	int r = logs_trim(host, GUEST_LOGS, domain->name, GUEST_LOG_MAX);

	(void)guest;
	(void)alias;
	if (r < 0)
		log_message(PT_LOG_WARNING, "can't keep the end of %s/%s.log: %s", GUEST_LOGS,
			    domain->name, strerror(-r));
}

static bool is_too_long(struct pt_host *host, const struct domain *domain)
{
	char path[512];
	struct stat st;

	return text_format(path, sizeof(path), "%s/%s.log", GUEST_LOGS, domain->name) >= 0 &&
	       fstatat(host->root_fd, io_relative(path), &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_size > GUEST_LOG_MAX;
}

/* ---- what QEMU says ---- */

struct log_reader {
	struct domain *domain; /* these two are the monitor's */
	struct guest *guest;
	int fd;
	sd_event_source *io;
};

/* Full, and its end waits to be moved: what comes meanwhile is lost. */
static bool is_full(const struct log_reader *reader)
{
	struct stat st;

	if (fstat(reader->fd, &st) < 0 || st.st_size <= GUEST_LOG_MAX)
		return false;
	guests_work(reader->domain->guests, trim, reader->domain, NULL, NULL);
	return st.st_size > 2 * GUEST_LOG_MAX;
}

static ssize_t move_output(struct log_reader *reader)
{
	AUTO_CLOSE int null_fd = -1;

	if (!is_full(reader))
		return output_move(reader->guest->output_fd, reader->fd, GUEST_LOG_READ);
	null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	return output_move(reader->guest->output_fd, null_fd, GUEST_LOG_READ);
}

static int on_output(sd_event_source *source, int fd, uint32_t revents, void *context)
{
	struct log_reader *reader = context;

	(void)fd;
	(void)revents;
	/* a full disk loses what QEMU says; nobody else's end ends this */
	if (move_output(reader) == -ENODATA)
		(void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
	return 0;
}

struct log_reader *logs_read(struct domain *domain, struct guest *guest)
{
	const struct context *context = domain->guests->parts.context;
	struct log_reader *reader;
	int r;

	if (guest->output_fd < 0)
		return NULL;
	reader = calloc(1, sizeof(*reader));
	if (!reader)
		return NULL;
	reader->domain = domain;
	reader->guest = guest;
	reader->fd = run_files_reopen_log(context->host, guest->name);
	r = reader->fd < 0 ? reader->fd
			   : sd_event_add_io(context->loop, &reader->io, guest->output_fd, EPOLLIN,
					     on_output, reader);
	if (r >= 0)
		r = sd_event_source_set_ratelimit(reader->io, 1000000, GUEST_LOG_READS);
	/* events and calls come first */
	if (r >= 0)
		r = sd_event_source_set_priority(reader->io, SD_EVENT_PRIORITY_IDLE);
	if (r >= 0)
		return reader;
	log_message(PT_LOG_WARNING, "what QEMU of guest %s says is not logged: %s", guest->name,
		    strerror(-r));
	logs_stop(reader);
	return NULL;
}

void logs_stop(struct log_reader *reader)
{
	if (!reader)
		return;
	/* a pipe holds no more than that */
	if (reader->io)
		(void)move_output(reader);
	(void)sd_event_source_disable_unref(reader->io);
	if (reader->fd >= 0)
		close(reader->fd);
	free(reader);
}

/* ---- the logs of all ---- */

/* All that run, kept for us; ended by NULL. NULL without memory. */
static struct domain **list_running(struct guests *guests)
{
	struct domain *domain, **found;
	size_t count = 0;

	guests_lock(guests);
	for (domain = domain_first(guests); domain; domain = domain_next(domain))
		count += domain->guest != NULL;
	found = calloc(count + 1, sizeof(struct domain *));
	count = 0;
	for (domain = domain_first(guests); found && domain; domain = domain_next(domain))
		if (domain->guest)
			found[count++] = domain_ref(domain);
	guests_unlock(guests);
	return found;
}

static int on_time(sd_event_source *source, uint64_t usec, void *context)
{
	struct guests *guests = context;
	struct domain **running = list_running(guests), **at;

	(void)usec;
	for (at = running; at && *at; at++) {
		if (is_too_long(guests->parts.context->host, *at))
			guests_work(guests, trim, *at, NULL, NULL);
		domain_release(*at);
	}
	free(running);
	(void)sd_event_source_set_time_relative(source, GUEST_LOG_CHECK_USEC);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int logs_begin(struct guests *guests)
{
	return sd_event_add_time_relative(guests->parts.context->loop, &guests->logs,
					  CLOCK_MONOTONIC, GUEST_LOG_CHECK_USEC, 0, on_time,
					  guests);
}

void logs_end(struct guests *guests)
{
	guests->logs = sd_event_source_disable_unref(guests->logs);
}
