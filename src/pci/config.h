/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Parser of configuration space: a pure function over bytes that a broken or hostile device may
 * have chosen.
 */
#ifndef PCI_CONFIG_H
#define PCI_CONFIG_H

#include <passthru/device.h>

#define CONFIG_SIZE 4096

/* What an unprivileged reader gets, and the least that can be parsed. */
#define CONFIG_HEADER_SIZE 64

/* Each standard capability takes 4 bytes of 0x40…0xff, each extended one 4 of 0x100…0xfff. */
#define CONFIG_CAPABILITIES_MAX (48 + 960)

struct config {
	uint8_t header_type;
	bool is_multifunction;
	uint8_t revision;
	uint8_t secondary_bus; /* of bridges */
	uint8_t subordinate_bus;
	uint16_t msi_vectors;
	uint16_t msix_vectors;
	bool is_pcie;
	const char *port_type;
	bool has_link;
	uint8_t port_number;
	struct pt_link link_now;
	struct pt_link link_max;
	bool has_flr;
	bool has_af_flr;
	bool has_pm_reset;
	uint16_t acs_capable;
	uint16_t acs_enabled;
	bool has_serial;
	uint64_t serial;
	bool has_vpd;
	size_t capability_count;
	struct pt_capability capabilities[CONFIG_CAPABILITIES_MAX];
};

/*
 * Read @size bytes of configuration space. -EINVAL when there are fewer than CONFIG_HEADER_SIZE,
 * -ENODEV if the header is all ones: the device does not respond. Capabilities that do not fit in
 * @size are omitted.
 */
int config_parse(const uint8_t *bytes, size_t size, struct config *ret_config);

#endif
