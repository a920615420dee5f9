/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run: managed devices for anyone's own QEMU command. */
#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/error.h"
#include "base/text.h"
#include "cli/auto.h"
#include "cli/change.h"

struct run {
	struct cli_devices devices;
	char **properties; /* what stood behind the comma of each --device, "" for nothing */
	struct pt_request request;
	char **command; /* argv of QEMU with -device vfio-pci added; NULL-terminated */
	bool is_dry_run;
};

static const struct option long_options[] = {
	{"device", required_argument, NULL, 'd'}, {"driver", required_argument, NULL, 'r'},
	{"force", no_argument, NULL, 'f'},	  {"reason", required_argument, NULL, 'w'},
	{"no-reset", no_argument, NULL, 'n'},	  {"dry-run", no_argument, NULL, 'y'},
	{"json", no_argument, NULL, 'j'},	  {NULL, 0, NULL, 0},
};

static void free_run(struct run *run)
{
	size_t i;

	for (i = 0; i < run->devices.count; i++)
		free(run->properties[i]);
	free(run->properties);
	for (i = 0; run->command && run->command[i]; i++)
		free(run->command[i]);
	free(run->command);
	cli_devices_free(&run->devices);
}

/* DEVICE[,PROPERTY=VALUE…]: the rest goes to QEMU's -device as it is. */
static int run_add_device(struct run *run, const char *word, struct pt_error *err)
{
	size_t size = strcspn(word, ",");
	AUTO_FREE char *name = strndup(word, size);
	char *property = strdup(word + size);
	char **grown;
	int r;

	grown = reallocarray(run->properties, run->devices.count + 1, sizeof(*grown));
	if (!name || !property || !grown)
		goto no_memory;
	run->properties = grown;
	r = cli_devices_add(&run->devices, name, err);
	if (r < 0) {
		free(property);
		return r;
	}
	run->properties[run->devices.count - 1] = property;
	return 0;
no_memory:
	free(property);
	return pt_fail_memory(err);
}

static int run_take_option(struct cli *cli, struct run *run, int option, struct pt_error *err)
{
	switch (option) {
	case 'd':
		return run_add_device(run, optarg, err);
	case 'r':
		run->request.driver = optarg;
		break;
	case 'f':
		run->request.is_forced = true;
		break;
	case 'w':
		run->request.why = optarg;
		break;
	case 'n':
		run->request.is_unreset_allowed = true;
		break;
	case 'y':
		run->is_dry_run = true;
		break;
	default:
		cli->is_json = true;
	}
	return 0;
}

static int run_parse(struct cli *cli, int argc, char **argv, struct run *run)
{
	struct pt_error err;
	int option;

	optind = 0;
	opterr = 0;
	/* '+': stop at the first word that is no option, QEMU's options aren't ours */
	while ((option = getopt_long(argc, argv, "+", long_options, NULL)) != -1) {
		if (option == '?')
			return cli_usage(cli, "run: unknown option or missing value: %s",
					 argv[optind - 1]);
		if (run_take_option(cli, run, option, &err) < 0)
			return cli_fail(cli, &err);
	}
	if (!run->devices.count)
		return cli_usage(cli, "run: name a device: --device 0000:65:00.0");
	if (optind >= argc && !run->is_dry_run)
		return cli_usage(cli, "run: the command is missing: passthru run --device … -- "
				      "qemu-system-x86_64 …");
	if (run->request.is_forced && !run->request.why)
		return cli_usage(cli, "run: --force needs --reason TEXT; the reason is logged");
	run->request.verb = PT_TAKE;
	run->request.devices = run->devices.addresses;
	run->request.count = run->devices.count;
	return 0;
}

/* The user's words, then "-device vfio-pci,host=ADDRESS[,PROPERTY…]" for each device. */
static int make_command(struct run *run, char **args, int count)
{
	size_t i, n = 0;

	run->command = calloc((size_t)count + 2 * run->devices.count + 1, sizeof(char *));
	if (!run->command)
		return -ENOMEM;
	for (i = 0; i < (size_t)count; i++) {
		run->command[n] = strdup(args[i]);
		if (!run->command[n++])
			return -ENOMEM;
	}
	for (i = 0; i < run->devices.count; i++) {
		char text[PT_ADDRESS_TEXT];

		run->command[n] = strdup("-device");
		if (!run->command[n++])
			return -ENOMEM;
		if (asprintf(&run->command[n], "vfio-pci,host=%s%s",
			     pt_address_format(&run->devices.addresses[i], text),
			     run->properties[i]) < 0) {
			run->command[n] = NULL;
			return -ENOMEM;
		}
		n++;
	}
	return 0;
}

/* Would execvp() find it? Better asked before devices are taken for it. */
static bool is_program(const char *name)
{
	const char *path = getenv("PATH");
	AUTO_FREE char *copy = strdup(path ? path : "/usr/bin:/bin");
	char *directory, *rest = NULL;

	if (strchr(name, '/'))
		return access(name, X_OK) == 0;
	for (directory = copy ? strtok_r(copy, ":", &rest) : NULL; directory;
	     directory = strtok_r(NULL, ":", &rest)) {
		AUTO_FREE char *full = NULL;

		if (asprintf(&full, "%s/%s", directory, name) > 0 && access(full, X_OK) == 0)
			return true;
	}
	return false;
}

/* ---- the command ---- */

void cli_signals_block(struct cli_signals *signals)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGPIPE);
	sigprocmask(SIG_BLOCK, &set, &signals->before);
}

