/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The floor that passthru is measured against: the system calls that the work can't do
 * without, and nothing else. Also the stopwatch: it starts programs with less overhead
 * than a shell or Python.
 *
 *	bench-raw list | show                        all functions
 *	bench-raw detach ADDRESS | reattach ADDRESS DRIVER | reset ADDRESS
 *	bench-raw loop COUNT list | show …           in one process; prints nanoseconds a run
 *	bench-raw time COUNT COMMAND…                starts COMMAND; prints nanoseconds a run
 */
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEVICES "/sys/bus/pci/devices"

static char text[8192];

static long long now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void read_file(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return; /* not every function has every attribute */
	while (read(fd, text, sizeof(text)) > 0)
		;
	close(fd);
}

static void read_link(int dir, const char *name)
{
	if (readlinkat(dir, name, text, sizeof(text)) < 0)
		return;
}

/* What a listing needs of one function: ids, class and driver; where it hangs; its group. */
static void list_one(int devices, const char *name)
{
	char path[300];

	read_link(devices, name);
	(void)snprintf(path, sizeof(path), "%s/uevent", name);
	read_file(devices, path);
	(void)snprintf(path, sizeof(path), "%s/iommu_group", name);
	read_link(devices, path);
	(void)snprintf(path, sizeof(path), "%s/physfn", name);
	read_link(devices, path);
}

static void show_one(int devices, const char *name)
{
	static const char *const attributes[] = {
		"config",	  "resource",	  "reset_method",    "numa_node",
		"power_state",	  "irq",	  "driver_override", "vpd",
		"sriov_totalvfs", "sriov_numvfs", "boot_vga",
	};
	char path[300];
	size_t i;

	list_one(devices, name);
	for (i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", name, attributes[i]);
		read_file(devices, path);
	}
}

static void for_each(void (*work)(int devices, const char *name))
{
	DIR *dir = opendir(DEVICES);
	struct dirent *entry;

	if (!dir)
		err(1, DEVICES);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] != '.')
			work(dirfd(dir), entry->d_name);
	}
	closedir(dir);
}

static void write_file(const char *path, const char *data)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, data, strlen(data)) < 0)
		err(1, "%s", path);
	close(fd);
}

static void expect_driver(const char *address, const char *driver)
{
	char path[300];
	ssize_t len;

	(void)snprintf(path, sizeof(path), DEVICES "/%s/driver", address);
	len = readlink(path, text, sizeof(text) - 1);
	text[len < 0 ? 0 : len] = '\0';
	if (!strstr(text, driver))
		errx(1, "%s: driver %s, not %s", address, text, driver);
}

static void bind_to(const char *address, const char *override, const char *driver)
{
	char path[300];

	(void)snprintf(path, sizeof(path), DEVICES "/%s/driver_override", address);
	write_file(path, override);
	(void)snprintf(path, sizeof(path), DEVICES "/%s/driver/unbind", address);
	write_file(path, address);
	write_file("/sys/bus/pci/drivers_probe", address);
	expect_driver(address, driver);
}

static void reset(const char *address)
{
	char path[300];

	(void)snprintf(path, sizeof(path), DEVICES "/%s/reset", address);
	write_file(path, "1");
}

static void work(char **args)
{
	if (!strcmp(args[0], "list"))
		for_each(list_one);
	else if (!strcmp(args[0], "show"))
		for_each(show_one);
	else if (!strcmp(args[0], "detach") && args[1])
		bind_to(args[1], "vfio-pci", "vfio-pci");
	else if (!strcmp(args[0], "reattach") && args[1] && args[2])
		bind_to(args[1], "\n", args[2]);
	else if (!strcmp(args[0], "reset") && args[1])
		reset(args[1]);
	else
		errx(2, "what is \"%s\"?", args[0]);
}

static void start(char **args)
{
	int status;
	pid_t pid = vfork();

	if (pid < 0)
		err(1, "vfork");
	if (pid == 0) {
		execvp(args[0], args);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) < 0)
		err(1, "waitpid");
	if (status)
		errx(1, "%s: status 0x%x", args[0], (unsigned int)status);
}

static void measure(int count, char **args, void (*what)(char **args))
{
	while (count--) {
		long long begin = now_ns();

		what(args);
		(void)fprintf(stderr, "%lld\n", now_ns() - begin);
	}
}

int main(int argc, char **argv)
{
	if (argc > 3 && !strcmp(argv[1], "time"))
		measure(atoi(argv[2]), argv + 3, start);
	else if (argc > 3 && !strcmp(argv[1], "loop"))
		measure(atoi(argv[2]), argv + 3, work);
	else if (argc > 1)
		work(argv + 1);
	else
		return 2;
	return 0;
}
