/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What people look at, listen to and touch. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "domain/command_line/parts.h"
#include "domain/definition/graphics.h"
#include "domain/definition/topology.h"

/* ---- graphics ---- */

static const char *listen_address(const xmlNode *node)
{
	const char *address = node_get(node, "listen@address");

	if (!address)
		address = node_get(node, "@listen");
	return address ? address : "127.0.0.1";
}

/* 0: not chosen (resources_choose_ports()). */
static unsigned int port_of(const xmlNode *node)
{
	uint64_t port;

	return node_number(node, "port", 65535, &port) == 0 ? (unsigned int)port : 0;
}

static void add_vnc(struct command_line *line, const xmlNode *node)
{
	static const struct {
		const char *policy;
		const char *share;
	} shares[] = {{"allow-exclusive", "allow-exclusive"},
		      {"force-shared", "force-shared"},
		      {"ignore", "ignore"}};
	const char *socket = graphics_socket(node), *policy = node_get(node, "@sharePolicy");
	unsigned int port = port_of(node);
	struct option_text option;
	char place[512];
	int r;

	if (socket)
		r = text_format(place, sizeof(place), "unix:%s", socket);
	else if (graphics_is_silent(node))
		r = text_format(place, sizeof(place), "none");
	else
		r = text_format(place, sizeof(place),
				strchr(listen_address(node), ':') ? "[%s]:%u" : "%s:%u",
				listen_address(node), port > 5900 ? port - 5900 : 0);
	if (r < 0)
		line_fail(line, -r, node,
			  "domain/devices/graphics: its socket or address is too long");
	if (socket && strchr(socket, ','))
		line_fail(line, EOPNOTSUPP, node,
			  "domain/devices/graphics@socket contains a comma");
	option_begin(&option, line, place);
	option_add(&option, "id", "vnc0");
	/* QEMU counts displays up from :0 to the first that is free, and says which (query-vnc) */
	if (!socket && !port && !graphics_is_silent(node))
		option_add(&option, "to", "99");
	if (node_get(node, "@passwd"))
		option_add(&option, "password", "on");
	for (size_t i = 0; policy && i < 3; i++)
		if (strcmp(policy, shares[i].policy) == 0)
			option_add(&option, "share", shares[i].share);
	option_end(&option, "-vnc");
	if (node_get(node, "@keymap"))
		line_add_value(line, "-k", "%s", node_get(node, "@keymap"));
}

static void add_spice(struct command_line *line, const xmlNode *node)
{
	static const struct {
		const char *path;
		const char *key;
	} options[] = {
		{"image@compression", "image-compression"},
		{"jpeg@compression", "jpeg-wan-compression"},
		{"zlib@compression", "zlib-glz-wan-compression"},
		{"playback@compression", "playback-compression"},
		{"streaming@mode", "streaming-video"},
		{"mouse@mode", "agent-mouse"},
	};
	const char *socket = graphics_socket(node);
	bool is_silent = graphics_is_silent(node);
	unsigned int port = port_of(node);
	struct option_text option;

	if (!socket && !port && !is_silent && !line->is_for_show)
		line_fail(line, EINVAL, node,
			  "domain/devices/graphics@port is missing for spice, and none was chosen");
	option_begin(&option, line, "");
	if (socket) {
		option_add(&option, "unix", "on");
		option_add(&option, "addr", socket);
	} else if (is_silent) {
		option_add_number(&option, "port", 0);
	} else {
		option_add_number(&option, "port", port);
		option_add(&option, "addr", listen_address(node));
	}
	if (!node_get(node, "@passwd"))
		option_add(&option, "disable-ticketing", "on");
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		const char *value = node_get(node, options[i].path);

		if (value && strcmp(options[i].key, "agent-mouse") == 0)
			value = strcmp(value, "client") == 0 ? "on" : "off";
		option_add(&option, options[i].key, value);
	}
	if (node_says(node, "clipboard@copypaste", "no"))
		option_add(&option, "disable-copy-paste", "on");
	if (node_says(node, "filetransfer@enable", "no"))
		option_add(&option, "disable-agent-file-xfer", "on");
	option_add(&option, "seamless-migration", "on");
	if (graphics_has_gl(node)) {
		/* ui/spice-core.c: pictures go to the client as descriptors */
		if (!socket && !is_silent)
			line_fail(
				line, EOPNOTSUPP, node,
				"domain/devices/graphics/gl: SPICE shows what a GPU draws only to "
				"clients of this host; add <listen type='none'/> or <listen "
				"type='socket'/>, or use <graphics type='egl-headless'/> beside");
		option_add(&option, "gl", "on");
		option_add(&option, "rendernode", node_get(node, "gl@rendernode"));
	}
	option_end(&option, "-spice");
}