void cli_signals_restore(const struct cli_signals *signals)
{
	sigprocmask(SIG_SETMASK, &signals->before, NULL);
}

static _Noreturn void child(const struct run *run, const sigset_t *mask, pid_t parent)
{
	/* without this process nothing would return the devices: recovery must find them unused */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	sigprocmask(SIG_SETMASK, mask, NULL);
	execvp(run->command[0], run->command);
	_exit(errno == ENOENT ? 127 : 126);
}

static bool is_from_keyboard(int number)
{
	return number == SIGINT || number == SIGQUIT;
}

static void forward(pid_t pid, const siginfo_t *info)
{
	/* the terminal's Ctrl-C reaches the whole foreground group, the child too */
	if (!is_from_keyboard(info->si_signo) || info->si_code != SI_KERNEL)
		(void)kill(pid, info->si_signo);
}

/* One that was pressed before there was a child has reached only us. */
static void forward_pressed(pid_t pid)
{
	sigset_t pending;
	int number;

	(void)sigpending(&pending);
	for (number = 1; number < NSIG; number++)
		if (is_from_keyboard(number) && sigismember(&pending, number) == 1)
			(void)kill(pid, number);
}

/*
 * Runs the command in the foreground, with the signals of @mask blocked; returns its exit status,
 * 128 + signal when killed.
 */
static int run_command(const struct run *run, const sigset_t *mask)
{
	pid_t parent = getpid(), pid;
	sigset_t set, before;
	siginfo_t info;
	int status;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, &before);
	/* where our parent ignores it, so do we, and children would end unheard */
	(void)signal(SIGCHLD, SIG_DFL);
	pid = fork();
	if (pid == 0)
		child(run, mask, parent);
	if (pid > 0)
		forward_pressed(pid);
	while (pid > 0) {
		if (sigwaitinfo(&set, &info) < 0)
			continue;
		if (info.si_signo != SIGCHLD) {
			forward(pid, &info);
			continue;
		}
		if (waitpid(pid, &status, WNOHANG) == pid)
			break;
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (pid < 0)
		return 126;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Has one of the signals come that were blocked and end the process? */
static bool shall_end(const struct cli_signals *signals)
{
	sigset_t pending;
	int number;

	(void)sigpending(&pending);
	for (number = 1; number < NSIG; number++)
		if (sigismember(&pending, number) == 1 &&
		    sigismember(&signals->before, number) == 0 && number != SIGCHLD)
			return true;
	return false;
}

/* The devices whose claims can be read, first; @err names the others. Returns how many. */
static size_t keep_readable(struct run *run, const struct pt_claims *claims, struct pt_error *err)
{
	const struct pt_unreadable *file;
	struct pt_address *devices = run->devices.addresses;
	size_t i, k, kept = 0;

	for (i = 0; i < run->devices.count; i++) {
		for (k = 0; (file = pt_claims_unreadable_at(claims, k)); k++)
			if (file->has_address &&
			    pt_address_compare(&file->address, &devices[i]) == 0)
				break;
		if (!file)
			devices[kept++] = devices[i];
		else if (!err->reason)
			(void)pt_fail(err, PT_CORRUPT, EBADMSG, "%s: %s: %s", file->path, file->why,
				      file->next);
		else
			pt_error_append(err, "\n%s: %s", file->path, file->why);
	}
	return kept;
}

/* A request is done whole or not at all, and one spoiled claim must not keep the other devices. */
static int give_back(struct cli *cli, struct run *run)
{
	AUTO(auto_claims) struct pt_claims *claims = NULL;
	struct pt_error err = {.reason = PT_REASON_NONE};
	int status = 0;

	if (pt_claims_read(cli->host, &claims, &err) < 0)
		return cli_fail(cli, &err);
	run->request.verb = PT_GIVE_BACK;
	run->request.count = keep_readable(run, claims, &err);
	if (run->request.count)
		status = cli_request_apply(cli, &run->request, cli->err);
	return err.reason ? cli_fail(cli, &err) : status;
}

static int take_run_give_back(struct cli *cli, struct run *run)
{
	struct cli_signals signals;
	int status, result = 0;
	struct pt_error err;
	const char *name;

	assert(run->command[0]); /* run_parse() wants at least one word */
	name = text_base(run->command[0]);
	if (pt_owner_of_process(cli->host, getpid(), name, &run->request.owner, &err) < 0)
		return cli_fail(cli, &err);
	/* from taking to giving back: in between a signal would end us with the devices taken */
	cli_signals_block(&signals);
	/* our words go to the error output: the output is the command's */
	status = cli_request_apply(cli, &run->request, cli->err);
	if (!status) {
		if (!shall_end(&signals))
			result = run_command(run, &signals.before);
		status = give_back(cli, run);
	}
	cli_signals_restore(&signals);
	/* the command's status, unless its end left a device where it shouldn't be */
	return status ? status : result;
}

int verb_run(struct cli *cli, int argc, char **argv)
{
	struct run run = {0};
	int status = run_parse(cli, argc, argv, &run);

	if (!status && run.is_dry_run)
		status = cli_show_plan(cli, &run.request);
	else if (!status && !is_program(argv[optind]))
		status = cli_usage(cli, "run: %s: program not found in PATH", argv[optind]);
	else if (!status && make_command(&run, argv + optind, argc - optind) < 0)
		status = cli_usage(cli, "out of memory");
	else if (!status)
		status = take_run_give_back(cli, &run);
	free_run(&run);
	return status;
}
