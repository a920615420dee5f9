/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which firmware a guest gets, from descriptors as distributions ship them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "domain/definition/firmware.h"
#include "read_tree.h"

#define PACKAGE "usr/share/qemu/firmware/"
#define ADMIN	"etc/qemu/firmware/"

#define DESCRIPTOR(code, variables, format, machines, features)                                    \
	"{\"interface-types\": [\"uefi\"], \"mapping\": {\"device\": \"flash\", \"executable\": "  \
	"{\"filename\": \"" code "\", \"format\": \"" format "\"}, \"nvram-template\": "           \
	"{\"filename\": \"" variables "\", \"format\": \"" format "\"}}, \"targets\": "            \
	"[{\"architecture\": \"x86_64\", \"machines\": [" machines "]}], \"features\": [" features \
	"]}"
#define ENROLLED "\"acpi-s3\", \"enrolled-keys\", \"requires-smm\", \"secure-boot\""
#define SECURE	 "\"acpi-s3\", \"requires-smm\", \"secure-boot\""

static struct empty machine;

static int set_up(void **state)
{
	(void)state;
	open_empty(&machine);
	put_text(machine.host, PACKAGE "40-enrolled.json",
		 DESCRIPTOR("/f/CODE.ms.fd", "/f/VARS.ms.fd", "raw", "\"pc-q35-*\"", ENROLLED));
	put_text(machine.host, PACKAGE "50-secure.json",
		 DESCRIPTOR("/f/CODE.secboot.fd", "/f/VARS.fd", "raw", "\"pc-q35-*\"", SECURE));
	put_text(machine.host, PACKAGE "60-plain.json",
		 DESCRIPTOR("/f/CODE.fd", "/f/VARS.fd", "raw", "\"pc-i440fx-*\", \"pc-q35-*\"",
			    "\"acpi-s3\""));
	put_text(machine.host, PACKAGE "10-arm.json",
		 DESCRIPTOR("/f/arm", "/f/arm", "raw", "\"virt-*\"", ""));
	put_text(machine.host, PACKAGE "20-memory.json",
		 "{\"interface-types\": [\"uefi\"], \"mapping\": {\"device\": \"memory\", "
		 "\"filename\": \"/f/tdx\"}, \"targets\": [{\"architecture\": \"x86_64\", "
		 "\"machines\": [\"pc-q35-*\"]}], \"features\": []}");
	put_text(machine.host, PACKAGE "README", "no descriptor");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	close_empty(&machine);
	return 0;
}

static struct definition *define(const char *os, const char *more)
{
	struct definition *def;
	struct pt_error err;
	char xml[2048];

	(void)snprintf(xml, sizeof(xml),
		       "<domain type='qemu'><name>g 1</name><memory unit='MiB'>64</memory>%s%s"
		       "</domain>",
		       os, more);
	if (definition_parse(xml, 0, &def, &err) < 0)
		fail_msg("%s", err.message);
	return def;
}

static void choose(struct definition *def)
{
	struct pt_error err;

	if (definition_choose_firmware(machine.host, def, &err) < 0)
		fail_msg("%s", err.message);
}

/* NULL in @code: refused. */
static void is_given(const char *os, const char *more, const char *code, const char *variables)
{
	AUTO(auto_definition) struct definition *def = define(os, more);
	struct pt_error err;

	if (!code) {
		assert_int_equal(definition_choose_firmware(machine.host, def, &err), -EOPNOTSUPP);
		assert_non_null(strstr(err.message, "Unable to find 'efi' firmware"));
		assert_null(definition_get(def, "os/loader"));
		return;
	}
	choose(def);
	assert_string_equal(definition_get(def, "os/loader"), code);
	if (variables)
		assert_string_equal(definition_get(def, "os/nvram@template"), variables);
	else
		assert_null(definition_get(def, "os/nvram@template"));
}

#define OS(inside) "<os firmware='efi'><type machine='pc-q35-9.0'>hvm</type>" inside "</os>"
#define FEATURE(name, enabled)                                                                     \
	"<firmware><feature enabled='" enabled "' name='" name "'/></firmware>"

