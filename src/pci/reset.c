/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How a function can be reset, and which functions the reset affects.
 *
 * The kernel's list (reset_method) says which methods it found when the function
 * was discovered; two things it doesn't say have to be added from the topology:
 *
 * - "bus" and "cxl_bus" reset the bus above the function, and at the time of the
 *   reset the kernel refuses them (ENOTTY) unless the function is alone on that
 *   bus. It lists them nevertheless for function 0 of a multifunction device,
 *   which was alone when it was discovered, before function 1.
 * - The other affected functions: every method of a physical function also resets its VFs, that
 *   of a bridge everything below.
 *
 * Without a method for the function alone there is the bus reset of VFIO
 * (VFIO_DEVICE_PCI_HOT_RESET), for the owner of everything below the same bridge.
 * On a root bus there is no bridge whose reset bit could be set, thus no reset.
 */
#include "pci/reset.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/error.h"
#include "base/text.h"
#include "pci/header.h"
#include "pci/helper.h"
#include "pci/sysfs.h"
#include "pci/vfio.h"

/* ---- choosing ---- */

#define METHOD_NAME 32

struct choice {
	struct pt_reset reset; /* first: what callers see */
	char method[METHOD_NAME];
	struct pt_address affected[];
};

static bool is_same(const struct pt_address *a, const struct pt_address *b)
{
	return pt_address_compare(a, b) == 0;
}

/* Is @function somewhere below the bridge at @bridge? */
static bool is_below(const struct pt_snapshot *snapshot, const struct pt_function *function,
		     const struct pt_address *bridge)
{
	while (function && function->has_parent) {
		if (is_same(&function->parent, bridge))
			return true;
		function = pt_snapshot_find(snapshot, &function->parent);
	}
	return false;
}

/*
 * The other functions that keep "bus" from working: those on the very bus. VFs on
 * a bus number of their own don't count for the kernel.
 */
static const struct pt_function *find_neighbour(const struct pt_snapshot *snapshot,
						const struct pt_function *function)
{
	size_t i;

	for (i = 0; i < pt_snapshot_count(snapshot); i++) {
		const struct pt_function *other = pt_snapshot_at(snapshot, i);

		if (other->address.domain == function->address.domain &&
		    other->address.bus == function->address.bus &&
		    !is_same(&other->address, &function->address))
			return other;
	}
	return NULL;
}

/* What loses its state with a reset of @function in @scope. */
static bool is_affected(const struct pt_snapshot *snapshot, const struct pt_function *function,
			enum pt_reset_scope scope, const struct pt_function *other)
{
	if (is_same(&other->address, &function->address))
		return scope != PT_RESET_NONE;
	switch (scope) {
	case PT_RESET_NONE:
		return false;
	case PT_RESET_FUNCTION:
		return (other->is_vf && is_same(&other->physfn, &function->address)) ||
		       is_below(snapshot, other, &function->address);
	case PT_RESET_BUS:
		return is_below(snapshot, other, &function->parent);
	}
	return false;
}

static struct choice *new_choice(const struct pt_snapshot *snapshot,
				 const struct pt_function *function, enum pt_reset_scope scope,
				 const char *method)
{
	size_t i, count = pt_snapshot_count(snapshot);
	struct choice *choice;

	choice = calloc(1, sizeof(*choice) + count * sizeof(choice->affected[0]));
	if (!choice)
		return NULL;
	choice->reset.scope = scope;
	(void)text_copy(choice->method, sizeof(choice->method), method);
	choice->reset.method = *method ? choice->method : NULL;
	choice->reset.affected = choice->affected;
	/* the snapshot is in address order, and so is the set */
	for (i = 0; i < count; i++) {
		const struct pt_function *other = pt_snapshot_at(snapshot, i);

		if (is_affected(snapshot, function, scope, other))
			choice->affected[choice->reset.affected_count++] = other->address;
	}
	return choice;
}

