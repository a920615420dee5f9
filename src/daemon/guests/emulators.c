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

#define ASK_AGAIN_MS 10000

/* Programs that definitions name: few hosts have more than two. */
#define KEPT_MAX 4

struct kept {
	struct stat file;
	int64_t asked_ms; /* 0: none */
	int r;		  /* negative: it failed, as @err says */
	struct pt_error err;
	struct emulator emulator;
};

struct emulators {
	const struct context *context;
	pthread_mutex_t lock;
	struct kept kept[KEPT_MAX];
	size_t next;
};

int emulators_new(const struct context *context, struct emulators **ret_emulators,
		  struct pt_error *err)
{
	struct emulators *emulators = calloc(1, sizeof(*emulators));

	if (!emulators)
		return pt_fail_memory(err);
	emulators->context = context;
	(void)pthread_mutex_init(&emulators->lock, NULL);
	*ret_emulators = emulators;
	return 0;
}

void emulators_free(struct emulators *emulators)
{
	if (!emulators)
		return;
	for (size_t i = 0; i < KEPT_MAX; i++)
		emulator_free(&emulators->kept[i].emulator);
	(void)pthread_mutex_destroy(&emulators->lock);
	free(emulators);
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* With the lock: what is kept of it, or where that goes, over the oldest. */
static struct kept *find(struct emulators *emulators, const struct stat *file)
{
	for (size_t i = 0; i < KEPT_MAX; i++)
		if (emulators->kept[i].asked_ms && is_same_file(&emulators->kept[i].file, file))
			return &emulators->kept[i];
	return &emulators->kept[emulators->next++ % KEPT_MAX];
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

/* One question at a time: who comes meanwhile wants the same answer. */
int emulators_get(struct emulators *emulators, struct pt_host *host, const char *program,
		  struct emulator *ret_emulator, struct pt_error *err)
{
	struct stat file;
	struct kept *kept;
	int r;

	*ret_emulator = (struct emulator){0};
	if (fstatat(host->root_fd, io_relative(program), &file, 0) < 0)
		return pt_fail(err, PT_SYSTEM, errno, "%s: %s", program, strerror(errno));
	(void)pthread_mutex_lock(&emulators->lock);
	kept = find(emulators, &file);
	if (!kept->asked_ms || !is_same_file(&kept->file, &file) ||
	    (kept->r < 0 && clock_now_ms() - kept->asked_ms > ASK_AGAIN_MS)) {
		kept->file = file;
		ask(emulators, host, program, kept);
	}
	r = kept->r;
	if (r < 0 && err)
		*err = kept->err;
	else if (!r)
		r = emulator_copy(&kept->emulator, ret_emulator, err);
	(void)pthread_mutex_unlock(&emulators->lock);
	return r;
}

int emulators_pin_machine(struct emulators *emulators, struct pt_host *host, struct definition *def,
			  struct pt_error *err)
{
	const char *program = definition_emulator(def);
	struct emulator emulator;
	struct pt_error asked;
	int r;

	if (emulators_get(emulators, host, program, &emulator, &asked) < 0) {
		host_log(host, PT_LOG_DEBUG, "%s can't be asked for its machines: %s", program,
			 asked.message);
		return 0;
	}
	r = emulator_pin_machine(&emulator, def, err);
	emulator_free(&emulator);
	return r;
}
