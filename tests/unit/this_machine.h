/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The machine that the tests run on, for what they do to its temporary files. */
#ifndef UNIT_THIS_MACHINE_H
#define UNIT_THIS_MACHINE_H

#include "pci/host.h"

static inline struct pt_host *machine(void)
{
	static struct pt_host *host;

	if (!host)
		assert_int_equal(pt_host_new(NULL, &host, NULL), 0);
	return host;
}

#endif
