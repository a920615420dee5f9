/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * UEFI firmware for a guest that requests it by features (<os firmware='efi'>), chosen like in
 * libvirt: from the descriptors that distributions ship beside the files (QEMU,
 * docs/interop/firmware.json), the first by name that fits. The choice is stored in the
 * definition, so that it is the same at every start.
 */
#ifndef DOMAIN_DEFINITION_FIRMWARE_H
#define DOMAIN_DEFINITION_FIRMWARE_H

#include "domain/definition/definition.h"
#include "pci/host.h"

#define FIRMWARE_NVRAM_DIRECTORY "/var/lib/passthru/nvram"

/*
 * Complete os/loader and os/nvram. If the definition names its firmware (os/loader), only missing
 * parts of os/nvram are completed: the template, if a descriptor contains the loader, and the
 * file's name. EINVAL if it neither names nor requests firmware, EOPNOTSUPP if no installed
 * firmware has the requested features, with the names of the installed ones.
 */
int definition_choose_firmware(struct pt_host *host, struct definition *def, struct pt_error *err);

/* Has it a file for its firmware's variables that is there? What else is there is not ours. */
bool definition_has_nvram(struct pt_host *host, const struct definition *def);
int definition_remove_nvram(struct pt_host *host, const struct definition *def,
			    struct pt_error *err);

/* One descriptor, as far as it matters here. */
#define FIRMWARE_PATH 512

struct firmware {
	char code[FIRMWARE_PATH];
	char code_format[16];
	char variables[FIRMWARE_PATH]; /* the template */
	char variables_format[16];
	bool has_secure_boot;
	bool has_enrolled_keys;
	bool needs_smm;
	bool has_s3;
	bool has_s4;
};

/*
 * -ENOENT: it describes another kind of firmware than UEFI in flash with variables beside it, or
 * one for another machine than @machine ("q35", "pc-q35-8.2"). -EBADMSG: it is malformed.
 */
int firmware_parse(const char *text, size_t size, const char *machine,
		   struct firmware *ret_firmware);

#endif
