/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bench-replay SOCKET UPSTREAM: what libvirt's clients cost by themselves. What the first client
 * asks goes to the daemon at UPSTREAM, and the answers are kept; whoever comes later gets
 * those at once. A question that wasn't asked before ends it.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define HEADER	       28 /* length, program, version, procedure, type, serial, status */
#define SERIAL	       20
#define CLIENTS	       64
#define SIZE_MAX_FRAME (32u * 1024 * 1024)

struct answer {
	struct answer *next;
	unsigned char *call, *reply;
	uint32_t call_size, reply_size;
};

static struct answer *answers[4096];

static void fail(const char *what)
{
	perror(what);
	exit(EXIT_FAILURE);
}

static int make(const char *path, int is_listening)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), r;

	if (fd < 0)
		fail("socket");
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (is_listening)
		(void)unlink(path);
	r = is_listening ? bind(fd, (struct sockaddr *)&address, sizeof(address))
			 : connect(fd, (struct sockaddr *)&address, sizeof(address));
	if (r < 0 || (is_listening && listen(fd, CLIENTS) < 0))
		fail(path);
	return fd;
}

/* A whole frame; its size, 0 at the end. */
static uint32_t receive(int fd, unsigned char **ret_frame)
{
	uint32_t length, at = 4;
	unsigned char *frame;

	if (recv(fd, &length, 4, MSG_WAITALL) != 4)
		return 0;
	if (ntohl(length) < HEADER || ntohl(length) > SIZE_MAX_FRAME)
		fail("length");
	frame = malloc(ntohl(length));
	if (!frame)
		fail("malloc");
	memcpy(frame, &length, 4);
	while (at < ntohl(length)) {
		ssize_t n = recv(fd, frame + at, ntohl(length) - at, MSG_WAITALL);

		if (n <= 0) {
			free(frame);
			return 0;
		}
		at += (uint32_t)n;
	}
	*ret_frame = frame;
	return at;
}

static void transmit(int fd, const unsigned char *frame, uint32_t size)
{
	while (size) {
		ssize_t n = send(fd, frame, size, MSG_NOSIGNAL);

		if (n <= 0)
			return; /* it left */
		frame += n;
		size -= (uint32_t)n;
	}
}

static struct answer **bucket(const unsigned char *call, uint32_t size)
{
	uint32_t hash = 2166136261u, i;

	for (i = 0; i < size; i++)
		hash = (hash ^ call[i]) * 16777619u;
	return &answers[hash % (sizeof(answers) / sizeof(answers[0]))];
}

/* Answer one call: by heart, or by asking @upstream (-1: no more). 0 when the client left. */
static int serve(int fd, int upstream)
{
	unsigned char *call, serial[4];
	uint32_t size = receive(fd, &call);
	struct answer **at, *answer;

	if (!size)
		return 0;
	memcpy(serial, call + SERIAL, 4);
	if (upstream >= 0)
		transmit(upstream, call, size);
	memset(call + SERIAL, 0, 4);
	at = bucket(call, size);
	for (answer = *at; answer; answer = answer->next)
		if (answer->call_size == size && !memcmp(answer->call, call, size))
			break;
	if (!answer && upstream < 0) {
		(void)fprintf(stderr, "procedure %u was not asked before\n",
			      (unsigned int)call[14] << 8 | call[15]);
		exit(EXIT_FAILURE);
	}
	if (upstream >= 0) {
		struct answer *kept = answer ? answer : calloc(1, sizeof(*kept));
		unsigned char *reply;
		uint32_t reply_size = receive(upstream, &reply);

		if (!kept || !reply_size)
			fail("upstream");
		if (!answer) {
			*kept = (struct answer){*at, call, NULL, size, 0};
			*at = kept;
		}
		free(kept->reply);
		kept->reply = reply;
		kept->reply_size = reply_size;
		answer = kept;
	}
	memcpy(answer->reply + SERIAL, serial, 4);
	transmit(fd, answer->reply, answer->reply_size);
	if (call != answer->call)
		free(call);
	return 1;
}

int main(int argc, char **argv)
{
	struct pollfd fds[CLIENTS + 1];
	int upstream, first = -1;
	nfds_t count = 1, i;

	if (argc != 3) {
		(void)fputs("usage: bench-replay SOCKET UPSTREAM\n", stderr);
		return 2;
	}
	upstream = make(argv[2], 0);
	fds[0] = (struct pollfd){.fd = make(argv[1], 1), .events = POLLIN};
	for (;;) {
		if (poll(fds, count, -1) < 0)
			fail("poll");
		for (i = count - 1; i > 0; i--) {
			if (!fds[i].revents || serve(fds[i].fd, fds[i].fd == first ? upstream : -1))
				continue;
			if (fds[i].fd == first)
				upstream = -1;
			close(fds[i].fd);
			fds[i] = fds[--count];
		}
		if (fds[0].revents && count <= CLIENTS) {
			fds[count] = (struct pollfd){.fd = accept(fds[0].fd, NULL, NULL),
						     .events = POLLIN};
			if (fds[count].fd < 0)
				fail("accept");
			if (upstream >= 0 && first < 0)
				first = fds[count].fd;
			count++;
		}
	}
}
