/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Can this device be given to a guest? Takes it from its host driver, tries the
 * reset that must come before and after every guest, says what came of it, and
 * gives the device back.
 *
 *	cc suitable.c $(pkg-config --cflags --libs libpassthru) -o suitable
 *	sudo ./suitable 01:00.0
 *
 * Exit status: 0 when it is suitable, otherwise the reason's, as in passthru(1).
 */
#include <stdio.h>

#include <passthru/passthru.h>

static int change(struct pt_host *host, enum pt_verb verb, const struct pt_address *device,
		  struct pt_error *err)
{
	struct pt_request request = {.verb = verb, .devices = device, .count = 1};

	return pt_request_apply(host, &request, err);
}

/* A device that is detached already, by us or by someone else, stays so. */
static int is_detached(struct pt_host *host, const struct pt_address *device, bool *ret_detached,
		       struct pt_error *err)
{
	struct pt_snapshot *snapshot;
	const struct pt_function *function;
	int r = pt_snapshot_read(host, &snapshot, err);

	if (r < 0)
		return r;
	/* one that isn't there is for the detach to refuse, in its own words */
	function = pt_snapshot_find(snapshot, device);
	*ret_detached = function && pt_driver_is_vfio(function->driver);
	pt_snapshot_free(snapshot);
	return 0;
}

/* Whatever else would keep it from a guest, such as others of its IOMMU group. */
static int ask_plan(struct pt_host *host, const struct pt_address *device, struct pt_error *err)
{
	struct pt_request request = {.verb = PT_TAKE, .devices = device, .count = 1};
	struct pt_plan *plan;
	int r = pt_plan_make(host, &request, &plan, err);

	if (r < 0)
		return r;
	if (pt_plan_refusal_count(plan)) {
		const struct pt_refusal *refusal = pt_plan_refusal_at(plan, 0);

		err->reason = refusal->reason;
		snprintf(err->message, sizeof(err->message), "%s", refusal->message);
		r = -1;
	}
	pt_plan_free(plan);
	return r;
}

static int try_device(struct pt_host *host, const struct pt_address *device, struct pt_error *err)
{
	bool was_detached;
	struct pt_error later;
	int back, r = is_detached(host, device, &was_detached, err);

	if (r < 0)
		return r;
	r = change(host, PT_DETACH, device, err);
	if (r < 0) {
		fprintf(stderr, "Device cannot be dettached from the host OS drivers\n");
		return r;
	}
	r = change(host, PT_RESET, device, err);
	if (r == 0)
		r = ask_plan(host, device, err);
	if (r < 0)
		fprintf(stderr, "Device cannot be safely reset without affecting other devices\n");
	else
		fprintf(stderr, "Device is suitable for passthrough to a guest\n");
	if (was_detached)
		return r;
	back = change(host, PT_REATTACH, device, r < 0 ? &later : err);
	if (back < 0 && r < 0)
		fprintf(stderr, "%s\n", later.message);
	return r < 0 ? r : back;
}

int main(int argc, char **argv)
{
	struct pt_host *host;
	struct pt_address device;
	struct pt_error err = {.reason = PT_REASON_NONE};
	int status = 0;

	if (argc != 2) {
		fprintf(stderr, "usage: suitable DEVICE\n");
		return pt_reason_exit_status(PT_INVALID);
	}
	if (pt_address_parse(argv[1], &device, &err) < 0 || pt_host_new(NULL, &host, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		return pt_reason_exit_status(err.reason);
	}
	if (try_device(host, &device, &err) < 0) {
		/* the reason, and what to do about it */
		fprintf(stderr, "%s\n", err.message);
		status = pt_reason_exit_status(err.reason);
	}
	pt_host_free(host);
	return status;
}
