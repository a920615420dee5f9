/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One walk over the processes: who has a node open, whose are the sockets, and
 * what is mounted where this process can't see it. Nothing is opened but
 * directories and files of /proc, and no open file is asked anything that a
 * dead server could keep from being answered.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/io.h"
#include "base/text.h"
#include "pci/holders/batch.h"
#include "pci/holders/holders.h"
#include "pci/holders/text.h"

/* Namespaces that were checked. A mount namespace shows to a process what is below its root. */
struct namespace
{
	uint64_t inode;
	const char *root; /* "" of network namespaces */
};

struct namespace_set {
	struct namespace *seen;
	size_t count;
};

struct process_scan {
	struct holder_scan *scan;
	struct namespace_set mounts;
	struct namespace_set networks;
	bool has_unsettled;	   /* a block device that may be mounted in another namespace */
	int pids[BATCH_PROCESSES]; /* to be asked what only a helper may ask */
	unsigned int pid_count;
};

/* ---- who it is ---- */

const char *holders_process_name(struct holder_scan *scan, struct process *process)
{
	char comm[64];

	if (!process->name)
		process->name = io_read_text_at(process->fd, "comm", comm, sizeof(comm)) > 0
					? holders_text(scan, "%s", comm)
					: "process";
	return process->name;
}

/* "docker-ID.scope", or "ID" below "docker" without systemd: the command that stops it; NULL. */
static const char *container_advice(struct holder_scan *scan, const char *unit, const char *parent)
{
	static const struct {
		const char *prefix, *parent, *command;
	} kinds[] = {
		{"docker-", "docker", "docker stop"},	     {"libpod-conmon-", "", "podman stop"},
		{"libpod-", "libpod_parent", "podman stop"}, {"crio-", "", "crictl stop"},
		{"cri-containerd-", "", "crictl stop"},
	};
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const char *id = unit;

		if (!strncmp(unit, kinds[i].prefix, strlen(kinds[i].prefix)))
			id += strlen(kinds[i].prefix);
		else if (strcmp(parent, kinds[i].parent) != 0)
			continue;
		if (strspn(id, "0123456789abcdef") >= 12)
			return holders_text(scan, "%s %.12s", kinds[i].command, id);
	}
	return NULL;
}

static bool has_ending(const char *unit, const char *ending)
{
	size_t length = strlen(unit), have = strlen(ending);

	return length > have && !strcmp(unit + length - have, ending);
}

/*
 * The command that stops what a control group belongs to: a container, a service, or one of a
 * user's manager, whichever is the deepest. NULL if none.
 */
static const char *cgroup_advice(struct holder_scan *scan, char *path)
{
	const char *advice = NULL, *parent = "";
	char user[16] = "", *unit, *next;

	for (unit = strtok_r(path, "/", &next); unit; unit = strtok_r(NULL, "/", &next)) {
		const char *quoted = holders_quote(scan, holders_text(scan, "%s", unit));
		const char *container = container_advice(scan, unit, parent);
		size_t digits = !strncmp(unit, "user@", 5) ? strspn(unit + 5, "0123456789") : 0;

		if (digits && !strcmp(unit + 5 + digits, ".service"))
			(void)text_format(user, sizeof(user), "%.*s", (int)digits, unit + 5);
		else if (*user && (has_ending(unit, ".service") || has_ending(unit, ".scope")))
			advice =
				holders_text(scan, "systemctl --user -M %s@ stop %s", user, quoted);
		else if (container && !*user)
			advice = container;
		else if (has_ending(unit, ".service"))
			advice = holders_text(scan, "systemctl stop %s", quoted);
		parent = unit;
	}
	return advice;
}

/* A service is stopped by its manager, or it comes right back; process 1 is never killed. */
const char *holders_process_advice(struct holder_scan *scan, const struct process *process)
{
	const char *advice = NULL;
	char text[4096], *line, *next;

	if (process->pid == 1)
		return "ls -l /proc/1/fd";
	if (io_read_text_at(process->fd, "cgroup", text, sizeof(text)) <= 0)
		*text = '\0';
	/* one line for each hierarchy: NUMBER:CONTROLLERS:PATH */
	for (line = strtok_r(text, "\n", &next); line && !advice;
	     line = strtok_r(NULL, "\n", &next)) {
		char *path = strstr(line, ":/");

		if (path)
			advice = cgroup_advice(scan, path + 1);
	}
	return advice ? advice : holders_text(scan, "kill %d", process->pid);
}

