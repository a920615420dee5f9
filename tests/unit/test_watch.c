/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Events of claims and of the kernel's log, on the fake machine; uevents come only from a real one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>

#include <passthru/passthru.h>

#include "read_tree.h"

#define EDU "0000:05:00.0"

static bool is_readable(const struct pt_watch *watch)
{
	struct pollfd fd = {.fd = pt_watch_fd(watch), .events = POLLIN};

	return poll(&fd, 1, 1000) == 1;
}

static struct pt_event next(struct pt_watch *watch)
{
	struct pt_event event;
	struct pt_error err;

	assert_true(is_readable(watch));
	assert_int_equal(pt_watch_next(watch, &event, &err), 1);
	return event;
}

static void nothing_more(struct pt_watch *watch)
{
	struct pt_event event;
	struct pt_error err;

	assert_int_equal(pt_watch_next(watch, &event, &err), 0);
}

static void test_claims(void **state)
{
	struct fake *fake = open_vtd();
	struct pt_host *host = fake_host(fake);
	struct pt_address edu = at(EDU);
	struct pt_request request = {.verb = PT_DETACH, .devices = &edu, .count = 1};
	struct pt_watch *watch;
	struct pt_event event;
	struct pt_error err;

	(void)state;
	/* before there is any state directory */
	assert_int_equal(pt_watch_new(host, PT_WATCH_ALL, &watch, &err), 0);
	nothing_more(watch);
	assert_int_equal(pt_request_apply(host, &request, &err), 0);
	event = next(watch);
	assert_int_equal(event.kind, PT_EVENT_CLAIMED);
	assert_int_equal(pt_address_compare(&event.address, &edu), 0);
	assert_true(event.has_claim);
	assert_int_equal(event.claim.owner.kind, PT_OWNER_MANUAL);
	assert_true(event.time_ms > 0);
	nothing_more(watch);
	request.verb = PT_REATTACH;
	assert_int_equal(pt_request_apply(host, &request, &err), 0);
	event = next(watch);
	assert_int_equal(event.kind, PT_EVENT_RELEASED);
	assert_false(event.has_claim);
	nothing_more(watch);
	pt_watch_free(watch);
	fake_free(fake);
}

/* Only what was asked for arrives. */
static void test_kinds(void **state)
{
	struct fake *fake = open_vtd();
	struct pt_host *host = fake_host(fake);
	struct pt_address edu = at(EDU);
	struct pt_request request = {.verb = PT_DETACH, .devices = &edu, .count = 1};
	struct pt_watch *released, *faults;
	struct pt_event event;
	struct pt_error err;

	(void)state;
	assert_int_equal(pt_watch_new(host, PT_WATCH(PT_EVENT_RELEASED), &released, &err), 0);
	assert_int_equal(pt_watch_new(host, PT_WATCH(PT_EVENT_DMA_FAULT), &faults, &err), 0);
	assert_int_equal(pt_request_apply(host, &request, &err), 0);
	nothing_more(released);
	request.verb = PT_REATTACH;
	assert_int_equal(pt_request_apply(host, &request, &err), 0);
	event = next(released);
	assert_int_equal(event.kind, PT_EVENT_RELEASED);
	nothing_more(released);
	assert_false(is_readable(faults));
	nothing_more(faults);
	pt_watch_free(released);
	pt_watch_free(faults);
	fake_free(fake);
}

/* A fault of a device that a guest has: whose guest it is comes with it. */
static void test_faults(void **state)
{
	static const char record[] =
		"3,1,1,-;DMAR: [DMA Write NO_PASID] Request device [05:00.0] fault addr 0xe000000 "
		"[fault reason 0x05] PTE Write access is not set\n";
	struct fake *fake = open_vtd();
	struct pt_host *host = fake_host(fake);
	struct pt_address edu = at(EDU);
	struct pt_request request = {
		.verb = PT_TAKE, .devices = &edu, .count = 1, .is_unreset_allowed = true};
	struct pt_watch *watch;
	struct pt_event event;
	struct pt_error err;
	int fd;

	(void)state;
	assert_int_equal(pt_owner_of_process(host, getpid(), "qemu", &request.owner, &err), 0);
	assert_int_equal(pt_request_apply(host, &request, &err), 0);
	(void)unlinkat(host->root_fd, "dev/kmsg", 0);
	assert_int_equal(mkfifoat(host->root_fd, "dev/kmsg", 0600), 0);
	assert_int_equal(pt_watch_new(host, PT_WATCH_ALL, &watch, &err), 0);
	fd = openat(host->root_fd, "dev/kmsg", O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, record, sizeof(record) - 1), sizeof(record) - 1);
	event = next(watch);
	assert_int_equal(event.kind, PT_EVENT_DMA_FAULT);
	assert_int_equal(pt_address_compare(&event.address, &edu), 0);
	assert_string_equal(event.text, "DMA Write at 0xe000000: PTE Write access is not set");
	assert_true(event.has_claim);
	assert_string_equal(event.claim.owner.name, "qemu");
	nothing_more(watch);
	close(fd);
	pt_watch_free(watch);
	fake_free(fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_claims),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
