/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Disks that are volumes of libvirt's storage pools. */
#include "definition_read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/io.h"
#include "domain/command_line/command_line.h"
#include "domain/definition/complete.h"
#include "domain/definition/xml_node.h"
#include "domain/resources/volume.h"
#include "fake/fake.h"

#define POOLS "etc/libvirt/storage/"

static struct fake *machine;
static struct pt_host *host;

static void write_file(const char *path, const char *text)
{
	assert_int_equal(io_replace_at(host->root_fd, path, text, strlen(text), 0644), 0);
}

static int make(void **state)
{
	char path[4096];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/vtd.json", getenv("MACHINES"));
	machine = fake_new(path, NULL);
	host = fake_host(machine);
	assert_int_equal(io_make_directories_at(host->root_fd, POOLS, 0755), 0);
	assert_int_equal(io_make_directories_at(host->root_fd, "run/libvirt/storage", 0755), 0);
	assert_int_equal(io_make_directories_at(host->root_fd, "srv/images", 0755), 0);
	assert_int_equal(io_make_directories_at(host->root_fd, "dev/vg", 0755), 0);
	write_file(POOLS "default.xml",
		   "<pool type='dir'><name>default</name><target><path>/srv/images"
		   "</path></target></pool>");
	write_file(POOLS "lvm.xml", "<pool type='logical'><name>lvm</name><source><name>vg</name>"
				    "</source><target><path>/dev/vg</path></target></pool>");
	write_file(POOLS "far.xml", "<pool type='rbd'><name>far</name></pool>");
	write_file(POOLS "nowhere.xml", "<pool type='dir'><name>nowhere</name><target/></pool>");
	write_file(POOLS "broken.xml", "<pool type='dir'>");
	write_file(
		"run/libvirt/storage/short.xml",
		"<poolstate><pool type='dir'><name>short</name><target><path>/srv/images</path></target></pool></poolstate>");
	write_file("srv/images/a b.qcow2", "x");
	write_file("dev/vg/root", "x");
	return 0;
}

static int unmake(void **state)
{
	(void)state;
	fake_free(machine);
	return 0;
}

static struct definition *live_with(const char *pool, const char *volume)
{
	char xml[1024];
	struct definition *live = NULL;
	struct definition *def;

	(void)snprintf(
		xml, sizeof(xml),
		"<domain type='kvm'><name>g</name><memory>65536</memory><os><type>hvm</type></os>"
		"<devices><disk type='volume'><driver name='qemu' type='qcow2'/><source pool='%s' "
		"volume='%s'/><target dev='vda'/></disk></devices></domain>",
		pool, volume);
	def = parse_text(xml, 0);
	assert_int_equal(definition_make_live(def, 1, &live, NULL), 0);
	definition_free(def);
	return live;
}

/* What QEMU would open, and as what. */
static void test_found(void **state)
{
	static const struct {
		const char *pool, *volume, *line;
	} cases[] = {
		{"default", "a b.qcow2",
		 "{\"driver\":\"file\",\"filename\":\"/srv/images/a b.qcow2\""},
		{"short", "a b.qcow2",
		 "{\"driver\":\"file\",\"filename\":\"/srv/images/a b.qcow2\""},
		{"lvm", "root", "{\"driver\":\"host_device\",\"filename\":\"/dev/vg/root\""},
	};
	static const struct command_line_files files = {.commands.fd = -1, .events.fd = -1};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO(auto_definition)
		struct definition *live = live_with(cases[i].pool, cases[i].volume);
		AUTO(auto_command_line) char **argv = NULL;
		AUTO_FREE char *text = NULL;
		struct pt_error err;

		if (volumes_settle(host, live, &err) < 0)
			fail_msg("%s", err.message);
		assert_int_equal(command_line_build(live, &files, &argv, NULL), 0);
		assert_int_equal(command_line_format(argv, &text, NULL), 0);
		if (!strstr(text, cases[i].line))
			fail_msg("%s isn't in\n%s", cases[i].line, text);
		assert_null(definition_get(live, "devices/disk/source@pool"));
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *pool, *volume;
		int errnum;
		const char *says;
	} cases[] = {
		{"none", "a", ENOENT,
		 "no storage pool with matching name 'none' (/etc/libvirt/storage/"},
		{"default", "gone", ENOENT,
		 "no storage vol with matching name 'gone' in the pool 'default': /srv/images/gone"},
		{"far", "a", EOPNOTSUPP, "volumes of a pool of the type 'rbd'"},
		{"nowhere", "a", EINVAL, "target/path names no directory"},
		{"broken", "a", EINVAL, "/etc/libvirt/storage/broken.xml: "},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO(auto_definition)
		struct definition *live = live_with(cases[i].pool, cases[i].volume);
		struct pt_error err;

		assert_int_equal(volumes_settle(host, live, &err), -cases[i].errnum);
		if (!strstr(err.message, cases[i].says))
			fail_msg("%s isn't in %s", cases[i].says, err.message);
		/* as it was */
		assert_string_equal(definition_get(live, "devices/disk/source@pool"),
				    cases[i].pool);
	}
}

/* Names that would lead elsewhere are refused when they are defined. */
static void test_names(void **state)
{
	static const char *const sources[] = {
		"pool='..' volume='a'",		"pool='a/b' volume='a'",
		"pool='default' volume='../x'", "pool='default' volume='..'",
		"pool='default' volume=''",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		struct definition *device = NULL;
		struct pt_error err;
		char xml[256];

		(void)snprintf(xml, sizeof(xml),
			       "<disk type='volume'><source %s/><target dev='vda'/></disk>",
			       sources[i]);
		assert_int_equal(definition_parse_device(xml, 0, &device, &err), -EINVAL);
		assert_non_null(strstr(err.message, "is no name"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_found, make, unmake),
		cmocka_unit_test_setup_teardown(test_refused, make, unmake),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
