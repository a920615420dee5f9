/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Why this doesn't call sd_journal_sendv(): linking libsystemd, with the compressors and libgcrypt
 * behind it, more than doubles the start of every command (1.1 to 2.5 ms of `passthru status`,
 * measured), dlopen() for each entry costs 0.7 to 1.1 ms of a detach; it writes to
 * /run/systemd/journal/socket of the root it runs in, not of the pt_host's, so no test could
 * stand in the door; and it keeps a socket for the process, where this library has no global
 * state. What it does beyond the thirty lines here, passing large entries as a memfd, isn't
 * needed: each field is cut at FIELD_MAX, so an entry stays far below what a datagram can be.
 */
#include "assign/audit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syslog.h>
#include <sys/un.h>
#include <unistd.h>

#include "assign/claim.h"
#include "assign/owner.h"
#include "base/auto.h"
#include "base/io.h"
#include "base/text.h"
#include "pci/host.h"

#define JOURNAL_SOCKET "run/systemd/journal/socket"
#define SYSLOG_SOCKET  "dev/log"
#define COMMAND_SIZE   512
#define LINE_SIZE      2048
#define FIELD_MAX      4096 /* a reason on the command line can be as long as that line */

/* The kernel's value for a process that no login led to. */
#define NO_LOGIN UINT32_MAX

static const char *const verb_names[] = {
	[PT_DETACH] = "detach", [PT_REATTACH] = "reattach",   [PT_RESET] = "reset",
	[PT_TAKE] = "take",	[PT_GIVE_BACK] = "give-back",
};

/* ---- who ---- */

struct caller {
	uid_t uid;
	int64_t login; /* -1: none */
	pid_t pid;
	char command[COMMAND_SIZE];
};

/* The command line with spaces between its words, cut to fit. */
static void read_command(struct pt_host *host, char command[COMMAND_SIZE])
{
	ssize_t len = io_read_at(host->root_fd, "proc/self/cmdline", command, COMMAND_SIZE - 1);
	ssize_t i;

	while (len > 0 && !command[len - 1])
		len--;
	for (i = 0; i < len; i++) {
		if (!command[i])
			command[i] = ' ';
	}
	command[len > 0 ? text_whole(command, (size_t)len) : 0] = '\0';
	text_clean(command);
}

static void read_caller(struct pt_host *host, struct caller *caller)
{
	char text[32];
	uint64_t login;

	*caller = (struct caller){.uid = getuid(), .pid = getpid(), .login = -1};
	if (io_read_text_at(host->root_fd, "proc/self/loginuid", text, sizeof(text)) > 0 &&
	    text_parse_number(text, 10, UINT32_MAX, &login) == 0 && login != NO_LOGIN)
		caller->login = (int64_t)login;
	read_command(host, caller->command);
}

/* ---- the line ---- */

static const char *result_word(const struct audit *audit)
{
	if (audit->result == 0)
		return "done";
	return audit->err ? pt_reason_name(audit->err->reason) : "failed";
}

size_t audit_format(const struct audit *audit, char *line, size_t size)
{
	char text[PT_ADDRESS_TEXT];
	size_t i;
	FILE *out = fmemopen(line, size, "w");

	if (!out)
		return 0;
	(void)fprintf(out, "%s", audit->verb);
	for (i = 0; i < audit->count; i++)
		(void)fprintf(out, " %s", pt_address_format(&audit->devices[i], text));
	if (audit->owner)
		(void)fprintf(out, " for %s", audit->owner);
	(void)fprintf(out, ": %s",
		      audit->text && !audit->result ? audit->text : result_word(audit));
	if (audit->why && *audit->why)
		(void)fprintf(out, ", forced: %s", audit->why);
	if (audit->result < 0 && audit->err)
		(void)fprintf(out, ": %s", audit->err->message);
	(void)fclose(out);
	line[text_whole(line, strnlen(line, size - 1))] = '\0';
	/* texts of others (a reason, an error) must not forge a line of their own */
	text_clean(line);
	return strlen(line);
}

/* ---- sockets ---- */

