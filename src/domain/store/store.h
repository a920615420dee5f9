/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guests on disk. A definition is etc/passthru/guests/NAME.xml; a file of the same name in
 * etc/passthru/guests/autostart starts the guest with the host. The state of a running guest is
 * run/passthru/guests/NAME.json, from which the next daemon recovers if this one is killed at any
 * instant. All files are replaced as a whole.
 */
#ifndef DOMAIN_STORE_STORE_H
#define DOMAIN_STORE_STORE_H

#include <passthru/claim.h>
#include <passthru/host.h>
#include <sys/stat.h>

#include "assign/state.h"
#include "base/auto.h"
#include "base/error.h"

#define STORE_DEFINITIONS "etc/passthru/guests"
#define STORE_AUTOSTART	  STORE_DEFINITIONS "/autostart"
#define STORE_LIVE	  "run/passthru/guests"

extern const struct state_kind state_definitions;
extern const struct state_kind state_live; /* what runs */

/* As in a claim's owner, which says the name of the guest that has a device. */
#define STORE_NAME  sizeof(((struct pt_owner *)NULL)->name)
#define STORE_ALIAS 128

/* A guest may have so many requests for its devices under way. */
#define STORE_PENDING_MAX 64

/* The pending operation on a device of a running guest. */
enum store_change {
	STORE_ATTACHING, /* claimed; its element is not in the XML yet */
	STORE_DETACHING, /* the guest got an unplug request */
};

struct store_pending {
	enum store_change change;
	char alias[STORE_ALIAS];
	bool has_address; /* a host device */
	struct pt_address address;
	char *xml; /* of STORE_ATTACHING: the device's element; freed by the store */
};

#define STORE_LABEL 256

/*
 * A file that was lent to QEMU's user as long as the guest runs: given, so that it is its owner, or
 * permitted by an entry of the file's access control list.
 */
struct store_file {
	char *path;	 /* without symbolic links; freed by the store */
	uint64_t device; /* st_dev and st_ino: the owner is restored only if the file is the same */
	uint64_t inode;
	uid_t uid;		/* the owner, or the previous one of a file that is given */
	uid_t given;		/* whom it is lent to */
	unsigned int permitted; /* ACCESS_READ | … (domain/confine/access.h); 0: it is given */
	bool is_kept;		/* QEMU says it has let it go, and had it open after that */
	/*
	 * SELinux's label that it was given, and the previous one (confine/relabel.h); freed by the
	 * store, less than STORE_LABEL bytes. Then it isn't lent by this entry: @uid and @given are
	 * its owner. NULL: it is.
	 */
	char *label;
	char *label_before;
	bool is_returning; /* no other guest's label counts on this one any more */
};

/* The previous settings of a virtual function. */
struct store_vf {
	struct pt_address address;
	char mac[18];
	int vlan; /* 0: none */
};

#define STORE_VFS_MAX 64

/* A USB device of the host that the guest has: nobody else gets it (resources/usb.h). */
struct store_usb {
	char name[64]; /* of sys/bus/usb/devices: "1-2.3" */
	unsigned int bus, device;
	unsigned int configuration; /* the one that was active before; 0: none */
	uint32_t bound;		    /* a bit for each interface that had a driver before */
};

#define STORE_USB_MAX	     64
#define STORE_USB_INTERFACES 32

/* The maximum per guest. */
#define STORE_FILES_MAX 1024

enum store_phase {
	STORE_STARTING, /* the guest does not run yet; if the daemon dies, the start has failed */
	STORE_RUNNING,
};

/* A process beside a guest's QEMU (resources/companion.h); zeroed: none. */
struct store_process {
	pid_t pid;
	uint64_t start_time; /* as in struct pt_owner */
};

/* Directories of the host that a guest has by virtiofs, with a process each. */
#define STORE_FILESYSTEMS_MAX 16

enum store_companion {
	STORE_TPM,	  /* its swtpm (resources/tpm.h) */
	STORE_RECORDER,	  /* of its consoles (resources/recorder.h) */
	STORE_FILESYSTEM, /* the first of its virtiofsds (resources/virtiofs.h) */
	STORE_COMPANIONS = STORE_FILESYSTEM + STORE_FILESYSTEMS_MAX,
};

/* A guest that runs. */
struct store_live {
	char name[STORE_NAME];
	int id;
	pid_t pid;
	uint64_t start_time; /* as in struct pt_owner */
	enum store_phase phase;
	int64_t since; /* seconds since the epoch */
	struct store_process companions[STORE_COMPANIONS];
	bool has_pipes; /* what its consoles say goes to the recorder, and not to files of QEMU's */
	bool has_view;	/* QEMU and swtpm see what confine/view.h says */
	char user[64];	/* the name of the one that guests have in common; "": unknown */
	struct store_pending pending[STORE_PENDING_MAX];
	size_t pending_count;
	struct store_file *files;
	size_t file_count;
	struct store_vf vfs[STORE_VFS_MAX];
	size_t vf_count;
	struct store_usb usbs[STORE_USB_MAX];
	size_t usb_count;
	char *xml; /* the live definition; freed by the store */
};

/* PT_INVALID in words for what can't be a guest's name: too long, "/", control characters … */
int store_check_name(const char *name, struct pt_error *err);

/*
 * Names of the files of definitions, or of running guests (state_list()); they may be invalid as
 * guests' names.
 */
int store_list_definitions(struct pt_host *host, char ***ret_names, struct pt_error *err);
int store_list_live(struct pt_host *host, char ***ret_names, struct pt_error *err);

/* @err of these two is bare, as state_read()'s. */
int store_read_definition(struct pt_host *host, const char *name, char **ret_xml,
			  struct pt_error *err);
int store_write_definition(struct pt_host *host, const char *name, const char *xml,
			   struct pt_error *err);
int store_remove_definition(struct pt_host *host, const char *name, struct pt_error *err);

/* Is it one that outlives its end? */
bool store_is_defined(struct pt_host *host, const char *name);

bool store_is_autostart(struct pt_host *host, const char *name);
int store_set_autostart(struct pt_host *host, const char *name, bool is_on, struct pt_error *err);

/* The name in the file must match the file's name. Freed with store_live_free(). */
int store_read_live(struct pt_host *host, const char *name, struct store_live **ret_live,
		    struct pt_error *err);
/*
 * Each running guest but @name. Not 0 from @tell ends it, and is returned; else -EBADMSG if the
 * file of one couldn't be read, or another negative errno if not all could be found.
 */
int store_each_other(struct pt_host *host, const char *name,
		     int (*tell)(void *context, const struct store_live *other), void *context);
int store_write_live(struct pt_host *host, const struct store_live *live, struct pt_error *err);
int store_remove_live(struct pt_host *host, const char *name, struct pt_error *err);

/* One more file; its path and labels are copied. -ENOMEM, -E2BIG. */
int store_add_file(struct store_live *live, const struct store_file *file);
bool store_file_is(const struct store_file *file, const struct stat *st); /* that very one */
void store_drop_file(struct store_live *live, size_t index);

/* All of it; NULL is allowed. */
void store_live_free(struct store_live *live);
AUTO_DEFINE(store_live, struct store_live *, store_live_free)

/* The JSON of a live file; NULL without memory. */
struct json_object *store_live_to_json(const struct store_live *live);

/* A fuzz target: the bytes of a live file. */
int store_parse_live(const char *text, size_t size, struct store_live **ret_live,
		     struct pt_error *err);

#endif
