/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvirt's guide asks in this way whether a guest can have a device: the lines between the
 * marks stand in people's programs as they are here, so they stay as they are.
 */
#include <stdio.h>

#include <libvirt/libvirt.h>

static void check(virConnectPtr conn, const char *name)
{
	virNodeDevicePtr dev = virNodeDeviceLookupByName(conn, name);

	/* clang-format off */
/* ---- 8< ---- */
if (virNodeDeviceDettach(dev) < 0) {
    fprintf(stderr, "Device cannot be dettached from the host OS drivers\n");
    return;
}

if (virNodeDeviceReset(dev) < 0) {
    fprintf(stderr, "Device cannot be safely reset without affecting other devices\n");
    return;
}

fprintf(stderr, "Device is suitable for passthrough to a guest\n");
/* ---- >8 ---- */
	/* clang-format on */
}

int main(int argc, char **argv)
{
	virConnectPtr conn = virConnectOpen(argc > 1 ? argv[1] : NULL);
	int i;

	if (!conn)
		return 1;
	for (i = 2; i < argc; i++)
		check(conn, argv[i]);
	virConnectClose(conn);
	return 0;
}