/*
 * The first method of the kernel's list that will work on this function alone, as the kernel
 * tries them in this order; "" for none. Returns whether there is a list at all.
 */
static bool choose_method(struct pt_host *host, const struct pt_snapshot *snapshot,
			  const struct pt_function *function, char method[METHOD_NAME])
{
	const struct pt_function *neighbour = find_neighbour(snapshot, function);
	char list[256], text[2][PT_ADDRESS_TEXT], *next, *word;

	*method = '\0';
	if (sysfs_read(host, &function->address, "reset_method", list, sizeof(list)) < 0) {
		char path[SYSFS_PATH];

		/* Linux before 5.15 resets, but doesn't tell how */
		if (sysfs_device_path(path, &function->address, "reset") == 0 &&
		    faccessat(host->root_fd, path, F_OK, 0) == 0)
			(void)text_copy(method, METHOD_NAME, "kernel");
		return *method != '\0';
	}
	for (word = strtok_r(list, " ", &next); word; word = strtok_r(NULL, " ", &next)) {
		if ((strcmp(word, "bus") != 0 && strcmp(word, "cxl_bus") != 0) || !neighbour) {
			(void)text_copy(method, METHOD_NAME, word);
			break;
		}
		host_log(host, PT_LOG_DEBUG,
			 "%s: reset method \"%s\" is listed, but does not work because %s is on "
			 "the same bus",
			 pt_address_format(&function->address, text[0]), word,
			 pt_address_format(&neighbour->address, text[1]));
	}
	return true;
}

/*
 * "Writing an empty string to this file disables any ability to reset the device"
 * (Documentation/ABI/testing/sysfs-bus-pci), for devices that a reset damages. The kernel shows the
 * file only for functions with a reset, so an empty one is always somebody's decision.
 */
static bool is_disabled(struct pt_host *host, const struct pt_address *address)
{
	char list[256];

	return sysfs_read(host, address, "reset_method", list, sizeof(list)) >= 0 &&
	       list[strspn(list, " \n")] == '\0';
}

/* A bus reset ignores the setting of all functions that it resets. */
static bool is_any_disabled(struct pt_host *host, const struct pt_reset *reset)
{
	size_t i = 0;

	while (i < reset->affected_count && !is_disabled(host, &reset->affected[i]))
		i++;
	return i < reset->affected_count;
}

int pt_reset_choose(struct pt_host *host, const struct pt_snapshot *snapshot,
		    const struct pt_address *address, struct pt_reset **ret_reset,
		    struct pt_error *err)
{
	const struct pt_function *function = pt_snapshot_find(snapshot, address);
	enum pt_reset_scope scope;
	char method[METHOD_NAME], text[PT_ADDRESS_TEXT];
	struct choice *choice;
	bool has_list;

	if (!function)
		return pt_fail(err, PT_NO_DEVICE, ENODEV,
			       "%s: this host has no such PCI device. To see all devices:\n"
			       "  passthru list",
			       pt_address_format(address, text));
	has_list = choose_method(host, snapshot, function, method);
	if (*method) {
		scope = PT_RESET_FUNCTION;
	} else if (function->has_parent && !function->is_vf &&
		   pt_function_kind(function) == PT_ENDPOINT &&
		   (has_list || find_neighbour(snapshot, function))) {
		/*
		 * A function that is alone and yet without a list is one whose bus the kernel
		 * will not reset (a quirk of the device or the bridge), so there is none.
		 */
		scope = PT_RESET_BUS;
		(void)text_copy(method, sizeof(method), "vfio-hot");
	} else {
		scope = PT_RESET_NONE;
	}
	choice = new_choice(snapshot, function, scope, method);
	if (choice && (is_disabled(host, address) ||
		       (scope == PT_RESET_BUS && is_any_disabled(host, &choice->reset)))) {
		free(choice);
		choice = new_choice(snapshot, function, PT_RESET_NONE, "");
		if (choice)
			choice->reset.is_disabled = true;
	}
	if (!choice)
		return pt_fail_memory(err);
	*ret_reset = &choice->reset;
	return 0;
}