static void test_chosen(void **state)
{
	(void)state;
	is_given(OS(""), "", "/f/CODE.ms.fd", "/f/VARS.ms.fd");
	is_given("<os firmware='efi'><type machine='q35'>hvm</type></os>", "", "/f/CODE.ms.fd",
		 "/f/VARS.ms.fd");
	is_given("<os firmware='efi'><type>hvm</type></os>", "", "/f/CODE.ms.fd", "/f/VARS.ms.fd");
	is_given(OS(FEATURE("secure-boot", "no")), "", "/f/CODE.fd", "/f/VARS.fd");
	is_given(OS(FEATURE("enrolled-keys", "no")), "", "/f/CODE.secboot.fd", "/f/VARS.fd");
	is_given(OS("<firmware><feature enabled='yes' name='secure-boot'/><feature enabled='no' "
		    "name='enrolled-keys'/></firmware>"),
		 "", "/f/CODE.secboot.fd", "/f/VARS.fd");
	is_given(OS(""), "<features><smm state='off'/></features>", "/f/CODE.fd", "/f/VARS.fd");
	is_given(OS(""), "<pm><suspend-to-mem enabled='yes'/></pm>", "/f/CODE.ms.fd",
		 "/f/VARS.ms.fd");
	is_given(OS(""), "<pm><suspend-to-disk enabled='yes'/></pm>", NULL, NULL);
	is_given(OS("<loader secure='no'/>"), "", "/f/CODE.fd", "/f/VARS.fd");
	is_given(OS("<loader secure='yes' readonly='yes' type='pflash'/>"), "", "/f/CODE.ms.fd",
		 "/f/VARS.ms.fd");
	is_given(OS("<nvram template='/t'/>"), "", "/f/CODE.ms.fd", "/t");
	is_given(OS("<loader secure='yes'/>"), "<features><smm state='off'/></features>", NULL,
		 NULL);
	is_given(OS(FEATURE("secure-boot", "yes")), "<features><smm state='off'/></features>", NULL,
		 NULL);
}

static void test_what_it_says_then(void **state)
{
	AUTO(auto_definition) struct definition *def = define(OS(""), "");
	AUTO(auto_definition) struct definition *again = NULL;
	AUTO_FREE char *text = NULL;
	AUTO_FREE char *twice = NULL;
	struct pt_error err;

	(void)state;
	choose(def);
	assert_string_equal(definition_get(def, "os@firmware"), "efi");
	assert_string_equal(definition_get(def, "os/loader@readonly"), "yes");
	assert_string_equal(definition_get(def, "os/loader@type"), "pflash");
	assert_string_equal(definition_get(def, "os/loader@secure"), "yes");
	assert_null(definition_get(def, "os/loader@format"));
	assert_string_equal(definition_get(def, "features/smm@state"), "on");
	assert_string_equal(definition_get(def, "os/nvram"),
			    FIRMWARE_NVRAM_DIRECTORY "/g 1_VARS.fd");
	/* chosen once: another package of firmware changes nothing for this guest */
	put_text(machine.host, ADMIN "05-newer.json",
		 DESCRIPTOR("/f/new", "/f/new-vars", "raw", "\"pc-q35-*\"", ENROLLED));
	assert_int_equal(definition_format(def, 0, &text, &err), 0);
	assert_int_equal(definition_parse(text, 0, &again, &err), 0);
	choose(again);
	assert_int_equal(definition_format(again, 0, &twice, &err), 0);
	assert_string_equal(text, twice);
}

static void test_own_files(void **state)
{
	static const char own[] = "<os><type>hvm</type><loader type='pflash' readonly='yes'>";
	char os[512];

	(void)state;
	/* a file that a descriptor knows: its template, beside what is said */
	(void)snprintf(os, sizeof(os), "%s/f/CODE.fd</loader><nvram>/n</nvram></os>", own);
	is_given(os, "", "/f/CODE.fd", "/f/VARS.fd");
	(void)snprintf(os, sizeof(os), "%s/f/CODE.fd</loader><nvram template='/t'>/n</nvram></os>",
		       own);
	is_given(os, "", "/f/CODE.fd", "/t");
	(void)snprintf(os, sizeof(os), "%s/own.fd</loader><nvram template='/t'/></os>", own);
	is_given(os, "", "/own.fd", "/t");
	(void)snprintf(os, sizeof(os), "%s/own.fd</loader><nvram>/n</nvram></os>", own);
	is_given(os, "", "/own.fd", NULL);
	is_given("<os><type>hvm</type><loader type='rom'>/f/CODE.fd</loader></os>", "",
		 "/f/CODE.fd", NULL);
	is_given("<os><type>hvm</type><loader type='pflash' readonly='no'>/f/CODE.fd</loader></os>",
		 "", "/f/CODE.fd", NULL);
}

