/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libvirt's procedures, a file a family; the tables, and what each of them works on. */
#ifndef DAEMON_HANDLERS_HANDLERS_H
#define DAEMON_HANDLERS_HANDLERS_H

#include "daemon/call.h"

extern const struct handler handlers_connect[];	       /* struct events */
extern const struct handler handlers_host[];	       /* nothing */
extern const struct handler handlers_nodedev[];	       /* struct fixed */
extern const struct handler handlers_nodedev_change[]; /* nothing */
extern const struct handler handlers_empty[];	       /* nothing */
/* struct guests, as all below: handlers/domain_call.h */
extern const struct handler handlers_domain[];
extern const struct handler handlers_domain_define[];
extern const struct handler handlers_domain_stats[];
extern const struct handler handlers_domain_life[];
extern const struct handler handlers_domain_devices[];
extern const struct handler handlers_domain_console[];
extern const struct handler handlers_domain_security[];

#endif
