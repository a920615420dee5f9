/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/program.h"

#include <getopt.h>
#include <grp.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>

#include "base/auto.h"
#include "base/io.h"
#include "base/text.h"
#include "daemon/daemon.h"
#include "daemon/guests/load.h"
#include "daemon/log.h"
#include "daemon/server.h"
#include "domain/confine/own_user.h"
#include "domain/resources/recorder.h"

#define SOCKET "/run/passthru/passthru-sock"
/* Where libvirt's clients look for qemu:///system, and where they look without any URI. */
#define LIBVIRT_SOCKET	   "/run/libvirt/virtqemud-sock"
#define LIBVIRT_ANY_SOCKET "/run/libvirt/libvirt-sock"

#define SOCKETS_MAX 16

struct options {
	const char *sockets[SOCKETS_MAX];
	size_t count;
	bool is_libvirt;
	const char *group; /* NULL: the first there is of "passthru" and "libvirt" */
	struct context_config config;
};

static int usage(FILE *out)
{
	(void)fputs("usage: passthrud [OPTION…]\n"
		    "\n"
		    "  --socket PATH     listen at PATH, and read-only at PATH-ro (" SOCKET ");\n"
		    "                    may be repeated\n"
		    "  --libvirt-socket  also listen at the socket of libvirt's clients:\n"
		    "                    " LIBVIRT_SOCKET ", " LIBVIRT_ANY_SOCKET "\n"
		    "  --group NAME      group that may change devices, besides root\n"
		    "                    (default: passthru, or libvirt, if it exists)\n"
		    "  --guest-user NAME all guests run as this user (default: each as a user of\n"
		    "                    its own, in the groups of the first of passthru-qemu,\n"
		    "                    libvirt-qemu and qemu that exists)\n"
		    "  --unplug-timeout SECONDS  how long an unplug waits (default: 10)\n"
		    "  --optional-scopes start a guest also if systemd makes no scope for it\n"
		    "  --host-files      QEMU sees all of the host's files, not only its guest's\n"
		    "  -v, --verbose     log more; twice: log everything\n"
		    "  --version, -h, --help\n"
		    "\n"
		    "virsh -c 'qemu+unix:///system?socket=" SOCKET "' nodedev-list --tree\n",
		    out);
	return out == stdout ? EXIT_SUCCESS : 2;
}

static void choose_sockets(struct options *options)
{
	if (!options->count)
		options->sockets[options->count++] = SOCKET;
	if (options->is_libvirt) {
		options->sockets[options->count++] = LIBVIRT_SOCKET;
		options->sockets[options->count++] = LIBVIRT_ANY_SOCKET;
	}
}

/* -1 to go on, else the exit status. */
static int main_parse(int argc, char **argv, struct options *options)
{
	static const struct option longs[] = {{"socket", required_argument, NULL, 's'},
					      {"libvirt-socket", no_argument, NULL, 'l'},
					      {"group", required_argument, NULL, 'g'},
					      {"guest-user", required_argument, NULL, 'u'},
					      {"unplug-timeout", required_argument, NULL, 't'},
					      {"optional-scopes", no_argument, NULL, 'o'},
					      {"host-files", no_argument, NULL, 'f'},
					      {"verbose", no_argument, NULL, 'v'},
					      {"version", no_argument, NULL, 'V'},
					      {"help", no_argument, NULL, 'h'},
					      {0}};
	enum pt_log_level level = PT_LOG_NOTICE;
	uint64_t seconds;
	int c;

	while ((c = getopt_long(argc, argv, "vh", longs, NULL)) >= 0) {
		switch (c) {
		case 's':
			if (options->count >= SOCKETS_MAX - 2)
				return usage(stderr);
			options->sockets[options->count++] = optarg;
			break;
		case 'l':
			options->is_libvirt = true;
			break;
		case 'g':
			options->group = optarg;
			break;
		case 'u':
			options->config.guest_user = optarg;
			break;
		case 't':
			if (text_parse_number(optarg, 10, 3600, &seconds) < 0 || !seconds)
				return usage(stderr);
			options->config.unplug_ms = (unsigned int)seconds * 1000;
			break;
		case 'o':
			options->config.are_scopes_optional = true;
			break;
		case 'f':
			options->config.are_host_files_seen = true;
			break;
		case 'v':
			level = level == PT_LOG_NOTICE ? PT_LOG_INFO : PT_LOG_DEBUG;
			break;
		case 'V':
			(void)puts("passthrud " PASSTHRU_VERSION);
			return EXIT_SUCCESS;
		case 'h':
			return usage(stdout);
		default:
			return usage(stderr);
		}
	}
	if (optind < argc)
		return usage(stderr);
	log_set_level(level);
	return -1;
}