/* The value behind "-name" on QEMU's command line: "guest=web,debug-threads=on" or "web". */
static const char *guest_name(struct holder_scan *scan, const struct process *process)
{
	AUTO_FREE char *line = NULL;
	size_t size, at;

	if (io_read_all_at(process->fd, "cmdline", 1024 * 1024, &line, &size) < 0)
		return "";
	for (at = 0; at < size; at += strlen(line + at) + 1) {
		const char *name = line + at;

		if (strcmp(name, "-name") != 0 && strcmp(name, "--name") != 0)
			continue;
		at += strlen(name) + 1;
		if (at >= size)
			break;
		name = line + at;
		if (!strncmp(name, "guest=", 6))
			name += 6;
		return holders_text(scan, "%.*s", (int)strcspn(name, ","), name);
	}
	return "";
}

static void add_guest(struct holder_scan *scan, struct process *process,
		      const struct holder_node *node)
{
	const char *program = holders_process_name(scan, process);
	const char *guest = guest_name(scan, process);

	if (*guest)
		holders_add(
			scan, node->target, PT_HOLDER_GUEST, process->pid,
			holders_text(scan, "guest %s (%s, pid %d)", guest, program, process->pid),
			node->through, holders_text(scan, "shut down guest %s", guest));
	else
		holders_add(scan, node->target, PT_HOLDER_GUEST, process->pid,
			    holders_text(scan, "%s (pid %d)", program, process->pid), node->through,
			    holders_process_advice(scan, process));
}

/* Its directory won't tell: that belongs to root also where a process is only not dumpable. */
static bool is_roots(const struct process *process)
{
	char text[4096];
	const char *line;
	unsigned int effective;

	if (io_read_text_at(process->fd, "status", text, sizeof(text)) <= 0)
		return false;
	line = strstr(text, "\nUid:");
	return line && sscanf(line, "\nUid: %*u %u", &effective) == 1 && effective == 0;
}

/*
 * Some look at devices without depending on them. udev opens each new node for an instant;
 * logind watches every keyboard for its power key and takes its leaving in its stride. Any program
 * may go by any name: only root's are believed.
 */
static bool is_bystander(struct holder_scan *scan, const struct process *process, const char *name,
			 const struct holder_node *node)
{
	if (scan->has_procfs && !is_roots(process))
		return false;
	if (!strcmp(name, "systemd-udevd") || !strcmp(name, "(udev-worker)"))
		return true;
	return node->use == NODE_INPUT && !strcmp(name, "systemd-logind");
}

void holders_add_user(struct holder_scan *scan, struct process *process,
		      const struct holder_node *node)
{
	const char *name;

	if (node->use == NODE_VFIO) {
		add_guest(scan, process, node);
		return;
	}
	name = holders_process_name(scan, process);
	if (is_bystander(scan, process, name, node))
		return;
	holders_add(scan, node->target, PT_HOLDER_PROCESS, process->pid,
		    holders_text(scan, "%s (pid %d)", name, process->pid), node->through,
		    holders_process_advice(scan, process));
}

/* ---- its namespaces ---- */

static bool parse_namespace(const char *target, uint64_t *ret_inode)
{
	const char *number = strchr(target, '[');
	unsigned long long inode;

	if (!number || sscanf(number, "[%llu]", &inode) != 1)
		return false;
	*ret_inode = inode;
	return true;
}

void holders_keep_namespace(struct holder_scan *scan, const char *target)
{
	uint64_t inode;
	size_t i;

	if (strncmp(target, "mnt:", 4) != 0 || !parse_namespace(target, &inode))
		return;
	for (i = 0; i < scan->held_count; i++)
		if (scan->held[i] == inode)
			return;
	HOLDERS_APPEND(scan, scan->held, scan->held_count, inode);
}

/* True the first time a namespace comes by; false also when it can't be told. */
static bool is_new_namespace(struct holder_scan *scan, struct namespace_set *set,
			     const struct process *process, const char *type, bool has_root)
{
	char path[32], target[64], root[1024] = "";
	uint64_t inode;
	ssize_t length;
	size_t i;

	(void)text_format(path, sizeof(path), "ns/%s", type);
	length = readlinkat(process->fd, path, target, sizeof(target) - 1);
	if (length <= 0)
		return false;
	target[length] = '\0';
	if (!parse_namespace(target, &inode))
		return false;
	length = has_root ? readlinkat(process->fd, "root", root, sizeof(root) - 1) : 0;
	root[length > 0 ? length : 0] = '\0';
	for (i = 0; i < set->count; i++)
		if (set->seen[i].inode == inode && !strcmp(set->seen[i].root, root))
			return false;
	HOLDERS_APPEND(scan, set->seen, set->count,
		       {.inode = inode, .root = holders_text(scan, "%s", root)});
	return true;
}

