/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "base/safe_path.h"
#include "base/text.h"
#include "domain/confine/access.h"
#include "domain/confine/files.h"
#include "domain/confine/judge.h"

/* Why nothing can be permitted to one more user. */
static const char *explain(int r)
{
	switch (r) {
	case -EOPNOTSUPP:
		return "its filesystem has no access control lists";
	case -EBUSY:
		return "the mask of its access control list would let more through to others, too";
	case -EPERM:
		return "another user can lead its path elsewhere";
	default:
		return strerror(-r);
	}
}

/* The object of a path, if root may act on it. */
static int open_trusted(struct pt_host *host, const char *path, const struct confine_user *user,
			struct safe_path *ret_at)
{
	int r = safe_path_open(host->root_fd, path, ret_at);

	if (r < 0)
		return r;
	if (ret_at->fd < 0)
		return -ENOENT;
	return safe_path_is_trusted(ret_at, user->common_uid) ? 0 : -EPERM;
}

/* ---- the directories ---- */

struct way {
	struct pt_host *host;
	const struct named_file *file;
	const struct confine_user *user;
	const uint64_t *closed; /* NULL: those that an entry opens to the guest's user */
	struct store_live *record;
	int *result;
	int r;
	struct pt_error *err;
};

static void refuse_way(const struct way *way, const char *directory, int r)
{
	char text[1400];

	(void)text_format(text, sizeof(text),
			  "%.600s: QEMU runs as user %u, to whom the directory %.300s can't be "
			  "opened: %s; let everybody enter it (chmod a+x %.300s), or move the file",
			  way->file->path, way->user->uid, directory, explain(r), directory);
	judge_refuse(way->file, way->result, way->err, text);
}

static void note_directory(void *context, const char *directory, unsigned int index)
{
	AUTO(auto_safe_path) struct safe_path at = SAFE_PATH_CLOSED;
	struct way *way = context;
	int r;

	if (way->r < 0 || (way->closed && !(way->closed[index / 64] & UINT64_C(1) << index % 64)))
		return;
	r = open_trusted(way->host, directory, way->user, &at);
	if (!way->closed && (r < 0 || access_of(at.fd, way->user->uid) <= 0))
		return;
	if (!r)
		r = access_may_permit(at.fd, way->user->uid, ACCESS_EXECUTE);
	if (r < 0) {
		refuse_way(way, directory, r);
		return;
	}
	way->r = judge_note(&(struct store_file){.path = at.real,
						 .device = (uint64_t)at.st.st_dev,
						 .inode = (uint64_t)at.st.st_ino,
						 .uid = at.st.st_uid,
						 .given = way->user->uid,
						 .permitted = ACCESS_EXECUTE},
			    &at.st, way->record, way->err);
}

struct closed_to_all {
	const struct way *way;
	const uint64_t *own, *common;
	bool is_found;
};

static void find_closed(void *context, const char *directory, unsigned int index)
{
	struct closed_to_all *closed = context;
	const struct way *way = closed->way;
	char text[1400];

	if (closed->is_found ||
	    !(closed->own[index / 64] & closed->common[index / 64] & UINT64_C(1) << index % 64))
		return;
	closed->is_found = true;
	(void)text_format(
		text, sizeof(text),
		"%.600s: QEMU runs as user %s, which can't enter the directory %.300s: "
		"permit that (setfacl -m u:%s:x %.300s), or name the file by another path",
		way->file->path, way->user->name, directory, way->user->name, directory);
	judge_refuse(way->file, way->result, way->err, text);
}

/* A directory is opened to a guest only if it is to the user that guests have in common. */
static bool refuse_closed(const struct way *way, const struct finding *own,
			  const struct finding *common)
{
	struct closed_to_all closed = {
		.way = way, .own = own->closed[0], .common = common->closed[0]};
	char path[PATH_MAX];

	if (common->errnum && text_format(path, sizeof(path), "%s", way->file->path) >= 0)
		judge_each_directory(path, find_closed, &closed);
	return closed.is_found;
}

/* Both ways: a link's own directories are entered, too. */
static int note_directories(struct way *way, const struct finding *own)
{
	char path[PATH_MAX];

	if (text_format(path, sizeof(path), "%s", way->file->path) >= 0) {
		way->closed = own->closed[0];
		judge_each_directory(path, note_directory, way);
	}
	way->closed = own->closed[1];
	judge_each_directory(way->file->real, note_directory, way);
	return way->r;
}

