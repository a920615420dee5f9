/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The files that a definition names for what a guest's serial ports, consoles and channels say:
 * <source path> with type='file', and <log file>. QEMU has none of them: it could fill the disk,
 * also with what a file's size doesn't show, and erase what it said before. It has a pipe for each,
 * and a process beside it, the recorder, moves what comes to the files: at most RECORDER_RATE, what
 * is more is left out, and the file says how much; and of a file that grows above RECORDER_FILE_MAX
 * the older half is dropped.
 *
 * A file is opened by root, by a path that no other user can redirect (base/safe_path.h), stays its
 * owner's, and needs no permission of QEMU's user. One that isn't there is made, and belongs to the
 * owner of its directory.
 *
 * The recorder is passthrud's own program under another name. It becomes the guest's user after
 * exec(), so that this user can never look into it (the kernel makes a process that changes its
 * user undumpable); it outlives passthrud, so that nothing is lost while none runs, and a disk that
 * doesn't answer holds up no other guest. It ends when QEMU has.
 */
#ifndef DOMAIN_RESOURCES_RECORDER_H
#define DOMAIN_RESOURCES_RECORDER_H

#include "domain/command_line/command_line.h"
#include "domain/confine/confine.h"
#include "domain/resources/companion.h"
#include "domain/definition/definition.h"
#include "domain/store/store.h"

#define RECORDER_NAME "passthru-record" /* as argv[0]: then passthrud is one */

/* Before what is said of its process. */
#define RECORDER_WORDS "the recorder of the guest's consoles: "

/* Files of one guest. */
#define RECORDER_MAX COMMAND_LINE_INHERITED_MAX

struct recorder_limits {
	uint64_t rate;	   /* bytes in a second … */
	uint64_t burst;	   /* … on average, after so many at once */
	uint64_t file_max; /* bytes */
};

#define RECORDER_RATE	  ((uint64_t)1024 * 1024)
#define RECORDER_BURST	  ((uint64_t)4 * 1024 * 1024)
#define RECORDER_FILE_MAX ((uint64_t)16 * 1024 * 1024)

/* A file and its pipe. */
struct recorder_file {
	const char *path; /* as the definition has it */
	int fd;
	int pipe_fd;	 /* the recorder's end */
	bool is_emptied; /* when it starts: append='off' */
};

/* Zeroed: none. */
struct recorder {
	struct recorder_file files[RECORDER_MAX];
	struct command_line_output outputs[RECORDER_MAX]; /* QEMU's ends */
	size_t count;
};

/*
 * Before a start: open the files that @live, which must last as long as @ret_recorder, names, or
 * make them; and make the pipes. PT_NOT_PERMITTED names the element, the file or directory, and
 * what to do about it. Nothing is written or emptied yet. recorder_close() either way.
 */
int recorder_prepare(struct pt_host *host, const struct definition *live,
		     const struct confine_user *user, struct recorder *ret_recorder,
		     struct pt_error *err);

/* All of ours; its process and QEMU have their own. */
void recorder_close(struct recorder *recorder);

/*
 * Its process, held as QEMU's is; spawn_release() lets it begin. It is @record's from here on.
 * @output_fd: for its own messages.
 */
int recorder_hold(struct pt_host *host, const struct recorder *recorder,
		  const struct confine_user *user, int output_fd, struct store_live *record,
		  struct companions *companions, struct pt_error *err);

/* ---- in its process: recording.c ---- */

/* "passthru-record" with arguments of recorder_hold(); returns the exit status when QEMU ended. */
int recorder_main(int argc, char *const argv[]);

/* The same of @files, within @limits, until the last pipe is closed. */
void recorder_run(struct recorder_file *files, size_t count, const struct recorder_limits *limits);

#endif