void pt_reset_free(struct pt_reset *reset)
{
	free(reset);
}

/* ---- applying ---- */

int reset_verify(struct pt_host *host, const struct pt_address *address, uint16_t vendor_id,
		 uint16_t device_id, struct pt_error *err)
{
	return header_wait_ids(host, address, vendor_id, device_id, err);
}

/* The driver's name, for messages; its code may run during the reset (reset_prepare, reset_done).
 */
static const char *read_driver(struct pt_host *host, const struct pt_address *address,
			       char name[METHOD_NAME * 2])
{
	if (sysfs_read_link(host, address, "driver", name, METHOD_NAME * 2) < 0)
		*name = '\0';
	return name;
}

struct function_job {
	struct pt_address address;
	struct header before;
	int read_result;
};

/*
 * In a helper: besides the reset itself, reading configuration space waits without end while
 * another reset of the function is under way.
 */
static int function_work(struct pt_host *host, void *argument)
{
	struct function_job *job = argument;
	char path[SYSFS_PATH];
	int r;

	r = sysfs_device_path(path, &job->address, "config");
	job->read_result = r < 0 ? r : header_read(host, path, &job->before);
	r = sysfs_device_path(path, &job->address, "reset");
	return r < 0 ? r : host->ops->write(host, path, "1", 1);
}

static int fail_function(struct pt_host *host, const struct helper_attempt *attempt,
			 const char *method, struct pt_error *err)
{
	char text[PT_ADDRESS_TEXT];
	int r = helper_explain(host, attempt, err);

	if (r < 0)
		return r;
	pt_address_format(attempt->address, text);
	switch (attempt->result) {
	case -ENOENT:
	case -ENOTTY:
		return pt_fail(
			err, PT_RESET_UNAVAILABLE, ENOTTY,
			"%s: the kernel can't reset this function alone (reset method \"%s\" does "
			"not apply, ENOTTY)",
			text, method);
	case -EAGAIN:
	case -EBUSY:
		return pt_fail(err, PT_RESET_FAILED, -attempt->result,
			       "%s: reset by \"%s\": another part of the kernel uses the device "
			       "(%s); try again",
			       text, method, strerror(-attempt->result));
	default:
		return pt_fail(err, PT_RESET_FAILED, -attempt->result, "%s: reset by \"%s\": %s",
			       text, method, strerror(-attempt->result));
	}
}

static int apply_function(struct pt_host *host, const struct pt_address *address,
			  const struct pt_reset *reset, unsigned int deadline_ms,
			  struct pt_error *err)
{
	char text[PT_ADDRESS_TEXT], driver[METHOD_NAME * 2];
	struct helper_attempt attempt = {.address = address,
					 .driver = read_driver(host, address, driver),
					 .what = "reset",
					 .deadline_ms = deadline_ms};
	struct function_job job = {.address = *address};
	int r;

	host_log(host, PT_LOG_DEBUG, "write \"1\" to /" SYSFS_DEVICES "/%s/reset",
		 pt_address_format(address, text));
	attempt.result =
		helper_run(host, function_work, &job, sizeof(job), deadline_ms, &attempt.helper);
	if (attempt.result == -ETIMEDOUT || attempt.result == -EOWNERDEAD ||
	    attempt.result == -EACCES || attempt.result == -EPERM || attempt.result == -EROFS)
		return fail_function(host, &attempt, reset->method, err);
	/*
	 * Check regardless of the write's result: the kernel also returns ENOTTY for a device
	 * that never came back, because it tries the next method.
	 */
	if (job.read_result < 0)
		memset(&job.before, 0xff, sizeof(job.before));
	r = header_wait_same(host, address, &job.before, false, err);
	if (r < 0)
		return r;
	return attempt.result < 0 ? fail_function(host, &attempt, reset->method, err) : 0;
}

