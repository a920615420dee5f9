/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A descriptor of firmware: what is found in it are names of files that can be used. */
#include <stdlib.h>
#include <string.h>

#include "domain/definition/firmware.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_file(const char *path, const char *format)
{
	if (path[0] != '/' || strpbrk(path, "\n\r") ||
	    (strcmp(format, "raw") != 0 && strcmp(format, "qcow2") != 0))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const machines[] = {"q35", "pc-q35-7.2"};

	for (size_t i = 0; i < 2; i++) {
		struct firmware firmware;

		if (firmware_parse((const char *)data, size, machines[i], &firmware) < 0)
			continue;
		expect_file(firmware.code, firmware.code_format);
		expect_file(firmware.variables, firmware.variables_format);
	}
	return 0;
}
