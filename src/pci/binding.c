/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pci/binding.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <passthru/group.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"
#include "pci/helper.h"
#include "pci/sysfs.h"

/* A reader has no reason to wait as long as the one who binds. */
#define READ_DEADLINE_MS 10000

/* The uevent file tells of the driver until the last of its code has run. "" for none. */
static void read_uevent_driver(struct pt_host *host, const struct pt_address *address,
			       char driver[BINDING_NAME])
{
	char text[4096], *line, *next;

	*driver = '\0';
	if (sysfs_read(host, address, "uevent", text, sizeof(text)) < 0)
		return;
	for (line = strtok_r(text, "\n", &next); line; line = strtok_r(NULL, "\n", &next))
		if (!strncmp(line, "DRIVER=", 7))
			(void)text_copy(driver, BINDING_NAME, line + 7);
}

/*
 * Neither of the two files takes a lock, so this never hangs. "" for no driver.
 *
 * Unbinding takes away the link first and then calls the driver, so without a link
 * the driver may still be at it, or stuck there for ever: @ret_is_leaving (may be NULL).
 */
static int read_driver(struct pt_host *host, const struct pt_address *address,
		       char driver[BINDING_NAME], bool *ret_is_leaving)
{
	int r = sysfs_read_link(host, address, "driver", driver, BINDING_NAME);

	if (ret_is_leaving)
		*ret_is_leaving = false;
	if (r != -ENOENT)
		return r;
	read_uevent_driver(host, address, driver);
	if (ret_is_leaving)
		*ret_is_leaving = *driver != '\0';
	return sysfs_has_device(host, address) ? 0 : -ENODEV;
}

int binding_read_driver(struct pt_host *host, const struct pt_address *address,
			char driver[BINDING_NAME], struct pt_error *err)
{
	char text[PT_ADDRESS_TEXT];
	int r = read_driver(host, address, driver, NULL);

	pt_address_format(address, text);
	if (r == -ENODEV)
		return pt_fail(err, PT_DEVICE_GONE, ENODEV,
			       "%s: the device was removed during the operation", text);
	if (r < 0)
		return pt_fail(err, PT_SYSTEM, -r, "%s: can't read its driver: %s", text,
			       strerror(-r));
	return 0;
}

/*
 * Read the driver, after any unbind by another program has ended. Our own unbind has its
 * deadline; this is for unbinds that started before. Our unbind gets the rest of the deadline.
 */
static int read_settled_driver(struct pt_host *host, const struct pt_address *address,
			       char driver[BINDING_NAME], unsigned int deadline_ms,
			       unsigned int *ret_left_ms, struct pt_error *err)
{
	char text[PT_ADDRESS_TEXT];
	unsigned int waited;
	bool is_leaving;
	int r;

	for (waited = 0; waited <= deadline_ms; waited += 10) {
		r = read_driver(host, address, driver, &is_leaving);
		if (r < 0)
			return binding_read_driver(host, address, driver, err);
		if (!is_leaving) {
			*ret_left_ms = deadline_ms - waited;
			return 0;
		}
		clock_sleep_ms(10);
	}
	return pt_fail(
		err, PT_DRIVER_STUCK, ETIMEDOUT,
		"%s: an earlier unbind from %s, or one by another program, hangs in the kernel: it "
		"has not finished within %u.%u s. If that is a VFIO driver, stop the guest that "
		"uses the device; otherwise dmesg may show the cause",
		pt_address_format(address, text), driver, deadline_ms / 1000,
		deadline_ms % 1000 / 100);
}

/* ---- driver_override ---- */

struct override_job {
	char path[SYSFS_PATH];
	char write[BINDING_NAME + 2]; /* "" for reading only */
	char value[BINDING_NAME];
	bool is_written;
};

/*
 * In a helper, for many kernels take the device's lock not only for setting it but
 * also for reading, and would keep us for ever when driver code is stuck.
 */
