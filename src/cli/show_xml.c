/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A function as the <hostdev> element of a guest: https://libvirt.org/formatdomain.html. */
#include "cli/print.h"

void print_hostdev_xml(struct cli *cli, const struct pt_address *address)
{
	(void)fprintf(cli->out,
		      "<hostdev mode='subsystem' type='pci' managed='yes'>\n  <source>\n"
		      "    <address domain='0x%04x' bus='0x%02x' slot='0x%02x' function='0x%x'/>\n"
		      "  </source>\n</hostdev>\n",
		      address->domain, address->bus, address->device, address->function);
}
