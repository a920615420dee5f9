/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest's emulated TPM: swtpm, a separate process that runs as QEMU's user. The two share only
 * a pair of sockets, so neither needs a path to find the other, and swtpm exits when QEMU has
 * ended (--terminate). The state of the TPM (keys, among them BitLocker's) is in a directory
 * named after the guest's UUID, which is kept until the guest is undefined.
 *
 * It is started without swtpm_setup: a TPM 2.0 without manufacturer certificates.
 */
#ifndef DOMAIN_RESOURCES_TPM_H
#define DOMAIN_RESOURCES_TPM_H

#include "domain/confine/confine.h"
#include "domain/definition/definition.h"
#include "domain/resources/companion.h"
#include "domain/store/store.h"

#define TPM_STATE "/var/lib/passthru/swtpm"

/* Before what is said of its process. */
#define TPM_WORDS "the guest's TPM, swtpm: "

/* Has it an emulated TPM? */
bool tpm_is_wanted(const struct definition *def);

/*
 * Before a start: the program is there, and so is the folder for what the TPM keeps, made for
 * @user where it isn't, or moved over from the user that guests ran as before. *ret_socket is
 * QEMU's end of the pair, *ret_own_socket swtpm's.
 */
int tpm_prepare(struct pt_host *host, const struct definition *live,
		const struct confine_user *user, int *ret_socket, int *ret_own_socket,
		struct pt_error *err);

/*
 * Its process, held as QEMU's is (spawn.h); spawn_release() lets it become swtpm. It is
 * @record's from here on. @output_fd: QEMU's, for its messages.
 */
int tpm_hold(struct pt_host *host, const struct definition *live, const struct confine_user *user,
	     int own_socket, int output_fd, struct store_live *record,
	     struct companions *companions, struct pt_error *err);

/* Should the TPM state of a guest that is neither defined nor running be kept? */
bool tpm_is_kept(const struct definition *def);

bool tpm_has_state(struct pt_host *host, const struct definition *def);

/* Remove the TPM state of this guest, if there is any. */
int tpm_remove_state(struct pt_host *host, const struct definition *def, struct pt_error *err);

#endif