/* A namespace without processes may have a filesystem mounted that only its mountinfo shows. */
static void check_held(struct process_scan *processes)
{
	struct holder_scan *scan = processes->scan;
	size_t i, j;

	for (i = 0; i < scan->held_count; i++) {
		for (j = 0; j < processes->mounts.count; j++)
			if (processes->mounts.seen[j].inode == scan->held[i])
				break;
		if (j < processes->mounts.count)
			continue;
		for (j = 0; j < scan->node_count; j++)
			if (scan->nodes[j].is_quiet && !scan->nodes[j].is_settled)
				holders_unseen(scan, scan->nodes[j].target,
					       "the mounts of a namespace that has no processes "
					       "(to find it: findmnt -t nsfs)");
	}
}

/* Filesystems of the device that are mounted in this process's namespace and not in ours. */
static void look_at_mounts(struct holder_scan *scan, struct process *process)
{
	AUTO_FREE char *text = NULL;
	struct mount_line line;
	char *cursor;
	size_t i;
	int r = io_read_all_at(process->fd, "mountinfo", HOLDERS_FILE_MAX, &text, NULL);

	holders_failed(scan, r);
	if (r < 0)
		return;
	for (cursor = strstr(text, " mnt:["); cursor; cursor = strstr(cursor + 1, " mnt:["))
		holders_keep_namespace(scan, cursor + 1);
	cursor = text;
	while (mount_next(&cursor, &line))
		for (i = 0; i < scan->node_count; i++) {
			struct holder_node *node = &scan->nodes[i];
			const char *point;

			if (!node->is_block || node->is_settled || !line.major ||
			    node->major != line.major || node->minor != line.minor)
				continue;
			node->is_settled = true;
			point = holders_text(scan, "%s", line.point);
			holders_add(scan, node->target, PT_HOLDER_FILESYSTEM, 0,
				    holders_text(scan, "%s (in the mount namespace of %s, pid %d)",
						 point, holders_process_name(scan, process),
						 process->pid),
				    node->through,
				    holders_text(scan, "nsenter -t %d -m umount %s", process->pid,
						 holders_quote(scan, point)));
		}
}

/* Interfaces of the device that are in this process's network namespace, as its /sys shows. */
static void look_at_network(struct holder_scan *scan, struct process *process)
{
	size_t i;

	for (i = 0; i < scan->target_count; i++) {
		struct holder_target *target = &scan->targets[i];
		char device[PT_ADDRESS_TEXT];
		const char *const *name;

		if (!target->is_interface_missing)
			continue;
		pt_address_format(&target->address, device);
		name = holders_list(scan, "proc/%d/root/sys/bus/pci/devices/%s/net", process->pid,
				    device);
		for (; *name; name++) {
			target->has_interface = true;
			holders_add(scan, i, PT_HOLDER_NETWORK, 0,
				    holders_text(scan,
						 "%s (in the network namespace of %s, pid %d)",
						 *name, holders_process_name(scan, process),
						 process->pid),
				    target->prefix, holders_process_advice(scan, process));
		}
	}
}

/* ---- the walk ---- */

/* Processes can't be checked: any holder could exist. */
static void miss_processes(struct holder_scan *scan,
			   void (*miss)(struct holder_scan *scan, size_t target, const char *what),
			   const char *what)
{
	size_t i;

	for (i = 0; i < scan->node_count; i++)
		miss(scan, scan->nodes[i].target, what);
	for (i = 0; i < scan->target_count; i++)
		if (scan->targets[i].is_interface_missing || scan->targets[i].has_bars)
			miss(scan, i, what);
}

/*
 * No program: a thread of the kernel or a zombie. They have nothing open, and are the most. The
 * first thread of a program whose others live on looks the same, but for their number.
 */
static bool has_program(struct holder_scan *scan, int proc_fd, const char *pid)
{
	char path[32], target[8];
	struct stat st;

	if (!scan->has_procfs)
		return true;
	(void)text_format(path, sizeof(path), "%s/exe", pid);
	if (readlinkat(proc_fd, path, target, sizeof(target)) >= 0 || errno != ENOENT)
		return true;
	(void)text_format(path, sizeof(path), "%s/task", pid);
	return fstatat(proc_fd, path, &st, 0) == 0 && st.st_nlink > 3;
}