/* ---- hot reset of a bus ---- */

struct hot_job {
	struct pt_address address;
	struct pt_address foreseen[VFIO_AFFECTED_MAX];
	size_t foreseen_count;
	/* what the helper found */
	bool is_asked;
	bool is_wider;
	size_t count;
	struct pt_address unexpected;
};

static bool is_foreseen(const struct hot_job *job, const struct pt_address *address)
{
	size_t i;

	for (i = 0; i < job->foreseen_count; i++)
		if (is_same(&job->foreseen[i], address))
			return true;
	return false;
}

/*
 * Only here the kernel reports the affected functions, because the device must be opened for that.
 */
static int hot_work(struct pt_host *host, void *argument)
{
	struct pt_address affected[VFIO_AFFECTED_MAX];
	struct hot_job *job = argument;
	size_t i;
	int r;

	r = host->ops->hot_reset_info(host, &job->address, affected, VFIO_AFFECTED_MAX,
				      &job->count);
	if (r < 0)
		return r;
	job->is_asked = true;
	for (i = 0; i < job->count; i++) {
		if (is_foreseen(job, &affected[i]))
			continue;
		job->is_wider = true;
		job->unexpected = affected[i];
		return 0;
	}
	return host->ops->hot_reset(host, &job->address);
}

static const char *explain_hot(int errnum)
{
	switch (errnum) {
	case EBUSY:
		return "a guest or another VFIO user has the device or its group open";
	case EAGAIN:
		return "another part of the kernel uses one of the devices; try again";
	case EPERM:
		return "VFIO refuses the IOMMU group: another device of the group is on a host "
		       "driver, or interrupt remapping is missing";
	case EINVAL:
		return "another device on the bus is in use";
	case EOPNOTSUPP:
		return "this kernel offers VFIO through IOMMUFD only (without /dev/vfio groups), "
		       "which passthru does not support for a bus reset yet";
	case ENOENT:
		return "the file of a VFIO group is missing in /dev/vfio: not all devices on the "
		       "bus are on a VFIO driver";
	default:
		return strerror(errnum);
	}
}

static int fail_hot(struct pt_host *host, const struct helper_attempt *attempt,
		    const struct hot_job *job, struct pt_error *err)
{
	char text[PT_ADDRESS_TEXT];
	int r;

	/* EPERM is VFIO's answer here, not one about privilege, when we are root */
	if (attempt->result != -EPERM || geteuid() != 0) {
		r = helper_explain(host, attempt, err);
		if (r < 0)
			return r;
	}
	pt_address_format(attempt->address, text);
	if (attempt->result == -ENOTTY || attempt->result == -ENODEV)
		return pt_fail(
			err, PT_RESET_UNAVAILABLE, -attempt->result,
			"%s: the kernel refuses to reset its bus (a quirk of a device on the bus, "
			"or of the bridge above)",
			text);
	return pt_fail(err, job->is_asked ? PT_RESET_FAILED : PT_RESET_UNAVAILABLE,
		       -attempt->result, "%s: bus reset through VFIO: %s (%s)", text,
		       explain_hot(-attempt->result), strerrorname_np(-attempt->result));
}

/* Headers of all affected functions, before the reset. */
static int read_headers(struct pt_host *host, const struct pt_reset *reset, struct header *headers,
			struct pt_error *err)
{
	char path[SYSFS_PATH], text[PT_ADDRESS_TEXT];
	size_t i;
	int r;

	for (i = 0; i < reset->affected_count; i++) {
		r = sysfs_device_path(path, &reset->affected[i], "config");
		if (r == 0)
			r = header_read(host, path, &headers[i]);
		if (r < 0)
			return pt_fail(
				err, PT_RESET_UNAVAILABLE, -r,
				"%s: can't read its configuration space before the reset: %s",
				pt_address_format(&reset->affected[i], text), strerror(-r));
	}
	return 0;
}

