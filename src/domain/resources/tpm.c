/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/resources/tpm.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/io.h"
#include "base/remove.h"
#include "base/text.h"
#include "domain/confine/label.h"
#include "domain/confine/own_user.h"
#include "domain/confine/run_files.h"
#include "domain/definition/xml_node.h"
#include "domain/resources/companion.h"

#define PATH_SIZE 128

bool tpm_is_wanted(const struct definition *def)
{
	return node_says(definition_root(def), "devices/tpm/backend@type", "emulator");
}

bool tpm_is_kept(const struct definition *def)
{
	return node_says(definition_root(def), "devices/tpm/backend@persistent_state", "yes");
}

/* ---- what it keeps ---- */

/* Relative to the root directory, as everything of a host's is reached. */
static int state_path(const struct definition *def, char path[PATH_SIZE])
{
	return text_format(path, PATH_SIZE, "%s/%s", TPM_STATE + 1, definition_uuid(def));
}

/* Whose TPM state it may have been before: as whom guests ran, or run again. */
static bool is_guests(uid_t uid, const struct confine_user *user)
{
	return uid == user->uid || uid == user->common_uid || own_user_is(uid);
}

/*
 * The files of a directory that nobody but root can enter. Its last owner may have put anything
 * there: only plain files without another name follow.
 */
static int give_files(int dir_fd, const struct confine_user *user)
{
	AUTO_DIR DIR *dir = NULL;
	const struct dirent *entry;
	int r = io_open_directory_at(dir_fd, ".", &dir);

	while (r == 0 && (entry = readdir(dir))) {
		AUTO_CLOSE int fd = openat(dir_fd, entry->d_name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		struct stat st;

		if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1 ||
		    st.st_uid == user->uid || !is_guests(st.st_uid, user))
			continue;
		if (fchownat(fd, "", user->uid, user->gid, AT_EMPTY_PATH) < 0)
			r = -errno;
	}
	return r;
}

/* Root owns it meanwhile, also if this ends in the middle: it begins again with the next start. */
static int give_state(int fd, const struct confine_user *user)
{
	/* its last owner may have opened it to others */
	int r = fchown(fd, 0, 0) < 0 || fchmod(fd, 0700) < 0 ? -errno : 0;

	if (r == 0 && fremovexattr(fd, "system.posix_acl_default") < 0 && errno != ENODATA &&
	    errno != EOPNOTSUPP)
		r = -errno;
	if (r == 0)
		r = give_files(fd, user);
	if (r == 0 && fchown(fd, user->uid, user->gid) < 0)
		r = -errno;
	return r;
}

static int make_state(struct pt_host *host, const struct definition *live, const char *path,
		      const struct confine_user *user, struct pt_error *err)
{
	AUTO_CLOSE int fd = -1;
	struct stat st = {0};
	int r = io_make_directories_at(host->root_fd, TPM_STATE + 1, 0755);

	if (r == 0 && mkdirat(host->root_fd, path, 0700) < 0 && errno != EEXIST)
		r = -errno;
	if (r == 0)
		fd = openat(host->root_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (r == 0 && (fd < 0 || fstat(fd, &st) < 0))
		r = -errno;
	if (r == 0 && st.st_uid && !is_guests(st.st_uid, user))
		return pt_fail(err, PT_NOT_PERMITTED, EACCES,
			       "domain/devices/tpm: /%s, the directory of the guest's TPM state, "
			       "belongs to user %u, but guests run as user %s. To change that:\n"
			       "  chown -R %s /%s",
			       path, st.st_uid, user->name, user->name, path);
	if (r == 0 && st.st_uid != user->uid)
		r = give_state(fd, user);
	if (!r)
		r = label_directory(host, live, fd);
	/* a filesystem without labels: with the policy enforced, swtpm will say what it can't do */
	if (r == -EOPNOTSUPP)
		r = 0;
	if (r < 0)
		return pt_fail(err, PT_STORAGE, -r,
			       "domain/devices/tpm: can't create the directory for the guest's TPM "
			       "state, /%s: %s",
			       path, strerror(-r));
	return 0;
}

bool tpm_has_state(struct pt_host *host, const struct definition *def)
{
	char path[PATH_SIZE];

	return state_path(def, path) >= 0 && faccessat(host->root_fd, path, F_OK, 0) == 0;
}

int tpm_remove_state(struct pt_host *host, const struct definition *def, struct pt_error *err)
{
	char path[PATH_SIZE];
	int r;

	if (state_path(def, path) < 0)
		return 0;
	r = remove_tree_at(host->root_fd, path);
	if (r < 0)
		return pt_fail(err, PT_STORAGE, -r,
			       "/%s, the directory of the guest's TPM state, can't be removed: %s",
			       path, strerror(-r));
	return 0;
}

/* ---- starting ---- */

static const char *find_program(struct pt_host *host)
{
	static const char *const paths[] = {"/usr/bin/swtpm", "/usr/local/bin/swtpm"};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (faccessat(host->root_fd, paths[i] + 1, X_OK, 0) == 0)
			return paths[i];
	return NULL;
}

int tpm_prepare(struct pt_host *host, const struct definition *live,
		const struct confine_user *user, int *ret_socket, int *ret_own_socket,
		struct pt_error *err)
{
	char path[PATH_SIZE];
	int pair[2], r;

	if (!find_program(host))
		return pt_fail(err, PT_SYSTEM, ENOENT,
			       "domain/devices/tpm: swtpm, which emulates the TPM, is missing: "
			       "install the package swtpm, or remove the TPM from the definition");
	r = state_path(live, path);
	if (r >= 0)
		r = make_state(host, live, path, user, err);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return pt_fail(err, PT_SYSTEM, errno,
			       "can't create sockets for the guest's TPM: "
			       "%s",
			       strerror(errno));
	*ret_socket = pair[0];
	*ret_own_socket = pair[1];
	return 0;
}

int tpm_hold(struct pt_host *host, const struct definition *live, const struct confine_user *user,
	     int own_socket, int output_fd, struct store_live *record,
	     struct companions *companions, struct pt_error *err)
{
	char program[PATH_SIZE], own[PATH_SIZE], state[PATH_SIZE + 32], control[64];
	char *const argv[] = {program,
			      (char[]){"socket"},
			      (char[]){"--tpm2"},
			      (char[]){"--terminate"},
			      (char[]){"--tpmstate"},
			      state,
			      (char[]){"--ctrl"},
			      control,
			      NULL};
	char *const environment[] = {(char[]){"PATH=/usr/sbin:/usr/bin:/sbin:/bin"},
				     (char[]){"LC_ALL=C"}, NULL};
	struct spawn_request request = {
		.argv = argv,
		.environment = environment,
		.user = user,
		.own = own,
		.output_fd = output_fd,
		.kept = {own_socket},
		.kept_count = 1,
	};
	const char *found = find_program(host);
	int r = text_format(program, sizeof(program), "%s", found ? found : "swtpm");

	if (r >= 0)
		r = text_format(own, sizeof(own), TPM_STATE "/%s", definition_uuid(live));
	if (r >= 0)
		r = text_format(state, sizeof(state), "dir=%s,mode=0600", own);
	if (r >= 0)
		r = text_format(control, sizeof(control), "type=unixio,clientfd=%d", own_socket);
	if (r < 0)
		return pt_fail(err, PT_SYSTEM, -r, "the guest's TPM: %s", strerror(-r));
	request.label = label_for(host, live, program);
	return companions_hold(companions, host, &request, TPM_WORDS,
			       &record->companions[STORE_TPM], err);
}