/* ---- the file ---- */

static void refuse_own(const struct named_file *file, const struct confine_user *user, int r,
		       int *result, struct pt_error *err)
{
	char text[1400], next[400] = "try again";

	if (r == -EBUSY)
		(void)text_format(next, sizeof(next),
				  "widen the mask (setfacl -m m::rw), or "
				  "remove what it keeps back");
	else if (r == -EOPNOTSUPP && file->need == NEED_READ)
		(void)text_format(next, sizeof(next),
				  "permit it to everybody (chmod a+r), or move it to a filesystem "
				  "that has them");
	else if (r == -EOPNOTSUPP)
		(void)text_format(
			next, sizeof(next),
			"move it to a filesystem that has them, or use it in one guest at "
			"a time");
	(void)text_format(
		text, sizeof(text),
		"%.600s: QEMU runs as user %u, to whom the file can't be permitted: %s; %s",
		file->path, user->uid, explain(r), next);
	judge_refuse(file, result, err, text);
}

static int note_own_file(struct pt_host *host, const struct named_file *file,
			 const struct confine_user *user, struct store_live *record, int *result,
			 struct pt_error *err)
{
	AUTO(auto_safe_path) struct safe_path at = SAFE_PATH_CLOSED;
	struct store_file note = {.path = file->real,
				  .device = (uint64_t)file->st.st_dev,
				  .inode = (uint64_t)file->st.st_ino,
				  .uid = file->st.st_uid,
				  .given = user->uid};
	uid_t other;
	int r = open_trusted(host, file->real, user, &at);

	note.permitted = ACCESS_READ;
	if (file->need != NEED_READ)
		note.permitted |= ACCESS_WRITE;
	if (!r && !store_file_is(&note, &at.st))
		r = -ESTALE;
	if (!r)
		r = access_may_permit(at.fd, user->uid, note.permitted);
	if ((r == -EOPNOTSUPP || r == -EBUSY) && judge_may_be_given(file, user) &&
	    files_is_lent(host, record->name, &file->st, &other) == 0) {
		note.permitted = 0;
		r = 0;
	}
	if (r == 0)
		return judge_note(&note, &file->st, record, err);
	refuse_own(file, user, r, result, err);
	return 0;
}

/*
 * It can be used as it is. If it is by an entry, that one has stayed, because the host crashed: it
 * goes with this run's end, as do those of the directories.
 */
static int note_left(struct way *way)
{
	AUTO(auto_safe_path) struct safe_path at = SAFE_PATH_CLOSED;
	struct store_file note = {.path = way->file->real, .given = way->user->uid};
	int r = open_trusted(way->host, way->file->real, way->user, &at);

	r = r < 0 ? r : access_of(at.fd, way->user->uid);
	if (r <= 0)
		return 0;
	note.permitted = (unsigned int)r;
	note.uid = at.st.st_uid;
	note.device = (uint64_t)at.st.st_dev;
	note.inode = (uint64_t)at.st.st_ino;
	r = judge_note(&note, &at.st, way->record, way->err);
	way->closed = NULL;
	if (!r)
		judge_each_directory(way->file->real, note_directory, way);
	return r < 0 ? r : way->r;
}

int judge_own(struct pt_host *host, const struct named_file *file, const struct finding *own,
	      const struct finding *common, const struct confine_user *user,
	      struct store_live *record, int *result, struct pt_error *err)
{
	struct way way = {.host = host,
			  .file = file,
			  .user = user,
			  .record = record,
			  .result = result,
			  .err = err};
	int r;

	if (!own->errnum)
		return note_left(&way);
	if (common->directory) {
		judge_refuse_directory(file, common->directory, user, result, err);
		return 0;
	}
	if (common->errnum && !judge_may_be_given(file, user)) {
		judge_refuse_file(file, common, user, result, err);
		return 0;
	}
	if (common->errnum && own->loose[0]) {
		judge_refuse_loose(file, own, user, result, err);
		return 0;
	}
	if (refuse_closed(&way, own, common))
		return 0;
	r = note_directories(&way, own);
	return r < 0 ? r : note_own_file(host, file, user, record, result, err);
}
