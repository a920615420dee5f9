/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Registers are named as in <linux/pci_regs.h>; what they mean stands in PCI Local
 * Bus 3.0, chapter 6, and PCI Express Base, chapter 7.
 */
#include "pci/config.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

struct bytes {
	const uint8_t *at;
	size_t size;
};

/* Registers past the end read as 0, as those of a capability that a device doesn't have. */
static uint8_t get8(const struct bytes *bytes, size_t offset)
{
	return offset < bytes->size ? bytes->at[offset] : 0;
}

static uint16_t get16(const struct bytes *bytes, size_t offset)
{
	return (uint16_t)(get8(bytes, offset) | get8(bytes, offset + 1) << 8);
}

static uint32_t get32(const struct bytes *bytes, size_t offset)
{
	return get16(bytes, offset) | (uint32_t)get16(bytes, offset + 2) << 16;
}

/* ---- names ---- */

static const char *const standard_names[] = {
	[PCI_CAP_ID_PM] = "pm",
	[PCI_CAP_ID_AGP] = "agp",
	[PCI_CAP_ID_VPD] = "vpd",
	[PCI_CAP_ID_SLOTID] = "slot-id",
	[PCI_CAP_ID_MSI] = "msi",
	[PCI_CAP_ID_CHSWP] = "compact-pci-hotswap",
	[PCI_CAP_ID_PCIX] = "pci-x",
	[PCI_CAP_ID_HT] = "hypertransport",
	[PCI_CAP_ID_VNDR] = "vendor",
	[PCI_CAP_ID_DBG] = "debug-port",
	[PCI_CAP_ID_CCRC] = "compact-pci-resource",
	[PCI_CAP_ID_SHPC] = "hotplug-controller",
	[PCI_CAP_ID_SSVID] = "subsystem-id",
	[PCI_CAP_ID_AGP3] = "agp-bridge",
	[PCI_CAP_ID_SECDEV] = "secure-device",
	[PCI_CAP_ID_EXP] = "pcie",
	[PCI_CAP_ID_MSIX] = "msi-x",
	[PCI_CAP_ID_SATA] = "sata",
	[PCI_CAP_ID_AF] = "af",
	[PCI_CAP_ID_EA] = "ea",
	[0x15] = "fpb",
};

/* By number: the header of an older kernel doesn't name all of them. */
static const char *const extended_names[] = {
	[0x01] = "aer",
	[0x02] = "vc",
	[0x03] = "serial-number",
	[0x04] = "power-budgeting",
	[0x05] = "root-link",
	[0x06] = "root-internal-link",
	[0x07] = "root-event-collector",
	[0x08] = "mfvc",
	[0x09] = "vc",
	[0x0a] = "rcrb",
	[0x0b] = "vendor",
	[0x0c] = "config-access",
	[0x0d] = "acs",
	[0x0e] = "ari",
	[0x0f] = "ats",
	[0x10] = "sr-iov",
	[0x11] = "mr-iov",
	[0x12] = "multicast",
	[0x13] = "pri",
	[0x15] = "resizable-bar",
	[0x16] = "dynamic-power",
	[0x17] = "tph",
	[0x18] = "ltr",
	[0x19] = "secondary-pcie",
	[0x1a] = "pmux",
	[0x1b] = "pasid",
	[0x1c] = "ln-requester",
	[0x1d] = "dpc",
	[0x1e] = "l1-substates",
	[0x1f] = "ptm",
	[0x20] = "m-phy",
	[0x21] = "frs-queueing",
	[0x22] = "readiness-time",
	[0x23] = "dvsec",
	[0x24] = "vf-resizable-bar",
	[0x25] = "data-link-feature",
	[0x26] = "16gt",
	[0x27] = "lane-margining",
	[0x28] = "hierarchy-id",
	[0x29] = "npem",
	[0x2a] = "32gt",
	[0x2b] = "alternate-protocol",
	[0x2c] = "sfi",
	[0x2d] = "shadow-functions",
	[0x2e] = "doe",
	[0x2f] = "device-3",
	[0x30] = "ide",
	[0x31] = "64gt",
};

static const char *const port_types[] = {
	[PCI_EXP_TYPE_ENDPOINT] = "endpoint",
	[PCI_EXP_TYPE_LEG_END] = "legacy endpoint",
	[PCI_EXP_TYPE_ROOT_PORT] = "root port",
	[PCI_EXP_TYPE_UPSTREAM] = "upstream port",
	[PCI_EXP_TYPE_DOWNSTREAM] = "downstream port",
	[PCI_EXP_TYPE_PCI_BRIDGE] = "PCIe-to-PCI bridge",
	[PCI_EXP_TYPE_PCIE_BRIDGE] = "PCI-to-PCIe bridge",
	[PCI_EXP_TYPE_RC_END] = "integrated endpoint",
	[PCI_EXP_TYPE_RC_EC] = "root event collector",
};

