/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * udev's hardware database, hwdb.bin: a trie of patterns with properties, meant to be mapped
 * into memory; its layout is described in systemd's hwdb-internal.h. libudev finds what
 * matches a device in it, which takes a listing as long as all its other work together; names
 * stand under patterns that can be written down, and found directly.
 */
#ifndef PCI_HWDB_H
#define PCI_HWDB_H

#include <stddef.h>
#include <stdint.h>

/* A database in memory: any bytes, also hostile ones. */
struct hwdb {
	const uint8_t *bytes;
	size_t size;
};

/*
 * The value of @property under exactly @pattern ("pci:v00008086*"), in the database's memory; NULL
 * when there is none. Properties are stored with a space before their name, which is not given.
 */
const char *hwdb_find(const struct hwdb *hwdb, const char *pattern, const char *property);

#endif
