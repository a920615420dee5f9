/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/errors.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "rpc/protocol.h"

#define LEVEL_ERROR 2

/* The phrases that libvirt puts before the details of a code; clients look for them. */
static const struct {
	enum fault_code code;
	const char *phrase;
} phrases[] = {
	{FAULT_INTERNAL, "internal error: "},
	{FAULT_NO_MEMORY, "out of memory: "},
	{FAULT_NO_SUPPORT, "this function is not supported by the connection driver: "},
	{FAULT_NO_CONNECT, "no connection driver available for "},
	{FAULT_INVALID_ARG, "invalid argument: "},
	{FAULT_FAILED, "operation failed: "},
	{FAULT_XML, "XML error: "},
	{FAULT_DENIED, "operation forbidden: "},
	{FAULT_SYSTEM, ""},
	{FAULT_RPC, ""},
	{FAULT_NO_DOMAIN, "Domain not found: "},
	{FAULT_NO_NETWORK, "Network not found: "},
	{FAULT_DOMAIN_EXISTS, "domain exists already: "},
	{FAULT_NO_STORAGE_POOL, "Storage pool not found: "},
	{FAULT_NO_NODE_DEVICE, "Node device not found: "},
	{FAULT_INVALID, "Requested operation is not valid: "},
	{FAULT_CONFIG_UNSUPPORTED, "unsupported configuration: "},
	{FAULT_TIMEOUT, "Timed out during operation: "},
	{FAULT_ARGUMENT_UNSUPPORTED, "argument unsupported: "},
	{FAULT_UNSUPPORTED, "Operation not supported: "},
	{FAULT_BUSY, "resource busy: "},
	{FAULT_DEVICE_MISSING, "device not found: "},
};

#define NO_VFIO	 "VFIO device assignment is currently not supported on this system"
#define NO_RESET "Unable to reset PCI device"

/*
 * Our reasons as libvirt's. @phrase is what libvirt says in that case; our message follows
 * it. With @names_device the device stands between the two.
 */
static const struct {
	enum fault_code code;
	enum fault_domain domain;
	const char *phrase;
	bool names_device;
} reasons[PT_REASON_COUNT] = {
	[PT_INVALID] = {FAULT_INVALID_ARG, FAULT_FROM_NODEDEV, NULL, false},
	[PT_NO_DEVICE] = {FAULT_NO_NODE_DEVICE, FAULT_FROM_NODEDEV, NULL, false},
	[PT_DEVICE_GONE] = {FAULT_NO_NODE_DEVICE, FAULT_FROM_NODEDEV, NULL, false},
	[PT_NO_IOMMU] = {FAULT_ARGUMENT_UNSUPPORTED, FAULT_FROM_QEMU, NO_VFIO, false},
	[PT_NO_GROUP] = {FAULT_ARGUMENT_UNSUPPORTED, FAULT_FROM_QEMU, NO_VFIO, false},
	[PT_GROUP_NOT_VIABLE] = {FAULT_INVALID, FAULT_FROM_NONE, NULL, false},
	[PT_IN_USE] = {FAULT_INVALID, FAULT_FROM_NONE, NULL, false},
	[PT_CLAIMED] = {FAULT_INVALID, FAULT_FROM_NONE, NULL, false},
	[PT_BUSY] = {FAULT_BUSY, FAULT_FROM_NONE, NULL, false},
	[PT_QUARANTINED] = {FAULT_INVALID, FAULT_FROM_NONE, NULL, false},
	[PT_NO_VFIO] = {FAULT_ARGUMENT_UNSUPPORTED, FAULT_FROM_QEMU, NO_VFIO, false},
	[PT_NOT_PERMITTED] = {FAULT_SYSTEM, FAULT_FROM_NONE, NULL, false},
	[PT_DRIVER_REFUSED] = {FAULT_INTERNAL, FAULT_FROM_NONE, NULL, false},
	[PT_DRIVER_STUCK] = {FAULT_TIMEOUT, FAULT_FROM_NONE, NULL, false},
	[PT_RESET_UNAVAILABLE] = {FAULT_INTERNAL, FAULT_FROM_NONE, NO_RESET, true},
	[PT_RESET_FAILED] = {FAULT_INTERNAL, FAULT_FROM_NONE, NO_RESET, true},
	[PT_IDENTITY] = {FAULT_INVALID, FAULT_FROM_NONE, NULL, false},
	[PT_STORAGE] = {FAULT_SYSTEM, FAULT_FROM_NONE, NULL, false},
	[PT_CORRUPT] = {FAULT_INTERNAL, FAULT_FROM_NONE, NULL, false},
	[PT_UNSUITABLE] = {FAULT_UNSUPPORTED, FAULT_FROM_NODEDEV, NULL, false},
	[PT_NO_GUEST] = {FAULT_NO_DOMAIN, FAULT_FROM_QEMU, NULL, false},
	[PT_UNPLUG_REFUSED] = {FAULT_FAILED, FAULT_FROM_QEMU, NULL, false},
	[PT_UNPLUG_PENDING] = {FAULT_TIMEOUT, FAULT_FROM_QEMU, NULL, false},
	[PT_NO_MEMORY] = {FAULT_NO_MEMORY, FAULT_FROM_NONE, NULL, false},
	[PT_SYSTEM] = {FAULT_SYSTEM, FAULT_FROM_NONE, NULL, false},
};