#define NAME_AT(table, index)                                                                      \
	((index) < sizeof(table) / sizeof((table)[0]) && (table)[index] ? (table)[index]           \
									: "unknown")

/* ---- what single capabilities tell ---- */

/* Both Link Capabilities and Link Status count speeds from 1; PCIe 7.5.3.6 and 7.5.3.8. */
static uint32_t link_speed(uint32_t code)
{
	static const uint32_t mtps[] = {0, 2500, 5000, 8000, 16000, 32000, 64000};

	return code < sizeof(mtps) / sizeof(mtps[0]) ? mtps[code] : 0;
}

static void parse_link(const struct bytes *bytes, size_t at, struct config *config)
{
	uint32_t can = get32(bytes, at + PCI_EXP_LNKCAP);
	uint16_t now = get16(bytes, at + PCI_EXP_LNKSTA);

	config->has_link = true;
	config->port_number = (uint8_t)(can >> 24);
	config->link_max.speed_mtps = link_speed(can & PCI_EXP_LNKCAP_SLS);
	config->link_max.width = (uint8_t)((can & PCI_EXP_LNKCAP_MLW) >> 4);
	/* a port that can tell that its link is down keeps old values in the other fields */
	if ((can & PCI_EXP_LNKCAP_DLLLARC) && !(now & PCI_EXP_LNKSTA_DLLLA))
		return;
	config->link_now.speed_mtps = link_speed(now & PCI_EXP_LNKSTA_CLS);
	config->link_now.width = (uint8_t)((now & PCI_EXP_LNKSTA_NLW) >> PCI_EXP_LNKSTA_NLW_SHIFT);
}

static void parse_pcie(const struct bytes *bytes, size_t at, struct config *config)
{
	unsigned int type = (get16(bytes, at + PCI_EXP_FLAGS) & PCI_EXP_FLAGS_TYPE) >> 4;

	config->is_pcie = true;
	config->port_type = NAME_AT(port_types, type);
	/* of endpoints alone (PCIe 7.5.3.3); some switches set it all the same */
	config->has_flr = (type == PCI_EXP_TYPE_ENDPOINT || type == PCI_EXP_TYPE_LEG_END ||
			   type == PCI_EXP_TYPE_RC_END) &&
			  (get32(bytes, at + PCI_EXP_DEVCAP) & PCI_EXP_DEVCAP_FLR);
	/* what is part of the root complex has no link (PCIe 7.5.3) */
	if (type != PCI_EXP_TYPE_RC_END && type != PCI_EXP_TYPE_RC_EC)
		parse_link(bytes, at, config);
}

static void parse_standard(const struct bytes *bytes, uint8_t id, size_t at, struct config *config)
{
	uint8_t af;

	switch (id) {
	case PCI_CAP_ID_PM:
		config->has_pm_reset =
			!(get16(bytes, at + PCI_PM_CTRL) & PCI_PM_CTRL_NO_SOFT_RESET);
		break;
	case PCI_CAP_ID_VPD:
		config->has_vpd = true;
		break;
	case PCI_CAP_ID_MSI:
		config->msi_vectors =
			(uint16_t)(1U
				   << ((get16(bytes, at + PCI_MSI_FLAGS) & PCI_MSI_FLAGS_QMASK) >>
				       1));
		break;
	case PCI_CAP_ID_MSIX:
		config->msix_vectors =
			(uint16_t)((get16(bytes, at + PCI_MSIX_FLAGS) & PCI_MSIX_FLAGS_QSIZE) + 1U);
		break;
	case PCI_CAP_ID_EXP:
		parse_pcie(bytes, at, config);
		break;
	case PCI_CAP_ID_AF:
		/* the kernel uses it only together with Transactions Pending */
		af = get8(bytes, at + PCI_AF_CAP);
		config->has_af_flr = (af & PCI_AF_CAP_TP) && (af & PCI_AF_CAP_FLR);
		break;
	default:
		break;
	}
}

static void parse_extended(const struct bytes *bytes, uint16_t id, size_t at, struct config *config)
{
	switch (id) {
	case PCI_EXT_CAP_ID_DSN:
		config->has_serial = true;
		config->serial = get32(bytes, at + 4) | (uint64_t)get32(bytes, at + 8) << 32;
		break;
	case PCI_EXT_CAP_ID_ACS:
		config->acs_capable = get16(bytes, at + PCI_ACS_CAP);
		config->acs_enabled = get16(bytes, at + PCI_ACS_CTRL);
		break;
	default:
		break;
	}
}

