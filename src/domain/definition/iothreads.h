/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The I/O threads of a guest: <iothreads> says how many, <iothreadids> what some are called. */
#ifndef DOMAIN_DEFINITION_IOTHREADS_H
#define DOMAIN_DEFINITION_IOTHREADS_H

#include <stdbool.h>
#include <stddef.h>

#include <libxml/tree.h>

#define IOTHREADS_MAX 64

struct iothread {
	unsigned int id;
	const xmlNode *node; /* its <iothread>; NULL: nothing but its number is said */
};

/*
 * Those of @domain, at most IOTHREADS_MAX, those of <iothreadids> first. Where it names fewer than
 * <iothreads> says, the others have the lowest numbers that are left; where more, there are more
 * (libvirt.org/formatdomain.html, "IOThreads Allocation").
 */
size_t iothreads_read(const xmlNode *domain, struct iothread iothreads[IOTHREADS_MAX]);

/* Is there one of this number? */
bool iothreads_have(const struct iothread *iothreads, size_t count, unsigned int id);

#endif
