/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest's devices when it ends, on the fake kernel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "domain/guest/guest.h"
#include "operation_machine.h"
#include "pci/host.h"

#define HOSTDEV(bus)                                                                               \
	"<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x0000' "     \
	"bus='0x" bus "' slot='0x00' function='0x0'/></source></hostdev>"

static const char xml[] = "<domain type='qemu' id='1'><name>d1</name><memory unit='MiB'>64</memory>"
			  "<os><type arch='x86_64' machine='q35'>hvm</type></os>"
			  "<devices>" HOSTDEV("01") HOSTDEV("02") "</devices></domain>";

static void read_node(const char *device, char path[CONFINE_NODE], struct stat *st)
{
	struct pt_address address;

	assert_int_equal(pt_address_parse(device, &address, NULL), 0);
	assert_true(confine_group_node(host, &address, path));
	assert_int_equal(fstatat(host->root_fd, path, st, 0), 0);
}

/* Nobody but the guest's own file knows that it had this device. */
static void test_unreadable_claim(void **state)
{
	const struct pt_owner guest = {
		.kind = PT_OWNER_DOMAIN, .name = "d1", .pid = 4242, .start_time = 1};
	struct definition *live;
	char node[CONFINE_NODE];
	struct pt_error err = {0};
	struct stat st;

	(void)state;
	assert_int_equal(definition_parse(xml, DEFINITION_LIVE, &live, &err), 0);
	must(PT_TAKE, NVME, TWIN, &guest);
	assert_int_equal(io_replace_at(host->root_fd, CLAIM_DIR "/" NVME, "{", 1, 0644), 0);
	read_node(NVME, node, &st);
	if (geteuid() == 0)
		assert_int_equal(fchownat(host->root_fd, node, 65534, 65534, 0), 0);
	assert_int_equal(guest_give_back(host, &guest, live, &err), -EBADMSG);
	assert_int_equal(err.reason, PT_CORRUPT);
	assert_non_null(strstr(err.message, "guest d1 has ended"));
	assert_non_null(strstr(err.message, "/" CLAIM_DIR "/" NVME));
	assert_binding(TWIN, "nvme", "");
	assert_binding(NVME, "vfio-pci", "vfio-pci");
	read_node(NVME, node, &st);
	assert_int_equal(st.st_uid, geteuid());
	/* as the message says */
	assert_int_equal(unlinkat(host->root_fd, CLAIM_DIR "/" NVME, 0), 0);
	must(PT_REATTACH, NVME, NULL, NULL);
	assert_int_equal(guest_give_back(host, &guest, live, &err), 0);
	definition_free(live);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_unreadable_claim, make, unmake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
