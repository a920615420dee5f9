/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * State files of earlier versions are still read: golden/state-0.1 was written by passthru 0.1 of
 * November 2026, before there was one module for them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assign/claim.h"
#include "assign/journal.h"
#include "assign/persist/persist.h"
#include "base/io.h"
#include "domain/definition/definition.h"
#include "domain/store/store.h"
#include "domain/store/devices.h"
#include "pci/host.h"

static struct pt_host *host;

static int set_up(void **state)
{
	char root[4096];

	(void)state;
	(void)snprintf(root, sizeof(root), "%s/../unit/golden/state-0.1", getenv("MACHINES"));
	return pt_host_new(root, &host, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	pt_host_free(host);
	return 0;
}

static const struct pt_claim *claim_of(const struct pt_claims *claims, uint8_t bus)
{
	const struct pt_address address = {.bus = bus};
	const struct pt_claim *claim = pt_claims_find(claims, &address);

	assert_non_null(claim);
	return claim;
}

static void test_claims(void **state)
{
	const struct pt_claim *claim;
	struct pt_claims *claims;
	struct pt_error err;

	(void)state;
	if (pt_claims_read(host, &claims, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(pt_claims_count(claims), 5);
	assert_int_equal(pt_claims_unreadable_count(claims), 0);
	/* its detach was interrupted */
	assert_int_equal(claim_of(claims, 0x01)->state, PT_CLAIM_CHANGING);
	claim = claim_of(claims, 0x0b);
	assert_int_equal(claim->state, PT_CLAIM_HELD);
	assert_int_equal(claim->owner.kind, PT_OWNER_MANUAL);
	assert_string_equal(claim->driver, "vfio-pci");
	assert_string_equal(claim->driver_before, "e1000e");
	assert_string_equal(claim->why, "für die Prüfung");
	claim = claim_of(claims, 0x02);
	assert_int_equal(claim->owner.kind, PT_OWNER_PROCESS);
	assert_string_equal(claim->owner.name, "qemu-system-x86");
	assert_int_equal(claim->owner.pid, 1234);
	assert_int_equal(claim->owner.start_time, 55);
	assert_true(claim->is_kept);
	claim = claim_of(claims, 0x03);
	assert_int_equal(claim->owner.kind, PT_OWNER_DOMAIN);
	assert_string_equal(claim->owner.name, "win11");
	assert_int_equal(claim->vendor_id, 0x8086);
	assert_int_equal(claim->since, 1795880001);
	claim = claim_of(claims, 0x04);
	assert_int_equal(claim->state, PT_CLAIM_QUARANTINED);
	assert_string_equal(claim->override_before, "e1000e");
	assert_string_equal(claim->why, "0000:04:00.0 does not answer after its reset\nand more");
	pt_claims_free(claims);
}

static void test_journal(void **state)
{
	struct journal journal;
	char **names;

	(void)state;
	assert_int_equal(journal_list(host, &names, NULL), 0);
	assert_non_null(names[0]);
	assert_null(names[1]);
	assert_int_equal(journal_read(host, names[0], &journal, NULL), 0);
	assert_int_equal(journal.verb, PT_DETACH);
	assert_int_equal(journal.count, 5);
	assert_int_equal(journal.begun, 4);
	assert_string_equal(journal.steps[0].new_claim.driver_before, "nvme");
	assert_string_equal(journal.steps[4].to.override, "vfio-pci");
	journal_free(&journal);
	free(names);
}

static void test_persisted(void **state)
{
	struct pt_persist_list *list;

	(void)state;
	assert_int_equal(persist_load(host, &list, NULL), 0);
	assert_int_equal(pt_persist_unreadable_count(list), 0);
	assert_int_equal(pt_persist_count(list), 1);
	assert_string_equal(pt_persist_at(list, 0)->why, "游戏 card");
	assert_string_equal(pt_persist_at(list, 0)->driver, "vfio-pci");
	assert_true(pt_persist_at(list, 0)->identity.is_serial_known);
	assert_non_null(strstr(pt_persist_at(list, 0)->identity.serial, "52-54-00-ff-ff-1a-b0-07"));
	assert_string_equal(pt_persist_at(list, 0)->identity.slot, "0000:40/00.0/00.0");
	pt_persist_free(list);
}

static void test_live(void **state)
{
	struct store_live *live;
	char **names;

	(void)state;
	assert_int_equal(store_list_live(host, &names, NULL), 0);
	assert_string_equal(names[0], "win11");
	assert_null(names[1]);
	free(names);
	assert_int_equal(store_read_live(host, "win11", &live, NULL), 0);
	assert_int_equal(live->id, 3);
	assert_int_equal(live->pid, 4321);
	assert_int_equal(live->start_time, 987654321);
	assert_int_equal(live->phase, STORE_RUNNING);
	assert_int_equal(live->companions[STORE_TPM].pid, 4320);
	assert_non_null(strstr(live->xml, "<title>Spielkiste 游戏</title>\n"));
	assert_int_equal(live->pending_count, 2);
	assert_int_equal(live->pending[0].change, STORE_DETACHING);
	assert_int_equal(live->pending[0].address.bus, 3);
	assert_string_equal(live->pending[1].xml, "<disk type='file'/>");
	assert_int_equal(live->file_count, 2);
	assert_string_equal(live->files[0].path, "/var/lib/images/win11.qcow2");
	assert_string_equal(live->files[1].path, "/var/lib/images/游戏.raw");
	assert_int_equal(live->files[1].device, 0xfffffffffffffff0);
	assert_int_equal(live->files[1].uid, 1000);
	assert_int_equal(live->vf_count, 1);
	assert_string_equal(live->vfs[0].mac, "52:54:00:12:34:56");
	assert_int_equal(live->vfs[0].vlan, 42);
	store_live_free(live);
}

static void test_definition(void **state)
{
	struct store_devices *devices;
	struct definition *definition;
	char **names, *xml, *text;
	size_t size;

	(void)state;
	assert_int_equal(store_list_definitions(host, &names, NULL), 0);
	assert_string_equal(names[0], "win11");
	free(names);
	assert_int_equal(store_read_definition(host, "win11", &xml, NULL), 0);
	assert_int_equal(definition_parse(xml, 0, &definition, NULL), 0);
	assert_string_equal(definition_name(definition), "win11");
	definition_free(definition);
	free(xml);
	assert_int_equal(
		io_read_all_at(host->root_fd, STORE_DEVICES "/win11.json", 4096, &text, &size), 0);
	assert_int_equal(store_parse_devices(text, size, &devices, NULL), 0);
	assert_int_equal(devices->count, 2);
	assert_int_equal(devices->items[0].address.bus, 4);
	assert_int_equal(devices->items[0].identity.device_id, 0x10d3);
	free(devices);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_claims, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_journal, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_persisted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_live, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_definition, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("upgrade", tests, NULL, NULL);
}
