/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files of a tree that a test makes or changes by hand. */
#ifndef READ_TREE_H
#define READ_TREE_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/io.h"
#include "fake/fake.h"
#include "pci/host.h"

/* Write a file with the directories above it; a link or file that is there goes first. */
static inline void put_bytes(struct pt_host *host, const char *path, const void *bytes, size_t size)
{
	char above[512];
	int fd;

	(void)snprintf(above, sizeof(above), "%s", path);
	*strrchr(above, '/') = '\0';
	assert_int_equal(io_make_directories_at(host->root_fd, above, 0755), 0);
	(void)unlinkat(host->root_fd, path, 0);
	fd = openat(host->root_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
}

static inline void put_text(struct pt_host *host, const char *path, const char *text)
{
	put_bytes(host, path, text, strlen(text));
}

static inline void put_link(struct pt_host *host, const char *path, const char *target)
{
	char above[512];

	(void)snprintf(above, sizeof(above), "%s", path);
	*strrchr(above, '/') = '\0';
	assert_int_equal(io_make_directories_at(host->root_fd, above, 0755), 0);
	(void)unlinkat(host->root_fd, path, 0);
	assert_int_equal(symlinkat(target, host->root_fd, path), 0);
}

static inline void put_away(struct pt_host *host, const char *path)
{
	assert_int_equal(unlinkat(host->root_fd, path, 0), 0);
}

/* The recorded machine of the lab, in a temporary tree. */
static inline struct fake *open_vtd(void)
{
	char recording[4096];
	const char *machines = getenv("MACHINES");

	assert_non_null(machines);
	(void)snprintf(recording, sizeof(recording), "%s/vtd.json", machines);
	return fake_new(recording, NULL);
}

/* An empty tree and a host on it. */
struct empty {
	char root[64];
	struct pt_host *host;
};

static inline void open_empty(struct empty *empty)
{
	(void)strcpy(empty->root, "/tmp/passthru-unit-XXXXXX");
	assert_non_null(mkdtemp(empty->root));
	assert_int_equal(pt_host_new(empty->root, &empty->host, NULL), 0);
}

static inline void close_empty(struct empty *empty)
{
	char command[128];

	pt_host_free(empty->host);
	(void)snprintf(command, sizeof(command), "rm -rf %s", empty->root);
	assert_int_equal(system(command), 0);
}

static inline struct pt_address at(const char *text)
{
	struct pt_address address;

	assert_int_equal(pt_address_parse(text, &address, NULL), 0);
	return address;
}

#endif