static int override_work(struct pt_host *host, void *argument)
{
	struct override_job *job = argument;
	ssize_t n;

	if (*job->write) {
		int r = host->ops->write(host, job->path, job->write, strlen(job->write));

		if (r < 0)
			return r;
		job->is_written = true;
	}
	n = io_read_text_at(host->root_fd, job->path, job->value, sizeof(job->value));
	if (n < 0)
		return (int)n;
	if (!strcmp(job->value, "(null)"))
		*job->value = '\0';
	return 0;
}

static int fail_override(struct pt_host *host, const struct helper_attempt *attempt,
			 struct pt_error *err)
{
	char text[PT_ADDRESS_TEXT];
	int r = helper_explain(host, attempt, err);

	if (r < 0)
		return r;
	pt_address_format(attempt->address, text);
	if (attempt->result == -ENOENT)
		return pt_fail(err, PT_SYSTEM, ENOENT,
			       "%s: the kernel has no driver_override file for it, which passthru "
			       "needs to change the driver of a single device (Linux 3.16 and "
			       "later have it)",
			       text);
	return pt_fail(err, PT_SYSTEM, -attempt->result, "%s: can't %s: %s", text, attempt->what,
		       strerror(-attempt->result));
}

int binding_read(struct pt_host *host, const struct pt_address *address,
		 struct binding *ret_binding, struct pt_error *err)
{
	struct helper_attempt attempt = {.address = address,
					 .what = "read driver_override",
					 .deadline_ms = READ_DEADLINE_MS};
	struct override_job job = {.write = ""};
	struct binding binding = {.driver = ""};
	char text[PT_ADDRESS_TEXT];
	int r;

	r = read_driver(host, address, binding.driver, NULL);
	if (r == -ENODEV)
		return pt_fail(err, PT_NO_DEVICE, ENODEV,
			       "%s: this host has no such PCI device. To see all devices:\n"
			       "  passthru list",
			       pt_address_format(address, text));
	if (r < 0)
		return pt_fail(err, PT_SYSTEM, -r, "%s: can't read its driver: %s",
			       pt_address_format(address, text), strerror(-r));
	r = sysfs_device_path(job.path, address, "driver_override");
	assert(r == 0);
	attempt.result = helper_run(host, override_work, &job, sizeof(job), READ_DEADLINE_MS,
				    &attempt.helper);
	attempt.driver = binding.driver;
	if (attempt.result < 0)
		return fail_override(host, &attempt, err);
	memcpy(binding.override, job.value, sizeof(binding.override));
	*ret_binding = binding;
	return 0;
}

int binding_set_override(struct pt_host *host, const struct pt_address *address, const char *driver,
			 struct pt_error *err)
{
	struct helper_attempt attempt = {.address = address,
					 .driver = "",
					 .what = "set driver_override",
					 .deadline_ms = BINDING_DEADLINE_MS};
	struct override_job job = {.write = ""};
	char text[PT_ADDRESS_TEXT];
	int r;

	if (*driver && !binding_is_driver_name(driver))
		return binding_fail_driver_name(driver, err);
	r = sysfs_device_path(job.path, address, "driver_override");
	assert(r == 0);
	/* a lone newline clears it; writing nothing at all would not reach the kernel */
	r = text_format(job.write, sizeof(job.write), "%s\n", driver);
	assert(r > 0);
	host_log(host, PT_LOG_DEBUG, "write \"%s\" to /%s", driver, job.path);
	attempt.result = helper_run(host, override_work, &job, sizeof(job), BINDING_DEADLINE_MS,
				    &attempt.helper);
	if (attempt.result < 0)
		return fail_override(host, &attempt, err);
	if (strcmp(job.value, driver))
		return pt_fail(
			err, PT_SYSTEM, EIO,
			"%s: driver_override was set to \"%s\" but reads \"%s\": another program "
			"(driverctl, libvirt, a udev rule) sets it at the same time",
			pt_address_format(address, text), driver, job.value);
	return 0;
}

/* ---- unbind ---- */

