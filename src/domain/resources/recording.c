/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The recorder itself: nothing here is passthrud's, and it has nothing but its pipes and files. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "domain/resources/recorder.h"

#define BLOCK ((size_t)32 * 1024)

/* At most so long for what isn't a plain file to take some more. */
#define SLOW_MS 100

/* One file. */
struct recording {
	struct recorder_file *file;
	const struct recorder_limits *limits;
	int64_t filled_ms;  /* when @allowance was last raised */
	uint64_t allowance; /* bytes that may be written now */
	uint64_t left_out;  /* bytes since the last one that was written */
	bool has_failed;    /* it was said that it can't be written to */
};

/* ---- the file ---- */

/* A terminal takes its time; not for long, for the other files wait meanwhile. */
static bool wait_for_room(int fd)
{
	struct pollfd room = {.fd = fd, .events = POLLOUT};

	return poll(&room, 1, SLOW_MS) > 0 && room.revents & POLLOUT;
}

static void append(struct recording *recording, const char *bytes, size_t size)
{
	int fd = recording->file->fd;

	while (size > 0) {
		ssize_t n = write(fd, bytes, size);

		if (n < 0 && (errno == EINTR || (errno == EAGAIN && wait_for_room(fd))))
			continue;
		if (n <= 0)
			break;
		bytes += n;
		size -= (size_t)n;
	}
	if (size > 0 && !recording->has_failed)
		(void)fprintf(stderr, RECORDER_NAME ": %s: %s: what the guest says is lost\n",
			      recording->file->path, strerror(errno));
	recording->has_failed = size > 0;
}

/*
 * What is between @from and @end to its start; how much that was, or -1. The two don't overlap,
 * and what is added meanwhile isn't waited for.
 */
static off_t move_to_start(int fd, off_t from, off_t end, char block[BLOCK])
{
	off_t to = 0;

	while (from < end) {
		size_t room = end - from < (off_t)BLOCK ? (size_t)(end - from) : BLOCK;
		ssize_t n = pread(fd, block, room, from);
		const char *bytes = block, *line;

		if (n <= 0)
			return -1;
		/* a whole line first, where there is one */
		line = !to ? memchr(block, '\n', (size_t)n - 1) : NULL;
		from += n;
		if (line) {
			n -= line + 1 - block;
			bytes = line + 1;
		}
		if (pwrite(fd, bytes, (size_t)n, to) != n)
			return -1;
		to += n;
	}
	return to;
}

/*
 * A plain file that became too long keeps its newer half; where that can't be read, or written,
 * what is in the place of the older one.
 */
static void drop_older(const struct recording *recording, char block[BLOCK])
{
	off_t max = (off_t)recording->limits->file_max, size;
	int fd = recording->file->fd, flags = fcntl(fd, F_GETFL);
	struct stat st;

	if (flags < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= max)
		return;
	/* otherwise each write is to the end */
	(void)fcntl(fd, F_SETFL, flags & ~O_APPEND);
	size = move_to_start(fd, st.st_size - max / 2, st.st_size, block);
	(void)fcntl(fd, F_SETFL, flags);
	if (ftruncate(fd, size < 0 ? max / 2 : size) < 0)
		(void)fprintf(stderr, RECORDER_NAME ": %s: can't be shortened: %s\n",
			      recording->file->path, strerror(errno));
}

/* ---- what comes ---- */

static void raise_allowance(struct recording *recording)
{
	const struct recorder_limits *limits = recording->limits;
	int64_t now = clock_now_ms();
	uint64_t more = (uint64_t)(now - recording->filled_ms) * limits->rate / 1000;

	/* what is less than a byte is added later */
	if (!more)
		return;
	recording->filled_ms = now;
	recording->allowance = recording->allowance + more < limits->burst
				       ? recording->allowance + more
				       : limits->burst;
}

static void tell_left_out(struct recording *recording)
{
	char text[128];

	if (!recording->left_out)
		return;
	(void)text_format(text, sizeof(text),
			  "\n[" RECORDER_NAME ": %llu bytes left out: more than %llu in a "
			  "second]\n",
			  (unsigned long long)recording->left_out,
			  (unsigned long long)recording->limits->rate);
	recording->left_out = 0;
	append(recording, text, strlen(text));
}

