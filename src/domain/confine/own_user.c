/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain/confine/own_user.h"

#include <errno.h>
#include <fcntl.h>
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

enum place { PLACE_FREE, PLACE_OURS, PLACE_TAKEN };

static int look_at(int dir_fd, const char *number, const char *uuid, enum place *ret_place)
{
	char target[64];
	ssize_t length = readlinkat(dir_fd, number, target, sizeof(target) - 1);

	if (length < 0 && errno != ENOENT)
		return -errno;
	target[length > 0 ? length : 0] = '\0';
	if (length < 0)
		*ret_place = PLACE_FREE;
	else
		*ret_place = strcmp(target, uuid) == 0 ? PLACE_OURS : PLACE_TAKEN;
	return 0;
}

/* The guest's number, or the first free one after where it would be; -ENOSPC: there is none. */
static int find_place(int dir_fd, const char *uuid, enum place *ret_place, uid_t *ret_uid)
{
	unsigned int choice = first_choice(uuid), i;
	enum place place = PLACE_TAKEN;
	int r = 0;

	for (i = 0; i < OWN_USER_COUNT && r == 0 && place == PLACE_TAKEN; i++) {
		char number[16];

		*ret_uid = OWN_USER_FIRST + (choice + i) % OWN_USER_COUNT;
		(void)text_format(number, sizeof(number), "%u", *ret_uid);
		r = look_at(dir_fd, number, uuid, &place);
	}
	*ret_place = place;
	return r == 0 && place == PLACE_TAKEN ? -ENOSPC : r;
}

/* A link is made whole or not at all, and by one of those who want the number. */
static int take_place(int dir_fd, const char *uuid, uid_t uid)
{
	char number[16];

	(void)text_format(number, sizeof(number), "%u", uid);
	if (symlinkat(uuid, dir_fd, number) < 0)
		return -errno;
	/* before anything belongs to that user */
	return fsync(dir_fd) < 0 ? -errno : 0;
}

static int assign(struct pt_host *host, const char *uuid, uid_t *ret_uid)
{
	int r = io_make_directories_at(host->root_fd, OWN_USERS, 0755);
	AUTO_CLOSE int fd = r < 0 ? -1
				  : openat(host->root_fd, OWN_USERS,
					   O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	enum place place = PLACE_FREE;

	if (r < 0)
		return r;
	if (fd < 0)
		return -errno;
	do {
		r = find_place(fd, uuid, &place, ret_uid);
		if (!r && place == PLACE_FREE)
			r = take_place(fd, uuid, *ret_uid);
	} while (r == -EEXIST);
	return r;
}

int own_user_assign(struct pt_host *host, const char *uuid, const struct confine_user *common,
		    struct confine_user *ret_user, struct pt_error *err)
{
	uid_t uid;
	int r = assign(host, uuid, &uid);

	if (r == -ENOSPC)
		return pt_fail(err, PT_STORAGE, ENOSPC,
			       "all %d numbers of users for guests are given out: remove links of "
			       "guests that are no more (their UUIDs are shown by: ls -l "
			       "/" OWN_USERS "), or let guests share one user (passthrud "
			       "--guest-user %s)",
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
	AUTO_CLOSE int fd =
		openat(host->root_fd, OWN_USERS, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	enum place place;
	char number[16];
	uid_t uid;

	if (fd < 0 || find_place(fd, uuid, &place, &uid) < 0 || place != PLACE_OURS)
		return;
	(void)text_format(number, sizeof(number), "%u", uid);
	if (unlinkat(fd, number, 0) < 0)
		host_log(host, PT_LOG_WARNING, "can't remove /" OWN_USERS "/%s: %s", number,
			 strerror(errno));
}
