/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What guests are in tests: a process that takes QEMU's arguments and answers on its monitors as
 * QEMU does, as far as passthrud asks. Which devices it has stands in fake/qemu/NAME.devices below
 * FAKE_ROOT; what it shall do otherwise in fake/qemu/faults/COMMAND (tests/fake/guests.h).
 */
#include <fcntl.h>
#include <json-c/json.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#define MONITORS    2
#define CONSOLES    4
#define DEVICES_MAX 64

struct monitor {
	int listen_fd, fd;
	bool is_open; /* its client has negotiated */
	struct json_tokener *tokener;
};

/* A serial port's pty: what is written to it comes back. */
struct console {
	char id[64];
	int fd;
};

static struct monitor monitors[MONITORS];
static struct console consoles[CONSOLES];
static size_t console_count;
static char *devices[DEVICES_MAX];
static size_t device_count;
static const char *root, *name = "guest";
static bool is_running, is_pausing_at_shutdown;
static int64_t memory = 64 * 1024 * 1024, wanted_memory;

/* As QEMU 10.0 has them, but few. */
static const char machines[] =
	"[{\"name\": \"pc-q35-10.0\", \"alias\": \"q35\", \"cpu-max\": 4096, \"deprecated\": false}, "
	"{\"name\": \"pc-q35-9.2\", \"cpu-max\": 4096, \"deprecated\": false}, "
	"{\"name\": \"pc-q35-4.2\", \"cpu-max\": 288, \"deprecated\": true}, "
	"{\"name\": \"pc-i440fx-10.0\", \"alias\": \"pc\", \"cpu-max\": 255, \"deprecated\": false}]";

/* ---- what it writes down ---- */

static void path_of(char path[4096], const char *kind, const char *file)
{
	(void)snprintf(path, 4096, "%s/fake/qemu/%s%s", root, kind, file);
}

static void write_devices(void)
{
	char path[4096], file[256];
	FILE *out;

	(void)snprintf(file, sizeof(file), "%s.devices", name);
	path_of(path, "", file);
	out = fopen(path, "w");
	for (size_t i = 0; out && i < device_count; i++)
		(void)fprintf(out, "%s\n", devices[i]);
	if (out)
		(void)fclose(out);
}

/* What is set for a command; "" when nothing is. */
static void take_fault(const char *command, char fault[256])
{
	char path[4096];
	FILE *in;

	fault[0] = '\0';
	path_of(path, "faults/", command);
	in = fopen(path, "r");
	if (!in)
		return;
	if (!fgets(fault, 256, in))
		fault[0] = '\0';
	(void)fclose(in);
	fault[strcspn(fault, "\n")] = '\0';
	if (strncmp(fault, "once ", 5) == 0) {
		(void)unlink(path);
		memmove(fault, fault + 5, strlen(fault + 5) + 1);
	}
}

/* ---- its devices ---- */

static void add_device(const char *id)
{
	if (device_count < DEVICES_MAX)
		devices[device_count++] = strdup(id);
	write_devices();
}

static bool remove_device(const char *id)
{
	for (size_t i = 0; i < device_count; i++) {
		if (strcmp(devices[i], id) != 0)
			continue;
		free(devices[i]);
		devices[i] = devices[--device_count];
		write_devices();
		return true;
	}
	return false;
}

static bool has_device(const char *id)
{
	for (size_t i = 0; i < device_count; i++)
		if (strcmp(devices[i], id) == 0)
			return true;
	return false;
}

/* ---- saying ---- */

static void say(struct monitor *monitor, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void say(struct monitor *monitor, const char *format, ...)
{
	char text[8192];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text, sizeof(text) - 2, format, args);
	va_end(args);
	text[n] = '\r';
	text[n + 1] = '\n';
	if (monitor->fd >= 0)
		(void)send(monitor->fd, text, (size_t)n + 2, MSG_NOSIGNAL);
}