/* It is drawn, for other displays to show. */
static void add_headless(struct command_line *line, const xmlNode *node)
{
	struct option_text option;

	option_begin(&option, line, "egl-headless");
	option_add(&option, "rendernode", node_get(node, "gl@rendernode"));
	option_end(&option, "-display");
}

void line_graphics(struct command_line *line, const xmlNode *node)
{
	if (node_has(node, "type", "vnc"))
		add_vnc(line, node);
	else if (node_has(node, "type", "spice"))
		add_spice(line, node);
	else
		add_headless(line, node);
}

/* ---- video ---- */

static const struct {
	const char *type;
	const char *primary;
	const char *other;
} videos[] = {
	{"vga", "VGA", "secondary-vga"},
	{"qxl", "qxl-vga", "qxl"},
	{"virtio", "virtio-vga", "virtio-gpu-pci"},
	{"cirrus", "cirrus-vga", "cirrus-vga"},
	{"bochs", "bochs-display", "bochs-display"},
	{"ramfb", "ramfb", "ramfb"},
};

/* libvirt counts video memory in KiB. */
static void add_memory(struct command_line *line, struct json_object *object, const char *type,
		       const xmlNode *model)
{
	static const struct {
		const char *type;
		const char *attribute;
		const char *key;
		unsigned int unit; /* KiB in one of QEMU's */
	} sizes[] = {
		{"qxl", "ram", "ram_size", 0},
		{"qxl", "vram", "vram_size", 0},
		{"qxl", "vram64", "vram64_size_mb", 1024},
		{"qxl", "vgamem", "vgamem_mb", 1024},
		{"vga", "vram", "vgamem_mb", 1024},
		{"cirrus", "vram", "vgamem_mb", 1024},
		{"bochs", "vram", "vgamem", 0},
	};
	uint64_t kib;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		if (strcmp(type, sizes[i].type) == 0 &&
		    node_number(model, sizes[i].attribute, INT32_MAX, &kib) == 0)
			props_add_int(line, object, sizes[i].key,
				      sizes[i].unit ? kib / sizes[i].unit : kib * 1024);
}

static const char *driver_of_video(struct command_line *line, const xmlNode *node, size_t index)
{
	bool is_primary = device_is_primary_video(node);

	if (!node_says(node, "model/acceleration@accel3d", "yes"))
		return is_primary ? videos[index].primary : videos[index].other;
	if (!node_says(node, "model@type", "virtio"))
		line_fail(line, EOPNOTSUPP, node,
			  "domain/devices/video/model/acceleration@accel3d='yes' needs a model of "
			  "type='virtio'");
	if (!graphics_have_gl(line->devices))
		line_fail(
			line, EOPNOTSUPP, node,
			"domain/devices/video/model/acceleration@accel3d='yes' needs a GPU of the "
			"host: add <graphics type='egl-headless'/>, or <gl enable='yes'/> to "
			"<graphics type='spice'>");
	return is_primary ? "virtio-vga-gl" : "virtio-gpu-gl-pci";
}

