/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "definition_read.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sys/stat.h>
#include <unistd.h>

#include "domain/definition/complete.h"
#include "domain/resources/resources.h"
#include "domain/definition/xml_node.h"
#include "this_machine.h"

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
	assert_int_equal(resources_choose_ports(machine(), def, NULL), 0);
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
	assert_int_equal(resources_choose_ports(machine(), def, NULL), 0);
	assert_true(port_at(def, "vnc") > first);
	close(fd);

	/* one that was said stays, whoever listens on it */
	assert_int_equal(definition_set(def, "devices/graphics@port", "5999", NULL), 0);
	assert_int_equal(resources_choose_ports(machine(), def, NULL), 0);
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
	assert_int_equal(resources_make_nvram(machine(), def, getuid(), getgid(), &err), 0);
	assert_int_equal(definition_set(def, "os/nvram", path, NULL), 0);
	assert_int_equal(resources_make_nvram(machine(), def, getuid(), getgid(), &err), -EINVAL);
	assert_non_null(strstr(err.message, path));
	assert_int_equal(definition_set(def, "os/nvram@template", template, NULL), 0);
	assert_int_equal(resources_make_nvram(machine(), def, getuid(), getgid(), &err), -ENOENT);
	assert_non_null(strstr(err.message, template));

	assert_int_equal(io_replace_at(AT_FDCWD, template, "vars", 4, 0644), 0);
	assert_int_equal(resources_make_nvram(machine(), def, getuid(), getgid(), &err), 0);
	assert_int_equal(io_read_at(AT_FDCWD, path, data, sizeof(data)), 4);
	assert_memory_equal(data, "vars", 4);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);

	/* the guest's own variables are left alone */
	assert_int_equal(io_replace_at(AT_FDCWD, path, "mine!", 5, 0600), 0);
	assert_int_equal(resources_make_nvram(machine(), def, getuid(), getgid(), &err), 0);
	assert_int_equal(io_read_at(AT_FDCWD, path, data, sizeof(data)), 5);
	(void)unlink(path);
	(void)unlink(template);
	*strrchr(path, '/') = '\0';
	(void)rmdir(path);
	(void)rmdir(folder);
}

static void put_nvram(struct definition *def, const char *path, const char *template)
{
	assert_int_equal(definition_set(def, "os/nvram", path, NULL), 0);
	assert_int_equal(definition_set(def, "os/nvram@template", template, NULL), 0);
}

/* A user of no account, whose directories an administrator has named. */
enum { ALICE = 54321, GUEST = 54322 };

static void nvram_led_elsewhere(void **state)
{
	char folder[] = "/tmp/passthru-nvram-XXXXXX", her[64], path[96], secret[64], fifo[64];
	AUTO(auto_definition) struct definition *def = parse_text(DOMAIN(""), 0);
	struct pt_error err = {0};
	struct stat st;

	(void)state;
	if (geteuid() != 0)
		skip(); /* only root can make what belongs to others */
	assert_non_null(mkdtemp(folder));
	assert_int_equal(chmod(folder, 0755), 0);
	(void)snprintf(secret, sizeof(secret), "%s/secret", folder);
	(void)snprintf(fifo, sizeof(fifo), "%s/fifo", folder);
	(void)snprintf(her, sizeof(her), "%s/her", folder);
	assert_int_equal(io_replace_at(AT_FDCWD, secret, "vars", 4, 0600), 0);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(mkdir(her, 0755), 0);
	assert_int_equal(chown(her, ALICE, ALICE), 0);

	/* a link of hers to a directory of root's, where the variables would be made */
	(void)snprintf(path, sizeof(path), "%s/vm", her);
	assert_int_equal(symlink(folder, path), 0);
	assert_int_equal(lchown(path, ALICE, ALICE), 0);
	(void)snprintf(path, sizeof(path), "%s/vm/job", her);
	put_nvram(def, path, secret);
	assert_int_equal(resources_make_nvram(machine(), def, GUEST, GUEST, &err), -EPERM);
	assert_int_equal(err.reason, PT_NOT_PERMITTED);
	assert_non_null(strstr(err.message, "/her, which belongs to user 54321"));
	(void)snprintf(path, sizeof(path), "%s/vm/a/b/job", her);
	put_nvram(def, path, secret);
	assert_int_equal(resources_make_nvram(machine(), def, GUEST, GUEST, &err), -EPERM);
	(void)snprintf(path, sizeof(path), "%s/a", folder);
	assert_int_equal(lstat(path, &st), -1);

	/* a link of hers as template: its content would be the guest's */
	(void)snprintf(path, sizeof(path), "%s/template", her);
	assert_int_equal(symlink(secret, path), 0);
	put_nvram(def, "/nowhere/vars", path);
	assert_int_equal(resources_make_nvram(machine(), def, GUEST, GUEST, &err), -EPERM);
	assert_non_null(strstr(err.message, "os/nvram@template: "));
	/* a FIFO would wait for ever */
	put_nvram(def, "/nowhere/vars", fifo);
	assert_int_equal(resources_make_nvram(machine(), def, GUEST, GUEST, &err), -EINVAL);

	/* below her directory, without such a link: the guest's variables, in directories of hers
	 */
	(void)snprintf(path, sizeof(path), "%s/vms/g/vars", her);
	put_nvram(def, path, secret);
	assert_int_equal(resources_make_nvram(machine(), def, GUEST, GUEST, &err), 0);
	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(st.st_uid, GUEST);
	*strrchr(path, '/') = '\0';
	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(st.st_uid, ALICE);
	(void)snprintf(path, sizeof(path), "rm -rf %s", folder);
	assert_int_equal(system(path), 0);
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
	r = resources_pin(machine(), def, qmp, getpid(), err);
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

/* Its own process for it: nothing puts a thread's scheduler back. */
static void scheduling(void **state)
{
	struct pt_error err;
	int status = -1;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		int r = pin_with(
			DOMAIN("<cputune><vcpusched vcpus='0-3,^1' scheduler='batch'/>"
			       "<iothreadsched iothreads='1' scheduler='idle'/></cputune>"),
			gettid(), 1, &err);

		_exit(r == 0 && sched_getscheduler(0) == SCHED_BATCH ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	pid = fork();
	if (pid == 0) {
		int r = pin_with(DOMAIN("<cputune><vcpusched vcpus='1' scheduler='batch'/>"
					"<emulatorsched scheduler='idle'/></cputune>"),
				 gettid(), 1, &err);

		/* the process is its first thread, and the vCPU here */
		_exit(r == 0 && sched_getscheduler(0) == SCHED_IDLE ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ports),
		cmocka_unit_test(firmware_variables),
		cmocka_unit_test(nvram_led_elsewhere),
		cmocka_unit_test(pinning),
		cmocka_unit_test(scheduling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