static void tell_event(const char *event, const char *data)
{
	for (int i = 0; i < MONITORS; i++)
		if (monitors[i].is_open)
			say(&monitors[i],
			    "{\"event\": \"%s\", \"data\": %s, "
			    "\"timestamp\": {\"seconds\": 1, \"microseconds\": 0}}",
			    event, data);
}

static void tell_of_device(const char *event, const char *id)
{
	char data[512];

	(void)snprintf(data, sizeof(data),
		       "{\"device\": \"%s\", \"path\": \"/machine/peripheral/%s\"}", id, id);
	tell_event(event, data);
}

static _Noreturn void end(const char *reason, bool is_guests)
{
	char data[128];

	(void)snprintf(data, sizeof(data), "{\"guest\": %s, \"reason\": \"%s\"}",
		       is_guests ? "true" : "false", reason);
	tell_event("SHUTDOWN", data);
	exit(0);
}

/* ---- commands ---- */

static const char *text_of(struct json_object *object, const char *key)
{
	const char *text = json_object_get_string(json_object_object_get(object, key));

	return text ? text : "";
}

static void say_done(struct monitor *monitor, struct json_object *id, const char *result)
{
	say(monitor, "{\"return\": %s, \"id\": %s}", result, json_object_to_json_string(id));
}

static void say_error(struct monitor *monitor, struct json_object *id, const char *class,
		      const char *text)
{
	say(monitor, "{\"error\": {\"class\": \"%s\", \"desc\": \"%s\"}, \"id\": %s}", class, text,
	    json_object_to_json_string(id));
}

static void list_devices(struct monitor *monitor, struct json_object *id)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < device_count; i++) {
		struct json_object *entry = json_object_new_object();

		json_object_object_add(entry, "name", json_object_new_string(devices[i]));
		json_object_object_add(entry, "type", json_object_new_string("child<device>"));
		json_object_array_add(list, entry);
	}
	say_done(monitor, id, json_object_to_json_string(list));
	json_object_put(list);
}

static void list_consoles(struct monitor *monitor, struct json_object *id, const char *fault)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < console_count; i++) {
		struct json_object *entry = json_object_new_object();
		char path[300];

		(void)snprintf(path, sizeof(path), "pty:%s",
			       fault[0] == '/' ? fault : ptsname(consoles[i].fd));
		json_object_object_add(entry, "label", json_object_new_string(consoles[i].id));
		json_object_object_add(entry, "filename", json_object_new_string(path));
		json_object_array_add(list, entry);
	}
	say_done(monitor, id, json_object_to_json_string(list));
	json_object_put(list);
}

static void delete_device(struct monitor *monitor, struct json_object *id, const char *device,
			  const char *fault)
{
	if (!has_device(device)) {
		say_error(monitor, id, "DeviceNotFound", "Device not found");
		return;
	}
	say_done(monitor, id, "{}");
	if (strcmp(fault, "refuse") == 0)
		tell_of_device("DEVICE_UNPLUG_GUEST_ERROR", device);
	else if (strcmp(fault, "ignore") != 0 && remove_device(device))
		tell_of_device("DEVICE_DELETED", device);
}

/* The guest does it, pressed or not. */
static void shut_down(void)
{
	if (!is_pausing_at_shutdown)
		end("guest-shutdown", true);
	is_running = false;
	tell_event("SHUTDOWN", "{\"guest\": true, \"reason\": \"guest-shutdown\"}");
	tell_event("STOP", "{}");
}

static void balloon(int64_t bytes);

static void set_running(bool will_run)
{
	if (will_run != is_running)
		tell_event(will_run ? "RESUME" : "STOP", "{}");
	is_running = will_run;
	if (will_run && wanted_memory)
		balloon(wanted_memory);
}

/* False: what it answers is what all others do. */
static bool answer(struct monitor *monitor, const char *command, struct json_object *arguments,
		   struct json_object *id, const char *fault)
{
	char status[32];

