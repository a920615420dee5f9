/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/confine/own_user.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/io.h"
#include "base/text.h"

bool own_user_is(uid_t uid)
{
	return uid >= OWN_USER_FIRST && uid - OWN_USER_FIRST < OWN_USER_COUNT;
}

/* Where the search for a guest's number begins: FNV-1a. */
static unsigned int first_choice(const char *uuid)
{
	uint32_t hash = 0x811c9dc5;

	for (; *uuid; uuid++)
		hash = (hash ^ (unsigned char)*uuid) * 0x01000193;
	return hash % OWN_USER_COUNT;
}

/* What a number was given to that is forgotten: it is the last to be given again. */
#define NOBODY "-"

struct places {
	int dir_fd; /* locked */
	bool has_ours, has_free, has_left;
	uid_t ours, is_free, left; /* the first of each */
};

static int look_at(struct places *places, uid_t uid, const char *uuid)
{
	char number[16], target[64];
	ssize_t length;

	(void)text_format(number, sizeof(number), "%u", uid);
	length = readlinkat(places->dir_fd, number, target, sizeof(target) - 1);
	if (length < 0 && errno != ENOENT)
		return -errno;
	target[length > 0 ? length : 0] = '\0';
	if (length < 0) {
		places->has_free = true;
		places->is_free = uid;
	} else if (strcmp(target, uuid) == 0) {
		places->has_ours = true;
		places->ours = uid;
	} else if (strcmp(target, NOBODY) == 0 && !places->has_left) {
		places->has_left = true;
		places->left = uid;
	}
	return 0;
}

/*
 * The guest's number, or where the search ends: no number becomes free again, so it is in none
 * behind a free one.
 */
static int find_places(struct places *places, const char *uuid)
{
	unsigned int choice = first_choice(uuid), i;
	int r = 0;

	for (i = 0; i < OWN_USER_COUNT && r == 0 && !places->has_ours && !places->has_free; i++)
		r = look_at(places, OWN_USER_FIRST + (choice + i) % OWN_USER_COUNT, uuid);
	return r;
}

static int open_places(struct pt_host *host, struct places *places)
{
	AUTO_CLOSE int fd =
		openat(host->root_fd, OWN_USERS, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	int r = fd < 0 ? -errno : io_lock(fd);

	if (r == 0)
		places->dir_fd = TAKE_FD(fd);
	return r;
}

/* One link in the place of another one, or of none, at once. */
static int write_place(const struct places *places, uid_t uid, const char *target)
{
	static const char temporary[] = ".new";
	char number[16];

	(void)text_format(number, sizeof(number), "%u", uid);
	(void)unlinkat(places->dir_fd, temporary, 0);
	if (symlinkat(target, places->dir_fd, temporary) < 0 ||
	    renameat(places->dir_fd, temporary, places->dir_fd, number) < 0)
		return -errno;
	/* before anything belongs to that user */
	return fsync(places->dir_fd) < 0 ? -errno : 0;
}

/* A user who isn't a guest has this number. */
static bool is_account(uid_t uid)
{
	struct passwd entry, *found = NULL;
	char buffer[4096];

	return getpwuid_r(uid, &entry, buffer, sizeof(buffer), &found) == 0 && found;
}

static int take_place(struct places *places, const char *uuid, uid_t *ret_uid)
{
	int r = find_places(places, uuid);

	/* noted, so that nobody asks again */
	while (r == 0 && !places->has_ours && places->has_free && is_account(places->is_free)) {
		r = write_place(places, places->is_free, "account");
		places->has_free = false;
		if (!r)
			r = find_places(places, uuid);
	}
	if (r < 0)
		return r;
	if (!places->has_ours && !places->has_free && !places->has_left)
		return -ENOSPC;
	*ret_uid = places->has_ours   ? places->ours
		   : places->has_free ? places->is_free
				      : places->left;
	return places->has_ours ? 0 : write_place(places, *ret_uid, uuid);
}

static int assign(struct pt_host *host, const char *uuid, uid_t *ret_uid)
{
	struct places places = {0};
	int r = io_make_directories_at(host->root_fd, OWN_USERS, 0755);

	if (!r)
		r = open_places(host, &places);
	if (r < 0)
		return r;
	r = take_place(&places, uuid, ret_uid);
	close(places.dir_fd);
	return r;
}

int own_user_assign(struct pt_host *host, const char *uuid, const struct confine_user *common,
		    struct confine_user *ret_user, struct pt_error *err)
{
	uid_t uid;
	int r = assign(host, uuid, &uid);

	if (r == -ENOSPC)
		return pt_fail(err, PT_STORAGE, ENOSPC,
			       "all %d numbers of users for guests are given out: undefine guests "
			       "that are no more needed (their UUIDs: ls -l /" OWN_USERS "), or "
			       "let guests share one user (passthrud --guest-user %s)",
			       OWN_USER_COUNT, common->name);
	if (r < 0)
		return pt_fail(err, PT_STORAGE, -r,
			       "can't note down a user for the guest in /" OWN_USERS ": %s",
			       strerror(-r));
	confine_make_own(common, uid, ret_user);
	return 0;
}

void own_user_forget(struct pt_host *host, const char *uuid)
{
	struct places places = {0};
	int r = open_places(host, &places);

	if (r == -ENOENT)
		return;
	if (!r) {
		r = find_places(&places, uuid);
		if (!r && places.has_ours)
			r = write_place(&places, places.ours, NOBODY);
		close(places.dir_fd);
	}
	if (r < 0)
		host_log(host, PT_LOG_WARNING, "/" OWN_USERS ": the user of guest %s: %s", uuid,
			 strerror(-r));
}

/* ---- who is a guest ---- */

static _Atomic uid_t common_uid;

void own_user_note_common(uid_t uid)
{
	common_uid = uid;
}

bool own_user_is_guest(uid_t uid)
{
	return uid && (own_user_is(uid) || uid == common_uid);
}
