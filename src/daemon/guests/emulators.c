/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/guests/emulators.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/io.h"
#include "daemon/log.h"

#define ASK_AGAIN_MS 10000

/* Programs that definitions name beside the host's own: few hosts have one. */
#define OTHERS_MAX 4

struct kept {
	struct stat file;
	int64_t asked_ms; /* 0: none */
	int r;		  /* negative: it failed, as @err says */
	struct pt_error err;
	struct emulator emulator;
};

/*
 * Who asks has the lock, and the others wait for the answer. The host's own emulator has another
 * one than those that definitions name: nobody waits for these who only wants to know of it.
 */
struct shelf {
	pthread_mutex_t lock;
	struct kept *kept;
	size_t count, next;
};

struct emulators {
	const struct context *context;
	struct kept own[1], other[OTHERS_MAX];
	struct shelf owns, others;
};

int emulators_new(const struct context *context, struct emulators **ret_emulators,
		  struct pt_error *err)
{
	struct emulators *emulators = calloc(1, sizeof(*emulators));

	if (!emulators)
		return pt_fail_memory(err);
	emulators->context = context;
	emulators->owns = (struct shelf){.kept = emulators->own, .count = 1};
	emulators->others = (struct shelf){.kept = emulators->other, .count = OTHERS_MAX};
	(void)pthread_mutex_init(&emulators->owns.lock, NULL);
	(void)pthread_mutex_init(&emulators->others.lock, NULL);
	*ret_emulators = emulators;
	return 0;
}

void emulators_free(struct emulators *emulators)
{
	if (!emulators)
		return;
	emulator_free(&emulators->own[0].emulator);
	for (size_t i = 0; i < OTHERS_MAX; i++)
		emulator_free(&emulators->other[i].emulator);
	(void)pthread_mutex_destroy(&emulators->owns.lock);
	(void)pthread_mutex_destroy(&emulators->others.lock);
	free(emulators);
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* With the lock: what is kept of it, or where that goes, over the oldest. */
static struct kept *find(struct shelf *shelf, const struct stat *file)
{
	for (size_t i = 0; i < shelf->count; i++)
		if (shelf->kept[i].asked_ms && is_same_file(&shelf->kept[i].file, file))
			return &shelf->kept[i];
	shelf->next = shelf->next + 1 < shelf->count ? shelf->next + 1 : 0;
	return &shelf->kept[shelf->next];
}

static void ask(struct emulators *emulators, struct pt_host *host, const char *program,
		struct kept *kept)
{
	const struct context_config *config = &emulators->context->config;
	struct confine_user user;

	emulator_free(&kept->emulator);
	kept->r = confine_find_user(config->guest_user, &user, &kept->err);
	user.sees_host = config->are_host_files_seen;
	if (!kept->r)
		kept->r = emulator_ask(host, program, &user, &kept->emulator, &kept->err);
	kept->asked_ms = clock_now_ms();
}

/* Asked anew when its file is another one, when @is_old, and a while after it failed. */
static int get(struct emulators *emulators, struct pt_host *host, const char *program, bool is_old,
	       struct emulator *ret_emulator, struct pt_error *err)
{
	struct shelf *shelf =
		strcmp(program, EMULATOR) == 0 ? &emulators->owns : &emulators->others;
	struct stat file;
	struct kept *kept;
	int r;

	*ret_emulator = (struct emulator){0};
	if (fstatat(host->root_fd, io_relative(program), &file, 0) < 0)
		return pt_fail(err, PT_SYSTEM, errno, "%s: %s", program, strerror(errno));
	(void)pthread_mutex_lock(&shelf->lock);
	kept = find(shelf, &file);
	if (is_old || !kept->asked_ms || !is_same_file(&kept->file, &file) ||
	    (kept->r < 0 && clock_now_ms() - kept->asked_ms > ASK_AGAIN_MS)) {
		kept->file = file;
		ask(emulators, host, program, kept);
	}
	r = kept->r;
	if (r < 0 && err)
		*err = kept->err;
	else if (!r)
		r = emulator_copy(&kept->emulator, ret_emulator, err);
	(void)pthread_mutex_unlock(&shelf->lock);
	return r;
}

int emulators_get(struct emulators *emulators, struct pt_host *host, const char *program,
		  struct emulator *ret_emulator, struct pt_error *err)
{
	return get(emulators, host, program, false, ret_emulator, err);
}

int emulators_pin_machine(struct emulators *emulators, struct pt_host *host, struct definition *def,
			  struct pt_error *err)
{
	const char *program = definition_emulator(def);
	struct emulator emulator;
	struct pt_error asked;
	int r;

	if (get(emulators, host, program, false, &emulator, &asked) < 0) {
		/* where there is none, there is nothing to keep its machine from */
		if (asked.errnum != ENOENT)
			log_message(PT_LOG_NOTICE,
				    "guest %s: its machine may be another one after an upgrade of "
				    "QEMU: %s can't be asked for the name of this one: %s",
				    definition_name(def), program, asked.message);
		return 0;
	}
	r = emulator_pin_machine(&emulator, def, err);
	emulator_free(&emulator);
	if (r != -EOPNOTSUPP)
		return r;
	/* a program that starts QEMU is the same file after an upgrade */
	if (get(emulators, host, program, true, &emulator, &asked) < 0)
		return r;
	r = emulator_pin_machine(&emulator, def, err);
	emulator_free(&emulator);
	return r;
}
