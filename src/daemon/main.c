/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/program.h"

int main(int argc, char **argv)
{
	const struct context_config this_machine = {0};

	return program_run(argc, argv, &this_machine);
}
