/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Runs a fuzz target over every file of the directories given: what fuzzing once
 * found stays found, with any compiler. Speaks TAP. The empty input is always tried.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/io.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int is_input(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static int replay_file(int dir_fd, const char *name)
{
	AUTO_FREE char *data = NULL;
	AUTO_FREE uint8_t *exact = NULL;
	size_t size;
	int r = io_read_all_at(dir_fd, name, 1 << 20, &data, &size);

	if (r < 0)
		return r;
	/* memory of just this size, so that the sanitizer sees a read past the end */
	exact = malloc(size ? size : 1);
	if (!exact)
		return -ENOMEM;
	memcpy(exact, data, size);
	(void)LLVMFuzzerTestOneInput(exact, size);
	return 0;
}

static unsigned int replay_directory(const char *directory, unsigned int number)
{
	struct dirent **entries = NULL;
	int fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int count = scandir(directory, &entries, is_input, alphasort);
	int i;

	if (fd < 0 || count < 0) {
		printf("Bail out! %s: %s\n", directory, strerror(errno));
		exit(1);
	}
	for (i = 0; i < count; i++) {
		int r = replay_file(fd, entries[i]->d_name);

		printf("%s %u - %s\n", r == 0 ? "ok" : "not ok", ++number, entries[i]->d_name);
		(void)fflush(stdout);
		free(entries[i]);
	}
	free(entries);
	close(fd);
	return number;
}

int main(int argc, char **argv)
{
	unsigned int number = 1;
	int i;

	(void)LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
	printf("ok 1 - empty input\n");
	for (i = 1; i < argc; i++)
		number = replay_directory(argv[i], number);
	printf("1..%u\n", number);
	return 0;
}
