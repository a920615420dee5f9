/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The fake machine of the tests of operations: requests to it, what came of them, dying in them. */
#ifndef OPERATION_MACHINE_H
#define OPERATION_MACHINE_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <passthru/passthru.h>

#include "assign/claim.h"
#include "fake/fake.h"

#define NVME "0000:01:00.0"
#define TWIN "0000:02:00.0"
/* these two only a reset of their bus reaches */
#define CARD_A "0000:06:00.0"
#define CARD_B "0000:06:00.1"

/* Nobody has these pids in the fake's /proc, so both are dead. */
static const struct pt_owner first = {
	.kind = PT_OWNER_PROCESS, .name = "first", .pid = 4242, .start_time = 1};
static const struct pt_owner second = {
	.kind = PT_OWNER_PROCESS, .name = "second", .pid = 4243, .start_time = 1};

static struct fake *fake;
static struct pt_host *host;
static bool lifts_quarantine; /* the next requests may */

static inline int make(void **state)
{
	char path[4096];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/vtd.json", getenv("MACHINES"));
	lifts_quarantine = false;
	fake = fake_new(path, NULL);
	host = fake_host(fake);
	return 0;
}

static inline int unmake(void **state)
{
	(void)state;
	fake_free(fake);
	return 0;
}

static inline int request(enum pt_verb verb, const char *a, const char *b,
			  const struct pt_owner *owner, struct pt_error *err)
{
	struct pt_address devices[2];
	struct pt_request request = {.verb = verb, .devices = devices, .count = b ? 2 : 1};

	request.is_quarantine_lifted = lifts_quarantine;
	if (owner)
		request.owner = *owner;
	assert_int_equal(pt_address_parse(a, &devices[0], NULL), 0);
	if (b)
		assert_int_equal(pt_address_parse(b, &devices[1], NULL), 0);
	return pt_request_apply(host, &request, err);
}

static inline void must(enum pt_verb verb, const char *a, const char *b,
			const struct pt_owner *owner)
{
	struct pt_error err = {0};

	if (request(verb, a, b, owner, &err) < 0)
		fail_msg("%s: %s", a, err.message);
}

static inline void assert_binding(const char *device, const char *driver, const char *override)
{
	struct pt_address address;
	struct binding binding;
	struct pt_error err = {0};

	assert_int_equal(pt_address_parse(device, &address, NULL), 0);
	if (binding_read(host, &address, &binding, &err) < 0)
		fail_msg("%s", err.message);
	assert_string_equal(binding.driver, driver);
	assert_string_equal(binding.override, override);
}

/* False when there is no claim. */
static inline bool read_claim(const char *device, struct pt_claim *claim)
{
	struct pt_address address;
	bool exists;

	assert_int_equal(pt_address_parse(device, &address, NULL), 0);
	assert_int_equal(claim_read(host, &address, &exists, claim, NULL), 0);
	return exists;
}

static inline void stop_after(void *context, const struct pt_step *step)
{
	int *steps = context;

	(void)step;
	if (!--*steps)
		_exit(0);
}

/* Another process does it (recovers: @verb < 0), and dies after so many steps. */
static inline void stop(int verb, const char *a, const char *b, const struct pt_owner *owner,
			int steps)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		pt_host_set_progress(host, stop_after, &steps);
		if (verb < 0)
			(void)pt_recover(host, NULL, NULL, NULL);
		else
			(void)request((enum pt_verb)verb, a, b, owner, NULL);
		_exit(1); /* not that many steps */
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static inline void recover(void)
{
	struct pt_error err = {0};

	if (pt_recover(host, NULL, NULL, &err) < 0)
		fail_msg("%s", err.message);
}

#endif