void line_video(struct command_line *line, const xmlNode *node)
{
	const xmlNode *model = node_child(node, "model");
	const char *type = node_attribute(model, "type");
	struct json_object *object;
	size_t i = 0;

	if (strcmp(type, "none") == 0)
		return;
	while (i < 5 && strcmp(type, videos[i].type) != 0)
		i++;
	object = line_device(line, driver_of_video(line, node, i), node);
	add_memory(line, object, type, model);
	if (strcmp(type, "virtio") == 0 || strcmp(type, "qxl") == 0)
		props_add_number_of(line, object, "max_outputs", model, "@heads");
	if (node_child(model, "resolution")) {
		props_add_number_of(line, object, "xres", model, "resolution@x");
		props_add_number_of(line, object, "yres", model, "resolution@y");
	}
	if (strcmp(type, "ramfb") != 0)
		line_pci_address(line, object, node);
	line_put(line, LINE_DEVICE, object);
}

/* ---- sound ---- */

/* What a direction may say, and QEMU's name for it (qapi/audio.json). */
static const struct {
	const char *path;
	const char *name;
	enum { AUDIO_TEXT, AUDIO_NUMBER, AUDIO_BOOL } kind;
} audio_options[] = {
	{"@mixingEngine", "mixing-engine", AUDIO_BOOL},
	{"@fixedSettings", "fixed-settings", AUDIO_BOOL},
	{"@voices", "voices", AUDIO_NUMBER},
	{"@bufferLength", "buffer-length", AUDIO_NUMBER},
	{"settings@frequency", "frequency", AUDIO_NUMBER},
	{"settings@channels", "channels", AUDIO_NUMBER},
	{"settings@format", "format", AUDIO_TEXT},
	{"@name", "name", AUDIO_TEXT},
	{"@streamName", "stream-name", AUDIO_TEXT},
	{"@latency", "latency", AUDIO_NUMBER},
	{"@dev", "dev", AUDIO_TEXT},
	{"@tryPoll", "try-poll", AUDIO_BOOL},
	{"@serverName", "server-name", AUDIO_TEXT},
	{"@clientName", "client-name", AUDIO_TEXT},
	{"@connectPorts", "connect-ports", AUDIO_TEXT},
	{"@exactName", "exact-name", AUDIO_BOOL},
};

static void add_direction(struct command_line *line, struct json_object *audio, const xmlNode *node,
			  const char *name)
{
	struct json_object *object;

	if (!node)
		return;
	object = line_object(line, "name", NULL);
	for (size_t i = 0; i < sizeof(audio_options) / sizeof(audio_options[0]); i++) {
		const char *path = audio_options[i].path, *key = audio_options[i].name;

		if (audio_options[i].kind == AUDIO_TEXT)
			props_add_text_of(line, object, key, node, path);
		else if (audio_options[i].kind == AUDIO_NUMBER)
			props_add_number_of(line, object, key, node, path);
		else
			props_add_bool_of(line, object, key, node, path);
	}
	props_add(line, audio, name, object);
}

void line_audio(struct command_line *line, const xmlNode *node)
{
	bool is_pulse = node_has(node, "type", "pulseaudio");
	struct json_object *object =
		line_object(line, "driver", is_pulse ? "pa" : node_get(node, "@type"));

	props_add_format(line, object, "id", "audio%s", node_get(node, "@id"));
	props_add_number_of(line, object, "timer-period", node, "@timerPeriod");
	if (is_pulse)
		props_add_text_of(line, object, "server", node, "@serverName");
	add_direction(line, object, node_child(node, "input"), "in");
	add_direction(line, object, node_child(node, "output"), "out");
	line_put(line, LINE_AUDIODEV, object);
}

static void add_audio_of(struct command_line *line, struct json_object *object,
			 const xmlNode *sound)
{
	const char *id = node_get(sound, "audio@id");

	if (!id)
		id = node_get(node_child(line->devices, "audio"), "@id");
	if (!id)
		line_fail(line, EINVAL, sound,
			  "domain/devices/sound needs an audio backend: add <audio id='1' "
			  "type='none'/> or another type");
	props_add_format(line, object, "audiodev", "audio%s", id ? id : "");
}