	if (!strcmp(command, "qom-list")) {
		list_devices(monitor, id);
	} else if (!strcmp(command, "device_del")) {
		delete_device(monitor, id, text_of(arguments, "id"), fault);
	} else if (sscanf(fault, "status %31s", status) == 1) {
		say(monitor, "{\"return\": {\"status\": \"%s\"}, \"id\": %s}", status,
		    json_object_to_json_string(id));
	} else if (!strcmp(command, "query-status")) {
		say_done(monitor, id,
			 is_running ? "{\"status\": \"running\", \"running\": true}"
				    : "{\"status\": \"paused\", \"running\": false}");
	} else if (!strcmp(command, "query-balloon")) {
		(void)snprintf(status, sizeof(status), "{\"actual\": %ld}", memory);
		say_done(monitor, id, status);
	} else if (!strcmp(command, "query-chardev")) {
		list_consoles(monitor, id, fault);
	} else if (!strcmp(command, "query-machines")) {
		say_done(monitor, id, machines);
	} else if (!strncmp(command, "query-", 6)) {
		say_done(monitor, id, "[]");
	} else if (!strcmp(command, "quit")) {
		say_done(monitor, id, "{}");
		end("host-qmp-quit", false);
	} else if (!strcmp(command, "system_powerdown")) {
		say_done(monitor, id, "{}");
		tell_event("POWERDOWN", "{}");
		shut_down();
	} else {
		return false;
	}
	return true;
}

/* The guest gives back what it is asked for at once, once it runs. */
static void balloon(int64_t bytes)
{
	char data[64];

	wanted_memory = bytes;
	if (!is_running || memory == bytes)
		return;
	memory = bytes;
	(void)snprintf(data, sizeof(data), "{\"actual\": %ld}", memory);
	tell_event("BALLOON_CHANGE", data);
}

static void take_effect(const char *command, struct json_object *arguments)
{
	if (!strcmp(command, "device_add"))
		add_device(text_of(arguments, "id"));
	else if (!strcmp(command, "cont") || !strcmp(command, "stop"))
		set_running(!strcmp(command, "cont"));
	else if (!strcmp(command, "balloon"))
		balloon(json_object_get_int64(json_object_object_get(arguments, "value")));
	else if (!strcmp(command, "system_reset"))
		tell_event("RESET", "{\"guest\": false, \"reason\": \"host-qmp-system-reset\"}");
	else if (!strcmp(command, "set-action"))
		is_pausing_at_shutdown = !strcmp(text_of(arguments, "shutdown"), "pause");
}

/* What no QEMU does that is itself, but the last. */
static void misbehave(const char *fault)
{
	char event[64], data[64];
	unsigned int i, count;

	if (sscanf(fault, "late %63s", event) == 1)
		tell_event(event, "{}");
	if (sscanf(fault, "flood %u", &count) == 1)
		for (i = 0; i < count; i++) {
			(void)snprintf(data, sizeof(data), "{\"device\": \"%s%u\"}",
				       i % 2 ? "virtio-disk" : "nosuch", i % 2 ? 0 : i);
			tell_event("DEVICE_DELETED", data);
		}
	if (!strcmp(fault, "garbage"))
		tell_event("STOP", "{]");
	if (!strcmp(fault, "shutdown"))
		shut_down();
}

