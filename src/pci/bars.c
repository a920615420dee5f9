/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pci/bars.h"

#include <string.h>

#include "base/text.h"
#include "pci/sysfs.h"

/* Flags in the third column: <linux/ioport.h> of the kernel, not exported. */
#define RESOURCE_IO	  0x00000100U
#define RESOURCE_MEM	  0x00000200U
#define RESOURCE_PREFETCH 0x00002000U
#define RESOURCE_64BIT	  0x00100000U
#define RESOURCE_UNSET	  0x20000000U

static struct pt_bar parse_bar(const uint64_t fields[3])
{
	uint64_t start = fields[0], end = fields[1], flags = fields[2];

	if (!(flags & (RESOURCE_IO | RESOURCE_MEM)) || end < start || (!start && !end))
		return (struct pt_bar){0};
	return (struct pt_bar){
		.start = flags & RESOURCE_UNSET ? 0 : start,
		.size = end - start + 1,
		.is_io = flags & RESOURCE_IO,
		.is_64bit = flags & RESOURCE_64BIT,
		.is_prefetchable = flags & RESOURCE_PREFETCH,
	};
}

/* Lines of "START END FLAGS": six BARs, the ROM, then what bridges and physical functions add. */
void bars_read(struct pt_host *host, const struct pt_address *address, struct pt_bar ret_bars[BARS],
	       struct pt_bar *ret_rom)
{
	char text[4096], *line = text, *next;
	size_t i;

	memset(ret_bars, 0, BARS * sizeof(*ret_bars));
	*ret_rom = (struct pt_bar){0};
	if (sysfs_read(host, address, "resource", text, sizeof(text)) < 0)
		return;
	for (i = 0; line && i <= BARS; i++, line = next) {
		uint64_t fields[3];
		char *word, *rest = NULL;
		size_t n = 0;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		for (word = strtok_r(line, " ", &rest); word && n < 3;
		     word = strtok_r(NULL, " ", &rest))
			if (text_parse_number(word, 16, UINT64_MAX, &fields[n++]) < 0)
				return;
		if (n == 3)
			*(i == BARS ? ret_rom : &ret_bars[i]) = parse_bar(fields);
	}
}