/* Intel's HD audio is a controller, and a codec on it that makes the sound. */
static void add_codecs(struct command_line *line, const xmlNode *sound)
{
	const xmlNode *codec = node_child(sound, "codec");
	unsigned int number = 0;

	do {
		const char *type = node_attribute(codec, "type");
		struct json_object *object = line_object(line, "driver", NULL);

		props_add_format(line, object, "driver", "hda-%s", type ? type : "duplex");
		props_add_format(line, object, "id", "%s-codec%u", line_alias(sound), number);
		props_add_format(line, object, "bus", "%s.0", line_alias(sound));
		props_add_int(line, object, "cad", number++);
		add_audio_of(line, object, sound);
		line_put(line, LINE_DEVICE, object);
		codec = node_next(codec, "codec");
	} while (codec && number < 4);
}

void line_sound(struct command_line *line, const xmlNode *node)
{
	static const struct {
		const char *model;
		const char *driver;
		bool has_codecs;
	} models[] = {
		{"ich9", "ich9-intel-hda", true}, {"ich6", "intel-hda", true},
		{"ac97", "AC97", false},	  {"virtio", "virtio-sound-pci", false},
		{"usb", "usb-audio", false},
	};
	struct json_object *object;
	size_t i = 0;

	while (i < 4 && !node_has(node, "model", models[i].model))
		i++;
	if (!models[i].has_codecs && node_child(node, "codec"))
		line_fail(line, EOPNOTSUPP, node,
			  "domain/devices/sound/codec needs the model ich6 or ich9");
	object = line_device(line, models[i].driver, node);
	if (!models[i].has_codecs)
		add_audio_of(line, object, node);
	if (strcmp(models[i].model, "usb") == 0)
		line_usb_seat(line, object, node);
	else
		line_pci_address(line, object, node);
	line_put(line, LINE_DEVICE, object);
	if (models[i].has_codecs)
		add_codecs(line, node);
}

/* ---- input ---- */

static void add_evdev(struct command_line *line, const xmlNode *node)
{
	struct json_object *object = line_object(line, "qom-type", "input-linux");

	props_add_text(line, object, "id", line_alias(node));
	props_add_text_of(line, object, "evdev", node, "source@dev");
	if (node_says(node, "source@grab", "all"))
		props_add_bool(line, object, "grab_all", true);
	props_add_bool_of(line, object, "repeat", node, "source@repeat");
	props_add_text_of(line, object, "grab-toggle", node, "source@grabToggle");
	line_put(line, LINE_OBJECT, object);
}

void line_input(struct command_line *line, const xmlNode *node)
{
	const char *bus = node_get(node, "@bus"), *type = node_get(node, "@type");
	char driver[64];
	struct json_object *object;

	if (strcmp(type, "evdev") == 0) {
		add_evdev(line, node);
		return;
	}
	/* the machine has a PS/2 keyboard and mouse */
	if (!bus || strcmp(bus, "ps2") == 0) {
		if (strcmp(type, "tablet") == 0)
			line_fail(line, EOPNOTSUPP, node,
				  "domain/devices/input: a tablet needs the bus usb or virtio");
		return;
	}
	if (strcmp(bus, "virtio") == 0)
		(void)text_format(driver, sizeof(driver), "virtio-%s-pci", type);
	else
		(void)text_format(driver, sizeof(driver), "usb-%s",
				  strcmp(type, "keyboard") == 0 ? "kbd" : type);
	object = line_device(line, driver, node);
	if (strcmp(bus, "virtio") == 0)
		line_pci_address(line, object, node);
	else
		line_usb_seat(line, object, node);
	line_put(line, LINE_DEVICE, object);
}
