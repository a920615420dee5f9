/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Building blocks of the files of command_line/. The first failure is kept in the error, and later
 * additions are ignored, so that callers need not check each step.
 */
#ifndef DOMAIN_COMMAND_LINE_PARTS_H
#define DOMAIN_COMMAND_LINE_PARTS_H

#include <stdio.h>

#include "domain/command_line/command_line.h"
#include "domain/definition/xml_node.h"

struct command_line {
	const struct definition *live;
	const struct command_line_files *files;
	const xmlNode *root;
	const xmlNode *devices;
	char **argv;
	size_t count;
	size_t room;
	struct json_object *commands; /* QMP instead of arguments, if not NULL */
	bool is_for_show;	      /* not executed: unprepared parts are omitted */
	int failure;
	struct pt_error *err;
};

struct command_line line_begin(const struct definition *live,
			       const struct command_line_files *files, struct pt_error *err);

/* False when no device of this kind is known. @round -1: in whichever it is made. */
bool line_add_device(struct command_line *line, const xmlNode *node, int round);

/* ---- failing ---- */

void line_fail(struct command_line *line, int errnum, const xmlNode *node, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void line_fail_memory(struct command_line *line);

/* Of @outputs, what is for the device @node; NULL: nothing. */
const struct command_line_output *line_find_inherited(const struct command_line_output *outputs,
						      size_t count, const xmlNode *node,
						      bool is_log);

/* ---- arguments ---- */

void line_add(struct command_line *line, const char *option);
void line_add_format(struct command_line *line, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void line_add_value(struct command_line *line, const char *option, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* A value made in pieces of "key=value", commas in values doubled as QEMU wants them. */
struct option_text {
	struct command_line *line;
	bool has_begun;
	FILE *out;
	char *text;
	size_t size;
};
void option_begin(struct option_text *option, struct command_line *line, const char *first);
void option_add(struct option_text *option, const char *key, const char *value); /* NULL: none */
void option_add_number(struct option_text *option, const char *key, uint64_t number);
void option_end(struct option_text *option, const char *name);

/* ---- JSON ---- */

/* {"driver": @driver, "id": alias of @node}; the argument of one of the four below. */
struct json_object *line_device(struct command_line *line, const char *driver, const xmlNode *node);
struct json_object *line_object(struct command_line *line, const char *key, const char *value);

void props_add_text(struct command_line *line, struct json_object *object, const char *key,
		    const char *text); /* NULL: nothing is added */
void props_add_format(struct command_line *line, struct json_object *object, const char *key,
		      const char *format, ...) __attribute__((format(printf, 4, 5)));
void props_add_bool(struct command_line *line, struct json_object *object, const char *key,
		    bool value);
void props_add_int(struct command_line *line, struct json_object *object, const char *key,
		   uint64_t value);
void props_add(struct command_line *line, struct json_object *object, const char *key,
	       struct json_object *taken);

/* From the attribute or text at @path: nothing is added if it is missing. */
void props_add_number_of(struct command_line *line, struct json_object *object, const char *key,
			 const xmlNode *node, const char *path);
/* "yes" and "on" are true. */
void props_add_bool_of(struct command_line *line, struct json_object *object, const char *key,
		       const xmlNode *node, const char *path);
/* As text, for QEMU's OnOffAuto. */
void props_add_text_of(struct command_line *line, struct json_object *object, const char *key,
		       const xmlNode *node, const char *path);

/* What <driver> says of any virtio device: ioeventfd, event_idx, iommu, ats, packed, page_per_vq.
 */
void line_virtio_driver(struct command_line *line, struct json_object *object, const xmlNode *node);

/* What a device says that it can't be, and that isn't in its arguments then (trial.c). */
int command_line_check_device(const xmlNode *device, struct pt_error *err);

enum line_what { LINE_DEVICE, LINE_OBJECT, LINE_BLOCKDEV, LINE_NETDEV, LINE_AUDIODEV };

/* {"execute": @name, "arguments": @arguments} to the commands; takes @arguments. */
void line_command(struct command_line *line, const char *name, struct json_object *arguments);

/* "-device JSON", or as QMP "device_add", with what <qemu:override> says of it; takes @object. */
void line_put(struct command_line *line, enum line_what what, struct json_object *object);

/* Each device that <qemu:override> names must be there. */
void line_check_overrides(struct command_line *line);

/* ---- words ---- */

const char *line_alias(const xmlNode *node); /* "" when there is none */

/* "0-3,^2" as bits, -EINVAL for invalid or too large numbers. */
enum { CPUSET_MAX = 1024 };
int cpuset_parse(const char *text, bool ret_set[CPUSET_MAX]);

/* ---- the files of it ---- */

void line_machine(struct command_line *line);			  /* machine.c */
void line_memory(struct command_line *line);			  /* memory.c */
bool line_memory_is_shared(const struct command_line *line);	  /* with another process */
const char *line_memory_backend(const struct command_line *line); /* "pc.ram", NULL with NUMA */
void line_cpu(struct command_line *line);			  /* cpu.c */
void line_system(struct command_line *line);			  /* system.c */
void line_controllers(struct command_line *line);		  /* pci.c */
void line_pci_address(struct command_line *line, struct json_object *object, const xmlNode *node);
void line_boot_order(struct command_line *line, struct json_object *object, const xmlNode *node);
void line_hostdev(struct command_line *line, const xmlNode *node);
void line_usb_seat(struct command_line *line, struct json_object *object,
		   const xmlNode *node); /* usb.c */
void line_usb_bus(struct command_line *line, struct json_object *object, const char *key,
		  uint64_t index);
void line_host_usb(struct command_line *line, const xmlNode *node);
void line_disk(struct command_line *line, const xmlNode *node);	     /* disk.c */
void line_interface(struct command_line *line, const xmlNode *node); /* net.c */
void line_serial(struct command_line *line, const xmlNode *node);    /* char.c */
void line_console(struct command_line *line, const xmlNode *node);
void line_channel(struct command_line *line, const xmlNode *node);
void line_redirdev(struct command_line *line, const xmlNode *node);
void line_tpm(struct command_line *line, const xmlNode *node);
void line_monitors(struct command_line *line);
void line_graphics(struct command_line *line, const xmlNode *node); /* display.c */
void line_video(struct command_line *line, const xmlNode *node);
void line_audio(struct command_line *line, const xmlNode *node);
void line_sound(struct command_line *line, const xmlNode *node);
void line_input(struct command_line *line, const xmlNode *node);
void line_iommu(struct command_line *line, const xmlNode *node); /* devices.c */
void line_rng(struct command_line *line, const xmlNode *node);
void line_watchdog(struct command_line *line, const xmlNode *node);
void line_memballoon(struct command_line *line, const xmlNode *node);
void line_shmem(struct command_line *line, const xmlNode *node);
void line_panic(struct command_line *line, const xmlNode *node);
void line_vsock(struct command_line *line, const xmlNode *node);
void line_filesystem(struct command_line *line, const xmlNode *node); /* filesystem.c */

#endif
