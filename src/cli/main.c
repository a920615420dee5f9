/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/cli.h"

/* setlocale() would load the locale's files to answer the same question. */
static bool is_utf8_locale(void)
{
	static const char *const variables[] = {"LC_ALL", "LC_CTYPE", "LANG"};
	size_t i;

	for (i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
		const char *value = getenv(variables[i]);

		if (value && *value)
			return strcasestr(value, "UTF-8") || strcasestr(value, "UTF8");
	}
	return false;
}

static void look_at_terminal(struct cli *cli)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
	struct winsize size;

	cli->is_utf8 = is_utf8_locale();
	if (!isatty(fileno(cli->out)))
		return;
	cli->is_color = !(no_color && *no_color) && term && strcmp(term, "dumb") != 0;
	if (ioctl(fileno(cli->out), TIOCGWINSZ, &size) == 0)
		cli->width = size.ws_col;
}

int main(int argc, char **argv)
{
	/* kept until the end, or a terminal would get each line in a write of its own */
	static char buffer[1 << 16];
	struct cli cli = {.out = stdout, .err = stderr};
	struct pt_error err;
	int status;

	if (io_open_standard() < 0)
		return 1;
	(void)setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
	look_at_terminal(&cli);
	if (pt_host_new(NULL, &cli.host, &err) < 0)
		return cli_fail(&cli, &err);
	status = cli_main(&cli, argc, argv);
	pt_host_free(cli.host);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		(void)fprintf(stderr, "passthru: writing the output: %m\n");
		return status ? status : 1;
	}
	return status;
}