/* ---- the lists ---- */

/* Offsets met so far, one bit for each 4 bytes: a list that bites its tail ends there. */
struct seen {
	uint32_t bits[CONFIG_SIZE / 4 / 32];
};

static bool seen_before(struct seen *seen, size_t offset)
{
	uint32_t bit = 1U << (offset / 4 % 32);
	uint32_t *word = &seen->bits[offset / 4 / 32];
	bool was = *word & bit;

	*word |= bit;
	return was;
}

static void config_add(struct config *config, const struct pt_capability *capability)
{
	/* seen_before() lets no more through than there is room for */
	config->capabilities[config->capability_count++] = *capability;
}

static void walk_standard(const struct bytes *bytes, struct config *config)
{
	struct seen seen = {0};
	size_t at;

	if (!(get16(bytes, PCI_STATUS) & PCI_STATUS_CAP_LIST))
		return;
	at = get8(bytes, config->header_type == PCI_HEADER_TYPE_CARDBUS ? PCI_CB_CAPABILITY_LIST
									: PCI_CAPABILITY_LIST);
	/* the two low bits of a pointer are reserved and to be masked (PCI 3.0, 6.7) */
	for (at &= ~3U;
	     at >= CONFIG_HEADER_SIZE && at + 4 <= bytes->size && !seen_before(&seen, at);
	     at = get8(bytes, at + 1) & ~3U) {
		uint8_t id = get8(bytes, at);

		if (id == 0xff) /* the device stopped answering here */
			return;
		if (id == 0) /* a null capability, only there for its pointer */
			continue;
		config_add(config, &(struct pt_capability){.id = id,
							   .offset = (uint16_t)at,
							   .name = NAME_AT(standard_names, id)});
		parse_standard(bytes, id, at, config);
	}
}

static void walk_extended(const struct bytes *bytes, struct config *config)
{
	struct seen seen = {0};
	size_t at = PCI_CFG_SPACE_SIZE;

	while (at >= PCI_CFG_SPACE_SIZE && at + 4 <= bytes->size && !seen_before(&seen, at)) {
		uint32_t header = get32(bytes, at);
		uint16_t id = (uint16_t)PCI_EXT_CAP_ID(header);

		if (header == 0 || header == UINT32_MAX)
			return;
		/* id 0 at the start of the list: none here, but the pointer counts */
		if (id != 0) {
			config_add(config,
				   &(struct pt_capability){.id = id,
							   .version = PCI_EXT_CAP_VER(header),
							   .offset = (uint16_t)at,
							   .is_extended = true,
							   .name = NAME_AT(extended_names, id)});
			parse_extended(bytes, id, at, config);
		}
		at = PCI_EXT_CAP_NEXT(header);
	}
}

static bool is_all_ones(const uint8_t *bytes, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
		if (bytes[i] != 0xff)
			return false;
	return true;
}

int config_parse(const uint8_t *bytes, size_t size, struct config *ret_config)
{
	struct bytes all = {.at = bytes, .size = size > CONFIG_SIZE ? CONFIG_SIZE : size};
	/* the standard list lives in the first 256 bytes */
	struct bytes first = all;
	uint8_t type;

	if (size < CONFIG_HEADER_SIZE)
		return -EINVAL;
	/* not the ids alone: those of a virtual function read as ones (SR-IOV 9.3.4.1) */
	if (is_all_ones(bytes, CONFIG_HEADER_SIZE))
		return -ENODEV;
	memset(ret_config, 0, offsetof(struct config, capabilities));
	type = get8(&all, PCI_HEADER_TYPE);
	ret_config->header_type = type & 0x7f;
	ret_config->is_multifunction = type & 0x80;
	ret_config->revision = get8(&all, PCI_REVISION_ID);
	if (ret_config->header_type == PCI_HEADER_TYPE_BRIDGE ||
	    ret_config->header_type == PCI_HEADER_TYPE_CARDBUS) {
		ret_config->secondary_bus = get8(&all, PCI_SECONDARY_BUS);
		ret_config->subordinate_bus = get8(&all, PCI_SUBORDINATE_BUS);
	}
	if (first.size > PCI_CFG_SPACE_SIZE)
		first.size = PCI_CFG_SPACE_SIZE;
	walk_standard(&first, ret_config);
	/* only PCI Express and PCI-X 2.0 functions have the rest, whatever bytes are there */
	walk_extended(&all, ret_config);
	return 0;
}