static void obey(struct monitor *monitor, struct json_object *message)
{
	const char *command = text_of(message, "execute");
	struct json_object *arguments = json_object_object_get(message, "arguments");
	struct json_object *id = json_object_object_get(message, "id");
	char fault[256], class[64], text[192];

	take_fault(command, fault);
	if (strcmp(fault, "hang") == 0)
		return;
	if (strcmp(fault, "exit") == 0)
		exit(1);
	if (sscanf(fault, "error %63s %191[^\n]", class, text) == 2) {
		say_error(monitor, id, class, text);
		return;
	}
	if (!strcmp(command, "qmp_capabilities"))
		monitor->is_open = true;
	if (!strcmp(command, "device_add") && has_device(text_of(arguments, "id"))) {
		say_error(monitor, id, "GenericError", "Duplicate device ID");
		return;
	}
	if (answer(monitor, command, arguments, id, fault))
		return;
	/* as QEMU does, which tells what a command has led to before it answers */
	take_effect(command, arguments);
	say_done(monitor, id, "{}");
	misbehave(fault);
}

/* ---- connections ---- */

static void greet(struct monitor *monitor)
{
	json_tokener_reset(monitor->tokener);
	say(monitor, "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 0, \"minor\": 0, "
		     "\"major\": 10}, \"package\": \"\"}, \"capabilities\": []}}");
}

static void meet(struct monitor *monitor)
{
	if (monitor->listen_fd < 0)
		return;
	monitor->fd = accept(monitor->listen_fd, NULL, NULL);
	greet(monitor);
}

static void hear(struct monitor *monitor)
{
	char text[4096];
	ssize_t n = recv(monitor->fd, text, sizeof(text), 0);
	ssize_t at = 0;

	if (n <= 0) {
		if (monitor->listen_fd < 0)
			exit(0); /* it was only asked */
		close(monitor->fd);
		monitor->fd = -1;
		monitor->is_open = false;
		return;
	}
	while (at < n) {
		struct json_object *message =
			json_tokener_parse_ex(monitor->tokener, text + at, (int)(n - at));

		if (!message)
			break; /* the rest is on its way, or it is the end of a line */
		at += (ssize_t)json_tokener_get_parse_end(monitor->tokener);
		obey(monitor, message);
		json_object_put(message);
	}
}

/* Nobody at the other end is an error of reading, again and again: so it is looked at now and then.
 */
static void echo(const struct console *console)
{
	char text[256];
	ssize_t n = read(console->fd, text, sizeof(text));

	if (n > 0 && write(console->fd, text, (size_t)n) < 0)
		return;
}

static void serve(void)
{
	for (;;) {
		struct pollfd fds[MONITORS];

		/* one client at a time, as a chardev has */
		for (int i = 0; i < MONITORS; i++)
			fds[i] = (struct pollfd){.fd = monitors[i].fd >= 0 ? monitors[i].fd
									   : monitors[i].listen_fd,
						 .events = POLLIN};
		if (poll(fds, MONITORS, console_count ? 20 : -1) < 0)
			continue;
		for (size_t i = 0; i < console_count; i++)
			echo(&consoles[i]);
		for (int i = 0; i < MONITORS; i++) {
			if (!fds[i].revents)
				continue;
			if (monitors[i].fd >= 0)
				hear(&monitors[i]);
			else
				meet(&monitors[i]);
		}
	}
}

/* ---- its arguments ---- */

static void add_console(const char *value)
{
	struct console *console = &consoles[console_count];
	const char *id = strstr(value, "id=");
	struct termios raw;

	if (!id || console_count == CONSOLES)
		return;
	(void)snprintf(console->id, sizeof(console->id), "%.*s", (int)strcspn(id + 3, ","), id + 3);
	console->fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (console->fd < 0 || grantpt(console->fd) < 0 || unlockpt(console->fd) < 0 ||
	    tcgetattr(console->fd, &raw) < 0)
		exit(2);
	cfmakeraw(&raw);
	(void)tcsetattr(console->fd, TCSANOW, &raw);
	console_count++;
}

