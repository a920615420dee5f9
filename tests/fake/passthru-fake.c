/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * passthru on a fake kernel, for whole-program tests:
 *
 *	passthru-fake --make RECORDING TREE     make a tree of a recorded machine
 *	passthru-fake --write TREE PATH TEXT    what "echo TEXT >/PATH" does there; prints the errno
 *	passthru-fake --open TREE GROUP         a guest opens an IOMMU group; --close ends it
 *	passthru-fake TREE ARGUMENTS…           passthru ARGUMENTS… on it
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/cli.h"
#include "fake.h"

static int write_file(const char *tree, const char *path, const char *text)
{
	struct fake *fake = fake_open(tree);
	int r = fake_ops.write(fake_host(fake), path + (*path == '/'), text, strlen(text));

	fake_free(fake);
	if (r < 0)
		(void)printf("%s\n", strerrorname_np(-r));
	return r < 0;
}

static int set_open(const char *tree, const char *group, bool is_open)
{
	struct fake *fake = fake_open(tree);

	fake_open_group(fake, atoi(group), is_open);
	fake_free(fake);
	return 0;
}

int main(int argc, char **argv)
{
	struct cli cli = {.out = stdout, .err = stderr};
	struct fake *fake;
	int status;

	if (io_open_standard() < 0)
		return 1;
	if (argc == 4 && !strcmp(argv[1], "--make")) {
		fake_free(fake_new(argv[2], argv[3]));
		return 0;
	}
	if (argc == 5 && !strcmp(argv[1], "--write"))
		return write_file(argv[2], argv[3], argv[4]);
	if (argc == 4 && (!strcmp(argv[1], "--open") || !strcmp(argv[1], "--close")))
		return set_open(argv[2], argv[3], argv[1][2] == 'o');
	if (argc < 2 || argv[1][0] == '-') {
		(void)fprintf(stderr, "usage: %s TREE ARGUMENTS… | --make RECORDING TREE\n",
			      argv[0]);
		return 2;
	}
	fake = fake_open(argv[1]);
	cli.host = fake_host(fake);
	argv[1] = argv[0];
	status = cli_main(&cli, argc - 1, argv + 1);
	fake_free(fake);
	if (fflush(stdout) != 0)
		return 1;
	return status;
}