static void test_overridden(void **state)
{
	(void)state;
	put_text(machine.host, ADMIN "40-enrolled.json", "");
	is_given(OS(""), "", "/f/CODE.secboot.fd", "/f/VARS.fd");
	put_text(machine.host, ADMIN "50-secure.json",
		 DESCRIPTOR("/own/c", "/own/v", "qcow2", "\"pc-q35-*\"", SECURE));
	is_given(OS(""), "", "/own/c", "/own/v");
	/* broken ones are passed over */
	put_text(machine.host, ADMIN "00-broken.json", "{");
	put_text(machine.host, ADMIN "01-broken.json", "[]");
	put_text(machine.host, ADMIN "02-broken.json",
		 DESCRIPTOR("relative", "/v", "raw", "\"pc-q35-*\"", ""));
	put_text(machine.host, ADMIN "03-broken.json",
		 DESCRIPTOR("/c", "/v", "vmdk", "\"pc-q35-*\"", ""));
	is_given(OS(""), "", "/own/c", "/own/v");
}

static void test_nothing_installed(void **state)
{
	AUTO(auto_definition) struct definition *def = define(OS(""), "");
	AUTO(auto_definition) struct definition *bios = define("<os><type>hvm</type></os>", "");
	AUTO(auto_definition)
	struct definition *unnamed = define("<os><type>hvm</type><loader secure='yes'/></os>", "");
	struct pt_error err;
	struct empty none;

	(void)state;
	open_empty(&none);
	assert_int_equal(definition_choose_firmware(none.host, def, &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.message, "install OVMF"));
	assert_int_equal(definition_choose_firmware(none.host, bios, &err), 0);
	assert_null(definition_get(bios, "os/loader"));
	assert_int_equal(definition_choose_firmware(none.host, unnamed, &err), -EINVAL);
	assert_non_null(strstr(err.message, "domain/os/loader names no file"));
	close_empty(&none);
}

static void test_nvram(void **state)
{
	AUTO(auto_definition)
	struct definition *def =
		define("<os><type>hvm</type><loader>/c</loader><nvram>/n/v</nvram></os>", "");
	struct pt_error err;

	(void)state;
	assert_false(definition_has_nvram(machine.host, def));
	put_text(machine.host, "n/v", "x");
	assert_true(definition_has_nvram(machine.host, def));
	assert_int_equal(definition_remove_nvram(machine.host, def, &err), 0);
	assert_false(definition_has_nvram(machine.host, def));
	assert_int_equal(definition_remove_nvram(machine.host, def, &err), 0);
	put_text(machine.host, "n/v/w", "a directory");
	assert_false(definition_has_nvram(machine.host, def));
}

/* Undefining removes nothing by a link of another user's. */
static void test_nvram_led_elsewhere(void **state)
{
	AUTO(auto_definition)
	struct definition *def =
		define("<os><type>hvm</type><loader>/c</loader><nvram>/her/vm/v</nvram></os>", "");
	struct pt_error err;
	int root = machine.host->root_fd;

	(void)state;
	if (geteuid() != 0)
		skip(); /* only root can make what belongs to others */
	put_text(machine.host, "etc/v", "root's");
	put_link(machine.host, "her/vm", "/etc");
	assert_int_equal(fchownat(root, "her/vm", 54321, 54321, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(definition_remove_nvram(machine.host, def, &err), -EPERM);
	assert_int_equal(err.reason, PT_NOT_PERMITTED);
	assert_non_null(strstr(err.message, "/her/vm, which belongs to user 54321"));
	assert_non_null(strstr(err.message, "--keep-nvram"));
	assert_int_equal(faccessat(root, "etc/v", F_OK, 0), 0);
	/* from a directory of hers she may remove it herself */
	put_away(machine.host, "her/vm");
	put_text(machine.host, "her/vm/v", "the guest's");
	assert_int_equal(fchownat(root, "her/vm", 54321, 54321, 0), 0);
	assert_int_equal(definition_remove_nvram(machine.host, def, &err), 0);
	assert_int_equal(faccessat(root, "her/vm/v", F_OK, 0), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_chosen, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_it_says_then, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_own_files, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_overridden, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nothing_installed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nvram, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nvram_led_elsewhere, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