static const char *phrase_of(enum fault_code code)
{
	size_t i;

	for (i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
		if (phrases[i].code == code)
			return phrases[i].phrase;
	return "";
}

int fault_set(struct fault *fault, enum fault_code code, enum fault_domain domain,
	      const char *format, ...)
{
	va_list args;

	fault->code = code;
	fault->domain = domain;
	va_start(args, format);
	(void)text_vformat(fault->detail, sizeof(fault->detail), format, args);
	va_end(args);
	text_clean_lines(fault->detail);
	return -1;
}

int fault_set_reason(struct fault *fault, const struct pt_error *err,
		     const struct pt_address *address)
{
	size_t reason = (size_t)err->reason < PT_REASON_COUNT ? (size_t)err->reason : PT_SYSTEM;
	const char *phrase = reasons[reason].phrase;
	char text[PT_ADDRESS_TEXT] = "";

	if (!reasons[reason].code)
		return fault_set(fault, FAULT_INTERNAL, FAULT_FROM_NONE, "%s", err->message);
	if (!phrase)
		return fault_set(fault, reasons[reason].code, reasons[reason].domain, "%s",
				 err->message);
	if (address && reasons[reason].names_device)
		pt_address_format(address, text);
	return fault_set(fault, reasons[reason].code, reasons[reason].domain, "%s%s%s: %s", phrase,
			 *text ? " " : "", text, err->message);
}

int fault_write(const struct fault *fault, const struct frame_header *call, enum frame_type type,
		struct frame_bytes *ret_frame)
{
	struct frame_header header = *call;
	char message[sizeof(fault->detail) + 128], format[128];
	char *message_at = message, *format_at = format;
	char *detail_at = (char *)(uintptr_t)fault->detail;
	const char *phrase = phrase_of(fault->code);
	struct rpc_error error = {.code = (int)fault->code,
				  .domain = (int)fault->domain,
				  .level = LEVEL_ERROR,
				  .message = &message_at,
				  .text1 = &format_at,
				  .text2 = &detail_at,
				  .number1 = -1,
				  .number2 = -1};

	(void)text_format(message, sizeof(message), "%s%s", phrase, fault->detail);
	(void)text_format(format, sizeof(format), "%s%%s", phrase);
	header.type = (int32_t)type;
	header.status = FRAME_ERROR;
	return frame_write(&header, (xdrproc_t)xdr_rpc_error, &error, ret_frame);
}