static int run_hot(struct pt_host *host, const struct pt_address *address,
		   const struct pt_reset *reset, unsigned int deadline_ms, struct pt_error *err)
{
	struct helper_attempt attempt = {.address = address,
					 .driver = "vfio-pci",
					 .what = "bus reset",
					 .deadline_ms = deadline_ms};
	struct hot_job job = {.address = *address, .foreseen_count = reset->affected_count};
	char text[2][PT_ADDRESS_TEXT];

	pt_address_format(address, text[0]);
	if (reset->affected_count > VFIO_AFFECTED_MAX)
		return pt_fail(err, PT_RESET_UNAVAILABLE, E2BIG,
			       "%s: there are %zu functions on its bus and below, more than can be "
			       "reset together",
			       text[0], reset->affected_count);
	memcpy(job.foreseen, reset->affected, reset->affected_count * sizeof(job.foreseen[0]));
	host_log(host, PT_LOG_DEBUG, "%s: bus reset through VFIO", text[0]);
	attempt.result =
		helper_run(host, hot_work, &job, sizeof(job), deadline_ms, &attempt.helper);
	if (attempt.result < 0)
		return fail_hot(host, &attempt, &job, err);
	if (job.is_wider)
		return pt_fail(err, PT_RESET_UNAVAILABLE, EBUSY,
			       "%s: the kernel reports that a bus reset also resets %s, which the "
			       "plan does not include. Nothing was reset",
			       text[0], pt_address_format(&job.unexpected, text[1]));
	if (job.count != reset->affected_count)
		host_log(host, PT_LOG_NOTICE,
			 "%s: the bus reset affects %zu functions according to the kernel, %zu "
			 "according to the topology",
			 text[0], job.count, reset->affected_count);
	return 0;
}

static int apply_hot(struct pt_host *host, const struct pt_address *address,
		     const struct pt_reset *reset, unsigned int deadline_ms, struct pt_error *err)
{
	AUTO_FREE struct header *before = calloc(reset->affected_count, sizeof(*before));
	size_t i;
	int r;

	if (!before)
		return pt_fail_memory(err);
	r = read_headers(host, reset, before, err);
	if (r < 0)
		return r;
	r = run_hot(host, address, reset, deadline_ms, err);
	if (r < 0)
		return r;
	for (i = 0; i < reset->affected_count; i++) {
		r = header_wait_same(host, &reset->affected[i], &before[i], true, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int reset_apply_within(struct pt_host *host, const struct pt_address *address,
		       const struct pt_reset *reset, unsigned int deadline_ms, struct pt_error *err)
{
	char text[PT_ADDRESS_TEXT];

	if (!sysfs_has_device(host, address))
		return pt_fail(err, PT_DEVICE_GONE, ENODEV, "%s: the device was removed",
			       pt_address_format(address, text));
	switch (reset->scope) {
	case PT_RESET_FUNCTION:
		return apply_function(host, address, reset, deadline_ms, err);
	case PT_RESET_BUS:
		return apply_hot(host, address, reset, deadline_ms, err);
	case PT_RESET_NONE:
		break;
	}
	if (reset->is_disabled)
		return pt_fail(err, PT_RESET_UNAVAILABLE, EPERM,
			       "%s: its reset is switched off (reset_method is empty)",
			       pt_address_format(address, text));
	return pt_fail(
		err, PT_RESET_UNAVAILABLE, ENOTTY,
		"%s: can't be reset: the kernel has no reset method for it, and there is no bridge "
		"above it whose bus could be reset",
		pt_address_format(address, text));
}

int reset_apply(struct pt_host *host, const struct pt_address *address,
		const struct pt_reset *reset, struct pt_error *err)
{
	return reset_apply_within(host, address, reset, RESET_DEADLINE_MS, err);
}
