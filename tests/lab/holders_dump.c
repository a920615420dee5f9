/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * holders-dump [-r ROOT] [-n TIMES] ADDRESS…: what hangs on each function, one holder
 * a line: address, kind, what, through, pid and advice with tabs between, then
 * "ADDRESS complete" or "ADDRESS incomplete". All functions are read in one scan;
 * with -n it is repeated, and the best time in microseconds goes to stderr.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "pci/holders/holders.h"

#define DEVICES_MAX 1024

static int64_t now_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static void print_holders(const char *address, const struct pt_holders *holders)
{
	size_t i;

	for (i = 0; i < pt_holders_count(holders); i++) {
		const struct pt_holder *holder = pt_holders_at(holders, i);

		printf("%s\t%s\t%s\t%s\t%d\t%s\n", address, pt_holder_kind_name(holder->kind),
		       holder->what, holder->through, holder->pid, holder->advice);
	}
	printf("%s %s\n", address, pt_holders_is_complete(holders) ? "complete" : "incomplete");
}

int main(int argc, char **argv)
{
	static struct pt_address addresses[DEVICES_MAX];
	static struct pt_holders *lists[DEVICES_MAX];
	const char *root = NULL;
	struct pt_host *host = NULL;
	struct pt_error err;
	int64_t best = INT64_MAX;
	long times = 1;
	int option, i, count;

	while ((option = getopt(argc, argv, "r:n:")) != -1) {
		if (option == 'r')
			root = optarg;
		else if (option == 'n')
			times = strtol(optarg, NULL, 10);
		else
			return 2;
	}
	count = argc - optind;
	if (count < 1 || count > DEVICES_MAX || times < 1)
		return 2;
	for (i = 0; i < count; i++)
		if (pt_address_parse(argv[optind + i], &addresses[i], &err) < 0)
			goto failed;
	if (pt_host_new(root, &host, &err) < 0)
		goto failed;
	for (;;) {
		int64_t start = now_us(), taken;

		if (holders_read_many(host, addresses, (size_t)count, lists, &err) < 0)
			goto failed;
		taken = now_us() - start;
		if (taken < best)
			best = taken;
		if (--times == 0)
			break;
		for (i = 0; i < count; i++)
			pt_holders_free(lists[i]);
	}
	for (i = 0; i < count; i++) {
		print_holders(argv[optind + i], lists[i]);
		pt_holders_free(lists[i]);
	}
	fprintf(stderr, "%lld us\n", (long long)best);
	pt_host_free(host);
	return 0;
failed:
	pt_host_free(host);
	fprintf(stderr, "holders-dump: %s\n", err.message);
	return pt_reason_exit_status(err.reason);
}