static void configure_guests(struct context_config *config)
{
	config->has_own_users = !config->guest_user;
	config->is_guest = own_user_is_guest;
}

static int choose_group(const struct options *options, gid_t *ret_gid, struct pt_error *err)
{
	const struct group *group = getgrnam(options->group ? options->group : "passthru");

	if (!group && options->group)
		return pt_fail(err, PT_INVALID, ENOENT,
			       "group \"%s\" does not "
			       "exist",
			       options->group);
	if (!group)
		group = getgrnam("libvirt");
	*ret_gid = group ? group->gr_gid : 0;
	return 0;
}

static int listen_all(struct daemon *daemon, const struct options *options, struct pt_error *err)
{
	int inherited = sd_listen_fds(true), r;
	gid_t gid;
	size_t i;

	if (inherited > 0)
		return server_listen_inherited(daemon->server, SD_LISTEN_FDS_START, inherited, err);
	r = choose_group(options, &gid, err);
	for (i = 0; r == 0 && i < options->count; i++)
		r = server_listen_at(daemon->server, options->sockets[i], gid, err);
	return r;
}

/* Each call reads the machine again, so there is nothing to reload. */
static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *info, void *context)
{
	(void)source;
	(void)info;
	(void)context;
	log_message(PT_LOG_NOTICE, "there is no configuration to reload");
	return 0;
}

static int prepare_signals(struct daemon *daemon)
{
	sigset_t set;
	int r;

	/* before any thread is started, so that none of them takes these */
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	r = sd_event_add_signal(daemon->context->loop, NULL, SIGTERM, NULL, NULL);
	if (r >= 0)
		r = sd_event_add_signal(daemon->context->loop, NULL, SIGINT, NULL, NULL);
	if (r >= 0)
		r = sd_event_add_signal(daemon->context->loop, NULL, SIGHUP, on_hangup, NULL);
	if (r >= 0)
		r = sd_event_set_watchdog(daemon->context->loop, true);
	return r;
}

/* A descriptor each for thousands of clients. */
static void raise_limits(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int serve(const struct options *options, struct pt_error *err)
{
	AUTO(auto_daemon) struct daemon *daemon = NULL;
	int r = daemon_new(&options->config, &daemon, err);

	if (r < 0)
		return r;
	r = prepare_signals(daemon);
	if (r < 0)
		return pt_fail(err, PT_SYSTEM, -r, "can't handle signals: %s", strerror(-r));
	r = guests_load(daemon->guests, err);
	if (r == 0)
		r = listen_all(daemon, options, err);
	if (r < 0)
		return r;
	(void)sd_notify(false, "READY=1");
	log_message(PT_LOG_INFO, "ready");
	r = sd_event_loop(daemon->context->loop);
	(void)sd_notify(false, "STOPPING=1\n"
			       "STATUS=Finishing running requests");
	if (r < 0)
		return pt_fail(err, PT_SYSTEM, -r, "the event loop failed: %s", strerror(-r));
	return 0;
}

int program_run(int argc, char **argv, const struct context_config *machine)
{
	struct options options = {.config = *machine};
	struct pt_error err;
	int status;

	if (argc > 0 && strcmp(argv[0], RECORDER_NAME) == 0)
		return recorder_main(argc, argv);
	if (io_open_standard() < 0)
		return EXIT_FAILURE;
	status = main_parse(argc, argv, &options);
	if (status >= 0)
		return status;
	configure_guests(&options.config);
	choose_sockets(&options);
	/* a heap for each thread would be memory that is never used again */
	(void)mallopt(M_ARENA_MAX, 2);
	raise_limits();
	if (serve(&options, &err) < 0) {
		log_message(PT_LOG_WARNING, "%s", err.message);
		return pt_reason_exit_status(err.reason);
	}
	return EXIT_SUCCESS;
}
