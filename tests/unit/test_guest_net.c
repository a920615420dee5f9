/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Macvtaps of guests, which are there as long as their guest is; and vsocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>

#include "guest_machine.h"

#include "base/io.h"
#include "domain/definition/mac.h"
#include "domain/resources/macvtap.h"

#define NETS "sys/class/net/"
#define DIRECT(inside)                                                                             \
	"<interface type='direct'><source dev='eth0' mode='bridge'/>" inside                       \
	"<model type='virtio'/></interface>"

static struct fake *machine;
static struct pt_host *host;

static int make(void **state)
{
	(void)state;
	machine = guest_machine_new();
	host = fake_host(machine);
	assert_int_equal(io_make_directories_at(host->root_fd, NETS "eth0/", 0755), 0);
	return 0;
}

static int unmake(void **state)
{
	(void)state;
	guest_machine_free(machine);
	return 0;
}

static bool is_there(const char *name)
{
	char path[64];

	(void)snprintf(path, sizeof(path), NETS "%s", name);
	return faccessat(host->root_fd, path, F_OK, 0) == 0;
}

static void make_net(const char *name)
{
	char path[64];

	(void)snprintf(path, sizeof(path), NETS "%s", name);
	assert_int_equal(mkdirat(host->root_fd, path, 0755), 0);
}

/* QEMU has so many of them, under the numbers that it was told. */
static void assert_descriptors(const struct guest *guest, const char *key, size_t count)
{
	char path[64], line[16384], *at;
	ssize_t length;
	size_t found = 0;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)guest->owner.pid);
	length = io_read_at(AT_FDCWD, path, line, sizeof(line) - 1);
	assert_true(length > 0);
	for (ssize_t i = 0; i < length; i++)
		line[i] = line[i] ? line[i] : ' ';
	line[length] = '\0';
	(void)snprintf(path, sizeof(path), "\"%s\":\"", key);
	at = strstr(line, path);
	assert_non_null(at);
	at += strlen(path) - 1;
	do {
		fd = (int)strtol(at + 1, &at, 10);
		(void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)guest->owner.pid, fd);
		assert_int_equal(faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW), 0);
		found++;
	} while (*at == ':');
	assert_int_equal(found, count);
}

static void test_too_many_queues(void **state)
{
	struct guest *guest;
	struct pt_error err;

	(void)state;
	assert_int_equal(guest_begin(host,
				     GUEST_XML(DIRECT("<driver queues='64'/>")
						       DIRECT("<driver queues='64'/>")
							       DIRECT("<driver queues='64'/>")),
				     &guest, &err),
			 -EOPNOTSUPP);
	assert_non_null(strstr(err.message, "can have at most 128 queues together"));
	assert_false(is_there("passthru0"));
}

static void test_as_long_as_its_guest(void **state)
{
	struct guest *guest = NULL;
	struct pt_error err;

	(void)state;
	assert_int_equal(guest_begin(host, GUEST_XML(DIRECT("<driver queues='3'/>")), &guest, &err),
			 0);
	assert_true(is_there("passthru0"));
	assert_descriptors(guest, "fds", 3);
	assert_string_equal(definition_get(guest->live, "devices/interface/target@dev"),
			    "passthru0");
	guest_kill(host, guest);
	assert_false(is_there("passthru0"));
	assert_true(is_there("eth0"));

	/* nor is it left by a start that fails, before or after there is a process */
	fake_guests_fault(machine, "cont", "error GenericError no");
	assert_int_equal(guest_begin(host, GUEST_XML(DIRECT("")), &guest, &err), -EREMOTEIO);
	assert_false(is_there("passthru0"));
	assert_true(guest_begin(host,
				GUEST_XML(DIRECT("") "<disk type='file'><source file='/srv/none'/>"
						     "<target dev='vdb'/></disk>"),
				&guest, &err) < 0);
	assert_false(is_there("passthru0"));
}

static void test_names_are_ours(void **state)
{
	struct guest *guest = NULL;
	struct pt_error err;

	(void)state;
	assert_int_equal(
		guest_begin(host, GUEST_XML(DIRECT("<target dev='mine0'/>")), &guest, &err),
		-EOPNOTSUPP);
	assert_string_equal(err.message,
			    "domain/devices/interface/target@dev='mine0': passthrud itself names "
			    "the macvtaps that it makes (line 1); leave <target> out");
	/* what it was named in another run, libvirt's or ours, says nothing */
	assert_int_equal(guest_begin(host,
				     GUEST_XML(DIRECT("<target dev='macvtap3'/>")
						       DIRECT("<target dev='passthru3'/>")),
				     &guest, &err),
			 0);
	guest_kill(host, guest);
}

/* What a start left that was killed before its guest had a file. */
static void test_sweeping(void **state)
{
	struct guest *guest = NULL;
	struct pt_error err;

	(void)state;
	assert_int_equal(guest_begin(host, GUEST_XML(DIRECT("")), &guest, &err), 0);
	make_net("passthru7");
	make_net("passthrux");
	make_net("passthru");
	macvtap_sweep(host);
	assert_true(is_there("passthru0") && is_there("passthrux") && is_there("passthru"));
	assert_false(is_there("passthru7"));

	/* a guest whose file can't be read may have it */
	make_net("passthru7");
	assert_int_equal(io_replace_at(host->root_fd, "run/passthru/guests/x.json", "{", 1, 0600),
			 0);
	macvtap_sweep(host);
	assert_true(is_there("passthru7"));
	assert_int_equal(unlinkat(host->root_fd, "run/passthru/guests/x.json", 0), 0);
	macvtap_sweep(host);
	assert_false(is_there("passthru7"));
	guest_kill(host, guest);
}

#define VSOCK(cid) "<vsock model='virtio'><cid " cid "/></vsock>"

static void test_vsock(void **state)
{
	AUTO_FREE char *kept = NULL;
	struct guest *guest = NULL;
	struct pt_error err;

	(void)state;
	/* another guest has the first one */
	assert_int_equal(guest_begin(host, GUEST_XML(VSOCK("auto='yes'")), &guest, &err), 0);
	assert_string_equal(definition_get(guest->live, "devices/vsock/cid@address"), "4");
	assert_int_equal(definition_format(guest->live, 0, &kept, &err), 0);
	assert_non_null(strstr(kept, "<cid auto='yes'/>"));
	guest_kill(host, guest);

	assert_int_equal(guest_begin(host, GUEST_XML(VSOCK("auto='no' address='3'")), &guest, &err),
			 -EADDRINUSE);
	assert_string_equal(err.message, "domain/devices/vsock/cid: another guest has the address "
					 "3; with auto='yes' one is chosen");
}

static void test_addresses(void **state)
{
	unsigned char mac[6];

	(void)state;
	assert_true(mac_parse("52:54:00:ab:CD:0f", mac));
	assert_memory_equal(mac, "\x52\x54\x00\xab\xcd\x0f", 6);
	assert_false(mac_parse("52:54:00:ab:cd", mac));
	assert_false(mac_parse("52:54:00:ab:cd:0f:00", mac));
	assert_false(mac_parse("", mac) || mac_parse(NULL, mac));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_too_many_queues, make, unmake),
		cmocka_unit_test_setup_teardown(test_as_long_as_its_guest, make, unmake),
		cmocka_unit_test_setup_teardown(test_names_are_ours, make, unmake),
		cmocka_unit_test_setup_teardown(test_sweeping, make, unmake),
		cmocka_unit_test_setup_teardown(test_vsock, make, unmake),
		cmocka_unit_test(test_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
