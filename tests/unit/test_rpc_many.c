/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Many clients at once, and more than there is room for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "daemon/server.h"
#include "unit/rpc_peer.h"

#define READERS	     64
#define NVME	     "pci_0000_01_00_0"
#define ROUNDS	     100
#define DESCRIPTORS  40 /* that are left when nobody can be accepted any more */
#define CONNECTIONS  100
#define SOCKET_GROUP 4711
#define HOGS	     200

/* ---- lanes ---- */

/* Takes the answers that are there; how many. */
static unsigned int take_answers(struct peer *peer)
{
	unsigned int count = 0;
	struct frame frame;

	for (;;) {
		unsigned char *at;
		size_t room;
		ssize_t n;

		while (frame_buffer_take(&peer->input, &frame) == 1)
			count++;
		assert_int_equal(frame_buffer_space(&peer->input, &at, &room), 0);
		n = recv(peer->fd, at, room, MSG_DONTWAIT);
		if (n <= 0)
			return count;
		frame_buffer_added(&peer->input, (size_t)n);
	}
}

/*
 * A change beside all the calls that readers may have under way. That it doesn't wait for theirs is
 * shown where nothing depends on who is faster: test_pool.c.
 */
static void test_a_change_beside_readers(void **state)
{
	static struct peer readers[READERS];
	struct peer admin = join_open(false);
	struct rpc_list_args all = {.is_list_wanted = 0}; /* their sockets take the answers */
	struct rpc_name nvme = named(NVME);
	unsigned int answered = 0;
	int64_t until;

	(void)state;
	for (size_t i = 0; i < READERS; i++)
		readers[i] = join_open(true);
	for (size_t i = 0; i < READERS; i++)
		for (int n = 0; n < CALLS_PER_CLIENT_MAX; n++)
			send_call(&readers[i], RPC_LIST_ALL_NODE_DEVICES, &all);
	for (size_t i = 0; i < READERS; i++)
		turn();
	(void)ask(&admin, RPC_NODE_DEVICE_DETTACH, &nvme);
	/* and all of theirs are answered */
	for (until = now_ms() + 100 * PATIENCE_MS;
	     answered < READERS * CALLS_PER_CLIENT_MAX && now_ms() < until; turn())
		for (size_t i = 0; i < READERS; i++)
			answered += take_answers(&readers[i]);
	assert_int_equal(answered, READERS * CALLS_PER_CLIENT_MAX);
	for (size_t i = 0; i < READERS; i++)
		leave(&readers[i]);
	leave(&admin);
}

/* ---- memory ---- */

static struct peer join_as(uid_t uid, bool is_readonly)
{
	struct peer peer;

	assert_int_equal(seteuid(uid), 0);
	peer = join(is_readonly);
	assert_int_equal(seteuid(0), 0);
	return peer;
}

static void be_heard(void)
{
	for (int i = 0; i < ROUNDS && sd_event_run(daemon_->context->loop, 1000) > 0; i++)
		;
}

static bool is_dropped(const struct peer *peer)
{
	char byte;

	be_heard();
	return recv(peer->fd, &byte, 1, MSG_DONTWAIT) == 0;
}

static void begin_message(struct peer *peer, uint32_t size)
{
	const uint32_t length = htonl(size);

	send_bytes(peer, &length, sizeof(length));
}

/* Who has opened nothing, or may only look, sends nothing long. */
static void test_long_messages(void **state)
{
	struct peer fresh[2] = {join(false), join(false)},
		    readonly[2] = {join_open(true), join_open(true)},
		    admin[2] = {join_open(false), join_open(false)};

	(void)state;
	begin_message(&fresh[0], FRAME_MAX_READONLY + 1);
	begin_message(&readonly[0], FRAME_MAX_READONLY + 1);
	begin_message(&admin[0], FRAME_MAX_CHANGE + 1);
	begin_message(&fresh[1], FRAME_MAX_READONLY);
	begin_message(&readonly[1], FRAME_MAX_READONLY);
	begin_message(&admin[1], FRAME_MAX_CHANGE);
	assert_true(is_dropped(&fresh[0]));
	assert_true(is_dropped(&readonly[0]));
	assert_true(is_dropped(&admin[0]));
	assert_false(is_dropped(&fresh[1]));
	assert_false(is_dropped(&readonly[1]));
	assert_false(is_dropped(&admin[1]));
	for (size_t i = 0; i < 2; i++) {
		leave(&fresh[i]);
		leave(&readonly[i]);
		leave(&admin[i]);
	}
}

