/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libpassthru's calls, timed inside one process.
 *
 *	bench-lib COUNT list | show                    all functions
 *	bench-lib COUNT detach | reattach | reset ADDRESS
 *
 * Prints nanoseconds a run on standard error. Between two runs of detach or reattach the other one
 * is done, untimed.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <passthru/passthru.h>

static long long now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void read_all(struct pt_host *host, bool is_deep)
{
	struct pt_snapshot *snapshot;
	struct pt_details *details;
	struct pt_error e;
	size_t i;

	if (pt_snapshot_read(host, &snapshot, &e) < 0)
		errx(1, "%s", e.message);
	for (i = 0; is_deep && i < pt_snapshot_count(snapshot); i++) {
		if (pt_details_read(host, &pt_snapshot_at(snapshot, i)->address, &details, &e) < 0)
			errx(1, "%s", e.message);
		pt_details_free(details);
	}
	pt_snapshot_free(snapshot);
}

static void apply(struct pt_host *host, enum pt_verb verb, const char *word)
{
	struct pt_address address;
	struct pt_error e;
	struct pt_request request = {.verb = verb, .devices = &address, .count = 1};

	if (pt_address_parse(word, &address, &e) < 0 || pt_request_apply(host, &request, &e) < 0)
		errx(1, "%s", e.message);
}

static void work(struct pt_host *host, char **args)
{
	if (!strcmp(args[0], "list"))
		read_all(host, false);
	else if (!strcmp(args[0], "show"))
		read_all(host, true);
	else if (!strcmp(args[0], "detach") && args[1])
		apply(host, PT_DETACH, args[1]);
	else if (!strcmp(args[0], "reattach") && args[1])
		apply(host, PT_REATTACH, args[1]);
	else if (!strcmp(args[0], "reset") && args[1])
		apply(host, PT_RESET, args[1]);
	else
		errx(2, "what is \"%s\"?", args[0]);
}

int main(int argc, char **argv)
{
	struct pt_host *host;
	struct pt_error e;
	int count;

	if (argc < 3)
		return 2;
	if (pt_host_new(NULL, &host, &e) < 0)
		errx(1, "%s", e.message);
	for (count = atoi(argv[1]); count > 0; count--) {
		long long begin = now_ns();

		work(host, argv + 2);
		(void)fprintf(stderr, "%lld\n", now_ns() - begin);
		if (count > 1 && !strcmp(argv[2], "detach"))
			apply(host, PT_REATTACH, argv[3]);
		else if (count > 1 && !strcmp(argv[2], "reattach"))
			apply(host, PT_DETACH, argv[3]);
	}
	pt_host_free(host);
	return 0;
}