static void ask_batch(struct process_scan *processes)
{
	holders_read_batch(processes->scan, processes->pids, processes->pid_count);
	processes->pid_count = 0;
}

static void add_to_batch(struct process_scan *processes, int pid)
{
	if (processes->pid_count == BATCH_PROCESSES)
		ask_batch(processes);
	processes->pids[processes->pid_count++] = pid;
}

static void look_at_process(struct process_scan *processes, int proc_fd, const char *pid)
{
	struct holder_scan *scan = processes->scan;
	struct process process = {.pid = atoi(pid)};
	AUTO_CLOSE int fd = -1;
	int r;

	if (!has_program(scan, proc_fd, pid))
		return;
	fd = openat(proc_fd, pid, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		holders_failed(scan, -errno);
		return;
	}
	process.fd = fd;
	r = holders_read_descriptors(scan, &process);
	holders_failed(scan, r);
	if (r == -EACCES || r == -EPERM)
		miss_processes(scan, holders_unprivileged,
			       "the open files of other users' processes");
	else
		add_to_batch(processes, process.pid);
	if (processes->has_unsettled &&
	    is_new_namespace(scan, &processes->mounts, &process, "mnt", true))
		look_at_mounts(scan, &process);
	if (scan->has_missing &&
	    is_new_namespace(scan, &processes->networks, &process, "net", false))
		look_at_network(scan, &process);
}

/* In a container only its own processes are to be seen: the first pid namespace has this number. */
#define INITIAL_PID_NAMESPACE "pid:[4026531836]"

bool holders_see_all_processes(struct pt_host *host)
{
	char text[64];
	ssize_t len;

	if (faccessat(host->root_fd, "proc/1", F_OK, 0) < 0)
		return false;
	len = readlinkat(host->root_fd, "proc/self/ns/pid", text, sizeof(text) - 1);
	text[len > 0 ? len : 0] = '\0';
	return len < 0 || !strcmp(text, INITIAL_PID_NAMESPACE);
}

void holders_read_processes(struct holder_scan *scan)
{
	struct process_scan processes = {.scan = scan};
	AUTO_DIR DIR *dir = NULL;
	struct dirent *entry;
	int r, fd = -1;
	size_t i;

	if (!scan->node_count && !scan->socket_count && !scan->has_missing && !scan->has_bars)
		return;
	r = io_open_directory_at(scan->host->root_fd, "proc", &dir);
	holders_failed(scan, r);
	if (r < 0 || !holders_see_all_processes(scan->host))
		miss_processes(scan, holders_unseen,
			       "processes outside of this container (PID namespace)");
	for (i = 0; i < scan->node_count; i++) {
		processes.has_unsettled |= scan->nodes[i].is_block && !scan->nodes[i].is_settled;
	}
	if (dir)
		fd = dirfd(dir);
	while (fd >= 0 && !scan->error && (entry = readdir(dir)))
		if (isdigit((unsigned char)entry->d_name[0]))
			look_at_process(&processes, fd, entry->d_name);
	ask_batch(&processes);
	check_held(&processes);
	free(processes.mounts.seen);
	free(processes.networks.seen);
}

void holders_read_rest(struct holder_scan *scan)
{
	size_t i;

	for (i = 0; i < scan->node_count; i++) {
		const struct holder_node *node = &scan->nodes[i];

		if (node->filesystem && !node->is_settled)
			holders_add(scan, node->target, PT_HOLDER_FILESYSTEM, 0,
				    holders_text(scan,
						 "%s, mounted in a place invisible to this "
						 "process",
						 node->filesystem),
				    node->through, "");
	}
	for (i = 0; i < scan->socket_count; i++) {
		const struct holder_socket *socket = &scan->sockets[i];

		if (!socket->is_found)
			holders_add(scan, socket->target, PT_HOLDER_SOCKET, 0,
				    holders_text(scan, "%s of user %u", socket->what, socket->uid),
				    socket->through, "");
	}
	for (i = 0; i < scan->target_count; i++) {
		const struct holder_target *target = &scan->targets[i];

		if (target->is_interface_missing && !target->has_interface &&
		    !target->may_lack_interface && !target->holders->is_unprivileged)
			holders_unseen(scan, i,
				       "its network interface, which is in the network namespace "
				       "of no process");
	}
}
