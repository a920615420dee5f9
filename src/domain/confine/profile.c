/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/confine/profile.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "assign/claim.h"
#include "base/io.h"
#include "base/text.h"
#include "domain/confine/seclabel.h"
#include "domain/store/store.h"
#include "pci/helper.h"

#define ENABLED "sys/module/apparmor/parameters/enabled"
#define REMOVE	"sys/kernel/security/apparmor/.remove"
#define PARSER	"usr/sbin/apparmor_parser"
/* Where /usr isn't merged. */
#define OLD_PARSER "sbin/apparmor_parser"

#define PREFIX	      "passthru-"
#define LOAD_MS	      60000
#define PROFILE_BYTES (sizeof(PREFIX) - 1 + DEFINITION_UUID_TEXT)

bool profile_is_enforced(struct pt_host *host)
{
	char enabled[8];

	return io_read_text_at(host->root_fd, ENABLED, enabled, sizeof(enabled)) > 0 &&
	       enabled[0] == 'Y' && faccessat(host->root_fd, REMOVE, F_OK, 0) == 0 &&
	       (faccessat(host->root_fd, PARSER, X_OK, 0) == 0 ||
		faccessat(host->root_fd, OLD_PARSER, X_OK, 0) == 0);
}

/* ---- in the definition ---- */

int profile_choose(struct pt_host *host, struct definition *live, struct pt_error *err)
{
	char label[PROFILE_BYTES];

	if (seclabel_is_off(live, PROFILE_MODEL) || !profile_is_enforced(host))
		return 0;
	if (text_format(label, sizeof(label), PREFIX "%s", definition_uuid(live)) < 0)
		return pt_fail(err, PT_INVALID, EINVAL, "the guest has no UUID");
	return seclabel_add(live, PROFILE_MODEL, label, label, err);
}

const char *profile_of(const struct definition *live)
{
	return seclabel_get(live, PROFILE_MODEL, "label");
}

/* ---- loading ---- */

struct load_job {
	char path[STORE_NAME + 64];
	char message[HOST_MESSAGE];
};

static int load_work(struct pt_host *host, void *argument)
{
	struct load_job *job = argument;
	char *const argv[] = {"apparmor_parser", "--replace", "--skip-cache",
			      "--quiet",	 job->path,   NULL};
	bool is_old = faccessat(host->root_fd, PARSER, X_OK, 0) < 0;

	return helper_exec(is_old ? "/" OLD_PARSER : "/" PARSER, argv, job->message,
			   sizeof(job->message));
}

static int profile_path(const struct definition *live, char *path, size_t size)
{
	return text_format(path, size, "/" STORE_LIVE "/%s.apparmor", definition_name(live));
}

static int profile_load_text(struct pt_host *host, const struct definition *live, const char *text,
			     struct pt_error *err)
{
	struct load_job job = {.message = ""};
	int r = profile_path(live, job.path, sizeof(job.path));

	if (r >= 0)
		r = io_replace_at(host->root_fd, job.path + 1, text, strlen(text), 0600);
	if (r < 0)
		return state_fail(err, -r, job.path);
	r = helper_run(host, load_work, &job, sizeof(job), LOAD_MS, NULL);
	job.message[strcspn(job.message, "\n")] = '\0';
	if (r < 0)
		return pt_fail(err, PT_SYSTEM, -r,
			       "can't load the AppArmor profile of guest %s (%s): %s; to start the "
			       "guest without a profile, add <seclabel type='none'/> to its "
			       "definition",
			       definition_name(live), job.path,
			       job.message[0] ? job.message : strerror(-r));
	return 0;
}

int profile_load(struct pt_host *host, const struct definition *live, const struct reach *reach,
		 struct pt_error *err)
{
	AUTO_FREE char *text = NULL;
	int r;

	if (!profile_of(live))
		return 0;
	r = profile_write(host, live, reach, &text, err);
	return r < 0 ? r : profile_load_text(host, live, text, err);
}

void profile_remove(struct pt_host *host, const struct definition *live)
{
	const char *label = profile_of(live);
	char path[STORE_NAME + 64];
	int r;

	if (!label)
		return;
	r = host->ops->write(host, REMOVE, label, strlen(label));
	if (r < 0 && r != -ENOENT)
		host_log(host, PT_LOG_WARNING, "can't remove the AppArmor profile %s: %s", label,
			 strerror(-r));
	if (profile_path(live, path, sizeof(path)) >= 0)
		(void)unlinkat(host->root_fd, path + 1, 0);
}

/* ---- entering ---- */

int profile_enter(struct pt_host *host, const char *label)
{
	char command[5 + PROFILE_BYTES] = "exec ";
	size_t length = strlen(label);
	int r;

	if (length >= PROFILE_BYTES)
		return -ENAMETOOLONG;
	memcpy(command + 5, label, length + 1);
	r = seclabel_write_attribute(host, "proc/thread-self/attr/apparmor/exec", command);
	if (r == -ENOENT)
		r = seclabel_write_attribute(host, "proc/thread-self/attr/exec", command);
	return r;
}
