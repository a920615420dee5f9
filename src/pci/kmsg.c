/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The wording is no ABI. What is looked for is short, and the same in all kernels since 5.4; a
 * line that is worded otherwise one day is missed, not misread:
 *
 *	drivers/pci/pcie/aer.c    e1000e 0000:04:00.0: [AER: ]PCIe Bus Error: severity=Corrected, …
 *	drivers/pci/pcie/dpc.c    pcieport 0000:00:04.0: DPC: containment event, status:…
 *	drivers/iommu/intel       DMAR: [DMA Write NO_PASID] Request device [05:00.0] fault addr …
 *	drivers/iommu/amd         vfio-pci 0000:05:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT …
 *	                          AMD-Vi: Event logged [IO_PAGE_FAULT device=0000:05:00.0 …
 *	drivers/iommu/arm         arm-smmu-v3 …: event: F_TRANSLATION client: 0000:05:00.0 …
 */
#include "pci/kmsg.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* "PRIORITY,SEQUENCE,MICROSECONDS,FLAGS…;"; the facility is above the lowest 3 bits of the first.
 */
static const char *skip_prefix(const char *text)
{
	const char *semicolon = strchr(text, ';');
	char number[16];
	uint64_t priority;
	size_t len = strcspn(text, ",;");

	if (!semicolon || len >= sizeof(number))
		return NULL;
	memcpy(number, text, len);
	number[len] = '\0';
	if (text_parse_number(number, 10, UINT32_MAX, &priority) < 0 || priority >> 3)
		return NULL;
	return semicolon + 1;
}

/* An address up to @stop, with its domain or without. */
static bool parse_address(const char *text, const char *stop, struct kmsg_error *error)
{
	size_t len = strcspn(text, stop), i, colons = 0;
	char word[PT_ADDRESS_TEXT];

	if (!len || len >= sizeof(word) || !text[len])
		return false;
	memcpy(word, text, len);
	word[len] = '\0';
	for (i = 0; i < len; i++)
		colons += word[i] == ':';
	error->has_domain = colons == 2;
	return isxdigit((unsigned char)word[0]) &&
	       pt_address_parse(word, &error->address, NULL) == 0;
}

/* "DRIVER ADDRESS: …": how the kernel begins what it says about a device. */
static bool kmsg_parse_device(const char *text, struct kmsg_error *error)
{
	const char *space = strchr(text, ' ');
	char word[PT_ADDRESS_TEXT];
	size_t len;

	if (!space)
		return false;
	len = strcspn(space + 1, " ");
	if (len < 2 || len >= sizeof(word) || space[len] != ':')
		return false;
	memcpy(word, space + 1, len - 1);
	word[len - 1] = '\0';
	error->has_domain = true;
	return pt_address_parse(word, &error->address, NULL) == 0;
}

static void put_text(struct kmsg_error *error, const char *severity, const char *text)
{
	(void)text_format(error->text, sizeof(error->text), "%s%s%s", severity,
			  *severity && *text ? ": " : "", text);
}

static bool parse_aer(const char *text, struct kmsg_error *error)
{
	static const char mark[] = "PCIe Bus Error: severity=";
	const char *at = strstr(text, mark), *type;
	const char *severity = "unknown";

	if (!at || !kmsg_parse_device(text, error))
		return false;
	at += sizeof(mark) - 1;
	if (!strncmp(at, "Correct", 7))
		severity = "corrected";
	else if (strstr(at, "(Non-Fatal)"))
		severity = "non-fatal";
	else if (strstr(at, "(Fatal)"))
		severity = "fatal";
	type = strstr(at, "type=");
	error->kind = KMSG_BUS_ERROR;
	put_text(error, severity, type ? type + 5 : at);
	return true;
}

static bool parse_dpc(const char *text, struct kmsg_error *error)
{
	if (!strstr(text, ": DPC: containment event") || !kmsg_parse_device(text, error))
		return false;
	error->kind = KMSG_BUS_ERROR;
	put_text(error, "fatal", "the port has disabled its link (DPC)");
	return true;
}

/* "[DMA Write NO_PASID] Request device [05:00.0] fault addr 0x… [fault reason 0x05] WHY" */
static bool parse_vtd(const char *text, struct kmsg_error *error)
{
	static const char mark[] = "] Request device [";
	const char *at = strstr(text, mark), *address, *why;
	char operation[32] = "DMA", number[32] = "?", *pasid;

	if (strncmp(text, "DMAR: [", 7) != 0 || !at ||
	    !parse_address(at + sizeof(mark) - 1, "]", error))
		return false;
	address = strstr(at, "fault addr ");
	why = strstr(at, "[fault reason");
	/* interrupts that were stopped look alike, but name no address */
	if (!address)
		return false;
	(void)sscanf(text + 7, "%31[A-Za-z ]", operation);
	(void)sscanf(address + 11, "%31[0-9a-fx]", number);
	why = why ? strchr(why, ']') : NULL;
	error->kind = KMSG_DMA_FAULT;
	/* "DMA Write NO_PASID", "DMA Write PASID 5" */
	pasid = strstr(operation, " NO");
	if (!pasid)
		pasid = strstr(operation, " PASID");
	if (pasid)
		*pasid = '\0';
	(void)text_format(error->text, sizeof(error->text), "%s at %s%s%s", operation, number,
			  why && why[1] ? ":" : "", why ? why + 1 : "");
	return true;
}

static bool parse_amd(const char *text, struct kmsg_error *error)
{
	static const char mark[] = "AMD-Vi: Event logged [IO_PAGE_FAULT ";
	const char *at = strstr(text, mark), *address;
	char number[32] = "?";

	if (!at)
		return false;
	at += sizeof(mark) - 1;
	if (!strncmp(at, "device=", 7) ? !parse_address(at + 7, " ", error)
				       : !kmsg_parse_device(text, error))
		return false;
	address = strstr(at, "address=");
	if (address)
		(void)sscanf(address + 8, "%31[0-9a-fx]", number);
	error->kind = KMSG_DMA_FAULT;
	(void)text_format(error->text, sizeof(error->text), "DMA at %s: page fault", number);
	return true;
}

static bool parse_smmu(const char *text, struct kmsg_error *error)
{
	const char *at = strstr(text, " event: F_"), *client, *address;
	char fault[32] = "?", number[32] = "?";

	client = at ? strstr(at, " client: ") : NULL;
	if (strncmp(text, "arm-smmu-v3 ", 12) != 0 || !client ||
	    !parse_address(client + 9, " ", error))
		return false;
	(void)sscanf(at + 8, "%31[A-Z_]", fault);
	address = strstr(client, " iova: ");
	if (address)
		(void)sscanf(address + 7, "%31[0-9a-fx]", number);
	error->kind = KMSG_DMA_FAULT;
	(void)text_format(error->text, sizeof(error->text), "DMA at %s: %s", number, fault);
	return true;
}

/* The kernel writes unprintable bytes as \x…; these must not reach a terminal. */
static void flatten(char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
	}
}

bool kmsg_parse(const char *record, size_t size, struct kmsg_error *ret_error)
{
	struct kmsg_error error = {.text = ""};
	char line[1024];
	const char *text;
	size_t len = 0;

	/* the first line is the message; those after it hold properties */
	while (len < size && len < sizeof(line) - 1 && record[len] && record[len] != '\n')
		len++;
	memcpy(line, record, len);
	line[len] = '\0';
	text = skip_prefix(line);
	if (!text)
		return false;
	if (!parse_aer(text, &error) && !parse_dpc(text, &error) && !parse_vtd(text, &error) &&
	    !parse_amd(text, &error) && !parse_smmu(text, &error))
		return false;
	flatten(error.text);
	*ret_error = error;
	return true;
}
