/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * passthrud on a fake kernel, a process of its own, for whole-program tests:
 *
 *	passthrud-fake --make TREE       make a tree (of passthru-fake) ready for guests
 *	passthrud-fake TREE OPTIONS…     passthrud OPTIONS… on it
 */
#include <stdio.h>
#include <string.h>

#include "daemon/program.h"
#include "guests.h"

static int make(const char *tree)
{
	struct fake *fake = fake_open(tree);

	fake_guests_begin(fake);
	fake_free(fake);
	return 0;
}

int main(int argc, char **argv)
{
	struct context_config config = {.ops = &fake_ops, .machine = &fake_machine_ops};
	struct fake *fake;
	int status;

	if (argc == 3 && !strcmp(argv[1], "--make"))
		return make(argv[2]);
	if (argc < 2 || argv[1][0] == '-') {
		(void)fprintf(stderr, "usage: %s TREE OPTIONS… | --make TREE\n", argv[0]);
		return 2;
	}
	fake = fake_open(argv[1]);
	config.root = fake_root(fake);
	config.ops_context = fake;
	argv[1] = argv[0];
	status = program_run(argc - 1, argv + 1, &config);
	fake_free(fake);
	return status;
}