static int fail_unbind(struct pt_host *host, const struct helper_attempt *attempt,
		       const char *driver_now, struct pt_error *err)
{
	char text[PT_ADDRESS_TEXT];
	int r = helper_explain(host, attempt, err);

	if (r < 0)
		return r;
	pt_address_format(attempt->address, text);
	if (strcmp(driver_now, attempt->driver))
		return pt_fail(err, PT_DRIVER_REFUSED, EBUSY,
			       "%s: unbound from %s, but then bound to %s: another program "
			       "(driverctl, libvirt, a udev rule) binds it at the same time",
			       text, attempt->driver, driver_now);
	if (attempt->result == -ENOENT)
		return pt_fail(err, PT_DRIVER_REFUSED, ENOENT,
			       "%s: can't be unbound from %s: this driver has no unbind file", text,
			       attempt->driver);
	if (attempt->result == 0)
		return pt_fail(err, PT_DRIVER_REFUSED, EBUSY,
			       "%s: the kernel accepted the unbind from %s, but the device is "
			       "still (or again) bound to %s",
			       text, attempt->driver, attempt->driver);
	return pt_fail(err, PT_DRIVER_REFUSED, -attempt->result, "%s: can't be unbound from %s: %s",
		       text, attempt->driver, strerror(-attempt->result));
}

int binding_unbind(struct pt_host *host, const struct pt_address *address, unsigned int deadline_ms,
		   struct pt_error *err)
{
	char path[SYSFS_PATH], text[PT_ADDRESS_TEXT], driver[BINDING_NAME], now[BINDING_NAME];
	struct helper_attempt attempt = {.address = address, .driver = driver, .what = "unbind"};
	int r;

	r = read_settled_driver(host, address, driver, deadline_ms, &attempt.deadline_ms, err);
	if (r < 0 || !*driver)
		return r;
	/*
	 * Through the driver's own directory, not the device's link to it: should another
	 * driver have come in between, it is not the one that is thrown out.
	 */
	r = text_format(path, sizeof(path), SYSFS_DRIVERS "/%s/unbind", driver);
	assert(r > 0);
	pt_address_format(address, text);
	attempt.result = helper_write_by(host, path, text, attempt.deadline_ms, &attempt.helper);
	if (attempt.result == -ETIMEDOUT || attempt.result == -EOWNERDEAD)
		return helper_explain(host, &attempt, err);
	r = binding_read_driver(host, address, now, err);
	if (r < 0)
		return r;
	/* unbound is unbound, by any program and with any result of the write */
	if (!*now)
		return 0;
	return fail_unbind(host, &attempt, now, err);
}

/* ---- probe ---- */

#define NOT_TRIED 1 /* no errno */

#define PROBE_PATH "sys/bus/pci/drivers_probe"

struct probe_job {
	struct pt_address address;
	char driver[BINDING_NAME];
	/* what the helper found */
	int probe_result;
	int bind_result;
	char override[BINDING_NAME];
	char bound[BINDING_NAME];
};

/*
 * All of it in one go. drivers_probe comes first, as it works with any
 * matching driver, also with drivers_autoprobe off; it reports no failure of a
 * driver, so when nothing came of it the bind file is asked for the reason.
 */
static int probe_work(struct pt_host *host, void *argument)
{
	char text[PT_ADDRESS_TEXT], path[SYSFS_PATH];
	struct probe_job *job = argument;
	size_t len;

	len = strlen(pt_address_format(&job->address, text));
	job->probe_result = job->bind_result = NOT_TRIED;
	if (sysfs_read(host, &job->address, "driver_override", job->override,
		       sizeof(job->override)) < 0 ||
	    !strcmp(job->override, "(null)"))
		*job->override = '\0';
	/* another's override would make the kernel bind that other driver */
	if (!*job->driver || !*job->override || !strcmp(job->override, job->driver))
		job->probe_result = host->ops->write(host, PROBE_PATH, text, len);
	if (!*job->driver ||
	    sysfs_read_link(host, &job->address, "driver", job->bound, sizeof(job->bound)) == 0)
		return 0;
	if (text_format(path, sizeof(path), SYSFS_DRIVERS "/%s/bind", job->driver) > 0)
		job->bind_result = host->ops->write(host, path, text, len);
	return 0;
}

/* @now: the driver it has ended up with. */
static int fail_probe(struct pt_host *host, const struct probe_job *job, const char *now,
		      struct helper_attempt *attempt, struct pt_error *err)
{
	char text[PT_ADDRESS_TEXT];
	int errnum, r;

