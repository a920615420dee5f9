/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "definition_read.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "domain/live.h"
#include "domain/live_start.h"
#include "domain/xml_node.h"

#define DOMAIN(inside)                                                                             \
	"<domain type='kvm'><name>g</name><memory>65536</memory><os><type>hvm</type></os>" inside  \
	"</domain>"

static uint64_t port_at(const struct definition *def, const char *kind)
{
	const xmlNode *at = node_find(definition_root(def), "devices/graphics");
	uint64_t port = 0;

	while (at && !node_has(at, "type", kind))
		at = node_next(at, "graphics");
	(void)node_number(at, "port", 65535, &port);
	return port;
}

static void ports(void **state)
{
	AUTO(auto_definition)
	struct definition *def =
		parse_text(DOMAIN("<devices><graphics type='vnc' autoport='yes'/>"
				  "<graphics type='spice' port='-1' autoport='yes'/></devices>"),
			   0);
	struct sockaddr_in taken = {.sin_family = AF_INET};
	uint64_t first;
	int fd;

	(void)state;
	assert_int_equal(live_choose_ports(def, NULL), 0);
	first = port_at(def, "vnc");
	assert_in_range(first, 5900, 6899);
	assert_in_range(port_at(def, "spice"), first + 1, 6899);

	/* one that somebody listens on isn't chosen */
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	taken.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	taken.sin_port = htons((uint16_t)first);
	assert_int_equal(bind(fd, (struct sockaddr *)&taken, sizeof(taken)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(definition_set(def, "devices/graphics@port", NULL, NULL), 0);
	assert_int_equal(live_choose_ports(def, NULL), 0);
	assert_true(port_at(def, "vnc") > first);
	close(fd);

	/* one that was said stays, whoever listens on it */
	assert_int_equal(definition_set(def, "devices/graphics@port", "5999", NULL), 0);
	assert_int_equal(live_choose_ports(def, NULL), 0);
	assert_int_equal(port_at(def, "vnc"), 5999);
}

static void firmware_variables(void **state)
{
	char folder[] = "/tmp/passthru-nvram-XXXXXX", path[64], template[64];
	AUTO(auto_definition) struct definition *def = parse_text(DOMAIN(""), 0);
	struct pt_error err = {0};
	struct stat status;
	char data[8] = "";

	(void)state;
	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/a/g.fd", folder);
	(void)snprintf(template, sizeof(template), "%s/template", folder);
	assert_int_equal(live_make_nvram(def, getuid(), getgid(), &err), 0);
	assert_int_equal(definition_set(def, "os/nvram", path, NULL), 0);
	assert_int_equal(live_make_nvram(def, getuid(), getgid(), &err), -EINVAL);
	assert_non_null(strstr(err.message, path));
	assert_int_equal(definition_set(def, "os/nvram@template", template, NULL), 0);
	assert_int_equal(live_make_nvram(def, getuid(), getgid(), &err), -ENOENT);
	assert_non_null(strstr(err.message, template));

	assert_int_equal(io_replace_at(AT_FDCWD, template, "vars", 4, 0644), 0);
	assert_int_equal(live_make_nvram(def, getuid(), getgid(), &err), 0);
	assert_int_equal(io_read_at(AT_FDCWD, path, data, sizeof(data)), 4);
	assert_memory_equal(data, "vars", 4);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);

	/* the guest's own variables are left alone */
	assert_int_equal(io_replace_at(AT_FDCWD, path, "mine!", 5, 0600), 0);
	assert_int_equal(live_make_nvram(def, getuid(), getgid(), &err), 0);
	assert_int_equal(io_read_at(AT_FDCWD, path, data, sizeof(data)), 5);
	(void)unlink(path);
	(void)unlink(template);
	*strrchr(path, '/') = '\0';
	(void)rmdir(path);
	(void)rmdir(folder);
}

/* ---- pinning: a QEMU that has one thread for a processor, which is ours ---- */

struct qemu {
	int fd;
	pid_t vcpu;
	pid_t iothread;
};

static void say(int fd, const char *before, int number, const char *after)
{
	char text[256];
	int len = snprintf(text, sizeof(text), "%s%d%s\n", before, number, after);

	assert_int_equal(send(fd, text, (size_t)len, MSG_NOSIGNAL), len);
}

static void hear(int fd)
{
	char byte = 0;

	while (byte != '\n' && recv(fd, &byte, 1, 0) == 1)
		;
}

static void *play(void *argument)
{
	const struct qemu *qemu = argument;

	say(qemu->fd, "{\"QMP\": {\"version\": ", 0, "}}");
	hear(qemu->fd);
	say(qemu->fd, "{\"return\": {}, \"id\": ", 1, "}");
	hear(qemu->fd);
	say(qemu->fd, "{\"return\": [{\"cpu-index\": 0, \"thread-id\": ", qemu->vcpu,
	    "}], \"id\": 2}");
	hear(qemu->fd);
	say(qemu->fd, "{\"return\": [{\"id\": \"iothread1\", \"thread-id\": ", qemu->iothread,
	    "}], \"id\": 3}");
	hear(qemu->fd);
	return NULL;
}

static int pin_with(const char *tune, pid_t vcpu, pid_t iothread, struct pt_error *err)
{
	struct qemu qemu = {.vcpu = vcpu, .iothread = iothread};
	AUTO(auto_definition) struct definition *def = parse_text(tune, 0);
	struct qmp *qmp = NULL;
	pthread_t thread;
	int fds[2], r;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	qemu.fd = fds[0];
	assert_int_equal(pthread_create(&thread, NULL, play, &qemu), 0);
	assert_int_equal(qmp_open(fds[1], 20000, &qmp, NULL), 0);
	r = live_pin(def, qmp, getpid(), err);
	qmp_close(qmp);
	assert_int_equal(pthread_join(thread, NULL), 0);
	close(fds[0]);
	return r;
}

static void pinning(void **state)
{
	cpu_set_t before, after, init;
	struct pt_error err = {0};
	int first = 0;
	char tune[512];

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	while (!CPU_ISSET(first, &before))
		first++;
	(void)snprintf(tune, sizeof(tune),
		       DOMAIN("<cputune><vcpupin vcpu='0' cpuset='%d'/></cputune>"), first);
	/* threads that aren't QEMU's are left alone, whatever it says */
	assert_int_equal(sched_getaffinity(1, sizeof(init), &init), 0);
	assert_int_equal(pin_with(tune, 1, 1, &err), 0);
	assert_int_equal(sched_getaffinity(1, sizeof(after), &after), 0);
	assert_true(CPU_EQUAL(&after, &init));

	assert_int_equal(pin_with(tune, gettid(), 1, &err), 0);
	assert_int_equal(sched_getaffinity(0, sizeof(after), &after), 0);
	assert_int_equal(CPU_COUNT(&after), 1);
	assert_true(CPU_ISSET(first, &after));
	assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);

	/* processors this host hasn't got */
	(void)snprintf(tune, sizeof(tune), "%s",
		       DOMAIN("<cputune><emulatorpin cpuset='1023'/></cputune>"));
	assert_int_equal(pin_with(tune, 1, 1, &err), -EINVAL);
	assert_non_null(strstr(err.message, "1023"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ports),
		cmocka_unit_test(firmware_variables),
		cmocka_unit_test(pinning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
