/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A write that runs driver code, made in a process of its own, because it can
 * hang for ever and then not even SIGKILL ends it.
 */
#ifndef PCI_HELPER_H
#define PCI_HELPER_H

#include "pci/host.h"

/*
 * sysfs_write() in a helper process. Returns what the write returned, or
 * -ETIMEDOUT when it hasn't by the deadline: the helper then stays behind,
 * without any of our descriptors, and is nobody's child.
 */
int helper_write(struct pt_host *host, const char *path, const char *text,
		 unsigned int deadline_ms);

#endif