	attempt->result = job->bind_result < 0	  ? job->bind_result
			  : job->probe_result < 0 ? job->probe_result
						  : 0;
	r = helper_explain(host, attempt, err);
	if (r < 0)
		return r;
	pt_address_format(attempt->address, text);
	if (*now)
		return pt_fail(err, PT_DRIVER_REFUSED, EBUSY,
			       "%s: the kernel bound it to %s instead of "
			       "%s",
			       text, now, job->driver);
	if (*job->override && strcmp(job->override, job->driver))
		return pt_fail(err, PT_DRIVER_REFUSED, ENODEV,
			       "%s: driver_override is \"%s\", so it can't be bound to %s", text,
			       job->override, job->driver);
	/* the only failure that drivers_probe reports, as EINVAL */
	if (!*job->driver)
		return pt_fail(
			err, PT_DRIVER_REFUSED, -attempt->result,
			"%s: the kernel binds no host driver to it (%s), because a guest uses "
			"another device of its IOMMU group. Stop that guest, or assign this device "
			"to it too",
			text, strerrorname_np(-attempt->result));
	errnum = job->bind_result < 0 ? -job->bind_result : EIO;
	return pt_fail(err, PT_DRIVER_REFUSED, errnum,
		       "%s: %s refused the device: %s (%s). The kernel log (dmesg) may tell "
		       "more",
		       text, job->driver,
		       job->bind_result < 0
			       ? binding_explain(host, attempt->address, job->driver, errnum)
			       : "the device was bound and unbound again at once",
		       strerrorname_np(errnum));
}

static int fail_unregistered(const char *address, const char *driver, struct pt_error *err)
{
	return pt_fail(err, pt_driver_is_vfio(driver) ? PT_NO_VFIO : PT_DRIVER_REFUSED, ENOENT,
		       "%s: the kernel has no driver \"%s\". Load its module:\n"
		       "  modprobe %s",
		       address, driver, driver);
}

static int run_probe(struct pt_host *host, const struct pt_address *address, const char *driver,
		     unsigned int deadline_ms, struct pt_error *err)
{
	struct helper_attempt attempt = {
		.address = address, .driver = driver, .what = "probe", .deadline_ms = deadline_ms};
	struct probe_job job = {.address = *address};
	char text[PT_ADDRESS_TEXT], now[BINDING_NAME];
	int r;

	(void)text_copy(job.driver, sizeof(job.driver), driver);
	host_log(host, PT_LOG_DEBUG, "write \"%s\" to /" PROBE_PATH,
		 pt_address_format(address, text));
	attempt.result =
		helper_run(host, probe_work, &job, sizeof(job), deadline_ms, &attempt.helper);
	if (attempt.result < 0) {
		r = helper_explain(host, &attempt, err);
		return r < 0 ? r
			     : pt_fail(err, PT_SYSTEM, -attempt.result,
				       "%s: can't start a helper process: %s", text,
				       strerror(-attempt.result));
	}
	r = binding_read_driver(host, address, now, err);
	if (r < 0)
		return r;
	if (*driver ? !strcmp(now, driver) : job.probe_result == 0)
		return 0;
	return fail_probe(host, &job, now, &attempt, err);
}

int binding_probe(struct pt_host *host, const struct pt_address *address, const char *driver,
		  unsigned int deadline_ms, struct pt_error *err)
{
	char text[PT_ADDRESS_TEXT], now[BINDING_NAME];
	int r;

	if (*driver && !binding_is_driver_name(driver))
		return binding_fail_driver_name(driver, err);
	r = read_settled_driver(host, address, now, deadline_ms, &deadline_ms, err);
	if (r < 0)
		return r;
	if (*now && (!*driver || !strcmp(now, driver)))
		return 0;
	if (*now)
		return pt_fail(err, PT_DRIVER_REFUSED, EBUSY,
			       "%s: can't be bound to %s while it is bound to %s",
			       pt_address_format(address, text), driver, now);
	if (*driver && !binding_has_driver(host, driver))
		return fail_unregistered(pt_address_format(address, text), driver, err);
	return run_probe(host, address, driver, deadline_ms, err);
}