/* So many begun messages of one user stay in the sockets; others are answered. */
static void test_memory_of_a_user(void **state)
{
	static struct peer hogs[HOGS];
	static char bytes[60000];
	struct peer other;

	(void)state;
	if (geteuid() != 0)
		skip();
	for (size_t i = 0; i < HOGS; i++) {
		hogs[i] = join_as(1000, true);
		begin_message(&hogs[i], FRAME_MAX_READONLY);
		(void)send(hogs[i].fd, bytes, sizeof(bytes), MSG_NOSIGNAL | MSG_DONTWAIT);
		be_heard();
	}
	assert_in_range(daemon_->clients->others_bytes, CLIENT_USER_BYTES / 2,
			CLIENT_USER_BYTES + FRAME_MAX_READONLY);
	other = join_as(1001, true);
	open_connection(&other, 0);
	still_answers(&other);
	leave(&other);
	for (size_t i = 0; i < HOGS; i++)
		leave(&hogs[i]);
	be_heard();
	while (sd_event_run(daemon_->context->loop, 1000) > 0)
		;
	assert_int_equal(daemon_->clients->others_bytes, 0);
	assert_int_equal(daemon_->clients->others, 0);
}

/* Users fill what they may have, and root still comes in. */
static void test_room_for_root(void **state)
{
	struct clients *clients = daemon_->clients;
	const unsigned int max = daemon_->context->config.max_clients;
	const unsigned int others = max - max / CONTEXT_CLIENTS_ROOT;

	(void)state;
	clients->others = others;
	clients->count = others;
	assert_false(clients_have_room(clients, 1000, false));
	assert_true(clients_have_room(clients, 0, false));
	clients->others = clients->others_readonly = others / 2;
	assert_false(clients_have_room(clients, 1000, true));
	assert_true(clients_have_room(clients, 1000, false));
	clients->others = clients->others_readonly = clients->count = 0;
}

/* ---- no descriptors ---- */

static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static bool comes_to_rest(void)
{
	for (int i = 0; i < ROUNDS; i++)
		if (sd_event_run(daemon_->context->loop, 0) == 0)
			return true;
	return false;
}

/*
 * Clients are another process's: here the daemon alone runs short. The queue of the socket keeps
 * those who can't be accepted, and the loop must not turn round and round for them.
 */
static void test_no_descriptors(void **state)
{
	char path[96];
	struct rlimit limit, few;
	int fds[CONNECTIONS], pipes[2], byte = 0;
	unsigned int before;
	bool has_come_to_rest;
	pid_t pid;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/sock", fake_root(fake));
	assert_int_equal(server_listen_at(daemon_->server, path, getgid(), NULL), 0);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		for (int i = 0; i < CONNECTIONS; i++)
			fds[i] = connect_to(path);
		(void)!write(pipes[1], fds, 1);
		pause();
		_exit(0);
	}
	assert_int_equal(read(pipes[0], &byte, 1), 1);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	few = limit;
	few.rlim_cur = DESCRIPTORS;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	has_come_to_rest = comes_to_rest();
	before = daemon_->clients->count;
	/* once there is room again, those who waited are served */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_true(before > 0 && before < DESCRIPTORS);
	while (daemon_->clients->count < CONNECTIONS)
		turn();
	(void)kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(pipes[0]);
	close(pipes[1]);
	while (daemon_->clients->count)
		turn();
	assert_true(has_come_to_rest);
}

/* Whoever comes after a crowd needn't wait for as many turns of the loop as it has connections. */
static void test_a_crowd_is_accepted(void **state)
{
	enum { CROWD = 4 * CLIENT_ROUND };
	int fds[CROWD];
	unsigned int turns = 0;
	char path[96];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/sock", fake_root(fake));
	assert_int_equal(server_listen_at(daemon_->server, path, getgid(), NULL), 0);
	for (size_t i = 0; i < CROWD; i++)
		fds[i] = connect_to(path);
	for (; daemon_->clients->count < CROWD; turns++)
		turn();
	/* as many of a kind at once as there are messages in a client's turn, and some for timers
	 */
	assert_in_range(turns, 4, 8);
	for (size_t i = 0; i < CROWD; i++)
		close(fds[i]);
	while (daemon_->clients->count)
		turn();
}

/* Its rights are right before anybody can connect, whatever the umask is, which stays as it was. */
static void test_socket(void **state)
{
	const gid_t gid = geteuid() == 0 ? SOCKET_GROUP : getgid();
	const mode_t mask = umask(0);
	char path[96], readonly[100];
	struct stat st;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/sock", fake_root(fake));
	(void)snprintf(readonly, sizeof(readonly), "%s-ro", path);
	assert_int_equal(server_listen_at(daemon_->server, path, gid, NULL), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	assert_int_equal(st.st_gid, gid);
	assert_int_equal(stat(readonly, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0666);
	assert_int_equal(umask(mask), 0);
}

/* Nobody is dropped for being slow here. */
static void be_patient(struct fake *machine, struct context_config *config)
{
	(void)machine;
	config->patience_usec = LONG_MS * (uint64_t)1000;
}

static int set_up_patiently(void **state)
{
	prepare_machine = be_patient;
	return set_up(state);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up_patiently, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_change_beside_readers),
		TEST(test_long_messages),
		TEST(test_memory_of_a_user),
		TEST(test_room_for_root),
		TEST(test_no_descriptors),
		TEST(test_a_crowd_is_accepted),
		TEST(test_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