static int open_socket(struct pt_host *host, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	/* there is no connectat(): the descriptor of the root leads there */
	if (fd < 0 || text_format(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s",
				  host->root_fd, path) < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -1;
	return TAKE_FD(fd);
}

/* ---- the journal ---- */

/*
 * NAME, newline, the value's length in 64 bits little endian, the value, newline: the form
 * for any value, one with newlines too.
 */
static void put_field(FILE *out, const char *name, const char *value)
{
	uint64_t len = text_whole(value, strnlen(value, FIELD_MAX));
	unsigned char bytes[8];
	size_t i;

	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(len >> (8 * i));
	(void)fprintf(out, "%s\n", name);
	(void)fwrite(bytes, 1, sizeof(bytes), out);
	(void)fwrite(value, 1, (size_t)len, out);
	(void)fputc('\n', out);
}

static void put_number(FILE *out, const char *name, int64_t number)
{
	char text[24];

	(void)text_format(text, sizeof(text), "%lld", (long long)number);
	put_field(out, name, text);
}

static void put_text(FILE *out, const char *name, const char *text)
{
	if (text && *text)
		put_field(out, name, text);
}

static int priority_of(const struct audit *audit)
{
	return audit->result < 0 || (audit->why && *audit->why) ? LOG_WARNING : LOG_NOTICE;
}

static char *make_entry(const struct audit *audit, const struct caller *caller, const char *line,
			size_t *ret_size)
{
	char text[PT_ADDRESS_TEXT];
	char *data = NULL;
	FILE *out = open_memstream(&data, ret_size);
	size_t i;

	if (!out)
		return NULL;
	put_field(out, "MESSAGE", line);
	put_field(out, "MESSAGE_ID", AUDIT_MESSAGE_ID);
	put_number(out, "PRIORITY", priority_of(audit));
	put_number(out, "SYSLOG_FACILITY", LOG_AUTHPRIV >> 3);
	put_field(out, "SYSLOG_IDENTIFIER", "passthru");
	put_field(out, "PASSTHRU_VERB", audit->verb);
	for (i = 0; i < audit->count; i++)
		put_field(out, "PASSTHRU_DEVICE", pt_address_format(&audit->devices[i], text));
	put_text(out, "PASSTHRU_OWNER", audit->owner);
	put_text(out, "PASSTHRU_DRIVER", audit->driver);
	put_field(out, "PASSTHRU_RESULT", result_word(audit));
	put_text(out, "PASSTHRU_WORDS", audit->text);
	put_text(out, "PASSTHRU_FORCED", audit->why);
	if (audit->result < 0 && audit->err)
		put_text(out, "PASSTHRU_ERROR", audit->err->message);
	put_number(out, "PASSTHRU_UID", caller->uid);
	if (caller->login >= 0)
		put_number(out, "PASSTHRU_LOGINUID", caller->login);
	put_number(out, "PASSTHRU_PID", caller->pid);
	put_text(out, "PASSTHRU_COMMAND", caller->command);
	if (fclose(out) == 0)
		return data;
	free(data);
	return NULL;
}

static bool write_journal(struct pt_host *host, const struct audit *audit,
			  const struct caller *caller, const char *line)
{
	AUTO_CLOSE int fd = open_socket(host, JOURNAL_SOCKET);
	AUTO_FREE char *entry = NULL;
	size_t size;

	if (fd < 0)
		return false;
	entry = make_entry(audit, caller, line, &size);
	return entry && send(fd, entry, size, MSG_NOSIGNAL) == (ssize_t)size;
}

/* ---- syslog ---- */

static bool write_syslog(struct pt_host *host, const struct audit *audit,
			 const struct caller *caller, const char *line)
{
	AUTO_CLOSE int fd = open_socket(host, SYSLOG_SOCKET);
	char text[LINE_SIZE + COMMAND_SIZE + 128];
	size_t len;

	if (fd < 0)
		return false;
	/* without a time stamp: the daemon puts its own */
	(void)text_format(text, sizeof(text), "<%d>passthru[%ld]: %s (uid %ld, login uid %lld: %s)",
			  LOG_AUTHPRIV | priority_of(audit), (long)caller->pid, line,
			  (long)caller->uid, (long long)caller->login, caller->command);
	len = strlen(text);
	return len && send(fd, text, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* ---- both ---- */

void audit_write(struct pt_host *host, const struct audit *audit)
{
	struct caller caller;
	char line[LINE_SIZE];

	read_caller(host, &caller);
	if (!audit_format(audit, line, sizeof(line)))
		return;
	if (!write_journal(host, audit, &caller, line) && !write_syslog(host, audit, &caller, line))
		host_log(host, PT_LOG_INFO,
			 "neither journald nor syslog accepted this record: "
			 "%s",
			 line);
}

void audit_operation(struct pt_host *host, const struct pt_request *request, int result,
		     const struct pt_error *err)
{
	char owner[128];
	struct audit audit = {
		.verb = verb_names[request->verb],
		.devices = request->devices,
		.count = request->count,
		.driver = request->driver,
		.why = request->is_forced ? request->why : NULL,
		.result = result,
		.err = result < 0 ? err : NULL,
	};

	if (request->verb == PT_TAKE || request->verb == PT_GIVE_BACK)
		audit.owner = owner_format(&request->owner, owner);
	audit_write(host, &audit);
}