static void take(struct recording *recording, char *block, size_t size)
{
	size_t allowed;

	raise_allowance(recording);
	allowed = recording->allowance < size ? (size_t)recording->allowance : size;
	/* a little at a time, once it is too much, would be mostly words about it */
	if (recording->left_out && allowed < size)
		allowed = 0;
	if (allowed) {
		tell_left_out(recording);
		append(recording, block, allowed);
	}
	recording->allowance -= allowed;
	recording->left_out += size - allowed;
	if (allowed)
		drop_older(recording, block);
}

/* False at its end. */
static bool receive(struct recording *recording, char block[BLOCK])
{
	ssize_t n = read(recording->file->pipe_fd, block, BLOCK);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	if (n > 0) {
		take(recording, block, (size_t)n);
		return true;
	}
	tell_left_out(recording);
	return false;
}

static void begin(struct recording *recording, struct recorder_file *file,
		  const struct recorder_limits *limits)
{
	*recording = (struct recording){.file = file,
					.limits = limits,
					.filled_ms = clock_now_ms(),
					.allowance = limits->burst};
	/* no plain file can't be */
	if (file->is_emptied)
		(void)!ftruncate(file->fd, 0);
}

void recorder_run(struct recorder_file *files, size_t count, const struct recorder_limits *limits)
{
	struct recording recordings[RECORDER_MAX];
	struct pollfd polls[RECORDER_MAX];
	char block[BLOCK];
	size_t open = count;

	for (size_t i = 0; i < count; i++) {
		begin(&recordings[i], &files[i], limits);
		polls[i] = (struct pollfd){.fd = files[i].pipe_fd, .events = POLLIN};
	}
	while (open > 0) {
		if (poll(polls, count, -1) < 0 && errno != EINTR)
			return;
		for (size_t i = 0; i < count; i++) {
			if (polls[i].fd < 0 || !polls[i].revents)
				continue;
			if (receive(&recordings[i], block))
				continue;
			polls[i].fd = -1;
			open--;
		}
	}
}

/* ---- its arguments: recorder_hold() ---- */

/* "UID:GID" */
static int become(const char *text)
{
	struct confine_user user = {.uid = 0};
	int length = 0;

	if (sscanf(text, "%u:%u%n", &user.uid, &user.gid, &length) != 2 || text[length])
		return -EINVAL;
	if (user.uid == geteuid())
		return 0;
	return confine_become(&user);
}

static bool parse_file(const char *text, struct recorder_file *ret_file)
{
	char how[8] = "";
	int length = 0;

	if (sscanf(text, "%d:%d:%7[a-z]:%n", &ret_file->pipe_fd, &ret_file->fd, how, &length) !=
		    3 ||
	    !length || ret_file->pipe_fd < 3 || ret_file->fd < 3)
		return false;
	ret_file->is_emptied = strcmp(how, "empty") == 0;
	ret_file->path = text + length;
	return true;
}

int recorder_main(int argc, char *const argv[])
{
	static const struct recorder_limits limits = {
		.rate = RECORDER_RATE, .burst = RECORDER_BURST, .file_max = RECORDER_FILE_MAX};
	struct recorder_file files[RECORDER_MAX];
	size_t count = argc > 2 ? (size_t)argc - 2 : 0;

	(void)prctl(PR_SET_NAME, RECORDER_NAME);
	/* as become() does it, too: QEMU, of the same user, must not get at the files */
	(void)prctl(PR_SET_DUMPABLE, 0);
	/* it ends after QEMU, and not when both are told to */
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	if (!count || count > RECORDER_MAX)
		return 2;
	for (size_t i = 0; i < count; i++)
		if (!parse_file(argv[i + 2], &files[i]))
			return 2;
	if (become(argv[1]) < 0)
		return 2;
	recorder_run(files, count, &limits);
	return 0;
}
