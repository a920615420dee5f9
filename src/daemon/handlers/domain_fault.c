/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/handlers/domain_fault.h"

#include <passthru/claim.h>
#include <string.h>

#include "assign/auto.h"

int fault_no_domain(struct fault *fault, const unsigned char uuid[16], const char *name)
{
	char text[UUID_TEXT];

	return fault_set(fault, FAULT_NO_DOMAIN, FAULT_FROM_QEMU,
			 "no domain with matching uuid '%s' (%.200s)", uuid_format(uuid, text),
			 name);
}

int fault_check_flags(struct call *call, unsigned int flags, unsigned int known)
{
	if (!(flags & ~known))
		return 0;
	return fault_set(&call->fault, FAULT_INVALID_ARG, FAULT_FROM_QEMU,
			 "unsupported flags (0x%x) in function %s", flags & ~known,
			 call->procedure->name);
}

/* The message begins with the address of the claimed device. */
static int fault_claimed(struct pt_host *host, struct call *call, const struct pt_error *err)
{
	AUTO(auto_claims) struct pt_claims *claims = NULL;
	const struct pt_claim *claim = NULL;
	size_t length = strcspn(err->message, " \n");
	char text[PT_ADDRESS_TEXT] = "";
	struct pt_address address;

	if (length < sizeof(text))
		memcpy(text, err->message, length);
	if (pt_address_parse(text, &address, NULL) == 0 && pt_claims_read(host, &claims, NULL) == 0)
		claim = pt_claims_find(claims, &address);
	if (!claim || claim->owner.kind == PT_OWNER_MANUAL)
		return fault_set(&call->fault, FAULT_INVALID, FAULT_FROM_QEMU, "%s", err->message);
	if (claim->owner.kind == PT_OWNER_DOMAIN)
		return fault_set(&call->fault, FAULT_INVALID, FAULT_FROM_QEMU,
				 "PCI device %s is in use by driver QEMU, domain %s: %s", text,
				 claim->owner.name, err->message);
	return fault_set(&call->fault, FAULT_INVALID, FAULT_FROM_QEMU,
			 "PCI device %s is in use by driver %s, process %s (pid %d): %s", text,
			 claim->driver, claim->owner.name, (int)claim->owner.pid, err->message);
}

/* What a definition can be refused for: see domain/definition/definition.h. */
static int fault_invalid(struct call *call, const struct pt_error *err)
{
	static const struct {
		int errnum;
		enum fault_code code;
		enum fault_domain domain;
	} codes[] = {
		{EOPNOTSUPP, FAULT_CONFIG_UNSUPPORTED, FAULT_FROM_QEMU},
		{EEXIST, FAULT_FAILED, FAULT_FROM_QEMU},
		{ENOENT, FAULT_DEVICE_MISSING, FAULT_FROM_QEMU},
		{EBUSY, FAULT_INTERNAL, FAULT_FROM_QEMU},
	};
	size_t i;

	for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].errnum == err->errnum)
			return fault_set(&call->fault, codes[i].code, codes[i].domain, "%s",
					 err->message);
	return fault_set(&call->fault, FAULT_XML, FAULT_FROM_DOMAIN, "%s", err->message);
}

int fault_of_guest(struct pt_host *host, struct call *call, const struct pt_error *err)
{
	switch (err->reason) {
	case PT_CLAIMED:
		return fault_claimed(host, call, err);
	case PT_INVALID:
		return fault_invalid(call, err);
	case PT_IN_USE:
		return fault_set(&call->fault,
				 err->errnum == ECANCELED ? FAULT_FAILED : FAULT_INVALID,
				 FAULT_FROM_QEMU, "%s", err->message);
	case PT_BUSY:
		if (err->errnum != ETIMEDOUT)
			break;
		return fault_set(&call->fault, FAULT_TIMEOUT, FAULT_FROM_QEMU, "%s", err->message);
	case PT_SYSTEM:
		if (err->errnum == ETIMEDOUT)
			return fault_set(&call->fault, FAULT_TIMEOUT, FAULT_FROM_QEMU, "%s",
					 err->message);
		return fault_set(&call->fault, FAULT_INTERNAL, FAULT_FROM_QEMU, "%s", err->message);
	default:
		break;
	}
	return fault_set_reason(&call->fault, err, NULL);
}
