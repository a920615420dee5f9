/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Drivers by name: registered or not, loading them, and why one refuses a device. */
#include "pci/binding.h"

#include <fcntl.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <passthru/group.h>

#include "base/text.h"
#include "pci/header.h"
#include "pci/helper.h"
#include "pci/modules.h"
#include "pci/sysfs.h"

bool binding_is_driver_name(const char *driver)
{
	return *driver && strlen(driver) < BINDING_NAME && !strpbrk(driver, "/\n") &&
	       strcmp(driver, ".") != 0 && strcmp(driver, "..") != 0;
}

int binding_fail_driver_name(const char *driver, struct pt_error *err)
{
	return pt_fail(err, PT_INVALID, EINVAL, "\"%.64s\" is not a driver name", driver);
}

/* vfio-pci says EINVAL for several reasons; some of them can be looked up. */
static const char *explain_vfio_invalid(struct pt_host *host, const struct pt_address *address)
{
	char path[SYSFS_PATH];
	struct header header;

	if (sysfs_device_path(path, address, "config") == 0 &&
	    header_read(host, path, &header) == 0 && header_is_bridge(&header))
		return "it is a bridge, and bridges stay with the host";
	if (sysfs_device_path(path, address, "iommu_group") == 0 &&
	    faccessat(host->root_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return "it is in no IOMMU group: the IOMMU is off (check the firmware setup and "
		       "the kernel parameter intel_iommu=on), or does not cover it";
	return "the device is on the driver's denylist, or its IOMMU can't enforce cache coherency";
}

/* igbvf, ixgbevf and others ask the physical function, which answers only while it is up. */
static const char *explain_refused(struct pt_host *host, const struct pt_address *address)
{
	char path[SYSFS_PATH];

	if (sysfs_device_path(path, address, "physfn") == 0 &&
	    faccessat(host->root_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return "it does not support this device, or the device does not work; a virtual "
		       "function often works only while the interface of its physical function is "
		       "up (ip link set NAME up)";
	return "it does not support this device, or the device does not work";
}

const char *binding_explain(struct pt_host *host, const struct pt_address *address,
			    const char *driver, int errnum)
{
	bool is_vfio = pt_driver_is_vfio(driver);

	switch (errnum) {
	case ENODEV:
		return is_vfio ? "it does not accept this device (is driver_override set to it?)"
			       : explain_refused(host, address);
	case EINVAL:
		return is_vfio ? explain_vfio_invalid(host, address)
			       : "the device is not in the state that the driver expects";
	case EBUSY:
		return is_vfio ? "its virtual functions are enabled, or another part of the kernel "
				 "uses it"
			       : "a guest uses another device of its IOMMU group, or its resources "
				 "are in use";
	case EAGAIN:
		return "it waits for another driver (deferred probe)";
	case ENOENT:
		return "the driver has no bind file, or has just been unloaded";
	default:
		return strerror(errnum);
	}
}

bool binding_has_driver(struct pt_host *host, const char *driver)
{
	char path[SYSFS_PATH];

	return binding_is_driver_name(driver) &&
	       text_format(path, sizeof(path), SYSFS_DRIVERS "/%s", driver) > 0 &&
	       faccessat(host->root_fd, path, F_OK, 0) == 0;
}

/* A common reason why no module loads at all: the kernel package was exchanged under the kernel. */
static bool has_modules(struct pt_host *host)
{
	struct utsname name;
	char path[SYSFS_PATH];

	return uname(&name) == 0 &&
	       text_format(path, sizeof(path), "lib/modules/%s", name.release) > 0 &&
	       faccessat(host->root_fd, path, F_OK, 0) == 0;
}

/* Work for a helper. */
struct load_job {
	char driver[BINDING_NAME];
	char message[HOST_MESSAGE];
};

static int load_work(struct pt_host *host, void *argument)
{
	struct load_job *job = argument;

	return host->ops->load_module(host, job->driver, job->message);
}

static int fail_load(struct pt_host *host, const struct load_job *job, int errnum,
		     struct pt_error *err)
{
	const char *driver = job->driver;
	bool is_vfio = pt_driver_is_vfio(driver);
	enum pt_reason reason = is_vfio ? PT_NO_VFIO : PT_DRIVER_REFUSED;

	if (errnum == EPERM || errnum == EACCES)
		return pt_fail(err, PT_NOT_PERMITTED, errnum,
			       "loading module %s is not permitted: %s", driver,
			       geteuid() ? "run as root"
					 : "forbidden even to root (by a container, kernel "
					   "lockdown or kernel.modules_disabled=1); run modprobe "
					   "on the host itself, early in the boot");
	if (errnum == EKEYREJECTED || errnum == ENOKEY)
		return pt_fail(err, reason, errnum,
			       "module %s is not signed with a key that this kernel trusts (Secure "
			       "Boot): install the module of your distribution",
			       driver);
	if (errnum == ENOENT && !has_modules(host))
		return pt_fail(err, reason, errnum,
			       "module %s does not exist, and no modules of the running kernel are "
			       "installed: if the kernel package was upgraded, reboot into the "
			       "installed kernel",
			       driver);
	if (errnum == ENOENT && is_vfio)
		return pt_fail(
			err, reason, errnum,
			"this kernel has no driver %s, neither built in nor as a module "
			"(CONFIG_VFIO_PCI): install the full kernel or its module package "
			"(linux-modules-extra-… on Ubuntu, kernel-modules on Fedora; Debian's "
			"linux-image-amd64 has it, some cloud kernels do not), then run:\n"
			"  modprobe %s",
			driver, driver);
	if (errnum == ENOENT)
		return pt_fail(
			err, reason, errnum,
			"this kernel has no driver \"%s\", neither built in nor as a module of "
			"that name",
			driver);
	return pt_fail(err, reason, errnum,
		       "loading module %s failed: %s. The kernel log (dmesg) "
		       "may tell more",
		       driver, job->message[0] ? job->message : strerror(errnum));
}

int binding_load_driver(struct pt_host *host, const char *driver, unsigned int deadline_ms,
			struct pt_error *err)
{
	struct load_job job = {0};
	char name[BINDING_NAME];
	pid_t helper;
	int r;

	if (!binding_is_driver_name(driver) || !text_copy(job.driver, sizeof(job.driver), driver))
		return binding_fail_driver_name(driver, err);
	if (binding_has_driver(host, driver))
		return 0;
	host_log(host, PT_LOG_INFO, "load module %s", driver);
	r = helper_run(host, load_work, &job, sizeof(job), deadline_ms, &helper);
	if (r == -ETIMEDOUT)
		return pt_fail(err, pt_driver_is_vfio(driver) ? PT_NO_VFIO : PT_DRIVER_REFUSED,
			       ETIMEDOUT,
			       "loading module %s has not finished within %u.%u s; modprobe still "
			       "waits (child of pid %ld). The kernel log (dmesg) may show the "
			       "cause",
			       driver, deadline_ms / 1000, deadline_ms % 1000 / 100, (long)helper);
	if (job.message[0])
		host_log(host, PT_LOG_DEBUG, "%s", job.message);
	if (r < 0)
		return fail_load(host, &job, -r, err);
	if (binding_has_driver(host, driver))
		return 0;
	if (modules_read_driver(host, driver, name, sizeof(name)) == 0)
		return pt_fail(err, pt_driver_is_vfio(driver) ? PT_NO_VFIO : PT_DRIVER_REFUSED,
			       ENOENT,
			       "%s is the name of a module, and its driver is named %s. Use that "
			       "name:\n"
			       "  --driver %s",
			       driver, name, name);
	return pt_fail(err, pt_driver_is_vfio(driver) ? PT_NO_VFIO : PT_DRIVER_REFUSED, ENOENT,
		       "module %s is loaded, but it registers no PCI driver \"%s\"", driver,
		       driver);
}
