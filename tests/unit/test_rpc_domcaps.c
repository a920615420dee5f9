/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virsh domcapabilities: its lists are those that definitions are checked against. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "unit/rpc_peer.h"

#define CODE_INVALID_ARG 8

static char *ask_text(struct peer *peer, const struct rpc_domain_capabilities_args *args)
{
	struct rpc_text *result = ask(peer, RPC_CONNECT_GET_DOMAIN_CAPABILITIES, args);
	char *text = strdup(result->text);

	forget(RPC_CONNECT_GET_DOMAIN_CAPABILITIES, result);
	assert_non_null(text);
	return text;
}

/* The values of the list @name, each followed by a blank; within @element. */
static void expect_list(const char *xml, const char *element, const char *name,
			const char *expected)
{
	char phrase[64], found[256] = "";
	const char *at, *end;

	(void)snprintf(phrase, sizeof(phrase), "<%s supported='yes'>", element);
	at = strstr(xml, phrase);
	assert_non_null(at);
	(void)snprintf(phrase, sizeof(phrase), "<enum name='%s'>", name);
	at = strstr(at, phrase);
	assert_non_null(at);
	end = strstr(at, "</enum>");
	while ((at = strstr(at, "<value>")) && at < end) {
		size_t length = strlen(found);

		at += strlen("<value>");
		(void)snprintf(found + length, sizeof(found) - length, "%.*s ",
			       (int)strcspn(at, "<"), at);
	}
	assert_string_equal(found, expected);
}

static void test_lists(void **state)
{
	struct rpc_domain_capabilities_args none = {.flags = 0};
	struct peer peer = join_open(true);
	char *xml = ask_text(&peer, &none);

	(void)state;
	expect_list(xml, "hostdev", "mode", "subsystem ");
	expect_list(xml, "hostdev", "subsysType", "pci usb ");
	expect_list(xml, "hostdev", "pciBackend", "default vfio ");
	/* each of those that come from the table, so that none is lost when a row is rewritten */
	expect_list(xml, "disk", "diskDevice", "disk cdrom ");
	expect_list(xml, "disk", "bus", "virtio sata scsi usb ");
	expect_list(xml, "graphics", "type", "vnc spice egl-headless ");
	expect_list(xml, "video", "modelType", "vga qxl virtio cirrus bochs ramfb none ");
	expect_list(xml, "rng", "backendModel", "random builtin ");
	expect_list(xml, "tpm", "backendModel", "passthrough emulator ");
	expect_list(xml, "tpm", "backendVersion", "2.0 ");
	expect_list(xml, "redirdev", "bus", "usb ");
	expect_list(xml, "channel", "type", "pty unix file null spicevmc ");
	expect_list(xml, "memoryBacking", "sourceType", "anonymous memfd ");
	expect_list(xml, "loader", "type", "rom pflash ");
	/* this machine has neither KVM nor firmware */
	assert_non_null(strstr(xml, "<domain>qemu</domain>"));
	assert_non_null(strstr(xml, "<mode name='host-passthrough' supported='no'>"));
	expect_list(xml, "os", "firmware", "");
	expect_list(xml, "loader", "secure", "no ");
	free(xml);
	leave(&peer);
}

static void test_asked_for(void **state)
{
	char *arch = (char *)(uintptr_t)"x86_64", *machine = (char *)(uintptr_t)"pc-q35-8.0",
	     *type = (char *)(uintptr_t)"qemu", *emulator = (char *)(uintptr_t)"/opt/a&b";
	struct rpc_domain_capabilities_args args = {&emulator, &arch, &machine, &type, 0};
	struct peer peer = join_open(true);
	char *xml = ask_text(&peer, &args);

	(void)state;
	assert_non_null(strstr(xml, "<path>/opt/a&amp;b</path>"));
	assert_non_null(strstr(xml, "<machine>pc-q35-8.0</machine>"));
	free(xml);
	machine = (char *)(uintptr_t)"pc-i440fx-8.0";
	xml = ask_text(&peer, &args);
	expect_list(xml, "disk", "bus", "virtio ide sata scsi usb ");
	free(xml);
	type = (char *)(uintptr_t)"kvm";
	expect_error(&peer, RPC_CONNECT_GET_DOMAIN_CAPABILITIES, &args, CODE_INVALID_ARG,
		     "virttype 'kvm' is not supported on this host");
	machine = (char *)(uintptr_t)"microvm";
	expect_error(&peer, RPC_CONNECT_GET_DOMAIN_CAPABILITIES, &args, CODE_INVALID_ARG,
		     "only q35, pc");
	arch = (char *)(uintptr_t)"aarch64";
	expect_error(&peer, RPC_CONNECT_GET_DOMAIN_CAPABILITIES, &args, CODE_INVALID_ARG,
		     "'aarch64' architecture");
	args.flags = 1;
	expect_error(&peer, RPC_CONNECT_GET_DOMAIN_CAPABILITIES, &args, CODE_INVALID_ARG, "flags");
	leave(&peer);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_lists),
		TEST(test_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