static void take_argument(const char *option, char *value)
{
	const char *fd = strstr(value, "fd=");

	if (!strcmp(option, "-name") && strstr(value, "guest=")) {
		name = strstr(value, "guest=") + 6;
		*strchrnul(name, ',') = '\0';
	} else if (!strcmp(option, "-chardev") && fd && strstr(value, "charmonitor")) {
		monitors[0].listen_fd = atoi(fd + 3);
	} else if (!strcmp(option, "-chardev") && fd && strstr(value, "charevents")) {
		monitors[1].listen_fd = atoi(fd + 3);
	} else if (!strcmp(option, "-chardev") && fd && strstr(value, "charquestion")) {
		monitors[0].fd = atoi(fd + 3);
	} else if (!strcmp(option, "-chardev") && strncmp(value, "pty,", 4) == 0) {
		add_console(value);
	} else if (!strcmp(option, "-action")) {
		is_pausing_at_shutdown = strstr(value, "shutdown=pause") != NULL;
	} else if (!strcmp(option, "-device") && value[0] == '{') {
		struct json_object *device = json_tokener_parse(value);

		add_device(text_of(device, "id"));
		json_object_put(device);
	}
}

static void on_term(int number)
{
	(void)number;
	_exit(0);
}

/* swtpm --terminate: it ends when QEMU has, the other end of its socket. */
static int serve_as_tpm(int argc, char **argv)
{
	static const char control[] = "type=unixio,clientfd=";
	char byte;

	for (int i = 1; i < argc; i++)
		if (strncmp(argv[i], control, sizeof(control) - 1) == 0)
			while (read(atoi(argv[i] + sizeof(control) - 1), &byte, 1) > 0)
				;
	return 0;
}

/* passthru-record: as long as QEMU has the other ends of its pipes. */
static int serve_as_recorder(int argc, char **argv)
{
	struct pollfd polls[16];
	char block[4096];
	int open = 0, pipe_fd, file_fd;

	for (int i = 1; i < argc && open < 16; i++)
		if (sscanf(argv[i], "%d:%d:", &pipe_fd, &file_fd) == 2)
			polls[open++] = (struct pollfd){.fd = pipe_fd, .events = POLLIN};
	for (int left = open; left > 0 && poll(polls, (nfds_t)open, -1) > 0;)
		for (int i = 0; i < open; i++) {
			ssize_t n = polls[i].revents ? read(polls[i].fd, block, sizeof(block)) : 1;

			if (n <= 0) {
				polls[i].fd = -1;
				left--;
			} else if (polls[i].revents &&
				   sscanf(argv[i + 1], "%*d:%d:", &file_fd) == 1 &&
				   write(file_fd, block, (size_t)n) < 0) {
				return 1;
			}
		}
	return 0;
}

/* virtiofsd: as long as QEMU has the other end of the one connection that it accepts. */
static int serve_as_virtiofsd(int argc, char **argv)
{
	static const char listener[] = "--fd=";
	char byte;
	int fd;

	for (int i = 1; i < argc; i++)
		if (strncmp(argv[i], listener, sizeof(listener) - 1) == 0) {
			fd = accept(atoi(argv[i] + sizeof(listener) - 1), NULL, NULL);
			while (read(fd, &byte, 1) > 0)
				;
		}
	return 0;
}

int main(int argc, char **argv)
{
	root = getenv("FAKE_ROOT");
	if (!root)
		return 2;
	if (strstr(argv[0], "swtpm"))
		return serve_as_tpm(argc, argv);
	if (strstr(argv[0], "virtiofsd"))
		return serve_as_virtiofsd(argc, argv);
	if (strcmp(argv[0], "passthru-record") == 0)
		return serve_as_recorder(argc, argv);
	(void)signal(SIGTERM, on_term);
	for (int i = 0; i < MONITORS; i++) {
		monitors[i].fd = monitors[i].listen_fd = -1;
		monitors[i].tokener = json_tokener_new();
	}
	for (int i = 1; i + 1 < argc; i++)
		if (argv[i][0] == '-')
			take_argument(argv[i], argv[i + 1]);
	if (monitors[0].fd >= 0)
		greet(&monitors[0]);
	serve();
	return 0;
}
