/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes as a configuration space. */
#include <assert.h>
#include <stdlib.h>

#include "pci/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config *config = malloc(sizeof(*config));
	size_t i;

	assert(config);
	if (config_parse(data, size, config) == 0) {
		assert(config->capability_count <= CONFIG_CAPABILITIES_MAX);
		for (i = 0; i < config->capability_count; i++) {
			const struct pt_capability *capability = &config->capabilities[i];

			assert(capability->name);
			assert(capability->offset + 4U <= size);
			assert(capability->is_extended == (capability->offset >= 256));
			assert(capability->offset % 4 == 0);
		}
		assert(!config->is_pcie || config->port_type);
		assert(!config->has_link || config->is_pcie);
		assert(config->msix_vectors <= 2048);
	}
	free(config);
	return 0;
}
