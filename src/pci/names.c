/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names come from udev's hardware database, which is made from pci.ids: it is an
 * index mapped into memory, where reading pci.ids would cost more than listing
 * all devices. It is a book of names, not a fact about the host, so it is always this
 * machine's, also when the host is a recording of another.
 */
#include "pci/names.h"

#include <errno.h>
#include <fcntl.h>
#include <passthru/device.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "pci/hwdb.h"

/* hwdb(7): the administrator's before the distribution's. */
static const char *const places[] = {
	"/etc/systemd/hwdb/hwdb.bin", "/etc/udev/hwdb.bin", "/usr/lib/systemd/hwdb/hwdb.bin",
	"/usr/lib/udev/hwdb.bin",     "/lib/udev/hwdb.bin",
};

static int map_file(const char *path, struct hwdb *ret_hwdb)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat stat;
	void *bytes;

	if (fd < 0 || fstat(fd, &stat) < 0)
		return -errno;
	if (!S_ISREG(stat.st_mode) || stat.st_size <= 0)
		return -EINVAL;
	bytes = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (bytes == MAP_FAILED)
		return -errno;
	*ret_hwdb = (struct hwdb){.bytes = bytes, .size = (size_t)stat.st_size};
	return 0;
}

/* NULL only without memory; an empty database where none is installed. */
static struct hwdb *names_open(struct pt_host *host)
{
	struct hwdb *hwdb = host->hwdb;
	size_t i;

	if (hwdb)
		return hwdb;
	hwdb = calloc(1, sizeof(*hwdb));
	if (!hwdb)
		return NULL;
	for (i = 0; !hwdb->bytes && i < sizeof(places) / sizeof(places[0]); i++)
		(void)map_file(places[i], hwdb);
	if (!hwdb->bytes)
		host_log(host, PT_LOG_INFO, "no hardware database: devices stay without names");
	host->hwdb = hwdb;
	return hwdb;
}

int names_do_without(struct pt_host *host)
{
	names_close(host);
	host->hwdb = calloc(1, sizeof(struct hwdb));
	return host->hwdb ? 0 : -ENOMEM;
}

void names_close(struct pt_host *host)
{
	struct hwdb *hwdb = host->hwdb;

	if (hwdb && hwdb->bytes)
		(void)munmap((void *)hwdb->bytes, hwdb->size);
	free(hwdb);
	host->hwdb = NULL;
}

static const char *look_up(struct pt_host *host, const char *property, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static const char *look_up(struct pt_host *host, const char *property, const char *format, ...)
{
	const struct hwdb *hwdb = names_open(host);
	char pattern[64];
	va_list args;

	if (!hwdb || !hwdb->bytes)
		return NULL;
	va_start(args, format);
	(void)vsnprintf(pattern, sizeof(pattern), format, args);
	va_end(args);
	return hwdb_find(hwdb, pattern, property);
}

const char *pt_name_vendor(struct pt_host *host, uint16_t vendor_id)
{
	return look_up(host, "ID_VENDOR_FROM_DATABASE", "pci:v%08X*", vendor_id);
}

const char *pt_name_device(struct pt_host *host, uint16_t vendor_id, uint16_t device_id)
{
	return look_up(host, "ID_MODEL_FROM_DATABASE", "pci:v%08Xd%08X*", vendor_id, device_id);
}

const char *pt_name_subsystem(struct pt_host *host, const struct pt_function *function)
{
	return look_up(host, "ID_MODEL_FROM_DATABASE", "pci:v%08Xd%08Xsv%08Xsd%08X*",
		       function->vendor_id, function->device_id, function->subsystem_vendor_id,
		       function->subsystem_device_id);
}

const char *pt_name_class(struct pt_host *host, uint32_t class_code)
{
	unsigned int base = class_code >> 16 & 0xff, sub = class_code >> 8 & 0xff;
	const char *name = look_up(host, "ID_PCI_SUBCLASS_FROM_DATABASE",
				   "pci:v*d*sv*sd*bc%02Xsc%02X*", base, sub);

	return name ? name
		    : look_up(host, "ID_PCI_CLASS_FROM_DATABASE", "pci:v*d*sv*sd*bc%02X*", base);
}

const char *pt_name_interface(struct pt_host *host, uint32_t class_code)
{
	return look_up(host, "ID_PCI_INTERFACE_FROM_DATABASE", "pci:v*d*sv*sd*bc%02Xsc%02Xi%02X*",
		       class_code >> 16 & 0xff, class_code >> 8 & 0xff, class_code & 0xff);
}
